/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Types, errno numbers, memcpy and 64-bit division for core/, in the kernel
 * and in user space. The only place in core/ that knows which of the two it
 * is compiled for.
 */
#ifndef BRAID_CORE_TYPES_H
#define BRAID_CORE_TYPES_H

#ifdef __KERNEL__

#include <linux/errno.h>
#include <linux/math64.h>
#include <linux/string.h>
#include <linux/types.h>

static inline u64 bq_div64(u64 a, u64 b)
{
	return div64_u64(a, b);
}

#else

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <linux/types.h>

typedef __u8 u8;
typedef __u32 u32;
typedef __s32 s32;
typedef __u64 u64;
typedef __s64 s64;

static inline u64 bq_div64(u64 a, u64 b)
{
	return a / b;
}

#endif

/* The structure that holds @member at @ptr. */
#define bq_entry(ptr, type, member) \
	((type *)(void *)((char *)(ptr) - offsetof(type, member)))

/* A time that never comes. */
#define BQ_NEVER	(~0ULL)

#endif
