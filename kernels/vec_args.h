/* SPDX-License-Identifier: MIT */
/*
 * Arguments of layers over a vector (kernels/vec.cuh), for host and device.
 */
#ifndef BRAID_KERNELS_VEC_ARGS_H
#define BRAID_KERNELS_VEC_ARGS_H

#include "args.h"

#define K_VEC_N		16	/* results of a block */

/**
 * struct k_vec - y[n] = act(sum of w[n][k] x[k] + b[n] + res[n])
 * @w: fp32 [n][ld], ld a multiple of four, zeros behind k
 * @b: fp32
 * @tiles: blocks a request
 */
struct k_vec {
	struct k_ref x, res, y;
	k_u64 w, b;
	struct k_act act;
	k_u32 n, k, ld, tiles, has_bias, has_res, degree;
};

#endif
