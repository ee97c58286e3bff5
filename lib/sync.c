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

/* Any command without arrays, and a SUBMIT of a request of ordinary size. */
#define MIN_MESSAGE	4096u

/* The first descriptor of a message; others are closed. */
int sync_take_fd(struct msghdr *mh)
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

/* Descriptors go to the queue here, none comes back. */
int sync_call(struct braid *b, uint32_t nr, void *arg, int fd_in)
{
	char ctl[CMSG_SPACE(sizeof(int) * 4)] = { 0 };
	const struct wire_cmd *cmd = wire_cmd(nr);
	struct iovec iov = { .iov_base = b->out };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct braid_msg head;
	ssize_t n;
	int fd;

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
		fd = sync_take_fd(&mh);
		if (fd >= 0)
			close(fd);
		if (n < (ssize_t)sizeof(head))
			return -ECONNRESET;
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
	setsockopt(b->sock, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	/* For connecting too: a queue that hangs may have a full backlog. */
	setsockopt(b->sock, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	setsockopt(b->sock, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	if (connect(b->sock, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		ret = braid_fail(-errno, "%s: %s", b->path,
				 errno == EACCES ? "not in the group that may use it" :
				 strerror(errno));
		goto err;
	}
	*info = (struct braid_get_info){ .size = sizeof(*info) };
	ret = sync_call(b, BRAID_NR_GET_INFO, info, -1);
	if (ret == -EPROTONOSUPPORT) {
		braid_fail(ret, "%s: the queue speaks another version than %u", b->path, BRAID_ABI);
		goto err;
	}
	if (ret) {
		braid_fail(ret, "%s: greeting: %s", b->path, strerror(-ret));
		goto err;
	}
	if (info->max_message < MIN_MESSAGE) {
		ret = braid_fail(-EPROTO, "%s: greeting: messages of %u bytes", b->path,
				 info->max_message);
		goto err;
	}
	b->max_message = info->max_message < WIRE_MAX_BYTES ? info->max_message : WIRE_MAX_BYTES;
	b->seen_base = b->seen;
	b->link++;
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
int sync_restore(struct braid *b, const struct braid_get_info *info)
{
	int ret;

	if (!info->agent_up && (b->models || b->n_sent))
		return -EAGAIN;
	for (struct braid_model *m = b->models; m; m = m->next) {
		ret = model_restore(b, m);
		if (ret)
			return ret;
	}
	for (struct braid_buf *buf = b->bufs; buf; buf = buf->next) {
		struct braid_buf_alloc arg = { .size = sizeof(arg), .flags = BRAID_BUF_ADOPT,
					       .length = buf->bytes };

		ret = sync_call(b, BRAID_NR_BUF_ALLOC, &arg, buf->fd);
		if (ret)
			return ret;
		buf->id = arg.id;
	}
	return request_resubmit(b);
}
