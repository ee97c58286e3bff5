/* SPDX-License-Identifier: MIT */
/*
 * RESIZE, one dimension: the input coordinates that an output coordinate
 * reads, and their weights. For every backend.
 */
#ifndef BRAID_AGENT_CPU_TAPS_H
#define BRAID_AGENT_CPU_TAPS_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/program/program.h"

#define CPU_TAPS	4

/**
 * struct cpu_taps - what one output coordinate of one dimension reads
 * @n: coordinates: 1, 2 or 4
 * @at: they, within the input
 * @w: weight of each
 * @outside: none: the result is the extrapolation value
 */
struct cpu_taps {
	int32_t n;
	int32_t at[CPU_TAPS];
	float w[CPU_TAPS];
	bool outside;
};

/**
 * cpu_taps() - taps of output coordinate @o
 * @pr: parameters
 * @i: dimension, 0 to 2
 * @o: coordinate in the output
 * @in: extent of the input
 * @out: of the output
 * @t: zeroed; set here
 */
void cpu_taps(const struct prog_resize *pr, int i, int64_t o, int64_t in, int64_t out,
	      struct cpu_taps *t);

#endif
