/* SPDX-License-Identifier: MIT */
/*
 * Expansion and depthwise convolution in one: what MobileNets and EfficientNets
 * are made of. The expanded image, the largest in the network, is never written.
 *
 * A block makes ty x tx output pixels of CB channels: it loads the input pixels
 * behind them, multiplies (tensor cores), and convolves what it has in shared
 * memory. Pixels outside of the image are zeros there.
 */
#ifndef BRAID_KERNELS_MB_CUH
#define BRAID_KERNELS_MB_CUH

#include "se.cuh"

/* The part of the image that a block sees. */
struct mb_at {
	u32 r, image, blk, c0;		/* request, image in it, block of the image, first channel */
	i32 y0, x0;			/* of the window's reach; may be outside */
	u32 ys, xs, ny, nx;		/* first row and column inside of the image, how many */
};

template <int CB, class S> DEV struct mb_at mb_where(const S &s, const struct k_mb &a, u32 tile)
{
	struct mb_at w;
	u32 cblk = tile % a.blocks, rest = tile / a.blocks, per = a.tiles_x * a.tiles_y;
	u32 img = rest / per, t = rest - img * per, ty = t / a.tiles_x, tx = t - ty * a.tiles_x;
	i32 y1, x1;

	w.r = img / s.images;
	w.image = img;
	w.blk = t * a.blocks + cblk;
	w.c0 = cblk * CB;
	w.y0 = (i32)(ty * s.ty * s.sh) - (i32)s.ph;
	w.x0 = (i32)(tx * s.tx * s.sw) - (i32)s.pw;
	y1 = w.y0 + (i32)K_MB_IN(s.ty, s.sh, s.kh);
	x1 = w.x0 + (i32)K_MB_IN(s.tx, s.sw, s.kw);
	w.ys = w.y0 < 0 ? 0 : (u32)w.y0;
	w.xs = w.x0 < 0 ? 0 : (u32)w.x0;
	y1 = y1 < (i32)s.h ? y1 : (i32)s.h;
	x1 = x1 < (i32)s.w ? x1 : (i32)s.w;
	w.ny = y1 > (i32)w.ys ? (u32)y1 - w.ys : 0;
	w.nx = x1 > (i32)w.xs ? (u32)x1 - w.xs : 0;
	return w;
}

/* Weights of both layers; they need not wait for what runs before. */
template <int CB, class S>
DEV void mb_load_weights(const S &s, const struct k_mb &a, const struct mb_at &w, u32 to_b, u32 to_d)
{
	const u32 kp = K_MB_UP16(s.c), pitch = K_MB_PITCH(kp);

	for (u32 i = tid(); i < CB * (kp / 8); i += K_THREADS) {
		u32 n = i / (kp / 8), k = i % (kp / 8);
		bool ok = w.c0 + n < s.ce;

		cp16(to_b + n * pitch + k * 16,
		     (const char *)a.w1 + (ok ? ((u64)(w.c0 + n) * kp + k * 8) * 2 : 0), ok);
	}
	for (u32 i = tid(); i < s.kh * s.kw * (CB / 8); i += K_THREADS) {
		u32 tap = i / (CB / 8), c = w.c0 + i % (CB / 8) * 8;
		bool ok = c < s.ce;

		cp16(to_d + i * 16, (const char *)a.w2 + (ok ? ((u64)tap * s.ce + c) * 2 : 0), ok);
	}
}

template <class S>
DEV void mb_load_pixels(const S &s, const struct k_mb &a, const struct mb_at &w, u32 to)
{
	const u32 c8 = K_MB_UP16(s.c) / 8, pitch = K_MB_PITCH(K_MB_UP16(s.c)), m = w.ny * w.nx;
	const char *x = (const char *)a.x.at + a.x.off + (u64)w.r * a.x.step +
			(u64)(w.image - w.r * s.images) * s.h * s.w * s.ldx * 2;

	for (u32 i = tid(); i < K_MB_UP16(m) * c8; i += K_THREADS) {
		u32 row = i / c8, c = i - row * c8, y = row / w.nx, px = row - y * w.nx;
		bool ok = row < m && c * 8 < s.c;

		cp16(to + row * pitch + c * 16,
		     ok ? x + ((u64)((w.ys + y) * s.w + w.xs + px) * s.ldx + c * 8) * 2 : (const char *)a.w1, ok);
	}
	cp_commit();
}

/* Rows of input times the expansion's weights, 16 at a time a warp; into @e. */
template <int CB, class S>
DEV void mb_expand(const S &s, const struct k_mb &a, const struct mb_at &w, u32 from, u32 from_b, char *e)
{
	const u32 pitch = K_MB_PITCH(K_MB_UP16(s.c)), m = w.ny * w.nx, l = lane();
	const u32 ix = K_MB_IN(s.tx, s.sw, s.kw);
	float b[CB / 8][2];

#pragma unroll
	for (int j = 0; j < CB / 8; j++) {
		u32 n = w.c0 + j * 8 + (l & 3) * 2;

		b[j][0] = b[j][1] = 0.0f;
		if (s.bias1 && n < s.ce) {
			b[j][0] = bits_float(ldw4((const float *)a.b1 + n));
			b[j][1] = bits_float(ldw4((const float *)a.b1 + n + 1));
		}
	}
	for (u32 m0 = warp() * 16; m0 < m; m0 += K_THREADS / 32 * 16) {
		u32 at_a = from + (m0 + (l & 15)) * pitch + (l >> 4) * 16;
		u32 at_b = from_b + ((l & 7) + ((l >> 4) << 3)) * pitch + ((l >> 3) & 1) * 16;
		float acc[CB / 8][4] = { };

		for (u32 k = 0; k < K_MB_UP16(s.c); k += 16) {
			u32 f[4];

			ldsm4(f, at_a + k * 2);
#pragma unroll
			for (int j = 0; j < CB / 16; j++) {
				u32 g[4];

				ldsm4(g, at_b + j * 16 * pitch + k * 2);
				mma(acc[j * 2], f, g[0], g[1]);
				mma(acc[j * 2 + 1], f, g[2], g[3]);
			}
		}
#pragma unroll
		for (int h = 0; h < 2; h++) {
			u32 row = m0 + h * 8 + (l >> 2), y = row / w.nx, x = row - y * w.nx;
			char *to = e + ((w.ys + y - (u32)w.y0) * ix + w.xs + x - (u32)w.x0) * (CB * 2 + 16) +
				   (l & 3) * 4;

			if (row >= m)
				continue;
#pragma unroll
			for (int j = 0; j < CB / 8; j++)
				*(u32 *)(to + j * 16) = float2_halves(
					act<false>(s.fn1, a.act1.alpha, a.act1.beta, acc[j][h * 2] + b[j][0]),
					act<false>(s.fn1, a.act1.alpha, a.act1.beta, acc[j][h * 2 + 1] + b[j][1]));
		}
	}
}

/* Neighbouring output pixels of a chunk, at @e the first one's first tap. */
template <int CB, int TW, class S>
DEV void mb_window(const S &s, const char *e, const char *d, struct eight *acc)
{
	constexpr u32 PITCH = CB * 2 + 16;
	[[maybe_unused]] constexpr int ROWS = TW == 1 ? 1 : 5;
	const u32 ix = K_MB_IN(s.tx, s.sw, s.kw);

#pragma unroll ROWS
	for (u32 r = 0; r < s.kh; r++)
#pragma unroll
		for (u32 q = 0; q < s.kw; q++) {
			struct eight w = eight_halves(*(const uint4 *)(d + (r * s.kw + q) * CB * 2));

#pragma unroll
			for (int i = 0; i < TW; i++)
				eight_fma(acc[i], eight_halves(*(const uint4 *)(e + (r * ix + i * s.sw + q) * PITCH)), w);
		}
}

template <int CB, int TW, class S>
DEV void mb_depthwise(const S &s, const struct k_mb &a, const struct mb_at &w, const char *e,
		      const char *d, struct eight *sum)
{
	constexpr u32 CH = CB / 8, PITCH = CB * 2 + 16;
	const u32 ix = K_MB_IN(s.tx, s.sw, s.kw), groups = (s.tx + TW - 1) / TW;
	u32 chunk = tid() % CH, c = w.c0 + chunk * 8;
	u32 oy0 = (u32)(w.y0 + (i32)s.ph) / s.sh, ox0 = (u32)(w.x0 + (i32)s.pw) / s.sw;
	char *to = (char *)a.y.at + a.y.off + (u64)w.r * a.y.step +
		   ((u64)(w.image - w.r * s.images) * s.oh * s.ow * s.ldy + c) * 2;
	struct eight b = eight_zero();

	if (c >= s.ce)
		return;
	if (s.bias2)
		eight_add(b, ldw16((const float *)a.b2 + c), ldw16((const float *)a.b2 + c + 4));
	for (u32 g = tid() / CH; g < s.ty * groups; g += K_THREADS / CH) {
		u32 y = g / groups, x = (g - y * groups) * TW;
		struct eight acc[TW];

		if (oy0 + y >= s.oh)
			break;
#pragma unroll
		for (int i = 0; i < TW; i++)
			acc[i] = b;
		mb_window<CB, TW>(s, e + (y * s.sh * ix + x * s.sw) * PITCH + chunk * 16, d + chunk * 16, acc);
#pragma unroll
		for (int i = 0; i < TW; i++) {
			if (x + i >= s.tx || ox0 + x + i >= s.ow)
				break;
#pragma unroll
			for (int j = 0; j < 8; j++) {
				acc[i].v[j] = act<false>(s.fn2, a.act2.alpha, a.act2.beta, acc[i].v[j]);
				sum->v[j] += acc[i].v[j];
			}
			st16(to + ((u64)(oy0 + y) * s.ow + ox0 + x + i) * s.ldy * 2, halves_eight(acc[i]));
		}
	}
}

template <int CB, int TW, class S>
DEV void mb_tile(const S &s, const struct k_mb &a, u32 tile, char *smem)
{
	const struct mb_at w = mb_where<CB>(s, a, tile);
	const u32 iy = K_MB_IN(s.ty, s.sh, s.kh), ix = K_MB_IN(s.tx, s.sw, s.kw), base = sm_addr(smem);
	const u32 at_b = K_MB_A(K_MB_MIN(iy, s.h), K_MB_MIN(ix, s.w), s.c), at_d = at_b + K_MB_B(CB, s.c);
	const u32 at_e = at_d + K_MB_D(CB, s.kh, s.kw), at_w = at_e + K_MB_E(CB, iy, ix);
	struct eight sum = eight_zero();

	mb_load_weights<CB>(s, a, w, base + at_b, base + at_d);
	if (s.squeeze)
		se_load_squeeze(a.se, base + at_w, s.ce, w.c0, CB);
	pdl_wait();
	mb_load_pixels(s, a, w, base);
	for (u32 i = tid(); i < K_MB_E(CB, iy, ix) / 16; i += K_THREADS)
		sts16(base + at_e + i * 16, make_uint4(0, 0, 0, 0));
	cp_wait<0>();
	sync();
	mb_expand<CB>(s, a, w, base, base + at_b, smem + at_e);
	sync();
	mb_depthwise<CB, TW>(s, a, w, smem + at_e, smem + at_d, &sum);
	pdl_go();
	if (s.squeeze) {
		/* Lanes of a chunk, then warps; over the input rows, which are done with. */
		float *all = (float *)smem, *sums = all + K_THREADS / 32 * CB;

#pragma unroll
		for (int j = 0; j < 8; j++) {
			for (u32 m = CB / 8; m < 32; m *= 2)
				sum.v[j] += shfl_xor_f(sum.v[j], m);
			if (lane() < CB / 8)
				all[warp() * CB + lane() * 8 + j] = sum.v[j];
		}
		sync();
		if (tid() < CB) {
			float v = 0.0f;

			for (u32 i = 0; i < K_THREADS / 32; i++)
				v += all[i * CB + tid()];
			sums[tid()] = v;
		}
		sync();
		se_squeeze(a.se, w.r, w.image - w.r * s.images, w.blk, sums, smem + at_w, CB);
	}
}

#endif
