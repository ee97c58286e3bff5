/* SPDX-License-Identifier: MIT */
/*
 * Template: the table of one instruction set. Included last by each isa_*.c.
 */
#ifndef BRAID_AGENT_CPU_SIMD_TABLE_H
#define BRAID_AGENT_CPU_SIMD_TABLE_H

#include "agent/cpu/simd_isa.h"

#define ISA_STRING_(x) #x
#define ISA_STRING(x) ISA_STRING_(x)

const struct cpu_simd ISA(cpu_simd) = {
	.name = ISA_STRING(ISA_NAME),
	.mr = ISA_MR,
	.nr = 2 * ISA_VL,
	.gemm = ISA(gemm),
	.dw = ISA(dw),
	.unary = ISA(unary),
	.epilogue_to = ISA(epilogue_to),
	.epilogue = ISA(epilogue),
	.max = ISA(max),
	.sum = ISA(sum),
	.exp_sum = ISA(exp_sum),
	.scale = ISA(scale),
	.dot = ISA(dot),
};

#endif
