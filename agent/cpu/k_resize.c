// SPDX-License-Identifier: MIT
/*
 * RESIZE: nearest, linear, cubic over up to three spatial dimensions, channels
 * last.
 *
 * The three dimensions are independent: for each output coordinate of each,
 * prepare() computes the input coordinates that it reads and their weights
 * (one, two or four), and a pixel is the sum over the product of the three. A
 * tile is some output pixels. Immutable once prepared.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cpu/clones.h"
#include "agent/cpu/kernel.h"
#include "agent/cpu/taps.h"

#define TILE_WORK	(1 << 16)

struct resize {
	int64_t in[5], out[5], pixels, grain;
	struct cpu_taps *taps[3];
};

static int check(const struct program *p, const struct prog_op *op, char *why, size_t len)
{
	if (p->tensors[op->in[0]].type == BRAID_TYPE_F32)
		return 0;
	if (op->params.resize.mode == PROG_RESIZE_NEAREST)
		return 0;
	return cpu_refuse(op, why, len, "its input is not float and its mode not nearest");
}

static void release(struct cpu_op *co)
{
	struct resize *rs = co->priv;

	for (int i = 0; i < 3; i++)
		free(rs->taps[i]);
	free(rs);
}

static int prepare(struct cpu_op *co)
{
	const struct prog_resize *pr = &co->op->params.resize;
	struct resize *rs = calloc(1, sizeof(*rs));
	int64_t work = 1;

	if (!rs)
		return -ENOMEM;
	co->priv = rs;
	rs->pixels = 1;
	for (int i = 0; i < 5; i++) {
		rs->in[i] = cpu_in_tensor(co, 0)->dims[i];
		rs->out[i] = cpu_out_tensor(co, 0)->dims[i];
		if (i < 4)
			rs->pixels *= rs->out[i];
	}
	for (int i = 0; i < 3; i++) {
		int most = 1;

		rs->taps[i] = calloc(rs->out[i + 1], sizeof(*rs->taps[i]));
		if (!rs->taps[i]) {
			release(co);
			return -ENOMEM;
		}
		for (int64_t o = 0; o < rs->out[i + 1]; o++) {
			cpu_taps(pr, i, o, rs->in[i + 1], rs->out[i + 1], &rs->taps[i][o]);
			if (rs->taps[i][o].n > most)
				most = rs->taps[i][o].n;
		}
		work *= most;
	}
	work *= rs->out[4];
	rs->grain = work < TILE_WORK ? TILE_WORK / work : 1;
	return 0;
}

static uint32_t tiles(const struct cpu_op *co, uint32_t degree)
{
	const struct resize *rs = co->priv;

	return cpu_pieces(degree, rs->pixels, rs->grain);
}

static CLONES_BODY void add_scaled_body(float *y, const float *x, float w, int64_t n, int first)
{
	if (first) {
		CLONES_LOOP
		for (int64_t i = 0; i < n; i++)
			y[i] = x[i] * w;
	} else {
		CLONES_LOOP
		for (int64_t i = 0; i < n; i++)
			y[i] += x[i] * w;
	}
}
CLONES(static, add_scaled, (float *y, const float *x, float w, int64_t n, int first),
	(y, x, w, n, first))

static void pixel(const struct resize *rs, const struct prog_resize *pr, const uint8_t *x,
		  uint8_t *y, int64_t pix, size_t size)
{
	int64_t c = rs->out[4], n = pix, o[3];
	const struct cpu_taps *t[3];
	int first = 1;

	for (int i = 2; i >= 0; i--) {
		o[i] = n % rs->out[i + 1];
		n /= rs->out[i + 1];
		t[i] = &rs->taps[i][o[i]];
	}
	y += (size_t)(pix * c) * size;
	if (t[0]->outside || t[1]->outside || t[2]->outside) {
		/* check() lets other types through in nearest mode; they get zeros. */
		memset(y, 0, (size_t)c * size);
		for (int64_t i = 0; size == 4 && i < c; i++)
			((float *)y)[i] = pr->extrapolation;
		return;
	}
	for (int32_t i = 0; i < t[0]->n; i++)
		for (int32_t j = 0; j < t[1]->n; j++)
			for (int32_t k = 0; k < t[2]->n; k++) {
				int64_t at = ((n * rs->in[1] + t[0]->at[i]) * rs->in[2] +
					      t[1]->at[j]) * rs->in[3] + t[2]->at[k];
				const uint8_t *from = x + (size_t)(at * c) * size;

				if (pr->mode == PROG_RESIZE_NEAREST) {
					memcpy(y, from, (size_t)c * size);
					continue;
				}
				add_scaled((float *)y, (const float *)from,
					   t[0]->w[i] * t[1]->w[j] * t[2]->w[k], c, first);
				first = 0;
			}
}

static void run_resize(const struct cpu_run *run, const struct cpu_op *co, uint32_t tile,
		       uint32_t n_tiles)
{
	const struct resize *rs = co->priv;
	struct cpu_piece pc = cpu_piece(run->degree, rs->pixels, rs->grain, tile);
	size_t size = prog_type_size(cpu_in_tensor(co, 0)->type);

	for (uint32_t r = pc.r; r < pc.r_end; r++) {
		const uint8_t *x = cpu_in(run, co, 0, r);
		uint8_t *y = cpu_out(run, co, 0, r);

		for (int64_t i = pc.begin; i < pc.end; i++)
			pixel(rs, &co->op->params.resize, x, y, i, size);
	}
}

const struct cpu_kernel cpu_k_resize = {
	.check = check,
	.prepare = prepare,
	.release = release,
	.tiles = tiles,
	.run = run_resize,
};
