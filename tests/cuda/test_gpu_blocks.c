// SPDX-License-Identifier: MIT
/*
 * What several operations are made into, on random shapes: attention,
 * expansion with a depthwise convolution and squeeze-excite, the first
 * convolution, products of the same rows, concatenations in place; and the same
 * with fusion off.
 *
 * BRAID_GPU_ROUNDS=n: rounds, each with shapes of its own (default 24).
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/cuda/gpu_check.h"
#include "tests/program/graph.h"
#include "tests/tap.h"

static uint32_t weights(struct build *b, struct rnd *r, const int64_t *dims, uint32_t rank, int64_t depth)
{
	uint32_t t = graph_const(b, r, rank, dims);
	float *data = (float *)build_t(b, t)->data;

	for (int64_t i = 0; data && i < build_t(b, t)->elems; i++)
		data[i] *= 2.0f / sqrtf((float)depth);
	return t;
}

static uint32_t conv(struct build *b, struct rnd *r, uint32_t x, int64_t m, int64_t group, int32_t k,
		     int32_t stride, enum prog_fn fn)
{
	const struct build_tensor *t = build_t(b, x);
	int64_t c = t->dims[4] / group, w[5] = { m, 1, k, k, c }, y[5] = { t->dims[0], 1 };
	uint32_t in[3] = { x, weights(b, r, w, 5, c * k * k), graph_const(b, r, 1, &m) };
	struct prog_op *op = build_op(b, PROG_CONV, rnd_below(r, 4) ? 3 : 2, in, 1);

	op->params.conv.group = (int32_t)group;
	graph_same_window(&op->params.conv.win, w);
	for (int i = 1; i < 3; i++) {
		op->params.conv.win.stride[i] = stride;
		y[i + 1] = (t->dims[i + 1] + 2 * (k / 2) - k) / stride + 1;
	}
	y[4] = m;
	op->epi.fn = fn;
	op->epi.beta = 6.0f;
	op->epi.residual = PROG_NONE;
	return build_set_out(b, op, 0, BRAID_TYPE_F32, 5, y);
}

static uint32_t mean(struct build *b, uint32_t x)
{
	const struct build_tensor *t = build_t(b, x);
	int64_t y[5] = { t->dims[0], 1, 1, 1, t->dims[4] };
	struct prog_op *op = build_op(b, PROG_POOL, 1, &x, 1);

	op->params.pool.kind = PROG_POOL_AVG;
	for (int i = 0; i < 3; i++) {
		op->params.pool.win.kernel[i] = (int32_t)t->dims[i + 1];
		op->params.pool.win.stride[i] = op->params.pool.win.dilation[i] = 1;
	}
	return build_set_out(b, op, 0, BRAID_TYPE_F32, 5, y);
}

/* Image, perhaps a first convolution, a block of a MobileNet, perhaps with squeeze-excite. */
static void mobile(struct build *b, struct rnd *r)
{
	static const int64_t sizes[] = { 7, 9, 14, 17, 20 };
	int64_t dims[5] = { 1, 1, sizes[rnd_below(r, 5)], sizes[rnd_below(r, 5)], 1 + rnd_below(r, 4) };
	int64_t c = 8 * (1 + rnd_below(r, 5)), e = 8 * (2 + rnd_below(r, 8));
	enum prog_fn fn = rnd_below(r, 2) ? PROG_FN_SILU : PROG_FN_CLIP;
	int32_t k = rnd_below(r, 2) ? 3 : 5, stride = 1 + (int32_t)rnd_below(r, 2);
	uint32_t x, s, y;

	if (rnd_below(r, 2)) {
		int64_t nchw[5] = { 1, 1, dims[4], dims[2], dims[3] };
		const uint8_t last[] = { 0, 1, 3, 4, 2 };

		x = build_transpose(b, build_input(b, "x", BRAID_TYPE_F32, 5, nchw), last);
	} else {
		x = build_input(b, "x", BRAID_TYPE_F32, 5, dims);
	}
	x = conv(b, r, x, c, 1, rnd_below(r, 3) ? 3 : 7, 1 + (int32_t)rnd_below(r, 2), PROG_FN_RELU);
	if (rnd_below(r, 4))
		y = conv(b, r, conv(b, r, x, e, 1, 1, 1, fn), e, e, k, stride, fn);
	else
		y = conv(b, r, x, e = c, c, k, stride, fn);
	if (rnd_below(r, 3)) {
		s = conv(b, r, mean(b, y), 4 + rnd_below(r, 30), 1, 1, 1, PROG_FN_RELU);
		s = conv(b, r, s, e, 1, 1, 1, rnd_below(r, 2) ? PROG_FN_SIGMOID : PROG_FN_HARD_SWISH);
		y = build_binary(b, PROG_BIN_MUL, s, y);
	}
	build_output(b, "y", conv(b, r, y, 8 + rnd_below(r, 40), 1, 1, 1, PROG_FN_NONE));
}

static uint32_t dense(struct build *b, struct rnd *r, uint32_t x, int64_t k, int64_t n)
{
	int64_t w[2] = { k, n };

	return build_gemm(b, x, weights(b, r, w, 2, k), rnd_below(r, 3) ? graph_const(b, r, 1, &n) : PROG_NONE,
			  false, false, 1.0f);
}

/* Tokens, normalised; queries, keys and values of them; attention; heads together again. */
static void attention(struct build *b, struct rnd *r)
{
	int64_t h = 1 + rnd_below(r, 4), d = 4 * (1 + rnd_below(r, 12)), t = 1 + rnd_below(r, 160), w = h * d;
	int64_t rows[3] = { 1, t, w }, heads[4] = { 1, t, h, d }, mask[4] = { 1, 1, 1, t };
	const uint8_t perm[] = { 0, 2, 1, 3 };
	struct prog_op *op;
	uint32_t x, v[3], s, bias = PROG_NONE;

	x = build_unary(b, build_input(b, "x", BRAID_TYPE_F32, 3, rows), PROG_FN_TANH, 0, 0);
	if (rnd_below(r, 2)) {
		uint32_t in[3] = { x, graph_const(b, r, 1, &w), graph_const(b, r, 1, &w) };

		op = build_op(b, PROG_NORM, 3, in, 1);
		op->params.norm = (struct prog_norm) { .kind = PROG_NORM_LAYER, .axis = 2, .epsilon = 1e-5f };
		x = build_set_out(b, op, 0, BRAID_TYPE_F32, 3, rows);
	}
	for (int i = 0; i < 3; i++)
		v[i] = build_transpose(b, build_view(b, dense(b, r, x, w, w), 4, heads), perm);
	if (rnd_below(r, 2))
		bias = build_unary(b, build_input(b, "mask", BRAID_TYPE_F32, 4, mask), PROG_FN_NEG, 0, 0);
	s = build_gemm(b, v[0], v[1], bias, false, true, 1.0f / sqrtf((float)d));
	op = build_op(b, PROG_SOFTMAX, 1, &s, 1);
	op->params.softmax = (struct prog_softmax) { .kind = PROG_SOFTMAX_PLAIN, .axis = 3, .n_axes = 1 };
	s = build_set_out(b, op, 0, BRAID_TYPE_F32, 4, build_t(b, s)->dims);
	s = build_gemm(b, s, v[2], PROG_NONE, false, false, 1.0f);
	s = build_view(b, build_transpose(b, s, perm), 3, rows);
	build_output(b, "y", rnd_below(r, 2) ? dense(b, r, s, w, 8 + rnd_below(r, 40)) : build_copy(b, s));
}

/* Parts of several widths side by side, of that again a part. */
static void concat(struct build *b, struct rnd *r)
{
	int64_t dims[5] = { 1, 1, 2 + rnd_below(r, 8), 2 + rnd_below(r, 8), 8 * (1 + rnd_below(r, 3)) };
	uint32_t x = build_unary(b, build_input(b, "x", BRAID_TYPE_F32, 5, dims), PROG_FN_TANH, 0, 0), in[4];

	for (int round = 0; round < 2; round++) {
		uint32_t n = 2 + rnd_below(r, 3);

		in[0] = x;
		for (uint32_t i = 1; i < n; i++) {
			int64_t c = rnd_below(r, 3) ? 8 * (1 + rnd_below(r, 4)) : 1 + rnd_below(r, 20);

			in[i] = conv(b, r, x, c, 1, rnd_below(r, 2) ? 1 : 3, 1, PROG_FN_SILU);
		}
		x = build_concat(b, n, in, 4);
	}
	build_output(b, "y", conv(b, r, x, 1 + rnd_below(r, 40), 1, 1, 1, PROG_FN_NONE));
}

static const struct {
	const char *name;
	void (*make)(struct build *b, struct rnd *r);
} kinds[] = {
	{ "block of a MobileNet", mobile },
	{ "attention", attention },
	{ "concatenation", concat },
};

static struct program *program(uint32_t kind, struct rnd *r)
{
	struct build *b = build_new();
	struct program *p = NULL;

	kinds[kind].make(b, r);
	if (build_finish(b, &p))
		diag("%s", b->why);
	build_free(b);
	return p;
}

int main(void)
{
	static const uint32_t degrees[] = { 1, 3 };
	const char *env = getenv("BRAID_GPU_ROUNDS");
	uint32_t rounds = env ? (uint32_t)atoi(env) : 24;

	for (uint32_t i = 0; i < rounds; i++) {
		struct rnd r = { .state = 77 + i };
		uint32_t kind = i % 2 ? 0 : 1 + i / 2 % 2;
		struct gpu_check how = {
			.opt = { .mode = GPU_FP16, .sm = i % 5 ? 90 : 80, .no_fusion = i % 7 == 3 },
			.most = 1e-2, .degrees = degrees, .n_degrees = 2, .seed = i,
		};
		char why[256] = "";
		int err;

		do {
			struct program *p = program(kind, &r);

			err = p ? gpu_check(p, NULL, NULL, &how, why, sizeof(why)) : -EINVAL;
			program_free(p);
		} while (err == -EDOM);
		if (!ok(!err, "round %u: %s%s", i, kinds[kind].name, how.opt.no_fusion ? ", not fused" : ""))
			diag("%s", why);
	}
	return tap_done();
}
