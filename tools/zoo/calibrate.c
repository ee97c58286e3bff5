// SPDX-License-Identifier: MIT
/*
 * The layers of image networks on the calibration batch, see calibrate.h.
 *
 * Owns plain reference arithmetic; never touches the graph. Compiled with
 * -ffp-contract=off.
 */
#include "calibrate.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <string.h>

#include "prng.h"

#define PATCH	16	/* pixels a side of a flat patch */

static size_t plane(const struct zoo_batch *x)
{
	return (size_t)x->h * x->w;
}

static size_t total(const struct zoo_batch *x)
{
	return CAL_IMAGES * x->c * plane(x);
}

static float *at(const struct zoo_batch *x, int n, int c)
{
	return x->data + ((size_t)n * x->c + c) * plane(x);
}

struct zoo_batch cal_new(struct zoo *z, int c, int h, int w)
{
	struct zoo_batch b = { .c = c, .h = h, .w = w };

	assert(c > 0 && h > 0 && w > 0);
	b.data = zoo_alloc(z, total(&b) * sizeof(float));
	return b;
}

struct zoo_batch cal_image(struct zoo *z, int c, int h, int w)
{
	struct zoo_batch b = cal_new(z, c, h, w);
	uint64_t noise = zoo_seed(z, "calibration.noise");
	uint64_t patch = zoo_seed(z, "calibration.patch");
	const int across = (w + PATCH - 1) / PATCH, down = (h + PATCH - 1) / PATCH;

	for (int i = 0; i < CAL_IMAGES * c; i++) {
		for (int y = 0; y < h; y++) {
			for (int x = 0; x < w; x++) {
				size_t pixel = (size_t)i * h * w + (size_t)y * w + x;
				size_t cell = ((size_t)i * down + y / PATCH) * across + x / PATCH;
				int v = 3 * prng_normal_int(prng_at(noise, pixel)) +
					4 * prng_normal_int(prng_at(patch, cell));

				b.data[pixel] = v * (0.2 / PRNG_NORMAL_SIGMA);
			}
		}
	}
	return b;
}

/* y += k * (x shifted by @dy, @dx and strided), where that is inside x. */
static void accumulate(float *restrict y, int yh, int yw, const float *restrict x, int xh,
		       int xw, float k, int stride, int dy, int dx)
{
	for (int oy = 0; oy < yh; oy++) {
		const int iy = oy * stride + dy;
		int first = dx < 0 ? (-dx + stride - 1) / stride : 0;
		int last = (xw - 1 - dx) / stride;
		const float *from = x + (size_t)iy * xw + dx;
		float *to = y + (size_t)oy * yw;

		if (iy < 0 || iy >= xh || dx >= xw)
			continue;
		if (last >= yw)
			last = yw - 1;
		if (stride == 1)
			for (int ox = first; ox <= last; ox++)
				to[ox] += k * from[ox];
		else
			for (int ox = first; ox <= last; ox++)
				to[ox] += k * from[(size_t)ox * stride];
	}
}

struct zoo_batch cal_conv(struct zoo *z, const struct zoo_batch *x, const float *weights,
			  int out, int kernel, int stride, int pad, int groups)
{
	const int h = (x->h + 2 * pad - kernel) / stride + 1;
	const int w = (x->w + 2 * pad - kernel) / stride + 1;
	const int in = x->c / groups, taps = kernel * kernel;
	struct zoo_batch y = cal_new(z, out, h, w);

	for (int n = 0; n < CAL_IMAGES; n++) {
		for (int o = 0; o < out; o++) {
			const float *k = weights + (size_t)o * in * taps;
			const int first = o / (out / groups) * in;

			for (int i = 0; i < in * taps; i++) {
				const float *from = at(x, n, first + i / taps);
				int ky = i % taps / kernel, kx = i % kernel;

				if (taps == 1 && stride == 1 && !pad)	/* one long row */
					accumulate(at(&y, n, o), 1, h * w, from, 1, h * w, k[i],
						   1, 0, 0);
				else
					accumulate(at(&y, n, o), h, w, from, x->h, x->w, k[i],
						   stride, ky - pad, kx - pad);
			}
		}
	}
	return y;
}

struct zoo_batch cal_max_pool(struct zoo *z, const struct zoo_batch *x, int pad, bool ceil_mode)
{
	const int round = ceil_mode ? 1 : 0;
	struct zoo_batch y = cal_new(z, x->c, (x->h + 2 * pad - 3 + round) / 2 + 1,
				     (x->w + 2 * pad - 3 + round) / 2 + 1);

	for (size_t i = 0; i < total(&y); i++) {
		const float *from = x->data + i / plane(&y) * plane(x);
		int oy = i % plane(&y) / y.w, ox = i % y.w;
		float max = -FLT_MAX;

		for (int iy = oy * 2 - pad; iy < oy * 2 - pad + 3; iy++) {
			for (int ix = ox * 2 - pad; ix < ox * 2 - pad + 3; ix++) {
				if (iy < 0 || iy >= x->h || ix < 0 || ix >= x->w)
					continue;
				if (from[(size_t)iy * x->w + ix] > max)
					max = from[(size_t)iy * x->w + ix];
			}
		}
		y.data[i] = max;
	}
	return y;
}

struct zoo_batch cal_global_pool(struct zoo *z, const struct zoo_batch *x)
{
	struct zoo_batch y = cal_new(z, x->c, 1, 1);

	for (size_t i = 0; i < total(&y); i++) {
		double sum = 0;

		for (size_t p = 0; p < plane(x); p++)
			sum += x->data[i * plane(x) + p];
		y.data[i] = sum / plane(x);
	}
	return y;
}

struct zoo_batch cal_concat(struct zoo *z, const struct zoo_batch *a, const struct zoo_batch *b)
{
	struct zoo_batch y = cal_new(z, a->c + b->c, a->h, a->w);

	for (int n = 0; n < CAL_IMAGES; n++) {
		memcpy(at(&y, n, 0), at(a, n, 0), a->c * plane(a) * sizeof(float));
		memcpy(at(&y, n, a->c), at(b, n, 0), b->c * plane(b) * sizeof(float));
	}
	return y;
}

struct zoo_batch cal_add(struct zoo *z, const struct zoo_batch *a, const struct zoo_batch *b)
{
	struct zoo_batch y = cal_new(z, a->c, a->h, a->w);

	for (size_t i = 0; i < total(&y); i++)
		y.data[i] = a->data[i] + b->data[i];
	return y;
}

struct zoo_batch cal_gate(struct zoo *z, const struct zoo_batch *x, const struct zoo_batch *gate)
{
	struct zoo_batch y = cal_new(z, x->c, x->h, x->w);

	for (size_t i = 0; i < total(&y); i++)
		y.data[i] = x->data[i] * gate->data[i / plane(x)];
	return y;
}

struct zoo_batch cal_clip(struct zoo *z, const struct zoo_batch *x, float low, float high)
{
	struct zoo_batch y = cal_new(z, x->c, x->h, x->w);

	for (size_t i = 0; i < total(&y); i++) {
		float v = x->data[i];

		y.data[i] = v < low ? low : v > high ? high : v;
	}
	return y;
}

/*
 * e^x to about 1e-9: 2^n times the Taylor series of e^f with |f| <= ln(2) / 2.
 * Basic operations only, so every machine gets the same bits.
 */
static double exp_exactly(double x)
{
	const double ln2 = 0.69314718055994530942;
	union { uint64_t u; double d; } power;
	double f, sum = 1, term = 1;
	int n;

	if (x < -80)
		x = -80;
	if (x > 80)
		x = 80;
	n = (int)(x / ln2 + (x < 0 ? -0.5 : 0.5));
	f = x - n * ln2;
	for (int i = 1; i <= 9; i++) {
		term = term * f / i;
		sum = sum + term;
	}
	power.u = (uint64_t)(1023 + n) << 52;
	return sum * power.d;
}

struct zoo_batch cal_sigmoid(struct zoo *z, const struct zoo_batch *x)
{
	struct zoo_batch y = cal_new(z, x->c, x->h, x->w);

	for (size_t i = 0; i < total(&y); i++)
		y.data[i] = 1 / (1 + exp_exactly(-x->data[i]));
	return y;
}

struct zoo_batch cal_silu(struct zoo *z, const struct zoo_batch *x)
{
	struct zoo_batch y = cal_sigmoid(z, x);

	for (size_t i = 0; i < total(&y); i++)
		y.data[i] *= x->data[i];
	return y;
}

void cal_stats(const struct zoo_batch *x, int c, double *mean, double *var)
{
	double sum = 0, square = 0;
	const double count = CAL_IMAGES * plane(x);

	for (int n = 0; n < CAL_IMAGES; n++)
		for (size_t p = 0; p < plane(x); p++)
			sum += at(x, n, c)[p];
	*mean = sum / count;
	for (int n = 0; n < CAL_IMAGES; n++) {
		for (size_t p = 0; p < plane(x); p++) {
			double d = at(x, n, c)[p] - *mean;

			square += d * d;
		}
	}
	*var = square / count;
}

double cal_power(const struct zoo_batch *x)
{
	double sum = 0;

	for (size_t i = 0; i < total(x); i++)
		sum += (double)x->data[i] * x->data[i];
	return sum / total(x);
}

void cal_affine(struct zoo_batch *x, int c, float scale, float shift)
{
	for (int n = 0; n < CAL_IMAGES; n++)
		for (size_t p = 0; p < plane(x); p++)
			at(x, n, c)[p] = at(x, n, c)[p] * scale + shift;
}
