// SPDX-License-Identifier: MIT
/*
 * Models: a program's operations prepared, who waits for whom, and a context
 * for each slice of a group that may run at the same time.
 *
 * Arenas are address space for the largest slice; pages come when one touches
 * them, so a model that is never merged costs one request's arena.
 *
 * model_new() and model_free() touch nothing shared; model_bind() is called
 * under exec's lock.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/cpu/exec.h"

static int find_successors(struct backend_model *m)
{
	const struct program *p = m->prog;
	uint32_t edges = 0, *fill;

	for (uint32_t i = 0; i < p->n_ops; i++)
		edges += p->ops[i].n_deps;
	m->succ = calloc(edges ? edges : 1, sizeof(*m->succ));
	m->succ_at = calloc((size_t)p->n_ops + 2, sizeof(*m->succ_at));
	if (!m->succ || !m->succ_at)
		return -ENOMEM;
	/* Counted two places ahead, so that filling moves each to its start. */
	fill = m->succ_at + 1;
	for (uint32_t i = 0; i < p->n_ops; i++)
		for (uint32_t k = 0; k < p->ops[i].n_deps; k++)
			if (p->ops[i].deps[k] + 1 < p->n_ops)
				fill[p->ops[i].deps[k] + 1]++;
	for (uint32_t i = 1; i < p->n_ops; i++)
		fill[i] += fill[i - 1];
	for (uint32_t i = 0; i < p->n_ops; i++)
		for (uint32_t k = 0; k < p->ops[i].n_deps; k++)
			m->succ[fill[p->ops[i].deps[k]]++] = i;
	return 0;
}

static int make_context(struct backend_model *m, struct exec_context *c)
{
	const struct program *p = m->prog;
	size_t width = (size_t)p->n_inputs + p->n_outputs;

	c->model = m;
	c->ops = calloc(p->n_ops ? p->n_ops : 1, sizeof(*c->ops));
	c->io = calloc(width * m->slice + 1, sizeof(*c->io));
	if (!c->ops || !c->io)
		return -ENOMEM;
	for (uint32_t i = 0; i < p->n_ops; i++)
		c->ops[i].ctx = c;
	c->run.prog = p;
	c->run.io = c->io;
	if (!m->arena_bytes)
		return 0;
	c->run.arena = mmap(NULL, m->arena_bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (c->run.arena == MAP_FAILED) {
		c->run.arena = NULL;
		return -ENOMEM;
	}
	return 0;
}

/*
 * Requests that run as one: as many as compute in about one and a half times
 * the second cache. Up to there they cost what they cost one by one (within 2%,
 * measured); four of a model of 6 MB made each 30% slower.
 */
static uint32_t slice_of(const struct program *p, uint32_t max_degree)
{
	long cache = sysconf(_SC_LEVEL2_CACHE_SIZE);
	uint64_t n;

	if (cache < (256 << 10))
		cache = 1 << 20;
	n = p->arena_bytes ? (uint64_t)cache * 3 / 2 / p->arena_bytes : max_degree;
	return n < 1 ? 1 : n > max_degree ? max_degree : (uint32_t)n;
}

int model_new(const struct program *p, uint32_t n_contexts, uint32_t max_degree,
	      struct backend_model **out, char *why, size_t len)
{
	struct backend_model *m = calloc(1, sizeof(*m));
	uint64_t bytes;
	size_t scratch;
	int err;

	if (!m)
		goto nomem;
	m->prog = p;
	m->max_degree = max_degree;
	m->work = p->macs;
	for (uint32_t i = 0; i < p->n_ops; i++)
		for (uint32_t k = 0; k < p->ops[i].n_out; k++)
			if (p->ops[i].out[k] != PROG_NONE)
				m->work += p->tensors[p->ops[i].out[k]].elems;
	m->slice = slice_of(p, max_degree);
	if (__builtin_mul_overflow(p->arena_bytes, (uint64_t)m->slice, &bytes) ||
	    bytes > SIZE_MAX / 2)
		goto nomem;
	m->arena_bytes = bytes;
	err = cpu_ops_prepare(p, &m->ops, &scratch, why, len);
	if (err)
		goto fail;
	m->contexts = calloc(n_contexts, sizeof(*m->contexts));
	m->tile_ns = calloc(p->n_ops ? p->n_ops : 1, sizeof(*m->tile_ns));
	if (!m->contexts || !m->tile_ns || find_successors(m))
		goto nomem;
	/* The first is the last to become free: the same pages serve again. */
	m->n_contexts = n_contexts;
	for (uint32_t i = n_contexts; i-- > 0;) {
		struct exec_context *c = &m->contexts[i];

		if (make_context(m, c))
			goto nomem;
		c->next_free = m->free;
		m->free = c;
	}
	m->n_free = n_contexts;
	*out = m;
	return 0;
nomem:
	err = -ENOMEM;
	if (why && len)
		snprintf(why, len, "out of memory for %u arenas of %u requests",
			 n_contexts, m ? m->slice : 0);
fail:
	model_free(m);
	return err;
}

void model_free(struct backend_model *m)
{
	if (!m)
		return;
	for (uint32_t i = 0; i < m->n_contexts; i++) {
		struct exec_context *c = &m->contexts[i];

		free(c->ops);
		free(c->io);
		if (c->run.arena)
			munmap(c->run.arena, m->arena_bytes);
	}
	free(m->contexts);
	free(m->tile_ns);
	free(m->succ);
	free(m->succ_at);
	if (m->ops)
		cpu_ops_release(m->ops, m->prog->n_ops);
	free(m);
}

void model_bind(struct exec_context *c, const struct backend_group *g, uint32_t first,
		uint32_t n)
{
	const struct program *p = c->run.prog;
	size_t width = (size_t)p->n_inputs + p->n_outputs;
	const struct backend_io *io = g->io + first * width;

	for (size_t i = 0; i < n * width; i++)
		c->io[i] = io[i].buf->base + io[i].offset;
	c->run.degree = n;
	for (uint32_t i = 0; i < p->n_ops; i++)
		c->ops[i].waits = p->ops[i].n_deps;
	c->ops_left = p->n_ops;
}
