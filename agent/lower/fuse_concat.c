// SPDX-License-Identifier: MIT
/*
 * Concatenations along channels without a copy: a part is written where it
 * belongs by the operation that makes it.
 *
 * A part's storage is given a place in the concatenation's, whose own may be a
 * place in another one's. Parts that cannot be placed (a tenant's, a view, not
 * whole chunks of eight channels) are copied as ever.
 */
#include "agent/lower/lower.h"

/* Kinds that write rows at any distance from each other. */
static bool writes_rows(const struct prog_op *op)
{
	switch (op->kind) {
	case PROG_CONV:
	case PROG_GEMM:
	case PROG_POOL:
	case PROG_UNARY:
	case PROG_BINARY:
	case PROG_RESIZE:
	case PROG_CONCAT:
		return true;
	default:
		return false;
	}
}

static bool is_candidate(const struct lower *l, const struct prog_op *op)
{
	const struct prog_tensor *y = lower_t(l, op->out[0]);

	return op->kind == PROG_CONCAT && y->rank >= 2 && op->params.axis == (int32_t)y->rank - 1 &&
	       y->elems > y->dims[y->rank - 1] && lower_type(l, op->out[0]) == K_F16 &&
	       y->type == BRAID_TYPE_F32 && lower_storage(l, op->out[0])->place == PROG_ARENA;
}

void lower_find_concats(struct lower *l, const uint32_t *writer)
{
	for (uint32_t i = 0; i < l->p->n_ops; i++) {
		const struct prog_op *op = &l->p->ops[i];
		int64_t off = 0;

		if (!is_candidate(l, op))
			continue;
		for (uint32_t k = 0; k < op->n_in; k++) {
			const struct prog_tensor *t = lower_t(l, op->in[k]), *made;
			struct lower_place *at = &l->places[t->storage];
			int64_t c = t->dims[t->rank - 1];
			uint32_t w = writer[t->storage];

			off += c;
			if (lower_storage(l, op->in[k])->place != PROG_ARENA || at->op ||
			    w == LOWER_NONE || !writes_rows(&l->p->ops[w]) || c % 8 || (off - c) % 8)
				continue;
			made = lower_t(l, l->p->ops[w].out[0]);
			/* Whole images only: other ends of a storage are not ours to place. */
			if (made->storage != t->storage || !made->rank || made->dims[made->rank - 1] != c)
				continue;
			*at = (struct lower_place) { .op = op, .off = off - c };
		}
	}
}

/* Rows of the concatenation that @at is a place in. */
static struct lower_val whole(struct lower *l, const struct prog_op *op)
{
	const struct prog_tensor *y = lower_t(l, op->out[0]);
	struct lower_place *mine = &l->places[y->storage];

	if (!mine->made) {
		mine->made = true;
		if (mine->op)
			mine->val = lower_place(l, op->out[0]);
		else
			mine->val = lower_new_rows(l, y->rank, y->dims);
		/* Nobody writes behind the last part. */
		mine->val.padded = false;
	}
	return mine->val;
}

struct lower_val lower_place(struct lower *l, uint32_t t)
{
	const struct prog_tensor *pt = lower_t(l, t);
	const struct lower_place *at = &l->places[pt->storage];
	struct lower_val all = whole(l, at->op), v = { .type = K_F16, .rank = pt->rank };
	int64_t step = lower_pitch(&all);

	v.buf = all.buf;
	v.off = all.off + at->off;
	for (uint32_t i = pt->rank; i-- > 0;) {
		v.dims[i] = pt->dims[i];
		v.stride[i] = i == pt->rank - 1 ? 1 : step;
		if (i < pt->rank - 1)
			step *= pt->dims[i];
	}
	return v;
}

/* Did its maker write it where it belongs? */
static bool is_placed(const struct lower *l, uint32_t t, const struct lower_val *y, int64_t off)
{
	const struct lower_val *v = &l->vals[lower_t(l, t)->storage];

	return lower_storage(l, t)->place == PROG_ARENA && v->buf == y->buf &&
	       v->off == y->off + off * y->stride[y->rank - 1];
}

void lower_concat(struct lower *l)
{
	const struct prog_op *op = l->op;
	uint32_t axis = (uint32_t)op->params.axis;
	int64_t off = 0;
	struct lower_val y;

	if (is_candidate(l, op)) {
		y = whole(l, op);
		lower_view(l, op->out[0], &y);
	} else {
		y = lower_write(l, op->out[0]);
	}
	for (uint32_t i = 0; i < op->n_in; i++) {
		const struct prog_tensor *t = lower_t(l, op->in[i]);

		if (axis != y.rank - 1 || !is_placed(l, op->in[i], &y, off)) {
			struct lower_val x = lower_read(l, op->in[i]), part = y;

			part.padded = false;
			part.dims[axis] = x.dims[axis];
			part.off += off * y.stride[axis];
			lower_move(l, &x, &part, "concat");
		}
		off += t->dims[axis];
	}
}
