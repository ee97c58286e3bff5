// SPDX-License-Identifier: MIT
/*
 * GEMM with constant weights on the tensor cores. Products that read the same
 * rows (queries, keys and values) are made one: their columns side by side.
 */
#include "agent/lower/lower.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/conv_args.h"

static bool has(const struct prog_op *op, uint32_t i)
{
	return i < op->n_in && op->in[i] != PROG_NONE;
}

/* Is t a constant of one number a column? */
static bool is_row_bias(const struct lower *l, uint32_t t, int64_t n)
{
	const struct prog_tensor *b = lower_t(l, t);

	return lower_const_data(l, t) && b->elems == n && b->rank && b->dims[b->rank - 1] == n;
}

static bool fits(const struct lower *l, const struct prog_op *op)
{
	const struct prog_gemm *p = &op->params.gemm;
	const struct prog_tensor *a = lower_t(l, op->in[0]), *b = lower_t(l, op->in[1]);
	const struct prog_tensor *y = lower_t(l, op->out[0]);
	int64_t n = y->dims[y->rank - 1], k = a->dims[a->rank - 1];

	if (l->opt.mode != GPU_FP16 || a->type != BRAID_TYPE_F32 || p->trans_a)
		return false;
	if (!lower_const_data(l, op->in[1]) || b->elems != n * k)
		return false;
	if (has(op, 2) && !is_row_bias(l, op->in[2], n))
		return false;
	return lower_is_small(a) && lower_is_small(y) && y->elems / n == a->elems / k;
}

/* ---- siblings ---- */

static int64_t columns(const struct lower *l, const struct prog_op *op)
{
	const struct prog_tensor *y = lower_t(l, op->out[0]);

	return y->dims[y->rank - 1];
}

static bool may_join(const struct lower *l, const struct prog_op *op)
{
	return op->kind == PROG_GEMM && fits(l, op) && op->epi.residual == PROG_NONE &&
	       lower_storage(l, op->out[0])->place == PROG_ARENA && columns(l, op) % 8 == 0 &&
	       !l->places[lower_t(l, op->out[0])->storage].op;
}

static bool are_alike(const struct lower *l, const struct prog_op *a, const struct prog_op *b)
{
	const struct prog_tensor *x = lower_t(l, a->in[0]), *y = lower_t(l, b->in[0]);

	return x->storage == y->storage && x->rank == y->rank &&
	       !memcmp(x->dims, y->dims, x->rank * sizeof(int64_t)) && a->epi.fn == b->epi.fn &&
	       a->epi.alpha == b->epi.alpha && a->epi.beta == b->epi.beta;
}

void lower_find_siblings(struct lower *l)
{
	for (uint32_t i = 0; i < l->p->n_ops; i++) {
		const struct prog_op *op = &l->p->ops[i];
		uint32_t last = i;

		if (l->done[i] || !may_join(l, op))
			continue;
		/* All read what was there before the first of them, so all may run then. */
		for (uint32_t k = 0; k < lower_n_uses(l, op->in[0]); k++) {
			const struct prog_op *other = lower_use(l, op->in[0], k);
			uint32_t n = (uint32_t)(other - l->p->ops);

			if (n <= last || l->done[n] || !may_join(l, other) || !are_alike(l, op, other))
				continue;
			l->siblings[last] = other;
			l->done[n] = true;
			last = n;
		}
	}
}

/* ---- weights ---- */

/* op(b) turned to [n][k], times alpha, rows of @ld. */
static void pack(const struct lower *l, const struct prog_op *op, uint16_t *to, int64_t n, int64_t k,
		 int64_t ld)
{
	const struct prog_gemm *p = &op->params.gemm;
	const float *b = lower_const_data(l, op->in[1]);

	for (int64_t i = 0; i < n; i++)
		lower_halves(to + i * ld, p->trans_b ? b + i * k : b + i, k, p->trans_b ? 1 : n, p->alpha);
}

/* Weights and bias of an operation and its siblings; returns whether one has a bias. */
static bool pack_all(struct lower *l, const struct prog_op *first, int64_t n, int64_t k, int64_t ld,
		     uint32_t *w, uint32_t *bias)
{
	uint16_t *to = calloc((size_t)(n * ld), sizeof(*to));
	float *b = calloc((size_t)n, sizeof(*b));
	bool any = false;
	int64_t at = 0;

	if (!to || !b) {
		lower_nomem(l);
		goto out;
	}
	for (const struct prog_op *op = first; op; op = l->siblings[op - l->p->ops]) {
		int64_t c = columns(l, op);

		if (!l->opt.image)
			pack(l, op, to + at * ld, c, k, ld);
		if (has(op, 2)) {
			memcpy(b + at, lower_const_data(l, op->in[2]), (size_t)c * sizeof(*b));
			any = true;
		}
		at += c;
	}
	*w = lower_const(l, to, (uint64_t)(n * ld) * sizeof(*to));
	if (any)
		*bias = lower_bias(l, b, n);
out:
	free(to);
	free(b);
	return any;
}

/* Rows of all siblings' columns; each one's output is a view of them. */
static struct lower_val joined(struct lower *l, const struct prog_op *first, int64_t n)
{
	const struct prog_tensor *y = lower_t(l, first->out[0]);
	int64_t dims[LOWER_RANK], at = 0;
	struct lower_val all;

	memcpy(dims, y->dims, sizeof(dims));
	dims[y->rank - 1] = n;
	all = lower_new(l, K_F16, y->rank, dims);
	for (const struct prog_op *op = first; op; op = l->siblings[op - l->p->ops]) {
		const struct prog_tensor *t = lower_t(l, op->out[0]);
		struct lower_val v = all;

		v.rank = t->rank;
		v.off = at;
		for (uint32_t i = t->rank; i-- > 0;) {
			v.dims[i] = t->dims[i];
			v.stride[i] = i == t->rank - 1 ? 1 : i == t->rank - 2 ? n :
				      v.stride[i + 1] * t->dims[i + 1];
		}
		lower_view(l, op->out[0], &v);
		at += columns(l, op);
	}
	return all;
}

void lower_gemm(struct lower *l)
{
	const struct prog_op *op = l->op, *next = l->siblings[op - l->p->ops];
	const struct prog_tensor *y = lower_t(l, op->out[0]);
	struct k_conv a = { 0 };
	struct k_conv_shape *s = &a.s;
	struct lower_val x, all;
	uint32_t w = 0, bias = 0;
	int64_t n = 0;

	if (l->attn[op - l->p->ops]) {
		lower_attn(l);
		return;
	}
	if (lower_vec_fits(l, op)) {
		lower_vec(l);
		return;
	}
	if (!fits(l, op)) {
		lower_fma_gemm(l);
		return;
	}
	for (const struct prog_op *o = op; o; o = l->siblings[o - l->p->ops])
		n += columns(l, o);
	x = lower_read_input(l, op->in[0]);
	s->n = (k_u32)n;
	s->c = s->k = (k_u32)lower_up8(x.dims[x.rank - 1]);
	s->ldw = (s->k + K_CONV_STEP - 1) / K_CONV_STEP * K_CONV_STEP;
	s->h = s->oh = s->kh = s->kw = s->sh = s->sw = s->dh = s->dw = s->groups = s->images = 1;
	s->w = s->ow = (k_u32)(y->elems / columns(l, op));
	s->bias = pack_all(l, op, n, x.dims[x.rank - 1], s->ldw, &w, &bias);
	if (next)
		all = joined(l, op, n);
	if (!l->err)
		lower_product(l, &a, &x, w, bias, true, "gemm", next ? &all : NULL);
}
