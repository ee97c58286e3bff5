/* SPDX-License-Identifier: MIT */
/*
 * Seeded inputs: a tensor is a function of a request's seed and its own name.
 *
 * Element i comes from x = prng_at(s, i), s = prng_stream(seed, name), so that
 * a request can be drawn anywhere, in C and in Python (tools/goldens/seeded.py)
 * with the same bits.
 */
#ifndef BRAID_ZOO_DRAW_H
#define BRAID_ZOO_DRAW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/braid.h>

/**
 * enum draw_kind - what a tensor's elements are
 * @DRAW_NORMAL: prng_normal(x, 1)
 * @DRAW_IMAGE: 3/5 noise and 4/5 flat patches of 16 x 16 pixels, variance 1;
 *              the last two dimensions are height and width
 * @DRAW_BELOW: prng_below(x, bound)
 * @DRAW_MASK: ones, then zeros: row r, of length t, has
 *             t / 2 + prng_below(prng_at(s, r), t - t / 2 + 1) ones
 */
enum draw_kind { DRAW_NORMAL, DRAW_IMAGE, DRAW_BELOW, DRAW_MASK, DRAW_KINDS };

/**
 * struct draw - how one tensor is drawn
 * @name: the tensor's, part of its seed
 * @type: float, 32- or 64-bit integer; others stay zero
 * @rank: number of dimensions
 * @dims: extents
 * @kind: what its elements are
 * @bound: of DRAW_BELOW
 */
struct draw {
	const char *name;
	enum braid_type type;
	int rank;
	const int64_t *dims;
	enum draw_kind kind;
	uint32_t bound;
};

/* "normal", "image", "below", "mask" */
extern const char *const draw_kind_names[DRAW_KINDS];

/**
 * draw_guess() - a fitting kind for a model's input
 * @d: all but @kind and @bound, which are set
 *
 * Float images of rank 4, other floats normal, masks by their name, and other
 * integers 0 or 1, which every embedding has.
 */
void draw_guess(struct draw *d);

/* Fill @to, the whole tensor. */
void draw_tensor(const struct draw *d, uint64_t seed, void *to);

#endif
