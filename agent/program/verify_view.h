/* SPDX-License-Identifier: MIT */
/*
 * Between the files of verify_kind(): an operation under its check, what the
 * checks ask of tensors, and the checks themselves. Each returns NULL, or what
 * is wrong.
 */
#ifndef BRAID_AGENT_PROGRAM_VERIFY_VIEW_H
#define BRAID_AGENT_PROGRAM_VERIFY_VIEW_H

#include <string.h>

#include "agent/program/program.h"

typedef const struct prog_tensor *tensor;

/* An operation as the checks see it. */
struct view {
	const struct program *p;
	const struct prog_op *op;
	tensor x, y;	/* first input, first output */
};

static inline tensor in(const struct view *v, uint32_t i)
{
	if (i >= v->op->n_in || v->op->in[i] == PROG_NONE)
		return NULL;
	return &v->p->tensors[v->op->in[i]];
}

static inline tensor out(const struct view *v, uint32_t i)
{
	if (i >= v->op->n_out || v->op->out[i] == PROG_NONE)
		return NULL;
	return &v->p->tensors[v->op->out[i]];
}

static inline bool same_shape(tensor a, tensor b)
{
	return a->rank == b->rank && !memcmp(a->dims, b->dims, a->rank * sizeof(a->dims[0]));
}

static inline bool same(tensor a, tensor b)
{
	return a->type == b->type && same_shape(a, b);
}

/* @t broadcasts to a shape, as numpy's do. */
static inline bool spreads(tensor t, tensor to)
{
	if (t->rank > to->rank)
		return false;
	for (uint32_t i = 0; i < t->rank; i++)
		if (t->dims[i] != 1 && t->dims[i] != to->dims[to->rank - t->rank + i])
			return false;
	return true;
}

/* Saturating: a product of two tensors' extents may be more than any tensor has. */
static inline int64_t times(int64_t a, int64_t b)
{
	int64_t c;

	return __builtin_mul_overflow(a, b, &c) ? INT64_MAX : c;
}

static inline int64_t product(tensor t, uint32_t from, uint32_t to)
{
	int64_t n = 1;

	for (uint32_t i = from; i < to; i++)
		n *= t->dims[i];
	return n;
}

static inline bool is_vector(tensor t, int64_t n)
{
	return t->rank == 1 && t->dims[0] == n;
}

static inline bool is_index(tensor t)
{
	return t->type == BRAID_TYPE_I32 || t->type == BRAID_TYPE_I64;
}

static inline bool axis_ok(int32_t axis, tensor t)
{
	return axis >= 0 && (uint32_t)axis < t->rank;
}

/* verify_nn.c */
const char *verify_conv(const struct view *v);
const char *verify_pool(const struct view *v);
const char *verify_gemm(const struct view *v);
const char *verify_reduce(const struct view *v);
const char *verify_argreduce(const struct view *v);
const char *verify_softmax(const struct view *v);
const char *verify_norm(const struct view *v);
const char *verify_lrn(const struct view *v);
const char *verify_rnn(const struct view *v);

/* verify_move.c */
const char *verify_transpose(const struct view *v);
const char *verify_copy(const struct view *v);
const char *verify_slice(const struct view *v);
const char *verify_concat(const struct view *v);
const char *verify_pad(const struct view *v);
const char *verify_expand(const struct view *v);
const char *verify_tile(const struct view *v);
const char *verify_trilu(const struct view *v);
const char *verify_cumsum(const struct view *v);
const char *verify_resize(const struct view *v);
const char *verify_gather(const struct view *v);
const char *verify_gather_elements(const struct view *v);
const char *verify_gather_nd(const struct view *v);
const char *verify_scatter(const struct view *v);
const char *verify_topk(const struct view *v);
const char *verify_onehot(const struct view *v);

#endif
