// SPDX-License-Identifier: MIT
/*
 * Who reads what in a program: for finding operations that can be one.
 */
#include "agent/lower/lower.h"

#include <stdlib.h>

static void each_read(const struct program *p, void (*fn)(void *arg, uint32_t storage, uint32_t op),
		      void *arg)
{
	for (uint32_t i = 0; i < p->n_ops; i++) {
		const struct prog_op *op = &p->ops[i];

		for (uint32_t k = 0; k <= op->n_in; k++) {
			uint32_t t = k < op->n_in ? op->in[k] : op->epi.residual;

			if (t != PROG_NONE)
				fn(arg, p->tensors[t].storage, i);
		}
	}
}

static void count(void *arg, uint32_t storage, uint32_t op)
{
	((struct lower *)arg)->first_use[storage + 1]++;
}

static void note(void *arg, uint32_t storage, uint32_t op)
{
	struct lower *l = arg;

	l->use[l->first_use[storage]++] = op;
}

bool lower_index_uses(struct lower *l)
{
	const struct program *p = l->p;
	uint32_t n;

	l->first_use = calloc(p->n_storages + 2, sizeof(*l->first_use));
	if (!l->first_use)
		return false;
	each_read(p, count, l);
	for (uint32_t s = 0; s < p->n_storages; s++)
		l->first_use[s + 1] += l->first_use[s];
	n = l->first_use[p->n_storages];
	l->use = calloc(n + 1, sizeof(*l->use));
	if (!l->use)
		return false;
	each_read(p, note, l);
	/* Each now points behind its uses, where the next one's begin. */
	for (uint32_t s = p->n_storages; s > 0; s--)
		l->first_use[s] = l->first_use[s - 1];
	l->first_use[0] = 0;
	return true;
}

uint32_t lower_n_uses(const struct lower *l, uint32_t t)
{
	uint32_t s = l->p->tensors[t].storage;

	return l->first_use[s + 1] - l->first_use[s];
}

const struct prog_op *lower_use(const struct lower *l, uint32_t t, uint32_t i)
{
	return &l->p->ops[l->use[l->first_use[l->p->tensors[t].storage] + i]];
}

const struct prog_op *lower_only_use(const struct lower *l, uint32_t t)
{
	if (lower_storage(l, t)->place != PROG_ARENA || lower_n_uses(l, t) != 1)
		return NULL;
	return lower_use(l, t, 0);
}
