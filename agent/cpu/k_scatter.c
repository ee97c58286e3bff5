// SPDX-License-Identifier: MIT
/*
 * SCATTER_ELEMENTS and SCATTER_ND: the data, then the updates over it one
 * after the other, so that the last of several on one place wins and the
 * reductions have one order. Any element type for plain scatter; the
 * reductions do the numeric ones. Indices: index.h.
 *
 * A tile is one request. A reduction reads what it wrote, and outputs must
 * not be read back, so into those it works in scratch and copies at the end.
 * No state.
 */
#include "agent/cpu/convert.h"
#include "agent/cpu/index.h"
#include "agent/cpu/kernel.h"
#include "agent/cpu/unaligned.h"

static bool reads_back(const struct cpu_op *co)
{
	const struct prog_tensor *y = cpu_out_tensor(co, 0);

	return co->op->params.scatter.fn != PROG_SCATTER_SET &&
	       co->prog->storages[y->storage].place == PROG_OUTPUT;
}

static bool reducible(enum braid_type t)
{
	return t == BRAID_TYPE_F32 || t == BRAID_TYPE_F64 || prog_type_is_int(t);
}

static int scatter_check(const struct program *p, const struct prog_op *op, char *why, size_t len)
{
	enum braid_type t = p->tensors[op->in[1]].type;

	if (!cpu_is_index_type(t))
		return cpu_refuse(op, why, len, "indices are %s", prog_type_name(t));
	t = p->tensors[op->in[0]].type;
	if (op->params.scatter.fn != PROG_SCATTER_SET && !reducible(t))
		return cpu_refuse(op, why, len, "no reduction of %s", prog_type_name(t));
	return 0;
}

static int scatter_prepare(struct cpu_op *co)
{
	const struct prog_tensor *y = cpu_out_tensor(co, 0);

	if (reads_back(co))
		co->scratch = (size_t)y->elems * prog_type_size(y->type);
	return 0;
}

static uint32_t scatter_tiles(const struct cpu_op *co, uint32_t degree)
{
	return degree;
}

/* Sums and products of integers wrap around: @wide is unsigned, or a float. */
#define REDUCE(type, wide)						\
	do {								\
		type *a = y;						\
		const type *b = u;					\
									\
		for (int64_t i = 0; i < n; i++) {			\
			if (fn == PROG_SCATTER_ADD)			\
				a[i] = (type)((wide)a[i] + (wide)b[i]);	\
			else if (fn == PROG_SCATTER_MUL)		\
				a[i] = (type)((wide)a[i] * (wide)b[i]);	\
			else if (fn == PROG_SCATTER_MIN)		\
				a[i] = b[i] < a[i] ? b[i] : a[i];	\
			else						\
				a[i] = b[i] > a[i] ? b[i] : a[i];	\
		}							\
	} while (0)

static void update(enum prog_scatter_fn fn, enum braid_type t, size_t size,
		   void *y, const void *u, int64_t n)
{
	if (fn == PROG_SCATTER_SET) {
		if (n == 1)
			cpu_copy1(y, u, size);
		else
			memcpy(y, u, (size_t)n * size);
		return;
	}
	switch (t) {
	case BRAID_TYPE_F32:
		REDUCE(un_f32, float);
		break;
	case BRAID_TYPE_F64:
		REDUCE(un_f64, double);
		break;
	case BRAID_TYPE_I8:
		REDUCE(int8_t, uint32_t);
		break;
	case BRAID_TYPE_U8:
		REDUCE(uint8_t, uint32_t);
		break;
	case BRAID_TYPE_I16:
		REDUCE(un_i16, uint32_t);
		break;
	case BRAID_TYPE_U16:
		REDUCE(un_u16, uint32_t);
		break;
	case BRAID_TYPE_I32:
		REDUCE(un_i32, uint32_t);
		break;
	case BRAID_TYPE_U32:
		REDUCE(un_u32, uint32_t);
		break;
	case BRAID_TYPE_I64:
		REDUCE(un_i64, uint64_t);
		break;
	default:
		REDUCE(un_u64, uint64_t);
		break;
	}
}

/* Where the result is made, the data already in it. */
static uint8_t *begin(const struct cpu_run *run, const struct cpu_op *co, uint32_t r, size_t *bytes)
{
	const struct prog_tensor *y = cpu_out_tensor(co, 0);
	uint8_t *to = reads_back(co) ? run->scratch : cpu_out(run, co, 0, r);

	*bytes = (size_t)y->elems * prog_type_size(y->type);
	memcpy(to, cpu_in(run, co, 0, r), *bytes);
	return to;
}

static void end(const struct cpu_run *run, const struct cpu_op *co, uint32_t r,
		const uint8_t *from, size_t bytes)
{
	if (reads_back(co))
		memcpy(cpu_out(run, co, 0, r), from, bytes);
}

static void elements_run(const struct cpu_run *run, const struct cpu_op *co,
			 uint32_t r, uint32_t n_tiles)
{
	const struct prog_tensor *x = cpu_in_tensor(co, 0), *t = cpu_in_tensor(co, 1);
	const struct prog_scatter *s = &co->op->params.scatter;
	const void *idx = cpu_in(run, co, 1, r);
	const uint8_t *u = cpu_in(run, co, 2, r);
	size_t size = prog_type_size(x->type), bytes;
	uint8_t *y = begin(run, co, r, &bytes);

	for (int64_t i = 0; i < t->elems; i++) {
		int64_t rest = i, stride = 1, at = 0;

		for (uint32_t d = t->rank; d-- > 0;) {
			int64_t k = rest % t->dims[d];

			rest /= t->dims[d];
			if (d == (uint32_t)s->axis)
				k = cpu_index(t->type, idx, i, x->dims[d]);
			at += k * stride;
			stride *= x->dims[d];
		}
		update(s->fn, x->type, size, y + at * (int64_t)size, u + i * (int64_t)size, 1);
	}
	end(run, co, r, y, bytes);
}

static void nd_run(const struct cpu_run *run, const struct cpu_op *co,
		   uint32_t r, uint32_t n_tiles)
{
	const struct prog_tensor *x = cpu_in_tensor(co, 0), *t = cpu_in_tensor(co, 1);
	uint32_t k = (uint32_t)t->dims[t->rank - 1];
	const void *idx = cpu_in(run, co, 1, r);
	const uint8_t *u = cpu_in(run, co, 2, r);
	size_t size = prog_type_size(x->type), bytes;
	uint8_t *y = begin(run, co, r, &bytes);
	int64_t inner = 1;

	for (uint32_t d = k; d < x->rank; d++)
		inner *= x->dims[d];
	for (int64_t i = 0; i < t->elems / k; i++) {
		int64_t at = 0;

		for (uint32_t d = 0; d < k; d++)
			at = at * x->dims[d] + cpu_index(t->type, idx, i * k + d, x->dims[d]);
		update(co->op->params.scatter.fn, x->type, size,
		       y + at * inner * (int64_t)size, u + i * inner * (int64_t)size, inner);
	}
	end(run, co, r, y, bytes);
}

const struct cpu_kernel cpu_k_scatter_elements = {
	.check = scatter_check,
	.prepare = scatter_prepare,
	.tiles = scatter_tiles,
	.run = elements_run,
};

const struct cpu_kernel cpu_k_scatter_nd = {
	.check = scatter_check,
	.prepare = scatter_prepare,
	.tiles = scatter_tiles,
	.run = nd_run,
};
