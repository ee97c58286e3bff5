/* SPDX-License-Identifier: MIT */
/*
 * Pooling of fp16 rows by chunks of eight channels: windows, and the mean over
 * all of an image.
 */
#ifndef BRAID_KERNELS_CPOOL_CUH
#define BRAID_KERNELS_CPOOL_CUH

#include "conv_args.h"
#include "eight.cuh"

DEV void cpool_tile(const struct k_cpool &a, u32 tile, char *)
{
	u32 per = (a.n.d + K_THREADS - 1) / K_THREADS, r = tile / per;
	u32 point = (tile - r * per) * K_THREADS + tid(), c = point, pix, w, h, n, taken = 0;
	i32 h0, w0;
	struct eight v;
	const char *x;

	pdl_wait();
	pdl_go();
	if (point >= a.n.d)
		return;
	pix = div_mod(a.c, &c);
	w = pix;
	h = div_mod(a.ow, &w);
	n = div_mod(a.oh, &h);
	h0 = (i32)(h * a.sh) - (i32)a.ph;
	w0 = (i32)(w * a.sw) - (i32)a.pw;
	x = (const char *)a.x.at + a.x.off + (u64)r * a.x.step + ((u64)n * a.h * a.w * a.ldx + c * 8) * 2;
#pragma unroll
	for (int j = 0; j < 8; j++)
		v.v[j] = a.avg ? 0.0f : -INFINITY;
	for (u32 i = 0; i < a.kh; i++) {
		if ((u32)(h0 + (i32)i) >= a.h)
			continue;
#pragma unroll 4
		for (u32 k = 0; k < a.kw; k++) {
			struct eight t;

			if ((u32)(w0 + (i32)k) >= a.w)
				continue;
			t = eight_halves(ld16(x + ((i64)(h0 + (i32)i) * a.w + w0 + (i32)k) * a.ldx * 2));
			taken++;
#pragma unroll
			for (int j = 0; j < 8; j++)
				v.v[j] = a.avg ? v.v[j] + t.v[j] :
					 t.v[j] > v.v[j] || t.v[j] != t.v[j] ? t.v[j] : v.v[j];
		}
	}
	if (a.avg) {
		if (a.count_pad) {
			i32 eh = (i32)(a.h + a.ph_hi) - h0, ew = (i32)(a.w + a.pw_hi) - w0;

			taken = (eh < (i32)a.kh ? (u32)eh : a.kh) * (ew < (i32)a.kw ? (u32)ew : a.kw);
		}
#pragma unroll
		for (int j = 0; j < 8; j++)
			v.v[j] /= taken ? (float)taken : 1.0f;
	}
	st16((char *)a.y.at + a.y.off + (u64)r * a.y.step + ((u64)pix * a.ldy + c * 8) * 2, halves_eight(v));
}

/* Threads of a chunk add up pixels of their own, then each other's. */
DEV void mean_tile(const struct k_mean &a, u32 tile, char *smem)
{
	u32 blocks = (a.c + a.cb - 1) / a.cb, image = tile / blocks, r = image / a.images;
	u32 chunk = tile % blocks * a.cb + tid() % a.cb, each = K_THREADS / a.cb, mine = tid() / a.cb;
	struct eight sum = eight_zero(), *all = (struct eight *)smem;
	const char *x;
	char *y;

	pdl_wait();
	pdl_go();
	image -= r * a.images;
	x = (const char *)a.x.at + a.x.off + (u64)r * a.x.step +
	    ((u64)image * a.pixels * a.ldx + chunk * 8) * 2;
	if (chunk < a.c && mine < each) {
#pragma unroll 4
		for (u32 p = mine; p < a.pixels; p += each) {
			struct eight t = eight_halves(ld16(x + (u64)p * a.ldx * 2));

#pragma unroll
			for (int j = 0; j < 8; j++)
				sum.v[j] += t.v[j];
		}
	}
	all[tid()] = sum;
	sync();
	if (mine || chunk >= a.c)
		return;
	for (u32 i = 1; i < each; i++)
#pragma unroll
		for (int j = 0; j < 8; j++)
			sum.v[j] += all[i * a.cb + tid()].v[j];
#pragma unroll
	for (int j = 0; j < 8; j++)
		sum.v[j] /= (float)a.pixels;
	y = (char *)a.y.at + a.y.off + (u64)r * a.y.step;
	if (a.y.type == K_F16) {
		st16(y + ((u64)image * a.ldy + chunk * 8) * 2, halves_eight(sum));
		return;
	}
#pragma unroll
	for (int j = 0; j < 8; j++)
		st4(y + ((u64)image * a.ldy + chunk * 8 + j) * 4, float_bits(sum.v[j]));
}

#endif
