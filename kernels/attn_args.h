/* SPDX-License-Identifier: MIT */
/*
 * Arguments of what transformers have besides products with constant weights:
 * attention (attn.cuh), normalisation of fp16 rows (rows8.cuh).
 */
#ifndef BRAID_KERNELS_ATTN_ARGS_H
#define BRAID_KERNELS_ATTN_ARGS_H

#include "args.h"

/*
 * y = softmax(alpha * q k^T + bias) v for each of n * heads matrices.
 * Strides in elements: of n, head, row; of the bias also of the key.
 */
struct k_attn {
	struct k_ref q, k, v, bias, y;
	k_i32 q_n, q_h, q_t, k_n, k_h, k_t, v_n, v_h, v_t, y_n, y_h, y_t;
	k_i32 b_n, b_h, b_q, b_k;
	k_u32 tq, tk, d, n, heads, has_bias, degree;
	float alpha;
};

#define K_ATTN_ROWS	64	/* queries of a block, 16 a warp */
#define K_ATTN_KEYS	128	/* keys at a time, half of them for each half of the warps */
#define K_ATTN_WIDTHS(X)	X(16) X(32) X(64) X(128)

/* Rows of a head in shared memory, 16 bytes apart from a power of two; behind them two rows of bias. */
#define K_ATTN_PITCH(d)		((d) * 2 + 16)
#define K_ATTN_BIAS(d)		((K_ATTN_ROWS + 4 * K_ATTN_KEYS) * K_ATTN_PITCH(d))
#define K_ATTN_SMEM(d)		(K_ATTN_BIAS(d) + 2 * K_ATTN_KEYS * 4)

/**
 * struct k_norm8 - layer or RMS normalisation of fp16 rows, a warp a row
 * @n: elements of a row, a multiple of eight, at most K_NORM8_MAX
 * @rows: of a request
 */
struct k_norm8 {
	struct k_ref x, scale, shift, y;
	k_u32 n, rows, ldx, ldy, degree, rms, has_scale, has_shift;
	float epsilon;
};

#define K_NORM8_MAX	2048

#endif
