// SPDX-License-Identifier: MIT
/*
 * Reshape after transpose, exchanged. Axes of extent 1 say nothing about the
 * order of elements and are left out first. The others fall into groups: the
 * fewest neighbouring axes of the transpose's output whose product is that of
 * neighbouring axes of the view's. A group moves as a whole.
 */
#include "agent/program/view_transpose.h"

#include <string.h>

#include "agent/program/pass.h"

struct group {
	uint32_t a, n_a;	/* axes before the view, counted without 1s */
	uint32_t c, n_c;	/* axes after it */
	uint32_t low;		/* where the group starts in the transpose's input */
};

struct plan {
	uint32_t n_a, n_c, n_groups;
	int64_t a[PROG_MAX_RANK], c[PROG_MAX_RANK];	/* extents without 1s */
	uint8_t from[PROG_MAX_RANK];	/* axis of a -> place in the transpose's input */
	uint32_t axis_c[PROG_MAX_RANK];	/* axis of c -> axis of the view's output */
	struct group g[PROG_MAX_RANK];
	int64_t in[PROG_MAX_RANK];	/* extents of the transpose's input */
};

/* Leave out the 1s and number what is left. */
static void strip(const struct build *b, const struct prog_op *view, const struct prog_op *tr,
		  struct plan *p)
{
	const struct build_tensor *x = build_t(b, tr->in[0]), *y = build_t(b, view->out[0]);
	uint8_t place[PROG_MAX_RANK], n = 0;

	memset(p, 0, sizeof(*p));
	for (uint32_t i = 0; i < x->rank; i++) {
		place[i] = n;
		if (x->dims[i] != 1)
			p->in[n++] = x->dims[i];
	}
	for (uint32_t i = 0; i < x->rank; i++) {
		uint32_t k = tr->params.perm[i];

		if (x->dims[k] == 1)
			continue;
		p->from[p->n_a] = place[k];
		p->a[p->n_a++] = x->dims[k];
	}
	for (uint32_t i = 0; i < y->rank; i++) {
		if (y->dims[i] == 1)
			continue;
		p->axis_c[p->n_c] = i;
		p->c[p->n_c++] = y->dims[i];
	}
}

static void find_groups(struct plan *p)
{
	uint32_t i = 0, k = 0;

	while (i < p->n_a && k < p->n_c) {
		struct group *g = &p->g[p->n_groups++];
		int64_t m = p->a[i], n = p->c[k];

		*g = (struct group){ .a = i++, .n_a = 1, .c = k++, .n_c = 1 };
		/* Both sides hold the same elements, so neither runs out first. */
		while (m != n) {
			if (m < n) {
				m *= p->a[i++];
				g->n_a++;
			} else {
				n *= p->c[k++];
				g->n_c++;
			}
		}
	}
}

/*
 * Each group must be neighbours in the transpose's input; @shuffle is how they
 * have to be put in order there. Returns whether it is at all possible.
 */
static bool check_groups(struct plan *p, uint8_t *shuffle, bool *shuffled)
{
	*shuffled = false;
	for (uint32_t i = 0; i < p->n_groups; i++) {
		struct group *g = &p->g[i];
		uint32_t high = 0;

		g->low = PROG_MAX_RANK;
		for (uint32_t k = g->a; k < g->a + g->n_a; k++) {
			g->low = p->from[k] < g->low ? p->from[k] : g->low;
			high = p->from[k] > high ? p->from[k] : high;
		}
		if (high - g->low + 1 != g->n_a)
			return false;
		for (uint32_t k = 0; k < g->n_a; k++) {
			shuffle[g->low + k] = p->from[g->a + k];
			*shuffled |= p->from[g->a + k] != g->low + k;
		}
	}
	return true;
}

void view_transpose(struct build *b, struct prog_op *view, const struct prog_op *tr)
{
	const struct build_tensor *y = build_t(b, view->out[0]);
	uint8_t shuffle[PROG_MAX_RANK], perm[PROG_MAX_RANK];
	uint32_t order[PROG_MAX_RANK], rank = y->rank, n = 0, x;
	bool shuffled, identity = true;
	int64_t dims[PROG_MAX_RANK];
	struct prog_op *last;
	struct plan p;

	strip(b, view, tr, &p);
	find_groups(&p);
	if (!check_groups(&p, shuffle, &shuffled))
		return;

	/* The view's axes in the order of the transpose's input. */
	for (uint32_t low = 0; low < p.n_a; low++)
		for (uint32_t i = 0; i < p.n_groups; i++)
			for (uint32_t k = 0; p.g[i].low == low && k < p.g[i].n_c; k++)
				order[n++] = p.axis_c[p.g[i].c + k];
	/* Axes of extent 1 stay behind the axis that they follow. */
	for (uint32_t i = 0; i < rank; i++) {
		uint32_t at = 0;

		if (y->dims[i] != 1)
			continue;
		while (i && order[at] != i - 1)
			at++;
		at += i ? 1 : 0;
		memmove(order + at + 1, order + at, (n - at) * sizeof(*order));
		order[at] = i;
		n++;
	}
	for (uint32_t i = 0; i < rank; i++) {
		perm[order[i]] = i;
		dims[i] = y->dims[order[i]];
		identity &= order[i] == i;
	}
	/* Only shuffled: that would be the same transpose again. */
	if (identity && shuffled)
		return;

	x = tr->in[0];
	if (shuffled)
		x = build_transpose(b, build_view(b, x, p.n_a, p.in), shuffle);
	x = build_view(b, x, rank, dims);
	if (b->err)
		return;
	if (identity) {
		view->in[0] = x;
		return;
	}
	/* The view's number is the transpose's now, which keeps its place in the list. */
	last = view;
	last->kind = PROG_TRANSPOSE;
	last->in[0] = x;
	memset(&last->params, 0, sizeof(last->params));
	memcpy(last->params.perm, perm, rank);
}
