// SPDX-License-Identifier: MIT
/*
 * POOL: maximum (with indices if asked), average, p-norm, channels last.
 *
 * A tile is some output pixels; of each the channels are worked on together.
 * Immutable once prepared.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "agent/cpu/clones.h"
#include "agent/cpu/kernel.h"

#define TILE_WORK	(1 << 17)	/* floats read by a tile */

/**
 * struct pool - a plan
 * @in: extents of the input: images, depth, height, width, channels
 * @out: of the output
 * @pixels: of the output of one request
 * @grain: pixels of a tile
 */
struct pool {
	int64_t in[5], out[5], pixels, grain;
};

static int check(const struct program *p, const struct prog_op *op, char *why, size_t len)
{
	enum braid_type type = p->tensors[op->in[0]].type;

	if (type != BRAID_TYPE_F32)
		return cpu_refuse(op, why, len, "its input is not float");
	if (cpu_has_out(op, 1) && op->params.pool.kind != PROG_POOL_MAX)
		return cpu_refuse(op, why, len, "indices are known for maxima only");
	return 0;
}

static int prepare(struct cpu_op *co)
{
	const struct prog_window *win = &co->op->params.pool.win;
	struct pool *pl = calloc(1, sizeof(*pl));
	int64_t work = 1;

	if (!pl)
		return -ENOMEM;
	pl->pixels = 1;
	for (int i = 0; i < 5; i++) {
		pl->in[i] = cpu_in_tensor(co, 0)->dims[i];
		pl->out[i] = cpu_out_tensor(co, 0)->dims[i];
		if (i < 4)
			pl->pixels *= pl->out[i];
	}
	for (int i = 0; i < 3; i++)
		work *= win->kernel[i] < pl->in[i + 1] ? win->kernel[i] : pl->in[i + 1];
	work *= pl->in[4];
	pl->grain = work < TILE_WORK ? TILE_WORK / work : 1;
	co->priv = pl;
	return 0;
}

static void release(struct cpu_op *co)
{
	free(co->priv);
}

static uint32_t tiles(const struct cpu_op *co, uint32_t degree)
{
	const struct pool *pl = co->priv;

	return cpu_pieces(degree, pl->pixels, pl->grain);
}

static CLONES_BODY void larger_body(float *y, const float *x, int64_t n)
{
	CLONES_LOOP
	for (int64_t i = 0; i < n; i++)
		y[i] = x[i] > y[i] || x[i] != x[i] ? x[i] : y[i];
}
CLONES(static, larger, (float *y, const float *x, int64_t n), (y, x, n))

static CLONES_BODY void plus_body(float *y, const float *x, int64_t n)
{
	CLONES_LOOP
	for (int64_t i = 0; i < n; i++)
		y[i] += x[i];
}
CLONES(static, plus, (float *y, const float *x, int64_t n), (y, x, n))

/* Taps [lo, hi) of one axis that lie in the input, for an output coordinate. */
static void clip_taps(const struct prog_window *win, int i, int64_t o, int64_t extent,
		      int64_t *at, int64_t *lo, int64_t *hi)
{
	int64_t d = win->dilation[i], end;

	*at = o * win->stride[i] - win->pad_lo[i];
	*lo = *at < 0 ? (-*at + d - 1) / d : 0;
	end = *at < extent ? (extent - *at + d - 1) / d : 0;
	*hi = end < win->kernel[i] ? end : win->kernel[i];
	if (*hi < *lo)
		*hi = *lo;
}

/*
 * Taps that count in an average when padding counts: those inside of input
 * plus padding; what ceil_mode hangs over that is in no average.
 */
static int64_t taps_with_pad(const struct prog_window *win, int i, int64_t at, int64_t extent)
{
	int64_t n = 0, end = extent + win->pad_hi[i];

	if (at < end)
		n = (end - at + win->dilation[i] - 1) / win->dilation[i];
	return n < win->kernel[i] ? n : win->kernel[i];
}

static int64_t flat_index(const struct pool *pl, bool column_major, int64_t n, int64_t c,
			  const int64_t p[3])
{
	int64_t at = column_major ? (p[2] * pl->in[2] + p[1]) * pl->in[1] + p[0] :
				    (p[0] * pl->in[2] + p[1]) * pl->in[3] + p[2];

	return (n * pl->in[4] + c) * pl->in[1] * pl->in[2] * pl->in[3] + at;
}

struct window {
	int64_t at[3], lo[3], hi[3];
};

static const float *tap(const struct pool *pl, const struct prog_window *win,
			const struct window *v, const float *x, int64_t n, const int64_t k[3],
			int64_t p[3])
{
	for (int i = 0; i < 3; i++)
		p[i] = v->at[i] + k[i] * win->dilation[i];
	return x + (((n * pl->in[1] + p[0]) * pl->in[2] + p[1]) * pl->in[3] + p[2]) * pl->in[4];
}

/* One more element of the window, over all channels. */
static void add_tap(const struct prog_pool *pp, float *y, const float *from, int64_t c)
{
	if (pp->kind == PROG_POOL_MAX) {
		larger(y, from, c);
	} else if (pp->kind == PROG_POOL_AVG) {
		plus(y, from, c);
	} else if (pp->p == 1) {
		for (int64_t i = 0; i < c; i++)
			y[i] += fabsf(from[i]);
	} else if (pp->p == 2) {
		for (int64_t i = 0; i < c; i++)
			y[i] += from[i] * from[i];
	} else {
		for (int64_t i = 0; i < c; i++)
			y[i] += powf(fabsf(from[i]), (float)pp->p);
	}
}

/* The maximum with its place: coordinates p of image n. */
static void keep_larger(float *y, int64_t *index, const float *from, int64_t c, bool first,
			const struct pool *pl, bool column_major, int64_t n, const int64_t p[3])
{
	for (int64_t i = 0; i < c; i++) {
		if (!first && !(from[i] > y[i]))
			continue;
		y[i] = from[i];
		index[i] = flat_index(pl, column_major, n, i, p);
	}
}

static void pixel(const struct pool *pl, const struct prog_pool *pp, const float *x,
		  int64_t pix, float *y, int64_t *index)
{
	const struct prog_window *win = &pp->win;
	int64_t c = pl->in[4], n = pix, o[3], p[3], k[3], taken = 0;
	struct window v;

	for (int i = 2; i >= 0; i--) {
		o[i] = n % pl->out[i + 1];
		n /= pl->out[i + 1];
		clip_taps(win, i, o[i], pl->in[i + 1], &v.at[i], &v.lo[i], &v.hi[i]);
	}
	for (int64_t i = 0; i < c; i++) {
		y[i] = pp->kind == PROG_POOL_MAX ? -INFINITY : 0.0f;
		if (index)
			index[i] = 0;
	}
	for (k[0] = v.lo[0]; k[0] < v.hi[0]; k[0]++)
		for (k[1] = v.lo[1]; k[1] < v.hi[1]; k[1]++)
			for (k[2] = v.lo[2]; k[2] < v.hi[2]; k[2]++, taken++) {
				const float *from = tap(pl, win, &v, x, n, k, p);

				if (pp->kind == PROG_POOL_MAX && index)
					keep_larger(y, index, from, c, !taken,
						    pl, pp->column_major, n, p);
				else
					add_tap(pp, y, from, c);
			}
	if (pp->kind == PROG_POOL_AVG) {
		if (pp->count_include_pad) {
			taken = 1;
			for (int i = 0; i < 3; i++)
				taken *= taps_with_pad(win, i, v.at[i], pl->in[i + 1]);
		}
		for (int64_t i = 0; i < c; i++)
			y[i] /= taken ? (float)taken : 1.0f;
	} else if (pp->kind == PROG_POOL_LP && pp->p != 1) {
		for (int64_t i = 0; i < c; i++)
			y[i] = pp->p == 2 ? sqrtf(y[i]) : powf(y[i], 1.0f / (float)pp->p);
	}
}

static void run_pool(const struct cpu_run *run, const struct cpu_op *co, uint32_t tile,
		     uint32_t n_tiles)
{
	const struct pool *pl = co->priv;
	struct cpu_piece pc = cpu_piece(run->degree, pl->pixels, pl->grain, tile);

	for (uint32_t r = pc.r; r < pc.r_end; r++) {
		const float *x = cpu_in(run, co, 0, r);
		float *y = cpu_out(run, co, 0, r);
		int64_t *index = cpu_has_out(co->op, 1) ? cpu_out(run, co, 1, r) : NULL;

		for (int64_t i = pc.begin; i < pc.end; i++)
			pixel(pl, &co->op->params.pool, x, i, y + i * pl->in[4],
			      index ? index + i * pl->in[4] : NULL);
	}
}

const struct cpu_kernel cpu_k_pool = {
	.check = check,
	.prepare = prepare,
	.release = release,
	.tiles = tiles,
	.run = run_pool,
};
