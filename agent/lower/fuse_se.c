// SPDX-License-Identifier: MIT
/*
 * Squeeze-excite found in a program: mean, two small layers, and a product with
 * what the mean was of, between a depthwise convolution and a 1x1 one. Its
 * parts go into these two (kernels/se.cuh).
 */
#include "agent/lower/lower.h"

#include <stdlib.h>
#include <string.h>

#include "agent/lower/tiles.h"
#include "kernels/conv_args.h"

#define MAX_HIDDEN	256
#define MIN_PIXELS	16	/* fewer, and a tile would touch too many images */

/* Is there a tile that has room for its share of the second layer? */
static bool has_room(const struct lower *l, int64_t c, int64_t hidden, int64_t pixels)
{
	const struct tile_shape s = {
		.k = (uint32_t)c, .groups = 1, .hidden = (uint32_t)hidden, .pixels = (uint32_t)pixels,
	};

	return tile_any(&l->opt, &s);
}

static bool same_storage(const struct lower *l, uint32_t a, uint32_t b)
{
	return lower_t(l, a)->storage == lower_t(l, b)->storage;
}

bool lower_is_mean(const struct lower *l, const struct prog_op *op)
{
	const struct prog_tensor *x = lower_t(l, op->in[0]);

	if (op->kind == PROG_REDUCE) {
		uint32_t spatial = 0;

		for (uint32_t i = 1; i + 1 < x->rank; i++)
			spatial |= 1u << i;
		return op->params.reduce.fn == PROG_RED_MEAN && x->rank >= 4 &&
		       (op->params.reduce.axes | 2) == (spatial | 2) &&
		       (op->params.reduce.axes & 2 || x->dims[1] == 1);
	}
	if (op->kind != PROG_POOL || op->params.pool.kind != PROG_POOL_AVG)
		return false;
	for (int i = 0; i < 3; i++)
		if (op->params.pool.win.kernel[i] != x->dims[i + 1] || op->params.pool.win.pad_lo[i] ||
		    op->params.pool.win.pad_hi[i])
			return false;
	return true;
}

/* A layer on one pixel: @in numbers to @out, constant weights. */
static bool is_layer(const struct lower *l, const struct prog_op *op, int64_t in, int64_t out)
{
	const struct prog_tensor *w = lower_t(l, op->in[1]), *y = lower_t(l, op->out[0]);

	if (op->kind == PROG_CONV) {
		if (op->params.conv.group != 1 || w->elems != in * out)
			return false;
	} else if (op->kind == PROG_GEMM) {
		if (op->params.gemm.trans_a || op->params.gemm.alpha != 1.0f || w->elems != in * out)
			return false;
	} else {
		return false;
	}
	if (!lower_const_data(l, op->in[1]) || y->dims[y->rank - 1] != out ||
	    op->epi.residual != PROG_NONE)
		return false;
	if (op->n_in > 2 && op->in[2] != PROG_NONE &&
	    (!lower_const_data(l, op->in[2]) || lower_t(l, op->in[2])->elems != out))
		return false;
	return true;
}

static int64_t out_channels(const struct lower *l, const struct prog_op *op)
{
	const struct prog_tensor *y = lower_t(l, op->out[0]);

	return y->dims[y->rank - 1];
}

/* Each channel of @data times its factor, and nothing else. */
static bool is_scaling(const struct lower *l, const struct prog_op *op, uint32_t factor, uint32_t data)
{
	const struct prog_tensor *a, *b;
	int f;

	if (op->kind != PROG_BINARY || op->params.binary != PROG_BIN_MUL || op->epi.fn ||
	    op->epi.residual != PROG_NONE)
		return false;
	f = same_storage(l, op->in[0], factor) ? 0 : 1;
	if (!same_storage(l, op->in[f], factor) || !same_storage(l, op->in[1 - f], data))
		return false;
	a = lower_t(l, op->in[f]);
	b = lower_t(l, op->in[1 - f]);
	if (a->rank != b->rank || a->rank < 3 || a->dims[0] != b->dims[0])
		return false;
	for (uint32_t i = 1; i + 1 < a->rank; i++)
		if (a->dims[i] != 1)
			return false;
	return a->dims[a->rank - 1] == b->dims[b->rank - 1];
}

/* A 1x1 convolution whose input nobody else reads. */
static bool is_reader(const struct lower *l, const struct prog_op *op)
{
	const struct prog_window *w = &op->params.conv.win;

	if (op->kind != PROG_CONV || op->params.conv.group != 1 || !lower_conv_fits(l, op))
		return false;
	for (int i = 0; i < 3; i++)
		if (w->kernel[i] != 1 || w->stride[i] != 1 || w->pad_lo[i] || w->pad_hi[i])
			return false;
	return true;
}

static struct lower_se *find(struct lower *l, const struct prog_op *dw)
{
	const struct prog_op *mean = NULL, *mul = NULL, *fc1, *fc2, *reader;
	const struct prog_tensor *d = lower_t(l, dw->out[0]);
	int64_t c = d->dims[4], hidden;
	struct lower_se *se;

	if (lower_n_uses(l, dw->out[0]) != 2 || c % 8 || d->dims[2] * d->dims[3] < MIN_PIXELS)
		return NULL;
	for (uint32_t i = 0; i < 2; i++) {
		const struct prog_op *op = lower_use(l, dw->out[0], i);

		if (op->kind == PROG_BINARY)
			mul = op;
		else if (lower_is_mean(l, op))
			mean = op;
	}
	if (!mean || !mul)
		return NULL;
	fc1 = lower_only_use(l, mean->out[0]);
	if (!fc1 || fc1->n_in < 2 || !same_storage(l, fc1->in[0], mean->out[0]))
		return NULL;
	hidden = out_channels(l, fc1);
	if (hidden > MAX_HIDDEN || !has_room(l, c, hidden, d->dims[2] * d->dims[3]))
		return NULL;
	fc2 = is_layer(l, fc1, c, hidden) ? lower_only_use(l, fc1->out[0]) : NULL;
	if (!fc2 || fc2->n_in < 2 || !same_storage(l, fc2->in[0], fc1->out[0]) ||
	    !is_layer(l, fc2, hidden, c))
		return NULL;
	if (lower_only_use(l, fc2->out[0]) != mul || !is_scaling(l, mul, fc2->out[0], dw->out[0]))
		return NULL;
	reader = lower_only_use(l, mul->out[0]);
	if (!reader || !is_reader(l, reader) || !same_storage(l, reader->in[0], mul->out[0]))
		return NULL;
	se = lower_alloc(l, sizeof(*se));
	if (!se)
		return NULL;
	*se = (struct lower_se) { .fc1 = fc1, .fc2 = fc2, .data = dw->out[0], .hidden = (uint32_t)hidden };
	l->se[dw - l->p->ops] = l->se[reader - l->p->ops] = se;
	l->done[mean - l->p->ops] = l->done[fc1 - l->p->ops] = true;
	l->done[fc2 - l->p->ops] = l->done[mul - l->p->ops] = true;
	return se;
}

void lower_find_se(struct lower *l)
{
	for (uint32_t i = 0; i < l->p->n_ops && !l->err; i++) {
		const struct prog_op *op = &l->p->ops[i];

		if (op->kind == PROG_CONV && lower_dw_fits(l, op))
			find(l, op);
	}
}

/* ---- weights ---- */

/* [out][in up to a multiple of @up] in fp16. */
static uint32_t pack(struct lower *l, const struct prog_op *op, int64_t n_in, int64_t n_out, int64_t up)
{
	bool turned = op->kind == PROG_GEMM && !op->params.gemm.trans_b;
	const float *w = lower_const_data(l, op->in[1]);
	int64_t ld = (n_in + up - 1) / up * up;
	uint16_t *to = calloc((size_t)(n_out * ld), sizeof(*to));
	uint32_t buf;

	if (!to) {
		lower_nomem(l);
		return 0;
	}
	for (int64_t o = 0; o < n_out && !l->opt.image; o++)
		lower_halves(to + o * ld, turned ? w + o : w + o * n_in, n_in, turned ? n_out : 1, 1.0f);
	buf = lower_const(l, to, (uint64_t)(n_out * ld) * sizeof(*to));
	free(to);
	return buf;
}

static uint32_t bias(struct lower *l, const struct prog_op *op, int64_t n)
{
	float *zero;
	uint32_t buf;

	if (op->n_in > 2 && op->in[2] != PROG_NONE)
		return lower_bias(l, lower_const_data(l, op->in[2]), n);
	zero = calloc((size_t)n, sizeof(*zero));
	if (!zero) {
		lower_nomem(l);
		return 0;
	}
	buf = lower_bias(l, zero, n);
	free(zero);
	return buf;
}

void lower_se_squeeze(struct lower *l, struct lower_se *se, struct k_se *a, int64_t images,
		      int64_t blocks)
{
	const struct prog_tensor *d = lower_t(l, se->data);
	int64_t dims[3] = { images, blocks, se->hidden };

	se->part = lower_new(l, K_F32, 3, dims);
	se->blocks = (uint32_t)blocks;
	a->hidden = se->hidden;
	a->blocks = se->blocks;
	a->inv = 1.0f / (float)(d->dims[2] * d->dims[3]);
	se->w1 = pack(l, se->fc1, d->dims[4], se->hidden, 1);
}

void lower_se_excite(struct lower *l, struct lower_se *se, struct k_se *a)
{
	const struct prog_tensor *d = lower_t(l, se->data);

	a->hidden = se->hidden;
	a->blocks = se->blocks;
	a->act1 = lower_act(&se->fc1->epi);
	a->act2 = lower_act(&se->fc2->epi);
	se->w2 = pack(l, se->fc2, se->hidden, d->dims[4], 8);
	se->b1 = bias(l, se->fc1, se->hidden);
	se->b2 = bias(l, se->fc2, d->dims[4]);
}
