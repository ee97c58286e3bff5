/* SPDX-License-Identifier: MIT */
/*
 * A model on the CPU backend without a queue: load, place inputs, run.
 *
 * What the runner does with a window, for one model: the same importer, the
 * same backend, buffers in a sealed memfd as a tenant's are. For tools and
 * tests. One thread may use a struct direct.
 */
#ifndef BRAID_TOOLS_RUN_DIRECT_H
#define BRAID_TOOLS_RUN_DIRECT_H

#include <stddef.h>
#include <stdint.h>

#include "agent/program/load.h"
#include "agent/program/program.h"

struct direct;

/**
 * struct direct_config - how to open a model
 * @load: binding of its shapes
 * @threads: worker threads of the backend, 0 for one a core
 * @max_degree: requests that may be merged, at least 1
 */
struct direct_config {
	struct load_config load;
	unsigned int threads;
	unsigned int max_degree;
};

/**
 * struct direct_times - what a run or a load cost, nanoseconds
 * @import: file to program
 * @prepare: program to backend model
 */
struct direct_times {
	uint64_t import, prepare;
};

/**
 * direct_open() - load a model and start a backend for it
 * @path: ONNX file
 * @cfg: how
 * @d: set on success; direct_close() it
 * @why: words on failure
 * @len: size of @why
 *
 * Return: 0 or a negative errno.
 */
int direct_open(const char *path, const struct direct_config *cfg, struct direct **d,
		char *why, size_t len);
void direct_close(struct direct *d);

const struct program *direct_program(const struct direct *d);
struct direct_times direct_times(const struct direct *d);

/* Input @i and output @o of request @r, in the mapped buffer. */
void *direct_input(struct direct *d, uint32_t r, uint32_t i);
void *direct_output(struct direct *d, uint32_t r, uint32_t o);

/**
 * direct_run() - run the first requests as one merged group
 * @d: the model
 * @degree: how many, 1 to max_degree
 * @outputs: for each request, whose outputs it writes; NULL for its own. A
 *           permutation deliberately mixes requests up
 * @ns: from launch to reaped, may be NULL
 *
 * Return: 0 or the negative errno of the group.
 */
int direct_run(struct direct *d, uint32_t degree, const uint32_t *outputs, uint64_t *ns);

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t direct_now(void);

#endif
