// SPDX-License-Identifier: MIT
/*
 * Convolution of few channels, the first of most networks. Three floats at a
 * time are too few for the inner loop of a product, but with channels last
 * all that a row of the kernel meets lies together: kernel width x channels.
 * Where there is padding beside it, the row is first copied between zeros.
 *
 * A tile is some rows of output. Immutable once prepared.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cpu/conv.h"
#include "agent/cpu/igemm.h"

#define TILE_MACS	(4 << 20)
#define FEW		8

/**
 * struct rowconv - a plan
 * @in: extents of the input: images, depth, height, width, channels
 * @out: of the output
 * @taps: kernel rows, over depth and height
 * @kc: floats under a row of the kernel
 * @wide: pixels of a row with its padding
 * @packed: the weights
 * @rows: rows of output of one request
 * @grain: rows of a tile
 */
struct rowconv {
	const struct cpu_simd *simd;
	struct cpu_epi epi;
	int64_t in[5], out[5], taps, kc, wide;
	float *packed;
	int64_t rows, grain;
};

bool rowconv_fits(const struct cpu_op *co)
{
	const struct prog_conv *cv = &co->op->params.conv;
	const struct prog_tensor *x = cpu_in_tensor(co, 0);

	return cv->group == 1 && x->dims[4] < FEW && cv->win.kernel[2] > 1 &&
	       cv->win.dilation[2] == 1 && cpu_const(co->prog, co->op->in[1]) &&
	       (!cpu_has_in(co->op, 2) || cpu_const(co->prog, co->op->in[2]));
}

static void rowconv_release(struct cpu_op *co)
{
	struct rowconv *rc = co->priv;

	free(rc->packed);
	free(rc);
}

static uint32_t rowconv_tiles(const struct cpu_op *co, uint32_t degree)
{
	const struct rowconv *rc = co->priv;

	return cpu_pieces(degree, rc->rows, rc->grain);
}

/* Copy what the kernel's rows meet, with zeros for all padding. */
static void fill(const struct rowconv *rc, const struct prog_window *win, const float *x,
		 int64_t row, float *to)
{
	int64_t oh = row % rc->out[2], od = row / rc->out[2] % rc->out[1];
	int64_t n = row / (rc->out[2] * rc->out[1]);
	int64_t lo = win->pad_lo[2] < rc->wide ? win->pad_lo[2] : rc->wide;
	int64_t len = rc->wide - lo < rc->in[3] ? rc->wide - lo : rc->in[3];
	int64_t c = rc->in[4];

	for (int64_t kd = 0; kd < win->kernel[0]; kd++) {
		int64_t d = od * win->stride[0] - win->pad_lo[0] + kd * win->dilation[0];

		for (int64_t kh = 0; kh < win->kernel[1]; kh++, to += rc->wide * c) {
			int64_t h = oh * win->stride[1] - win->pad_lo[1] + kh * win->dilation[1];
			const float *from;

			if (d < 0 || d >= rc->in[1] || h < 0 || h >= rc->in[2]) {
				memset(to, 0, rc->wide * c * sizeof(float));
				continue;
			}
			from = x + ((n * rc->in[1] + d) * rc->in[2] + h) * rc->in[3] * c;
			memset(to, 0, lo * c * sizeof(float));
			memcpy(to + lo * c, from, len * c * sizeof(float));
			memset(to + (lo + len) * c, 0, (rc->wide - lo - len) * c * sizeof(float));
		}
	}
}

static void rowconv_row(const struct cpu_run *run, const struct cpu_op *co, uint32_t r,
			int64_t row)
{
	const struct rowconv *rc = co->priv;
	const struct prog_window *win = &co->op->params.conv.win;
	const struct cpu_simd *s = rc->simd;
	const float **a = run->scratch;
	const float *x = cpu_in(run, co, 0, r), *rowp, *res = NULL, *bias = NULL;
	float *buf = (float *)(((uintptr_t)(a + rc->taps * s->mr) + 63) & ~(uintptr_t)63);
	int64_t w = rc->out[3], m = rc->out[4], blocks = (w + s->mr - 1) / s->mr;
	struct cpu_gemm_args args = {
		.a = a, .kp = (uint32_t)rc->taps, .kc = rc->kc, .epi = &rc->epi, .alpha = 1.0f,
	};
	float *y = (float *)cpu_out(run, co, 0, r) + row * w * m;

	if (cpu_has_in(co->op, 2))
		bias = cpu_in(run, co, 2, r);
	if (co->op->epi.residual != PROG_NONE)
		res = (const float *)cpu_ptr(run, co->op->epi.residual, r) + row * w * m;
	fill(rc, win, x, row, buf);
	for (int64_t b = 0; b < blocks; b++) {
		int64_t p0 = cpu_cut(w, blocks, b), p1 = cpu_cut(w, blocks, b + 1);
		const float *resp[CPU_MR_MAX];
		float *yp[CPU_MR_MAX];

		args.m = (uint32_t)(p1 - p0);
		args.c = yp;
		args.res = res ? resp : NULL;
		for (int64_t i = 0; i < p1 - p0; i++) {
			rowp = buf + (p0 + i) * win->stride[2] * rc->in[4];
			for (int64_t t = 0; t < rc->taps; t++)
				a[t * args.m + i] = rowp + t * rc->wide * rc->in[4];
			yp[i] = y + (p0 + i) * m;
			resp[i] = res ? res + (p0 + i) * m : NULL;
		}
		for (int64_t n = 0; n < m; n += s->nr) {
			float edge[CPU_NR_MAX] = { 0 };
			int64_t cols = m - n < s->nr ? m - n : s->nr;

			args.n = (uint32_t)cols;
			args.c_off = n;
			args.w = rc->packed + n * rc->taps * rc->kc;
			args.bias = cpu_bias(s, bias, n, cols, edge);
			s->gemm(&args);
		}
	}
}

static void rowconv_run(const struct cpu_run *run, const struct cpu_op *co, uint32_t tile,
			uint32_t n_tiles)
{
	const struct rowconv *rc = co->priv;
	struct cpu_piece pc = cpu_piece(run->degree, rc->rows, rc->grain, tile);

	for (uint32_t r = pc.r; r < pc.r_end; r++)
		for (int64_t i = pc.begin; i < pc.end; i++)
			rowconv_row(run, co, r, i);
}

static const struct cpu_kernel rowconv = {
	.release = rowconv_release,
	.tiles = rowconv_tiles,
	.run = rowconv_run,
};

int rowconv_prepare(struct cpu_op *co)
{
	const struct prog_window *win = &co->op->params.conv.win;
	const float *w = cpu_const(co->prog, co->op->in[1]);
	struct rowconv *rc = calloc(1, sizeof(*rc));
	int64_t k, work;

	if (!rc)
		return -ENOMEM;
	for (int i = 0; i < 5; i++) {
		rc->in[i] = cpu_in_tensor(co, 0)->dims[i];
		rc->out[i] = cpu_out_tensor(co, 0)->dims[i];
	}
	rc->simd = cpu_simd();
	rc->epi = cpu_epi_of(co->op);
	rc->taps = (int64_t)win->kernel[0] * win->kernel[1];
	rc->kc = win->kernel[2] * rc->in[4];
	rc->wide = (rc->out[3] - 1) * win->stride[2] + win->kernel[2];
	rc->rows = rc->out[0] * rc->out[1] * rc->out[2];
	k = rc->taps * rc->kc;
	work = k * rc->out[3] * rc->out[4];
	rc->grain = work < TILE_MACS ? TILE_MACS / work : 1;
	rc->packed = cpu_alloc(cpu_packed_floats(rc->simd, k, rc->out[4]) * sizeof(float));
	if (!rc->packed) {
		free(rc);
		return -ENOMEM;
	}
	cpu_pack(rc->simd, rc->packed, w, k, rc->out[4], 1, k);
	co->scratch = rc->taps * rc->simd->mr * sizeof(float *) + 64 +
		      rc->taps * rc->wide * rc->in[4] * sizeof(float);
	co->priv = rc;
	co->kernel = &rowconv;
	return 0;
}
