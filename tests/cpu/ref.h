/* SPDX-License-Identifier: MIT */
/*
 * What the references of tests of kernels share: epilogues, in double.
 */
#ifndef BRAID_TESTS_CPU_REF_H
#define BRAID_TESTS_CPU_REF_H

#include <math.h>

#include "tests/cpu/one.h"

static inline double ref_fn(double x, enum prog_fn fn, double alpha, double beta)
{
	switch (fn) {
	case PROG_FN_RELU:
		return x < 0 ? 0 : x;
	case PROG_FN_CLIP:
		return fmin(fmax(x, alpha), beta);
	case PROG_FN_LEAKY_RELU:
		return x < 0 ? alpha * x : x;
	case PROG_FN_SIGMOID:
		return 1 / (1 + exp(-x));
	case PROG_FN_TANH:
		return tanh(x);
	case PROG_FN_HARD_SIGMOID:
		return fmin(fmax(alpha * x + beta, 0), 1);
	case PROG_FN_HARD_SWISH:
		return x * fmin(fmax(x / 6 + 0.5, 0), 1);
	case PROG_FN_GELU:
		return 0.5 * x * (1 + erf(x / sqrt(2)));
	case PROG_FN_GELU_TANH:
		return 0.5 * x * (1 + tanh(sqrt(2 / 3.14159265358979323846) *
					   (x + 0.044715 * x * x * x)));
	case PROG_FN_SILU:
		return x / (1 + exp(-x));
	default:
		return x;
	}
}

/* A random epilogue for an output of this shape. */
static inline void ref_epilogue(struct one *o, struct one_rng *g, uint32_t rank,
				const int64_t *dims)
{
	o->op.epi.fn = (enum prog_fn)one_range(g, 0, PROG_FN_EPILOGUE_LAST);
	o->op.epi.alpha = 0.2f;
	o->op.epi.beta = 0.6f;
	if (one_range(g, 0, 2) == 0) {
		one_residual(o, rank, dims);
		o->op.epi.residual_last = one_range(g, 0, 1);
	}
}

static inline float ref_store(const struct one *o, double acc, uint32_t r, int64_t at)
{
	const struct prog_epilogue *e = &o->op.epi;
	double res = 0;

	if (e->residual != PROG_NONE)
		res = ((const float *)o->data[e->residual][r])[at];
	if (!e->residual_last)
		acc += res;
	acc = ref_fn(acc, e->fn, e->alpha, e->beta);
	if (e->residual_last)
		acc += res;
	return (float)acc;
}

#endif
