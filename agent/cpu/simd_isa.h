/* SPDX-License-Identifier: MIT */
/*
 * The tables that simd.c chooses from.
 */
#ifndef BRAID_AGENT_CPU_SIMD_ISA_H
#define BRAID_AGENT_CPU_SIMD_ISA_H

#include "agent/cpu/simd.h"

extern const struct cpu_simd cpu_simd_base;
#ifdef __x86_64__
extern const struct cpu_simd cpu_simd_avx2, cpu_simd_avx512;
#endif

#endif
