/* SPDX-License-Identifier: MIT */
/*
 * Elements and where they are: typed loads and stores, tensors of requests,
 * division by what is known on the host, and the functions that close a result.
 *
 * fp16 results of elementwise kernels are cut off at the largest finite number,
 * so that a mask of -3e38 stays a mask; infinities and NaN stay what they are.
 * Products, convolutions and attention round without that (eight.cuh): what of
 * theirs exceeds 65504 is infinite.
 */
#ifndef BRAID_KERNELS_NUM_CUH
#define BRAID_KERNELS_NUM_CUH

#include "arch.cuh"
#ifdef __CUDACC_RTC__
#define INFINITY	(__int_as_float(0x7f800000))
#define NAN		(__int_as_float(0x7fffffff))
#endif

DEV u32 div_by(const struct k_div &d, u32 n)
{
	return (mul_hi(n, d.mul) + n) >> d.shift;
}

/* Quotient, and the remainder in @n. */
DEV u32 div_mod(const struct k_div &d, u32 *n)
{
	u32 q = div_by(d, *n);

	*n -= q * d.d;
	return q;
}

/* Where a tensor of request @r begins. */
DEV char *ref_at(const struct k_ref &ref, u32 r)
{
	u64 at = ref.at + (u64)r * ref.step;

	if (ref.table) {
		uint2 v = ld8((const void *)at);

		at = (u64)v.y << 32 | v.x;
	}
	return (char *)(at + ref.off);
}

DEV u32 type_size(u32 type)
{
	switch (type) {
	case K_U8:
	case K_I8:
	case K_BOOL:
		return 1;
	case K_U16:
	case K_I16:
	case K_F16:
	case K_BF16:
		return 2;
	case K_I64:
	case K_U64:
	case K_F64:
		return 8;
	default:
		return 4;
	}
}

DEV u64 ld64(const void *p)
{
	uint2 v = ld8(p);

	return (u64)v.y << 32 | v.x;
}

DEV void st64(void *p, u64 v)
{
	st8(p, make_uint2((u32)v, (u32)(v >> 32)));
}

DEV double u64_double(u64 v)
{
#ifdef BRAID_EMULATE
	double d;

	memcpy(&d, &v, sizeof(d));
	return d;
#else
	return __longlong_as_double((i64)v);
#endif
}

DEV u64 double_u64(double d)
{
#ifdef BRAID_EMULATE
	u64 v;

	memcpy(&v, &d, sizeof(v));
	return v;
#else
	return (u64)__double_as_longlong(d);
#endif
}

/* fp32 to fp16, finite ones cut off. */
DEV u16 float_half_cut(float v)
{
	if (v > 65504.0f && v < INFINITY)
		v = 65504.0f;
	if (v < -65504.0f && v > -INFINITY)
		v = -65504.0f;
	return float_half(v);
}

/* Floats of fp16 and fp32 tensors, at element @i. */
DEV float ld_float(const char *p, u32 type, i32 i)
{
	if (type == K_F16)
		return half_float(ld2(p + (i64)i * 2));
	return bits_float(ld4(p + (i64)i * 4));
}

DEV void st_float(char *p, u32 type, i32 i, float v)
{
	if (type == K_F16)
		st2(p + (i64)i * 2, float_half_cut(v));
	else
		st4(p + (i64)i * 4, float_bits(v));
}

/* Any element as the four classes that values are worked on in. */
DEV i64 ld_int(const char *p, u32 type, i32 i)
{
	switch (type) {
	case K_I8:
		return (signed char)ld1(p + i);
	case K_U8:
		return ld1(p + i);
	case K_BOOL:
		return ld1(p + i) != 0;
	case K_I16:
		return (short)ld2(p + (i64)i * 2);
	case K_U16:
		return ld2(p + (i64)i * 2);
	case K_I32:
		return (i32)ld4(p + (i64)i * 4);
	case K_U32:
		return ld4(p + (i64)i * 4);
	default:
		return (i64)ld64(p + (i64)i * 8);
	}
}

DEV bool is_int(u32 type)
{
	return type != K_F32 && type != K_F16 && type != K_F64 && type != K_BF16;
}

DEV bool is_signed(u32 type)
{
	return type == K_I8 || type == K_I16 || type == K_I32 || type == K_I64;
}

DEV double ld_double(const char *p, u32 type, i32 i)
{
	switch (type) {
	case K_F16:
		return half_float(ld2(p + (i64)i * 2));
	case K_F32:
		return bits_float(ld4(p + (i64)i * 4));
	case K_BF16:
		return bits_float((u32)ld2(p + (i64)i * 2) << 16);
	case K_F64:
		return u64_double(ld64(p + (i64)i * 8));
	case K_U64:
		return (double)(u64)ld_int(p, type, i);
	default:
		return (double)ld_int(p, type, i);
	}
}

/* The low bits: what C and numpy make of an integer in a narrower type. */
DEV void st_int(char *p, u32 type, i32 i, i64 v)
{
	switch (type) {
	case K_BOOL:
		st1(p + i, v != 0);
		break;
	case K_I8:
	case K_U8:
		st1(p + i, (u8)v);
		break;
	case K_I16:
	case K_U16:
		st2(p + (i64)i * 2, (u16)v);
		break;
	case K_I32:
	case K_U32:
		st4(p + (i64)i * 4, (u32)v);
		break;
	default:
		st64(p + (i64)i * 8, (u64)v);
	}
}

/* Index tensors may be a tenant's, who may change them: read once, wrapped once, clamped. */
DEV u32 ld_index(const char *p, u32 type, i32 i, u32 n)
{
	i64 v = type == K_I64 ? (i64)ld64(p + (i64)i * 8) : (i64)(i32)ld4(p + (i64)i * 4);

	if (v < 0)
		v = v < -(i64)n ? 0 : v + n;
	return v < (i64)n ? (u32)v : n - 1;
}

/* ---- functions that close a result: enum prog_fn, those an epilogue may have ---- */

enum k_fn {
	FN_NONE, FN_RELU, FN_CLIP, FN_LEAKY_RELU, FN_SIGMOID, FN_TANH, FN_HARD_SIGMOID,
	FN_HARD_SWISH, FN_GELU, FN_GELU_TANH, FN_SILU,
};

DEV float clamp(float v, float lo, float hi)
{
	return fminf(fmaxf(v, lo), hi);
}

DEV float sigmoid(float v)
{
	return fast_div(1.0f, 1.0f + fast_exp(-clamp(v, -80.0f, 80.0f)));
}

/* @exact: fp32 mode, no fast functions. */
template <bool exact> DEV float act(u32 fn, float alpha, float beta, float v)
{
	float t;

	switch (fn) {
	case FN_RELU:
		return v < 0.0f ? 0.0f : v;
	case FN_CLIP:
		v = v < alpha ? alpha : v;
		return v > beta ? beta : v;
	case FN_LEAKY_RELU:
		return v < 0.0f ? v * alpha : v;
	case FN_SIGMOID:
		return exact ? 1.0f / (1.0f + expf(-v)) : sigmoid(v);
	case FN_TANH:
		return tanhf(v);
	case FN_HARD_SIGMOID:
		t = alpha * v + beta;
		t = t < 0.0f ? 0.0f : t;
		return t > 1.0f ? 1.0f : t;
	case FN_HARD_SWISH:
		t = v * (1.0f / 6.0f) + 0.5f;
		t = t < 0.0f ? 0.0f : t;
		return v * (t > 1.0f ? 1.0f : t);
	case FN_GELU:
		return 0.5f * v * (1.0f + erff(v * 0.70710678118654752f));
	case FN_GELU_TANH:
		t = 0.79788456080286536f * (v + 0.044715f * v * v * v);
		return 0.5f * v * (1.0f + tanhf(t));
	case FN_SILU:
		return exact ? v / (1.0f + expf(-v)) : v * sigmoid(v);
	default:
		return v;
	}
}

#endif
