// SPDX-License-Identifier: MIT
/*
 * CONCAT: each input is moved into its part of the output. Any element type.
 *
 * Along an inner axis the output is written row by row, each row from all
 * inputs, so that no line of it is fetched twice; along an outer one it is
 * input by input.
 *
 * priv is a struct concat, immutable.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cpu/kernel.h"
#include "agent/cpu/walk.h"

#define MANY_ROWS	16

/**
 * struct concat - how inputs make the output
 * @items: rows of the output, or the items of all inputs laid end to end
 * @grain: items that make a tile
 * @row: bytes of a row of the output; 0: input by input
 * @m: move of each input
 */
struct concat {
	int64_t items, grain, row;
	struct cpu_move m[];
};

static int concat_prepare(struct cpu_op *co)
{
	const struct prog_tensor *y = cpu_out_tensor(co, 0);
	uint32_t size = (uint32_t)prog_type_size(y->type), axis = (uint32_t)co->op->params.axis;
	int64_t in[PROG_MAX_RANK], out[PROG_MAX_RANK], at = 0, rows = 1;
	struct concat *c;

	c = malloc(sizeof(*c) + co->op->n_in * sizeof(c->m[0]));
	if (!c)
		return -ENOMEM;
	cpu_dense(y->rank, y->dims, out);
	c->items = 0;
	c->grain = WALK_GRAIN;
	c->row = 0;
	for (uint32_t i = 0; i < co->op->n_in; i++) {
		const struct prog_tensor *x = cpu_in_tensor(co, i);

		cpu_dense(x->rank, x->dims, in);
		cpu_move_init(&c->m[i], size, x->rank, x->dims, 0, in, at * out[axis], out);
		at += x->dims[axis];
		c->items += c->m[i].items;
	}
	for (uint32_t i = 0; i < axis; i++)
		rows *= y->dims[i];
	if (rows >= MANY_ROWS) {
		c->items = rows;
		c->grain = y->elems / rows;
		c->grain = c->grain < WALK_GRAIN ? WALK_GRAIN / c->grain : 1;
		c->row = y->elems / rows * size;
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

	return cpu_pieces(degree, c->items, c->grain);
}

/* Bytes that are likely few: a call costs more than such a copy. */
static void copy(uint8_t *y, const uint8_t *x, int64_t n)
{
	if (n > 256) {
		memcpy(y, x, (size_t)n);
		return;
	}
	for (; n >= 32; n -= 32, x += 32, y += 32)
		memcpy(y, x, 32);
	for (; n >= 4; n -= 4, x += 4, y += 4)
		memcpy(y, x, 4);
	for (; n > 0; n--)
		*y++ = *x++;
}

/* Rows [begin, end) of request @r, a band at a time: the inputs' turns are long. */
static void by_rows(const struct cpu_run *run, const struct cpu_op *co, uint32_t r,
		    int64_t begin, int64_t end)
{
	const struct concat *c = co->priv;
	const int64_t band = c->row < 16384 ? 16384 / c->row : 1;
	uint8_t *out = cpu_out(run, co, 0, r);

	for (int64_t b = begin; b < end; b += band) {
		int64_t last = end - b < band ? end : b + band, at = 0;

		for (uint32_t i = 0; i < co->op->n_in; i++) {
			const struct prog_tensor *t = cpu_in_tensor(co, i);
			int64_t n = t->elems / c->items * (int64_t)prog_type_size(t->type);
			const uint8_t *x = cpu_in(run, co, i, r);

			for (int64_t k = b; k < last; k++)
				copy(out + k * c->row + at, x + k * n, n);
			at += n;
		}
	}
}

static void concat_run(const struct cpu_run *run, const struct cpu_op *co,
		       uint32_t tile, uint32_t n_tiles)
{
	const struct concat *c = co->priv;
	struct cpu_piece p = cpu_piece(run->degree, c->items, c->grain, tile);

	for (uint32_t r = p.r; r < p.r_end; r++) {
		uint8_t *out = cpu_out(run, co, 0, r);
		int64_t at = 0;

		if (c->row) {
			by_rows(run, co, r, p.begin, p.end);
			continue;
		}
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
