// SPDX-License-Identifier: MIT
/*
 * Resize and the older Upsample.
 *
 * The program's RESIZE works on up to three spatial dimensions of channels-last
 * data. A model that scales N or C is brought to that form by views where the
 * scaled axes lie side by side, and refused otherwise.
 *
 * No state of its own.
 */
#include <math.h>
#include <string.h>

#include "agent/onnx/op.h"

/**
 * struct resize - all that one Resize node says
 * @p: mode and parameters; the geometry is filled in at the end
 * @scale: result / input, an axis each
 * @lo: region of interest, start, as a part of the extent
 * @hi: its end
 * @out: the result's extents
 */
struct resize {
	struct prog_resize p;
	float scale[PROG_MAX_RANK];
	float lo[PROG_MAX_RANK], hi[PROG_MAX_RANK];
	struct op_dims out;
};

static void finish(struct emit *e, const struct resize *r)
{
	const struct build_tensor *x = emit_x(e, 0);
	struct prog_resize p = r->p;
	uint32_t first = x->rank, last = 0, in, n, y;
	int64_t dims[5] = { 1, 1, 1, 1, 1 };
	bool spatial, moved = false;
	struct prog_op *op;

	/* A region of interest moves what is read even where no extent changes. */
	for (uint32_t i = 0; i < x->rank; i++) {
		if (r->out.d[i] == x->dims[i] && r->scale[i] == 1.0f &&
		    (p.coord != PROG_COORD_TF_CROP || (r->lo[i] == 0.0f && r->hi[i] == 1.0f)))
			continue;
		if (first > i)
			first = i;
		last = i;
		moved = true;
	}
	if (!moved) {
		emit_out(e, 0, emit_in(e, 0));
		return;
	}
	spatial = first >= 2 && x->rank <= 5;
	if (!spatial && last - first >= 3) {
		emit_fail(e, -EOPNOTSUPP, "axes %u to %u are scaled: three at most", first, last);
		return;
	}
	if (spatial) {
		first = 2;
		last = x->rank - 1;
		in = build_channels_last(e->b, emit_in(e, 0));
	} else {
		for (uint32_t i = 0; i < x->rank; i++) {
			if (i < first)
				dims[0] *= x->dims[i];
			else if (i > last)
				dims[4] *= x->dims[i];
			else
				dims[4 - (last - i) - 1] = x->dims[i];
		}
		in = build_view(e->b, emit_in(e, 0), 5, dims);
	}
	n = last - first + 1;
	memcpy(dims, build_t(e->b, in)->dims, sizeof(dims));
	for (uint32_t i = 0; i < 3; i++) {
		uint32_t axis = first + i - (3 - n);
		bool given = i >= 3 - n;

		p.scale[i] = given ? r->scale[axis] : 1.0f;
		p.roi_lo[i] = given ? r->lo[axis] : 0.0f;
		p.roi_hi[i] = given ? r->hi[axis] : 1.0f;
		dims[1 + i] = given ? r->out.d[axis] : 1;
	}
	op = build_op(e->b, PROG_RESIZE, 1, &in, 1);
	op->params.resize = p;
	y = build_set_out(e->b, op, 0, x->type, 5, dims);
	if (spatial)
		emit_out(e, 0, build_channels_first(e->b, y, x->rank));
	else
		emit_out(e, 0, op_view(e, y, &r->out));
}

static void set_scale(struct emit *e, struct resize *r, uint32_t axis, float scale)
{
	int64_t dim = emit_x(e, 0)->dims[axis];
	double out = floor((double)dim * scale);

	if (!(scale > 0) || !(out >= 1) || out > OP_MAX_EXTENT) {
		emit_fail(e, -EINVAL, "scale %g of axis %u (%lld elements)", scale, axis,
			  (long long)dim);
		return;
	}
	r->scale[axis] = scale;
	r->out.d[axis] = (int64_t)out;
}

/* keep_aspect_ratio_policy: one scale for all named axes. */
enum policy { POLICY_STRETCH, POLICY_NOT_LARGER, POLICY_NOT_SMALLER };

static void set_sizes(struct emit *e, struct resize *r, const int64_t *sizes,
		      const uint32_t *axes, uint32_t n, enum policy policy)
{
	const int64_t *dims = emit_x(e, 0)->dims;
	float scale = 0;

	for (uint32_t i = 0; i < n; i++) {
		float s;

		if (sizes[i] < 1 || sizes[i] > OP_MAX_EXTENT) {
			emit_fail(e, -EINVAL, "size %lld of axis %u", (long long)sizes[i], axes[i]);
			return;
		}
		s = (float)sizes[i] / (float)dims[axes[i]];
		if (!i || (policy == POLICY_NOT_LARGER ? s < scale : s > scale))
			scale = s;
	}
	for (uint32_t i = 0; i < n; i++) {
		uint32_t a = axes[i];

		if (policy == POLICY_STRETCH) {
			r->out.d[a] = sizes[i];
			r->scale[a] = (float)sizes[i] / (float)dims[a];
		} else {
			r->out.d[a] = (int64_t)roundf(scale * (float)dims[a]);
			r->scale[a] = scale;
			if (r->out.d[a] < 1 || r->out.d[a] > OP_MAX_EXTENT)
				emit_fail(e, -EINVAL, "size %lld of axis %u",
					  (long long)r->out.d[a], a);
		}
	}
}

static void start(struct emit *e, struct resize *r)
{
	memset(r, 0, sizeof(*r));
	r->out = op_dims(e, emit_in(e, 0));
	for (uint32_t i = 0; i < PROG_MAX_RANK; i++) {
		r->scale[i] = 1.0f;
		r->hi[i] = 1.0f;
	}
}

/* Scales of every axis, from constant input @i; false where there are none. */
static bool read_scales(struct emit *e, struct resize *r, uint32_t i, const uint32_t *axes,
			uint32_t n)
{
	uint32_t t = emit_in(e, i);

	if (!emit_has(e, i))
		return false;
	if (!build_is_const(e->b, t)) {
		emit_fail(e, -EOPNOTSUPP, "scales are not known at load, but the result's shape hangs on them");
		return false;
	}
	if (build_t(e->b, t)->elems != n || build_t(e->b, t)->rank > 1) {
		emit_fail(e, -EINVAL, "%lld scales for %u axes", (long long)build_t(e->b, t)->elems,
			  n);
		return false;
	}
	for (uint32_t k = 0; k < n && !emit_failed(e); k++)
		set_scale(e, r, axes[k], (float)build_elem(e->b, t, k));
	return true;
}

/* Upsample, and Resize as it was in opset 10: asymmetric, rounding down. */
static void emit_upsample(struct emit *e)
{
	static const char *const modes[] = { "nearest", "linear", NULL };
	uint32_t rank = emit_x(e, 0)->rank, axes[PROG_MAX_RANK], n;
	struct resize r;
	const float *s;

	start(e, &r);
	for (uint32_t i = 0; i < PROG_MAX_RANK; i++)
		axes[i] = i;
	r.p.mode = emit_attr_enum(e, "mode", "nearest", modes) == 1 ? PROG_RESIZE_LINEAR :
								      PROG_RESIZE_NEAREST;
	r.p.coord = PROG_COORD_ASYMMETRIC;
	r.p.nearest = PROG_NEAREST_FLOOR;
	if (e->opset < 9) {
		s = emit_attr_floats(e, "scales", &n);
		if (!emit_failed(e) && n != rank)
			emit_fail(e, -EINVAL, "%u scales for rank %u", n, rank);
		for (uint32_t i = 0; i < rank && !emit_failed(e); i++)
			set_scale(e, &r, i, s[i]);
	} else if (!read_scales(e, &r, 1, axes, rank)) {
		emit_fail(e, -EINVAL, "has no scales");
	}
	if (!emit_failed(e))
		finish(e, &r);
}

/*
 * tf_half_pixel_for_nn: x = (y + 0.5) / scale, half a pixel more than
 * half_pixel. For nearest that half moves into the rounding: floor of it is
 * half_pixel's round half up, round half down is half_pixel's ceil.
 */
static void tf_half_pixel(struct emit *e, struct prog_resize *p)
{
	p->coord = PROG_COORD_HALF_PIXEL;
	if (p->mode == PROG_RESIZE_NEAREST && p->nearest == PROG_NEAREST_FLOOR)
		p->nearest = PROG_NEAREST_ROUND_CEIL;
	else if (p->mode == PROG_RESIZE_NEAREST && p->nearest == PROG_NEAREST_ROUND_FLOOR)
		p->nearest = PROG_NEAREST_CEIL;
	else
		emit_fail(e, -EOPNOTSUPP, "tf_half_pixel_for_nn with this mode and rounding");
}

static void read_modes(struct emit *e, struct prog_resize *p)
{
	static const char *const coords[] = { "half_pixel", "pytorch_half_pixel", "align_corners",
		"asymmetric", "half_pixel_symmetric", "tf_crop_and_resize",
		"tf_half_pixel_for_nn", NULL };
	static const char *const modes[] = { "nearest", "linear", "cubic", NULL };
	static const char *const rounds[] = { "round_prefer_floor", "round_prefer_ceil", "floor",
		"ceil", NULL };
	int coord = emit_attr_enum(e, "coordinate_transformation_mode", "half_pixel", coords);

	p->mode = (enum prog_resize_mode)emit_attr_enum(e, "mode", "nearest", modes);
	p->nearest = (enum prog_resize_nearest)
		emit_attr_enum(e, "nearest_mode", "round_prefer_floor", rounds);
	p->cubic_a = emit_attr_float(e, "cubic_coeff_a", -0.75f);
	p->extrapolation = emit_attr_float(e, "extrapolation_value", 0.0f);
	p->exclude_outside = emit_attr_int(e, "exclude_outside", 0) != 0;
	if (emit_failed(e))
		return;
	if (coord == 6)
		tf_half_pixel(e, p);
	else
		p->coord = (enum prog_resize_coord)coord;
}

/* The region of interest: starts of all axes, then their ends. */
static void read_roi(struct emit *e, struct resize *r, const uint32_t *axes, uint32_t n)
{
	uint32_t t = emit_in(e, 1);

	if (!emit_has(e, 1) || !build_is_const(e->b, t)) {
		emit_fail(e, -EOPNOTSUPP, "tf_crop_and_resize with a roi that is not known at load");
		return;
	}
	if (build_t(e->b, t)->elems != 2 * n) {
		emit_fail(e, -EINVAL, "a roi of %lld numbers for %u axes",
			  (long long)build_t(e->b, t)->elems, n);
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		r->lo[axes[i]] = (float)build_elem(e->b, t, i);
		r->hi[axes[i]] = (float)build_elem(e->b, t, n + i);
	}
}

static void emit_resize(struct emit *e)
{
	static const char *const policies[] = { "stretch", "not_larger", "not_smaller", NULL };
	uint32_t rank = emit_x(e, 0)->rank, axes[PROG_MAX_RANK], n = rank, n_sizes, n_axes = 0;
	enum policy policy = POLICY_STRETCH;
	const int64_t *list = NULL, *sizes;
	struct resize r;

	start(e, &r);
	read_modes(e, &r.p);
	if (e->opset >= 18) {
		list = emit_attr_ints(e, "axes", &n_axes);
		policy = (enum policy)emit_attr_enum(e, "keep_aspect_ratio_policy", "stretch",
						     policies);
		if (emit_attr_int(e, "antialias", 0))
			emit_fail(e, -EOPNOTSUPP, "antialias is not supported");
		if (list)
			emit_axes(e, list, n_axes, rank);
	}
	if (emit_failed(e))
		return;
	if (list)
		n = n_axes;
	for (uint32_t i = 0; i < n; i++)
		axes[i] = list ? emit_axis(e, list[i], rank) : i;
	if (r.p.coord == PROG_COORD_TF_CROP)
		read_roi(e, &r, axes, n);
	if (emit_has(e, 3) && emit_x(e, 3)->elems) {
		sizes = emit_ints(e, 3, "sizes", &n_sizes);
		if (!emit_failed(e) && n_sizes != n)
			emit_fail(e, -EINVAL, "%u sizes for %u axes", n_sizes, n);
		if (!emit_failed(e))
			set_sizes(e, &r, sizes, axes, n, policy);
	} else if (!read_scales(e, &r, 2, axes, n)) {
		emit_fail(e, -EINVAL, "has neither scales nor sizes");
	}
	if (!emit_failed(e))
		finish(e, &r);
}

const struct emit_op op_resize[] = {
	{ "Upsample", 7, 8, 1, 1, 1, emit_upsample },
	{ "Upsample", 9, 9, 2, 2, 1, emit_upsample },
	{ "Resize", 10, 10, 2, 2, 1, emit_upsample },
	{ "Resize", 11, 12, 3, 4, 1, emit_resize },
	{ "Resize", 13, EMIT_OPSET_MAX, 1, 4, 1, emit_resize },
	{ NULL }
};
