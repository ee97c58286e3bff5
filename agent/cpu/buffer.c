// SPDX-License-Identifier: MIT
/*
 * Tenants' buffers, mapped for the workers. No state but the mappings.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "agent/cpu/exec.h"

int buffer_map(int fd, uint64_t bytes, struct backend_buf **out)
{
	struct backend_buf *buf = calloc(1, sizeof(*buf));
	int err;

	if (!buf)
		return -ENOMEM;
	buf->bytes = bytes;
	err = tenant_map(fd, bytes, &buf->base);
	if (err) {
		free(buf);
		return err;
	}
	*out = buf;
	return 0;
}

void buffer_unmap(struct backend_buf *buf)
{
	if (!buf)
		return;
	munmap(buf->base, buf->bytes);
	free(buf);
}
