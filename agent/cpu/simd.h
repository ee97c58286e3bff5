/* SPDX-License-Identifier: MIT */
/*
 * Inner loops that are compiled once for each instruction set and chosen when
 * the program starts.
 *
 * The loops are written in templates, simd_*.h, with vectors of ISA_VL floats
 * or as plain loops that the compiler turns into vectors. isa_base.c,
 * isa_avx2.c and isa_avx512.c include every template with other flags; each
 * fills one struct cpu_simd. What a caller gets is *cpu_simd().
 *
 * A template's functions are static and named ISA(name); nothing else in it
 * may have external linkage, or code for one instruction set would be linked
 * into another.
 *
 * No state but the choice, made once.
 */
#ifndef BRAID_AGENT_CPU_SIMD_H
#define BRAID_AGENT_CPU_SIMD_H

#include <stddef.h>
#include <stdint.h>

#include "agent/program/program.h"

/**
 * struct cpu_epi - an epilogue, ready for rows of floats
 * @fn: element function, to PROG_FN_EPILOGUE_LAST
 * @alpha: its first parameter
 * @beta: its second
 * @residual_last: add the residual behind @fn, not before
 */
struct cpu_epi {
	enum prog_fn fn;
	float alpha, beta;
	bool residual_last;
};

struct cpu_gemm_args;
struct cpu_dw_args;

/**
 * struct cpu_simd - the inner loops of one instruction set
 * @name: "base", "avx2", "avx512"
 * @mr: rows of a GEMM tile
 * @nr: columns of a GEMM tile, and of a panel of packed weights
 * @gemm: simd_gemm.h
 * @dw: simd_dw.h: depthwise convolution
 * @unary: y[i] = fn(x[i]); y may be x. Every enum prog_fn on floats for which
 *         unary_has() is true
 * @epilogue: y[i] = fn(y[i] + residual[i]) or fn(y[i]) + residual[i]; the
 *            residual may be NULL
 * @epilogue_to: the same from x to y; add, if any, comes before all else
 * @max: largest of n >= 1 floats; a NaN gives NaN
 * @sum: sum of n floats
 * @exp_sum: y[i] = exp(x[i] - shift); returns the sum
 * @scale: y[i] = x[i] * k
 * @dot: sum of x[i] * y[i]
 */
struct cpu_simd {
	const char *name;
	uint32_t mr, nr;
	void (*gemm)(const struct cpu_gemm_args *a);
	void (*dw)(const struct cpu_dw_args *a);
	void (*unary)(float *y, const float *x, int64_t n, enum prog_fn fn,
		      float alpha, float beta);
	void (*epilogue_to)(float *y, const float *x, int64_t n, const struct cpu_epi *e,
			    const float *add, const float *residual);
	void (*epilogue)(float *y, int64_t n, const struct cpu_epi *e, const float *residual);
	float (*max)(const float *x, int64_t n);
	float (*sum)(const float *x, int64_t n);
	float (*exp_sum)(float *y, const float *x, int64_t n, float shift);
	void (*scale)(float *y, const float *x, int64_t n, float k);
	float (*dot)(const float *x, const float *y, int64_t n);
};

/** cpu_simd() - the best this machine has; BRAID_CPU_ISA=<name> asks for less */
const struct cpu_simd *cpu_simd(void);

/** cpu_simd_named() - one by name, NULL if this machine has it not (for tests) */
const struct cpu_simd *cpu_simd_named(const char *name);

/** cpu_unary_has() - is @fn among those that cpu_simd.unary does? */
bool cpu_unary_has(enum prog_fn fn);

#endif
