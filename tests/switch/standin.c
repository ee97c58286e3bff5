// SPDX-License-Identifier: MIT
/*
 * As much of libcuda as a witness needs, and of libcupti as braid-switch does, in
 * one file: a context that is away three times, for 1, 2 and 4 ms, seen by both.
 * libcupti hands its records over in disorder, with others among them, and says
 * that two are missing. STANDIN_CUPTI=refuse: it has no such records.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT		__attribute__((visibility("default")))
#define STUB(name)	EXPORT int name(void); int name(void) { return 0; }
#define MS		1000000ull
#define BEGIN		5000000000ull

static const uint64_t gaps[3][2] = {
	{ BEGIN + 1 * MS, BEGIN + 2 * MS }, { BEGIN + 10 * MS, BEGIN + 12 * MS },
	{ BEGIN + 20 * MS, BEGIN + 24 * MS },
};

/* ---- libcuda ---- */

STUB(cuInit)
STUB(cuDeviceGet)
STUB(cuDeviceGetName)
STUB(cuCtxCreate_v2)
STUB(cuCtxDestroy_v2)
STUB(cuCtxSynchronize)
STUB(cuModuleLoadData)
STUB(cuModuleGetFunction)
STUB(cuMemFree_v2)
STUB(cuMemsetD8_v2)
STUB(cuGetErrorName)
STUB(cuDriverGetVersion)

EXPORT int cuMemAlloc_v2(uint64_t *p, size_t bytes);
int cuMemAlloc_v2(uint64_t *p, size_t bytes)
{
	*p = (uintptr_t)calloc(1, bytes);
	return 0;
}

EXPORT int cuMemcpyDtoH_v2(void *to, uint64_t from, size_t bytes);
int cuMemcpyDtoH_v2(void *to, uint64_t from, size_t bytes)
{
	memcpy(to, (void *)(uintptr_t)from, bytes);
	return 0;
}

/* What the witness leaves: see agent/cuda/witness.h. */
EXPORT int cuLaunchKernel(void *fn, unsigned int gx, unsigned int gy, unsigned int gz,
			  unsigned int bx, unsigned int by, unsigned int bz, unsigned int shared,
			  void *stream, void **params, void **extra);
int cuLaunchKernel(void *fn, unsigned int gx, unsigned int gy, unsigned int gz, unsigned int bx,
		   unsigned int by, unsigned int bz, unsigned int shared, void *stream,
		   void **params, void **extra)
{
	uint64_t *out = (uint64_t *)(uintptr_t)*(uint64_t *)params[0];

	out[0] = BEGIN;
	out[1] = BEGIN + *(uint64_t *)params[1];
	out[2] = 3;
	out[3] = 1000000;
	memcpy(out + 4, gaps, sizeof(gaps));
	return 0;
}

/* ---- libcupti ---- */

struct record {
	uint32_t kind, context;
	uint64_t ts_ns;
	uint32_t operation, pad;
};

static void (*want)(uint8_t **buf, size_t *bytes, size_t *most);
static void (*done)(void *ctx, uint32_t stream, uint8_t *buf, size_t bytes, size_t valid);
static size_t at;

EXPORT int cuptiActivityRegisterCallbacks(
	void (*w)(uint8_t **buf, size_t *bytes, size_t *most),
	void (*d)(void *ctx, uint32_t stream, uint8_t *buf, size_t bytes, size_t valid));
int cuptiActivityRegisterCallbacks(
	void (*w)(uint8_t **buf, size_t *bytes, size_t *most),
	void (*d)(void *ctx, uint32_t stream, uint8_t *buf, size_t bytes, size_t valid))
{
	want = w;
	done = d;
	return 0;
}

EXPORT int cuptiActivityEnable(int kind);
int cuptiActivityEnable(int kind)
{
	return getenv("STANDIN_CUPTI") || kind != 57 ? 21 : 0;
}

EXPORT int cuptiActivityFlushAll(uint32_t flags);
int cuptiActivityFlushAll(uint32_t flags)
{
	size_t bytes, most, n = 0;
	struct record *r;
	uint8_t *buf;

	want(&buf, &bytes, &most);
	r = (struct record *)buf;
	for (int i = 2; i >= 0; i--) {
		r[n++] = (struct record){ 57, 1, gaps[i][1], 1, 0 };
		r[n++] = (struct record){ 9, 1, gaps[i][1], 1, 0 };
		r[n++] = (struct record){ 57, 1, gaps[i][0], 2, 0 };
	}
	r[n++] = (struct record){ 57, 1, BEGIN, 1, 0 };
	done(NULL, 0, buf, bytes, n * sizeof(*r));
	return 0;
}

EXPORT int cuptiActivityGetNextRecord(uint8_t *buf, size_t valid, void **record);
int cuptiActivityGetNextRecord(uint8_t *buf, size_t valid, void **record)
{
	if (at + sizeof(struct record) > valid)
		return 12;
	*record = buf + at;
	at += sizeof(struct record);
	return 0;
}

EXPORT int cuptiActivityGetNumDroppedRecords(void *ctx, uint32_t stream, size_t *n);
int cuptiActivityGetNumDroppedRecords(void *ctx, uint32_t stream, size_t *n)
{
	*n = 2;
	return 0;
}

EXPORT int cuptiGetResultString(int status, const char **text);
int cuptiGetResultString(int status, const char **text)
{
	*text = status == 21 ? "CUPTI_ERROR_INVALID_KIND" : "CUPTI_SUCCESS";
	return 0;
}

EXPORT int cuptiGetVersion(uint32_t *v);
int cuptiGetVersion(uint32_t *v)
{
	*v = 130001;
	return 0;
}
