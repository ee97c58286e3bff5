// SPDX-License-Identifier: MIT
/*
 * What each kind of operation demands of its tensors and parameters, one
 * function a kind. A backend computes addresses from these without looking
 * again, so whatever an address is made of is checked here.
 */
#include "agent/program/verify_kind.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agent/program/program.h"

typedef const struct prog_tensor *tensor;

struct view {
	const struct program *p;
	const struct prog_op *op;
	tensor x, y;	/* first input, first output */
};

static tensor in(const struct view *v, uint32_t i)
{
	if (i >= v->op->n_in || v->op->in[i] == PROG_NONE)
		return NULL;
	return &v->p->tensors[v->op->in[i]];
}

static tensor out(const struct view *v, uint32_t i)
{
	if (i >= v->op->n_out || v->op->out[i] == PROG_NONE)
		return NULL;
	return &v->p->tensors[v->op->out[i]];
}

static bool same_shape(tensor a, tensor b)
{
	return a->rank == b->rank && !memcmp(a->dims, b->dims, a->rank * sizeof(a->dims[0]));
}

static bool same(tensor a, tensor b)
{
	return a->type == b->type && same_shape(a, b);
}

/* @t broadcasts to a shape, as numpy's do. */
static bool spreads(tensor t, tensor to)
{
	if (t->rank > to->rank)
		return false;
	for (uint32_t i = 0; i < t->rank; i++)
		if (t->dims[i] != 1 && t->dims[i] != to->dims[to->rank - t->rank + i])
			return false;
	return true;
}

/* Saturating: a product of two tensors' extents may be more than any tensor has. */
static int64_t times(int64_t a, int64_t b)
{
	int64_t c;

	return __builtin_mul_overflow(a, b, &c) ? INT64_MAX : c;
}

static int64_t product(tensor t, uint32_t from, uint32_t to)
{
	int64_t n = 1;

	for (uint32_t i = from; i < to; i++)
		n *= t->dims[i];
	return n;
}

static bool is_vector(tensor t, int64_t n)
{
	return t->rank == 1 && t->dims[0] == n;
}

static bool is_index(tensor t)
{
	return t->type == BRAID_TYPE_I32 || t->type == BRAID_TYPE_I64;
}

static bool axis_ok(int32_t axis, tensor t)
{
	return axis >= 0 && (uint32_t)axis < t->rank;
}

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

static const char *conv(const struct view *v)
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

static const char *pool(const struct view *v)
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

static const char *gemm(const struct view *v)
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

static const char *reduce(const struct view *v)
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

static const char *argreduce(const struct view *v)
{
	int32_t axis = v->op->params.argreduce.axis;

	if (!axis_ok(axis, v->x))
		return "bad axis";
	if (v->y->type != BRAID_TYPE_I64 || v->y->elems != v->x->elems / v->x->dims[axis])
		return "the output is not int64 of the reduced shape";
	return NULL;
}

static const char *softmax(const struct view *v)
{
	const struct prog_softmax *s = &v->op->params.softmax;

	if (s->kind > PROG_SOFTMAX_HARD || s->axis < 0 || s->n_axes < 1 ||
	    (int64_t)s->axis + s->n_axes > v->x->rank)
		return "bad kind or axes";
	return same(v->x, v->y) ? NULL : "the output differs from the input in type or shape";
}

static const char *norm(const struct view *v)
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

static const char *lrn(const struct view *v)
{
	if (v->op->params.lrn.size < 1 || v->x->rank < 2)
		return "bad size or rank";
	return same(v->x, v->y) ? NULL : "the output differs from the input in type or shape";
}

/* ---- elements ---- */

static const char *unary(const struct view *v)
{
	enum prog_fn fn = v->op->params.unary.fn;
	bool to_bool = fn == PROG_FN_ISNAN || fn == PROG_FN_ISINF || fn == PROG_FN_NOT;

	if (fn >= PROG_FNS)
		return "bad function";
	if (!same_shape(v->x, v->y) || v->y->type != (to_bool ? BRAID_TYPE_BOOL : v->x->type))
		return "the output differs from the input in type or shape";
	return NULL;
}

/* @y is the broadcast shape of all inputs, no larger. */
static bool is_broadcast(const struct view *v)
{
	tensor y = v->y;

	for (uint32_t i = 0; i < v->op->n_in; i++)
		if (!in(v, i) || !spreads(in(v, i), y))
			return false;
	for (uint32_t k = 0; k < y->rank; k++) {
		int64_t most = 1;

		for (uint32_t i = 0; i < v->op->n_in; i++) {
			tensor t = in(v, i);

			if (t->rank >= y->rank - k && t->dims[t->rank - (y->rank - k)] > most)
				most = t->dims[t->rank - (y->rank - k)];
		}
		if (most != y->dims[k])
			return false;
	}
	return true;
}

static const char *binary(const struct view *v)
{
	enum prog_binary fn = v->op->params.binary;
	bool to_bool = fn >= PROG_BIN_EQUAL && fn <= PROG_BIN_GREATER_EQUAL;

	if (fn >= PROG_BINS)
		return "bad function";
	if (v->x->type != in(v, 1)->type ||
	    v->y->type != (to_bool ? BRAID_TYPE_BOOL : v->x->type))
		return "types differ";
	return is_broadcast(v) ? NULL : "shapes do not broadcast to the output's";
}

static const char *where(const struct view *v)
{
	if (v->x->type != BRAID_TYPE_BOOL || in(v, 1)->type != in(v, 2)->type ||
	    in(v, 1)->type != v->y->type)
		return "types differ";
	return is_broadcast(v) ? NULL : "shapes do not broadcast to the output's";
}

static const char *cast(const struct view *v)
{
	return same_shape(v->x, v->y) ? NULL : "shapes differ";
}

static const char *quantize(const struct view *v)
{
	bool to = v->op->kind == PROG_QUANTIZE;
	tensor scale = in(v, 1), zero = in(v, 2);
	int32_t axis = v->op->params.axis;

	if (!same_shape(v->x, v->y))
		return "shapes differ";
	if (scale->elems != 1 && (!axis_ok(axis, v->x) || scale->elems != v->x->dims[axis]))
		return "scale is neither one number nor one a channel";
	if (zero && (zero->elems != scale->elems || zero->type != (to ? v->y : v->x)->type))
		return "zero point does not fit";
	return NULL;
}

/* ---- moving ---- */

static const char *transpose(const struct view *v)
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

static const char *copy(const struct view *v)
{
	return v->x->type == v->y->type && v->x->elems == v->y->elems ? NULL :
		"type or number of elements differs";
}

static const char *slice(const struct view *v)
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

static const char *concat(const struct view *v)
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

static const char *pad(const struct view *v)
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

static const char *expand(const struct view *v)
{
	return v->x->type == v->y->type && spreads(v->x, v->y) ? NULL :
		"the input does not broadcast to the output";
}

static const char *tile(const struct view *v)
{
	if (v->x->type != v->y->type || v->x->rank != v->y->rank)
		return "type or rank differs";
	for (uint32_t i = 0; i < v->x->rank; i++)
		if (v->y->dims[i] % v->x->dims[i])
			return "an extent is not a multiple";
	return NULL;
}

static const char *trilu(const struct view *v)
{
	return v->x->rank >= 2 && same(v->x, v->y) ? NULL : "type or shape differs";
}

static const char *cumsum(const struct view *v)
{
	return axis_ok(v->op->params.cumsum.axis, v->x) && same(v->x, v->y) ? NULL :
		"bad axis, or type or shape differs";
}

static const char *resize(const struct view *v)
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

static const char *gather(const struct view *v)
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

static const char *gather_elements(const struct view *v)
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

static const char *gather_nd(const struct view *v)
{
	tensor idx = in(v, 1);

	if (!is_index(idx) || v->x->type != v->y->type)
		return "types";
	return tuples(v->x, idx, v->op->params.gather.batch_dims) == v->y->elems ? NULL :
		"shapes do not fit";
}

static const char *scatter(const struct view *v)
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

static const char *topk(const struct view *v)
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

static const char *onehot(const struct view *v)
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

/* ---- recurrent ---- */

static bool has_dims(tensor t, enum braid_type type, uint32_t rank, int64_t a, int64_t b,
		     int64_t c, int64_t d)
{
	const int64_t dims[4] = { a, b, c, d };

	if (!t)
		return true;	/* optional */
	return t->type == type && t->rank == rank && !memcmp(t->dims, dims, rank * sizeof(*dims));
}

static const char *rnn(const struct view *v)
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

/* ---- all ---- */

/* Inputs needed and possible, outputs possible; the first output is always needed,
 * but for those with @any_out. */
static const struct {
	uint32_t min_in, max_in, max_out;
	bool any_out, epilogue;
	const char *(*check)(const struct view *v);
} kinds[PROG_KINDS] = {
	[PROG_CONV] = { 2, 3, 1, false, true, conv },
	[PROG_CONV_TRANSPOSE] = { 2, 3, 1, false, true, conv },
	[PROG_GEMM] = { 2, 3, 1, false, true, gemm },
	[PROG_POOL] = { 1, 1, 2, false, false, pool },
	[PROG_REDUCE] = { 1, 1, 1, false, false, reduce },
	[PROG_ARGREDUCE] = { 1, 1, 1, false, false, argreduce },
	[PROG_UNARY] = { 1, 1, 1, false, false, unary },
	[PROG_BINARY] = { 2, 2, 1, false, true, binary },
	[PROG_WHERE] = { 3, 3, 1, false, false, where },
	[PROG_CAST] = { 1, 1, 1, false, false, cast },
	[PROG_SOFTMAX] = { 1, 1, 1, false, false, softmax },
	[PROG_NORM] = { 1, 3, 3, false, false, norm },
	[PROG_LRN] = { 1, 1, 1, false, false, lrn },
	[PROG_TRANSPOSE] = { 1, 1, 1, false, false, transpose },
	[PROG_COPY] = { 1, 1, 1, false, false, copy },
	[PROG_SLICE] = { 1, 1, 1, false, false, slice },
	[PROG_CONCAT] = { 1, UINT32_MAX, 1, false, false, concat },
	[PROG_PAD] = { 1, 1, 1, false, false, pad },
	[PROG_EXPAND] = { 1, 1, 1, false, false, expand },
	[PROG_TILE] = { 1, 1, 1, false, false, tile },
	[PROG_GATHER] = { 2, 2, 1, false, false, gather },
	[PROG_GATHER_ELEMENTS] = { 2, 2, 1, false, false, gather_elements },
	[PROG_GATHER_ND] = { 2, 2, 1, false, false, gather_nd },
	[PROG_SCATTER_ELEMENTS] = { 3, 3, 1, false, false, scatter },
	[PROG_SCATTER_ND] = { 3, 3, 1, false, false, scatter },
	[PROG_RESIZE] = { 1, 1, 1, false, false, resize },
	[PROG_CUMSUM] = { 1, 1, 1, false, false, cumsum },
	[PROG_TOPK] = { 1, 1, 2, true, false, topk },
	[PROG_ONEHOT] = { 2, 2, 1, false, false, onehot },
	[PROG_TRILU] = { 1, 1, 1, false, false, trilu },
	[PROG_RNN] = { 3, 8, 3, true, false, rnn },
	[PROG_QUANTIZE] = { 2, 3, 1, false, false, quantize },
	[PROG_DEQUANTIZE] = { 2, 3, 1, false, false, quantize },
};

static const char *epilogue(const struct view *v)
{
	const struct prog_epilogue *e = &v->op->epi;

	if (e->fn == PROG_FN_NONE && e->residual == PROG_NONE)
		return NULL;
	if (!kinds[v->op->kind].epilogue)
		return "this kind has no epilogue";
	if (e->fn > PROG_FN_EPILOGUE_LAST)
		return "this function is none for an epilogue";
	if (e->residual != PROG_NONE && !same(&v->p->tensors[e->residual], v->y))
		return "the residual differs from the output in type or shape";
	return NULL;
}

const char *verify_kind(const struct program *p, const struct prog_op *op)
{
	struct view v = { .p = p, .op = op };
	const char *why;
	bool any = false;

	if ((unsigned int)op->kind >= PROG_KINDS)
		return "unknown kind";
	if (op->n_in < kinds[op->kind].min_in || op->n_in > kinds[op->kind].max_in ||
	    op->n_out < 1 || op->n_out > kinds[op->kind].max_out)
		return "wrong number of inputs or outputs";
	for (uint32_t i = 0; i < kinds[op->kind].min_in; i++)
		if (!in(&v, i))
			return "an input is missing";
	for (uint32_t i = 0; i < op->n_out; i++)
		any |= !!out(&v, i);
	if (!any || (!out(&v, 0) && !kinds[op->kind].any_out))
		return "an output is missing";
	v.x = in(&v, 0);
	v.y = out(&v, 0);
	why = kinds[op->kind].check(&v);
	return why ? why : epilogue(&v);
}
