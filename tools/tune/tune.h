/* SPDX-License-Identifier: MIT */
/*
 * Plans on a GPU without a daemon: what braid-tune's commands share.
 *
 * One thread uses a struct gpu; only compiling is shared out among threads.
 */
#ifndef BRAID_TOOLS_TUNE_TUNE_H
#define BRAID_TOOLS_TUNE_TUNE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "agent/cuda/driver.h"
#include "agent/cuda/nvrtc.h"
#include "agent/cuda/plan.h"

struct program;
struct code;

/**
 * struct gpu - the device
 * @cu: the driver; what it lacks is looked up by name
 * @rt: the compiler
 * @sm: compute capability
 * @codes: kernels compiled so far, by name
 */
struct gpu {
	struct cu_api cu;
	struct nvrtc_api rt;
	cu_context ctx;
	cu_stream stream;
	uint32_t sm, n_sms;
	char name[128];
	struct code *codes;
	uint32_t n_codes;

	cu_result (*launch_ex)(const void *config, cu_function f, void **params, void **extra);
	cu_result (*begin_capture)(cu_stream s, int mode);
	cu_result (*end_capture)(cu_stream s, cu_graph *g);
};

/* How the steps of a plan follow each other in a graph. */
enum order {
	ORDER_GRAPH,	/* by their dependencies */
	ORDER_CHAIN,	/* one after the other */
	ORDER_DEPENDENT,	/* the same, by programmatic dependent launch */
};

/**
 * struct lane - memory of a plan
 * @io: the table, host copy
 * @buffers: of every input and output of every request, as the table has them
 */
struct lane {
	struct gpu *gpu;
	const struct program *p;
	const struct gpu_plan *plan;
	uint32_t degree;
	cu_ptr image, arena, scratch, table;
	cu_ptr *buffers;
};

int gpu_open(struct gpu *g);
void gpu_die(struct gpu *g, cu_result res, const char *what);

/** gpu_compile() - kernels of a plan that are not compiled yet; @only: those marked, or all */
int gpu_compile(struct gpu *g, const struct gpu_plan *plan, const bool *only);
cu_function gpu_function(struct gpu *g, const char *name);

struct lane *lane_new(struct gpu *g, const struct program *p, const struct gpu_plan *plan,
		      uint32_t degree);
void lane_free(struct lane *l);
void lane_input(struct lane *l, uint32_t request, uint32_t i, const void *data);
void lane_output(struct lane *l, uint32_t request, uint32_t o, void *data);

/** lane_graph() - steps [first, last] as a graph, each @times times over */
cu_exec lane_graph(struct lane *l, uint32_t degree, uint32_t first, uint32_t last, uint32_t times,
		   enum order order);

/** gpu_time() - microseconds a launch of a graph takes, the median of several tries */
double gpu_time(struct gpu *g, cu_exec e, uint32_t launches);

/** load_program() - an ONNX file, a free batch bound to 1 */
struct program *load_program(const char *path);

int cmd_check(struct gpu *g, int argc, char **argv);
int cmd_time(struct gpu *g, int argc, char **argv);
int cmd_sweep(struct gpu *g, int argc, char **argv);
int cmd_gemm(struct gpu *g, int argc, char **argv);

#endif
