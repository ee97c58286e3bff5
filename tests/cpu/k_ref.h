/* SPDX-License-Identifier: MIT */
/*
 * What the tests of element, movement and index kernels share: random tensors
 * of any type, coordinates, and elements as numbers.
 */
#ifndef BRAID_TESTS_CPU_K_REF_H
#define BRAID_TESTS_CPU_K_REF_H

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/cpu/one.h"
#include "tests/tap.h"

#define WHY	256

static const enum braid_type k_types[] = {
	BRAID_TYPE_F32, BRAID_TYPE_U8, BRAID_TYPE_I8, BRAID_TYPE_U16, BRAID_TYPE_I16,
	BRAID_TYPE_I32, BRAID_TYPE_I64, BRAID_TYPE_BOOL, BRAID_TYPE_F16, BRAID_TYPE_F64,
	BRAID_TYPE_U32, BRAID_TYPE_U64, BRAID_TYPE_BF16,
};

#define K_TYPES	(sizeof(k_types) / sizeof(k_types[0]))

static inline enum braid_type k_any_type(struct one_rng *g)
{
	return k_types[one_range(g, 0, K_TYPES - 1)];
}

/* Random extents; the product stays small now and then exceeds a tile. */
static inline uint32_t k_shape(struct one_rng *g, uint32_t lo, uint32_t hi, int64_t *dims)
{
	uint32_t rank = (uint32_t)one_range(g, lo, hi);
	int64_t elems = 1;

	for (uint32_t i = 0; i < rank; i++) {
		int64_t most = one_range(g, 0, 5) ? 9 : 150;

		if (elems > 4000)
			most = 2;
		dims[i] = one_range(g, 1, most);
		elems *= dims[i];
	}
	return rank;
}

static inline double k_get(enum braid_type t, const void *x, int64_t i)
{
	switch (t) {
	case BRAID_TYPE_F32:
		return ((const float *)x)[i];
	case BRAID_TYPE_F64:
		return ((const double *)x)[i];
	case BRAID_TYPE_I8:
		return ((const int8_t *)x)[i];
	case BRAID_TYPE_BOOL:
	case BRAID_TYPE_U8:
		return ((const uint8_t *)x)[i];
	case BRAID_TYPE_I16:
		return ((const int16_t *)x)[i];
	case BRAID_TYPE_U16:
		return ((const uint16_t *)x)[i];
	case BRAID_TYPE_I32:
		return ((const int32_t *)x)[i];
	case BRAID_TYPE_U32:
		return ((const uint32_t *)x)[i];
	case BRAID_TYPE_I64:
		return (double)((const int64_t *)x)[i];
	case BRAID_TYPE_U64:
		return (double)((const uint64_t *)x)[i];
	default:
		abort();
	}
}

/* @v must fit. */
static inline void k_put(enum braid_type t, void *x, int64_t i, double v)
{
	switch (t) {
	case BRAID_TYPE_F32:
		((float *)x)[i] = (float)v;
		break;
	case BRAID_TYPE_F64:
		((double *)x)[i] = v;
		break;
	case BRAID_TYPE_I8:
		((int8_t *)x)[i] = (int8_t)v;
		break;
	case BRAID_TYPE_BOOL:
	case BRAID_TYPE_U8:
		((uint8_t *)x)[i] = (uint8_t)v;
		break;
	case BRAID_TYPE_I16:
		((int16_t *)x)[i] = (int16_t)v;
		break;
	case BRAID_TYPE_U16:
		((uint16_t *)x)[i] = (uint16_t)v;
		break;
	case BRAID_TYPE_I32:
		((int32_t *)x)[i] = (int32_t)v;
		break;
	case BRAID_TYPE_U32:
		((uint32_t *)x)[i] = (uint32_t)v;
		break;
	case BRAID_TYPE_I64:
		((int64_t *)x)[i] = (int64_t)v;
		break;
	case BRAID_TYPE_U64:
		((uint64_t *)x)[i] = (uint64_t)v;
		break;
	default:
		abort();
	}
}

static inline int64_t k_bytes(const struct one *o, uint32_t t)
{
	return o->tensors[t].elems * (int64_t)prog_type_size(o->tensors[t].type);
}

static inline bool k_is_const(const struct one *o, uint32_t t)
{
	return o->storages[t].place == PROG_CONST;
}

/* Random bytes; bool is 0 or 1. */
static inline void k_fill(struct one *o, uint32_t t)
{
	for (uint32_t r = 0; r < o->degree; r++) {
		uint8_t *x = o->data[t][r];

		for (int64_t i = 0; i < k_bytes(o, t); i++) {
			x[i] = (uint8_t)(one_u64(o->rng) >> 32);
			if (o->tensors[t].type == BRAID_TYPE_BOOL)
				x[i] &= 1;
		}
		if (k_is_const(o, t))
			break;
	}
}

/* Whole numbers from lo to hi. */
static inline void k_fill_range(struct one *o, uint32_t t, int64_t lo, int64_t hi)
{
	for (uint32_t r = 0; r < o->degree; r++) {
		for (int64_t i = 0; i < o->tensors[t].elems; i++)
			k_put(o->tensors[t].type, o->data[t][r], i,
			      (double)one_range(o->rng, lo, hi));
		if (k_is_const(o, t))
			break;
	}
}

/* Coordinates of element @i. */
static inline void k_coord(const struct prog_tensor *t, int64_t i, int64_t *c)
{
	for (uint32_t d = t->rank; d-- > 0;) {
		c[d] = i % t->dims[d];
		i /= t->dims[d];
	}
}

static inline int64_t k_at(const struct prog_tensor *t, const int64_t *c)
{
	int64_t i = 0;

	for (uint32_t d = 0; d < t->rank; d++)
		i = i * t->dims[d] + c[d];
	return i;
}

/* The element of @t that numpy's broadcast puts at coordinates @c of @rank. */
static inline int64_t k_at_bcast(const struct prog_tensor *t, uint32_t rank, const int64_t *c)
{
	int64_t i = 0;

	for (uint32_t d = 0; d < t->rank; d++)
		i = i * t->dims[d] + (t->dims[d] == 1 ? 0 : c[rank - t->rank + d]);
	return i;
}

static inline const struct prog_tensor *k_tensor(const struct one *o, uint32_t t)
{
	return &o->tensors[t];
}

/* Counts failures of many random cases and says the first; one TAP line each kind. */
struct k_tally {
	uint32_t cases, bad;
	char first[WHY];
};

__attribute__((format(printf, 2, 3)))
static inline void k_bad(struct k_tally *t, const char *fmt, ...)
{
	va_list ap;

	if (t->bad++)
		return;
	va_start(ap, fmt);
	vsnprintf(t->first, sizeof(t->first), fmt, ap);
	va_end(ap);
}

/* Run it; a refusal or a difference between merged and alone is a failure. */
static inline bool k_run(struct one *o, struct k_tally *t)
{
	char why[WHY] = "";
	int err = one_run(o, why, sizeof(why));

	t->cases++;
	if (err == -EILSEQ)
		k_bad(t, "merged and unmerged differ");
	else if (err)
		k_bad(t, "refused: %s", why);
	return !err;
}

static inline void k_report(const struct k_tally *t, const char *what)
{
	if (!ok(t->cases && !t->bad, "%s: %u random cases", what, t->cases))
		diag("%u are wrong, first: %s", t->bad, t->first);
}

#endif
