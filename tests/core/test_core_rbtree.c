// SPDX-License-Identifier: MIT
/*
 * Red-black trees: after every insertion and removal the rules hold (order,
 * no red below red, equal black heights, parents, the cached first), so depth
 * is logarithmic and stays it.
 */
#include <stdlib.h>
#include <string.h>

#include "core/rbtree.h"
#include "tests/tap.h"

#define NODES	400

struct item {
	struct bq_rb_node node;
	u32 key, seq;
	bool in;
};

static bool item_less(const struct bq_rb_node *a, const struct bq_rb_node *b)
{
	return bq_entry(a, struct item, node)->key < bq_entry(b, struct item, node)->key;
}

static bool red(const struct bq_rb_node *n)
{
	return n && (n->parent_color & 1);
}

/* Black height of the subtree, -1 if a rule is broken. */
static int height(const struct bq_rb_node *n, const struct bq_rb_node *parent)
{
	int l, r;

	if (!n)
		return 0;
	if ((const struct bq_rb_node *)(n->parent_color & ~1UL) != parent)
		return -1;
	if (red(n) && (red(n->child[0]) || red(n->child[1])))
		return -1;
	l = height(n->child[0], n);
	r = height(n->child[1], n);
	if (l < 0 || l != r)
		return -1;
	return l + !red(n);
}

static bool holds(const struct bq_rb_root *root, u32 count)
{
	const struct bq_rb_node *n = root->node;
	const struct item *a, *b;
	u32 seen = 0;

	if (red(root->node) || height(root->node, NULL) < 0)
		return false;
	while (n && n->child[0])
		n = n->child[0];
	if (n != root->first)
		return false;
	for (; n; n = bq_rb_next(n)) {
		seen++;
		if (!bq_rb_next(n))
			break;
		a = bq_entry(n, struct item, node);
		b = bq_entry(bq_rb_next(n), struct item, node);
		if (a->key > b->key || (a->key == b->key && a->seq > b->seq))
			return false;
	}
	return seen == count;
}

static bool churn(u32 keys, u32 steps, u32 seed)
{
	static struct item item[NODES];
	struct bq_rb_root root = { NULL };
	u32 i, n = 0, seq = 0;
	struct item *it;

	srand(seed);
	memset(item, 0, sizeof(item));
	for (i = 0; i < NODES; i++)
		bq_rb_init(&item[i].node);
	for (i = 0; i < steps; i++) {
		/* Grow, then shrink, so that all sizes are met. */
		it = &item[rand() % NODES];
		if (it->in && (i / 2000 % 2 || rand() % 4 == 0)) {
			bq_rb_erase(&root, &it->node);
			it->in = false;
			n--;
		} else if (!it->in) {
			it->key = rand() % keys;
			it->seq = ++seq;
			it->in = true;
			bq_rb_insert(&root, &it->node, item_less);
			n++;
		}
		if (bq_rb_linked(&it->node) != it->in || !holds(&root, n))
			return false;
	}
	for (i = 0; i < NODES; i++) {
		if (!item[i].in)
			continue;
		bq_rb_erase(&root, &item[i].node);
		if (!holds(&root, --n))
			return false;
	}
	return bq_rb_empty(&root) && !root.first;
}

int main(void)
{
	struct bq_rb_root root = { NULL };
	struct item a = { .key = 1 };

	ok(bq_rb_empty(&root) && !bq_rb_first(&root), "an all-zero root is an empty tree");
	bq_rb_init(&a.node);
	ok(!bq_rb_linked(&a.node), "a fresh node is in no tree");
	bq_rb_insert(&root, &a.node, item_less);
	ok(bq_rb_linked(&a.node) && bq_rb_first(&root) == &a.node, "one node is first");
	bq_rb_erase(&root, &a.node);
	ok(!bq_rb_linked(&a.node) && bq_rb_empty(&root), "and out again");

	ok(churn(1 << 30, 8000, 1), "distinct keys: rules hold at every step");
	ok(churn(20, 8000, 2), "many equal keys: they stay in order of insertion");
	ok(churn(1, 4000, 3), "one key: first in, first out");
	return tap_done();
}
