// SPDX-License-Identifier: MIT
/*
 * Models of the zoo without files, see zoo_program.h. Keeps nothing.
 */
#include "tests/cuda/zoo_program.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent/program/load.h"
#include "agent/program/program.h"
#include "tests/tap.h"
#include "tools/zoo/models.h"

struct program *zoo_program(const char *name)
{
	const struct zoo_options opt = {
		.seed = ZOO_DEFAULT_SEED, .batch = 1, .opset = ZOO_DEFAULT_OPSET,
	};
	const struct load_config cfg = { .batch = 1, .passes = true };
	const struct zoo_entry *e = zoo_find(name);
	struct program *p = NULL;
	struct zoo *z = e ? zoo_new(e->name, &opt) : NULL;
	char *data = NULL, why[512];
	size_t bytes = 0;
	FILE *f = z ? open_memstream(&data, &bytes) : NULL;

	if (f) {
		e->build(z);
		if (!zoo_write(z, f) && !fclose(f) &&
		    program_load_mem(data, bytes, name, &cfg, &p, why, sizeof(why)))
			diag("%s", why);
	}
	free(data);
	zoo_free(z);
	return p;
}
