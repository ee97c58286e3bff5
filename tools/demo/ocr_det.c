// SPDX-License-Identifier: MIT
/*
 * Before and after PP-OCR's detector.
 *
 * No state, one thread a call. Thresholds are those that the models are
 * published with; the map's values come from a tenant's own buffer and are
 * only compared and summed, never used as an index.
 */
#include "tools/demo/ocr_det.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define THRESHOLD	0.3f
#define BOX_THRESHOLD	0.5f
#define UNCLIP_RATIO	1.6f
#define MIN_SIDE	3.0f

/* Scratch for one map. */
struct regions {
	uint8_t *bits;		/* 1: text, not yet visited */
	int *stack;		/* flood fill */
	int *left, *right;	/* extent of the region by row */
	struct point *points;	/* outline, then its hull behind */
};

/* A rectangle by its centre, its long axis and half its sides. */
struct rect {
	struct point center;
	struct point axis;	/* unit vector, x > 0 */
	float half_w, half_h;
};

static void fitted(const struct image *img, int *width, int *height)
{
	/* Exact comparison of the two ratios, in integers. */
	if ((int64_t)img->width * DET_HEIGHT >= (int64_t)img->height * DET_WIDTH) {
		*width = DET_WIDTH;
		*height = (int64_t)img->height * DET_WIDTH / img->width;
	} else {
		*height = DET_HEIGHT;
		*width = (int64_t)img->width * DET_HEIGHT / img->height;
	}
	if (*width < 1)
		*width = 1;
	if (*height < 1)
		*height = 1;
}

int det_prepare(const struct image *img, float *tensor)
{
	struct image scaled;
	int width, height, err;

	fitted(img, &width, &height);
	err = image_scale(&scaled, img, width, height);
	if (err)
		return err;
	image_tensor(&scaled, tensor, DET_HEIGHT, DET_WIDTH);
	image_free(&scaled);
	return 0;
}

/* Threshold, then dilate by one pixel up and left: thin strokes touch. */
static void binarize(const float *map, uint8_t *bits)
{
	for (int y = 0; y < DET_HEIGHT; y++) {
		for (int x = 0; x < DET_WIDTH; x++) {
			const float *p = map + y * DET_WIDTH + x;

			bits[y * DET_WIDTH + x] = p[0] > THRESHOLD ||
				(x && p[-1] > THRESHOLD) ||
				(y && p[-DET_WIDTH] > THRESHOLD) ||
				(x && y && p[-DET_WIDTH - 1] > THRESHOLD);
		}
	}
}

/*
 * Empty the region around @start into left and right extents by row. Returns
 * its mean probability: over its own pixels, not over the rectangle around
 * them, which on a curved page holds mostly the gaps between lines.
 */
static float flood(struct regions *r, const float *map, int start, int *first, int *last)
{
	int n = 0, pixels = 0;
	double sum = 0;

	*first = DET_HEIGHT;
	*last = -1;
	r->bits[start] = 0;
	r->stack[n++] = start;
	while (n) {
		int at = r->stack[--n], y = at / DET_WIDTH, x = at % DET_WIDTH;

		sum += map[at];
		pixels++;
		if (y < *first)
			*first = y;
		if (y > *last)
			*last = y;
		if (x < r->left[y])
			r->left[y] = x;
		if (x > r->right[y])
			r->right[y] = x;
		for (int dy = -1; dy <= 1; dy++) {
			for (int dx = -1; dx <= 1; dx++) {
				int ny = y + dy, nx = x + dx, to = ny * DET_WIDTH + nx;

				if (ny < 0 || ny >= DET_HEIGHT || nx < 0 || nx >= DET_WIDTH ||
				    !r->bits[to])
					continue;
				r->bits[to] = 0;
				r->stack[n++] = to;
			}
		}
	}
	return sum / pixels;
}

/* The outermost pixels of every row, sorted by y; resets the extents. */
static int outline(struct regions *r, int first, int last)
{
	int n = 0;

	for (int y = first; y <= last; y++) {
		if (r->right[y] >= r->left[y]) {
			r->points[n++] = (struct point){ r->left[y], y };
			if (r->right[y] > r->left[y])
				r->points[n++] = (struct point){ r->right[y], y };
		}
		r->left[y] = DET_WIDTH;
		r->right[y] = -1;
	}
	return n;
}

static float cross(struct point o, struct point a, struct point b)
{
	return (a.x - o.x) * (b.y - o.y) - (a.y - o.y) * (b.x - o.x);
}

/*
 * Convex hull by Andrew's monotone chain; points are sorted by (y, x), which
 * serves as well as (x, y). All coordinates are small integers, so floats are
 * exact. Returns the number of corners in @hull.
 */
static int convex_hull(const struct point *points, int n, struct point *hull)
{
	int k = 0, lower;

	if (n < 3) {
		memcpy(hull, points, n * sizeof(*points));
		return n;
	}
	for (int i = 0; i < n; i++) {
		while (k >= 2 && cross(hull[k - 2], hull[k - 1], points[i]) <= 0)
			k--;
		hull[k++] = points[i];
	}
	lower = k + 1;
	for (int i = n - 2; i >= 0; i--) {
		while (k >= lower && cross(hull[k - 2], hull[k - 1], points[i]) <= 0)
			k--;
		hull[k++] = points[i];
	}
	return k - 1;
}

/* Smallest rectangle around a hull: one of its sides lies on a hull edge. */
static struct rect smallest_rect(const struct point *hull, int n)
{
	struct rect best = { .center = hull[0], .axis = { 1, 0 } };
	float best_area = INFINITY;

	for (int i = 0; i < n; i++) {
		struct point a = hull[i], b = hull[(i + 1) % n], u, c;
		float len = hypotf(b.x - a.x, b.y - a.y);
		float min_u = INFINITY, max_u = -INFINITY, min_v = INFINITY, max_v = -INFINITY;

		if (len == 0)
			continue;
		u = (struct point){ (b.x - a.x) / len, (b.y - a.y) / len };
		for (int j = 0; j < n; j++) {
			float pu = hull[j].x * u.x + hull[j].y * u.y;
			float pv = hull[j].y * u.x - hull[j].x * u.y;

			min_u = fminf(min_u, pu);
			max_u = fmaxf(max_u, pu);
			min_v = fminf(min_v, pv);
			max_v = fmaxf(max_v, pv);
		}
		/* Strictly better by more than rounding: ties go to the first edge. */
		if ((max_u - min_u) * (max_v - min_v) >= best_area * 0.9999f)
			continue;
		best_area = (max_u - min_u) * (max_v - min_v);
		c = (struct point){ (min_u + max_u) / 2, (min_v + max_v) / 2 };
		best = (struct rect){
			.center = { c.x * u.x - c.y * u.y, c.x * u.y + c.y * u.x },
			.axis = u,
			.half_w = (max_u - min_u) / 2,
			.half_h = (max_v - min_v) / 2,
		};
	}
	return best;
}

/* Turn the rectangle's description so that its axis points right. */
static void upright(struct rect *r)
{
	if (fabsf(r->axis.x) < fabsf(r->axis.y)) {
		float half = r->half_w;

		r->axis = (struct point){ r->axis.y, -r->axis.x };
		r->half_w = r->half_h;
		r->half_h = half;
	}
	if (r->axis.x < 0)
		r->axis = (struct point){ -r->axis.x, -r->axis.y };
}

/* Corners in the picture's own pixels; @scale is tensor pixels a picture pixel. */
static void corners(const struct rect *r, float scale, struct point quad[4])
{
	static const struct point sign[4] = { { -1, -1 }, { 1, -1 }, { 1, 1 }, { -1, 1 } };

	for (int i = 0; i < 4; i++) {
		float u = sign[i].x * r->half_w, v = sign[i].y * r->half_h;

		quad[i].x = (r->center.x + u * r->axis.x - v * r->axis.y + 0.5f) / scale;
		quad[i].y = (r->center.y + u * r->axis.y + v * r->axis.x + 0.5f) / scale;
	}
}

/* Lines from top to bottom; what starts within half a line, left to right. */
static int reading_order(const void *a, const void *b)
{
	const struct text_box *p = a, *q = b;

	if (p->quad[0].y != q->quad[0].y)
		return p->quad[0].y < q->quad[0].y ? -1 : 1;
	return (p->quad[0].x > q->quad[0].x) - (p->quad[0].x < q->quad[0].x);
}

static void order_boxes(struct text_box *boxes, int n)
{
	qsort(boxes, n, sizeof(*boxes), reading_order);
	for (int i = 1; i < n; i++) {
		for (int j = i; j > 0; j--) {
			struct text_box tmp = boxes[j];
			float line = boxes[j].quad[3].y - boxes[j].quad[0].y;

			if (boxes[j].quad[0].y - boxes[j - 1].quad[0].y > line / 2 ||
			    boxes[j].quad[0].x >= boxes[j - 1].quad[0].x)
				break;
			boxes[j] = boxes[j - 1];
			boxes[j - 1] = tmp;
		}
	}
}

static int region_box(struct regions *r, const float *map, int start, float scale,
		      struct text_box *box)
{
	struct rect rect;
	struct point *hull;
	int first, last, n;
	float grow;

	box->score = flood(r, map, start, &first, &last);
	n = outline(r, first, last);
	hull = r->points + n;
	n = convex_hull(r->points, n, hull);
	rect = smallest_rect(hull, n);
	upright(&rect);
	if (box->score < BOX_THRESHOLD || 2 * fminf(rect.half_w, rect.half_h) < MIN_SIDE)
		return 0;
	grow = UNCLIP_RATIO * rect.half_w * rect.half_h / (rect.half_w + rect.half_h);
	rect.half_w += grow;
	rect.half_h += grow;
	corners(&rect, scale, box->quad);
	return 1;
}

int det_boxes(const struct image *img, const float *map, struct text_box *boxes)
{
	const int pixels = DET_HEIGHT * DET_WIDTH;
	struct regions r = { 0 };
	int width, height, n = -ENOMEM;

	r.bits = malloc(pixels);
	r.stack = malloc(pixels * sizeof(*r.stack));
	r.left = malloc(DET_HEIGHT * sizeof(*r.left));
	r.right = malloc(DET_HEIGHT * sizeof(*r.right));
	/* Two points a row, and a hull that closes on its first corner. */
	r.points = malloc((4 * DET_HEIGHT + 4) * sizeof(*r.points));
	if (!r.bits || !r.stack || !r.left || !r.right || !r.points)
		goto out;

	fitted(img, &width, &height);
	binarize(map, r.bits);
	for (int y = 0; y < DET_HEIGHT; y++) {
		r.left[y] = DET_WIDTH;
		r.right[y] = -1;
	}
	n = 0;
	for (int i = 0; i < pixels && n < DET_MAX_BOXES; i++)
		if (r.bits[i])
			n += region_box(&r, map, i, (float)width / img->width, boxes + n);
	order_boxes(boxes, n);
out:
	free(r.points);
	free(r.right);
	free(r.left);
	free(r.stack);
	free(r.bits);
	return n;
}
