// SPDX-License-Identifier: MIT
/*
 * Reading nvgpu's ctxsw node: see node.h. The numbers of its ioctls are those of
 * nvgpu's uapi header.
 */
#include "tools/switch/node.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
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

/* In order of age: driver 36 and later, 35, and before. */
static const char *const paths[] = {
	"/dev/nvgpu/igpu0/ctxsw", "/dev/nvhost-ctxsw-gpu", "/dev/nvgpu/dgpu-0/ctxsw",
};

static int set_up(int fd)
{
	struct ring_setup ring = { .size = RING_BYTES };
	struct filter all;

	memset(&all, 0xff, sizeof(all));
	if (ioctl(fd, RING_SETUP, &ring) || ioctl(fd, SET_FILTER, &all) ||
	    ioctl(fd, TRACE_ENABLE))
		return -errno;
	return 0;
}

int node_open(struct node *n, const char *path, enum ctxsw_format format, char *why, size_t len)
{
	struct stat st;
	int ret;

	*n = (struct node){ .fd = -1, .format = format };
	for (unsigned int i = 0; !path && i < sizeof(paths) / sizeof(paths[0]); i++)
		if (!access(paths[i], F_OK))
			path = paths[i];
	if (!path) {
		snprintf(why, len, "no ctxsw node of nvgpu here (%s)", paths[0]);
		return -ENOENT;
	}
	n->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (n->fd < 0 || fstat(n->fd, &st)) {
		ret = -errno;
		snprintf(why, len, "%s: %s", path, strerror(-ret));
		node_close(n);
		return ret;
	}
	n->file = !S_ISCHR(st.st_mode);
	if (n->file)
		return 0;
	n->format = CTXSW_V1;
	ret = set_up(n->fd);
	if (!ret)
		return 0;
	snprintf(why, len, "%s: tracing can't be enabled: %s", path, strerror(-ret));
	node_close(n);
	return ret;
}

int node_read(struct node *n, struct ctxsw *c,
	      void (*each)(void *arg, const struct ctxsw_record *r), void *arg)
{
	unsigned char buf[CTXSW_RECORD_BYTES * 512];
	struct ctxsw_record r;
	int count = 0;
	ssize_t got;

	if (!n->file)
		ioctl(n->fd, POLL);	/* have the driver look at what the hardware wrote */
	memcpy(buf, n->bytes, n->have);
	got = read(n->fd, buf + n->have, sizeof(buf) - n->have);
	if (got < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (!got && n->file)
		return n->have ? -EBADMSG : -ENODATA;
	got += n->have;
	for (ssize_t at = 0; at + (ssize_t)CTXSW_RECORD_BYTES <= got; at += CTXSW_RECORD_BYTES) {
		ctxsw_decode(buf + at, n->format, &r);
		ctxsw_add(c, &r);
		if (each)
			each(arg, &r);
		count++;
	}
	n->have = got % CTXSW_RECORD_BYTES;
	memcpy(n->bytes, buf + got - n->have, n->have);
	return count;
}

void node_close(struct node *n)
{
	if (n->fd < 0)
		return;
	if (!n->file)
		ioctl(n->fd, TRACE_DISABLE);
	close(n->fd);
	n->fd = -1;
}
