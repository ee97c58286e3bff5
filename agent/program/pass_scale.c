// SPDX-License-Identifier: MIT
/*
 * Numbers a channel after a convolution or matrix product (what is left of a
 * batch normalisation) go into its constant weights and bias. Only where
 * nobody else reads the product and nothing was taken into it that comes after.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/program/pass.h"

/* Behind views that nobody else reads and that keep the last axis. */
static uint32_t behind(const struct build *b, uint32_t t, const uint32_t *readers)
{
	const struct prog_op *op;
	const struct build_tensor *x, *y;

	while (readers[t] == 1 && (op = pass_def(b, t, BUILD_VIEW))) {
		x = build_t(b, op->in[0]);
		y = build_t(b, t);
		if (!x->rank || !y->rank || x->dims[x->rank - 1] != y->dims[y->rank - 1])
			break;
		t = op->in[0];
	}
	return t;
}

/* The product that alone makes @t, if its weights are known. */
static struct prog_op *product(const struct build *b, uint32_t t, const uint32_t *readers)
{
	struct build_tensor *x;

	t = behind(b, t, readers);
	x = build_t(b, t);
	if (readers[t] != 1 || x->from != BUILD_FROM_OP || x->type != BRAID_TYPE_F32)
		return NULL;
	if (x->def->kind != PROG_CONV && x->def->kind != PROG_CONV_TRANSPOSE &&
	    x->def->kind != PROG_GEMM)
		return NULL;
	if (x->def->epi.fn || x->def->epi.residual != PROG_NONE)
		return NULL;
	return x->def;
}

static int64_t channels(const struct build *b, const struct prog_op *op)
{
	const struct build_tensor *y = build_t(b, op->out[0]);

	return y->dims[y->rank - 1];
}

/*
 * @t as a constant of one number a channel, @n channels: has one element, or
 * the last axis alone is longer than 1.
 */
static bool per_channel(const struct build *b, uint32_t t, int64_t n)
{
	const struct build_tensor *x = build_t(b, t);

	return build_is_const(b, t) && x->type == BRAID_TYPE_F32 &&
	       (x->elems == 1 || (x->elems == n && x->dims[x->rank - 1] == n));
}

static float channel(const struct build *b, uint32_t t, int64_t m)
{
	const struct build_tensor *x = build_t(b, t);

	return ((const float *)x->data)[x->elems == 1 ? 0 : m];
}

/* Is the bias absent, or constant with one number a channel? */
static bool bias_ok(const struct build *b, const struct prog_op *op, int64_t n)
{
	return op->n_in < 3 || op->in[2] == PROG_NONE || per_channel(b, op->in[2], n);
}

static void set_bias(struct build *b, struct prog_op *op, uint32_t bias)
{
	uint32_t *in;

	if (op->n_in < 3) {
		in = build_alloc(b, 3 * sizeof(*in));
		if (!in)
			return;
		memcpy(in, op->in, 2 * sizeof(*in));
		op->in = in;
		op->n_in = 3;
	}
	op->in[2] = bias;
}

/* bias * scale + shift, both may be absent */
static void change_bias(struct build *b, struct prog_op *op, uint32_t scale, uint32_t shift)
{
	uint32_t old = op->n_in > 2 ? op->in[2] : PROG_NONE, bias;
	int64_t n = channels(b, op);
	void *data;
	float *v;

	if (old == PROG_NONE && shift == PROG_NONE)
		return;
	bias = build_const_new(b, BRAID_TYPE_F32, 1, &n, &data);
	if (b->err)
		return;
	v = data;
	for (int64_t m = 0; m < n; m++) {
		v[m] = old == PROG_NONE ? 0 : channel(b, old, m);
		if (scale != PROG_NONE)
			v[m] *= channel(b, scale, m);
		if (shift != PROG_NONE)
			v[m] += channel(b, shift, m);
	}
	set_bias(b, op, bias);
}

/* Which channel element @i of the weights belongs to. */
static int64_t channel_of(const struct build *b, const struct prog_op *op, int64_t i)
{
	const struct build_tensor *w = build_t(b, op->in[1]);
	int64_t per;

	switch (op->kind) {
	case PROG_CONV:			/* [M][...] */
		return i / (w->elems / w->dims[0]);
	case PROG_CONV_TRANSPOSE:	/* [C][...][M / group] */
		per = w->dims[0] / op->params.conv.group;
		return i / (w->elems / w->dims[0]) / per * w->dims[4] + i % w->dims[4];
	default:			/* [K][N] or [N][K] */
		return op->params.gemm.trans_b ? i / w->dims[1] : i % w->dims[1];
	}
}

/* So many elements of the weights in a row belong to the same channel. */
static int64_t run_of(const struct build *b, const struct prog_op *op)
{
	const struct build_tensor *w = build_t(b, op->in[1]);

	if (w->elems && op->kind == PROG_CONV)
		return w->elems / w->dims[0];
	return w->elems && op->kind == PROG_GEMM && op->params.gemm.trans_b ? w->dims[1] : 1;
}

static bool scale_product(struct build *b, struct prog_op *op, uint32_t scale)
{
	const struct build_tensor *w = build_t(b, op->in[1]);
	int64_t n = channels(b, op);
	const float *from;
	int64_t run;
	uint32_t copy;
	float *to;
	void *data;

	if (!per_channel(b, scale, n) || !bias_ok(b, op, n))
		return false;
	if (op->kind == PROG_GEMM && build_t(b, scale)->elems == 1) {
		op->params.gemm.alpha *= channel(b, scale, 0);
		change_bias(b, op, scale, PROG_NONE);
		return true;
	}
	if (!build_is_const(b, op->in[1]) || w->type != BRAID_TYPE_F32 ||
	    (op->kind == PROG_GEMM && w->rank != 2))
		return false;
	copy = build_const_new(b, w->type, w->rank, w->dims, &data);
	if (b->err)
		return false;
	to = data;
	from = w->data;
	run = run_of(b, op);
	for (int64_t i = 0; i < w->elems; i += run) {
		float by = channel(b, scale, channel_of(b, op, i));

		for (int64_t k = i; k < i + run; k++)
			to[k] = from[k] * by;
	}
	op->in[1] = copy;
	change_bias(b, op, scale, PROG_NONE);
	return true;
}

static bool shift_product(struct build *b, struct prog_op *op, uint32_t shift)
{
	int64_t n = channels(b, op);

	if (!per_channel(b, shift, n) || !bias_ok(b, op, n))
		return false;
	change_bias(b, op, PROG_NONE, shift);
	return true;
}

/* A constant of the same shape with f(element): for SUB and DIV. */
static uint32_t map(struct build *b, uint32_t t, bool divide)
{
	const struct build_tensor *x = build_t(b, t);
	void *data;
	float *v;
	uint32_t c = build_const_new(b, BRAID_TYPE_F32, x->rank, x->dims, &data);

	if (b->err)
		return 0;
	v = data;
	for (int64_t i = 0; i < x->elems; i++)
		v[i] = divide ? 1 / ((const float *)x->data)[i] : -((const float *)x->data)[i];
	return c;
}

static void try_one(struct build *b, struct prog_op *op, const uint32_t *readers)
{
	enum prog_binary fn = op->params.binary;
	struct prog_op *p;
	bool done = false;

	for (int k = 0; k < 2 && !done && !b->err; k++) {
		uint32_t x = op->in[k], c = op->in[1 - k];

		if (!build_is_const(b, c) || build_t(b, c)->type != BRAID_TYPE_F32 ||
		    !build_same_shape(b, x, op->out[0]))
			continue;
		p = product(b, x, readers);
		if (!p || !per_channel(b, c, channels(b, p)))
			continue;
		if (fn == PROG_BIN_MUL)
			done = scale_product(b, p, c);
		else if (fn == PROG_BIN_ADD)
			done = shift_product(b, p, c);
		else if (fn == PROG_BIN_DIV && !k)
			done = scale_product(b, p, map(b, c, true));
		else if (fn == PROG_BIN_SUB && !k)
			done = shift_product(b, p, map(b, c, false));
		if (done)
			pass_make_view(op, x);
	}
}

void pass_scale(struct build *b)
{
	uint32_t *readers;

	if (b->err)
		return;
	readers = pass_readers(b);
	if (!readers)
		return;
	for (uint32_t i = 0; i < b->n_ops && !b->err; i++) {
		struct prog_op *op = b->ops[i];

		if (op->kind == PROG_BINARY && !op->epi.fn && op->epi.residual == PROG_NONE)
			try_one(b, op, readers);
	}
	free(readers);
	build_sort(b);
}
