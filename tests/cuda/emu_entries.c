// SPDX-License-Identifier: MIT
/*
 * The kernels that are linked in, by name. Constant.
 */
#include <string.h>

#include "kernels/args.h"
#include "kernels/entries.h"
#include "tests/cuda/emu_plan.h"

#define DECLARE(name, header, args, ctas, fn)					\
	void name(const struct emu_ops *ops, const void *a);
PLAIN_ENTRIES(DECLARE)

#define ROW(name, header, args, ctas, fn) { #name, name },
static const struct {
	const char *name;
	emu_entry entry;
} entries[] = { PLAIN_ENTRIES(ROW) };

emu_entry emu_find(const char *name)
{
	for (size_t i = 0; i < sizeof(entries) / sizeof(*entries); i++)
		if (!strcmp(entries[i].name, name))
			return entries[i].entry;
	return NULL;
}
