/* SPDX-License-Identifier: MIT */
/*
 * Layer and RMS normalisation of fp16 rows: a warp a row, read once, eight
 * elements at a time.
 */
#ifndef BRAID_KERNELS_ROWS8_CUH
#define BRAID_KERNELS_ROWS8_CUH

#include "attn_args.h"
#include "eight.cuh"

DEV float warp_sum(float v)
{
	for (u32 m = 16; m; m /= 2)
		v += shfl_xor_f(v, m);
	return v;
}

/* Eight numbers of a scale or a shift. */
DEV struct eight norm8_row(const struct k_ref &ref, const char *at, u32 c)
{
	struct eight v = eight_zero();

	if (ref.type == K_F16)
		return eight_halves(ld16(at + c * 16));
	eight_add(v, ld16(at + c * 32), ld16(at + c * 32 + 16));
	return v;
}

/* Rows of up to N elements. */
template <int N> DEV void norm8_tile(const struct k_norm8 &a, u32 tile, char *)
{
	constexpr int MOST = N / 256;
	u32 row = tile * (K_THREADS / 32) + warp(), r = row / a.rows, n8 = a.n / 8;
	bool on = row < a.rows * a.degree;
	float mean = 0.0f, var = 0.0f, inv;
	struct eight v[MOST], scale[MOST], shift[MOST];
	const char *x;
	char *y;

	pdl_wait();
	r = on ? r : 0;
	row = on ? row - r * a.rows : 0;
	x = ref_at(a.x, r) + (u64)row * a.ldx * 2;
#pragma unroll
	for (int i = 0; i < MOST; i++) {
		u32 c = lane() + i * 32;

		v[i] = shift[i] = eight_zero();
#pragma unroll
		for (int j = 0; j < 8; j++)
			scale[i].v[j] = 1.0f;
		if (c >= n8)
			continue;
		v[i] = eight_halves(ld16(x + c * 16));
		if (a.has_scale)
			scale[i] = norm8_row(a.scale, ref_at(a.scale, r), c);
		if (a.has_shift)
			shift[i] = norm8_row(a.shift, ref_at(a.shift, r), c);
	}
	if (!a.rms) {
#pragma unroll
		for (int i = 0; i < MOST; i++)
#pragma unroll
			for (int j = 0; j < 8; j++)
				mean += v[i].v[j];
		mean = warp_sum(mean) / (float)a.n;
	}
#pragma unroll
	for (int i = 0; i < MOST; i++)
#pragma unroll
		for (int j = 0; j < 8; j++)
			if (lane() + i * 32 < n8)
				var += (v[i].v[j] - mean) * (v[i].v[j] - mean);
	inv = rsqrtf(warp_sum(var) / (float)a.n + a.epsilon);
	pdl_go();
	y = ref_at(a.y, r) + (u64)row * a.ldy * 2;
#pragma unroll
	for (int i = 0; i < MOST; i++) {
		u32 c = lane() + i * 32;

		if (!on || c >= n8)
			continue;
#pragma unroll
		for (int j = 0; j < 8; j++)
			v[i].v[j] = (v[i].v[j] - mean) * inv * scale[i].v[j] + shift[i].v[j];
		st16(y + c * 16, halves_eight(v[i]));
	}
}

#endif
