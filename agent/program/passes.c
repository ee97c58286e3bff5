// SPDX-License-Identifier: MIT
/*
 * The order of the passes, and what they share.
 */
#include "agent/program/pass.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

uint32_t *pass_readers(struct build *b)
{
	uint32_t *n = calloc(b->n_tensors, sizeof(*n));

	if (!n) {
		build_fail(b, -ENOMEM, "out of memory");
		return NULL;
	}
	for (uint32_t i = 0; i < b->n_ops; i++) {
		const struct prog_op *op = b->ops[i];

		if (op->kind == BUILD_DEAD)
			continue;
		for (uint32_t k = 0; k < op->n_in; k++)
			if (op->in[k] != PROG_NONE)
				n[op->in[k]]++;
		if (op->epi.residual != PROG_NONE)
			n[op->epi.residual]++;
	}
	for (uint32_t i = 0; i < b->n_outputs; i++)
		n[b->outputs[i].tensor]++;
	return n;
}

void pass_make_view(struct prog_op *op, uint32_t x)
{
	op->kind = BUILD_VIEW;
	op->n_in = 1;
	op->in[0] = x;
	op->epi = (struct prog_epilogue){ .residual = PROG_NONE };
}

struct prog_op *pass_def(const struct build *b, uint32_t t, enum prog_kind kind)
{
	const struct build_tensor *x = build_t(b, t);

	if (t == PROG_NONE || x->from != BUILD_FROM_OP || x->def->kind != kind)
		return NULL;
	return x->def;
}

void pass_at(struct build *b, const struct prog_op *op)
{
	b->node = op->node;
	b->op_type = op->op_type;
}

bool pass_scalar(const struct build *b, const struct prog_op *op, enum prog_binary fn,
		 uint32_t *x, double *v)
{
	bool ordered = fn != PROG_BIN_ADD && fn != PROG_BIN_MUL && fn != PROG_BIN_MIN &&
		       fn != PROG_BIN_MAX;

	if (!op || op->kind != PROG_BINARY || op->params.binary != fn || op->epi.fn ||
	    op->epi.residual != PROG_NONE)
		return false;
	for (int c = 1; c >= (ordered ? 1 : 0); c--) {
		if (!build_splat(b, op->in[c], v))
			continue;
		*x = op->in[1 - c];
		if (build_same_shape(b, *x, op->out[0]))
			return true;
	}
	return false;
}

bool pass_near(double a, double b)
{
	return fabs(a - b) <= 1e-5 * fabs(b);
}

void build_passes(struct build *b)
{
	build_sort(b);
	pass_canon(b);
	pass_cse(b);
	pass_act(b);
	pass_norm(b);

	/* Each round cancels pairs that the one before brought together. */
	for (int round = 0; round < 3; round++) {
		pass_transpose(b);
		build_fold(b, 0, 0, NULL);
		pass_cse(b);
	}
	pass_canon(b);
	pass_scale(b);
	pass_canon(b);
	pass_feed(b);
	pass_canon(b);
	pass_epilogue(b);
	pass_canon(b);
	pass_cse(b);
	b->node = NULL;
	b->op_type = NULL;
}
