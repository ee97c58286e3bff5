// SPDX-License-Identifier: MIT
/*
 * UNARY, BINARY and CAST against references in the widest type: every function
 * and type, numpy's broadcast, epilogues, degrees, and the values that trap or
 * overflow.
 */
#include <float.h>
#include <stdio.h>

#include "tests/cpu/k_ref.h"
#include "tests/cpu/ref.h"

static bool is_integer(enum braid_type t)
{
	return t != BRAID_TYPE_F32 && t != BRAID_TYPE_F64 && t != BRAID_TYPE_F16 &&
	       t != BRAID_TYPE_BF16 && t != BRAID_TYPE_BOOL;
}

static bool is_signed(enum braid_type t)
{
	return t == BRAID_TYPE_I8 || t == BRAID_TYPE_I16 || t == BRAID_TYPE_I32 ||
	       t == BRAID_TYPE_I64;
}

/* An integer of any type, exactly. */
static __int128 wide(enum braid_type t, const void *x, int64_t i)
{
	if (t == BRAID_TYPE_I64)
		return ((const int64_t *)x)[i];
	if (t == BRAID_TYPE_U64)
		return ((const uint64_t *)x)[i];
	return (__int128)k_get(t, x, i);
}

/* What is left of @v in type @t. */
static __int128 wrapped(enum braid_type t, __int128 v)
{
	unsigned int bits = 8 * (unsigned int)prog_type_size(t);
	unsigned __int128 u = (unsigned __int128)v & (((unsigned __int128)1 << bits) - 1);

	if (is_signed(t) && u >> (bits - 1))
		return (__int128)u - ((__int128)1 << bits);
	return (__int128)u;
}

/* ---- unary ---- */

static double ref_unary(enum prog_fn fn, double a, double b, double x)
{
	switch (fn) {
	case PROG_FN_ELU: return x < 0 ? a * expm1(x) : x;
	case PROG_FN_SELU: return x > 0 ? b * x : b * a * expm1(x);
	case PROG_FN_CELU: return fmax(x, 0) + fmin(0, a * expm1(x / a));
	case PROG_FN_THRESHOLDED_RELU: return x > a ? x : 0;
	case PROG_FN_SOFTPLUS: return fmax(x, 0) + log1p(exp(-fabs(x)));
	case PROG_FN_SOFTSIGN: return x / (1 + fabs(x));
	case PROG_FN_MISH: return x * tanh(fmax(x, 0) + log1p(exp(-fabs(x))));
	case PROG_FN_SHRINK: return x < -a ? x + b : x > a ? x - b : 0;
	case PROG_FN_ABS: return fabs(x);
	case PROG_FN_NEG: return -x;
	case PROG_FN_SIGN: return (x > 0) - (x < 0);
	case PROG_FN_RECIPROCAL: return 1 / x;
	case PROG_FN_SQRT: return sqrt(x);
	case PROG_FN_EXP: return exp(x);
	case PROG_FN_LOG: return log(x);
	case PROG_FN_ERF: return erf(x);
	case PROG_FN_FLOOR: return floor(x);
	case PROG_FN_CEIL: return ceil(x);
	case PROG_FN_ROUND: return nearbyint(x);
	case PROG_FN_SIN: return sin(x);
	case PROG_FN_COS: return cos(x);
	case PROG_FN_TAN: return tan(x);
	case PROG_FN_ASIN: return asin(x);
	case PROG_FN_ACOS: return acos(x);
	case PROG_FN_ATAN: return atan(x);
	case PROG_FN_SINH: return sinh(x);
	case PROG_FN_COSH: return cosh(x);
	case PROG_FN_ASINH: return asinh(x);
	case PROG_FN_ACOSH: return acosh(x);
	case PROG_FN_ATANH: return atanh(x);
	default: return ref_fn(x, fn, a, b);
	}
}

static bool close_to(double got, double want, double rel)
{
	if (isnan(want) || isnan(got))
		return isnan(want) && isnan(got);
	return got == want || fabs(got - want) <= rel * fmax(fabs(want), 0.3);
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
					__int128 x = wide(type, o.data[0][r], i), y;

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

/* ---- binary ---- */

static double ref_binary_float(enum prog_binary fn, double x, double y)
{
	double m;

	switch (fn) {
	case PROG_BIN_ADD: return x + y;
	case PROG_BIN_SUB: return x - y;
	case PROG_BIN_MUL: return x * y;
	case PROG_BIN_DIV: return x / y;
	case PROG_BIN_POW: return pow(x, y);
	case PROG_BIN_MIN: return isnan(x) || isnan(y) ? NAN : fmin(x, y);
	case PROG_BIN_MAX: return isnan(x) || isnan(y) ? NAN : fmax(x, y);
	case PROG_BIN_MOD:
		m = fmod(x, y);
		return m && (m < 0) != (y < 0) ? m + y : m;
	case PROG_BIN_FMOD: return fmod(x, y);
	case PROG_BIN_PRELU: return x < 0 ? x * y : x;
	case PROG_BIN_EQUAL: return x == y;
	case PROG_BIN_LESS: return x < y;
	case PROG_BIN_LESS_EQUAL: return x <= y;
	case PROG_BIN_GREATER: return x > y;
	default: return x >= y;
	}
}

static __int128 ref_binary_int(enum prog_binary fn, enum braid_type t, __int128 x, __int128 y)
{
	int bits = 8 * (int)prog_type_size(t);
	__int128 m, p = 1;

	switch (fn) {
	case PROG_BIN_ADD: return x + y;
	case PROG_BIN_SUB: return x - y;
	case PROG_BIN_MUL: return (__int128)((unsigned __int128)x * (unsigned __int128)y);
	case PROG_BIN_DIV: return y ? x / y : 0;
	case PROG_BIN_POW:
		if (y < 0)
			return x == 1 ? 1 : x == -1 ? (y & 1 ? -1 : 1) : 0;
		for (; y; y--)
			p = wrapped(t, (__int128)((unsigned __int128)p * (unsigned __int128)x));
		return p;
	case PROG_BIN_MIN: return x < y ? x : y;
	case PROG_BIN_MAX: return x > y ? x : y;
	case PROG_BIN_MOD:
		m = y ? x % y : 0;
		return m && (m < 0) != (y < 0) ? m + y : m;
	case PROG_BIN_FMOD: return y ? x % y : 0;
	case PROG_BIN_PRELU: return x < 0 ? x * y : x;
	case PROG_BIN_SHIFT_LEFT: return y < 0 || y >= bits ? 0 : (__int128)((unsigned __int128)x << y);
	case PROG_BIN_SHIFT_RIGHT: return y < 0 || y >= bits ? 0 : x >> y;
	case PROG_BIN_BIT_AND:
	case PROG_BIN_AND: return x & y;
	case PROG_BIN_BIT_OR:
	case PROG_BIN_OR: return x | y;
	case PROG_BIN_BIT_XOR:
	case PROG_BIN_XOR: return x ^ y;
	case PROG_BIN_EQUAL: return x == y;
	case PROG_BIN_LESS: return x < y;
	case PROG_BIN_LESS_EQUAL: return x <= y;
	case PROG_BIN_GREATER: return x > y;
	default: return x >= y;
	}
}

static bool to_bool(enum prog_binary fn)
{
	return fn >= PROG_BIN_EQUAL && fn <= PROG_BIN_GREATER_EQUAL;
}

/* Two shapes that broadcast to @y, by the patterns that networks have and at random. */
static void bcast_shapes(struct one_rng *g, uint32_t rank, const int64_t *y, uint32_t n_rank[2],
			 int64_t x[2][PROG_MAX_RANK])
{
	int64_t pattern = one_range(g, 0, 5);
	int small = (int)one_range(g, 0, 1);

	for (int k = 0; k < 2; k++) {
		n_rank[k] = rank;
		memcpy(x[k], y, sizeof(x[k]));
	}
	for (uint32_t d = 0; d < rank; d++) {
		if (pattern == 1)
			x[small][d] = 1;				/* scalar */
		else if (pattern == 2 && d + 1 < rank)
			x[small][d] = 1;				/* channel */
		else if (pattern == 3 && d && d + 1 < rank)
			x[small][d] = 1;				/* squeeze-excite */
		else if (pattern == 4 && d + 1 == rank)
			x[small][d] = 1;
		else if (pattern == 5 && one_range(g, 0, 1))
			x[one_range(g, 0, 1)][d] = 1;
	}
	if ((pattern == 1 || pattern == 2) && rank > 1)
		n_rank[small] = pattern == 1 ? (uint32_t)one_range(g, 0, rank) : 1;
}

static void binary_case(struct one_rng *g, struct k_tally *t, enum prog_binary fn,
			enum braid_type type, bool epilogue)
{
	int64_t y[PROG_MAX_RANK], x[2][PROG_MAX_RANK], c[PROG_MAX_RANK], wrong = 0;
	uint32_t rank = k_shape(g, 0, 5, y), n_rank[2];
	enum braid_type out = to_bool(fn) ? BRAID_TYPE_BOOL : type;
	const struct prog_tensor *ty;
	struct one o;

	bcast_shapes(g, rank, y, n_rank, x);
	one_init(&o, g, PROG_BINARY, (uint32_t)one_range(g, 1, ONE_DEGREE));
	o.op.params.binary = fn;
	for (int k = 0; k < 2; k++) {
		uint32_t n = one_in(&o, type, n_rank[k], x[k] + rank - n_rank[k], true);

		if (type == BRAID_TYPE_F32 || type == BRAID_TYPE_F64)
			k_fill_range(&o, n, fn == PROG_BIN_POW ? 0 : -6, 6);
		else if (one_range(g, 0, 1) && type != BRAID_TYPE_BOOL)
			k_fill_range(&o, n, is_signed(type) ? -3 : 0, 9);
		else if (fn == PROG_BIN_POW && k)
			k_fill_range(&o, n, is_signed(type) ? -2 : 0, 70);
		else
			k_fill(&o, n);
	}
	if (fn == PROG_BIN_POW && one_range(g, 0, 2) == 0 && type == BRAID_TYPE_F32)
		for (uint32_t r = 0; r < o.degree; r++)
			((float *)o.data[o.in[1]][r])[0] = one_range(g, 0, 1) ? 2 : 0.5f;
	/* the broadcast shape is what the inputs make of it */
	for (uint32_t d = 0; d < rank; d++)
		y[d] = x[0][d] > x[1][d] ? x[0][d] : x[1][d];
	ty = k_tensor(&o, one_out(&o, out, rank, y));
	if (epilogue)
		ref_epilogue(&o, g, rank, y);
	if (k_run(&o, t)) {
		const struct prog_tensor *ta = k_tensor(&o, o.in[0]), *tb = k_tensor(&o, o.in[1]);

		for (uint32_t r = 0; r < o.degree; r++)
			for (int64_t i = 0; i < ty->elems; i++) {
				const void *a = o.data[o.in[0]][r], *b = o.data[o.in[1]][r];
				const void *got = o.data[o.out[0]][r];
				int64_t ia, ib;

				k_coord(ty, i, c);
				ia = k_at_bcast(ta, rank, c);
				ib = k_at_bcast(tb, rank, c);
				if (type == BRAID_TYPE_F32 || type == BRAID_TYPE_F64) {
					double want = ref_binary_float(fn, k_get(type, a, ia),
								       k_get(type, b, ib));

					if (epilogue)
						want = ref_store(&o, want, r, i);
					wrong += !close_to(k_get(out, got, i), want, 3e-6);
				} else {
					__int128 want = ref_binary_int(fn, type, wide(type, a, ia),
								       wide(type, b, ib));

					wrong += wide(out, got, i) !=
						 (out == BRAID_TYPE_BOOL ? want : wrapped(out, want));
				}
			}
		if (wrong)
			k_bad(t, "function %d, type %d, rank %u, epilogue %d: %lld elements", fn,
			      type, rank, epilogue, (long long)wrong);
	}
	one_free(&o);
}

static bool binary_sensible(enum prog_binary fn, enum braid_type t)
{
	bool logic = fn >= PROG_BIN_AND && fn <= PROG_BIN_XOR;
	bool bits = fn >= PROG_BIN_SHIFT_LEFT;

	if (t == BRAID_TYPE_F16 || t == BRAID_TYPE_BF16)
		return false;
	if (t == BRAID_TYPE_BOOL)
		return logic || fn == PROG_BIN_EQUAL;
	return !logic && (!bits || is_integer(t));
}

static void test_binary(struct one_rng *g)
{
	struct k_tally t = { 0 }, e = { 0 };

	for (enum prog_binary fn = 0; fn < PROG_BINS; fn++)
		for (uint32_t k = 0; k < K_TYPES; k++)
			for (int n = 0; n < (k_types[k] == BRAID_TYPE_F32 ? 16 : 3); n++)
				if (binary_sensible(fn, k_types[k]))
					binary_case(g, &t, fn, k_types[k], false);
	k_report(&t, "binary, every function and type");
	for (int n = 0; n < 150; n++)
		binary_case(g, &e, (enum prog_binary)one_range(g, 0, 2), BRAID_TYPE_F32, true);
	k_report(&e, "binary with epilogues");
}

/* The base's type is the result's, the exponent's may be another. */
static void test_mixed_pow(struct one_rng *g)
{
	static const enum braid_type types[] = { BRAID_TYPE_F32, BRAID_TYPE_F64, BRAID_TYPE_I32,
						 BRAID_TYPE_I64, BRAID_TYPE_U32, BRAID_TYPE_U64 };
	struct k_tally t = { 0 };
	int64_t n = 40;

	for (int k = 0; k < 36; k++) {
		enum braid_type ta = types[k / 6], tb = types[k % 6];
		struct one o;

		one_init(&o, g, PROG_BINARY, 2);
		o.op.params.binary = PROG_BIN_POW;
		k_fill_range(&o, one_in(&o, ta, 1, &n, true), 0, 5);
		k_fill_range(&o, one_in(&o, tb, 1, &n, true), 0, 4);
		one_out(&o, ta, 1, &n);
		if (k_run(&o, &t))
			for (int64_t i = 0; i < n; i++)
				if (!close_to(k_get(ta, o.data[2][1], i),
					      pow(k_get(ta, o.data[0][1], i),
						  k_get(tb, o.data[1][1], i)), 1e-6))
					k_bad(&t, "types %d and %d", ta, tb);
		one_free(&o);
	}
	k_report(&t, "pow of mixed types");
}

/* ---- cast ---- */

static float from_half(uint16_t h)
{
	float m = (float)(h & 0x3ff);
	int e = h >> 10 & 31;

	if (e == 31)
		m = m ? NAN : INFINITY;
	else
		m = e ? ldexpf(m + 1024, e - 25) : ldexpf(m, -24);
	return h & 0x8000 ? -m : m;
}

static double as_number(enum braid_type t, const void *x, int64_t i)
{
	uint32_t bits;
	float f;

	if (t == BRAID_TYPE_F16)
		return from_half(((const uint16_t *)x)[i]);
	if (t != BRAID_TYPE_BF16)
		return k_get(t, x, i);
	bits = (uint32_t)((const uint16_t *)x)[i] << 16;
	memcpy(&f, &bits, sizeof(f));
	return f;
}

/* The neighbours of a 16-bit float are no nearer to @want than it is. */
static bool nearest16(enum braid_type t, uint16_t got, double want)
{
	double v = as_number(t, &got, 0), most = t == BRAID_TYPE_F16 ? 65504 : 0x1.fep127;
	double step = t == BRAID_TYPE_F16 ? 32 : 0x1p120;

	if (isnan(want))
		return isnan(v);
	if (isinf(v))
		return copysign(1, v) == copysign(1, want) && fabs(want) >= most + step / 2;
	for (int d = -1; d <= 1; d += 2) {
		uint16_t near = (uint16_t)(got + d);
		double u = as_number(t, &near, 0);

		if (isnan(u) || isinf(u) || u * v < 0)
			continue;
		if (fabs(u - want) < fabs(v - want))
			return false;
		if (fabs(u - want) == fabs(v - want) && (got & 1))
			return false;
	}
	return fabs(want) < most + step;
}

static double limit(enum braid_type t, bool high)
{
	int bits = 8 * (int)prog_type_size(t);

	if (is_signed(t))
		return high ? ldexp(1, bits - 1) - (bits < 64) : -ldexp(1, bits - 1);
	return high ? ldexp(1, bits) - (bits < 64) : 0;
}

static bool cast_right(enum braid_type from, const void *x, enum braid_type to, const void *y,
		       int64_t i)
{
	double v = as_number(from, x, i), want;

	if (from == BRAID_TYPE_BOOL)
		v = v != 0;
	if (to == BRAID_TYPE_BOOL)
		return ((const uint8_t *)y)[i] == (v != 0);
	if (to == BRAID_TYPE_F16 || to == BRAID_TYPE_BF16)
		return nearest16(to, ((const uint16_t *)y)[i], v);
	if (to == BRAID_TYPE_F64)
		return close_to(k_get(to, y, i), v, 0);
	if (to == BRAID_TYPE_F32) {
		if (fabs(v) > 0x1.ffffffp127)
			v = copysign(INFINITY, v);
		return close_to(k_get(to, y, i), is_integer(from) ? (float)wide(from, x, i) : (float)v, 0);
	}
	if (is_integer(from) || from == BRAID_TYPE_BOOL)
		return wide(to, y, i) == wrapped(to, from == BRAID_TYPE_BOOL ? v != 0 :
						 wide(from, x, i));
	want = isnan(v) ? 0 : trunc(v);
	if (want >= limit(to, true))
		return k_get(to, y, i) == limit(to, true);
	return k_get(to, y, i) == fmax(want, limit(to, false));
}

static void test_cast(struct one_rng *g)
{
	static const double special[] = {
		0, -0.0, 0.5, -0.5, 1.5, 2.5, 127, 128, 255, 256, -1, -128.5, -129, 65504, 65519,
		65520, 1e-8, 5.96e-8, 2.98e-8, 6.1e-5, 2147483647, 2147483648, -2147483649.0,
		9.3e18, -9.3e18, 1.9e19, 1e30, -1e30, 1e-40, 3.4e38, 3.39e38, 1e300, INFINITY,
		-INFINITY, NAN,
	};
	struct k_tally t = { 0 };

	for (uint32_t k = 0; k < K_TYPES * K_TYPES * 2; k++) {
		enum braid_type from = k_types[k / 2 % K_TYPES], to = k_types[k / 2 / K_TYPES];
		int64_t n = one_range(g, 1, 700), wrong = 0;
		struct one o;

		one_init(&o, g, PROG_CAST, (uint32_t)one_range(g, 1, ONE_DEGREE));
		one_in(&o, from, 1, &n, true);
		k_fill(&o, 0);
		if ((k & 1) && (from == BRAID_TYPE_F32 || from == BRAID_TYPE_F64))
			for (int64_t i = 0; i < n && i < 35; i++)
				for (uint32_t r = 0; r < o.degree; r++) {
					if (from == BRAID_TYPE_F32 && fabs(special[i]) > 3.4e38)
						continue;
					k_put(from, o.data[0][r], i, special[i]);
				}
		if ((k & 1) && is_integer(from))
			k_fill_range(&o, 0, is_signed(from) ? -100 : 0, 100);
		one_out(&o, to, 1, &n);
		if (k_run(&o, &t)) {
			for (uint32_t r = 0; r < o.degree; r++)
				for (int64_t i = 0; i < n; i++)
					wrong += !cast_right(from, o.data[0][r], to, o.data[1][r], i);
			if (wrong)
				k_bad(&t, "type %d to %d: %lld of %lld", from, to,
				      (long long)wrong, (long long)n * o.degree);
		}
		one_free(&o);
	}
	k_report(&t, "cast, every pair of types");
}

int main(void)
{
	struct one_rng g = { 21 };

	test_unary_float(&g, BRAID_TYPE_F32);
	test_unary_float(&g, BRAID_TYPE_F64);
	test_unary_int(&g);
	test_classify(&g);
	test_binary(&g);
	test_mixed_pow(&g);
	test_cast(&g);
	return tap_done();
}
