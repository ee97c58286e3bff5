// SPDX-License-Identifier: MIT
/*
 * A build without an ahead-of-time build of the kernels: all are compiled when
 * a model is loaded, or come from the cache.
 */
#include "agent/cuda/plan.h"

const void *gpu_generic_image(size_t *bytes)
{
	*bytes = 0;
	return NULL;
}
