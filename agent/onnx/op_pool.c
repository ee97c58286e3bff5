// SPDX-License-Identifier: MIT
/*
 * Pooling, on channels-last rank 5 like convolution.
 *
 * No state of its own.
 */
#include <string.h>

#include "agent/onnx/op.h"

static void pool(struct emit *e, const struct prog_pool *p, const int64_t *spatial)
{
	const struct build_tensor *x = emit_x(e, 0);
	/* Every 8-bit integer is a float: the largest of them can be found as one. */
	bool byte = x->type == BRAID_TYPE_U8 || x->type == BRAID_TYPE_I8;
	enum braid_type type = byte && p->kind == PROG_POOL_MAX ? BRAID_TYPE_F32 : x->type;
	uint32_t in = build_channels_last(e->b, build_cast(e->b, emit_in(e, 0), type)), y;
	int64_t dims[5] = { x->dims[0], spatial[0], spatial[1], spatial[2], x->dims[1] };
	bool indices = p->kind == PROG_POOL_MAX && emit_wants(e, 1);
	struct prog_op *op;

	op = build_op(e->b, PROG_POOL, 1, &in, indices ? 2 : 1);
	op->params.pool = *p;
	y = build_cast(e->b, build_set_out(e->b, op, 0, type, 5, dims), x->type);
	emit_out(e, 0, build_channels_first(e->b, y, x->rank));
	if (indices) {
		y = build_set_out(e->b, op, 1, BRAID_TYPE_I64, 5, dims);
		emit_out(e, 1, build_channels_first(e->b, y, x->rank));
	}
}

static void emit_max_pool(struct emit *e)
{
	bool ceil_mode = emit_attr_int(e, "ceil_mode", 0) != 0;
	struct prog_pool p = { .kind = PROG_POOL_MAX };
	struct op_window w;

	p.column_major = emit_attr_int(e, "storage_order", 0) != 0;
	if (!op_window(e, 0, NULL, ceil_mode, &w))
		return;
	p.win = w.win;
	pool(e, &p, w.out);
}

static void emit_average_pool(struct emit *e)
{
	bool ceil_mode = emit_attr_int(e, "ceil_mode", 0) != 0;
	struct prog_pool p = { .kind = PROG_POOL_AVG };
	struct op_window w;

	p.count_include_pad = emit_attr_int(e, "count_include_pad", 0) != 0;
	if (!op_window(e, 0, NULL, ceil_mode, &w))
		return;
	p.win = w.win;
	pool(e, &p, w.out);
}

static int32_t read_p(struct emit *e)
{
	int64_t p = emit_attr_int(e, "p", 2);

	if (p < 1 || p > 64) {
		emit_fail(e, -EINVAL, "p %lld is out of range", (long long)p);
		return 2;
	}
	return (int32_t)p;
}

static void emit_lp_pool(struct emit *e)
{
	bool ceil_mode = emit_attr_int(e, "ceil_mode", 0) != 0;
	struct prog_pool p = { .kind = PROG_POOL_LP, .p = read_p(e) };
	struct op_window w;

	if (!op_window(e, 0, NULL, ceil_mode, &w))
		return;
	p.win = w.win;
	pool(e, &p, w.out);
}

/* One window over everything. */
static void emit_global(struct emit *e)
{
	static const int64_t one[3] = { 1, 1, 1 };
	const struct build_tensor *x = emit_x(e, 0);
	const char *op = e->b->op_type;
	struct prog_pool p = { .kind = PROG_POOL_AVG };

	if (x->rank < 3 || x->rank > 5) {
		emit_fail(e, -EOPNOTSUPP, "rank %u: 1 to 3 spatial dimensions are supported",
			  x->rank);
		return;
	}
	if (!strcmp(op, "GlobalMaxPool"))
		p.kind = PROG_POOL_MAX;
	if (!strcmp(op, "GlobalLpPool")) {
		p.kind = PROG_POOL_LP;
		p.p = read_p(e);
	}
	for (uint32_t i = 0; i < 3; i++) {
		uint32_t axis = x->rank - 3 + i;
		int64_t k = axis >= 2 ? x->dims[axis] : 1;

		if (k > OP_MAX_EXTENT) {
			emit_fail(e, -EINVAL, "extent %lld is out of range", (long long)k);
			return;
		}
		p.win.kernel[i] = (int32_t)k;
		p.win.stride[i] = p.win.dilation[i] = 1;
	}
	pool(e, &p, one);
}

/*
 * MaxUnpool: every value goes to where MaxPool found it, given by flat indices
 * into the unpadded result. A wanted shape larger than that result is filled
 * with zeros behind.
 */
static void emit_max_unpool(struct emit *e)
{
	const struct build_tensor *x = emit_x(e, 0), *i = emit_x(e, 1);
	const int64_t *k, *s, *pads, *want;
	uint32_t n, n_k, n_s, n_p, n_want, in[3], y;
	struct op_dims flat = { 1, { 1 } }, few = { 1, { 0 } }, d;
	struct prog_op *op;

	k = emit_attr_ints(e, "kernel_shape", &n_k);
	s = emit_attr_ints(e, "strides", &n_s);
	pads = emit_attr_ints(e, "pads", &n_p);
	want = emit_ints(e, 2, "output_shape", &n_want);
	if (emit_failed(e) || !emit_need_type(e, 1, EMIT_BIT(BRAID_TYPE_I64)))
		return;
	n = x->rank - 2;
	if (x->rank < 3 || n_k != n || (s && n_s != n) || (pads && n_p != 2 * n) ||
	    (want && n_want != x->rank) || !build_same_shape(e->b, emit_in(e, 0), emit_in(e, 1))) {
		emit_fail(e, -EINVAL, "attributes or indices do not fit rank %u", x->rank);
		return;
	}
	d.rank = x->rank;
	for (uint32_t a = 0; a < d.rank; a++) {
		int64_t st = a >= 2 && s ? s[a - 2] : 1;

		d.d[a] = x->dims[a];
		if (a >= 2) {
			if (st < 1 || st > OP_MAX_EXTENT || k[a - 2] < 1 || k[a - 2] > OP_MAX_EXTENT ||
			    x->dims[a] > OP_MAX_EXTENT) {
				emit_fail(e, -EINVAL, "geometry is out of range");
				return;
			}
			d.d[a] = (x->dims[a] - 1) * st + k[a - 2];
			if (pads)
				d.d[a] -= pads[a - 2] + pads[n + a - 2];
		}
		if (d.d[a] < 1 || __builtin_mul_overflow(flat.d[0], d.d[a], &flat.d[0])) {
			emit_fail(e, -EINVAL, "the result's shape is out of range");
			return;
		}
	}
	few.d[0] = i->elems;
	in[0] = op_full(e, x->type, &flat, 0);
	in[1] = op_view(e, emit_in(e, 1), &few);
	in[2] = op_view(e, emit_in(e, 0), &few);
	op = build_op(e->b, PROG_SCATTER_ELEMENTS, 3, in, 1);
	op->params.scatter.fn = PROG_SCATTER_SET;
	y = op_view(e, build_set_out(e->b, op, 0, x->type, 1, flat.d), &d);
	if (want && memcmp(want, d.d, d.rank * sizeof(*want))) {
		int64_t lo[PROG_MAX_RANK] = { 0 }, hi[PROG_MAX_RANK] = { 0 };

		for (uint32_t a = 0; a < d.rank; a++) {
			hi[a] = want[a] - d.d[a];
			if (hi[a] < 0 || want[a] > OP_MAX_EXTENT) {
				emit_fail(e, -EINVAL, "output_shape is out of range");
				return;
			}
		}
		y = build_pad(e->b, y, PROG_PAD_CONSTANT, lo, hi, 0.0);
	}
	emit_out(e, 0, y);
}

const struct emit_op op_pool[] = {
	{ "MaxPool", 1, EMIT_OPSET_MAX, 1, 1, 2, emit_max_pool },
	{ "AveragePool", 1, EMIT_OPSET_MAX, 1, 1, 1, emit_average_pool },
	{ "LpPool", 2, EMIT_OPSET_MAX, 1, 1, 1, emit_lp_pool },
	{ "GlobalAveragePool", 1, EMIT_OPSET_MAX, 1, 1, 1, emit_global },
	{ "GlobalMaxPool", 1, EMIT_OPSET_MAX, 1, 1, 1, emit_global },
	{ "GlobalLpPool", 2, EMIT_OPSET_MAX, 1, 1, 1, emit_global },
	{ "MaxUnpool", 9, EMIT_OPSET_MAX, 2, 3, 1, emit_max_unpool },
	{ NULL }
};
