// SPDX-License-Identifier: MIT
/*
 * ONNX's own backend cases, run by whoever takes programs: see nodes.h.
 */
#include "tests/cuda/nodes.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/onnx/case.h"
#include "tests/onnx/families.h"
#include "tests/tap.h"


static const char *const folders[] = { "node", "simple", "pytorch-operator", "pytorch-converted" };

static bool run(const char *data, const char *name, nodes_eval eval, bool here, bool words)
{
	static const struct case_how cpu = { .rule = CASE_BY_ELEMENT };
	const struct case_how gpu = { .rule = CASE_BY_ELEMENT, .eval = eval, .here = here };
	struct case_result r;
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", data, name);
	case_run(path, &gpu, &r);
	if (words) {
		printf("%s: %d [%s] %s\n", name, r.verdict, r.ops, r.why);
		return true;
	}
	if (r.verdict == CASE_PASSED)
		return true;
	if (r.verdict == CASE_FAILED) {
		ok(false, "%s", name);
		diag("[%s] %s", r.ops, r.why);
		return false;
	}
	if (!family_case(r.ops) || family_exception(name))
		return false;
	/* Refused: not if the CPU takes it. */
	case_run(path, &cpu, &r);
	if (r.verdict == CASE_PASSED)
		ok(false, "%s: refused, which the CPU backend does not", name);
	return false;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

int nodes_main(int argc, char **argv, nodes_eval eval, bool here)
{
	const char *data = getenv("BRAID_ONNX_TESTDATA"), *all = getenv("BRAID_GPU_NODES");
	unsigned int step = all && !strcmp(all, "all") ? 1 : 3, at = 0, passed = 0, n = 0;

	if (!data)
		data = "/usr/share/libonnx-testdata/data";
	for (int i = 1; i < argc; i++)
		run(data, argv[i], eval, here, true);
	if (argc > 1)
		return 0;
	for (size_t f = 0; f < sizeof(folders) / sizeof(*folders); f++) {
		struct dirent **list;
		char path[512];
		int count;

		snprintf(path, sizeof(path), "%s/%s", data, folders[f]);
		count = scandir(path, &list, NULL, by_name);
		for (int i = 0; i < count; i++) {
			char name[300];

			snprintf(name, sizeof(name), "%s/%s", folders[f], list[i]->d_name);
			if (list[i]->d_name[0] != '.' && at++ % step == 0) {
				passed += run(data, name, eval, here, false);
				n++;
			}
			free(list[i]);
		}
		if (count >= 0)
			free(list);
	}
	if (!n)
		tap_skip_all("libonnx-testdata is not installed");
	ok(passed * 2 > n, "%u of %u cases pass", passed, n);
	return tap_done();
}
