/* SPDX-License-Identifier: MIT */
/*
 * The witness: a kernel of one thread that reads the GPU's clock over and over
 * and notes where it jumps. It runs in a context of its own, so it is one more
 * to be switched; what it sees is its own absence.
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

/** witness_summary() - figures of gaps [start, end) of one process; as witness_run() gives them */
json_t *witness_summary(const uint64_t *gaps, uint64_t n, uint64_t kept, uint64_t first_ns,
			uint64_t last_ns);

#endif
