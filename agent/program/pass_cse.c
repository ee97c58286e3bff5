// SPDX-License-Identifier: MIT
/*
 * Common subexpressions. Two operations are the same when kind, parameters,
 * inputs and output shapes are; small constants are compared by content.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/program/pass.h"

#define SMALL_BYTES	64	/* constants up to here are compared */

static uint64_t mix(uint64_t h, const void *data, size_t n)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * 0x100000001b3ull;
	return h;
}

static size_t bytes_of(const struct build_tensor *t)
{
	return (size_t)t->elems * prog_type_size(t->type);
}

static bool same_tensor(const struct build *b, uint32_t s, uint32_t t)
{
	const struct build_tensor *x = build_t(b, s), *y = build_t(b, t);

	if (s == t)
		return true;
	if (s == PROG_NONE || t == PROG_NONE || !build_is_const(b, s) || !build_is_const(b, t))
		return false;
	return x->type == y->type && build_same_shape(b, s, t) &&
	       (x->data == y->data ||
		(bytes_of(x) <= SMALL_BYTES && !memcmp(x->data, y->data, bytes_of(x))));
}

static uint64_t hash_tensor(const struct build *b, uint64_t h, uint32_t t)
{
	const struct build_tensor *x = build_t(b, t);

	if (t == PROG_NONE || !build_is_const(b, t))
		return mix(h, &t, sizeof(t));
	h = mix(h, &x->elems, sizeof(x->elems));
	if (bytes_of(x) <= SMALL_BYTES)
		return mix(h, x->data, bytes_of(x));
	return mix(h, &x->data, sizeof(x->data));
}

static bool same_op(const struct build *b, const struct prog_op *p, const struct prog_op *q)
{
	if (p->kind != q->kind || p->n_in != q->n_in || p->n_out != 1 || q->n_out != 1 ||
	    p->epi.fn != q->epi.fn || p->epi.alpha != q->epi.alpha ||
	    p->epi.beta != q->epi.beta || p->epi.residual != q->epi.residual ||
	    p->epi.residual_last != q->epi.residual_last ||
	    memcmp(&p->params, &q->params, sizeof(p->params)))
		return false;
	for (uint32_t i = 0; i < p->n_in; i++)
		if (!same_tensor(b, p->in[i], q->in[i]))
			return false;
	return build_t(b, p->out[0])->type == build_t(b, q->out[0])->type &&
	       build_same_shape(b, p->out[0], q->out[0]);
}

void pass_cse(struct build *b)
{
	struct prog_op **table;
	uint32_t size = 64;
	uint64_t h;

	if (b->err)
		return;
	while (size < 2 * b->n_ops)
		size *= 2;
	table = calloc(size, sizeof(*table));
	if (!table) {
		build_fail(b, -ENOMEM, "out of memory");
		return;
	}
	for (uint32_t i = 0; i < b->n_ops; i++) {
		struct prog_op *op = b->ops[i], *old;

		if (op->kind == BUILD_DEAD || op->n_out != 1 || !op->n_in)
			continue;
		/* Operands that were found to be the same have one name from here on. */
		for (uint32_t k = 0; k < op->n_in; k++) {
			old = pass_def(b, op->in[k], BUILD_VIEW);
			if (old && build_same_shape(b, op->in[k], old->in[0]))
				op->in[k] = old->in[0];
		}
		h = mix(0xcbf29ce484222325ull, &op->kind, sizeof(op->kind));
		for (uint32_t k = 0; k < op->n_in; k++)
			h = hash_tensor(b, h, op->in[k]);
		for (h ^= h >> 32;; h++) {
			old = table[h & (size - 1)];
			if (!old) {
				table[h & (size - 1)] = op;
				break;
			}
			if (same_op(b, old, op)) {
				pass_make_view(op, old->out[0]);
				break;
			}
		}
	}
	free(table);
	pass_canon(b);
}
