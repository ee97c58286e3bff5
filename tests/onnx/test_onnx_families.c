// SPDX-License-Identifier: MIT
/*
 * Small models of every family, in the shape that exporters give them: with
 * weights as nodes, shapes computed in the graph, norms spelled out. Each must
 * give what ONNX Runtime gave, with the optimising passes and without; and
 * must not when an input is disturbed, so that the comparison is worth it.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/onnx/case.h"
#include "tests/tap.h"

#define FOLDER		"tests/data/families"
#define FAMILIES	13

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_case(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

static const struct case_how straight = { .rule = CASE_BY_L2 };
static const struct case_how disturbed = { .rule = CASE_BY_L2_DISTURBED };

int main(void)
{
	struct dirent **list;
	int n = scandir(FOLDER, &list, is_case, by_name);

	is_int(n, FAMILIES, "all families are in " FOLDER);
	for (int i = 0; i < n; i++) {
		struct case_result r;
		char path[512];

		snprintf(path, sizeof(path), FOLDER "/%s", list[i]->d_name);
		case_run(path, &straight, &r);
		if (!ok(r.verdict == CASE_PASSED, "%s is as ONNX Runtime has it", list[i]->d_name))
			diag("%s", r.why);
		case_run(path, &disturbed, &r);
		if (!ok(r.verdict == CASE_FAILED && strstr(r.why, "off by"),
			"%s is not, with its first input disturbed", list[i]->d_name))
			diag("%s", r.why);
		free(list[i]);
	}
	if (n >= 0)
		free(list);
	return tap_done();
}
