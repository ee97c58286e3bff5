// SPDX-License-Identifier: MIT
/*
 * Tenants' buffers: mapped at once, made known to the device in the
 * background. Until then, and where that can't be, what is in them is staged
 * (lane.c), so nobody waits.
 *
 * Registering pins pages and changes the device's page tables, which other
 * calls of the driver wait for. It is rate-limited by tenant: one that makes
 * and frees buffers all the time has them staged and slows down only itself.
 *
 * The backend's lock protects the list of what is gone; a buffer's memory is
 * the caller's until buffer_drop() and the chores thread's from then on.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "agent/cuda/cuda.h"

/*
 * As many as a tenant with 64 requests of two tensors outstanding has, twice: what is
 * over that is staged till it is used again, and a model's rows for that are few.
 */
#define BURST		256u		/* registrations at once */
#define REFILL_NS	20000000ull	/* one more each so often */

/* A bucket of tokens for each tenant. */
static bool may_register(struct backend *be, uint64_t tenant)
{
	struct limit *l = &be->limits[tenant % CUDA_TENANTS];
	uint64_t now = backend_now(), back = (now - l->filled_ns) / REFILL_NS;

	l->used = back >= l->used ? 0 : l->used - (uint32_t)back;
	l->filled_ns += back * REFILL_NS;
	if (l->used == BURST)
		return false;
	l->used++;
	return true;
}

static void make_known(struct chore *c)
{
	struct backend_buf *b = (struct backend_buf *)c;
	const struct device *d = &b->be->dev;
	uint64_t began;
	cu_result res;

	if (atomic_load(&b->be->is_lost))
		return;
	if (!may_register(b->be, b->tenant)) {
		b->again_ns = backend_now() + REFILL_NS;
		atomic_store_explicit(&b->state, BUFFER_LIMITED, memory_order_release);
		return;
	}
	began = backend_now();
	res = d->cu.host_register(b->base, b->bytes, CU_HOST_PORTABLE | CU_HOST_DEVICEMAP);
	atomic_fetch_add(&b->be->register_ns, backend_now() - began);
	if (!res) {
		res = d->cu.host_pointer(&b->at, b->base, 0);
		if (res)
			d->cu.host_unregister(b->base);
	}
	atomic_fetch_add(&b->be->registered, !res);
	atomic_store_explicit(&b->state, res ? BUFFER_REFUSED : BUFFER_REGISTERED,
			      memory_order_release);
}

int buffer_new(struct backend *be, int fd, uint64_t bytes, uint64_t tenant,
	       struct backend_buf **out)
{
	struct backend_buf *b = calloc(1, sizeof(*b));
	int ret;

	if (!b)
		return -ENOMEM;
	ret = tenant_map(fd, bytes, &b->base);
	if (ret) {
		free(b);
		return ret;
	}
	b->be = be;
	b->bytes = bytes;
	b->tenant = tenant;
	b->chore.run = make_known;
	if (be->dev.can_register)
		chores_put(be->chores, &b->chore);
	else
		atomic_store(&b->state, BUFFER_REFUSED);
	*out = b;
	return 0;
}

cu_ptr buffer_at(struct backend_buf *b, uint64_t now)
{
	int state = atomic_load_explicit(&b->state, memory_order_acquire);

	if (state == BUFFER_REGISTERED)
		return b->at;
	if (state == BUFFER_LIMITED && now >= b->again_ns) {
		atomic_store(&b->state, BUFFER_PLAIN);
		chores_put(b->be->chores, &b->chore);
	}
	return 0;
}

/* In order behind make_known(), so that is over. */
static void forget(struct chore *c)
{
	struct backend_buf *b = (struct backend_buf *)c;
	struct backend *be = b->be;
	uint64_t began;

	if (atomic_load(&b->state) == BUFFER_REGISTERED) {
		began = backend_now();
		be->dev.cu.host_unregister(b->base);
		atomic_fetch_add(&be->unregister_ns, backend_now() - began);
		atomic_fetch_add(&be->unregistered, 1);
	}
	munmap(b->base, b->bytes);
	pthread_mutex_lock(&be->lock);
	b->next_gone = NULL;
	*be->gone_end = b;
	be->gone_end = &b->next_gone;
	pthread_mutex_unlock(&be->lock);
	reaper_tell(be);
}

struct drop {
	struct chore chore;
	struct backend_buf *buf;
};

static void forget_later(struct chore *c)
{
	struct drop *d = (struct drop *)c;

	forget(&d->buf->chore);
	free(d);
}

/*
 * The buffer's own chore may still wait to be done, so this one is another. It
 * is not the hot path: a tenant has freed a buffer or gone.
 */
void buffer_drop(struct backend_buf *b, void *priv)
{
	struct drop *d = malloc(sizeof(*d));

	b->priv = priv;
	if (d) {
		*d = (struct drop){ .chore.run = forget_later, .buf = b };
		chores_put(b->be->chores, &d->chore);
		return;
	}
	chores_wait(b->be->chores);
	forget(&b->chore);
}

void *buffers_gone(struct backend *be)
{
	struct backend_buf *b;
	void *priv = NULL;

	pthread_mutex_lock(&be->lock);
	b = be->gone;
	if (b) {
		be->gone = b->next_gone;
		if (!be->gone)
			be->gone_end = &be->gone;
		priv = b->priv;
	}
	pthread_mutex_unlock(&be->lock);
	free(b);
	return priv;
}
