/* SPDX-License-Identifier: MIT */
/*
 * Depthwise convolution, channels last, fp16 with fp32 sums: a thread makes tw
 * neighbouring pixels of eight channels, so that a row of the window is loaded
 * once for all of them.
 */
#ifndef BRAID_KERNELS_DW_CUH
#define BRAID_KERNELS_DW_CUH

#include "conv_args.h"
#include "se.cuh"

/* The shape of a generic entry: the window is constant, the rest is not. */
template <int k, int stride, int tw_> struct dw_window : k_dw_shape {
	static constexpr u32 kh = k, kw = k, sh = stride, sw = stride, tw = tw_;

	DEV_MEMBER explicit dw_window(const k_dw_shape &s) : k_dw_shape(s)
	{
	}
};

/* Pixels (oh, ow0 ..) of one chunk: sums over the window. */
template <class S>
DEV void dw_pixels(const S &s, const struct k_dw &a, const char *x, u32 oh, u32 ow0, u32 chunk,
		   struct eight *acc)
{
	/* A large window's rows one after the other: all of its weights are too many registers. */
	constexpr int NX = (S::tw - 1) * S::sw + S::kw;
	[[maybe_unused]] constexpr int UNROLL = S::kh > 3 ? 1 : S::kh;
	i32 ih0 = (i32)(oh * S::sh) - (i32)s.ph, iw0 = (i32)(ow0 * S::sw) - (i32)s.pw;

#pragma unroll UNROLL
	for (int r = 0; r < (int)S::kh; r++) {
		bool in = (u32)(ih0 + r) < s.h;
		const char *row = x + ((i64)(ih0 + r) * s.w + iw0) * s.ldx * 2;
		uint4 v[NX];

#pragma unroll
		for (int i = 0; i < NX; i++) {
			v[i] = make_uint4(0, 0, 0, 0);
			if (in && (u32)(iw0 + i) < s.w)
				v[i] = ld16(row + (i64)i * s.ldx * 2);
		}
#pragma unroll
		for (int k = 0; k < (int)S::kw; k++) {
			struct eight w = eight_halves(ld16((const char *)a.w +
				((u64)(r * S::kw + k) * s.c + chunk) * 16));

#pragma unroll
			for (int i = 0; i < (int)S::tw; i++)
				eight_fma(acc[i], eight_halves(v[i * S::sw + k]), w);
		}
	}
}

/* All threads' sums of a chunk's channels to one, and on to the hidden units. */
template <class S>
DEV void dw_squeeze(const S &s, const struct k_dw &a, const struct eight &sum, bool on, u32 r, u32 image,
		    u32 block, char *smem)
{
	const u32 n = s.cb * 8, per = K_THREADS / s.cb, parts = K_THREADS / n;
	float *all = (float *)smem, *some = all + K_THREADS * 8, *sums = some + K_THREADS;
	float v = 0.0f;

#pragma unroll
	for (int j = 0; j < 8; j++)
		all[tid() * 8 + j] = on ? sum.v[j] : 0.0f;
	sync();
	/* Each channel by several threads, then by one. */
	if (tid() < parts * n)
		for (u32 p = tid() / n; p < per; p += parts)
			v += all[p * n + tid() % n];
	some[tid()] = v;
	sync();
	if (tid() < n) {
		for (u32 p = 1; p < parts; p++)
			v += some[p * n + tid()];
		sums[tid()] = v;
	}
	cp_wait<0>();
	sync();
	se_squeeze(a.se, r, image, block, sums, smem + K_DW_SUMS(s.cb), n);
}

template <class S> DEV void dw_tile(const S &s, const struct k_dw &a, u32 tile, char *smem)
{
	u32 blocks = (s.c + s.cb - 1) / s.cb, cblk = tile % blocks, seg = tile / blocks % a.segs;
	u32 image = tile / blocks / a.segs, r = image / s.images, per = K_THREADS / s.cb;
	u32 chunk = cblk * s.cb + tid() % s.cb, wt = (s.ow + S::tw - 1) / S::tw;
	bool on = chunk < s.c && tid() < per * s.cb;
	struct eight b = eight_zero(), sum = eight_zero();
	u32 inner = image - r * s.images;
	const char *x;
	char *y;

	if (s.squeeze) {
		se_load_squeeze(a.se, sm_addr(smem) + K_DW_SUMS(s.cb), s.c * 8, cblk * s.cb * 8, s.cb * 8);
		cp_commit();
	}
	if (s.bias && on) {
		const char *bias = (const char *)a.b + chunk * 32;

		eight_add(b, ldw16(bias), ldw16(bias + 16));
	}
	x = (const char *)a.x.at + a.x.off + (u64)r * a.x.step + ((u64)inner * s.h * s.w * s.ldx + chunk * 8) * 2;
	y = (char *)a.y.at + a.y.off + (u64)r * a.y.step + ((u64)inner * s.oh * s.ow * s.ldy + chunk * 8) * 2;
	pdl_wait();
	for (u32 i = 0; i < s.pt && on; i++) {
		u32 p = (seg * s.pt + i) * per + tid() / s.cb, oh = p / wt, ow0 = (p - oh * wt) * S::tw;
		struct eight acc[S::tw];

		if (oh >= s.oh)
			break;
#pragma unroll
		for (int k = 0; k < (int)S::tw; k++)
			acc[k] = b;
		dw_pixels(s, a, x, oh, ow0, chunk, acc);
#pragma unroll
		for (int k = 0; k < (int)S::tw; k++) {
			if (ow0 + k >= s.ow)
				break;
#pragma unroll
			for (int j = 0; j < 8; j++) {
				acc[k].v[j] = act<false>(s.fn, a.act.alpha, a.act.beta, acc[k].v[j]);
				sum.v[j] += acc[k].v[j];
			}
			st16(y + ((u64)oh * s.ow + ow0 + k) * s.ldy * 2, halves_eight(acc[k]));
		}
	}
	pdl_go();
	if (s.squeeze)
		dw_squeeze(s, a, sum, on, r, inner, seg * blocks + cblk, smem);
}

#endif
