/* SPDX-License-Identifier: MIT */
/*
 * ONNX's own backend cases through something that runs programs: what the CPU
 * backend takes of our families' operators must pass there too.
 *
 *   no arguments     TAP; BRAID_GPU_NODES=all runs every case, not a third
 *   CASE...          these alone, in words (node/test_add)
 */
#ifndef BRAID_TESTS_CUDA_NODES_H
#define BRAID_TESTS_CUDA_NODES_H

#include <stdbool.h>
#include <stddef.h>

struct program;

/**
 * typedef nodes_eval - run a program once
 * @in: inputs in the program's order
 * @out: filled
 * @why: words when it can't be run
 *
 * Return: 0, -EOPNOTSUPP, or another negative errno.
 */
typedef int (*nodes_eval)(const struct program *p, const void *const *in, void *const *out,
			  char *why, size_t len);

/** nodes_main() - a test's main(); @here: not in a child process a case */
int nodes_main(int argc, char **argv, nodes_eval eval, bool here);

#endif
