// SPDX-License-Identifier: MIT
/*
 * PAD: constant, reflect, edge and wrap, with negative pads that crop. Any
 * element type, by its size.
 *
 * Trailing axes without pads are one unit that is copied whole. Before it lies
 * the last padded axis, the row: a dense stretch in its middle, edges through
 * a map. The axes before are walked through maps alone. A map gives for each
 * output index the input index, or -1 for the constant.
 *
 * priv is a struct pad, immutable.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cpu/convert.h"
#include "agent/cpu/kernel.h"
#include "agent/cpu/walk.h"

#define MAX_MAP	(1 << 24)	/* extents of the axes that have maps */

struct pad {
	uint32_t rank;			/* axes up to and with the row; at least 1 */
	int64_t in_dims[PROG_MAX_RANK], out_dims[PROG_MAX_RANK];
	int64_t *map[PROG_MAX_RANK];	/* into maps */
	int64_t dense_begin, dense_end;	/* of a row: where map counts up by one */
	int64_t unit;			/* bytes */
	int64_t rows;
	uint32_t size;
	uint8_t value[8];
	int64_t maps[];
};

static int64_t positive_mod(int64_t a, int64_t n)
{
	a %= n;
	return a < 0 ? a + n : a;
}

/* The input index of output index i - lo, as numpy.pad extends an axis of n. */
static int64_t source(enum prog_pad_mode mode, int64_t i, int64_t n)
{
	if (i >= 0 && i < n)
		return i;
	switch (mode) {
	case PROG_PAD_REFLECT:
		if (n == 1)
			return 0;
		i = positive_mod(i, 2 * (n - 1));
		return i < n ? i : 2 * (n - 1) - i;
	case PROG_PAD_EDGE:
		return i < 0 ? 0 : n - 1;
	case PROG_PAD_WRAP:
		return positive_mod(i, n);
	default:
		return -1;
	}
}

static int pad_prepare(struct cpu_op *co)
{
	const struct prog_tensor *x = cpu_in_tensor(co, 0), *y = cpu_out_tensor(co, 0);
	const struct prog_pad *p = &co->op->params.pad;
	int64_t total = 0, inner = 1, *next, *row, n;
	uint32_t rank = x->rank;
	struct pad *d;

	while (rank && !p->lo[rank - 1] && !p->hi[rank - 1])
		inner *= x->dims[--rank];
	for (uint32_t i = 0; i < rank; i++)
		total += y->dims[i];
	d = calloc(1, sizeof(*d) + (size_t)(total + 1) * sizeof(d->maps[0]));
	if (!d)
		return -ENOMEM;
	d->size = (uint32_t)prog_type_size(x->type);
	d->unit = inner * d->size;
	d->rows = 1;
	next = d->maps;
	for (uint32_t i = 0; i < rank; i++) {
		d->in_dims[i] = x->dims[i];
		d->out_dims[i] = y->dims[i];
		d->map[i] = next;
		for (int64_t j = 0; j < y->dims[i]; j++)
			*next++ = source(p->mode, j - p->lo[i], x->dims[i]);
		if (i + 1 < rank)
			d->rows *= y->dims[i];
	}
	if (!rank) {	/* nothing is padded: one row of one unit */
		d->in_dims[0] = 1;
		d->out_dims[0] = 1;
		d->map[0] = next;
		*next = 0;
		rank = 1;
	}
	d->rank = rank;

	row = d->map[rank - 1];
	n = d->out_dims[rank - 1];
	while (d->dense_begin < n && p->lo[rank - 1] > d->dense_begin)
		d->dense_begin++;
	d->dense_end = d->dense_begin;
	while (d->dense_end < n && row[d->dense_end] == row[d->dense_begin] +
	       (d->dense_end - d->dense_begin) && row[d->dense_begin] >= 0)
		d->dense_end++;
	cpu_convert(x->type, d->value, BRAID_TYPE_F64, &p->value, 1);
	co->priv = d;
	return 0;
}

static void pad_release(struct cpu_op *co)
{
	free(co->priv);
}

static void fill(uint8_t *y, const struct pad *d, int64_t units)
{
	int64_t bytes = units * d->unit;
	bool same = true;

	for (uint32_t i = 1; i < d->size; i++)
		same &= d->value[i] == d->value[0];
	if (same) {
		memset(y, d->value[0], bytes);
		return;
	}
	for (int64_t i = 0; i < bytes; i += d->size)
		memcpy(y + i, d->value, d->size);
}

static void edge(uint8_t *y, const uint8_t *x, const struct pad *d, int64_t begin, int64_t end)
{
	const int64_t *map = d->map[d->rank - 1];

	for (int64_t i = begin; i < end; i++) {
		if (map[i] < 0)
			fill(y + i * d->unit, d, 1);
		else
			memcpy(y + i * d->unit, x + map[i] * d->unit, d->unit);
	}
}

static void pad_row(const struct pad *d, uint8_t *out, const uint8_t *in, int64_t row)
{
	uint32_t last = d->rank - 1;
	int64_t n = d->out_dims[last], at = 0, stride = d->in_dims[last], rest = row;
	int64_t len = d->dense_end - d->dense_begin;

	out += row * n * d->unit;
	for (uint32_t i = last; i-- > 0;) {
		int64_t j = d->map[i][rest % d->out_dims[i]];

		if (j < 0) {
			fill(out, d, n);
			return;
		}
		rest /= d->out_dims[i];
		at += j * stride;
		stride *= d->in_dims[i];
	}
	in += at * d->unit;
	edge(out, in, d, 0, d->dense_begin);
	if (len)
		memcpy(out + d->dense_begin * d->unit,
		       in + d->map[last][d->dense_begin] * d->unit, len * d->unit);
	edge(out, in, d, d->dense_end, n);
}

static int64_t grain(const struct cpu_op *co, const struct pad *d)
{
	int64_t n = cpu_out_tensor(co, 0)->elems / d->rows;

	return n < WALK_GRAIN ? WALK_GRAIN / n : 1;
}

static uint32_t pad_tiles(const struct cpu_op *co, uint32_t degree)
{
	const struct pad *d = co->priv;

	return cpu_pieces(degree, d->rows, grain(co, d));
}

static void pad_run(const struct cpu_run *run, const struct cpu_op *co,
		    uint32_t tile, uint32_t n_tiles)
{
	const struct pad *d = co->priv;
	struct cpu_piece c = cpu_piece(run->degree, d->rows, grain(co, d), tile);

	for (uint32_t r = c.r; r < c.r_end; r++)
		for (int64_t i = c.begin; i < c.end; i++)
			pad_row(d, cpu_out(run, co, 0, r), cpu_in(run, co, 0, r), i);
}

static int pad_check(const struct program *p, const struct prog_op *op, char *why, size_t len)
{
	const struct prog_tensor *y = &p->tensors[op->out[0]];
	uint32_t rank = y->rank;
	int64_t total = 0;

	while (rank && !op->params.pad.lo[rank - 1] && !op->params.pad.hi[rank - 1])
		rank--;
	for (uint32_t i = 0; i < rank; i++)
		total += y->dims[i];
	if (total > MAX_MAP)
		return cpu_refuse(op, why, len, "the padded axes' extents sum to %lld, %d are the limit",
				  (long long)total, MAX_MAP);
	if (!cpu_convertible(p->tensors[op->in[0]].type))
		return cpu_refuse(op, why, len, "no padding of %s",
				  prog_type_name(p->tensors[op->in[0]].type));
	return 0;
}

const struct cpu_kernel cpu_k_pad = {
	.check = pad_check,
	.prepare = pad_prepare,
	.release = pad_release,
	.tiles = pad_tiles,
	.run = pad_run,
};
