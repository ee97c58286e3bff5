// SPDX-License-Identifier: MIT
/*
 * Constant folding: what depends on constants alone is made a program of its
 * own, run here and now by the CPU backend's evaluator, and replaced by its
 * result. Bounded in work and memory; what exceeds the bounds stays as it is.
 */
#include "agent/program/build.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cpu/eval.h"

/* Work is counted in elements read, written and multiplied, roughly. */
#define FOLD_MAX_WORK	(1ull << 32)	/* of one builder, all in all */
#define FOLD_MAX_BYTES	(1ull << 30)	/* of one call's results and scratch */

/*
 * @is: operation (from @first) -> will be folded
 * @base: the least tensor that an operation from @first on writes; tensors are
 *        counted from here below, so that folding one node costs one node
 * @made: tensor -> it is made by an operation that will be folded
 * @copy: tensor -> its number in the program that is run
 */
struct fold {
	struct build *b, *sub;
	uint32_t first, base;
	bool *is, *made;
	uint32_t *copy, *results;
	uint32_t n_results;
};

static uint64_t bytes_of(const struct build_tensor *t)
{
	return (uint64_t)t->elems * prog_type_size(t->type);
}

/* Saturating, so that a hostile shape counts as too much. */
static uint64_t work_of(const struct build *b, const struct prog_op *op)
{
	uint64_t sum = 0, per = 1, w;

	for (uint32_t i = 0; i < op->n_in; i++)
		if (op->in[i] != PROG_NONE)
			sum += build_t(b, op->in[i])->elems;
	switch (op->kind) {
	case PROG_CONV:
	case PROG_CONV_TRANSPOSE:
	case PROG_RNN:
		per = op->in[1] == PROG_NONE ? 1 : build_t(b, op->in[1])->elems;
		break;
	case PROG_GEMM:
		per = build_t(b, op->in[0])->dims[build_t(b, op->in[0])->rank -
						  (op->params.gemm.trans_a ? 2 : 1)];
		break;
	case PROG_POOL:
		per = (uint64_t)op->params.pool.win.kernel[0] * op->params.pool.win.kernel[1] *
		      op->params.pool.win.kernel[2];
		break;
	case PROG_TOPK:
	case PROG_LRN:
	case PROG_RESIZE:
		per = 64;
		break;
	default:
		break;
	}
	for (uint32_t i = 0; i < op->n_out; i++) {
		if (op->out[i] == PROG_NONE)
			continue;
		if (__builtin_mul_overflow((uint64_t)build_t(b, op->out[i])->elems, per, &w) ||
		    __builtin_add_overflow(sum, w, &sum))
			return UINT64_MAX;
	}
	return sum;
}

static bool is_constant(const struct fold *f, uint32_t t)
{
	return t == PROG_NONE || (t >= f->base && f->made[t - f->base]) || build_is_const(f->b, t);
}

/* Which operations can go, within the bounds. */
static bool choose(struct fold *f)
{
	struct build *b = f->b;
	uint64_t bytes = 0;
	bool any = false;

	for (uint32_t v = f->first; v < b->n_ops; v++) {
		const struct prog_op *op = b->ops[v];
		bool all = op->kind != BUILD_DEAD && op->epi.residual == PROG_NONE;
		uint64_t work, more = 0;

		for (uint32_t i = 0; i < op->n_in && all; i++)
			all = is_constant(f, op->in[i]);
		if (!all)
			continue;
		work = op->kind == BUILD_VIEW ? 0 : work_of(b, op);
		for (uint32_t i = 0; i < op->n_out; i++)
			if (op->out[i] != PROG_NONE)
				more += bytes_of(build_t(b, op->out[i]));
		if (work > FOLD_MAX_WORK - b->fold_work || more > FOLD_MAX_BYTES - bytes)
			continue;
		b->fold_work += work;
		bytes += more;
		f->is[v - f->first] = true;
		any = true;
		for (uint32_t i = 0; i < op->n_out; i++)
			if (op->out[i] != PROG_NONE)
				f->made[op->out[i] - f->base] = true;
	}
	return any;
}

static void want(struct fold *f, uint32_t t)
{
	if (t == PROG_NONE || t < f->base || !f->made[t - f->base])
		return;
	f->made[t - f->base] = false;	/* once */
	f->results[f->n_results++] = t;
}

static uint32_t copy_of(struct fold *f, uint32_t t)
{
	const struct build_tensor *x = build_t(f->b, t);

	if (t == PROG_NONE)
		return PROG_NONE;
	if (x->from == BUILD_FROM_CONST)
		return build_const_ref(f->sub, x->type, x->rank, x->dims, x->data);
	if (f->copy[t - f->base] == PROG_NONE)
		f->copy[t - f->base] = build_tensor(f->sub, x->type, x->rank, x->dims);
	return f->copy[t - f->base];
}

static void copy_op(struct fold *f, const struct prog_op *op)
{
	uint32_t *in = build_alloc(f->sub, op->n_in * sizeof(*in));
	struct prog_op *q;
	uint32_t *out;

	if (!in)
		return;
	for (uint32_t i = 0; i < op->n_in; i++)
		in[i] = copy_of(f, op->in[i]);
	q = build_op(f->sub, op->kind, op->n_in, in, op->n_out);
	if (f->sub->err)
		return;
	in = q->in;
	out = q->out;
	*q = *op;
	q->in = in;
	q->out = out;
	for (uint32_t i = 0; i < op->n_out; i++) {
		out[i] = copy_of(f, op->out[i]);
		if (out[i] != PROG_NONE && !f->sub->err) {
			build_t(f->sub, out[i])->from = BUILD_FROM_OP;
			build_t(f->sub, out[i])->def = q;
		}
	}
}

/* Run the copy; 1: the evaluator can't do it, leave everything as it was. */
static int run(struct fold *f, void **data)
{
	struct program *p = NULL;
	char why[256] = "";
	int ret;

	for (uint32_t i = 0; i < f->n_results; i++)
		build_output(f->sub, "", copy_of(f, f->results[i]));
	ret = build_finish(f->sub, &p);
	if (ret) {
		build_fail(f->b, ret, "%s", f->sub->why);
		return ret;
	}
	for (uint32_t i = 0; i < f->n_results; i++) {
		const struct build_tensor *x = build_t(f->b, f->results[i]);

		if (bytes_of(x) > f->b->max_const_bytes - f->b->const_bytes) {
			build_fail(f->b, -EINVAL, "computed constants take more than %llu bytes",
				   (unsigned long long)f->b->max_const_bytes);
			break;
		}
		data[i] = build_alloc(f->b, bytes_of(x));
		f->b->const_bytes += bytes_of(x);
	}
	ret = f->b->err;
	if (!ret && p->arena_bytes > FOLD_MAX_BYTES)
		ret = 1;
	if (!ret) {
		ret = cpu_eval(p, NULL, data, why, sizeof(why));
		if (ret == -EOPNOTSUPP)
			ret = 1;
		else if (ret)
			build_fail(f->b, ret, "computing a constant: %s", why);
	}
	program_free(p);
	return ret;
}

static void replace(struct fold *f, void *const *data)
{
	struct build *b = f->b;
	uint32_t kept = f->first;

	for (uint32_t v = f->first; v < b->n_ops; v++) {
		struct prog_op *op = b->ops[v];

		if (!f->is[v - f->first]) {
			b->ops[kept++] = op;
			continue;
		}
		for (uint32_t i = 0; i < op->n_out; i++) {
			if (op->out[i] == PROG_NONE)
				continue;
			build_t(b, op->out[i])->from = BUILD_FROM_NOTHING;
			build_t(b, op->out[i])->def = NULL;
		}
		op->kind = BUILD_DEAD;
	}
	b->n_ops = kept;
	for (uint32_t i = 0; i < f->n_results; i++) {
		struct build_tensor *x = build_t(b, f->results[i]);

		x->from = BUILD_FROM_CONST;
		x->data = data[i];
	}
}

void build_fold(struct build *b, uint32_t first, uint32_t n_keep, const uint32_t *keep)
{
	struct fold f = { .b = b, .first = first, .base = PROG_NONE };
	void **data = NULL;
	uint32_t n;

	if (b->err || first >= b->n_ops)
		return;
	for (uint32_t v = first; v < b->n_ops; v++)
		for (uint32_t i = 0; i < b->ops[v]->n_out; i++)
			if (b->ops[v]->out[i] < f.base)
				f.base = b->ops[v]->out[i];
	if (f.base == PROG_NONE)
		return;
	n = b->n_tensors - f.base;
	f.is = calloc(b->n_ops - first, sizeof(*f.is));
	f.made = calloc(n, sizeof(*f.made));
	if (!f.is || !f.made)
		goto no_memory;
	if (!choose(&f))
		goto out;
	f.results = malloc(n * sizeof(*f.results));
	f.copy = malloc(n * sizeof(*f.copy));
	data = calloc(n, sizeof(*data));
	f.sub = build_new();
	if (!f.results || !f.copy || !data || !f.sub)
		goto no_memory;
	memset(f.copy, 0xff, n * sizeof(*f.copy));
	for (uint32_t v = first; v < b->n_ops; v++)
		if (f.is[v - first])
			copy_op(&f, b->ops[v]);
	/* What stays and reads it, or the caller, needs a result. */
	for (uint32_t v = first; v < b->n_ops; v++) {
		if (f.is[v - first])
			continue;
		for (uint32_t i = 0; i < b->ops[v]->n_in; i++)
			want(&f, b->ops[v]->in[i]);
		want(&f, b->ops[v]->epi.residual);
	}
	for (uint32_t i = 0; i < n_keep; i++)
		want(&f, keep[i]);
	for (uint32_t i = 0; i < b->n_outputs; i++)
		want(&f, b->outputs[i].tensor);
	if (f.sub->err)
		build_fail(b, f.sub->err, "%s", f.sub->why);
	else if (!f.n_results || !run(&f, data))
		replace(&f, data);
	goto out;

no_memory:
	build_fail(b, -ENOMEM, "out of memory");
out:
	build_free(f.sub);
	free(f.is);
	free(f.made);
	free(f.results);
	free(f.copy);
	free(data);
}
