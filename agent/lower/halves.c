// SPDX-License-Identifier: MIT
/*
 * Weights as fp16. Pure functions.
 *
 * What a channel's weights are off by after rounding is multiplied by its
 * inputs. These are seldom around zero (a mean of 0.7 of their root mean square
 * behind a SiLU), so that the sum of the errors moves the whole channel, in all
 * pixels alike, and no averaging later on removes it. Therefore rounding keeps
 * the sum of a row of weights: to nearest first, then those that were nearly
 * half-way go to the other side until the errors add up to nothing.
 */
#include "agent/lower/lower.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* To nearest, ties to even; by hand, since models have tens of millions of weights. */
uint16_t lower_half(float v)
{
	const float most = 65504.0f;
	uint32_t b, sign;
	float small;

	if (v > most && v <= FLT_MAX)
		v = most;
	if (v < -most && v >= -FLT_MAX)
		v = -most;
	memcpy(&b, &v, sizeof(b));
	sign = b >> 16 & 0x8000;
	b &= 0x7fffffff;
	if (b > 0x7f800000)
		return 0x7fff;
	if (b == 0x7f800000)
		return (uint16_t)(sign | 0x7c00);
	if (b >= 0x38800000)
		return (uint16_t)(sign | (b - 0x38000000 + 0xfff + (b >> 13 & 1)) >> 13);
	/* Below 2^-14 steps are of 2^-24, which adding a half rounds to. */
	memcpy(&small, &b, sizeof(b));
	small += 0.5f;
	memcpy(&b, &small, sizeof(b));
	return (uint16_t)(sign | (b - 0x3f000000));
}

static float half_value(uint16_t h)
{
	uint32_t b = (h & 0x7fffu) << 13;
	float v;

	if (b < 0x00800000) {
		v = (float)(h & 0x7fff) * 0x1p-24f;
	} else {
		b += 0x38000000;
		memcpy(&v, &b, sizeof(v));
	}
	return h & 0x8000 ? -v : v;
}

/* The next number up or down. */
static uint16_t beside(uint16_t h, bool up)
{
	if (!(h & 0x7fff))
		return up ? 0x0001 : 0x8001;
	return !(h & 0x8000) == up ? h + 1 : h - 1;
}

/*
 * One look at all: those that were off in the same way as all together, by at
 * least @least of a step, go to the other side while that helps. Returns what
 * is left, and the smallest step seen.
 */
static double even_out(uint16_t *to, const float *w, int64_t n, int64_t stride, float scale, double err,
		       double least, double *smallest)
{
	for (int64_t i = 0; i < n; i++) {
		double had = half_value(to[i]), off = had - (double)(scale * w[i * stride]), step;
		uint16_t other;

		if (off * err <= 0)
			continue;
		other = beside(to[i], err < 0);
		step = half_value(other) - had;
		if (!isfinite(off) || (other & 0x7fff) >= 0x7c00)
			continue;
		if (fabs(step) < *smallest)
			*smallest = fabs(step);
		if (fabs(off) < least * fabs(step) || fabs(err + step) >= fabs(err))
			continue;
		to[i] = other;
		err += step;
	}
	return err;
}

void lower_halves(uint16_t *to, const float *w, int64_t n, int64_t stride, float scale)
{
	static const double least[] = { 0.45, 0.35, 0.2, 0 };
	double err = 0;

	for (int64_t i = 0; i < n; i++) {
		to[i] = lower_half(scale * w[i * stride]);
		err += half_value(to[i]) - (double)(scale * w[i * stride]);
	}
	for (size_t k = 0; k < sizeof(least) / sizeof(*least) && isfinite(err); k++) {
		double smallest = DBL_MAX;

		err = even_out(to, w, n, stride, scale, err, least[k], &smallest);
		if (2 * fabs(err) <= smallest)
			break;
	}
}
