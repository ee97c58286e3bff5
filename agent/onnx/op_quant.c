// SPDX-License-Identifier: MIT
/*
 * Quantisation: between floats and 8-bit integers. What computes on quantised
 * numbers (QLinearConv and the like) is refused: rounding there is its own
 * subject, and no family that is meant needs it.
 *
 * No state of its own.
 */
#include "agent/onnx/op.h"

#define BYTES	(EMIT_BIT(BRAID_TYPE_U8) | EMIT_BIT(BRAID_TYPE_I8))

/* Scale and zero point: one each, or one for every entry of the axis. */
static bool check_scale(struct emit *e, uint32_t rank, uint32_t *axis)
{
	const struct build_tensor *s = emit_x(e, 1), *x = emit_x(e, 0);
	int64_t a = e->opset >= 13 ? emit_attr_int(e, "axis", 1) : 1;

	if (e->opset >= 21 && emit_attr_int(e, "block_size", 0)) {
		emit_fail(e, -EOPNOTSUPP, "blocked quantisation is not supported");
		return false;
	}
	*axis = 0;
	if (s->elems > 1) {
		*axis = emit_axis(e, a, rank);
		if (!emit_failed(e) && (s->rank != 1 || s->dims[0] != x->dims[*axis])) {
			emit_fail(e, -EINVAL, "%lld scales for axis %u of extent %lld",
				  (long long)s->elems, *axis, (long long)x->dims[*axis]);
			return false;
		}
	} else if (s->rank > 1) {
		emit_fail(e, -EINVAL, "scale of rank %u", s->rank);
		return false;
	}
	if (emit_has(e, 2) && emit_x(e, 2)->elems != s->elems) {
		emit_fail(e, -EINVAL, "as many zero points as scales are needed");
		return false;
	}
	return !emit_failed(e);
}

static void quant(struct emit *e, enum prog_kind kind, enum braid_type type, uint32_t axis)
{
	const struct build_tensor *x = emit_x(e, 0);
	uint32_t in[3] = { emit_in(e, 0), emit_in(e, 1), emit_in(e, 2) };
	struct prog_op *op = build_op(e->b, kind, emit_has(e, 2) ? 3 : 2, in, 1);

	op->params.axis = (int32_t)axis;
	emit_out(e, 0, build_set_out(e->b, op, 0, type, x->rank, x->dims));
}

static void emit_quantize(struct emit *e)
{
	enum braid_type type = emit_has(e, 2) ? emit_x(e, 2)->type : BRAID_TYPE_U8;
	uint32_t axis;

	emit_ignore(e, "saturate");	/* speaks of 8-bit floats only */
	if (e->opset >= 21) {
		int64_t to = emit_attr_int(e, "output_dtype", 0);

		if (to && to != (int64_t)type) {
			if (emit_has(e, 2)) {
				emit_fail(e, -EINVAL, "output_dtype is not the zero point's type");
				return;
			}
			type = (enum braid_type)to;
		}
	}
	if (type != BRAID_TYPE_U8 && type != BRAID_TYPE_I8) {
		emit_fail(e, -EOPNOTSUPP, "to type %s", prog_type_name((int)type));
		return;
	}
	if (emit_need_type(e, 0, EMIT_BIT(BRAID_TYPE_F32)) &&
	    emit_need_type(e, 1, EMIT_BIT(BRAID_TYPE_F32)) &&
	    check_scale(e, emit_x(e, 0)->rank, &axis))
		quant(e, PROG_QUANTIZE, type, axis);
}

static void emit_dequantize(struct emit *e)
{
	uint32_t axis;

	if (!emit_need_type(e, 0, BYTES | EMIT_BIT(BRAID_TYPE_I32)) ||
	    !emit_need_type(e, 1, EMIT_BIT(BRAID_TYPE_F32)) ||
	    !check_scale(e, emit_x(e, 0)->rank, &axis))
		return;
	if (emit_has(e, 2) && emit_x(e, 2)->type != emit_x(e, 0)->type) {
		emit_fail(e, -EINVAL, "the zero point differs in type");
		return;
	}
	quant(e, PROG_DEQUANTIZE, BRAID_TYPE_F32, axis);
}

/*
 * y_scale = (max(0, max x) - min(0, min x)) / 255
 * y_zero_point = saturate(round(-min(0, min x) / y_scale))
 */
static void emit_dynamic_quantize(struct emit *e)
{
	const struct build_tensor *x = emit_x(e, 0);
	uint32_t in[3] = { emit_in(e, 0), 0, 0 }, lo, hi, axes = (1u << x->rank) - 1;
	struct prog_op *op;

	if (!emit_need_type(e, 0, EMIT_BIT(BRAID_TYPE_F32)))
		return;
	lo = op_bin(e, PROG_BIN_MIN, build_reduce(e->b, in[0], PROG_RED_MIN, axes, false),
		    op_f32(e, 0.0f));
	hi = op_bin(e, PROG_BIN_MAX, build_reduce(e->b, in[0], PROG_RED_MAX, axes, false),
		    op_f32(e, 0.0f));
	in[1] = op_bin(e, PROG_BIN_DIV, op_bin(e, PROG_BIN_SUB, hi, lo), op_f32(e, 255.0f));
	in[2] = op_bin(e, PROG_BIN_DIV, build_unary(e->b, lo, PROG_FN_NEG, 0, 0), in[1]);
	in[2] = build_unary(e->b, in[2], PROG_FN_ROUND, 0, 0);
	in[2] = build_unary(e->b, in[2], PROG_FN_CLIP, 0.0f, 255.0f);
	in[2] = build_cast(e->b, in[2], BRAID_TYPE_U8);
	op = build_op(e->b, PROG_QUANTIZE, 3, in, 1);
	emit_out(e, 0, build_set_out(e->b, op, 0, BRAID_TYPE_U8, x->rank, x->dims));
	emit_out(e, 1, in[1]);
	emit_out(e, 2, in[2]);
}

const struct emit_op op_quant[] = {
	{ "QuantizeLinear", 10, EMIT_OPSET_MAX, 2, 3, 1, emit_quantize },
	{ "DequantizeLinear", 10, EMIT_OPSET_MAX, 2, 3, 1, emit_dequantize },
	{ "DynamicQuantizeLinear", 11, EMIT_OPSET_MAX, 1, 1, 3, emit_dynamic_quantize },
	{ NULL }
};
