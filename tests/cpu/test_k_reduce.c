// SPDX-License-Identifier: MIT
/*
 * REDUCE over every set of axes, CUMSUM, LRN, QUANTIZE and DEQUANTIZE against
 * plain loops in double; and what must be refused by name.
 */
#include "tests/cpu/k_ref.h"

#define CASES	300

static bool near(double got, double want, double rel)
{
	if (isnan(want) || isnan(got))
		return isnan(want) && isnan(got);
	return got == want || fabs(got - want) <= rel * fmax(fabs(want), 1);
}

static const enum braid_type numbers[] = {
	BRAID_TYPE_F32, BRAID_TYPE_F32, BRAID_TYPE_F32, BRAID_TYPE_F64, BRAID_TYPE_I32,
	BRAID_TYPE_I64, BRAID_TYPE_U32, BRAID_TYPE_U64,
};

/* Reduce what output element @i is made of; two passes for the exponentials. */
static double ref_reduce(struct one *o, uint32_t r, int64_t i)
{
	const struct prog_tensor *x = k_tensor(o, 0), *y = k_tensor(o, 1);
	const struct prog_reduce_params *p = &o->op.params.reduce;
	int64_t c[PROG_MAX_RANK], n = 1;
	double a = 0, most = -INFINITY;

	for (uint32_t d = 0; d < x->rank; d++)
		if (p->axes >> d & 1)
			n *= x->dims[d];
	for (int pass = 0; pass < 2; pass++) {
		for (int64_t k = 0; k < n; k++) {
			int64_t rest = k;
			double v;

			k_coord(y, i, c);
			for (uint32_t d = 0; d < x->rank; d++)
				if (p->axes >> d & 1) {
					c[d] = rest % x->dims[d];
					rest /= x->dims[d];
				}
			v = k_get(x->type, o->data[0][r], k_at(x, c));
			if (!pass) {
				most = fmax(most, v);
				continue;
			}
			switch (p->fn) {
			case PROG_RED_MAX:
				a = k && !(v > a) && !isnan(v) ? a : v;
				break;
			case PROG_RED_MIN:
				a = k && !(v < a) && !isnan(v) ? a : v;
				break;
			case PROG_RED_PROD:
				a = k ? a * v : v;
				break;
			case PROG_RED_L1:
				a += fabs(v);
				break;
			case PROG_RED_L2:
			case PROG_RED_SUM_SQUARE:
				a += v * v;
				break;
			case PROG_RED_LOG_SUM_EXP:
				a += exp(v - most);
				break;
			default:
				a += v;
			}
		}
	}
	switch (p->fn) {
	case PROG_RED_MEAN: return a / (double)n;
	case PROG_RED_L2: return sqrt(a);
	case PROG_RED_LOG_SUM: return log(a);
	case PROG_RED_LOG_SUM_EXP: return most + log(a);
	default: return a;
	}
}

static void reduce_case(struct one_rng *g, struct k_tally *t, enum braid_type type,
			uint32_t rank, const int64_t *x, uint32_t axes)
{
	int64_t y[PROG_MAX_RANK], wrong = 0, at = 0, n;
	uint32_t who = 0;
	bool is_float = type == BRAID_TYPE_F32 || type == BRAID_TYPE_F64;
	struct one o;

	one_init(&o, g, PROG_REDUCE, (uint32_t)one_range(g, 1, ONE_DEGREE));
	o.op.params.reduce.fn = (enum prog_reduce)one_range(g, 0, PROG_REDS - 1);
	o.op.params.reduce.axes = axes;
	for (uint32_t d = 0; d < rank; d++)
		y[d] = axes >> d & 1 ? 1 : x[d];
	one_in(&o, type, rank, x, true);
	if (o.op.params.reduce.fn == PROG_RED_PROD || !is_float)
		k_fill_range(&o, 0, 1, o.op.params.reduce.fn == PROG_RED_PROD ? 1 : 3);
	else if (type == BRAID_TYPE_F64 || o.op.params.reduce.fn == PROG_RED_LOG_SUM)
		k_fill_range(&o, 0, 1, 9);
	if (o.op.params.reduce.fn == PROG_RED_PROD)
		for (uint32_t r = 0; r < o.degree; r++)
			k_put(type, o.data[0][r], o.tensors[0].elems / 2, 2 + r % 2);
	one_out(&o, type, rank, y);
	n = o.tensors[0].elems / o.tensors[1].elems;
	if (k_run(&o, t)) {
		for (uint32_t r = 0; r < o.degree; r++)
			for (int64_t i = 0; i < o.tensors[1].elems; i++) {
				double want = ref_reduce(&o, r, i);

				if (!is_float)
					want = trunc(want);
				/* what cancels in a sum cannot come back */
				if (!near(k_get(type, o.data[1][r], i), want,
					  2e-6 * fmax(1, 0.05 * (double)n))) {
					wrong++;
					at = i;
					who = r;
				}
			}
		if (wrong)
			k_bad(t, "function %d, type %d, rank %u, axes %x: %lld elements, one: %g for %g",
			      o.op.params.reduce.fn, type, rank, axes, (long long)wrong,
			      k_get(type, o.data[1][who], at), ref_reduce(&o, who, at));
	}
	one_free(&o);
}

static void test_reduce(struct one_rng *g)
{
	struct k_tally t = { 0 }, big = { 0 };
	int64_t x[PROG_MAX_RANK];

	for (int k = 0; k < 2 * CASES; k++) {
		uint32_t rank = k_shape(g, 0, 5, x);

		reduce_case(g, &t, numbers[one_range(g, 0, 7)], rank, x,
			    (uint32_t)one_range(g, 0, (1 << rank) - 1));
	}
	k_report(&t, "reduce");
	for (int k = 0; k < 40; k++) {
		static const struct { int64_t x[4]; uint32_t axes; } shapes[] = {
			{ { 2, 49, 7, 320 }, 6 }, { { 1, 112, 112, 16 }, 6 }, { { 3, 7, 7, 2049 }, 6 },
			{ { 1, 1, 5, 30000 }, 8 }, { { 60, 1, 60, 60 }, 15 }, { { 9, 33, 8, 65 }, 5 },
			{ { 9, 33, 8, 65 }, 10 }, { { 1, 128, 1, 384 }, 8 },
		};

		reduce_case(g, &big, BRAID_TYPE_F32, 4, shapes[k % 8].x, shapes[k % 8].axes);
	}
	k_report(&big, "reduce, large");
}

/* NaN goes through, infinities do not turn into NaN. */
static void test_reduce_special(struct one_rng *g)
{
	static const enum prog_reduce fns[] = { PROG_RED_MAX, PROG_RED_MIN, PROG_RED_SUM,
						PROG_RED_LOG_SUM_EXP };

	for (int k = 0; k < 4; k++) {
		int64_t x = 100, y = 1;
		struct k_tally t = { 0 };
		struct one o;
		float got;

		one_init(&o, g, PROG_REDUCE, 1);
		o.op.params.reduce = (struct prog_reduce_params) { fns[k], 1 };
		one_in(&o, BRAID_TYPE_F32, 1, &x, true);
		one_f(&o, 0, 0)[70] = k < 3 ? NAN : -INFINITY;
		if (k == 3)
			one_f(&o, 0, 0)[71] = INFINITY;
		one_out(&o, BRAID_TYPE_F32, 1, &y);
		k_run(&o, &t);
		got = one_f(&o, 1, 0)[0];
		ok(!t.bad && (k < 3 ? isnan(got) : got == INFINITY), "reduction %d: %s", fns[k],
		   k < 3 ? "NaN" : "infinity");
		one_free(&o);
	}
}

/* The sum that element @c has; changes @c. */
static double ref_cumsum(const struct one *o, uint32_t r, int64_t *c)
{
	const struct prog_cumsum *p = &o->op.params.cumsum;
	const struct prog_tensor *x = k_tensor(o, 0);
	int64_t at = c[p->axis];
	double sum = 0;

	for (int64_t j = 0; j < x->dims[p->axis]; j++) {
		bool in = p->reverse ? j > at : j < at;

		c[p->axis] = j;
		if (in || (j == at && !p->exclusive))
			sum += k_get(x->type, o->data[0][r], k_at(x, c));
	}
	return sum;
}

static void test_cumsum(struct one_rng *g)
{
	struct k_tally t = { 0 };

	for (int k = 0; k < CASES; k++) {
		int64_t x[PROG_MAX_RANK], wrong = 0;
		uint32_t rank = k_shape(g, 1, 4, x);
		enum braid_type type = numbers[one_range(g, 0, 7)];
		struct prog_cumsum p = { (int32_t)one_range(g, 0, rank - 1), one_range(g, 0, 1),
					 one_range(g, 0, 1) };
		struct one o;

		one_init(&o, g, PROG_CUMSUM, (uint32_t)one_range(g, 1, ONE_DEGREE));
		o.op.params.cumsum = p;
		k_fill_range(&o, one_in(&o, type, rank, x, true), 0, 9);
		one_out(&o, type, rank, x);
		if (k_run(&o, &t)) {
			for (uint32_t r = 0; r < o.degree; r++)
				for (int64_t i = 0; i < o.tensors[0].elems; i++) {
					int64_t c[PROG_MAX_RANK];

					k_coord(k_tensor(&o, 0), i, c);
					wrong += k_get(type, o.data[1][r], i) !=
						 ref_cumsum(&o, r, c);
				}
			if (wrong)
				k_bad(&t, "type %d: %lld elements", type, (long long)wrong);
		}
		one_free(&o);
	}
	k_report(&t, "cumsum");
}

static double ref_lrn(const struct prog_lrn *p, const float *v, int64_t n, int64_t at)
{
	double s = 0;

	for (int64_t j = 0; j < n; j++)
		if (j >= at - (p->size - 1) / 2 && j <= at + p->size / 2)
			s += (double)v[j] * v[j];
	return v[at] / pow(p->bias + p->alpha / p->size * s, p->beta);
}

static void test_lrn(struct one_rng *g)
{
	struct k_tally t = { 0 };

	for (int k = 0; k < CASES / 3; k++) {
		int64_t x[PROG_MAX_RANK], wrong = 0;
		uint32_t rank = k_shape(g, 2, 4, x);
		struct prog_lrn p = { (int32_t)one_range(g, 1, 7), 0.5f + one_float(g) / 4, 0.75f,
				      1.5f + one_float(g) };
		int64_t n = x[rank - 1];
		struct one o;

		if (!one_range(g, 0, 9))
			p.size = INT32_MAX;
		one_init(&o, g, PROG_LRN, (uint32_t)one_range(g, 1, ONE_DEGREE));
		o.op.params.lrn = p;
		one_in(&o, BRAID_TYPE_F32, rank, x, true);
		one_out(&o, BRAID_TYPE_F32, rank, x);
		if (k_run(&o, &t)) {
			for (uint32_t r = 0; r < o.degree; r++)
				for (int64_t i = 0; i < o.tensors[0].elems; i++) {
					const float *v = one_f(&o, 0, r) + i / n * n;

					wrong += !near(one_f(&o, 1, r)[i],
						       ref_lrn(&p, v, n, i % n), 2e-6);
				}
			if (wrong)
				k_bad(&t, "size %d: %lld elements", p.size, (long long)wrong);
		}
		one_free(&o);
	}
	k_report(&t, "lrn");
}

static void quantize_case(struct one_rng *g, struct k_tally *t, bool to)
{
	static const enum braid_type types[] = { BRAID_TYPE_U8, BRAID_TYPE_I8, BRAID_TYPE_U16,
						 BRAID_TYPE_I16, BRAID_TYPE_I32 };
	enum braid_type q = types[one_range(g, 0, to ? 3 : 4)];
	enum braid_type tx = to ? BRAID_TYPE_F32 : q, ty = to ? q : BRAID_TYPE_F32;
	double lo = q == BRAID_TYPE_I8 ? -128 : q == BRAID_TYPE_I16 ? -32768 : 0;
	double hi = q == BRAID_TYPE_I8 ? 127 : q == BRAID_TYPE_I16 ? 32767 :
		    q == BRAID_TYPE_U8 ? 255 : 65535;
	int64_t x[PROG_MAX_RANK], wrong = 0, n = 1, inner = 1;
	uint32_t rank = k_shape(g, 1, 4, x), axis = (uint32_t)one_range(g, 0, rank - 1);
	bool zero = one_range(g, 0, 1);
	struct one o;

	one_init(&o, g, to ? PROG_QUANTIZE : PROG_DEQUANTIZE, (uint32_t)one_range(g, 1, ONE_DEGREE));
	o.op.params.axis = (int32_t)axis;
	if (one_range(g, 0, 1))
		n = x[axis];
	for (uint32_t d = axis + 1; d < rank; d++)
		inner *= x[d];
	one_in(&o, tx, rank, x, true);
	if (to)
		k_fill_range(&o, 0, -1000, 1000);
	else
		k_fill(&o, 0);
	k_fill_range(&o, one_in(&o, BRAID_TYPE_F32, 1, &n, true), 1, 7);
	if (zero)
		k_fill_range(&o, one_in(&o, q, 1, &n, true), 0, 100);
	one_out(&o, ty, rank, x);
	if (k_run(&o, t)) {
		for (uint32_t r = 0; r < o.degree; r++)
			for (int64_t i = 0; i < o.tensors[0].elems; i++) {
				int64_t k = n == 1 ? 0 : i / inner % n;
				double v = k_get(tx, o.data[0][r], i);
				double s = one_f(&o, 1, r)[k];
				double z = zero ? k_get(q, o.data[2][r], k) : 0, want;

				want = to ? fmin(fmax(nearbyint((float)v / (float)s) + z, lo), hi) :
				       (v - z) * s;
				wrong += !near(k_get(ty, o.data[o.out[0]][r], i), want, 1e-7);
			}
		if (wrong)
			k_bad(t, "type %d, scales %lld: %lld elements", q, (long long)n,
			      (long long)wrong);
	}
	one_free(&o);
}

static void test_quantize(struct one_rng *g)
{
	struct k_tally t = { 0 }, d = { 0 };

	for (int k = 0; k < CASES / 2; k++) {
		quantize_case(g, &t, true);
		quantize_case(g, &d, false);
	}
	k_report(&t, "quantize");
	k_report(&d, "dequantize");
}

/* One operation on @type: must be refused, by operator and node. */
static void refused(struct one_rng *g, enum prog_kind kind, enum braid_type type,
		    uint32_t inputs, int param, const char *what)
{
	int64_t n = 4;
	char why[WHY] = "";
	struct one o;
	int err;

	one_init(&o, g, kind, 1);
	if (kind == PROG_UNARY)
		o.op.params.unary.fn = (enum prog_fn)param;
	else if (kind == PROG_BINARY)
		o.op.params.binary = (enum prog_binary)param;
	else if (kind == PROG_REDUCE)
		o.op.params.reduce = (struct prog_reduce_params) { (enum prog_reduce)param, 1 };
	for (uint32_t i = 0; i < inputs; i++)
		one_in(&o, type, 1, &n, false);
	one_out(&o, type, 1, &n);
	err = one_run(&o, why, sizeof(why));
	if (!ok(err == -EOPNOTSUPP && strstr(why, "'one'") && strstr(why, prog_kind_name(kind)),
		"%s is refused", what))
		diag("%d: %s", err, why);
	one_free(&o);
}

static void test_refused(struct one_rng *g)
{
	refused(g, PROG_UNARY, BRAID_TYPE_F16, 1, PROG_FN_EXP, "exp of f16");
	refused(g, PROG_UNARY, BRAID_TYPE_I32, 1, PROG_FN_EXP, "exp of int32");
	refused(g, PROG_UNARY, BRAID_TYPE_F32, 1, PROG_FN_NOT, "not of float");
	refused(g, PROG_UNARY, BRAID_TYPE_U8, 1, PROG_FN_NEG, "neg of uint8");
	refused(g, PROG_UNARY, BRAID_TYPE_F32, 1, PROG_FNS, "an unknown function");
	refused(g, PROG_BINARY, BRAID_TYPE_BF16, 2, PROG_BIN_ADD, "add of bf16");
	refused(g, PROG_BINARY, BRAID_TYPE_BOOL, 2, PROG_BIN_ADD, "add of bool");
	refused(g, PROG_BINARY, BRAID_TYPE_F32, 2, PROG_BIN_BIT_AND, "bit-and of float");
	refused(g, PROG_BINARY, BRAID_TYPE_F32, 2, PROG_BINS, "an unknown function of two");
	refused(g, PROG_REDUCE, BRAID_TYPE_F16, 1, PROG_RED_SUM, "sum of f16");
	refused(g, PROG_REDUCE, BRAID_TYPE_U16, 1, PROG_RED_SUM, "sum of uint16");
	refused(g, PROG_CUMSUM, BRAID_TYPE_I8, 1, 0, "cumsum of int8");
	refused(g, PROG_TOPK, BRAID_TYPE_F16, 1, 0, "topk of f16");
	refused(g, PROG_ARGREDUCE, BRAID_TYPE_BOOL, 1, 0, "argmax of bool");
	refused(g, PROG_LRN, BRAID_TYPE_F64, 1, 0, "lrn of double");
	refused(g, PROG_GATHER, BRAID_TYPE_F32, 2, 0, "gather by floats");
	refused(g, PROG_SCATTER_ND, BRAID_TYPE_F32, 3, 0, "scatter by floats");
	refused(g, PROG_QUANTIZE, BRAID_TYPE_F32, 2, 0, "quantize to float");
	refused(g, PROG_DEQUANTIZE, BRAID_TYPE_F32, 2, 0, "dequantize of float");
}

int main(void)
{
	struct one_rng g = { 23 };

	test_reduce(&g);
	test_reduce_special(&g);
	test_cumsum(&g);
	test_lrn(&g);
	test_quantize(&g);
	test_refused(&g);
	return tap_done();
}
