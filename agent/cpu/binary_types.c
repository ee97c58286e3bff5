// SPDX-License-Identifier: MIT
/*
 * BINARY on every type: plain loops, one a type and function.
 *
 * Integers wrap around; a division or remainder by zero gives 0; shifts by the
 * width or more give 0. MOD takes the sign of the divisor as Python's, FMOD
 * that of the dividend as C's. MIN and MAX give NaN where one is NaN.
 *
 * No state.
 */
#include <math.h>
#include <string.h>

#include "agent/cpu/binary.h"
#include "agent/cpu/convert.h"

static bool is_float(enum braid_type t)
{
	return t == BRAID_TYPE_F32 || t == BRAID_TYPE_F64;
}

bool binary_supported(enum prog_binary fn, enum braid_type a, enum braid_type b)
{
	if (fn == PROG_BIN_POW)
		return (prog_type_is_int(a) || is_float(a)) && (prog_type_is_int(b) || is_float(b));
	if (a != b)
		return false;
	switch (fn) {
	case PROG_BIN_AND:
	case PROG_BIN_OR:
	case PROG_BIN_XOR:
		return a == BRAID_TYPE_BOOL;
	case PROG_BIN_EQUAL:
		return a == BRAID_TYPE_BOOL || prog_type_is_int(a) || is_float(a);
	case PROG_BIN_SHIFT_LEFT:
	case PROG_BIN_SHIFT_RIGHT:
	case PROG_BIN_BIT_AND:
	case PROG_BIN_BIT_OR:
	case PROG_BIN_BIT_XOR:
		return prog_type_is_int(a);
	default:
		return fn < PROG_BINS && (prog_type_is_int(a) || is_float(a));
	}
}

/* The result of type @to from operands x and y of type @from, for each point. */
#define EACH(to, from, expr)							\
	do {									\
		to *o = out;							\
										\
		for (int64_t r = 0; r < s->rows; r++) {				\
			const from *p = (const from *)a + s->off[0] + r * s->rs[0];	\
			const from *q = (const from *)b + s->off[1] + r * s->rs[1];	\
										\
			for (int64_t i = 0; i < s->n; i++) {			\
				from x = p[i * s->cs[0]], y = q[i * s->cs[1]];	\
										\
				*o++ = (to)(expr);				\
			}							\
		}								\
	} while (0)

/* Makes name_compare(): the bool results, of the functions that remain. */
#define COMPARISONS(name, type)							\
static void name##_compare(enum prog_binary fn, void *out, const void *a, const void *b,	\
			   const struct cpu_span *s)				\
{										\
	switch (fn) {								\
	case PROG_BIN_EQUAL:							\
		EACH(uint8_t, type, x == y);					\
		break;								\
	case PROG_BIN_LESS:							\
		EACH(uint8_t, type, x < y);					\
		break;								\
	case PROG_BIN_LESS_EQUAL:						\
		EACH(uint8_t, type, x <= y);					\
		break;								\
	case PROG_BIN_GREATER:							\
		EACH(uint8_t, type, x > y);					\
		break;								\
	case PROG_BIN_GREATER_EQUAL:						\
		EACH(uint8_t, type, x >= y);					\
		break;								\
	default:								\
		break;								\
	}									\
}

/* Is a value, extended by its sign where its type has one, below zero? */
static inline bool below(bool is_signed, uint64_t v)
{
	return is_signed && (int64_t)v < 0;
}

#define IS_SIGNED(type)		((type)-1 < (type)1)
#define BELOW_ZERO(type, v)	below(IS_SIGNED(type), (uint64_t)(v))
#define MINUS_ONE(type, y)	(IS_SIGNED(type) && (y) == (type)-1)

/*
 * Operands may be a tenant's, who may change them at any time: the divisor
 * that is tested must be the one that divides, not one loaded again.
 */
#define PIN(v)			__asm__("" : "+r"(v))

/* @wide: unsigned, at least as wide as int, so that nothing overflows. */
#define INTEGERS(name, type, wide)						\
COMPARISONS(name, type)								\
										\
static type name##_div(type x, type y)						\
{										\
	PIN(y);									\
	if (!y)									\
		return 0;							\
	return MINUS_ONE(type, y) ? (type)((wide)0 - (wide)x) : (type)(x / y);	\
}										\
										\
static type name##_fmod(type x, type y)						\
{										\
	PIN(y);									\
	return !y || MINUS_ONE(type, y) ? 0 : (type)(x % y);			\
}										\
										\
static type name##_mod(type x, type y)						\
{										\
	type m = name##_fmod(x, y);						\
										\
	if (m && BELOW_ZERO(type, m) != BELOW_ZERO(type, y))			\
		m = (type)(m + y);						\
	return m;								\
}										\
										\
static void name##_span(enum prog_binary fn, void *out, const void *a, const void *b,	\
			const struct cpu_span *s)				\
{										\
	const unsigned int bits = 8 * sizeof(type);				\
										\
	switch (fn) {								\
	case PROG_BIN_ADD:							\
		EACH(type, type, (wide)x + (wide)y);				\
		break;								\
	case PROG_BIN_SUB:							\
		EACH(type, type, (wide)x - (wide)y);				\
		break;								\
	case PROG_BIN_MUL:							\
		EACH(type, type, (wide)x * (wide)y);				\
		break;								\
	case PROG_BIN_DIV:							\
		EACH(type, type, name##_div(x, y));				\
		break;								\
	case PROG_BIN_MIN:							\
		EACH(type, type, x < y ? x : y);				\
		break;								\
	case PROG_BIN_MAX:							\
		EACH(type, type, x > y ? x : y);				\
		break;								\
	case PROG_BIN_MOD:							\
		EACH(type, type, name##_mod(x, y));				\
		break;								\
	case PROG_BIN_FMOD:							\
		EACH(type, type, name##_fmod(x, y));				\
		break;								\
	case PROG_BIN_PRELU:							\
		EACH(type, type, BELOW_ZERO(type, x) ? (wide)x * (wide)y : (wide)x);	\
		break;								\
	case PROG_BIN_SHIFT_LEFT:						\
		EACH(type, type, (wide)y < bits ? (wide)x << ((wide)y % bits) : 0);	\
		break;								\
	case PROG_BIN_SHIFT_RIGHT:						\
		EACH(type, type, (wide)y < bits ? x >> ((wide)y % bits) : 0);	\
		break;								\
	case PROG_BIN_BIT_AND:							\
		EACH(type, type, x & y);					\
		break;								\
	case PROG_BIN_BIT_OR:							\
		EACH(type, type, x | y);					\
		break;								\
	case PROG_BIN_BIT_XOR:							\
		EACH(type, type, x ^ y);					\
		break;								\
	default:								\
		name##_compare(fn, out, a, b, s);				\
	}									\
}

INTEGERS(i8, int8_t, uint32_t)
INTEGERS(u8, uint8_t, uint32_t)
INTEGERS(i16, int16_t, uint32_t)
INTEGERS(u16, uint16_t, uint32_t)
INTEGERS(i32, int32_t, uint32_t)
INTEGERS(u32, uint32_t, uint32_t)
INTEGERS(i64, int64_t, uint64_t)
INTEGERS(u64, uint64_t, uint64_t)

static double python_mod(double x, double y)
{
	double m = fmod(x, y);

	return m != 0 && (m < 0) != (y < 0) ? m + y : m;
}

#define FLOATS(name, type, power)						\
COMPARISONS(name, type)								\
										\
static void name##_span(enum prog_binary fn, void *out, const void *a, const void *b,	\
			const struct cpu_span *s)				\
{										\
	switch (fn) {								\
	case PROG_BIN_ADD:							\
		EACH(type, type, x + y);					\
		break;								\
	case PROG_BIN_SUB:							\
		EACH(type, type, x - y);					\
		break;								\
	case PROG_BIN_MUL:							\
		EACH(type, type, x * y);					\
		break;								\
	case PROG_BIN_DIV:							\
		EACH(type, type, x / y);					\
		break;								\
	case PROG_BIN_MIN:							\
		EACH(type, type, x < y || x != x ? x : y);			\
		break;								\
	case PROG_BIN_MAX:							\
		EACH(type, type, x > y || x != x ? x : y);			\
		break;								\
	case PROG_BIN_MOD:							\
		EACH(type, type, python_mod(x, y));				\
		break;								\
	case PROG_BIN_FMOD:							\
		EACH(type, type, fmod(x, y));					\
		break;								\
	case PROG_BIN_POW:							\
		EACH(type, type, power(x, y));					\
		break;								\
	case PROG_BIN_PRELU:							\
		EACH(type, type, x < 0 ? x * y : x);				\
		break;								\
	default:								\
		name##_compare(fn, out, a, b, s);				\
	}									\
}

FLOATS(f32, float, powf)
FLOATS(f64, double, pow)

static void bool_span(enum prog_binary fn, void *out, const void *a, const void *b,
		      const struct cpu_span *s)
{
	switch (fn) {
	case PROG_BIN_AND:
		EACH(uint8_t, uint8_t, x && y);
		break;
	case PROG_BIN_OR:
		EACH(uint8_t, uint8_t, x || y);
		break;
	case PROG_BIN_EQUAL:
		EACH(uint8_t, uint8_t, !x == !y);
		break;
	default:
		EACH(uint8_t, uint8_t, !x != !y);
	}
}

/* Of integers modulo 2^64; a negative power is the truncated fraction. */
static uint64_t int_pow(uint64_t base, uint64_t exp, bool negative)
{
	uint64_t p = 1;

	if (negative) {
		if (base == 1)
			return 1;
		if (base == UINT64_MAX)
			return exp & 1 ? base : 1;
		return 0;
	}
	for (; exp; exp >>= 1) {
		if (exp & 1)
			p *= base;
		base *= base;
	}
	return p;
}

/* One power: by integers where both are, else by doubles. */
static void pow_one(enum braid_type ta, enum braid_type tb, void *out,
		    const void *a, const void *b)
{
	if (prog_type_is_int(ta) && prog_type_is_int(tb)) {
		uint64_t x, y, v;
		bool negative;

		cpu_convert(BRAID_TYPE_I64, &x, ta, a, 1);
		cpu_convert(BRAID_TYPE_I64, &y, tb, b, 1);
		negative = tb != BRAID_TYPE_U64 && (int64_t)y < 0;
		v = int_pow(x, y, negative);
		cpu_convert(ta, out, BRAID_TYPE_I64, &v, 1);
	} else {
		double x, y;

		cpu_convert(BRAID_TYPE_F64, &x, ta, a, 1);
		cpu_convert(BRAID_TYPE_F64, &y, tb, b, 1);
		x = pow(x, y);
		cpu_convert(ta, out, BRAID_TYPE_F64, &x, 1);
	}
}

static void pow_span(enum braid_type ta, enum braid_type tb, uint8_t *out,
		     const uint8_t *a, const uint8_t *b, const struct cpu_span *s)
{
	int64_t sa = (int64_t)prog_type_size(ta), sb = (int64_t)prog_type_size(tb);

	for (int64_t r = 0; r < s->rows; r++)
		for (int64_t i = 0; i < s->n; i++) {
			pow_one(ta, tb, out,
				a + (s->off[0] + r * s->rs[0] + i * s->cs[0]) * sa,
				b + (s->off[1] + r * s->rs[1] + i * s->cs[1]) * sb);
			out += sa;
		}
}

void binary_span(enum prog_binary fn, enum braid_type ta, enum braid_type tb, void *out,
		 const void *a, const void *b, const struct cpu_span *s)
{
	if (fn == PROG_BIN_POW && !(ta == tb && is_float(ta))) {
		pow_span(ta, tb, out, a, b, s);
		return;
	}
	switch (ta) {
	case BRAID_TYPE_I8:
		i8_span(fn, out, a, b, s);
		break;
	case BRAID_TYPE_U8:
		u8_span(fn, out, a, b, s);
		break;
	case BRAID_TYPE_I16:
		i16_span(fn, out, a, b, s);
		break;
	case BRAID_TYPE_U16:
		u16_span(fn, out, a, b, s);
		break;
	case BRAID_TYPE_I32:
		i32_span(fn, out, a, b, s);
		break;
	case BRAID_TYPE_U32:
		u32_span(fn, out, a, b, s);
		break;
	case BRAID_TYPE_I64:
		i64_span(fn, out, a, b, s);
		break;
	case BRAID_TYPE_U64:
		u64_span(fn, out, a, b, s);
		break;
	case BRAID_TYPE_F32:
		f32_span(fn, out, a, b, s);
		break;
	case BRAID_TYPE_F64:
		f64_span(fn, out, a, b, s);
		break;
	default:
		bool_span(fn, out, a, b, s);
	}
}
