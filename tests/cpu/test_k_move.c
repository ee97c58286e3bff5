// SPDX-License-Identifier: MIT
/*
 * Kinds that move elements, against plain loops over coordinates: TRANSPOSE,
 * COPY, SLICE, EXPAND, TILE, CONCAT, PAD, WHERE, TRILU; any type, shape, degree.
 */
#include "tests/cpu/k_ref.h"

#define CASES	250

/* Is element @i of output request @r the same as element @at of tensor @t? */
static bool same_elem(struct one *o, uint32_t r, int64_t i, uint32_t t, int64_t at)
{
	size_t size = prog_type_size(o->tensors[o->out[0]].type);

	return !memcmp((uint8_t *)o->data[o->out[0]][r] + i * (int64_t)size,
		       (uint8_t *)o->data[t][r] + at * (int64_t)size, size);
}

/* Where output coordinates @c come from in input 0; -1: nothing to compare. */
typedef int64_t (*source_fn)(struct one *o, const int64_t *c);

static void check(struct one *o, struct k_tally *t, source_fn source)
{
	const struct prog_tensor *y = k_tensor(o, o->out[0]);
	int64_t c[PROG_MAX_RANK], wrong = 0;

	if (!k_run(o, t))
		return;
	for (uint32_t r = 0; r < o->degree; r++)
		for (int64_t i = 0; i < y->elems; i++) {
			int64_t at;

			k_coord(y, i, c);
			at = source(o, c);
			wrong += at >= 0 && !same_elem(o, r, i, o->in[0], at);
		}
	if (wrong)
		k_bad(t, "%lld of %lld elements, rank %u, type %d", (long long)wrong,
		      (long long)y->elems * o->degree, y->rank, y->type);
}

static int64_t transpose_source(struct one *o, const int64_t *c)
{
	int64_t s[PROG_MAX_RANK];
	const struct prog_tensor *x = k_tensor(o, o->in[0]);

	for (uint32_t i = 0; i < x->rank; i++)
		s[o->op.params.perm[i]] = c[i];
	return k_at(x, s);
}

static void transpose_shape(struct one_rng *g, struct k_tally *t, uint32_t rank,
			    const int64_t *x)
{
	struct one o;
	int64_t y[PROG_MAX_RANK];
	enum braid_type type = k_any_type(g);

	one_init(&o, g, PROG_TRANSPOSE, (uint32_t)one_range(g, 1, ONE_DEGREE));
	for (uint32_t i = 0; i < rank; i++) {
		uint32_t k = (uint32_t)one_range(g, 0, i);

		o.op.params.perm[i] = o.op.params.perm[k];
		o.op.params.perm[k] = (uint8_t)i;
	}
	for (uint32_t i = 0; i < rank; i++)
		y[i] = x[o.op.params.perm[i]];
	k_fill(&o, one_in(&o, type, rank, x, true));
	one_out(&o, type, rank, y);
	check(&o, t, transpose_source);
	one_free(&o);
}

static void test_transpose(struct one_rng *g)
{
	static const int64_t images[][4] = {
		{ 1, 3, 67, 70 }, { 2, 67, 70, 3 }, { 1, 130, 9, 9 }, { 2, 65, 129, 1 },
		{ 1, 12, 128, 32 }, { 70, 2, 70, 2 }, { 64, 64, 1, 8 }, { 33, 4, 4, 33 },
	};
	struct k_tally t = { 0 };
	int64_t x[PROG_MAX_RANK];

	for (int i = 0; i < CASES; i++) {
		uint32_t rank = k_shape(g, 0, 6, x);

		transpose_shape(g, &t, rank, x);
	}
	for (int i = 0; i < 64; i++)
		transpose_shape(g, &t, 4, images[i % 8]);
	k_report(&t, "transpose");
}

static int64_t copy_source(struct one *o, const int64_t *c)
{
	return k_at(k_tensor(o, o->out[0]), c);
}

static void test_copy(struct one_rng *g)
{
	struct k_tally t = { 0 };

	for (int i = 0; i < CASES / 4; i++) {
		int64_t x[PROG_MAX_RANK], elems = 1;
		uint32_t rank = k_shape(g, 0, 4, x);
		enum braid_type type = k_any_type(g);
		struct one o;

		for (uint32_t k = 0; k < rank; k++)
			elems *= x[k];
		one_init(&o, g, PROG_COPY, (uint32_t)one_range(g, 1, ONE_DEGREE));
		k_fill(&o, one_in(&o, type, rank, x, true));
		one_out(&o, type, 1, &elems);
		check(&o, &t, copy_source);
		one_free(&o);
	}
	k_report(&t, "copy");
}

static int64_t slice_source(struct one *o, const int64_t *c)
{
	const struct prog_tensor *x = k_tensor(o, o->in[0]);
	const struct prog_slice *p = &o->op.params.slice;
	int64_t s[PROG_MAX_RANK];

	for (uint32_t i = 0; i < x->rank; i++)
		s[i] = p->start[i] + c[i] * p->step[i];
	return k_at(x, s);
}

static void test_slice(struct one_rng *g)
{
	struct k_tally t = { 0 };

	for (int i = 0; i < CASES; i++) {
		int64_t x[PROG_MAX_RANK], y[PROG_MAX_RANK];
		uint32_t rank = k_shape(g, 0, 5, x);
		enum braid_type type = k_any_type(g);
		struct one o;

		one_init(&o, g, PROG_SLICE, (uint32_t)one_range(g, 1, ONE_DEGREE));
		for (uint32_t k = 0; k < rank; k++) {
			struct prog_slice *p = &o.op.params.slice;
			int64_t step = one_range(g, 0, 2) ? 1 : one_range(g, 1, 3), left;
			bool back = !one_range(g, 0, 3);

			p->start[k] = one_range(g, 0, 1) ? (back ? x[k] - 1 : 0) :
				      one_range(g, 0, x[k] - 1);
			p->step[k] = back ? -step : step;
			left = back ? p->start[k] : x[k] - 1 - p->start[k];
			y[k] = one_range(g, 0, 1) ? left / step + 1 : one_range(g, 1, left / step + 1);
			if (y[k] == 1 && !one_range(g, 0, 3))
				p->step[k] = INT64_MAX;
		}
		k_fill(&o, one_in(&o, type, rank, x, true));
		one_out(&o, type, rank, y);
		check(&o, &t, slice_source);
		one_free(&o);
	}
	k_report(&t, "slice");
}

static int64_t expand_source(struct one *o, const int64_t *c)
{
	return k_at_bcast(k_tensor(o, o->in[0]), k_tensor(o, o->out[0])->rank, c);
}

static int64_t tile_source(struct one *o, const int64_t *c)
{
	const struct prog_tensor *x = k_tensor(o, o->in[0]);
	int64_t s[PROG_MAX_RANK];

	for (uint32_t i = 0; i < x->rank; i++)
		s[i] = c[i] % x->dims[i];
	return k_at(x, s);
}

static void test_repeat(struct one_rng *g, enum prog_kind kind)
{
	struct k_tally t = { 0 };

	for (int i = 0; i < CASES; i++) {
		int64_t x[PROG_MAX_RANK], y[PROG_MAX_RANK];
		uint32_t rank = k_shape(g, 0, 5, y), drop = 0;
		enum braid_type type = k_any_type(g);
		struct one o;

		memcpy(x, y, sizeof(x));
		for (uint32_t k = 0; k < rank; k++)
			if (kind == PROG_EXPAND && one_range(g, 0, 1))
				x[k] = 1;
			else if (kind == PROG_TILE)
				y[k] *= one_range(g, 0, 2) ? 1 : one_range(g, 1, 3);
		if (kind == PROG_EXPAND)
			drop = (uint32_t)one_range(g, 0, rank);
		one_init(&o, g, kind, (uint32_t)one_range(g, 1, ONE_DEGREE));
		k_fill(&o, one_in(&o, type, rank - drop, x + drop, true));
		one_out(&o, type, rank, y);
		check(&o, &t, kind == PROG_TILE ? tile_source : expand_source);
		one_free(&o);
	}
	k_report(&t, prog_kind_name(kind));
}

static void test_concat(struct one_rng *g)
{
	struct k_tally t = { 0 };

	for (int i = 0; i < CASES; i++) {
		int64_t y[PROG_MAX_RANK], x[PROG_MAX_RANK], c[PROG_MAX_RANK], wrong = 0;
		uint32_t rank = k_shape(g, 1, 5, y), n = (uint32_t)one_range(g, 1, 4);
		uint32_t axis = (uint32_t)one_range(g, 0, rank - 1);
		enum braid_type type = k_any_type(g);
		const struct prog_tensor *ty;
		struct one o;

		one_init(&o, g, PROG_CONCAT, (uint32_t)one_range(g, 1, ONE_DEGREE));
		o.op.params.axis = (int32_t)axis;
		memcpy(x, y, sizeof(x));
		y[axis] = 0;
		for (uint32_t k = 0; k < n; k++) {
			x[axis] = one_range(g, 1, 9);
			y[axis] += x[axis];
			k_fill(&o, one_in(&o, type, rank, x, true));
		}
		ty = k_tensor(&o, one_out(&o, type, rank, y));
		if (k_run(&o, &t)) {
			for (uint32_t r = 0; r < o.degree; r++)
				for (int64_t e = 0; e < ty->elems; e++) {
					uint32_t k = 0;

					k_coord(ty, e, c);
					while (c[axis] >= k_tensor(&o, o.in[k])->dims[axis])
						c[axis] -= k_tensor(&o, o.in[k++])->dims[axis];
					wrong += !same_elem(&o, r, e, o.in[k],
							    k_at(k_tensor(&o, o.in[k]), c));
				}
			if (wrong)
				k_bad(&t, "%lld elements, rank %u, axis %u", (long long)wrong, rank,
				      axis);
		}
		one_free(&o);
	}
	k_report(&t, "concat");
}

/* As numpy.pad: walk from the edge, one step at a time. */
static int64_t pad_index(enum prog_pad_mode mode, int64_t i, int64_t n)
{
	int64_t at = i < 0 ? 0 : n - 1, dir = 1;

	if (i >= 0 && i < n)
		return i;
	if (mode == PROG_PAD_CONSTANT)
		return -1;
	if (mode == PROG_PAD_EDGE || n == 1)
		return at;
	if (mode == PROG_PAD_WRAP) {
		while (i < 0)
			i += n;
		return i % n;
	}
	dir = i < 0 ? 1 : -1;
	for (int64_t k = i < 0 ? -i : i - n + 1; k; k--) {
		if (at + dir < 0 || at + dir >= n)
			dir = -dir;
		at += dir;
	}
	return at;
}

static int64_t pad_source(struct one *o, const int64_t *c)
{
	const struct prog_tensor *x = k_tensor(o, o->in[0]);
	const struct prog_pad *p = &o->op.params.pad;
	int64_t s[PROG_MAX_RANK];

	for (uint32_t i = 0; i < x->rank; i++) {
		s[i] = pad_index(p->mode, c[i] - p->lo[i], x->dims[i]);
		if (s[i] < 0)
			return -1;
	}
	return k_at(x, s);
}

static void test_pad(struct one_rng *g)
{
	struct k_tally t = { 0 }, fill = { 0 };

	for (int i = 0; i < CASES; i++) {
		int64_t x[PROG_MAX_RANK], y[PROG_MAX_RANK], c[PROG_MAX_RANK];
		uint32_t rank = k_shape(g, 0, 5, x);
		enum braid_type type = k_any_type(g);
		const struct prog_tensor *ty;
		struct prog_pad *p;
		struct one o;

		if (type == BRAID_TYPE_F16 || type == BRAID_TYPE_BF16)
			type = BRAID_TYPE_F32;
		one_init(&o, g, PROG_PAD, (uint32_t)one_range(g, 1, ONE_DEGREE));
		p = &o.op.params.pad;
		p->mode = (enum prog_pad_mode)one_range(g, 0, 3);
		p->value = (double)one_range(g, 0, 1);
		for (uint32_t k = 0; k < rank; k++) {
			int64_t lo = one_range(g, 0, 2) ? 0 : -(x[k] - 1) / 2;
			int64_t most = p->mode == PROG_PAD_REFLECT ? x[k] - 1 : x[k];

			most = most < 4 ? most : 4;
			if (one_range(g, 0, 1)) {
				p->lo[k] = one_range(g, lo, most);
				p->hi[k] = one_range(g, lo, most);
			}
			y[k] = x[k] + p->lo[k] + p->hi[k];
		}
		k_fill(&o, one_in(&o, type, rank, x, true));
		ty = k_tensor(&o, one_out(&o, type, rank, y));
		check(&o, &t, pad_source);
		fill.cases++;
		for (int64_t e = 0; e < ty->elems; e++) {
			k_coord(ty, e, c);
			if (pad_source(&o, c) < 0 &&
			    k_get(type, o.data[o.out[0]][o.degree - 1], e) != p->value) {
				k_bad(&fill, "type %d", type);
				break;
			}
		}
		one_free(&o);
	}
	k_report(&t, "pad");
	k_report(&fill, "pad: the constant");
}

static void test_where(struct one_rng *g)
{
	struct k_tally t = { 0 };

	for (int i = 0; i < CASES; i++) {
		int64_t y[PROG_MAX_RANK], x[3][PROG_MAX_RANK], c[PROG_MAX_RANK], wrong = 0;
		uint32_t rank = k_shape(g, 0, 5, y), n_rank[3];
		enum braid_type type = k_any_type(g);
		const struct prog_tensor *ty;
		struct one o;

		one_init(&o, g, PROG_WHERE, (uint32_t)one_range(g, 1, ONE_DEGREE));
		for (int k = 0; k < 3; k++) {
			n_rank[k] = k ? (uint32_t)one_range(g, 0, rank) : rank;
			for (uint32_t d = 0; d < rank; d++)
				x[k][d] = one_range(g, 0, 2) ? y[d] : 1;
		}
		memcpy(x[0], y, sizeof(y));
		for (int k = 0; k < 3; k++)
			k_fill(&o, one_in(&o, k ? type : BRAID_TYPE_BOOL, n_rank[k],
					  x[k] + rank - n_rank[k], true));
		ty = k_tensor(&o, one_out(&o, type, rank, y));
		if (k_run(&o, &t)) {
			for (uint32_t r = 0; r < o.degree; r++)
				for (int64_t e = 0; e < ty->elems; e++) {
					uint32_t from;

					k_coord(ty, e, c);
					from = ((uint8_t *)o.data[o.in[0]][r])[
						k_at_bcast(k_tensor(&o, o.in[0]), rank, c)] ? 1 : 2;
					from = o.in[from];
					wrong += !same_elem(&o, r, e, from,
							    k_at_bcast(k_tensor(&o, from), rank, c));
				}
			if (wrong)
				k_bad(&t, "%lld elements, rank %u", (long long)wrong, rank);
		}
		one_free(&o);
	}
	k_report(&t, "where");
}

static void test_trilu(struct one_rng *g)
{
	struct k_tally t = { 0 };

	for (int i = 0; i < CASES / 2; i++) {
		int64_t y[PROG_MAX_RANK], c[PROG_MAX_RANK], wrong = 0;
		uint32_t rank = k_shape(g, 2, 4, y);
		enum braid_type type = k_any_type(g);
		struct prog_trilu *p;
		const struct prog_tensor *ty;
		struct one o;

		one_init(&o, g, PROG_TRILU, (uint32_t)one_range(g, 1, ONE_DEGREE));
		p = &o.op.params.trilu;
		p->upper = one_range(g, 0, 1);
		p->k = one_range(g, 0, 9) ? one_range(g, -12, 12) :
		       one_range(g, 0, 1) ? INT64_MIN : INT64_MAX;
		k_fill(&o, one_in(&o, type, rank, y, true));
		ty = k_tensor(&o, one_out(&o, type, rank, y));
		if (k_run(&o, &t)) {
			size_t size = prog_type_size(type);
			static const uint8_t zero[8];

			for (uint32_t r = 0; r < o.degree; r++)
				for (int64_t e = 0; e < ty->elems; e++) {
					__int128 d;
					bool keep;

					k_coord(ty, e, c);
					d = (__int128)c[rank - 1] - c[rank - 2];
					keep = p->upper ? d >= p->k : d <= p->k;
					if (keep)
						wrong += !same_elem(&o, r, e, o.in[0], e);
					else
						wrong += memcmp((uint8_t *)o.data[o.out[0]][r] +
								e * (int64_t)size, zero, size) != 0;
				}
			if (wrong)
				k_bad(&t, "%lld elements, k %lld", (long long)wrong,
				      (long long)p->k);
		}
		one_free(&o);
	}
	k_report(&t, "trilu");
}

int main(void)
{
	struct one_rng g = { 20 };

	test_transpose(&g);
	test_copy(&g);
	test_slice(&g);
	test_repeat(&g, PROG_EXPAND);
	test_repeat(&g, PROG_TILE);
	test_concat(&g);
	test_pad(&g);
	test_where(&g);
	test_trilu(&g);
	return tap_done();
}
