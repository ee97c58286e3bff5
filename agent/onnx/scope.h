/* SPDX-License-Identifier: MIT */
/* Names of values, one table a graph; an inner graph sees the outer ones. */
#ifndef BRAID_AGENT_ONNX_SCOPE_H
#define BRAID_AGENT_ONNX_SCOPE_H

#include <stdint.h>

struct build;

/**
 * struct scope - the names of one graph
 * @outer: the graph around it, NULL for the model's own
 * @root: a search tree: a hostile file can choose names that collide in a hash
 */
struct scope {
	const struct scope *outer;
	void *root;
};

/**
 * scope_add() - define @name; fails (in b->err) where it is defined already
 * @name: stays the caller's, as long as the scope
 */
void scope_add(struct build *b, struct scope *s, const char *name, uint32_t t);

/** scope_find() - the tensor, PROG_NONE where no graph defines it */
uint32_t scope_find(const struct scope *s, const char *name);

void scope_free(struct scope *s);

#endif
