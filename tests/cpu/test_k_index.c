// SPDX-License-Identifier: MIT
/*
 * Kinds that index, against plain loops: GATHER, GATHER_ELEMENTS, GATHER_ND,
 * SCATTER_ELEMENTS, SCATTER_ND, ONEHOT, TOPK, ARGREDUCE. Half of the indices
 * are hostile: any 32 or 64 bits.
 */
#include "tests/cpu/k_ref.h"

#define CASES	200

static int64_t clamped(const struct one *o, uint32_t t, uint32_t r, int64_t i, int64_t n)
{
	int64_t v = o->tensors[t].type == BRAID_TYPE_I64 ? ((int64_t *)o->data[t][r])[i] :
		    ((int32_t *)o->data[t][r])[i];

	if (v < -n)
		return 0;
	if (v < 0)
		return v + n;
	return v >= n ? n - 1 : v;
}

static uint32_t index_input(struct one *o, struct one_rng *g, uint32_t rank, const int64_t *dims,
			    int64_t n)
{
	uint32_t t = one_in(o, one_range(g, 0, 1) ? BRAID_TYPE_I64 : BRAID_TYPE_I32, rank, dims,
			    true);

	if (one_range(g, 0, 1))
		k_fill_range(o, t, -n, n - 1);
	else
		k_fill(o, t);
	return t;
}

static bool same(const struct one *o, uint32_t ty, int64_t i, uint32_t tx, int64_t at, uint32_t r)
{
	size_t size = prog_type_size(o->tensors[ty].type);

	return !memcmp((uint8_t *)o->data[ty][r] + i * (int64_t)size,
		       (uint8_t *)o->data[tx][r] + at * (int64_t)size, size);
}

static void test_gather(struct one_rng *g)
{
	struct k_tally t = { 0 };

	for (int k = 0; k < CASES; k++) {
		int64_t x[PROG_MAX_RANK], idx[PROG_MAX_RANK], y[PROG_MAX_RANK], wrong = 0;
		uint32_t rank = k_shape(g, 1, 4, x), ri = (uint32_t)one_range(g, 0, 2), ry = 0;
		uint32_t axis = (uint32_t)one_range(g, 0, rank - 1), batch = 0, ti;
		enum braid_type type = k_any_type(g);
		const struct prog_tensor *ty;
		struct one o;

		if (!one_range(g, 0, 3))
			batch = (uint32_t)one_range(g, 0, axis < ri ? axis : ri);
		one_init(&o, g, PROG_GATHER, (uint32_t)one_range(g, 1, ONE_DEGREE));
		o.op.params.gather.axis = (int32_t)axis;
		o.op.params.gather.batch_dims = (int32_t)batch;
		for (uint32_t d = 0; d < ri; d++)
			idx[d] = d < batch ? x[d] : one_range(g, 1, 6);
		for (uint32_t d = 0; d < axis; d++)
			y[ry++] = x[d];
		for (uint32_t d = batch; d < ri; d++)
			y[ry++] = idx[d];
		for (uint32_t d = axis + 1; d < rank; d++)
			y[ry++] = x[d];
		k_fill(&o, one_in(&o, type, rank, x, true));
		ti = index_input(&o, g, ri, idx, x[axis]);
		ty = k_tensor(&o, one_out(&o, type, ry, y));
		if (k_run(&o, &t)) {
			for (uint32_t r = 0; r < o.degree; r++)
				for (int64_t i = 0; i < ty->elems; i++) {
					int64_t c[PROG_MAX_RANK], ci[PROG_MAX_RANK];
					int64_t cx[PROG_MAX_RANK];
					uint32_t n = 0;

					k_coord(ty, i, c);
					for (uint32_t d = 0; d < axis; d++)
						cx[d] = c[n++];
					for (uint32_t d = 0; d < ri; d++)
						ci[d] = d < batch ? c[d] : c[n++];
					cx[axis] = clamped(&o, ti, r, k_at(k_tensor(&o, ti), ci),
							   x[axis]);
					for (uint32_t d = axis + 1; d < rank; d++)
						cx[d] = c[n++];
					wrong += !same(&o, o.out[0], i, 0,
						       k_at(k_tensor(&o, 0), cx), r);
				}
			if (wrong)
				k_bad(&t, "axis %u of %u, batch %u: %lld elements", axis, rank,
				      batch, (long long)wrong);
		}
		one_free(&o);
	}
	k_report(&t, "gather");
}

static void test_gather_elements(struct one_rng *g)
{
	struct k_tally t = { 0 };

	for (int k = 0; k < CASES; k++) {
		int64_t x[PROG_MAX_RANK], y[PROG_MAX_RANK], wrong = 0;
		uint32_t rank = k_shape(g, 1, 4, x), axis = (uint32_t)one_range(g, 0, rank - 1), ti;
		enum braid_type type = k_any_type(g);
		struct one o;

		one_init(&o, g, PROG_GATHER_ELEMENTS, (uint32_t)one_range(g, 1, ONE_DEGREE));
		o.op.params.gather.axis = (int32_t)axis;
		for (uint32_t d = 0; d < rank; d++)
			y[d] = d == axis ? one_range(g, 1, 9) : one_range(g, 1, x[d]);
		k_fill(&o, one_in(&o, type, rank, x, true));
		ti = index_input(&o, g, rank, y, x[axis]);
		one_out(&o, type, rank, y);
		if (k_run(&o, &t)) {
			for (uint32_t r = 0; r < o.degree; r++)
				for (int64_t i = 0; i < k_tensor(&o, ti)->elems; i++) {
					int64_t c[PROG_MAX_RANK];

					k_coord(k_tensor(&o, ti), i, c);
					c[axis] = clamped(&o, ti, r, i, x[axis]);
					wrong += !same(&o, o.out[0], i, 0, k_at(k_tensor(&o, 0), c), r);
				}
			if (wrong)
				k_bad(&t, "axis %u of %u: %lld elements", axis, rank,
				      (long long)wrong);
		}
		one_free(&o);
	}
	k_report(&t, "gather-elements");
}

/* The slice of @x that tuple @i of tensor @ti names, after @batch axes. */
static int64_t tuple(const struct one *o, uint32_t ti, uint32_t r, int64_t i, uint32_t batch)
{
	const struct prog_tensor *x = k_tensor(o, 0), *idx = k_tensor(o, ti);
	int64_t len = idx->dims[idx->rank - 1], c[PROG_MAX_RANK] = { 0 };

	k_coord(idx, i * len, c);
	for (int64_t d = 0; d < len; d++)
		c[batch + d] = clamped(o, ti, r, i * len + d, x->dims[batch + d]);
	for (uint32_t d = batch + (uint32_t)len; d < x->rank; d++)
		c[d] = 0;
	return k_at(x, c);
}

static void test_gather_nd(struct one_rng *g)
{
	struct k_tally t = { 0 };

	for (int k = 0; k < CASES; k++) {
		int64_t x[PROG_MAX_RANK], idx[PROG_MAX_RANK], y[PROG_MAX_RANK], wrong = 0, inner = 1;
		uint32_t rank = k_shape(g, 1, 4, x), batch = (uint32_t)one_range(g, 0, rank - 1);
		uint32_t len = (uint32_t)one_range(g, 1, rank - batch), ri = batch, ry = 0, ti;
		enum braid_type type = k_any_type(g);
		struct one o;

		if (one_range(g, 0, 1)) {
			batch = 0;
			ri = 0;
		}
		memcpy(idx, x, sizeof(idx));
		for (int64_t q = one_range(g, 0, 2); q > 0; q--)
			idx[ri++] = one_range(g, 1, 6);
		memcpy(y, idx, sizeof(y));
		ry = ri;
		idx[ri++] = len;
		for (uint32_t d = batch + len; d < rank; d++) {
			y[ry++] = x[d];
			inner *= x[d];
		}
		one_init(&o, g, PROG_GATHER_ND, (uint32_t)one_range(g, 1, ONE_DEGREE));
		o.op.params.gather.batch_dims = (int32_t)batch;
		k_fill(&o, one_in(&o, type, rank, x, true));
		ti = index_input(&o, g, ri, idx, 3);
		one_out(&o, type, ry, y);
		if (k_run(&o, &t)) {
			for (uint32_t r = 0; r < o.degree; r++)
				for (int64_t i = 0; i < k_tensor(&o, o.out[0])->elems; i++)
					wrong += !same(&o, o.out[0], i, 0,
						       tuple(&o, ti, r, i / inner, batch) + i % inner, r);
			if (wrong)
				k_bad(&t, "rank %u, batch %u, len %u: %lld elements", rank, batch, len,
				      (long long)wrong);
		}
		one_free(&o);
	}
	k_report(&t, "gather-nd");
}

static double reduced(enum prog_scatter_fn fn, double a, double b)
{
	switch (fn) {
	case PROG_SCATTER_ADD: return a + b;
	case PROG_SCATTER_MUL: return a * b;
	case PROG_SCATTER_MIN: return fmin(a, b);
	case PROG_SCATTER_MAX: return fmax(a, b);
	default: return b;
	}
}

static void scatter_case(struct one_rng *g, struct k_tally *t, bool nd)
{
	static const enum braid_type types[] = { BRAID_TYPE_F32, BRAID_TYPE_F64, BRAID_TYPE_I32,
						 BRAID_TYPE_I64, BRAID_TYPE_U8, BRAID_TYPE_I8 };
	int64_t x[PROG_MAX_RANK], idx[PROG_MAX_RANK], u[PROG_MAX_RANK], wrong = 0, inner = 1;
	uint32_t rank = k_shape(g, 1, 4, x), axis = (uint32_t)one_range(g, 0, rank - 1), ri, ru, ti;
	enum braid_type type = types[one_range(g, 0, 5)];
	enum prog_scatter_fn fn = (enum prog_scatter_fn)one_range(g, 0, 4);
	struct one o;

	one_init(&o, g, nd ? PROG_SCATTER_ND : PROG_SCATTER_ELEMENTS,
		 (uint32_t)one_range(g, 1, ONE_DEGREE));
	o.op.params.scatter.fn = fn;
	o.op.params.scatter.axis = (int32_t)axis;
	ri = rank;
	if (nd) {
		uint32_t len = axis + 1;

		ri = 0;
		idx[ri++] = one_range(g, 1, 12);
		u[0] = idx[0];
		ru = 1;
		idx[ri++] = len;
		for (uint32_t d = len; d < rank; d++) {
			u[ru++] = x[d];
			inner *= x[d];
		}
	} else {
		for (uint32_t d = 0; d < rank; d++)
			idx[d] = d == axis ? one_range(g, 1, 9) : one_range(g, 1, x[d]);
		memcpy(u, idx, sizeof(u));
		ru = rank;
	}
	k_fill_range(&o, one_in(&o, type, rank, x, true), 0, 5);
	ti = index_input(&o, g, ri, idx, 4);
	k_fill_range(&o, one_in(&o, type, ru, u, true), 0, 3);
	one_out(&o, type, rank, x);
	if (k_run(&o, t)) {
		int64_t elems = k_tensor(&o, 0)->elems;
		uint8_t *want = malloc((size_t)k_bytes(&o, 0));

		for (uint32_t r = 0; r < o.degree; r++) {
			memcpy(want, o.data[0][r], (size_t)k_bytes(&o, 0));
			for (int64_t i = 0; i < k_tensor(&o, 2)->elems; i++) {
				int64_t at, c[PROG_MAX_RANK];
				double v;

				if (nd) {
					at = tuple(&o, ti, r, i / inner, 0) + i % inner;
				} else {
					k_coord(k_tensor(&o, ti), i, c);
					c[axis] = clamped(&o, ti, r, i, x[axis]);
					at = k_at(k_tensor(&o, 0), c);
				}
				v = reduced(fn, k_get(type, want, at),
					    k_get(type, o.data[2][r], i));
				/* what a type of 8 bits keeps of it */
				if (type == BRAID_TYPE_U8 || type == BRAID_TYPE_I8)
					v = type == BRAID_TYPE_U8 ? (uint8_t)(int64_t)v :
					    (int8_t)(int64_t)v;
				/* products of more updates than a double can count */
				if (fabs(v) > 1e9)
					v = 0;
				k_put(type, want, at, v);
			}
			for (int64_t i = 0; i < elems; i++) {
				double a = k_get(type, want, i), b = k_get(type, o.data[3][r], i);

				if (a == b || fabs(a - b) <= 1e-6 * fabs(a))
					continue;
				wrong += fn != PROG_SCATTER_MUL || (a && fabs(a) < 1e6);
			}
		}
		if (wrong)
			k_bad(t, "function %d, type %d: %lld elements", fn, type, (long long)wrong);
		free(want);
	}
	one_free(&o);
}

static void test_scatter(struct one_rng *g)
{
	struct k_tally e = { 0 }, n = { 0 };

	for (int k = 0; k < CASES; k++) {
		scatter_case(g, &e, false);
		scatter_case(g, &n, true);
	}
	k_report(&e, "scatter-elements");
	k_report(&n, "scatter-nd");
}

static void test_onehot(struct one_rng *g)
{
	static const enum braid_type types[] = { BRAID_TYPE_I64, BRAID_TYPE_I32, BRAID_TYPE_F32,
						 BRAID_TYPE_U8 };
	struct k_tally t = { 0 };

	for (int k = 0; k < CASES; k++) {
		int64_t x[PROG_MAX_RANK], y[PROG_MAX_RANK], two = 2, wrong = 0;
		uint32_t rank = k_shape(g, 0, 3, x), axis = (uint32_t)one_range(g, 0, rank);
		enum braid_type ti = types[one_range(g, 0, 3)], type = k_any_type(g);
		int64_t depth = one_range(g, 1, 12);
		struct one o;

		one_init(&o, g, PROG_ONEHOT, (uint32_t)one_range(g, 1, ONE_DEGREE));
		o.op.params.axis = (int32_t)axis;
		for (uint32_t d = 0; d <= rank; d++)
			y[d] = d == axis ? depth : x[d - (d > axis)];
		one_in(&o, ti, rank, x, true);
		if (one_range(g, 0, 1) && ti != BRAID_TYPE_F32)
			k_fill(&o, 0);
		else
			k_fill_range(&o, 0, ti == BRAID_TYPE_U8 ? 0 : -depth - 2, depth + 2);
		k_fill(&o, one_in(&o, type, 1, &two, true));
		one_out(&o, type, rank + 1, y);
		if (k_run(&o, &t)) {
			for (uint32_t r = 0; r < o.degree; r++)
				for (int64_t i = 0; i < k_tensor(&o, 2)->elems; i++) {
					int64_t c[PROG_MAX_RANK], at;
					double v;

					k_coord(k_tensor(&o, 2), i, c);
					at = c[axis];
					for (uint32_t d = axis; d < rank; d++)
						c[d] = c[d + 1];
					v = k_get(ti, o.data[0][r], k_at(k_tensor(&o, 0), c));
					if (v < 0)
						v += (double)depth;
					wrong += !same(&o, 2, i, 1, v == (double)at, r);
				}
			if (wrong)
				k_bad(&t, "axis %u, type %d: %lld elements", axis, ti,
				      (long long)wrong);
		}
		one_free(&o);
	}
	k_report(&t, "onehot");
}

static const enum braid_type ordered[] = {
	BRAID_TYPE_F32, BRAID_TYPE_F64, BRAID_TYPE_I8, BRAID_TYPE_U8, BRAID_TYPE_I16,
	BRAID_TYPE_U16, BRAID_TYPE_I32, BRAID_TYPE_U32, BRAID_TYPE_I64, BRAID_TYPE_U64,
};

/* Is @a before @b? NaN is the largest. */
static bool before(double a, double b, bool largest)
{
	if (isnan(a) || isnan(b))
		return largest ? isnan(a) && !isnan(b) : !isnan(a) && isnan(b);
	return largest ? a > b : a < b;
}

static void test_topk(struct one_rng *g)
{
	struct k_tally t = { 0 };

	for (int k = 0; k < CASES; k++) {
		int64_t x[PROG_MAX_RANK], y[PROG_MAX_RANK], wrong = 0;
		uint32_t rank = k_shape(g, 1, 3, x), axis = (uint32_t)one_range(g, 0, rank - 1);
		enum braid_type type = ordered[one_range(g, 0, 9)];
		bool largest = one_range(g, 0, 1);
		const struct prog_tensor *tx, *ty;
		struct one o;

		one_init(&o, g, PROG_TOPK, (uint32_t)one_range(g, 1, ONE_DEGREE));
		o.op.params.topk = (struct prog_topk) { (int32_t)axis, largest, true };
		memcpy(y, x, sizeof(y));
		y[axis] = one_range(g, 1, x[axis]);
		k_fill_range(&o, one_in(&o, type, rank, x, true),
			     0, 9);
		if (type == BRAID_TYPE_F32 && one_range(g, 0, 1))
			for (uint32_t r = 0; r < o.degree; r++)
				((float *)o.data[0][r])[k_tensor(&o, 0)->elems / 2] = NAN;
		one_out(&o, type, rank, y);
		one_out(&o, BRAID_TYPE_I64, rank, y);
		tx = k_tensor(&o, 0);
		ty = k_tensor(&o, 1);
		if (k_run(&o, &t))
			for (uint32_t q = 0; q < o.degree; q++)
				for (int64_t i = 0; i < ty->elems; i++) {
					int64_t c[PROG_MAX_RANK], at = ((int64_t *)o.data[2][q])[i], n = 0;
					double v, w;

					k_coord(ty, i, c);
					if (at < 0 || at >= x[axis]) {
						wrong++;
						continue;
					}
					/* its rank among the column is its place */
					n = c[axis];
					c[axis] = at;
					v = k_get(type, o.data[0][q], k_at(tx, c));
					for (int64_t j = 0; j < x[axis]; j++) {
						c[axis] = j;
						w = k_get(type, o.data[0][q], k_at(tx, c));
						n -= before(w, v, largest) ||
						     (j < at && !before(v, w, largest));
					}
					w = k_get(type, o.data[1][q], i);
					wrong += n != 0 || !(v == w || (isnan(v) && isnan(w)));
				}
		if (wrong)
			k_bad(&t, "type %d, axis %u, largest %d: %lld elements", type, axis, largest,
			      (long long)wrong);
		one_free(&o);
	}
	k_report(&t, "topk");
}

/* Of the column through @c: the place of its extreme. */
static int64_t ref_argreduce(const struct one *o, uint32_t r, int64_t *c)
{
	const struct prog_argreduce *p = &o->op.params.argreduce;
	const struct prog_tensor *x = k_tensor(o, 0);
	int64_t best = 0;
	double v = 0;

	for (int64_t j = 0; j < x->dims[p->axis]; j++) {
		double w;

		c[p->axis] = j;
		w = k_get(x->type, o->data[0][r], k_at(x, c));
		if (!j || (p->max ? w > v : w < v) || (p->select_last && w == v)) {
			v = w;
			best = j;
		}
	}
	return best;
}

static void test_argreduce(struct one_rng *g)
{
	struct k_tally t = { 0 };

	for (int k = 0; k < CASES; k++) {
		int64_t x[PROG_MAX_RANK], y[PROG_MAX_RANK], wrong = 0;
		uint32_t rank = k_shape(g, 1, 4, x), axis = (uint32_t)one_range(g, 0, rank - 1);
		enum braid_type type = ordered[one_range(g, 0, 9)];
		struct prog_argreduce p = { one_range(g, 0, 1), one_range(g, 0, 1), (int32_t)axis };
		struct one o;

		one_init(&o, g, PROG_ARGREDUCE, (uint32_t)one_range(g, 1, ONE_DEGREE));
		o.op.params.argreduce = p;
		memcpy(y, x, sizeof(y));
		y[axis] = 1;
		k_fill_range(&o, one_in(&o, type, rank, x, true), 0, one_range(g, 0, 1) ? 3 : 100);
		one_out(&o, BRAID_TYPE_I64, rank, y);
		if (k_run(&o, &t)) {
			for (uint32_t r = 0; r < o.degree; r++)
				for (int64_t i = 0; i < k_tensor(&o, 1)->elems; i++) {
					int64_t c[PROG_MAX_RANK];

					k_coord(k_tensor(&o, 1), i, c);
					wrong += ((int64_t *)o.data[1][r])[i] !=
						 ref_argreduce(&o, r, c);
				}
			if (wrong)
				k_bad(&t, "type %d, axis %u: %lld elements", type, axis,
				      (long long)wrong);
		}
		one_free(&o);
	}
	k_report(&t, "argreduce");
}

int main(void)
{
	struct one_rng g = { 22 };

	test_gather(&g);
	test_gather_elements(&g);
	test_gather_nd(&g);
	test_scatter(&g);
	test_onehot(&g);
	test_topk(&g);
	test_argreduce(&g);
	return tap_done();
}
