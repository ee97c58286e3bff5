// SPDX-License-Identifier: MIT
/*
 * The ahead-of-time build of the kernels, as bytes in the read-only part of
 * the program: see plan.h. The build says where it is.
 */
#include "agent/cuda/plan.h"

asm(".section .rodata\n"
    ".balign 64\n"
    "braid_generic_begin:\n"
    ".incbin \"" BRAID_GENERIC_IMAGE "\"\n"
    "braid_generic_end:\n"
    ".balign 64\n"
    ".quad 0\n"
    ".text\n");

extern const char braid_generic_begin[], braid_generic_end[];

const void *gpu_generic_image(size_t *bytes)
{
	*bytes = braid_generic_end - braid_generic_begin;
	return braid_generic_begin;
}
