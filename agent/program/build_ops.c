// SPDX-License-Identifier: MIT
/*
 * Operations whose output type and shape follow from their inputs. Checks what
 * it is asked for: emitters pass on what stands in a file.
 */
#include "agent/program/build.h"

#include <errno.h>
#include <string.h>

bool build_same_shape(const struct build *b, uint32_t s, uint32_t t)
{
	const struct build_tensor *x = build_t(b, s), *y = build_t(b, t);

	return x->rank == y->rank && !memcmp(x->dims, y->dims, x->rank * sizeof(x->dims[0]));
}

uint32_t build_view(struct build *b, uint32_t x, uint32_t rank, const int64_t *dims)
{
	const struct build_tensor *t = build_t(b, x);
	struct prog_op *op;
	int64_t elems = 1;

	if (b->err)
		return 0;
	if (rank > PROG_MAX_RANK)
		return build_fail(b, -EOPNOTSUPP, "rank %u is above %u", rank, PROG_MAX_RANK);
	for (uint32_t i = 0; i < rank; i++)
		if (dims[i] < 1 || __builtin_mul_overflow(elems, dims[i], &elems))
			return build_fail(b, -EINVAL, "dimension %u of a new shape is %lld", i,
					  (long long)dims[i]);
	if (elems != t->elems)
		return build_fail(b, -EINVAL, "%lld elements do not fill a shape of %lld",
				  (long long)t->elems, (long long)elems);
	if (rank == t->rank && (!rank || !memcmp(dims, t->dims, rank * sizeof(*dims))))
		return x;
	if (t->from == BUILD_FROM_CONST)
		return build_const_ref(b, t->type, rank, dims, t->data);
	op = build_op(b, BUILD_VIEW, 1, &x, 1);
	return build_set_out(b, op, 0, t->type, rank, dims);
}

uint32_t build_squeeze(struct build *b, uint32_t x, uint32_t axes)
{
	const struct build_tensor *t = build_t(b, x);
	int64_t dims[PROG_MAX_RANK];
	uint32_t rank = 0;

	for (uint32_t i = 0; i < t->rank; i++) {
		if (!(axes >> i & 1))
			dims[rank++] = t->dims[i];
		else if (t->dims[i] != 1)
			return build_fail(b, -EINVAL, "axis %u of extent %lld cannot be squeezed",
					  i, (long long)t->dims[i]);
	}
	return build_view(b, x, rank, dims);
}

uint32_t build_unsqueeze(struct build *b, uint32_t x, uint32_t axes)
{
	const struct build_tensor *t = build_t(b, x);
	uint32_t rank = t->rank + __builtin_popcount(axes), from = 0;
	int64_t dims[PROG_MAX_RANK];

	if (rank > PROG_MAX_RANK || axes >> rank)
		return build_fail(b, -EOPNOTSUPP, "cannot unsqueeze to rank %u", rank);
	for (uint32_t i = 0; i < rank; i++)
		dims[i] = axes >> i & 1 ? 1 : t->dims[from++];
	return build_view(b, x, rank, dims);
}

uint32_t build_transpose(struct build *b, uint32_t x, const uint8_t *perm)
{
	const struct build_tensor *t = build_t(b, x);
	int64_t dims[PROG_MAX_RANK];
	uint32_t seen = 0, moved = 0;
	struct prog_op *op;

	if (b->err)
		return 0;
	for (uint32_t i = 0; i < t->rank; i++) {
		if (perm[i] >= t->rank || seen >> perm[i] & 1)
			return build_fail(b, -EINVAL, "not a permutation of %u axes", t->rank);
		seen |= 1u << perm[i];
		moved |= perm[i] != i;
		dims[i] = t->dims[perm[i]];
	}
	if (!moved)
		return x;
	op = build_op(b, PROG_TRANSPOSE, 1, &x, 1);
	memcpy(op->params.perm, perm, t->rank);
	return build_set_out(b, op, 0, t->type, t->rank, dims);
}

uint32_t build_unary(struct build *b, uint32_t x, enum prog_fn fn, float alpha, float beta)
{
	const struct build_tensor *t = build_t(b, x);
	struct prog_op *op = build_op(b, PROG_UNARY, 1, &x, 1);
	enum braid_type type = t->type;

	op->params.unary.fn = fn;
	op->params.unary.alpha = alpha;
	op->params.unary.beta = beta;
	if (fn == PROG_FN_ISNAN || fn == PROG_FN_ISINF || fn == PROG_FN_NOT)
		type = BRAID_TYPE_BOOL;
	return build_set_out(b, op, 0, type, t->rank, t->dims);
}

bool build_broadcast(const struct build *b, uint32_t x, uint32_t y, uint32_t *rank,
		     int64_t *dims)
{
	const struct build_tensor *s = build_t(b, x), *t = build_t(b, y);
	uint32_t r = s->rank > t->rank ? s->rank : t->rank;

	for (uint32_t i = 0; i < r; i++) {
		int64_t m = i < r - s->rank ? 1 : s->dims[i - (r - s->rank)];
		int64_t n = i < r - t->rank ? 1 : t->dims[i - (r - t->rank)];

		if (m != n && m != 1 && n != 1)
			return false;
		dims[i] = m > n ? m : n;
	}
	*rank = r;
	return true;
}

uint32_t build_binary(struct build *b, enum prog_binary fn, uint32_t x, uint32_t y)
{
	uint32_t in[2] = { x, y }, rank;
	int64_t dims[PROG_MAX_RANK];
	enum braid_type type = build_t(b, x)->type;
	struct prog_op *op;

	if (b->err)
		return 0;
	if (type != build_t(b, y)->type)
		return build_fail(b, -EINVAL, "operands of types %s and %s",
				  prog_type_name((int)type), prog_type_name((int)build_t(b, y)->type));
	if (!build_broadcast(b, x, y, &rank, dims))
		return build_fail(b, -EINVAL, "shapes of the operands do not broadcast");
	op = build_op(b, PROG_BINARY, 2, in, 1);
	op->params.binary = fn;
	if (fn >= PROG_BIN_EQUAL && fn <= PROG_BIN_GREATER_EQUAL)
		type = BRAID_TYPE_BOOL;
	return build_set_out(b, op, 0, type, rank, dims);
}

uint32_t build_where(struct build *b, uint32_t cond, uint32_t x, uint32_t y)
{
	uint32_t in[3] = { cond, x, y }, rank, r;
	int64_t dims[PROG_MAX_RANK];
	struct build_tensor shape = { .elems = 1 };
	const struct build_tensor *c = build_t(b, cond);
	struct prog_op *op;

	if (b->err)
		return 0;
	if (c->type != BRAID_TYPE_BOOL)
		return build_fail(b, -EINVAL, "the condition is not boolean");
	if (build_t(b, x)->type != build_t(b, y)->type)
		return build_fail(b, -EINVAL, "operands of types %s and %s",
				  prog_type_name((int)build_t(b, x)->type),
				  prog_type_name((int)build_t(b, y)->type));
	if (!build_broadcast(b, x, y, &rank, dims))
		return build_fail(b, -EINVAL, "shapes of the operands do not broadcast");

	/* Once more with the condition. */
	shape.rank = rank > c->rank ? rank : c->rank;
	for (uint32_t i = 0; i < shape.rank; i++) {
		int64_t m = 1, n = 1;

		r = shape.rank - i;	/* counted from the innermost */
		if (r <= rank)
			m = dims[rank - r];
		if (r <= c->rank)
			n = c->dims[c->rank - r];
		if (m != n && m != 1 && n != 1)
			return build_fail(b, -EINVAL, "the condition's shape does not broadcast");
		shape.dims[i] = m > n ? m : n;
	}
	op = build_op(b, PROG_WHERE, 3, in, 1);
	return build_set_out(b, op, 0, build_t(b, x)->type, shape.rank, shape.dims);
}

uint32_t build_cast(struct build *b, uint32_t x, enum braid_type type)
{
	const struct build_tensor *t = build_t(b, x);
	struct prog_op *op;

	if (b->err || t->type == type)
		return x;
	op = build_op(b, PROG_CAST, 1, &x, 1);
	return build_set_out(b, op, 0, type, t->rank, t->dims);
}

uint32_t build_copy(struct build *b, uint32_t x)
{
	const struct build_tensor *t = build_t(b, x);
	struct prog_op *op = build_op(b, PROG_COPY, 1, &x, 1);

	return build_set_out(b, op, 0, t->type, t->rank, t->dims);
}

uint32_t build_reduce(struct build *b, uint32_t x, enum prog_reduce fn, uint32_t axes,
		      bool keep)
{
	const struct build_tensor *t = build_t(b, x);
	int64_t dims[PROG_MAX_RANK];
	struct prog_op *op;
	uint32_t y;

	if (b->err)
		return 0;
	if (axes >> t->rank)
		return build_fail(b, -EINVAL, "an axis to reduce is outside of rank %u", t->rank);
	for (uint32_t i = 0; i < t->rank; i++)
		dims[i] = axes >> i & 1 ? 1 : t->dims[i];
	op = build_op(b, PROG_REDUCE, 1, &x, 1);
	op->params.reduce.fn = fn;
	op->params.reduce.axes = axes;
	y = build_set_out(b, op, 0, t->type, t->rank, dims);
	return keep ? y : build_squeeze(b, y, axes);
}

uint32_t build_expand(struct build *b, uint32_t x, uint32_t rank, const int64_t *dims)
{
	const struct build_tensor *t = build_t(b, x);
	struct prog_op *op;

	if (b->err)
		return 0;
	if (rank < t->rank || rank > PROG_MAX_RANK)
		return build_fail(b, -EINVAL, "rank %u does not broadcast to rank %u", t->rank, rank);
	for (uint32_t i = 0; i < t->rank; i++)
		if (t->dims[i] != 1 && t->dims[i] != dims[rank - t->rank + i])
			return build_fail(b, -EINVAL, "extent %lld does not broadcast to %lld",
					  (long long)t->dims[i],
					  (long long)dims[rank - t->rank + i]);
	if (rank == t->rank && !memcmp(dims, t->dims, rank * sizeof(*dims)))
		return x;
	op = build_op(b, PROG_EXPAND, 1, &x, 1);
	return build_set_out(b, op, 0, t->type, rank, dims);
}

uint32_t build_concat(struct build *b, uint32_t n, const uint32_t *x, int32_t axis)
{
	const struct build_tensor *first, *t;
	int64_t dims[PROG_MAX_RANK];
	struct prog_op *op;

	if (b->err)
		return 0;
	if (!n)
		return build_fail(b, -EINVAL, "nothing to concatenate");
	first = build_t(b, x[0]);
	if (axis < 0 || (uint32_t)axis >= first->rank)
		return build_fail(b, -EINVAL, "axis %d is outside of rank %u", axis, first->rank);
	memcpy(dims, first->dims, sizeof(dims));
	for (uint32_t i = 1; i < n; i++) {
		t = build_t(b, x[i]);
		if (t->type != first->type || t->rank != first->rank)
			return build_fail(b, -EINVAL,
					  "operand %u differs from the first in type or rank", i);
		for (uint32_t k = 0; k < t->rank; k++)
			if (k != (uint32_t)axis && t->dims[k] != first->dims[k])
				return build_fail(b, -EINVAL,
						  "operand %u differs in axis %u", i, k);
		if (__builtin_add_overflow(dims[axis], t->dims[axis], &dims[axis]))
			return build_fail(b, -EINVAL, "the sum of the extents overflows");
	}
	if (n == 1)
		return x[0];
	op = build_op(b, PROG_CONCAT, n, x, 1);
	op->params.axis = axis;
	return build_set_out(b, op, 0, first->type, first->rank, dims);
}

uint32_t build_slice(struct build *b, uint32_t x, const int64_t *start,
		     const int64_t *step, const int64_t *count)
{
	const struct build_tensor *t = build_t(b, x);
	bool all = true;
	struct prog_op *op;
	int64_t last;

	if (b->err)
		return 0;
	for (uint32_t i = 0; i < t->rank; i++) {
		if (count[i] < 1)
			return build_fail(b, -EOPNOTSUPP,
					  "an empty slice of axis %u: empty tensors are not supported",
					  i);
		if (__builtin_mul_overflow(count[i] - 1, step[i], &last) ||
		    __builtin_add_overflow(last, start[i], &last) || !step[i] ||
		    start[i] < 0 || start[i] >= t->dims[i] || last < 0 || last >= t->dims[i])
			return build_fail(b, -EINVAL, "a slice leaves axis %u", i);
		all &= start[i] == 0 && count[i] == t->dims[i];
	}
	if (all)
		return x;
	op = build_op(b, PROG_SLICE, 1, &x, 1);
	memcpy(op->params.slice.start, start, t->rank * sizeof(*start));
	memcpy(op->params.slice.step, step, t->rank * sizeof(*step));
	return build_set_out(b, op, 0, t->type, t->rank, count);
}

uint32_t build_pad(struct build *b, uint32_t x, enum prog_pad_mode mode,
		   const int64_t *lo, const int64_t *hi, double value)
{
	const struct build_tensor *t = build_t(b, x);
	int64_t dims[PROG_MAX_RANK], limit;
	bool any = false;
	struct prog_op *op;

	if (b->err)
		return 0;
	for (uint32_t i = 0; i < t->rank; i++) {
		if (__builtin_add_overflow(t->dims[i], lo[i], &dims[i]) ||
		    __builtin_add_overflow(dims[i], hi[i], &dims[i]))
			return build_fail(b, -EINVAL, "padding of axis %u overflows", i);
		/* A crop on one side must leave something, whatever the other side adds. */
		if (dims[i] < 1 || lo[i] <= -t->dims[i] || hi[i] <= -t->dims[i])
			return build_fail(b, -EOPNOTSUPP,
					  "nothing is left of axis %u: empty tensors are not supported",
					  i);
		limit = t->dims[i];
		if (mode == PROG_PAD_REFLECT)
			limit--;
		if ((mode == PROG_PAD_REFLECT || mode == PROG_PAD_WRAP) &&
		    (lo[i] > limit || hi[i] > limit))
			return build_fail(b, -EOPNOTSUPP,
					  "padding of axis %u is wider than what it repeats", i);
		any |= lo[i] || hi[i];
	}
	if (!any)
		return x;
	op = build_op(b, PROG_PAD, 1, &x, 1);
	op->params.pad.mode = mode;
	op->params.pad.value = value;
	memcpy(op->params.pad.lo, lo, t->rank * sizeof(*lo));
	memcpy(op->params.pad.hi, hi, t->rank * sizeof(*hi));
	return build_set_out(b, op, 0, t->type, t->rank, dims);
}

uint32_t build_gemm(struct build *b, uint32_t x, uint32_t y, uint32_t bias,
		    bool trans_a, bool trans_b, float alpha)
{
	const struct build_tensor *s = build_t(b, x), *t = build_t(b, y), *z;
	uint32_t in[3] = { x, y, bias }, rank, batch;
	int64_t dims[PROG_MAX_RANK], k;
	struct prog_op *op;

	if (b->err)
		return 0;
	if (s->rank < 2 || t->rank < 2)
		return build_fail(b, -EINVAL, "a matrix product of ranks %u and %u", s->rank, t->rank);
	if (s->type != t->type)
		return build_fail(b, -EINVAL, "a matrix product of types %s and %s",
				  prog_type_name((int)s->type), prog_type_name((int)t->type));
	k = s->dims[s->rank - (trans_a ? 2 : 1)];
	if (k != t->dims[t->rank - (trans_b ? 1 : 2)])
		return build_fail(b, -EINVAL, "inner extents %lld and %lld differ", (long long)k,
				  (long long)t->dims[t->rank - (trans_b ? 1 : 2)]);
	rank = s->rank > t->rank ? s->rank : t->rank;
	batch = rank - 2;
	for (uint32_t i = 0; i < batch; i++) {
		int64_t m = i < rank - s->rank ? 1 : s->dims[i - (rank - s->rank)];
		int64_t n = i < rank - t->rank ? 1 : t->dims[i - (rank - t->rank)];

		if (m != n && m != 1 && n != 1)
			return build_fail(b, -EINVAL, "leading dimensions do not broadcast");
		dims[i] = m > n ? m : n;
	}
	dims[batch] = s->dims[s->rank - (trans_a ? 1 : 2)];
	dims[batch + 1] = t->dims[t->rank - (trans_b ? 2 : 1)];
	if (bias != PROG_NONE) {
		z = build_t(b, bias);
		if (z->type != s->type || z->rank > rank)
			return build_fail(b, -EINVAL, "the addend's type or rank does not fit");
		for (uint32_t i = 0; i < z->rank; i++)
			if (z->dims[i] != 1 && z->dims[i] != dims[rank - z->rank + i])
				return build_fail(b, -EINVAL, "the addend does not broadcast");
	}
	op = build_op(b, PROG_GEMM, bias == PROG_NONE ? 2 : 3, in, 1);
	op->params.gemm.trans_a = trans_a;
	op->params.gemm.trans_b = trans_b;
	op->params.gemm.alpha = alpha;
	return build_set_out(b, op, 0, s->type, rank, dims);
}

uint32_t build_channels_last(struct build *b, uint32_t x)
{
	uint32_t rank = build_t(b, x)->rank;
	uint8_t perm[PROG_MAX_RANK];

	if (b->err)
		return 0;
	if (rank < 3 || rank > 5)
		return build_fail(b, -EOPNOTSUPP, "%d spatial dimensions are not supported",
				  (int)rank - 2);
	perm[0] = 0;
	for (uint32_t i = 1; i + 1 < rank; i++)
		perm[i] = i + 1;
	perm[rank - 1] = 1;
	x = build_transpose(b, x, perm);
	return build_unsqueeze(b, x, rank == 3 ? 6 : rank == 4 ? 2 : 0);
}

uint32_t build_channels_first(struct build *b, uint32_t x, uint32_t rank)
{
	uint8_t perm[PROG_MAX_RANK];

	if (b->err)
		return 0;
	if (rank < 3 || rank > 5 || build_t(b, x)->rank != 5)
		return build_fail(b, -EINVAL, "channels last data of rank %u", build_t(b, x)->rank);
	x = build_squeeze(b, x, rank == 3 ? 6 : rank == 4 ? 2 : 0);
	perm[0] = 0;
	perm[1] = rank - 1;
	for (uint32_t i = 2; i < rank; i++)
		perm[i] = i - 1;
	return build_transpose(b, x, perm);
}
