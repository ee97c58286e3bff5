/* SPDX-License-Identifier: MIT */
/*
 * arch.cuh for the host's compiler: the same functions, run by an engine that
 * gives every thread of a block a fiber (tests/cuda/emu.h). Included by
 * arch.cuh alone.
 *
 * A source compiled so is a library of entries; each takes the engine's table
 * and a pointer to its argument. What differs from a GPU: fp32 sums of mma()
 * round after every addition, and the fast functions are the exact ones.
 */
#ifndef BRAID_KERNELS_EMULATE_CUH
#define BRAID_KERNELS_EMULATE_CUH

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "emu_ops.h"

#define DEV static inline
#define DEV_MEMBER inline

#define ENTRY(name, type, min_ctas, body)						\
	extern "C" __attribute__((visibility("default")))				\
	void name(const struct emu_ops *ops, const void *arg);				\
	void name(const struct emu_ops *ops, const void *arg)				\
	{										\
		const struct type &a = *(const struct type *)arg;			\
		emu = ops;								\
		char *smem = emu->smem();						\
		u32 tile = emu->block();						\
		body;									\
	}

struct uint2 {
	u32 x, y;
};
struct alignas(16) uint4 {
	u32 x, y, z, w;
};
struct float2 {
	float x, y;
};
struct alignas(16) float4 {
	float x, y, z, w;
};

static const struct emu_ops *emu;

DEV uint4 make_uint4(u32 x, u32 y, u32 z, u32 w)
{
	return uint4{ x, y, z, w };
}

DEV uint2 make_uint2(u32 x, u32 y)
{
	return uint2{ x, y };
}

DEV float2 make_float2(float x, float y)
{
	return float2{ x, y };
}

DEV float4 make_float4(float x, float y, float z, float w)
{
	return float4{ x, y, z, w };
}

DEV u32 tid()
{
	return emu->thread();
}

DEV void sync()
{
	emu->sync(0, K_THREADS);
}

DEV void sync_some(u32 id, u32 threads)
{
	emu->sync(id, threads);
}

DEV u32 float_bits(float v)
{
	u32 b;

	memcpy(&b, &v, sizeof(b));
	return b;
}

DEV float bits_float(u32 b)
{
	float v;

	memcpy(&v, &b, sizeof(v));
	return v;
}

DEV u32 mul_hi(u32 a, u32 b)
{
	return (u32)((u64)a * b >> 32);
}

template <class T> DEV T emu_load(const void *p)
{
	T v;

	memcpy(&v, p, sizeof(v));
	return v;
}

template <class T> DEV void emu_store(void *p, T v)
{
	memcpy(p, &v, sizeof(v));
}

/* ---- warps: all lanes meet, the last one does the work of all ---- */

static void emu_nothing(void **)
{
}

DEV void sync_warp()
{
	emu->warp(NULL, emu_nothing);
}

struct emu_shuffle {
	u32 v, from, got;
};

static void emu_do_shuffle(void **all)
{
	for (int i = 0; i < 32; i++) {
		struct emu_shuffle *s = (struct emu_shuffle *)all[i];

		s->got = ((struct emu_shuffle *)all[s->from & 31])->v;
	}
}

DEV u32 shfl(u32 v, u32 from)
{
	struct emu_shuffle s = { v, from, 0 };

	emu->warp(&s, emu_do_shuffle);
	return s.got;
}

DEV u32 shfl_xor(u32 v, u32 mask)
{
	return shfl(v, (tid() & 31) ^ mask);
}

/* ---- shared memory: addresses are offsets from the block's first byte ---- */

DEV u32 sm_addr(const void *p)
{
	return (u32)((const char *)p - emu->smem());
}

DEV uint4 lds16(u32 at)
{
	return emu_load<uint4>(emu->smem() + at);
}

DEV void sts16(u32 at, uint4 v)
{
	emu_store(emu->smem() + at, v);
}

DEV u32 lds4(u32 at)
{
	return emu_load<u32>(emu->smem() + at);
}

DEV uint2 lds8(u32 at)
{
	return emu_load<uint2>(emu->smem() + at);
}

DEV void sts4(u32 at, u32 v)
{
	emu_store(emu->smem() + at, v);
}

DEV void cp16(u32 to, const void *from, bool ok)
{
	emu->copy(emu->smem() + to, from, 16, ok ? 16 : 0);
}

DEV void cp_commit()
{
	emu->commit();
}

template <int n> DEV void cp_wait()
{
	emu->wait(n);
}

struct emu_ldsm {
	u32 at, *r;
};

/* Matrix i's rows are at lanes 8i to 8i+7; lane l gets elements 2l, 2l+1 of its row-major 8x8. */
template <int n, bool trans> static void emu_do_ldsm(void **all)
{
	const char *smem = emu->smem();

	for (int m = 0; m < n; m++) {
		u16 e[8][8];

		for (int row = 0; row < 8; row++) {
			u32 at = ((struct emu_ldsm *)all[8 * m + row])->at;

			if (at % 16)
				emu->die("ldmatrix: a row is not aligned to 16 bytes");
			memcpy(e[row], smem + at, 16);
		}
		for (int l = 0; l < 32; l++) {
			int row = l / 4, col = l % 4 * 2;
			u32 lo = trans ? e[col][row] : e[row][col];
			u32 hi = trans ? e[col + 1][row] : e[row][col + 1];

			((struct emu_ldsm *)all[l])->r[m] = lo | hi << 16;
		}
	}
}

DEV void ldsm4(u32 *r, u32 at)
{
	struct emu_ldsm s = { at, r };

	emu->warp(&s, emu_do_ldsm<4, false>);
}

DEV void ldsm4t(u32 *r, u32 at)
{
	struct emu_ldsm s = { at, r };

	emu->warp(&s, emu_do_ldsm<4, true>);
}

DEV void ldsm2(u32 *r, u32 at)
{
	struct emu_ldsm s = { at, r };

	emu->warp(&s, emu_do_ldsm<2, false>);
}

/* ---- numbers ---- */

DEV float half_float(u16 h)
{
	return emu->half[h];
}

DEV u16 float_half(float f)
{
	u32 b = float_bits(f), sign = b >> 16 & 0x8000, a = b & 0x7fffffff;

	if (a > 0x7f800000)
		return 0x7fff;
	if (a >= 0x477ff000)	/* rounds to 2^16 or more */
		return (u16)(sign | 0x7c00);
	if (a < 0x38800000) {	/* below 2^-14: steps of 2^-24, which the addition rounds to */
		float v = bits_float(a) + 0.5f;

		return (u16)(sign | (float_bits(v) - 0x3f000000));
	}
	return (u16)(sign | (a - 0x38000000 + 0xfff + (a >> 13 & 1)) >> 13);
}

DEV float2 halves_float2(u32 v)
{
	return float2{ half_float((u16)v), half_float((u16)(v >> 16)) };
}

DEV u32 float2_halves(float lo, float hi)
{
	return float_half(lo) | (u32)float_half(hi) << 16;
}

DEV u32 halves_mul(u32 a, u32 b)
{
	float2 x = halves_float2(a), y = halves_float2(b);

	return float2_halves(x.x * y.x, x.y * y.y);
}

DEV u32 halves_fma(u32 a, u32 b, u32 c)
{
	float2 x = halves_float2(a), y = halves_float2(b), z = halves_float2(c);

	return float2_halves(x.x * y.x + z.x, x.y * y.y + z.y);
}

DEV float fast_exp(float v)
{
	return expf(v);
}

DEV float fast_div(float a, float b)
{
	return a / b;
}

/* ---- mma ---- */

struct emu_mma {
	float *c;
	const u32 *a;
	u32 b[2];
};

static void emu_do_mma(void **all)
{
	float a[16][16], b[16][8], c[16][8];

	for (int l = 0; l < 32; l++) {
		const struct emu_mma *s = (const struct emu_mma *)all[l];
		int g = l / 4, t = l % 4 * 2;

		for (int i = 0; i < 4; i++) {
			int row = g + (i & 1) * 8, col = t + (i >> 1) * 8;

			a[row][col] = emu->half[s->a[i] & 0xffff];
			a[row][col + 1] = emu->half[s->a[i] >> 16];
		}
		for (int i = 0; i < 2; i++) {
			b[t + i * 8][g] = emu->half[s->b[i] & 0xffff];
			b[t + i * 8 + 1][g] = emu->half[s->b[i] >> 16];
		}
		c[g][t] = s->c[0];
		c[g][t + 1] = s->c[1];
		c[g + 8][t] = s->c[2];
		c[g + 8][t + 1] = s->c[3];
	}
	for (int m = 0; m < 16; m++)
		for (int k = 0; k < 16; k++)
			for (int n = 0; n < 8; n++)
				c[m][n] += a[m][k] * b[k][n];
	for (int l = 0; l < 32; l++) {
		float *to = ((const struct emu_mma *)all[l])->c;
		int g = l / 4, t = l % 4 * 2;

		to[0] = c[g][t];
		to[1] = c[g][t + 1];
		to[2] = c[g + 8][t];
		to[3] = c[g + 8][t + 1];
	}
}

DEV void mma(float *c, const u32 *a, u32 b0, u32 b1)
{
	struct emu_mma s = { c, a, { b0, b1 } };

	emu->warp(&s, emu_do_mma);
}

/* ---- device memory ---- */

#define EMU_ALIGNED(p, n)								\
	do {										\
		if ((uintptr_t)(p) % (n))						\
			emu->die("access that is not aligned to " #n " bytes");	\
	} while (0)

#define EMU_ACCESS(bytes, type)								\
	DEV type ld##bytes(const void *p)						\
	{										\
		EMU_ALIGNED(p, bytes);							\
		return emu_load<type>(p);						\
	}										\
	DEV void st##bytes(void *p, type v)						\
	{										\
		EMU_ALIGNED(p, bytes);							\
		emu_store(p, v);							\
	}

EMU_ACCESS(16, uint4)
EMU_ACCESS(8, uint2)
EMU_ACCESS(4, u32)
EMU_ACCESS(2, u16)
EMU_ACCESS(1, u8)

DEV uint4 ldw16(const void *p)
{
	return ld16(p);
}

DEV u32 ldw4(const void *p)
{
	return ld4(p);
}

DEV uint4 ld16_fresh(const void *p)
{
	return ld16(p);
}

/* Blocks run one after the other, fibers yield only where they wait. */
DEV u32 add_release(u32 *p, u32 v)
{
	u32 old = *p;

	*p += v;
	return old;
}

DEV void fence()
{
}

DEV void pdl_wait()
{
}

DEV void pdl_go()
{
}

/* Names that CUDA has and C++ has not. */
DEV float rsqrtf(float v)
{
	return 1.0f / sqrtf(v);
}

#endif
