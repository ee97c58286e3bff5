// SPDX-License-Identifier: MIT
/*
 * Kinds that are one move of a strided tensor: TRANSPOSE, COPY, SLICE, EXPAND
 * and TILE. Any element type, by its size.
 *
 * priv is a struct cpu_move, immutable.
 */
#include <errno.h>
#include <stdlib.h>

#include "agent/cpu/kernel.h"
#include "agent/cpu/walk.h"

static int new_move(struct cpu_op *co, uint32_t rank, const int64_t *dims,
		    int64_t base, const int64_t *in)
{
	struct cpu_move *m = malloc(sizeof(*m));
	int64_t out[WALK_RANK];

	if (!m)
		return -ENOMEM;
	cpu_dense(rank, dims, out);
	cpu_move_init(m, (uint32_t)prog_type_size(cpu_out_tensor(co, 0)->type), rank, dims,
		      base, in, 0, out);
	co->priv = m;
	return 0;
}

static void move_release(struct cpu_op *co)
{
	free(co->priv);
}

static uint32_t move_tiles(const struct cpu_op *co, uint32_t degree)
{
	const struct cpu_move *m = co->priv;

	return cpu_pieces(degree, m->items, m->grain);
}

static void move_run(const struct cpu_run *run, const struct cpu_op *co,
		     uint32_t tile, uint32_t n_tiles)
{
	const struct cpu_move *m = co->priv;
	struct cpu_piece c = cpu_piece(run->degree, m->items, m->grain, tile);

	for (uint32_t r = c.r; r < c.r_end; r++)
		cpu_move_run(m, cpu_out(run, co, 0, r), cpu_in(run, co, 0, r), c.begin, c.end);
}

static int transpose_prepare(struct cpu_op *co)
{
	const struct prog_tensor *x = cpu_in_tensor(co, 0), *y = cpu_out_tensor(co, 0);
	int64_t dense[PROG_MAX_RANK], in[PROG_MAX_RANK];

	cpu_dense(x->rank, x->dims, dense);
	for (uint32_t i = 0; i < y->rank; i++)
		in[i] = dense[co->op->params.perm[i]];
	return new_move(co, y->rank, y->dims, 0, in);
}

static int copy_prepare(struct cpu_op *co)
{
	const struct prog_tensor *x = cpu_in_tensor(co, 0);
	int64_t one = 1;

	return new_move(co, 1, &x->elems, 0, &one);
}

static int slice_prepare(struct cpu_op *co)
{
	const struct prog_tensor *x = cpu_in_tensor(co, 0), *y = cpu_out_tensor(co, 0);
	const struct prog_slice *s = &co->op->params.slice;
	int64_t in[PROG_MAX_RANK], base = 0;

	cpu_dense(x->rank, x->dims, in);
	for (uint32_t i = 0; i < x->rank; i++) {
		base += s->start[i] * in[i];
		/* The step of an axis of one element may be anything. */
		in[i] = y->dims[i] == 1 ? 0 : in[i] * s->step[i];
	}
	return new_move(co, y->rank, y->dims, base, in);
}

static int expand_prepare(struct cpu_op *co)
{
	const struct prog_tensor *x = cpu_in_tensor(co, 0), *y = cpu_out_tensor(co, 0);
	struct cpu_walk w;

	cpu_walk_start(&w, y->rank, y->dims);
	cpu_walk_bcast(&w, 0, x);
	return new_move(co, y->rank, y->dims, 0, w.stride[0]);
}

static int tile_prepare(struct cpu_op *co)
{
	const struct prog_tensor *x = cpu_in_tensor(co, 0), *y = cpu_out_tensor(co, 0);
	int64_t dense[PROG_MAX_RANK], dims[WALK_RANK], in[WALK_RANK];

	cpu_dense(x->rank, x->dims, dense);
	for (uint32_t i = 0; i < x->rank; i++) {
		dims[2 * i] = y->dims[i] / x->dims[i];
		in[2 * i] = 0;
		dims[2 * i + 1] = x->dims[i];
		in[2 * i + 1] = dense[i];
	}
	return new_move(co, 2 * x->rank, dims, 0, in);
}

const struct cpu_kernel cpu_k_transpose = {
	.prepare = transpose_prepare,
	.release = move_release,
	.tiles = move_tiles,
	.run = move_run,
};

const struct cpu_kernel cpu_k_copy = {
	.prepare = copy_prepare,
	.release = move_release,
	.tiles = move_tiles,
	.run = move_run,
};

const struct cpu_kernel cpu_k_slice = {
	.prepare = slice_prepare,
	.release = move_release,
	.tiles = move_tiles,
	.run = move_run,
};

const struct cpu_kernel cpu_k_expand = {
	.prepare = expand_prepare,
	.release = move_release,
	.tiles = move_tiles,
	.run = move_run,
};

const struct cpu_kernel cpu_k_tile = {
	.prepare = tile_prepare,
	.release = move_release,
	.tiles = move_tiles,
	.run = move_run,
};
