// SPDX-License-Identifier: MIT
/*
 * Buffers: memory that the queue made, mapped here for as long as the handle
 * lives. Over the socket the descriptor is kept, since it is what a restarted
 * queue adopts.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/conn.h"

#define API __attribute__((visibility("default")))

/*
 * From here on a queue that comes back adopts it, so this is not left to when
 * the caller wakes.
 */
static void buf_taken(struct braid *b, struct call *call)
{
	const struct braid_buf_alloc *arg = call->arg;
	struct braid_buf *buf = call->data;

	if (!call->ret && (call->fd < 0 || !arg->length))
		call->ret = -EBADMSG;
	if (call->ret)
		return;
	buf->fd = call->fd;
	call->fd = -1;
	buf->id = arg->id;
	buf->bytes = arg->length;
	buf->next = b->bufs;
	b->bufs = buf;
}

/* Take it off the list and tell the queue; 1: it is none of ours. */
static int buf_retire(struct braid *b, struct braid_buf *buf)
{
	struct braid_buf_free arg = { .size = sizeof(arg), .id = buf->id };
	struct braid_buf **at;
	int ret;

	for (at = &b->bufs; *at && *at != buf; at = &(*at)->next)
		;
	if (!*at)
		return 1;
	*at = buf->next;	/* a queue that comes back now is not told of it */
	request_strand(b, buf);
	ret = conn_call(b, BRAID_NR_BUF_FREE, &arg);
	return ret == -ECONNRESET ? 0 : ret;	/* it went with the connection */
}

API int braid_buf_new(struct braid *b, size_t bytes, struct braid_buf **out)
{
	struct braid_buf *buf = calloc(1, sizeof(*buf));
	struct braid_buf_alloc arg;
	int ret;

	if (!buf)
		return braid_fail(-ENOMEM, "no memory");
	buf->fd = -1;
	conn_lock(b);
	do {
		struct call call = { .taken = buf_taken, .data = buf };

		arg = (struct braid_buf_alloc){ .size = sizeof(arg), .length = bytes };
		ret = conn_wait_up(b);
		if (!ret)
			ret = conn_ask(b, &call, BRAID_NR_BUF_ALLOC, &arg);
	} while (ret == -ECONNRESET && !b->dead);
	if (ret && !b->dead)
		braid_fail(ret, "buffer of %zu bytes: %s", bytes,
			   ret == -EDQUOT ? "over the byte quota" : strerror(-ret));
	conn_unlock(b);
	if (ret)
		goto err;
	buf->addr = mmap(NULL, buf->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, buf->fd, 0);
	if (buf->addr == MAP_FAILED || buf->bytes < bytes) {
		ret = buf->addr == MAP_FAILED ? -errno : -EBADMSG;
		if (buf->addr != MAP_FAILED)
			munmap(buf->addr, buf->bytes);
		conn_lock(b);
		buf_retire(b, buf);
		conn_unlock(b);
		braid_fail(ret, "mapping a buffer of %zu bytes: %s", bytes, strerror(-ret));
		goto err;
	}
	/* Only a queue that comes back would want it. */
	if (!b->transport->may_return) {
		close(buf->fd);
		buf->fd = -1;
	}
	*out = buf;
	return 0;

err:
	if (buf->fd >= 0)
		close(buf->fd);
	free(buf);
	return ret;
}

API void *braid_buf_addr(const struct braid_buf *buf)
{
	return buf->addr;
}

API size_t braid_buf_bytes(const struct braid_buf *buf)
{
	return buf->bytes;
}

API int braid_buf_free(struct braid *b, struct braid_buf *buf)
{
	int ret;

	if (!buf)
		return 0;
	conn_lock(b);
	ret = buf_retire(b, buf);
	conn_unlock(b);
	if (ret > 0)
		return braid_fail(-ENOENT, "not a buffer of this connection");
	munmap(buf->addr, buf->bytes);
	if (buf->fd >= 0)
		close(buf->fd);
	free(buf);
	return ret;
}
