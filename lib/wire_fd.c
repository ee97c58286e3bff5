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

static unsigned int take_fds(struct msghdr *mh, int *fds)
{
	unsigned int n = 0;

	for (struct cmsghdr *cm = CMSG_FIRSTHDR(mh); cm; cm = CMSG_NXTHDR(mh, cm)) {
		if (cm->cmsg_level != SOL_SOCKET || cm->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = CMSG_LEN(0); at + sizeof(*fds) <= cm->cmsg_len && n < WIRE_MAX_FDS;
		     at += sizeof(*fds))
			memcpy(&fds[n++], (uint8_t *)cm + at, sizeof(*fds));
	}
	return n;
}

/* With less room for descriptors the kernel would close those left over, here. */
ssize_t wire_recv_fds(int sock, void *buf, size_t cap, int flags, int *fds, unsigned int *n_fds)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int) * WIRE_MAX_FDS)];
	} ctl;
	struct iovec iov = { buf, cap };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &ctl,
			     .msg_controllen = sizeof(ctl.room) };
	ssize_t n;

	*n_fds = 0;
	n = recvmsg(sock, &mh, flags | MSG_CMSG_CLOEXEC);
	if (n < 0)
		return -errno;
	*n_fds = take_fds(&mh, fds);
	return n;
}

bool wire_brings_fds(int sock)
{
	struct msghdr mh = { 0 };

	/* Without room for them it says that there are some, and they stay. */
	return recvmsg(sock, &mh, MSG_PEEK | MSG_DONTWAIT) >= 0 && mh.msg_flags & MSG_CTRUNC;
}

ssize_t wire_recv(int sock, void *buf, size_t cap, int flags, int *fd)
{
	int fds[WIRE_MAX_FDS];
	unsigned int n_fds, kept = 0;
	ssize_t n = wire_recv_fds(sock, buf, cap, flags, fds, &n_fds);

	if (fd)
		*fd = -1;
	if (fd && n_fds)
		*fd = fds[kept++];
	while (kept < n_fds)
		close(fds[kept++]);
	return n;
}
