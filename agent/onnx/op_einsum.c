// SPDX-License-Identifier: MIT
/*
 * Einsum, by way of diagonals, reductions, transposes and matrix products.
 *
 * Operands are taken from left to right. A label that no later operand and
 * not the result needs is summed away as soon as possible: before the product
 * where one side alone has it, by the product where both have it.
 *
 * No state of its own.
 */
#include <string.h>

#include "agent/onnx/op.h"

#define MAX_TERMS	8
#define ELLIPSIS	52u		/* labels: a-z, A-Z, then axes of an ellipsis */
#define MAX_LABELS	(ELLIPSIS + PROG_MAX_RANK)

/* An operand: a tensor and the label of each of its axes. */
struct term {
	uint32_t t;
	uint32_t rank;
	uint8_t label[PROG_MAX_RANK];
};

/* One side of the equation as text. */
struct word {
	uint32_t n;
	uint8_t label[PROG_MAX_RANK];
	int dots;		/* position of an ellipsis, or -1 */
};

static uint64_t labels_of(const struct term *a)
{
	uint64_t mask = 0;

	for (uint32_t i = 0; i < a->rank; i++)
		mask |= 1ull << a->label[i];
	return mask;
}

static int find_label(const struct term *a, uint32_t label)
{
	for (uint32_t i = 0; i < a->rank; i++)
		if (a->label[i] == label)
			return (int)i;
	return -1;
}

static const char *read_word(struct emit *e, const char *s, struct word *w)
{
	w->n = 0;
	w->dots = -1;
	for (; *s && *s != ',' && strncmp(s, "->", 2); s++) {
		bool lower = *s >= 'a' && *s <= 'z', upper = *s >= 'A' && *s <= 'Z';

		if (*s == ' ')
			continue;
		if (!strncmp(s, "...", 3) && w->dots < 0) {
			w->dots = (int)w->n;
			s += 2;
			continue;
		}
		if ((!lower && !upper) || w->n == PROG_MAX_RANK) {
			emit_fail(e, -EINVAL, "the equation is not understood");
			return NULL;
		}
		w->label[w->n++] = (uint8_t)(lower ? *s - 'a' : *s - 'A' + 26);
	}
	return s;
}

/* Labels for a tensor's axes; those of the ellipsis are aligned at their end. */
static void label_axes(struct emit *e, const struct word *w, struct term *a, uint32_t *dots)
{
	uint32_t rank = op_dims(e, a->t).rank, extra = rank - w->n;

	if (rank < w->n || (extra && w->dots < 0)) {
		emit_fail(e, -EINVAL, "the equation does not fit an operand of rank %u", rank);
		return;
	}
	a->rank = 0;
	for (uint32_t i = 0; i <= w->n; i++) {
		if (w->dots == (int)i)
			for (uint32_t k = 0; k < extra; k++)
				a->label[a->rank++] = (uint8_t)(MAX_LABELS - extra + k);
		if (i < w->n)
			a->label[a->rank++] = w->label[i];
	}
	if (w->dots >= 0 && extra > *dots)
		*dots = extra;
}

static void permute(struct emit *e, struct term *a, const uint8_t *perm)
{
	struct term was = *a;

	a->t = build_transpose(e->b, a->t, perm);
	for (uint32_t i = 0; i < a->rank; i++)
		a->label[i] = was.label[perm[i]];
}

/* Take the diagonal of axes with the same label, so that each stands once. */
static void diagonals(struct emit *e, struct term *a)
{
	for (uint32_t i = 0; i < a->rank && !emit_failed(e); i++) {
		int64_t start[PROG_MAX_RANK] = { 0 }, step[PROG_MAX_RANK], count[PROG_MAX_RANK];
		uint8_t perm[PROG_MAX_RANK];
		struct op_dims d;
		uint32_t j, n = 0;

		for (j = i + 1; j < a->rank; j++)
			if (a->label[j] == a->label[i])
				break;
		if (j == a->rank)
			continue;
		/* Both to the end, flattened there, and every (n + 1)st element taken. */
		for (uint32_t k = 0; k < a->rank; k++)
			if (k != i && k != j)
				perm[n++] = (uint8_t)k;
		perm[n++] = (uint8_t)i;
		perm[n++] = (uint8_t)j;
		permute(e, a, perm);
		d = op_dims(e, a->t);
		n = d.rank - 2;
		if (emit_failed(e))
			return;
		if (d.d[n] != d.d[n + 1]) {
			emit_fail(e, -EINVAL, "a diagonal of %lldx%lld", (long long)d.d[n],
				  (long long)d.d[n + 1]);
			return;
		}
		for (uint32_t k = 0; k < n; k++) {
			step[k] = 1;
			count[k] = d.d[k];
		}
		step[n] = d.d[n] + 1;
		count[n] = d.d[n];
		d.d[n] *= d.d[n];
		d.rank--;
		a->rank--;
		a->t = build_slice(e->b, op_view(e, a->t, &d), start, step, count);
		i = UINT32_MAX;		/* axes have moved: from the first again */
	}
}

/* Sum over every label outside of @keep. */
static void sum_others(struct emit *e, struct term *a, uint64_t keep)
{
	uint32_t axes = 0, n = 0;

	for (uint32_t i = 0; i < a->rank; i++) {
		if (keep >> a->label[i] & 1)
			a->label[n++] = a->label[i];
		else
			axes |= 1u << i;
	}
	a->rank = n;
	if (axes)
		a->t = build_reduce(e->b, a->t, PROG_RED_SUM, axes, false);
}

/* Axes of the labels in @order to the front, in that order; the others must have none. */
static void order_axes(struct emit *e, struct term *a, const uint8_t *order, uint32_t n)
{
	uint8_t perm[PROG_MAX_RANK];

	if (n != a->rank) {
		emit_fail(e, -EINVAL, "the equation does not fit its operands");
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		int at = find_label(a, order[i]);

		if (at < 0) {
			emit_fail(e, -EINVAL, "a label of the result stands in no operand");
			return;
		}
		perm[i] = (uint8_t)at;
	}
	permute(e, a, perm);
}

/* The labels of @mask in the order in which @a has them, appended to @order. */
static uint32_t collect(const struct term *a, uint64_t mask, uint8_t *order, uint32_t n)
{
	for (uint32_t i = 0; i < a->rank && n < PROG_MAX_RANK; i++)
		if (mask >> a->label[i] & 1)
			order[n++] = a->label[i];
	return n;
}

/* Extent of axes [from, to) seen as one. */
static int64_t product(const struct op_dims *d, uint32_t from, uint32_t to)
{
	int64_t p = 1;

	for (uint32_t i = from; i < to; i++)
		p *= d->d[i];
	return p;
}

/* a x b, keeping @keep: [batch][left][sum] times [batch][sum][right]. */
static void multiply(struct emit *e, struct term *a, struct term *b, uint64_t keep)
{
	uint64_t la = labels_of(a), lb = labels_of(b), batch, sum;
	uint8_t oa[PROG_MAX_RANK], ob[PROG_MAX_RANK], oy[PROG_MAX_RANK];
	uint32_t na, nb, ny, n_batch, n_left, n_sum;
	struct op_dims da, db, d, y = { 0 };

	sum_others(e, a, keep | lb);
	sum_others(e, b, keep | la);
	la = labels_of(a);
	lb = labels_of(b);
	batch = la & lb & keep;
	sum = la & lb & ~keep;
	if (__builtin_popcountll(la | lb) > PROG_MAX_RANK + __builtin_popcountll(sum)) {
		emit_fail(e, -EOPNOTSUPP, "rank above %u", PROG_MAX_RANK);
		return;
	}
	n_batch = collect(a, batch, oa, 0);
	n_left = collect(a, la & ~batch & ~sum, oa, n_batch) - n_batch;
	na = collect(a, sum, oa, n_batch + n_left);
	n_sum = na - n_batch - n_left;
	memcpy(ob, oa, n_batch);
	memcpy(ob + n_batch, oa + n_batch + n_left, n_sum);
	nb = collect(b, lb & ~batch & ~sum, ob, n_batch + n_sum);
	order_axes(e, a, oa, na);
	order_axes(e, b, ob, nb);
	if (emit_failed(e))
		return;
	memcpy(oy, oa, n_batch + n_left);
	memcpy(oy + n_batch + n_left, ob + n_batch + n_sum, nb - n_batch - n_sum);
	ny = n_batch + n_left + nb - n_batch - n_sum;

	da = op_dims(e, a->t);
	db = op_dims(e, b->t);
	/* An extent of 1 broadcasts; in a sum it would have to be expanded first. */
	for (uint32_t i = 0; i < n_sum; i++) {
		if (da.d[n_batch + n_left + i] != db.d[n_batch + i]) {
			emit_fail(e, -EINVAL, "extents %lld and %lld of one label",
				  (long long)da.d[n_batch + n_left + i],
				  (long long)db.d[n_batch + i]);
			return;
		}
	}
	for (uint32_t i = 0; i < n_batch; i++) {
		int64_t m = da.d[i], n = db.d[i];

		if (m != n && m != 1 && n != 1) {
			emit_fail(e, -EINVAL, "extents %lld and %lld of one label", (long long)m,
				  (long long)n);
			return;
		}
		y.d[i] = m > n ? m : n;
	}
	if (n_batch + 2 > PROG_MAX_RANK) {
		emit_fail(e, -EOPNOTSUPP, "rank above %u", PROG_MAX_RANK);
		return;
	}
	y.rank = ny;
	memcpy(y.d + n_batch, da.d + n_batch, n_left * sizeof(*y.d));
	memcpy(y.d + n_batch + n_left, db.d + n_batch + n_sum,
	       (nb - n_batch - n_sum) * sizeof(*y.d));
	d = da;
	d.rank = n_batch + 2;
	d.d[n_batch] = product(&da, n_batch, n_batch + n_left);
	d.d[n_batch + 1] = product(&da, n_batch + n_left, na);
	a->t = op_view(e, a->t, &d);
	d = db;
	d.rank = n_batch + 2;
	d.d[n_batch] = product(&db, n_batch, n_batch + n_sum);
	d.d[n_batch + 1] = product(&db, n_batch + n_sum, nb);
	b->t = op_view(e, b->t, &d);
	a->t = build_gemm(e->b, a->t, b->t, PROG_NONE, false, false, 1.0f);
	a->t = op_view(e, a->t, &y);
	a->rank = ny;
	memcpy(a->label, oy, ny);
}

/* Without "->" the result has every label that stands once, in alphabetic order. */
static uint32_t implicit(const struct word *w, uint32_t n, uint32_t dots, uint8_t *order)
{
	static const char az[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	uint32_t at = 0;

	for (uint32_t k = 0; k < dots; k++)
		order[at++] = (uint8_t)(MAX_LABELS - dots + k);
	for (const char *c = az; *c; c++) {
		uint32_t label = *c >= 'a' ? *c - 'a' : *c - 'A' + 26, seen = 0;

		for (uint32_t i = 0; i < n; i++)
			for (uint32_t k = 0; k < w[i].n; k++)
				seen += w[i].label[k] == label;
		if (seen == 1 && at < PROG_MAX_RANK)
			order[at++] = (uint8_t)label;
	}
	return at;
}

static void emit_einsum(struct emit *e)
{
	const char *s;
	struct word w[MAX_TERMS], result;
	struct term term[MAX_TERMS];
	uint8_t order[2 * PROG_MAX_RANK];
	uint32_t n = e->n_in, dots = 0, at = 0;
	uint64_t keep = 0;

	if (!emit_attr_need(e, "equation") || !emit_need_type(e, 0, EMIT_FLOATS))
		return;
	s = emit_attr_str(e, "equation", "");
	if (n > MAX_TERMS) {
		emit_fail(e, -EOPNOTSUPP, "%u operands, %u are the limit", n, MAX_TERMS);
		return;
	}
	for (uint32_t i = 0; i < n && !emit_failed(e); i++) {
		s = read_word(e, s, &w[i]);
		if (!s)
			return;
		if ((i + 1 < n) != (*s == ',')) {
			emit_fail(e, -EINVAL, "the equation has not %u operands", n);
			return;
		}
		s += *s == ',';
		if (!emit_has(e, i) || emit_x(e, i)->type != emit_x(e, 0)->type) {
			emit_fail(e, -EINVAL, "operand %u is missing or of another type", i);
			return;
		}
		term[i].t = emit_in(e, i);
		label_axes(e, &w[i], &term[i], &dots);
	}
	if (emit_failed(e))
		return;
	if (*s) {
		if (!read_word(e, s + 2, &result))
			return;
		for (uint32_t i = 0; i <= result.n; i++) {
			if (result.dots == (int)i)
				for (uint32_t k = 0; k < dots; k++)
					order[at++] = (uint8_t)(MAX_LABELS - dots + k);
			if (i < result.n)
				order[at++] = result.label[i];
		}
	} else {
		at = implicit(w, n, dots, order);
	}
	for (uint32_t i = 0; i < at; i++) {
		if (keep >> order[i] & 1)
			emit_fail(e, -EINVAL, "a label stands twice in the result");
		keep |= 1ull << order[i];
	}
	for (uint32_t i = 0; i < n && !emit_failed(e); i++)
		diagonals(e, &term[i]);
	for (uint32_t i = 1; i < n && !emit_failed(e); i++) {
		uint64_t later = keep;

		for (uint32_t k = i + 1; k < n; k++)
			later |= labels_of(&term[k]);
		multiply(e, &term[0], &term[i], later);
	}
	if (emit_failed(e))
		return;
	sum_others(e, &term[0], keep);
	order_axes(e, &term[0], order, at);
	emit_out(e, 0, term[0].t);
}

const struct emit_op op_einsum[] = {
	{ "Einsum", 12, EMIT_OPSET_MAX, 1, MAX_TERMS, 1, emit_einsum },
	{ NULL }
};
