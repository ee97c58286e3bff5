// SPDX-License-Identifier: MIT
/*
 * Dead code and topological order of a builder's operations. Uses n_deps as
 * its mark, which is nobody else's before build_finish().
 */
#include "agent/program/build.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { NEW, NEEDED, OPEN, DONE };

/* What @op reads, the residual last: the operation that makes it, or NULL. */
static struct prog_op *maker(const struct build *b, const struct prog_op *op, uint32_t i)
{
	uint32_t t = i < op->n_in ? op->in[i] : op->epi.residual;
	const struct build_tensor *x;

	if (t == PROG_NONE)
		return NULL;
	x = build_t(b, t);
	return x->from == BUILD_FROM_OP ? x->def : NULL;
}

static void mark_needed(struct build *b, struct prog_op **stack)
{
	uint32_t top = 0;

	for (uint32_t i = 0; i < b->n_outputs; i++) {
		const struct build_tensor *x = build_t(b, b->outputs[i].tensor);

		if (x->from == BUILD_FROM_OP && x->def->n_deps == NEW) {
			x->def->n_deps = NEEDED;
			stack[top++] = x->def;
		}
	}
	while (top) {
		struct prog_op *op = stack[--top];

		for (uint32_t i = 0; i <= op->n_in; i++) {
			struct prog_op *m = maker(b, op, i);

			if (m && m->n_deps == NEW) {
				m->n_deps = NEEDED;
				stack[top++] = m;
			}
		}
	}
}

/* Append @op to @list after all that it reads. */
static uint32_t place(struct build *b, struct prog_op *op, struct prog_op **stack,
		      struct prog_op **list, uint32_t n)
{
	uint32_t top = 0;

	op->n_deps = OPEN;
	stack[top++] = op;
	while (top) {
		struct prog_op *m = NULL;
		uint32_t i;

		op = stack[top - 1];
		for (i = 0; i <= op->n_in; i++) {
			m = maker(b, op, i);
			if (!m || m->n_deps == DONE)
				continue;
			if (m->n_deps == OPEN) {
				build_fail(b, -EINVAL, "the operations form a cycle");
				return n;
			}
			break;
		}
		if (i <= op->n_in) {
			m->n_deps = OPEN;
			stack[top++] = m;
			continue;
		}
		op->n_deps = DONE;
		list[n++] = op;
		top--;
	}
	return n;
}

void build_sort(struct build *b)
{
	struct prog_op **stack, **list;
	uint32_t n = 0;

	if (b->err)
		return;
	stack = malloc((b->n_ops + 1) * sizeof(*stack));
	list = malloc((b->n_ops + 1) * sizeof(*list));
	if (!stack || !list) {
		build_fail(b, -ENOMEM, "out of memory");
		goto out;
	}
	for (uint32_t i = 0; i < b->n_ops; i++)
		b->ops[i]->n_deps = b->ops[i]->kind == BUILD_DEAD ? DONE : NEW;
	mark_needed(b, stack);
	for (uint32_t i = 0; i < b->n_ops && !b->err; i++)
		if (b->ops[i]->n_deps == NEEDED)
			n = place(b, b->ops[i], stack, list, n);
	for (uint32_t i = 0; i < b->n_ops; i++)
		b->ops[i]->n_deps = 0;
	if (!b->err) {
		if (n)
			memcpy(b->ops, list, n * sizeof(*list));
		b->n_ops = n;
	}
out:
	free(stack);
	free(list);
}
