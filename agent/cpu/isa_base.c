// SPDX-License-Identifier: MIT
/*
 * The inner loops for one instruction set, see simd.h.
 * What every machine of the architecture has: vectors of four floats.
 */
#define ISA_NAME base
#define ISA_VL 4
#if defined(__aarch64__)
#define ISA_MR 12
#else
#define ISA_MR 6
#endif

#include "agent/cpu/simd_vec.h"
#include "agent/cpu/simd_elem.h"
#include "agent/cpu/simd_gemm.h"
#include "agent/cpu/simd_dw.h"
#include "agent/cpu/simd_table.h"
