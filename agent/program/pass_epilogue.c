// SPDX-License-Identifier: MIT
/*
 * What follows a convolution, matrix product or binary operation element by
 * element is done before its result is stored: an addend that broadcasts
 * becomes the bias of a matrix product, an element function the epilogue's,
 * an addend of the full shape its residual. Only where nobody else, not even
 * the model's outputs, needs the result as it was.
 *
 * Goes through the operations in order, so that the function after a residual
 * is found after the residual.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/program/pass.h"

/* The operation that alone makes @t, behind views that nobody else reads. */
static struct prog_op *producer(const struct build *b, uint32_t t, const uint32_t *readers)
{
	const struct prog_op *view;
	const struct build_tensor *x;

	while (readers[t] == 1 && (view = pass_def(b, t, BUILD_VIEW)))
		t = view->in[0];
	x = build_t(b, t);
	if (readers[t] != 1 || x->from != BUILD_FROM_OP || x->type != BRAID_TYPE_F32)
		return NULL;
	switch (x->def->kind) {
	case PROG_CONV:
	case PROG_CONV_TRANSPOSE:
	case PROG_GEMM:
	case PROG_BINARY:
		return x->def;
	default:
		return NULL;
	}
}

static void take_function(struct build *b, struct prog_op *op, const uint32_t *readers)
{
	struct prog_op *p;

	if (op->params.unary.fn == PROG_FN_NONE || op->params.unary.fn > PROG_FN_EPILOGUE_LAST)
		return;
	p = producer(b, op->in[0], readers);
	if (!p || p->epi.fn || p->epi.residual_last)
		return;
	p->epi.fn = op->params.unary.fn;
	p->epi.alpha = op->params.unary.alpha;
	p->epi.beta = op->params.unary.beta;
	pass_make_view(op, op->in[0]);
}

/* Matrix product plus what broadcasts to it. */
static bool take_bias(struct build *b, struct prog_op *op, const uint32_t *readers, int k)
{
	struct prog_op *p = producer(b, op->in[k], readers);
	const struct build_tensor *y, *s = build_t(b, op->in[1 - k]);
	uint32_t *in;

	if (!p || p->kind != PROG_GEMM || p->epi.fn || p->epi.residual != PROG_NONE ||
	    (p->n_in > 2 && p->in[2] != PROG_NONE) || p->out[0] != op->in[k])
		return false;
	y = build_t(b, p->out[0]);
	if (s->rank > y->rank || s->elems == y->elems)
		return false;
	in = build_alloc(b, 3 * sizeof(*in));
	if (!in)
		return false;
	memcpy(in, p->in, 2 * sizeof(*in));
	in[2] = op->in[1 - k];
	p->in = in;
	p->n_in = 3;
	pass_make_view(op, op->in[k]);
	return true;
}

static bool take_residual(struct build *b, struct prog_op *op, const uint32_t *readers, int k)
{
	struct prog_op *p = producer(b, op->in[k], readers);
	const struct build_tensor *y;
	uint32_t other = op->in[1 - k];

	if (!p || p->epi.residual != PROG_NONE || !build_same_shape(b, other, op->out[0]))
		return false;
	y = build_t(b, p->out[0]);
	p->epi.residual = build_view(b, other, y->rank, y->dims);
	p->epi.residual_last = p->epi.fn != PROG_FN_NONE;
	pass_make_view(op, op->in[k]);
	return true;
}

static void take_addend(struct build *b, struct prog_op *op, const uint32_t *readers)
{
	const struct prog_op *p;

	for (int k = 0; k < 2; k++)
		if (build_same_shape(b, op->in[k], op->out[0]) && take_bias(b, op, readers, k))
			return;
	/* First where a function may still follow, then where one is there already. */
	for (int round = 0; round < 2; round++)
		for (int k = 1; k >= 0; k--) {
			p = producer(b, op->in[k], readers);
			if (p && (round || !p->epi.fn) &&
			    build_same_shape(b, op->in[k], op->out[0]) &&
			    take_residual(b, op, readers, k))
				return;
		}
}

void pass_epilogue(struct build *b)
{
	uint32_t *readers, n = b->n_ops;

	if (b->err)
		return;
	readers = pass_readers(b);
	if (!readers)
		return;
	for (uint32_t i = 0; i < n && !b->err; i++) {
		struct prog_op *op = b->ops[i];

		pass_at(b, op);
		if (op->kind == PROG_UNARY)
			take_function(b, op, readers);
		else if (op->kind == PROG_BINARY && op->params.binary == PROG_BIN_ADD &&
			 !op->epi.fn && op->epi.residual == PROG_NONE &&
			 build_t(b, op->out[0])->type == BRAID_TYPE_F32)
			take_addend(b, op, readers);
	}
	free(readers);
	build_sort(b);
}
