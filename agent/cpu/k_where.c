// SPDX-License-Identifier: MIT
/*
 * WHERE: one of two by a condition, numpy's broadcast of all three. Any
 * element type, by its size.
 *
 * priv is the struct cpu_walk of cond, a and b, immutable.
 */
#include <errno.h>
#include <stdlib.h>

#include "agent/cpu/clones.h"
#include "agent/cpu/kernel.h"
#include "agent/cpu/walk.h"

static int where_prepare(struct cpu_op *co)
{
	const struct prog_tensor *y = cpu_out_tensor(co, 0);
	struct cpu_walk *w = malloc(sizeof(*w));

	if (!w)
		return -ENOMEM;
	cpu_walk_start(w, y->rank, y->dims);
	for (uint32_t i = 0; i < 3; i++)
		cpu_walk_bcast(w, i, cpu_in_tensor(co, i));
	cpu_walk_join(w);
	co->priv = w;
	return 0;
}

static void where_release(struct cpu_op *co)
{
	free(co->priv);
}

static uint32_t where_tiles(const struct cpu_op *co, uint32_t degree)
{
	return cpu_pieces(degree, cpu_out_tensor(co, 0)->elems, WALK_GRAIN);
}

#define SPAN(elem_t)								\
static void span_##elem_t(elem_t *out, const uint8_t *cond, const elem_t *a, const elem_t *b,	\
			const struct cpu_span *s)				\
{										\
	bool dense = s->cs[0] && s->cs[1] && s->cs[2];				\
										\
	for (int64_t r = 0; r < s->rows; r++) {					\
		const uint8_t *c = cond + s->off[0] + r * s->rs[0];		\
		const elem_t *p = a + s->off[1] + r * s->rs[1];			\
		const elem_t *q = b + s->off[2] + r * s->rs[2];			\
										\
		if (dense) {							\
			CLONES_LOOP						\
			for (int64_t i = 0; i < s->n; i++) {			\
				elem_t x = p[i], y = q[i];			\
										\
				out[i] = c[i] ? x : y;				\
			}							\
		} else {							\
			for (int64_t i = 0; i < s->n; i++) {			\
				elem_t x = p[i * s->cs[1]], y = q[i * s->cs[2]];	\
										\
				out[i] = c[i * s->cs[0]] ? x : y;		\
			}							\
		}								\
		out += s->n;							\
	}									\
}

SPAN(uint8_t)
SPAN(uint16_t)
SPAN(uint32_t)
SPAN(uint64_t)

static void where_run(const struct cpu_run *run, const struct cpu_op *co,
		      uint32_t tile, uint32_t n_tiles)
{
	const struct cpu_walk *w = co->priv;
	struct cpu_piece c = cpu_piece(run->degree, w->elems, WALK_GRAIN, tile);
	size_t size = prog_type_size(cpu_out_tensor(co, 0)->type);
	struct cpu_span s;

	for (uint32_t r = c.r; r < c.r_end; r++) {
		const void *cond = cpu_in(run, co, 0, r);
		const void *a = cpu_in(run, co, 1, r), *b = cpu_in(run, co, 2, r);
		void *out = cpu_out(run, co, 0, r);
		int64_t pos = c.begin;

		while (cpu_walk_span(w, &pos, c.end, INT64_MAX, &s)) {
			switch (size) {
			case 1:
				span_uint8_t((uint8_t *)out + s.at, cond, a, b, &s);
				break;
			case 2:
				span_uint16_t((uint16_t *)out + s.at, cond, a, b, &s);
				break;
			case 4:
				span_uint32_t((uint32_t *)out + s.at, cond, a, b, &s);
				break;
			default:
				span_uint64_t((uint64_t *)out + s.at, cond, a, b, &s);
			}
		}
	}
}

const struct cpu_kernel cpu_k_where = {
	.prepare = where_prepare,
	.release = where_release,
	.tiles = where_tiles,
	.run = where_run,
};
