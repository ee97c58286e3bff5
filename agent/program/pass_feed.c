// SPDX-License-Identifier: MIT
/*
 * Numbers a channel before convolutions go into their constant weights and
 * bias: w * (s x + t) is (w s) * x + w t. A factor always does; an addend only
 * where there are no pads, for pads are zeros that it does not reach. A factor
 * before an addend that stays is taken through it: s x + t is s (x + t / s).
 *
 * Only where every reader is such a convolution. Learned affine blocks behind
 * activations, which can not go backwards, are what this is for.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agent/program/pass.h"

#define MAX_USERS	8
#define MAX_DEPTH	4

/* Who reads a tensor: uses[first[t]] to uses[first[t + 1] - 1], by tensor. */
struct uses {
	uint32_t *first;
	struct prog_op **ops;
	uint32_t *readers;	/* counts, with those that are no operation's input */
};

/* All that a tensor is fed to. */
struct users {
	struct prog_op *convs[MAX_USERS], *adds[MAX_USERS];
	uint32_t n_convs, n_adds;
};

static bool index_uses(struct build *b, struct uses *u)
{
	uint32_t total = 0;

	u->readers = pass_readers(b);
	u->first = calloc((size_t)b->n_tensors + 2, sizeof(*u->first));
	if (!u->readers || !u->first)
		return false;
	for (uint32_t i = 0; i < b->n_ops; i++)
		for (uint32_t k = 0; k < b->ops[i]->n_in; k++)
			if (b->ops[i]->in[k] != PROG_NONE) {
				u->first[b->ops[i]->in[k] + 2]++;
				total++;
			}
	for (uint32_t t = 2; t < b->n_tensors + 2; t++)
		u->first[t] += u->first[t - 1];
	u->ops = calloc((size_t)total + 1, sizeof(struct prog_op *));
	if (!u->ops)
		return false;
	for (uint32_t i = 0; i < b->n_ops; i++)
		for (uint32_t k = 0; k < b->ops[i]->n_in; k++)
			if (b->ops[i]->in[k] != PROG_NONE)
				u->ops[u->first[b->ops[i]->in[k] + 1]++] = b->ops[i];
	return true;
}

static int64_t last_dim(const struct build_tensor *t)
{
	return t->rank ? t->dims[t->rank - 1] : 1;
}

/* @t as a constant of one finite number for each of @n channels. */
static bool per_channel(const struct build *b, uint32_t t, int64_t n)
{
	const struct build_tensor *x = build_t(b, t);

	if (!build_is_const(b, t) || x->type != BRAID_TYPE_F32 ||
	    (x->elems != 1 && (x->elems != n || last_dim(x) != n)))
		return false;
	for (int64_t i = 0; i < x->elems; i++)
		if (!isfinite(((const float *)x->data)[i]))
			return false;
	return true;
}

static float channel(const struct build *b, uint32_t t, int64_t c)
{
	const struct build_tensor *x = build_t(b, t);

	return ((const float *)x->data)[x->elems == 1 ? 0 : c];
}

/* Is @op a plain BINARY @fn of a tensor of its shape and numbers a channel? */
static bool affine(const struct build *b, const struct prog_op *op, enum prog_binary fn,
		   uint32_t *x, uint32_t *numbers)
{
	const struct build_tensor *y = build_t(b, op->out[0]);

	if (op->kind != PROG_BINARY || op->params.binary != fn || op->epi.fn ||
	    op->epi.residual != PROG_NONE || y->type != BRAID_TYPE_F32)
		return false;
	for (int k = 0; k < 2; k++)
		if (per_channel(b, op->in[1 - k], last_dim(y)) &&
		    build_same_shape(b, op->in[k], op->out[0])) {
			*x = op->in[k];
			*numbers = op->in[1 - k];
			return true;
		}
	return false;
}

/* Can numbers before this convolution go into it? */
static bool takes(const struct build *b, const struct prog_op *op, uint32_t t, bool addend)
{
	const struct prog_window *w = &op->params.conv.win;
	const struct build_tensor *weights;

	if (op->kind != PROG_CONV && (op->kind != PROG_CONV_TRANSPOSE || addend))
		return false;
	weights = build_t(b, op->in[1]);
	if (op->in[0] != t || op->epi.residual == t || !build_is_const(b, op->in[1]) ||
	    weights->type != BRAID_TYPE_F32)
		return false;
	for (int i = 0; i < 3 && addend; i++)
		if (w->pad_lo[i] || w->pad_hi[i])
			return false;
	return !addend || op->n_in < 3 || op->in[2] == PROG_NONE ||
	       (build_is_const(b, op->in[2]) && build_t(b, op->in[2])->type == BRAID_TYPE_F32);
}

/* Everything that reads @t, through views, and for a factor through addends. */
static bool find_users(const struct build *b, const struct uses *u, uint32_t t, bool addend,
		       struct users *to, int depth)
{
	uint32_t n = u->first[t + 1] - u->first[t], x, numbers;

	if (!n || n != u->readers[t] || depth > MAX_DEPTH)
		return false;
	for (uint32_t i = u->first[t]; i < u->first[t + 1]; i++) {
		struct prog_op *op = u->ops[i];

		if (op->kind == BUILD_VIEW) {
			if (last_dim(build_t(b, op->out[0])) != last_dim(build_t(b, t)) ||
			    !find_users(b, u, op->out[0], addend, to, depth + 1))
				return false;
		} else if (takes(b, op, t, addend)) {
			if (to->n_convs == MAX_USERS)
				return false;
			to->convs[to->n_convs++] = op;
		} else if (!addend && affine(b, op, PROG_BIN_ADD, &x, &numbers) && x == t) {
			if (to->n_adds == MAX_USERS ||
			    !find_users(b, u, op->out[0], addend, to, depth + 1))
				return false;
			to->adds[to->n_adds++] = op;
		} else {
			return false;
		}
	}
	return true;
}

/* The input channel that element @i of the weights belongs to. */
static int64_t channel_of(const struct prog_op *op, const struct build_tensor *w, int64_t i)
{
	int64_t m;

	if (op->kind == PROG_CONV_TRANSPOSE)	/* [C][...] */
		return i / (w->elems / w->dims[0]);
	m = i / (w->elems / w->dims[0]);	/* [M][...][C / group] */
	return m / (w->dims[0] / op->params.conv.group) * w->dims[4] + i % w->dims[4];
}

static void scale_weights(struct build *b, struct prog_op *op, uint32_t scale)
{
	const struct build_tensor *w = build_t(b, op->in[1]);
	void *data;
	uint32_t copy = build_const_new(b, w->type, w->rank, w->dims, &data);

	if (b->err)
		return;
	for (int64_t i = 0; i < w->elems; i++)
		((float *)data)[i] = ((const float *)w->data)[i] *
				     channel(b, scale, channel_of(op, w, i));
	op->in[1] = copy;
}

static void shift_bias(struct build *b, struct prog_op *op, uint32_t shift)
{
	const struct build_tensor *w = build_t(b, op->in[1]);
	int64_t m = w->dims[0], per = w->elems / m;
	uint32_t bias, *in;
	void *data;

	bias = build_const_new(b, BRAID_TYPE_F32, 1, &m, &data);
	in = build_alloc(b, 3 * sizeof(*in));
	if (b->err)
		return;
	for (int64_t k = 0; k < m; k++) {
		bool old = op->n_in > 2 && op->in[2] != PROG_NONE;
		double sum = old ? channel(b, op->in[2], k) : 0;

		for (int64_t i = k * per; i < (k + 1) * per; i++)
			sum += (double)((const float *)w->data)[i] *
			       channel(b, shift, channel_of(op, w, i));
		((float *)data)[k] = (float)sum;
	}
	memcpy(in, op->in, 2 * sizeof(*in));
	in[2] = bias;
	op->in = in;
	op->n_in = 3;
}

/* The addend t of s (x + t / s), one number a channel. */
static uint32_t divided(struct build *b, uint32_t t, uint32_t s, int64_t n)
{
	void *data;
	uint32_t q = build_const_new(b, BRAID_TYPE_F32, 1, &n, &data);

	if (b->err)
		return 0;
	for (int64_t c = 0; c < n; c++)
		((float *)data)[c] = channel(b, t, c) / channel(b, s, c);
	return q;
}

/* Factors small enough to make t / s large would cost accuracy. */
static bool safe_divisors(const struct build *b, uint32_t s)
{
	const struct build_tensor *x = build_t(b, s);

	for (int64_t i = 0; i < x->elems; i++)
		if (!(fabsf(((const float *)x->data)[i]) >= 1e-3f))
			return false;
	return true;
}

static void try_one(struct build *b, const struct uses *u, struct prog_op *op)
{
	struct users to = { .n_convs = 0 };
	uint32_t x, numbers, y, addend;
	bool add = affine(b, op, PROG_BIN_ADD, &x, &numbers);

	if (!add && !affine(b, op, PROG_BIN_MUL, &x, &numbers))
		return;
	if (!find_users(b, u, op->out[0], add, &to, 0))
		return;
	if (to.n_adds && !safe_divisors(b, numbers))
		return;
	for (uint32_t i = 0; i < to.n_convs && !b->err; i++) {
		if (add)
			shift_bias(b, to.convs[i], numbers);
		else
			scale_weights(b, to.convs[i], numbers);
	}
	for (uint32_t i = 0; i < to.n_adds && !b->err; i++) {
		struct prog_op *a = to.adds[i];

		if (!affine(b, a, PROG_BIN_ADD, &y, &addend))
			continue;
		addend = divided(b, addend, numbers, last_dim(build_t(b, a->out[0])));
		a->in[0] = y;
		a->in[1] = addend;
	}
	if (!b->err)
		pass_make_view(op, x);
}

void pass_feed(struct build *b)
{
	struct uses u = { NULL };

	if (b->err)
		return;
	if (!index_uses(b, &u)) {
		build_fail(b, -ENOMEM, "out of memory");
	} else {
		/* From the end: an addend before the factor in front of it. */
		for (uint32_t i = b->n_ops; i-- > 0 && !b->err;) {
			pass_at(b, b->ops[i]);
			try_one(b, &u, b->ops[i]);
		}
	}
	free(u.first);
	free(u.ops);
	free(u.readers);
	build_sort(b);
}
