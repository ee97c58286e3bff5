/* SPDX-License-Identifier: MIT */
/*
 * Template: the tile of a matrix product from which convolutions, GEMMs and
 * recurrent cells are made.
 *
 * A tile is m rows by n columns, m <= mr and n <= nr. Row i of the left side
 * is not one vector but kp pieces of kc floats, each through a pointer of its
 * own: a convolution gives the pixels under its kernel where they lie (a row
 * of zeros for the padding) and never copies them out. A plain product has
 * kp = 1. The right side is packed in panels of columns, [kp * kc][width],
 * width nr, or nr / 2 where no more than that is left.
 *
 * Each element is summed in the order of k whatever the tile it lies in, so
 * results do not depend on how a product is cut.
 */
#ifndef BRAID_AGENT_CPU_SIMD_GEMM_H
#define BRAID_AGENT_CPU_SIMD_GEMM_H

#include "agent/cpu/gemm.h"
#include "agent/cpu/simd_elem.h"

/*
 * What is left to do on a tile that is not stored right away: factor, bias,
 * addend, residual, function. Not inlined, or the accumulators of the product
 * would be pushed out of their registers to make room for it.
 */
static __attribute__((noinline)) void ISA(gemm_tail)(const struct cpu_gemm_args *a, float *t,
						     int width)
{
	for (uint32_t i = 0; i < a->m; i++, t += width) {
		if (a->alpha != 1.0f) {
			for (uint32_t k = 0; k < a->n; k++)
				t[k] *= a->alpha;
			for (uint32_t k = 0; a->bias && k < a->n; k++)
				t[k] += a->bias[k];
		}
		ISA(epilogue_to)(a->c[i] + a->c_off, t, a->n, a->epi, a->add ? a->add[i] : NULL,
				 a->res ? a->res[i] + a->c_off : NULL);
	}
}

ISA_INLINE void ISA(store_limited)(float *c, const vf *v, const int nv, vf lo, vf hi)
{
	for (int j = 0; j < nv; j++)
		v_store(c + j * ISA_VL, v_min(v_max(v[j], lo), hi));
}

ISA_INLINE void ISA(gemm_tile)(const struct cpu_gemm_args *a, const int m, const int nv)
{
	float t[ISA_MR * 2 * ISA_VL] __attribute__((aligned(ISA_VL * 4)));
	const enum prog_fn fn = a->epi->fn;
	const float *const *ap = a->a;
	const float *w = a->w;
	const int64_t kc = a->kc, off = a->a_off;
	const int width = nv * ISA_VL;
	vf acc[ISA_MR][2];

	for (int j = 0; j < nv; j++) {
		vf b = { 0 };

		if (a->bias && a->alpha == 1.0f)
			b = v_load(a->bias + j * ISA_VL);
		ISA_UNROLL
		for (int i = 0; i < m; i++)
			acc[i][j] = b;
	}
	for (uint32_t p = 0; p < a->kp; p++, ap += m) {
		const float *row[ISA_MR];

		ISA_UNROLL
		for (int i = 0; i < m; i++)
			row[i] = ap[i] + off;
		for (int64_t k = 0; k < kc; k++, w += nv * ISA_VL) {
			vf b[2];

			for (int j = 0; j < nv; j++)
				b[j] = v_load(w + j * ISA_VL);
			ISA_UNROLL
			for (int i = 0; i < m; i++)
				for (int j = 0; j < nv; j++)
					acc[i][j] += v_all(row[i][k]) * b[j];
		}
	}
	/* Most tiles: no more than limits, from the registers to the result. */
	if (fn <= PROG_FN_CLIP && a->alpha == 1.0f && !a->add && !a->res &&
	    a->n == width) {
		vf lo = v_all(fn == PROG_FN_CLIP ? a->epi->alpha :
			      fn == PROG_FN_RELU ? 0.0f : -INFINITY);
		vf hi = v_all(fn == PROG_FN_CLIP ? a->epi->beta : INFINITY);

		ISA_UNROLL
		for (int i = 0; i < m; i++)
			ISA(store_limited)(a->c[i] + a->c_off, acc[i], nv, lo, hi);
		return;
	}
	ISA_UNROLL
	for (int i = 0; i < m; i++)
		for (int j = 0; j < nv; j++)
			v_store(t + (i * nv + j) * ISA_VL, acc[i][j]);
	ISA(gemm_tail)(a, t, width);
}

/* One function a number of rows, so that accumulators stay in registers. */
#define ISA_GEMM_ROWS(m)							\
static void ISA(gemm_##m##_1)(const struct cpu_gemm_args *a)			\
{										\
	ISA(gemm_tile)(a, m, 1);						\
}										\
static void ISA(gemm_##m##_2)(const struct cpu_gemm_args *a)			\
{										\
	ISA(gemm_tile)(a, m, 2);						\
}

ISA_GEMM_ROWS(1)
ISA_GEMM_ROWS(2)
ISA_GEMM_ROWS(3)
ISA_GEMM_ROWS(4)
ISA_GEMM_ROWS(5)
ISA_GEMM_ROWS(6)
#if ISA_MR > 6
ISA_GEMM_ROWS(7)
ISA_GEMM_ROWS(8)
ISA_GEMM_ROWS(9)
ISA_GEMM_ROWS(10)
ISA_GEMM_ROWS(11)
ISA_GEMM_ROWS(12)
#endif
#if ISA_MR > 12
ISA_GEMM_ROWS(13)
#endif

#define ISA_GEMM_PAIR(m)	{ ISA(gemm_##m##_1), ISA(gemm_##m##_2) }

static void ISA(gemm)(const struct cpu_gemm_args *a)
{
	static void (*const tile[ISA_MR][2])(const struct cpu_gemm_args *a) = {
		ISA_GEMM_PAIR(1), ISA_GEMM_PAIR(2), ISA_GEMM_PAIR(3),
		ISA_GEMM_PAIR(4), ISA_GEMM_PAIR(5), ISA_GEMM_PAIR(6),
#if ISA_MR > 6
		ISA_GEMM_PAIR(7), ISA_GEMM_PAIR(8), ISA_GEMM_PAIR(9),
		ISA_GEMM_PAIR(10), ISA_GEMM_PAIR(11), ISA_GEMM_PAIR(12),
#endif
#if ISA_MR > 12
		ISA_GEMM_PAIR(13),
#endif
	};

	tile[a->m - 1][a->n > ISA_VL](a);
}

#endif
