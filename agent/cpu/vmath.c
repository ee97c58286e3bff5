// SPDX-License-Identifier: MIT
/*
 * Elementary functions over fp32 arrays: the functions of PROG_UNARY and of
 * epilogues.
 *
 * No state. Anything that vmath.h has is vectorised; the rest is libm's.
 */
#include <math.h>

#include "agent/cpu/vmath.h"

#define MAP(expr)							\
	do {								\
		CLONES_LOOP						\
		for (size_t i = 0; i < n; i++) {			\
			float v = x[i];					\
									\
			y[i] = (expr);					\
		}							\
	} while (0)

/* NaN stays NaN: a comparison with it is false. */
static CLONES_BODY float clip(float v, float lo, float hi)
{
	v = v < lo ? lo : v;
	return v > hi ? hi : v;
}

/* What costs an instruction or two an element, or a polynomial. */
static CLONES_BODY void fast_fn_body(enum prog_fn fn, float alpha, float beta,
				   float *y, const float *x, size_t n)
{
	switch (fn) {
	case PROG_FN_RELU:
		MAP(v < 0.0f ? 0.0f : v);
		break;
	case PROG_FN_CLIP:
		MAP(clip(v, alpha, beta));
		break;
	case PROG_FN_LEAKY_RELU:
		MAP(v < 0.0f ? v * alpha : v);
		break;
	case PROG_FN_SIGMOID:
		MAP(vm_sigmoidf(v));
		break;
	case PROG_FN_TANH:
		MAP(vm_tanhf(v));
		break;
	case PROG_FN_HARD_SIGMOID:
		MAP(clip(alpha * v + beta, 0.0f, 1.0f));
		break;
	case PROG_FN_HARD_SWISH:
		MAP(v * clip(v * (1.0f / 6.0f) + 0.5f, 0.0f, 1.0f));
		break;
	case PROG_FN_GELU:
		MAP(vm_geluf(v));
		break;
	case PROG_FN_GELU_TANH:
		MAP(vm_gelu_tanhf(v));
		break;
	case PROG_FN_SILU:
		MAP(vm_siluf(v));
		break;
	case PROG_FN_ELU:
		MAP(v < 0.0f ? alpha * vm_expm1f(v) : v);
		break;
	case PROG_FN_SELU:
		MAP(v > 0.0f ? beta * v : beta * alpha * vm_expm1f(v));
		break;
	case PROG_FN_CELU:
		MAP(v < 0.0f ? alpha * vm_expm1f(v / alpha) : v);
		break;
	case PROG_FN_THRESHOLDED_RELU:
		MAP(v > alpha ? v : (v != v ? v : 0.0f));
		break;
	case PROG_FN_SOFTPLUS:
		MAP(vm_softplusf(v));
		break;
	case PROG_FN_SOFTSIGN:
		MAP(v / (1.0f + fabsf(v)));
		break;
	case PROG_FN_MISH:
		MAP(vm_mishf(v));
		break;
	case PROG_FN_SHRINK:
		MAP(v < -alpha ? v + beta : (v > alpha ? v - beta : (v != v ? v : 0.0f)));
		break;
	case PROG_FN_ABS:
		MAP(fabsf(v));
		break;
	case PROG_FN_NEG:
		MAP(-v);
		break;
	case PROG_FN_SIGN:
		MAP(v > 0.0f ? 1.0f : (v < 0.0f ? -1.0f : v));
		break;
	case PROG_FN_RECIPROCAL:
		MAP(1.0f / v);
		break;
	case PROG_FN_SQRT:
		MAP(sqrtf(v));
		break;
	case PROG_FN_EXP:
		MAP(vm_expf(v));
		break;
	case PROG_FN_LOG:
		MAP(vm_logf(v));
		break;
	case PROG_FN_ERF:
		MAP(vm_erff(v));
		break;
	case PROG_FN_FLOOR:
		MAP(floorf(v));
		break;
	case PROG_FN_CEIL:
		MAP(ceilf(v));
		break;
	case PROG_FN_ROUND:
		MAP(rintf(v));
		break;
	default:
		break;
	}
}
CLONES(static, fast_fn, (enum prog_fn fn, float alpha, float beta,
			    float *y, const float *x, size_t n),
	  (fn, alpha, beta, y, x, n))

static void libm_fn(float (*f)(float), float *y, const float *x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		y[i] = f(x[i]);
}

void vm_fn(enum prog_fn fn, float alpha, float beta, float *y, const float *x, size_t n)
{
	switch (fn) {
	case PROG_FN_NONE:
		if (y != x)
			memcpy(y, x, n * sizeof(*y));
		break;
	case PROG_FN_SIN:
		libm_fn(sinf, y, x, n);
		break;
	case PROG_FN_COS:
		libm_fn(cosf, y, x, n);
		break;
	case PROG_FN_TAN:
		libm_fn(tanf, y, x, n);
		break;
	case PROG_FN_ASIN:
		libm_fn(asinf, y, x, n);
		break;
	case PROG_FN_ACOS:
		libm_fn(acosf, y, x, n);
		break;
	case PROG_FN_ATAN:
		libm_fn(atanf, y, x, n);
		break;
	case PROG_FN_SINH:
		libm_fn(sinhf, y, x, n);
		break;
	case PROG_FN_COSH:
		libm_fn(coshf, y, x, n);
		break;
	case PROG_FN_ASINH:
		libm_fn(asinhf, y, x, n);
		break;
	case PROG_FN_ACOSH:
		libm_fn(acoshf, y, x, n);
		break;
	case PROG_FN_ATANH:
		libm_fn(atanhf, y, x, n);
		break;
	default:
		fast_fn(fn, alpha, beta, y, x, n);
	}
}
