// SPDX-License-Identifier: MIT
/*
 * Convolutions. Data and weights are brought to channels-last rank 5, the
 * result back to the model's own order; passes cancel what meets.
 *
 * No state of its own.
 */
#include "agent/onnx/op.h"

/* Weights [A][B][k...] to [A][KD][KH][KW][B]. */
static uint32_t weights_last(struct emit *e)
{
	return build_channels_last(e->b, emit_in(e, 1));
}

/* group, checked to be at least 1 and to divide @channels. */
static int32_t read_group(struct emit *e, int64_t channels)
{
	int64_t group = emit_attr_int(e, "group", 1);

	if (group < 1 || group > channels || channels % group) {
		emit_fail(e, -EINVAL, "group %lld does not divide %lld channels",
			  (long long)group, (long long)channels);
		return 1;
	}
	return (int32_t)group;
}

static bool check_operands(struct emit *e)
{
	const struct build_tensor *x = emit_x(e, 0), *w = emit_x(e, 1);

	if (x->rank < 3 || x->rank > 5) {
		emit_fail(e, -EOPNOTSUPP, "rank %u: 1 to 3 spatial dimensions are supported",
			  x->rank);
		return false;
	}
	if (w->rank != x->rank) {
		emit_fail(e, -EINVAL, "weights of rank %u for data of rank %u", w->rank,
			  x->rank);
		return false;
	}
	if (w->type != x->type) {
		emit_fail(e, -EINVAL, "weights and data differ in type");
		return false;
	}
	return emit_need_type(e, 0, EMIT_FLOATS);
}

static bool check_bias(struct emit *e, int64_t channels)
{
	const struct build_tensor *b;

	if (!emit_has(e, 2))
		return true;
	b = emit_x(e, 2);
	if (b->rank == 1 && b->dims[0] == channels && b->type == emit_x(e, 0)->type)
		return true;
	emit_fail(e, -EINVAL, "the bias is not one number a channel (%lld)",
		  (long long)channels);
	return false;
}

static void finish(struct emit *e, enum prog_kind kind, const struct prog_window *win,
		   int32_t group, int64_t channels, const int64_t *spatial)
{
	const struct build_tensor *x = emit_x(e, 0);
	uint32_t in[3] = { build_channels_last(e->b, emit_in(e, 0)), weights_last(e),
			   emit_in(e, 2) };
	int64_t dims[5] = { x->dims[0], spatial[0], spatial[1], spatial[2], channels };
	struct prog_op *op;
	uint32_t y;

	op = build_op(e->b, kind, emit_has(e, 2) ? 3 : 2, in, 1);
	op->params.conv.win = *win;
	op->params.conv.group = group;
	y = build_set_out(e->b, op, 0, x->type, 5, dims);
	emit_out(e, 0, build_channels_first(e->b, y, x->rank));
}

static void emit_conv(struct emit *e)
{
	const struct build_tensor *x = emit_x(e, 0), *w = emit_x(e, 1);
	struct op_window win;
	int32_t group;

	if (!check_operands(e) || !op_window(e, 0, w->dims + 2, false, &win))
		return;
	group = read_group(e, x->dims[1]);
	if (w->dims[1] * group != x->dims[1] || w->dims[0] % group) {
		emit_fail(e, -EINVAL, "weights [%lld][%lld] do not fit %lld channels in %d groups",
			  (long long)w->dims[0], (long long)w->dims[1],
			  (long long)x->dims[1], group);
		return;
	}
	if (check_bias(e, w->dims[0]))
		finish(e, PROG_CONV, &win.win, group, w->dims[0], win.out);
}

/* What a ConvTranspose says of one spatial dimension, and what follows. */
struct up {
	int64_t in, kernel, stride, dilation, extra, lo, hi;
	int64_t shape;		/* output_shape, 0: not given */
	int64_t out;
};

static bool in_range(int64_t v, int64_t least)
{
	return v >= least && v <= OP_MAX_EXTENT;
}

/*
 * The result's extent follows from the padding, or the padding from it
 * (output_shape, auto_pad):
 *   out = stride * (in - 1) + output_padding + (kernel - 1) * dilation + 1 - pads
 */
static bool up_extent(struct emit *e, struct up *u, enum op_auto_pad how)
{
	bool upper = how == OP_PAD_SAME_UPPER, same = upper || how == OP_PAD_SAME_LOWER;
	int64_t full, total;

	if (!in_range(u->in, 1) || !in_range(u->kernel, 1) || !in_range(u->stride, 1) ||
	    !in_range(u->dilation, 1) || !in_range(u->extra, 0) || !in_range(u->lo, 0) ||
	    !in_range(u->hi, 0) || !in_range(u->shape, 0)) {
		emit_fail(e, -EINVAL, "a spatial dimension's geometry is out of range");
		return false;
	}
	full = u->stride * (u->in - 1) + u->extra + (u->kernel - 1) * u->dilation + 1;
	if (how == OP_PAD_VALID)
		u->lo = u->hi = 0;
	u->out = full - u->lo - u->hi;
	if (u->shape || same) {
		u->out = u->shape ? u->shape : u->in * u->stride;
		total = full - u->out;
		/* ONNX and ONNX Runtime differ on what that would mean. */
		if (total < 0 && !u->shape) {
			emit_fail(e, -EOPNOTSUPP,
				  "auto_pad where the stride is larger than the kernel");
			return false;
		}
		/* SAME_UPPER puts the odd one behind; everything else before. */
		u->lo = total < 0 ? 0 : upper ? total / 2 : total - total / 2;
		u->hi = total - u->lo;
	}
	if (!in_range(u->out, 1)) {
		emit_fail(e, -EINVAL, "a result's extent of %lld is out of range",
			  (long long)u->out);
		return false;
	}
	/* What output_padding adds behind is padding taken away. */
	u->hi -= u->extra;
	return true;
}

/* A list attribute of @n entries; NULL where it is absent or does not fit. */
static const int64_t *list_of(struct emit *e, const char *name, uint32_t n)
{
	uint32_t got;
	const int64_t *v = emit_attr_ints(e, name, &got);

	if (v && got != n) {
		emit_fail(e, -EINVAL, "%s has %u entries, %u are needed", name, got, n);
		return NULL;
	}
	return v;
}

static void emit_conv_transpose(struct emit *e)
{
	const struct build_tensor *x = emit_x(e, 0), *w = emit_x(e, 1);
	const int64_t *strides, *dilations, *pads, *extra, *shape, *kernel;
	struct prog_window win = { { 1, 1, 1 }, { 1, 1, 1 }, { 1, 1, 1 } };
	enum op_auto_pad how;
	int64_t out[3] = { 1, 1, 1 };
	uint32_t n, n_shape;
	int32_t group;

	if (!check_operands(e))
		return;
	n = x->rank - 2;
	group = read_group(e, x->dims[1]);
	if (w->dims[0] != x->dims[1] || w->dims[1] > INT32_MAX / group) {
		emit_fail(e, -EINVAL, "weights for %lld channels, data of %lld",
			  (long long)w->dims[0], (long long)x->dims[1]);
		return;
	}
	kernel = list_of(e, "kernel_shape", n);
	strides = list_of(e, "strides", n);
	dilations = list_of(e, "dilations", n);
	pads = list_of(e, "pads", 2 * n);
	extra = list_of(e, "output_padding", n);
	/* Some exporters write the whole shape, batch and channels included. */
	shape = emit_attr_ints(e, "output_shape", &n_shape);
	if (shape && n_shape == n + 2)
		shape += 2;
	else if (shape && n_shape != n)
		emit_fail(e, -EINVAL, "output_shape has %u entries", n_shape);
	how = op_auto_pad(e);
	for (uint32_t i = 0; i < n && !emit_failed(e); i++) {
		struct up u = {
			.in = x->dims[2 + i], .kernel = w->dims[2 + i],
			.stride = strides ? strides[i] : 1,
			.dilation = dilations ? dilations[i] : 1,
			.extra = extra ? extra[i] : 0,
			.lo = pads ? pads[i] : 0, .hi = pads ? pads[n + i] : 0,
			.shape = shape ? shape[i] : 0,
		};
		uint32_t at = 3 - n + i;

		if (kernel && kernel[i] != u.kernel)
			emit_fail(e, -EINVAL, "kernel_shape is not that of the weights");
		if (emit_failed(e) || !up_extent(e, &u, how))
			return;
		win.kernel[at] = (int32_t)u.kernel;
		win.stride[at] = (int32_t)u.stride;
		win.dilation[at] = (int32_t)u.dilation;
		win.pad_lo[at] = (int32_t)u.lo;
		win.pad_hi[at] = (int32_t)u.hi;
		out[at] = u.out;
	}
	if (!emit_failed(e) && check_bias(e, w->dims[1] * group))
		finish(e, PROG_CONV_TRANSPOSE, &win, group, w->dims[1] * group, out);
}

const struct emit_op op_conv[] = {
	{ "Conv", 1, EMIT_OPSET_MAX, 2, 3, 1, emit_conv },
	{ "ConvTranspose", 1, EMIT_OPSET_MAX, 2, 3, 1, emit_conv_transpose },
	{ NULL }
};
