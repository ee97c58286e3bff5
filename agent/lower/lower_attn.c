// SPDX-License-Identifier: MIT
/*
 * Attention: product, softmax and product found in a program and made one
 * (kernels/attn.cuh). A transposition behind it, which puts heads together
 * again, is done by where the results are written.
 */
#include "agent/lower/lower.h"

#include <string.h>

#include "kernels/attn_args.h"

static bool same_storage(const struct lower *l, uint32_t a, uint32_t b)
{
	return lower_t(l, a)->storage == lower_t(l, b)->storage;
}

static bool plain(const struct prog_op *op)
{
	return op->epi.fn == PROG_FN_NONE && op->epi.residual == PROG_NONE;
}

static bool has(const struct prog_op *op, uint32_t i)
{
	return i < op->n_in && op->in[i] != PROG_NONE;
}

/* Matrices of heads with none or two axes before them, no broadcast among operands. */
static bool is_heads(const struct lower *l, const struct prog_op *op)
{
	const struct prog_tensor *a = lower_t(l, op->in[0]), *b = lower_t(l, op->in[1]);
	const struct prog_tensor *y = lower_t(l, op->out[0]);

	if (a->type != BRAID_TYPE_F32 || a->rank != y->rank || b->rank != y->rank || y->rank > 4 || y->rank < 3)
		return false;
	return !memcmp(a->dims, y->dims, (y->rank - 2) * sizeof(int64_t)) &&
	       !memcmp(b->dims, y->dims, (y->rank - 2) * sizeof(int64_t));
}

void lower_find_attn(struct lower *l)
{
	for (uint32_t i = 0; i < l->p->n_ops; i++) {
		const struct prog_op *qk = &l->p->ops[i], *soft, *pv;
		const struct prog_tensor *q, *s;
		int64_t d;

		if (qk->kind != PROG_GEMM || l->opt.mode != GPU_FP16 || !plain(qk) ||
		    qk->params.gemm.trans_a || lower_const_data(l, qk->in[1]) || !is_heads(l, qk))
			continue;
		soft = lower_only_use(l, qk->out[0]);
		if (!soft || soft->kind != PROG_SOFTMAX || soft->params.softmax.kind != PROG_SOFTMAX_PLAIN ||
		    soft->params.softmax.n_axes != 1 ||
		    soft->params.softmax.axis != (int32_t)lower_t(l, soft->in[0])->rank - 1)
			continue;
		pv = lower_only_use(l, soft->out[0]);
		if (!pv || pv->kind != PROG_GEMM || !plain(pv) || has(pv, 2) || pv->params.gemm.trans_a ||
		    pv->params.gemm.trans_b || pv->params.gemm.alpha != 1.0f || !is_heads(l, pv) ||
		    !same_storage(l, pv->in[0], soft->out[0]) || same_storage(l, pv->in[1], soft->out[0]))
			continue;
		q = lower_t(l, qk->in[0]);
		s = lower_t(l, soft->in[0]);
		d = q->dims[q->rank - 1];
		/* One view of the scores all along, heads as wide as their values. */
		if (memcmp(s->dims, lower_t(l, qk->out[0])->dims, s->rank * sizeof(int64_t)) ||
		    memcmp(s->dims, lower_t(l, pv->in[0])->dims, s->rank * sizeof(int64_t)) ||
		    lower_t(l, pv->out[0])->dims[q->rank - 1] != d || d % 8 || d > 128)
			continue;
		l->attn[pv - l->p->ops] = qk;
		l->done[i] = l->done[soft - l->p->ops] = true;
	}
}

/* The operand as heads [n][h][t][d], rows whole and aligned for cp.async. */
static struct lower_val operand(struct lower *l, uint32_t t, bool turned)
{
	struct lower_val v = lower_read(l, t);
	uint32_t r = v.rank;
	bool fits;

	if (l->err)
		return v;
	if (turned) {
		int64_t dim = v.dims[r - 1], stride = v.stride[r - 1];

		v.dims[r - 1] = v.dims[r - 2];
		v.stride[r - 1] = v.stride[r - 2];
		v.dims[r - 2] = dim;
		v.stride[r - 2] = stride;
	}
	v.padded = false;
	fits = v.type == K_F16 && l->bufs[v.buf].place == BUF_ARENA && v.stride[r - 1] == 1 && v.off % 8 == 0;
	for (uint32_t i = 0; i + 1 < r; i++)
		fits = fits && (v.dims[i] == 1 || v.stride[i] % 8 == 0);
	return fits ? v : lower_copy(l, &v, K_F16);
}

/* A stride of an axis counted from the end, 0 where there is none or one. */
static k_i32 stride_of(const struct lower_val *v, uint32_t back)
{
	if (back > v->rank || v->dims[v->rank - back] == 1)
		return 0;
	return (k_i32)v->stride[v->rank - back];
}

/* Where results go: straight into the transposition that follows, if one does. */
static struct lower_val result(struct lower *l, const struct prog_op *pv)
{
	const struct prog_op *t = lower_only_use(l, pv->out[0]);
	struct lower_val y, v;

	if (!t || t->kind != PROG_TRANSPOSE || !same_storage(l, t->in[0], pv->out[0]) ||
	    lower_t(l, t->in[0])->rank != lower_t(l, pv->out[0])->rank ||
	    memcmp(lower_t(l, t->in[0])->dims, lower_t(l, pv->out[0])->dims,
		   lower_t(l, pv->out[0])->rank * sizeof(int64_t)) ||
	    t->params.perm[lower_t(l, t->in[0])->rank - 1] != lower_t(l, t->in[0])->rank - 1)
		return lower_write(l, pv->out[0]);
	y = lower_write(l, t->out[0]);
	v = y;
	for (uint32_t i = 0; i < y.rank; i++) {
		v.dims[t->params.perm[i]] = y.dims[i];
		v.stride[t->params.perm[i]] = y.stride[i];
	}
	l->done[t - l->p->ops] = true;
	return v;
}

void lower_attn(struct lower *l)
{
	const struct prog_op *pv = l->op, *qk = l->attn[pv - l->p->ops];
	struct lower_val q = operand(l, qk->in[0], false);
	struct lower_val k = operand(l, qk->in[1], !qk->params.gemm.trans_b);
	struct lower_val v = operand(l, pv->in[1], false), bias, y;
	struct k_attn a = { .alpha = qk->params.gemm.alpha, .has_bias = has(qk, 2) };
	struct lower_step *s;
	uint32_t r = q.rank, width;

	if (a.has_bias) {
		bias = lower_read(l, qk->in[2]);
		a.b_n = stride_of(&bias, 4);
		a.b_h = stride_of(&bias, 3);
		a.b_q = stride_of(&bias, 2);
		a.b_k = stride_of(&bias, 1);
	}
	y = result(l, pv);
	if (l->err)
		return;
	a.q_n = stride_of(&q, 4);
	a.q_h = stride_of(&q, 3);
	a.q_t = (k_i32)q.stride[r - 2];
	a.k_n = stride_of(&k, 4);
	a.k_h = stride_of(&k, 3);
	a.k_t = (k_i32)k.stride[r - 2];
	a.v_n = stride_of(&v, 4);
	a.v_h = stride_of(&v, 3);
	a.v_t = (k_i32)v.stride[r - 2];
	a.y_n = stride_of(&y, 4);
	a.y_h = stride_of(&y, 3);
	a.y_t = (k_i32)y.stride[r - 2];
	a.n = r == 4 ? (k_u32)q.dims[0] : 1;
	a.heads = (k_u32)q.dims[r - 3];
	a.tq = (k_u32)q.dims[r - 2];
	a.tk = (k_u32)k.dims[r - 2];
	a.d = (k_u32)q.dims[r - 1];
	width = a.d <= 16 ? 16 : a.d <= 32 ? 32 : a.d <= 64 ? 64 : 128;
	s = LOWER_STEP(l, "attention",
		       width == 16 ? "braid_attn_16" : width == 32 ? "braid_attn_32" :
		       width == 64 ? "braid_attn_64" : "braid_attn_128", K_ATTN_SMEM(width), a,
		       (uint64_t)a.n * a.heads * ((a.tq + K_ATTN_ROWS - 1) / K_ATTN_ROWS));
	LOWER_READ(l, s, struct k_attn, q, &q);
	LOWER_READ(l, s, struct k_attn, k, &k);
	LOWER_READ(l, s, struct k_attn, v, &v);
	if (a.has_bias)
		LOWER_READ(l, s, struct k_attn, bias, &bias);
	LOWER_WRITE(l, s, struct k_attn, y, &y);
}
