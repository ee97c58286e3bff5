// SPDX-License-Identifier: MIT
/*
 * ONEHOT: along an axis of the output the off value, but the on value at the
 * index; an index outside of [-depth, depth) turns nothing on. Indices of any
 * numeric type, values of any. And TRILU, which also is one value or another
 * by place.
 *
 * No state.
 */
#include "agent/cpu/convert.h"
#include "agent/cpu/index.h"
#include "agent/cpu/kernel.h"
#include "agent/cpu/walk.h"

static int onehot_check(const struct program *p, const struct prog_op *op, char *why, size_t len)
{
	enum braid_type t = p->tensors[op->in[0]].type;

	if (!cpu_convertible(t))
		return cpu_refuse(op, why, len, "indices are %s", prog_type_name(t));
	return 0;
}

static uint32_t onehot_tiles(const struct cpu_op *co, uint32_t degree)
{
	const struct prog_tensor *y = cpu_out_tensor(co, 0);
	int64_t depth = y->dims[co->op->params.axis];

	return cpu_pieces(degree, y->elems / depth, depth < WALK_GRAIN ? WALK_GRAIN / depth : 1);
}

static void onehot_run(const struct cpu_run *run, const struct cpu_op *co,
		       uint32_t tile, uint32_t n_tiles)
{
	const struct prog_tensor *x = cpu_in_tensor(co, 0), *y = cpu_out_tensor(co, 0);
	uint32_t axis = (uint32_t)co->op->params.axis;
	int64_t depth = y->dims[axis], inner = 1;
	size_t size = prog_type_size(y->type), x_size = prog_type_size(x->type);
	struct cpu_piece c = cpu_piece(run->degree, y->elems / depth,
				       depth < WALK_GRAIN ? WALK_GRAIN / depth : 1, tile);

	for (uint32_t i = axis + 1; i < y->rank; i++)
		inner *= y->dims[i];
	for (uint32_t r = c.r; r < c.r_end; r++) {
		const uint8_t *idx = cpu_in(run, co, 0, r), *values = cpu_in(run, co, 1, r);
		uint8_t *out = cpu_out(run, co, 0, r);

		for (int64_t i = c.begin; i < c.end; i++) {
			uint8_t *col = out + (i / inner * depth * inner + i % inner) *
					     (int64_t)size;
			int64_t on;

			cpu_convert(BRAID_TYPE_I64, &on, x->type, idx + i * (int64_t)x_size, 1);
			if (on < 0 && on >= -depth)
				on += depth;
			for (int64_t k = 0; k < depth; k++)
				cpu_copy1(col + k * inner * (int64_t)size,
					  values + (k == on ? size : 0), size);
		}
	}
}

const struct cpu_kernel cpu_k_onehot = {
	.check = onehot_check,
	.tiles = onehot_tiles,
	.run = onehot_run,
};

/* TRILU: an item is a row of the last axis; what is not kept is zero. */
static int64_t row_grain(const struct prog_tensor *y)
{
	int64_t n = y->dims[y->rank - 1];

	return n < WALK_GRAIN ? WALK_GRAIN / n : 1;
}

static uint32_t trilu_tiles(const struct cpu_op *co, uint32_t degree)
{
	const struct prog_tensor *y = cpu_out_tensor(co, 0);

	return cpu_pieces(degree, y->elems / y->dims[y->rank - 1], row_grain(y));
}

static void trilu_run(const struct cpu_run *run, const struct cpu_op *co,
		      uint32_t tile, uint32_t n_tiles)
{
	const struct prog_tensor *y = cpu_out_tensor(co, 0);
	const struct prog_trilu *p = &co->op->params.trilu;
	int64_t n = y->dims[y->rank - 1], m = y->dims[y->rank - 2];
	int64_t size = (int64_t)prog_type_size(y->type);
	struct cpu_piece c = cpu_piece(run->degree, y->elems / n, row_grain(y), tile);

	for (uint32_t r = c.r; r < c.r_end; r++) {
		const uint8_t *x = cpu_in(run, co, 0, r);
		uint8_t *out = cpu_out(run, co, 0, r);

		for (int64_t i = c.begin; i < c.end; i++) {
			const uint8_t *from = x + i * n * size;
			uint8_t *to = out + i * n * size;
			int64_t cut, row = i % m;

			/* The upper part begins at column row + k, the lower ends with it. */
			if (__builtin_add_overflow(row + !p->upper, p->k, &cut))
				cut = p->k < 0 ? 0 : n;
			cut = cut < 0 ? 0 : cut > n ? n : cut;
			if (p->upper) {
				memset(to, 0, (size_t)(cut * size));
				memcpy(to + cut * size, from + cut * size,
				       (size_t)((n - cut) * size));
			} else {
				memcpy(to, from, (size_t)(cut * size));
				memset(to + cut * size, 0, (size_t)((n - cut) * size));
			}
		}
	}
}

const struct cpu_kernel cpu_k_trilu = {
	.tiles = trilu_tiles,
	.run = trilu_run,
};
