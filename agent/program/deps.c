// SPDX-License-Identifier: MIT
/*
 * Dependencies of a finished program. Relies on what colouring promises (who
 * shares bytes is not alive at one time, counted in operation numbers);
 * program_verify() proves the result without this file's help.
 */
#include "agent/program/deps.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/program/program.h"

/* Arena bytes [lo, hi) last belonged to @storage. */
struct segment {
	uint64_t lo, hi;
	uint32_t storage;
};

struct deps {
	struct program *p;
	uint32_t *writer;	/* storage -> operation or PROG_NONE */
	uint32_t *first;	/* storage -> its readers in @readers, one more at the end */
	uint32_t *readers;
	struct segment *segs;	/* sorted, disjoint */
	uint32_t n_segs;
	uint32_t *stamp;	/* operation -> last one that was found to come after it */
	uint32_t *stack;
	uint32_t *want;
	uint32_t n_want, cap_want;
};

static uint32_t n_reads(const struct prog_op *op)
{
	return op->n_in + 1;
}

/* The @i-th tensor that @op reads, the residual last; PROG_NONE for an absent one. */
static uint32_t read_of(const struct prog_op *op, uint32_t i)
{
	return i < op->n_in ? op->in[i] : op->epi.residual;
}

static int add_want(struct deps *d, uint32_t op)
{
	uint32_t *p;

	if (d->n_want == d->cap_want) {
		d->cap_want = d->cap_want ? 2 * d->cap_want : 64;
		p = realloc(d->want, d->cap_want * sizeof(*p));
		if (!p)
			return -ENOMEM;
		d->want = p;
	}
	d->want[d->n_want++] = op;
	return 0;
}

static int descending(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? 1 : x > y ? -1 : 0;
}

/* Keep in want[] those that no other one implies. */
static void reduce(struct deps *d, uint32_t v)
{
	uint32_t kept = 0, least, top;

	if (!d->n_want)
		return;
	qsort(d->want, d->n_want, sizeof(*d->want), descending);
	least = d->want[d->n_want - 1];
	for (uint32_t i = 0; i < d->n_want; i++) {
		uint32_t u = d->want[i];

		if (d->stamp[u] == v)
			continue;
		d->want[kept++] = u;
		d->stamp[u] = v;
		top = 0;
		d->stack[top++] = u;
		while (top) {
			const struct prog_op *op = &d->p->ops[d->stack[--top]];

			for (uint32_t k = 0; k < op->n_deps; k++) {
				uint32_t w = op->deps[k];

				if (w < least || d->stamp[w] == v)
					continue;
				d->stamp[w] = v;
				d->stack[top++] = w;
			}
		}
	}
	d->n_want = kept;
}

/* Storage @s takes its bytes: wait for who used them, and note the new owner. */
static int take(struct deps *d, uint32_t s)
{
	const struct prog_storage *st = &d->p->storages[s];
	uint64_t lo = st->offset, hi = st->offset + st->bytes;
	struct segment tail = { 0 };
	bool has_tail = false;
	uint32_t from, to, put;

	for (from = 0; from < d->n_segs && d->segs[from].hi <= lo; from++)
		;
	for (to = from; to < d->n_segs && d->segs[to].lo < hi; to++) {
		uint32_t o = d->segs[to].storage;

		if (d->first[o] == d->first[o + 1]) {
			if (add_want(d, d->writer[o]))
				return -ENOMEM;
		}
		for (uint32_t k = d->first[o]; k < d->first[o + 1]; k++)
			if (add_want(d, d->readers[k]))
				return -ENOMEM;
	}
	/* Segments [from, to) overlap: their outer ends stay theirs. */
	if (from < to && d->segs[to - 1].hi > hi) {
		tail = d->segs[to - 1];
		tail.lo = hi;
		has_tail = true;
	}
	put = from;
	if (from < to && d->segs[from].lo < lo) {
		d->segs[from].hi = lo;
		put = from + 1;
	}
	memmove(&d->segs[put + 1 + has_tail], &d->segs[to], (d->n_segs - to) * sizeof(*d->segs));
	d->n_segs = d->n_segs - to + put + 1 + has_tail;
	d->segs[put] = (struct segment){ lo, hi, s };
	if (has_tail)
		d->segs[put + 1] = tail;
	return 0;
}

static int one_op(struct deps *d, uint32_t v)
{
	struct prog_op *op = &d->p->ops[v];
	uint32_t *block, words;

	d->n_want = 0;
	for (uint32_t i = 0; i < n_reads(op); i++) {
		uint32_t t = read_of(op, i), w;

		if (t == PROG_NONE)
			continue;
		w = d->writer[d->p->tensors[t].storage];
		if (w != PROG_NONE && add_want(d, w))
			return -ENOMEM;
	}
	for (uint32_t i = 0; i < op->n_out; i++) {
		uint32_t s;

		if (op->out[i] == PROG_NONE)
			continue;
		s = d->p->tensors[op->out[i]].storage;
		if (d->p->storages[s].place == PROG_ARENA && take(d, s))
			return -ENOMEM;
	}
	reduce(d, v);

	words = op->n_in + op->n_out + d->n_want;
	block = realloc(op->in, (words ? words : 1) * sizeof(*block));
	if (!block)
		return -ENOMEM;
	op->in = block;
	op->out = block + op->n_in;
	op->deps = op->out + op->n_out;
	op->n_deps = d->n_want;
	for (uint32_t i = 0; i < d->n_want; i++)	/* ascending */
		op->deps[i] = d->want[d->n_want - 1 - i];
	return 0;
}

/* Writers and readers of every storage. */
static int index_storages(struct deps *d)
{
	const struct program *p = d->p;
	uint32_t total = 0, *at;

	for (uint32_t s = 0; s < p->n_storages; s++)
		d->writer[s] = PROG_NONE;
	for (uint32_t v = 0; v < p->n_ops; v++) {
		const struct prog_op *op = &p->ops[v];

		for (uint32_t i = 0; i < op->n_out; i++)
			if (op->out[i] != PROG_NONE)
				d->writer[p->tensors[op->out[i]].storage] = v;
		for (uint32_t i = 0; i < n_reads(op); i++) {
			if (read_of(op, i) == PROG_NONE)
				continue;
			d->first[p->tensors[read_of(op, i)].storage + 1]++;
			total++;
		}
	}
	for (uint32_t s = 0; s < p->n_storages; s++)
		d->first[s + 1] += d->first[s];
	d->readers = calloc(total + 1, sizeof(*d->readers));
	at = malloc((p->n_storages + 1) * sizeof(*at));
	if (!d->readers || !at) {
		free(at);
		return -ENOMEM;
	}
	memcpy(at, d->first, p->n_storages * sizeof(*at));
	for (uint32_t v = 0; v < p->n_ops; v++)
		for (uint32_t i = 0; i < n_reads(&p->ops[v]); i++)
			if (read_of(&p->ops[v], i) != PROG_NONE)
				d->readers[at[p->tensors[read_of(&p->ops[v], i)].storage]++] = v;
	free(at);
	return 0;
}

int deps_build(struct program *p)
{
	struct deps d = { .p = p };
	int ret = -ENOMEM;

	d.writer = malloc((p->n_storages + 1) * sizeof(*d.writer));
	d.first = calloc(p->n_storages + 2, sizeof(*d.first));
	/* Each take() adds two segments at most. */
	d.segs = malloc((2 * (size_t)p->n_storages + 2) * sizeof(*d.segs));
	d.stamp = malloc((p->n_ops + 1) * sizeof(*d.stamp));
	d.stack = malloc((p->n_ops + 1) * sizeof(*d.stack));
	if (!d.writer || !d.first || !d.segs || !d.stamp || !d.stack)
		goto out;
	memset(d.stamp, 0xff, (p->n_ops + 1) * sizeof(*d.stamp));
	ret = index_storages(&d);
	for (uint32_t v = 0; !ret && v < p->n_ops; v++)
		ret = one_op(&d, v);
out:
	free(d.writer);
	free(d.first);
	free(d.readers);
	free(d.segs);
	free(d.stamp);
	free(d.stack);
	free(d.want);
	return ret;
}
