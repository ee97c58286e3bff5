/* SPDX-License-Identifier: MIT */
/* Seeded random programs, and what tests do with programs. */
#ifndef BRAID_TESTS_PROGRAM_GRAPH_H
#define BRAID_TESTS_PROGRAM_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/program/build.h"

/** struct rnd - splitmix64 */
struct rnd {
	uint64_t state;
};

uint64_t rnd_next(struct rnd *r);
uint32_t rnd_below(struct rnd *r, uint32_t n);
float rnd_float(struct rnd *r);		/* -1 to 1 */

/** graph_const() - a float constant of random elements */
uint32_t graph_const(struct build *b, struct rnd *r, uint32_t rank, const int64_t *dims);

/** graph_same_window() - of weights @w (five extents), keeping the image's size */
void graph_same_window(struct prog_window *win, const int64_t *w);

/**
 * graph_random() - write a random graph of about @n operations
 * @b: an empty builder
 *
 * Two inputs, up to three outputs, one of which may be read or be a view of an
 * input; transposes and views that passes can move, products with what they
 * fold. The same seed gives the same graph.
 */
void graph_random(struct build *b, uint64_t seed, uint32_t n);

/**
 * graph_run() - finish (with @b released), run on seeded inputs
 * @out: outputs back to back, to be freed; NULL on failure
 * @n: their number of floats
 * @kinds: counts by kind, may be NULL (PROG_KINDS entries)
 *
 * Return: 0, or the error, told through diag().
 */
int graph_run(struct build *b, uint64_t seed, float **out, size_t *n, uint32_t *kinds);

/** graph_distance() - relative L2, 0 where both are zero */
double graph_distance(const float *a, const float *b, size_t n);

#endif
