/* SPDX-License-Identifier: MIT */
/*
 * Reductions, softmax and normalisation: any shapes. One, 32 or 256 threads
 * share a result; sums are in fp32 (doubles: in double), in a fixed order.
 */
#ifndef BRAID_KERNELS_REDUCE_CUH
#define BRAID_KERNELS_REDUCE_CUH

#include "map.cuh"

enum k_red {
	RED_SUM, RED_MEAN, RED_MAX, RED_MIN, RED_PROD, RED_L1, RED_L2, RED_SUM_SQUARE,
	RED_LOG_SUM, RED_LOG_SUM_EXP,
};

template <class V> DEV V red_first(u32 fn, V some)
{
	switch (fn) {
	case RED_MAX:
	case RED_MIN:
		return some;
	case RED_PROD:
		return 1;
	default:
		return 0;
	}
}

/* One more element. */
template <class V> DEV V red_step(u32 fn, V acc, V v)
{
	switch (fn) {
	case RED_MAX:
		return v > acc || v != v ? v : acc;
	case RED_MIN:
		return v < acc || v != v ? v : acc;
	case RED_PROD:
		return acc * v;
	case RED_L1:
		return below_zero(v) ? acc - v : acc + v;
	case RED_L2:
	case RED_SUM_SQUARE:
		return acc + v * v;
	default:
		return acc + v;
	}
}

/* What two sets of elements gave. */
template <class V> DEV V red_merge(u32 fn, V a, V b)
{
	return fn == RED_MAX || fn == RED_MIN || fn == RED_PROD ? red_step<V>(fn, a, b) : a + b;
}

/* Over @lanes neighbouring threads, in each of them; every thread of the block calls it. */
template <class V> DEV V red_share(u32 fn, u32 lanes, V v, char *smem)
{
	V *all = (V *)smem;

	if (lanes == 1)
		return v;
	sync();
	all[tid()] = v;
	sync();
	for (u32 n = lanes / 2; n; n /= 2) {
		if ((tid() & (lanes - 1)) < n)
			all[tid()] = red_merge<V>(fn, all[tid()], all[tid() + n]);
		sync();
	}
	return all[tid() & ~(lanes - 1)];
}

template <class V> DEV V red_last(u32 fn, V acc, u32 m);

template <> DEV_MEMBER float red_last<float>(u32 fn, float acc, u32 m)
{
	return fn == RED_MEAN ? acc / (float)m : fn == RED_L2 ? sqrtf(acc) :
	       fn == RED_LOG_SUM ? logf(acc) : acc;
}

template <> DEV_MEMBER double red_last<double>(u32 fn, double acc, u32 m)
{
	return fn == RED_MEAN ? acc / m : fn == RED_L2 ? sqrt(acc) :
	       fn == RED_LOG_SUM ? log(acc) : acc;
}

template <> DEV_MEMBER i64 red_last<i64>(u32 fn, i64 acc, u32 m)
{
	return fn == RED_MEAN ? acc / (i64)m : fn == RED_L2 ? (i64)sqrt((double)acc) :
	       fn == RED_LOG_SUM ? (i64)log((double)acc) : acc;
}

template <> DEV_MEMBER u64 red_last<u64>(u32 fn, u64 acc, u32 m)
{
	return fn == RED_MEAN ? acc / m : fn == RED_L2 ? (u64)sqrt((double)acc) :
	       fn == RED_LOG_SUM ? (u64)log((double)acc) : acc;
}

DEV i32 red_offset(const struct k_div *dims, const i32 *stride, u32 n, u32 i)
{
	i32 at = 0;

	for (u32 k = 0; k < n; k++) {
		u32 rest = i, q = div_mod(dims[k], &rest);

		at += (i32)rest * stride[k];
		i = q;
	}
	return at;
}

template <class V> DEV void reduce_tile(const struct k_reduce &a, u32 tile, char *smem)
{
	u32 each = K_THREADS / a.lanes, per = (a.n.d + each - 1) / each, r = tile / per;
	u32 o = (tile - r * per) * each + tid() / a.lanes, l = tid() & (a.lanes - 1);
	bool on = o < a.n.d;
	const char *x;
	i32 base;
	V acc, most = 0;

	pdl_wait();
	x = ref_at(a.x, r);
	base = red_offset(a.keep, a.keep_stride, a.n_keep, on ? o : 0);
	acc = red_first<V>(a.fn, map_io<V>::ld(x, a.x.type, base));
	if (a.fn == RED_LOG_SUM_EXP) {
		most = map_io<V>::ld(x, a.x.type, base);
		for (u32 i = l; on && i < a.m; i += a.lanes)
			most = red_step<V>(RED_MAX, most, map_io<V>::ld(x, a.x.type, base +
					   red_offset(a.red, a.red_stride, a.n_red, i)));
		most = red_share<V>(RED_MAX, a.lanes, most, smem);
	}
	for (u32 i = l; on && i < a.m; i += a.lanes) {
		V v = map_io<V>::ld(x, a.x.type,
				    base + red_offset(a.red, a.red_stride, a.n_red, i));

		if (a.fn == RED_LOG_SUM_EXP)
			acc += (V)exp((double)(v - most));
		else
			acc = red_step<V>(a.fn, acc, v);
	}
	acc = red_share<V>(a.fn, a.lanes, acc, smem);
	if (!on || l)
		return;
	if (a.fn == RED_LOG_SUM_EXP)
		acc = most - most != 0 ? most : (V)log((double)acc) + most;
	map_io<V>::st(ref_at(a.y, r), a.y.type, (i32)o, red_last<V>(a.fn, acc, a.m));
}

/* ---- rows ---- */

struct row {
	const char *x;
	i32 base, step;
	u32 type;
};

DEV float row_at(const struct row &w, u32 i)
{
	return ld_float(w.x, w.type, w.base + (i32)i * w.step);
}

DEV void row_softmax(const struct k_rows &a, const struct row &w, char *y, bool on, u32 l, char *smem)
{
	float most = -INFINITY, sum = 0.0f;

	for (u32 i = l; on && i < a.extent; i += a.lanes)
		most = red_step<float>(RED_MAX, most, row_at(w, i));
	most = red_share<float>(RED_MAX, a.lanes, most, smem);
	for (u32 i = l; on && i < a.extent; i += a.lanes)
		sum += expf(row_at(w, i) - most);
	sum = red_share<float>(RED_SUM, a.lanes, sum, smem);
	for (u32 i = l; on && i < a.extent; i += a.lanes) {
		float v = row_at(w, i) - most;

		st_float(y, a.y.type, w.base + (i32)i * w.step,
			 a.kind == K_SOFTMAX ? expf(v) / sum : v - logf(sum));
	}
}

DEV void row_hardmax(const struct k_rows &a, const struct row &w, char *y, bool on, u32 l, char *smem)
{
	float most = -INFINITY, first;

	for (u32 i = l; on && i < a.extent; i += a.lanes)
		most = red_step<float>(RED_MAX, most, row_at(w, i));
	most = red_share<float>(RED_MAX, a.lanes, most, smem);
	first = (float)a.extent;
	for (u32 i = l; on && i < a.extent; i += a.lanes)
		if (row_at(w, i) == most || most != most)
			first = fminf(first, (float)i);
	first = red_share<float>(RED_MIN, a.lanes, first, smem);
	for (u32 i = l; on && i < a.extent; i += a.lanes)
		st_float(y, a.y.type, w.base + (i32)i * w.step, (float)i == first ? 1.0f : 0.0f);
}

DEV void row_norm(const struct k_rows &a, const struct row &w, char *y, bool on, u32 l, u32 r,
		  u32 o, char *smem)
{
	float mean = 0.0f, var = 0.0f, inv;

	if (a.kind == K_LAYER_NORM) {
		for (u32 i = l; on && i < a.extent; i += a.lanes)
			mean += row_at(w, i);
		mean = red_share<float>(RED_SUM, a.lanes, mean, smem) / (float)a.extent;
	}
	for (u32 i = l; on && i < a.extent; i += a.lanes) {
		float d = row_at(w, i) - mean;

		var += d * d;
	}
	var = red_share<float>(RED_SUM, a.lanes, var, smem) / (float)a.extent;
	inv = 1.0f / sqrtf(var + a.epsilon);
	for (u32 i = l; on && i < a.extent; i += a.lanes) {
		float v = (row_at(w, i) - mean) * inv;

		if (a.has_scale)
			v *= ld_float(ref_at(a.scale, r), a.scale.type, (i32)i);
		if (a.has_shift)
			v += ld_float(ref_at(a.shift, r), a.shift.type, (i32)i);
		st_float(y, a.y.type, w.base + (i32)i * w.step, v);
	}
	if (!on || l)
		return;
	if (a.has_mean)
		st_float(ref_at(a.mean, r), a.mean.type, (i32)o, mean);
	if (a.has_inv)
		st_float(ref_at(a.inv, r), a.inv.type, (i32)o, inv);
}

DEV void rows_tile(const struct k_rows &a, u32 tile, char *smem)
{
	u32 each = K_THREADS / a.lanes, per = (a.n.d + each - 1) / each, r = tile / per;
	u32 o = (tile - r * per) * each + tid() / a.lanes, l = tid() & (a.lanes - 1);
	bool on = o < a.n.d;
	u32 in = on ? o : 0, out = div_mod(a.inner, &in);
	struct row w;
	char *y;

	pdl_wait();
	w.x = ref_at(a.x, r);
	w.base = (i32)(out * a.extent * a.inner.d + in);
	w.step = (i32)a.inner.d;
	w.type = a.x.type;
	y = ref_at(a.y, r);
	if (a.kind == K_HARDMAX)
		row_hardmax(a, w, y, on, l, smem);
	else if (a.kind == K_SOFTMAX || a.kind == K_LOGSOFTMAX)
		row_softmax(a, w, y, on, l, smem);
	else
		row_norm(a, w, y, on, l, r, o, smem);
}

/* ---- groups of channels, channels last ---- */

DEV void group_norm_tile(const struct k_group_norm &a, u32 tile, char *smem)
{
	u32 per_request = a.images * a.groups.d, r = tile / per_request, g = tile - r * per_request;
	u32 image = div_mod(a.groups, &g), m = a.pixels * a.per.d;
	i32 base = (i32)(image * a.pixels * a.channels + g * a.per.d);
	float mean = 0.0f, var = 0.0f, inv;
	const char *x;
	char *y;

	pdl_wait();
	x = ref_at(a.x, r);
	y = ref_at(a.y, r);
	for (u32 pass = 0; pass < 3; pass++) {
		float sum = 0.0f;

		inv = 1.0f / sqrtf(var + a.epsilon);
		for (u32 i = tid(); i < m; i += K_THREADS) {
			u32 c = i, p = div_mod(a.per, &c);
			i32 at = base + (i32)(p * a.channels + c);
			float v = ld_float(x, a.x.type, at);

			if (pass == 0) {
				sum += v;
			} else if (pass == 1) {
				sum += (v - mean) * (v - mean);
			} else {
				u32 ch = g * a.per.d + c;

				v = (v - mean) * inv;
				if (a.has_scale)
					v *= ld_float(ref_at(a.scale, r), a.scale.type, (i32)ch);
				if (a.has_shift)
					v += ld_float(ref_at(a.shift, r), a.shift.type, (i32)ch);
				st_float(y, a.y.type, at, v);
			}
		}
		if (pass == 2)
			break;
		sum = red_share<float>(RED_SUM, K_THREADS, sum, smem) / (float)m;
		if (pass == 0)
			mean = sum;
		else
			var = sum;
	}
}

DEV void lrn_tile(const struct k_lrn &a, u32 tile, char *)
{
	u32 per = (a.n.d + K_THREADS - 1) / K_THREADS, r = tile / per;
	u32 point = (tile - r * per) * K_THREADS + tid(), c = point;
	u32 lo, hi;
	float sum = 0.0f, v;
	const char *x;

	pdl_wait();
	if (point >= a.n.d)
		return;
	x = ref_at(a.x, r);
	div_mod(a.c, &c);
	lo = c > a.before ? c - a.before : 0;
	hi = c + a.after < a.c.d ? c + a.after : a.c.d - 1;
	for (u32 k = lo; k <= hi; k++) {
		v = ld_float(x, a.x.type, (i32)(point - c + k));
		sum += v * v;
	}
	v = ld_float(x, a.x.type, (i32)point);
	st_float(ref_at(a.y, r), a.y.type, (i32)point,
		 v * powf(a.bias + a.alpha * sum, -a.beta));
}

#endif
