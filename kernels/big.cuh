/* SPDX-License-Identifier: MIT */
/*
 * Products that are large in every way (tiles of more than 128 rows): what
 * conv.cuh does, in an order for many steps of K. The barrier of a step, and the
 * first fragments behind it, come before the step's last multiplications, which
 * hide them; loads are asked for in two parts between others. Blocks that run
 * at a time make a square of tiles, so that they read less.
 */
#ifndef BRAID_KERNELS_BIG_CUH
#define BRAID_KERNELS_BIG_CUH

#include "conv.cuh"

#define BIG_BAND	8	/* rows of tiles that are made together */

/* Tiles down a band of rows, then the next column of them. */
template <class C> DEV u32 big_order(const struct k_conv &a, u32 tile)
{
	u32 rows = (a.m + C::BM - 1) / C::BM, q = tile / a.split, part = tile - q * a.split;
	u32 band = q / (BIG_BAND * a.tiles_n), rest = q - band * BIG_BAND * a.tiles_n;
	u32 high = rows - band * BIG_BAND < BIG_BAND ? rows - band * BIG_BAND : BIG_BAND;

	return ((band * BIG_BAND + rest % high) * a.tiles_n + rest / high) * a.split + part;
}

/* This thread's share of the input; where rows are all one distance apart, one address is enough. */
template <class C, bool ONE, bool FLAT> struct big_a : conv_a<C, ONE> {
};

template <class C, bool ONE> struct big_a<C, ONE, true> {
	const char *at;
	u32 pitch, to, k;
	i32 rows;

	template <class S> DEV_MEMBER void init(const S &s, const struct k_conv &a, const struct conv_at &w,
						u32 smem)
	{
		u32 c8 = tid() & 7, r0 = tid() >> 3;

		pitch = s.ldx * 2;
		k = w.kt0 * 64 + c8 * 8;
		at = (const char *)a.x.at + a.x.off + (u64)(w.m0 + r0) * pitch + (w.g * s.c + k) * 2;
		to = smem + r0 * 128 + ((c8 ^ (r0 & 7)) << 4);
		rows = (i32)(a.m - w.m0 - r0);
	}

	template <class S> DEV_MEMBER void load(const S &s, u32 stage, const void *any)
	{
		bool in = s.k % 64 == 0 || k < s.k;

#pragma unroll
		for (int i = 0; i < C::AL; i++) {
			bool ok = in && i * 32 < rows;

			cp16(to + stage * C::STAGE + i * 4096, ok ? at + (u64)i * 32 * pitch : (const char *)any, ok);
		}
		at += 128;
		k += 64;
	}
};

/* Four lanes' four numbers each: lane t gets the t-th of all, in the lanes' order. */
DEV void big_turn(u32 v[4])
{
#pragma unroll
	for (int step = 1; step < 4; step *= 2) {
		bool up = lane() & step;

#pragma unroll
		for (int k = 0; k < 2; k++) {
			int lo = step == 1 ? k * 2 : k, hi = lo + step;
			u32 got = shfl_xor(up ? v[lo] : v[hi], step);

			if (up)
				v[lo] = got;
			else
				v[hi] = got;
		}
	}
}

/* Bias, function, and from the registers to where it goes: whole chunks of eight channels. */
template <class C, class S>
DEV void big_store(const S &s, const struct k_conv &a, const struct conv_at &w, const struct conv_acc<C> &acc,
		   u32 wm, u32 wn, u32 smem)
{
	u32 l = lane(), m0 = w.m0 + wm * C::WTM + (l >> 2), n0 = wn * C::WTN;
	char *y = (char *)a.y.at + a.y.off;

#pragma unroll
	for (int j0 = 0; j0 < C::NI; j0 += 4) {
		u32 n = w.n0 + n0 + (j0 + (l & 3)) * 8;
		float b[8] = { 0, 0, 0, 0, 0, 0, 0, 0 };

#pragma unroll
		for (int q = 0; q < 4 && s.bias; q++) {
			uint2 two = lds8(smem + C::BIAS + (n0 + (j0 + q) * 8 + (l & 3) * 2) * 4);

			b[q * 2] = bits_float(two.x);
			b[q * 2 + 1] = bits_float(two.y);
		}
#pragma unroll
		for (int i = 0; i < C::MI * 2; i++) {
			u32 m = m0 + i * 8, v[4];

#pragma unroll
			for (int q = 0; q < 4; q++) {
				const float *sum = acc.v[i / 2][j0 + q] + i % 2 * 2;

				v[q] = float2_halves(act<false>(s.fn, a.act.alpha, a.act.beta, sum[0] + b[q * 2]),
						     act<false>(s.fn, a.act.alpha, a.act.beta, sum[1] + b[q * 2 + 1]));
			}
			big_turn(v);
			if (m < a.m && n < s.n)
				st16(y + ((u64)m * s.ldy + w.g * s.n + n) * 2, make_uint4(v[0], v[1], v[2], v[3]));
		}
	}
}

/* @FLAT: a row of the product is one of the input, merged requests without a gap. */
template <class C, bool ONE, bool FLAT, class S>
DEV void big_tile(const S &s, const struct k_conv &a, u32 tile, char *smem)
{
	static_assert(C::SL == 1 && C::ST >= 3, "warps share out no K, and stages are enough");
	const u32 wm = warp() / C::WN, wn = warp() % C::WN, base = sm_addr(smem);
	const struct conv_at w = conv_where<C>(s, a, big_order<C>(a, tile), 0);
	struct conv_acc<C> acc = { };
	struct conv_frag<C> frag;
	struct big_a<C, ONE, FLAT> from;
	struct conv_b<C> weights;
	struct conv_res<C> res = { };
	u32 stage = 0;

	weights.init(s, a, w, base);
#pragma unroll
	for (int i = 0; i < C::ST - 1; i++)
		if (i < (int)w.kts)
			weights.load(i, i, (const void *)a.w);
	if (s.bias && tid() < C::BN / 4) {
		u32 n = w.n0 + tid() * 4;

		cp16(base + C::BIAS + tid() * 16, (const char *)a.b + (n < s.n ? w.g * s.n + n : 0) * 4, n < s.n);
	}
	from.init(s, a, w, base);
	frag.init(base, wm, wn);
	pdl_wait();
#pragma unroll
	for (int i = 0; i < C::ST - 1; i++) {
		if (i < (int)w.kts)
			from.load(s, i, (const void *)a.w);
		cp_commit();
	}
	cp_wait<C::ST - 2>();
	sync();
	if (w.kts)
		frag.load(0, 0, 0);
	for (u32 kt = 0; kt < w.kts; kt++) {
		u32 next = kt + C::ST - 1, to = stage ? stage - 1 : C::ST - 1, after = stage + 1 == C::ST ? 0 : stage + 1;

#pragma unroll
		for (int k2 = 0; k2 < 4; k2++) {
			if (k2 < 3) {
				frag.load((k2 + 1) & 1, stage, k2 + 1);
			} else {
				cp_wait<C::ST - 2>();
				sync();
				if (kt + 1 < w.kts)
					frag.load(0, after, 0);
			}
			if (!k2 && next < w.kts)
				weights.load(to, next, (const void *)a.w);
			if (k2 == 1) {
				if (next < w.kts)
					from.load(s, to, (const void *)a.w);
				cp_commit();
			}
			/* What is behind K is zero, here and in the weights. */
			frag.multiply(k2 & 1, acc);
		}
		stage = after;
	}
	pdl_go();
	if (!s.res && !s.y_any && a.split == 1) {
		big_store<C>(s, a, w, acc, wm, wn, base);
		return;
	}
	if (s.res && !s.r_any)
		res.load(s, a, w);
	cp_wait<0>();
	sync();
	conv_spread<C>(acc, smem, wm, wn);
	sync();
	conv_finish<C>(s, a, w, smem, res);
}

#endif
