// SPDX-License-Identifier: MIT
/*
 * The choice of an instruction set, and what of the inner loops needs none.
 *
 * The choice is made once and then only read; threads that race to it choose
 * the same.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cpu/gemm.h"
#include "agent/cpu/simd.h"
#include "agent/cpu/simd_isa.h"

static _Atomic(const struct cpu_simd *) chosen;

/* Best first. */
static const struct cpu_simd *find(const char *name)
{
#ifdef __x86_64__
	__builtin_cpu_init();
	if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
	    __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
	    (!name || !strcmp(name, cpu_simd_avx512.name)))
		return &cpu_simd_avx512;
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
	    (!name || !strcmp(name, cpu_simd_avx2.name)))
		return &cpu_simd_avx2;
#endif
	if (!name || !strcmp(name, cpu_simd_base.name))
		return &cpu_simd_base;
	return NULL;
}

const struct cpu_simd *cpu_simd_named(const char *name)
{
	return find(name);
}

const struct cpu_simd *cpu_simd(void)
{
	const struct cpu_simd *s = atomic_load_explicit(&chosen, memory_order_acquire);

	if (!s) {
		s = find(getenv("BRAID_CPU_ISA"));
		if (!s)
			s = find(NULL);
		atomic_store_explicit(&chosen, s, memory_order_release);
	}
	return s;
}

bool cpu_unary_has(enum prog_fn fn)
{
	switch (fn) {
	case PROG_FN_ELU:
	case PROG_FN_THRESHOLDED_RELU:
	case PROG_FN_SOFTSIGN:
	case PROG_FN_ABS:
	case PROG_FN_NEG:
	case PROG_FN_RECIPROCAL:
	case PROG_FN_SQRT:
	case PROG_FN_EXP:
	case PROG_FN_ERF:
	case PROG_FN_FLOOR:
	case PROG_FN_CEIL:
	case PROG_FN_ROUND:
		return true;
	default:
		return fn <= PROG_FN_EPILOGUE_LAST;
	}
}

void cpu_pack(const struct cpu_simd *s, float *dst, const float *src, int64_t k, int64_t n,
	      int64_t sk, int64_t sn)
{
	for (int64_t n0 = 0; n0 < n; n0 += s->nr) {
		int64_t cols = n - n0 < s->nr ? n - n0 : s->nr;
		int64_t width = cols <= s->nr / 2 ? s->nr / 2 : s->nr;
		const float *from = src + n0 * sn;

		if (sn == 1) {
			for (int64_t i = 0; i < k; i++, dst += width) {
				memcpy(dst, from + i * sk, cols * sizeof(float));
				for (int64_t j = cols; j < width; j++)
					dst[j] = 0;
			}
			continue;
		}
		for (int64_t i = 0; i < k; i++, dst += width) {
			const float *row = from + i * sk;

			for (int64_t j = 0; j < cols; j++)
				dst[j] = row[j * sn];
			for (int64_t j = cols; j < width; j++)
				dst[j] = 0;
		}
	}
}
