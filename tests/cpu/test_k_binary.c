// SPDX-License-Identifier: MIT
/*
 * BINARY against references in the widest type: every function and type,
 * numpy's broadcast, epilogues, degrees, and the values that trap or overflow.
 */
#include "tests/cpu/k_number.h"
#include "tests/cpu/ref.h"

static double ref_binary_float(enum prog_binary fn, double x, double y)
{
	double m;

	switch (fn) {
	case PROG_BIN_ADD:
		return x + y;
	case PROG_BIN_SUB:
		return x - y;
	case PROG_BIN_MUL:
		return x * y;
	case PROG_BIN_DIV:
		return x / y;
	case PROG_BIN_POW:
		return pow(x, y);
	case PROG_BIN_MIN:
		return isnan(x) || isnan(y) ? NAN : fmin(x, y);
	case PROG_BIN_MAX:
		return isnan(x) || isnan(y) ? NAN : fmax(x, y);
	case PROG_BIN_MOD:
		m = fmod(x, y);
		return m && (m < 0) != (y < 0) ? m + y : m;
	case PROG_BIN_FMOD:
		return fmod(x, y);
	case PROG_BIN_PRELU:
		return x < 0 ? x * y : x;
	case PROG_BIN_EQUAL:
		return x == y;
	case PROG_BIN_LESS:
		return x < y;
	case PROG_BIN_LESS_EQUAL:
		return x <= y;
	case PROG_BIN_GREATER:
		return x > y;
	default:
		return x >= y;
	}
}

static swide ref_binary_int(enum prog_binary fn, enum braid_type t, swide x, swide y)
{
	int bits = 8 * (int)prog_type_size(t);
	swide m, p = 1;

	switch (fn) {
	case PROG_BIN_ADD:
		return x + y;
	case PROG_BIN_SUB:
		return x - y;
	case PROG_BIN_MUL:
		return (swide)((uwide)x * (uwide)y);
	case PROG_BIN_DIV:
		return y ? x / y : 0;
	case PROG_BIN_POW:
		if (y < 0)
			return x == 1 ? 1 : x == -1 ? (y & 1 ? -1 : 1) : 0;
		for (; y; y--)
			p = wrapped(t, (swide)((uwide)p * (uwide)x));
		return p;
	case PROG_BIN_MIN:
		return x < y ? x : y;
	case PROG_BIN_MAX:
		return x > y ? x : y;
	case PROG_BIN_MOD:
		m = y ? x % y : 0;
		return m && (m < 0) != (y < 0) ? m + y : m;
	case PROG_BIN_FMOD:
		return y ? x % y : 0;
	case PROG_BIN_PRELU:
		return x < 0 ? x * y : x;
	case PROG_BIN_SHIFT_LEFT:
		return y < 0 || y >= bits ? 0 : (swide)((uwide)x << y);
	case PROG_BIN_SHIFT_RIGHT:
		return y < 0 || y >= bits ? 0 : x >> y;
	case PROG_BIN_BIT_AND:
	case PROG_BIN_AND:
		return x & y;
	case PROG_BIN_BIT_OR:
	case PROG_BIN_OR:
		return x | y;
	case PROG_BIN_BIT_XOR:
	case PROG_BIN_XOR:
		return x ^ y;
	case PROG_BIN_EQUAL:
		return x == y;
	case PROG_BIN_LESS:
		return x < y;
	case PROG_BIN_LESS_EQUAL:
		return x <= y;
	case PROG_BIN_GREATER:
		return x > y;
	default:
		return x >= y;
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
					swide want = ref_binary_int(fn, type, wide(type, a, ia),
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

int main(void)
{
	struct one_rng g = { 22 };

	test_binary(&g);
	test_mixed_pow(&g);
	return tap_done();
}
