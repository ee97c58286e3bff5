// SPDX-License-Identifier: MIT
/*
 * libFuzzer: operations chosen by bytes, core/ against the naive queue. The
 * input ends the run; every difference, and every node left over, aborts.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/core/drive.h"

struct bytes {
	const u8 *at, *end;
};

/* Two bytes a number are enough for every choice but the odd large time. */
static u32 next_number(void *from)
{
	struct bytes *b = from;
	u32 n = 0;

	if (b->at < b->end)
		n = *b->at++;
	if (b->at < b->end)
		n |= (u32)*b->at++ << 8;
	return n;
}

static void must(const struct drive *d, bool good)
{
	if (good)
		return;
	fprintf(stderr, "%s\n", d->error);
	abort();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct drive d;
	struct bytes b = { data, data + size };

	drive_start(&d, next_number, &b);
	while (b.at < b.end)
		must(&d, drive_step(&d));
	must(&d, drive_end(&d));
	return 0;
}
