// SPDX-License-Identifier: MIT
/*
 * Steps that operators of several topics are made from.
 *
 * No state of its own.
 */
#include <string.h>

#include "agent/onnx/op.h"

struct op_dims op_dims(const struct emit *e, uint32_t t)
{
	const struct build_tensor *x = build_t(e->b, t);
	struct op_dims d = { .rank = x->rank };

	memcpy(d.d, x->dims, sizeof(d.d));
	return d;
}

uint32_t op_view(struct emit *e, uint32_t t, const struct op_dims *d)
{
	return build_view(e->b, t, d->rank, d->d);
}

uint32_t op_expand(struct emit *e, uint32_t t, const struct op_dims *d)
{
	const struct build_tensor *x = build_t(e->b, t);

	if (x->rank == d->rank && !memcmp(x->dims, d->d, d->rank * sizeof(*d->d)))
		return t;
	return build_expand(e->b, t, d->rank, d->d);
}

uint32_t op_full(struct emit *e, enum braid_type type, const struct op_dims *d, double v)
{
	return build_fill(e->b, type, d->rank, d->d, v);
}

uint32_t op_f32(struct emit *e, float v)
{
	return build_scalar(e->b, BRAID_TYPE_F32, v);
}

uint32_t op_bin(struct emit *e, enum prog_binary fn, uint32_t x, uint32_t y)
{
	return build_binary(e->b, fn, x, y);
}

/* One list attribute of a window; @n entries or none. */
static bool window_list(struct emit *e, const char *name, uint32_t n, int64_t least,
			int64_t def, int64_t *v)
{
	uint32_t got;
	const int64_t *a = emit_attr_ints(e, name, &got);

	if (a && got != n) {
		emit_fail(e, -EINVAL, "%s has %u entries, %u are needed", name, got, n);
		return false;
	}
	for (uint32_t i = 0; i < n; i++) {
		v[i] = a ? a[i] : def;
		if (v[i] < least || v[i] > OP_MAX_EXTENT) {
			emit_fail(e, -EINVAL, "%s %lld is out of range", name, (long long)v[i]);
			return false;
		}
	}
	return true;
}

enum op_auto_pad op_auto_pad(struct emit *e)
{
	static const char *const names[] = { "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID", NULL };

	return (enum op_auto_pad)emit_attr_enum(e, "auto_pad", "NOTSET", names);
}

/* One dimension: its padding where auto_pad decides, and the result's extent. */
static bool window_extent(struct emit *e, int64_t in, enum op_auto_pad how, bool ceil_mode,
			  int64_t kernel, int64_t stride, int64_t dilation,
			  int64_t *lo, int64_t *hi, int64_t *out)
{
	int64_t span = (kernel - 1) * dilation + 1, room;

	if (how == OP_PAD_SAME_UPPER || how == OP_PAD_SAME_LOWER) {
		int64_t total;

		*out = (in + stride - 1) / stride;
		total = (*out - 1) * stride + span - in;
		if (total < 0)
			total = 0;
		*lo = how == OP_PAD_SAME_UPPER ? total / 2 : total - total / 2;
		*hi = total - *lo;
		return true;
	}
	if (how == OP_PAD_VALID)
		*lo = *hi = 0;
	room = in + *lo + *hi - span;
	if (room < 0) {
		emit_fail(e, -EINVAL, "the window (%lld) is larger than the padded input (%lld)",
			  (long long)span, (long long)(in + *lo + *hi));
		return false;
	}
	*out = (ceil_mode ? room + stride - 1 : room) / stride + 1;
	/* A window that would start in the padding behind the input is left out. */
	if (ceil_mode && (*out - 1) * stride >= in + *lo)
		(*out)--;
	return true;
}

bool op_window(struct emit *e, uint32_t x, const int64_t *kernel, bool ceil_mode,
	       struct op_window *w)
{
	const struct build_tensor *t = emit_x(e, x);
	int64_t k[3], stride[3], dilation[3], pad[6], same[3];
	enum op_auto_pad how;
	uint32_t n;

	memset(w, 0, sizeof(*w));
	if (emit_failed(e))
		return false;
	if (t->rank < 3 || t->rank > 5) {
		emit_fail(e, -EOPNOTSUPP, "rank %u: 1 to 3 spatial dimensions are supported",
			  t->rank);
		return false;
	}
	n = t->rank - 2;
	if (!kernel && !emit_attr_need(e, "kernel_shape"))
		return false;
	if (!window_list(e, "kernel_shape", n, 1, 1, k))
		return false;
	for (uint32_t i = 0; kernel && i < n; i++) {
		same[i] = emit_attr_has(e, "kernel_shape") ? k[i] : kernel[i];
		k[i] = kernel[i];
		if (same[i] != k[i] || k[i] > OP_MAX_EXTENT) {
			emit_fail(e, -EINVAL, "kernel_shape is not that of the weights");
			return false;
		}
	}
	how = op_auto_pad(e);
	if (!window_list(e, "strides", n, 1, 1, stride) ||
	    !window_list(e, "dilations", n, 1, 1, dilation) ||
	    !window_list(e, "pads", 2 * n, 0, 0, pad))
		return false;
	w->n = n;
	for (uint32_t i = 0; i < 3; i++) {
		w->win.kernel[i] = w->win.stride[i] = w->win.dilation[i] = 1;
		w->out[i] = 1;
	}
	for (uint32_t i = 0; i < n; i++) {
		uint32_t at = 3 - n + i;

		if (!window_extent(e, t->dims[2 + i], how, ceil_mode, k[i], stride[i],
				   dilation[i], &pad[i], &pad[n + i], &w->out[at]))
			return false;
		w->win.kernel[at] = (int32_t)k[i];
		w->win.stride[at] = (int32_t)stride[i];
		w->win.dilation[at] = (int32_t)dilation[i];
		w->win.pad_lo[at] = (int32_t)pad[i];
		w->win.pad_hi[at] = (int32_t)pad[n + i];
	}
	return !emit_failed(e);
}
