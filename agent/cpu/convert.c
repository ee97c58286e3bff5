// SPDX-License-Identifier: MIT
/*
 * Conversions between element types: see convert.h. The common pairs have
 * loops of their own; the others go through the widest type of their class
 * (int64, uint64 or double), which holds every value exactly.
 *
 * No state.
 */
#include <string.h>

#include "agent/cpu/clones.h"
#include "agent/cpu/convert.h"
#include "agent/cpu/unaligned.h"
#include "agent/program/program.h"

#define CHUNK	256

enum class { CLASS_NONE, CLASS_SIGNED, CLASS_UNSIGNED, CLASS_FLOAT };

static enum class class_of(enum braid_type t)
{
	switch (t) {
	case BRAID_TYPE_I8:
	case BRAID_TYPE_I16:
	case BRAID_TYPE_I32:
	case BRAID_TYPE_I64:
		return CLASS_SIGNED;
	case BRAID_TYPE_BOOL:
	case BRAID_TYPE_U8:
	case BRAID_TYPE_U16:
	case BRAID_TYPE_U32:
	case BRAID_TYPE_U64:
		return CLASS_UNSIGNED;
	case BRAID_TYPE_F16:
	case BRAID_TYPE_BF16:
	case BRAID_TYPE_F32:
	case BRAID_TYPE_F64:
		return CLASS_FLOAT;
	}
	return CLASS_NONE;
}

bool cpu_convertible(enum braid_type t)
{
	return class_of(t) != CLASS_NONE;
}

float cpu_half_to_float(uint16_t h)
{
	uint32_t sign = (uint32_t)(h & 0x8000) << 16, exp = h >> 10 & 31, frac = h & 0x3ff;
	uint32_t bits;
	float f;

	if (!exp) {
		f = (float)frac * 0x1p-24f;
		return sign ? -f : f;
	}
	bits = sign | frac << 13 | (exp == 31 ? 0x7f800000 : (exp + 112) << 23);
	memcpy(&f, &bits, sizeof(f));
	return f;
}

/* The upper bits of a number below which @drop bits go, ties to even. */
static uint64_t round_off(uint64_t v, unsigned int drop)
{
	uint64_t half = 1ull << (drop - 1);

	return (v + half - 1 + (v >> drop & 1)) >> drop;
}

/* A double as a float of @ebits and @fbits: the bits without the sign. */
static uint64_t narrow(double v, unsigned int ebits, unsigned int fbits)
{
	uint64_t bits, frac, inf = ((1ull << ebits) - 1) << fbits;
	int bias = (1 << (ebits - 1)) - 1, exp;

	memcpy(&bits, &v, sizeof(bits));
	exp = (int)(bits >> 52 & 0x7ff) - 1023;
	frac = bits & 0xfffffffffffffull;
	if (exp == 1024)
		return frac ? inf | 1ull << (fbits - 1) : inf;
	if (exp > bias)
		return inf;
	if (exp >= 1 - bias) {
		/* A carry out of the fraction runs into the exponent, as it must. */
		bits = (uint64_t)(exp + bias) << 52 | frac;
		return round_off(bits, 52 - fbits);
	}
	if (exp < -bias - (int)fbits)
		return 0;
	frac |= 1ull << 52;
	return round_off(frac, 52 - fbits + (unsigned int)(1 - bias - exp));
}

uint16_t cpu_double_to_half(double v)
{
	return (uint16_t)(narrow(v, 5, 10) | (__builtin_signbit(v) ? 0x8000 : 0));
}

static uint16_t double_to_bf16(double v)
{
	return (uint16_t)(narrow(v, 8, 7) | (__builtin_signbit(v) ? 0x8000 : 0));
}

static float bf16_to_float(uint16_t h)
{
	uint32_t bits = (uint32_t)h << 16;
	float f;

	memcpy(&f, &bits, sizeof(f));
	return f;
}

/* Both ends are powers of two or zero, so exact as doubles; hi is exclusive. */
static int64_t saturate(double v, double lo, double hi, int64_t min, int64_t max)
{
	if (v != v)
		return 0;
	if (v <= lo)
		return min;
	return v < hi ? (int64_t)v : max;
}

static uint64_t saturate_u64(double v)
{
	if (!(v > 0))
		return 0;
	return v < 0x1p64 ? (uint64_t)v : UINT64_MAX;
}

#define EACH(type, expr)							\
	do {									\
		const type *x = in;						\
										\
		for (size_t i = 0; i < n; i++)					\
			out[i] = (expr);					\
	} while (0)

static void load_signed(int64_t *out, enum braid_type t, const void *in, size_t n)
{
	switch (t) {
	case BRAID_TYPE_I8:
		EACH(int8_t, x[i]);
		break;
	case BRAID_TYPE_I16:
		EACH(un_i16, x[i]);
		break;
	case BRAID_TYPE_I32:
		EACH(un_i32, x[i]);
		break;
	default:
		EACH(un_i64, x[i]);
		break;
	}
}

static void load_unsigned(uint64_t *out, enum braid_type t, const void *in, size_t n)
{
	switch (t) {
	case BRAID_TYPE_BOOL:
		EACH(uint8_t, x[i] != 0);
		break;
	case BRAID_TYPE_U8:
		EACH(uint8_t, x[i]);
		break;
	case BRAID_TYPE_U16:
		EACH(un_u16, x[i]);
		break;
	case BRAID_TYPE_U32:
		EACH(un_u32, x[i]);
		break;
	default:
		EACH(un_u64, x[i]);
		break;
	}
}

static void load_float(double *out, enum braid_type t, const void *in, size_t n)
{
	switch (t) {
	case BRAID_TYPE_F16:
		EACH(un_u16, cpu_half_to_float(x[i]));
		break;
	case BRAID_TYPE_BF16:
		EACH(un_u16, bf16_to_float(x[i]));
		break;
	case BRAID_TYPE_F32:
		EACH(un_f32, x[i]);
		break;
	default:
		EACH(un_f64, x[i]);
		break;
	}
}

/* double to float out of range is undefined in C's letter, infinite in IEEE 754. */
static CLONES_BODY void to_f32_body(float *out, enum braid_type from, const void *in, size_t n)
{
	switch (from) {
	case BRAID_TYPE_BOOL:
		EACH(uint8_t, x[i] != 0);
		break;
	case BRAID_TYPE_U8:
		EACH(uint8_t, x[i]);
		break;
	case BRAID_TYPE_I8:
		EACH(int8_t, x[i]);
		break;
	case BRAID_TYPE_I32:
		EACH(un_i32, x[i]);
		break;
	default:
		EACH(un_i64, x[i]);
		break;
	}
}
CLONES(static, to_f32, (float *out, enum braid_type from, const void *in, size_t n),
	(out, from, in, n))
#undef EACH

#define EACH(type, expr)							\
	do {									\
		type *y = out;							\
										\
		for (size_t i = 0; i < n; i++)					\
			y[i] = (type)(expr);					\
	} while (0)

/* From int64 and, the same bits, from uint64: only what becomes float differs. */
static void store_int(enum braid_type t, void *out, const uint64_t *x, bool is_signed, size_t n)
{
#define AS_FLOAT(f) (is_signed ? (f)(int64_t)x[i] : (f)x[i])
	switch (t) {
	case BRAID_TYPE_BOOL:
		EACH(uint8_t, x[i] != 0);
		break;
	case BRAID_TYPE_I8:
	case BRAID_TYPE_U8:
		EACH(uint8_t, x[i]);
		break;
	case BRAID_TYPE_I16:
	case BRAID_TYPE_U16:
		EACH(un_u16, x[i]);
		break;
	case BRAID_TYPE_I32:
	case BRAID_TYPE_U32:
		EACH(un_u32, x[i]);
		break;
	case BRAID_TYPE_I64:
	case BRAID_TYPE_U64:
		EACH(un_u64, x[i]);
		break;
	case BRAID_TYPE_F16:
		EACH(un_u16, cpu_double_to_half(AS_FLOAT(double)));
		break;
	case BRAID_TYPE_BF16:
		EACH(un_u16, double_to_bf16(AS_FLOAT(double)));
		break;
	case BRAID_TYPE_F32:
		EACH(un_f32, AS_FLOAT(float));
		break;
	case BRAID_TYPE_F64:
		EACH(un_f64, AS_FLOAT(double));
		break;
	}
#undef AS_FLOAT
}

static void store_float(enum braid_type t, void *out, const double *x, size_t n)
{
	switch (t) {
	case BRAID_TYPE_BOOL:
		EACH(uint8_t, x[i] != 0);
		break;
	case BRAID_TYPE_I8:
		EACH(int8_t, saturate(x[i], -0x1p7, 0x1p7, INT8_MIN, INT8_MAX));
		break;
	case BRAID_TYPE_U8:
		EACH(uint8_t, saturate(x[i], 0, 0x1p8, 0, UINT8_MAX));
		break;
	case BRAID_TYPE_I16:
		EACH(un_i16, saturate(x[i], -0x1p15, 0x1p15, INT16_MIN, INT16_MAX));
		break;
	case BRAID_TYPE_U16:
		EACH(un_u16, saturate(x[i], 0, 0x1p16, 0, UINT16_MAX));
		break;
	case BRAID_TYPE_I32:
		EACH(un_i32, saturate(x[i], -0x1p31, 0x1p31, INT32_MIN, INT32_MAX));
		break;
	case BRAID_TYPE_U32:
		EACH(un_u32, saturate(x[i], 0, 0x1p32, 0, UINT32_MAX));
		break;
	case BRAID_TYPE_I64:
		EACH(un_i64, saturate(x[i], -0x1p63, 0x1p63, INT64_MIN, INT64_MAX));
		break;
	case BRAID_TYPE_U64:
		EACH(un_u64, saturate_u64(x[i]));
		break;
	case BRAID_TYPE_F16:
		EACH(un_u16, cpu_double_to_half(x[i]));
		break;
	case BRAID_TYPE_BF16:
		EACH(un_u16, double_to_bf16(x[i]));
		break;
	case BRAID_TYPE_F32:
		EACH(un_f32, x[i]);
		break;
	case BRAID_TYPE_F64:
		EACH(un_f64, x[i]);
		break;
	}
}
#undef EACH

static bool to_f32_has(enum braid_type from)
{
	return from == BRAID_TYPE_BOOL || from == BRAID_TYPE_U8 || from == BRAID_TYPE_I8 ||
	       from == BRAID_TYPE_I32 || from == BRAID_TYPE_I64;
}

void cpu_convert(enum braid_type to, void *out, enum braid_type from, const void *in, size_t n)
{
	enum class class = class_of(from);
	size_t in_size = prog_type_size(from), out_size = prog_type_size(to);
	union {
		int64_t i[CHUNK];
		uint64_t u[CHUNK];
		double f[CHUNK];
	} wide;

	if (to == from && to != BRAID_TYPE_BOOL) {
		memcpy(out, in, n * in_size);
		return;
	}
	if (to == BRAID_TYPE_F32 && to_f32_has(from) && !((uintptr_t)out % sizeof(float))) {
		to_f32(out, from, in, n);
		return;
	}
	for (size_t at = 0; at < n; at += CHUNK) {
		size_t m = n - at < CHUNK ? n - at : CHUNK;
		const void *x = (const uint8_t *)in + at * in_size;
		void *y = (uint8_t *)out + at * out_size;

		switch (class) {
		case CLASS_SIGNED:
			load_signed(wide.i, from, x, m);
			store_int(to, y, wide.u, true, m);
			break;
		case CLASS_UNSIGNED:
			load_unsigned(wide.u, from, x, m);
			store_int(to, y, wide.u, false, m);
			break;
		default:
			load_float(wide.f, from, x, m);
			store_float(to, y, wide.f, m);
		}
	}
}
