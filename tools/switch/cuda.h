/* SPDX-License-Identifier: MIT */
/*
 * The few functions of CUDA's driver library that the witness needs, found at
 * run time: this program is the same with and without a GPU.
 */
#ifndef BRAID_TOOLS_SWITCH_CUDA_H
#define BRAID_TOOLS_SWITCH_CUDA_H

#include <stddef.h>
#include <stdint.h>

struct cuda {
	void *lib;
	int (*init)(unsigned int flags);
	int (*device_get)(int *dev, int n);
	int (*device_name)(char *name, int len, int dev);
	int (*ctx_create)(void **ctx, unsigned int flags, int dev);
	int (*ctx_destroy)(void *ctx);
	int (*ctx_synchronize)(void);
	int (*module_load)(void **mod, const void *image);
	int (*module_function)(void **fn, void *mod, const char *name);
	int (*mem_alloc)(uint64_t *p, size_t bytes);
	int (*mem_free)(uint64_t p);
	int (*mem_set)(uint64_t p, unsigned char v, size_t bytes);
	int (*copy_back)(void *to, uint64_t from, size_t bytes);
	int (*launch)(void *fn, unsigned int gx, unsigned int gy, unsigned int gz,
		      unsigned int bx, unsigned int by, unsigned int bz, unsigned int shared,
		      void *stream, void **params, void **extra);
	int (*error_name)(int err, const char **name);
	int (*version)(int *v);
};

/** cuda_open() - load the library and a context on device @device; words on failure */
int cuda_open(struct cuda *c, int device, char *why, size_t len);

/** cuda_words() - the name of an error */
const char *cuda_words(const struct cuda *c, int err);

#endif
