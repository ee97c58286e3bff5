/* SPDX-License-Identifier: MIT */
/* What braid-run prints about a model. */
#ifndef BRAID_TOOLS_RUN_REPORT_H
#define BRAID_TOOLS_RUN_REPORT_H

#include <stdint.h>

#include "tools/run/direct.h"

/**
 * struct report - one measurement
 * @path: model file
 * @prog: what it became
 * @times: of loading
 * @threads: as asked for
 * @degree: requests a run
 * @n: number of runs
 * @ns: of each run; sorted by the reports
 * @op_ns: of each operation, on one thread; NULL without a profile
 */
struct report {
	const char *path;
	const struct program *prog;
	struct direct_times times;
	unsigned int threads, degree, n;
	uint64_t *ns;
	const uint64_t *op_ns;
};

/* Both write to stdout. Return: 0 or -EIO. */
int report_text(const struct report *r);
int report_json(const struct report *r);

#endif
