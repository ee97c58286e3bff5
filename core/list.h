/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Circular doubly linked lists. A node that is on no list points to itself,
 * so taking it off twice is harmless. Whoever owns the list locks it.
 */
#ifndef BRAID_CORE_LIST_H
#define BRAID_CORE_LIST_H

#include "core/types.h"

struct bq_list {
	struct bq_list *next, *prev;
};

static inline void bq_list_init(struct bq_list *l)
{
	l->next = l;
	l->prev = l;
}

static inline bool bq_list_empty(const struct bq_list *l)
{
	return l->next == l;
}

/* Put @n before @at; for a list's head that is its tail. */
static inline void bq_list_add_tail(struct bq_list *at, struct bq_list *n)
{
	n->prev = at->prev;
	n->next = at;
	at->prev->next = n;
	at->prev = n;
}

static inline void bq_list_add_head(struct bq_list *at, struct bq_list *n)
{
	bq_list_add_tail(at->next, n);
}

static inline void bq_list_del(struct bq_list *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	bq_list_init(n);
}

#endif
