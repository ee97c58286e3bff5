// SPDX-License-Identifier: MIT
/*
 * Tenants' buffers, mapped for the workers.
 *
 * A page that is cut off a file under a mapping kills who touches it, so a
 * file must be sealed against shrinking; the device's buffers cannot shrink.
 *
 * No state but the mappings.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "agent/cpu/exec.h"

int buffer_map(int fd, uint64_t bytes, struct backend_buf **out)
{
	struct backend_buf *buf;
	struct stat st;
	int seals;

	if (!bytes || bytes > SIZE_MAX / 2)
		return -EINVAL;
	if (fstat(fd, &st))
		return -errno;
	if (S_ISREG(st.st_mode)) {
		seals = fcntl(fd, F_GET_SEALS);
		if (seals < 0 || !(seals & F_SEAL_SHRINK))
			return -EPERM;
		if ((uint64_t)st.st_size < bytes)
			return -EINVAL;
	}
	buf = calloc(1, sizeof(*buf));
	if (!buf)
		return -ENOMEM;
	buf->bytes = bytes;
	buf->base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (buf->base == MAP_FAILED) {
		int err = -errno;

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
