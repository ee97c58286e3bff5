// SPDX-License-Identifier: MIT
/*
 * RESIZE against plain loops: every mode and kind of coordinate, on random
 * shapes, places of tensors and degrees.
 */
#include <math.h>

#include "tests/cpu/nn.h"
#include "tests/tap.h"

static void resize_case(struct one *o, struct one_rng *g)
{
	struct prog_resize *pr = &o->op.params.resize;
	int64_t x[5], y[5];

	x[0] = y[0] = one_range(g, 1, 2);
	x[4] = y[4] = one_range(g, 1, 20);
	for (int i = 0; i < 3; i++) {
		bool flat = i == 0 && one_range(g, 0, 2);

		x[i + 1] = flat ? 1 : one_range(g, 1, i ? 7 : 3);
		y[i + 1] = flat ? 1 : one_range(g, 1, i ? 9 : 3);
		pr->scale[i] = (float)y[i + 1] / (float)x[i + 1];
		pr->roi_lo[i] = 0.1f;
		pr->roi_hi[i] = 1.2f;
	}
	pr->mode = (enum prog_resize_mode)one_range(g, 0, 2);
	pr->coord = (enum prog_resize_coord)one_range(g, 0, 5);
	pr->nearest = (enum prog_resize_nearest)one_range(g, 0, 3);
	pr->cubic_a = -0.75f;
	pr->extrapolation = 0.5f;
	pr->exclude_outside = one_range(g, 0, 1);
	one_in(o, BRAID_TYPE_F32, 5, x, false);
	one_out(o, BRAID_TYPE_F32, 5, y);
}

/* In float: ties of the nearest mode depend on it. */
static float resize_from(const struct prog_resize *pr, int i, float o, float in, float out)
{
	float s = pr->scale[i], roi = pr->roi_hi[i] - pr->roi_lo[i];

	switch (pr->coord) {
	case PROG_COORD_HALF_PIXEL:
		return (o + 0.5f) / s - 0.5f;
	case PROG_COORD_PYTORCH_HALF_PIXEL:
		return out > 1 ? (o + 0.5f) / s - 0.5f : 0;
	case PROG_COORD_ALIGN_CORNERS:
		return out > 1 ? o * (in - 1) / (out - 1) : 0;
	case PROG_COORD_ASYMMETRIC:
		return o / s;
	case PROG_COORD_HALF_PIXEL_SYMMETRIC:
		return in / 2 * (1 - out / (in * s)) + (o + 0.5f) / s - 0.5f;
	default:
		if (out > 1)
			return pr->roi_lo[i] * (in - 1) + o * roi * (in - 1) / (out - 1);
		return 0.5f * (pr->roi_lo[i] + pr->roi_hi[i]) * (in - 1);
	}
}

static double resize_near(const struct prog_resize *pr, double x)
{
	switch (pr->nearest) {
	case PROG_NEAREST_ROUND_FLOOR:
		return ceil(x - 0.5);
	case PROG_NEAREST_ROUND_CEIL:
		return floor(x + 0.5);
	case PROG_NEAREST_FLOOR:
		return floor(x);
	default:
		return ceil(x);
	}
}

static double resize_cubic(double d, double a)
{
	d = fabs(d);
	if (d <= 1)
		return ((a + 2) * d - (a + 3)) * d * d + 1;
	if (d < 2)
		return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
	return 0;
}

/* Weight of input coordinate @k for output coordinate @q of one dimension. */
static double resize_weight(const struct prog_resize *pr, int i, int64_t q, int64_t k, int64_t in,
			    int64_t out, bool *outside)
{
	double x = resize_from(pr, i, (float)q, (float)in, (float)out), w = 0, sum = 0;

	if (in == out && pr->coord != PROG_COORD_TF_CROP)
		x = (double)q;
	if (pr->coord == PROG_COORD_TF_CROP && (x < 0 || x > (double)(in - 1)))
		*outside = true;
	if (pr->mode == PROG_RESIZE_NEAREST)
		return fmin(fmax(resize_near(pr, x), 0), (double)(in - 1)) == (double)k;
	if (pr->mode == PROG_RESIZE_LINEAR) {
		x = fmin(fmax(x, 0), (double)(in - 1));
		return fmax(0, 1 - fabs(x - (double)k));
	}
	for (int64_t j = (int64_t)floor(x) - 1; j <= (int64_t)floor(x) + 2; j++) {
		double v = resize_cubic(x - (double)j, pr->cubic_a);
		int64_t at = j < 0 ? 0 : j >= in ? in - 1 : j;

		if (pr->exclude_outside && at != j)
			continue;
		sum += v;
		if (at == k)
			w += v;
	}
	return pr->exclude_outside ? w / sum : w;
}

static void ref_resize(const struct one *o, uint32_t r, uint32_t out, double *y)
{
	const struct prog_resize *pr = &o->op.params.resize;
	const int64_t *xd = o->tensors[o->in[0]].dims, *yd = o->tensors[o->out[0]].dims;
	const float *x = nn_in(o, 0, r);
	int64_t pixels = o->tensors[o->out[0]].elems / yd[4];

	for (int64_t p = 0; p < pixels; p++) {
		int64_t q[3] = { p / (yd[3] * yd[2]) % yd[1], p / yd[3] % yd[2], p % yd[3] };
		int64_t n = p / (yd[1] * yd[2] * yd[3]);
		bool outside = false;

		for (int64_t k = 0; k < xd[1] * xd[2] * xd[3]; k++) {
			int64_t c[3] = { k / (xd[3] * xd[2]), k / xd[3] % xd[2], k % xd[3] };
			const float *from = x + (n * xd[1] * xd[2] * xd[3] + k) * xd[4];
			double w = 1;

			for (int i = 0; i < 3; i++)
				w *= resize_weight(pr, i, q[i], c[i], xd[i + 1], yd[i + 1],
						   &outside);
			for (int64_t j = 0; w != 0 && j < yd[4]; j++)
				y[p * yd[4] + j] += w * from[j];
		}
		for (int64_t j = 0; outside && j < yd[4]; j++)
			y[p * yd[4] + j] = pr->extrapolation;
	}
}

int main(void)
{
	nn_check(PROG_RESIZE, resize_case, ref_resize, 4, 120, "resize");
	return tap_done();
}
