// SPDX-License-Identifier: MIT
/*
 * Convolutions that keep the image's size, with the shape in the arguments.
 */
#include "patch.cuh"

#define PATCH(bm, bn, wm, wn, sl, st, ctas)						\
	ENTRY(braid_patch_##bm##x##bn, k_conv, ctas,					\
	      (patch_all<conv_cfg<bm, bn, wm, wn, sl, st>>(a.s, a, tile, smem)))
K_CONV_GENERIC(PATCH)
