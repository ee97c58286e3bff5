// SPDX-License-Identifier: MIT
/*
 * A fresh socket: connecting, and bringing back what an earlier queue knew.
 *
 * Runs in the reader with the lock held, before anybody else uses the socket,
 * so calls here are plain send and receive with a time limit.
 */
#include "lib/socket.h"
#include "lib/wire_fd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

/* Any command without arrays, and a SUBMIT of a request of ordinary size. */
#define MIN_MESSAGE	4096u

int sync_call(struct braid *b, uint32_t nr, void *arg, int fd_in, int *fd_out)
{
	const struct wire_cmd *cmd = wire_cmd(nr);
	struct braid_msg head;
	ssize_t n;
	int ret;

	n = wire_encode_command(cmd, arg, ++b->sock->seq, 0, b->sock->out,
				sizeof(b->sock->out));
	if (n < 0)
		return n;
	ret = wire_send(b->fd, b->sock->out, n, fd_in, 0);
	if (ret)
		return ret;

	for (;;) {
		n = wire_recv(b->fd, b->sock->in, sizeof(b->sock->in), 0, fd_out);
		if (n == -EINTR)
			continue;
		if (n < 0)
			return n == -EAGAIN ? -ETIMEDOUT : n;
		if (n < (ssize_t)sizeof(head))
			return -ECONNRESET;
		memcpy(&head, b->sock->in, sizeof(head));
		if (head.type != BRAID_MSG_COMPLETIONS)
			break;
		/* While outstanding requests are sent again, the first may end. */
		ret = request_records(b, b->sock->in + sizeof(head), n - sizeof(head));
		if (ret)
			return ret;
	}
	if (head.ret == -EPROTONOSUPPORT || head.ret == -EBADMSG)
		return head.ret;
	return head.seq == b->sock->seq ? wire_decode_reply(cmd, b->sock->in, n, arg) : -EBADMSG;
}

int sync_connect(struct braid *b, struct braid_get_info *info)
{
	struct timeval tv = { .tv_sec = 2 };
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int size = 4 * WIRE_MAX_BYTES, ret;

	memcpy(sa.sun_path, b->path, sizeof(sa.sun_path));
	b->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (b->fd < 0)
		return braid_fail(-errno, "socket: %s", strerror(errno));
	setsockopt(b->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	/* For connecting too: a queue that hangs may have a full backlog. */
	setsockopt(b->fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	setsockopt(b->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	if (connect(b->fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		ret = -errno;
		braid_fail(ret, "%s: %s%s", b->path,
			   ret == -EACCES ? "not in the group that may use it" : strerror(-ret),
			   ret == -ENOENT || ret == -ECONNREFUSED ? " (is braidd running?)" : "");
		goto err;
	}
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
	if (info->max_message < MIN_MESSAGE) {
		ret = braid_fail(-EPROTO, "%s: greeting: messages of %u bytes", b->path,
				 info->max_message);
		goto err;
	}
	b->max_message = info->max_message < WIRE_MAX_BYTES ? info->max_message : WIRE_MAX_BYTES;
	b->sock->seen_base = b->seen;
	b->sock->link++;
	sock_rings_get(b);
	return 0;

err:
	close(b->fd);
	b->fd = -1;
	return ret;
}

/* After a new queue came up: find it again, the same tensors required. */
static int restore_model(struct braid *b, struct braid_model *m)
{
	struct braid_model *now;
	struct braid_model_get arg;
	size_t tensors;
	int ret;

	if (m->gone)
		return 0;
	now = model_blank();
	if (!now)
		return -ENOMEM;
	arg = model_query(now);
	memcpy(arg.name, m->name, sizeof(arg.name));
	ret = sync_call(b, BRAID_NR_MODEL_GET, &arg, -1, NULL);
	tensors = (m->n_inputs + m->n_outputs) * sizeof(m->tensors[0]);
	if (ret == -ENOENT) {
		m->gone = true;
		ret = 0;
	} else if (!ret && (arg.n_inputs != m->n_inputs || arg.n_outputs != m->n_outputs ||
			    memcmp(now->tensors, m->tensors, tensors))) {
		m->gone = true;
	} else if (!ret) {
		m->id = arg.id;
		memcpy(m->digest, arg.digest, sizeof(m->digest));
	}
	free(now);
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
		ret = restore_model(b, m);
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
	return resubmit(b);
}
