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

ISA_INLINE void ISA(gemm_store)(const struct cpu_gemm_args *a, vf acc[ISA_MR][2], const int m,
				const int nv, const enum prog_fn fn)
{
	const float alpha = a->epi->alpha, beta = a->epi->beta;
	const bool last = a->epi->residual_last;

	if (a->alpha != 1.0f) {
		ISA_UNROLL
		for (int i = 0; i < m; i++)
			for (int j = 0; j < nv; j++)
				acc[i][j] *= a->alpha;
	}
	if (a->bias) {
		vf b[2];

		for (int j = 0; j < nv; j++)
			b[j] = v_load(a->bias + j * ISA_VL);
		ISA_UNROLL
		for (int i = 0; i < m; i++)
			for (int j = 0; j < nv; j++)
				acc[i][j] += b[j];
	}
	if (a->n == nv * ISA_VL) {
		ISA_UNROLL
		for (int i = 0; i < m; i++) {
			float *c = a->c[i] + a->c_off;

			for (int j = 0; j < nv; j++) {
				vf v = acc[i][j];

				if (a->add)
					v += v_load(a->add[i] + j * ISA_VL);
				if (a->res && !last)
					v += v_load(a->res[i] + a->c_off + j * ISA_VL);
				v = v_fn(v, fn, alpha, beta);
				if (a->res && last)
					v += v_load(a->res[i] + a->c_off + j * ISA_VL);
				v_store(c + j * ISA_VL, v);
			}
		}
	} else {
		float t[2 * ISA_VL] __attribute__((aligned(ISA_VL * 4))) = { 0 };

		ISA_UNROLL
		for (int i = 0; i < m; i++) {
			float *c = a->c[i] + a->c_off;

			for (int j = 0; j < nv; j++)
				v_store(t + j * ISA_VL, acc[i][j]);
			if (a->add)
				for (uint32_t k = 0; k < a->n; k++)
					t[k] += a->add[i][k];
			ISA(epi_fn)(c, t, a->n, fn, alpha, beta, NULL,
				    a->res ? a->res[i] + a->c_off : NULL, last);
		}
	}
}

ISA_INLINE void ISA(gemm_tile)(const struct cpu_gemm_args *a, const int m, const int nv)
{
	const float *const *ap = a->a;
	const float *w = a->w;
	const int64_t kc = a->kc, off = a->a_off;
	vf acc[ISA_MR][2];

	ISA_UNROLL
	for (int i = 0; i < m; i++)
		for (int j = 0; j < nv; j++)
			acc[i][j] = (vf){ 0 };
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
			for (int i = 0; i < m; i++) {
				vf x = v_all(row[i][k]);

				for (int j = 0; j < nv; j++)
					acc[i][j] += x * b[j];
			}
		}
	}
	switch (a->epi->fn) {
	case PROG_FN_NONE:
		ISA(gemm_store)(a, acc, m, nv, PROG_FN_NONE);
		break;
	case PROG_FN_RELU:
		ISA(gemm_store)(a, acc, m, nv, PROG_FN_RELU);
		break;
	case PROG_FN_CLIP:
		ISA(gemm_store)(a, acc, m, nv, PROG_FN_CLIP);
		break;
	default:
		ISA(gemm_store)(a, acc, m, nv, PROG_FN_NONE);
		break;
	}
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
ISA_GEMM_ROWS(14)
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
		ISA_GEMM_PAIR(13), ISA_GEMM_PAIR(14),
#endif
	};
	const enum prog_fn fn = a->epi->fn;

	if (fn <= PROG_FN_CLIP) {
		tile[a->m - 1][a->n > ISA_VL](a);
		return;
	}
	/* The rest is done on a copy of the tile, while it is in cache. */
	{
		float t[ISA_MR][2 * ISA_VL] __attribute__((aligned(ISA_VL * 4)));
		struct cpu_gemm_args plain = *a;
		struct cpu_epi none = { .fn = PROG_FN_NONE };
		float *rows[ISA_MR];

		for (uint32_t i = 0; i < a->m; i++)
			rows[i] = t[i];
		plain.c = rows;
		plain.c_off = 0;
		plain.res = NULL;
		plain.epi = &none;
		tile[a->m - 1][a->n > ISA_VL](&plain);
		for (uint32_t i = 0; i < a->m; i++)
			ISA(epilogue_to)(a->c[i] + a->c_off, t[i], a->n, a->epi,
					 a->res ? a->res[i] + a->c_off : NULL);
	}
}

#endif
