// SPDX-License-Identifier: MIT
/*
 * What layers of networks demand of their tensors and parameters: windows,
 * products, reductions, recurrent cells. See verify_kind.c.
 */
#include "agent/program/verify_view.h"

#include <stdlib.h>

/* ---- windows ---- */

static bool window_ok(const struct prog_window *w)
{
	for (int i = 0; i < 3; i++)
		if (w->kernel[i] < 1 || w->stride[i] < 1 || w->dilation[i] < 1 ||
		    abs(w->pad_lo[i]) > 1 << 30 || abs(w->pad_hi[i]) > 1 << 30)
			return false;
	return true;
}

/* Extent covered by the window, and padded input. */
static int64_t reach(const struct prog_window *w, int i)
{
	return (int64_t)w->dilation[i] * (w->kernel[i] - 1) + 1;
}

static int64_t padded(const struct prog_window *w, int i, tensor x)
{
	return x->dims[1 + i] + w->pad_lo[i] + w->pad_hi[i];
}

const char *verify_conv(const struct view *v)
{
	const struct prog_conv *c = &v->op->params.conv;
	tensor x = v->x, y = v->y, w = in(v, 1), bias = in(v, 2);
	bool transposed = v->op->kind == PROG_CONV_TRANSPOSE;
	int64_t m;

	if (x->rank != 5 || y->rank != 5 || w->rank != 5)
		return "data and weights must have rank 5";
	if (x->type != y->type || w->type != x->type)
		return "types differ";
	if (!window_ok(&c->win) || c->group < 1)
		return "bad window or group";
	m = y->dims[4];
	if (x->dims[4] % c->group || m % c->group || x->dims[0] != y->dims[0])
		return "channels do not divide into the groups, or another batch";
	if (transposed ? w->dims[0] != x->dims[4] || w->dims[4] != m / c->group :
			 w->dims[0] != m || w->dims[4] != x->dims[4] / c->group)
		return "weights do not fit the channels";
	if (bias && (!is_vector(bias, m) || bias->type != x->type))
		return "bias is not one number a channel";
	for (int i = 0; i < 3; i++) {
		int64_t want;

		if (w->dims[1 + i] != c->win.kernel[i])
			return "weights do not fit the window";
		if (transposed) {
			want = (x->dims[1 + i] - 1) * c->win.stride[i] + reach(&c->win, i) -
			       c->win.pad_lo[i] - c->win.pad_hi[i];
		} else {
			if (c->win.pad_lo[i] < 0 || c->win.pad_hi[i] < 0 ||
			    padded(&c->win, i, x) < reach(&c->win, i))
				return "the window does not fit the data";
			want = (padded(&c->win, i, x) - reach(&c->win, i)) / c->win.stride[i] + 1;
		}
		if (y->dims[1 + i] != want)
			return "the output's extent does not follow from the window";
	}
	return NULL;
}

const char *verify_pool(const struct view *v)
{
	const struct prog_pool *c = &v->op->params.pool;
	tensor x = v->x, y = v->y, idx = out(v, 1);

	if (x->rank != 5 || y->rank != 5 || x->type != y->type)
		return "data must have rank 5 and one type";
	if (!window_ok(&c->win) || c->kind > PROG_POOL_LP || (c->kind == PROG_POOL_LP && c->p < 1))
		return "bad window or kind";
	if (x->dims[0] != y->dims[0] || x->dims[4] != y->dims[4])
		return "batch or channels differ";
	if (idx && (c->kind != PROG_POOL_MAX || idx->type != BRAID_TYPE_I64 || !same_shape(idx, y)))
		return "indices must be int64 in the output's shape, of a max pool";
	for (int i = 0; i < 3; i++) {
		int64_t room = padded(&c->win, i, x) - reach(&c->win, i), s = c->win.stride[i];
		int64_t least, most;

		if (c->win.pad_lo[i] < 0 || c->win.pad_hi[i] < 0)
			return "negative padding";
		/* Rounding up, the last window may hang over; it must start on data or padding. */
		least = room < 0 ? 1 : room / s + 1;
		most = room < 0 ? 1 : (room + s - 1) / s + 1;
		if (y->dims[1 + i] < least || y->dims[1 + i] > most ||
		    (y->dims[1 + i] - 1) * s >= padded(&c->win, i, x))
			return "the output's extent does not follow from the window";
	}
	return NULL;
}

/* ---- products and reductions ---- */

const char *verify_gemm(const struct view *v)
{
	const struct prog_gemm *g = &v->op->params.gemm;
	tensor a = v->x, b = in(v, 1), bias = in(v, 2), y = v->y;
	struct prog_tensor lead_a, lead_b, lead_y;

	if (a->rank < 2 || b->rank < 2 || y->rank < 2)
		return "a matrix needs rank 2";
	if (a->type != b->type || a->type != y->type || (bias && bias->type != a->type))
		return "types differ";
	if (a->dims[a->rank - (g->trans_a ? 2 : 1)] != b->dims[b->rank - (g->trans_b ? 1 : 2)])
		return "inner extents differ";
	if (y->dims[y->rank - 2] != a->dims[a->rank - (g->trans_a ? 1 : 2)] ||
	    y->dims[y->rank - 1] != b->dims[b->rank - (g->trans_b ? 2 : 1)])
		return "the output's extents are not the product's";
	lead_a = *a;
	lead_b = *b;
	lead_y = *y;
	lead_a.rank -= 2;
	lead_b.rank -= 2;
	lead_y.rank -= 2;
	if (!spreads(&lead_a, &lead_y) || !spreads(&lead_b, &lead_y))
		return "leading extents do not broadcast";
	/* And no further than one of the two says. */
	for (uint32_t i = 0; i < lead_y.rank; i++) {
		uint32_t back = lead_y.rank - i;
		int64_t m = back <= lead_a.rank ? lead_a.dims[lead_a.rank - back] : 1;
		int64_t n = back <= lead_b.rank ? lead_b.dims[lead_b.rank - back] : 1;

		if (lead_y.dims[i] != (m > n ? m : n))
			return "leading extents are not the operands'";
	}
	if (bias && !spreads(bias, y))
		return "bias does not broadcast";
	return NULL;
}

const char *verify_reduce(const struct view *v)
{
	const struct prog_reduce_params *r = &v->op->params.reduce;
	int64_t n = 1;

	if (r->fn >= PROG_REDS || r->axes >> v->x->rank)
		return "bad function or axes";
	for (uint32_t i = 0; i < v->x->rank; i++)
		n *= r->axes >> i & 1 ? 1 : v->x->dims[i];
	if (v->x->type != v->y->type || v->y->elems != n)
		return "the output is not the reduced shape";
	return NULL;
}

const char *verify_argreduce(const struct view *v)
{
	int32_t axis = v->op->params.argreduce.axis;

	if (!axis_ok(axis, v->x))
		return "bad axis";
	if (v->y->type != BRAID_TYPE_I64 || v->y->elems != v->x->elems / v->x->dims[axis])
		return "the output is not int64 of the reduced shape";
	return NULL;
}

const char *verify_softmax(const struct view *v)
{
	const struct prog_softmax *s = &v->op->params.softmax;

	if (s->kind > PROG_SOFTMAX_HARD || s->axis < 0 || s->n_axes < 1 ||
	    (int64_t)s->axis + s->n_axes > v->x->rank)
		return "bad kind or axes";
	return same(v->x, v->y) ? NULL : "the output differs from the input in type or shape";
}

const char *verify_norm(const struct view *v)
{
	const struct prog_norm *n = &v->op->params.norm;
	tensor x = v->x;
	int64_t inner, outer;

	if (!same(x, v->y))
		return "the output differs from the input in type or shape";
	if (n->kind == PROG_NORM_GROUP) {
		if (x->rank < 2 || n->groups < 1 || x->dims[x->rank - 1] % n->groups)
			return "channels do not divide into the groups";
		inner = x->dims[x->rank - 1];
		outer = times(x->dims[0], n->groups);
	} else {
		if (n->kind > PROG_NORM_RMS || !axis_ok(n->axis, x))
			return "bad kind or axis";
		inner = product(x, n->axis, x->rank);
		outer = product(x, 0, n->axis);
	}
	for (uint32_t i = 1; i < v->op->n_in; i++)
		if (in(v, i) && (in(v, i)->elems != inner || in(v, i)->type != x->type))
			return "scale or shift does not fit";
	for (uint32_t i = 1; i < v->op->n_out; i++)
		if (out(v, i) && (out(v, i)->elems != outer || out(v, i)->type != BRAID_TYPE_F32))
			return "mean or deviation does not fit";
	return NULL;
}

const char *verify_lrn(const struct view *v)
{
	if (v->op->params.lrn.size < 1 || v->x->rank < 2)
		return "bad size or rank";
	return same(v->x, v->y) ? NULL : "the output differs from the input in type or shape";
}

/* ---- recurrent ---- */

static bool has_dims(tensor t, enum braid_type type, uint32_t rank, int64_t a, int64_t b,
		     int64_t c, int64_t d)
{
	const int64_t dims[4] = { a, b, c, d };

	if (!t)
		return true;	/* optional */
	return t->type == type && t->rank == rank && !memcmp(t->dims, dims, rank * sizeof(*dims));
}

const char *verify_rnn(const struct view *v)
{
	const struct prog_rnn *r = &v->op->params.rnn;
	int64_t dirs = r->dir == PROG_RNN_BIDIRECTIONAL ? 2 : 1, gates, h = r->hidden, t, b, i;
	tensor x = v->x, lens = in(v, 4);

	if (r->cell > PROG_RNN_PLAIN || r->dir > PROG_RNN_BIDIRECTIONAL || h < 1 || x->rank != 3)
		return "bad cell, direction, size or rank";
	for (int k = 0; k < 6; k++)
		if (r->fn[k] >= PROG_FNS)
			return "bad function";
	gates = r->cell == PROG_RNN_LSTM ? 4 : r->cell == PROG_RNN_GRU ? 3 : 1;
	t = x->dims[0];
	b = x->dims[1];
	i = x->dims[2];
	if (!has_dims(in(v, 1), x->type, 3, dirs, gates * h, i, 0) ||
	    !has_dims(in(v, 2), x->type, 3, dirs, gates * h, h, 0) ||
	    !has_dims(in(v, 3), x->type, 2, dirs, 2 * gates * h, 0, 0))
		return "weights do not fit";
	if (lens && (!is_index(lens) || !is_vector(lens, b)))
		return "lengths do not fit";
	if (!has_dims(in(v, 5), x->type, 3, dirs, b, h, 0) ||
	    !has_dims(in(v, 6), x->type, 3, dirs, b, h, 0) ||
	    !has_dims(in(v, 7), x->type, 2, dirs, 3 * h, 0, 0))
		return "initial state or peepholes do not fit";
	if (r->cell != PROG_RNN_LSTM && (in(v, 6) || in(v, 7) || out(v, 2)))
		return "only an LSTM has a cell state and peepholes";
	if (!has_dims(out(v, 0), x->type, 4, t, dirs, b, h) ||
	    !has_dims(out(v, 1), x->type, 3, dirs, b, h, 0) ||
	    !has_dims(out(v, 2), x->type, 3, dirs, b, h, 0))
		return "outputs do not fit";
	return NULL;
}
