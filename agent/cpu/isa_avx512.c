// SPDX-License-Identifier: MIT
/*
 * The inner loops for one instruction set, see simd.h.
 * x86 with AVX-512: vectors of sixteen floats.
 */
#if defined(__x86_64__)
#define ISA_NAME avx512
#define ISA_VL 16
#define ISA_MR 13

#include "agent/cpu/simd_vec.h"
#include "agent/cpu/simd_elem.h"
#include "agent/cpu/simd_gemm.h"
#include "agent/cpu/simd_dw.h"
#include "agent/cpu/simd_table.h"
#else
typedef int no_such_instruction_set;
#endif
