// SPDX-License-Identifier: MIT
/*
 * The tensor cores' product on random shapes: every tile, K in parts, windows,
 * groups, residuals, functions, odd channels, several images a request.
 *
 * BRAID_GPU_ROUNDS=n: rounds, each with shapes of its own (default 40).
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/lower/tiles.h"
#include "tests/cuda/gpu_check.h"
#include "tests/program/graph.h"
#include "tests/tap.h"

static const enum prog_fn fns[] = {
	PROG_FN_NONE, PROG_FN_RELU, PROG_FN_CLIP, PROG_FN_SILU, PROG_FN_SIGMOID, PROG_FN_GELU,
	PROG_FN_HARD_SWISH, PROG_FN_LEAKY_RELU,
};

static void epilogue(struct rnd *r, struct prog_op *op)
{
	op->epi.fn = fns[rnd_below(r, sizeof(fns) / sizeof(*fns))];
	op->epi.alpha = op->epi.fn == PROG_FN_CLIP ? -0.5f : 0.1f;
	op->epi.beta = 2.0f;
	op->epi.residual = PROG_NONE;
}

/* Weights of a size that keeps results near one, however deep the sum. */
static uint32_t weights(struct build *b, struct rnd *r, const int64_t *dims, uint32_t rank, int64_t depth)
{
	uint32_t t = graph_const(b, r, rank, dims);
	float *data = (float *)build_t(b, t)->data;

	for (int64_t i = 0; data && i < build_t(b, t)->elems; i++)
		data[i] *= 2.0f / sqrtf((float)depth);
	return t;
}

/* A convolution of @x to @m channels; with @res of the output's shape. */
static uint32_t conv(struct build *b, struct rnd *r, uint32_t x, int64_t m, int64_t group,
		     const int32_t *kernel, int32_t stride, int32_t dilation, uint32_t res)
{
	const struct build_tensor *t = build_t(b, x);
	int64_t c = t->dims[4] / group, w[5] = { m, 1, kernel[0], kernel[1], c }, y[5] = { t->dims[0], 1 };
	uint32_t in[3] = { x, weights(b, r, w, 5, c * kernel[0] * kernel[1]), graph_const(b, r, 1, &m) };
	struct prog_op *op = build_op(b, PROG_CONV, rnd_below(r, 4) ? 3 : 2, in, 1);
	struct prog_window *win = &op->params.conv.win;

	op->params.conv.group = (int32_t)group;
	graph_same_window(win, w);
	for (int i = 1; i < 3; i++) {
		int64_t reach = (int64_t)dilation * (kernel[i - 1] - 1) + 1;

		win->stride[i] = stride;
		win->dilation[i] = dilation;
		win->pad_lo[i] = win->pad_hi[i] = (int32_t)(reach / 2);
		y[i + 1] = (t->dims[i + 1] + 2 * (reach / 2) - reach) / stride + 1;
	}
	y[4] = m;
	epilogue(r, op);
	if (res != PROG_NONE) {
		op->epi.residual = res;
		op->epi.residual_last = rnd_below(r, 2);
	}
	return build_set_out(b, op, 0, BRAID_TYPE_F32, 5, y);
}

static int64_t channels(struct rnd *r)
{
	static const int64_t some[] = { 3, 8, 12, 16, 21, 24, 32, 40, 64, 72, 96, 130 };

	return some[rnd_below(r, sizeof(some) / sizeof(*some))];
}

/* Two convolutions in a row; the second may add the first one's input of the same shape. */
static struct program *convs(struct rnd *r, char *what, size_t len)
{
	static const int32_t kernels[][2] = { { 1, 1 }, { 3, 3 }, { 1, 5 }, { 7, 7 }, { 3, 1 } };
	const int32_t *k1 = kernels[rnd_below(r, 5)], *k2 = kernels[rnd_below(r, 3)];
	int64_t dims[5] = { 1 + rnd_below(r, 5) / 4, 1, 1 + rnd_below(r, 14), 1 + rnd_below(r, 14), channels(r) };
	int32_t stride = rnd_below(r, 3) ? 1 : 2, dilation = rnd_below(r, 6) ? 1 : 2;
	int64_t m1 = channels(r), m2 = channels(r), group = 1;
	struct build *b = build_new();
	struct program *p = NULL;
	uint32_t x, y, z;

	if (!rnd_below(r, 5)) {
		dims[4] = 32;
		m1 = 64;
		group = 4;
	}
	x = build_input(b, "x", BRAID_TYPE_F32, 5, dims);
	y = conv(b, r, x, m1, group, k1, stride, dilation, PROG_NONE);
	if (rnd_below(r, 2))
		m2 = m1;
	z = conv(b, r, y, m2, 1, k2, 1, 1, m2 == m1 ? y : PROG_NONE);
	if (rnd_below(r, 2))
		z = conv(b, r, z, channels(r), 1, kernels[0], 1, 1, PROG_NONE);
	build_output(b, "y", z);
	snprintf(what, len, "%lldx%lldx%lldx%lld, %dx%d/%d to %lld in %lld, %dx%d to %lld",
		 (long long)dims[0], (long long)dims[2], (long long)dims[3], (long long)dims[4],
		 k1[0], k1[1], stride, (long long)m1, (long long)group, k2[0], k2[1], (long long)m2);
	if (build_finish(b, &p))
		diag("%s: %s", what, b->why);
	build_free(b);
	return p;
}

/* A product with constant weights, from the tenant's rows or made ones. */
static struct program *products(struct rnd *r, char *what, size_t len)
{
	int64_t dims[3] = { 1 + rnd_below(r, 3), 1 + rnd_below(r, 40), 1 + rnd_below(r, 300) };
	int64_t n = 1 + rnd_below(r, 200), w[2], y[3] = { dims[0], dims[1], n };
	bool trans = rnd_below(r, 2);
	struct build *b = build_new();
	struct program *p = NULL;
	struct prog_op *op;
	uint32_t in[3];

	w[0] = trans ? n : dims[2];
	w[1] = trans ? dims[2] : n;
	in[0] = build_input(b, "x", BRAID_TYPE_F32, 3, dims);
	if (rnd_below(r, 2))
		in[0] = build_unary(b, in[0], PROG_FN_TANH, 0, 0);
	in[1] = weights(b, r, w, 2, dims[2]);
	in[2] = graph_const(b, r, 1, &n);
	op = build_op(b, PROG_GEMM, rnd_below(r, 3) ? 3 : 2, in, 1);
	op->params.gemm.trans_b = trans;
	op->params.gemm.alpha = rnd_below(r, 2) ? 1.0f : 0.5f;
	epilogue(r, op);
	build_output(b, "y", build_set_out(b, op, 0, BRAID_TYPE_F32, 3, y));
	snprintf(what, len, "product of %lldx%lldx%lld to %lld", (long long)dims[0],
		 (long long)dims[1], (long long)dims[2], (long long)n);
	if (build_finish(b, &p))
		diag("%s: %s", what, b->why);
	build_free(b);
	return p;
}

static uint32_t rows_by(struct build *b, struct rnd *r, uint32_t x, int64_t rows, int64_t k, int64_t n)
{
	int64_t w[2] = { n, k }, y[2] = { rows, n };
	uint32_t in[3] = { x, weights(b, r, w, 2, k), graph_const(b, r, 1, &n) };
	struct prog_op *op = build_op(b, PROG_GEMM, 3, in, 1);

	op->params.gemm.trans_b = true;
	op->params.gemm.alpha = 1.0f;
	op->epi.fn = PROG_FN_RELU;
	op->epi.residual = PROG_NONE;
	return build_set_out(b, op, 0, BRAID_TYPE_F32, 2, y);
}

/* More rows of the largest tile than are made together (kernels/big.cuh), and columns, in the arena. */
static void large(void)
{
	static const uint32_t degrees[] = { 1, 2 };
	int64_t rows = 2400, k = 72, dims[2] = { rows, k };
	struct tile_row row = { .choice = { n_tile_infos, 1 } };
	struct gpu_tiles tiles = { &row, 1 };
	struct gpu_check how = {
		.opt = { .mode = GPU_FP16, .sm = 90, .tiles = &tiles },
		.most = 1e-2, .degrees = degrees, .n_degrees = 2, .seed = 1,
	};
	struct rnd r = { .state = 5 };
	struct build *b = build_new();
	struct program *p = NULL;
	char why[256] = "";
	uint32_t t;

	while (row.choice.tile-- && tile_infos[row.choice.tile].bm <= TILE_LARGE)
		;
	t = rows_by(b, &r, build_input(b, "x", BRAID_TYPE_F32, 2, dims), rows, k, 300);
	build_output(b, "y", rows_by(b, &r, t, rows, 300, 8));
	ok(!build_finish(b, &p) && !gpu_check(p, NULL, NULL, &how, why, sizeof(why)),
	   "2400 rows by tiles of %s %s", tile_infos[row.choice.tile].name, why);
	build_free(b);
	program_free(p);
}

int main(void)
{
	static const uint32_t degrees[] = { 1, 3 };
	const char *env = getenv("BRAID_GPU_ROUNDS");
	uint32_t rounds = env ? (uint32_t)atoi(env) : 40;

	for (uint32_t i = 0; i < rounds; i++) {
		struct rnd r = { .state = 1000 + i };
		struct tile_row row = { .choice = { i % n_tile_infos, 1u << rnd_below(&r, 4) } };
		struct gpu_tiles tiles = { &row, 1 };
		struct gpu_check how = {
			.opt = { .mode = GPU_FP16, .sm = i % 3 ? 90 : 80, .tiles = &tiles },
			.most = 1e-2, .degrees = degrees, .n_degrees = 2, .seed = i,
		};
		char what[128], why[256] = "";
		struct program *p;
		int err;

		/* Some die out in a function that gives the same for everything. */
		do {
			p = i % 4 ? convs(&r, what, sizeof(what)) : products(&r, what, sizeof(what));
			err = p ? gpu_check(p, NULL, NULL, &how, why, sizeof(why)) : -EINVAL;
			program_free(p);
		} while (err == -EDOM);

		if (!ok(!err, "%s: %s in %u parts, sm_%u", what, tile_infos[row.choice.tile].name,
			row.choice.split, how.opt.sm))
			diag("round %u: %s", i, why);
	}
	large();
	return tap_done();
}
