/* SPDX-License-Identifier: MIT */
/*
 * Attention: softmax(alpha q k^T + bias) v without the matrix in between, on
 * tensor cores. A warp has 16 queries, a block 64 of one head; keys and values
 * come 128 at a time, half of them for each half of the warps, two lots of them
 * on the way; maxima and sums are kept per query in fp32 and what is there
 * already is scaled as they change (Dao, "FlashAttention-2", 2023).
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

/*
 * The bias of keys from key0 on that all queries share, if they share it, and the
 * end of keys: one row in shared memory.
 */
DEV void attn_row_bias(const struct k_attn &a, const char *bias, u32 key0, float *to)
{
	u32 key = key0 + tid();

	if (tid() >= K_ATTN_KEYS)
		return;
	if (key >= a.tk)
		to[tid()] = -INFINITY;
	else
		to[tid()] = a.has_bias && !a.b_q ? ld_float(bias, a.bias.type, (i32)key * a.b_k) : 0.0f;
}

/* Scores of row @r with their bias: @shared's and its own. */
DEV float attn_bias(const struct k_attn &a, const char *bias, const float *shared, u32 r, u32 key0,
		    int h, float (*s)[4])
{
	float most = -INFINITY;

#pragma unroll
	for (int j = 0; j < 8; j++) {
		u32 k = j * 8 + (lane() & 3) * 2;
		float2 b = *(const float2 *)(shared + k);

		s[j][h * 2] = s[j][h * 2] * a.alpha + b.x;
		s[j][h * 2 + 1] = s[j][h * 2 + 1] * a.alpha + b.y;
		if (a.has_bias && a.b_q)
#pragma unroll
			for (int e = 0; e < 2; e++)
				if (key0 + k + e < a.tk)
					s[j][h * 2 + e] += ld_float(bias, a.bias.type, (i32)r * a.b_q +
								    (i32)(key0 + k + e) * a.b_k);
		most = fmaxf(most, fmaxf(s[j][h * 2], s[j][h * 2 + 1]));
	}
	return most;
}

/* Bias, then softmax so far: scales @o, makes s the new weights. */
template <int D>
DEV void attn_soften(const struct k_attn &a, const char *bias, const float *shared, u32 row0, u32 key0,
		     float (*s)[4], struct attn_row *row, float (*o)[4])
{
#pragma unroll
	for (int h = 0; h < 2; h++) {
		u32 r = row0 + h * 8 + (lane() >> 2);
		float most, keep, sum = 0.0f;

		most = attn_bias(a, bias, shared, r < a.tq ? r : a.tq - 1, key0, h, s);
		most = attn_quad_max(fmaxf(most, row[h].most));
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

/* The second half's sums to the first, which makes them one; true for the first. */
template <int D> DEV bool attn_join(char *smem, struct attn_row *row, float (*o)[4])
{
	constexpr int N = D / 8;
	float *at = (float *)smem + tid() % (K_THREADS / 2);

	if (tid() >= K_THREADS / 2) {
#pragma unroll
		for (int h = 0; h < 2; h++) {
			at[(h * 2) * (K_THREADS / 2)] = row[h].most;
			at[(h * 2 + 1) * (K_THREADS / 2)] = row[h].sum;
		}
#pragma unroll
		for (int i = 0; i < N * 4; i++)
			at[(4 + i) * (K_THREADS / 2)] = o[i / 4][i % 4];
	}
	sync();
	if (tid() >= K_THREADS / 2)
		return false;
#pragma unroll
	for (int h = 0; h < 2; h++) {
		float theirs = at[(h * 2) * (K_THREADS / 2)], most = fmaxf(row[h].most, theirs), a, b;

		a = row[h].most == -INFINITY ? 0.0f : fast_exp(row[h].most - most);
		b = theirs == -INFINITY ? 0.0f : fast_exp(theirs - most);
		row[h].sum = row[h].sum * a + at[(h * 2 + 1) * (K_THREADS / 2)] * b;
#pragma unroll
		for (int i = 0; i < N * 2; i++) {
			float *v = &o[i / 2][h * 2 + i % 2];

			*v = *v * a + at[(4 + i / 2 * 4 + h * 2 + i % 2) * (K_THREADS / 2)] * b;
		}
	}
	return true;
}

/* Where a block and its warp are, and what they read. */
struct attn_at {
	u32 q0, rows, half, row0;
	const char *q, *k, *v, *bias;
	char *y;
};

DEV struct attn_at attn_where(const struct k_attn &a, u32 tile)
{
	u32 blocks = (a.tq + K_ATTN_ROWS - 1) / K_ATTN_ROWS, head = tile / blocks % a.heads;
	u32 rn = tile / blocks / a.heads, r = rn / a.n, n = rn - r * a.n;
	struct attn_at w;

	w.q0 = tile % blocks * K_ATTN_ROWS;
	w.rows = a.tq - w.q0 < K_ATTN_ROWS ? a.tq - w.q0 : K_ATTN_ROWS;
	w.half = warp() / 4;
	w.row0 = warp() % 4 * 16;
	w.q = ref_at(a.q, r) + ((i64)(i32)n * a.q_n + (i64)(i32)head * a.q_h) * 2;
	w.k = ref_at(a.k, r) + ((i64)(i32)n * a.k_n + (i64)(i32)head * a.k_h) * 2;
	w.v = ref_at(a.v, r) + ((i64)(i32)n * a.v_n + (i64)(i32)head * a.v_h) * 2;
	w.bias = NULL;
	if (a.has_bias)
		w.bias = ref_at(a.bias, r) + ((i64)(i32)n * a.b_n + (i64)(i32)head * a.b_h) *
					     (a.bias.type == K_F16 ? 2 : 4);
	w.y = ref_at(a.y, r) + ((i64)(i32)n * a.y_n + (i64)(i32)head * a.y_h) * (a.y.type == K_F16 ? 2 : 4);
	return w;
}

template <int D>
DEV void attn_store(const struct k_attn &a, const struct attn_at &w, const struct attn_row *row, float (*o)[4])
{
#pragma unroll
	for (int h = 0; h < 2; h++) {
		u32 t = w.q0 + w.row0 + h * 8 + (lane() >> 2);
		float inv = 1.0f / row[h].sum;

		if (t >= a.tq)
			continue;
#pragma unroll
		for (int j = 0; j < D / 8; j++) {
			u32 c = j * 8 + (lane() & 3) * 2;
			i32 at = (i32)t * a.y_t + (i32)c;

			if (c >= a.d)
				continue;
			if (a.y.type == K_F16) {
				st4(w.y + (i64)at * 2, float2_halves(o[j][h * 2] * inv, o[j][h * 2 + 1] * inv));
			} else {
				st_float(w.y, K_F32, at, o[j][h * 2] * inv);
				st_float(w.y, K_F32, at + 1, o[j][h * 2 + 1] * inv);
			}
		}
	}
}

template <int D> DEV void attn_tile(const struct k_attn &a, u32 tile, char *smem)
{
	constexpr u32 PITCH = K_ATTN_PITCH(D), KV = K_ATTN_KEYS * PITCH, HALF = K_ATTN_KEYS / 2;
	u32 base = sm_addr(smem), kv = base + K_ATTN_ROWS * PITCH, l = lane();
	u32 steps = (a.tk + K_ATTN_KEYS - 1) / K_ATTN_KEYS;
	float *shared = (float *)(smem + K_ATTN_BIAS(D));
	struct attn_row row[2] = { { -INFINITY, 0.0f }, { -INFINITY, 0.0f } };
	float o[D / 8][4] = { };
	u32 fq[D / 16][4];
	struct attn_at w;

	pdl_wait();
	w = attn_where(a, tile);
	attn_load<D>(base, w.q, a.q_t, w.q0, (w.rows + 15) / 16 * 16, a.tq, a.d);
	attn_load<D>(kv, w.k, a.k_t, 0, K_ATTN_KEYS, a.tk, a.d);
	attn_load<D>(kv + KV, w.v, a.v_t, 0, K_ATTN_KEYS, a.tk, a.d);
	cp_commit();
	attn_row_bias(a, w.bias, 0, shared);
	for (u32 i = 0; i < steps; i++) {
		u32 now = kv + (i & 1) * 2 * KV, next = kv + ((i + 1) & 1) * 2 * KV;
		u32 key0 = i * K_ATTN_KEYS + w.half * HALF;
		float s[8][4];

		if (i + 1 < steps) {
			attn_load<D>(next, w.k, a.k_t, (i + 1) * K_ATTN_KEYS, K_ATTN_KEYS, a.tk, a.d);
			attn_load<D>(next + KV, w.v, a.v_t, (i + 1) * K_ATTN_KEYS, K_ATTN_KEYS, a.tk, a.d);
			attn_row_bias(a, w.bias, (i + 1) * K_ATTN_KEYS, shared + (i + 1) % 2 * K_ATTN_KEYS);
		}
		cp_commit();
		cp_wait<1>();
		sync();
		if (w.row0 < w.rows && key0 < a.tk) {
			if (!i)
#pragma unroll
				for (int f = 0; f < D / 16; f++)
					ldsm4(fq[f], base + (w.row0 + (l & 15)) * PITCH + f * 32 + (l >> 4) * 16);
			attn_scores<D>(fq, now + w.half * HALF * PITCH, s);
			attn_soften<D>(a, w.bias, shared + i % 2 * K_ATTN_KEYS + w.half * HALF, w.q0 + w.row0,
				       key0, s, row, o);
			attn_gather<D>(s, now + KV + w.half * HALF * PITCH, o);
		}
		sync();
	}
	pdl_go();
	if (attn_join<D>(smem, row, o) && w.row0 < w.rows)
		attn_store<D>(a, w, row, o);
}

#endif
