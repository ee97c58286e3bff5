/* SPDX-License-Identifier: MIT */
/*
 * Depthwise convolution of one row of output, channels last; simd_dw.h does it.
 */
#ifndef BRAID_AGENT_CPU_DW_H
#define BRAID_AGENT_CPU_DW_H

#include "agent/cpu/simd.h"

/**
 * struct cpu_dw_args - one row of output pixels, all channels
 * @rows: [taps] where the kernel's rows meet the input: pixel 0, channel 0;
 *        NULL for a row of padding
 * @taps: kernel rows, over depth and height
 * @kw: kernel width
 * @stride: pixels from one output to the next
 * @dilation: pixels from one tap to the next
 * @pad: pixels of padding before the row
 * @in_w: pixels of an input row
 * @out_w: pixels of the output row
 * @c: channels
 * @w: [taps][kw][c]
 * @bias: [c] or NULL
 * @y: [out_w][c]
 * @res: [out_w][c] or NULL
 * @epi: what to do last
 */
struct cpu_dw_args {
	const float *const *rows;
	int64_t taps, kw, stride, dilation, pad, in_w, out_w, c;
	const float *w, *bias;
	float *y;
	const float *res;
	const struct cpu_epi *epi;
};

#endif
