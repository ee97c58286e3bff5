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

DEV void norm8_tile(const struct k_norm8 &a, u32 tile, char *)
{
	constexpr int MOST = K_NORM8_MAX / 256;
	u32 row = tile * (K_THREADS / 32) + warp(), r = row / a.rows, n8 = a.n / 8;
	bool on = row < a.rows * a.degree;
	float mean = 0.0f, var = 0.0f, inv;
	struct eight v[MOST];
	const char *x, *scale, *shift;
	char *y;

	pdl_go();
	pdl_wait();
	row -= r * a.rows;
	x = ref_at(a.x, on ? r : 0) + (on ? (u64)row * a.ldx * 2 : 0);
#pragma unroll
	for (int i = 0; i < MOST; i++) {
		u32 c = lane() + i * 32;

		v[i] = eight_zero();
		if (i * 32 < (int)n8 && c < n8)
			v[i] = eight_halves(ld16(x + c * 16));
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
	if (!on)
		return;
	y = ref_at(a.y, r) + (u64)row * a.ldy * 2;
	scale = a.has_scale ? ref_at(a.scale, r) : NULL;
	shift = a.has_shift ? ref_at(a.shift, r) : NULL;
#pragma unroll
	for (int i = 0; i < MOST; i++) {
		u32 c = lane() + i * 32;

		if (c >= n8)
			continue;
#pragma unroll
		for (int j = 0; j < 8; j++) {
			float t = (v[i].v[j] - mean) * inv;

			if (a.has_scale)
				t *= ld_float(scale, a.scale.type, (i32)(c * 8 + j));
			if (a.has_shift)
				t += ld_float(shift, a.shift.type, (i32)(c * 8 + j));
			v[i].v[j] = t;
		}
		st16(y + c * 16, halves_eight(v[i]));
	}
}

#endif
