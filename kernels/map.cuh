/* SPDX-License-Identifier: MIT */
/*
 * Elements: unary, binary, where, cast and moves by strides, on any types.
 *
 * Values are worked on in one of four classes (float, double, signed and
 * unsigned 64-bit integers), which hold every element exactly or are what the
 * type computes in; loads and stores convert. A tile is 256 points of one
 * request.
 */
#ifndef BRAID_KERNELS_MAP_CUH
#define BRAID_KERNELS_MAP_CUH

#include "map_fn.cuh"

template <class V> struct map_io;

template <> struct map_io<float> {
	static DEV_MEMBER float ld(const char *p, u32 type, i32 i)
	{
		return is_int(type) ? (float)ld_int(p, type, i) :
		       type == K_F64 ? (float)ld_double(p, type, i) : ld_float(p, type, i);
	}
	static DEV_MEMBER void st(char *p, u32 type, i32 i, float v)
	{
		if (is_int(type))
			st_int(p, type, i, cut_to_int(v, type));
		else if (type == K_F64)
			st64(p + (i64)i * 8, double_u64(v));
		else
			st_float(p, type, i, v);
	}
};

template <> struct map_io<double> {
	static DEV_MEMBER double ld(const char *p, u32 type, i32 i)
	{
		return ld_double(p, type, i);
	}
	static DEV_MEMBER void st(char *p, u32 type, i32 i, double v)
	{
		if (is_int(type))
			st_int(p, type, i, cut_to_int(v, type));
		else if (type == K_F64)
			st64(p + (i64)i * 8, double_u64(v));
		else if (type == K_BF16)
			st2(p + (i64)i * 2, double_bf16(v));
		else
			st_float(p, type, i, (float)v);
	}
};

template <> struct map_io<i64> {
	static DEV_MEMBER i64 ld(const char *p, u32 type, i32 i)
	{
		return ld_int(p, type, i);
	}
	static DEV_MEMBER void st(char *p, u32 type, i32 i, i64 v)
	{
		if (is_int(type))
			st_int(p, type, i, v);
		else
			map_io<double>::st(p, type, i, (double)v);
	}
};

template <> struct map_io<u64> {
	static DEV_MEMBER u64 ld(const char *p, u32 type, i32 i)
	{
		return (u64)ld_int(p, type, i);
	}
	static DEV_MEMBER void st(char *p, u32 type, i32 i, u64 v)
	{
		if (is_int(type))
			st_int(p, type, i, (i64)v);
		else
			map_io<double>::st(p, type, i, (double)v);
	}
};

/* Offsets of a point in every operand and in the output. */
struct map_at {
	i32 off[K_MAP_IN + 1];
};

DEV struct map_at map_point(const struct k_map &a, u32 point)
{
	struct map_at m = { { 0, 0, 0, 0 } };

	for (u32 i = 0; i < a.rank; i++) {
		u32 rest = point, q = div_mod(a.div[i], &rest);

		for (u32 k = 0; k <= K_MAP_IN; k++)
			m.off[k] += (i32)rest * a.stride[k][i];
		point = q;
	}
	return m;
}

/* Comparisons and logic store whole numbers whatever they were worked on in. */
template <class V> DEV void map_store(const struct k_map &a, char *y, i32 i, V v)
{
	map_io<V>::st(y, a.out.type, i, v);
}

template <class V> DEV void map_tile(const struct k_map &a, u32 tile, char *)
{
	u32 per = (a.n.d + K_THREADS - 1) / K_THREADS, r = tile / per;
	u32 point = (tile - r * per) * K_THREADS + tid();
	const char *x0, *x1;
	struct map_at m;
	char *y;
	V v;

	pdl_wait();
	if (point >= a.n.d)
		return;
	m = map_point(a, point);
	x0 = ref_at(a.in[0], r);
	y = ref_at(a.out, r);
	v = map_io<V>::ld(x0, a.in[0].type, m.off[0]);
	if (a.kind == K_MAP_CAST) {
		if (a.out.type == K_BOOL)
			st1(y + m.off[K_MAP_IN], v != 0);
		else
			map_store(a, y, m.off[K_MAP_IN], v);
		return;
	}
	if (a.kind == K_MAP_UNARY) {
		map_store(a, y, m.off[K_MAP_IN], map_unary<V>(a.fn, a.act.alpha, a.act.beta, v));
		return;
	}
	x1 = ref_at(a.in[1], r);
	if (a.fn >= BIN_EQUAL && a.fn <= BIN_GREATER_EQUAL) {
		st1(y + m.off[K_MAP_IN],
		    map_compare<V>(a.fn, v, map_io<V>::ld(x1, a.in[1].type, m.off[1])));
		return;
	}
	if (a.fn == BIN_POW && !is_int(a.in[1].type) && is_int(a.in[0].type)) {
		/* Whole numbers to a broken power. */
		double e = ld_double(x1, a.in[1].type, m.off[1]);

		map_store(a, y, m.off[K_MAP_IN], (V)pow((double)v, e));
		return;
	}
	v = map_binary<V>(a.fn, v, map_io<V>::ld(x1, a.in[1].type, m.off[1]),
			  type_size(a.in[0].type) * 8);
	if (a.has_res && !a.act.residual_last)
		v += map_io<V>::ld(ref_at(a.in[2], r), a.in[2].type, m.off[2]);
	if (a.act.fn)
		v = map_unary<V>(a.act.fn, a.act.alpha, a.act.beta, v);
	if (a.has_res && a.act.residual_last)
		v += map_io<V>::ld(ref_at(a.in[2], r), a.in[2].type, m.off[2]);
	map_store(a, y, m.off[K_MAP_IN], v);
}

/* The bits of an element of any type, and how they move. */
DEV u64 ld_raw(const char *p, u32 size, i32 i)
{
	switch (size) {
	case 1:
		return ld1(p + i);
	case 2:
		return ld2(p + (i64)i * 2);
	case 4:
		return ld4(p + (i64)i * 4);
	default:
		return ld64(p + (i64)i * 8);
	}
}

DEV void st_raw(char *p, u32 size, i32 i, u64 v)
{
	switch (size) {
	case 1:
		st1(p + i, (u8)v);
		break;
	case 2:
		st2(p + (i64)i * 2, (u16)v);
		break;
	case 4:
		st4(p + (i64)i * 4, (u32)v);
		break;
	default:
		st64(p + (i64)i * 8, v);
	}
}


/* Moves, with a change between fp16 and fp32 where the types differ; and where(). */
DEV void move_tile(const struct k_map &a, u32 tile, char *)
{
	u32 per = (a.n.d + K_THREADS - 1) / K_THREADS, r = tile / per;
	u32 point = (tile - r * per) * K_THREADS + tid(), from = 0;
	struct map_at m;
	const char *x;
	char *y;

	pdl_wait();
	if (point >= a.n.d)
		return;
	m = map_point(a, point);
	y = ref_at(a.out, r);
	if (a.kind == K_MAP_WHERE)
		from = ld1(ref_at(a.in[0], r) + m.off[0]) ? 1 : 2;
	x = ref_at(a.in[from], r);
	if (a.in[from].type != a.out.type)
		st_float(y, a.out.type, m.off[K_MAP_IN],
			 ld_float(x, a.in[from].type, m.off[from]));
	else
		st_raw(y, a.size, m.off[K_MAP_IN], ld_raw(x, a.size, m.off[from]));
}

#endif
