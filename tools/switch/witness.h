/* SPDX-License-Identifier: MIT */
/*
 * The witness (agent/cuda/witness.h) in contexts of its own: each is one more
 * to be switched.
 */
#ifndef BRAID_TOOLS_SWITCH_WITNESS_H
#define BRAID_TOOLS_SWITCH_WITNESS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/**
 * struct witness_options - how to watch
 * @device: CUDA's number of it
 * @processes: so many, each with a context of its own
 * @seconds: so long
 * @threshold_ns: a jump longer than that is an absence
 * @max_gaps: kept with their times, of each process
 */
struct witness_options {
	int device;
	unsigned int processes;
	double seconds;
	uint64_t threshold_ns;
	unsigned int max_gaps;
};

/**
 * witness_run() - watch
 * @o: how
 * @why: words on failure
 * @len: size of @why
 *
 * Return: a JSON object with a list of processes; NULL on failure.
 */
json_t *witness_run(const struct witness_options *o, char *why, size_t len);

/** witness_here() - the same in one context of this process; @processes is ignored */
json_t *witness_here(const struct witness_options *o, char *why, size_t len);

#endif
