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

/* How a product reads its rows: measured tables tell these apart. */
enum tile_kind { TILE_ROWS, TILE_WINDOW, TILE_PATCH, TILE_SCALED };

/* One row of a measured table; m 0: any shape, for tests. */
struct tile_row {
	uint32_t m, n, k, groups;
	enum tile_kind kind;
	struct tile_choice choice;
	double ns;
};

/**
 * struct gpu_tiles - a measured table
 * @rows: in any order
 * @n: how many
 */
struct gpu_tiles {
	struct tile_row *rows;
	uint32_t n;
};

/**
 * tile_table_read() - a table from text
 * @from: as braid-tune sweep writes it: lines "tile M N K GROUPS KIND TILE PARTS
 *        NANOSECONDS" behind one "tiles SM MULTIPROCESSORS", with " crowd" where many
 *        launches ran at once; of several for one shape the fastest counts, what
 *        begins otherwise is no part of it
 * @opt: the device, and whether launches are in a crowd: a table of another one, or
 *       not for that, has no rows
 * @out: set here; tile_table_free() it
 *
 * Return: 0, -EINVAL where a line is not what it should be, -ENOMEM.
 */
int tile_table_read(const char *from, const struct gpu_options *opt, struct gpu_tiles **out);
void tile_table_free(struct gpu_tiles *t);

/** tile_sms() - multiprocessors that launches will have */
uint32_t tile_sms(const struct gpu_options *opt);

/** tile_table_builtin() - what was measured on a device like this; may have no rows */
const struct gpu_tiles *tile_table_builtin(const struct gpu_options *opt);

#define TILE_LARGE	128u	/* rows: tiles with more are for many of them (kernels/big.cuh) */

/* A tile's numbers, as K_CONV_TILES has them. */
struct tile_info {
	uint32_t bm, bn, wm, wn, slices, stages, ctas, smem;
	const char *name;	/* "64x128" */
};

extern const struct tile_info tile_infos[];
extern const uint32_t n_tile_infos;

/** tile_generic() - of those in K_CONV_GENERIC, what a tile is put together from */
const struct tile_info *tile_generic(const struct tile_info *t);

/** tile_steps() - steps of 64 along K, and how many of them stay together */
uint32_t tile_steps(const struct tile_shape *s, uint32_t *together);

/** tile_per() - steps of each part */
uint32_t tile_per(const struct tile_shape *s, uint32_t split);

/** tile_smem() - shared memory of a choice; tile_smem_of(): of any tile */
uint32_t tile_smem(const struct tile_shape *s, const struct tile_choice *c);
uint32_t tile_smem_of(const struct tile_shape *s, const struct tile_info *t, uint32_t split);

/** tile_most() - shared memory that a block may have at most */
uint32_t tile_most(uint32_t sm);

/** tile_fits() - can a tile have the shape at all? */
bool tile_fits(const struct gpu_options *opt, const struct tile_shape *s, const struct tile_choice *c);

/** tile_is_sound() - and is no part of K almost empty? */
bool tile_is_sound(const struct gpu_options *opt, const struct tile_shape *s, const struct tile_choice *c);

/** tile_any() - is there a sound choice? */
bool tile_any(const struct gpu_options *opt, const struct tile_shape *s);

/** tile_kind() - which it is */
enum tile_kind tile_kind(const struct tile_shape *s);

/** tile_choose() - by table, else by model */
struct tile_choice tile_choose(const struct gpu_options *opt, const struct tile_shape *s);

/** tile_model() - nanoseconds that the model expects of a choice */
double tile_model(const struct gpu_options *opt, const struct tile_shape *s,
		  const struct tile_choice *c);

#endif
