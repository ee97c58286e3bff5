/* SPDX-License-Identifier: MIT */
/*
 * What the stand-in's compiler makes and its driver loads: a head, and a
 * shared object for the host (tests/cuda/emu.h). A kernel's entry has its name.
 */
#ifndef BRAID_TESTS_CUDA_STANDIN_IMAGE_H
#define BRAID_TESTS_CUDA_STANDIN_IMAGE_H

#include <stdint.h>

#define IMAGE_MAGIC	"braidemu"

struct image_head {
	char magic[8];
	uint64_t bytes;
};

#endif
