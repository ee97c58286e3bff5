// SPDX-License-Identifier: MIT
/*
 * One form for what is the same: chains of views become one view or none, and
 * operations that change no element become views. Adds no operation.
 */
#include <string.h>

#include "agent/program/pass.h"

/* Behind views that keep the shape. */
static uint32_t behind(const struct build *b, uint32_t t)
{
	const struct prog_op *op;

	while ((op = pass_def(b, t, BUILD_VIEW)) && build_same_shape(b, t, op->in[0]))
		t = op->in[0];
	return t;
}

/* No axis but those of extent 1 is moved: the elements stay in their order. */
static bool keeps_order(const struct build *b, const struct prog_op *op)
{
	const struct build_tensor *x = build_t(b, op->in[0]);
	int last = -1;

	for (uint32_t i = 0; i < x->rank; i++) {
		if (x->dims[op->params.perm[i]] == 1)
			continue;
		if (op->params.perm[i] < last)
			return false;
		last = op->params.perm[i];
	}
	return true;
}

static bool has_scalar(const struct build *b, const struct prog_op *op, enum prog_binary fn,
		       double want, uint32_t *x)
{
	double v;

	return pass_scalar(b, op, fn, x, &v) && v == want;
}

static void simplify(struct build *b, struct prog_op *op)
{
	uint32_t x;

	switch ((int)op->kind) {
	case PROG_TRANSPOSE:
		if (keeps_order(b, op))
			pass_make_view(op, op->in[0]);
		break;
	case PROG_COPY:		/* what needs a storage of its own gets one in the end */
		pass_make_view(op, op->in[0]);
		break;
	case PROG_CAST:
		if (build_t(b, op->in[0])->type == build_t(b, op->out[0])->type)
			pass_make_view(op, op->in[0]);
		break;
	case PROG_EXPAND:
	case PROG_TILE:
		if (build_t(b, op->in[0])->elems == build_t(b, op->out[0])->elems)
			pass_make_view(op, op->in[0]);
		break;
	case PROG_CONCAT:
		if (op->n_in == 1)
			pass_make_view(op, op->in[0]);
		break;
	case PROG_BINARY:
		if (has_scalar(b, op, PROG_BIN_MUL, 1, &x) ||
		    has_scalar(b, op, PROG_BIN_DIV, 1, &x) ||
		    has_scalar(b, op, PROG_BIN_ADD, 0, &x) ||
		    has_scalar(b, op, PROG_BIN_SUB, 0, &x))
			pass_make_view(op, x);
		break;
	case BUILD_VIEW:
		/* A view of a view is a view of what that one shows. */
		while (pass_def(b, op->in[0], BUILD_VIEW))
			op->in[0] = build_t(b, op->in[0])->def->in[0];
		break;
	}
}

/* A view of a constant is a constant. */
static void fix_const(struct build *b, struct prog_op *op)
{
	const struct build_tensor *x = build_t(b, op->in[0]);
	struct build_tensor *y = build_t(b, op->out[0]);

	if (x->from != BUILD_FROM_CONST)
		return;
	y->from = BUILD_FROM_CONST;
	y->data = x->data;
	y->def = NULL;
	op->kind = BUILD_DEAD;
}

void pass_canon(struct build *b)
{
	if (b->err)
		return;
	for (uint32_t i = 0; i < b->n_ops; i++) {
		struct prog_op *op = b->ops[i];

		if (op->kind == BUILD_DEAD)
			continue;
		for (uint32_t k = 0; k < op->n_in; k++)
			op->in[k] = behind(b, op->in[k]);
		op->epi.residual = behind(b, op->epi.residual);
		simplify(b, op);
		if (op->kind == BUILD_VIEW)
			fix_const(b, op);
	}
	for (uint32_t i = 0; i < b->n_outputs; i++)
		b->outputs[i].tensor = behind(b, b->outputs[i].tensor);
	build_sort(b);
}
