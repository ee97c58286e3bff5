// SPDX-License-Identifier: MIT
/*
 * Transposes sink: an operation whose operand is a transpose is done on what
 * was transposed, and its result transposed instead. On their way transposes
 * meet others and cancel, so that a chain of channels-last operations keeps
 * the one at its end. Which operations let a transpose through is in sink();
 * views are view_transpose.c's subject.
 *
 * One pass in topological order carries every transpose as far as it can go.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/program/pass.h"
#include "agent/program/view_transpose.h"

/*
 * @first: tensor -> its readers among the operations there were at the start
 */
struct sinker {
	struct build *b;
	uint32_t n_tensors;
	uint32_t *first;
	struct prog_op **readers;
};

static bool is_identity(const uint8_t *perm, uint32_t rank)
{
	for (uint32_t i = 0; i < rank; i++)
		if (perm[i] != i)
			return false;
	return true;
}

static void invert(const uint8_t *perm, uint8_t *inv, uint32_t rank)
{
	for (uint32_t i = 0; i < rank; i++)
		inv[perm[i]] = i;
}

/* @op's result is computed before the transpose now: give it the other shape. */
static void push_result(struct build *b, struct prog_op *op, const uint8_t *perm)
{
	uint32_t y = op->out[0], z, rank = build_t(b, y)->rank;
	const struct build_tensor *t = build_t(b, y);
	int64_t dims[PROG_MAX_RANK];
	struct prog_op *tr;

	for (uint32_t i = 0; i < rank; i++)
		dims[perm[i]] = t->dims[i];
	z = build_set_out(b, op, 0, t->type, rank, dims);
	tr = build_op(b, PROG_TRANSPOSE, 1, &z, 1);
	if (b->err)
		return;
	memcpy(tr->params.perm, perm, rank);
	tr->out[0] = y;
	build_t(b, y)->def = tr;
}

/* Is there a transpose of @t by @perm already? Then its result, else PROG_NONE. */
static uint32_t existing(const struct sinker *s, uint32_t t, const uint8_t *perm)
{
	uint32_t rank = build_t(s->b, t)->rank;

	if (t >= s->n_tensors)
		return PROG_NONE;
	for (uint32_t i = s->first[t]; i < s->first[t + 1]; i++) {
		const struct prog_op *op = s->readers[i];

		if (op->kind == PROG_TRANSPOSE && op->in[0] == t &&
		    !memcmp(op->params.perm, perm, rank))
			return op->out[0];
	}
	return PROG_NONE;
}

/* What moves is of extent 1 only. */
static bool is_free(const struct build_tensor *x, const uint8_t *perm)
{
	int last = -1;

	for (uint32_t i = 0; i < x->rank; i++) {
		if (x->dims[perm[i]] == 1)
			continue;
		if (perm[i] < last)
			return false;
		last = perm[i];
	}
	return true;
}

/*
 * Operand @t as it was before a transpose by @perm, at no cost; PROG_NONE
 * where it costs something. A scalar stays one, as operands may broadcast.
 */
static uint32_t untransposed(const struct sinker *s, uint32_t t, const uint8_t *perm,
			     uint32_t rank, bool broadcast)
{
	struct build *b = s->b;
	const struct prog_op *op = pass_def(b, t, PROG_TRANSPOSE);
	const struct build_tensor *x = build_t(b, t);
	struct build_tensor full = { .rank = rank };
	int64_t dims[PROG_MAX_RANK];
	uint8_t inv[PROG_MAX_RANK];
	uint32_t pad;

	if (broadcast && x->elems == 1 && x->rank <= 1)
		return t;
	if (op && x->rank == rank && !memcmp(op->params.perm, perm, rank))
		return op->in[0];
	if (!broadcast && x->rank != rank)
		return PROG_NONE;
	invert(perm, inv, rank);
	pad = rank - x->rank;
	for (uint32_t i = 0; i < rank; i++)
		full.dims[i] = i < pad ? 1 : x->dims[i - pad];
	for (uint32_t i = 0; i < rank; i++)
		dims[i] = full.dims[inv[i]];
	if (is_free(&full, inv))
		return build_view(b, t, rank, dims);
	if (build_is_const(b, t))	/* folded when the pass is over */
		return build_transpose(b, build_view(b, t, rank, full.dims), inv);
	return pad ? PROG_NONE : existing(s, t, inv);
}

/*
 * Operations of several operands that all have to agree. Where one of them is
 * no transpose and costs something to make one, nothing happens.
 */
static void sink_many(struct sinker *s, struct prog_op *op, bool broadcast)
{
	uint32_t rank = build_t(s->b, op->out[0])->rank, n = op->n_in, *in;
	const struct prog_op *tr = NULL;
	const uint8_t *perm;

	for (uint32_t i = 0; i < n && !tr; i++) {
		tr = pass_def(s->b, op->in[i], PROG_TRANSPOSE);
		if (tr && build_t(s->b, op->in[i])->rank != rank)
			tr = NULL;
	}
	if (!tr)
		return;
	perm = tr->params.perm;
	in = calloc(n, sizeof(*in));
	if (!in) {
		build_fail(s->b, -ENOMEM, "out of memory");
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		in[i] = untransposed(s, op->in[i], perm, rank, broadcast);
		if (in[i] == PROG_NONE || s->b->err)
			goto out;
	}
	memcpy(op->in, in, n * sizeof(*in));
	if (op->kind == PROG_CONCAT)
		op->params.axis = perm[op->params.axis];
	push_result(s->b, op, perm);
out:
	free(in);
}

static void permute(int64_t *v, const uint8_t *perm, uint32_t rank)
{
	int64_t old[PROG_MAX_RANK];

	memcpy(old, v, sizeof(old));
	for (uint32_t i = 0; i < rank; i++)
		v[perm[i]] = old[i];
}

/* A matrix product reads either of its operands with the last two axes swapped. */
static void sink_gemm(struct sinker *s, struct prog_op *op, uint32_t i)
{
	const struct prog_op *tr = pass_def(s->b, op->in[i], PROG_TRANSPOSE);
	uint32_t rank = build_t(s->b, op->in[i])->rank, x;
	uint8_t perm[PROG_MAX_RANK], swap;

	if (!tr || rank < 2)
		return;
	memcpy(perm, tr->params.perm, sizeof(perm));
	/* Worth it where nothing is left to do, or rows stay whole. */
	if (perm[rank - 2] != rank - 1)
		return;
	swap = perm[rank - 1];
	perm[rank - 1] = perm[rank - 2];
	perm[rank - 2] = swap;
	x = is_identity(perm, rank) ? tr->in[0] : existing(s, tr->in[0], perm);
	if (x == PROG_NONE)
		x = build_transpose(s->b, tr->in[0], perm);
	op->in[i] = x;
	if (i)
		op->params.gemm.trans_b = !op->params.gemm.trans_b;
	else
		op->params.gemm.trans_a = !op->params.gemm.trans_a;
}

/* Two transposes in a row are one. */
static void merge(struct prog_op *op, const struct prog_op *tr, uint32_t rank)
{
	for (uint32_t i = 0; i < rank; i++)
		op->params.perm[i] = tr->params.perm[op->params.perm[i]];
	op->in[0] = tr->in[0];
	if (is_identity(op->params.perm, rank))
		pass_make_view(op, op->in[0]);
}

static void sink_one(struct sinker *s, struct prog_op *op, const struct prog_op *tr)
{
	struct build *b = s->b;
	uint32_t rank = build_t(b, op->in[0])->rank, mask = 0;
	const uint8_t *perm = tr->params.perm;

	switch ((int)op->kind) {
	case PROG_TRANSPOSE:
		merge(op, tr, rank);
		return;
	case BUILD_VIEW:
		view_transpose(b, op, tr);
		return;
	case PROG_UNARY:
	case PROG_CAST:
		break;
	case PROG_TILE:
	case PROG_EXPAND:
		if (build_t(b, op->out[0])->rank != rank)
			return;
		break;
	case PROG_REDUCE:
		if (build_t(b, op->out[0])->rank != rank)
			return;
		for (uint32_t i = 0; i < rank; i++)
			mask |= (op->params.reduce.axes >> i & 1) << perm[i];
		op->params.reduce.axes = mask;
		break;
	case PROG_SOFTMAX:
		/* Never trade the last axis, which is fast, for another. */
		if (op->params.softmax.n_axes != 1 ||
		    (op->params.softmax.axis == (int)rank - 1 &&
		     perm[op->params.softmax.axis] != rank - 1))
			return;
		op->params.softmax.axis = perm[op->params.softmax.axis];
		break;
	case PROG_CUMSUM:
		op->params.cumsum.axis = perm[op->params.cumsum.axis];
		break;
	case PROG_SLICE:
		permute(op->params.slice.start, perm, rank);
		permute(op->params.slice.step, perm, rank);
		break;
	case PROG_PAD:
		permute(op->params.pad.lo, perm, rank);
		permute(op->params.pad.hi, perm, rank);
		break;
	default:
		return;
	}
	op->in[0] = tr->in[0];
	push_result(b, op, perm);
}

static void sink(struct sinker *s, struct prog_op *op)
{
	const struct prog_op *tr;

	if (op->kind == BUILD_DEAD || op->epi.residual != PROG_NONE)
		return;
	pass_at(s->b, op);
	switch (op->kind) {
	case PROG_BINARY:
	case PROG_WHERE:
		sink_many(s, op, true);
		return;
	case PROG_CONCAT:
		sink_many(s, op, false);
		return;
	case PROG_GEMM:
		sink_gemm(s, op, 0);
		sink_gemm(s, op, 1);
		return;
	default:
		tr = op->n_in == 1 ? pass_def(s->b, op->in[0], PROG_TRANSPOSE) : NULL;
		if (tr)
			sink_one(s, op, tr);
	}
}

static bool index_readers(struct sinker *s)
{
	struct build *b = s->b;
	uint32_t total = 0, *at;

	s->n_tensors = b->n_tensors;
	s->first = calloc(b->n_tensors + 1, sizeof(*s->first));
	at = calloc(b->n_tensors + 1, sizeof(*at));
	for (uint32_t i = 0; i < b->n_ops; i++)
		total += b->ops[i]->n_in;
	s->readers = calloc(total + 1, sizeof(struct prog_op *));
	if (!s->first || !at || !s->readers) {
		free(at);
		build_fail(b, -ENOMEM, "out of memory");
		return false;
	}
	for (uint32_t i = 0; i < b->n_ops; i++)
		for (uint32_t k = 0; k < b->ops[i]->n_in; k++)
			if (b->ops[i]->in[k] != PROG_NONE)
				s->first[b->ops[i]->in[k] + 1]++;
	for (uint32_t t = 0; t < b->n_tensors; t++)
		s->first[t + 1] += s->first[t];
	memcpy(at, s->first, b->n_tensors * sizeof(*at));
	for (uint32_t i = 0; i < b->n_ops; i++)
		for (uint32_t k = 0; k < b->ops[i]->n_in; k++)
			if (b->ops[i]->in[k] != PROG_NONE)
				s->readers[at[b->ops[i]->in[k]]++] = b->ops[i];
	free(at);
	return true;
}

void pass_transpose(struct build *b)
{
	struct sinker s = { .b = b };
	uint32_t n = b->n_ops;

	if (b->err)
		return;
	if (index_readers(&s))
		for (uint32_t i = 0; i < n && !b->err; i++)
			sink(&s, b->ops[i]);
	free(s.first);
	free(s.readers);
	build_sort(b);
}
