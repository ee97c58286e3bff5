// SPDX-License-Identifier: MIT
/*
 * Which tensors of an fp16 plan are fp32 all the same: where rounding costs
 * more than elsewhere, and fp32 next to nothing.
 *
 * Factors of whole images. What a rounding is off by in one pixel is one of many
 * that add up to little further on. In a mean over an image, and in what layers
 * make of it to scale or shift channels with, it is one for all pixels, and
 * nothing averages it out. These are vectors, so weights too are fp32
 * (lower_vec.c). Squeeze-excite that is found between a depthwise convolution
 * and a 1x1 one (fuse_se.c) has fp32 inside and fp16 weights, their sums kept.
 *
 * Squares. fp16 reaches down to 6e-8, but with all of its digits only to 6e-5,
 * which is 0.008 squared: powers of a spectrum are fp32, and what is added up of
 * them, until a root brings them back.
 */
#include "agent/lower/lower.h"

#include <math.h>
#include <stdlib.h>

static bool *wide_of(const struct lower *l, uint32_t t)
{
	return &l->wide[lower_t(l, t)->storage];
}

/* May it be? Tenants' tensors have their own types, parts of concatenations lie among others. */
static void set_wide(struct lower *l, uint32_t t)
{
	if (lower_storage(l, t)->place == PROG_ARENA && lower_t(l, t)->type == BRAID_TYPE_F32 &&
	    !l->places[lower_t(l, t)->storage].op)
		*wide_of(l, t) = true;
}

/* ---- factors of images ---- */

bool lower_is_vector(const struct prog_tensor *t)
{
	return t->rank >= 2 && t->elems == t->dims[t->rank - 1];
}

/* Constant weights over a vector, no groups. */
static bool is_layer(const struct lower *l, const struct prog_op *op)
{
	const struct prog_tensor *x = lower_t(l, op->in[0]), *y = lower_t(l, op->out[0]);

	if (op->kind == PROG_CONV) {
		if (op->params.conv.group != 1)
			return false;
		/* With a border before it the one output may be of nothing but border. */
		for (int i = 0; i < 3; i++)
			if (op->params.conv.win.pad_lo[i])
				return false;
	} else if (op->kind != PROG_GEMM || op->params.gemm.trans_a) {
		return false;
	}
	return lower_is_vector(x) && lower_is_vector(y) && lower_const_data(l, op->in[1]) &&
	       lower_t(l, op->in[1])->elems == x->elems * y->elems && x->elems <= LOWER_VEC_MAX &&
	       (op->n_in < 3 || op->in[2] == PROG_NONE ||
		(lower_const_data(l, op->in[2]) && lower_t(l, op->in[2])->elems == y->elems));
}

/* Layers and functions between a mean and what it scales, at most: files may be hostile. */
#define MAX_WAY		64

/* What is known of operations: are they on the way from a mean? */
enum way { WAY_NEW, WAY_OFF, WAY_ON };

struct search {
	struct lower *l;
	const uint32_t *writer;
	uint8_t *way;		/* enum way, by operation */
};

/*
 * Is vector @t made of a mean over pixels, by layers and functions? All on the
 * way is marked if so.
 */
static bool trace(struct search *s, uint32_t t, uint32_t left)
{
	struct lower *l = s->l;
	const struct prog_op *op;
	bool found = false;
	uint32_t w = s->writer[lower_t(l, t)->storage];

	if (w == LOWER_NONE || !left || l->done[w] || l->siblings[w] || l->attn[w])
		return false;
	op = &l->p->ops[w];
	if (s->way[w] || !lower_is_vector(lower_t(l, op->out[0])))
		return s->way[w] == WAY_ON;
	if (lower_is_mean(l, op))
		found = !lower_is_vector(lower_t(l, op->in[0]));
	else if (op->kind == PROG_UNARY || is_layer(l, op))
		found = trace(s, op->in[0], left - 1);
	else if (op->kind == PROG_BINARY)
		for (int k = 0; k < 2 && !found; k++)
			found = trace(s, op->in[k], left - 1);
	s->way[w] = found ? WAY_ON : WAY_OFF;
	if (found)
		set_wide(l, op->out[0]);
	return found;
}

static void find_factors(struct lower *l, const uint32_t *writer)
{
	struct search s = { .l = l, .writer = writer, .way = calloc(l->p->n_ops + 1, 1) };

	if (!s.way)
		lower_nomem(l);
	for (uint32_t i = 0; i < l->p->n_ops && !l->err; i++) {
		const struct prog_op *op = &l->p->ops[i];

		if (l->done[i] || op->kind != PROG_BINARY || lower_is_vector(lower_t(l, op->out[0])))
			continue;
		for (int k = 0; k < 2; k++)
			if (lower_is_vector(lower_t(l, op->in[k])))
				trace(&s, op->in[k], MAX_WAY);
	}
	free(s.way);
}

/* ---- squares ---- */

static bool is_square(const struct lower *l, const struct prog_op *op)
{
	const float *e;

	if (op->kind == PROG_REDUCE)
		return op->params.reduce.fn == PROG_RED_SUM_SQUARE;
	if (op->kind != PROG_BINARY)
		return false;
	if (op->params.binary == PROG_BIN_MUL)
		return lower_t(l, op->in[0])->storage == lower_t(l, op->in[1])->storage;
	if (op->params.binary != PROG_BIN_POW || lower_t(l, op->out[0])->type != BRAID_TYPE_F32)
		return false;
	e = lower_t(l, op->in[1])->type == BRAID_TYPE_F32 ? lower_const_data(l, op->in[1]) : NULL;
	return !e || fabsf(*e) > 1.0f;
}

static bool reads_wide(const struct lower *l, const struct prog_op *op)
{
	bool wide = op->epi.residual != PROG_NONE && *wide_of(l, op->epi.residual);

	for (uint32_t k = 0; k < op->n_in; k++)
		wide |= op->in[k] != PROG_NONE && *wide_of(l, op->in[k]);
	return wide;
}

/* Is what it makes of squares as small or large as they are? */
static bool keeps_range(const struct prog_op *op)
{
	switch (op->kind) {
	case PROG_UNARY:
		return op->params.unary.fn != PROG_FN_SQRT && op->params.unary.fn != PROG_FN_LOG;
	case PROG_BINARY:
		return op->params.binary != PROG_BIN_DIV && op->params.binary != PROG_BIN_POW;
	case PROG_REDUCE:
		return op->params.reduce.fn != PROG_RED_L2 && op->params.reduce.fn != PROG_RED_LOG_SUM;
	case PROG_SLICE:
	case PROG_TRANSPOSE:
	case PROG_COPY:
	case PROG_PAD:
	case PROG_EXPAND:
		return true;
	default:
		return false;
	}
}

void lower_find_wide(struct lower *l, const uint32_t *writer)
{
	if (l->opt.mode != GPU_FP16)
		return;
	for (uint32_t i = 0; i < l->p->n_ops; i++) {
		const struct prog_op *op = &l->p->ops[i];

		if (!l->done[i] && (is_square(l, op) || (keeps_range(op) && reads_wide(l, op))))
			set_wide(l, op->out[0]);
	}
	find_factors(l, writer);
}
