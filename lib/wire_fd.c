// SPDX-License-Identifier: MIT
/*
 * Messages and descriptors over sockets: see wire_fd.h. No state.
 */
#include "lib/wire_fd.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* More in a message than this the kernel closes. */
#define MAX_FDS	8

int wire_send(int sock, const void *msg, size_t bytes, int fd, int flags)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} ctl = { .room = { 0 } };
	struct iovec iov = { (void *)msg, bytes };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (fd >= 0) {
		mh.msg_control = &ctl;
		mh.msg_controllen = sizeof(ctl.room);
		ctl.head.cmsg_level = SOL_SOCKET;
		ctl.head.cmsg_type = SCM_RIGHTS;
		ctl.head.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&ctl.head), &fd, sizeof(int));
	}
	do {
		n = sendmsg(sock, &mh, flags | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/* The first descriptor of a message; others are closed. */
static int take_fd(struct msghdr *mh)
{
	int fd = -1, got;

	for (struct cmsghdr *cm = CMSG_FIRSTHDR(mh); cm; cm = CMSG_NXTHDR(mh, cm)) {
		if (cm->cmsg_level != SOL_SOCKET || cm->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = CMSG_LEN(0); at + sizeof(got) <= cm->cmsg_len; at += sizeof(got)) {
			memcpy(&got, (uint8_t *)cm + at, sizeof(got));
			if (fd < 0)
				fd = got;
			else
				close(got);
		}
	}
	return fd;
}

ssize_t wire_recv(int sock, void *buf, size_t cap, int flags, int *fd)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int) * MAX_FDS)];
	} ctl;
	struct iovec iov = { buf, cap };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &ctl,
			     .msg_controllen = sizeof(ctl.room) };
	ssize_t n;
	int got;

	if (fd)
		*fd = -1;
	n = recvmsg(sock, &mh, flags | MSG_CMSG_CLOEXEC);
	if (n < 0)
		return -errno;
	got = take_fd(&mh);
	if (fd)
		*fd = got;
	else if (got >= 0)
		close(got);
	return n;
}
