/* SPDX-License-Identifier: MIT */
/*
 * Which tile, and how many parts of K, for a product of a given shape: from a
 * measured table where it has the shape, else from a model of the machine
 * whose constants were fitted to such tables.
 */
#ifndef BRAID_AGENT_LOWER_TILES_H
#define BRAID_AGENT_LOWER_TILES_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/cuda/plan.h"

/**
 * struct tile_shape - a product of the tensor cores
 * @m: rows, of all merged requests
 * @n: columns of a group
 * @k: depth
 * @groups: of columns
 * @window: rows are gathered through a window
 * @taps, @c, @reach: where input pixels are read once (kernels/patch.cuh):
 *                    size of the window, channels, and how many pixels more
 *                    than it has rows a tile reads; else 0
 * @hidden, @pixels: squeeze-excite's hidden units, pixels of an image; else 0
 */
struct tile_shape {
	uint32_t m, n, k, groups;
	bool window;
	uint32_t taps, c, reach;
	uint32_t hidden, pixels;
};

/**
 * struct tile_choice - what to do with it
 * @tile: number in K_CONV_TILES
 * @split: parts of K
 */
struct tile_choice {
	uint32_t tile, split;
};

/* One row of a measured table; m 0: any shape, for tests. */
struct tile_row {
	struct tile_shape shape;
	struct tile_choice choice;
};

/**
 * struct gpu_tiles - a measured table
 * @rows: in any order
 * @n: how many
 */
struct gpu_tiles {
	const struct tile_row *rows;
	uint32_t n;
};

/* A tile's numbers, as K_CONV_TILES has them. */
struct tile_info {
	uint32_t bm, bn, wm, wn, slices, stages, ctas, smem;
	const char *name;	/* "64x128" */
};

extern const struct tile_info tile_infos[];
extern const uint32_t n_tile_infos;

/** tile_steps() - steps of 64 along K, and how many of them stay together */
uint32_t tile_steps(const struct tile_shape *s, uint32_t *together);

/** tile_per() - steps of each part */
uint32_t tile_per(const struct tile_shape *s, uint32_t split);

/** tile_smem() - shared memory of a choice */
uint32_t tile_smem(const struct tile_shape *s, const struct tile_choice *c);

/** tile_choose() - by table, else by model */
struct tile_choice tile_choose(const struct gpu_options *opt, const struct tile_shape *s);

/** tile_model() - nanoseconds that the model expects of a choice */
double tile_model(const struct gpu_options *opt, const struct tile_shape *s,
		  const struct tile_choice *c);

#endif
