// SPDX-License-Identifier: MIT
/*
 * Operators that pick or place elements by index. Index values that come from
 * a tenant are clamped by the backend; only shapes and types are checked here.
 *
 * No state of its own.
 */
#include <string.h>

#include "agent/onnx/op.h"

static void emit_gather(struct emit *e)
{
	const struct build_tensor *x = emit_x(e, 0), *i = emit_x(e, 1);
	uint32_t axis = emit_axis(e, emit_attr_int(e, "axis", 0), x->rank), in[2], at = 0;
	struct op_dims d = { 0 };
	struct prog_op *op;

	if (emit_failed(e) || !emit_need_type(e, 1, EMIT_INDEX))
		return;
	if (x->rank + i->rank - 1 > PROG_MAX_RANK) {
		emit_fail(e, -EOPNOTSUPP, "result of rank %u", x->rank + i->rank - 1);
		return;
	}
	for (uint32_t k = 0; k < axis; k++)
		d.d[at++] = x->dims[k];
	for (uint32_t k = 0; k < i->rank; k++)
		d.d[at++] = i->dims[k];
	for (uint32_t k = axis + 1; k < x->rank; k++)
		d.d[at++] = x->dims[k];
	in[0] = emit_in(e, 0);
	in[1] = emit_in(e, 1);
	op = build_op(e->b, PROG_GATHER, 2, in, 1);
	op->params.gather.axis = (int32_t)axis;
	emit_out(e, 0, build_set_out(e->b, op, 0, x->type, at, d.d));
}

static void emit_gather_elements(struct emit *e)
{
	const struct build_tensor *x = emit_x(e, 0), *i = emit_x(e, 1);
	uint32_t axis = emit_axis(e, emit_attr_int(e, "axis", 0), x->rank);
	uint32_t in[2] = { emit_in(e, 0), emit_in(e, 1) };
	struct prog_op *op;

	if (emit_failed(e) || !emit_need_type(e, 1, EMIT_INDEX))
		return;
	if (i->rank != x->rank) {
		emit_fail(e, -EINVAL, "indices of rank %u for rank %u", i->rank, x->rank);
		return;
	}
	for (uint32_t k = 0; k < x->rank; k++) {
		if (k != axis && i->dims[k] > x->dims[k]) {
			emit_fail(e, -EINVAL, "indices are larger than the data in axis %u", k);
			return;
		}
	}
	op = build_op(e->b, PROG_GATHER_ELEMENTS, 2, in, 1);
	op->params.gather.axis = (int32_t)axis;
	emit_out(e, 0, build_set_out(e->b, op, 0, x->type, i->rank, i->dims));
}

static void emit_gather_nd(struct emit *e)
{
	const struct build_tensor *x = emit_x(e, 0), *i = emit_x(e, 1);
	int64_t batch = e->opset >= 12 ? emit_attr_int(e, "batch_dims", 0) : 0, k;
	uint32_t in[2] = { emit_in(e, 0), emit_in(e, 1) }, at = 0;
	struct op_dims d = { 0 };
	struct prog_op *op;

	if (emit_failed(e) || !emit_need_type(e, 1, EMIT_BIT(BRAID_TYPE_I64)))
		return;
	k = i->rank ? i->dims[i->rank - 1] : 0;
	if (batch < 0 || batch >= i->rank || batch >= x->rank || k < 1 ||
	    k > x->rank - batch) {
		emit_fail(e, -EINVAL, "indices of %lld with batch_dims %lld do not fit rank %u",
			  (long long)k, (long long)batch, x->rank);
		return;
	}
	for (uint32_t a = 0; a < batch; a++) {
		if (x->dims[a] != i->dims[a]) {
			emit_fail(e, -EINVAL, "batch axis %u differs", a);
			return;
		}
	}
	if (i->rank - 1 + x->rank - batch - k > PROG_MAX_RANK) {
		emit_fail(e, -EOPNOTSUPP, "result's rank is above %u", PROG_MAX_RANK);
		return;
	}
	for (uint32_t a = 0; a + 1 < i->rank; a++)
		d.d[at++] = i->dims[a];
	for (uint32_t a = batch + k; a < x->rank; a++)
		d.d[at++] = x->dims[a];
	op = build_op(e->b, PROG_GATHER_ND, 2, in, 1);
	op->params.gather.batch_dims = (int32_t)batch;
	emit_out(e, 0, build_set_out(e->b, op, 0, x->type, at, d.d));
}

static const char *const reductions[] = { "none", "add", "mul", "min", "max", NULL };

static enum prog_scatter_fn read_reduction(struct emit *e)
{
	int fn = e->opset >= 16 ? emit_attr_enum(e, "reduction", "none", reductions) : 0;

	return (enum prog_scatter_fn)fn;
}

static void scatter(struct emit *e, enum prog_kind kind, int32_t axis, enum prog_scatter_fn fn)
{
	uint32_t in[3] = { emit_in(e, 0), emit_in(e, 1), emit_in(e, 2) };
	struct prog_op *op = build_op(e->b, kind, 3, in, 1);

	op->params.scatter.axis = axis;
	op->params.scatter.fn = fn;
	emit_out(e, 0, build_set_out(e->b, op, 0, emit_x(e, 0)->type, emit_x(e, 0)->rank,
				     emit_x(e, 0)->dims));
}

static void emit_scatter_elements(struct emit *e)
{
	const struct build_tensor *x = emit_x(e, 0), *i = emit_x(e, 1);
	uint32_t axis = emit_axis(e, emit_attr_int(e, "axis", 0), x->rank);
	enum prog_scatter_fn fn = read_reduction(e);

	if (emit_failed(e) || !emit_need_type(e, 1, EMIT_INDEX))
		return;
	if (i->rank != x->rank || emit_x(e, 2)->type != x->type ||
	    !build_same_shape(e->b, emit_in(e, 1), emit_in(e, 2))) {
		emit_fail(e, -EINVAL, "data, indices and updates do not fit each other");
		return;
	}
	for (uint32_t k = 0; k < x->rank; k++) {
		if (k != axis && i->dims[k] > x->dims[k]) {
			emit_fail(e, -EINVAL, "indices are larger than the data in axis %u", k);
			return;
		}
	}
	scatter(e, PROG_SCATTER_ELEMENTS, (int32_t)axis, fn);
}

static void emit_scatter_nd(struct emit *e)
{
	const struct build_tensor *x = emit_x(e, 0), *i = emit_x(e, 1), *u = emit_x(e, 2);
	enum prog_scatter_fn fn = read_reduction(e);
	int64_t k = i->rank ? i->dims[i->rank - 1] : 0;
	bool fits;

	if (emit_failed(e) || !emit_need_type(e, 1, EMIT_BIT(BRAID_TYPE_I64)))
		return;
	fits = k >= 1 && k <= x->rank && u->type == x->type &&
	       u->rank == i->rank - 1 + x->rank - k;
	for (uint32_t a = 0; fits && a < u->rank; a++)
		fits = u->dims[a] == (a + 1 < i->rank ? i->dims[a] :
				      x->dims[a - (i->rank - 1) + k]);
	if (!fits) {
		emit_fail(e, -EINVAL, "data, indices and updates do not fit each other");
		return;
	}
	scatter(e, PROG_SCATTER_ND, 0, fn);
}

static void emit_one_hot(struct emit *e)
{
	const struct build_tensor *i = emit_x(e, 0), *v = emit_x(e, 2);
	double depth = emit_float_in(e, 1, "depth", 0.0);
	uint32_t in[2], axis;
	struct op_dims d = { .rank = i->rank + 1 };
	struct prog_op *op;

	axis = emit_axis(e, emit_attr_int(e, "axis", -1), d.rank);
	if (emit_failed(e))
		return;
	if (!(depth >= 1) || depth > INT32_MAX || d.rank > PROG_MAX_RANK || v->rank != 1 ||
	    v->dims[0] != 2) {
		emit_fail(e, -EINVAL, "depth %g, rank %u, or values that are not two", depth,
			  d.rank);
		return;
	}
	for (uint32_t a = 0; a < d.rank; a++)
		d.d[a] = a == axis ? (int64_t)depth : i->dims[a - (a > axis)];
	in[0] = build_cast(e->b, emit_in(e, 0), BRAID_TYPE_I64);
	in[1] = emit_in(e, 2);
	op = build_op(e->b, PROG_ONEHOT, 2, in, 1);
	op->params.axis = (int32_t)axis;
	emit_out(e, 0, build_set_out(e->b, op, 0, v->type, d.rank, d.d));
}

static void emit_trilu(struct emit *e)
{
	const struct build_tensor *x = emit_x(e, 0);
	bool upper = emit_attr_int(e, "upper", 1) != 0;
	int64_t k = emit_int_in(e, 1, "k", 0);
	uint32_t in = emit_in(e, 0);
	struct prog_op *op;

	if (x->rank < 2) {
		emit_fail(e, -EINVAL, "rank %u is no matrix", x->rank);
		return;
	}
	/* Beyond the size of any tensor nothing changes. */
	if (k > INT32_MAX)
		k = INT32_MAX;
	if (k < -INT32_MAX)
		k = -INT32_MAX;
	op = build_op(e->b, PROG_TRILU, 1, &in, 1);
	op->params.trilu.upper = upper;
	op->params.trilu.k = k;
	emit_out(e, 0, build_set_out(e->b, op, 0, x->type, x->rank, x->dims));
}

/*
 * Compress: which elements stay must be known at load, since the result's
 * shape hangs on it; then it is a Gather.
 */
static void emit_compress(struct emit *e)
{
	const struct build_tensor *c = emit_x(e, 1);
	uint32_t in[2] = { emit_in(e, 0), 0 }, axis = 0;
	struct op_dims d = op_dims(e, in[0]);
	int64_t many = 0, extent;
	struct prog_op *op;
	int64_t *list;

	if (emit_attr_has(e, "axis")) {
		axis = emit_axis(e, emit_attr_int(e, "axis", 0), d.rank);
	} else {
		d.rank = 1;
		d.d[0] = emit_x(e, 0)->elems;
		in[0] = op_view(e, in[0], &d);
	}
	if (emit_failed(e) || !emit_need_type(e, 1, EMIT_BOOL))
		return;
	if (!build_is_const(e->b, emit_in(e, 1))) {
		emit_fail(e, -EOPNOTSUPP, "the condition is not known at load, but the result's shape hangs on it");
		return;
	}
	extent = d.d[axis] < c->elems ? d.d[axis] : c->elems;
	list = build_alloc(e->b, extent * sizeof(*list));
	if (!list)
		return;
	for (int64_t i = 0; i < extent; i++)
		if (((const uint8_t *)c->data)[i])
			list[many++] = i;
	if (!many || many > UINT32_MAX) {
		emit_fail(e, -EOPNOTSUPP, "nothing is left: empty tensors are not supported");
		return;
	}
	in[1] = build_i64s(e->b, (uint32_t)many, list);
	d.d[axis] = many;
	op = build_op(e->b, PROG_GATHER, 2, in, 1);
	op->params.gather.axis = (int32_t)axis;
	emit_out(e, 0, build_set_out(e->b, op, 0, emit_x(e, 0)->type, d.rank, d.d));
}

/*
 * ReverseSequence, with lengths known at load: a GatherElements along time,
 * whose indices say for every batch entry where each step comes from.
 */
static void emit_reverse_sequence(struct emit *e)
{
	const struct build_tensor *x = emit_x(e, 0);
	int64_t ba = emit_attr_int(e, "batch_axis", 1), ta = emit_attr_int(e, "time_axis", 0);
	struct op_dims d = op_dims(e, emit_in(e, 0)), m = { .rank = d.rank };
	uint32_t in[2] = { emit_in(e, 0), 0 }, n;
	const int64_t *len;
	struct prog_op *op;
	void *data;

	len = emit_ints(e, 1, "sequence_lens", &n);
	if (emit_failed(e))
		return;
	if (d.rank < 2 || ba < 0 || ba > 1 || ta != 1 - ba || n != d.d[ba]) {
		emit_fail(e, -EINVAL, "axes %lld and %lld, %u lengths, rank %u", (long long)ba,
			  (long long)ta, n, d.rank);
		return;
	}
	for (uint32_t a = 0; a < d.rank; a++)
		m.d[a] = a < 2 ? d.d[a] : 1;
	in[1] = build_const_new(e->b, BRAID_TYPE_I64, m.rank, m.d, &data);
	if (emit_failed(e))
		return;
	for (int64_t b = 0; b < d.d[ba]; b++) {
		if (len[b] < 0 || len[b] > d.d[ta]) {
			emit_fail(e, -EINVAL, "length %lld of %lld steps", (long long)len[b],
				  (long long)d.d[ta]);
			return;
		}
		for (int64_t t = 0; t < d.d[ta]; t++)
			((int64_t *)data)[ba ? t * d.d[1] + b : b * d.d[1] + t] =
				t < len[b] ? len[b] - 1 - t : t;
	}
	in[1] = op_expand(e, in[1], &d);
	op = build_op(e->b, PROG_GATHER_ELEMENTS, 2, in, 1);
	op->params.gather.axis = (int32_t)ta;
	emit_out(e, 0, build_set_out(e->b, op, 0, x->type, d.rank, d.d));
}

#define LAST	EMIT_OPSET_MAX

const struct emit_op op_index[] = {
	{ "Gather", 1, LAST, 2, 2, 1, emit_gather },
	{ "GatherElements", 11, LAST, 2, 2, 1, emit_gather_elements },
	{ "GatherND", 11, LAST, 2, 2, 1, emit_gather_nd },
	{ "Scatter", 9, LAST, 3, 3, 1, emit_scatter_elements },
	{ "ScatterElements", 11, LAST, 3, 3, 1, emit_scatter_elements },
	{ "ScatterND", 11, LAST, 3, 3, 1, emit_scatter_nd },
	{ "OneHot", 9, LAST, 3, 3, 1, emit_one_hot },
	{ "Trilu", 14, LAST, 1, 2, 1, emit_trilu },
	{ "Compress", 9, LAST, 2, 2, 1, emit_compress },
	{ "ReverseSequence", 10, LAST, 2, 2, 1, emit_reverse_sequence },
	{ NULL }
};
