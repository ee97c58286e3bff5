// SPDX-License-Identifier: MIT
/*
 * A stand-in for NVIDIA's driver, so that the CUDA backend runs and is tested
 * on machines without a GPU. Memory is the host's, kernels are compiled for
 * the host, streams are threads. It is strict where the real one is forgiving
 * and can be told to fail (control.h).
 *
 * Owns the state si and the page shared with the test.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/cuda/standin/standin.h"

#define PLAIN_VERSION	13000
#define PLAIN_SM	90
#define PLAIN_COUNT	16
#define PLAIN_MEMORY	(4ull << 30)

struct state si = { .lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER };

static struct standin plain;

/* Before anything else is called: the version is asked for before cuInit(). */
static void map(void)
{
	const char *path = getenv(STANDIN_ENV);
	void *p = MAP_FAILED;
	int fd;

	if (si.say)
		return;
	fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	if (fd >= 0) {
		p = mmap(NULL, sizeof(struct standin), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		close(fd);
	}
	si.say = &plain;
	if (p != MAP_FAILED && ((struct standin *)p)->magic == STANDIN_MAGIC)
		si.say = p;
	else if (path)
		fprintf(stderr, "stand-in driver: %s=%s can't be used\n", STANDIN_ENV, path);
}

static uint64_t played(uint64_t v, uint64_t otherwise)
{
	return v ? v : otherwise;
}

bool si_due(standin_word *count)
{
	uint64_t n = atomic_load(count);

	while (n)
		if (atomic_compare_exchange_weak(count, &n, n - 1))
			return n == 1;
	return false;
}

void si_count(standin_word *word, int64_t by)
{
	atomic_fetch_add(word, by);
}

void si_misuse(const char *what)
{
	fprintf(stderr, "stand-in driver: misuse: %s\n", what);
	si_count(&si.say->misuse, 1);
}

void si_break(cu_result res)
{
	pthread_mutex_lock(&si.lock);
	if (!si.sticky)
		si.sticky = res;
	pthread_cond_broadcast(&si.moved);
	pthread_mutex_unlock(&si.lock);
}

static __thread cu_context current;

cu_result si_check(void)
{
	cu_result res;

	if (!si.started)
		return NOT_INITIALIZED;
	if (!current) {
		si_misuse("a thread without a context");
		return 201;
	}
	pthread_mutex_lock(&si.lock);
	while (si.waiting && si.say->stuck)
		pthread_cond_wait(&si.moved, &si.lock);
	res = si.sticky;
	pthread_mutex_unlock(&si.lock);
	return res;
}

API cu_result cuInit(unsigned int flags)
{
	map();
	if (si.say->devices == 1)
		return CU_NO_DEVICE;
	si.started = true;
	return CU_SUCCESS;
}

API cu_result cuDriverGetVersion(int *version)
{
	map();
	*version = played(si.say->driver_version, PLAIN_VERSION);
	return CU_SUCCESS;
}

API cu_result cuGetErrorName(cu_result res, const char **name)
{
	*name = res == CU_OUT_OF_MEMORY ? "CUDA_ERROR_OUT_OF_MEMORY" :
		res == ILLEGAL_ADDRESS ? "CUDA_ERROR_ILLEGAL_ADDRESS" :
		res == LAUNCH_FAILED ? "CUDA_ERROR_LAUNCH_FAILED" : "CUDA_ERROR_UNKNOWN";
	return CU_SUCCESS;
}

API cu_result cuGetErrorString(cu_result res, const char **text)
{
	*text = res == CU_OUT_OF_MEMORY ? "out of memory" :
		res == ILLEGAL_ADDRESS ? "an illegal memory access was encountered" :
		res == LAUNCH_FAILED ? "unspecified launch failure" : "unknown error";
	return CU_SUCCESS;
}

API cu_result cuDeviceGetCount(int *n)
{
	*n = si.say->devices ? si.say->devices - 1 : 1;
	return CU_SUCCESS;
}

API cu_result cuDeviceGet(cu_device *dev, int number)
{
	int n;

	cuDeviceGetCount(&n);
	*dev = number;
	return number < n ? CU_SUCCESS : 101;
}

API cu_result cuDeviceGetName(char *name, int len, cu_device dev)
{
	snprintf(name, len, "stand-in on the host");
	return CU_SUCCESS;
}

API cu_result cuDeviceGetAttribute(int *value, int attribute, cu_device dev)
{
	uint64_t sm = played(si.say->sm, PLAIN_SM);

	switch (attribute) {
	case CU_ATTR_MULTIPROCESSORS:
		*value = played(si.say->multiprocessors, PLAIN_COUNT);
		return CU_SUCCESS;
	case CU_ATTR_INTEGRATED:
		*value = !!si.say->integrated;
		return CU_SUCCESS;
	case CU_ATTR_L2_BYTES:
		*value = 32 << 20;
		return CU_SUCCESS;
	case CU_ATTR_MAJOR:
		*value = sm / 10;
		return CU_SUCCESS;
	case CU_ATTR_MINOR:
		*value = sm % 10;
		return CU_SUCCESS;
	case CU_ATTR_SHARED_OPTIN:
		*value = 227 << 10;
		return CU_SUCCESS;
	case CU_ATTR_HOST_POINTER:
		*value = 1;
		return CU_SUCCESS;
	case CU_ATTR_HOST_REGISTER:
		*value = !si.say->no_register;
		return CU_SUCCESS;
	default:
		return INVALID_VALUE;
	}
}

API cu_result cuDeviceTotalMem_v2(size_t *bytes, cu_device dev)
{
	*bytes = played(si.say->memory, PLAIN_MEMORY);
	return CU_SUCCESS;
}

API cu_result cuMemGetInfo_v2(size_t *left, size_t *total)
{
	cu_result res = si_check();

	cuDeviceTotalMem_v2(total, 0);
	*left = *total - si.say->bytes;
	return res;
}

API cu_result cuDevicePrimaryCtxSetFlags_v2(cu_device dev, unsigned int flags)
{
	return CU_SUCCESS;
}

API cu_result cuDevicePrimaryCtxRetain(cu_context *ctx, cu_device dev)
{
	si.retained = true;
	*ctx = (cu_context)&si;
	return CU_SUCCESS;
}

API cu_result cuDevicePrimaryCtxRelease_v2(cu_device dev)
{
	if (!si.retained)
		si_misuse("a context is released that was not retained");
	si.retained = false;
	return CU_SUCCESS;
}

API cu_result cuCtxSetCurrent(cu_context ctx)
{
	if (ctx && !si.retained)
		si_misuse("a context is used that is not there");
	current = ctx;
	return CU_SUCCESS;
}

API cu_result cuCtxGetStreamPriorityRange(int *least, int *greatest)
{
	*least = 0;
	*greatest = -5;
	return CU_SUCCESS;
}

/* A part of the device is the device with fewer multiprocessors. */
API cu_result cuDeviceGetDevResource(cu_device dev, struct cu_resource *r, unsigned int type)
{
	memset(r, 0, sizeof(*r));
	r->type = type;
	r->sm.count = played(si.say->multiprocessors, PLAIN_COUNT);
	return CU_SUCCESS;
}

API cu_result cuDevSmResourceSplitByCount(struct cu_resource *parts, unsigned int *n,
					  const struct cu_resource *whole,
					  struct cu_resource *rest, unsigned int flags,
					  unsigned int count)
{
	count = (count + 7) / 8 * 8;
	if (count > whole->sm.count)
		return INVALID_VALUE;
	parts[0] = *whole;
	parts[0].sm.count = count;
	*n = 1;
	return CU_SUCCESS;
}

API cu_result cuDevResourceGenerateDesc(cu_desc *d, struct cu_resource *r, unsigned int n)
{
	*d = (cu_desc)&si;
	return CU_SUCCESS;
}

API cu_result cuGreenCtxCreate(cu_green *g, cu_desc d, cu_device dev, unsigned int flags)
{
	*g = (cu_green)&si;
	return CU_SUCCESS;
}

API cu_result cuGreenCtxDestroy(cu_green g)
{
	return CU_SUCCESS;
}

API cu_result cuCtxFromGreenCtx(cu_context *ctx, cu_green g)
{
	*ctx = (cu_context)&si;
	return CU_SUCCESS;
}
