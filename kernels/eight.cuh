/* SPDX-License-Identifier: MIT */
/*
 * Eight channels: what 16 bytes of fp16 hold, as floats.
 */
#ifndef BRAID_KERNELS_EIGHT_CUH
#define BRAID_KERNELS_EIGHT_CUH

#include "num.cuh"

struct eight {
	float v[8];
};

DEV void eight_add(struct eight &e, uint4 lo, uint4 hi)
{
	e.v[0] += bits_float(lo.x);
	e.v[1] += bits_float(lo.y);
	e.v[2] += bits_float(lo.z);
	e.v[3] += bits_float(lo.w);
	e.v[4] += bits_float(hi.x);
	e.v[5] += bits_float(hi.y);
	e.v[6] += bits_float(hi.z);
	e.v[7] += bits_float(hi.w);
}

DEV struct eight eight_halves(uint4 h)
{
	float2 a = halves_float2(h.x), b = halves_float2(h.y), c = halves_float2(h.z), d = halves_float2(h.w);
	struct eight e = { { a.x, a.y, b.x, b.y, c.x, c.y, d.x, d.y } };

	return e;
}

DEV uint4 halves_eight(const struct eight &e)
{
	return make_uint4(float2_halves(e.v[0], e.v[1]), float2_halves(e.v[2], e.v[3]),
			  float2_halves(e.v[4], e.v[5]), float2_halves(e.v[6], e.v[7]));
}

DEV struct eight eight_zero()
{
	struct eight e = { { 0, 0, 0, 0, 0, 0, 0, 0 } };

	return e;
}

/* acc += x * y */
DEV void eight_fma(struct eight &acc, const struct eight &x, const struct eight &y)
{
#pragma unroll
	for (int i = 0; i < 8; i++)
		acc.v[i] = fmaf(x.v[i], y.v[i], acc.v[i]);
}

#endif
