// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Red-black trees: no red node has a red child, and all paths from the root
 * down pass as many black nodes. Both sides are written once, with a direction.
 */
#include "core/rbtree.h"

#define RED	1UL

static struct bq_rb_node *parent_of(const struct bq_rb_node *n)
{
	return (struct bq_rb_node *)(n->parent_color & ~RED);
}

static bool is_red(const struct bq_rb_node *n)
{
	return n && (n->parent_color & RED);
}

static void set_black(struct bq_rb_node *n)
{
	n->parent_color &= ~RED;
}

static void set_red(struct bq_rb_node *n)
{
	n->parent_color |= RED;
}

static void set_parent(struct bq_rb_node *n, struct bq_rb_node *parent)
{
	n->parent_color = (unsigned long)parent | (n->parent_color & RED);
}

/* Put @new where @old hangs below @parent. */
static void replace_child(struct bq_rb_root *root, struct bq_rb_node *parent,
			  struct bq_rb_node *old, struct bq_rb_node *new)
{
	if (!parent)
		root->node = new;
	else
		parent->child[parent->child[1] == old] = new;
}

/* Turn @n down to side @dir; its other child takes its place. */
static void rotate(struct bq_rb_root *root, struct bq_rb_node *n, int dir)
{
	struct bq_rb_node *up = n->child[!dir];
	struct bq_rb_node *parent = parent_of(n);

	n->child[!dir] = up->child[dir];
	if (n->child[!dir])
		set_parent(n->child[!dir], n);
	replace_child(root, parent, n, up);
	set_parent(up, parent);
	up->child[dir] = n;
	set_parent(n, up);
}

void bq_rb_link(struct bq_rb_root *root, struct bq_rb_node *n,
		struct bq_rb_node *parent, int dir)
{
	struct bq_rb_node *grand, *uncle;

	n->parent_color = (unsigned long)parent | RED;
	n->child[0] = NULL;
	n->child[1] = NULL;
	if (!parent) {
		root->node = n;
		root->first = n;
	} else {
		parent->child[dir] = n;
		if (dir == 0 && parent == root->first)
			root->first = n;
	}

	while (is_red(parent_of(n))) {
		parent = parent_of(n);
		grand = parent_of(parent);
		dir = grand->child[1] == parent;
		uncle = grand->child[!dir];
		if (is_red(uncle)) {
			set_black(parent);
			set_black(uncle);
			set_red(grand);
			n = grand;
			continue;
		}
		if (parent->child[!dir] == n) {
			rotate(root, parent, dir);
			n = parent;
			parent = parent_of(n);
		}
		set_black(parent);
		set_red(grand);
		rotate(root, grand, !dir);
	}
	set_black(root->node);
}

/* The subtree @n below @parent lacks one black node: mend. */
static void mend(struct bq_rb_root *root, struct bq_rb_node *n,
		 struct bq_rb_node *parent)
{
	struct bq_rb_node *other;
	int dir;

	while (parent && !is_red(n)) {
		dir = parent->child[1] == n;
		other = parent->child[!dir];
		if (is_red(other)) {
			set_black(other);
			set_red(parent);
			rotate(root, parent, dir);
			other = parent->child[!dir];
		}
		if (!is_red(other->child[0]) && !is_red(other->child[1])) {
			set_red(other);
			n = parent;
			parent = parent_of(n);
			continue;
		}
		if (!is_red(other->child[!dir])) {
			set_black(other->child[dir]);
			set_red(other);
			rotate(root, other, !dir);
			other = parent->child[!dir];
		}
		if (is_red(parent))
			set_red(other);
		else
			set_black(other);
		set_black(parent);
		set_black(other->child[!dir]);
		rotate(root, parent, dir);
		n = root->node;
		break;
	}
	if (n)
		set_black(n);
}

void bq_rb_erase(struct bq_rb_root *root, struct bq_rb_node *n)
{
	struct bq_rb_node *parent, *child, *next;
	bool black;

	if (root->first == n)
		root->first = bq_rb_next(n);

	if (!n->child[0] || !n->child[1]) {
		child = n->child[!n->child[0]];
		parent = parent_of(n);
		black = !is_red(n);
		replace_child(root, parent, n, child);
		if (child)
			set_parent(child, parent);
	} else {
		/* The next one has no left child: it moves to n's place. */
		next = n->child[1];
		while (next->child[0])
			next = next->child[0];
		child = next->child[1];
		parent = parent_of(next);
		black = !is_red(next);
		if (parent == n) {
			parent = next;
		} else {
			parent->child[0] = child;
			if (child)
				set_parent(child, parent);
			next->child[1] = n->child[1];
			set_parent(next->child[1], next);
		}
		replace_child(root, parent_of(n), n, next);
		next->child[0] = n->child[0];
		set_parent(next->child[0], next);
		next->parent_color = n->parent_color;
	}
	if (black)
		mend(root, child, parent);
	bq_rb_init(n);
}

struct bq_rb_node *bq_rb_next(const struct bq_rb_node *n)
{
	const struct bq_rb_node *parent;

	if (n->child[1]) {
		n = n->child[1];
		while (n->child[0])
			n = n->child[0];
		return (struct bq_rb_node *)n;
	}
	for (parent = parent_of(n); parent && parent->child[1] == n; parent = parent_of(n))
		n = parent;
	return (struct bq_rb_node *)parent;
}
