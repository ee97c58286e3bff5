// SPDX-License-Identifier: MIT
/*
 * Context switches by CUPTI: see cupti.h.
 *
 * The library hands over buffers of records from a thread of its own; the mutex
 * protects what has come. Its types are declared here, as it is found at run time.
 */
#include "tools/switch/cupti.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KIND_CTX_SWITCH		57
#define OPERATION_START		1	/* the context comes */
#define OPERATION_END		2
#define FLUSH_FORCED		1
#define BUFFER_BYTES		(1u << 20)
#define MOST			(1u << 20)	/* records that are kept */
#define BUCKETS			40u

struct record {
	uint32_t kind;
	uint32_t context;
	uint64_t ts_ns;
	uint32_t operation;
	uint32_t pad;
};

_Static_assert(sizeof(struct record) == 24, "CUpti_ActivityComputeEngineCtxSwitch");

struct cupti {
	void *lib;
	int (*callbacks)(void (*want)(uint8_t **buf, size_t *bytes, size_t *most),
			 void (*done)(void *ctx, uint32_t stream, uint8_t *buf, size_t bytes,
				      size_t valid));
	int (*enable)(int kind);
	int (*flush)(uint32_t flags);
	int (*next)(uint8_t *buf, size_t valid, void **record);
	int (*dropped)(void *ctx, uint32_t stream, size_t *n);
	int (*words)(int status, const char **text);
	int (*version)(uint32_t *v);
};

/* Callbacks carry no argument of ours. */
static struct cupti api;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct record *records;
static size_t n_records;
static uint64_t lost;

static const char *words(int status)
{
	const char *text = NULL;

	return !api.words(status, &text) && text ? text : "unknown status";
}

static int load(const char *path, char *why, size_t len)
{
	static const char *const places[] = {
		"libcupti.so.13", "libcupti.so", "/usr/local/cuda/lib64/libcupti.so.13",
		"/usr/local/cuda/extras/CUPTI/lib64/libcupti.so",
	};
	const struct {
		const char *name;
		void *to;
	} functions[] = {
		{ "cuptiActivityRegisterCallbacks", &api.callbacks },
		{ "cuptiActivityEnable", &api.enable },
		{ "cuptiActivityFlushAll", &api.flush },
		{ "cuptiActivityGetNextRecord", &api.next },
		{ "cuptiActivityGetNumDroppedRecords", &api.dropped },
		{ "cuptiGetResultString", &api.words },
		{ "cuptiGetVersion", &api.version },
	};

	if (path)
		api.lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	for (size_t i = 0; !path && !api.lib && i < sizeof(places) / sizeof(places[0]); i++)
		api.lib = dlopen(places[i], RTLD_NOW | RTLD_LOCAL);
	if (!api.lib) {
		snprintf(why, len, "no libcupti: %s", path ? dlerror() : "it comes with CUDA's toolkit");
		return -ENOENT;
	}
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		void *f = dlsym(api.lib, functions[i].name);

		if (!f) {
			snprintf(why, len, "libcupti has no %s", functions[i].name);
			return -ENOSYS;
		}
		memcpy(functions[i].to, &f, sizeof(f));
	}
	return 0;
}

static void want(uint8_t **buf, size_t *bytes, size_t *most)
{
	*buf = aligned_alloc(8, BUFFER_BYTES);
	*bytes = *buf ? BUFFER_BYTES : 0;
	*most = 0;	/* as many as fit */
}

static void done(void *ctx, uint32_t stream, uint8_t *buf, size_t bytes, size_t valid)
{
	void *r = NULL;
	size_t n = 0;

	pthread_mutex_lock(&lock);
	while (valid && !api.next(buf, valid, &r)) {
		if (*(const uint32_t *)r != KIND_CTX_SWITCH)
			continue;
		if (n_records < MOST)
			memcpy(&records[n_records++], r, sizeof(*records));
		else
			lost++;
	}
	if (!api.dropped(ctx, stream, &n))
		lost += n;
	pthread_mutex_unlock(&lock);
	free(buf);
}

static int by_time(const void *a, const void *b)
{
	const struct record *x = a, *y = b;

	return x->ts_ns < y->ts_ns ? -1 : x->ts_ns > y->ts_ns;
}

/* An absence is from an end to the next start; without both there is none. */
static json_t *figures(double seconds)
{
	uint64_t away = 0, longest = 0, absences = 0, starts = 0, ended = 0, h[BUCKETS] = { 0 };
	json_t *list = json_array();

	qsort(records, n_records, sizeof(*records), by_time);
	for (size_t i = 0; i < n_records; i++) {
		const struct record *r = &records[i];
		unsigned int b = 0;
		uint64_t ns;

		if (r->operation == OPERATION_END)
			ended = r->ts_ns;
		if (r->operation != OPERATION_START)
			continue;
		starts++;
		if (!ended)
			continue;
		ns = r->ts_ns - ended;
		ended = 0;
		absences++;
		away += ns;
		longest = ns > longest ? ns : longest;
		while (b < BUCKETS - 1 && ns >> b)
			b++;
		h[b]++;
	}
	for (unsigned int b = 0; b < BUCKETS; b++)
		json_array_append_new(list, json_integer(h[b]));
	return json_pack("{s:s,s:I,s:I,s:I,s:I,s:f,s:I,s:f,s:I,s:o}", "source", "cupti",
			 "records", (json_int_t)n_records, "lost", (json_int_t)lost,
			 "starts", (json_int_t)starts, "absences", (json_int_t)absences,
			 "absences_per_s", absences / seconds, "away_ns", (json_int_t)away,
			 "away_share", away / seconds / 1e9,
			 "longest_away_ns", (json_int_t)longest, "away_log2_ns", list);
}

json_t *cupti_run(const struct witness_options *o, const char *path, char *why, size_t len)
{
	uint32_t version = 0;
	json_t *seen, *res;
	int status;

	if (load(path, why, len))
		return NULL;
	api.version(&version);
	records = calloc(MOST, sizeof(*records));
	if (!records) {
		snprintf(why, len, "no memory");
		return NULL;
	}
	/* Before there is a context: what it does from the beginning is recorded. */
	status = api.callbacks(want, done);
	if (!status)
		status = api.enable(KIND_CTX_SWITCH);
	if (status) {
		snprintf(why, len, "libcupti (version %u) does not record switches of the compute engine: %d, %s",
			 version, status, words(status));
		return NULL;
	}
	seen = witness_here(o, why, len);
	if (!seen)
		return NULL;
	status = api.flush(FLUSH_FORCED);
	if (status) {
		snprintf(why, len, "libcupti does not hand over its records: %d, %s", status,
			 words(status));
		json_decref(seen);
		return NULL;
	}
	pthread_mutex_lock(&lock);
	res = figures(o->seconds);
	pthread_mutex_unlock(&lock);
	json_object_set_new(res, "version", json_integer(version));
	json_object_set_new(res, "witness", seen);
	return res;
}
