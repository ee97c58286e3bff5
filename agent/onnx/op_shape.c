// SPDX-License-Identifier: MIT
/*
 * Operators that change shape and order but no element: views, transposes,
 * slices, concatenation, padding, repetition. Shapes must be known at load.
 *
 * No state of its own.
 */
#include <string.h>

#include "agent/onnx/op.h"

static void emit_identity(struct emit *e)
{
	emit_out(e, 0, emit_in(e, 0));
}

/*
 * Dropout passes its input through, unless asked to train with a ratio other
 * than 0. The mask says which elements were kept: all.
 */
static void emit_dropout(struct emit *e)
{
	const struct build_tensor *x = emit_x(e, 0);
	bool train = false;
	double ratio = 0.5;

	emit_ignore(e, "seed");
	if (e->opset < 12) {
		emit_ignore(e, "ratio");
		if (e->opset < 7)
			train = !emit_attr_int(e, "is_test", 0);
		ratio = 1.0;
	} else {
		train = emit_float_in(e, 2, "training_mode", 0.0) != 0.0;
		if (train)
			ratio = emit_float_in(e, 1, "ratio", 0.5);
	}
	emit_ignore(e, "consumed_inputs");
	if (train && ratio != 0.0) {
		emit_fail(e, -EOPNOTSUPP, "training mode is not supported");
		return;
	}
	emit_out(e, 0, emit_in(e, 0));
	if (emit_wants(e, 1))
		emit_out(e, 1, build_fill(e->b, e->opset < 10 ? x->type : BRAID_TYPE_BOOL,
					  x->rank, x->dims, 1.0));
}

/* The shape that a node asks for, by an attribute or its second input; NULL: failed. */
static const int64_t *wanted_shape(struct emit *e, bool attr, uint32_t *n)
{
	static const int64_t scalar;
	const int64_t *want = attr ? emit_attr_ints(e, "shape", n) : emit_ints(e, 1, "shape", n);

	if (!emit_failed(e) && *n > PROG_MAX_RANK)
		emit_fail(e, -EOPNOTSUPP, "rank %u is above %u", *n, PROG_MAX_RANK);
	if (emit_failed(e))
		return NULL;
	return *n ? want : &scalar;
}

/* 0 copies an extent (unless allowzero), -1 is what is left. */
static void emit_reshape(struct emit *e)
{
	const struct build_tensor *x = emit_x(e, 0);
	bool zero = e->opset >= 14 && emit_attr_int(e, "allowzero", 0);
	int64_t known = 1, rest = -1;
	const int64_t *want;
	struct op_dims d;
	uint32_t n;

	emit_ignore(e, "consumed_inputs");
	want = wanted_shape(e, e->opset < 5, &n);
	if (!want)
		return;
	d.rank = n;
	for (uint32_t i = 0; i < n; i++) {
		d.d[i] = want[i];
		if (!d.d[i] && !zero)
			d.d[i] = i < x->rank ? x->dims[i] : 0;
		if (d.d[i] == -1 && rest < 0) {
			rest = i;
			continue;
		}
		if (d.d[i] < 1 || __builtin_mul_overflow(known, d.d[i], &known)) {
			emit_fail(e, d.d[i] ? -EINVAL : -EOPNOTSUPP,
				  "dimension %u of the new shape is %lld", i,
				  (long long)d.d[i]);
			return;
		}
	}
	if (rest >= 0) {
		if (x->elems % known) {
			emit_fail(e, -EINVAL, "%lld elements do not divide by %lld",
				  (long long)x->elems, (long long)known);
			return;
		}
		d.d[rest] = x->elems / known;
	}
	emit_out(e, 0, op_view(e, emit_in(e, 0), &d));
}

static void emit_flatten(struct emit *e)
{
	const struct build_tensor *x = emit_x(e, 0);
	int64_t axis = emit_attr_int(e, "axis", 1), dims[2] = { 1, 1 };

	if (axis < 0)
		axis += x->rank;
	if (axis < 0 || axis > x->rank) {
		emit_fail(e, -EINVAL, "axis %lld is outside of rank %u", (long long)axis, x->rank);
		return;
	}
	for (uint32_t i = 0; i < x->rank; i++)
		dims[i >= axis] *= x->dims[i];
	emit_out(e, 0, build_view(e->b, emit_in(e, 0), 2, dims));
}

/* Axes: an attribute before opset 13, an input from then on. */
static const int64_t *read_axes(struct emit *e, uint32_t *n)
{
	return e->opset < 13 ? emit_attr_ints(e, "axes", n) : emit_ints(e, 1, "axes", n);
}

static void emit_squeeze(struct emit *e)
{
	const struct build_tensor *x = emit_x(e, 0);
	const int64_t *axes;
	uint32_t n, mask = 0;

	axes = read_axes(e, &n);
	if (emit_failed(e))
		return;
	if (axes)
		mask = emit_axes(e, axes, n, x->rank);
	else
		for (uint32_t i = 0; i < x->rank; i++)
			mask |= x->dims[i] == 1 ? 1u << i : 0;
	emit_out(e, 0, build_squeeze(e->b, emit_in(e, 0), mask));
}

static void emit_unsqueeze(struct emit *e)
{
	const struct build_tensor *x = emit_x(e, 0);
	const int64_t *axes;
	uint32_t n, mask;

	axes = read_axes(e, &n);
	if (emit_failed(e))
		return;
	if (!axes || n > PROG_MAX_RANK || x->rank + n > PROG_MAX_RANK) {
		emit_fail(e, axes ? -EOPNOTSUPP : -EINVAL, "%u axes are inserted in rank %u", n,
			  x->rank);
		return;
	}
	mask = emit_axes(e, axes, n, x->rank + n);
	emit_out(e, 0, build_unsqueeze(e->b, emit_in(e, 0), mask));
}

static void emit_transpose(struct emit *e)
{
	uint32_t rank = emit_x(e, 0)->rank, n;
	const int64_t *perm = emit_attr_ints(e, "perm", &n);
	uint8_t p[PROG_MAX_RANK];

	if (perm && n != rank) {
		emit_fail(e, -EINVAL, "perm has %u entries for rank %u", n, rank);
		return;
	}
	for (uint32_t i = 0; i < rank; i++) {
		int64_t a = perm ? perm[i] : rank - 1 - i;

		if (a < 0 || a >= rank) {
			emit_fail(e, -EINVAL, "perm[%u] is %lld", i, (long long)a);
			return;
		}
		p[i] = (uint8_t)a;
	}
	emit_out(e, 0, build_transpose(e->b, emit_in(e, 0), p));
}

/* Axis 1 by default until opset 4, needed from then on. Empty pieces add nothing. */
static void emit_concat(struct emit *e)
{
	uint32_t *x = build_alloc(e->b, e->n_in * sizeof(*x)), n = 0, axis;

	if (!x || (e->opset >= 4 && !emit_attr_need(e, "axis")))
		return;
	axis = emit_axis(e, emit_attr_int(e, "axis", 1), emit_x(e, 0)->rank);
	for (uint32_t i = 0; i < e->n_in; i++) {
		if (!emit_has(e, i))
			emit_fail(e, -EINVAL, "input %u is missing", i);
		else if (emit_x(e, i)->elems)
			x[n++] = emit_in(e, i);
	}
	emit_out(e, 0, n ? build_concat(e->b, n, x, (int32_t)axis) : emit_in(e, 0));
}

static int64_t clamp(int64_t v, int64_t lo, int64_t hi)
{
	return v < lo ? lo : v > hi ? hi : v;
}

/* numpy's basic slicing; starts and the like are attributes before opset 10. */
static void emit_slice(struct emit *e)
{
	const struct build_tensor *x = emit_x(e, 0);
	int64_t start[PROG_MAX_RANK], step[PROG_MAX_RANK], count[PROG_MAX_RANK];
	const int64_t *starts, *ends, *axes, *steps = NULL;
	uint32_t n, n_ends, n_axes, n_steps = 0, seen = 0;
	bool none = false;

	if (e->opset < 10) {
		starts = emit_attr_ints(e, "starts", &n);
		ends = emit_attr_ints(e, "ends", &n_ends);
		axes = emit_attr_ints(e, "axes", &n_axes);
	} else {
		starts = emit_ints(e, 1, "starts", &n);
		ends = emit_ints(e, 2, "ends", &n_ends);
		axes = emit_ints(e, 3, "axes", &n_axes);
		steps = emit_ints(e, 4, "steps", &n_steps);
	}
	if (emit_failed(e))
		return;
	if (n != n_ends || (axes && n_axes != n) || (steps && n_steps != n) || n > x->rank) {
		emit_fail(e, -EINVAL, "starts, ends, axes and steps do not fit rank %u", x->rank);
		return;
	}
	for (uint32_t i = 0; i < x->rank; i++) {
		start[i] = 0;
		step[i] = 1;
		count[i] = x->dims[i];
	}
	for (uint32_t i = 0; i < n; i++) {
		uint32_t a = emit_axis(e, axes ? axes[i] : i, x->rank);
		int64_t dim = x->dims[a], s = steps ? steps[i] : 1, from = starts[i], to = ends[i];

		if (emit_failed(e))
			return;
		if (seen >> a & 1 || !s || s < -INT32_MAX) {
			emit_fail(e, -EINVAL, "axis %u twice, or step %lld", a, (long long)s);
			return;
		}
		seen |= 1u << a;
		if (s > INT32_MAX)
			s = INT32_MAX;
		from = from < 0 ? (from < -dim ? -1 : from + dim) : from;
		to = to < 0 ? (to < -dim ? -1 : to + dim) : to;
		if (s > 0) {
			from = clamp(from, 0, dim);
			to = clamp(to, 0, dim);
			count[a] = to > from ? (to - from + s - 1) / s : 0;
		} else {
			from = clamp(from, 0, dim - 1);
			to = clamp(to, -1, dim - 1);
			count[a] = from > to ? (from - to - s - 1) / -s : 0;
		}
		start[a] = from;
		step[a] = s;
	}
	for (uint32_t i = 0; i < x->rank; i++)
		none |= !count[i];
	/* Nothing is left: fine for arithmetic on shapes, refused where it is computed on. */
	if (none)
		emit_out(e, 0, build_const_ref(e->b, x->type, x->rank, count, ""));
	else
		emit_out(e, 0, build_slice(e->b, emit_in(e, 0), start, step, count));
}

/* Sizes: an attribute before opset 13, then an input; or equal parts. */
static void emit_split(struct emit *e)
{
	const struct build_tensor *x = emit_x(e, 0);
	uint32_t axis = emit_axis(e, emit_attr_int(e, "axis", 0), x->rank), n;
	int64_t start[PROG_MAX_RANK] = { 0 }, step[PROG_MAX_RANK], count[PROG_MAX_RANK];
	int64_t parts = e->n_out, chunk, left;
	const int64_t *sizes;

	sizes = e->opset < 13 ? emit_attr_ints(e, "split", &n) : emit_ints(e, 1, "split", &n);
	if (e->opset >= 18 && emit_attr_has(e, "num_outputs"))
		parts = emit_attr_int(e, "num_outputs", parts);
	if (emit_failed(e))
		return;
	if (sizes ? n < e->n_out : parts < e->n_out) {
		emit_fail(e, -EINVAL, "%u sizes for %u outputs", n, e->n_out);
		return;
	}
	left = x->dims[axis];
	if (!sizes && (parts < 1 || parts > left)) {
		emit_fail(e, -EINVAL, "%lld elements in %lld parts", (long long)left,
			  (long long)parts);
		return;
	}
	if (!sizes && e->opset < 18 && left % parts) {
		emit_fail(e, -EINVAL, "%lld elements in %lld equal parts", (long long)left,
			  (long long)parts);
		return;
	}
	chunk = sizes ? 0 : (left + parts - 1) / parts;
	for (uint32_t i = 0; i < x->rank; i++) {
		step[i] = 1;
		count[i] = x->dims[i];
	}
	for (uint32_t i = 0; i < (sizes ? n : parts); i++) {
		count[axis] = sizes ? sizes[i] : chunk < left ? chunk : left;
		if (count[axis] < 1 || count[axis] > left) {
			emit_fail(e, -EOPNOTSUPP, "part %u has %lld of %lld elements", i,
				  (long long)count[axis], (long long)left);
			return;
		}
		if (i < e->n_out && emit_wants(e, i))
			emit_out(e, i, build_slice(e->b, emit_in(e, 0), start, step, count));
		start[axis] += count[axis];
		left -= count[axis];
	}
	if (left)
		emit_fail(e, -EINVAL, "%lld elements belong to no part", (long long)left);
}

/* Pads and value: attributes before opset 11, inputs from then on; axes from 18. */
static void emit_pad(struct emit *e)
{
	static const char *const modes[] = { "constant", "reflect", "edge", "wrap", NULL };
	const struct build_tensor *x = emit_x(e, 0);
	int64_t lo[PROG_MAX_RANK] = { 0 }, hi[PROG_MAX_RANK] = { 0 };
	const int64_t *pads, *axes = NULL;
	uint32_t n, n_axes = 0;
	double value;
	int mode;

	mode = emit_attr_enum(e, "mode", "constant", modes);
	if (e->opset < 11) {
		pads = emit_attr_ints(e, e->opset < 2 ? "paddings" : "pads", &n);
		value = emit_attr_float(e, "value", 0.0f);
	} else {
		pads = emit_ints(e, 1, "pads", &n);
		value = emit_float_in(e, 2, "constant_value", 0.0);
		if (e->opset >= 18)
			axes = emit_ints(e, 3, "axes", &n_axes);
	}
	if (emit_failed(e))
		return;
	if (!axes)
		n_axes = x->rank;
	else
		emit_axes(e, axes, n_axes, x->rank);	/* no duplicates, no strays */
	if (emit_failed(e))
		return;
	if (!pads || n != 2 * n_axes) {
		emit_fail(e, -EINVAL, "%u pads for %u axes", n, n_axes);
		return;
	}
	for (uint32_t i = 0; i < n_axes; i++) {
		uint32_t a = axes ? emit_axis(e, axes[i], x->rank) : i;

		lo[a] = pads[i];
		hi[a] = pads[n_axes + i];
	}
	emit_out(e, 0, build_pad(e->b, emit_in(e, 0), (enum prog_pad_mode)mode, lo, hi, value));
}

/* Broadcast both ways: an extent of 1 in the wanted shape keeps x's. */
static void emit_expand(struct emit *e)
{
	const struct build_tensor *x = emit_x(e, 0);
	const int64_t *want;
	struct op_dims d;
	uint32_t n;

	want = wanted_shape(e, false, &n);
	if (!want)
		return;
	d.rank = n > x->rank ? n : x->rank;
	for (uint32_t i = 0; i < d.rank; i++) {
		int64_t have = i + x->rank >= d.rank ? x->dims[i + x->rank - d.rank] : 1;
		int64_t to = i + n >= d.rank ? want[i + n - d.rank] : 1;

		if (have != to && have != 1 && to != 1) {
			emit_fail(e, -EINVAL, "extent %lld does not broadcast to %lld",
				  (long long)have, (long long)to);
			return;
		}
		d.d[i] = have == 1 ? to : have;
	}
	emit_out(e, 0, op_expand(e, emit_in(e, 0), &d));
}

/* Repeats an axis; before opset 6 one axis, by a number. */
static void emit_tile(struct emit *e)
{
	uint32_t x = emit_in(e, 0), n;
	struct op_dims d = op_dims(e, x);
	const int64_t *times;
	struct prog_op *op;
	bool any = false;

	if (e->opset < 6) {
		int64_t many = emit_int_in(e, 1, "tiles", 1);
		uint32_t axis = emit_axis(e, emit_int_in(e, 2, "axis", 0), d.rank);

		if (many < 1 || __builtin_mul_overflow(d.d[axis], many, &d.d[axis]))
			emit_fail(e, -EINVAL, "%lld tiles", (long long)many);
		any = many > 1;
	} else {
		times = emit_ints(e, 1, "repeats", &n);
		if (emit_failed(e))
			return;
		if (n != d.rank) {
			emit_fail(e, -EINVAL, "%u repeats for rank %u", n, d.rank);
			return;
		}
		for (uint32_t i = 0; i < n; i++) {
			if (times[i] < 1 || __builtin_mul_overflow(d.d[i], times[i], &d.d[i])) {
				emit_fail(e, times[i] ? -EINVAL : -EOPNOTSUPP,
					  "repeats[%u] is %lld: empty tensors are not supported", i,
					  (long long)times[i]);
				return;
			}
			any |= times[i] > 1;
		}
	}
	if (emit_failed(e))
		return;
	if (any) {
		op = build_op(e->b, PROG_TILE, 1, &x, 1);
		x = build_set_out(e->b, op, 0, emit_x(e, 0)->type, d.rank, d.d);
	}
	emit_out(e, 0, x);
}

/* Both ways between depth and space: split the axes, permute, join them. */
static void rearrange(struct emit *e, const int64_t *split, const uint8_t *perm,
		      const int64_t *joined)
{
	uint32_t x = build_view(e->b, emit_in(e, 0), 6, split);

	emit_out(e, 0, build_view(e->b, build_transpose(e->b, x, perm), 4, joined));
}

static int64_t read_block(struct emit *e)
{
	int64_t block;

	if (!emit_attr_need(e, "blocksize"))
		return 0;
	block = emit_attr_int(e, "blocksize", 0);
	if (emit_x(e, 0)->rank != 4 || block < 1 || block > 1 << 15) {
		emit_fail(e, -EINVAL, "blocksize %lld, rank %u", (long long)block,
			  emit_x(e, 0)->rank);
		return 0;
	}
	return block;
}

static void emit_depth_to_space(struct emit *e)
{
	static const char *const modes[] = { "DCR", "CRD", NULL };
	static const uint8_t dcr[6] = { 0, 3, 4, 1, 5, 2 }, crd[6] = { 0, 1, 4, 2, 5, 3 };
	int mode = emit_attr_enum(e, "mode", "DCR", modes);
	const int64_t *x = emit_x(e, 0)->dims;
	int64_t b = read_block(e);

	if (emit_failed(e))
		return;
	if (x[1] % (b * b)) {
		emit_fail(e, -EINVAL, "%lld channels in blocks of %lld", (long long)x[1],
			  (long long)(b * b));
		return;
	}
	if (mode)
		rearrange(e, (int64_t[]){ x[0], x[1] / (b * b), b, b, x[2], x[3] }, crd,
			  (int64_t[]){ x[0], x[1] / (b * b), x[2] * b, x[3] * b });
	else
		rearrange(e, (int64_t[]){ x[0], b, b, x[1] / (b * b), x[2], x[3] }, dcr,
			  (int64_t[]){ x[0], x[1] / (b * b), x[2] * b, x[3] * b });
}

static void emit_space_to_depth(struct emit *e)
{
	static const uint8_t perm[6] = { 0, 3, 5, 1, 2, 4 };
	const int64_t *x = emit_x(e, 0)->dims;
	int64_t b = read_block(e);

	if (emit_failed(e))
		return;
	if (x[2] % b || x[3] % b) {
		emit_fail(e, -EINVAL, "%lldx%lld in blocks of %lld", (long long)x[2],
			  (long long)x[3], (long long)b);
		return;
	}
	rearrange(e, (int64_t[]){ x[0], x[1], x[2] / b, b, x[3] / b, b }, perm,
		  (int64_t[]){ x[0], x[1] * b * b, x[2] / b, x[3] / b });
}

#define LAST	EMIT_OPSET_MAX
#define MANY	UINT32_MAX

const struct emit_op op_shape[] = {
	{ "Identity", 1, LAST, 1, 1, 1, emit_identity },
	{ "Dropout", 1, 11, 1, 1, 2, emit_dropout },
	{ "Dropout", 12, LAST, 1, 3, 2, emit_dropout },
	{ "Reshape", 1, 4, 1, 1, 1, emit_reshape },
	{ "Reshape", 5, LAST, 2, 2, 1, emit_reshape },
	{ "Flatten", 1, LAST, 1, 1, 1, emit_flatten },
	{ "Squeeze", 1, 12, 1, 1, 1, emit_squeeze },
	{ "Squeeze", 13, LAST, 1, 2, 1, emit_squeeze },
	{ "Unsqueeze", 1, 12, 1, 1, 1, emit_unsqueeze },
	{ "Unsqueeze", 13, LAST, 2, 2, 1, emit_unsqueeze },
	{ "Transpose", 1, LAST, 1, 1, 1, emit_transpose },
	{ "Concat", 1, LAST, 1, MANY, 1, emit_concat },
	{ "Slice", 1, 9, 1, 1, 1, emit_slice },
	{ "Slice", 10, LAST, 3, 5, 1, emit_slice },
	{ "Split", 2, 12, 1, 1, MANY, emit_split },
	{ "Split", 13, LAST, 1, 2, MANY, emit_split },
	{ "Pad", 1, 10, 1, 1, 1, emit_pad },
	{ "Pad", 11, 17, 2, 3, 1, emit_pad },
	{ "Pad", 18, LAST, 2, 4, 1, emit_pad },
	{ "Expand", 8, LAST, 2, 2, 1, emit_expand },
	{ "Tile", 1, 5, 3, 3, 1, emit_tile },
	{ "Tile", 6, LAST, 2, 2, 1, emit_tile },
	{ "DepthToSpace", 1, LAST, 1, 1, 1, emit_depth_to_space },
	{ "SpaceToDepth", 1, LAST, 1, 1, 1, emit_space_to_depth },
	{ NULL }
};
