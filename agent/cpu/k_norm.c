// SPDX-License-Identifier: MIT
/*
 * NORM: layer, group (and so instance) and RMS normalisation.
 *
 *   layer, rms	rows lie together: a tile is some rows
 *   group	a group is some channels at all positions of an image, channels
 *		last: a tile is one group, or several neighbours where groups are
 *		narrow, so that what a line of cache holds is used
 *
 * Mean and variance are taken in double, the variance from the differences.
 * Immutable once prepared.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cpu/kernel.h"
#include "agent/cpu/simd.h"

#define TILE_ELEMS	16384
#define BLOCK		64	/* channels of a tile over groups, at most */

/**
 * struct norm - a plan
 * @rows: of one request; for groups: images
 * @n: elements of a row; for groups: positions of an image
 * @c: channels, @per: channels of a group
 * @width: channels of a tile over groups, whole groups
 * @cuts: tiles of an image
 * @grain: rows of a tile
 */
struct norm {
	int64_t rows, n, c, per, width, cuts, grain;
};

static int check(const struct program *p, const struct prog_op *op, char *why, size_t len)
{
	int ret = cpu_check_f32(p, op, why, len);

	if (ret)
		return ret;
	if (op->params.norm.kind == PROG_NORM_GROUP && cpu_has_out(op, 1))
		return cpu_refuse(op, why, len, "mean and deviation of groups cannot be had");
	return 0;
}

static int prepare(struct cpu_op *co)
{
	const struct prog_norm *pn = &co->op->params.norm;
	const struct prog_tensor *x = cpu_in_tensor(co, 0);
	struct norm *nm = calloc(1, sizeof(*nm));

	if (!nm)
		return -ENOMEM;
	co->priv = nm;
	nm->rows = nm->n = nm->cuts = 1;
	if (pn->kind != PROG_NORM_GROUP) {
		for (int32_t i = 0; i < (int32_t)x->rank; i++) {
			if (i < pn->axis)
				nm->rows *= x->dims[i];
			else
				nm->n *= x->dims[i];
		}
		nm->grain = nm->n < TILE_ELEMS ? TILE_ELEMS / nm->n : 1;
		return 0;
	}
	nm->rows = x->dims[0];
	nm->c = x->dims[x->rank - 1];
	nm->n = x->elems / nm->rows / nm->c;
	nm->per = nm->c / pn->groups;
	nm->width = nm->per < BLOCK ? BLOCK / nm->per * nm->per : nm->per;
	if (nm->width > nm->c)
		nm->width = nm->c;
	nm->cuts = (nm->c + nm->width - 1) / nm->width;
	nm->grain = 1;
	/* Sums of the channels of a tile. */
	co->scratch = (size_t)nm->width * 2 * sizeof(double);
	return 0;
}

static void release(struct cpu_op *co)
{
	free(co->priv);
}

static uint32_t tiles(const struct cpu_op *co, uint32_t degree)
{
	const struct norm *nm = co->priv;

	return cpu_pieces(degree, nm->rows * nm->cuts, nm->grain);
}

static double sum_squares(const float *x, int64_t n, float mean)
{
	double s[4] = { 0 };
	int64_t i = 0;

	for (; i + 4 <= n; i += 4)
		for (int k = 0; k < 4; k++) {
			double d = (double)x[i + k] - mean;

			s[k] += d * d;
		}
	for (; i < n; i++)
		s[0] += ((double)x[i] - mean) * ((double)x[i] - mean);
	return s[0] + s[1] + s[2] + s[3];
}

static void row(const struct cpu_op *co, int64_t n, const float *x, float *y,
		const float *scale, const float *shift, float *mean_out, float *inv_out)
{
	const struct prog_norm *pn = &co->op->params.norm;
	float mean = 0, inv;

	if (pn->kind == PROG_NORM_LAYER)
		mean = (float)((double)cpu_simd()->sum(x, n) / (double)n);
	inv = (float)(1.0 / sqrt(sum_squares(x, n, mean) / (double)n + (double)pn->epsilon));
	if (scale && shift) {
		for (int64_t i = 0; i < n; i++)
			y[i] = (x[i] - mean) * inv * scale[i] + shift[i];
	} else if (scale) {
		for (int64_t i = 0; i < n; i++)
			y[i] = (x[i] - mean) * inv * scale[i];
	} else {
		for (int64_t i = 0; i < n; i++)
			y[i] = (x[i] - mean) * inv + (shift ? shift[i] : 0.0f);
	}
	if (mean_out)
		*mean_out = mean;
	if (inv_out)
		*inv_out = inv;
}

/* Channels [c0, c1), whole groups, of one image. */
static void groups(const struct norm *nm, float epsilon, const float *x, float *y,
		   const float *scale, const float *shift, int64_t c0, int64_t c1, double *room)
{
	double *a = room, *b = room + nm->width, count = (double)(nm->n * nm->per);

	memset(room, 0, nm->width * 2 * sizeof(*room));
	for (int64_t i = 0; i < nm->n; i++)
		for (int64_t c = c0; c < c1; c++)
			a[c - c0] += x[i * nm->c + c];
	/* The mean of each group, in each of its channels. */
	for (int64_t g = 0; g < c1 - c0; g += nm->per) {
		double s = 0;

		for (int64_t c = g; c < g + nm->per; c++)
			s += a[c];
		for (int64_t c = g; c < g + nm->per; c++)
			a[c] = s / count;
	}
	for (int64_t i = 0; i < nm->n; i++)
		for (int64_t c = c0; c < c1; c++) {
			double d = x[i * nm->c + c] - a[c - c0];

			b[c - c0] += d * d;
		}
	/* y = x * a + b */
	for (int64_t g = 0; g < c1 - c0; g += nm->per) {
		double s = 0, inv;

		for (int64_t c = g; c < g + nm->per; c++)
			s += b[c];
		inv = 1.0 / sqrt(s / count + (double)epsilon);
		for (int64_t c = g; c < g + nm->per; c++) {
			double k = inv * (scale ? scale[c0 + c] : 1.0f);

			b[c] = (shift ? shift[c0 + c] : 0.0f) - a[c] * k;
			a[c] = k;
		}
	}
	for (int64_t i = 0; i < nm->n; i++)
		for (int64_t c = c0; c < c1; c++)
			y[i * nm->c + c] = (float)(x[i * nm->c + c] * a[c - c0] + b[c - c0]);
}

static void run_norm(const struct cpu_run *run, const struct cpu_op *co, uint32_t tile,
		     uint32_t n_tiles)
{
	const struct norm *nm = co->priv;
	const struct prog_norm *pn = &co->op->params.norm;
	struct cpu_piece pc = cpu_piece(run->degree, nm->rows * nm->cuts, nm->grain, tile);

	for (uint32_t r = pc.r; r < pc.r_end; r++) {
		const float *x = cpu_in(run, co, 0, r);
		const float *scale = cpu_has_in(co->op, 1) ? cpu_in(run, co, 1, r) : NULL;
		const float *shift = cpu_has_in(co->op, 2) ? cpu_in(run, co, 2, r) : NULL;
		float *y = cpu_out(run, co, 0, r);
		float *mean = cpu_has_out(co->op, 1) ? cpu_out(run, co, 1, r) : NULL;
		float *inv = cpu_has_out(co->op, 2) ? cpu_out(run, co, 2, r) : NULL;

		for (int64_t i = pc.begin; i < pc.end; i++) {
			int64_t at = i / nm->cuts * nm->n * nm->c, c0 = i % nm->cuts * nm->width;

			if (pn->kind == PROG_NORM_GROUP)
				groups(nm, pn->epsilon, x + at, y + at, scale, shift, c0,
				       c0 + nm->width < nm->c ? c0 + nm->width : nm->c,
				       run->scratch);
			else
				row(co, nm->n, x + i * nm->n, y + i * nm->n, scale, shift,
				    mean ? mean + i : NULL, inv ? inv + i : NULL);
		}
	}
}

const struct cpu_kernel cpu_k_norm = {
	.check = check,
	.prepare = prepare,
	.release = release,
	.tiles = tiles,
	.run = run_norm,
};
