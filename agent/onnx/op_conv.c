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

#define MAX_EXTENT	(1 << 24)

/*
 * The result's extent follows from the padding, or the padding from it
 * (output_shape, auto_pad):
 *   out = stride * (in - 1) + output_padding + (kernel - 1) * dilation + 1 - pads
 */
static void emit_conv_transpose(struct emit *e)
{
	static const char *const autos[] = { "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID", NULL };
	const struct build_tensor *x = emit_x(e, 0), *w = emit_x(e, 1);
	const int64_t *strides, *dilations, *pads, *more, *shape, *kernel;
	struct prog_window win = { { 1, 1, 1 }, { 1, 1, 1 }, { 1, 1, 1 } };
	uint32_t n, n_s, n_d, n_p, n_m, n_shape, n_k;
	int64_t out[3] = { 1, 1, 1 };
	int32_t group;
	int how;

	if (!check_operands(e))
		return;
	n = x->rank - 2;
	group = read_group(e, x->dims[1]);
	if (w->dims[0] != x->dims[1] ||
	    w->dims[1] > INT32_MAX / group) {
		emit_fail(e, -EINVAL, "weights for %lld channels, data of %lld",
			  (long long)w->dims[0], (long long)x->dims[1]);
		return;
	}
	kernel = emit_attr_ints(e, "kernel_shape", &n_k);
	strides = emit_attr_ints(e, "strides", &n_s);
	dilations = emit_attr_ints(e, "dilations", &n_d);
	pads = emit_attr_ints(e, "pads", &n_p);
	more = emit_attr_ints(e, "output_padding", &n_m);
	shape = emit_attr_ints(e, "output_shape", &n_shape);
	how = emit_attr_enum(e, "auto_pad", "NOTSET", autos);
	if (emit_failed(e))
		return;
	/* Some exporters write the whole shape, batch and channels included. */
	if (shape && n_shape == n + 2) {
		shape += 2;
		n_shape = n;
	}
	if ((kernel && n_k != n) || (strides && n_s != n) || (dilations && n_d != n) ||
	    (pads && n_p != 2 * n) || (more && n_m != n) || (shape && n_shape != n)) {
		emit_fail(e, -EINVAL, "an attribute's length does not fit %u dimensions", n);
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		int64_t k = w->dims[2 + i], s = strides ? strides[i] : 1;
		int64_t d = dilations ? dilations[i] : 1, extra = more ? more[i] : 0;
		int64_t lo = pads ? pads[i] : 0, hi = pads ? pads[n + i] : 0;
		int64_t in = x->dims[2 + i], full, total;
		uint32_t at = 3 - n + i;

		if ((kernel && kernel[i] != k) || k > MAX_EXTENT || s < 1 || s > MAX_EXTENT ||
		    d < 1 || d > MAX_EXTENT || extra < 0 || extra > MAX_EXTENT || lo < 0 ||
		    lo > MAX_EXTENT || hi < 0 || hi > MAX_EXTENT || in > MAX_EXTENT) {
			emit_fail(e, -EINVAL, "geometry of spatial dimension %u is out of range", i);
			return;
		}
		full = s * (in - 1) + extra + (k - 1) * d + 1;
		if (shape && (shape[i] < 1 || shape[i] > MAX_EXTENT)) {
			emit_fail(e, -EINVAL, "output_shape %lld is out of range",
				  (long long)shape[i]);
			return;
		}
		if (shape || how == 1 || how == 2) {
			out[at] = shape ? shape[i] : in * s;
			total = full - out[at];
			/* SAME_UPPER puts the odd one behind; everything else before. */
			if (how == 1) {
				lo = total / 2;
				hi = total - lo;
			} else {
				hi = total / 2;
				lo = total - hi;
			}
			if (total < 0 && !shape) {
				emit_fail(e, -EOPNOTSUPP,
					  "auto_pad where the stride is larger than the kernel");
				return;
			}
			if (total < 0) {
				lo = 0;
				hi = total;
			}
		} else {
			if (how == 3)
				lo = hi = 0;
			out[at] = full - lo - hi;
		}
		if (out[at] < 1 || out[at] > MAX_EXTENT || hi < -(int64_t)MAX_EXTENT) {
			emit_fail(e, -EINVAL, "result's extent %lld is out of range",
				  (long long)out[at]);
			return;
		}
		win.kernel[at] = (int32_t)k;
		win.stride[at] = (int32_t)s;
		win.dilation[at] = (int32_t)d;
		win.pad_lo[at] = (int32_t)lo;
		/* What output_padding adds behind is padding taken away. */
		win.pad_hi[at] = (int32_t)(hi - extra);
	}
	if (check_bias(e, w->dims[1] * group))
		finish(e, PROG_CONV_TRANSPOSE, &win, group, w->dims[1] * group, out);
}

const struct emit_op op_conv[] = {
	{ "Conv", 1, EMIT_OPSET_MAX, 2, 3, 1, emit_conv },
	{ "ConvTranspose", 1, EMIT_OPSET_MAX, 2, 3, 1, emit_conv_transpose },
	{ NULL }
};
