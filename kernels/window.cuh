/* SPDX-License-Identifier: MIT */
/*
 * Windows over channels-last data, any shapes: pooling and resizing, a thread a
 * result.
 */
#ifndef BRAID_KERNELS_WINDOW_CUH
#define BRAID_KERNELS_WINDOW_CUH

#include "move.cuh"

enum { POOL_MAX, POOL_AVG, POOL_LP };

/* Taps [lo, hi) of one axis that lie in the input. */
struct span {
	i32 at, lo, hi;
};

DEV struct span pool_span(const struct k_pool &a, u32 i, u32 o)
{
	struct span s;
	i32 d = (i32)a.dilation[i], end;

	s.at = (i32)(o * a.stride[i]) - (i32)a.pad_lo[i];
	s.lo = s.at < 0 ? (-s.at + d - 1) / d : 0;
	end = s.at < (i32)a.in[i] ? ((i32)a.in[i] - s.at + d - 1) / d : 0;
	s.hi = end < (i32)a.kernel[i] ? end : (i32)a.kernel[i];
	if (s.hi < s.lo)
		s.hi = s.lo;
	return s;
}

/* Taps that count when padding counts: inside of input and padding. */
DEV i32 pool_counted(const struct k_pool &a, u32 i, i32 at)
{
	i32 end = (i32)(a.in[i] + a.pad_hi[i]), d = (i32)a.dilation[i], n = 0;

	if (at < end)
		n = (end - at + d - 1) / d;
	return n < (i32)a.kernel[i] ? n : (i32)a.kernel[i];
}

DEV void pool_tile(const struct k_pool &a, u32 tile, char *)
{
	u32 point, r = tile_point(a.n.d, tile, &point), c = point, w, h, d, n;
	float v = a.kind == POOL_MAX ? -INFINITY : 0.0f;
	i64 index = 0;
	struct span s[3];
	i32 taken = 0;
	const char *x;

	pdl_wait();
	if (point >= a.n.d)
		return;
	x = ref_at(a.x, r);
	w = div_mod(a.c, &c);
	h = div_mod(a.ow, &w);
	d = div_mod(a.oh, &h);
	n = div_mod(a.od, &d);
	s[0] = pool_span(a, 0, d);
	s[1] = pool_span(a, 1, h);
	s[2] = pool_span(a, 2, w);
	for (i32 i = s[0].lo; i < s[0].hi; i++)
		for (i32 j = s[1].lo; j < s[1].hi; j++)
			for (i32 k = s[2].lo; k < s[2].hi; k++, taken++) {
				i32 p0 = s[0].at + i * (i32)a.dilation[0];
				i32 p1 = s[1].at + j * (i32)a.dilation[1];
				i32 p2 = s[2].at + k * (i32)a.dilation[2];
				i32 pix = (((i32)n * (i32)a.in[0] + p0) * (i32)a.in[1] + p1) *
					  (i32)a.in[2] + p2;
				float t = ld_float(x, a.x.type, pix * (i32)a.ldx + (i32)c);

				if (a.kind == POOL_AVG) {
					v += t;
				} else if (a.kind == POOL_LP) {
					t = fabsf(t);
					v += a.p == 1 ? t : a.p == 2 ? t * t : powf(t, (float)a.p);
				} else if (a.has_indices) {
					if (taken && !(t > v))
						continue;
					v = t;
					index = a.column_major ?
						((i64)p2 * a.in[1] + p1) * a.in[0] + p0 :
						((i64)p0 * a.in[1] + p1) * a.in[2] + p2;
					index += ((i64)n * a.c.d + c) * a.in[0] * a.in[1] * a.in[2];
				} else {
					v = t > v || t != t ? t : v;
				}
			}
	if (a.kind == POOL_AVG) {
		if (a.count_pad)
			taken = pool_counted(a, 0, s[0].at) * pool_counted(a, 1, s[1].at) *
				pool_counted(a, 2, s[2].at);
		v /= taken ? (float)taken : 1.0f;
	} else if (a.kind == POOL_LP && a.p != 1) {
		v = a.p == 2 ? sqrtf(v) : powf(v, 1.0f / (float)a.p);
	}
	st_float(ref_at(a.y, r), a.y.type, (i32)(div_by(a.c, point) * a.ldy + c), v);
	if (a.has_indices)
		st64(ref_at(a.indices, r) + (i64)point * 8, (u64)index);
}

DEV void resize_tile(const struct k_resize &a, u32 tile, char *)
{
	u32 point, r = tile_point(a.n.d, tile, &point), c = point, rest, o[3], n;
	const struct k_taps *t[3];
	float v = 0.0f;
	const char *x;
	char *y;
	i32 to;

	pdl_wait();
	if (point >= a.n.d)
		return;
	rest = div_mod(a.c, &c);
	to = (i32)(rest * a.ldy + c);
	o[2] = rest;
	o[1] = div_mod(a.out[2], &o[2]);
	o[0] = div_mod(a.out[1], &o[1]);
	n = div_mod(a.out[0], &o[0]);
	for (u32 i = 0; i < 3; i++)
		t[i] = (const struct k_taps *)a.taps[i] + o[i];
	x = ref_at(a.x, r);
	y = ref_at(a.y, r);
	if (t[0]->outside || t[1]->outside || t[2]->outside) {
		if (a.x.type == K_F16 || a.x.type == K_F32)
			st_float(y, a.y.type, to, a.extrapolation);
		else
			st_raw(y, a.size, to, 0);
		return;
	}
	for (i32 i = 0; i < t[0]->n; i++)
		for (i32 j = 0; j < t[1]->n; j++)
			for (i32 k = 0; k < t[2]->n; k++) {
				i32 at = (((i32)n * (i32)a.in[0] + t[0]->at[i]) * (i32)a.in[1] +
					  t[1]->at[j]) * (i32)a.in[2] + t[2]->at[k];

				at = at * (i32)a.ldx + (i32)c;
				if (a.nearest && a.x.type == a.y.type) {
					st_raw(y, a.size, to, ld_raw(x, a.size, at));
					return;
				}
				v += ld_float(x, a.x.type, at) * (t[0]->w[i] * t[1]->w[j] * t[2]->w[k]);
			}
	st_float(y, a.y.type, to, v);
}

#endif
