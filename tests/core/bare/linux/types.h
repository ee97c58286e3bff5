/* SPDX-License-Identifier: MIT */
/* What core/ may expect of the kernel's linux/types.h, and no more. */
#ifndef BARE_LINUX_TYPES_H
#define BARE_LINUX_TYPES_H

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef signed int __s32;
typedef unsigned long long __u64;
typedef signed long long __s64;
typedef __u8 u8;
typedef __u32 u32;
typedef __s32 s32;
typedef __u64 u64;
typedef __s64 s64;
typedef _Bool bool;
typedef __SIZE_TYPE__ size_t;

#define __aligned_u64 __u64 __attribute__((aligned(8)))
#define offsetof(type, member) __builtin_offsetof(type, member)
#define NULL ((void *)0)
#define true 1
#define false 0

#endif
