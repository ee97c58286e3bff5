// SPDX-License-Identifier: MIT
/*
 * Messages through shared memory: see ring.h. Owns nothing.
 */
#include "lib/ring.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define HEAD		8u	/* of a record */
#define ALIGN8(n)	(((n) + 7) & ~7u)
#define MIN_BYTES	64u
#define MAX_BYTES	(1u << 30)

static uint32_t get(const __u32 *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static void set(__u32 *p, uint32_t v)
{
	__atomic_store_n(p, v, __ATOMIC_RELEASE);
}

static void barrier(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

size_t ring_span(uint32_t up_bytes, uint32_t down_bytes)
{
	return (size_t)BRAID_RING_DATA + up_bytes + down_bytes;
}

static bool is_size(uint32_t bytes)
{
	return bytes >= MIN_BYTES && bytes <= MAX_BYTES && !(bytes & (bytes - 1));
}

int ring_map(void *mem, struct ring *up, uint32_t up_bytes, struct ring *down,
	     uint32_t down_bytes)
{
	struct braid_ring_head *h = mem;
	uint8_t *data = (uint8_t *)mem + BRAID_RING_DATA;

	if (!is_size(up_bytes) || !is_size(down_bytes))
		return -EBADMSG;
	*up = (struct ring){ .h = &h[0], .data = data, .bytes = up_bytes };
	*down = (struct ring){ .h = &h[1], .data = data + up_bytes, .bytes = down_bytes };
	return 0;
}

/* Room for @need bytes? 0, -EAGAIN, -EBADMSG. */
static int room(const struct ring *r, uint32_t need)
{
	uint32_t used = r->pos - get(&r->h->tail);

	if (used > r->bytes)
		return -EBADMSG;
	return need <= r->bytes - used ? 0 : -EAGAIN;
}

int ring_put(struct ring *r, const void *msg, uint32_t n)
{
	uint32_t at = r->pos & (r->bytes - 1), left = r->bytes - at, need, skip;
	const uint32_t head[2] = { n, 0 }, skips[2] = { BRAID_RING_SKIP, 0 };
	int ret;

	if (n > r->bytes / 2 - HEAD)
		return -EMSGSIZE;
	need = HEAD + ALIGN8(n);
	skip = need > left ? left : 0;
	ret = room(r, skip + need);
	if (ret == -EAGAIN) {
		set(&r->h->full, 1);
		barrier();
		ret = room(r, skip + need);
		if (!ret)
			set(&r->h->full, 0);
	}
	if (ret)
		return ret;
	if (skip) {
		memcpy(r->data + at, skips, HEAD);
		r->pos += skip;
		at = 0;
	}
	memcpy(r->data + at, head, HEAD);
	memcpy(r->data + at + HEAD, msg, n);
	r->pos += need;
	r->h->cpu = sched_getcpu() + 1;
	set(&r->h->head, r->pos);
	return 0;
}

/* Not write(): that is a place to cancel a thread, which costs as much again. */
void ring_bell(int fd)
{
	const uint64_t one = 1;

	/* A counter that is full wakes as well. */
	syscall(SYS_write, fd, &one, sizeof(one));
}

bool ring_asleep(const struct ring *r)
{
	return get(&r->h->asleep);
}

bool ring_wake(struct ring *r)
{
	barrier();
	return get(&r->h->asleep) && __atomic_exchange_n(&r->h->asleep, 0, __ATOMIC_SEQ_CST);
}

ssize_t ring_take(struct ring *r, void *buf, uint32_t cap)
{
	uint32_t there = ring_there(r), at, n;

	if (!there)
		return 0;
	if (there > r->bytes || there % 8)
		return -EBADMSG;
	at = r->pos & (r->bytes - 1);
	n = get((const __u32 *)(r->data + at));
	if (n == BRAID_RING_SKIP) {
		/* Nothing follows at the start: it was not written in one go. */
		if (r->bytes - at >= there)
			return -EBADMSG;
		there -= r->bytes - at;
		r->pos += r->bytes - at;
		at = 0;
		n = get((const __u32 *)r->data);
	}
	if (n > cap || n > r->bytes / 2 - HEAD || HEAD + ALIGN8(n) > there ||
	    HEAD + ALIGN8(n) > r->bytes - at)
		return -EBADMSG;
	memcpy(buf, r->data + at + HEAD, n);
	r->pos += HEAD + ALIGN8(n);
	set(&r->h->tail, r->pos);
	/* An empty one says as little as none, but must not look like it. */
	return n ? (ssize_t)n : -EBADMSG;
}

bool ring_wanted(struct ring *r)
{
	barrier();
	return get(&r->h->full) && __atomic_exchange_n(&r->h->full, 0, __ATOMIC_SEQ_CST);
}

uint32_t ring_there(const struct ring *r)
{
	return get(&r->h->head) - r->pos;
}

bool ring_empty(const struct ring *r)
{
	return !ring_there(r);
}

bool ring_arm(struct ring *r)
{
	set(&r->h->asleep, 1);
	barrier();
	if (ring_empty(r))
		return true;
	set(&r->h->asleep, 0);
	return false;
}

void ring_disarm(struct ring *r)
{
	set(&r->h->asleep, 0);
}
