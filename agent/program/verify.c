// SPDX-License-Identifier: MIT
/*
 * The proof that a program is safe to run. Shares no code with what made the
 * program: it reads the program alone and trusts no number in it.
 *
 * Memory is proved over the arena cut at every border of a storage. For each
 * piece its present owner is kept while the operations are gone through in
 * order: a reader must find its storage still the owner, and a new owner must
 * have a path of dependencies to all who wrote or read the old one. As each
 * new owner comes after all of the last one's users, and these after the one
 * before, that orders every pair of users of a byte, of which one writes.
 */
#include "agent/program/program.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/program/verify_kind.h"

#define MAX_COUNT	(1u << 26)	/* of anything; keeps sums in 32 bits */

struct verify {
	const struct program *p;
	char *why;
	size_t len;

	uint32_t *writer;	/* storage -> operation */
	uint32_t *first;	/* storage -> its readers in @readers */
	uint32_t *readers;
	uint64_t *cut;		/* borders of arena storages, ascending */
	uint32_t n_cut;
	uint32_t *owner;	/* piece [cut[i], cut[i + 1]) -> storage */
	uint32_t *stamp, *stack;
	uint32_t *before;	/* operations that must come before the present one */
	uint32_t n_before, cap_before;
};

__attribute__((format(printf, 2, 3)))
static int no(struct verify *v, const char *fmt, ...)
{
	va_list ap;

	if (v->why && v->len) {
		va_start(ap, fmt);
		vsnprintf(v->why, v->len, fmt, ap);
		va_end(ap);
	}
	return -EINVAL;
}

/* ---- what needs no order ---- */

static int check_storages(struct verify *v)
{
	const struct program *p = v->p;
	uint64_t end, room;

	if (p->n_storages > MAX_COUNT || p->n_tensors > MAX_COUNT || p->n_ops > MAX_COUNT ||
	    p->n_inputs > MAX_COUNT || p->n_outputs > MAX_COUNT)
		return no(v, "too much of something");
	if (!p->n_outputs)
		return no(v, "no outputs");
	if (p->const_bytes && (!p->consts || (uintptr_t)p->consts % PROG_ALIGN))
		return no(v, "constants are missing or not aligned");
	for (uint32_t i = 0; i < p->n_storages; i++) {
		const struct prog_storage *s = &p->storages[i];

		if (!s->bytes || s->bytes > INT64_MAX)
			return no(v, "storage %u has %llu bytes", i, (unsigned long long)s->bytes);
		switch (s->place) {
		case PROG_INPUT:
			if (s->index >= p->n_inputs)
				return no(v, "storage %u is input %u", i, s->index);
			continue;
		case PROG_OUTPUT:
			if (s->index >= p->n_outputs)
				return no(v, "storage %u is output %u", i, s->index);
			continue;
		case PROG_ARENA:
			room = p->arena_bytes;
			if (s->bytes % PROG_ALIGN)
				return no(v, "storage %u is not a multiple of %u", i, PROG_ALIGN);
			break;
		case PROG_CONST:
			room = p->const_bytes;
			break;
		default:
			return no(v, "storage %u is nowhere", i);
		}
		if (s->offset % PROG_ALIGN || __builtin_add_overflow(s->offset, s->bytes, &end) ||
		    end > room)
			return no(v, "storage %u leaves its place or is not aligned", i);
	}
	return 0;
}

static int check_tensors(struct verify *v)
{
	const struct program *p = v->p;

	for (uint32_t i = 0; i < p->n_tensors; i++) {
		const struct prog_tensor *t = &p->tensors[i];
		uint64_t elems = 1, bytes, have;

		if (!prog_type_size(t->type) || t->rank > PROG_MAX_RANK)
			return no(v, "tensor %u has type %d, rank %u", i, t->type, t->rank);
		for (uint32_t k = 0; k < t->rank; k++)
			if (t->dims[k] < 1 ||
			    __builtin_mul_overflow(elems, (uint64_t)t->dims[k], &elems))
				return no(v, "tensor %u: dimension %u", i, k);
		if (t->elems < 1 || elems != (uint64_t)t->elems || t->storage >= p->n_storages ||
		    __builtin_mul_overflow(elems, prog_type_size(t->type), &bytes))
			return no(v, "tensor %u: number of elements or storage", i);
		have = p->storages[t->storage].bytes;
		if (bytes > have || have - bytes >= PROG_ALIGN ||
		    (bytes != have && p->storages[t->storage].place != PROG_ARENA))
			return no(v, "tensor %u does not fill its storage", i);
	}
	return 0;
}

/* Each input and output has one storage, and each such storage is one's. */
static int check_io(struct verify *v)
{
	const struct program *p = v->p;
	uint32_t n = 0;

	for (uint32_t i = 0; i < p->n_inputs + p->n_outputs; i++) {
		bool out = i >= p->n_inputs;
		uint32_t k = out ? i - p->n_inputs : i;
		const struct prog_io *io = out ? &p->outputs[k] : &p->inputs[k];
		const struct prog_storage *s;

		if (!io->name || io->tensor >= p->n_tensors)
			return no(v, "%s %u has no name or tensor", out ? "output" : "input", k);
		s = &p->storages[p->tensors[io->tensor].storage];
		if (s->place != (out ? PROG_OUTPUT : PROG_INPUT) || s->index != k)
			return no(v, "%s %u lives elsewhere", out ? "output" : "input", k);
	}
	for (uint32_t i = 0; i < p->n_storages; i++)
		n += p->storages[i].place == PROG_INPUT || p->storages[i].place == PROG_OUTPUT;
	if (n != p->n_inputs + p->n_outputs)
		return no(v, "an input or output has two storages");
	return 0;
}

static bool number_ok(const struct program *p, uint32_t t)
{
	return t == PROG_NONE || t < p->n_tensors;
}

static int check_ops(struct verify *v)
{
	const struct program *p = v->p;
	const char *why;

	for (uint32_t i = 0; i < p->n_ops; i++) {
		const struct prog_op *op = &p->ops[i];
		bool good = op->n_in <= MAX_COUNT && op->n_out <= MAX_COUNT && op->n_deps <= i &&
			    op->node && op->op_type && number_ok(p, op->epi.residual);

		for (uint32_t k = 0; good && k < op->n_in; k++)
			good = number_ok(p, op->in[k]);
		for (uint32_t k = 0; good && k < op->n_out; k++)
			good = number_ok(p, op->out[k]);
		for (uint32_t k = 0; good && k < op->n_deps; k++)
			good = op->deps[k] < i;
		if (!good)
			return no(v, "operation %u: a number out of range", i);
		why = verify_kind(p, op);
		if (why)
			return no(v, "operation %u (%s, %s '%s'): %s", i, prog_kind_name(op->kind),
				  op->op_type, op->node, why);
	}
	return 0;
}

/* ---- who uses what ---- */

static uint32_t read_of(const struct verify *v, const struct prog_op *op, uint32_t k)
{
	uint32_t t = k < op->n_in ? op->in[k] : op->epi.residual;

	return t == PROG_NONE ? PROG_NONE : v->p->tensors[t].storage;
}

static int index_users(struct verify *v)
{
	const struct program *p = v->p;
	uint32_t total = 0, s;

	memset(v->writer, 0xff, p->n_storages * sizeof(*v->writer));
	for (uint32_t i = 0; i < p->n_ops; i++) {
		const struct prog_op *op = &p->ops[i];

		for (uint32_t k = 0; k < op->n_out; k++) {
			if (op->out[k] == PROG_NONE)
				continue;
			s = p->tensors[op->out[k]].storage;
			if (p->storages[s].place == PROG_INPUT || p->storages[s].place == PROG_CONST)
				return no(v, "operation %u writes an input or a constant", i);
			if (v->writer[s] != PROG_NONE)
				return no(v, "operations %u and %u both write storage %u",
					  v->writer[s], i, s);
			v->writer[s] = i;
		}
		for (uint32_t k = 0; k <= op->n_in; k++) {
			s = read_of(v, op, k);
			if (s == PROG_NONE)
				continue;
			if (p->storages[s].place == PROG_OUTPUT)
				return no(v, "operation %u reads an output", i);
			v->first[s + 2]++;
			total++;
		}
	}
	for (s = 0; s < p->n_storages; s++)
		if (p->storages[s].place == PROG_OUTPUT && v->writer[s] == PROG_NONE)
			return no(v, "output %u is not written", p->storages[s].index);

	/* first[s + 1] runs while filling, and ends as the start of s + 1. */
	v->readers = calloc(total + 1, sizeof(*v->readers));
	if (!v->readers)
		return -ENOMEM;
	for (s = 0; s < p->n_storages; s++)
		v->first[s + 2] += v->first[s + 1];
	for (uint32_t i = 0; i < p->n_ops; i++)
		for (uint32_t k = 0; k <= p->ops[i].n_in; k++) {
			s = read_of(v, &p->ops[i], k);
			if (s != PROG_NONE)
				v->readers[v->first[s + 1]++] = i;
		}
	return 0;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static int cut_arena(struct verify *v)
{
	const struct program *p = v->p;
	uint32_t n = 0, kept = 0;

	v->cut = malloc((2 * (size_t)p->n_storages + 1) * sizeof(*v->cut));
	v->owner = malloc((2 * (size_t)p->n_storages + 1) * sizeof(*v->owner));
	if (!v->cut || !v->owner)
		return -ENOMEM;
	for (uint32_t s = 0; s < p->n_storages; s++) {
		if (p->storages[s].place != PROG_ARENA)
			continue;
		v->cut[n++] = p->storages[s].offset;
		v->cut[n++] = p->storages[s].offset + p->storages[s].bytes;
	}
	qsort(v->cut, n, sizeof(*v->cut), by_value);
	for (uint32_t i = 0; i < n; i++)
		if (!kept || v->cut[i] != v->cut[kept - 1])
			v->cut[kept++] = v->cut[i];
	v->n_cut = kept;
	for (uint32_t i = 0; i < kept; i++)
		v->owner[i] = PROG_NONE;
	return 0;
}

/* The piece that starts at @at, which is a border. */
static uint32_t piece_at(const struct verify *v, uint64_t at)
{
	uint32_t lo = 0, hi = v->n_cut;

	while (hi - lo > 1) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (v->cut[mid] <= at)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

/* ---- order ---- */

static int add_before(struct verify *v, uint32_t op)
{
	uint32_t cap, *more;

	if (v->n_before == v->cap_before) {
		cap = v->cap_before ? 2 * v->cap_before : 64;
		more = realloc(v->before, cap * sizeof(*more));
		if (!more)
			return -ENOMEM;
		v->before = more;
		v->cap_before = cap;
	}
	v->before[v->n_before++] = op;
	return 0;
}

static int check_read(struct verify *v, uint32_t i, uint32_t s)
{
	const struct prog_storage *st = &v->p->storages[s];

	if (st->place != PROG_ARENA)
		return 0;
	if (v->writer[s] == PROG_NONE || v->writer[s] >= i)
		return no(v, "operation %u reads storage %u before it is written", i, s);
	for (uint32_t k = piece_at(v, st->offset); v->cut[k] < st->offset + st->bytes; k++)
		if (v->owner[k] != s)
			return no(v, "operation %u reads storage %u after storage %u took its bytes",
				  i, s, v->owner[k]);
	return add_before(v, v->writer[s]);
}

static int check_write(struct verify *v, uint32_t i, uint32_t s)
{
	const struct prog_storage *st = &v->p->storages[s];
	uint32_t last = PROG_NONE, o;
	int ret;

	if (st->place != PROG_ARENA)
		return 0;
	for (uint32_t k = piece_at(v, st->offset); v->cut[k] < st->offset + st->bytes; k++) {
		o = v->owner[k];
		v->owner[k] = s;
		if (o == last || o == PROG_NONE)
			continue;
		last = o;
		if (v->writer[o] == i)
			return no(v, "operation %u writes the same bytes twice", i);
		ret = add_before(v, v->writer[o]);
		for (uint32_t r = v->first[o]; !ret && r < v->first[o + 1]; r++) {
			if (v->readers[r] == i)
				return no(v, "operation %u overwrites what it reads", i);
			/* A later reader finds the new owner and is told so. */
			if (v->readers[r] < i)
				ret = add_before(v, v->readers[r]);
		}
		if (ret)
			return ret;
	}
	return 0;
}

/* Is there a path of dependencies from @i to all of before[]? */
static int check_paths(struct verify *v, uint32_t i)
{
	const struct program *p = v->p;
	uint32_t least = PROG_NONE, top = 0, at = i;

	for (uint32_t k = 0; k < v->n_before; k++)
		if (v->before[k] < least)
			least = v->before[k];
	if (!v->n_before)
		return 0;
	for (;;) {
		for (uint32_t k = 0; k < p->ops[at].n_deps; k++) {
			uint32_t d = p->ops[at].deps[k];

			if (d < least || v->stamp[d] == i)
				continue;
			v->stamp[d] = i;
			v->stack[top++] = d;
		}
		if (!top)
			break;
		at = v->stack[--top];
	}
	for (uint32_t k = 0; k < v->n_before; k++)
		if (v->stamp[v->before[k]] != i)
			return no(v, "operation %u does not wait for operation %u", i,
				  v->before[k]);
	return 0;
}

static int check_order(struct verify *v)
{
	const struct program *p = v->p;
	int ret = 0;

	for (uint32_t i = 0; i < p->n_ops && !ret; i++) {
		const struct prog_op *op = &p->ops[i];

		v->n_before = 0;
		for (uint32_t k = 0; k <= op->n_in && !ret; k++)
			if (read_of(v, op, k) != PROG_NONE)
				ret = check_read(v, i, read_of(v, op, k));
		for (uint32_t k = 0; k < op->n_out && !ret; k++)
			if (op->out[k] != PROG_NONE)
				ret = check_write(v, i, p->tensors[op->out[k]].storage);
		if (!ret)
			ret = check_paths(v, i);
	}
	return ret;
}

int program_verify(const struct program *p, char *why, size_t len)
{
	struct verify v = { .p = p, .why = why, .len = len };
	int ret;

	ret = check_storages(&v);
	if (!ret)
		ret = check_tensors(&v);
	if (!ret)
		ret = check_io(&v);
	if (!ret)
		ret = check_ops(&v);
	if (ret)
		return ret;
	v.writer = malloc((p->n_storages + 1) * sizeof(*v.writer));
	v.first = calloc(p->n_storages + 3, sizeof(*v.first));
	v.stamp = malloc((p->n_ops + 1) * sizeof(*v.stamp));
	v.stack = malloc((p->n_ops + 1) * sizeof(*v.stack));
	if (!v.writer || !v.first || !v.stamp || !v.stack) {
		ret = -ENOMEM;
		goto out;
	}
	memset(v.stamp, 0xff, (p->n_ops + 1) * sizeof(*v.stamp));
	ret = index_users(&v);
	if (!ret)
		ret = cut_arena(&v);
	if (!ret)
		ret = check_order(&v);
out:
	if (ret == -ENOMEM)
		no(&v, "out of memory");
	free(v.writer);
	free(v.first);
	free(v.readers);
	free(v.cut);
	free(v.owner);
	free(v.stamp);
	free(v.stack);
	free(v.before);
	return ret == -ENOMEM ? ret : ret ? -EINVAL : 0;
}
