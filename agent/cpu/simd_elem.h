/* SPDX-License-Identifier: MIT */
/*
 * Template: loops over rows of floats: element functions, epilogues, sums.
 */
#ifndef BRAID_AGENT_CPU_SIMD_ELEM_H
#define BRAID_AGENT_CPU_SIMD_ELEM_H

#include "agent/cpu/simd_vec.h"

/*
 * The epilogue on n floats: y = fn(y + bias + residual), or the residual last.
 * Inlined with constant @fn.
 */
ISA_INLINE void ISA(epi_fn)(float *y, const float *x, int64_t n, enum prog_fn fn, float alpha,
			    float beta, const float *bias, const float *res, bool last)
{
	int64_t i = 0;
	vf v;

	for (; i + ISA_VL <= n; i += ISA_VL) {
		v = v_load(x + i);
		if (bias)
			v += v_load(bias + i);
		if (res && !last)
			v += v_load(res + i);
		v = v_fn(v, fn, alpha, beta);
		if (res && last)
			v += v_load(res + i);
		v_store(y + i, v);
	}
	if (i < n) {
		v = v_load_part(x + i, n - i);
		if (bias)
			v += v_load_part(bias + i, n - i);
		if (res && !last)
			v += v_load_part(res + i, n - i);
		v = v_fn(v, fn, alpha, beta);
		if (res && last)
			v += v_load_part(res + i, n - i);
		v_store_part(y + i, v, n - i);
	}
}

static void ISA(epilogue_to)(float *y, const float *x, int64_t n, const struct cpu_epi *e,
			     const float *bias, const float *res)
{
	switch (e->fn) {
#define ISA_CASE(f)								\
	case f:									\
		return ISA(epi_fn)(y, x, n, f, e->alpha, e->beta, bias, res, e->residual_last)
	ISA_CASE(PROG_FN_NONE);
	ISA_CASE(PROG_FN_RELU);
	ISA_CASE(PROG_FN_CLIP);
	ISA_CASE(PROG_FN_LEAKY_RELU);
	ISA_CASE(PROG_FN_SIGMOID);
	ISA_CASE(PROG_FN_TANH);
	ISA_CASE(PROG_FN_HARD_SIGMOID);
	ISA_CASE(PROG_FN_HARD_SWISH);
	ISA_CASE(PROG_FN_GELU);
	ISA_CASE(PROG_FN_GELU_TANH);
	ISA_CASE(PROG_FN_SILU);
#undef ISA_CASE
	default:
		break;
	}
}

static void ISA(epilogue)(float *y, int64_t n, const struct cpu_epi *e, const float *res)
{
	ISA(epilogue_to)(y, y, n, e, NULL, res);
}

static void ISA(unary)(float *y, const float *x, int64_t n, enum prog_fn fn,
		       float alpha, float beta)
{
	switch (fn) {
#define ISA_CASE(f)								\
	case f:									\
		return ISA(epi_fn)(y, x, n, f, alpha, beta, NULL, NULL, false)
	ISA_CASE(PROG_FN_NONE);
	ISA_CASE(PROG_FN_RELU);
	ISA_CASE(PROG_FN_CLIP);
	ISA_CASE(PROG_FN_LEAKY_RELU);
	ISA_CASE(PROG_FN_SIGMOID);
	ISA_CASE(PROG_FN_TANH);
	ISA_CASE(PROG_FN_HARD_SIGMOID);
	ISA_CASE(PROG_FN_HARD_SWISH);
	ISA_CASE(PROG_FN_GELU);
	ISA_CASE(PROG_FN_GELU_TANH);
	ISA_CASE(PROG_FN_SILU);
	ISA_CASE(PROG_FN_ELU);
	ISA_CASE(PROG_FN_THRESHOLDED_RELU);
	ISA_CASE(PROG_FN_SOFTSIGN);
	ISA_CASE(PROG_FN_ABS);
	ISA_CASE(PROG_FN_NEG);
	ISA_CASE(PROG_FN_RECIPROCAL);
	ISA_CASE(PROG_FN_SQRT);
	ISA_CASE(PROG_FN_EXP);
	ISA_CASE(PROG_FN_ERF);
	ISA_CASE(PROG_FN_FLOOR);
	ISA_CASE(PROG_FN_CEIL);
	ISA_CASE(PROG_FN_ROUND);
#undef ISA_CASE
	default:
		break;
	}
}

static float ISA(max)(const float *x, int64_t n)
{
	float m = x[0];
	int64_t i = 0;

	if (n >= ISA_VL) {
		vf v = v_load(x);
		vi nan = v != v;

		for (i = ISA_VL; i + ISA_VL <= n; i += ISA_VL) {
			vf w = v_load(x + i);

			nan |= w != w;
			v = v_sel(w > v, w, v);
		}
		for (int k = 0; k < ISA_VL; k++) {
			if (nan[k])
				return NAN;
			if (v[k] > m)
				m = v[k];
		}
	}
	for (; i < n; i++) {
		if (x[i] != x[i])
			return NAN;
		if (x[i] > m)
			m = x[i];
	}
	return m;
}

static float ISA(sum)(const float *x, int64_t n)
{
	vf s0 = { 0 }, s1 = { 0 };
	int64_t i = 0;
	float s;

	for (; i + 2 * ISA_VL <= n; i += 2 * ISA_VL) {
		s0 += v_load(x + i);
		s1 += v_load(x + i + ISA_VL);
	}
	s = v_hsum(s0 + s1);
	for (; i < n; i++)
		s += x[i];
	return s;
}

static float ISA(dot)(const float *x, const float *y, int64_t n)
{
	vf s0 = { 0 }, s1 = { 0 };
	int64_t i = 0;
	float s;

	for (; i + 2 * ISA_VL <= n; i += 2 * ISA_VL) {
		s0 += v_load(x + i) * v_load(y + i);
		s1 += v_load(x + i + ISA_VL) * v_load(y + i + ISA_VL);
	}
	s = v_hsum(s0 + s1);
	for (; i < n; i++)
		s += x[i] * y[i];
	return s;
}

static float ISA(exp_sum)(float *y, const float *x, int64_t n, float shift)
{
	vf sum = { 0 }, v;
	int64_t i = 0;
	float s;

	for (; i + ISA_VL <= n; i += ISA_VL) {
		v = v_exp(v_load(x + i) - shift);
		v_store(y + i, v);
		sum += v;
	}
	s = v_hsum(sum);
	if (i < n) {
		v = v_exp(v_load_part(x + i, n - i) - shift);
		v_store_part(y + i, v, n - i);
		for (int k = 0; k < n - i; k++)
			s += v[k];
	}
	return s;
}

static void ISA(scale)(float *y, const float *x, int64_t n, float k)
{
	for (int64_t i = 0; i < n; i++)
		y[i] = x[i] * k;
}

#endif
