// SPDX-License-Identifier: MIT
/*
 * The tensor cores' product with its shape in its arguments: every tile, for
 * windows and for single pixels.
 */
#include "conv.cuh"

#define CONV(bm, bn, wm, wn, sl, st, ctas)						\
	ENTRY(braid_conv_##bm##x##bn, k_conv, ctas,					\
	      (conv_tile<conv_cfg<bm, bn, wm, wn, sl, st>, false>(a.s, a, tile, smem)))	\
	ENTRY(braid_conv1_##bm##x##bn, k_conv, ctas,					\
	      (conv_tile<conv_cfg<bm, bn, wm, wn, sl, st>, true>(a.s, a, tile, smem)))
K_CONV_TILES(CONV)
