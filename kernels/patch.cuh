/* SPDX-License-Identifier: MIT */
/*
 * Convolutions whose window keeps the image's size, with the input read once:
 * rows of a tile are neighbouring pixels of all merged images in one run, and
 * so are the input pixels that any tap of the window wants of them. A block
 * loads that run (64 channels of it at a time) and takes each tap's rows from
 * there; a row whose tap is outside of its image is a row of zeros. Weights
 * come through a pipeline as in conv.cuh, which also ends the tile.
 */
#ifndef BRAID_KERNELS_PATCH_CUH
#define BRAID_KERNELS_PATCH_CUH

#include "conv.cuh"

/* The same tile with stages of weights alone, and its bias before the rest. */
template <class T> struct patch_cfg : T {
	static constexpr int STAGE = T::BN * 128, B_AT = 0;
	static constexpr u32 BIAS = 0u - T::BN * 4;
};

/* The run of input pixels that a tile sees, 64 channels of it. */
template <class C, class S>
DEV void patch_load(const S &s, const struct k_conv &a, const struct conv_at &w, u32 to, u32 chunk)
{
	const u32 rows = K_PATCH_ROWS(C::BM, s.w, s.kh, s.kw);
	const i32 first = (i32)w.m0 - (i32)(s.ph * s.w + s.pw);
	const char *x = (const char *)a.x.at + a.x.off + (w.g * s.c + chunk * 64) * 2;

#pragma unroll 2
	for (u32 i = tid(); i < rows * 8; i += K_THREADS) {
		u32 row = i >> 3, c8 = i & 7;
		i32 at = first + (i32)row;
		bool ok = (u32)at < a.m && chunk * 64 + c8 * 8 < s.c;

		cp16(to + row * 128 + ((c8 ^ (row & 7)) << 4),
		     ok ? x + (i64)at * s.ldx * 2 + c8 * 16 : (const char *)a.w, ok);
	}
}

/* Where this lane's rows of fragments are, and for which taps they are in their image. */
template <class C> struct patch_rows {
	u32 row[C::MI], mask[C::MI];

	template <class S> DEV_MEMBER void init(const S &s, const struct k_conv &a, const struct conv_at &w, u32 wm)
	{
#pragma unroll
		for (int i = 0; i < C::MI; i++) {
			u32 r = wm * C::WTM + i * 16 + (lane() & 15), m = w.m0 + r, p, y, x;

			row[i] = r;
			mask[i] = 0;
			if (m >= a.m)
				continue;
			p = m % (s.h * s.w);
			y = p / s.w;
			x = p - y * s.w;
			for (u32 k = 0; k < s.kh; k++)
				for (u32 q = 0; q < s.kw; q++)
					if ((u32)(y + k - s.ph) < s.h && (u32)(x + q - s.pw) < s.w)
						mask[i] |= 1u << (k * s.kw + q);
		}
	}
};

/* Fragments of a tap: rows from the patch, weights from a stage. */
template <class C> struct patch_frag : conv_frag<C> {
	u32 pa[C::MI], px[C::MI];

	template <class S>
	DEV_MEMBER void tap(const S &s, const struct patch_rows<C> &rows, u32 patch, u32 zeros, u32 tap)
	{
		u32 k = tap / s.kw, shift = k * s.w + tap - k * s.kw;

#pragma unroll
		for (int i = 0; i < C::MI; i++) {
			u32 r = rows.row[i] + shift;

			pa[i] = rows.mask[i] >> tap & 1 ? patch + r * 128 : zeros;
			px[i] = ((lane() >> 4) ^ (r & 7)) << 4;
		}
	}

	DEV_MEMBER void load_tap(int f, u32 stage, u32 k2)
	{
		u32 pb = this->at_b + stage * C::STAGE + (this->xb ^ (k2 << 5));

#pragma unroll
		for (int i = 0; i < C::MI; i++)
			ldsm4(this->a[f][i], pa[i] + (px[i] ^ (k2 << 5)));
#pragma unroll
		for (int j = 0; j < C::NI / 2; j++)
			ldsm4(this->b[f][j], pb + j * 2048);
	}
};

template <class T, class S>
DEV void patch_tile(const S &s, const struct k_conv &a, u32 tile, char *smem, u32 sub = 0)
{
	typedef patch_cfg<T> C;
	constexpr int STEPS = 4 / C::SL;
	const u32 slice = warp() / C::WARPS, wm = warp() % C::WARPS / C::WN, wn = warp() % C::WARPS % C::WN;
	char *room = smem + C::BN * 4;
	const u32 base = sm_addr(room);
	const u32 taps = s.kh * s.kw, patch = base + C::ST * C::STAGE;
	const u32 size = K_PATCH_ROWS(C::BM, s.w, s.kh, s.kw) * 128;
	const struct conv_at w = conv_where<C>(s, a, tile, sub);
	const u32 chunk0 = w.kt0 / taps, chunks = w.kts / taps;
	/* As the host reserved it: two patches where any part has more than one chunk. */
	const u32 two = a.kt_per > taps, zeros = patch + (two ? 2 : 1) * size;
	struct conv_acc<C> acc = { };
	struct patch_frag<C> frag;
	struct patch_rows<C> mine;
	struct conv_b<C> weights;
	struct conv_res<C> res = { };
	u32 stage = 0, kt = 0;

	if (C::SUBS && (w.m0 >= a.m || w.n0 >= s.n))
		return;
	weights.init(s, a, w, base);
#pragma unroll
	for (int i = 0; i < C::ST - 1; i++)
		if (i < (int)w.kts)
			weights.load(i, i, (const void *)a.w);
	if (s.bias && tid() < C::BN / 4) {
		u32 n = w.n0 + tid() * 4;

		cp16(base + C::BIAS + tid() * 16, (const char *)a.b + (n < s.n ? w.g * s.n + n : 0) * 4, n < s.n);
	}
	if (tid() < 8)
		sts16(zeros + tid() * 16, make_uint4(0, 0, 0, 0));
	mine.init(s, a, w, wm);
	frag.init(base, wm, wn);
	pdl_wait();
	if (chunks)
		patch_load<C>(s, a, w, patch, chunk0);
#pragma unroll
	for (int i = 0; i < C::ST - 1; i++)
		cp_commit();
	for (u32 c = 0; c < chunks; c++) {
		u32 depth = s.c - (chunk0 + c) * 64;

		for (u32 t = 0; t < taps; t++, kt++) {
			u32 next = kt + C::ST - 1;

			cp_wait<C::ST - 2>();
			sync();
			frag.tap(s, mine, patch + (c & 1) * size, zeros, t);
			frag.load_tap(0, stage, slice * STEPS);
			if (next < w.kts)
				weights.load(stage ? stage - 1 : C::ST - 1, next, (const void *)a.w);
			if (!t && c + 1 < chunks)
				patch_load<C>(s, a, w, patch + ((c + 1) & 1) * size, chunk0 + c + 1);
			cp_commit();
#pragma unroll
			for (int k2 = 0; k2 < STEPS; k2++) {
				if (k2 + 1 < STEPS)
					frag.load_tap((k2 + 1) & 1, stage, slice * STEPS + k2 + 1);
				if (s.c % 64 == 0 || (slice * STEPS + k2) * 16 < depth)
					frag.multiply(k2 & 1, acc);
			}
			stage = stage + 1 == C::ST ? 0 : stage + 1;
		}
	}
	pdl_go();
	if (s.res && !s.r_any)
		res.load(s, a, w);
	cp_wait<0>();
	sync();
	conv_join<C>(acc, room, slice);
	if (!slice)
		conv_spread<C>(acc, room, wm, wn);
	sync();
	conv_finish<C>(s, a, w, room, res);
}

/* All of a tile of the host's. */
template <class C, class S> DEV void patch_all(const S &s, const struct k_conv &a, u32 tile, char *smem)
{
	for (u32 i = 0; i < a.sub_m * a.sub_n; i++) {
		patch_tile<conv_subs<C>>(s, a, tile, smem, i);
		sync();
	}
}

#endif
