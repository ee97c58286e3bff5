/* SPDX-License-Identifier: MIT */
/*
 * Indices from tensors that a tenant may rewrite at any time: loaded once,
 * a negative one wrapped once, the rest clamped. What comes out is in range
 * whatever went in.
 */
#ifndef BRAID_AGENT_CPU_INDEX_H
#define BRAID_AGENT_CPU_INDEX_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "agent/program/program.h"

static inline bool cpu_is_index_type(enum braid_type t)
{
	return t == BRAID_TYPE_I32 || t == BRAID_TYPE_I64;
}

/* Element @i of an int32 or int64 tensor, read exactly once. */
static inline int64_t cpu_index_load(enum braid_type t, const void *data, int64_t i)
{
	typedef int64_t un_i64 __attribute__((aligned(1)));
	typedef int32_t un_i32 __attribute__((aligned(1)));

	if (t == BRAID_TYPE_I64)
		return ((const volatile un_i64 *)data)[i];
	return ((const volatile un_i32 *)data)[i];
}

/* The same as an index into an axis of @n >= 1. */
static inline int64_t cpu_index(enum braid_type t, const void *data, int64_t i, int64_t n)
{
	int64_t v = cpu_index_load(t, data, i);

	if (v < 0)
		v = v < -n ? 0 : v + n;
	return v < n ? v : n - 1;
}

/* Copy one element of 1, 2, 4 or 8 bytes. */
static inline void cpu_copy1(void *y, const void *x, size_t size)
{
	switch (size) {
	case 1:
		memcpy(y, x, 1);
		break;
	case 2:
		memcpy(y, x, 2);
		break;
	case 4:
		memcpy(y, x, 4);
		break;
	default:
		memcpy(y, x, 8);
	}
}

#endif
