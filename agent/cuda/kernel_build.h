/* SPDX-License-Identifier: MIT */
/*
 * What a kernel's code is made from, and the name that follows from it: for the
 * agent, and for tools that fill its cache on a machine without a GPU.
 */
#ifndef BRAID_AGENT_CUDA_KERNEL_BUILD_H
#define BRAID_AGENT_CUDA_KERNEL_BUILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/cuda/cache.h"
#include "agent/cuda/nvrtc.h"

/**
 * struct kernel_build - all that code depends on, besides the headers it includes
 * @source: CUDA C++
 * @sm: architecture
 * @major, @minor: the compiler's version
 */
struct kernel_build {
	const char *source;
	int sm, major, minor;
};

struct gpu_options;
struct gpu_tiles;

/**
 * kernel_options() - how a model is lowered for a device
 * @opt: set
 * @sm: architecture
 * @n_sms: multiprocessors
 * @fp32: in 32 bits
 * @crowd: with tiles for one launch among several: those measured so, else for an
 *         eighth of the device
 * @tiles: of kernel_tiles() with the same @crowd; may be NULL
 */
void kernel_options(struct gpu_options *opt, int sm, uint32_t n_sms, bool fp32, bool crowd,
		    const struct gpu_tiles *tiles);

#define KERNEL_TILES	"tiles.txt"

/**
 * kernel_tiles() - the table of tiles that was measured here, for kernel_options()
 * @dir: the cache's folder, where it is KERNEL_TILES; may be NULL or empty
 * @out: set, NULL where there is none; gpu_tiles_free() it
 *
 * Return: 0, or a negative errno with words in @why; @out is NULL then.
 */
int kernel_tiles(const char *dir, int sm, uint32_t n_sms, bool crowd, struct gpu_tiles **out, char *why,
		 size_t len);

/** kernel_key() - the name in the cache */
void kernel_key(const struct kernel_build *b, uint8_t key[CACHE_KEY_BYTES]);

/** kernel_compile() - nvrtc_run() with the kernels' headers and options */
int kernel_compile(const struct nvrtc_api *rt, const char *name, const char *source, int sm,
		   void **image, size_t *bytes, char *why, size_t len);

#endif
