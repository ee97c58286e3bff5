// SPDX-License-Identifier: MIT
/*
 * Programs of one operation, see one.h. Owns all data of a struct one.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/cpu/one.h"

uint64_t one_u64(struct one_rng *g)
{
	uint64_t z = (g->s += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

int64_t one_range(struct one_rng *g, int64_t lo, int64_t hi)
{
	return lo + (int64_t)(one_u64(g) % (uint64_t)(hi - lo + 1));
}

float one_float(struct one_rng *g)
{
	return (float)(one_u64(g) >> 40) / (float)(1 << 23) - 1.0f;
}

void one_init(struct one *o, struct one_rng *g, enum prog_kind kind, uint32_t degree)
{
	memset(o, 0, sizeof(*o));
	o->rng = g;
	o->degree = degree;
	o->op.kind = kind;
	o->op.in = o->in;
	o->op.out = o->out;
	o->op.epi.residual = PROG_NONE;
	o->op.node = "one";
	o->op.op_type = prog_kind_name(kind);
	o->p.ops = &o->op;
	o->p.n_ops = 1;
	o->p.storages = o->storages;
	o->p.tensors = o->tensors;
}

void one_free(struct one *o)
{
	for (uint32_t t = 0; t < o->p.n_tensors; t++) {
		for (uint32_t r = 0; r < o->degree; r++) {
			free(o->data[t][r]);
			if (o->storages[t].place == PROG_CONST)
				break;
		}
	}
	free(o->p.consts);
}

static uint32_t add(struct one *o, enum prog_place place, enum braid_type type,
		    uint32_t rank, const int64_t *dims)
{
	uint32_t n = o->p.n_tensors++;
	struct prog_tensor *t = &o->tensors[n];
	struct prog_storage *s = &o->storages[n];
	size_t bytes;

	o->p.n_storages++;
	t->type = type;
	t->rank = rank;
	t->elems = 1;
	for (uint32_t i = 0; i < rank; i++) {
		t->dims[i] = dims[i];
		t->elems *= dims[i];
	}
	t->storage = n;
	bytes = t->elems * prog_type_size(type);
	s->place = place;
	s->bytes = bytes;
	switch (place) {
	case PROG_INPUT:
		s->index = o->p.n_inputs++;
		break;
	case PROG_OUTPUT:
		s->index = o->p.n_outputs++;
		break;
	case PROG_ARENA:
		s->bytes = (bytes + PROG_ALIGN - 1) / PROG_ALIGN * PROG_ALIGN;
		s->offset = o->p.arena_bytes;
		o->p.arena_bytes += s->bytes;
		break;
	case PROG_CONST:
		s->offset = o->p.const_bytes;
		o->p.const_bytes += (bytes + PROG_ALIGN - 1) / PROG_ALIGN * PROG_ALIGN;
		break;
	}
	for (uint32_t r = 0; r < o->degree; r++) {
		if (place == PROG_CONST && r) {
			o->data[n][r] = o->data[n][0];
			continue;
		}
		o->data[n][r] = calloc(1, bytes);
		if (!o->data[n][r])
			abort();
		if (type == BRAID_TYPE_F32)
			for (int64_t i = 0; i < t->elems; i++)
				((float *)o->data[n][r])[i] = one_float(o->rng);
	}
	return n;
}

uint32_t one_in(struct one *o, enum braid_type type, uint32_t rank, const int64_t *dims,
		bool may_be_const)
{
	static const enum prog_place places[] = { PROG_INPUT, PROG_ARENA, PROG_CONST };
	enum prog_place place = places[one_range(o->rng, 0, may_be_const ? 2 : 1)];

	return o->in[o->op.n_in++] = add(o, place, type, rank, dims);
}

uint32_t one_const(struct one *o, enum braid_type type, uint32_t rank, const int64_t *dims)
{
	return o->in[o->op.n_in++] = add(o, PROG_CONST, type, rank, dims);
}

void one_none(struct one *o)
{
	o->in[o->op.n_in++] = PROG_NONE;
}

uint32_t one_out(struct one *o, enum braid_type type, uint32_t rank, const int64_t *dims)
{
	enum prog_place place = one_range(o->rng, 0, 1) ? PROG_OUTPUT : PROG_ARENA;

	return o->out[o->op.n_out++] = add(o, place, type, rank, dims);
}

void one_residual(struct one *o, uint32_t rank, const int64_t *dims)
{
	enum prog_place place = one_range(o->rng, 0, 1) ? PROG_INPUT : PROG_ARENA;

	o->op.epi.residual = add(o, place, BRAID_TYPE_F32, rank, dims);
}

static size_t bytes_of(const struct one *o, uint32_t t)
{
	return o->tensors[t].elems * prog_type_size(o->tensors[t].type);
}

static bool is_out(const struct one *o, uint32_t t)
{
	for (uint32_t i = 0; i < o->op.n_out; i++)
		if (o->out[i] == t)
			return true;
	return false;
}

/* Requests [first, first + degree) as one; results go to to[tensor][request]. */
static void run_some(struct one *o, const struct cpu_op *co, uint32_t first, uint32_t degree,
		     void *(*to)[ONE_DEGREE], size_t scratch)
{
	uint32_t width = o->p.n_inputs + o->p.n_outputs, n;
	void **io = calloc((size_t)width * degree + 1, sizeof(*io));
	uint32_t *order;
	struct cpu_run run = { .prog = &o->p, .degree = degree, .io = io };

	/* Exact sizes, so that sanitizers see a step too far. */
	run.arena = aligned_alloc(64, o->p.arena_bytes * degree + 64);
	run.scratch = aligned_alloc(64, (scratch + 63) / 64 * 64 + 64);
	if (!io || !run.arena || !run.scratch)
		abort();
	memset(run.arena, 0xff, o->p.arena_bytes * degree);
	memset(run.scratch, 0xff, scratch);
	for (uint32_t t = 0; t < o->p.n_tensors; t++)
		for (uint32_t r = 0; r < degree; r++) {
			const struct prog_storage *s = &o->storages[t];

			if (s->place == PROG_INPUT)
				io[r * width + s->index] = o->data[t][first + r];
			else if (s->place == PROG_OUTPUT)
				io[r * width + o->p.n_inputs + s->index] = to[t][first + r];
			else if (s->place == PROG_ARENA && !is_out(o, t))
				memcpy(cpu_ptr(&run, t, r), o->data[t][first + r], bytes_of(o, t));
		}
	n = co->kernel->tiles(co, degree);
	order = calloc(n, sizeof(*order));
	if (!order)
		abort();
	for (uint32_t i = 0; i < n; i++)
		order[i] = i;
	for (uint32_t i = n; i > 1; i--) {
		uint32_t k = (uint32_t)one_range(o->rng, 0, i - 1), x = order[k];

		order[k] = order[i - 1];
		order[i - 1] = x;
	}
	for (uint32_t i = 0; i < n; i++)
		co->kernel->run(&run, co, order[i], n);
	for (uint32_t t = 0; t < o->p.n_tensors; t++)
		for (uint32_t r = 0; r < degree; r++)
			if (is_out(o, t) && o->storages[t].place == PROG_ARENA)
				memcpy(to[t][first + r], cpu_ptr(&run, t, r), bytes_of(o, t));
	free(order);
	free(run.arena);
	free(run.scratch);
	free(io);
}

static bool same(const struct one *o, uint32_t t, const void *x, const void *y)
{
	if (o->tensors[t].type == BRAID_TYPE_F32) {
		const float *a = x, *b = y;
		bool nan = false;

		for (int64_t i = 0; i < o->tensors[t].elems; i++)
			if (isnan(a[i]) != isnan(b[i]))
				return false;
			else if (isnan(a[i]))
				nan = true;
		if (!nan)
			return one_distance(a, b, o->tensors[t].elems) <= 1e-5;
	}
	return !memcmp(x, y, bytes_of(o, t));
}

int one_run(struct one *o, char *why, size_t len)
{
	void *alone[ONE_TENSORS][ONE_DEGREE] = { 0 };
	struct cpu_op *ops;
	size_t scratch;
	int err;

	o->p.consts = aligned_alloc(64, (o->p.const_bytes + 64) / 64 * 64);
	if (!o->p.consts)
		abort();
	for (uint32_t t = 0; t < o->p.n_tensors; t++)
		if (o->storages[t].place == PROG_CONST)
			memcpy(o->p.consts + o->storages[t].offset, o->data[t][0], bytes_of(o, t));
	err = cpu_ops_prepare(&o->p, &ops, &scratch, why, len);
	if (err)
		return err;
	run_some(o, ops, 0, o->degree, o->data, scratch);
	for (uint32_t t = 0; t < o->p.n_tensors; t++)
		for (uint32_t r = 0; r < o->degree && is_out(o, t); r++) {
			alone[t][r] = calloc(1, bytes_of(o, t));
			if (!alone[t][r])
				abort();
		}
	for (uint32_t r = 0; r < o->degree; r++)
		run_some(o, ops, r, 1, alone, scratch);
	for (uint32_t t = 0; t < o->p.n_tensors; t++)
		for (uint32_t r = 0; r < o->degree && is_out(o, t); r++) {
			if (!same(o, t, o->data[t][r], alone[t][r]))
				err = -EILSEQ;
			free(alone[t][r]);
		}
	cpu_ops_release(ops, 1);
	return err;
}

double one_distance(const float *x, const float *ref, int64_t n)
{
	double d = 0, s = 0;

	for (int64_t i = 0; i < n; i++) {
		double e = (double)x[i] - ref[i];

		if (x[i] == ref[i])
			e = 0;
		else if (isnan(e))
			return INFINITY;
		d += e * e;
		s += (double)ref[i] * ref[i];
	}
	return d == 0 ? 0 : sqrt(d / (s > 1e-30 ? s : 1e-30));
}
