/* SPDX-License-Identifier: MIT */
/*
 * Squeeze-excite, spread over its neighbours (struct k_se): no launch of its
 * own, and the scaled data are never written.
 */
#ifndef BRAID_KERNELS_SE_CUH
#define BRAID_KERNELS_SE_CUH

#include "conv_args.h"
#include "eight.cuh"

/*
 * The maker's end: @sums, of n channels from c0 on, over the pixels of this
 * block; in shared memory. Writes this block's part of the hidden units.
 */
DEV void se_squeeze(const struct k_se &se, u32 r, u32 image, u32 images, u32 block, u32 channels,
		    const float *sums, u32 c0, u32 n)
{
	float *to = (float *)(se.part.at + se.part.off + (u64)r * se.part.step) +
		    (u64)((image - r * images) * se.blocks + block) * se.hidden;

	for (u32 j = warp(); j < se.hidden; j += K_THREADS / 32) {
		const char *w = (const char *)se.w1 + ((u64)j * channels + c0) * 2;
		float v = 0.0f;

		for (u32 k = lane() * 2; k < n; k += 64) {
			float2 f = halves_float2(ldw4(w + k * 2));

			v += f.x * sums[k] + f.y * sums[k + 1];
		}
		for (u32 m = 16; m; m /= 2)
			v += shfl_xor_f(v, m);
		if (!lane())
			st4(to + j, float_bits(v * se.inv));
	}
}

/*
 * The reader's beginning: factors of @depth channels from c0 on, of @n images
 * from @first on, as fp16 at @table [n][depth]; @room: n * hidden + 256 floats.
 */
DEV void se_excite(const struct k_se &se, u32 images, u32 first, u32 n, u32 last, u32 c0, u32 depth,
		   u32 channels, char *table, float *room)
{
	float *hid = room + K_THREADS;
	u32 each = se.hidden < K_THREADS ? K_THREADS / se.hidden : 1;

	for (u32 i = 0; i < n; i++) {
		u32 image = first + i <= last ? first + i : last, r = image / images;
		const float *part = (const float *)(se.part.at + se.part.off + (u64)r * se.part.step) +
				    (u64)(image - r * images) * se.blocks * se.hidden;

		for (u32 j0 = 0; j0 < se.hidden; j0 += K_THREADS) {
			u32 j = j0 + tid() % se.hidden, q = tid() / se.hidden;
			float v = 0.0f;

			if (se.hidden >= K_THREADS) {
				j = j0 + tid();
				q = 0;
			}
			if (q < each && j < se.hidden) {
#pragma unroll 4
				for (u32 b = q; b < se.blocks; b += each)
					v += bits_float(ld4(part + b * se.hidden + j));
			}
			room[tid()] = v;
			sync();
			if (!q && j < se.hidden) {
				for (u32 k = 1; k < each; k++)
					v += room[k * se.hidden + j - j0];
				v += bits_float(ldw4((const float *)se.b1 + j));
				hid[i * se.hidden + j] = act<false>(se.act1.fn, se.act1.alpha, se.act1.beta, v);
			}
			sync();
		}
	}
	for (u32 e = tid(); e < n * depth; e += K_THREADS) {
		u32 i = e / depth, c = c0 + e - i * depth, h8 = (se.hidden + 7) / 8;
		const float *h = hid + i * se.hidden;
		float v = 0.0f;

		if (c < channels) {
			const char *w = (const char *)se.w2 + (u64)c * h8 * 16;

			v = bits_float(ldw4((const float *)se.b2 + c));
			for (u32 k = 0; k < h8; k++) {
				struct eight x = eight_halves(ldw16(w + k * 16));

#pragma unroll
				for (u32 q = 0; q < 8; q++)
					if (k * 8 + q < se.hidden)
						v += x.v[q] * h[k * 8 + q];
			}
			v = act<false>(se.act2.fn, se.act2.alpha, se.act2.beta, v);
		}
		*(u16 *)(table + e * 2) = float_half(v);
	}
}

#endif
