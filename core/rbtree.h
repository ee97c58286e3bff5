/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Intrusive red-black trees with a cached leftmost node: the first in order is
 * found in O(1), all else is O(log n). No recursion, no allocation. The order
 * is a function given at insertion; keys must not change while in a tree.
 * Whoever owns the tree locks it.
 */
#ifndef BRAID_CORE_RBTREE_H
#define BRAID_CORE_RBTREE_H

#include "core/types.h"

/**
 * struct bq_rb_node - embedded in what is sorted
 * @parent_color: parent's address, bit 0 set for red; the node's own address
 *                when it is in no tree
 * @child: left and right
 */
struct bq_rb_node {
	unsigned long parent_color;
	struct bq_rb_node *child[2];
};

/**
 * struct bq_rb_root - a tree; all zero is an empty one
 * @node: the root
 * @first: leftmost node
 */
struct bq_rb_root {
	struct bq_rb_node *node;
	struct bq_rb_node *first;
};

/* Link @n below @parent on side @dir (0 left) and rebalance. */
void bq_rb_link(struct bq_rb_root *root, struct bq_rb_node *n,
		struct bq_rb_node *parent, int dir);

/* Take @n out; its node is as after bq_rb_init(). */
void bq_rb_erase(struct bq_rb_root *root, struct bq_rb_node *n);

/* The next in order, NULL after the last. */
struct bq_rb_node *bq_rb_next(const struct bq_rb_node *n);

static inline void bq_rb_init(struct bq_rb_node *n)
{
	n->parent_color = (unsigned long)n;
	n->child[0] = NULL;
	n->child[1] = NULL;
}

static inline bool bq_rb_linked(const struct bq_rb_node *n)
{
	return n->parent_color != (unsigned long)n;
}

static inline bool bq_rb_empty(const struct bq_rb_root *root)
{
	return !root->node;
}

static inline struct bq_rb_node *bq_rb_first(const struct bq_rb_root *root)
{
	return root->first;
}

typedef bool bq_rb_less(const struct bq_rb_node *a, const struct bq_rb_node *b);

/* Insert @n; equal nodes stay in order of insertion. */
static inline __attribute__((always_inline)) void
bq_rb_insert(struct bq_rb_root *root, struct bq_rb_node *n, bq_rb_less *less)
{
	struct bq_rb_node *at = root->node, *parent = NULL;
	int dir = 0;

	while (at) {
		parent = at;
		dir = !less(n, at);
		at = at->child[dir];
	}
	bq_rb_link(root, n, parent, dir);
}

#endif
