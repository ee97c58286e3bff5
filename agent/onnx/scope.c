// SPDX-License-Identifier: MIT
/*
 * Tables of names on tsearch(3). Entries live in the builder's memory.
 */
#include "agent/onnx/scope.h"

#include <errno.h>
#include <search.h>
#include <string.h>

#include "agent/program/build.h"

struct name {
	const char *name;
	uint32_t t;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct name *)a)->name, ((const struct name *)b)->name);
}

void scope_add(struct build *b, struct scope *s, const char *name, uint32_t t)
{
	struct name *e;
	void *node;

	if (b->err)
		return;
	e = build_alloc(b, sizeof(*e));
	if (!e)
		return;
	e->name = name;
	e->t = t;
	node = tsearch(e, &s->root, by_name);
	if (!node)
		build_fail(b, -ENOMEM, "out of memory");
	else if (*(struct name **)node != e)
		build_fail(b, -EINVAL, "value '%s' is defined twice", name);
}

uint32_t scope_find(const struct scope *s, const char *name)
{
	struct name key = { .name = name };
	void *node;

	for (; s; s = s->outer) {
		node = tfind(&key, &s->root, by_name);
		if (node)
			return (*(struct name **)node)->t;
	}
	return PROG_NONE;
}

static void keep(void *entry)
{
}

void scope_free(struct scope *s)
{
	tdestroy(s->root, keep);
	s->root = NULL;
}
