// SPDX-License-Identifier: MIT
/*
 * libFuzzer target: any bytes as a model, bound with a batch of one, with all
 * passes and without (the first byte's lowest bit). Refused, or a program that
 * its verifier accepts; never a crash, a leak or a hang.
 */
#include <stdlib.h>

#include "agent/program/load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct load_config cfg = { .batch = 1, .max_bytes = 1 << 24 };
	struct program *p;
	char why[256];

	if (!size)
		return 0;
	cfg.passes = data[0] & 1;
	if (!program_load_mem(data + 1, size - 1, "fuzz", &cfg, &p, why, sizeof(why))) {
		if (program_verify(p, why, sizeof(why)))
			abort();
		program_free(p);
	}
	return 0;
}
