/* SPDX-License-Identifier: MIT */
/*
 * Fast elementary functions in fp32, as branch-free scalars that compilers
 * vectorise inside a loop, and as functions over arrays (vmath.c).
 *
 * Relative error at most 1e-6 (absolute where a result is subnormal), for all
 * arguments; infinities and NaN give what libm gives. Polynomials are minimax
 * fits made for this file. Inline them only into files that are compiled as
 * clones.h asks, else they are correct but slow. Never touches errno.
 */
#ifndef BRAID_AGENT_CPU_VMATH_H
#define BRAID_AGENT_CPU_VMATH_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "agent/cpu/clones.h"
#include "agent/program/program.h"

static CLONES_BODY float vm_from_bits(uint32_t b)
{
	float f;

	memcpy(&f, &b, sizeof(f));
	return f;
}

static CLONES_BODY uint32_t vm_bits(float f)
{
	uint32_t b;

	memcpy(&b, &f, sizeof(b));
	return b;
}

#define VM_LOG2E	0x1.715476p+0f
#define VM_LN2_HI	0x1.63p-1f		/* nine bits: n * this is exact */
#define VM_LN2_LO	(-2.121944401e-4f)
#define VM_ROUND	0x1.8p+23f		/* adding this rounds to an integer */

/* x = n ln 2 + r, |r| <= ln 2 / 2; returns exp(r) - 1, n in *n. |x| < 2^15. */
static CLONES_BODY float vm_exp_reduce(float x, uint32_t *n)
{
	float t = x * VM_LOG2E + VM_ROUND;
	float k = t - VM_ROUND;
	float r = x - k * VM_LN2_HI - k * VM_LN2_LO;
	float q = 1.991503116e-4f;

	*n = vm_bits(t) - vm_bits(VM_ROUND);
	q = q * r + 1.394205986e-3f;
	q = q * r + 8.333271722e-3f;
	q = q * r + 4.166634188e-2f;
	q = q * r + 1.666666682e-1f;
	q = q * r + 5.000000049e-1f;
	return r + r * r * q;
}

static CLONES_BODY float vm_expf(float x)
{
	float c = x > 89.0f ? 89.0f : x;
	uint32_t n, half;
	float p;

	c = c < -105.0f ? -105.0f : c;
	p = vm_exp_reduce(c, &n);
	/* Two factors, since 2^n alone may be infinite or zero. */
	half = (uint32_t)((int32_t)n >> 1);
	return (1.0f + p) * vm_from_bits((half + 127) << 23) *
	       vm_from_bits((n - half + 127) << 23);
}

static CLONES_BODY float vm_expm1f(float x)
{
	float c = x > 89.0f ? 89.0f : x;
	uint32_t n;
	float p, h;

	c = c < -30.0f ? -30.0f : c;
	p = vm_exp_reduce(c, &n);
	h = vm_from_bits((n + 126) << 23);	/* 2^(n - 1) */
	return (p * h + (h - 0.5f)) * 2.0f;
}

static CLONES_BODY float vm_tanhf(float x)
{
	float a = fabsf(x);
	float e = vm_expm1f(2.0f * (a > 10.0f ? 10.0f : a));

	return copysignf(e / (e + 2.0f), x);
}

static CLONES_BODY float vm_sigmoidf(float x)
{
	float e = vm_expf(-fabsf(x));
	float d = 1.0f / (1.0f + e);

	return x < 0.0f ? e * d : d;
}

static CLONES_BODY float vm_erff(float x)
{
	float a = fabsf(x), z = x * x;
	float c = a < 4.0f ? a : 4.0f;
	float s, g;

	/* erf(x) / x up to 0.95, log erfc(x) from 0.9 to 4 */
	s = 8.215423713e-5f;
	s = s * z - 8.105965120e-4f;
	s = s * z + 5.197797167e-3f;
	s = s * z - 2.685810429e-2f;
	s = s * z + 1.128367255e-1f;
	s = s * z - 3.761263229e-1f;
	s = s * z + 1.128379166e+0f;
	g = -2.090955895e-5f;
	g = g * c + 4.323030417e-4f;
	g = g * c - 4.160527159e-3f;
	g = g * c + 2.509149719e-2f;
	g = g * c - 1.082366199e-1f;
	g = g * c - 6.333866460e-1f;
	g = g * c - 1.129495159e+0f;
	g = g * c + 1.705520756e-4f;
	g = 1.0f - vm_expf(g);
	return a > 0.92f ? copysignf(g, x) : x * s;
}

static CLONES_BODY float vm_logf(float x)
{
	float tiny = x < 0x1p-126f ? 1.0f : 0.0f;
	uint32_t i = vm_bits(x < 0x1p-126f ? x * 0x1p+23f : x) - 0x3f3504f3;
	float e = (float)((int32_t)i >> 23) - 23.0f * tiny;
	float f = vm_from_bits((i & 0x7fffff) + 0x3f3504f3) - 1.0f;
	float q, y;

	/* log(1 + f) = f - f^2 / 2 + f^3 q(f), 1 + f from sqrt(1/2) to sqrt(2) */
	q = 6.921788901e-2f;
	q = q * f - 1.180587742e-1f;
	q = q * f + 1.187870707e-1f;
	q = q * f - 1.238219837e-1f;
	q = q * f + 1.421765623e-1f;
	q = q * f - 1.666933192e-1f;
	q = q * f + 2.000227538e-1f;
	q = q * f - 2.499998582e-1f;
	q = q * f + 3.333330978e-1f;
	y = f * f * (f * q - 0.5f) + e * VM_LN2_LO;
	y = (y + f) + e * VM_LN2_HI;
	y = x == INFINITY ? x : y;
	y = x == 0.0f ? -INFINITY : y;
	/* also true for NaN */
	return x >= 0.0f ? y : NAN;
}

/* log(1 + x) for x >= -1, exact to the last bits near 0 */
static CLONES_BODY float vm_log1pf(float x)
{
	float u = 1.0f + x;
	float y = vm_logf(u) + (x - (u - 1.0f)) / u;

	y = x == INFINITY ? x : y;
	return u == 1.0f ? x : y;
}

static CLONES_BODY float vm_siluf(float x)
{
	return x * vm_sigmoidf(x);
}

static CLONES_BODY float vm_geluf(float x)
{
	return 0.5f * x * (1.0f + vm_erff(x * 0x1.6a09e6p-1f));
}

static CLONES_BODY float vm_gelu_tanhf(float x)
{
	return 0.5f * x * (1.0f + vm_tanhf(0x1.988454p-1f * (x + 0.044715f * x * x * x)));
}

static CLONES_BODY float vm_softplusf(float x)
{
	return (x < 0.0f ? 0.0f : x) + vm_log1pf(vm_expf(-fabsf(x)));
}

/* x tanh(softplus(x)), with t = tanh(log(1 + e)) = (e^2 + 2e) / (e^2 + 2e + 2) */
static CLONES_BODY float vm_mishf(float x)
{
	float e = vm_expf(x > 20.0f ? 20.0f : x);
	float t = e * (e + 2.0f);

	return x * (t / (t + 2.0f));
}

/**
 * vm_fn() - one of PROG_UNARY's functions over an array
 * @fn: which, PROG_FN_NONE copies; NOT and BITWISE_NOT are not for floats
 * @alpha: first parameter
 * @beta: second parameter
 * @y: results, may be @x itself, must not overlap it otherwise
 * @x: arguments
 * @n: how many
 */
void vm_fn(enum prog_fn fn, float alpha, float beta, float *y, const float *x, size_t n);

#endif
