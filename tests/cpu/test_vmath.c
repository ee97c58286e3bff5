// SPDX-License-Identifier: MIT
/*
 * agent/cpu/vmath.h against libm in double: relative error over the whole
 * range of floats, at infinities, NaN, zeros and subnormals, and in place.
 */
#include <math.h>
#include <string.h>

#include "agent/cpu/vmath.h"
#include "tests/tap.h"

#define N 4096

struct fn {
	const char *name;
	enum prog_fn fn;
	double (*ref)(double x);
	double slack;	/* absolute error allowed, where the definition cancels */
	bool everywhere; /* the definition is sound for every finite argument */
};

static double ref_sigmoid(double x)
{
	return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x));
}

static double ref_silu(double x)
{
	return x * ref_sigmoid(x);
}

static double ref_gelu(double x)
{
	return 0.5 * x * erfc(-x * M_SQRT1_2);
}

static double ref_gelu_tanh(double x)
{
	return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}

static double ref_softplus(double x)
{
	return fmax(x, 0) + log1p(exp(-fabs(x)));
}

static double ref_mish(double x)
{
	return x * tanh(ref_softplus(x));
}

static const struct fn fns[] = {
	{ "exp", PROG_FN_EXP, exp, 0, true },
	{ "tanh", PROG_FN_TANH, tanh, 0, true },
	{ "sigmoid", PROG_FN_SIGMOID, ref_sigmoid, 0, true },
	{ "erf", PROG_FN_ERF, erf, 0, true },
	{ "log", PROG_FN_LOG, log, 0, true },
	{ "silu", PROG_FN_SILU, ref_silu, 1e-40, true },
	{ "softplus", PROG_FN_SOFTPLUS, ref_softplus, 0, true },
	{ "mish", PROG_FN_MISH, ref_mish, 1e-40, false },
	{ "gelu", PROG_FN_GELU, ref_gelu, 1e-6, false },
	{ "gelu_tanh", PROG_FN_GELU_TANH, ref_gelu_tanh, 1e-6, false },
};

static double error_of(float got, double want, double slack)
{
	double e;

	if (isnan(want))
		return isnan(got) ? 0 : INFINITY;
	if (fabs(want) > 0x1.ffffffp127)
		want = copysign(INFINITY, want);
	if (isinf(want) || isinf(got)) {
		/* Next to the largest float either answer is within the bound. */
		if (fabs(want) > 0x1.fffffp127 && fabs(got) > 0x1.fffffp127f)
			return 0;
		return INFINITY;
	}
	e = fabs(got - want);
	/* what subnormals cannot show, and the stated slack */
	e -= fmin(e, 0x1p-148 + slack);
	return want != 0 ? e / fabs(want) : (e ? INFINITY : 0);
}

/* Every 2^12-odd-th bit pattern: all exponents, both signs. */
static void test_sweep(const struct fn *f)
{
	static float x[N], y[N];
	double worst = 0;
	float at = 0;
	uint32_t bits = 0;
	bool more = true;

	while (more) {
		size_t n = 0;

		for (; n < N && more; n++) {
			x[n] = vm_from_bits(bits);
			more = bits < UINT32_MAX - 4099;
			bits += 4099;
		}
		vm_fn(f->fn, 0, 0, y, x, n);
		for (size_t i = 0; i < n; i++) {
			double e;

			if (!f->everywhere && !(fabsf(x[i]) < 1e4f))
				continue;
			e = error_of(y[i], f->ref(x[i]), f->slack);
			if (!(e <= worst)) {
				worst = e;
				at = x[i];
			}
		}
	}
	if (!ok(worst <= 1e-6, "%s: relative error <= 1e-6 for all floats", f->name))
		diag("%g at %a (%g)", worst, at, at);
}

static void test_dense(const struct fn *f)
{
	static float x[N], y[N], z[N];
	double worst = 0, at = 0;

	for (double lo = -110; lo < 110; lo += 0.5) {
		for (size_t i = 0; i < N; i++)
			x[i] = (float)(lo + 0.5 * (double)i / N);
		vm_fn(f->fn, 0, 0, y, x, N - 3);
		memcpy(z, x, sizeof(z));
		vm_fn(f->fn, 0, 0, z, z, N - 3);
		for (size_t i = 0; i < N - 3; i++) {
			double e = error_of(y[i], f->ref(x[i]), f->slack);

			if (memcmp(&y[i], &z[i], 4) && !isnan(y[i]))
				e = INFINITY;
			if (!(e <= worst)) {
				worst = e;
				at = x[i];
			}
		}
	}
	if (!ok(worst <= 1e-6, "%s: relative error <= 1e-6 in [-110, 110], also in place",
		f->name))
		diag("%g at %a (%g)", worst, at, at);
}

static void test_special(void)
{
	float x[] = { INFINITY, -INFINITY, NAN, 0.0f, -0.0f };
	float y[5];

	vm_fn(PROG_FN_EXP, 0, 0, y, x, 5);
	ok(y[0] == INFINITY && y[1] == 0 && isnan(y[2]) && y[3] == 1 && y[4] == 1, "exp");
	vm_fn(PROG_FN_TANH, 0, 0, y, x, 5);
	ok(y[0] == 1 && y[1] == -1 && isnan(y[2]) && y[3] == 0 && signbit(y[4]), "tanh");
	vm_fn(PROG_FN_SIGMOID, 0, 0, y, x, 5);
	ok(y[0] == 1 && y[1] == 0 && isnan(y[2]) && y[3] == 0.5f, "sigmoid");
	vm_fn(PROG_FN_ERF, 0, 0, y, x, 5);
	ok(y[0] == 1 && y[1] == -1 && isnan(y[2]) && y[3] == 0 && signbit(y[4]), "erf");
	vm_fn(PROG_FN_LOG, 0, 0, y, x, 5);
	ok(y[0] == INFINITY && isnan(y[1]) && isnan(y[2]) && y[3] == -INFINITY &&
	   y[4] == -INFINITY, "log");
	vm_fn(PROG_FN_RELU, 0, 0, y, x, 5);
	ok(y[0] == INFINITY && y[1] == 0 && isnan(y[2]), "relu keeps NaN");
	vm_fn(PROG_FN_CLIP, -1, 1, y, x, 5);
	ok(y[0] == 1 && y[1] == -1 && isnan(y[2]), "clip keeps NaN");
	vm_fn(PROG_FN_SOFTPLUS, 0, 0, y, x, 5);
	ok(y[0] == INFINITY && y[1] == 0 && isnan(y[2]), "softplus");
	vm_fn(PROG_FN_GELU, 0, 0, y, x, 1);
	ok(y[0] == INFINITY, "gelu of infinity");
}

static void test_parameters(void)
{
	float x[] = { -3.0f, -0.5f, 0.0f, 0.5f, 3.0f };
	float y[5];

	vm_fn(PROG_FN_LEAKY_RELU, 0.1f, 0, y, x, 5);
	ok(fabsf(y[0] + 0.3f) < 1e-6f && y[4] == 3, "leaky relu");
	vm_fn(PROG_FN_HARD_SIGMOID, 0.2f, 0.5f, y, x, 5);
	ok(y[0] == 0 && y[2] == 0.5f && fabsf(y[3] - 0.6f) < 1e-6f && y[4] == 1, "hard sigmoid");
	vm_fn(PROG_FN_HARD_SWISH, 0, 0, y, x, 5);
	ok(y[0] == 0 && fabsf(y[3] - 0.5f * (0.5f / 6 + 0.5f)) < 1e-6f && y[4] == 3, "hard swish");
	vm_fn(PROG_FN_ELU, 2, 0, y, x, 5);
	ok(fabs(y[0] - 2 * expm1(-3)) < 1e-6 && y[4] == 3, "elu");
	vm_fn(PROG_FN_SELU, 2, 3, y, x, 5);
	ok(fabs(y[0] - 6 * expm1(-3)) < 1e-5 && y[4] == 9, "selu");
	vm_fn(PROG_FN_CELU, 2, 0, y, x, 5);
	ok(fabs(y[0] - 2 * expm1(-1.5)) < 1e-6 && y[4] == 3, "celu");
	vm_fn(PROG_FN_THRESHOLDED_RELU, 0.5f, 0, y, x, 5);
	ok(y[0] == 0 && y[3] == 0 && y[4] == 3, "thresholded relu");
	vm_fn(PROG_FN_SHRINK, 0.6f, 0.25f, y, x, 5);
	ok(y[0] == -2.75f && y[1] == 0 && y[4] == 2.75f, "shrink");
}

int main(void)
{
	for (size_t i = 0; i < sizeof(fns) / sizeof(fns[0]); i++) {
		test_sweep(&fns[i]);
		test_dense(&fns[i]);
	}
	test_special();
	test_parameters();
	return tap_done();
}
