/* SPDX-License-Identifier: MIT */
/* The kernel's 64-bit division. */
#ifndef BARE_LINUX_MATH64_H
#define BARE_LINUX_MATH64_H

#include <linux/types.h>

u64 div64_u64(u64 a, u64 b);

#endif
