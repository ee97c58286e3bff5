/* SPDX-License-Identifier: MIT */
/*
 * Attention: softmax(alpha q k^T + bias) v without the matrix in between, on
 * tensor cores. A warp has 16 queries, a block 128 of one head; keys and values
 * come 64 at a time, two blocks of them on the way; maxima and sums are kept
 * per query in fp32 and what is there already is scaled as they change (Dao,
 * "FlashAttention-2", 2023).
 */
#ifndef BRAID_KERNELS_ATTN_CUH
#define BRAID_KERNELS_ATTN_CUH

#include "attn_args.h"
#include "num.cuh"

/* Rows [row0, row0 + rows) of a head, zeros behind its end and width. */
template <int D>
DEV void attn_load(u32 to, const char *from, i32 step, u32 row0, u32 rows, u32 end, u32 d)
{
	constexpr u32 CH = D / 8;

	for (u32 i = tid(); i < rows * CH; i += K_THREADS) {
		u32 r = i / CH, c = i % CH;
		bool ok = row0 + r < end && c * 8 < d;

		cp16(to + r * K_ATTN_PITCH(D) + c * 16,
		     from + (ok ? ((i64)(row0 + r) * step + c * 8) * 2 : 0), ok);
	}
}

/* One row's part of 64 scores: this lane's columns are (lane & 3) * 2 + 8 j + e. */
struct attn_row {
	float most, sum;
};

DEV float attn_quad_max(float v)
{
	v = fmaxf(v, shfl_xor_f(v, 1));
	return fmaxf(v, shfl_xor_f(v, 2));
}

DEV float attn_quad_sum(float v)
{
	v += shfl_xor_f(v, 1);
	return v + shfl_xor_f(v, 2);
}

/* Scores of 64 keys: s[j][h * 2 + e] is row h * 8 + lane / 4, key j * 8 + (lane & 3) * 2 + e. */
template <int D> DEV void attn_scores(const u32 (*q)[4], u32 keys, float (*s)[4])
{
	u32 l = lane(), at = keys + ((l & 7) + ((l >> 4) << 3)) * K_ATTN_PITCH(D) + ((l >> 3) & 1) * 16;

#pragma unroll
	for (int j = 0; j < 8; j += 2) {
#pragma unroll
		for (int e = 0; e < 4; e++)
			s[j][e] = s[j + 1][e] = 0.0f;
#pragma unroll
		for (int k = 0; k < D / 16; k++) {
			u32 b[4];

			ldsm4(b, at + j * 8 * K_ATTN_PITCH(D) + k * 32);
			mma(s[j], q[k], b[0], b[1]);
			mma(s[j + 1], q[k], b[2], b[3]);
		}
	}
}

/* Bias and end of keys; then softmax so far: scales @o, makes s the new weights. */
template <int D>
DEV void attn_soften(const struct k_attn &a, const char *bias, u32 row0, u32 key0, float (*s)[4],
		     struct attn_row *row, float (*o)[4])
{
	u32 l = lane();

#pragma unroll
	for (int h = 0; h < 2; h++) {
		u32 r = row0 + h * 8 + (l >> 2);
		float most = row[h].most, keep, sum = 0.0f;

		r = r < a.tq ? r : a.tq - 1;
#pragma unroll
		for (int j = 0; j < 8; j++)
#pragma unroll
			for (int e = 0; e < 2; e++) {
				u32 key = key0 + j * 8 + (l & 3) * 2 + e;
				float v = s[j][h * 2 + e] * a.alpha;

				if (key >= a.tk)
					v = -INFINITY;
				else if (a.has_bias)
					v += ld_float(bias, a.bias.type, (i32)r * a.b_q + (i32)key * a.b_k);
				s[j][h * 2 + e] = v;
				most = fmaxf(most, v);
			}
		most = attn_quad_max(most);
		/* All masked so far: nothing to scale, and no difference of infinities. */
		keep = most == -INFINITY ? 1.0f : fast_exp(row[h].most - most);
#pragma unroll
		for (int j = 0; j < 8; j++)
#pragma unroll
			for (int e = 0; e < 2; e++) {
				float p = most == -INFINITY ? 0.0f : fast_exp(s[j][h * 2 + e] - most);

				s[j][h * 2 + e] = p;
				sum += p;
			}
		row[h].sum = row[h].sum * keep + attn_quad_sum(sum);
		row[h].most = most;
#pragma unroll
		for (int j = 0; j < D / 8; j++) {
			o[j][h * 2] *= keep;
			o[j][h * 2 + 1] *= keep;
		}
	}
}

/* o += weights times values. */
template <int D> DEV void attn_gather(const float (*s)[4], u32 values, float (*o)[4])
{
	u32 l = lane(), at = values + ((l & 7) + (((l >> 3) & 1) << 3)) * K_ATTN_PITCH(D) + (l >> 4) * 16;

#pragma unroll
	for (int k = 0; k < 4; k++) {
		u32 p[4];

		p[0] = float2_halves(s[2 * k][0], s[2 * k][1]);
		p[1] = float2_halves(s[2 * k][2], s[2 * k][3]);
		p[2] = float2_halves(s[2 * k + 1][0], s[2 * k + 1][1]);
		p[3] = float2_halves(s[2 * k + 1][2], s[2 * k + 1][3]);
#pragma unroll
		for (int j = 0; j < D / 8; j += 2) {
			u32 b[4];

			ldsm4t(b, at + k * 16 * K_ATTN_PITCH(D) + j * 16);
			mma(o[j], p, b[0], b[1]);
			mma(o[j + 1], p, b[2], b[3]);
		}
	}
}

template <int D> DEV void attn_tile(const struct k_attn &a, u32 tile, char *smem)
{
	constexpr u32 KV = K_ATTN_KEYS * K_ATTN_PITCH(D);
	u32 blocks = (a.tq + K_ATTN_ROWS - 1) / K_ATTN_ROWS, q0 = tile % blocks * K_ATTN_ROWS;
	u32 head = tile / blocks % a.heads, rn = tile / blocks / a.heads, r = rn / a.n, n = rn - r * a.n;
	u32 base = sm_addr(smem), kv = base + K_ATTN_ROWS * K_ATTN_PITCH(D), l = lane();
	u32 steps = (a.tk + K_ATTN_KEYS - 1) / K_ATTN_KEYS, rows = a.tq - q0 < K_ATTN_ROWS ? a.tq - q0 : K_ATTN_ROWS;
	const char *q, *k, *v, *bias = NULL;
	struct attn_row row[2] = { { -INFINITY, 0.0f }, { -INFINITY, 0.0f } };
	float o[D / 8][4] = { };
	u32 fq[D / 16][4];
	char *y;

	pdl_go();
	pdl_wait();
	q = ref_at(a.q, r) + ((i64)(i32)n * a.q_n + (i64)(i32)head * a.q_h) * 2;
	k = ref_at(a.k, r) + ((i64)(i32)n * a.k_n + (i64)(i32)head * a.k_h) * 2;
	v = ref_at(a.v, r) + ((i64)(i32)n * a.v_n + (i64)(i32)head * a.v_h) * 2;
	if (a.has_bias)
		bias = ref_at(a.bias, r) + ((i64)(i32)n * a.b_n + (i64)(i32)head * a.b_h) *
					   (a.bias.type == K_F16 ? 2 : 4);
	attn_load<D>(base, q, a.q_t, q0, (rows + 15) / 16 * 16, a.tq, a.d);
	attn_load<D>(kv, k, a.k_t, 0, K_ATTN_KEYS, a.tk, a.d);
	attn_load<D>(kv + KV, v, a.v_t, 0, K_ATTN_KEYS, a.tk, a.d);
	cp_commit();
	for (u32 i = 0; i < steps; i++) {
		u32 now = kv + (i & 1) * 2 * KV, next = kv + ((i + 1) & 1) * 2 * KV;
		float s[8][4];

		if (i + 1 < steps) {
			attn_load<D>(next, k, a.k_t, (i + 1) * K_ATTN_KEYS, K_ATTN_KEYS, a.tk, a.d);
			attn_load<D>(next + KV, v, a.v_t, (i + 1) * K_ATTN_KEYS, K_ATTN_KEYS, a.tk, a.d);
		}
		cp_commit();
		cp_wait<1>();
		sync();
		if (warp() * 16 < rows) {
			if (!i)
#pragma unroll
				for (int f = 0; f < D / 16; f++)
					ldsm4(fq[f], base + (warp() * 16 + (l & 15)) * K_ATTN_PITCH(D) +
						     f * 32 + (l >> 4) * 16);
			attn_scores<D>(fq, now, s);
			attn_soften<D>(a, bias, q0 + warp() * 16, i * K_ATTN_KEYS, s, row, o);
			attn_gather<D>(s, now + KV, o);
		}
		sync();
	}
	y = ref_at(a.y, r) + ((i64)(i32)n * a.y_n + (i64)(i32)head * a.y_h) * (a.y.type == K_F16 ? 2 : 4);
#pragma unroll
	for (int h = 0; h < 2; h++) {
		u32 t = q0 + warp() * 16 + h * 8 + (l >> 2);
		float inv = 1.0f / row[h].sum;

		if (t >= a.tq || warp() * 16 >= rows)
			continue;
#pragma unroll
		for (int j = 0; j < D / 8; j++) {
			u32 c = j * 8 + (l & 3) * 2;
			i32 at = (i32)t * a.y_t + (i32)c;

			if (c >= a.d)
				continue;
			if (a.y.type == K_F16) {
				st4(y + (i64)at * 2, float2_halves(o[j][h * 2] * inv, o[j][h * 2 + 1] * inv));
			} else {
				st_float(y, K_F32, at, o[j][h * 2] * inv);
				st_float(y, K_F32, at + 1, o[j][h * 2 + 1] * inv);
			}
		}
	}
}

#endif
