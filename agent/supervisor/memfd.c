// SPDX-License-Identifier: MIT
/*
 * Buffers as memfds. The queue makes them and seals their size before anybody
 * else has them, so a tenant can't truncate one under the agent, which would
 * be a SIGBUS there.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "agent/supervisor/server.h"

#define SEALS	(F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

/* A memfd that is still empty, or a negative errno. */
int memfd_new(const char *name)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return errno == EMFILE || errno == ENFILE ? -ENOMEM : -errno;
	return fd;
}

/* All its pages, now, so that lack of memory is an error here and no fault later. */
int memfd_fill(int fd, uint64_t bytes)
{
	int ret;

	do {
		ret = posix_fallocate(fd, 0, bytes);
	} while (ret == EINTR);
	/* What it is a lack of is no business of tenants: memory. */
	if (ret)
		return ret == ENOSPC || ret == EFBIG ? -ENOMEM : -ret;
	return fcntl(fd, F_ADD_SEALS, SEALS) ? -errno : 0;
}

/* Could this descriptor be one of memfd_new()'s? 0 or -EINVAL. */
int memfd_check(int fd, uint64_t bytes)
{
	struct statfs fs;
	struct stat st;

	/* First: it asks nothing of whoever made the file. */
	if (fcntl(fd, F_GET_SEALS) != SEALS)
		return -EINVAL;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size < 0 ||
	    (uint64_t)st.st_size != bytes)
		return -EINVAL;
	/* Huge pages can run out on a fault; these can't. */
	if (fstatfs(fd, &fs) || fs.f_type != TMPFS_MAGIC)
		return -EINVAL;
	/* Holes that a tenant punched are filled again, or refused. */
	return posix_fallocate(fd, 0, bytes) ? -EINVAL : 0;
}
