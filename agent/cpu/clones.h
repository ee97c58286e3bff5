/* SPDX-License-Identifier: MIT */
/*
 * One function, several instruction sets: a loop is written once as plain C
 * that compilers vectorise, cloned for each level in its own file, and chosen
 * at the call. For kernels whose loops stand alone; what wants registers and
 * blocking by hand is in simd.h's templates.
 *
 *	static CLONES_BODY void scale_body(float *y, const float *x, size_t n) { ... }
 *	CLONES(static, scale, (float *y, const float *x, size_t n), (y, x, n))
 *
 * defines scale(). No ifunc, so sanitizers and static linking see plain calls.
 * Files that use it want -O3 -fno-math-errno -fno-trapping-math (build.mk).
 */
#ifndef BRAID_AGENT_CPU_CLONES_H
#define BRAID_AGENT_CPU_CLONES_H

#define CLONES_BODY inline __attribute__((always_inline))

/* Before a loop whose iterations do not depend on each other: in place is fine. */
#if defined(__clang__)
#pragma clang diagnostic ignored "-Wpass-failed"	/* it is a hint, not an order */
#define CLONES_LOOP _Pragma("clang loop vectorize(assume_safety)")
#else
#define CLONES_LOOP _Pragma("GCC ivdep")
#endif

#if defined(__x86_64__)

#define CLONES_AVX2 __attribute__((target("avx2,fma,f16c")))
#define CLONES_AVX512 __attribute__((target("avx2,fma,f16c,avx512f,avx512vl,avx512bw,avx512dq")))

/**
 * clones_level() - 0: baseline, 1: AVX2 and FMA, 2: AVX-512 F, VL, BW, DQ
 *
 * That of cpu_simd(); BRAID_CPU_ISA asks for less.
 */
int clones_level(void);

#define CLONES(scope, name, params, args)				\
	static CLONES_AVX512 void name##_avx512 params { name##_body args; }	\
	static CLONES_AVX2 void name##_avx2 params { name##_body args; }	\
	scope void name params						\
	{								\
		switch (clones_level()) {					\
		case 2:							\
			name##_avx512 args;				\
			break;						\
		case 1:							\
			name##_avx2 args;				\
			break;						\
		default:						\
			name##_body args;				\
		}							\
	}

#else

#define CLONES(scope, name, params, args)				\
	scope void name params { name##_body args; }

#endif

#endif
