// SPDX-License-Identifier: MIT
/*
 * Which clone of a loop is called: that of the instruction set that simd.c
 * chose, so that BRAID_CPU_ISA asks both for the same.
 *
 * The choice is made once and then only read; threads that race to it choose
 * the same.
 */
#include <stdatomic.h>
#include <string.h>

#include "agent/cpu/clones.h"
#include "agent/cpu/simd.h"

#ifdef __x86_64__
int clones_level(void)
{
	static atomic_int chosen;	/* plus one; 0: not yet */
	int level = atomic_load_explicit(&chosen, memory_order_relaxed) - 1;

	if (level < 0) {
		const char *name = cpu_simd()->name;

		level = !strcmp(name, "avx512") ? 2 : !strcmp(name, "avx2") ? 1 : 0;
		atomic_store_explicit(&chosen, level + 1, memory_order_relaxed);
	}
	return level;
}
#endif
