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

#define MAX_BESIDE	32u

struct program;
struct code;

/**
 * struct gpu - the device
 * @cu: the driver; what it lacks is looked up by name
 * @rt: the compiler
 * @sm: compute capability
 * @streams: as many as launches ran at once so far
 * @codes: kernels compiled so far, by name
 */
struct gpu {
	struct cu_api cu;
	struct nvrtc_api rt;
	cu_context ctx;
	cu_stream stream, streams[MAX_BESIDE];
	uint32_t sm, n_sms, n_streams;
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
 * @shares: the weights are another lane's
 * @buffers: of every input and output of every request, as the table has them
 */
struct lane {
	struct gpu *gpu;
	const struct program *p;
	const struct gpu_plan *plan;
	uint32_t degree;
	bool shares;
	cu_ptr image, arena, scratch, table;
	cu_ptr *buffers;
};

int gpu_open(struct gpu *g);
void gpu_die(struct gpu *g, cu_result res, const char *what);

/** gpu_compile() - kernels of @n plans that are not compiled yet; @only: those marked, NULL: all */
int gpu_compile(struct gpu *g, struct gpu_plan *const *plans, bool *const *only, uint32_t n);
cu_function gpu_function(struct gpu *g, const char *name);

/** lane_new() - @beside: a lane of the same plan, whose weights it shares, or NULL */
struct lane *lane_new(struct gpu *g, const struct program *p, const struct gpu_plan *plan,
		      uint32_t degree, const struct lane *beside);
void lane_free(struct lane *l);
void lane_input(struct lane *l, uint32_t request, uint32_t i, const void *data);
void lane_output(struct lane *l, uint32_t request, uint32_t o, void *data);

/** lane_graph() - steps [first, last] as a graph, each @times times over */
cu_exec lane_graph(struct lane *l, uint32_t degree, uint32_t first, uint32_t last, uint32_t times,
		   enum order order);

/** gpu_time() - microseconds a launch of a graph takes, the median of several tries */
double gpu_time(struct gpu *g, cu_exec e, uint32_t launches);

/**
 * lanes_time() - microseconds that steps [first, last] of one lane take while all @n do the same
 *
 * Each in a stream of its own, @times times over.
 */
double lanes_time(struct lane *const *l, uint32_t n, uint32_t degree, uint32_t first, uint32_t last,
		  uint32_t times, enum order order);

/** lanes_new() - @n lanes at @l */
void lanes_new(struct lane **l, uint32_t n, struct gpu *g, const struct program *p,
	       const struct gpu_plan *plan, uint32_t degree);
void lanes_free(struct lane **l, uint32_t n);

/** struct run_options - what braid-tune's commands are told beside models */
struct run_options {
	uint32_t degrees[8], n_degrees;
	uint32_t in_flight;	/* requests, two launches at least; 0: one launch at a time */
	uint32_t also;		/* launches at once, where that are more; 0: not also so many */
	int kind;		/* of a product, -1: all */
	bool steps, all;
};

/** run_beside() - launches at once at a degree */
uint32_t run_beside(const struct run_options *o, uint32_t degree);

/** run_also() - fewer at once that count as much, 0: none */
uint32_t run_also(const struct run_options *o, uint32_t degree);

/** run_lowering() - how models are lowered: for a crowd where requests are in flight */
void run_lowering(const struct run_options *o, const struct gpu *g, struct gpu_options *opt);

/** load_program() - an ONNX file, a free batch bound to 1 */
struct program *load_program(const char *path);

int cmd_check(struct gpu *g, const struct run_options *o, int argc, char **argv);
int cmd_time(struct gpu *g, const struct run_options *o, int argc, char **argv);
int cmd_sweep(struct gpu *g, const struct run_options *o, int argc, char **argv);
int cmd_gemm(struct gpu *g, const struct run_options *o, int argc, char **argv);

#endif
