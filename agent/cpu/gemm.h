/* SPDX-License-Identifier: MIT */
/*
 * Matrix products in tiles: what simd_gemm.h computes, and the packing of the
 * right-hand side for it.
 *
 * No state.
 */
#ifndef BRAID_AGENT_CPU_GEMM_H
#define BRAID_AGENT_CPU_GEMM_H

#include <string.h>

#include "agent/cpu/kernel.h"
#include "agent/cpu/simd.h"

#define CPU_MR_MAX	13	/* of any instruction set */
#define CPU_NR_MAX	32

/**
 * struct cpu_gemm_args - one tile: c = fn(alpha * a x w + bias + residual)
 * @a: [kp][m] pointers to pieces of rows of the left side
 * @a_off: floats to add to each of them
 * @kp: pieces a row
 * @kc: floats a piece
 * @w: one packed panel, [kp * kc][width]
 * @c: m pointers to rows of the result
 * @c_off: floats to add to each of them, and to @res
 * @m: rows, 1 to mr
 * @n: columns, 1 to nr; the panel's width is nr, or nr / 2 if @n is no more
 * @bias: as many floats as the panel is wide, or NULL
 * @res: m pointers to rows of the residual, or NULL
 * @epi: what to do last
 * @alpha: factor of the product
 * @add: m pointers to rows of something more to add before all that, or NULL
 */
struct cpu_gemm_args {
	const float *const *a;
	int64_t a_off;
	uint32_t kp;
	int64_t kc;
	const float *w;
	float *const *c;
	int64_t c_off;
	uint32_t m, n;
	const float *bias;
	const float *const *res;
	const struct cpu_epi *epi;
	float alpha;
	const float *const *add;
};

/* Floats that @n columns of @k rows take when packed; panel p is at p*nr*k. */
static inline size_t cpu_packed_floats(const struct cpu_simd *s, int64_t k, int64_t n)
{
	int64_t full = n / s->nr, rest = n % s->nr;
	int64_t width = full * s->nr + (rest ? (rest <= s->nr / 2 ? s->nr / 2 : s->nr) : 0);

	return (size_t)(k * width);
}

/* Bias of columns [n, n + cols) as wide as a panel: @edge, zeroed, where it ends before. */
static inline const float *cpu_bias(const struct cpu_simd *s, const float *bias, int64_t n,
				    int64_t cols, float *edge)
{
	if (!bias || cols == s->nr)
		return bias ? bias + n : NULL;
	memcpy(edge, bias + n, cols * sizeof(*edge));
	return edge;
}

/**
 * cpu_pack() - pack the right-hand side of a product
 * @s: for whom
 * @dst: cpu_packed_floats(s, k, n) floats, aligned to 64 bytes
 * @src: element (k, n) is src[k * sk + n * sn]
 *
 * Columns up to the panel's width are zero.
 */
void cpu_pack(const struct cpu_simd *s, float *dst, const float *src, int64_t k, int64_t n,
	      int64_t sk, int64_t sn);

/* Rows of tile @i when @rows are cut into @tiles as even as can be. */
static inline int64_t cpu_cut(int64_t rows, int64_t tiles, int64_t i)
{
	return rows * i / tiles;
}

static inline struct cpu_epi cpu_epi_of(const struct prog_op *op)
{
	return (struct cpu_epi){
		.fn = op->epi.fn, .alpha = op->epi.alpha, .beta = op->epi.beta,
		.residual_last = op->epi.residual_last,
	};
}

#endif
