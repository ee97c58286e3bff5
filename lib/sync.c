// SPDX-License-Identifier: MIT
/*
 * A fresh socket: connecting, and bringing back what an earlier queue knew.
 *
 * Runs in the reader with the lock held, before anybody else uses the socket,
 * so calls here are plain send and receive with a time limit.
 */
#include "lib/conn.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

int sync_call(struct braid *b, uint32_t nr, void *arg, int fd_in, int *fd_out)
{
	char ctl[CMSG_SPACE(sizeof(int) * 4)] = { 0 };
	const struct wire_cmd *cmd = wire_cmd(nr);
	struct iovec iov = { .iov_base = b->out };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct braid_msg head;
	int fd = -1;
	ssize_t n;

	n = wire_encode_command(cmd, arg, ++b->seq, 0, b->out, sizeof(b->out));
	if (n < 0)
		return n;
	iov.iov_len = n;
	if (fd_in >= 0) {
		struct cmsghdr *cm = (struct cmsghdr *)ctl;

		mh.msg_control = ctl;
		mh.msg_controllen = CMSG_SPACE(sizeof(int));
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cm), &fd_in, sizeof(int));
	}
	do {
		n = sendmsg(b->sock, &mh, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;

	for (;;) {
		iov = (struct iovec){ b->in, sizeof(b->in) };
		mh = (struct msghdr){ .msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl,
				      .msg_controllen = sizeof(ctl) };
		n = recvmsg(b->sock, &mh, MSG_CMSG_CLOEXEC);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		if (n < (ssize_t)sizeof(head))
			return -ECONNRESET;
		for (struct cmsghdr *cm = CMSG_FIRSTHDR(&mh); cm; cm = CMSG_NXTHDR(&mh, cm))
			if (cm->cmsg_level == SOL_SOCKET && cm->cmsg_type == SCM_RIGHTS)
				memcpy(&fd, CMSG_DATA(cm), sizeof(fd));
		memcpy(&head, b->in, sizeof(head));
		if (head.type != BRAID_MSG_COMPLETIONS)
			break;
		/* While outstanding requests are sent again, the first may end. */
		for (size_t at = sizeof(head); at + sizeof(struct braid_completion) <= (size_t)n;) {
			struct braid_completion c;

			memcpy(&c, b->in + at, sizeof(c));
			if (c.size < sizeof(c))
				return -EBADMSG;
			request_completed(b, &c);
			at += c.size;
		}
	}
	if (fd_out)
		*fd_out = fd;
	else if (fd >= 0)
		close(fd);
	if (head.ret == -EPROTONOSUPPORT || head.ret == -EBADMSG)
		return head.ret;
	return head.seq == b->seq ? wire_decode_reply(cmd, b->in, n, arg) : -EBADMSG;
}

int sync_connect(struct braid *b, struct braid_get_info *info)
{
	struct timeval tv = { .tv_sec = 2 };
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int size = 4 * WIRE_MAX_BYTES, ret;

	memcpy(sa.sun_path, b->path, sizeof(sa.sun_path));
	b->sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (b->sock < 0)
		return braid_fail(-errno, "socket: %s", strerror(errno));
	if (connect(b->sock, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		ret = braid_fail(-errno, "%s: %s", b->path,
				 errno == EACCES ? "not in the group that may use it" :
				 strerror(errno));
		goto err;
	}
	setsockopt(b->sock, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	setsockopt(b->sock, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	*info = (struct braid_get_info){ .size = sizeof(*info) };
	ret = sync_call(b, BRAID_NR_GET_INFO, info, -1, NULL);
	if (ret == -EPROTONOSUPPORT) {
		braid_fail(ret, "%s: the queue speaks another version than %u", b->path, BRAID_ABI);
		goto err;
	}
	if (ret) {
		braid_fail(ret, "%s: greeting: %s", b->path, strerror(-ret));
		goto err;
	}
	b->seen_base = b->seen;
	return 0;

err:
	close(b->sock);
	b->sock = -1;
	return ret;
}

/*
 * Models first: while the new queue has no agent they are not there yet, and
 * there is no point in going on. With an agent and without the model it is
 * gone for good; its requests end when they are sent again.
 */
int sync_restore(struct braid *b)
{
	struct braid_get_info info = { .size = sizeof(info) };
	int ret;

	ret = sync_call(b, BRAID_NR_GET_INFO, &info, -1, NULL);
	if (ret)
		return ret;
	if (!info.agent_up && (b->models || b->n_sent))
		return -EAGAIN;
	for (struct braid_model *m = b->models; m; m = m->next) {
		ret = model_restore(b, m);
		if (ret)
			return ret;
	}
	for (struct braid_buf *buf = b->bufs; buf; buf = buf->next) {
		struct braid_buf_alloc arg = { .size = sizeof(arg), .flags = BRAID_BUF_ADOPT,
					       .length = buf->bytes };

		ret = sync_call(b, BRAID_NR_BUF_ALLOC, &arg, buf->fd, NULL);
		if (ret)
			return ret;
		buf->id = arg.id;
	}
	return request_resubmit(b);
}
