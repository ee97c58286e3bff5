// SPDX-License-Identifier: MIT
/*
 * Colouring of the arena. Works on sizes and life spans alone; knows no tensors.
 */
#include "agent/program/arena.h"

#include <errno.h>
#include <stdlib.h>

static int by_size(const void *a, const void *b)
{
	const struct arena_block *x = *(struct arena_block *const *)a;
	const struct arena_block *y = *(struct arena_block *const *)b;

	if (x->bytes != y->bytes)
		return x->bytes < y->bytes ? 1 : -1;
	/* Long-lived first, then by age, so that the result is one for all sorts. */
	if (x->last - x->first != y->last - y->first)
		return x->last - x->first < y->last - y->first ? 1 : -1;
	if (x->first != y->first)
		return x->first > y->first ? 1 : -1;
	return x > y ? 1 : -1;
}

/* The tightest gap among those placed (sorted by offset) and alive with @x. */
static int place(struct arena_block *x, struct arena_block *const *placed, uint32_t n)
{
	uint64_t end = 0, best = UINT64_MAX, at = UINT64_MAX;

	for (uint32_t i = 0; i < n; i++) {
		const struct arena_block *y = placed[i];
		uint64_t y_end = y->offset + y->bytes;

		if (y->last < x->first || x->last < y->first)
			continue;
		if (y->offset > end && y->offset - end >= x->bytes && y->offset - end < best) {
			best = y->offset - end;
			at = end;
		}
		if (y_end > end)
			end = y_end;
	}
	x->offset = at == UINT64_MAX ? end : at;
	return __builtin_add_overflow(x->offset, x->bytes, &end) ? -EOVERFLOW : 0;
}

int arena_colour(struct arena_block *blocks, uint32_t n, uint64_t *total)
{
	struct arena_block **order, **placed;
	uint32_t k;
	int ret = 0;

	*total = 0;
	if (!n)
		return 0;
	order = malloc(2 * n * sizeof(*order));
	if (!order)
		return -ENOMEM;
	placed = order + n;
	for (uint32_t i = 0; i < n; i++)
		order[i] = &blocks[i];
	qsort(order, n, sizeof(*order), by_size);
	for (uint32_t i = 0; i < n; i++) {
		struct arena_block *x = order[i];

		ret = place(x, placed, i);
		if (ret)
			break;
		for (k = i; k && placed[k - 1]->offset > x->offset; k--)
			placed[k] = placed[k - 1];
		placed[k] = x;
		if (x->offset + x->bytes > *total)
			*total = x->offset + x->bytes;
	}
	free(order);
	return ret;
}
