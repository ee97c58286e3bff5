/* SPDX-License-Identifier: MIT */
/*
 * Template: vectors of ISA_VL floats and the functions on them that others
 * need. Included once by each isa_*.c before the other templates.
 *
 * exp, tanh, sigmoid and erf are within 1e-6 relative of the true value where
 * that is a normal number (tests/cpu/test_math.c measures it); NaN goes in and
 * comes out, infinities give the limits.
 */
#ifndef BRAID_AGENT_CPU_SIMD_VEC_H
#define BRAID_AGENT_CPU_SIMD_VEC_H

#include <math.h>
#ifdef __AVX512F__
#include <immintrin.h>
#endif

#include "agent/cpu/simd.h"

#define ISA_PASTE_(a, b) a##_##b
#define ISA_PASTE(a, b) ISA_PASTE_(a, b)
#define ISA(name) ISA_PASTE(name, ISA_NAME)

#ifdef __clang__
#define ISA_UNROLL _Pragma("unroll")
#else
#define ISA_UNROLL _Pragma("GCC unroll 16")
#endif

typedef float vf __attribute__((vector_size(ISA_VL * 4)));
typedef int32_t vi __attribute__((vector_size(ISA_VL * 4)));
typedef float vf_any __attribute__((vector_size(ISA_VL * 4), aligned(4), may_alias));

#define ISA_INLINE static inline __attribute__((always_inline, unused))

ISA_INLINE vf v_load(const float *p)
{
	return *(const vf_any *)p;
}

ISA_INLINE void v_store(float *p, vf v)
{
	*(vf_any *)p = v;
}

ISA_INLINE vf v_all(float x)
{
	vf zero = { 0 };

	return x - zero;
}

/*
 * The first n < ISA_VL floats, the rest zero; and the same stored. In pieces of
 * constant size: a copy of variable size is a call.
 */
#ifdef __AVX512F__
ISA_INLINE vf v_load_part(const float *p, int64_t n)
{
	return (vf)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
}

ISA_INLINE void v_store_part(float *p, vf v, int64_t n)
{
	_mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v);
}
#else
ISA_INLINE vf v_load_part(const float *p, int64_t n)
{
	float t[ISA_VL] __attribute__((aligned(ISA_VL * 4))) = { 0 };
	float *to = t;

	for (int k = ISA_VL / 2; k; k /= 2)
		if (n & k) {
			__builtin_memcpy(to, p, k * sizeof(float));
			to += k;
			p += k;
		}
	return v_load(t);
}

ISA_INLINE void v_store_part(float *p, vf v, int64_t n)
{
	float t[ISA_VL] __attribute__((aligned(ISA_VL * 4)));
	const float *from = t;

	v_store(t, v);
	for (int k = ISA_VL / 2; k; k /= 2)
		if (n & k) {
			__builtin_memcpy(p, from, k * sizeof(float));
			from += k;
			p += k;
		}
}
#endif

/* m ? a : b, where m is all ones or all zeros an element. */
ISA_INLINE vf v_sel(vi m, vf a, vf b)
{
	return (vf)((m & (vi)a) | (~m & (vi)b));
}

/* Both keep x where it is a NaN. */
ISA_INLINE vf v_min(vf x, vf limit)
{
	return v_sel(x > limit, limit, x);
}

ISA_INLINE vf v_max(vf x, vf limit)
{
	return v_sel(x < limit, limit, x);
}

ISA_INLINE vf v_abs(vf x)
{
	return (vf)((vi)x & 0x7fffffff);
}

ISA_INLINE vf v_copysign(vf x, vf sign)
{
	return (vf)(((vi)x & 0x7fffffff) | ((vi)sign & (int32_t)0x80000000));
}

/* 2^n for n in [-126, 127] */
ISA_INLINE vf v_pow2(vi n)
{
	return (vf)((n + 127) << 23);
}

/*
 * exp by range reduction, x = n ln 2 + r with |r| <= ln 2 / 2, and a polynomial
 * for (e^r - 1 - r) / r^2 fitted at Chebyshev points, as the others below are.
 * The factor 2^n goes in as two, so that n = 128 and results below the normal
 * numbers come out right.
 */
ISA_INLINE vf v_exp(vf x)
{
	vf t = v_max(v_min(x, v_all(89.0f)), v_all(-104.0f));
	vf magic = v_all(12582912.0f);
	vf n, r, p;
	vi k, half;

	n = t * 1.44269504088896341f + magic;
	k = (vi)n - (vi)magic;
	n = n - magic;
	r = t - n * 0.693359375f;
	r = r + n * 2.12194440e-4f;
	p = v_all(1.39336762e-3f);
	p = p * r + 8.36319738e-3f;
	p = p * r + 4.16664647e-2f;
	p = p * r + 1.66665769e-1f;
	p = p * r + 0.500000001f;
	p = p * r * r + r + 1.0f;
	/* A NaN leaves rubbish in k, but any product with a NaN is one. */
	half = k >> 1;
	k = k - half;
	half = half & (half > -127) & (half < 128);
	k = k & (k > -127) & (k < 128);
	return p * v_pow2(half) * v_pow2(k);
}

ISA_INLINE vf v_sigmoid(vf x)
{
	return 1.0f / (1.0f + v_exp(-x));
}

ISA_INLINE vf v_tanh(vf x)
{
	vf a = v_abs(x), z = x * x, small, big;

	small = v_all(-6.10494802e-3f);
	small = small * z + 2.10036412e-2f;
	small = small * z - 5.38524975e-2f;
	small = small * z + 1.33327823e-1f;
	small = small * z - 3.33333291e-1f;
	small = small * z * x + x;
	big = 1.0f - 2.0f / (v_exp(a + a) + 1.0f);
	return v_sel(a < 0.625f, small, v_copysign(big, x));
}

/* erf: x P(x^2) to 1, then 1 - exp(-Q(|x|)); from 4 on it is 1. */
ISA_INLINE vf v_erf(vf x)
{
	vf a = v_min(v_abs(x), v_all(4.0f)), z = x * x, small, q;

	small = v_all(-5.65410586e-4f);
	small = small * z + 4.92327767e-3f;
	small = small * z - 2.67163851e-2f;
	small = small * z + 1.12803644e-1f;
	small = small * z - 3.76123498e-1f;
	small = small * z + 1.12837913f;
	small = small * x;
	q = v_all(1.33093904e-5f);
	q = q * a - 3.17572035e-4f;
	q = q * a + 3.4368676e-3f;
	q = q * a - 2.26219859e-2f;
	q = q * a + 1.03318980e-1f;
	q = q * a + 6.39093319e-1f;
	q = q * a + 1.12592595f;
	q = q * a + 7.56968624e-4f;
	q = 1.0f - v_exp(-q);
	return v_sel(v_abs(x) < 1.0f, small, v_copysign(q, x));
}

/* Half to even; numbers of 2^23 and more are whole already. */
ISA_INLINE vf v_round(vf x)
{
	vf magic = v_copysign(v_all(8388608.0f), x);
	vf r = (x + magic) - magic;

	return v_sel(v_abs(x) < 8388608.0f, v_copysign(r, x), x);
}

ISA_INLINE vf v_floor(vf x)
{
	vf r = v_round(x);

	return v_sel(r > x, r - 1.0f, r);
}

ISA_INLINE vf v_ceil(vf x)
{
	vf r = v_round(x);

	return v_sel(r < x, v_copysign(r + 1.0f, x), r);
}

ISA_INLINE vf v_sqrt(vf x)
{
	vf r;

	for (int i = 0; i < ISA_VL; i++)
		r[i] = sqrtf(x[i]);
	return r;
}

ISA_INLINE float v_hsum(vf v)
{
	float t[ISA_VL] __attribute__((aligned(ISA_VL * 4)));
	float s = 0;

	v_store(t, v);
	for (int w = ISA_VL / 2; w; w /= 2)
		for (int i = 0; i < w; i++)
			t[i] += t[i + w];
	s = t[0];
	return s;
}

/*
 * An element function on one vector. @fn is a constant wherever this is used,
 * so that one case remains.
 */
ISA_INLINE vf v_fn(vf x, enum prog_fn fn, float alpha, float beta)
{
	vf zero = { 0 };

	switch (fn) {
	case PROG_FN_RELU:
		return v_max(x, zero);
	case PROG_FN_CLIP:
		return v_min(v_max(x, v_all(alpha)), v_all(beta));
	case PROG_FN_LEAKY_RELU:
		return v_sel(x < 0, x * alpha, x);
	case PROG_FN_SIGMOID:
		return v_sigmoid(x);
	case PROG_FN_TANH:
		return v_tanh(x);
	case PROG_FN_HARD_SIGMOID:
		return v_min(v_max(x * alpha + beta, zero), v_all(1.0f));
	case PROG_FN_HARD_SWISH:
		return x * v_min(v_max(x * (1.0f / 6.0f) + 0.5f, zero), v_all(1.0f));
	case PROG_FN_GELU:
		return 0.5f * x * (1.0f + v_erf(x * 0.70710678118654752f));
	case PROG_FN_GELU_TANH:
		return 0.5f * x * (1.0f + v_tanh(0.79788456080286536f *
						 (x + 0.044715f * x * x * x)));
	case PROG_FN_SILU:
		return x * v_sigmoid(x);
	case PROG_FN_ELU:
		return v_sel(x < 0, alpha * (v_exp(x) - 1.0f), x);
	case PROG_FN_THRESHOLDED_RELU:
		return v_sel(x > alpha, x, v_sel(x == x, zero, x));
	case PROG_FN_SOFTSIGN:
		return x / (1.0f + v_abs(x));
	case PROG_FN_ABS:
		return v_abs(x);
	case PROG_FN_NEG:
		return -x;
	case PROG_FN_RECIPROCAL:
		return 1.0f / x;
	case PROG_FN_SQRT:
		return v_sqrt(x);
	case PROG_FN_EXP:
		return v_exp(x);
	case PROG_FN_ERF:
		return v_erf(x);
	case PROG_FN_FLOOR:
		return v_floor(x);
	case PROG_FN_CEIL:
		return v_ceil(x);
	case PROG_FN_ROUND:
		return v_round(x);
	default:
		return x;
	}
}

#endif
