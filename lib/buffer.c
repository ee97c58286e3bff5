// SPDX-License-Identifier: MIT
/*
 * Buffers: memory that the queue made, mapped here for as long as the handle
 * lives. The descriptor is kept, since it is what a restarted queue adopts.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/conn.h"

#define API __attribute__((visibility("default")))

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
		arg = (struct braid_buf_alloc){ .size = sizeof(arg), .length = bytes };
		ret = conn_wait_up(b);
		if (!ret)
			ret = conn_call(b, BRAID_NR_BUF_ALLOC, &arg, -1, &buf->fd);
	} while (ret == -ECONNRESET && !b->dead);
	if (ret) {
		braid_fail(ret, "buffer of %zu bytes: %s", bytes,
			   ret == -EDQUOT ? "over the byte quota" : strerror(-ret));
		goto err;
	}
	if (buf->fd < 0 || arg.length < bytes) {
		ret = braid_fail(-EBADMSG, "buffer of %zu bytes: no descriptor came", bytes);
		goto err;
	}
	buf->id = arg.id;
	buf->bytes = arg.length;
	buf->addr = mmap(NULL, buf->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, buf->fd, 0);
	if (buf->addr == MAP_FAILED) {
		struct braid_buf_free back = { .size = sizeof(back), .id = buf->id };

		ret = braid_fail(-errno, "mapping a buffer of %zu bytes: %s", bytes,
				 strerror(errno));
		conn_call(b, BRAID_NR_BUF_FREE, &back, -1, NULL);
		goto err;
	}
	buf->next = b->bufs;
	b->bufs = buf;
	conn_unlock(b);
	*out = buf;
	return 0;

err:
	conn_unlock(b);
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
	struct braid_buf_free arg;
	struct braid_buf **at;
	int ret = 0;

	if (!buf)
		return 0;
	conn_lock(b);
	for (at = &b->bufs; *at && *at != buf; at = &(*at)->next)
		;
	if (!*at) {
		conn_unlock(b);
		return braid_fail(-ENOENT, "not a buffer of this connection");
	}
	*at = buf->next;	/* a queue that comes back now is not told of it */
	if (b->sock >= 0) {
		arg = (struct braid_buf_free){ .size = sizeof(arg), .id = buf->id };
		ret = conn_call(b, BRAID_NR_BUF_FREE, &arg, -1, NULL);
		if (ret == -ECONNRESET)
			ret = 0;	/* it went with the connection */
	}
	conn_unlock(b);
	munmap(buf->addr, buf->bytes);
	close(buf->fd);
	free(buf);
	return ret;
}
