// SPDX-License-Identifier: MIT
/*
 * UNARY against references in the widest type: every function and type, and
 * the values that trap or overflow.
 */
#include <float.h>

#include "tests/cpu/k_number.h"
#include "tests/cpu/ref.h"

static double ref_unary(enum prog_fn fn, double a, double b, double x)
{
	switch (fn) {
	case PROG_FN_ELU:
		return x < 0 ? a * expm1(x) : x;
	case PROG_FN_SELU:
		return x > 0 ? b * x : b * a * expm1(x);
	case PROG_FN_CELU:
		return fmax(x, 0) + fmin(0, a * expm1(x / a));
	case PROG_FN_THRESHOLDED_RELU:
		return x > a ? x : 0;
	case PROG_FN_SOFTPLUS:
		return fmax(x, 0) + log1p(exp(-fabs(x)));
	case PROG_FN_SOFTSIGN:
		return x / (1 + fabs(x));
	case PROG_FN_MISH:
		return x * tanh(fmax(x, 0) + log1p(exp(-fabs(x))));
	case PROG_FN_SHRINK:
		return x < -a ? x + b : x > a ? x - b : 0;
	case PROG_FN_ABS:
		return fabs(x);
	case PROG_FN_NEG:
		return -x;
	case PROG_FN_SIGN:
		return (x > 0) - (x < 0);
	case PROG_FN_RECIPROCAL:
		return 1 / x;
	case PROG_FN_SQRT:
		return sqrt(x);
	case PROG_FN_EXP:
		return exp(x);
	case PROG_FN_LOG:
		return log(x);
	case PROG_FN_ERF:
		return erf(x);
	case PROG_FN_FLOOR:
		return floor(x);
	case PROG_FN_CEIL:
		return ceil(x);
	case PROG_FN_ROUND:
		return nearbyint(x);
	case PROG_FN_SIN:
		return sin(x);
	case PROG_FN_COS:
		return cos(x);
	case PROG_FN_TAN:
		return tan(x);
	case PROG_FN_ASIN:
		return asin(x);
	case PROG_FN_ACOS:
		return acos(x);
	case PROG_FN_ATAN:
		return atan(x);
	case PROG_FN_SINH:
		return sinh(x);
	case PROG_FN_COSH:
		return cosh(x);
	case PROG_FN_ASINH:
		return asinh(x);
	case PROG_FN_ACOSH:
		return acosh(x);
	case PROG_FN_ATANH:
		return atanh(x);
	default:
		return ref_fn(x, fn, a, b);
	}
}

static void test_unary_float(struct one_rng *g, enum braid_type type)
{
	struct k_tally t = { 0 };

	for (enum prog_fn fn = PROG_FN_NONE; fn < PROG_FNS; fn++) {
		int64_t dims[PROG_MAX_RANK], wrong = 0;
		uint32_t rank = k_shape(g, 0, 4, dims);
		struct one o;
		double scale = fn == PROG_FN_ASIN || fn == PROG_FN_ACOS || fn == PROG_FN_ATANH ?
			       1 : 6, shift = fn == PROG_FN_ACOSH ? 7 : 0;

		if (fn == PROG_FN_NOT || fn == PROG_FN_BITWISE_NOT || fn == PROG_FN_ISNAN ||
		    fn == PROG_FN_ISINF)
			continue;
		one_init(&o, g, PROG_UNARY, (uint32_t)one_range(g, 1, ONE_DEGREE));
		o.op.params.unary.fn = fn;
		o.op.params.unary.alpha = 0.75f;
		o.op.params.unary.beta = 1.25f;
		one_in(&o, type, rank, dims, true);
		for (uint32_t r = 0; r < o.degree; r++) {
			for (int64_t i = 0; i < o.tensors[0].elems; i++)
				k_put(type, o.data[0][r], i, one_float(g) * scale + shift);
			if (k_is_const(&o, 0))
				break;
		}
		one_out(&o, type, rank, dims);
		if (k_run(&o, &t)) {
			for (uint32_t r = 0; r < o.degree; r++)
				for (int64_t i = 0; i < o.tensors[0].elems; i++) {
					double x = k_get(type, o.data[0][r], i);

					wrong += !close_to(k_get(type, o.data[1][r], i),
							   ref_unary(fn, 0.75, 1.25, x), 3e-6);
				}
			if (wrong)
				k_bad(&t, "function %d: %lld elements", fn, (long long)wrong);
		}
		one_free(&o);
	}
	k_report(&t, type == BRAID_TYPE_F32 ? "unary, float" : "unary, double");
}

static void test_unary_int(struct one_rng *g)
{
	static const enum prog_fn fns[] = { PROG_FN_ABS, PROG_FN_NEG, PROG_FN_SIGN,
					    PROG_FN_RELU, PROG_FN_BITWISE_NOT };
	struct k_tally t = { 0 };

	for (uint32_t k = 0; k < K_TYPES * 5; k++) {
		enum braid_type type = k_types[k / 5];
		enum prog_fn fn = fns[k % 5];
		int64_t dims[PROG_MAX_RANK], wrong = 0;
		uint32_t rank = k_shape(g, 0, 4, dims);
		struct one o;

		if (!is_integer(type) || (fn == PROG_FN_NEG && !is_signed(type)))
			continue;
		one_init(&o, g, PROG_UNARY, (uint32_t)one_range(g, 1, ONE_DEGREE));
		o.op.params.unary.fn = fn;
		k_fill(&o, one_in(&o, type, rank, dims, true));
		if (is_signed(type))	/* the least has no negative */
			memcpy(o.data[0][0], &(int64_t) { type == BRAID_TYPE_I64 ? INT64_MIN :
				type == BRAID_TYPE_I32 ? INT32_MIN :
				type == BRAID_TYPE_I16 ? INT16_MIN : INT8_MIN },
			       prog_type_size(type));
		one_out(&o, type, rank, dims);
		if (k_run(&o, &t)) {
			for (uint32_t r = 0; r < o.degree; r++)
				for (int64_t i = 0; i < o.tensors[0].elems; i++) {
					swide x = wide(type, o.data[0][r], i), y;

					y = fn == PROG_FN_ABS ? (x < 0 ? -x : x) :
					    fn == PROG_FN_NEG ? -x :
					    fn == PROG_FN_SIGN ? (x > 0) - (x < 0) :
					    fn == PROG_FN_RELU ? (x > 0 ? x : 0) : ~x;
					wrong += wide(type, o.data[1][r], i) != wrapped(type, y);
				}
			if (wrong)
				k_bad(&t, "function %d, type %d", fn, type);
		}
		one_free(&o);
	}
	k_report(&t, "unary, integers");
}

static void test_classify(struct one_rng *g)
{
	static const float values[] = { 0, -0.0f, 1, INFINITY, -INFINITY, NAN, -FLT_MAX, 1e-42f };
	struct k_tally t = { 0 };

	for (int k = 0; k < 12; k++) {
		int64_t n = 8;
		bool nan = k % 4 == 0;
		struct one o;

		one_init(&o, g, PROG_UNARY, 1);
		o.op.params.unary.fn = nan ? PROG_FN_ISNAN : PROG_FN_ISINF;
		o.op.params.unary.alpha = k & 1;
		o.op.params.unary.beta = k >> 1 & 1;
		one_in(&o, k < 6 ? BRAID_TYPE_F32 : BRAID_TYPE_F64, 1, &n, true);
		for (int i = 0; i < 8; i++)
			k_put(o.tensors[0].type, o.data[0][0], i, values[i]);
		one_out(&o, BRAID_TYPE_BOOL, 1, &n);
		if (k_run(&o, &t))
			for (int i = 0; i < 8; i++) {
				float v = values[i];
				bool want = nan ? isnan(v) : isinf(v) && (v < 0 ? k & 1 : k >> 1 & 1);

				if (((uint8_t *)o.data[1][0])[i] != want)
					k_bad(&t, "case %d, value %g", k, v);
			}
		one_free(&o);
	}
	k_report(&t, "isnan, isinf");
}

int main(void)
{
	struct one_rng g = { 21 };

	test_unary_float(&g, BRAID_TYPE_F32);
	test_unary_float(&g, BRAID_TYPE_F64);
	test_unary_int(&g);
	test_classify(&g);
	return tap_done();
}
