// SPDX-License-Identifier: MIT
/*
 * GATHER, GATHER_ELEMENTS and GATHER_ND: any element type, int32 and int64
 * indices, out of range ones clamped (index.h).
 *
 * No state: what is needed follows from the shapes.
 */
#include "agent/cpu/convert.h"
#include "agent/cpu/index.h"
#include "agent/cpu/kernel.h"
#include "agent/cpu/walk.h"

static int check_indices(const struct program *p, const struct prog_op *op, char *why, size_t len)
{
	enum braid_type t = p->tensors[op->in[1]].type;

	if (cpu_is_index_type(t))
		return 0;
	return cpu_refuse(op, why, len, "indices are %s", prog_type_name(t));
}

static int64_t product(const struct prog_tensor *t, uint32_t from, uint32_t to)
{
	int64_t n = 1;

	for (uint32_t i = from; i < to; i++)
		n *= t->dims[i];
	return n;
}

/* Rows of this many bytes that make a tile. */
static int64_t row_grain(int64_t bytes)
{
	int64_t n = bytes + 16;		/* finding a row costs, too */

	return n < 4 * WALK_GRAIN ? 4 * WALK_GRAIN / n : 1;
}

static void copy_row(uint8_t *y, const uint8_t *x, int64_t bytes)
{
	if (bytes == 4)
		memcpy(y, x, 4);
	else if (bytes == 8)
		memcpy(y, x, 8);
	else
		memcpy(y, x, (size_t)bytes);
}

/*
 * GATHER: [batch][outer][axis][inner] by [batch][indices] gives
 * [batch][outer][indices][inner]. An item is one row of the output.
 */
struct gather {
	int64_t rows, outer, n, inner, count;	/* outer in a batch; inner in bytes */
};

static struct gather gather_of(const struct cpu_op *co)
{
	const struct prog_tensor *x = cpu_in_tensor(co, 0);
	uint32_t axis = (uint32_t)co->op->params.gather.axis;
	uint32_t batch_dims = (uint32_t)co->op->params.gather.batch_dims;
	int64_t batch = product(x, 0, batch_dims), idx = cpu_in_tensor(co, 1)->elems;
	int64_t outer = product(x, batch_dims, axis);

	return (struct gather) {
		.rows = idx * outer,
		.outer = outer,
		.n = x->dims[axis],
		.inner = product(x, axis + 1, x->rank) * (int64_t)prog_type_size(x->type),
		.count = idx / batch,
	};
}

static uint32_t gather_tiles(const struct cpu_op *co, uint32_t degree)
{
	struct gather g = gather_of(co);

	return cpu_pieces(degree, g.rows, row_grain(g.inner));
}

static void gather_run(const struct cpu_run *run, const struct cpu_op *co,
		       uint32_t tile, uint32_t n_tiles)
{
	enum braid_type type = cpu_in_tensor(co, 1)->type;
	struct gather g = gather_of(co);
	struct cpu_piece c = cpu_piece(run->degree, g.rows, row_grain(g.inner), tile);

	for (uint32_t r = c.r; r < c.r_end; r++) {
		const uint8_t *x = cpu_in(run, co, 0, r);
		const void *idx = cpu_in(run, co, 1, r);
		uint8_t *y = cpu_out(run, co, 0, r);
		int64_t o = c.begin / g.count, k = c.begin % g.count;

		for (int64_t i = c.begin; i < c.end; i++) {
			int64_t at = cpu_index(type, idx, o / g.outer * g.count + k, g.n);

			copy_row(y + i * g.inner, x + (o * g.n + at) * g.inner, g.inner);
			if (++k == g.count) {
				k = 0;
				o++;
			}
		}
	}
}

/*
 * GATHER_ELEMENTS: y[i..] = x[i.. with the index instead of i on the axis].
 * y has the shape of the indices, which may be smaller than x's off the axis.
 * An item is a row of the last axis.
 */
static uint32_t elements_tiles(const struct cpu_op *co, uint32_t degree)
{
	const struct prog_tensor *y = cpu_out_tensor(co, 0);
	int64_t n = y->dims[y->rank - 1];

	return cpu_pieces(degree, y->elems / n, row_grain(n * 16));
}

static void elements_row(const struct cpu_op *co, uint8_t *y, const uint8_t *x,
			 const void *idx, int64_t row)
{
	const struct prog_tensor *tx = cpu_in_tensor(co, 0), *ti = cpu_in_tensor(co, 1);
	uint32_t axis = (uint32_t)co->op->params.gather.axis, last = tx->rank - 1;
	int64_t n = ti->dims[last], at = row * n, base = 0, stride = 1, step = 1;
	size_t size = prog_type_size(tx->type);

	for (uint32_t i = tx->rank; i-- > 0;) {
		if (i == axis)
			step = stride;
		if (i < last) {
			if (i != axis)
				base += row % ti->dims[i] * stride;
			row /= ti->dims[i];
		}
		stride *= tx->dims[i];
	}
	for (int64_t i = 0; i < n; i++) {
		int64_t k = base + cpu_index(ti->type, idx, at + i, tx->dims[axis]) * step;

		if (axis != last)
			k += i;
		cpu_copy1(y + (at + i) * (int64_t)size, x + k * (int64_t)size, size);
	}
}

static void elements_run(const struct cpu_run *run, const struct cpu_op *co,
			 uint32_t tile, uint32_t n_tiles)
{
	const struct prog_tensor *y = cpu_out_tensor(co, 0);
	int64_t n = y->dims[y->rank - 1];
	struct cpu_piece c = cpu_piece(run->degree, y->elems / n, row_grain(n * 16), tile);

	for (uint32_t r = c.r; r < c.r_end; r++)
		for (int64_t i = c.begin; i < c.end; i++)
			elements_row(co, cpu_out(run, co, 0, r), cpu_in(run, co, 0, r),
				     cpu_in(run, co, 1, r), i);
}

/*
 * GATHER_ND: [batch..][data..] by [batch..][q..][k] gives [batch..][q..][inner].
 * An item is one tuple of k indices.
 */
struct gather_nd {
	uint32_t batch_dims, k;
	int64_t batch, tuples;		/* tuples of one batch */
	int64_t data, inner;		/* bytes: data of one batch, a row */
};

static struct gather_nd nd_of(const struct cpu_op *co)
{
	const struct prog_tensor *x = cpu_in_tensor(co, 0), *t = cpu_in_tensor(co, 1);
	uint32_t b = (uint32_t)co->op->params.gather.batch_dims;
	int64_t size = (int64_t)prog_type_size(x->type);
	struct gather_nd g = { .batch_dims = b };

	g.k = (uint32_t)t->dims[t->rank - 1];
	g.batch = product(x, 0, b);
	g.tuples = t->elems / g.k / g.batch;
	g.data = product(x, b, x->rank) * size;
	g.inner = product(x, b + g.k, x->rank) * size;
	return g;
}

static uint32_t nd_tiles(const struct cpu_op *co, uint32_t degree)
{
	struct gather_nd g = nd_of(co);

	return cpu_pieces(degree, g.batch * g.tuples, row_grain(g.inner));
}

static void nd_run(const struct cpu_run *run, const struct cpu_op *co,
		   uint32_t tile, uint32_t n_tiles)
{
	const struct prog_tensor *tx = cpu_in_tensor(co, 0);
	enum braid_type type = cpu_in_tensor(co, 1)->type;
	struct gather_nd g = nd_of(co);
	struct cpu_piece c = cpu_piece(run->degree, g.batch * g.tuples, row_grain(g.inner), tile);

	for (uint32_t r = c.r; r < c.r_end; r++) {
		const uint8_t *x = cpu_in(run, co, 0, r);
		const void *idx = cpu_in(run, co, 1, r);
		uint8_t *y = cpu_out(run, co, 0, r);

		for (int64_t i = c.begin; i < c.end; i++) {
			int64_t at = 0;

			for (uint32_t j = 0; j < g.k; j++) {
				int64_t n = tx->dims[g.batch_dims + j];

				at = at * n + cpu_index(type, idx, i * g.k + j, n);
			}
			copy_row(y + i * g.inner,
				 x + i / g.tuples * g.data + at * g.inner, g.inner);
		}
	}
}

const struct cpu_kernel cpu_k_gather = {
	.check = check_indices,
	.tiles = gather_tiles,
	.run = gather_run,
};

const struct cpu_kernel cpu_k_gather_elements = {
	.check = check_indices,
	.tiles = elements_tiles,
	.run = elements_run,
};

const struct cpu_kernel cpu_k_gather_nd = {
	.check = check_indices,
	.tiles = nd_tiles,
	.run = nd_run,
};
