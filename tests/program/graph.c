// SPDX-License-Identifier: MIT
/*
 * Random programs: small extents, every step from what there is already.
 */
#include "tests/program/graph.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cpu/eval.h"

#define MAX_POOL	64
#define MAX_ELEMS	4096

uint64_t rnd_next(struct rnd *r)
{
	uint64_t z = r->state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

uint32_t rnd_below(struct rnd *r, uint32_t n)
{
	return rnd_next(r) % n;
}

float rnd_float(struct rnd *r)
{
	return (float)(int64_t)(rnd_next(r) >> 40) / (1 << 23) - 1;
}

void graph_same_window(struct prog_window *win, const int64_t *w)
{
	for (int i = 0; i < 3; i++) {
		win->kernel[i] = (int32_t)w[1 + i];
		win->stride[i] = 1;
		win->dilation[i] = 1;
		win->pad_lo[i] = (int32_t)w[1 + i] / 2;
		win->pad_hi[i] = (int32_t)w[1 + i] / 2;
	}
}

uint32_t graph_const(struct build *b, struct rnd *r, uint32_t rank, const int64_t *dims)
{
	void *data;
	uint32_t t = build_const_new(b, BRAID_TYPE_F32, rank, dims, &data);

	for (int64_t i = 0; data && i < build_t(b, t)->elems; i++)
		((float *)data)[i] = rnd_float(r);
	return t;
}

struct pool {
	struct build *b;
	struct rnd r;
	uint32_t t[MAX_POOL], n;
};

static uint32_t pick(struct pool *p)
{
	/* Mostly what is new, so that there are chains. */
	if (rnd_below(&p->r, 3))
		return p->t[p->n - 1];
	return p->t[rnd_below(&p->r, p->n)];
}

static uint32_t random_view(struct pool *p, uint32_t x)
{
	const struct build_tensor *t = build_t(p->b, x);
	int64_t dims[PROG_MAX_RANK + 1];
	uint32_t rank = t->rank, at = rnd_below(&p->r, rank);

	memcpy(dims, t->dims, sizeof(t->dims));
	if (rnd_below(&p->r, 2) && at + 1 < rank) {
		dims[at] *= dims[at + 1];
		memmove(&dims[at + 1], &dims[at + 2], (rank - at - 2) * sizeof(*dims));
		return build_view(p->b, x, rank - 1, dims);
	}
	if (rank >= 5)
		return x;
	memmove(&dims[at + 1], &dims[at], (rank - at) * sizeof(*dims));
	dims[at] = dims[at] % 2 ? 1 : 2;
	dims[at + 1] /= dims[at];
	return build_view(p->b, x, rank + 1, dims);
}

static uint32_t random_transpose(struct pool *p, uint32_t x)
{
	static const uint8_t nchw[] = { 0, 3, 1, 2 }, nhwc[] = { 0, 2, 3, 1 };
	uint32_t rank = build_t(p->b, x)->rank, k;
	uint8_t perm[PROG_MAX_RANK], swap;

	if (rank == 4 && rnd_below(&p->r, 2))
		return build_transpose(p->b, x, rnd_below(&p->r, 2) ? nchw : nhwc);
	for (uint32_t i = 0; i < rank; i++)
		perm[i] = i;
	for (uint32_t i = rank; i > 1; i--) {
		k = rnd_below(&p->r, i);
		swap = perm[i - 1];
		perm[i - 1] = perm[k];
		perm[k] = swap;
	}
	return build_transpose(p->b, x, perm);
}

/* Addend or factor: a scalar, one number along one axis, or a full tensor. */
static uint32_t random_operand(struct pool *p, uint32_t x)
{
	const struct build_tensor *t = build_t(p->b, x);
	int64_t dims[PROG_MAX_RANK];
	uint32_t rank, other, axis;

	switch (rnd_below(&p->r, 4)) {
	case 0:
		return graph_const(p->b, &p->r, 0, NULL);
	case 1:
		axis = rnd_below(&p->r, t->rank);
		for (uint32_t i = 0; i < t->rank; i++)
			dims[i] = i == axis ? t->dims[i] : 1;
		return graph_const(p->b, &p->r, t->rank, dims);
	case 2:
		return graph_const(p->b, &p->r, t->rank, t->dims);
	default:
		other = pick(p);
		return build_broadcast(p->b, x, other, &rank, dims) ? other : x;
	}
}

/* Numbers a channel, or one for all, in front of a convolution. */
static uint32_t random_affine(struct pool *p, uint32_t x)
{
	const struct build_tensor *t = build_t(p->b, x);
	uint32_t rank = rnd_below(&p->r, 2);

	if (rnd_below(&p->r, 2))
		x = build_binary(p->b, PROG_BIN_MUL, x,
				 graph_const(p->b, &p->r, rank, t->dims + t->rank - 1));
	if (rnd_below(&p->r, 2))
		x = build_binary(p->b, PROG_BIN_ADD, x,
				 graph_const(p->b, &p->r, rank, t->dims + t->rank - 1));
	return x;
}

static uint32_t random_conv(struct pool *p, uint32_t x)
{
	uint32_t rank = build_t(p->b, x)->rank, in[3];
	const struct build_tensor *t;
	struct prog_op *op;
	int64_t w[5], y[5];
	bool depthwise;

	if (rank < 3)
		return x;
	if (rank == 5)
		x = random_transpose(p, x);
	in[0] = random_affine(p, build_channels_last(p->b, x));
	t = build_t(p->b, in[0]);
	depthwise = !rnd_below(&p->r, 3);
	w[0] = depthwise ? t->dims[4] : 1 + rnd_below(&p->r, 5);
	w[4] = depthwise ? 1 : t->dims[4];
	y[0] = t->dims[0];
	y[4] = w[0];
	for (int i = 1; i < 4; i++) {
		w[i] = t->dims[i] >= 3 && rnd_below(&p->r, 2) ? 3 : 1;
		y[i] = t->dims[i];
	}
	in[1] = graph_const(p->b, &p->r, 5, w);
	in[2] = graph_const(p->b, &p->r, 1, w);
	op = build_op(p->b, PROG_CONV, 2 + rnd_below(&p->r, 2), in, 1);
	op->params.conv.group = depthwise ? (int32_t)t->dims[4] : 1;
	graph_same_window(&op->params.conv.win, w);
	return build_channels_first(p->b, build_set_out(p->b, op, 0, BRAID_TYPE_F32, 5, y), rank);
}

static uint32_t random_gemm(struct pool *p, uint32_t x)
{
	const struct build_tensor *t = build_t(p->b, x);
	int64_t dims[2];

	if (t->rank < 2)
		return x;
	if (rnd_below(&p->r, 3) == 0)
		return build_gemm(p->b, x, x, PROG_NONE, false, true, 0.5f);
	dims[0] = t->dims[t->rank - 1];
	dims[1] = 1 + rnd_below(&p->r, 6);
	return build_gemm(p->b, x, graph_const(p->b, &p->r, 2, dims), PROG_NONE, false, false, 1);
}

static uint32_t random_softmax(struct pool *p, uint32_t x)
{
	const struct build_tensor *t = build_t(p->b, x);
	struct prog_op *op = build_op(p->b, PROG_SOFTMAX, 1, &x, 1);

	op->params.softmax.axis = rnd_below(&p->r, t->rank);
	op->params.softmax.n_axes = 1;
	return build_set_out(p->b, op, 0, t->type, t->rank, t->dims);
}

static uint32_t random_slice(struct pool *p, uint32_t x)
{
	const struct build_tensor *t = build_t(p->b, x);
	int64_t start[PROG_MAX_RANK], step[PROG_MAX_RANK], count[PROG_MAX_RANK];

	for (uint32_t i = 0; i < t->rank; i++) {
		bool back = rnd_below(&p->r, 2);

		count[i] = 1 + rnd_below(&p->r, t->dims[i]);
		step[i] = back ? -1 : 1;
		start[i] = back ? count[i] - 1 : t->dims[i] - count[i];
	}
	return build_slice(p->b, x, start, step, count);
}

static uint32_t random_pad(struct pool *p, uint32_t x)
{
	int64_t lo[PROG_MAX_RANK], hi[PROG_MAX_RANK];

	for (uint32_t i = 0; i < PROG_MAX_RANK; i++) {
		lo[i] = rnd_below(&p->r, 2);
		hi[i] = rnd_below(&p->r, 2);
	}
	return build_pad(p->b, x, PROG_PAD_CONSTANT, lo, hi, 0.25);
}

static uint32_t step(struct pool *p, uint32_t x)
{
	static const enum prog_fn fns[] = { PROG_FN_RELU, PROG_FN_SIGMOID, PROG_FN_TANH,
					    PROG_FN_HARD_SWISH, PROG_FN_CLIP, PROG_FN_ABS };
	static const enum prog_binary bins[] = { PROG_BIN_ADD, PROG_BIN_ADD, PROG_BIN_MUL,
						 PROG_BIN_SUB };
	uint32_t two[2], rank = build_t(p->b, x)->rank;

	switch (rnd_below(&p->r, 14)) {
	case 0:
	case 1:
		return build_unary(p->b, x, fns[rnd_below(&p->r, 6)], -0.5f, 0.75f);
	case 2:
	case 3:
	case 4:
		return build_binary(p->b, bins[rnd_below(&p->r, 4)], x, random_operand(p, x));
	case 5:
	case 6:
		return random_transpose(p, x);
	case 7:
		return random_view(p, x);
	case 8:
		return build_reduce(p->b, x, PROG_RED_MEAN, 1u << rnd_below(&p->r, rank), true);
	case 9:
		return random_softmax(p, x);
	case 10:
		two[0] = x;
		two[1] = build_unary(p->b, x, PROG_FN_TANH, 0, 0);
		return build_concat(p->b, 2, two, rnd_below(&p->r, rank));
	case 11:
		return rnd_below(&p->r, 2) ? random_slice(p, x) : random_pad(p, x);
	case 12:
		return random_conv(p, x);
	default:
		return random_gemm(p, x);
	}
}

void graph_random(struct build *b, uint64_t seed, uint32_t n)
{
	struct pool p = { .b = b, .r = { seed } };
	int64_t dims[4];
	uint32_t x;
	char name[8];

	for (int i = 0; i < 4; i++)
		dims[i] = 1 + rnd_below(&p.r, 6);
	p.t[p.n++] = build_input(b, "a", BRAID_TYPE_F32, 4, dims);
	p.t[p.n++] = build_input(b, "b", BRAID_TYPE_F32, 1 + rnd_below(&p.r, 4), dims);
	for (uint32_t i = 0; i < n && !b->err; i++) {
		x = step(&p, pick(&p));
		/* Keep it small, and of a rank that all steps take. */
		if (build_t(b, x)->elems > MAX_ELEMS || !build_t(b, x)->rank)
			continue;
		p.t[p.n < MAX_POOL ? p.n++ : rnd_below(&p.r, MAX_POOL)] = x;
	}
	n = 1 + rnd_below(&p.r, 3);
	for (uint32_t i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "y%u", i);
		build_output(b, name, i ? pick(&p) : p.t[p.n - 1]);
	}
}

int graph_run(struct build *b, uint64_t seed, float **out, size_t *n, uint32_t *kinds)
{
	const void *in[8] = { NULL };
	void *result[8] = { NULL };
	struct rnd r = { ~seed };
	struct program *p = NULL;
	char why[256];
	float *data;
	int ret;

	*out = NULL;
	*n = 0;
	ret = build_finish(b, &p);
	if (ret) {
		printf("# %s\n", b->why);
		build_free(b);
		return ret;
	}
	build_free(b);
	for (uint32_t i = 0; i < p->n_inputs; i++) {
		const struct prog_tensor *t = &p->tensors[p->inputs[i].tensor];

		data = malloc(t->elems * sizeof(*data));
		for (int64_t k = 0; k < t->elems; k++)
			data[k] = rnd_float(&r);
		in[i] = data;
	}
	for (uint32_t i = 0; i < p->n_outputs; i++)
		*n += p->tensors[p->outputs[i].tensor].elems;
	*out = malloc(*n * sizeof(**out));
	data = *out;
	for (uint32_t i = 0; i < p->n_outputs; i++) {
		result[i] = data;
		data += p->tensors[p->outputs[i].tensor].elems;
	}
	if (kinds) {
		memset(kinds, 0, PROG_KINDS * sizeof(*kinds));
		for (uint32_t i = 0; i < p->n_ops; i++)
			kinds[p->ops[i].kind]++;
	}
	ret = cpu_eval(p, in, result, why, sizeof(why));
	if (ret)
		printf("# %s\n", why);
	for (uint32_t i = 0; i < p->n_inputs; i++)
		free((void *)in[i]);
	program_free(p);
	return ret;
}

double graph_distance(const float *a, const float *b, size_t n)
{
	double d = 0, s = 0;

	for (size_t i = 0; i < n; i++) {
		d += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
		s += (double)a[i] * a[i];
	}
	return d > 0 ? sqrt(d / (s > 0 ? s : d)) : 0;
}
