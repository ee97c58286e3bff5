// SPDX-License-Identifier: MIT
/*
 * Tenants' buffers as the runner knows them: mapped once when the queue tells
 * of them, unmapped when it says that nothing uses them any more. A backend
 * may take its time over that; the queue hears of it when it is done.
 *
 * Owns the table. Ids are given out one by one, so their low bits hash well.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "agent/log.h"
#include "agent/runner/runner.h"

#define BUCKETS	4096u

struct buf_table {
	struct run_buf *bucket[BUCKETS];
};

struct buf_table *bufs_new(void)
{
	return calloc(1, sizeof(struct buf_table));
}

struct run_buf *buf_find(const struct buf_table *t, uint64_t id)
{
	struct run_buf *b = t->bucket[id % BUCKETS];

	while (b && b->id != id)
		b = b->next;
	return b;
}

static void unmapped(struct runner *r, struct run_buf *b)
{
	if (b->look)
		munmap((void *)b->look, b->bytes);
	free(b);
}

/* False: the backend tells when it has done so. */
static bool unmap(struct runner *r, struct run_buf *b)
{
	if (b->bb && !r->ops->buf_unmap(r->be, b->bb, b)) {
		r->n_unmapping++;
		return false;
	}
	unmapped(r, b);
	return true;
}

/* A buffer that can't be mapped is left out: requests that use it fail. */
int buf_add(struct runner *r, const struct braid_event *ev)
{
	struct braid_buf_get_fd arg = { .size = sizeof(arg), .id = ev->id };
	struct run_buf *b;
	int fd = -1, ret;

	ret = runner_call(r, BRAID_NR_BUF_GET_FD, &arg, &fd);
	if (ret == -ENOENT)
		return 0;		/* gone already */
	if (ret)
		return ret;
	b = calloc(1, sizeof(*b));
	if (!b || fd < 0) {
		if (runner_may_tell(r))
			log_line(LOG_WARNING, "buffer can't be taken", "buffer=%llu tenant=%llu",
				 (unsigned long long)ev->id, (unsigned long long)ev->tenant);
		goto skip;
	}
	b->id = ev->id;
	b->bytes = arg.length;
	ret = r->ops->buf_map(r->be, fd, b->bytes, ev->tenant, &b->bb);
	if (ret) {
		if (runner_may_tell(r))
			log_line(LOG_WARNING, "buffer can't be mapped",
				 "buffer=%llu tenant=%llu error=%d", (unsigned long long)ev->id,
				 (unsigned long long)ev->tenant, ret);
		goto skip;
	}
	if (r->cfg.kill_model[0]) {
		void *p = mmap(NULL, b->bytes, PROT_READ, MAP_SHARED, fd, 0);

		b->look = p == MAP_FAILED ? NULL : p;
	}
	close(fd);
	b->next = r->bufs->bucket[b->id % BUCKETS];
	r->bufs->bucket[b->id % BUCKETS] = b;
	return 0;

skip:
	free(b);
	if (fd >= 0)
		close(fd);
	return 0;
}

static void put(struct runner *r, uint64_t id)
{
	struct braid_buf_put arg = { .size = sizeof(arg), .id = id };
	int ret = runner_call(r, BRAID_NR_BUF_PUT, &arg, NULL);

	if (ret)
		log_line(LOG_WARNING, "buffer not taken back", "buffer=%llu error=%d",
			 (unsigned long long)id, ret);
}

void buf_retire(struct runner *r, uint64_t id)
{
	struct run_buf **at = &r->bufs->bucket[id % BUCKETS], *b;

	while (*at && (*at)->id != id)
		at = &(*at)->next;
	b = *at;
	if (b) {
		*at = b->next;
		if (!unmap(r, b))
			return;
	}
	put(r, id);
}

void bufs_unmapped(struct runner *r, bool tell)
{
	struct run_buf *b;

	while (r->n_unmapping && (b = r->ops->buf_unmapped(r->be))) {
		r->n_unmapping--;
		if (tell)
			put(r, b->id);
		unmapped(r, b);
	}
}

void bufs_free(struct runner *r)
{
	if (!r->bufs)
		return;
	for (unsigned int i = 0; i < BUCKETS; i++) {
		while (r->bufs->bucket[i]) {
			struct run_buf *b = r->bufs->bucket[i];

			r->bufs->bucket[i] = b->next;
			unmap(r, b);
		}
	}
	while (r->n_unmapping) {
		struct timespec ts = { .tv_nsec = 1000000 };

		bufs_unmapped(r, false);
		if (r->n_unmapping)
			nanosleep(&ts, NULL);
	}
	free(r->bufs);
	r->bufs = NULL;
}
