// SPDX-License-Identifier: MIT
/*
 * From a builder to an immutable program: which tensors share a storage, where
 * every storage lives, names, constants in one piece. Colouring is arena.c's,
 * dependencies are deps.c's, the proof that all is well verify.c's.
 */
#include "agent/program/build.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/program/arena.h"
#include "agent/program/deps.h"
#include "agent/program/macs.h"

/*
 * @root: tensor -> the tensor whose memory it is (through views)
 * @reads: root -> operations that read it
 * @storage: root -> storage, PROG_NONE: none yet
 * @number: tensor -> its number in the program, PROG_NONE: not in it
 * @data: storage -> elements, for constants
 */
struct finish {
	struct build *b;
	struct program *p;
	uint32_t *root, *reads, *storage, *number;
	const void **data;
	uint32_t *hash;
	uint32_t hash_mask;
};

static uint64_t round_up(uint64_t n)
{
	return (n + PROG_ALIGN - 1) & ~(uint64_t)(PROG_ALIGN - 1);
}

static uint64_t bytes_of(const struct build_tensor *t)
{
	return (uint64_t)t->elems * prog_type_size(t->type);
}

static void *no_memory(struct build *b)
{
	build_fail(b, -ENOMEM, "out of memory");
	return NULL;
}

static void *array(struct build *b, size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size);

	return p ? p : no_memory(b);
}

static uint32_t read_of(const struct prog_op *op, uint32_t i)
{
	return i < op->n_in ? op->in[i] : op->epi.residual;
}

static void find_roots(struct finish *f)
{
	struct build *b = f->b;

	for (uint32_t i = 0; i < b->n_ops; i++) {
		const struct prog_op *op = b->ops[i];

		if (op->kind == BUILD_VIEW) {
			f->root[op->out[0]] = f->root[op->in[0]];
			continue;
		}
		for (uint32_t k = 0; k <= op->n_in; k++)
			if (read_of(op, k) != PROG_NONE)
				f->reads[f->root[read_of(op, k)]]++;
	}
}

/*
 * Every output gets a storage of its own. One that is read as well, shows an
 * input or a constant, or shows what another output shows, gets a copy.
 */
static void settle_outputs(struct finish *f)
{
	struct build *b = f->b;
	uint32_t *shown = array(b, b->n_tensors, sizeof(*shown));

	for (uint32_t i = 0; i < b->n_outputs && !b->err; i++)
		shown[f->root[b->outputs[i].tensor]]++;
	for (uint32_t i = 0; i < b->n_outputs && !b->err; i++) {
		uint32_t t = b->outputs[i].tensor, r = f->root[t];
		const struct build_tensor *x = build_t(b, r);

		if (x->from == BUILD_FROM_NOTHING) {
			build_fail(b, -EINVAL, "output '%s' is not written", b->outputs[i].name);
		} else if (x->from != BUILD_FROM_OP || f->reads[r] || shown[r] > 1) {
			b->node = b->outputs[i].name;
			b->op_type = "output";
			b->outputs[i].tensor = build_copy(b, t);
		}
	}
	free(shown);
}

static uint64_t hash_bytes(const void *data, size_t n)
{
	const uint8_t *p = data;
	uint64_t h = 0xcbf29ce484222325ull;	/* FNV-1a */

	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * 0x100000001b3ull;
	return h ^ h >> 32;
}

/* A storage for a constant; small ones of equal content share one. */
static uint32_t const_storage(struct finish *f, const struct build_tensor *x)
{
	struct program *p = f->p;
	uint64_t bytes = bytes_of(x);
	bool small = bytes <= 4096;
	uint64_t h = small ? hash_bytes(x->data, bytes) : hash_bytes(&x->data, sizeof(x->data));
	uint32_t s;

	for (;; h++) {
		s = f->hash[h & f->hash_mask];
		if (s == PROG_NONE)
			break;
		if (p->storages[s].bytes == bytes &&
		    (f->data[s] == x->data || (small && !memcmp(f->data[s], x->data, bytes))))
			return s;
	}
	s = p->n_storages++;
	p->storages[s] = (struct prog_storage){ .place = PROG_CONST, .bytes = bytes };
	f->data[s] = x->data;
	f->hash[h & f->hash_mask] = s;
	return s;
}

static uint32_t storage_of(struct finish *f, uint32_t t)
{
	uint32_t r = f->root[t], s = f->storage[r];
	const struct build_tensor *x = build_t(f->b, r);

	if (s != PROG_NONE)
		return s;
	if (x->from == BUILD_FROM_CONST) {
		s = const_storage(f, x);
	} else {
		s = f->p->n_storages++;
		f->p->storages[s] = (struct prog_storage){
			.place = x->from == BUILD_FROM_INPUT ? PROG_INPUT : PROG_ARENA,
			.index = x->from == BUILD_FROM_INPUT ? x->input : 0,
			.bytes = x->from == BUILD_FROM_INPUT ? bytes_of(x) : round_up(bytes_of(x)),
		};
	}
	f->storage[r] = s;
	return s;
}

/* The program's number of builder tensor @t. */
static uint32_t number_of(struct finish *f, uint32_t t)
{
	const struct build_tensor *x = build_t(f->b, t);
	struct prog_tensor *y;

	if (t == PROG_NONE)
		return PROG_NONE;
	if (f->number[t] != PROG_NONE)
		return f->number[t];
	f->number[t] = f->p->n_tensors++;
	y = &f->p->tensors[f->number[t]];
	y->type = x->type;
	y->rank = x->rank;
	memcpy(y->dims, x->dims, sizeof(y->dims));
	y->elems = x->elems;
	y->storage = storage_of(f, t);
	return f->number[t];
}

/* One block of all names, each once where neighbours share one. */
static void copy_names(struct finish *f)
{
	struct build *b = f->b;
	struct program *p = f->p;
	size_t bytes = 1;
	const char *last_node = NULL, *last_type = NULL;
	char *at;

	for (uint32_t i = 0; i < b->n_inputs; i++)
		bytes += strlen(b->inputs[i].name) + 1;
	for (uint32_t i = 0; i < b->n_outputs; i++)
		bytes += strlen(b->outputs[i].name) + 1;
	for (uint32_t i = 0; i < p->n_ops; i++) {
		bytes += p->ops[i].node ? strlen(p->ops[i].node) + 1 : 0;
		bytes += p->ops[i].op_type ? strlen(p->ops[i].op_type) + 1 : 0;
	}
	at = array(b, bytes, 1);
	p->strings = at;
	if (!at)
		return;
	at++;		/* the block opens with the empty name */
	for (uint32_t i = 0; i < b->n_inputs; i++) {
		p->inputs[i].name = at;
		at = stpcpy(at, b->inputs[i].name) + 1;
	}
	for (uint32_t i = 0; i < b->n_outputs; i++) {
		p->outputs[i].name = at;
		at = stpcpy(at, b->outputs[i].name) + 1;
	}
	for (uint32_t i = 0; i < p->n_ops; i++) {
		const char *node = p->ops[i].node, *type = p->ops[i].op_type;

		if (i && node == last_node) {
			p->ops[i].node = p->ops[i - 1].node;
		} else {
			p->ops[i].node = node ? at : p->strings;
			at = node ? stpcpy(at, node) + 1 : at;
		}
		if (i && type == last_type) {
			p->ops[i].op_type = p->ops[i - 1].op_type;
		} else {
			p->ops[i].op_type = type ? at : p->strings;
			at = type ? stpcpy(at, type) + 1 : at;
		}
		last_node = node;
		last_type = type;
	}
}

static void copy_ops(struct finish *f)
{
	struct build *b = f->b;
	struct program *p = f->p;

	for (uint32_t i = 0; i < b->n_ops; i++) {
		const struct prog_op *op = b->ops[i];
		struct prog_op *q;
		uint32_t *block;

		if (op->kind == BUILD_VIEW)
			continue;
		block = array(b, op->n_in + op->n_out, sizeof(*block));
		if (!block)
			return;
		q = &p->ops[p->n_ops++];
		*q = *op;
		q->in = block;
		q->out = block + op->n_in;
		q->deps = NULL;
		q->n_deps = 0;
		for (uint32_t k = 0; k < op->n_in; k++)
			q->in[k] = number_of(f, op->in[k]);
		for (uint32_t k = 0; k < op->n_out; k++)
			q->out[k] = number_of(f, op->out[k]);
		q->epi.residual = number_of(f, op->epi.residual);
	}
}

static void copy_io(struct finish *f)
{
	struct build *b = f->b;
	struct program *p = f->p;
	struct prog_storage *st;

	for (uint32_t i = 0; i < b->n_inputs; i++)
		p->inputs[i].tensor = number_of(f, b->inputs[i].tensor);
	for (uint32_t i = 0; i < b->n_outputs; i++) {
		p->outputs[i].tensor = number_of(f, b->outputs[i].tensor);
		st = &p->storages[p->tensors[p->outputs[i].tensor].storage];
		st->place = PROG_OUTPUT;
		st->index = i;
		st->bytes = bytes_of(build_t(b, b->outputs[i].tensor));
	}
	p->n_inputs = b->n_inputs;
	p->n_outputs = b->n_outputs;
}

static void copy_consts(struct finish *f)
{
	struct build *b = f->b;
	struct program *p = f->p;
	uint64_t at = 0;

	for (uint32_t s = 0; s < p->n_storages; s++) {
		if (p->storages[s].place != PROG_CONST)
			continue;
		p->storages[s].offset = at;
		at += round_up(p->storages[s].bytes);
	}
	if (at > b->max_bytes) {
		build_fail(b, -EINVAL, "constants take %llu bytes, the limit is %llu",
			   (unsigned long long)at, (unsigned long long)b->max_bytes);
		return;
	}
	p->const_bytes = at;
	p->consts = aligned_alloc(PROG_ALIGN, at ? at : PROG_ALIGN);
	if (!p->consts) {
		no_memory(b);
		return;
	}
	for (uint32_t s = 0; s < p->n_storages; s++) {
		const struct prog_storage *st = &p->storages[s];

		if (st->place != PROG_CONST)
			continue;
		memcpy(p->consts + st->offset, f->data[s], st->bytes);
		memset(p->consts + st->offset + st->bytes, 0, round_up(st->bytes) - st->bytes);
	}
}

static void colour(struct finish *f)
{
	struct build *b = f->b;
	struct program *p = f->p;
	struct arena_block *blocks = array(b, p->n_storages, sizeof(*blocks));
	uint32_t *block_of = array(b, p->n_storages, sizeof(*block_of));
	uint32_t n = 0, s;
	int ret;

	if (b->err)
		goto out;
	for (s = 0; s < p->n_storages; s++) {
		block_of[s] = PROG_NONE;
		if (p->storages[s].place == PROG_ARENA) {
			block_of[s] = n;
			blocks[n++].bytes = p->storages[s].bytes;
		}
	}
	for (uint32_t v = 0; v < p->n_ops; v++) {
		const struct prog_op *op = &p->ops[v];

		for (uint32_t i = 0; i < op->n_out; i++) {
			if (op->out[i] == PROG_NONE)
				continue;
			s = block_of[p->tensors[op->out[i]].storage];
			if (s != PROG_NONE)
				blocks[s].first = blocks[s].last = v;
		}
		for (uint32_t i = 0; i <= op->n_in; i++) {
			if (read_of(op, i) == PROG_NONE)
				continue;
			s = block_of[p->tensors[read_of(op, i)].storage];
			if (s != PROG_NONE)
				blocks[s].last = v;
		}
	}
	ret = arena_colour(blocks, n, &p->arena_bytes);
	if (ret == -ENOMEM)
		no_memory(b);
	else if (ret || p->arena_bytes > b->max_bytes)
		build_fail(b, -EINVAL, "the arena takes more than %llu bytes",
			   (unsigned long long)b->max_bytes);
	for (s = 0; s < p->n_storages && !b->err; s++)
		if (block_of[s] != PROG_NONE)
			p->storages[s].offset = blocks[block_of[s]].offset;
out:
	free(blocks);
	free(block_of);
}

static void prepare(struct finish *f)
{
	struct build *b = f->b;
	uint32_t spare = b->n_outputs;	/* tensors that settle_outputs() may add */
	uint32_t size = 64;

	f->root = array(b, b->n_tensors + spare, sizeof(*f->root));
	f->reads = array(b, b->n_tensors + spare, sizeof(*f->reads));
	f->storage = array(b, b->n_tensors + spare, sizeof(*f->storage));
	f->number = array(b, b->n_tensors + spare, sizeof(*f->number));
	f->data = array(b, b->n_tensors + spare, sizeof(*f->data));
	while (size < 2 * (b->n_tensors + spare))
		size *= 2;
	f->hash = array(b, size, sizeof(*f->hash));
	f->hash_mask = size - 1;
	f->p = array(b, 1, sizeof(*f->p));
	if (b->err)
		return;
	memset(f->storage, 0xff, (b->n_tensors + spare) * sizeof(*f->storage));
	memset(f->number, 0xff, (b->n_tensors + spare) * sizeof(*f->number));
	memset(f->hash, 0xff, size * sizeof(*f->hash));
	for (uint32_t t = 0; t < b->n_tensors + spare; t++)
		f->root[t] = t;
	find_roots(f);
	settle_outputs(f);
	f->p->inputs = array(b, b->n_inputs, sizeof(*f->p->inputs));
	f->p->outputs = array(b, b->n_outputs, sizeof(*f->p->outputs));
	f->p->ops = array(b, b->n_ops, sizeof(*f->p->ops));
	f->p->tensors = array(b, b->n_tensors, sizeof(*f->p->tensors));
	f->p->storages = array(b, b->n_tensors, sizeof(*f->p->storages));
}

int build_finish(struct build *b, struct program **out)
{
	struct finish f = { .b = b };
	char why[256];

	*out = NULL;
	if (!b->err && !b->n_outputs)
		build_fail(b, -EINVAL, "the model has no outputs");
	build_sort(b);
	if (!b->err)
		prepare(&f);
	if (!b->err)
		copy_ops(&f);
	if (!b->err)
		copy_io(&f);
	if (!b->err)
		copy_names(&f);
	if (!b->err)
		copy_consts(&f);
	if (!b->err)
		colour(&f);
	if (!b->err && deps_build(f.p))
		no_memory(b);
	if (!b->err && program_verify(f.p, why, sizeof(why)))
		build_fail(b, -EINVAL, "the program is not sound: %s", why);
	if (!b->err)
		f.p->macs = program_macs(f.p);
	free(f.root);
	free(f.reads);
	free(f.storage);
	free(f.number);
	free(f.data);
	free(f.hash);
	if (b->err) {
		program_free(f.p);
		return b->err;
	}
	*out = f.p;
	return 0;
}
