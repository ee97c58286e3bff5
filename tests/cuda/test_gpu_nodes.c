// SPDX-License-Identifier: MIT
/*
 * ONNX's own backend cases (nodes.h) through plan and emulated kernels, in fp32.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/program/program.h"
#include "tests/cuda/emu_plan.h"
#include "tests/cuda/nodes.h"

#define DEGREE		2

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

int main(int argc, char **argv)
{
	return nodes_main(argc, argv, eval, false);
}
