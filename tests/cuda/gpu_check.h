/* SPDX-License-Identifier: MIT */
/*
 * A program through plan and emulated kernels, merged at several degrees,
 * against what the CPU backend makes of each request alone.
 *
 * Requests are drawn so that all outputs of any two of them differ by ten times
 * the tolerance; after each merged run two requests' outputs are swapped
 * deliberately, which must be noticed.
 */
#ifndef BRAID_TESTS_CUDA_GPU_CHECK_H
#define BRAID_TESTS_CUDA_GPU_CHECK_H

#include <stddef.h>
#include <stdint.h>

#include "agent/cuda/plan.h"

struct program;

/**
 * struct gpu_check - how a program is checked
 * @opt: what the plan is made for
 * @most: relative L2 distance of an output; integers must be equal
 * @degrees: ascending, at most 8 each
 * @n_degrees: how many
 * @seed: of the orders that steps, blocks and warps run in
 */
struct gpu_check {
	struct gpu_options opt;
	double most;
	const uint32_t *degrees;
	uint32_t n_degrees;
	uint64_t seed;
};

/**
 * gpu_check() - run and compare
 * @p: the program
 * @in: data of the first request, or NULL: floats from -1 to 1, small integers
 * @out: set to what the CPU backend made of it, may be NULL
 * @how: see there
 * @why: words on failure
 * @len: size of @why
 *
 * Return: 0; -EILSEQ where something is off; -EDOM where no requests can be
 * drawn that differ enough; what gpu_plan_make() gives.
 */
int gpu_check(const struct program *p, const void *const *in, void *const *out,
	      const struct gpu_check *how, char *why, size_t len);

#endif
