/* SPDX-License-Identifier: MIT */
/*
 * The witness: a kernel of one thread that reads the GPU's clock over and over
 * and notes where it jumps. What it sees is its own context's absence.
 *
 * braid-switch runs it in contexts of its own; the backend, when asked, in the
 * agent's (watcher.c). Keeps nothing.
 */
#ifndef BRAID_AGENT_CUDA_WITNESS_H
#define BRAID_AGENT_CUDA_WITNESS_H

#include <jansson.h>
#include <stdint.h>

#define WITNESS_BUCKETS		40u
#define WITNESS_HEAD		4u	/* words of its output before the absences */
#define WITNESS_ENTRY		"witness"

/*
 * Arguments, u64 each: output, how many ns to watch, the longest jump that is no
 * absence, how many absences there is room for.
 */
extern const char witness_ptx[];

/**
 * struct witness_figures - sums over runs of the kernel
 * @watched_ns: by the GPU's clock, absences included
 * @not_kept: absences of which there was no room for the times
 * @log2_ns: how many absences were shorter than 1 << index
 */
struct witness_figures {
	uint64_t watched_ns, readings, absences, not_kept, away_ns, longest_ns;
	uint64_t log2_ns[WITNESS_BUCKETS];
};

/** witness_add() - what a run left in @out, with room for @keep absences */
void witness_add(struct witness_figures *f, const uint64_t *out, uint64_t keep);

/** witness_json() - for people and scripts; NULL before it has watched */
json_t *witness_json(const struct witness_figures *f);

#endif
