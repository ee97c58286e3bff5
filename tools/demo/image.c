// SPDX-License-Identifier: MIT
/*
 * Geometry of pictures: scaling, turning, cutting out, and the way into a
 * tensor. Reading files is image_read.c's.
 *
 * No state. Interpolation is done in integers: the models' recorded outputs
 * belong to exact input bytes, and floating point would round differently
 * from one compiler to the next.
 */
#include "tools/demo/image.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Fraction bits of a sampling position, and of the weights made from it. */
#define FRAC 11
#define ONE (1 << FRAC)

int image_new(struct image *img, int width, int height)
{
	if (width < 1 || height < 1 || width > 1 << 14 || height > 1 << 14)
		return -EINVAL;
	img->pixels = calloc((size_t)width * height, 3);
	if (!img->pixels)
		return -ENOMEM;
	img->width = width;
	img->height = height;
	return 0;
}

void image_free(struct image *img)
{
	free(img->pixels);
	memset(img, 0, sizeof(*img));
}

static int clamp(int v, int max)
{
	return v < 0 ? 0 : v > max ? max : v;
}

/* One RGB sample at (x, y), in units of 1/ONE pixel; the edge repeats. */
static void sample(const struct image *img, int64_t x, int64_t y, uint8_t *rgb)
{
	int fx = x & (ONE - 1), fy = y & (ONE - 1);
	int x0 = clamp(x >> FRAC, img->width - 1), x1 = clamp((x >> FRAC) + 1, img->width - 1);
	int y0 = clamp(y >> FRAC, img->height - 1), y1 = clamp((y >> FRAC) + 1, img->height - 1);
	const uint8_t *top = img->pixels + (size_t)y0 * img->width * 3;
	const uint8_t *bottom = img->pixels + (size_t)y1 * img->width * 3;

	for (int c = 0; c < 3; c++) {
		int a = top[x0 * 3 + c] * (ONE - fx) + top[x1 * 3 + c] * fx;
		int b = bottom[x0 * 3 + c] * (ONE - fx) + bottom[x1 * 3 + c] * fx;

		rgb[c] = ((int64_t)a * (ONE - fy) + (int64_t)b * fy + (1 << (2 * FRAC - 1))) >>
			 (2 * FRAC);
	}
}

/* Source position of destination pixel @i when @src pixels become @dst. */
static int64_t scaled(int i, int src, int dst)
{
	/* Floor division: the first pixel's position is negative when enlarging. */
	int64_t num = ((2 * (int64_t)i + 1) * src - dst) * ONE;
	int64_t den = 2 * (int64_t)dst;

	return num >= 0 ? num / den : -((-num + den - 1) / den);
}

int image_scale(struct image *dst, const struct image *src, int width, int height)
{
	int err = image_new(dst, width, height);

	if (err)
		return err;
	for (int y = 0; y < height; y++) {
		int64_t sy = scaled(y, src->height, height);

		for (int x = 0; x < width; x++)
			sample(src, scaled(x, src->width, width), sy,
			       dst->pixels + ((size_t)y * width + x) * 3);
	}
	return 0;
}

void image_turn(struct image *img)
{
	size_t n = (size_t)img->width * img->height;

	for (size_t i = 0; i < n / 2; i++) {
		uint8_t tmp[3];

		memcpy(tmp, img->pixels + i * 3, 3);
		memcpy(img->pixels + i * 3, img->pixels + (n - 1 - i) * 3, 3);
		memcpy(img->pixels + (n - 1 - i) * 3, tmp, 3);
	}
}

int image_quarter(struct image *img)
{
	struct image out;
	int err = image_new(&out, img->height, img->width);

	if (err)
		return err;
	for (int y = 0; y < out.height; y++)
		for (int x = 0; x < out.width; x++)
			memcpy(out.pixels + ((size_t)y * out.width + x) * 3,
			       img->pixels + ((size_t)x * img->width + img->width - 1 - y) * 3, 3);
	image_free(img);
	*img = out;
	return 0;
}

static float distance(struct point a, struct point b)
{
	return hypotf(a.x - b.x, a.y - b.y);
}

/* Position in 1/16 pixel: coarse enough that rounding never differs. */
static int64_t grid(float v)
{
	return lrintf(v * 16.0f);
}

int image_cut(struct image *dst, const struct image *src, const struct point quad[4])
{
	int width = lrintf(fmaxf(distance(quad[0], quad[1]), distance(quad[3], quad[2])));
	int height = lrintf(fmaxf(distance(quad[0], quad[3]), distance(quad[1], quad[2])));
	int64_t ox = grid(quad[0].x), oy = grid(quad[0].y);
	int64_t ux = grid(quad[1].x) - ox, uy = grid(quad[1].y) - oy;
	int64_t vx = grid(quad[3].x) - ox, vy = grid(quad[3].y) - oy;
	int err = image_new(dst, width, height);

	if (err)
		return err;
	for (int y = 0; y < height; y++) {
		for (int x = 0; x < width; x++) {
			/* Centre of the pixel, as a share of each side, in 1/16 * ONE. */
			int64_t sx = (ox * ONE + (2 * x + 1) * ux * ONE / (2 * width) +
				      (2 * y + 1) * vx * ONE / (2 * height)) / 16 - ONE / 2;
			int64_t sy = (oy * ONE + (2 * x + 1) * uy * ONE / (2 * width) +
				      (2 * y + 1) * vy * ONE / (2 * height)) / 16 - ONE / 2;

			sample(src, sx, sy, dst->pixels + ((size_t)y * width + x) * 3);
		}
	}
	if (height * 2 >= width * 3) {
		err = image_quarter(dst);
		if (err)
			image_free(dst);
	}
	return err;
}

void image_tensor(const struct image *img, float *out, int height, int width)
{
	size_t plane = (size_t)height * width;

	memset(out, 0, 3 * plane * sizeof(*out));
	for (int y = 0; y < img->height && y < height; y++) {
		const uint8_t *row = img->pixels + (size_t)y * img->width * 3;

		for (int x = 0; x < img->width && x < width; x++)
			for (int c = 0; c < 3; c++)
				out[(2 - c) * plane + (size_t)y * width + x] =
					(2 * row[x * 3 + c] - 255) / 255.0f;
	}
}
