// SPDX-License-Identifier: MIT
/*
 * REDUCE on types other than fp32: element by element in int64, which wraps
 * around as C's unsigned, or in double. What fp32 is for networks these are
 * for shapes and masks: small.
 *
 * No state.
 */
#include <math.h>

#include "agent/cpu/convert.h"
#include "agent/cpu/reduce.h"

static bool is_float(enum braid_type t)
{
	return t == BRAID_TYPE_F64;
}

static int64_t wrap_add(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a + (uint64_t)b);
}

static int64_t wrap_mul(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a * (uint64_t)b);
}

/* @big: the values are those of uint64 */
static int64_t step_int(enum prog_reduce fn, bool big, int64_t a, int64_t v)
{
	bool less = big ? (uint64_t)v < (uint64_t)a : v < a;

	switch (fn) {
	case PROG_RED_MAX:
		return less ? a : v;
	case PROG_RED_MIN:
		return less ? v : a;
	case PROG_RED_PROD:
		return wrap_mul(a, v);
	case PROG_RED_L1:
		return wrap_add(a, big || v >= 0 ? v : (int64_t)(0 - (uint64_t)v));
	case PROG_RED_SUM_SQUARE:
		return wrap_add(a, wrap_mul(v, v));
	default:
		return wrap_add(a, v);
	}
}

static double step_float(enum prog_reduce fn, double a, double v, double shift)
{
	switch (fn) {
	case PROG_RED_MAX:
		return v > a || v != v ? v : a;
	case PROG_RED_MIN:
		return v < a || v != v ? v : a;
	case PROG_RED_PROD:
		return a * v;
	case PROG_RED_L1:
		return a + fabs(v);
	case PROG_RED_L2:
	case PROG_RED_SUM_SQUARE:
		return a + v * v;
	case PROG_RED_LOG_SUM_EXP:
		return a + exp(v - shift);
	default:
		return a + v;
	}
}

/* Is the result of integers found in doubles? */
static bool by_double(const struct reduce *d)
{
	if (is_float(d->type))
		return true;
	switch (d->fn) {
	case PROG_RED_L2:
	case PROG_RED_LOG_SUM:
	case PROG_RED_LOG_SUM_EXP:
		return true;
	default:
		return false;
	}
}

/* Where element @i of those that go into one result is. */
static const void *element(const struct reduce *d, const uint8_t *x, size_t size, int64_t i)
{
	int64_t at = reduce_offset(&d->over, i / d->run) + i % d->run;

	return x + at * (int64_t)size;
}

static void reduce_float(const struct reduce *d, void *y, const uint8_t *x, size_t size)
{
	double a, v, shift = 0;

	if (d->fn == PROG_RED_LOG_SUM_EXP) {
		shift = -INFINITY;
		for (int64_t i = 0; i < d->count; i++) {
			cpu_convert(BRAID_TYPE_F64, &v, d->type, element(d, x, size, i), 1);
			shift = v > shift ? v : shift;
		}
		if (!(fabs(shift) < INFINITY))
			shift = 0;
	}
	switch (d->fn) {
	case PROG_RED_MAX:
		a = -INFINITY;
		break;
	case PROG_RED_MIN:
		a = INFINITY;
		break;
	default:
		a = d->fn == PROG_RED_PROD;
	}
	for (int64_t i = 0; i < d->count; i++) {
		cpu_convert(BRAID_TYPE_F64, &v, d->type, element(d, x, size, i), 1);
		a = step_float(d->fn, a, v, shift);
	}
	switch (d->fn) {
	case PROG_RED_MEAN:
		a /= (double)d->count;
		break;
	case PROG_RED_L2:
		a = sqrt(a);
		break;
	case PROG_RED_LOG_SUM:
		a = log(a);
		break;
	case PROG_RED_LOG_SUM_EXP:
		a = shift + log(a);
		break;
	default:
		break;
	}
	cpu_convert(d->type, y, BRAID_TYPE_F64, &a, 1);
}

static void reduce_int(const struct reduce *d, void *y, const uint8_t *x, size_t size)
{
	bool big = d->type == BRAID_TYPE_U64;
	int64_t a = d->fn == PROG_RED_PROD, v;

	for (int64_t i = 0; i < d->count; i++) {
		cpu_convert(BRAID_TYPE_I64, &v, d->type, element(d, x, size, i), 1);
		if (!i && (d->fn == PROG_RED_MAX || d->fn == PROG_RED_MIN))
			a = v;
		a = step_int(d->fn, big, a, v);
	}
	if (d->fn == PROG_RED_MEAN)
		a = big ? (int64_t)((uint64_t)a / (uint64_t)d->count) : a / d->count;
	cpu_convert(d->type, y, BRAID_TYPE_I64, &a, 1);
}

void reduce_any_item(const struct reduce *d, void *y, const void *x, int64_t item)
{
	int64_t block = item % d->blocks * REDUCE_BLOCK, k = item / d->blocks;
	int64_t n = d->width - block < REDUCE_BLOCK ? d->width - block : REDUCE_BLOCK;
	size_t size = prog_type_size(d->type);
	const uint8_t *p = (const uint8_t *)x +
			   (reduce_offset(&d->keep, k) + block) * (int64_t)size;
	uint8_t *q = (uint8_t *)y + (k * d->width + block) * (int64_t)size;

	for (int64_t i = 0; i < n; i++, p += size, q += size) {
		if (by_double(d))
			reduce_float(d, q, p, size);
		else
			reduce_int(d, q, p, size);
	}
}
