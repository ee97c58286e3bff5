// SPDX-License-Identifier: MIT
/*
 * Tenants' buffers as the runner knows them: mapped once when the queue tells
 * of them, unmapped when it says that nothing uses them any more.
 *
 * Owns the table. Ids are given out one by one, so their low bits hash well.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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

static void unmap(struct runner *r, struct run_buf *b)
{
	if (b->bb)
		r->ops->buf_unmap(r->be, b->bb);
	if (b->look)
		munmap((void *)b->look, b->bytes);
	free(b);
}

/* A buffer that can't be mapped is left out: requests that use it fail. */
int buf_add(struct runner *r, const struct braid_event *ev)
{
	struct braid_buf_get_fd arg = { .size = sizeof(arg), .id = ev->id };
	struct run_buf *b;
	int fd = -1, ret;

	ret = link_call(r->link, BRAID_NR_BUF_GET_FD, &arg, &fd);
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
	ret = r->ops->buf_map(r->be, fd, b->bytes, &b->bb);
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

void buf_retire(struct runner *r, uint64_t id)
{
	struct braid_buf_put arg = { .size = sizeof(arg), .id = id };
	struct run_buf **at = &r->bufs->bucket[id % BUCKETS], *b;
	int ret;

	while (*at && (*at)->id != id)
		at = &(*at)->next;
	b = *at;
	if (b) {
		*at = b->next;
		unmap(r, b);
	}
	ret = link_call(r->link, BRAID_NR_BUF_PUT, &arg, NULL);
	if (ret)
		log_line(LOG_WARNING, "buffer not taken back", "buffer=%llu error=%d",
			 (unsigned long long)id, ret);
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
	free(r->bufs);
	r->bufs = NULL;
}
