// SPDX-License-Identifier: MIT
/*
 * Reductions over axes, ArgMax and ArgMin, CumSum, TopK.
 *
 * No state of its own.
 */
#include <string.h>

#include "agent/onnx/op.h"

struct reduce {
	const char *name;
	enum prog_reduce fn;
	int input_since;	/* opset at which axes became an input */
};

static const struct reduce reduces[] = {
	{ "ReduceSum", PROG_RED_SUM, 13 },
	{ "ReduceMean", PROG_RED_MEAN, 18 },
	{ "ReduceMax", PROG_RED_MAX, 18 },
	{ "ReduceMin", PROG_RED_MIN, 18 },
	{ "ReduceProd", PROG_RED_PROD, 18 },
	{ "ReduceL1", PROG_RED_L1, 18 },
	{ "ReduceL2", PROG_RED_L2, 18 },
	{ "ReduceSumSquare", PROG_RED_SUM_SQUARE, 18 },
	{ "ReduceLogSum", PROG_RED_LOG_SUM, 18 },
	{ "ReduceLogSumExp", PROG_RED_LOG_SUM_EXP, 18 },
};

static void reduce(struct emit *e, const struct reduce *r)
{
	bool keep = emit_attr_int(e, "keepdims", 1) != 0, none = false;
	uint32_t x = emit_in(e, 0), rank = emit_x(e, 0)->rank, n = 0, axes;
	const int64_t *list;

	if (e->opset < r->input_since) {
		list = emit_attr_ints(e, "axes", &n);
	} else {
		none = emit_attr_int(e, "noop_with_empty_axes", 0) != 0;
		list = emit_ints(e, 1, "axes", &n);
	}
	if (emit_failed(e))
		return;
	if (!n && none) {
		emit_out(e, 0, emit_in(e, 0));
		return;
	}
	/* A scalar has no axes, yet its L1 norm is not itself. */
	if (!rank) {
		if (n)
			emit_fail(e, -EINVAL, "axes of a scalar");
		x = build_unsqueeze(e->b, x, 1);
		emit_out(e, 0, build_reduce(e->b, x, r->fn, 1, false));
		return;
	}
	axes = n ? emit_axes(e, list, n, rank) : (1u << rank) - 1;
	emit_out(e, 0, build_reduce(e->b, x, r->fn, axes, keep));
}

static void emit_reduce(struct emit *e)
{
	for (size_t i = 0; i < sizeof(reduces) / sizeof(*reduces); i++) {
		if (!strcmp(reduces[i].name, e->b->op_type)) {
			reduce(e, &reduces[i]);
			return;
		}
	}
	emit_fail(e, -EOPNOTSUPP, "is not a reduction");
}

static void emit_arg_reduce(struct emit *e)
{
	bool keep = emit_attr_int(e, "keepdims", 1) != 0;
	uint32_t x = emit_in(e, 0), y;
	struct op_dims d = op_dims(e, x);
	struct prog_op *op;
	uint32_t axis;

	axis = emit_axis(e, emit_attr_int(e, "axis", 0), d.rank);
	if (emit_failed(e))
		return;
	d.d[axis] = 1;
	op = build_op(e->b, PROG_ARGREDUCE, 1, &x, 1);
	op->params.argreduce.axis = (int32_t)axis;
	op->params.argreduce.max = !strcmp(e->b->op_type, "ArgMax");
	op->params.argreduce.select_last = emit_attr_int(e, "select_last_index", 0) != 0;
	y = build_set_out(e->b, op, 0, BRAID_TYPE_I64, d.rank, d.d);
	emit_out(e, 0, keep ? y : build_squeeze(e->b, y, 1u << axis));
}

static void emit_cum_sum(struct emit *e)
{
	uint32_t x = emit_in(e, 0), axis;
	struct op_dims d = op_dims(e, x);
	struct prog_op *op;

	axis = emit_axis(e, emit_int_in(e, 1, "axis", 0), d.rank);
	op = build_op(e->b, PROG_CUMSUM, 1, &x, 1);
	op->params.cumsum.axis = (int32_t)axis;
	op->params.cumsum.exclusive = emit_attr_int(e, "exclusive", 0) != 0;
	op->params.cumsum.reverse = emit_attr_int(e, "reverse", 0) != 0;
	emit_out(e, 0, build_set_out(e->b, op, 0, emit_x(e, 0)->type, d.rank, d.d));
}

/* k is an attribute before opset 10; smallest and unsorted came with 11. */
static void emit_top_k(struct emit *e)
{
	uint32_t x = emit_in(e, 0), axis;
	struct op_dims d = op_dims(e, x);
	bool largest = true, sorted = true;
	struct prog_op *op;
	int64_t k;

	if (e->opset < 10) {
		if (!emit_attr_need(e, "k"))
			return;
		k = emit_attr_int(e, "k", 0);
	} else {
		k = emit_int_in(e, 1, "K", 0);
	}
	if (e->opset >= 11) {
		largest = emit_attr_int(e, "largest", 1) != 0;
		sorted = emit_attr_int(e, "sorted", 1) != 0;
	}
	axis = emit_axis(e, emit_attr_int(e, "axis", -1), d.rank);
	if (emit_failed(e))
		return;
	if (k < 1 || k > d.d[axis]) {
		emit_fail(e, -EINVAL, "K %lld of %lld elements", (long long)k,
			  (long long)d.d[axis]);
		return;
	}
	d.d[axis] = k;
	op = build_op(e->b, PROG_TOPK, 1, &x, 2);
	op->params.topk.axis = (int32_t)axis;
	op->params.topk.largest = largest;
	op->params.topk.sorted = sorted;
	emit_out(e, 0, build_set_out(e->b, op, 0, emit_x(e, 0)->type, d.rank, d.d));
	x = build_set_out(e->b, op, 1, BRAID_TYPE_I64, d.rank, d.d);
	if (emit_wants(e, 1))
		emit_out(e, 1, x);
}

#define LAST	EMIT_OPSET_MAX

const struct emit_op op_reduce[] = {
	{ "ReduceSum", 1, 12, 1, 1, 1, emit_reduce },
	{ "ReduceSum", 13, LAST, 1, 2, 1, emit_reduce },
	{ "ReduceMean", 1, 17, 1, 1, 1, emit_reduce },
	{ "ReduceMean", 18, LAST, 1, 2, 1, emit_reduce },
	{ "ReduceMax", 1, 17, 1, 1, 1, emit_reduce },
	{ "ReduceMax", 18, LAST, 1, 2, 1, emit_reduce },
	{ "ReduceMin", 1, 17, 1, 1, 1, emit_reduce },
	{ "ReduceMin", 18, LAST, 1, 2, 1, emit_reduce },
	{ "ReduceProd", 1, 17, 1, 1, 1, emit_reduce },
	{ "ReduceProd", 18, LAST, 1, 2, 1, emit_reduce },
	{ "ReduceL1", 1, 17, 1, 1, 1, emit_reduce },
	{ "ReduceL1", 18, LAST, 1, 2, 1, emit_reduce },
	{ "ReduceL2", 1, 17, 1, 1, 1, emit_reduce },
	{ "ReduceL2", 18, LAST, 1, 2, 1, emit_reduce },
	{ "ReduceSumSquare", 1, 17, 1, 1, 1, emit_reduce },
	{ "ReduceSumSquare", 18, LAST, 1, 2, 1, emit_reduce },
	{ "ReduceLogSum", 1, 17, 1, 1, 1, emit_reduce },
	{ "ReduceLogSum", 18, LAST, 1, 2, 1, emit_reduce },
	{ "ReduceLogSumExp", 1, 17, 1, 1, 1, emit_reduce },
	{ "ReduceLogSumExp", 18, LAST, 1, 2, 1, emit_reduce },
	{ "ArgMax", 1, LAST, 1, 1, 1, emit_arg_reduce },
	{ "ArgMin", 1, LAST, 1, 1, 1, emit_arg_reduce },
	{ "CumSum", 11, LAST, 2, 2, 1, emit_cum_sum },
	{ "TopK", 1, 9, 1, 1, 2, emit_top_k },
	{ "TopK", 10, LAST, 2, 2, 2, emit_top_k },
	{ NULL }
};
