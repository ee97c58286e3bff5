// SPDX-License-Identifier: MIT
/*
 * Normalisations and softmax.
 *
 * No state of its own.
 */
#include <string.h>

#include "agent/onnx/op.h"

/* One number a channel, made to stand before an [N][C][spatial...] tensor. */
static uint32_t per_channel(struct emit *e, uint32_t t, uint32_t rank)
{
	struct op_dims d = { .rank = rank > 1 ? rank - 1 : 1 };

	for (uint32_t i = 0; i < d.rank; i++)
		d.d[i] = i ? 1 : build_t(e->b, t)->elems;
	return op_view(e, t, &d);
}

static bool check_channels(struct emit *e, uint32_t from, uint32_t to)
{
	const struct build_tensor *x = emit_x(e, 0);

	if (emit_failed(e) || !emit_need_type(e, 0, EMIT_FLOATS))
		return false;
	if (x->rank < 2) {
		emit_fail(e, -EINVAL, "rank %u has no channels", x->rank);
		return false;
	}
	for (uint32_t i = from; i <= to; i++) {
		const struct build_tensor *p = emit_x(e, i);

		if (p->rank != 1 || p->dims[0] != x->dims[1]) {
			emit_fail(e, -EINVAL, "input %u is not one number a channel (%lld)", i,
				  (long long)x->dims[1]);
			return false;
		}
		if (p->type != x->type) {
			emit_fail(e, -EOPNOTSUPP, "input %u differs in type from the data", i);
			return false;
		}
	}
	return true;
}

static uint32_t mean_of(struct emit *e, uint32_t x, uint32_t axes, bool keep)
{
	return build_reduce(e->b, x, PROG_RED_MEAN, axes, keep);
}

/*
 * Running statistics of training mode: those given, moved by the momentum
 * towards those of this batch.
 */
static void running(struct emit *e, uint32_t out, uint32_t before, uint32_t now, float momentum)
{
	if (emit_wants(e, out))
		emit_out(e, out, op_bin(e, PROG_BIN_ADD,
					op_bin(e, PROG_BIN_MUL, before, op_f32(e, momentum)),
					op_bin(e, PROG_BIN_MUL, now, op_f32(e, 1 - momentum))));
}

/*
 * y = (x - mean) / sqrt(var + epsilon) * scale + shift as one Mul and one Add
 * a channel; with constant statistics both fold, and a pass moves them into
 * the convolution before.
 */
static void emit_batch_norm(struct emit *e)
{
	float epsilon = emit_attr_float(e, "epsilon", 1e-5f);
	float momentum = emit_attr_float(e, "momentum", 0.9f);
	uint32_t x = emit_in(e, 0), mean = emit_in(e, 3), var = emit_in(e, 4);
	uint32_t rank = emit_x(e, 0)->rank, a, b;
	bool train = false;

	emit_ignore(e, "consumed_inputs");
	if (e->opset < 9 && !emit_attr_int(e, "spatial", 1)) {
		emit_fail(e, -EOPNOTSUPP, "spatial=0 is not supported");
		return;
	}
	if (e->opset < 7)
		train = !emit_attr_int(e, "is_test", 0);
	if (e->opset >= 14)
		train = emit_attr_int(e, "training_mode", 0) != 0;
	if (!check_channels(e, 1, 4))
		return;
	if (train && e->opset < 14) {
		/* Outputs beyond the first tell a training graph from a careless export. */
		for (uint32_t i = 1; i < e->n_out; i++) {
			if (emit_wants(e, i)) {
				emit_fail(e, -EOPNOTSUPP, "training outputs are not supported");
				return;
			}
		}
		train = false;
	}
	if (e->n_out > 1 && !train)
		for (uint32_t i = 1; i < e->n_out; i++)
			if (emit_wants(e, i))
				emit_fail(e, -EOPNOTSUPP, "output %u outside of training", i);
	if (train) {
		uint32_t axes = ((1u << rank) - 1) & ~2u, d;

		if (emit_x(e, 0)->type != BRAID_TYPE_F32) {
			emit_fail(e, -EOPNOTSUPP, "training mode in another type than float");
			return;
		}
		d = op_bin(e, PROG_BIN_SUB, x, mean_of(e, x, axes, true));
		var = mean_of(e, op_bin(e, PROG_BIN_MUL, d, d), axes, false);
		running(e, 1, mean, mean_of(e, x, axes, false), momentum);
		running(e, 2, emit_in(e, 4), var, momentum);
		mean = mean_of(e, x, axes, false);
	}
	a = op_bin(e, PROG_BIN_ADD, var, build_scalar(e->b, emit_x(e, 0)->type, epsilon));
	a = build_unary(e->b, a, PROG_FN_SQRT, 0, 0);
	a = op_bin(e, PROG_BIN_DIV, emit_in(e, 1), a);
	b = op_bin(e, PROG_BIN_SUB, emit_in(e, 2), op_bin(e, PROG_BIN_MUL, mean, a));
	x = op_bin(e, PROG_BIN_MUL, x, per_channel(e, a, rank));
	emit_out(e, 0, op_bin(e, PROG_BIN_ADD, x, per_channel(e, b, rank)));
}

/* NORM over groups of channels, channels last. */
static void group_norm(struct emit *e, uint32_t scale, uint32_t shift, int64_t groups,
		       float epsilon)
{
	const struct build_tensor *x = emit_x(e, 0);
	uint32_t in[3] = { 0, scale, shift }, y;
	struct op_dims d;
	struct prog_op *op;

	in[0] = build_channels_last(e->b, emit_in(e, 0));
	d = op_dims(e, in[0]);
	op = build_op(e->b, PROG_NORM, 3, in, 1);
	op->params.norm.kind = PROG_NORM_GROUP;
	op->params.norm.groups = (int32_t)groups;
	op->params.norm.epsilon = epsilon;
	y = build_set_out(e->b, op, 0, x->type, d.rank, d.d);
	emit_out(e, 0, build_channels_first(e->b, y, x->rank));
}

static void emit_instance_norm(struct emit *e)
{
	float epsilon = emit_attr_float(e, "epsilon", 1e-5f);

	emit_ignore(e, "consumed_inputs");
	if (check_channels(e, 1, 2))
		group_norm(e, emit_in(e, 1), emit_in(e, 2), emit_x(e, 0)->dims[1], epsilon);
}

/* Scale and shift: one a group in opset 18, one a channel from 21 on. */
static void emit_group_norm(struct emit *e)
{
	float epsilon = emit_attr_float(e, "epsilon", 1e-5f);
	uint32_t p[2] = { emit_in(e, 1), emit_in(e, 2) };
	const struct build_tensor *x = emit_x(e, 0);
	int64_t groups, per;

	emit_ignore(e, "stash_type");
	if (!emit_attr_need(e, "num_groups"))
		return;
	groups = emit_attr_int(e, "num_groups", 1);
	if (x->rank < 3 || groups < 1 || groups > x->dims[1] || x->dims[1] % groups) {
		emit_fail(e, -EINVAL, "%lld groups of %lld channels, rank %u",
			  (long long)groups, (long long)x->dims[1], x->rank);
		return;
	}
	per = x->dims[1] / groups;
	for (uint32_t i = 0; e->opset < 21 && i < 2; i++) {
		const struct build_tensor *t = emit_x(e, 1 + i);
		struct op_dims d = { 2, { groups, per } };

		if (t->rank != 1 || t->dims[0] != groups) {
			emit_fail(e, -EINVAL, "input %u is not one number a group", 1 + i);
			return;
		}
		p[i] = op_expand(e, build_unsqueeze(e->b, p[i], 2), &d);
		d = (struct op_dims){ 1, { groups * per } };
		p[i] = op_view(e, p[i], &d);
	}
	if (e->opset < 21 || check_channels(e, 1, 2))
		group_norm(e, p[0], p[1], groups, epsilon);
}

static void emit_layer_norm(struct emit *e)
{
	float epsilon = emit_attr_float(e, "epsilon", 1e-5f);
	const struct build_tensor *x = emit_x(e, 0);
	uint32_t axis = emit_axis(e, emit_attr_int(e, "axis", -1), x->rank);
	uint32_t in[3] = { emit_in(e, 0), emit_in(e, 1), emit_in(e, 2) }, n_out;
	struct op_dims d = op_dims(e, in[0]), inner = { 0 }, one;
	struct prog_op *op;

	if (emit_attr_int(e, "stash_type", 1) != 1)
		emit_fail(e, -EOPNOTSUPP, "stash_type other than float");
	if (emit_failed(e) || !emit_need_type(e, 0, EMIT_FLOATS))
		return;
	inner.rank = d.rank - axis;
	one = d;
	for (uint32_t i = axis; i < d.rank; i++) {
		inner.d[i - axis] = d.d[i];
		one.d[i] = 1;
	}
	/* Scale and shift may be broadcast; the program wants them whole. */
	for (uint32_t i = 1; i < 3; i++) {
		if (!emit_has(e, i))
			continue;
		if (emit_x(e, i)->type != x->type) {
			emit_fail(e, -EINVAL, "input %u differs in type", i);
			return;
		}
		in[i] = op_expand(e, in[i], &inner);
	}
	n_out = emit_wants(e, 2) ? 3 : emit_wants(e, 1) ? 2 : 1;
	op = build_op(e->b, PROG_NORM, emit_has(e, 2) ? 3 : 2, in, n_out);
	op->params.norm.kind = PROG_NORM_LAYER;
	op->params.norm.axis = (int32_t)axis;
	op->params.norm.epsilon = epsilon;
	emit_out(e, 0, build_set_out(e->b, op, 0, x->type, d.rank, d.d));
	for (uint32_t i = 1; i < n_out; i++)
		if (emit_wants(e, i))
			emit_out(e, i, build_set_out(e->b, op, i, x->type, one.rank, one.d));
}

/* (x - mean) / (standard deviation + 1e-9), over axes 0, 2 and 3 by default. */
static void emit_mvn(struct emit *e)
{
	uint32_t x = emit_in(e, 0), n, axes, d;
	const int64_t *list = emit_attr_ints(e, "axes", &n);
	static const int64_t usual[3] = { 0, 2, 3 };

	axes = emit_axes(e, list ? list : usual, list ? n : 3, emit_x(e, 0)->rank);
	if (emit_failed(e) || !emit_need_type(e, 0, EMIT_BIT(BRAID_TYPE_F32)))
		return;
	x = op_bin(e, PROG_BIN_SUB, x, mean_of(e, x, axes, true));
	d = mean_of(e, op_bin(e, PROG_BIN_MUL, x, x), axes, true);
	d = op_bin(e, PROG_BIN_ADD, build_unary(e->b, d, PROG_FN_SQRT, 0, 0), op_f32(e, 1e-9f));
	emit_out(e, 0, op_bin(e, PROG_BIN_DIV, x, d));
}

static void emit_lp_norm(struct emit *e)
{
	int64_t p = emit_attr_int(e, "p", 2);
	uint32_t x = emit_in(e, 0), axis, n;

	axis = emit_axis(e, emit_attr_int(e, "axis", -1), emit_x(e, 0)->rank);
	if (p != 1 && p != 2) {
		emit_fail(e, -EINVAL, "p is %lld", (long long)p);
		return;
	}
	n = build_reduce(e->b, x, p == 1 ? PROG_RED_L1 : PROG_RED_L2, 1u << axis, true);
	emit_out(e, 0, op_bin(e, PROG_BIN_DIV, x, n));
}

static void emit_lrn(struct emit *e)
{
	const struct build_tensor *x = emit_x(e, 0);
	int64_t size = emit_attr_int(e, "size", 0);
	struct prog_op *op;
	struct op_dims d;
	uint32_t in;

	if (size < 1 || size > INT32_MAX) {
		emit_fail(e, -EINVAL, "size %lld", (long long)size);
		return;
	}
	in = build_channels_last(e->b, emit_in(e, 0));
	d = op_dims(e, in);
	op = build_op(e->b, PROG_LRN, 1, &in, 1);
	op->params.lrn.size = (int32_t)size;
	op->params.lrn.alpha = emit_attr_float(e, "alpha", 1e-4f);
	op->params.lrn.beta = emit_attr_float(e, "beta", 0.75f);
	op->params.lrn.bias = emit_attr_float(e, "bias", 1.0f);
	in = build_set_out(e->b, op, 0, x->type, d.rank, d.d);
	emit_out(e, 0, build_channels_first(e->b, in, x->rank));
}

/* Before opset 13: over all axes from the given one on, 1 by default. */
static void emit_softmax(struct emit *e)
{
	bool old = e->opset < 13;
	uint32_t x = emit_in(e, 0), axis;
	struct op_dims d = op_dims(e, x);
	const char *name = e->b->op_type;
	int64_t a = emit_attr_int(e, "axis", old ? 1 : -1);
	struct prog_op *op;

	if (emit_failed(e))
		return;
	if (!d.rank) {
		emit_fail(e, -EOPNOTSUPP, "of a scalar");
		return;
	}
	/* The default of old opsets for a vector: flattened to one row of 1 each. */
	if (old && d.rank == 1 && a == 1) {
		struct op_dims column = { 2, { d.d[0], 1 } };

		x = op_view(e, x, &column);
		axis = 1;
	} else {
		axis = emit_axis(e, a, d.rank);
	}
	op = build_op(e->b, PROG_SOFTMAX, 1, &x, 1);
	op->params.softmax.kind = !strcmp(name, "LogSoftmax") ? PROG_SOFTMAX_LOG :
				  !strcmp(name, "Hardmax") ? PROG_SOFTMAX_HARD :
				  PROG_SOFTMAX_PLAIN;
	op->params.softmax.axis = (int32_t)axis;
	op->params.softmax.n_axes = old ? (int32_t)(build_t(e->b, x)->rank - axis) : 1;
	x = build_set_out(e->b, op, 0, emit_x(e, 0)->type, build_t(e->b, x)->rank,
			  build_t(e->b, x)->dims);
	emit_out(e, 0, op_view(e, x, &d));
}

#define LAST	EMIT_OPSET_MAX

const struct emit_op op_norm[] = {
	{ "BatchNormalization", 1, 13, 5, 5, 5, emit_batch_norm },
	{ "BatchNormalization", 14, LAST, 5, 5, 3, emit_batch_norm },
	{ "InstanceNormalization", 1, LAST, 3, 3, 1, emit_instance_norm },
	{ "GroupNormalization", 18, LAST, 3, 3, 1, emit_group_norm },
	{ "LayerNormalization", 17, LAST, 2, 3, 3, emit_layer_norm },
	{ "MeanVarianceNormalization", 9, LAST, 1, 1, 1, emit_mvn },
	{ "LpNormalization", 1, LAST, 1, 1, 1, emit_lp_norm },
	{ "LRN", 1, LAST, 1, 1, 1, emit_lrn },
	{ "Softmax", 1, LAST, 1, 1, 1, emit_softmax },
	{ "LogSoftmax", 1, LAST, 1, 1, 1, emit_softmax },
	{ "Hardmax", 1, LAST, 1, 1, 1, emit_softmax },
	{ NULL }
};
