// SPDX-License-Identifier: MIT
/*
 * ARGREDUCE: index of the largest or smallest along an axis, the first or the
 * last of equals. A NaN is never chosen but where it comes first. All numeric
 * types.
 *
 * An item is a column: one result. No state.
 */
#include "agent/cpu/convert.h"
#include "agent/cpu/kernel.h"
#include "agent/cpu/walk.h"

struct arg {
	int64_t outer, n, inner;
};

static struct arg arg_of(const struct cpu_op *co)
{
	const struct prog_tensor *x = cpu_in_tensor(co, 0);
	uint32_t axis = (uint32_t)co->op->params.argreduce.axis;
	struct arg a = { .outer = 1, .n = x->dims[axis], .inner = 1 };

	for (uint32_t i = 0; i < x->rank; i++) {
		if (i < axis)
			a.outer *= x->dims[i];
		else if (i > axis)
			a.inner *= x->dims[i];
	}
	return a;
}

static int64_t grain(const struct arg *a)
{
	return a->n < WALK_GRAIN ? WALK_GRAIN / a->n : 1;
}

/* @elem_t: float, double or an integer. */
#define COLUMN(elem_t)								\
static int64_t column_##elem_t(const elem_t *x, int64_t n, int64_t stride, bool max, bool last)	\
{										\
	elem_t best = x[0];							\
	int64_t at = 0;								\
										\
	for (int64_t i = 1; i < n; i++) {					\
		elem_t v = x[i * stride];					\
										\
		if ((max ? v > best : v < best) || (last && v == best)) {	\
			best = v;						\
			at = i;							\
		}								\
	}									\
	return at;								\
}

COLUMN(float)
COLUMN(double)
COLUMN(int8_t)
COLUMN(uint8_t)
COLUMN(int16_t)
COLUMN(uint16_t)
COLUMN(int32_t)
COLUMN(uint32_t)
COLUMN(int64_t)
COLUMN(uint64_t)

#define CASE(t, type)								\
	case t:									\
		return column_##type((const type *)x + at, n, stride, max, last)

static int64_t column(enum braid_type t, const void *x, int64_t at, int64_t n, int64_t stride,
		      bool max, bool last)
{
	switch (t) {
	CASE(BRAID_TYPE_F32, float);
	CASE(BRAID_TYPE_F64, double);
	CASE(BRAID_TYPE_I8, int8_t);
	CASE(BRAID_TYPE_U8, uint8_t);
	CASE(BRAID_TYPE_I16, int16_t);
	CASE(BRAID_TYPE_U16, uint16_t);
	CASE(BRAID_TYPE_I32, int32_t);
	CASE(BRAID_TYPE_U32, uint32_t);
	CASE(BRAID_TYPE_I64, int64_t);
	CASE(BRAID_TYPE_U64, uint64_t);
	default:
		return 0;
	}
}

static int arg_check(const struct program *p, const struct prog_op *op, char *why, size_t len)
{
	enum braid_type t = p->tensors[op->in[0]].type;

	if (t == BRAID_TYPE_BOOL || t == BRAID_TYPE_F16 || t == BRAID_TYPE_BF16)
		return cpu_refuse(op, why, len, "no comparison of %s", prog_type_name(t));
	return 0;
}

static uint32_t arg_tiles(const struct cpu_op *co, uint32_t degree)
{
	struct arg a = arg_of(co);

	return cpu_pieces(degree, a.outer * a.inner, grain(&a));
}

static void arg_run(const struct cpu_run *run, const struct cpu_op *co,
		    uint32_t tile, uint32_t n_tiles)
{
	const struct prog_argreduce *p = &co->op->params.argreduce;
	enum braid_type t = cpu_in_tensor(co, 0)->type;
	struct arg a = arg_of(co);
	struct cpu_piece c = cpu_piece(run->degree, a.outer * a.inner, grain(&a), tile);

	for (uint32_t r = c.r; r < c.r_end; r++) {
		const void *x = cpu_in(run, co, 0, r);
		int64_t *y = cpu_out(run, co, 0, r);

		for (int64_t i = c.begin; i < c.end; i++)
			y[i] = column(t, x, i / a.inner * a.n * a.inner + i % a.inner, a.n,
				      a.inner, p->max, p->select_last);
	}
}

const struct cpu_kernel cpu_k_argreduce = {
	.check = arg_check,
	.tiles = arg_tiles,
	.run = arg_run,
};
