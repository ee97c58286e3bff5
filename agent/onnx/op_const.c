// SPDX-License-Identifier: MIT
/*
 * Operators whose result is known when the model is loaded: constants, shapes,
 * ranges, patterns. Results that hang on values of the input are refused
 * unless the input is constant itself.
 *
 * No state of its own.
 */
#include <math.h>
#include <string.h>

#include "agent/onnx/op.h"

static void emit_constant(struct emit *e)
{
	uint32_t n, t;

	if (emit_attr_has(e, "value")) {
		t = emit_attr_tensor(e, "value");
	} else if (emit_attr_has(e, "value_float")) {
		t = op_f32(e, emit_attr_float(e, "value_float", 0.0f));
	} else if (emit_attr_has(e, "value_int")) {
		int64_t v = emit_attr_int(e, "value_int", 0);

		t = build_const(e->b, BRAID_TYPE_I64, 0, NULL, &v);
	} else if (emit_attr_has(e, "value_floats")) {
		const float *v = emit_attr_floats(e, "value_floats", &n);
		int64_t dim = n;

		t = build_const(e->b, BRAID_TYPE_F32, 1, &dim, v);
	} else if (emit_attr_has(e, "value_ints")) {
		const int64_t *v = emit_attr_ints(e, "value_ints", &n);

		t = build_i64s(e->b, n, v);
	} else {
		emit_fail(e, -EOPNOTSUPP, "sparse and string constants are not supported");
		return;
	}
	emit_out(e, 0, t);
}

static void emit_shape(struct emit *e)
{
	const struct build_tensor *x = emit_x(e, 0);
	int64_t start = 0, end = x->rank;

	if (e->opset >= 15) {
		start = emit_attr_int(e, "start", 0);
		end = emit_attr_int(e, "end", end);
		start += start < 0 ? x->rank : 0;
		end += end < 0 ? x->rank : 0;
		start = start < 0 ? 0 : start > x->rank ? x->rank : start;
		end = end < 0 ? 0 : end > x->rank ? x->rank : end;
		if (end < start)
			end = start;
	}
	emit_out(e, 0, build_i64s(e->b, (uint32_t)(end - start), x->dims + start));
}

static void emit_size(struct emit *e)
{
	emit_out(e, 0, build_const(e->b, BRAID_TYPE_I64, 0, NULL, &emit_x(e, 0)->elems));
}

static void emit_constant_of_shape(struct emit *e)
{
	enum braid_type type = BRAID_TYPE_F32;
	const int64_t *want;
	double v = 0.0;
	uint32_t n, t;

	if (emit_attr_has(e, "value")) {
		t = emit_attr_tensor(e, "value");
		if (emit_failed(e))
			return;
		if (build_t(e->b, t)->elems != 1) {
			emit_fail(e, -EINVAL, "the value is not one element");
			return;
		}
		type = build_t(e->b, t)->type;
		v = build_elem(e->b, t, 0);
	}
	want = emit_ints(e, 0, "shape", &n);
	if (!emit_failed(e))
		emit_out(e, 0, build_fill(e->b, type, n, want, v));
}

static void emit_eye_like(struct emit *e)
{
	const struct build_tensor *x = emit_x(e, 0);
	int64_t type = emit_attr_int(e, "dtype", x->type), k = emit_attr_int(e, "k", 0);
	uint32_t t, one;
	size_t size;
	void *data;

	size = type > 0 && type < 64 ? prog_type_size((enum braid_type)type) : 0;
	if (!size || x->rank != 2) {
		emit_fail(e, -EOPNOTSUPP, "type %s, rank %u",
			  type > 0 && type < 64 ? prog_type_name((int)type) : "unknown", x->rank);
		return;
	}
	t = build_const_new(e->b, (enum braid_type)type, 2, x->dims, &data);
	one = build_scalar(e->b, (enum braid_type)type, 1.0);
	if (emit_failed(e))
		return;
	for (int64_t i = 0; i < x->dims[0]; i++) {
		int64_t j;

		if (!__builtin_add_overflow(i, k, &j) && j >= 0 && j < x->dims[1])
			memcpy((char *)data + (i * x->dims[1] + j) * size,
			       build_t(e->b, one)->data, size);
	}
	emit_out(e, 0, t);
}

/* start, limit and delta of one type, all known at load. */
static void emit_range(struct emit *e)
{
	enum braid_type type = emit_x(e, 0)->type;
	double from, to, by, count;
	int64_t n, first = 0, step = 0;
	size_t size = prog_type_size(type);
	void *data;
	uint32_t t;

	from = emit_float_in(e, 0, "start", 0.0);
	to = emit_float_in(e, 1, "limit", 0.0);
	by = emit_float_in(e, 2, "delta", 1.0);
	if (emit_failed(e))
		return;
	if (emit_x(e, 1)->type != type || emit_x(e, 2)->type != type ||
	    (type != BRAID_TYPE_F32 && type != BRAID_TYPE_F64 && !prog_type_is_int(type))) {
		emit_fail(e, -EOPNOTSUPP, "of type %s", prog_type_name((int)type));
		return;
	}
	count = ceil((to - from) / by);
	if (!(count >= 1) || count > INT32_MAX) {
		emit_fail(e, -EOPNOTSUPP, "from %g to %g by %g: empty, or too long", from, to, by);
		return;
	}
	n = (int64_t)count;
	if (type == BRAID_TYPE_I64) {
		first = *(const int64_t *)emit_x(e, 0)->data;
		step = *(const int64_t *)emit_x(e, 2)->data;
	}
	t = build_const_new(e->b, type, 1, &n, &data);
	for (int64_t i = 0; i < n && !emit_failed(e); i++) {
		double v = from + (double)i * by;
		int64_t whole = type == BRAID_TYPE_I64 ?
				(int64_t)((uint64_t)first + (uint64_t)i * (uint64_t)step) :
				prog_type_is_int(type) ? (int64_t)v : 0;

		if (type == BRAID_TYPE_F32)
			((float *)data)[i] = (float)v;
		else if (type == BRAID_TYPE_F64)
			((double *)data)[i] = v;
		else	/* little-endian: the low bytes come first */
			memcpy((char *)data + i * size, &whole, size);
	}
	emit_out(e, 0, t);
}

static void emit_non_zero(struct emit *e)
{
	const struct build_tensor *x = emit_x(e, 0);
	uint32_t in = emit_in(e, 0), rank = x->rank ? x->rank : 1;
	int64_t many = 0, at = 0;
	int64_t *data;
	void *room;
	uint32_t t;

	if (!build_is_const(e->b, in)) {
		emit_fail(e, -EOPNOTSUPP, "the input is not known at load, but the result's shape hangs on it");
		return;
	}
	for (int64_t i = 0; i < x->elems; i++)
		many += build_elem(e->b, in, i) != 0.0;
	t = build_const_new(e->b, BRAID_TYPE_I64, 2, (int64_t[]){ rank, many }, &room);
	if (emit_failed(e))
		return;
	data = room;
	for (int64_t i = 0; i < x->elems; i++) {
		int64_t left = i;

		if (build_elem(e->b, in, i) == 0.0)
			continue;
		for (uint32_t a = rank; a-- > 0;) {
			int64_t extent = x->rank ? x->dims[a] : 1;

			data[a * many + at] = left % extent;
			left /= extent;
		}
		at++;
	}
	emit_out(e, 0, t);
}

/* Hann, Hamming and Blackman windows: a sum of cosines over the length. */
static void emit_window(struct emit *e)
{
	const char *name = e->b->op_type;
	int64_t n = emit_int_in(e, 0, "size", 0), type;
	bool periodic = emit_attr_int(e, "periodic", 1) != 0;
	double a0 = 0.5, a1 = 0.5, a2 = 0.0, span;
	void *data;
	uint32_t t;

	type = emit_attr_int(e, "output_datatype", BRAID_TYPE_F32);
	if (emit_failed(e))
		return;
	if (n < 1 || n > 1 << 24 || type != BRAID_TYPE_F32) {
		emit_fail(e, -EOPNOTSUPP, "size %lld, or another type than float",
			  (long long)n);
		return;
	}
	if (!strcmp(name, "HammingWindow")) {
		a0 = 25.0 / 46.0;
		a1 = 21.0 / 46.0;
	} else if (!strcmp(name, "BlackmanWindow")) {
		a0 = 0.42;
		a2 = 0.08;
	}
	span = periodic ? (double)n : (double)n - 1;
	t = build_const_new(e->b, BRAID_TYPE_F32, 1, &n, &data);
	for (int64_t i = 0; i < n && !emit_failed(e); i++) {
		double w = span > 0 ? 2.0 * M_PI * (double)i / span : 0.0;

		((float *)data)[i] = (float)(a0 - a1 * cos(w) + a2 * cos(2.0 * w));
	}
	emit_out(e, 0, t);
}

#define LAST	EMIT_OPSET_MAX

const struct emit_op op_const[] = {
	{ "Constant", 1, LAST, 0, 0, 1, emit_constant },
	{ "Shape", 1, LAST, 1, 1, 1, emit_shape },
	{ "Size", 1, LAST, 1, 1, 1, emit_size },
	{ "ConstantOfShape", 9, LAST, 1, 1, 1, emit_constant_of_shape },
	{ "EyeLike", 9, LAST, 1, 1, 1, emit_eye_like },
	{ "Range", 11, LAST, 3, 3, 1, emit_range },
	{ "NonZero", 9, LAST, 1, 1, 1, emit_non_zero },
	{ "HannWindow", 17, LAST, 1, 1, 1, emit_window },
	{ "HammingWindow", 17, LAST, 1, 1, 1, emit_window },
	{ "BlackmanWindow", 17, LAST, 1, 1, 1, emit_window },
	{ NULL }
};
