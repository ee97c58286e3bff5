/* SPDX-License-Identifier: MIT */
/*
 * What map.cuh computes: enum prog_fn and enum prog_binary on the four classes
 * of values. Integers wrap around; a division or remainder by zero gives 0;
 * shifts by the width or more give 0.
 */
#ifndef BRAID_KERNELS_MAP_FN_CUH
#define BRAID_KERNELS_MAP_FN_CUH

#include "num.cuh"

/* Behind enum k_fn of num.cuh, in the order of enum prog_fn. */
enum k_more_fn {
	FN_ELU = FN_SILU + 1, FN_SELU, FN_CELU, FN_THRESHOLDED_RELU, FN_SOFTPLUS, FN_SOFTSIGN,
	FN_MISH, FN_SHRINK, FN_ABS, FN_NEG, FN_SIGN, FN_RECIPROCAL, FN_SQRT, FN_EXP, FN_LOG,
	FN_ERF, FN_FLOOR, FN_CEIL, FN_ROUND, FN_SIN, FN_COS, FN_TAN, FN_ASIN, FN_ACOS, FN_ATAN,
	FN_SINH, FN_COSH, FN_ASINH, FN_ACOSH, FN_ATANH, FN_NOT, FN_ISNAN, FN_ISINF,
	FN_BITWISE_NOT,
};

/* enum prog_binary */
enum k_bin {
	BIN_ADD, BIN_SUB, BIN_MUL, BIN_DIV, BIN_POW, BIN_MIN, BIN_MAX, BIN_MOD, BIN_FMOD,
	BIN_PRELU, BIN_AND, BIN_OR, BIN_XOR, BIN_EQUAL, BIN_LESS, BIN_LESS_EQUAL, BIN_GREATER,
	BIN_GREATER_EQUAL, BIN_SHIFT_LEFT, BIN_SHIFT_RIGHT, BIN_BIT_AND, BIN_BIT_OR, BIN_BIT_XOR,
};

/* A float as a whole number: towards zero, cut to the type's ends, NaN 0. */
template <class F> DEV i64 cut_to_int(F v, u32 type)
{
	u32 bits = type_size(type) * 8;
	double d = (double)v, lo, hi;

	if (d != d)
		return 0;
	if (type == K_BOOL)
		return d != 0;
	if (is_signed(type)) {
		hi = ldexp(1.0, (int)bits - 1);
		lo = -hi;
		if (d <= lo)
			return (i64)(~0ull << (bits - 1));
		return d < hi ? (i64)d : (i64)((1ull << (bits - 1)) - 1);
	}
	if (!(d > 0))
		return 0;
	hi = ldexp(1.0, (int)bits);
	return d < hi ? (i64)(u64)d : (i64)(~0ull >> (64 - bits));
}

DEV u16 double_bf16(double v)
{
	u32 b = float_bits((float)v);

	if ((b & 0x7fffffff) > 0x7f800000)
		return (u16)(b >> 16 | 0x40);
	return (u16)((b + 0x7fff + (b >> 16 & 1)) >> 16);
}

/* ---- floats ---- */

template <class F> DEV F float_unary(u32 fn, float alpha, float beta, F v)
{
	switch (fn) {
	case FN_ELU:
		return v < 0 ? (F)alpha * (F)expm1(v) : v;
	case FN_SELU:
		return v > 0 ? (F)beta * v : (F)beta * (F)alpha * (F)expm1(v);
	case FN_CELU:
		return v < 0 ? (F)alpha * (F)expm1(v / (F)alpha) : v;
	case FN_THRESHOLDED_RELU:
		return v > (F)alpha || v != v ? v : (F)0;
	case FN_SOFTPLUS:
		return (v > 0 ? v : (F)0) + (F)log1p(exp(-fabs(v)));
	case FN_SOFTSIGN:
		return v / (1 + (F)fabs(v));
	case FN_MISH:
		return v * (F)tanh((v > 0 ? v : (F)0) + (F)log1p(exp(-fabs(v))));
	case FN_SHRINK:
		if (v < -(F)alpha)
			return v + (F)beta;
		return v > (F)alpha ? v - (F)beta : (v != v ? v : (F)0);
	case FN_ABS:
		return (F)fabs(v);
	case FN_NEG:
		return -v;
	case FN_SIGN:
		return v > 0 ? (F)1 : v < 0 ? (F)-1 : v;
	case FN_RECIPROCAL:
		return 1 / v;
	case FN_SQRT:
		return (F)sqrt(v);
	case FN_EXP:
		return (F)exp(v);
	case FN_LOG:
		return (F)log(v);
	case FN_ERF:
		return (F)erf(v);
	case FN_FLOOR:
		return (F)floor(v);
	case FN_CEIL:
		return (F)ceil(v);
	case FN_ROUND:
		return (F)rint(v);
	case FN_SIN:
		return (F)sin(v);
	case FN_COS:
		return (F)cos(v);
	case FN_TAN:
		return (F)tan(v);
	case FN_ASIN:
		return (F)asin(v);
	case FN_ACOS:
		return (F)acos(v);
	case FN_ATAN:
		return (F)atan(v);
	case FN_SINH:
		return (F)sinh(v);
	case FN_COSH:
		return (F)cosh(v);
	case FN_ASINH:
		return (F)asinh(v);
	case FN_ACOSH:
		return (F)acosh(v);
	case FN_ATANH:
		return (F)atanh(v);
	case FN_ISNAN:
		return v != v;
	case FN_ISINF:
		return (alpha != 0 && v == -(F)INFINITY) || (beta != 0 && v == (F)INFINITY);
	default:
		return v;
	}
}

/* The functions that epilogues share, in double. */
DEV double double_act(u32 fn, double alpha, double beta, double v)
{
	double t;

	switch (fn) {
	case FN_RELU:
		return v < 0 ? 0 : v;
	case FN_CLIP:
		v = v < alpha ? alpha : v;
		return v > beta ? beta : v;
	case FN_LEAKY_RELU:
		return v < 0 ? alpha * v : v;
	case FN_SIGMOID:
		return 1 / (1 + exp(-v));
	case FN_TANH:
		return tanh(v);
	case FN_HARD_SIGMOID:
		t = alpha * v + beta;
		t = t < 0 ? 0 : t;
		return t > 1 ? 1 : t;
	case FN_HARD_SWISH:
		t = v / 6 + 0.5;
		t = t < 0 ? 0 : t;
		return v * (t > 1 ? 1 : t);
	case FN_GELU:
		return 0.5 * v * (1 + erf(v * 0.70710678118654752));
	case FN_GELU_TANH:
		return 0.5 * v * (1 + tanh(0.79788456080286536 * (v + 0.044715 * v * v * v)));
	case FN_SILU:
		return v / (1 + exp(-v));
	default:
		return v;
	}
}

DEV float float_mod(float x, float y)
{
	float m = fmodf(x, y);

	return m != 0 && (m < 0) != (y < 0) ? m + y : m;
}

DEV double float_mod(double x, double y)
{
	double m = fmod(x, y);

	return m != 0 && (m < 0) != (y < 0) ? m + y : m;
}

DEV float float_pow(float x, float y)
{
	return y == 2.0f ? x * x : powf(x, y);
}

DEV double float_pow(double x, double y)
{
	return pow(x, y);
}

template <class F> DEV F float_binary(u32 fn, F x, F y)
{
	switch (fn) {
	case BIN_ADD:
		return x + y;
	case BIN_SUB:
		return x - y;
	case BIN_MUL:
		return x * y;
	case BIN_DIV:
		return x / y;
	case BIN_POW:
		return float_pow(x, y);
	case BIN_MIN:
		return x < y || x != x ? x : y;
	case BIN_MAX:
		return x > y || x != x ? x : y;
	case BIN_MOD:
		return float_mod(x, y);
	case BIN_FMOD:
		return (F)fmod(x, y);
	default:
		return x < 0 ? x * y : x;
	}
}

/* ---- whole numbers ---- */

DEV i64 int_div(i64 x, i64 y)
{
	return !y ? 0 : y == -1 ? (i64)(0 - (u64)x) : x / y;
}

DEV u64 int_div(u64 x, u64 y)
{
	return !y ? 0 : x / y;
}

DEV i64 int_fmod(i64 x, i64 y)
{
	return !y || y == -1 ? 0 : x % y;
}

DEV u64 int_fmod(u64 x, u64 y)
{
	return !y ? 0 : x % y;
}

DEV i64 int_mod(i64 x, i64 y)
{
	i64 m = int_fmod(x, y);

	return m && (m < 0) != (y < 0) ? m + y : m;
}

DEV u64 int_mod(u64 x, u64 y)
{
	return int_fmod(x, y);
}

DEV bool below_zero(i64 v)
{
	return v < 0;
}

DEV bool below_zero(u64)
{
	return false;
}

DEV bool below_zero(float v)
{
	return v < 0.0f;
}

DEV bool below_zero(double v)
{
	return v < 0.0;
}

/* Powers wrap around; a negative exponent leaves 1, -1 or nothing. */
template <class I> DEV I int_pow(I x, I y)
{
	u64 r = 1, b = (u64)x;

	if (below_zero(y)) {
		if (x == (I)1)
			return 1;
		if (x == (I)-1)
			return y & 1 ? (I)-1 : (I)1;
		return 0;
	}
	for (u64 e = (u64)y; e; e >>= 1) {
		if (e & 1)
			r *= b;
		b *= b;
	}
	return (I)r;
}

template <class I> DEV I int_binary(u32 fn, I x, I y, u32 bits)
{
	switch (fn) {
	case BIN_ADD:
		return (I)((u64)x + (u64)y);
	case BIN_SUB:
		return (I)((u64)x - (u64)y);
	case BIN_MUL:
		return (I)((u64)x * (u64)y);
	case BIN_DIV:
		return int_div(x, y);
	case BIN_POW:
		return int_pow(x, y);
	case BIN_MIN:
		return x < y ? x : y;
	case BIN_MAX:
		return x > y ? x : y;
	case BIN_MOD:
		return int_mod(x, y);
	case BIN_FMOD:
		return int_fmod(x, y);
	case BIN_PRELU:
		return below_zero(x) ? (I)((u64)x * (u64)y) : x;
	case BIN_SHIFT_LEFT:
		return (u64)y < bits ? (I)((u64)x << (u64)y) : (I)0;
	case BIN_SHIFT_RIGHT:
		return (u64)y < bits ? (I)(x >> (u64)y) : (I)0;
	case BIN_AND:
	case BIN_BIT_AND:
		return x & y;
	case BIN_OR:
	case BIN_BIT_OR:
		return x | y;
	default:
		return x ^ y;
	}
}

template <class I> DEV I int_unary(u32 fn, I v)
{
	switch (fn) {
	case FN_ABS:
		return below_zero(v) ? (I)(0 - (u64)v) : v;
	case FN_NEG:
		return (I)(0 - (u64)v);
	case FN_SIGN:
		return below_zero(v) ? (I)-1 : (I)(v != 0);
	case FN_RELU:
		return below_zero(v) ? (I)0 : v;
	case FN_NOT:
		return !v;
	case FN_BITWISE_NOT:
		return ~v;
	default:
		return v;
	}
}

/* ---- by class ---- */

template <class V> DEV V map_unary(u32 fn, float alpha, float beta, V v);

template <> DEV_MEMBER float map_unary<float>(u32 fn, float alpha, float beta, float v)
{
	return fn <= FN_SILU ? act<true>(fn, alpha, beta, v) :
	       float_unary<float>(fn, alpha, beta, v);
}

template <> DEV_MEMBER double map_unary<double>(u32 fn, float alpha, float beta, double v)
{
	return fn <= FN_SILU ? double_act(fn, alpha, beta, v) :
	       float_unary<double>(fn, alpha, beta, v);
}

template <> DEV_MEMBER i64 map_unary<i64>(u32 fn, float, float, i64 v)
{
	return int_unary(fn, v);
}

template <> DEV_MEMBER u64 map_unary<u64>(u32 fn, float, float, u64 v)
{
	return int_unary(fn, v);
}

template <class V> DEV V map_binary(u32 fn, V x, V y, u32 bits);

template <> DEV_MEMBER float map_binary<float>(u32 fn, float x, float y, u32)
{
	return float_binary(fn, x, y);
}

template <> DEV_MEMBER double map_binary<double>(u32 fn, double x, double y, u32)
{
	return float_binary(fn, x, y);
}

template <> DEV_MEMBER i64 map_binary<i64>(u32 fn, i64 x, i64 y, u32 bits)
{
	return int_binary(fn, x, y, bits);
}

template <> DEV_MEMBER u64 map_binary<u64>(u32 fn, u64 x, u64 y, u32 bits)
{
	return int_binary(fn, x, y, bits);
}

template <class V> DEV bool map_compare(u32 fn, V x, V y)
{
	switch (fn) {
	case BIN_EQUAL:
		return x == y;
	case BIN_LESS:
		return x < y;
	case BIN_LESS_EQUAL:
		return x <= y;
	case BIN_GREATER:
		return x > y;
	default:
		return x >= y;
	}
}

#endif
