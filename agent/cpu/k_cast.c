// SPDX-License-Identifier: MIT
/*
 * CAST: every pair of the types that convert.h knows.
 *
 * No state.
 */
#include "agent/cpu/convert.h"
#include "agent/cpu/kernel.h"
#include "agent/cpu/walk.h"

static int cast_check(const struct program *p, const struct prog_op *op, char *why, size_t len)
{
	enum braid_type from = p->tensors[op->in[0]].type, to = p->tensors[op->out[0]].type;

	if (cpu_convertible(from) && cpu_convertible(to))
		return 0;
	return cpu_refuse(op, why, len, "no conversion from %s to %s", prog_type_name(from),
			  prog_type_name(to));
}

static uint32_t cast_tiles(const struct cpu_op *co, uint32_t degree)
{
	return cpu_pieces(degree, cpu_out_tensor(co, 0)->elems, WALK_GRAIN);
}

static void cast_run(const struct cpu_run *run, const struct cpu_op *co,
		     uint32_t tile, uint32_t n_tiles)
{
	const struct prog_tensor *x = cpu_in_tensor(co, 0), *y = cpu_out_tensor(co, 0);
	size_t in_size = prog_type_size(x->type), out_size = prog_type_size(y->type);
	struct cpu_piece c = cpu_piece(run->degree, y->elems, WALK_GRAIN, tile);

	for (uint32_t r = c.r; r < c.r_end; r++) {
		const uint8_t *in = cpu_in(run, co, 0, r);
		uint8_t *out = cpu_out(run, co, 0, r);

		cpu_convert(y->type, out + c.begin * out_size, x->type, in + c.begin * in_size,
			    (size_t)(c.end - c.begin));
	}
}

const struct cpu_kernel cpu_k_cast = {
	.check = cast_check,
	.tiles = cast_tiles,
	.run = cast_run,
};
