// SPDX-License-Identifier: MIT
/*
 * A program to a plan, and a plan's steps to launches.
 *
 * Owns the tables of kinds; the private part of a plan is the lowering's steps
 * and buffers, immutable.
 */
#include "agent/cuda/plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/lower/lower.h"
#include "agent/lower/tiles.h"

/**
 * struct gpu_plan_priv - what gpu_step_bind() reads
 * @steps: arguments and references
 * @bufs: where tensors are
 * @chunks: memory of all strings and arguments
 * @need: [degree - 1][slot]: scratch
 * @packed: the image, if it was packed here
 */
struct gpu_plan_priv {
	struct lower_step *steps;
	struct lower_buf *bufs;
	struct lower_chunk *chunks;
	uint32_t n_bufs, n_slots;
	struct lower_scratch *need;
	void *packed;
};

#define MAX_SLOTS	LOWER_MAX_SLOTS

static const uint32_t default_degrees[] = { 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 24, 32 };

static void (*const lowerings[PROG_KINDS])(struct lower *l) = {
	[PROG_CONV] = lower_conv,
	[PROG_CONV_TRANSPOSE] = lower_fma_conv,
	[PROG_GEMM] = lower_gemm,
	[PROG_POOL] = lower_pool,
	[PROG_REDUCE] = lower_reduce,
	[PROG_ARGREDUCE] = lower_argreduce,
	[PROG_UNARY] = lower_unary,
	[PROG_BINARY] = lower_binary,
	[PROG_WHERE] = lower_where,
	[PROG_CAST] = lower_cast,
	[PROG_SOFTMAX] = lower_softmax,
	[PROG_NORM] = lower_norm,
	[PROG_LRN] = lower_lrn,
	[PROG_TRANSPOSE] = lower_transpose,
	[PROG_COPY] = lower_copy_op,
	[PROG_SLICE] = lower_slice,
	[PROG_CONCAT] = lower_concat,
	[PROG_PAD] = lower_pad,
	[PROG_EXPAND] = lower_expand,
	[PROG_TILE] = lower_tile,
	[PROG_GATHER] = lower_gather,
	[PROG_GATHER_ELEMENTS] = lower_gather_elements,
	[PROG_GATHER_ND] = lower_gather_nd,
	[PROG_SCATTER_ELEMENTS] = lower_scatter,
	[PROG_SCATTER_ND] = lower_scatter,
	[PROG_RESIZE] = lower_resize,
	[PROG_CUMSUM] = lower_cumsum,
	[PROG_TOPK] = lower_topk,
	[PROG_ONEHOT] = lower_onehot,
	[PROG_TRILU] = lower_trilu,
	[PROG_RNN] = lower_rnn,
	[PROG_QUANTIZE] = lower_quant,
	[PROG_DEQUANTIZE] = lower_quant,
};

static bool options_ok(struct lower *l, const struct gpu_options *opt)
{
	l->opt = *opt;
	l->opt.n_sms = tile_sms(&l->opt);
	if (!l->opt.degrees) {
		l->opt.degrees = default_degrees;
		l->opt.n_degrees = sizeof(default_degrees) / sizeof(*default_degrees);
	}
	if (l->opt.n_degrees < 1 || l->opt.n_degrees > GPU_MAX_DEGREES || l->opt.sm < 75)
		return false;
	for (uint32_t i = 0; i < l->opt.n_degrees; i++) {
		l->degrees[i] = l->opt.degrees[i];
		if (l->degrees[i] < 1 || l->degrees[i] > GPU_MAX_DEGREE ||
		    (i && l->degrees[i] <= l->degrees[i - 1]))
			return false;
	}
	l->opt.degrees = l->degrees;
	return true;
}

/* The operation that writes each storage. */
static uint32_t *writers(const struct program *p)
{
	uint32_t *writer = malloc((p->n_storages + 1) * sizeof(*writer));

	for (uint32_t i = 0; writer && i < p->n_storages; i++)
		writer[i] = LOWER_NONE;
	for (uint32_t i = 0; writer && i < p->n_ops; i++)
		for (uint32_t k = 0; k < p->ops[i].n_out; k++)
			if (p->ops[i].out[k] != PROG_NONE)
				writer[p->tensors[p->ops[i].out[k]].storage] = i;
	return writer;
}

static void lower_all(struct lower *l)
{
	const struct program *p = l->p;
	uint32_t *writer = writers(p);

	l->vals = calloc(p->n_storages + 1, sizeof(*l->vals));
	l->const_bufs = malloc((p->n_storages + 1) * sizeof(*l->const_bufs));
	l->done = calloc(p->n_ops + 1, sizeof(*l->done));
	l->wide = calloc(p->n_storages + 1, sizeof(*l->wide));
	l->se = calloc(p->n_ops + 1, sizeof(*l->se));
	l->places = calloc(p->n_storages + 1, sizeof(*l->places));
	l->expand = calloc(p->n_ops + 1, sizeof(*l->expand));
	l->attn = calloc(p->n_ops + 1, sizeof(*l->attn));
	l->siblings = calloc(p->n_ops + 1, sizeof(*l->siblings));
	if (!writer || !l->expand || !l->attn || !l->siblings || !l->vals || !l->const_bufs || !l->done || !l->wide || !l->se || !l->places ||
	    !lower_index_uses(l)) {
		free(writer);
		lower_nomem(l);
		return;
	}
	for (uint32_t i = 0; i < p->n_storages; i++) {
		l->vals[i].buf = LOWER_NONE;
		l->const_bufs[i] = LOWER_NONE;
	}
	if (!l->opt.no_fusion) {
		lower_find_concats(l, writer);
		lower_find_se(l);
		lower_find_mb(l, writer);
		lower_find_attn(l);
		lower_find_siblings(l);
	}
	if (!l->err)
		lower_find_wide(l, writer);
	free(writer);
	for (uint32_t i = 0; i < p->n_ops && !l->err; i++) {
		l->op = &p->ops[i];
		if (!l->done[i])
			lowerings[l->op->kind](l);
	}
	l->op = NULL;
	lower_finish(l);
}

static bool count_scratch(struct gpu_plan *plan, uint32_t n_slots);

static struct gpu_plan *make(struct lower *l)
{
	struct gpu_plan *plan = calloc(1, sizeof(*plan));

	if (plan) {
		plan->priv = calloc(1, sizeof(*plan->priv));
		plan->steps = calloc(l->n_steps + 1, sizeof(*plan->steps));
	}
	if (!plan || !plan->priv || !plan->steps) {
		gpu_plan_free(plan);
		return NULL;
	}
	for (uint32_t i = 0; i < l->n_steps; i++)
		plan->steps[i] = l->steps[i].pub;
	plan->n_steps = l->n_steps;
	plan->kernels = l->kernels;
	plan->n_kernels = l->n_kernels;
	plan->image = l->opt.image ? (void *)l->opt.image : l->image;
	plan->image_bytes = l->image_bytes;
	plan->arena_bytes = l->arena_bytes;
	plan->n_inputs = l->p->n_inputs;
	plan->n_outputs = l->p->n_outputs;
	plan->max_degree = GPU_MAX_DEGREE;
	plan->priv->packed = l->image;
	plan->priv->steps = l->steps;
	plan->priv->bufs = l->bufs;
	plan->priv->n_bufs = l->n_bufs;
	plan->priv->chunks = l->chunks;
	if (!count_scratch(plan, l->n_slots)) {
		/* The lowering still owns the rest. */
		free(plan->priv);
		free(plan->steps);
		free(plan);
		return NULL;
	}
	return plan;
}

int gpu_plan_make(const struct program *p, const struct gpu_options *opt,
		  struct gpu_plan **plan, char *why, size_t len)
{
	struct lower *l = calloc(1, sizeof(*l));
	int err;

	if (why && len)
		why[0] = '\0';
	if (!l)
		return -ENOMEM;
	l->p = p;
	l->why = why;
	l->why_len = len;
	if (!options_ok(l, opt)) {
		if (why && len)
			snprintf(why, len, "options of the plan: degrees or compute capability");
		free(l);
		return -EINVAL;
	}
	lower_all(l);
	err = l->err;
	if (!err && l->opt.image && l->image_bytes != l->opt.image_bytes)
		err = -ESTALE;
	if (!err) {
		*plan = make(l);
		err = *plan ? 0 : -ENOMEM;
	}
	free(l->vals);
	free(l->const_bufs);
	free(l->done);
	free(l->wide);
	free(l->first_use);
	free(l->use);
	free(l->se);
	free(l->places);
	free(l->expand);
	free(l->attn);
	free(l->siblings);
	if (err) {
		lower_chunks_free(l->chunks);
		free(l->steps);
		free(l->bufs);
		free(l->kernels);
		free(l->image);
	}
	free(l);
	return err;
}

void gpu_plan_free(struct gpu_plan *plan)
{
	if (!plan)
		return;
	if (plan->priv) {
		lower_chunks_free(plan->priv->chunks);
		free(plan->priv->steps);
		free(plan->priv->bufs);
		free(plan->priv->need);
		free(plan->priv->packed);
	}
	free(plan->priv);
	free(plan->kernels);
	free(plan->steps);
	free(plan);
}

/* ---- scratch: counters of all slots, then their sums ---- */

/* The most that steps of each slot need; counters at any degree, sums up to this one. */
static void slots_at(const struct gpu_plan *plan, uint32_t degree, uint64_t *sums, uint64_t *zero)
{
	const struct gpu_plan_priv *priv = plan->priv;
	uint64_t at = 0, total = 0;

	for (uint32_t i = 0; i < priv->n_slots; i++) {
		sums[i] = total;
		total += (priv->need[(degree - 1) * priv->n_slots + i].bytes + 255) / 256 * 256;
		zero[i] = at;
		at += (priv->need[(plan->max_degree - 1) * priv->n_slots + i].zero + 255) / 256 * 256;
	}
	sums[priv->n_slots] = total;
	zero[priv->n_slots] = at;
}

uint64_t gpu_plan_scratch(const struct gpu_plan *plan, uint32_t degree, uint64_t *zero)
{
	uint64_t sums[MAX_SLOTS + 1], counters[MAX_SLOTS + 1];
	uint32_t n = plan->priv->n_slots;

	slots_at(plan, degree, sums, counters);
	if (zero)
		*zero = counters[n];
	return counters[n] + sums[n];
}

static void bind_scratch(const struct gpu_plan *plan, const struct lower_step *s, uint32_t degree,
			 const struct gpu_addresses *at, uint8_t *args)
{
	uint64_t sums[MAX_SLOTS + 1], counters[MAX_SLOTS + 1];
	k_u64 to[2];

	if (!s->scratch)
		return;
	slots_at(plan, degree, sums, counters);
	to[0] = at->scratch + counters[plan->priv->n_slots] + sums[s->slot];
	to[1] = at->scratch + counters[s->slot];
	memcpy(args + s->scratch_at, to, sizeof(to));
}

/* What every slot needs at every degree; no less than at a lower one. */
static bool count_scratch(struct gpu_plan *plan, uint32_t n_slots)
{
	struct gpu_plan_priv *priv = plan->priv;

	priv->n_slots = n_slots;
	priv->need = calloc((size_t)plan->max_degree * n_slots + 1, sizeof(*priv->need));
	if (!priv->need)
		return false;
	for (uint32_t d = 1; d <= plan->max_degree; d++) {
		struct lower_scratch *need = priv->need + (size_t)(d - 1) * n_slots;

		for (uint32_t i = 0; d > 1 && i < n_slots; i++)
			need[i] = need[(int)i - (int)n_slots];
		for (uint32_t i = 0; i < plan->n_steps; i++) {
			const struct lower_step *s = &priv->steps[i];
			struct lower_scratch n;

			if (!s->scratch)
				continue;
			n = s->scratch(s, d);
			if (need[s->slot].zero < n.zero)
				need[s->slot].zero = n.zero;
			if (need[s->slot].bytes < n.bytes)
				need[s->slot].bytes = n.bytes;
		}
	}
	return true;
}

/* ---- binding ---- */

static void bind_ref(const struct gpu_plan *plan, const struct lower_ref *r, uint32_t degree,
		     const struct gpu_addresses *at, uint8_t *args)
{
	const struct lower_buf *b = &plan->priv->bufs[r->buf];
	k_u64 base = at->weights + b->offset;
	struct k_ref *ref;

	if (b->place == BUF_ARENA)
		base = at->arena + degree * b->offset;
	if (r->form == LOWER_ADDRESS) {
		base += (k_u64)r->off;
		memcpy(args + r->at, &base, sizeof(base));
		return;
	}
	ref = (struct k_ref *)(args + r->at);
	ref->off = (k_u64)r->off;
	ref->table = 0;
	switch (b->place) {
	case BUF_ARENA:
		ref->at = base;
		ref->step = (k_u32)b->bytes;
		break;
	case BUF_CONST:
		ref->at = base;
		ref->step = 0;
		break;
	default:
		ref->at = at->io + (b->index + (b->place == BUF_OUTPUT ? plan->n_inputs : 0)) * 8;
		ref->step = (plan->n_inputs + plan->n_outputs) * 8;
		ref->table = 1;
	}
}

int gpu_step_bind(const struct gpu_plan *plan, uint32_t step, uint32_t degree,
		  const struct gpu_addresses *at, struct gpu_launch *out)
{
	const struct lower_step *s = &plan->priv->steps[step];

	if (degree < 1 || degree > plan->max_degree)
		return -EINVAL;
	memcpy(out->args, s->args, s->args_bytes);
	out->args_bytes = s->args_bytes;
	out->kernel = s->kernel;
	for (uint32_t i = 0; i < s->n_refs; i++)
		bind_ref(plan, &s->refs[i], degree, at, out->args);
	if (s->bind) {
		s->bind(s, degree, out->args, out);
		bind_scratch(plan, s, degree, at, out->args);
		return 0;
	}
	memcpy(out->args + s->degree_at, &degree, sizeof(degree));
	out->grid = s->grid * degree;
	return 0;
}
