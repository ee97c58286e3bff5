// SPDX-License-Identifier: MIT
/*
 * Constants of a builder: making them, and looking at their elements.
 * Never changes an element after the constant was handed out.
 */
#include "agent/program/build.h"

#include <errno.h>
#include <math.h>
#include <string.h>

uint32_t build_const_new(struct build *b, enum braid_type type, uint32_t rank,
			 const int64_t *dims, void **data)
{
	uint32_t t = build_const_ref(b, type, rank, dims, NULL);
	uint64_t bytes;

	*data = NULL;
	if (b->err)
		return 0;
	bytes = (uint64_t)b->tensors[t]->elems * prog_type_size(type);
	if (bytes > b->max_const_bytes - b->const_bytes)
		return build_fail(b, -EINVAL, "computed constants take more than %llu bytes",
				  (unsigned long long)b->max_const_bytes);
	*data = build_alloc(b, bytes);
	if (!*data)
		return 0;
	b->const_bytes += bytes;
	b->tensors[t]->data = *data;
	return t;
}

uint32_t build_const(struct build *b, enum braid_type type, uint32_t rank,
		     const int64_t *dims, const void *data)
{
	void *copy;
	uint32_t t = build_const_new(b, type, rank, dims, &copy);

	if (b->err)
		return 0;
	memcpy(copy, data, b->tensors[t]->elems * prog_type_size(type));
	return t;
}

static float half_to_float(uint16_t h)
{
	uint32_t sign = (uint32_t)(h & 0x8000) << 16, e = (h >> 10) & 31, m = h & 0x3ff, u;
	float f;

	if (e == 0) {
		f = ldexpf((float)m, -24);
		return sign ? -f : f;
	}
	u = sign | (e == 31 ? 0x7f800000u : (e + 112) << 23) | m << 13;
	memcpy(&f, &u, sizeof(f));
	return f;
}

/* Round to nearest even, overflow to infinity, by way of exact scaling. */
static uint16_t float_to_half(double v)
{
	uint16_t sign = signbit(v) ? 0x8000 : 0;
	double a = fabs(v), r;
	int e;

	if (isnan(v))
		return 0x7e00;
	if (a < ldexp(1, -14))
		return sign | (uint16_t)rint(ldexp(a, 24));
	if (a >= 65520)
		return sign | 0x7c00;
	frexp(a, &e);			/* a = f * 2^e, f in [0.5, 1) */
	r = rint(ldexp(a, 11 - e));	/* 1024 to 2048 */
	return sign | (uint16_t)(((e + 14) << 10) + (r - 1024));
}

static uint16_t float_to_bfloat(double v)
{
	float f = v;
	uint32_t u;

	memcpy(&u, &f, sizeof(u));
	if (isnan(v))
		return 0x7fc0;
	return (u + 0x7fff + (u >> 16 & 1)) >> 16;
}

static double get(enum braid_type type, const void *data, int64_t i)
{
	uint32_t u;
	float f;

	switch (type) {
	case BRAID_TYPE_F32: return ((const float *)data)[i];
	case BRAID_TYPE_F64: return ((const double *)data)[i];
	case BRAID_TYPE_U8:
	case BRAID_TYPE_BOOL: return ((const uint8_t *)data)[i];
	case BRAID_TYPE_I8: return ((const int8_t *)data)[i];
	case BRAID_TYPE_U16: return ((const uint16_t *)data)[i];
	case BRAID_TYPE_I16: return ((const int16_t *)data)[i];
	case BRAID_TYPE_U32: return ((const uint32_t *)data)[i];
	case BRAID_TYPE_I32: return ((const int32_t *)data)[i];
	case BRAID_TYPE_U64: return ((const uint64_t *)data)[i];
	case BRAID_TYPE_I64: return ((const int64_t *)data)[i];
	case BRAID_TYPE_F16: return half_to_float(((const uint16_t *)data)[i]);
	case BRAID_TYPE_BF16:
		u = (uint32_t)((const uint16_t *)data)[i] << 16;
		memcpy(&f, &u, sizeof(f));
		return f;
	}
	return 0;
}

/* Integers saturate: conversion of what does not fit is undefined in C. */
static int64_t to_int(double v, double lo, double hi)
{
	if (!(v >= lo))		/* also NaN */
		return (int64_t)lo;
	if (v >= hi)
		return hi >= 0x1p63 ? INT64_MAX : (int64_t)hi;
	return (int64_t)v;
}

static void put(enum braid_type type, void *data, double v)
{
	switch (type) {
	case BRAID_TYPE_F32:
		*(float *)data = v;
		return;
	case BRAID_TYPE_F64:
		*(double *)data = v;
		return;
	case BRAID_TYPE_U8:
		*(uint8_t *)data = to_int(v, 0, UINT8_MAX);
		return;
	case BRAID_TYPE_BOOL:
		*(uint8_t *)data = v != 0;
		return;
	case BRAID_TYPE_I8:
		*(int8_t *)data = to_int(v, INT8_MIN, INT8_MAX);
		return;
	case BRAID_TYPE_U16:
		*(uint16_t *)data = to_int(v, 0, UINT16_MAX);
		return;
	case BRAID_TYPE_I16:
		*(int16_t *)data = to_int(v, INT16_MIN, INT16_MAX);
		return;
	case BRAID_TYPE_U32:
		*(uint32_t *)data = to_int(v, 0, UINT32_MAX);
		return;
	case BRAID_TYPE_I32:
		*(int32_t *)data = to_int(v, INT32_MIN, INT32_MAX);
		return;
	case BRAID_TYPE_U64:
		*(uint64_t *)data = v >= 0x1p64 ? UINT64_MAX : v >= 0 ? (uint64_t)v : 0;
		return;
	case BRAID_TYPE_I64:
		*(int64_t *)data = to_int(v, -0x1p63, 0x1p63);
		return;
	case BRAID_TYPE_F16:
		*(uint16_t *)data = float_to_half(v);
		return;
	case BRAID_TYPE_BF16:
		*(uint16_t *)data = float_to_bfloat(v);
		return;
	}
}

uint32_t build_fill(struct build *b, enum braid_type type, uint32_t rank,
		    const int64_t *dims, double v)
{
	size_t size = prog_type_size(type);
	char *data;
	uint32_t t = build_const_new(b, type, rank, dims, (void **)&data);

	for (int64_t i = 0; !b->err && i < b->tensors[t]->elems; i++)
		put(type, data + i * size, v);
	return t;
}

uint32_t build_scalar(struct build *b, enum braid_type type, double v)
{
	return build_fill(b, type, 0, NULL, v);
}

uint32_t build_i64s(struct build *b, uint32_t n, const int64_t *v)
{
	int64_t dim = n;

	return build_const(b, BRAID_TYPE_I64, 1, &dim, v);
}

bool build_is_const(const struct build *b, uint32_t t)
{
	return t != PROG_NONE && build_t(b, t)->from == BUILD_FROM_CONST;
}

double build_elem(const struct build *b, uint32_t t, int64_t i)
{
	const struct build_tensor *x = build_t(b, t);

	if (!build_is_const(b, t) || i < 0 || i >= x->elems)
		return 0;
	return get(x->type, x->data, i);
}

bool build_splat(const struct build *b, uint32_t t, double *v)
{
	const struct build_tensor *x = build_t(b, t);
	size_t size = prog_type_size(x->type);

	if (!build_is_const(b, t) || !x->elems)
		return false;
	/* All bytes as the first element's: compare the data with itself, moved on. */
	if (x->elems > 1 &&
	    memcmp(x->data, (const char *)x->data + size, (x->elems - 1) * size))
		return false;
	*v = get(x->type, x->data, 0);
	return true;
}
