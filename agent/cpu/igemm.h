/* SPDX-License-Identifier: MIT */
/*
 * Convolutions as products of matrices whose left side stays where it is:
 * what CONV and CONV_TRANSPOSE have in common.
 */
#ifndef BRAID_AGENT_CPU_IGEMM_H
#define BRAID_AGENT_CPU_IGEMM_H

#include "agent/cpu/gemm.h"
#include "agent/cpu/kernel.h"

/* Where a tap of the kernel reads: input coordinate = q * step + off. */
struct igemm_tap {
	int64_t off[3];
	int64_t w;	/* floats into the weights of one output channel */
};

/**
 * struct igemm_phase - output pixels that meet the same taps of the kernel
 * @q: extents of the grid of these pixels
 * @first: the first of them, in output coordinates
 * @n_taps: number of taps
 * @taps: the taps
 * @pixels: of one request, over all images
 * @packed: weights of all groups, NULL if they are not constant
 * @group_floats: of one group in @packed
 *
 * A convolution has one phase; its transpose one for each remainder of the
 * output coordinate by the stride.
 */
struct igemm_phase {
	int64_t q[3], first[3];
	uint32_t n_taps;
	struct igemm_tap *taps;
	int64_t pixels;
	float *packed;
	size_t group_floats;
};

/**
 * struct igemm - a plan
 * @in: extents of the input: images, depth, height, width, channels
 * @out: of the output
 * @step: input pixels from one grid point to the next
 * @out_step: output pixels from one grid point to the next
 * @group: number of groups; cg and mg channels of input and output each
 * @w_k: floats from one channel of input to the next in the weights
 * @w_n: floats from one channel of output to the next, within a group
 * @w_group: floats from group to group
 * @per_request: weights or bias differ by request: tiles do not cross requests
 * @tile_px: pixels of a tile, at most
 * @tile_n: columns of a tile, a multiple of the panel
 * @n_tiles: tiles over the columns of one group
 * @max_taps: of any phase
 * @zeros: what the padding reads, in[4] floats
 */
struct igemm {
	const struct cpu_simd *simd;
	struct cpu_epi epi;
	int64_t in[5], out[5];
	int64_t step[3], out_step[3];
	int64_t group, cg, mg;
	int64_t w_k, w_n, w_group;
	bool per_request;
	int64_t tile_px, tile_n, n_tiles;
	uint32_t max_taps;
	float *zeros;
	uint32_t n_phases;
	struct igemm_phase *phases;
};

/**
 * igemm_finish() - decide on tiles, pack constant weights, set co->scratch
 * @co: the operation: in x, w, [bias]
 * @g: all but what is decided here; taken into co->priv on success
 *
 * Return: 0 or -ENOMEM; @g is the caller's still on failure.
 */
int igemm_finish(struct cpu_op *co, struct igemm *g);
void igemm_free(struct igemm *g);
void igemm_release(struct cpu_op *co);
uint32_t igemm_tiles(const struct cpu_op *co, uint32_t degree);
void igemm_run(const struct cpu_run *run, const struct cpu_op *co, uint32_t tile,
	       uint32_t n_tiles);

/* Geometry that both read from the tensors; the phases are the caller's. */
void igemm_geometry(const struct cpu_op *co, struct igemm *g, int64_t group);

/* x, w, bias, residual and result all float? Else refuse. */
int igemm_check(const struct program *p, const struct prog_op *op, char *why, size_t len);

/* Memory for the load path: aligned to 64 bytes, freed with free(). */
void *cpu_alloc(size_t bytes);

#endif
