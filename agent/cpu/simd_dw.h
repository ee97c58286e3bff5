/* SPDX-License-Identifier: MIT */
/*
 * Template: a row of a depthwise convolution.
 *
 * Vectors run over channels; a few output pixels are summed at a time so that
 * each weight is loaded once for all of them. Pixels at the ends, whose kernel
 * hangs over the padding, are done one by one with the taps they have.
 */
#ifndef BRAID_AGENT_CPU_SIMD_DW_H
#define BRAID_AGENT_CPU_SIMD_DW_H

#include "agent/cpu/dw.h"
#include "agent/cpu/simd_elem.h"

/* px pixels from ox on, nv vectors from channel c on (or part floats of one). */
ISA_INLINE void ISA(dw_block)(const struct cpu_dw_args *a, int64_t c, int64_t ox, const int px,
			      const int nv, int64_t k0, int64_t k1, int64_t part)
{
	vf acc[4][2];

	for (int j = 0; j < nv; j++) {
		vf b = { 0 };

		if (a->bias)
			b = part ? v_load_part(a->bias + c, part) :
				   v_load(a->bias + c + j * ISA_VL);
		for (int i = 0; i < px; i++)
			acc[i][j] = b;
	}
	for (int64_t t = 0; t < a->taps; t++) {
		const float *x = a->rows[t], *w = a->w + t * a->kw * a->c + c;

		if (!x)
			continue;
		x += (ox * a->stride - a->pad) * a->c + c;
		for (int64_t k = k0; k < k1; k++) {
			const float *xk = x + k * a->dilation * a->c, *wk = w + k * a->c;

			for (int j = 0; j < nv; j++) {
				vf wv = part ? v_load_part(wk, part) : v_load(wk + j * ISA_VL);

				for (int i = 0; i < px; i++) {
					const float *p = xk + i * a->stride * a->c;

					acc[i][j] += wv * (part ? v_load_part(p, part) :
							   v_load(p + j * ISA_VL));
				}
			}
		}
	}
	for (int i = 0; i < px; i++) {
		float *y = a->y + (ox + i) * a->c + c;

		for (int j = 0; j < nv; j++) {
			if (part)
				v_store_part(y, acc[i][j], part);
			else
				v_store(y + j * ISA_VL, acc[i][j]);
		}
	}
}

ISA_INLINE void ISA(dw_channels)(const struct cpu_dw_args *a, int64_t c, const int nv,
				 int64_t part)
{
	int64_t ox = 0, lo, hi;

	/* [lo, hi): outputs whose kernel lies in the row as a whole */
	lo = (a->pad + a->stride - 1) / a->stride;
	hi = a->in_w + a->pad - (a->kw - 1) * a->dilation - 1;
	hi = hi < 0 ? 0 : hi / a->stride + 1;
	if (lo > a->out_w)
		lo = a->out_w;
	if (hi > a->out_w)
		hi = a->out_w;
	if (hi < lo)
		hi = lo;
	while (ox < a->out_w) {
		if (ox >= lo && ox + 4 <= hi) {
			ISA(dw_block)(a, c, ox, 4, nv, 0, a->kw, part);
			ox += 4;
		} else if (ox >= lo && ox < hi) {
			ISA(dw_block)(a, c, ox, 1, nv, 0, a->kw, part);
			ox++;
		} else {
			int64_t at = ox * a->stride - a->pad, k0 = 0, k1 = a->kw;

			while (k0 < k1 && at + k0 * a->dilation < 0)
				k0++;
			while (k1 > k0 && at + (k1 - 1) * a->dilation >= a->in_w)
				k1--;
			ISA(dw_block)(a, c, ox, 1, nv, k0, k1, part);
			ox++;
		}
	}
}

static void ISA(dw)(const struct cpu_dw_args *a)
{
	int64_t c = 0;

	for (; c + 2 * ISA_VL <= a->c; c += 2 * ISA_VL)
		ISA(dw_channels)(a, c, 2, 0);
	for (; c + ISA_VL <= a->c; c += ISA_VL)
		ISA(dw_channels)(a, c, 1, 0);
	/* What is left: once more over the last whole vector, if there is one. */
	if (c < a->c) {
		if (a->c >= ISA_VL)
			ISA(dw_channels)(a, a->c - ISA_VL, 1, 0);
		else
			ISA(dw_channels)(a, 0, 1, a->c);
	}
	if (a->epi->fn != PROG_FN_NONE || a->res)
		ISA(epilogue)(a->y, a->out_w * a->c, a->epi, a->res);
}

#endif
