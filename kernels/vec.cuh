/* SPDX-License-Identifier: MIT */
/*
 * A layer over one vector of a request, in fp32: a warp a result, a block
 * K_VEC_N of them. Weights are read once, so there is nothing for tiles to share.
 */
#ifndef BRAID_KERNELS_VEC_CUH
#define BRAID_KERNELS_VEC_CUH

#include "rows8.cuh"
#include "vec_args.h"

DEV void vec_tile(const struct k_vec &a, u32 tile, char *smem)
{
	u32 r = tile / a.tiles, n0 = (tile - r * a.tiles) * K_VEC_N;
	float *x = (float *)smem;
	const char *from, *res;
	char *y;

	pdl_wait();
	from = ref_at(a.x, r);
	for (u32 i = tid(); i < a.ld; i += K_THREADS)
		x[i] = i < a.k ? ld_float(from, a.x.type, (i32)i) : 0.0f;
	sync();
	res = a.has_res ? ref_at(a.res, r) : from;
	y = ref_at(a.y, r);
	for (u32 n = n0 + warp(); n < n0 + K_VEC_N && n < a.n; n += K_THREADS / 32) {
		const char *w = (const char *)a.w + (u64)n * a.ld * 4;
		float v = 0.0f;

#pragma unroll 4
		for (u32 i = lane() * 4; i < a.ld; i += 128) {
			uint4 q = ldw16(w + i * 4);

			v = fmaf(bits_float(q.x), x[i], v);
			v = fmaf(bits_float(q.y), x[i + 1], v);
			v = fmaf(bits_float(q.z), x[i + 2], v);
			v = fmaf(bits_float(q.w), x[i + 3], v);
		}
		v = warp_sum(v);
		if (lane())
			continue;
		if (a.has_bias)
			v += bits_float(ldw4((const float *)a.b + n));
		if (a.has_res && !a.act.residual_last)
			v += ld_float(res, a.res.type, (i32)n);
		v = act<true>(a.act.fn, a.act.alpha, a.act.beta, v);
		if (a.has_res && a.act.residual_last)
			v += ld_float(res, a.res.type, (i32)n);
		st_float(y, a.y.type, (i32)n, v);
	}
	pdl_go();
}

#endif
