// SPDX-License-Identifier: MIT
/*
 * The builder's memory, tensors and operations. Nothing here knows what an
 * operation computes (build_ops.c) or what a constant holds (build_const.c).
 * Never frees anything before build_free(): passes are short-lived and
 * pointers into the builder stay good.
 */
#include "agent/program/build.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES	65536u

struct build_chunk {
	struct build_chunk *next;
	size_t used, size;
	max_align_t data[];
};

uint32_t build_fail(struct build *b, int err, const char *fmt, ...)
{
	va_list ap;

	if (b->err)
		return 0;
	b->err = err;
	va_start(ap, fmt);
	vsnprintf(b->why, sizeof(b->why), fmt, ap);
	va_end(ap);
	return 0;
}

static uint32_t no_memory(struct build *b)
{
	return build_fail(b, -ENOMEM, "out of memory");
}

void *build_alloc(struct build *b, size_t bytes)
{
	struct build_chunk *c = b->chunks;
	size_t size;
	void *p;

	if (bytes > SIZE_MAX - 2 * sizeof(max_align_t)) {
		no_memory(b);
		return NULL;
	}
	bytes = (bytes + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
	if (!c || c->size - c->used < bytes) {
		size = bytes > CHUNK_BYTES / 4 ? bytes : CHUNK_BYTES;
		c = calloc(1, sizeof(*c) + size);
		if (!c) {
			no_memory(b);
			return NULL;
		}
		c->size = size;
		/* A chunk of its own for a large piece: keep filling the open one. */
		if (b->chunks && size == bytes) {
			c->next = b->chunks->next;
			b->chunks->next = c;
		} else {
			c->next = b->chunks;
			b->chunks = c;
		}
	}
	p = (char *)c->data + c->used;
	c->used += bytes;
	return p;
}

char *build_strdup(struct build *b, const char *s)
{
	size_t len = strlen(s) + 1;
	char *p = build_alloc(b, len);

	if (p)
		memcpy(p, s, len);
	return p;
}

/* Room for one more element; doubles. */
static bool grow(struct build *b, void **array, uint32_t n, uint32_t *cap, size_t size)
{
	uint32_t want;
	void *p;

	if (n < *cap)
		return true;
	want = *cap ? 2 * *cap : 256;
	p = realloc(*array, want * size);
	if (!p) {
		no_memory(b);
		return false;
	}
	*array = p;
	*cap = want;
	return true;
}

static uint32_t new_tensor(struct build *b)
{
	struct build_tensor *t;

	if (b->n_tensors >= BUILD_MAX_TENSORS)
		return build_fail(b, -EINVAL, "more than %u tensors", BUILD_MAX_TENSORS);
	if (!grow(b, (void **)&b->tensors, b->n_tensors, &b->cap_tensors, sizeof(*b->tensors)))
		return 0;
	t = build_alloc(b, sizeof(*t));
	if (!t)
		return 0;
	b->tensors[b->n_tensors] = t;
	return b->n_tensors++;
}

struct build *build_new(void)
{
	struct build *b = calloc(1, sizeof(*b));
	struct build_tensor *t;
	float *zero;

	if (!b)
		return NULL;
	b->max_bytes = BUILD_MAX_BYTES;
	b->max_const_bytes = BUILD_MAX_BYTES;
	b->nowhere.kind = BUILD_DEAD;
	b->nowhere.epi.residual = PROG_NONE;
	zero = build_alloc(b, sizeof(*zero));
	new_tensor(b);
	if (b->err) {
		build_free(b);
		return NULL;
	}
	t = b->tensors[0];
	t->type = BRAID_TYPE_F32;
	t->elems = 1;
	t->from = BUILD_FROM_CONST;
	t->data = zero;
	return b;
}

void build_free(struct build *b)
{
	struct build_chunk *c, *next;

	if (!b)
		return;
	for (c = b->chunks; c; c = next) {
		next = c->next;
		free(c);
	}
	free(b->tensors);
	free(b->ops);
	free(b->inputs);
	free(b->outputs);
	free(b);
}

struct build_tensor *build_t(const struct build *b, uint32_t t)
{
	return b->tensors[t < b->n_tensors ? t : 0];
}

static uint32_t sized_tensor(struct build *b, enum braid_type type, uint32_t rank,
			     const int64_t *dims, int64_t least)
{
	int64_t elems = 1, bytes;
	struct build_tensor *t;
	size_t size;
	uint32_t n;

	if (b->err)
		return 0;
	size = prog_type_size(type);
	if (!size)
		return build_fail(b, -EOPNOTSUPP, "type %s is not supported",
				  prog_type_name((int)type));
	if (rank > PROG_MAX_RANK)
		return build_fail(b, -EOPNOTSUPP, "rank %u is above %u", rank, PROG_MAX_RANK);
	for (uint32_t i = 0; i < rank; i++) {
		if (dims[i] < least)
			return build_fail(b, -EOPNOTSUPP,
					  "dimension %u is %lld: empty tensors are not supported",
					  i, (long long)dims[i]);
		if (__builtin_mul_overflow(elems, dims[i], &elems))
			return build_fail(b, -EINVAL, "the tensor's size overflows");
	}
	if (__builtin_mul_overflow(elems, (int64_t)size, &bytes) ||
	    bytes > (int64_t)BUILD_MAX_TENSOR_BYTES || (uint64_t)bytes > b->max_bytes)
		return build_fail(b, -EINVAL, "a tensor of %lld elements is too large",
				  (long long)elems);
	n = new_tensor(b);
	if (b->err)
		return 0;
	t = b->tensors[n];
	t->type = type;
	t->rank = rank;
	if (rank)
		memcpy(t->dims, dims, rank * sizeof(*dims));
	t->elems = elems;
	return n;
}

uint32_t build_tensor(struct build *b, enum braid_type type, uint32_t rank,
		      const int64_t *dims)
{
	return sized_tensor(b, type, rank, dims, 1);
}

uint32_t build_const_ref(struct build *b, enum braid_type type, uint32_t rank,
			 const int64_t *dims, const void *data)
{
	uint32_t t = sized_tensor(b, type, rank, dims, 0);

	if (b->err)
		return 0;
	b->tensors[t]->from = BUILD_FROM_CONST;
	b->tensors[t]->data = data;
	return t;
}

static void add_io(struct build *b, struct build_io **list, uint32_t *n, const char *name,
		   uint32_t t)
{
	struct build_io *p;

	if (b->err)
		return;
	p = realloc(*list, (*n + 1) * sizeof(*p));
	if (!p) {
		no_memory(b);
		return;
	}
	*list = p;
	p[*n].name = build_strdup(b, name);
	p[*n].tensor = t;
	if (!b->err)
		(*n)++;
}

uint32_t build_input(struct build *b, const char *name, enum braid_type type,
		     uint32_t rank, const int64_t *dims)
{
	uint32_t t = build_tensor(b, type, rank, dims);

	if (b->err)
		return 0;
	b->tensors[t]->from = BUILD_FROM_INPUT;
	b->tensors[t]->input = b->n_inputs;
	add_io(b, &b->inputs, &b->n_inputs, name, t);
	return t;
}

void build_output(struct build *b, const char *name, uint32_t t)
{
	add_io(b, &b->outputs, &b->n_outputs, name, t);
}

struct prog_op *build_op(struct build *b, enum prog_kind kind, uint32_t n_in,
			 const uint32_t *in, uint32_t n_out)
{
	/* One block: the operation, its inputs, its outputs. */
	struct prog_op *op = build_alloc(b, sizeof(*op) + (n_in + n_out) * sizeof(uint32_t));

	if (!op)
		return &b->nowhere;
	op->kind = kind;
	op->n_in = n_in;
	op->n_out = n_out;
	op->in = (uint32_t *)(op + 1);
	op->out = op->in + n_in;
	for (uint32_t i = 0; i < n_in; i++) {
		op->in[i] = in[i];
		if (in[i] != PROG_NONE && in[i] >= b->n_tensors)
			build_fail(b, -EINVAL, "an operation reads a tensor that does not exist");
		else if (in[i] != PROG_NONE && !b->tensors[in[i]]->elems)
			build_fail(b, -EOPNOTSUPP, "empty tensors are not supported");
	}
	for (uint32_t i = 0; i < n_out; i++)
		op->out[i] = PROG_NONE;
	op->epi.residual = PROG_NONE;
	op->node = b->node;
	op->op_type = b->op_type;
	if (b->err)
		return op;
	if (b->n_ops >= BUILD_MAX_OPS) {
		build_fail(b, -EINVAL, "more than %u operations", BUILD_MAX_OPS);
		return op;
	}
	if (grow(b, (void **)&b->ops, b->n_ops, &b->cap_ops, sizeof(*b->ops)))
		b->ops[b->n_ops++] = op;
	return op;
}

uint32_t build_set_out(struct build *b, struct prog_op *op, uint32_t i,
		       enum braid_type type, uint32_t rank, const int64_t *dims)
{
	uint32_t t = build_tensor(b, type, rank, dims);

	if (b->err || i >= op->n_out)
		return 0;
	b->tensors[t]->from = BUILD_FROM_OP;
	b->tensors[t]->def = op;
	op->out[i] = t;
	return t;
}
