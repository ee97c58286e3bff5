// SPDX-License-Identifier: MIT
/*
 * CONV_TRANSPOSE whose kernel is as large as its stride: an enlargement, in
 * which each input pixel makes a block of output of its own. That is one
 * product with the taps beside each other as columns, and a shuffle. Detectors
 * end in it with one or a few channels, for which a phase a tap (igemm.c)
 * would leave most of a panel empty.
 *
 * A tile is some rows of input. Immutable once prepared.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cpu/conv.h"
#include "agent/cpu/igemm.h"

#define TILE_MACS	(4 << 20)

/**
 * struct upconv - a plan
 * @in: extents of the input: images, depth, height, width, channels
 * @out: of the output
 * @cols: columns of the product: taps x channels of output
 * @packed: weights [channels of input][cols]
 * @bias: the bias once for each tap, zero without one; as wide as the panels
 * @rows: rows of input of one request
 * @grain: rows of a tile
 */
struct upconv {
	const struct cpu_simd *simd;
	struct cpu_epi epi;
	int64_t in[5], out[5], cols;
	float *packed, *bias;
	int64_t rows, grain;
};

bool upconv_fits(const struct cpu_op *co)
{
	const struct prog_tensor *x = cpu_in_tensor(co, 0), *y = cpu_out_tensor(co, 0);
	const struct prog_conv *cv = &co->op->params.conv;
	const struct prog_window *win = &cv->win;

	for (int i = 0; i < 3; i++)
		if (win->kernel[i] != win->stride[i] || win->pad_lo[i] ||
		    (win->dilation[i] != 1 && win->kernel[i] > 1) ||
		    y->dims[i + 1] != x->dims[i + 1] * win->stride[i])
			return false;
	return cv->group == 1 && cpu_const(co->prog, co->op->in[1]) &&
	       (!cpu_has_in(co->op, 2) || cpu_const(co->prog, co->op->in[2]));
}

static void release(struct cpu_op *co)
{
	struct upconv *uc = co->priv;

	free(uc->packed);
	free(uc->bias);
	free(uc);
}

static uint32_t tiles(const struct cpu_op *co, uint32_t degree)
{
	const struct upconv *uc = co->priv;

	return cpu_pieces(degree, uc->rows, uc->grain);
}

/* One row of input times the weights: [width][cols] into @to. */
static void product(const struct upconv *uc, const float *x, float *to)
{
	const struct cpu_simd *s = uc->simd;
	const struct cpu_epi none = { .fn = PROG_FN_NONE };
	int64_t w = uc->in[3], blocks = (w + s->mr - 1) / s->mr;
	const float *a[CPU_MR_MAX];
	float *c[CPU_MR_MAX];
	struct cpu_gemm_args args = {
		.a = a, .kp = 1, .kc = uc->in[4], .c = c, .epi = &none, .alpha = 1.0f,
	};

	for (int64_t b = 0; b < blocks; b++) {
		int64_t p0 = cpu_cut(w, blocks, b), p1 = cpu_cut(w, blocks, b + 1);

		args.m = (uint32_t)(p1 - p0);
		for (int64_t i = p0; i < p1; i++) {
			a[i - p0] = x + i * uc->in[4];
			c[i - p0] = to + i * uc->cols;
		}
		for (int64_t n = 0; n < uc->cols; n += s->nr) {
			args.n = (uint32_t)(uc->cols - n < s->nr ? uc->cols - n : s->nr);
			args.w = uc->packed + n * uc->in[4];
			args.bias = uc->bias + n;
			args.c_off = n;
			s->gemm(&args);
		}
	}
}

static void run_row(const struct cpu_run *run, const struct cpu_op *co, uint32_t r, int64_t row)
{
	const struct upconv *uc = co->priv;
	const int32_t *k = co->op->params.conv.win.kernel;
	const float *x = (const float *)cpu_in(run, co, 0, r) + row * uc->in[3] * uc->in[4];
	int64_t wide = k[2] * uc->out[4], line = uc->out[3] * uc->out[4];
	int64_t h = row % uc->in[2], d = row / uc->in[2] % uc->in[1];
	int64_t n = row / (uc->in[2] * uc->in[1]);
	float *product_of = run->scratch, *flat = product_of + uc->in[3] * uc->cols;

	product(uc, x, product_of);
	for (int64_t t = 0; t < (int64_t)k[0] * k[1]; t++) {
		int64_t od = d * k[0] + t / k[1], oh = h * k[1] + t % k[1];
		int64_t at = ((n * uc->out[1] + od) * uc->out[2] + oh) * line;
		const float *res = NULL;

		if (co->op->epi.residual != PROG_NONE)
			res = (const float *)cpu_ptr(run, co->op->epi.residual, r) + at;
		for (int64_t i = 0; i < uc->in[3]; i++) {
			const float *from = product_of + i * uc->cols + t * wide;

			for (int64_t j = 0; j < wide; j++)
				flat[i * wide + j] = from[j];
		}
		uc->simd->epilogue_to((float *)cpu_out(run, co, 0, r) + at, flat, line,
				      &uc->epi, NULL, res);
	}
}

static void run_upconv(const struct cpu_run *run, const struct cpu_op *co, uint32_t tile,
		       uint32_t n_tiles)
{
	const struct upconv *uc = co->priv;
	struct cpu_piece pc = cpu_piece(run->degree, uc->rows, uc->grain, tile);

	for (uint32_t r = pc.r; r < pc.r_end; r++)
		for (int64_t i = pc.begin; i < pc.end; i++)
			run_row(run, co, r, i);
}

static const struct cpu_kernel upconv = {
	.release = release,
	.tiles = tiles,
	.run = run_upconv,
};

int upconv_prepare(struct cpu_op *co)
{
	const float *w = cpu_const(co->prog, co->op->in[1]), *b = NULL;
	const int32_t *k = co->op->params.conv.win.kernel;
	struct upconv *uc = calloc(1, sizeof(*uc));
	int64_t taps = (int64_t)k[0] * k[1] * k[2], work;

	if (!uc)
		return -ENOMEM;
	for (int i = 0; i < 5; i++) {
		uc->in[i] = cpu_in_tensor(co, 0)->dims[i];
		uc->out[i] = cpu_out_tensor(co, 0)->dims[i];
	}
	uc->simd = cpu_simd();
	uc->epi = cpu_epi_of(co->op);
	uc->cols = taps * uc->out[4];
	uc->rows = uc->in[0] * uc->in[1] * uc->in[2];
	/* Half a panel of columns costs as much as a whole one. */
	work = uc->in[3] * uc->in[4] * (uc->cols + uc->simd->nr);
	uc->grain = work < TILE_MACS ? TILE_MACS / work : 1;
	co->priv = uc;
	uc->packed = cpu_alloc(cpu_packed_floats(uc->simd, uc->in[4], uc->cols) * sizeof(float));
	uc->bias = calloc(uc->cols + uc->simd->nr, sizeof(float));
	if (!uc->packed || !uc->bias) {
		release(co);
		return -ENOMEM;
	}
	cpu_pack(uc->simd, uc->packed, w, uc->in[4], uc->cols, uc->cols, 1);
	if (cpu_has_in(co->op, 2))
		b = cpu_const(co->prog, co->op->in[2]);
	for (int64_t i = 0; b && i < uc->cols; i++)
		uc->bias[i] = b[i % uc->out[4]];
	co->scratch = ((size_t)uc->in[3] * uc->cols + uc->out[3] * uc->out[4]) * sizeof(float);
	co->kernel = &upconv;
	return 0;
}
