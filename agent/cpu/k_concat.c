// SPDX-License-Identifier: MIT
/*
 * CONCAT: each input is moved into its part of the output. Any element type.
 *
 * priv is a struct concat, immutable.
 */
#include <errno.h>
#include <stdlib.h>

#include "agent/cpu/kernel.h"
#include "agent/cpu/walk.h"

/* Tiles share out the items of all inputs, laid end to end. */
struct concat {
	int64_t items;
	struct cpu_move m[];
};

static int concat_prepare(struct cpu_op *co)
{
	const struct prog_tensor *y = cpu_out_tensor(co, 0);
	uint32_t size = (uint32_t)prog_type_size(y->type), axis = (uint32_t)co->op->params.axis;
	int64_t in[PROG_MAX_RANK], out[PROG_MAX_RANK], at = 0;
	struct concat *c;

	c = malloc(sizeof(*c) + co->op->n_in * sizeof(c->m[0]));
	if (!c)
		return -ENOMEM;
	cpu_dense(y->rank, y->dims, out);
	c->items = 0;
	for (uint32_t i = 0; i < co->op->n_in; i++) {
		const struct prog_tensor *x = cpu_in_tensor(co, i);

		cpu_dense(x->rank, x->dims, in);
		cpu_move_init(&c->m[i], size, x->rank, x->dims, 0, in, at * out[axis], out);
		at += x->dims[axis];
		c->items += c->m[i].items;
	}
	co->priv = c;
	return 0;
}

static void concat_release(struct cpu_op *co)
{
	free(co->priv);
}

static uint32_t concat_tiles(const struct cpu_op *co, uint32_t degree)
{
	const struct concat *c = co->priv;

	return cpu_pieces(degree, c->items, WALK_GRAIN);
}

static void concat_run(const struct cpu_run *run, const struct cpu_op *co,
		       uint32_t tile, uint32_t n_tiles)
{
	const struct concat *c = co->priv;
	struct cpu_piece p = cpu_piece(run->degree, c->items, WALK_GRAIN, tile);

	for (uint32_t r = p.r; r < p.r_end; r++) {
		uint8_t *out = cpu_out(run, co, 0, r);
		int64_t at = 0;

		for (uint32_t i = 0; i < co->op->n_in; i++) {
			int64_t n = c->m[i].items;
			int64_t begin = p.begin > at ? p.begin - at : 0;
			int64_t end = p.end - at < n ? p.end - at : n;

			if (begin < end)
				cpu_move_run(&c->m[i], out, cpu_in(run, co, i, r), begin, end);
			at += n;
		}
	}
}

const struct cpu_kernel cpu_k_concat = {
	.prepare = concat_prepare,
	.release = concat_release,
	.tiles = concat_tiles,
	.run = concat_run,
};
