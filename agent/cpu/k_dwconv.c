// SPDX-License-Identifier: MIT
/*
 * Depthwise convolution: as many groups as channels. Channels are last, so
 * vectors run over them; a tile is some rows of output. Where a channel of
 * input makes several of output, the rows read are first spread out, each
 * channel that many times.
 *
 * Immutable once prepared.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cpu/conv.h"
#include "agent/cpu/dw.h"
#include "agent/cpu/gemm.h"
#include "agent/cpu/igemm.h"

#define TILE_MACS	(1 << 19)

/**
 * struct dwconv - a plan
 * @in: extents of the input: images, depth, height, width, channels
 * @out: of the output
 * @mult: channels of output for one of input
 * @taps: kernel rows, over depth and height
 * @w: [taps][kw][out channels], NULL if the weights are not constant
 * @rows: rows of output of one request
 * @grain: rows of a tile
 */
struct dwconv {
	struct cpu_epi epi;
	int64_t in[5], out[5], mult, taps;
	float *w;
	int64_t rows, grain;
};

bool dwconv_fits(const struct cpu_op *co)
{
	const struct prog_tensor *x = cpu_in_tensor(co, 0);
	const struct prog_conv *cv = &co->op->params.conv;

	return cv->group > 1 && cv->group == x->dims[4];
}

static void order_weights(const struct prog_window *win, int64_t m, float *to, const float *from)
{
	int64_t taps = (int64_t)win->kernel[0] * win->kernel[1] * win->kernel[2];

	for (int64_t c = 0; c < m; c++)
		for (int64_t t = 0; t < taps; t++)
			to[t * m + c] = from[c * taps + t];
}

static void dwconv_release(struct cpu_op *co)
{
	struct dwconv *dw = co->priv;

	free(dw->w);
	free(dw);
}

static uint32_t dwconv_tiles(const struct cpu_op *co, uint32_t degree)
{
	const struct dwconv *dw = co->priv;

	return cpu_pieces(degree, dw->rows, dw->grain);
}

/* One row of input with each channel repeated. */
static void spread(float *to, const float *from, int64_t n, int64_t mult)
{
	for (int64_t i = 0; i < n; i++)
		for (int64_t j = 0; j < mult; j++)
			*to++ = from[i];
}

static void dwconv_row(const struct cpu_run *run, const struct cpu_op *co, uint32_t r,
		       int64_t row, struct cpu_dw_args *a, const float **rows, float *wide)
{
	const struct dwconv *dw = co->priv;
	const struct prog_window *win = &co->op->params.conv.win;
	const float *x = cpu_in(run, co, 0, r);
	int64_t oh = row % dw->out[2], od = row / dw->out[2] % dw->out[1];
	int64_t n = row / (dw->out[2] * dw->out[1]), at;
	const float **p = rows;

	for (int64_t kd = 0; kd < win->kernel[0]; kd++) {
		int64_t d = od * win->stride[0] - win->pad_lo[0] + kd * win->dilation[0];

		for (int64_t kh = 0; kh < win->kernel[1]; kh++, p++) {
			int64_t h = oh * win->stride[1] - win->pad_lo[1] + kh * win->dilation[1];

			*p = NULL;
			if (d < 0 || d >= dw->in[1] || h < 0 || h >= dw->in[2])
				continue;
			*p = x + ((n * dw->in[1] + d) * dw->in[2] + h) * dw->in[3] * dw->in[4];
			if (dw->mult > 1) {
				spread(wide, *p, dw->in[3] * dw->in[4], dw->mult);
				*p = wide;
				wide += dw->in[3] * dw->out[4];
			}
		}
	}
	at = row * dw->out[3] * dw->out[4];
	a->y = (float *)cpu_out(run, co, 0, r) + at;
	a->res = NULL;
	if (co->op->epi.residual != PROG_NONE)
		a->res = (const float *)cpu_ptr(run, co->op->epi.residual, r) + at;
	cpu_simd()->dw(a);
}

static void dwconv_run(const struct cpu_run *run, const struct cpu_op *co, uint32_t tile,
		       uint32_t n_tiles)
{
	const struct dwconv *dw = co->priv;
	const struct prog_window *win = &co->op->params.conv.win;
	struct cpu_piece pc = cpu_piece(run->degree, dw->rows, dw->grain, tile);
	const float **rows = run->scratch;
	float *w = (float *)(((uintptr_t)(rows + dw->taps) + 63) & ~(uintptr_t)63);
	float *wide = dw->w ? w : w + dw->taps * win->kernel[2] * dw->out[4];
	struct cpu_dw_args a = {
		.rows = rows, .taps = dw->taps, .kw = win->kernel[2],
		.stride = win->stride[2], .dilation = win->dilation[2],
		.pad = win->pad_lo[2], .in_w = dw->in[3], .out_w = dw->out[3],
		.c = dw->out[4], .w = dw->w, .epi = &dw->epi,
	};

	for (uint32_t r = pc.r; r < pc.r_end; r++) {
		if (!dw->w) {
			order_weights(win, dw->out[4], w, cpu_in(run, co, 1, r));
			a.w = w;
		}
		if (cpu_has_in(co->op, 2))
			a.bias = cpu_in(run, co, 2, r);
		for (int64_t i = pc.begin; i < pc.end; i++)
			dwconv_row(run, co, r, i, &a, rows, wide);
	}
}

static const struct cpu_kernel dwconv = {
	.release = dwconv_release,
	.tiles = dwconv_tiles,
	.run = dwconv_run,
};

int dwconv_prepare(struct cpu_op *co)
{
	const struct prog_window *win = &co->op->params.conv.win;
	const float *w = cpu_const(co->prog, co->op->in[1]);
	struct dwconv *dw = calloc(1, sizeof(*dw));
	int64_t weights, work;

	if (!dw)
		return -ENOMEM;
	for (int i = 0; i < 5; i++) {
		dw->in[i] = cpu_in_tensor(co, 0)->dims[i];
		dw->out[i] = cpu_out_tensor(co, 0)->dims[i];
	}
	dw->epi = cpu_epi_of(co->op);
	dw->mult = dw->out[4] / dw->in[4];
	dw->taps = (int64_t)win->kernel[0] * win->kernel[1];
	dw->rows = dw->out[0] * dw->out[1] * dw->out[2];
	weights = dw->taps * win->kernel[2] * dw->out[4];
	work = weights * dw->out[3];
	dw->grain = work < TILE_MACS ? TILE_MACS / work : 1;
	co->scratch = dw->taps * sizeof(float *) + 64;
	if (w) {
		dw->w = cpu_alloc(weights * sizeof(float));
		if (!dw->w) {
			free(dw);
			return -ENOMEM;
		}
		order_weights(win, dw->out[4], dw->w, w);
	} else {
		co->scratch += weights * sizeof(float);
	}
	if (dw->mult > 1)
		co->scratch += dw->taps * dw->in[3] * dw->out[4] * sizeof(float);
	co->priv = dw;
	co->kernel = &dwconv;
	return 0;
}
