// SPDX-License-Identifier: MIT
/*
 * nvgpu's ctxsw node: see ctxsw_node.h. The numbers of its ioctls are those of
 * nvgpu's uapi header.
 */
#include "bpf/ctxsw_node.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct ring_setup {
	uint32_t size;
};

struct filter {
	uint64_t tags[4];	/* a bit each */
};

#define TRACE_ENABLE	_IO('C', 1)
#define TRACE_DISABLE	_IO('C', 2)
#define RING_SETUP	_IOWR('C', 3, struct ring_setup)
#define SET_FILTER	_IOW('C', 4, struct filter)
#define POLL		_IO('C', 6)

#define RING_BYTES	(1u << 20)

/* Of drivers of different age. */
static const char *const paths[] = {
	"/dev/nvgpu/igpu0/ctxsw", "/dev/nvhost-ctxsw-gpu", "/dev/nvgpu/dgpu-0/ctxsw",
};

int ctxsw_node_open(const char *path, char *why, size_t len)
{
	struct ring_setup ring = { .size = RING_BYTES };
	struct filter all;
	int fd, ret;

	for (unsigned int i = 0; !path && i < sizeof(paths) / sizeof(paths[0]); i++)
		if (!access(paths[i], F_OK))
			path = paths[i];
	if (!path) {
		snprintf(why, len, "no ctxsw node of nvgpu here (%s)", paths[0]);
		return -ENOENT;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		ret = -errno;
		snprintf(why, len, "%s: %s", path, strerror(-ret));
		return ret;
	}
	memset(&all, 0xff, sizeof(all));
	if (!ioctl(fd, RING_SETUP, &ring) && !ioctl(fd, SET_FILTER, &all) &&
	    !ioctl(fd, TRACE_ENABLE))
		return fd;
	ret = -errno;
	snprintf(why, len, "%s: tracing can't be enabled: %s", path, strerror(-ret));
	close(fd);
	return ret;
}

void ctxsw_node_poll(int fd)
{
	ioctl(fd, POLL);
}

void ctxsw_node_drain(int fd)
{
	uint8_t buf[24 * 512];

	ctxsw_node_poll(fd);
	while (read(fd, buf, sizeof(buf)) == sizeof(buf))
		;
}

void ctxsw_node_close(int fd)
{
	ioctl(fd, TRACE_DISABLE);
	close(fd);
}
