// SPDX-License-Identifier: MIT
/*
 * What an output coordinate of RESIZE reads, see taps.h. No state.
 */
#include "agent/cpu/taps.h"

#include <math.h>

/*
 * Where an output coordinate is in the input. In float, as ONNX Runtime has it:
 * in nearest mode the last bit decides which way a tie goes.
 *
 * align_corners counts the output as long as the scale says, whole or not, as
 * ONNX's own test cases do; a scale made from sizes gives the size again.
 */
static float source(const struct prog_resize *pr, int i, int64_t o, int64_t in, int64_t out)
{
	float scale = pr->scale[i], x = (float)o, last = (float)(in - 1);

	switch (pr->coord) {
	case PROG_COORD_HALF_PIXEL:
		return (x + 0.5f) / scale - 0.5f;
	case PROG_COORD_PYTORCH_HALF_PIXEL:
		return out > 1 ? (x + 0.5f) / scale - 0.5f : 0.0f;
	case PROG_COORD_ALIGN_CORNERS:
		if (fabsf(scale * (float)in - (float)out) < 1e-4f * (float)out)
			return out > 1 ? x * last / (float)(out - 1) : 0.0f;
		return scale * (float)in > 1.0f ? x * last / (scale * (float)in - 1.0f) : 0.0f;
	case PROG_COORD_HALF_PIXEL_SYMMETRIC:
		return (float)in / 2 * (1 - (float)out / (scale * (float)in)) +
		       (x + 0.5f) / scale - 0.5f;
	case PROG_COORD_TF_CROP:
		if (out == 1)
			return 0.5f * (pr->roi_lo[i] + pr->roi_hi[i]) * last;
		return pr->roi_lo[i] * last +
		       x * (pr->roi_hi[i] - pr->roi_lo[i]) * last / (float)(out - 1);
	default:
		return x / scale;
	}
}

static int64_t nearest(const struct prog_resize *pr, double x)
{
	double f = floor(x);

	switch (pr->nearest) {
	case PROG_NEAREST_ROUND_FLOOR:
		return (int64_t)(x - f > 0.5 ? f + 1 : f);
	case PROG_NEAREST_ROUND_CEIL:
		return (int64_t)(x - f >= 0.5 ? f + 1 : f);
	case PROG_NEAREST_CEIL:
		return (int64_t)ceil(x);
	default:
		return (int64_t)f;
	}
}

static int32_t clamp_to(int64_t v, int64_t n)
{
	return (int32_t)(v < 0 ? 0 : v >= n ? n - 1 : v);
}

static void cubic(double a, double t, double w[4])
{
	double s;

	s = 1 + t;
	w[0] = ((a * s - 5 * a) * s + 8 * a) * s - 4 * a;
	w[1] = ((a + 2) * t - (a + 3)) * t * t + 1;
	s = 1 - t;
	w[2] = ((a + 2) * s - (a + 3)) * s * s + 1;
	s = 2 - t;
	w[3] = ((a * s - 5 * a) * s + 8 * a) * s - 4 * a;
}

void cpu_taps(const struct prog_resize *pr, int i, int64_t o, int64_t in, int64_t out,
	      struct cpu_taps *t)
{
	double x, f, w[4], sum = 0;

	/* A dimension that stays as it is needs no arithmetic, nor its errors. */
	if (in == out && pr->scale[i] == 1.0f && pr->coord != PROG_COORD_TF_CROP) {
		t->n = 1;
		t->at[0] = (int32_t)o;
		t->w[0] = 1.0f;
		return;
	}
	x = source(pr, i, o, in, out);
	t->outside = pr->coord == PROG_COORD_TF_CROP && (x < 0 || x > (double)(in - 1));
	/* Keep wild factors within what an integer holds. */
	x = fmin(fmax(x, -4), (double)in + 4);
	f = floor(x);
	switch (pr->mode) {
	case PROG_RESIZE_NEAREST:
		t->n = 1;
		t->at[0] = clamp_to(nearest(pr, x), in);
		t->w[0] = 1.0f;
		break;
	case PROG_RESIZE_LINEAR:
		x = fmin(fmax(x, 0), (double)(in - 1));
		f = floor(x);
		t->n = x > f ? 2 : 1;
		t->at[0] = clamp_to((int64_t)f, in);
		t->at[1] = clamp_to((int64_t)f + 1, in);
		t->w[0] = (float)(1 - (x - f));
		t->w[1] = (float)(x - f);
		break;
	case PROG_RESIZE_CUBIC:
		cubic(pr->cubic_a, x - f, w);
		t->n = CPU_TAPS;
		for (int k = 0; k < CPU_TAPS; k++) {
			int64_t at = (int64_t)f - 1 + k;

			if (pr->exclude_outside && (at < 0 || at >= in))
				w[k] = 0;
			t->at[k] = clamp_to(at, in);
			sum += w[k];
		}
		for (int k = 0; k < CPU_TAPS; k++)
			t->w[k] = (float)(pr->exclude_outside && sum != 0 ? w[k] / sum : w[k]);
		break;
	}
}
