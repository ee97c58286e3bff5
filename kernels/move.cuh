/* SPDX-License-Identifier: MIT */
/*
 * Moves that are more than strides: padding and tiling, gathering, scattering,
 * and small things over one axis. Elements are moved by their size, indices
 * are read once, wrapped once and clamped.
 */
#ifndef BRAID_KERNELS_MOVE_CUH
#define BRAID_KERNELS_MOVE_CUH

#include "map.cuh"

/* The request of a tile that does 256 of @n points, and this thread's point. */
DEV u32 tile_point(u32 n, u32 tile, u32 *point)
{
	u32 per = (n + K_THREADS - 1) / K_THREADS, r = tile / per;

	*point = (tile - r * per) * K_THREADS + tid();
	return r;
}

/* ---- padding ---- */

enum { PAD_CONSTANT, PAD_REFLECT, PAD_EDGE, PAD_WRAP };

DEV i32 positive_mod(i32 v, i32 n)
{
	v %= n;
	return v < 0 ? v + n : v;
}

DEV i32 pad_source(u32 mode, i32 i, i32 n)
{
	if (i >= 0 && i < n)
		return i;
	switch (mode) {
	case PAD_REFLECT:
		if (n == 1)
			return 0;
		i = positive_mod(i, 2 * (n - 1));
		return i < n ? i : 2 * (n - 1) - i;
	case PAD_EDGE:
		return i < 0 ? 0 : n - 1;
	case PAD_WRAP:
		return positive_mod(i, n);
	default:
		return -1;
	}
}

DEV void pad_tile(const struct k_pad &a, u32 tile, char *)
{
	u32 point, r = tile_point(a.n.d, tile, &point), rest = point;
	i32 at = 0;
	bool in = true;

	pdl_wait();
	if (point >= a.n.d)
		return;
	for (u32 i = 0; i < a.rank; i++) {
		u32 q = div_mod(a.out[i], &rest);
		i32 s = pad_source(a.mode, (i32)rest - a.lo[i], a.in[i]);

		in = in && s >= 0;
		at += s * a.stride[i];
		rest = q;
	}
	st_raw(ref_at(a.y, r), a.size, (i32)point,
	       in ? ld_raw(ref_at(a.x, r), a.size, at) : a.value);
}

/* A thread makes a chunk of eight channels; neighbours in x are neighbouring rows. */
DEV void pack_tile(const struct k_pack &a, u32 tile, char *)
{
	u32 point, r = tile_point(a.n.d, tile, &point), rows = a.n.d / a.chunks.d;
	u32 chunk = point / rows, row = point - chunk * rows, rest = row, h[4];
	const char *x;
	i32 at = 0;
	u16 v[8];

	pdl_wait();
	if (point >= a.n.d)
		return;
	x = ref_at(a.x, r);
	for (u32 i = 0; i < a.rank; i++) {
		u32 q = div_mod(a.dim[i], &rest);

		at += (i32)rest * a.stride[i];
		rest = q;
	}
#pragma unroll
	for (u32 i = 0; i < 8; i++) {
		u32 c = chunk * 8 + i;

		v[i] = c < a.c ? float_half_cut(ld_float(x, a.x.type, at + (i32)c * a.c_stride)) : 0;
	}
	for (u32 i = 0; i < 4; i++)
		h[i] = v[2 * i] | (u32)v[2 * i + 1] << 16;
	st16(ref_at(a.y, r) + ((u64)row * a.ldy + chunk * 8) * 2, make_uint4(h[0], h[1], h[2], h[3]));
}

/* ---- gathering ---- */

DEV i32 gather_axis(const struct k_gather &a, const char *idx, u32 point)
{
	u32 in = point, k, o, b;

	/* point = ((batch * outer + o) * count + k) * inner + in */
	k = div_mod(a.inner, &in);
	o = div_mod(a.count, &k);
	b = div_by(a.outer, o);
	return (i32)((o * a.extent + ld_index(idx, a.index_type, (i32)(b * a.count.d + k),
					      a.extent)) * a.inner.d + in);
}

DEV i32 gather_elements(const struct k_gather &a, const char *idx, u32 point)
{
	u32 rest = point;
	i32 at = 0;

	for (u32 i = 0; i < a.rank; i++) {
		u32 q = div_mod(a.dim[i], &rest);

		if (i == a.axis)
			rest = ld_index(idx, a.index_type, (i32)point, a.extent);
		at += (i32)rest * a.stride[i];
		rest = q;
	}
	return at;
}

DEV i32 gather_nd(const struct k_gather &a, const char *idx, u32 point)
{
	u32 in = point, tuple = div_mod(a.inner, &in), at = 0;

	for (u32 j = 0; j < a.k; j++)
		at = at * a.dim[j].d + ld_index(idx, a.index_type, (i32)(tuple * a.k + j), a.dim[j].d);
	return (i32)(div_by(a.count, tuple) * a.data + at * a.inner.d + in);
}

DEV void gather_tile(const struct k_gather &a, u32 tile, char *)
{
	u32 point, r = tile_point(a.n.d, tile, &point);
	const char *x, *idx;
	i32 at;

	pdl_wait();
	if (point >= a.n.d)
		return;
	x = ref_at(a.x, r);
	idx = ref_at(a.index, r);
	at = a.kind == 0 ? gather_axis(a, idx, point) :
	     a.kind == 1 ? gather_elements(a, idx, point) : gather_nd(a, idx, point);
	if (a.x.type == a.y.type)
		st_raw(ref_at(a.y, r), a.size, (i32)point, ld_raw(x, a.size, at));
	else
		st_float(ref_at(a.y, r), a.y.type, (i32)point, ld_float(x, a.x.type, at));
}

/* ---- scattering ---- */

enum { SCATTER_SET, SCATTER_ADD, SCATTER_MUL, SCATTER_MIN, SCATTER_MAX };

template <class V> DEV V scatter_op(u32 fn, V a, V b)
{
	switch (fn) {
	case SCATTER_ADD:
		return a + b;
	case SCATTER_MUL:
		return a * b;
	case SCATTER_MIN:
		return b < a ? b : a;
	default:
		return b > a ? b : a;
	}
}

DEV void scatter_one(const struct k_scatter &a, char *y, i32 at, const char *u, i32 from)
{
	if (a.fn == SCATTER_SET) {
		if (a.u.type == a.y.type)
			st_raw(y, a.size, at, ld_raw(u, a.size, from));
		else
			st_float(y, a.y.type, at, ld_float(u, a.u.type, from));
	} else if (a.type == K_U64) {
		st64(y + (i64)at * 8, scatter_op<u64>(a.fn, (u64)ld_int(y, K_U64, at),
						      (u64)ld_int(u, K_U64, from)));
	} else if (is_int(a.type)) {
		st_int(y, a.type, at, scatter_op<i64>(a.fn, ld_int(y, a.type, at),
						      ld_int(u, a.type, from)));
	} else if (a.type == K_F64) {
		map_io<double>::st(y, K_F64, at, scatter_op<double>(a.fn, ld_double(y, K_F64, at),
								    ld_double(u, K_F64, from)));
	} else {
		st_float(y, a.y.type, at, scatter_op<float>(a.fn, ld_float(y, a.y.type, at),
							    ld_float(u, a.u.type, from)));
	}
}

DEV i32 scatter_at(const struct k_scatter &a, const char *idx, u32 i)
{
	u32 rest = i, at = 0;

	if (a.kind) {
		for (u32 d = 0; d < a.k; d++)
			at = at * a.dim[d].d + ld_index(idx, a.index_type, (i32)(i * a.k + d), a.dim[d].d);
		return (i32)(at * a.inner);
	}
	for (u32 d = 0; d < a.rank; d++) {
		u32 q = div_mod(a.dim[d], &rest);

		if (d == a.axis)
			rest = ld_index(idx, a.index_type, (i32)i, a.extent);
		at += rest * (u32)a.stride[d];
		rest = q;
	}
	return (i32)at;
}

/* One request: all threads copy, then one walks the updates, all do a row's elements. */
DEV void scatter_tile(const struct k_scatter &a, u32 tile, char *smem)
{
	const char *x, *idx, *u;
	char *y;

	pdl_wait();
	x = ref_at(a.x, tile);
	idx = ref_at(a.index, tile);
	u = ref_at(a.u, tile);
	y = ref_at(a.y, tile);
	for (u32 i = tid(); i < a.n; i += K_THREADS) {
		if (a.x.type == a.y.type)
			st_raw(y, a.size, (i32)i, ld_raw(x, a.size, (i32)i));
		else
			st_float(y, a.y.type, (i32)i, ld_float(x, a.x.type, (i32)i));
	}
	for (u32 base = 0; base < a.m; base += K_THREADS) {
		i32 *at = (i32 *)smem;
		u32 n = a.m - base < K_THREADS ? a.m - base : K_THREADS;

		sync();
		if (tid() < n)
			at[tid()] = scatter_at(a, idx, base + tid());
		sync();
		for (u32 i = 0; i < n; i++) {
			for (u32 k = tid(); k < a.inner; k += K_THREADS)
				scatter_one(a, y, at[i] + (i32)k, u, (i32)((base + i) * a.inner + k));
			/* The next one may be to the same place, of another thread. */
			if (a.inner > 1)
				sync();
		}
	}
}

/* ---- over one axis ---- */

DEV u64 order_key(const char *x, u32 type, i32 i)
{
	u64 b;

	if (type == K_F16 || type == K_F32) {
		u32 v = float_bits(ld_float(x, type, i));

		if ((v & 0x7fffffff) > 0x7f800000)
			return 0xffffffff;
		if (!(v & 0x7fffffff))
			return 0x80000000;
		return v >> 31 ? ~v : v | 0x80000000;
	}
	if (type == K_F64) {
		b = ld64(x + (i64)i * 8);
		if ((b & ~(1ull << 63)) > 0x7ff0000000000000ull)
			return ~0ull;
		if (!(b & ~(1ull << 63)))
			return 1ull << 63;
		return b >> 63 ? ~b : b | 1ull << 63;
	}
	return (u64)ld_int(x, type, i) ^ (is_signed(type) ? 1ull << 63 : 0);
}

struct best {
	u64 key;
	u32 at, found;
};

/* Before @b in the order: larger key, then smaller index; what is not found is last. */
DEV bool is_before(const struct best &a, const struct best &b)
{
	if (!a.found || !b.found)
		return a.found;
	return a.key > b.key || (a.key == b.key && a.at < b.at);
}

/* The best of all threads, in every thread. */
DEV struct best best_of_block(struct best mine, char *smem)
{
	struct best *all = (struct best *)smem;

	sync();
	all[tid()] = mine;
	sync();
	for (u32 n = K_THREADS / 2; n; n /= 2) {
		if (tid() < n && is_before(all[tid() + n], all[tid()]))
			all[tid()] = all[tid() + n];
		sync();
	}
	return all[0];
}

/* A block a column: the next best again and again. */
DEV void topk_tile(const struct k_index &a, u32 tile, char *smem)
{
	u32 columns = a.outer.d * a.inner.d, r = tile / columns, in = tile - r * columns;
	u32 out = div_mod(a.inner, &in);
	i32 base = (i32)(out * a.extent * a.inner.d + in), to = (i32)(out * (u32)a.k * a.inner.d + in);
	u64 flip = a.fn & 1 ? 0 : ~0ull;
	struct best last = { 0, 0, 0 };
	const char *x;

	pdl_wait();
	x = ref_at(a.x, r);
	for (i64 k = 0; k < a.k; k++) {
		struct best mine = { 0, 0, 0 };

		for (u32 i = tid(); i < a.extent; i += K_THREADS) {
			struct best b = { order_key(x, a.type, base + (i32)(i * a.inner.d)) ^ flip, i, 1 };

			if (last.found && !is_before(last, b))
				continue;
			if (is_before(b, mine))
				mine = b;
		}
		last = best_of_block(mine, smem);
		if (tid())
			continue;
		/* A tenant may have changed the values meanwhile: then none may be left. */
		if (a.has & 1) {
			char *y = ref_at(a.y, r);
			i32 from = base + (i32)(last.at * a.inner.d);

			if (a.y.type == a.x.type)
				st_raw(y, a.size, to + (i32)k * (i32)a.inner.d, ld_raw(x, a.size, from));
			else
				st_float(y, a.y.type, to + (i32)k * (i32)a.inner.d,
					 ld_float(x, a.x.type, from));
		}
		if (a.has & 2)
			st64(ref_at(a.z, r) + ((i64)to + k * a.inner.d) * 8, last.at);
	}
}

template <class V> DEV u32 arg_of(const struct k_index &a, const char *x, i32 base)
{
	V best = map_io<V>::ld(x, a.type, base);
	u32 at = 0;

	for (u32 i = 1; i < a.extent; i++) {
		V v = map_io<V>::ld(x, a.type, base + (i32)(i * a.inner.d));

		if ((a.fn & 1 ? v > best : v < best) || (a.fn & 2 && v == best)) {
			best = v;
			at = i;
		}
	}
	return at;
}

template <class V> DEV void cumsum_of(const struct k_index &a, const char *x, char *y, i32 base)
{
	i32 step = (i32)a.inner.d;
	V sum = 0;

	if (a.fn & 2) {
		base += (i32)(a.extent - 1) * step;
		step = -step;
	}
	for (u32 i = 0; i < a.extent; i++, base += step) {
		V v = map_io<V>::ld(x, a.type, base);

		map_io<V>::st(y, a.y.type, base, a.fn & 1 ? sum : sum + v);
		sum += v;
	}
}

DEV void onehot_of(const struct k_index &a, const char *x, const char *v, char *y, u32 column, i32 base)
{
	i64 on = map_io<i64>::ld(x, a.type, (i32)column);

	if (!is_int(a.type))
		on = cut_to_int(ld_double(x, a.type, (i32)column), K_I64);
	if (on < 0 && on >= -(i64)a.extent)
		on += a.extent;
	for (u32 k = 0; k < a.extent; k++) {
		i32 to = base + (i32)(k * a.inner.d);

		if (a.v.type == a.y.type)
			st_raw(y, a.size, to, ld_raw(v, a.size, (i64)k == on));
		else
			st_float(y, a.y.type, to, ld_float(v, a.v.type, (i64)k == on));
	}
}

/* A thread an element of [outer][extent = rows][inner = columns]. */
DEV void trilu_of(const struct k_index &a, const char *x, char *y, u32 point)
{
	u32 col = point, row = div_mod(a.inner, &col);
	i64 diff;

	row %= a.extent;
	diff = (i64)col - (i64)row;
	st_raw(y, a.size, (i32)point,
	       (a.fn & 1 ? diff >= a.k : diff <= a.k) ? ld_raw(x, a.size, (i32)point) : 0);
}

DEV void index_tile(const struct k_index &a, u32 tile, char *)
{
	u32 point, r = tile_point(a.n.d, tile, &point), in = point, out;
	const char *x;
	char *y;
	i32 base;

	pdl_wait();
	if (point >= a.n.d)
		return;
	x = ref_at(a.x, r);
	y = ref_at(a.y, r);
	if (a.kind == K_TRILU) {
		trilu_of(a, x, y, point);
		return;
	}
	out = div_mod(a.inner, &in);
	base = (i32)(out * a.extent * a.inner.d + in);
	switch (a.kind) {
	case K_ARG:
		st64(y + (i64)point * 8,
		     a.type == K_F64 ? arg_of<double>(a, x, base) :
		     a.type == K_U64 ? arg_of<u64>(a, x, base) :
		     is_int(a.type) ? arg_of<i64>(a, x, base) : arg_of<float>(a, x, base));
		break;
	case K_CUMSUM:
		if (is_int(a.type))
			cumsum_of<u64>(a, x, y, base);
		else
			cumsum_of<double>(a, x, y, base);
		break;
	case K_ONEHOT:
		onehot_of(a, x, ref_at(a.v, r), y, point, base);
		break;
	}
}

/* ---- quantisation ---- */

DEV void quant_tile(const struct k_quant &a, u32 tile, char *)
{
	u32 point, r = tile_point(a.n.d, tile, &point), k;
	float scale;
	double zero = 0;
	const char *x;
	char *y;

	pdl_wait();
	if (point >= a.n.d)
		return;
	x = ref_at(a.x, r);
	y = ref_at(a.y, r);
	k = div_by(a.inner, point);
	div_mod(a.channels, &k);
	scale = ld_float(ref_at(a.scale, r), a.scale.type, (i32)k);
	if (a.has_zero)
		zero = ld_double(ref_at(a.zero, r), a.zero.type, (i32)k);
	if (a.to) {
		float q = rintf((float)ld_double(x, a.x.type, (i32)point) / scale) + (float)zero;

		st_int(y, a.y.type, (i32)point, cut_to_int(q, a.y.type));
	} else {
		st_float(y, a.y.type, (i32)point,
			 (float)((ld_double(x, a.x.type, (i32)point) - zero) * scale));
	}
}

#endif
