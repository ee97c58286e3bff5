// SPDX-License-Identifier: MIT
/*
 * Tiles as specialised kernels have them, each with the shape in its arguments:
 * what plans want compiled, under the engine.
 */
#include "big.cuh"
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

#define EXACT_BIG(one, flat, name)							\
	ENTRY(exact_##name##_256x128, k_conv, 1,					\
	      (big_tile<conv_cfg<256, 128, 4, 2, 1, 3>, one, flat>(a.s, a, tile, smem)))
EXACT_BIG(false, false, big)
EXACT_BIG(true, false, big1)
EXACT_BIG(true, true, bigflat)
