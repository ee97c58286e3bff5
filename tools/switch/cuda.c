// SPDX-License-Identifier: MIT
/*
 * libcuda at run time: see cuda.h.
 */
#include "tools/switch/cuda.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

const char *cuda_words(const struct cuda *c, int err)
{
	const char *name;

	return c->error_name && !c->error_name(err, &name) ? name : "unknown error";
}

int cuda_open(struct cuda *c, int device, char *why, size_t len)
{
	const struct {
		const char *name;
		void *to;
	} functions[] = {
		{ "cuInit", &c->init }, { "cuDeviceGet", &c->device_get },
		{ "cuDeviceGetName", &c->device_name }, { "cuCtxCreate_v2", &c->ctx_create },
		{ "cuCtxDestroy_v2", &c->ctx_destroy },
		{ "cuCtxSynchronize", &c->ctx_synchronize },
		{ "cuModuleLoadData", &c->module_load },
		{ "cuModuleGetFunction", &c->module_function },
		{ "cuMemAlloc_v2", &c->mem_alloc }, { "cuMemFree_v2", &c->mem_free },
		{ "cuMemsetD8_v2", &c->mem_set }, { "cuMemcpyDtoH_v2", &c->copy_back },
		{ "cuLaunchKernel", &c->launch }, { "cuGetErrorName", &c->error_name },
		{ "cuDriverGetVersion", &c->version },
	};
	void *ctx;
	int err, dev;

	memset(c, 0, sizeof(*c));
	c->lib = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
	if (!c->lib) {
		snprintf(why, len, "no libcuda.so.1: %s", dlerror());
		return -ENOENT;
	}
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		void *f = dlsym(c->lib, functions[i].name);

		if (!f) {
			snprintf(why, len, "libcuda.so.1 has no %s", functions[i].name);
			return -ENOSYS;
		}
		memcpy(functions[i].to, &f, sizeof(f));
	}
	err = c->init(0);
	if (!err)
		err = c->device_get(&dev, device);
	if (!err)
		err = c->ctx_create(&ctx, 0, dev);
	if (err) {
		snprintf(why, len, "no CUDA context on device %d: %s", device, cuda_words(c, err));
		return -ENODEV;
	}
	return 0;
}
