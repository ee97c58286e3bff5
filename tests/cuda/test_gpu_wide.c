// SPDX-License-Identifier: MIT
/*
 * Tensors that stay fp32 in an fp16 plan (agent/lower/wide.c): magnitudes of a
 * spectrum, factors of whole images. And which programs are fp32 altogether, if
 * nobody says (agent/lower/precision.c).
 *
 * What is asked for is less than fp16 could do: with squares in fp16 the
 * spectrum is off by 3.6e-3, with factors in fp16 the image by 2e-4 and more.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/cuda/plan.h"
#include "agent/program/build.h"
#include "tests/cuda/gpu_check.h"
#include "tests/cuda/zoo_program.h"
#include "tests/program/graph.h"
#include "tests/tap.h"

static uint32_t number(struct build *b, float v)
{
	void *data = NULL;
	uint32_t t = build_const_new(b, BRAID_TYPE_F32, 0, NULL, &data);

	if (data)
		*(float *)data = v;
	return t;
}

/* Two parts of a small signal, squared one way and another, added up, and the root. */
static void spectrum(struct build *b, struct rnd *r, bool by_pow)
{
	int64_t dims[3] = { 1, 3, 40 };
	uint32_t v[2];

	for (int i = 0; i < 2; i++) {
		uint32_t x = build_input(b, i ? "im" : "re", BRAID_TYPE_F32, 3, dims);

		x = build_binary(b, PROG_BIN_MUL, x, number(b, 0.003f));
		v[i] = by_pow ? build_binary(b, PROG_BIN_POW, x, number(b, 2)) :
				build_binary(b, PROG_BIN_MUL, x, x);
	}
	build_output(b, "y", build_unary(b, build_binary(b, PROG_BIN_ADD, v[0], v[1]), PROG_FN_SQRT, 0, 0));
}

/* How a layer is written: BORDERED reads nothing but the border of its image of one pixel. */
enum how { CONVOLVED, PRODUCT, BORDERED };

static uint32_t layer(struct build *b, struct rnd *r, uint32_t x, int64_t n, enum how how, enum prog_fn fn)
{
	const struct build_tensor *t = build_t(b, x);
	int64_t k = t->dims[t->rank - 1], w[5] = { n, 1, 1, 1, k }, y[5] = { 1, 1, 1, 1, n }, flat[2] = { 1, k };
	int64_t kn[2] = { k, n };
	struct prog_op *op;

	if (how == PRODUCT) {
		x = build_gemm(b, build_view(b, x, 2, flat), graph_const(b, r, 2, kn), graph_const(b, r, 1, &n),
			       false, false, 0.5f);
		op = build_t(b, x)->def;
	} else {
		uint32_t in[3] = { x, graph_const(b, r, 5, w), graph_const(b, r, 1, &n) };

		op = build_op(b, PROG_CONV, 3, in, 1);
		op->params.conv.group = 1;
		graph_same_window(&op->params.conv.win, w);
		for (int i = 1; i < 3 && how == BORDERED; i++) {
			op->params.conv.win.pad_lo[i] = op->params.conv.win.pad_hi[i] = 1;
			op->params.conv.win.stride[i] = 3;
		}
		x = build_set_out(b, op, 0, BRAID_TYPE_F32, 5, y);
	}
	op->epi.fn = fn;
	op->epi.alpha = 0.2f;
	op->epi.beta = 0.5f;
	op->epi.residual = PROG_NONE;
	return how == PRODUCT ? build_view(b, x, 5, y) : x;
}

/* Squeeze-excite of an image that no depthwise convolution makes; @c channels. */
static void image(struct build *b, struct rnd *r, int64_t c, enum how how)
{
	int64_t dims[5] = { 1, 1, 6, 5, c }, y[5] = { 1, 1, 1, 1, c };
	uint32_t x = build_unary(b, build_input(b, "x", BRAID_TYPE_F32, 5, dims), PROG_FN_ABS, 0, 0), s;
	struct prog_op *op = build_op(b, PROG_POOL, 1, &x, 1);

	op->params.pool.kind = PROG_POOL_AVG;
	for (int i = 0; i < 3; i++) {
		op->params.pool.win.kernel[i] = (int32_t)dims[i + 1];
		op->params.pool.win.stride[i] = op->params.pool.win.dilation[i] = 1;
	}
	s = build_set_out(b, op, 0, BRAID_TYPE_F32, 5, y);
	s = layer(b, r, s, 7, how, PROG_FN_RELU);
	s = layer(b, r, s, c, how == BORDERED ? CONVOLVED : how, PROG_FN_HARD_SIGMOID);
	/* Factors alone are compared: a copy of them goes out, scaled by another image. */
	build_output(b, "y", build_binary(b, PROG_BIN_MUL, build_input(b, "by", BRAID_TYPE_F32, 5, dims), s));
}

static uint32_t count(const struct gpu_plan *plan, const char *what)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < plan->n_steps; i++)
		n += !strcmp(plan->steps[i].what, what);
	return n;
}

/* As exact as @most, with so many layers over vectors. */
static void check(struct build *b, double most, uint32_t vectors, const char *name)
{
	static const uint32_t degrees[] = { 1, 3 };
	const struct gpu_check how = {
		.opt = { .mode = GPU_FP16, .sm = 90 }, .most = most, .degrees = degrees, .n_degrees = 2, .seed = 5,
	};
	struct gpu_plan *plan = NULL;
	struct program *p = NULL;
	char why[512] = "";
	int err = build_finish(b, &p);

	if (err)
		snprintf(why, sizeof(why), "%s", b->why);
	build_free(b);
	if (!err)
		err = gpu_plan_make(p, &how.opt, &plan, why, sizeof(why));
	if (!err)
		is_int(count(plan, "vector"), vectors, "%s: layers over a vector", name);
	if (!err)
		err = gpu_check(p, NULL, NULL, &how, why, sizeof(why));
	if (!ok(!err, "%s: within %.1g of fp32", name, most))
		diag("%s", why);
	gpu_plan_free(plan);
	program_free(p);
}

/* Vectors added to themselves, again and again: to look for a mean there takes no time. */
static void doubled(void)
{
	int64_t c[2] = { 1, 8 }, dims[3] = { 1, 4, 8 };
	const struct gpu_options opt = { .mode = GPU_FP16, .sm = 90 };
	struct build *b = build_new();
	struct gpu_plan *plan = NULL;
	struct program *p = NULL;
	uint32_t x = build_unary(b, build_input(b, "x", BRAID_TYPE_F32, 2, c), PROG_FN_ABS, 0, 0);

	for (int i = 0; i < 200; i++)
		x = build_binary(b, PROG_BIN_ADD, x, x);
	build_output(b, "y", build_binary(b, PROG_BIN_MUL, build_input(b, "by", BRAID_TYPE_F32, 3, dims), x));
	ok(!build_finish(b, &p) && !gpu_plan_make(p, &opt, &plan, NULL, 0), "a vector doubled 200 times has a plan");
	build_free(b);
	gpu_plan_free(plan);
	program_free(p);
}

/* Narrow 1x1 convolutions one after the other. */
static struct program *chain(uint32_t layers, int64_t size)
{
	int64_t dims[5] = { 1, 1, size, size, 8 }, w[5] = { 8, 1, 1, 1, 8 };
	struct build *b = build_new();
	struct rnd r = { .state = 9 };
	struct program *p = NULL;
	uint32_t x = build_input(b, "x", BRAID_TYPE_F32, 5, dims);

	for (uint32_t i = 0; i < layers; i++) {
		uint32_t in[2] = { x, graph_const(b, &r, 5, w) };
		struct prog_op *op = build_op(b, PROG_CONV, 2, in, 1);

		op->params.conv.group = 1;
		graph_same_window(&op->params.conv.win, w);
		op->epi.fn = PROG_FN_RELU;
		op->epi.residual = PROG_NONE;
		x = build_set_out(b, op, 0, BRAID_TYPE_F32, 5, dims);
	}
	build_output(b, "y", x);
	if (build_finish(b, &p))
		diag("%s", b->why);
	build_free(b);
	return p;
}

static void modes(void)
{
	static const struct {
		uint32_t layers;
		int64_t size;
		enum gpu_mode want;
		const char *what;
	} chains[] = {
		{ 80, 16, GPU_FP32, "small, of many layers" },
		{ 20, 16, GPU_FP16, "small, of few" },
		{ 80, 96, GPU_FP16, "of many, but not small" },
	};
	static const char *const zoo[] = { "squeezenet1_1", "tiny_bert", "tiny_cnn", "tiny_mlp", "lstm", "gru" };

	for (size_t i = 0; i < sizeof(chains) / sizeof(*chains); i++) {
		struct program *p = chain(chains[i].layers, chains[i].size);

		ok(p && gpu_mode_auto(p) == chains[i].want, "%s", chains[i].what);
		program_free(p);
	}
	for (size_t i = 0; i < sizeof(zoo) / sizeof(*zoo); i++) {
		struct program *p = zoo_program(zoo[i]);

		ok(p && gpu_mode_auto(p) == GPU_FP16, "%s is fp16", zoo[i]);
		program_free(p);
	}
}

int main(void)
{
	struct rnd r = { .state = 3 };
	struct build *b;

	for (int pow = 0; pow < 2; pow++) {
		b = build_new();
		spectrum(b, &r, pow);
		check(b, 5e-4, 0, pow ? "spectrum, to the power of two" : "spectrum, by itself");
	}
	for (enum how gemm = CONVOLVED; gemm <= PRODUCT; gemm++) {
		b = build_new();
		image(b, &r, 48, gemm);
		check(b, 1e-4, 2, gemm ? "squeeze-excite, matrix products" : "squeeze-excite, convolutions");
		b = build_new();
		image(b, &r, 21, gemm);
		check(b, 1e-4, 2, gemm ? "the same, 21 channels" : "the same, 21 channels, convolutions");
	}
	b = build_new();
	image(b, &r, 48, BORDERED);
	check(b, 3e-3, 0, "squeeze-excite whose first layer reads but a border");
	doubled();
	modes();
	return tap_done();
}
