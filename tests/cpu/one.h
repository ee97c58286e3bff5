/* SPDX-License-Identifier: MIT */
/*
 * Programs of one operation, run at any degree, for tests of kernels against
 * plain references written in the test.
 *
 * Every request has data of its own, so that a kernel that mixes requests up
 * is found; after a run the same requests are run one by one and must give the
 * same. Tiles run in a shuffled order. One thread.
 */
#ifndef BRAID_TESTS_CPU_ONE_H
#define BRAID_TESTS_CPU_ONE_H

#include <stdint.h>

#include "agent/cpu/kernel.h"

#define ONE_TENSORS	16
#define ONE_DEGREE	5

/* A seeded generator; the same everywhere. */
struct one_rng {
	uint64_t s;
};

uint64_t one_u64(struct one_rng *g);
/* lo to hi, both included */
int64_t one_range(struct one_rng *g, int64_t lo, int64_t hi);
/* -1 to 1 */
float one_float(struct one_rng *g);

/**
 * struct one - a program of one operation with the data of its requests
 * @p: the program
 * @op: its operation: kind, params and epi are the test's to set
 * @data: [tensor][request], dense; inputs and constants are filled with random
 *        numbers of -1 to 1 (integers: 0), the test may change them before
 *        one_run(); results are here after it
 */
struct one {
	struct program p;
	struct prog_op op;
	struct prog_storage storages[ONE_TENSORS];
	struct prog_tensor tensors[ONE_TENSORS];
	uint32_t in[ONE_TENSORS], out[ONE_TENSORS];
	void *data[ONE_TENSORS][ONE_DEGREE];
	uint32_t degree;
	struct one_rng *rng;
};

void one_init(struct one *o, struct one_rng *g, enum prog_kind kind, uint32_t degree);
void one_free(struct one *o);

/* A tensor anywhere: inputs may be the tenant's, the arena's or (if allowed) constant. */
uint32_t one_in(struct one *o, enum braid_type type, uint32_t rank, const int64_t *dims,
		bool may_be_const);
uint32_t one_const(struct one *o, enum braid_type type, uint32_t rank, const int64_t *dims);
uint32_t one_out(struct one *o, enum braid_type type, uint32_t rank, const int64_t *dims);
/* An input that is not given: PROG_NONE */
void one_none(struct one *o);
/* A residual of the output's shape */
void one_residual(struct one *o, uint32_t rank, const int64_t *dims);

static inline float *one_f(struct one *o, uint32_t t, uint32_t r)
{
	return o->data[t][r];
}

/**
 * one_run() - run all requests merged, then each alone, and compare
 *
 * Return: 0; -EOPNOTSUPP with the words in @why if it is refused; -EILSEQ if
 * merged and unmerged differ.
 */
int one_run(struct one *o, char *why, size_t len);

/* Relative L2 distance of n floats, in double. A NaN counts as infinite. */
double one_distance(const float *x, const float *ref, int64_t n);

#endif
