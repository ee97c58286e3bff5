// SPDX-License-Identifier: MIT
/*
 * CUMSUM: running sums along an axis, forwards or backwards, with or without
 * the element itself. fp32 (summed in double), fp64 and integers.
 *
 * An item is a column. The sum is carried in a register: results are not read
 * back. No state.
 */
#include "agent/cpu/convert.h"
#include "agent/cpu/kernel.h"
#include "agent/cpu/walk.h"

struct columns {
	int64_t count, n, inner;
};

static struct columns columns_of(const struct cpu_op *co)
{
	const struct prog_tensor *x = cpu_in_tensor(co, 0);
	uint32_t axis = (uint32_t)co->op->params.cumsum.axis;
	struct columns c = { .n = x->dims[axis], .inner = 1 };

	for (uint32_t i = axis + 1; i < x->rank; i++)
		c.inner *= x->dims[i];
	c.count = x->elems / c.n;
	return c;
}

static int64_t grain(const struct columns *c)
{
	return c->n < WALK_GRAIN ? WALK_GRAIN / c->n : 1;
}

#define COLUMN(type, wide)							\
	do {									\
		const type *p = (const type *)x + at;				\
		type *q = (type *)y + at;					\
		wide sum = 0;							\
										\
		for (int64_t i = 0; i < c->n; i++, p += step, q += step) {	\
			wide v = (wide)*p;					\
										\
			*q = (type)(exclusive ? sum : sum + v);			\
			sum += v;						\
		}								\
	} while (0)

static void column(enum braid_type t, void *y, const void *x, const struct columns *c,
		   int64_t i, bool exclusive, bool reverse)
{
	int64_t at = i / c->inner * c->n * c->inner + i % c->inner, step = c->inner;

	if (reverse) {
		at += (c->n - 1) * c->inner;
		step = -step;
	}
	switch (t) {
	case BRAID_TYPE_F32:
		COLUMN(float, double);
		break;
	case BRAID_TYPE_F64:
		COLUMN(double, double);
		break;
	case BRAID_TYPE_I32:
	case BRAID_TYPE_U32:
		COLUMN(uint32_t, uint32_t);
		break;
	default:
		COLUMN(uint64_t, uint64_t);
		break;
	}
}

static int cumsum_check(const struct program *p, const struct prog_op *op, char *why, size_t len)
{
	enum braid_type t = p->tensors[op->in[0]].type;

	switch (t) {
	case BRAID_TYPE_F32:
	case BRAID_TYPE_F64:
	case BRAID_TYPE_I32:
	case BRAID_TYPE_U32:
	case BRAID_TYPE_I64:
	case BRAID_TYPE_U64:
		return 0;
	default:
		return cpu_refuse(op, why, len, "no sum of %s", prog_type_name(t));
	}
}

static uint32_t cumsum_tiles(const struct cpu_op *co, uint32_t degree)
{
	struct columns c = columns_of(co);

	return cpu_pieces(degree, c.count, grain(&c));
}

static void cumsum_run(const struct cpu_run *run, const struct cpu_op *co,
		       uint32_t tile, uint32_t n_tiles)
{
	const struct prog_cumsum *p = &co->op->params.cumsum;
	struct columns c = columns_of(co);
	struct cpu_piece piece = cpu_piece(run->degree, c.count, grain(&c), tile);

	for (uint32_t r = piece.r; r < piece.r_end; r++)
		for (int64_t i = piece.begin; i < piece.end; i++)
			column(cpu_in_tensor(co, 0)->type, cpu_out(run, co, 0, r),
			       cpu_in(run, co, 0, r), &c, i, p->exclusive, p->reverse);
}

const struct cpu_kernel cpu_k_cumsum = {
	.check = cumsum_check,
	.tiles = cumsum_tiles,
	.run = cumsum_run,
};
