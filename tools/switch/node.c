// SPDX-License-Identifier: MIT
/*
 * Reading records of nvgpu: see node.h.
 */
#include "tools/switch/node.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bpf/ctxsw_node.h"

int node_open(struct node *n, const char *path, enum ctxsw_format format, char *why, size_t len)
{
	struct stat st;

	*n = (struct node){ .fd = -1, .format = format };
	if (path && !stat(path, &st) && !S_ISCHR(st.st_mode)) {
		n->file = 1;
		n->fd = open(path, O_RDONLY | O_CLOEXEC);
		if (n->fd < 0)
			snprintf(why, len, "%s: %s", path, strerror(errno));
		return n->fd < 0 ? -errno : 0;
	}
	n->format = CTXSW_V1;
	n->fd = ctxsw_node_open(path, why, len);
	return n->fd < 0 ? n->fd : 0;
}

int node_read(struct node *n, struct ctxsw *c,
	      void (*each)(void *arg, const struct ctxsw_record *r), void *arg)
{
	unsigned char buf[CTXSW_RECORD_BYTES * 512];
	struct ctxsw_record r;
	int count = 0;
	ssize_t got;

	if (!n->file)
		ctxsw_node_poll(n->fd);
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
	if (n->fd >= 0 && n->file)
		close(n->fd);
	else if (n->fd >= 0)
		ctxsw_node_close(n->fd);
	n->fd = -1;
}
