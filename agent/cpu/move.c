// SPDX-License-Identifier: MIT
/*
 * Moves: a strided tensor copied into another. Rows where both are dense,
 * transposed blocks where the input is dense along another axis, element by
 * element where neither helps.
 *
 * No state.
 */
#include <string.h>

#include "agent/cpu/clones.h"
#include "agent/cpu/walk.h"

#define BLOCK	64	/* side of a transposed block: in and out fit the first cache */

/* Joined elements are not aligned for their size, a tenant's need not be at all. */
#define UNALIGNED __attribute__((aligned(1)))
typedef uint8_t m8;
typedef uint16_t m16 UNALIGNED;
typedef uint32_t m32 UNALIGNED;
typedef uint64_t m64 UNALIGNED;
typedef struct { m64 a, b; } m128;

/* Does every other stride of operand @k allow elements of @by joined? */
static bool divides(const struct cpu_walk *w, uint32_t k, int64_t base, int64_t by)
{
	if (base % by)
		return false;
	for (uint32_t i = 0; i + 1 < w->rank; i++)
		if (w->stride[k][i] % by)
			return false;
	return true;
}

/* A last axis of a few bytes, dense in both: make it the element. */
static void widen(struct cpu_move *m)
{
	struct cpu_walk *w = &m->w;
	int64_t n = w->dims[w->rank - 1];

	if (w->rank < 2 || w->stride[0][w->rank - 1] != 1 || w->stride[1][w->rank - 1] != 1 ||
	    n * m->size > 16 || (n & (n - 1)) || !divides(w, 0, m->base[0], n) ||
	    !divides(w, 1, m->base[1], n))
		return;
	m->size *= (uint32_t)n;
	w->rank--;
	w->elems /= n;
	for (uint32_t k = 0; k < 2; k++) {
		m->base[k] /= n;
		for (uint32_t i = 0; i < w->rank; i++)
			w->stride[k][i] /= n;
	}
}

static int64_t blocks(int64_t n)
{
	return (n + BLOCK - 1) / BLOCK;
}

void cpu_move_init(struct cpu_move *m, uint32_t size, uint32_t rank, const int64_t *dims,
		   int64_t in_base, const int64_t *in, int64_t out_base, const int64_t *out)
{
	struct cpu_walk *w = &m->w;
	uint32_t last;

	m->base[0] = in_base;
	m->base[1] = out_base;

	cpu_walk_start(w, rank, dims);
	memcpy(w->stride[0], in, rank * sizeof(*in));
	memcpy(w->stride[1], out, rank * sizeof(*out));
	cpu_walk_join(w);
	m->size = size;
	widen(m);

	m->plane = -1;
	m->items = w->elems;
	m->grain = WALK_GRAIN;
	last = w->rank - 1;
	if (w->stride[0][last] == 1 || w->stride[0][last] == 0)
		return;
	for (uint32_t i = 0; i < last; i++)
		if (w->stride[0][i] == 1)
			m->plane = (int32_t)i;
	if (m->plane >= 0) {
		int64_t a = w->dims[m->plane], b = w->dims[last], block;

		m->items = w->elems / (a * b) * blocks(a) * blocks(b);
		block = (a < BLOCK ? a : BLOCK) * (b < BLOCK ? b : BLOCK);
		m->grain = WALK_GRAIN / block;
	}
}

/* rows x n elements, n the fast axis of the output. */
#define SPAN(elem_t)								\
static void span_##elem_t(elem_t *out, const elem_t *in, const struct cpu_span *s)	\
{										\
	for (int64_t r = 0; r < s->rows; r++) {					\
		const elem_t *x = in + r * s->rs[0];				\
		elem_t *y = out + r * s->rs[1];					\
		int64_t cx = s->cs[0], cy = s->cs[1];				\
										\
		if (cx == 1 && cy == 1) {					\
			if (s->n * sizeof(elem_t) > 128) {			\
				memcpy(y, x, s->n * sizeof(elem_t));		\
				continue;					\
			}							\
			CLONES_LOOP						\
			for (int64_t i = 0; i < s->n; i++)			\
				y[i] = x[i];					\
		} else if (!cx && cy == 1) {					\
			elem_t v = *x;						\
										\
			for (int64_t i = 0; i < s->n; i++)			\
				y[i] = v;					\
		} else {							\
			for (int64_t i = 0; i < s->n; i++)			\
				y[i * cy] = x[i * cx];				\
		}								\
	}									\
}										\
										\
/* rows x n of a plane: the input dense down the rows. */			\
static void flip_##elem_t(elem_t *out, const elem_t *in, const struct cpu_span *s)	\
{										\
	int64_t cx = s->cs[0], ry = s->rs[1], cy = s->cs[1];			\
	int64_t r = 0;								\
										\
	for (; r + 8 <= s->rows; r += 8) {					\
		elem_t *y = out + r * ry;					\
		const elem_t *x = in + r;					\
										\
		for (int64_t i = 0; i < s->n; i++)				\
			for (int k = 0; k < 8; k++)				\
				y[k * ry + i * cy] = x[i * cx + k];		\
	}									\
	for (; r < s->rows; r++)						\
		for (int64_t i = 0; i < s->n; i++)				\
			out[r * ry + i * cy] = in[r + i * cx];			\
}

SPAN(m8)
SPAN(m16)
SPAN(m32)
SPAN(m64)
SPAN(m128)

static void span(uint32_t size, void *out, const void *in, const struct cpu_span *s, bool flip)
{
	int64_t y = s->off[1], x = s->off[0];

#define CASE(elem_t)									\
	case sizeof(elem_t):								\
		return (flip ? flip_##elem_t : span_##elem_t)((elem_t *)out + y,	\
							      (const elem_t *)in + x, s)
	switch (size) {
	CASE(m8);
	CASE(m16);
	CASE(m32);
	CASE(m64);
	CASE(m128);
	}
#undef CASE
}

/* Block number @item of the planes as a rectangle. */
static void plane_block(const struct cpu_move *m, int64_t item, struct cpu_span *s)
{
	const struct cpu_walk *w = &m->w;
	uint32_t p = (uint32_t)m->plane, last = w->rank - 1;
	int64_t a = w->dims[p], b = w->dims[last];
	int64_t nb = blocks(b), na = blocks(a);
	int64_t j = item % nb * BLOCK, i;

	item /= nb;
	i = item % na * BLOCK;
	item /= na;
	s->rows = a - i < BLOCK ? a - i : BLOCK;
	s->n = b - j < BLOCK ? b - j : BLOCK;
	for (uint32_t k = 0; k < 2; k++) {
		s->rs[k] = w->stride[k][p];
		s->cs[k] = w->stride[k][last];
		s->off[k] = m->base[k] + i * s->rs[k] + j * s->cs[k];
	}
	for (uint32_t d = last; d-- > 0;) {
		int64_t x;

		if (d == p)
			continue;
		x = item % w->dims[d];
		item /= w->dims[d];
		s->off[0] += x * w->stride[0][d];
		s->off[1] += x * w->stride[1][d];
	}
}

void cpu_move_run(const struct cpu_move *m, void *out, const void *in, int64_t begin, int64_t end)
{
	struct cpu_span s;

	if (m->plane >= 0) {
		for (int64_t i = begin; i < end; i++) {
			plane_block(m, i, &s);
			span(m->size, out, in, &s, true);
		}
		return;
	}
	while (cpu_walk_span(&m->w, &begin, end, INT64_MAX, &s)) {
		s.off[0] += m->base[0];
		s.off[1] += m->base[1];
		span(m->size, out, in, &s, false);
	}
}
