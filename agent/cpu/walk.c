// SPDX-License-Identifier: MIT
/*
 * Walks over index spaces of several operands: see walk.h.
 *
 * No state.
 */
#include <string.h>

#include "agent/cpu/walk.h"

void cpu_dense(uint32_t rank, const int64_t *dims, int64_t *stride)
{
	int64_t s = 1;

	for (uint32_t i = rank; i-- > 0;) {
		stride[i] = s;
		s *= dims[i];
	}
}

void cpu_walk_start(struct cpu_walk *w, uint32_t rank, const int64_t *dims)
{
	memset(w, 0, sizeof(*w));
	w->rank = rank;
	w->elems = 1;
	for (uint32_t i = 0; i < rank; i++) {
		w->dims[i] = dims[i];
		w->elems *= dims[i];
	}
}

void cpu_walk_bcast(struct cpu_walk *w, uint32_t k, const struct prog_tensor *t)
{
	int64_t s = 1;

	for (uint32_t i = t->rank; i-- > 0;) {
		uint32_t axis = w->rank - t->rank + i;

		w->stride[k][axis] = t->dims[i] == 1 ? 0 : s;
		s *= t->dims[i];
	}
}

/* Does every operand go on from axis @a into axis @b as if they were one? */
static bool alike(const struct cpu_walk *w, uint32_t a, uint32_t b)
{
	for (uint32_t k = 0; k < WALK_OPERANDS; k++)
		if (w->stride[k][a] != w->stride[k][b] * w->dims[b])
			return false;
	return true;
}

static void move_axis(struct cpu_walk *w, uint32_t to, uint32_t from)
{
	w->dims[to] = w->dims[from];
	for (uint32_t k = 0; k < WALK_OPERANDS; k++)
		w->stride[k][to] = w->stride[k][from];
}

void cpu_walk_join(struct cpu_walk *w)
{
	uint32_t rank = 0;

	for (uint32_t i = 0; i < w->rank; i++) {
		if (w->dims[i] == 1)
			continue;
		move_axis(w, rank, i);
		if (rank && alike(w, rank - 1, rank)) {
			w->dims[rank] *= w->dims[rank - 1];
			move_axis(w, rank - 1, rank);
		} else {
			rank++;
		}
	}
	if (!rank) {
		w->dims[0] = 1;
		for (uint32_t k = 0; k < WALK_OPERANDS; k++)
			w->stride[k][0] = 0;
		rank = 1;
	}
	w->rank = rank;
}

bool cpu_walk_span(const struct cpu_walk *w, int64_t *pos, int64_t end, int64_t most,
		   struct cpu_span *s)
{
	uint32_t last = w->rank - 1;
	int64_t n = w->dims[last], left = end - *pos;
	int64_t rest, col, row = 0, rows = 1;

	if (left <= 0)
		return false;
	if (left > most)
		left = most;
	col = *pos % n;
	rest = *pos / n;
	if (w->rank > 1) {
		rows = w->dims[last - 1];
		row = rest % rows;
		rest /= rows;
	}
	s->at = *pos;
	if (col || left < n) {
		s->rows = 1;
		s->n = n - col < left ? n - col : left;
	} else {
		s->rows = left / n < rows - row ? left / n : rows - row;
		s->n = n;
	}
	*pos += s->rows * s->n;

	for (uint32_t k = 0; k < WALK_OPERANDS; k++) {
		s->cs[k] = w->stride[k][last];
		s->rs[k] = w->rank > 1 ? w->stride[k][last - 1] : 0;
		s->off[k] = col * s->cs[k] + row * s->rs[k];
	}
	for (uint32_t i = w->rank; i-- > 2;) {
		int64_t d = w->dims[i - 2], x = rest % d;

		rest /= d;
		for (uint32_t k = 0; k < WALK_OPERANDS; k++)
			s->off[k] += x * w->stride[k][i - 2];
	}
	return true;
}
