/* SPDX-License-Identifier: MIT */
/*
 * Convolutions and matrix products on tensor cores: implicit GEMM, channels
 * last, fp16 in and out, fp32 sums.
 *
 * Rows are output pixels of all merged requests, columns output channels, K runs
 * over (window row, window column, channel). A block makes a BM x BN tile: both
 * operands come through a pipeline of cp.async stages 64 deep into swizzled
 * shared memory (128-byte rows, 16-byte chunk c of row r at c ^ r % 8), from
 * there by ldmatrix. Warps may share out K within a block (SL slices), blocks
 * may through memory, where the last to arrive adds the parts in their order:
 * results do not depend on timing.
 */
#ifndef BRAID_KERNELS_CONV_CUH
#define BRAID_KERNELS_CONV_CUH

#include "conv_args.h"
#include "se.cuh"

template <int bm, int bn, int wm, int wn, int sl, int st> struct conv_cfg {
	static constexpr int BM = bm, BN = bn, SL = sl, ST = st;
	static constexpr int WN = wn, WARPS = wm * wn;
	static constexpr int WTM = bm / wm, WTN = bn / wn, MI = WTM / 16, NI = WTN / 8;
	static constexpr int AL = bm < 32 ? 1 : bm / 32, BL = bn / 32;
	/* A stage: rows of input, then rows of weights. */
	static constexpr int STAGE = (bm + bn) * 128, B_AT = bm * 128, LD = bn + 4;
	static constexpr int BIAS = K_CONV_BASE(bm, bn, sl, st);
	/* Chunks of eight results that a thread finishes, at most. */
	static constexpr int ENDS = (bm * bn / 8 + K_THREADS - 1) / K_THREADS;
	/* Several of these are what the host calls a tile (generic entries). */
	static constexpr bool SUBS = false;
};

template <class T> struct conv_subs : T {
	static constexpr bool SUBS = true;
};

/* Which tile this is, and which part of K. */
struct conv_at {
	u32 m0, n0, g, q, part, kt0, kts;
};

template <class C, class S>
DEV struct conv_at conv_where(const S &s, const struct k_conv &a, u32 tile, u32 sub)
{
	const u32 bm = C::SUBS ? C::BM * a.sub_m : C::BM, bn = C::SUBS ? C::BN * a.sub_n : C::BN;
	struct conv_at w;
	u32 tn, kt = s.ldw / 64;

	w.part = a.split > 1 ? tile % a.split : 0;
	w.q = a.split > 1 ? tile / a.split : tile;
	tn = w.q % a.tiles_n;
	w.m0 = w.q / a.tiles_n * bm;
	w.g = 0;
	if (s.groups > 1) {
		u32 per = (s.n + bn - 1) / bn;

		w.g = tn / per;
		tn %= per;
	}
	w.n0 = tn * bn;
	if (C::SUBS) {
		w.m0 += sub / a.sub_n * C::BM;
		w.n0 += sub % a.sub_n * C::BN;
		w.q = w.q * a.sub_m * a.sub_n + sub;
	}
	w.kt0 = w.part * a.kt_per;
	/* The last parts may have less to do, or nothing. */
	w.kts = w.kt0 >= kt ? 0 : kt - w.kt0 < a.kt_per ? kt - w.kt0 : a.kt_per;
	return w;
}

/* ---- loading ---- */

/* This thread's share of the weights: chunk c8 of rows r0, r0 + 32, ... */
template <class C> struct conv_b {
	const char *at;
	u32 pitch, to;
	i32 rows;

	template <class S> DEV_MEMBER void init(const S &s, const struct k_conv &a, const struct conv_at &w,
						u32 smem)
	{
		u32 c8 = tid() & 7, r0 = tid() >> 3;

		pitch = s.ldw * 2;
		at = (const char *)a.w + (u64)(w.g * s.n + w.n0 + r0) * pitch + w.kt0 * 128 + c8 * 16;
		to = smem + C::B_AT + r0 * 128 + ((c8 ^ (r0 & 7)) << 4);
		rows = (i32)(s.n - w.n0 - r0);
	}

	DEV_MEMBER void load(u32 stage, u32 kt, const void *any)
	{
#pragma unroll
		for (int i = 0; i < C::BL; i++) {
			bool ok = i * 32 < rows;

			cp16(to + stage * C::STAGE + i * 4096,
			     ok ? at + (u64)i * 32 * pitch + kt * 128 : (const char *)any, ok);
		}
	}
};

/* Its share of the input: rows are output pixels, K walks through the window. */
template <class C, bool ONE> struct conv_a {
	const char *row[C::AL];
	i32 ih[C::AL], iw[C::AL];
	u32 to, kk, kc, kh, kw;

	template <class S> DEV_MEMBER void init(const S &s, const struct k_conv &a, const struct conv_at &w,
						u32 smem)
	{
		u32 c8 = tid() & 7, r0 = tid() >> 3, pixels = s.oh * s.ow;

		to = smem + r0 * 128 + ((c8 ^ (r0 & 7)) << 4);
		kk = w.kt0 * 64 + c8 * 8;
		kc = kk;
		kh = kw = 0;
		if (!ONE) {
			u32 tap = kk / s.c;

			kc = kk - tap * s.c;
			kh = tap / s.kw;
			kw = tap - kh * s.kw;
		}
#pragma unroll
		for (int i = 0; i < C::AL; i++) {
			u32 m = w.m0 + r0 + i * 32, n, p, oh, ow;
			bool ok = m < a.m && (C::BM >= 32 || r0 < C::BM);

			m = ok ? m : 0;
			if (ONE && !s.x_apart && s.sh == 1 && s.sw == 1) {
				row[i] = (const char *)a.x.at + (u64)m * s.ldx * 2;
				ih[i] = ok ? 0 : -1;
				iw[i] = 0;
			} else {
				u64 base = a.x.at;

				n = m / pixels;
				p = m - n * pixels;
				oh = p / s.ow;
				ow = p - oh * s.ow;
				if (s.x_apart) {
					base += (u64)(n / s.images) * a.x.step;
					n %= s.images;
				}
				ih[i] = ok ? (i32)(oh * s.sh) - (i32)s.ph : -(1 << 20);
				iw[i] = (i32)(ow * s.sw) - (i32)s.pw;
				row[i] = (const char *)base +
					 ((i64)n * s.h * s.w + (ok ? (i64)ih[i] * s.w + iw[i] : 0)) *
					 (i64)s.ldx * 2;
			}
			row[i] += a.x.off + w.g * s.c * 2;
		}
	}

	template <class S> DEV_MEMBER void load(const S &s, u32 stage, const void *any)
	{
		bool in = kk < s.k;

		if (C::BM < 32 && (tid() >> 3) >= C::BM)
			return;
#pragma unroll
		for (int i = 0; i < C::AL; i++) {
			bool ok = in;
			const char *from;

			if (ONE) {
				ok = ok && ih[i] >= 0;
				from = row[i] + kc * 2;
			} else {
				i32 y = (i32)(kh * s.dh), x = (i32)(kw * s.dw);

				ok = ok && (u32)(ih[i] + y) < s.h && (u32)(iw[i] + x) < s.w;
				from = row[i] + ((i64)(y * (i32)s.w + x) * s.ldx + kc) * 2;
			}
			cp16(to + stage * C::STAGE + i * 4096, ok ? from : (const char *)any, ok);
		}
		kk += 64;
		kc += 64;
		if (!ONE)
			while (kc >= s.c) {
				kc -= s.c;
				if (++kw == s.kw) {
					kw = 0;
					kh++;
				}
			}
	}
};

/* Residuals of the chunks that this thread will finish, asked for early where registers do. */
template <class C> struct conv_res {
	static constexpr bool EARLY = C::ENDS <= 8;
	uint4 v[EARLY ? C::ENDS : 1];

	template <class S>
	DEV_MEMBER uint4 ask(const S &s, const struct k_conv &a, const struct conv_at &w, int i) const
	{
		constexpr u32 CH = C::BN / 8;
		u32 id = tid() + i * K_THREADS, m = w.m0 + id / CH, n = w.n0 + id % CH * 8;

		if (id >= C::BM * CH || m >= a.m || n >= s.n)
			return make_uint4(0, 0, 0, 0);
		return ld16((const char *)a.res.at + a.res.off + ((u64)m * s.ldr + w.g * s.n + n) * 2);
	}

	template <class S> DEV_MEMBER void load(const S &s, const struct k_conv &a, const struct conv_at &w)
	{
#pragma unroll
		for (int i = 0; i < C::ENDS && EARLY; i++)
			v[EARLY ? i : 0] = ask(s, a, w, i);
	}

	template <class S>
	DEV_MEMBER uint4 get(const S &s, const struct k_conv &a, const struct conv_at &w, int i) const
	{
		if (EARLY || !s.res || s.r_any)
			return v[EARLY ? i : 0];
		return ask(s, a, w, i);
	}
};

/* ---- multiplying ---- */

template <class C> struct conv_acc {
	float v[C::MI][C::NI][4];
};

/* One stage: this warp's k16 steps of it, fragments one step ahead. */
template <class C> struct conv_frag {
	u32 a[2][C::MI][4], b[2][C::NI / 2][4];
	u32 at_a, at_b, xa, xb;

	DEV_MEMBER void init(u32 smem, u32 wm, u32 wn)
	{
		u32 l = lane();

		at_a = smem + (wm * C::WTM + (l & 15)) * 128;
		at_b = smem + C::B_AT + (wn * C::WTN + (l & 7) + ((l >> 4) << 3)) * 128;
		xa = ((l >> 4) ^ (l & 7)) << 4;
		xb = (((l >> 3) & 1) ^ (l & 7)) << 4;
	}

	DEV_MEMBER void load(int f, u32 stage, u32 k2)
	{
		u32 pa = at_a + stage * C::STAGE + (xa ^ (k2 << 5));
		u32 pb = at_b + stage * C::STAGE + (xb ^ (k2 << 5));

#pragma unroll
		for (int i = 0; i < C::MI; i++)
			ldsm4(a[f][i], pa + i * 2048);
#pragma unroll
		for (int j = 0; j < C::NI / 2; j++)
			ldsm4(b[f][j], pb + j * 2048);
	}

	/*
	 * Rows times their image's factors: @off of rows g and g + 8 of each fragment.
	 * A factor is two halves, as an error of it is one of a whole channel.
	 */
	DEV_MEMBER void scale(int f, u32 table, const u32 (*off)[2], u32 k)
	{
		u32 at = table + (k + (lane() & 3) * 2) * 4;

#pragma unroll
		for (int i = 0; i < C::MI; i++)
#pragma unroll
			for (int q = 0; q < 4; q++) {
				uint2 by = lds8(at + off[i][q & 1] + (q >> 1) * 32);

				a[f][i][q] = halves_fma(a[f][i][q], by.x, halves_mul(a[f][i][q], by.y));
			}
	}

	DEV_MEMBER void multiply(int f, struct conv_acc<C> &acc)
	{
#pragma unroll
		for (int i = 0; i < C::MI; i++)
#pragma unroll
			for (int j = 0; j < C::NI; j++)
				mma(acc.v[i][j], a[f][i], b[f][j / 2][j % 2 * 2], b[f][j / 2][j % 2 * 2 + 1]);
	}
};

/* ---- the end of a tile ---- */

/* Add up the slices of K within the block: slice 0 has the sum, the others are done. */
template <class C> DEV void conv_join(struct conv_acc<C> &acc, char *smem, u32 slice)
{
	constexpr int N = C::MI * C::NI, T = C::WARPS * 32;
	u32 base = sm_addr(smem), t = tid() % T;

	if (C::SL == 1)
		return;
	if (slice) {
#pragma unroll
		for (int i = 0; i < N; i++) {
			const float *v = acc.v[i / C::NI][i % C::NI];

			sts16(base + (((slice - 1) * N + i) * T + t) * 16,
			      make_uint4(float_bits(v[0]), float_bits(v[1]), float_bits(v[2]),
					 float_bits(v[3])));
		}
	}
	sync();
	if (!slice) {
#pragma unroll
		for (int i = 0; i < N; i++) {
			float *v = acc.v[i / C::NI][i % C::NI];

			for (int k = 0; k < C::SL - 1; k++) {
				uint4 x = lds16(base + ((k * N + i) * T + t) * 16);

				v[0] += bits_float(x.x);
				v[1] += bits_float(x.y);
				v[2] += bits_float(x.z);
				v[3] += bits_float(x.w);
			}
		}
	}
	sync();
}

/* Sums to shared memory as rows of LD floats. */
template <class C> DEV void conv_spread(const struct conv_acc<C> &acc, char *smem, u32 wm, u32 wn)
{
	float *sum = (float *)smem;
	u32 l = lane();

#pragma unroll
	for (int i = 0; i < C::MI; i++)
#pragma unroll
		for (int j = 0; j < C::NI; j++) {
			u32 row = wm * C::WTM + i * 16 + (l >> 2), col = wn * C::WTN + j * 8 + (l & 3) * 2;
			float *to = sum + row * C::LD + col;

			*(float2 *)to = make_float2(acc.v[i][j][0], acc.v[i][j][1]);
			*(float2 *)(to + 8 * C::LD) = make_float2(acc.v[i][j][2], acc.v[i][j][3]);
		}
}

/* Where row @m lies of a tensor that is taken element by element. */
template <class S> DEV char *conv_row(const S &s, const struct k_ref &ref, u32 m, u32 ld)
{
	u32 rows = s.images * s.oh * s.ow, r = m / rows;

	return ref_at(ref, r) + (u64)(m - r * rows) * ld * (ref.type == K_F16 ? 2 : 4);
}

/* Bias, residual, function, store: eight channels of one pixel. */
template <class C, class S>
DEV void conv_store(const S &s, const struct k_conv &a, const struct conv_at &w, struct eight e,
		    uint4 early, u32 row, u32 c8, u32 smem)
{
	u32 m = w.m0 + row, n = w.n0 + c8 * 8, ch = w.g * s.n + n;
	struct eight res = { { 0, 0, 0, 0, 0, 0, 0, 0 } };

	if (m >= a.m || n >= s.n)
		return;
	if (s.bias)
		eight_add(e, lds16(smem + C::BIAS + c8 * 32), lds16(smem + C::BIAS + c8 * 32 + 16));
	if (s.res && s.r_any) {
		const char *from = conv_row(s, a.res, m, s.ldr);

		for (u32 i = 0; i < 8 && n + i < s.n; i++)
			res.v[i] = ld_float(from, a.res.type, (i32)(ch + i));
	} else if (s.res) {
		res = eight_halves(early);
	}
#pragma unroll
	for (int i = 0; i < 8; i++) {
		float v = e.v[i];

		if (s.res && !a.act.residual_last)
			v += res.v[i];
		v = act<false>(s.fn, a.act.alpha, a.act.beta, v);
		if (s.res && a.act.residual_last)
			v += res.v[i];
		e.v[i] = v;
	}
	if (s.y_any) {
		char *to = conv_row(s, a.y, m, s.ldy);

		for (u32 i = 0; i < 8 && n + i < s.n; i++)
			st_float(to, a.y.type, (i32)(ch + i), e.v[i]);
	} else {
		st16((char *)a.y.at + a.y.off + ((u64)m * s.ldy + ch) * 2, halves_eight(e));
	}
}

/*
 * Parts of K meet in memory: each block writes its sums, the last one to come
 * adds all of them up. True for that one.
 */
template <class C> DEV bool conv_meet(const struct k_conv &a, const struct conv_at &w, char *smem)
{
	constexpr u32 CH = C::BN / 4;
	char *mine = (char *)a.partial + ((u64)w.q * a.split + w.part) * C::BM * C::BN * 4;
	u32 *sem = (u32 *)a.sem + w.q, base = sm_addr(smem);
	bool last;

	for (u32 id = tid(); id < C::BM * CH; id += K_THREADS)
		st16(mine + id * 16, lds16(base + (id / CH * C::LD + id % CH * 4) * 4));
	sync();
	if (!tid()) {
		u32 before = add_release(sem, 1);

		if (before == a.split - 1)
			st4(sem, 0);
		fence();
		*(u32 *)smem = before;
	}
	sync();
	last = *(u32 *)smem == a.split - 1;
	sync();
	return last;
}

/* Four parts at a time, so that their loads are on the way together; added in order. */
template <class L> DEV void conv_add_parts(struct eight &e, u32 n, L load)
{
	for (u32 k = 0; k < n; k += 4) {
		uint4 lo[4], hi[4];

#pragma unroll
		for (u32 i = 0; i < 4; i++)
			if (k + i < n)
				load(k + i, &lo[i], &hi[i]);
#pragma unroll
		for (u32 i = 0; i < 4; i++)
			if (k + i < n)
				eight_add(e, lo[i], hi[i]);
	}
}

template <class C, class S>
DEV void conv_finish(const S &s, const struct k_conv &a, const struct conv_at &w, char *smem,
		     const struct conv_res<C> &res)
{
	constexpr u32 CH = C::BN / 8;
	u32 base = sm_addr(smem);

	if (a.split > 1 && !conv_meet<C>(a, w, smem))
		return;
#pragma unroll
	for (int i = 0; i < C::ENDS; i++) {
		u32 id = tid() + i * K_THREADS, row = id / CH, c8 = id % CH;
		u32 at = base + (row * C::LD + c8 * 8) * 4;
		struct eight e = eight_zero();

		if (id >= C::BM * CH)
			break;
		if (a.split > 1) {
			const char *p = (const char *)a.partial +
					((u64)w.q * a.split * C::BM + row) * C::BN * 4 + c8 * 32;

			conv_add_parts(e, a.split, [&](u32 k, uint4 *lo, uint4 *hi) {
				*lo = ld16_fresh(p + (u64)k * C::BM * C::BN * 4);
				*hi = ld16_fresh(p + (u64)k * C::BM * C::BN * 4 + 16);
			});
		} else {
			eight_add(e, lds16(at), lds16(at + 16));
		}
		conv_store<C>(s, a, w, e, res.get(s, a, w, i), row, c8, base);
	}
}

/* Squeeze-excite: the factors of the images of this tile, and where each row's begin. */
template <class C> struct conv_scale {
	u32 table, off[C::MI][2];

	/* Weights of the second layer come with the first stage. */
	template <class S> DEV_MEMBER void load(const S &s, const struct k_conv &a, const struct conv_at &w, u32 base)
	{
		se_load_excite(a.se, base + C::BIAS + C::BN * 4, s.c, w.kt0 * 64, a.kt_per * 64);
	}

	/* After a barrier behind the wait for them. */
	template <class S> DEV_MEMBER void init(const S &s, const struct k_conv &a, const struct conv_at &w,
						char *smem, u32 wm)
	{
		u32 pixels = s.oh * s.ow, first = w.m0 / pixels, depth = a.kt_per * 64;
		u32 end = w.m0 + C::BM < a.m ? w.m0 + C::BM : a.m, n = (end - 1) / pixels - first + 1;
		char *at = smem + C::BIAS + C::BN * 4, *factors = at + K_SE_W2(depth, a.se.hidden);

		se_excite(a.se, s.images, first, n, w.kt0 * 64, depth, s.c, factors, at,
			  (float *)(factors + K_SE_IMAGES(C::BM, pixels) * depth * 4));
		table = sm_addr(factors);
#pragma unroll
		for (int i = 0; i < C::MI; i++)
#pragma unroll
			for (int h = 0; h < 2; h++) {
				u32 m = w.m0 + wm * C::WTM + i * 16 + h * 8 + (lane() >> 2);

				off[i][h] = ((m < end ? m : end - 1) / pixels - first) * depth * 4;
			}
	}
};

/* ---- a tile ---- */

template <class C, bool ONE, class S>
DEV void conv_tile(const S &s, const struct k_conv &a, u32 tile, char *smem, u32 sub = 0)
{
	constexpr int STEPS = 4 / C::SL;
	const u32 slice = warp() / C::WARPS, wm = warp() % C::WARPS / C::WN, wn = warp() % C::WARPS % C::WN;
	const u32 base = sm_addr(smem);
	const struct conv_at w = conv_where<C>(s, a, tile, sub);
	struct conv_acc<C> acc = { };
	struct conv_frag<C> frag;
	struct conv_a<C, ONE> from;
	struct conv_b<C> weights;
	struct conv_scale<C> scale = { };
	struct conv_res<C> res = { };
	u32 stage = 0;

	if (C::SUBS && (w.m0 >= a.m || w.n0 >= s.n))
		return;
	weights.init(s, a, w, base);
	if (s.scaled)
		scale.load(s, a, w, base);
#pragma unroll
	for (int i = 0; i < C::ST - 1; i++)
		if (i < (int)w.kts)
			weights.load(i, i, (const void *)a.w);
	if (s.bias && tid() < C::BN / 4) {
		u32 n = w.n0 + tid() * 4;

		/* A bias is padded to four. */
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
	if (s.scaled) {
		cp_wait<C::ST - 2>();
		sync();
		scale.init(s, a, w, smem, wm);
	}
	for (u32 kt = 0; kt < w.kts; kt++) {
		u32 next = kt + C::ST - 1, left = s.k - (w.kt0 + kt) * 64;

		cp_wait<C::ST - 2>();
		sync();
		frag.load(0, stage, slice * STEPS);
		if (next < w.kts) {
			u32 to = stage ? stage - 1 : C::ST - 1;

			weights.load(to, next, (const void *)a.w);
			from.load(s, to, (const void *)a.w);
		}
		cp_commit();
#pragma unroll
		for (int k2 = 0; k2 < STEPS; k2++) {
			if (k2 + 1 < STEPS)
				frag.load((k2 + 1) & 1, stage, slice * STEPS + k2 + 1);
			if (s.k % 64 == 0 || (slice * STEPS + k2) * 16 < left) {
				if (s.scaled)
					frag.scale(k2 & 1, scale.table, scale.off,
						   kt * 64 + (slice * STEPS + k2) * 16);
				frag.multiply(k2 & 1, acc);
			}
		}
		stage = stage + 1 == C::ST ? 0 : stage + 1;
	}
	pdl_go();
	if (s.res && !s.r_any)
		res.load(s, a, w);
	cp_wait<0>();
	sync();
	conv_join<C>(acc, smem, slice);
	if (!slice)
		conv_spread<C>(acc, smem, wm, wn);
	sync();
	conv_finish<C>(s, a, w, smem, res);
}

/* All of a tile of the host's. */
template <class C, class S> DEV void conv_all(const S &s, const struct k_conv &a, u32 tile, char *smem)
{
	for (u32 i = 0; i < a.sub_m * a.sub_n; i++) {
		conv_tile<conv_subs<C>, false>(s, a, tile, smem, i);
		sync();
	}
}

#endif
