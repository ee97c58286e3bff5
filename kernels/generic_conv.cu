// SPDX-License-Identifier: MIT
/*
 * The tensor cores' product with its shape in its arguments. The first
 * convolution. Depthwise convolutions of the usual windows, and with their
 * expansion.
 */
#include "conv.cuh"
#include "dw.cuh"
#include "mb.cuh"
#include "stem.cuh"

#define CONV(bm, bn, wm, wn, sl, st, ctas)						\
	ENTRY(braid_conv_##bm##x##bn, k_conv, ctas,					\
	      (conv_all<conv_cfg<bm, bn, wm, wn, sl, st>>(a.s, a, tile, smem)))
K_CONV_GENERIC(CONV)

#define DW(k, stride, tw)								\
	ENTRY(braid_dw_##k##x##k##_##stride, k_dw, 2,					\
	      (dw_tile(dw_window<k, stride, tw>(a.s), a, tile, smem)))
K_DW_WINDOWS(DW)

#define STEM(bn) ENTRY(braid_stem_##bn, k_stem, 2, (stem_tile<bn>(a.s, a, tile, smem)))
K_STEM_NS(STEM)

#define MB(cb) ENTRY(braid_mb_##cb, k_mb, 2, (mb_tile<cb, 1>(a.s, a, tile, smem)))
K_MB_CHANNELS(MB)
