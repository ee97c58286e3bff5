// SPDX-License-Identifier: MIT
/*
 * What operations that move elements or find them by index demand of their
 * tensors and parameters. See verify_kind.c.
 */
#include "agent/program/verify_view.h"

#include <math.h>

/* ---- moving ---- */

const char *verify_transpose(const struct view *v)
{
	const uint8_t *perm = v->op->params.perm;
	uint32_t seen = 0;

	if (v->x->type != v->y->type || v->x->rank != v->y->rank)
		return "type or rank differs";
	for (uint32_t i = 0; i < v->x->rank; i++) {
		if (perm[i] >= v->x->rank || seen >> perm[i] & 1)
			return "not a permutation";
		seen |= 1u << perm[i];
		if (v->y->dims[i] != v->x->dims[perm[i]])
			return "the output is not the permuted shape";
	}
	return NULL;
}

const char *verify_copy(const struct view *v)
{
	return v->x->type == v->y->type && v->x->elems == v->y->elems ? NULL :
		"type or number of elements differs";
}

const char *verify_slice(const struct view *v)
{
	const struct prog_slice *s = &v->op->params.slice;

	if (v->x->type != v->y->type || v->x->rank != v->y->rank)
		return "type or rank differs";
	for (uint32_t i = 0; i < v->x->rank; i++) {
		int64_t last;

		if (__builtin_mul_overflow(v->y->dims[i] - 1, s->step[i], &last) ||
		    __builtin_add_overflow(last, s->start[i], &last) || !s->step[i] ||
		    s->start[i] < 0 || s->start[i] >= v->x->dims[i] || last < 0 ||
		    last >= v->x->dims[i])
			return "it leaves the input";
	}
	return NULL;
}

const char *verify_concat(const struct view *v)
{
	int32_t axis = v->op->params.axis;
	int64_t sum = 0;

	if (!axis_ok(axis, v->y))
		return "bad axis";
	for (uint32_t i = 0; i < v->op->n_in; i++) {
		tensor t = in(v, i);

		if (!t || t->type != v->y->type || t->rank != v->y->rank)
			return "type or rank differs";
		for (uint32_t k = 0; k < t->rank; k++)
			if (k != (uint32_t)axis && t->dims[k] != v->y->dims[k])
				return "extents differ";
		if (__builtin_add_overflow(sum, t->dims[axis], &sum))
			return "extents overflow";
	}
	return sum == v->y->dims[axis] ? NULL : "extents do not add up";
}

const char *verify_pad(const struct view *v)
{
	const struct prog_pad *d = &v->op->params.pad;

	if (v->x->type != v->y->type || v->x->rank != v->y->rank || d->mode > PROG_PAD_WRAP)
		return "type, rank or mode";
	for (uint32_t i = 0; i < v->x->rank; i++) {
		int64_t n = v->x->dims[i], y, most = d->mode == PROG_PAD_REFLECT ? n - 1 : n;

		if (__builtin_add_overflow(n, d->lo[i], &y) ||
		    __builtin_add_overflow(y, d->hi[i], &y) || y != v->y->dims[i] ||
		    d->lo[i] <= -n || d->hi[i] <= -n)
			return "the output is not the padded shape";
		if ((d->mode == PROG_PAD_REFLECT || d->mode == PROG_PAD_WRAP) &&
		    (d->lo[i] > most || d->hi[i] > most))
			return "padding is wider than what it repeats";
	}
	return NULL;
}

const char *verify_expand(const struct view *v)
{
	return v->x->type == v->y->type && spreads(v->x, v->y) ? NULL :
		"the input does not broadcast to the output";
}

const char *verify_tile(const struct view *v)
{
	if (v->x->type != v->y->type || v->x->rank != v->y->rank)
		return "type or rank differs";
	for (uint32_t i = 0; i < v->x->rank; i++)
		if (v->y->dims[i] % v->x->dims[i])
			return "an extent is not a multiple";
	return NULL;
}

const char *verify_trilu(const struct view *v)
{
	return v->x->rank >= 2 && same(v->x, v->y) ? NULL : "type or shape differs";
}

const char *verify_cumsum(const struct view *v)
{
	return axis_ok(v->op->params.cumsum.axis, v->x) && same(v->x, v->y) ? NULL :
		"bad axis, or type or shape differs";
}

const char *verify_resize(const struct view *v)
{
	const struct prog_resize *r = &v->op->params.resize;

	if (v->x->rank != 5 || v->y->rank != 5 || v->x->type != v->y->type)
		return "data must have rank 5 and one type";
	if (v->x->dims[0] != v->y->dims[0] || v->x->dims[4] != v->y->dims[4])
		return "batch or channels differ";
	if (r->mode > PROG_RESIZE_CUBIC || r->coord > PROG_COORD_TF_CROP ||
	    r->nearest > PROG_NEAREST_CEIL)
		return "bad mode";
	for (int i = 0; i < 3; i++)
		if (!(r->scale[i] > 0) || !isfinite(r->scale[i]))
			return "bad scale";
	return NULL;
}

/* ---- indices ---- */

const char *verify_gather(const struct view *v)
{
	const struct prog_gather *g = &v->op->params.gather;
	tensor x = v->x, idx = in(v, 1);
	int64_t n;

	if (!is_index(idx) || x->type != v->y->type)
		return "types";
	if (!axis_ok(g->axis, x) || g->batch_dims < 0 || g->batch_dims > g->axis ||
	    (uint32_t)g->batch_dims > idx->rank)
		return "bad axis";
	for (int32_t i = 0; i < g->batch_dims; i++)
		if (x->dims[i] != idx->dims[i])
			return "batches differ";
	n = times(product(idx, g->batch_dims, idx->rank),
		  times(product(x, 0, g->axis), product(x, g->axis + 1, x->rank)));
	return n == v->y->elems ? NULL : "the output has another number of elements";
}

/* Indices lie inside of @x in all axes but @axis. */
static bool inside(tensor idx, tensor x, int32_t axis)
{
	if (idx->rank != x->rank || !axis_ok(axis, x))
		return false;
	for (uint32_t i = 0; i < x->rank; i++)
		if (i != (uint32_t)axis && idx->dims[i] > x->dims[i])
			return false;
	return true;
}

const char *verify_gather_elements(const struct view *v)
{
	tensor idx = in(v, 1);

	if (!is_index(idx) || v->x->type != v->y->type)
		return "types";
	return inside(idx, v->x, v->op->params.gather.axis) && same_shape(idx, v->y) ? NULL :
		"shapes do not fit";
}

/* Elements of an output or of updates that tuples of indices reach; -1: they do not fit. */
static int64_t tuples(tensor x, tensor idx, int32_t batch)
{
	int64_t len;

	if (!idx->rank || batch < 0 || (uint32_t)batch >= idx->rank || (uint32_t)batch >= x->rank)
		return -1;
	len = idx->dims[idx->rank - 1];
	if (len > x->rank - batch)
		return -1;
	for (int32_t i = 0; i < batch; i++)
		if (x->dims[i] != idx->dims[i])
			return -1;
	return times(product(idx, 0, idx->rank - 1), product(x, batch + len, x->rank));
}

const char *verify_gather_nd(const struct view *v)
{
	tensor idx = in(v, 1);

	if (!is_index(idx) || v->x->type != v->y->type)
		return "types";
	return tuples(v->x, idx, v->op->params.gather.batch_dims) == v->y->elems ? NULL :
		"shapes do not fit";
}

const char *verify_scatter(const struct view *v)
{
	const struct prog_scatter *s = &v->op->params.scatter;
	tensor idx = in(v, 1), up = in(v, 2);

	if (!is_index(idx) || !same(v->x, v->y) || up->type != v->x->type ||
	    s->fn > PROG_SCATTER_MAX)
		return "types, shapes or function";
	if (v->op->kind == PROG_SCATTER_ND)
		return tuples(v->x, idx, 0) == up->elems ? NULL : "updates do not fit";
	return inside(idx, v->x, s->axis) && same_shape(idx, up) ? NULL : "updates do not fit";
}

const char *verify_topk(const struct view *v)
{
	int32_t axis = v->op->params.topk.axis;
	tensor idx = out(v, 1), y = out(v, 0);

	if (!axis_ok(axis, v->x) || (!y && !idx))
		return "bad axis";
	for (uint32_t k = 0; k < 2; k++) {
		tensor t = out(v, k);

		if (!t)
			continue;
		if (t->rank != v->x->rank || t->type != (k ? BRAID_TYPE_I64 : v->x->type))
			return "type or rank differs";
		for (uint32_t i = 0; i < t->rank; i++)
			if (i == (uint32_t)axis ? t->dims[i] > v->x->dims[i] :
						  t->dims[i] != v->x->dims[i])
				return "extents differ";
	}
	return !y || !idx || same_shape(y, idx) ? NULL : "the outputs differ in shape";
}

const char *verify_onehot(const struct view *v)
{
	int32_t axis = v->op->params.axis;
	tensor values = in(v, 1);

	if (!axis_ok(axis, v->y) || v->y->rank != v->x->rank + 1)
		return "bad axis or rank";
	if (values->elems != 2 || values->type != v->y->type)
		return "values must be two of the output's type";
	for (uint32_t i = 0; i < v->x->rank; i++)
		if (v->x->dims[i] != v->y->dims[i + (i >= (uint32_t)axis)])
			return "extents differ";
	return NULL;
}
