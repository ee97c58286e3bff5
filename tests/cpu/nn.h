/* SPDX-License-Identifier: MIT */
/*
 * What the tests of network layers share: random cases of a kind against a
 * reference in plain loops.
 */
#ifndef BRAID_TESTS_CPU_NN_H
#define BRAID_TESTS_CPU_NN_H

#include "tests/cpu/one.h"

/* Makes a case: parameters, inputs, outputs. */
typedef void (*nn_case)(struct one *o, struct one_rng *g);
/* Results of output @out of request @r, as many as it has elements. */
typedef void (*nn_ref)(const struct one *o, uint32_t r, uint32_t out, double *y);

/** nn_in() - input @i of request @r, NULL where it is absent */
const float *nn_in(const struct one *o, uint32_t i, uint32_t r);

/**
 * nn_check() - run cases and compare, two TAP lines: that all results are near
 * the reference, and that a request's are not its neighbour's
 */
void nn_check(enum prog_kind kind, nn_case make, nn_ref ref, uint64_t seed, int cases,
	      const char *name);

#endif
