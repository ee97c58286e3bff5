// SPDX-License-Identifier: MIT
/*
 * Loading NVIDIA's driver: see driver.h. Keeps nothing of its own.
 */
#include "agent/cuda/driver.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DRIVER	"libcuda.so.1"
#define CONNECTIONS	"32"

struct symbol {
	const char *name;
	size_t offset;
	bool optional;
};

#define SYMBOL(member, name)	{ name, offsetof(struct cu_api, member), false }
#define OPTIONAL(member, name)	{ name, offsetof(struct cu_api, member), true }

/* The versions are those whose signatures driver.h has. */
static const struct symbol symbols[] = {
	SYMBOL(init, "cuInit"),
	SYMBOL(driver_version, "cuDriverGetVersion"),
	SYMBOL(error_name, "cuGetErrorName"),
	SYMBOL(error_string, "cuGetErrorString"),
	SYMBOL(device_count, "cuDeviceGetCount"),
	SYMBOL(device_get, "cuDeviceGet"),
	SYMBOL(device_name, "cuDeviceGetName"),
	SYMBOL(device_attribute, "cuDeviceGetAttribute"),
	SYMBOL(device_memory, "cuDeviceTotalMem_v2"),
	SYMBOL(primary_flags, "cuDevicePrimaryCtxSetFlags_v2"),
	SYMBOL(primary_retain, "cuDevicePrimaryCtxRetain"),
	SYMBOL(primary_release, "cuDevicePrimaryCtxRelease_v2"),
	SYMBOL(ctx_set, "cuCtxSetCurrent"),
	SYMBOL(ctx_priorities, "cuCtxGetStreamPriorityRange"),
	SYMBOL(ctx_synchronize, "cuCtxSynchronize"),
	SYMBOL(mem_info, "cuMemGetInfo_v2"),
	SYMBOL(mem_alloc, "cuMemAlloc_v2"),
	SYMBOL(mem_free, "cuMemFree_v2"),
	SYMBOL(host_alloc, "cuMemHostAlloc"),
	SYMBOL(host_free, "cuMemFreeHost"),
	SYMBOL(host_pointer, "cuMemHostGetDevicePointer_v2"),
	SYMBOL(host_register, "cuMemHostRegister_v2"),
	SYMBOL(host_unregister, "cuMemHostUnregister"),
	SYMBOL(copy_to, "cuMemcpyHtoD_v2"),
	SYMBOL(copy_from, "cuMemcpyDtoH_v2"),
	SYMBOL(copy_to_async, "cuMemcpyHtoDAsync_v2"),
	SYMBOL(set_d32, "cuMemsetD32_v2"),
	SYMBOL(stream_new, "cuStreamCreateWithPriority"),
	SYMBOL(stream_free, "cuStreamDestroy_v2"),
	SYMBOL(stream_query, "cuStreamQuery"),
	SYMBOL(stream_synchronize, "cuStreamSynchronize"),
	SYMBOL(stream_write, "cuStreamWriteValue32_v2"),
	SYMBOL(stream_wait, "cuStreamWaitValue32_v2"),
	SYMBOL(module_load, "cuModuleLoadData"),
	SYMBOL(module_free, "cuModuleUnload"),
	SYMBOL(module_function, "cuModuleGetFunction"),
	SYMBOL(func_set, "cuFuncSetAttribute"),
	SYMBOL(func_get, "cuFuncGetAttribute"),
	SYMBOL(launch, "cuLaunchKernel"),
	SYMBOL(graph_new, "cuGraphCreate"),
	SYMBOL(graph_free, "cuGraphDestroy"),
	SYMBOL(graph_kernel, "cuGraphAddKernelNode_v2"),
	SYMBOL(graph_instantiate, "cuGraphInstantiateWithFlags"),
	SYMBOL(graph_upload, "cuGraphUpload"),
	SYMBOL(graph_launch, "cuGraphLaunch"),
	SYMBOL(exec_free, "cuGraphExecDestroy"),
	OPTIONAL(device_resource, "cuDeviceGetDevResource"),
	OPTIONAL(split_sms, "cuDevSmResourceSplitByCount"),
	OPTIONAL(resource_desc, "cuDevResourceGenerateDesc"),
	OPTIONAL(green_new, "cuGreenCtxCreate"),
	OPTIONAL(green_free, "cuGreenCtxDestroy"),
	OPTIONAL(green_context, "cuCtxFromGreenCtx"),
};

static void *find(struct cu_api *cu, const struct symbol *s)
{
	void *p = dlsym(cu->lib, s->name);

	memcpy((char *)cu + s->offset, &p, sizeof(p));
	return p;
}

/* Of a driver that is too old functions are missing: ask for its number first. */
static int check_version(struct cu_api *cu, char *why, size_t len)
{
	int version = 0;

	if (!find(cu, &symbols[1]) || cu->driver_version(&version)) {
		snprintf(why, len, "%s is no driver of NVIDIA's: it does not tell its version",
			 DRIVER);
		return -EIO;
	}
	cu->version = version;
	if (version >= CU_MIN_VERSION)
		return 0;
	snprintf(why, len, "the NVIDIA driver is too old: it supports CUDA %d.%d, Braid needs %d.%d",
		 version / 1000, version % 1000 / 10, CU_MIN_VERSION / 1000,
		 CU_MIN_VERSION % 1000 / 10);
	return -ENOTSUP;
}

static int find_all(struct cu_api *cu, char *why, size_t len)
{
	for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
		if (find(cu, &symbols[i]) || symbols[i].optional)
			continue;
		snprintf(why, len, "the NVIDIA driver has no %s", symbols[i].name);
		return -ENOTSUP;
	}
	return 0;
}

static int start(struct cu_api *cu, char *why, size_t len)
{
	cu_result res = cu->init(0);
	int n = 0;

	if (!res)
		res = cu->device_count(&n);
	if (res == CU_NO_DEVICE || (!res && !n)) {
		snprintf(why, len, "the NVIDIA driver finds no GPU that it may use");
		return -ENODEV;
	}
	if (res) {
		cu_fail(cu, res, "the NVIDIA driver does not start", why, len);
		return -EIO;
	}
	return 0;
}

/*
 * With the driver's 8 hardware queues lanes wait for each other: 32 of them
 * fell from 26,000 to 17,000 requests a second. Under MPS a client that asks
 * for more takes its neighbours' channels.
 */
static void want_connections(void)
{
	if (!getenv("CUDA_MPS_PIPE_DIRECTORY"))
		setenv("CUDA_DEVICE_MAX_CONNECTIONS", CONNECTIONS, 0);
}

int cu_load(struct cu_api *cu, char *why, size_t len)
{
	int ret;

	want_connections();
	memset(cu, 0, sizeof(*cu));
	cu->lib = dlopen(DRIVER, RTLD_NOW | RTLD_LOCAL);
	if (!cu->lib) {
		snprintf(why, len, "no NVIDIA driver: %s", dlerror());
		return -ENODEV;
	}
	ret = check_version(cu, why, len);
	if (!ret)
		ret = find_all(cu, why, len);
	if (!ret)
		ret = start(cu, why, len);
	if (ret)
		cu_unload(cu);
	return ret;
}

void cu_unload(struct cu_api *cu)
{
	if (cu->lib)
		dlclose(cu->lib);
	cu->lib = NULL;
}

int cu_errno(cu_result res)
{
	switch (res) {
	case CU_SUCCESS:
		return 0;
	case CU_OUT_OF_MEMORY:
		return -ENOMEM;
	case CU_NOT_READY:
		return -EAGAIN;
	default:
		return -EIO;
	}
}

const char *cu_words(const struct cu_api *cu, cu_result res)
{
	const char *text = NULL;

	if (cu->error_string && !cu->error_string(res, &text) && text)
		return text;
	return "an error that the driver has no words for";
}

int cu_fail(const struct cu_api *cu, cu_result res, const char *what, char *why, size_t len)
{
	const char *name = NULL;

	if (!cu->error_name || cu->error_name(res, &name) || !name)
		name = "error";
	if (why && len)
		snprintf(why, len, "%s: %s (%s, %d)", what, cu_words(cu, res), name, res);
	return cu_errno(res);
}
