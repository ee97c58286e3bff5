// SPDX-License-Identifier: MIT
/*
 * Layer normalisation (arXiv:1607.06450) as exporters write it before opset 17:
 *
 *   d = x - mean(x);  n = d / sqrt(mean(d^2) + epsilon);  y = n * scale + shift
 *
 * over the last axes. First n is found and made a NORM, then what follows it
 * is taken in.
 */
#include <stdlib.h>

#include "agent/program/pass.h"

static const struct prog_op *binary(const struct build *b, uint32_t t, enum prog_binary fn)
{
	const struct prog_op *op = pass_def(b, t, PROG_BINARY);

	return op && op->params.binary == fn && !op->epi.fn && op->epi.residual == PROG_NONE ?
		op : NULL;
}

/* A mean over the last axes with kept extents; the first of them in @axis. */
static const struct prog_op *mean(const struct build *b, uint32_t t, int32_t *axis)
{
	const struct prog_op *op = pass_def(b, t, PROG_REDUCE);
	uint32_t rank, axes;

	if (!op || op->params.reduce.fn != PROG_RED_MEAN)
		return NULL;
	rank = build_t(b, op->in[0])->rank;
	axes = op->params.reduce.axes;
	if (!axes || build_t(b, op->out[0])->rank != rank)
		return NULL;
	*axis = __builtin_ctz(axes);
	return axes == (1u << rank) - (1u << *axis) ? op : NULL;
}

static bool is_square(const struct build *b, uint32_t t, uint32_t d)
{
	const struct prog_op *op = binary(b, t, PROG_BIN_MUL);
	uint32_t x;
	double e;

	if (op)
		return op->in[0] == d && op->in[1] == d;
	return pass_scalar(b, pass_def(b, t, PROG_BINARY), PROG_BIN_POW, &x, &e) && e == 2 && x == d;
}

/* @d over the square root of its mean square: fill in @epsilon and the axis. */
static bool is_deviation(const struct build *b, uint32_t root, uint32_t d, int32_t *axis,
			 double *epsilon)
{
	const struct prog_op *op = pass_def(b, root, PROG_UNARY), *m;
	uint32_t v;

	if (!op || op->params.unary.fn != PROG_FN_SQRT ||
	    !pass_scalar(b, pass_def(b, op->in[0], PROG_BINARY), PROG_BIN_ADD, &v, epsilon))
		return false;
	m = mean(b, v, axis);
	return m && is_square(b, m->in[0], d);
}

static bool find_norm(struct build *b, struct prog_op *op)
{
	const struct prog_op *sub, *m, *rec;
	uint32_t root = op->in[1], d = op->in[0], x;
	int32_t axis, axis_m;
	double epsilon;

	if (op->params.binary == PROG_BIN_MUL) {
		/* d * (1 / root), in either order */
		rec = pass_def(b, root, PROG_UNARY);
		if (!rec || rec->params.unary.fn != PROG_FN_RECIPROCAL) {
			d = op->in[1];
			rec = pass_def(b, op->in[0], PROG_UNARY);
		}
		if (!rec || rec->params.unary.fn != PROG_FN_RECIPROCAL)
			return false;
		root = rec->in[0];
	} else if (op->params.binary != PROG_BIN_DIV) {
		return false;
	}
	sub = binary(b, d, PROG_BIN_SUB);
	if (!sub || !is_deviation(b, root, d, &axis, &epsilon))
		return false;
	x = sub->in[0];
	m = mean(b, sub->in[1], &axis_m);
	if (!m || m->in[0] != x || axis_m != axis || !build_same_shape(b, x, op->out[0]))
		return false;
	op->kind = PROG_NORM;
	op->n_in = 3;
	op->in = build_alloc(b, 3 * sizeof(*op->in));
	if (!op->in)
		return false;
	op->in[0] = x;
	op->in[1] = PROG_NONE;
	op->in[2] = PROG_NONE;
	op->params.norm = (struct prog_norm){
		.kind = PROG_NORM_LAYER, .axis = axis, .epsilon = epsilon,
	};
	return true;
}

/* Does @t have exactly the shape of the axes that are normalised, give or take leading 1s? */
static bool fits(const struct build *b, uint32_t t, const struct prog_op *norm)
{
	const struct build_tensor *s = build_t(b, t), *x = build_t(b, norm->in[0]);
	uint32_t inner = x->rank - norm->params.norm.axis;

	for (uint32_t i = 0; i < s->rank; i++) {
		uint32_t back = s->rank - i;	/* counted from the last axis */

		if (s->dims[i] != (back <= inner ? x->dims[x->rank - back] : 1))
			return false;
	}
	return s->rank >= inner && s->type == x->type;
}

/* @op multiplies or adds to a norm that nobody else reads: take it in. */
static void take_in(struct build *b, struct prog_op *op, const uint32_t *readers)
{
	uint32_t slot = op->params.binary == PROG_BIN_MUL ? 1 : 2;

	if (op->params.binary != PROG_BIN_MUL && op->params.binary != PROG_BIN_ADD)
		return;
	for (int k = 0; k < 2; k++) {
		struct prog_op *norm = pass_def(b, op->in[k], PROG_NORM);
		const struct build_tensor *x;
		uint32_t s = op->in[1 - k];

		if (!norm || norm->params.norm.kind != PROG_NORM_LAYER || norm->n_in < 3 ||
		    readers[op->in[k]] != 1 || norm->in[slot] != PROG_NONE ||
		    norm->in[2] != PROG_NONE || !fits(b, s, norm))
			continue;
		for (uint32_t i = 1; i < norm->n_out; i++)
			if (norm->out[i] != PROG_NONE)
				return;
		x = build_t(b, norm->in[0]);
		norm->in[slot] = build_view(b, s, x->rank - norm->params.norm.axis,
					    x->dims + norm->params.norm.axis);
		pass_make_view(op, op->in[k]);
		return;
	}
}

void pass_norm(struct build *b)
{
	uint32_t *readers;

	if (b->err)
		return;
	for (uint32_t i = 0; i < b->n_ops; i++) {
		struct prog_op *op = b->ops[i];

		if (op->kind == PROG_BINARY && !op->epi.fn && op->epi.residual == PROG_NONE &&
		    build_t(b, op->out[0])->type == BRAID_TYPE_F32)
			find_norm(b, op);
	}
	build_sort(b);
	/* Twice: the shift follows the scale only when that one has become a view. */
	for (int round = 0; round < 2 && !b->err; round++) {
		uint32_t n = b->n_ops;

		readers = pass_readers(b);
		if (!readers)
			return;
		for (uint32_t i = 0; i < n; i++) {
			struct prog_op *op = b->ops[i];

			if (op->kind != PROG_BINARY || op->epi.fn || op->epi.residual != PROG_NONE)
				continue;
			pass_at(b, op);
			take_in(b, op, readers);
		}
		free(readers);
		pass_canon(b);
	}
}
