/* SPDX-License-Identifier: MIT */
/*
 * Elements at any address: constants of a file and parts of tensors need not
 * be aligned to their type.
 */
#ifndef BRAID_AGENT_CPU_UNALIGNED_H
#define BRAID_AGENT_CPU_UNALIGNED_H

#include <stdint.h>

#define UNALIGNED __attribute__((aligned(1)))
typedef uint16_t un_u16 UNALIGNED;
typedef int16_t un_i16 UNALIGNED;
typedef uint32_t un_u32 UNALIGNED;
typedef int32_t un_i32 UNALIGNED;
typedef uint64_t un_u64 UNALIGNED;
typedef int64_t un_i64 UNALIGNED;
typedef float un_f32 UNALIGNED;
typedef double un_f64 UNALIGNED;

#endif
