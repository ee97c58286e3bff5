// SPDX-License-Identifier: MIT
/*
 * The stand-in's memory: the device's is the host's, at the same address.
 *
 * Owns the list of what the device can reach. What is copied or registered
 * must be in it, or must not, as with the real driver.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/cuda/standin/standin.h"

enum piece_kind { DEVICE, PINNED, REGISTERED };

struct piece {
	struct piece *next;
	enum piece_kind kind;
	uint64_t at;
	size_t bytes;
};

static struct piece *pieces;

static struct piece *find(uint64_t at, size_t bytes)
{
	struct piece *p = pieces;

	while (p && (at < p->at || at - p->at > p->bytes || bytes > p->bytes - (at - p->at)))
		p = p->next;
	return p;
}

bool memory_known(uint64_t at, size_t bytes)
{
	bool known;

	pthread_mutex_lock(&si.lock);
	known = find(at, bytes);
	pthread_mutex_unlock(&si.lock);
	return known;
}

static cu_result add(enum piece_kind kind, uint64_t at, size_t bytes)
{
	struct piece *p = malloc(sizeof(*p));

	if (!p)
		return CU_OUT_OF_MEMORY;
	*p = (struct piece){ .kind = kind, .at = at, .bytes = bytes };
	pthread_mutex_lock(&si.lock);
	p->next = pieces;
	pieces = p;
	pthread_mutex_unlock(&si.lock);
	return CU_SUCCESS;
}

/* The size of what was there, 0 for nothing. */
static size_t take(enum piece_kind kind, uint64_t at)
{
	struct piece **link, *p;
	size_t bytes = 0;

	pthread_mutex_lock(&si.lock);
	link = &pieces;
	while (*link && ((*link)->at != at || (*link)->kind != kind))
		link = &(*link)->next;
	p = *link;
	if (p) {
		*link = p->next;
		bytes = p->bytes;
		free(p);
	}
	pthread_mutex_unlock(&si.lock);
	return bytes;
}

static void *poisoned(size_t bytes)
{
	void *p = aligned_alloc(256, (bytes + 255) / 256 * 256);

	if (p)
		memset(p, 0xa5, bytes);		/* nobody may count on zeros */
	return p;
}

API cu_result cuMemAlloc_v2(cu_ptr *out, size_t bytes)
{
	cu_result res = si_check();
	uint64_t limit = si.say->memory;
	void *p;

	if (res || !bytes)
		return res ? res : INVALID_VALUE;
	si_count(&si.say->allocs, 1);
	if (si_due(&si.say->fail_alloc) || (limit && si.say->bytes + bytes > limit))
		return CU_OUT_OF_MEMORY;
	p = poisoned(bytes);
	if (!p || add(DEVICE, (uintptr_t)p, bytes)) {
		free(p);
		return CU_OUT_OF_MEMORY;
	}
	si_count(&si.say->bytes, bytes);
	*out = (uintptr_t)p;
	return CU_SUCCESS;
}

API cu_result cuMemFree_v2(cu_ptr at)
{
	size_t bytes = take(DEVICE, at);

	si_count(&si.say->allocs, 1);
	if (!bytes) {
		si_misuse("memory is freed that was not allocated");
		return INVALID_VALUE;
	}
	si_count(&si.say->bytes, -(int64_t)bytes);
	free((void *)(uintptr_t)at);
	return CU_SUCCESS;
}

API cu_result cuMemHostAlloc(void **out, size_t bytes, unsigned int flags)
{
	cu_result res = si_check();

	if (res || !bytes)
		return res ? res : INVALID_VALUE;
	si_count(&si.say->allocs, 1);
	*out = poisoned(bytes);
	return *out ? add(PINNED, (uintptr_t)*out, bytes) : CU_OUT_OF_MEMORY;
}

API cu_result cuMemFreeHost(void *p)
{
	si_count(&si.say->allocs, 1);
	if (!take(PINNED, (uintptr_t)p)) {
		si_misuse("pinned memory is freed that was not allocated");
		return INVALID_VALUE;
	}
	free(p);
	return CU_SUCCESS;
}

API cu_result cuMemHostGetDevicePointer_v2(cu_ptr *out, void *host, unsigned int flags)
{
	if (!memory_known((uintptr_t)host, 1))
		return INVALID_VALUE;
	*out = (uintptr_t)host;
	return CU_SUCCESS;
}

API cu_result cuMemHostRegister_v2(void *p, size_t bytes, unsigned int flags)
{
	cu_result res = si_check();

	if (res)
		return res;
	si_count(&si.say->registered, 1);
	if (si.say->no_register)
		return 801;
	if (si_due(&si.say->fail_register))
		return CU_OUT_OF_MEMORY;
	if (memory_known((uintptr_t)p, 1))
		return CU_ALREADY_REGISTERED;
	return add(REGISTERED, (uintptr_t)p, bytes);
}

API cu_result cuMemHostUnregister(void *p)
{
	si_count(&si.say->registered, 1);
	return take(REGISTERED, (uintptr_t)p) ? CU_SUCCESS : NOT_REGISTERED;
}

static cu_result copy(void *to, const void *from, size_t bytes, uint64_t device)
{
	cu_result res = si_check();

	if (res)
		return res;
	if (!memory_known(device, bytes)) {
		si_misuse("a copy to or from memory that the device has not");
		return INVALID_VALUE;
	}
	memcpy(to, from, bytes);
	return CU_SUCCESS;
}

API cu_result cuMemcpyHtoD_v2(cu_ptr to, const void *from, size_t bytes)
{
	return copy((void *)(uintptr_t)to, from, bytes, to);
}

API cu_result cuMemcpyDtoH_v2(void *to, cu_ptr from, size_t bytes)
{
	return copy(to, (const void *)(uintptr_t)from, bytes, from);
}

API cu_result cuMemsetD32_v2(cu_ptr to, unsigned int value, size_t n)
{
	cu_result res = si_check();
	unsigned int *p = (unsigned int *)(uintptr_t)to;

	if (res)
		return res;
	if (!memory_known(to, n * sizeof(*p))) {
		si_misuse("memory is set that the device has not");
		return INVALID_VALUE;
	}
	while (n--)
		*p++ = value;
	return CU_SUCCESS;
}

struct copy_work {
	struct work work;
	void *to;
	const void *from;
	size_t bytes;
};

static void copy_run(struct work *w, unsigned int *seed)
{
	struct copy_work *c = (struct copy_work *)w;

	memcpy(c->to, c->from, c->bytes);
}

static void copy_drop(struct work *w)
{
	free(w);
}

API cu_result cuMemcpyHtoDAsync_v2(cu_ptr to, const void *from, size_t bytes, cu_stream s)
{
	cu_result res = si_check();
	struct copy_work *c;

	if (res)
		return res;
	if (!memory_known(to, bytes)) {
		si_misuse("a copy to memory that the device has not");
		return INVALID_VALUE;
	}
	if (!memory_known((uintptr_t)from, bytes))
		si_count(&si.say->pageable, 1);
	c = malloc(sizeof(*c));
	if (!c)
		return CU_OUT_OF_MEMORY;
	*c = (struct copy_work){ { .run = copy_run, .drop = copy_drop },
				 (void *)(uintptr_t)to, from, bytes };
	return stream_put(s, &c->work);
}

struct value_work {
	struct work work;
	volatile uint32_t *at;
	uint32_t value;
};

static void write_run(struct work *w, unsigned int *seed)
{
	struct value_work *v = (struct value_work *)w;

	__atomic_store_n(v->at, v->value, __ATOMIC_RELEASE);
}

static void waits(int by)
{
	pthread_mutex_lock(&si.lock);
	si.waiting += by;
	pthread_cond_broadcast(&si.moved);
	pthread_mutex_unlock(&si.lock);
}

static void wait_run(struct work *w, unsigned int *seed)
{
	struct value_work *v = (struct value_work *)w;

	waits(1);
	while (__atomic_load_n(v->at, __ATOMIC_ACQUIRE) != v->value)
		usleep(100);
	waits(-1);
}

static cu_result put_value(cu_stream s, cu_ptr at, uint32_t value,
			   void (*run)(struct work *w, unsigned int *seed))
{
	cu_result res = si_check();
	struct value_work *v;

	if (res)
		return res;
	if (!memory_known(at, sizeof(value))) {
		si_misuse("a flag that the device has not");
		return INVALID_VALUE;
	}
	v = malloc(sizeof(*v));
	if (!v)
		return CU_OUT_OF_MEMORY;
	*v = (struct value_work){ { .run = run, .drop = copy_drop }, (uint32_t *)(uintptr_t)at,
				  value };
	return stream_put(s, &v->work);
}

API cu_result cuStreamWriteValue32_v2(cu_stream s, cu_ptr at, uint32_t value,
				      unsigned int flags)
{
	return put_value(s, at, value, write_run);
}

API cu_result cuStreamWaitValue32_v2(cu_stream s, cu_ptr at, uint32_t value,
				     unsigned int flags)
{
	return put_value(s, at, value, wait_run);
}
