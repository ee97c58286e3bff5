// SPDX-License-Identifier: MIT
/*
 * What each pass is for, in the forms that exporters write it: the operations
 * that must be left afterwards are counted by kind, and the result must be
 * what the graph gave without passes. Near misses must be left alone.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/program/pass.h"
#include "tests/program/graph.h"
#include "tests/tap.h"

#define TOLERANCE	1e-5

struct form {
	struct build *b;
	struct rnd r;
};

static uint32_t num(struct form *f, double v)
{
	return build_scalar(f->b, BRAID_TYPE_F32, v);
}

static uint32_t bin(struct form *f, enum prog_binary fn, uint32_t x, uint32_t y)
{
	return build_binary(f->b, fn, x, y);
}

static uint32_t un(struct form *f, enum prog_fn fn, uint32_t x)
{
	return build_unary(f->b, x, fn, 0, 0);
}

static uint32_t mul(struct form *f, uint32_t x, uint32_t y)
{
	return bin(f, PROG_BIN_MUL, x, y);
}

static uint32_t add(struct form *f, uint32_t x, uint32_t y)
{
	return bin(f, PROG_BIN_ADD, x, y);
}

static uint32_t divide(struct form *f, uint32_t x, double v)
{
	return bin(f, PROG_BIN_DIV, x, num(f, v));
}

static uint32_t input(struct form *f, uint32_t rank, int64_t a, int64_t b, int64_t c, int64_t d)
{
	const int64_t dims[4] = { a, b, c, d };
	char name[8];

	snprintf(name, sizeof(name), "x%u", f->b->n_inputs);
	return build_input(f->b, name, BRAID_TYPE_F32, rank, dims);
}

static uint32_t constant(struct form *f, uint32_t rank, int64_t a, int64_t b, int64_t c, int64_t d)
{
	const int64_t dims[4] = { a, b, c, d };

	return graph_const(f->b, &f->r, rank, dims);
}

/* A convolution of channels-first data, 3x3 or 1x1, to @m channels. */
static uint32_t conv(struct form *f, uint32_t x, int64_t m, int kernel)
{
	uint32_t in[2], rank = build_t(f->b, x)->rank;
	int64_t w[5], y[5];
	struct prog_op *op;

	in[0] = build_channels_last(f->b, x);
	memcpy(y, build_t(f->b, in[0])->dims, sizeof(y));
	w[0] = m;
	w[1] = 1;
	w[2] = w[3] = kernel;
	w[4] = y[4];
	y[4] = m;
	in[1] = graph_const(f->b, &f->r, 5, w);
	op = build_op(f->b, PROG_CONV, 2, in, 1);
	op->params.conv.group = 1;
	graph_same_window(&op->params.conv.win, w);
	return build_channels_first(f->b, build_set_out(f->b, op, 0, BRAID_TYPE_F32, 5, y), rank);
}

/* x * s + t, a number a channel each. */
static uint32_t norm(struct form *f, uint32_t x)
{
	int64_t c = build_t(f->b, x)->dims[1];

	x = mul(f, x, constant(f, 4, 1, c, 1, 1));
	return add(f, x, constant(f, 4, 1, c, 1, 1));
}

/* ---- forms; each gives the output ---- */

static uint32_t silu(struct form *f)
{
	uint32_t x = input(f, 2, 4, 8, 0, 0);

	return mul(f, un(f, PROG_FN_SIGMOID, x), x);
}

static uint32_t silu_of_another(struct form *f)
{
	return mul(f, un(f, PROG_FN_SIGMOID, input(f, 2, 4, 8, 0, 0)), input(f, 2, 4, 8, 0, 0));
}

static uint32_t hard_gate(struct form *f, uint32_t x)
{
	return build_unary(f->b, add(f, x, num(f, 3)), PROG_FN_CLIP, 0, 6);
}

static uint32_t hard_swish_paddle(struct form *f)
{
	uint32_t x = input(f, 2, 4, 8, 0, 0);

	return divide(f, mul(f, x, hard_gate(f, x)), 6);
}

static uint32_t hard_swish_torch(struct form *f)
{
	uint32_t x = input(f, 2, 4, 8, 0, 0);

	return mul(f, x, divide(f, hard_gate(f, x), 6));
}

static uint32_t hard_swish_onnx(struct form *f)
{
	uint32_t x = input(f, 2, 4, 8, 0, 0);

	return mul(f, x, build_unary(f->b, x, PROG_FN_HARD_SIGMOID, 1.f / 6, 0.5f));
}

static uint32_t hard_gate_of_a_fifth(struct form *f)
{
	uint32_t x = input(f, 2, 4, 8, 0, 0);

	return mul(f, x, build_unary(f->b, x, PROG_FN_HARD_SIGMOID, 0.2f, 0.5f));
}

static uint32_t gelu_torch(struct form *f)
{
	uint32_t x = input(f, 2, 4, 8, 0, 0);
	uint32_t e = add(f, un(f, PROG_FN_ERF, divide(f, x, M_SQRT2)), num(f, 1));

	return mul(f, mul(f, x, e), num(f, 0.5));
}

static uint32_t gelu_half_first(struct form *f)
{
	uint32_t x = input(f, 2, 4, 8, 0, 0);
	uint32_t e = add(f, num(f, 1), un(f, PROG_FN_ERF, mul(f, x, num(f, M_SQRT1_2))));

	return mul(f, mul(f, num(f, 0.5), x), e);
}

static uint32_t gelu_of_a_product(struct form *f)
{
	uint32_t x = mul(f, input(f, 2, 4, 8, 0, 0), constant(f, 1, 8, 0, 0, 0));
	uint32_t e = add(f, un(f, PROG_FN_ERF, divide(f, x, M_SQRT2)), num(f, 1));

	return mul(f, mul(f, x, e), num(f, 0.5));
}

static uint32_t gelu_wrong_number(struct form *f)
{
	uint32_t x = input(f, 2, 4, 8, 0, 0);
	uint32_t e = add(f, un(f, PROG_FN_ERF, divide(f, x, 1.5)), num(f, 1));

	return mul(f, mul(f, x, e), num(f, 0.5));
}

static uint32_t gelu_tanh(struct form *f)
{
	uint32_t x = input(f, 2, 4, 8, 0, 0);
	uint32_t c = bin(f, PROG_BIN_POW, x, num(f, 3));
	uint32_t u = mul(f, num(f, sqrt(2 / M_PI)), add(f, x, mul(f, c, num(f, 0.044715))));

	return mul(f, mul(f, x, num(f, 0.5)), add(f, un(f, PROG_FN_TANH, u), num(f, 1)));
}

static uint32_t gelu_tanh_products(struct form *f)
{
	uint32_t x = input(f, 2, 4, 8, 0, 0);
	uint32_t q = add(f, num(f, 1), mul(f, mul(f, x, x), num(f, 0.044715)));
	uint32_t u = mul(f, mul(f, x, num(f, sqrt(2 / M_PI))), q);

	return mul(f, num(f, 0.5), mul(f, x, add(f, num(f, 1), un(f, PROG_FN_TANH, u))));
}

static uint32_t layer_norm_of(struct form *f, uint32_t x, uint32_t axes, bool reciprocal)
{
	uint32_t d = bin(f, PROG_BIN_SUB, x, build_reduce(f->b, x, PROG_RED_MEAN, axes, true));
	uint32_t s = reciprocal ? mul(f, d, d) : bin(f, PROG_BIN_POW, d, num(f, 2));
	uint32_t v = add(f, build_reduce(f->b, s, PROG_RED_MEAN, axes, true), num(f, 1e-5));

	v = un(f, PROG_FN_SQRT, v);
	return reciprocal ? mul(f, un(f, PROG_FN_RECIPROCAL, v), d) : bin(f, PROG_BIN_DIV, d, v);
}

static uint32_t layer_norm(struct form *f)
{
	uint32_t n = layer_norm_of(f, input(f, 3, 2, 5, 8, 0), 4, false);

	return add(f, mul(f, n, constant(f, 1, 8, 0, 0, 0)), constant(f, 1, 8, 0, 0, 0));
}

static uint32_t layer_norm_reciprocal(struct form *f)
{
	uint32_t n = layer_norm_of(f, input(f, 3, 2, 5, 8, 0), 6, true);

	return add(f, mul(f, constant(f, 2, 5, 8, 0, 0), n), constant(f, 3, 1, 5, 8, 0));
}

static uint32_t layer_norm_middle(struct form *f)
{
	return layer_norm_of(f, input(f, 3, 2, 5, 8, 0), 2, false);
}

static uint32_t conv_norm_relu(struct form *f)
{
	return un(f, PROG_FN_RELU, norm(f, conv(f, input(f, 4, 2, 3, 6, 6), 4, 3)));
}

static uint32_t residual_block(struct form *f)
{
	uint32_t x = un(f, PROG_FN_RELU, norm(f, conv(f, input(f, 4, 2, 3, 6, 6), 4, 3)));
	uint32_t y = un(f, PROG_FN_RELU, norm(f, conv(f, x, 4, 1)));

	y = norm(f, conv(f, y, 4, 3));
	return un(f, PROG_FN_RELU, add(f, y, x));
}

static uint32_t residual_after_function(struct form *f)
{
	uint32_t x = conv(f, input(f, 4, 2, 3, 6, 6), 4, 1);

	return un(f, PROG_FN_TANH, add(f, un(f, PROG_FN_RELU, conv(f, x, 4, 1)), x));
}

static uint32_t shared_conv(struct form *f)
{
	uint32_t x = conv(f, input(f, 4, 2, 3, 6, 6), 4, 1);

	build_output(f->b, "x", x);
	return un(f, PROG_FN_RELU, x);
}

static uint32_t matmul_bias_gelu(struct form *f)
{
	uint32_t y = build_gemm(f->b, input(f, 3, 2, 5, 8, 0), constant(f, 2, 8, 6, 0, 0),
				PROG_NONE, false, false, 1);

	return un(f, PROG_FN_GELU, add(f, constant(f, 1, 6, 0, 0, 0), y));
}

static uint32_t attention(struct form *f)
{
	static const uint8_t heads[] = { 0, 2, 1, 3 }, swapped[] = { 0, 2, 3, 1 };
	uint32_t q = build_transpose(f->b, input(f, 4, 2, 5, 2, 4), heads);
	uint32_t k = build_transpose(f->b, input(f, 4, 2, 5, 2, 4), swapped);
	uint32_t s = divide(f, build_gemm(f->b, q, k, PROG_NONE, false, false, 1), 2);

	return add(f, s, input(f, 4, 2, 1, 1, 5));
}

static uint32_t squeeze_excite(struct form *f)
{
	uint32_t x = conv(f, input(f, 4, 2, 3, 6, 6), 4, 3);
	uint32_t g = build_reduce(f->b, x, PROG_RED_MEAN, 0xc, true);

	g = un(f, PROG_FN_RELU, conv(f, g, 2, 1));
	g = un(f, PROG_FN_SIGMOID, conv(f, g, 4, 1));
	return conv(f, mul(f, x, g), 4, 1);
}

static uint32_t channel_shuffle(struct form *f)
{
	static const int64_t split[] = { 2, 2, 3, 6, 6 }, join[] = { 2, 6, 6, 6 };
	static const uint8_t swap[] = { 0, 2, 1, 3, 4 };
	uint32_t x = conv(f, input(f, 4, 2, 3, 6, 6), 6, 1);

	x = build_transpose(f->b, build_view(f->b, x, 5, split), swap);
	return conv(f, build_view(f->b, x, 4, join), 4, 1);
}

static uint32_t dense_concat(struct form *f)
{
	uint32_t x = conv(f, input(f, 4, 2, 3, 6, 6), 4, 1), two[2] = { x };

	two[1] = conv(f, un(f, PROG_FN_RELU, x), 2, 3);
	return conv(f, build_concat(f->b, 2, two, 1), 4, 1);
}

static uint32_t patches(struct form *f)
{
	static const int64_t flat[] = { 2, 8, 36 };
	static const uint8_t swap[] = { 0, 2, 1 };
	uint32_t x = build_view(f->b, conv(f, input(f, 4, 2, 3, 6, 6), 8, 1), 3, flat);

	return build_gemm(f->b, build_transpose(f->b, x, swap), constant(f, 2, 8, 4, 0, 0),
			  PROG_NONE, false, false, 1);
}

static uint32_t same_twice(struct form *f)
{
	uint32_t x = input(f, 2, 4, 8, 0, 0);

	return mul(f, add(f, un(f, PROG_FN_EXP, x), num(f, 2)),
		   add(f, un(f, PROG_FN_EXP, x), num(f, 2)));
}

static uint32_t nothing_done(struct form *f)
{
	uint32_t x = un(f, PROG_FN_EXP, input(f, 2, 4, 8, 0, 0));

	x = build_copy(f->b, add(f, mul(f, x, num(f, 1)), num(f, 0)));
	return un(f, PROG_FN_NEG, build_expand(f->b, x, 2, build_t(f->b, x)->dims));
}

static uint32_t affine_before_conv(struct form *f)
{
	uint32_t x = un(f, PROG_FN_EXP, conv(f, input(f, 4, 2, 3, 6, 6), 4, 1));

	return conv(f, norm(f, x), 3, 1);
}

static const struct {
	const char *what;
	uint32_t (*form)(struct form *f);
	struct {
		enum prog_kind kind;
		uint32_t n;
	} left[4];
	uint32_t total;
} forms[] = {
	{ "SiLU", silu, { { PROG_UNARY, 1 } }, 1 },
	{ "a gate of something else", silu_of_another, { { PROG_UNARY, 1 }, { PROG_BINARY, 1 } }, 2 },
	{ "hard swish, division last", hard_swish_paddle, { { PROG_UNARY, 1 } }, 1 },
	{ "hard swish, division first", hard_swish_torch, { { PROG_UNARY, 1 } }, 1 },
	{ "hard swish of a hard sigmoid", hard_swish_onnx, { { PROG_UNARY, 1 } }, 1 },
	{ "a steeper hard sigmoid", hard_gate_of_a_fifth,
	  { { PROG_UNARY, 1 }, { PROG_BINARY, 1 } }, 2 },
	{ "GELU", gelu_torch, { { PROG_UNARY, 1 } }, 1 },
	{ "GELU, half first", gelu_half_first, { { PROG_UNARY, 1 } }, 1 },
	{ "GELU of a product", gelu_of_a_product, { { PROG_BINARY, 1 } }, 1 },
	{ "no GELU, another number", gelu_wrong_number, { { PROG_UNARY, 1 } }, 0 },
	{ "GELU with tanh", gelu_tanh, { { PROG_UNARY, 1 } }, 1 },
	{ "GELU with tanh, as products", gelu_tanh_products, { { PROG_UNARY, 1 } }, 1 },
	{ "layer normalisation", layer_norm, { { PROG_NORM, 1 } }, 1 },
	{ "layer normalisation over two axes", layer_norm_reciprocal, { { PROG_NORM, 1 } }, 1 },
	{ "normalisation of an inner axis", layer_norm_middle,
	  { { PROG_NORM, 0 }, { PROG_REDUCE, 2 } }, 0 },
	{ "conv, batch norm, relu", conv_norm_relu, { { PROG_CONV, 1 }, { PROG_TRANSPOSE, 2 } }, 3 },
	{ "residual block", residual_block, { { PROG_CONV, 3 }, { PROG_TRANSPOSE, 2 } }, 5 },
	{ "residual after a function", residual_after_function,
	  { { PROG_CONV, 2 }, { PROG_UNARY, 1 }, { PROG_TRANSPOSE, 2 } }, 5 },
	{ "a result that is an output too", shared_conv, { { PROG_CONV, 1 }, { PROG_UNARY, 1 } }, 0 },
	{ "matmul, bias, GELU", matmul_bias_gelu, { { PROG_GEMM, 1 } }, 1 },
	{ "attention scores", attention, { { PROG_GEMM, 1 }, { PROG_TRANSPOSE, 2 } }, 3 },
	{ "squeeze and excite", squeeze_excite,
	  { { PROG_CONV, 4 }, { PROG_BINARY, 1 }, { PROG_REDUCE, 1 }, { PROG_TRANSPOSE, 2 } }, 8 },
	{ "channel shuffle", channel_shuffle, { { PROG_CONV, 2 }, { PROG_TRANSPOSE, 3 } }, 5 },
	{ "concatenation", dense_concat, { { PROG_CONV, 3 }, { PROG_TRANSPOSE, 2 } }, 0 },
	{ "patches to tokens", patches,
	  { { PROG_CONV, 1 }, { PROG_GEMM, 1 }, { PROG_TRANSPOSE, 1 } }, 3 },
	{ "the same twice", same_twice, { { PROG_UNARY, 1 }, { PROG_BINARY, 2 } }, 3 },
	{ "what changes nothing", nothing_done, { { PROG_UNARY, 2 } }, 2 },
	{ "numbers before a convolution", affine_before_conv,
	  { { PROG_CONV, 2 }, { PROG_BINARY, 0 } }, 0 },
};

static struct build *make(size_t i)
{
	struct form f = { .b = build_new(), .r = { i + 1 } };

	build_output(f.b, "y", forms[i].form(&f));
	return f.b;
}

static void try_form(size_t i)
{
	uint32_t before[PROG_KINDS], after[PROG_KINDS], n = 0;
	struct build *plain = make(i), *passed = make(i);
	float *x = NULL, *y = NULL;
	size_t n_x = 0, n_y = 0;
	bool counts = true;
	double d = 1;

	build_passes(passed);
	if (!graph_run(plain, i, &x, &n_x, before) && !graph_run(passed, i, &y, &n_y, after) &&
	    n_x == n_y)
		d = graph_distance(x, y, n_x);
	for (int k = 0; k < PROG_KINDS; k++)
		n += y ? after[k] : 0;
	for (int k = 0; k < 4 && y && counts; k++)
		if (forms[i].left[k].kind || forms[i].left[k].n)
			counts = after[forms[i].left[k].kind] == forms[i].left[k].n;
	if (!ok(d <= TOLERANCE && counts && (!forms[i].total || n == forms[i].total),
		"%s: %u operations, distance %.1e", forms[i].what, n, d))
		for (int k = 0; k < PROG_KINDS && y; k++)
			if (after[k])
				diag("%u x %s", after[k], prog_kind_name(k));
	free(x);
	free(y);
}

/* What is constant is computed at once, unless it is too much. */
static void try_fold(void)
{
	static const int64_t some[] = { 8, 8 }, far_too_many[] = { 1 << 15, 1 << 14 };
	struct form f = { .b = build_new(), .r = { 1 } };
	uint32_t x = graph_const(f.b, &f.r, 1, some), y, z, first;
	double v = 0;

	y = add(&f, build_expand(f.b, build_scalar(f.b, BRAID_TYPE_F32, 2), 2, some), num(&f, 1));
	build_fold(f.b, 0, 1, &y);
	ok(!f.b->n_ops && build_splat(f.b, y, &v) && v == 3, "two and one are three");

	first = f.b->n_ops;
	z = build_expand(f.b, build_scalar(f.b, BRAID_TYPE_F32, 2), 2, far_too_many);
	build_fold(f.b, first, 1, &z);
	ok(!f.b->err && f.b->n_ops == 1 && !build_is_const(f.b, z),
	   "two gigabytes of constants are not made");

	first = f.b->n_ops;
	z = mul(&f, input(&f, 1, 8, 0, 0, 0), un(&f, PROG_FN_EXP, x));
	build_fold(f.b, first, 1, &z);
	is_int(f.b->n_ops - first, 1, "only what depends on no input goes");
	ok(build_is_const(f.b, f.b->ops[first]->in[1]), "and leaves a constant behind");
	build_free(f.b);
}

int main(void)
{
	try_fold();
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		try_form(i);
	return tap_done();
}
