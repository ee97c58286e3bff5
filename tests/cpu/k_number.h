/* SPDX-License-Identifier: MIT */
/*
 * Numbers for the tests of element functions: integers of any type exactly,
 * floats within a bound.
 */
#ifndef BRAID_TESTS_CPU_K_NUMBER_H
#define BRAID_TESTS_CPU_K_NUMBER_H

#include "tests/cpu/k_ref.h"

typedef __int128 swide;
typedef unsigned __int128 uwide;

static inline bool is_integer(enum braid_type t)
{
	return t != BRAID_TYPE_F32 && t != BRAID_TYPE_F64 && t != BRAID_TYPE_F16 &&
	       t != BRAID_TYPE_BF16 && t != BRAID_TYPE_BOOL;
}

static inline bool is_signed(enum braid_type t)
{
	return t == BRAID_TYPE_I8 || t == BRAID_TYPE_I16 || t == BRAID_TYPE_I32 ||
	       t == BRAID_TYPE_I64;
}

/* An integer of any type, exactly. */
static inline swide wide(enum braid_type t, const void *x, int64_t i)
{
	if (t == BRAID_TYPE_I64)
		return ((const int64_t *)x)[i];
	if (t == BRAID_TYPE_U64)
		return ((const uint64_t *)x)[i];
	return (swide)k_get(t, x, i);
}

/* What is left of @v in type @t. */
static inline swide wrapped(enum braid_type t, swide v)
{
	unsigned int bits = 8 * (unsigned int)prog_type_size(t);
	uwide u = (uwide)v & (((uwide)1 << bits) - 1);

	if (is_signed(t) && u >> (bits - 1))
		return (swide)u - ((swide)1 << bits);
	return (swide)u;
}

static inline bool close_to(double got, double want, double rel)
{
	if (isnan(want) || isnan(got))
		return isnan(want) && isnan(got);
	return got == want || fabs(got - want) <= rel * fmax(fabs(want), 0.3);
}

#endif
