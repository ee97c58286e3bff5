/* SPDX-License-Identifier: MIT */
/*
 * Products the plain way: fp32 fused multiply-adds over tiles of 64 by 64, for
 * any convolution and any strides. The reference in fp32 mode, and in fp16
 * mode what does the shapes that the tensor cores' tiles do not.
 *
 * Both operands go through shared memory 16 deep; a thread makes 4 by 4.
 */
#ifndef BRAID_KERNELS_FMA_CUH
#define BRAID_KERNELS_FMA_CUH

#include "num.cuh"

#define FMA_M	64
#define FMA_N	64
#define FMA_K	16
#define FMA_LD	68
#define FMA_SMEM (2 * FMA_K * FMA_LD * 4)

/*
 * A thread brings four elements of each operand, all of one k: rows and columns
 * FMA_ROW(0) to FMA_ROW(3) of the tile. @at(k) is told the k, then @get_a(i) and
 * @get_b(i) give the elements, 0 outside of the matrices. The next are on their
 * way while these are multiplied.
 */
#define FMA_ROW(i)	(tid() / FMA_K + (i) * (K_THREADS / FMA_K))

template <class K, class A, class B>
DEV void fma_loop(u32 depth, float acc[4][4], char *smem, K at, A get_a, B get_b)
{
	float *sa = (float *)smem, *sb = sa + FMA_K * FMA_LD, next_a[4], next_b[4];
	u32 t = tid(), row = t / 16 * 4, col = t % 16 * 4, mine = t % FMA_K;

#pragma unroll
	for (int i = 0; i < 4; i++) {
		next_a[i] = next_b[i] = 0.0f;
#pragma unroll
		for (int j = 0; j < 4; j++)
			acc[i][j] = 0.0f;
	}
	for (u32 k0 = 0; k0 < depth + FMA_K; k0 += FMA_K) {
		sync();
		if (k0) {
#pragma unroll
			for (int i = 0; i < 4; i++) {
				sa[mine * FMA_LD + FMA_ROW(i)] = next_a[i];
				sb[mine * FMA_LD + FMA_ROW(i)] = next_b[i];
			}
		}
		sync();
		if (k0 + mine < depth)
			at(k0 + mine);
#pragma unroll
		for (int i = 0; i < 4; i++) {
			next_a[i] = k0 + mine < depth ? get_a(i) : 0.0f;
			next_b[i] = k0 + mine < depth ? get_b(i) : 0.0f;
		}
		for (u32 k = 0; k < FMA_K && k0; k++) {
			float x[4], y[4];

#pragma unroll
			for (int i = 0; i < 4; i++) {
				x[i] = sa[k * FMA_LD + row + i];
				y[i] = sb[k * FMA_LD + col + i];
			}
#pragma unroll
			for (int i = 0; i < 4; i++)
#pragma unroll
				for (int j = 0; j < 4; j++)
					acc[i][j] = fmaf(x[i], y[j], acc[i][j]);
		}
	}
}

/* ---- convolutions ---- */

/* Where a row's pixel is: request, image, output coordinates. */
struct fma_pixel {
	const char *x;
	u32 r, at, n, o[3];
	bool on;
};

/* Row @m of a tile of rows: merged requests one after the other, or apart. */
DEV struct fma_pixel fma_row(const struct k_fma_conv &a, u32 tile_m, u32 m)
{
	struct fma_pixel p;

	if (a.apart) {
		m += tile_m % a.apart * FMA_M;
		p.on = m < a.m.d;
		m += tile_m / a.apart * a.m.d;
	} else {
		m += tile_m * FMA_M;
		p.on = m < a.degree * a.m.d;
	}
	p.at = p.on ? m : 0;
	p.r = div_mod(a.m, &p.at);
	p.o[2] = p.at;
	p.o[1] = div_mod(a.ow, &p.o[2]);
	p.o[0] = div_mod(a.oh, &p.o[1]);
	p.n = div_mod(a.od, &p.o[0]);
	p.x = NULL;
	return p;
}

/* Input coordinate of tap @k for output @o; false where there is none. */
DEV bool fma_coord(const struct k_fma_conv &a, u32 i, u32 o, u32 k, u32 *at)
{
	i32 v;

	if (a.transposed) {
		u32 rest;

		v = (i32)o + a.pad[i] - (i32)(k * a.dilation[i]);
		if (v < 0)
			return false;
		rest = (u32)v;
		v = (i32)div_mod(a.stride[i], &rest);
		if (rest)
			return false;
	} else {
		v = (i32)(o * a.stride[i].d) - a.pad[i] + (i32)(k * a.dilation[i]);
	}
	*at = (u32)v;
	return (u32)v < a.in[i];
}

template <bool exact>
DEV void fma_conv_tile(const struct k_fma_conv &a, u32 tile, char *smem)
{
	u32 per = a.tiles_m * a.tiles_n, g = tile / per, rest = tile - g * per;
	u32 tm = rest / a.tiles_n, n0 = rest % a.tiles_n * FMA_N;
	u32 row = tid() / 16 * 4, col = tid() % 16 * 4, own = a.apart ? tm / a.apart : 0;
	u32 c = 0, tap = 0, k[3] = { 0, 0, 0 };
	struct fma_pixel from[4];
	const char *w;
	float acc[4][4];

	pdl_wait();
	w = ref_at(a.w, own);
#pragma unroll
	for (int i = 0; i < 4; i++) {
		from[i] = fma_row(a, tm, FMA_ROW(i));
		from[i].x = ref_at(a.x, from[i].r);
	}
	fma_loop(a.taps * a.cg.d, acc, smem,
		 [&](u32 depth) {
			c = depth;
			tap = k[2] = div_mod(a.cg, &c);
			k[1] = div_mod(a.kw, &k[2]);
			k[0] = div_mod(a.kh, &k[1]);
		 },
		 [&](int i) {
			const struct fma_pixel &p = from[i];
			u32 d, h, w;

			if (!p.on || !fma_coord(a, 0, p.o[0], k[0], &d) ||
			    !fma_coord(a, 1, p.o[1], k[1], &h) || !fma_coord(a, 2, p.o[2], k[2], &w))
				return 0.0f;
			return ld_float(p.x, a.x.type,
					(i32)((((p.n * a.in[0] + d) * a.in[1] + h) * a.in[2] + w) *
					      a.ldx + g * a.cg.d + c));
		 },
		 [&](int i) {
			u32 o = n0 + FMA_ROW(i);

			if (o >= a.mg)
				return 0.0f;
			if (a.transposed)
				return ld_float(w, a.w.type,
						(i32)(((g * a.cg.d + c) * a.taps + tap) * a.mg + o));
			return ld_float(w, a.w.type,
					(i32)(((g * a.mg + o) * a.taps + tap) * a.cg.d + c));
		 });
	for (u32 i = 0; i < 4; i++) {
		struct fma_pixel p = fma_row(a, tm, row + i);

		for (u32 j = 0; j < 4 && p.on; j++) {
			u32 o = n0 + col + j, ch = g * a.mg + o;
			float v = acc[i][j], res = 0.0f;

			if (o >= a.mg)
				break;
			if (a.has_bias)
				v += ld_float(ref_at(a.bias, p.r), a.bias.type, (i32)ch);
			if (a.has_res)
				res = ld_float(ref_at(a.res, p.r), a.res.type, (i32)(p.at * a.ldr + ch));
			if (!a.act.residual_last)
				v += res;
			v = act<exact>(a.act.fn, a.act.alpha, a.act.beta, v);
			if (a.act.residual_last)
				v += res;
			st_float(ref_at(a.y, p.r), a.y.type, (i32)(p.at * a.ldy + ch), v);
		}
	}
}

/* ---- matrices ---- */

/* Offsets of a batch in every operand. */
struct fma_batch {
	i32 a, b, bias, res, y;
};

DEV struct fma_batch fma_batch_at(const struct k_fma_gemm &a, u32 batch)
{
	struct fma_batch o = { 0, 0, 0, 0, 0 };

	for (u32 i = 0; i < a.n_batch; i++) {
		u32 at = batch, q = div_mod(a.batch[i], &at);

		o.a += (i32)at * a.a_b[i];
		o.b += (i32)at * a.b_b[i];
		o.bias += (i32)at * a.bias_b[i];
		o.res += (i32)at * a.res_b[i];
		o.y += (i32)at * a.y_b[i];
		batch = q;
	}
	return o;
}

template <bool exact>
DEV void fma_gemm_tile(const struct k_fma_gemm &a, u32 tile, char *smem)
{
	u32 per = a.tiles_m * a.tiles_n, rb = tile / per, rest = tile - rb * per;
	u32 r = rb / a.batches, m0 = rest / a.tiles_n * FMA_M, n0 = rest % a.tiles_n * FMA_N;
	u32 row = tid() / 16 * 4, col = tid() % 16 * 4;
	struct fma_batch o = fma_batch_at(a, rb - r * a.batches);
	const char *pa, *pb;
	i32 k = 0;
	float acc[4][4];

	pdl_wait();
	pa = ref_at(a.a, r);
	pb = ref_at(a.b, r);
	fma_loop(a.k, acc, smem,
		 [&](u32 depth) {
			k = (i32)depth;
		 },
		 [&](int i) {
			u32 m = m0 + FMA_ROW(i);

			return m < a.m.d ? ld_float(pa, a.a.type, o.a + (i32)m * a.a_m + k * a.a_k) : 0.0f;
		 },
		 [&](int i) {
			u32 n = n0 + FMA_ROW(i);

			return n < a.n ? ld_float(pb, a.b.type, o.b + k * a.b_k + (i32)n * a.b_n) : 0.0f;
		 });
	for (u32 i = 0; i < 4; i++)
		for (u32 j = 0; j < 4; j++) {
			i32 m = (i32)(m0 + row + i), n = (i32)(n0 + col + j);
			float v = acc[i][j] * a.alpha, res = 0.0f;

			if (m >= (i32)a.m.d || n >= (i32)a.n)
				continue;
			if (a.has_bias)
				v += ld_float(ref_at(a.bias, r), a.bias.type,
					      o.bias + m * a.bias_m + n * a.bias_n);
			if (a.has_res)
				res = ld_float(ref_at(a.res, r), a.res.type,
					       o.res + m * a.res_m + n * a.res_n);
			if (!a.act.residual_last)
				v += res;
			v = act<exact>(a.act.fn, a.act.alpha, a.act.beta, v);
			if (a.act.residual_last)
				v += res;
			st_float(ref_at(a.y, r), a.y.type, o.y + m * a.y_m + n * a.y_n, v);
		}
}

#endif
