// SPDX-License-Identifier: MIT
/*
 * ONNX's own backend cases through plan and emulated kernels, in fp32: what the
 * CPU backend takes of our families' operators must pass here too.
 *
 *   test_gpu_nodes             TAP; BRAID_GPU_NODES=all runs every case, not a third
 *   test_gpu_nodes CASE...     these alone, in words (node/test_add)
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/program/program.h"
#include "tests/cuda/emu_plan.h"
#include "tests/onnx/case.h"
#include "tests/onnx/families.h"
#include "tests/tap.h"

#define MAX_CASES	4096
#define DEGREE		2

static const char *const folders[] = { "node", "simple", "pytorch-operator", "pytorch-converted" };

static void *aligned(size_t bytes)
{
	void *p = aligned_alloc(64, (bytes + 63) / 64 * 64 + 64);

	if (!p)
		abort();
	return p;
}

static size_t bytes_of(const struct program *p, uint32_t t)
{
	return (size_t)p->tensors[t].elems * prog_type_size(p->tensors[t].type);
}

/* The same request twice, merged; both must give the same. */
static int eval(const struct program *p, const void *const *in, void *const *out,
		char *why, size_t len)
{
	const struct gpu_options opt = { .mode = GPU_FP32, .sm = 90 };
	uint32_t width = p->n_inputs + p->n_outputs;
	struct gpu_plan *plan;
	struct emu_lane *lane;
	void **io;
	int err;

	err = gpu_plan_make(p, &opt, &plan, why, len);
	if (err)
		return err;
	io = calloc((size_t)width * DEGREE + 1, sizeof(*io));
	if (!io)
		abort();
	for (uint32_t r = 0; r < DEGREE; r++) {
		for (uint32_t i = 0; i < p->n_inputs; i++) {
			io[r * width + i] = aligned(bytes_of(p, p->inputs[i].tensor));
			memcpy(io[r * width + i], in[i], bytes_of(p, p->inputs[i].tensor));
		}
		for (uint32_t o = 0; o < p->n_outputs; o++) {
			io[r * width + p->n_inputs + o] = aligned(bytes_of(p, p->outputs[o].tensor));
			memset(io[r * width + p->n_inputs + o], 0xa5 + (int)r,
			       bytes_of(p, p->outputs[o].tensor));
		}
	}
	lane = emu_lane_new(plan, DEGREE);
	err = emu_lane_run(lane, DEGREE, io, 1);
	for (uint32_t o = 0; o < p->n_outputs; o++) {
		size_t bytes = bytes_of(p, p->outputs[o].tensor);

		if (memcmp(io[p->n_inputs + o], io[width + p->n_inputs + o], bytes))
			err = -EILSEQ;
		memcpy(out[o], io[p->n_inputs + o], bytes);
	}
	return err;
}

static bool run(const char *data, const char *name, bool words)
{
	static const struct case_how cpu = { .rule = CASE_BY_ELEMENT };
	static const struct case_how gpu = { .rule = CASE_BY_ELEMENT, .eval = eval };
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

int main(int argc, char **argv)
{
	const char *data = getenv("BRAID_ONNX_TESTDATA"), *all = getenv("BRAID_GPU_NODES");
	unsigned int step = all && !strcmp(all, "all") ? 1 : 3, at = 0, passed = 0, n = 0;

	if (!data)
		data = "/usr/share/libonnx-testdata/data";
	for (int i = 1; i < argc; i++)
		run(data, argv[i], true);
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
				passed += run(data, name, false);
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
