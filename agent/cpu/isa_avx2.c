// SPDX-License-Identifier: MIT
/*
 * The inner loops for one instruction set, see simd.h.
 * x86 with AVX2 and FMA: vectors of eight floats.
 */
#if defined(__x86_64__)
#define ISA_NAME avx2
#define ISA_VL 8
#define ISA_MR 6

#include "agent/cpu/simd_vec.h"
#include "agent/cpu/simd_elem.h"
#include "agent/cpu/simd_gemm.h"
#include "agent/cpu/simd_dw.h"
#include "agent/cpu/simd_table.h"
#else
typedef int no_such_instruction_set;
#endif
