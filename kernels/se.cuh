/* SPDX-License-Identifier: MIT */
/*
 * Squeeze-excite, spread over its neighbours (struct k_se): no launch of its
 * own, and the scaled data are never written.
 */
#ifndef BRAID_KERNELS_SE_CUH
#define BRAID_KERNELS_SE_CUH

#include "conv_args.h"
#include "eight.cuh"

/* The maker's share of the first layer: [hidden][n] of channels from c0 on, to shared memory. */
DEV void se_load_squeeze(const struct k_se &se, u32 to, u32 channels, u32 c0, u32 n)
{
	for (u32 i = tid(); i < se.hidden * (n / 8); i += K_THREADS) {
		u32 j = i / (n / 8), c = i % (n / 8) * 8;
		bool ok = c0 + c < channels;

		cp16(to + i * 16, (const char *)se.w1 + (ok ? ((u64)j * channels + c0 + c) * 2 : 0), ok);
	}
}

/*
 * The maker's end: sums of n channels over the pixels of this block, and the
 * weights, both in shared memory. Writes the block's part of the hidden units.
 */
DEV void se_squeeze(const struct k_se &se, u32 r, u32 image, u32 block, const float *sums,
		    const char *w, u32 n)
{
	float *to = (float *)(se.part.at + se.part.off + (u64)r * se.part.step) +
		    (u64)(image * se.blocks + block) * se.hidden;

	for (u32 j = tid(); j < se.hidden; j += K_THREADS) {
		float v = 0.0f;

		for (u32 k = 0; k < n; k += 8) {
			struct eight x = eight_halves(*(const uint4 *)(w + ((u64)j * n + k) * 2));

#pragma unroll
			for (int q = 0; q < 8; q++)
				v += x.v[q] * sums[k + q];
		}
		st4(to + j, float_bits(v * se.inv));
	}
}

/* The reader's share of the second layer: [depth][hidden up to 8] of channels from c0 on. */
DEV void se_load_excite(const struct k_se &se, u32 to, u32 channels, u32 c0, u32 depth)
{
	u32 h8 = (se.hidden + 7) / 8;

	for (u32 i = tid(); i < depth * h8; i += K_THREADS) {
		bool ok = c0 + i / h8 < channels;

		cp16(to + i * 16, (const char *)se.w2 + (ok ? ((u64)c0 * h8 + i) * 16 : 0), ok);
	}
}

/* Hidden units of an image from the parts that its blocks left, in @hid; all threads call it. */
DEV void se_hidden(const struct k_se &se, u32 image, u32 images, float *hid, float *room)
{
	u32 r = image / images, each = se.hidden < K_THREADS ? K_THREADS / se.hidden : 1;
	const float *part = (const float *)(se.part.at + se.part.off + (u64)r * se.part.step) +
			    (u64)(image - r * images) * se.blocks * se.hidden;

	for (u32 j0 = 0; j0 < se.hidden; j0 += K_THREADS) {
		u32 j = j0 + tid() % (se.hidden < K_THREADS ? se.hidden : K_THREADS), q = (tid() - (j - j0)) / se.hidden;
		float v = 0.0f, bias = 0.0f;

		if (q < each && j < se.hidden) {
			if (!q)
				bias = bits_float(ldw4((const float *)se.b1 + j));
#pragma unroll 8
			for (u32 b = q; b < se.blocks; b += each)
				v += bits_float(ld4(part + b * se.hidden + j));
		}
		room[tid()] = v;
		sync();
		if (!q && j < se.hidden) {
			for (u32 k = 1; k < each; k++)
				v += room[k * se.hidden + j];
			hid[j] = act<false>(se.act1.fn, se.act1.alpha, se.act1.beta, v + bias);
		}
		sync();
	}
}

/*
 * The reader's beginning: factors of @depth channels from c0 on, of @n images
 * from @first on, at @table [n][depth / 2]: two of them to fp16, then what these
 * two are off by. @w: what se_load_excite() brought;
 * @room: hidden + 256 floats.
 */
DEV void se_excite(const struct k_se &se, u32 images, u32 first, u32 n, u32 c0, u32 depth,
		   u32 channels, char *table, const char *w, float *room)
{
	float *hid = room + K_THREADS;
	u32 h8 = (se.hidden + 7) / 8;

	for (u32 i = 0; i < n; i++) {
		se_hidden(se, first + i, images, hid, room);
		for (u32 e = tid(); e < depth; e += K_THREADS) {
			float v = 0.0f;
			u16 *to;

			if (c0 + e < channels)
				v = bits_float(ldw4((const float *)se.b2 + c0 + e));
			for (u32 k = 0; k < h8; k++) {
				struct eight x = eight_halves(*(const uint4 *)(w + ((u64)e * h8 + k) * 16));

#pragma unroll
				for (u32 q = 0; q < 8; q++)
					if (k * 8 + q < se.hidden)
						v += x.v[q] * hid[k * 8 + q];
			}
			v = act<false>(se.act2.fn, se.act2.alpha, se.act2.beta, v);
			to = (u16 *)(table + (i * depth + e / 2 * 2) * 4) + e % 2;
			to[0] = float_half(v);
			to[2] = float_half(v - half_float(to[0]));
		}
	}
}

#endif
