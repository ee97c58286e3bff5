// SPDX-License-Identifier: MIT
/*
 * Tiles as specialised kernels have them, each with the shape in its arguments:
 * what plans want compiled, under the engine.
 */
#include "conv.cuh"
#include "patch.cuh"

#define EXACT(bm, bn, wm, wn, sl, st, ctas)						\
	ENTRY(exact_conv_##bm##x##bn, k_conv, ctas,					\
	      (conv_tile<conv_cfg<bm, bn, wm, wn, sl, st>, false>(a.s, a, tile, smem)))	\
	ENTRY(exact_conv1_##bm##x##bn, k_conv, ctas,					\
	      (conv_tile<conv_cfg<bm, bn, wm, wn, sl, st>, true>(a.s, a, tile, smem)))	\
	ENTRY(exact_patch_##bm##x##bn, k_conv, ctas,					\
	      (patch_tile<conv_cfg<bm, bn, wm, wn, sl, st>>(a.s, a, tile, smem)))
K_CONV_TILES(EXACT)
