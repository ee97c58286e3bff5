/* SPDX-License-Identifier: MIT */
/*
 * What the machine can do: every instruction that CUDA C++ has no word for,
 * and the few words that differ under emulation (emulate.cuh). No other file
 * of kernels/ holds PTX or looks at an architecture.
 *
 * Addresses in shared memory are 32-bit, those in device memory 64-bit numbers.
 * Loads from device memory are ordered after pdl_wait() and barriers, as
 * written; none is ld.global.nc, since kernels of one graph write what others
 * read.
 */
#ifndef BRAID_KERNELS_ARCH_CUH
#define BRAID_KERNELS_ARCH_CUH

#include "args.h"

typedef k_u8 u8;
typedef k_u16 u16;
typedef k_u32 u32;
typedef k_i32 i32;
typedef k_u64 u64;
typedef k_i64 i64;

#ifdef BRAID_EMULATE
#include "emulate.cuh"
#else

#define DEV static __device__ __forceinline__
#define DEV_MEMBER __device__ __forceinline__

/*
 * An entry: the only place that knows which block runs. The body sees the
 * argument as @a and its tile as @tile.
 */
#define ENTRY(name, type, min_ctas, body)						\
	extern "C" __global__ void __launch_bounds__(K_THREADS, min_ctas)		\
	name(const __grid_constant__ struct type a)					\
	{										\
		extern __shared__ __align__(1024) char entry_smem[];			\
		char *smem = entry_smem;						\
		u32 tile = blockIdx.x;							\
		body;									\
	}

DEV u32 tid()
{
	return threadIdx.x;
}

DEV void sync()
{
	__syncthreads();
}

/* A barrier of @threads threads of the block, by number 1 to 15. */
DEV void sync_some(u32 id, u32 threads)
{
	asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

DEV void sync_warp()
{
	__syncwarp();
}

DEV u32 shfl_xor(u32 v, u32 mask)
{
	return __shfl_xor_sync(~0u, v, mask);
}

DEV u32 shfl(u32 v, u32 lane)
{
	return __shfl_sync(~0u, v, lane);
}

DEV u32 mul_hi(u32 a, u32 b)
{
	return __umulhi(a, b);
}

DEV u32 float_bits(float v)
{
	return __float_as_uint(v);
}

DEV float bits_float(u32 v)
{
	return __uint_as_float(v);
}

/* ---- shared memory, matrix fragments ---- */

DEV u32 sm_addr(const void *p)
{
	return (u32)__cvta_generic_to_shared(p);
}

DEV uint4 lds16(u32 at)
{
	uint4 v;

	asm volatile("ld.shared.v4.u32 {%0,%1,%2,%3}, [%4];"
		     : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "r"(at) : "memory");
	return v;
}

DEV void sts16(u32 at, uint4 v)
{
	asm volatile("st.shared.v4.u32 [%0], {%1,%2,%3,%4};"
		     ::"r"(at), "r"(v.x), "r"(v.y), "r"(v.z), "r"(v.w) : "memory");
}

DEV u32 lds4(u32 at)
{
	u32 v;

	asm volatile("ld.shared.u32 %0, [%1];" : "=r"(v) : "r"(at) : "memory");
	return v;
}

DEV uint2 lds8(u32 at)
{
	uint2 v;

	asm volatile("ld.shared.v2.u32 {%0,%1}, [%2];" : "=r"(v.x), "=r"(v.y) : "r"(at) : "memory");
	return v;
}

DEV void sts4(u32 at, u32 v)
{
	asm volatile("st.shared.u32 [%0], %1;" ::"r"(at), "r"(v) : "memory");
}

/* 16 bytes to shared memory in the background; zeros where not @ok. */
DEV void cp16(u32 to, const void *from, bool ok)
{
	asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
		     ::"r"(to), "l"(from), "r"(ok ? 16 : 0) : "memory");
}

DEV void cp_commit()
{
	asm volatile("cp.async.commit_group;" ::: "memory");
}

/* All but the youngest @n groups have arrived. */
template <int n> DEV void cp_wait()
{
	asm volatile("cp.async.wait_group %0;" ::"n"(n) : "memory");
}

DEV void ldsm4(u32 *r, u32 at)
{
	asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
		     : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(at) : "memory");
}

DEV void ldsm4t(u32 *r, u32 at)
{
	asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
		     : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(at) : "memory");
}

DEV void ldsm2(u32 *r, u32 at)
{
	asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0,%1}, [%2];"
		     : "=r"(r[0]), "=r"(r[1]) : "r"(at) : "memory");
}

/* c (16x8, fp32) += a (16x16) b (16x8), fp16 */
DEV void mma(float *c, const u32 *a, u32 b0, u32 b1)
{
	asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, "
	    "{%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
	    : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
	    : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/* ---- device memory ---- */

DEV uint4 ld16(const void *p)
{
	uint4 v;

	asm volatile("ld.global.v4.u32 {%0,%1,%2,%3}, [%4];"
		     : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(p) : "memory");
	return v;
}

DEV uint2 ld8(const void *p)
{
	uint2 v;

	asm volatile("ld.global.v2.u32 {%0,%1}, [%2];" : "=r"(v.x), "=r"(v.y) : "l"(p) : "memory");
	return v;
}

DEV u32 ld4(const void *p)
{
	u32 v;

	asm volatile("ld.global.u32 %0, [%1];" : "=r"(v) : "l"(p) : "memory");
	return v;
}

DEV u16 ld2(const void *p)
{
	u16 v;

	asm volatile("ld.global.u16 %0, [%1];" : "=h"(v) : "l"(p) : "memory");
	return v;
}

DEV u8 ld1(const void *p)
{
	u32 v;

	asm volatile("ld.global.u8 %0, [%1];" : "=r"(v) : "l"(p) : "memory");
	return (u8)v;
}

/* Of weights, which nobody writes. */
DEV uint4 ldw16(const void *p)
{
	uint4 v;

	asm("ld.global.nc.v4.u32 {%0,%1,%2,%3}, [%4];"
	    : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(p));
	return v;
}

DEV u32 ldw4(const void *p)
{
	u32 v;

	asm("ld.global.nc.u32 %0, [%1];" : "=r"(v) : "l"(p));
	return v;
}

/* Past the first cache: what other blocks of this launch wrote. */
DEV uint4 ld16_fresh(const void *p)
{
	uint4 v;

	asm volatile("ld.global.cg.v4.u32 {%0,%1,%2,%3}, [%4];"
		     : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(p) : "memory");
	return v;
}

DEV void st16(void *p, uint4 v)
{
	asm volatile("st.global.v4.u32 [%0], {%1,%2,%3,%4};"
		     ::"l"(p), "r"(v.x), "r"(v.y), "r"(v.z), "r"(v.w) : "memory");
}

DEV void st8(void *p, uint2 v)
{
	asm volatile("st.global.v2.u32 [%0], {%1,%2};" ::"l"(p), "r"(v.x), "r"(v.y) : "memory");
}

DEV void st4(void *p, u32 v)
{
	asm volatile("st.global.u32 [%0], %1;" ::"l"(p), "r"(v) : "memory");
}

DEV void st2(void *p, u16 v)
{
	asm volatile("st.global.u16 [%0], %1;" ::"l"(p), "h"(v) : "memory");
}

DEV void st1(void *p, u8 v)
{
	asm volatile("st.global.u8 [%0], %1;" ::"l"(p), "r"((u32)v) : "memory");
}

/* Adds and returns what was there; what was written before is seen by who sees this. */
DEV u32 add_release(u32 *p, u32 v)
{
	__threadfence();
	return atomicAdd(p, v);
}

DEV void fence()
{
	__threadfence();
}

/* ---- dependent launches (sm_90; nothing on others) ---- */

/* What earlier launches wrote may be read from here on. Every kernel says it. */
DEV void pdl_wait()
{
#if __CUDA_ARCH__ >= 900
	asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

/* The next launch may begin to load its weights. */
DEV void pdl_go()
{
#if __CUDA_ARCH__ >= 900
	asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

/* ---- numbers ---- */

DEV float half_float(u16 h)
{
	float f;

	asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(h));
	return f;
}

DEV u16 float_half(float f)
{
	u16 h;

	asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h) : "f"(f));
	return h;
}

/* Two at once, the first in the low bits. */
DEV float2 halves_float2(u32 v)
{
	float2 f;

	asm("{.reg .f16 l, h;\n\tmov.b32 {l, h}, %2;\n\tcvt.f32.f16 %0, l;\n\tcvt.f32.f16 %1, h;}"
	    : "=f"(f.x), "=f"(f.y) : "r"(v));
	return f;
}

DEV u32 float2_halves(float lo, float hi)
{
	u32 v;

	asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(v) : "f"(hi), "f"(lo));
	return v;
}

/* Two products at once. */
DEV u32 halves_mul(u32 a, u32 b)
{
	u32 v;

	asm("mul.rn.f16x2 %0, %1, %2;" : "=r"(v) : "r"(a), "r"(b));
	return v;
}

/* And added, rounded once. */
DEV u32 halves_fma(u32 a, u32 b, u32 c)
{
	u32 v;

	asm("fma.rn.f16x2 %0, %1, %2, %3;" : "=r"(v) : "r"(a), "r"(b), "r"(c));
	return v;
}

DEV float fast_exp(float v)
{
	return __expf(v);
}

DEV float fast_div(float a, float b)
{
	return __fdividef(a, b);
}

#endif /* BRAID_EMULATE */

DEV u32 lane()
{
	return tid() & 31;
}

DEV u32 warp()
{
	return tid() >> 5;
}

DEV float shfl_xor_f(float v, u32 mask)
{
	return bits_float(shfl_xor(float_bits(v), mask));
}

#endif
