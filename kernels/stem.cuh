/* SPDX-License-Identifier: MIT */
/*
 * The first convolution: few channels, in the layout and type that the tenant
 * has them. A block loads the patch of an image that its pixels see into shared
 * memory as fp16, four channels a pixel, and multiplies straight from there:
 * 16 of K are four neighbouring pixels of one row.
 */
#ifndef BRAID_KERNELS_STEM_CUH
#define BRAID_KERNELS_STEM_CUH

#include "conv_args.h"
#include "eight.cuh"

/* Pixel (iy, ix) of the image, up to four channels, zeros outside. */
template <class S>
DEV uint2 stem_pixel(const S &s, const struct k_stem &a, const char *x, i32 iy, i32 ix)
{
	float v[4] = { 0.0f, 0.0f, 0.0f, 0.0f };

	if ((u32)iy < s.h && (u32)ix < s.w) {
		i32 at = iy * a.stride[1] + ix * a.stride[2];

#pragma unroll
		for (u32 c = 0; c < 4; c++)
			if (c < s.c)
				v[c] = ld_float(x, a.x.type, at + (i32)c * a.stride[3]);
	}
	return make_uint2(float2_halves(v[0], v[1]), float2_halves(v[2], v[3]));
}

template <int BN, class S> DEV void stem_load(const S &s, const struct k_stem &a, u32 n0, u32 to)
{
	u32 pitch = K_STEM_PITCH(s.kh, s.kq), per = pitch / 16;

	for (u32 i = tid(); i < BN * per; i += K_THREADS) {
		bool ok = n0 + i / per < s.n;

		cp16(to + i * 16, (const char *)a.w + (ok ? (u64)n0 * pitch + i * 16 : 0), ok);
	}
	cp_commit();
}

/* Results of a warp (16 pixels of one row) as fp16 rows in shared memory. */
template <int BN, class S>
DEV void stem_spread(const S &s, const struct k_stem &a, float (*acc)[4], u32 n0, char *to)
{
	u32 l = lane();

#pragma unroll
	for (int j = 0; j < BN / 8; j++) {
		u32 n = j * 8 + (l & 3) * 2;
		float b0 = 0.0f, b1 = 0.0f;

		if (s.bias && n0 + n < s.n) {
			b0 = bits_float(ldw4((const float *)a.b + n0 + n));
			b1 = bits_float(ldw4((const float *)a.b + n0 + n + 1));
		}
#pragma unroll
		for (int h = 0; h < 2; h++) {
			u32 row = warp() * K_STEM_X + h * 8 + (l >> 2);

			*(u32 *)(to + row * (BN * 2 + 16) + n * 2) =
				float2_halves(act<false>(s.fn, a.act.alpha, a.act.beta, acc[j][h * 2] + b0),
					      act<false>(s.fn, a.act.alpha, a.act.beta, acc[j][h * 2 + 1] + b1));
		}
	}
}

template <int BN, class S> DEV void stem_tile(const S &s, const struct k_stem &a, u32 tile, char *smem)
{
	const u32 pitch = K_STEM_PITCH(s.kh, s.kq), pw = K_STEM_PW(s.kq, s.sw);
	const u32 ph = (K_STEM_Y - 1) * s.sh + s.kh, l = lane();
	u32 n0 = tile % a.tiles_n * BN, rest = tile / a.tiles_n, tx = rest % a.tiles_x;
	u32 ty, image, r, base = sm_addr(smem), patch = base + BN * pitch, at_a, at_b;
	float acc[BN / 8][4] = { };
	const char *x;
	char *y;

	rest /= a.tiles_x;
	ty = rest % a.tiles_y;
	image = rest / a.tiles_y;
	r = image / s.images;
	stem_load<BN>(s, a, n0, base);
	pdl_wait();
	x = ref_at(a.x, r) + (i64)(i32)(image - r * s.images) * a.stride[0] * (a.x.type == K_F16 ? 2 : 4);
#pragma unroll 4
	for (u32 i = tid(); i < ph * pw; i += K_THREADS) {
		u32 py = i / pw, px = i - py * pw;
		uint2 v = stem_pixel(s, a, x, (i32)(ty * K_STEM_Y * s.sh + py) - (i32)s.ph,
				     (i32)(tx * K_STEM_X * s.sw + px) - (i32)s.pw);

		sts4(patch + i * 8, v.x);
		sts4(patch + i * 8 + 4, v.y);
	}
	cp_wait<0>();
	sync();
	/* Rows are this warp's 16 pixels; two lanes share a pixel's four channels. */
	at_a = patch + (warp() * s.sh * pw + (l >> 2) * s.sw) * 8 + (l & 3) * 4;
	at_b = base + ((l & 7) + ((l >> 4) << 3)) * pitch + ((l >> 3) & 1) * 16;
	for (u32 i = 0; i < s.kh; i++) {
#pragma unroll 2
		for (u32 q = 0; q < s.kq; q += 4) {
			u32 f[4], pa = at_a + (i * pw + q) * 8, pb = at_b + (i * s.kq + q) * 8;

			f[0] = lds4(pa);
			f[1] = lds4(pa + 64 * s.sw);
			f[2] = lds4(pa + 16);
			f[3] = lds4(pa + 64 * s.sw + 16);
#pragma unroll
			for (int j = 0; j < BN / 16; j++) {
				u32 b[4];

				ldsm4(b, pb + j * 16 * pitch);
				mma(acc[j * 2], f, b[0], b[1]);
				mma(acc[j * 2 + 1], f, b[2], b[3]);
			}
		}
	}
	pdl_go();
	sync();
	stem_spread<BN>(s, a, acc, n0, smem + BN * pitch);
	sync();
	y = (char *)a.y.at + a.y.off + (u64)r * a.y.step +
	    ((u64)(image - r * s.images) * s.oh * s.ow * s.ldy + n0) * 2;
	for (u32 i = tid(); i < K_STEM_Y * K_STEM_X * BN / 8; i += K_THREADS) {
		u32 row = i / (BN / 8), c = i % (BN / 8), oy = ty * K_STEM_Y + row / K_STEM_X;
		u32 ox = tx * K_STEM_X + row % K_STEM_X;

		if (oy < s.oh && ox < s.ow && n0 + c * 8 < s.n)
			st16(y + ((u64)(oy * s.ow + ox) * s.ldy + c * 8) * 2,
			     lds16(patch + row * (BN * 2 + 16) + c * 16));
	}
}

#endif
