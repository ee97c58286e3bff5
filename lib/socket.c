// SPDX-License-Identifier: MIT
/*
 * The socket transport: messages, and a queue that may go away and return.
 *
 * Everything here runs with struct braid.lock held; it is dropped where a
 * thread sleeps. Only the reader (see conn.h) receives or closes.
 */
#include "lib/socket.h"
#include "lib/wire_fd.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define FIRST_BACKOFF_MS	5u
#define LAST_BACKOFF_MS		250u

static void arm_timer(struct braid *b, uint64_t at)
{
	struct itimerspec its = { .it_value = { at / 1000000000ull, at % 1000000000ull } };

	timerfd_settime(b->sock->timer, TFD_TIMER_ABSTIME, &its, NULL);
}

static int socket_open(struct braid *b)
{
	struct braid_get_info info;
	int ret;

	b->sock = calloc(1, sizeof(*b->sock));
	if (!b->sock)
		return braid_fail(-ENOMEM, "no memory");
	b->sock->bell = b->sock->wait = -1;
	b->sock->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (b->sock->timer < 0)
		return braid_fail(-errno, "descriptors: %s", strerror(errno));
	ret = sync_connect(b, &info);
	if (ret)
		return ret;
	ret = conn_watch(b, b->sock->timer);
	return ret ? braid_fail(ret, "epoll: %s", strerror(-ret)) : 0;
}

static void socket_shut(struct braid *b)
{
	if (b->sock)
		sock_rings_drop(b);
	if (b->fd >= 0)
		close(b->fd);
	if (b->sock && b->sock->timer >= 0)
		close(b->sock->timer);
	free(b->sock);
}

/* The reader saw the end of the connection. */
static void lost(struct braid *b)
{
	struct sock *s = b->sock;

	/* What the queue said before it went is in the ring as it is in the socket. */
	if (s->rings)
		sock_ring_take(b, conn_never, NULL);
	sock_rings_drop(b);
	/* A child of the tenant's may have it too: closing is not leaving then. */
	epoll_ctl(b->epoll, EPOLL_CTL_DEL, b->fd, NULL);
	close(b->fd);
	b->fd = -1;
	b->up = false;
	s->down_since = conn_now();
	s->next_try = s->down_since;
	s->backoff_ms = FIRST_BACKOFF_MS;
	arm_timer(b, s->next_try + 1);
	for (struct call *c = b->calls; c; c = c->next)
		c->lost = true;
	b->calls = NULL;
}

static void try_again(struct braid *b)
{
	struct sock *s = b->sock;
	struct braid_get_info info;
	int ret;

	ret = sync_connect(b, &info);
	if (!ret)
		ret = sync_restore(b, &info);
	if (!ret)
		ret = conn_watch(b, b->fd);
	if (!ret) {
		b->up = true;
		arm_timer(b, 0);
		return;
	}
	sock_rings_drop(b);
	if (b->fd >= 0)
		close(b->fd);
	b->fd = -1;
	if (conn_now() - s->down_since >= b->patience_ms * 1000000ull) {
		b->dead = true;
		arm_timer(b, 0);
		request_fail_all(b, -ECONNRESET);
		return;
	}
	s->next_try = conn_now() + s->backoff_ms * 1000000ull;
	s->backoff_ms = s->backoff_ms * 2 < LAST_BACKOFF_MS ? s->backoff_ms * 2 : LAST_BACKOFF_MS;
	arm_timer(b, s->next_try);
}

static void take_reply(struct braid *b, const struct braid_msg *head, size_t bytes, int fd)
{
	struct call **at = &b->calls, *c;

	while (*at && (*at)->seq != head->seq)
		at = &(*at)->next;
	c = *at;
	if (!c) {
		if (fd >= 0)
			close(fd);
		return;
	}
	*at = c->next;
	c->ret = wire_decode_reply(c->cmd, b->sock->in, bytes, c->arg);
	c->done = true;
	c->fd = fd;
	if (c->taken)
		c->taken(b, c);
	if (c->fd >= 0)
		close(c->fd);
}

/* What a message says. 1, or negative: it is none. */
int socket_message(struct braid *b, size_t bytes, int fd)
{
	struct braid_msg head;

	if (bytes >= sizeof(head)) {
		memcpy(&head, b->sock->in, sizeof(head));
		if (head.type != BRAID_MSG_COMPLETIONS) {
			take_reply(b, &head, bytes, fd);
			return 1;
		}
		request_records(b, b->sock->in + sizeof(head), bytes - sizeof(head));
	}
	if (fd >= 0)
		close(fd);
	return bytes < sizeof(head) ? -ECONNRESET : 1;
}

/* One message; 1: took one, 0: nothing there, negative: the queue is gone. */
static int take_message(struct braid *b, bool wait)
{
	ssize_t n;
	int fd;

	if (wait)
		conn_unlock(b);		/* what was taken for others is told before sleeping */
	n = wire_recv(b->fd, b->sock->in, sizeof(b->sock->in), wait ? 0 : MSG_DONTWAIT, &fd);
	if (wait)
		conn_lock(b);
	if (n < 0)
		return n == -EAGAIN || n == -EINTR ? 0 : n;
	return socket_message(b, n, fd);
}

/* What the reader does once: take what is there, else sleep without the lock. */
static void read_once(struct braid *b, conn_until until, const void *arg, uint64_t deadline,
		      bool wait)
{
	int n, ms;

	if (b->fd < 0) {
		ms = conn_remaining_ms(deadline, b->sock->next_try);
		if (ms) {
			conn_unlock(b);
			poll(NULL, 0, ms);
			conn_lock(b);
		}
		if (conn_now() >= b->sock->next_try)
			try_again(b);
		return;
	}
	do {
		n = take_message(b, wait);
		wait = false;
	} while (n > 0 && !until(arg));
	if (n < 0)
		lost(b);
}

/* Sleep until there may be a message, if there is a connection and time. */
static void sleep_for_message(struct braid *b, uint64_t deadline)
{
	struct pollfd pfd = { .fd = b->fd, .events = POLLIN };
	int ms = conn_remaining_ms(deadline, UINT64_MAX);

	if (b->fd < 0 || !ms)
		return;
	conn_unlock(b);		/* what was taken for others is told before sleeping */
	poll(&pfd, 1, ms);
	conn_lock(b);
}

/* Is an answer to come by the socket? */
static bool by_socket(const struct braid *b)
{
	for (const struct call *c = b->calls; c; c = c->next)
		if (c->by_socket)
			return true;
	return false;
}

/*
 * With rings: what is in memory first, no system call while there is something.
 * But completions that the queue sent before it used the ring are in the
 * socket, and must not stay there for as long as the ring has more: until the
 * socket was found empty, it is looked at each time.
 */
static void ring_read(struct braid *b, conn_until until, const void *arg, uint64_t deadline)
{
	int n = sock_ring_take(b, until, arg);
	bool first = n > 0 && !b->sock->quiet, used = n > 0;
	bool socket = first || (n && by_socket(b));

	if (!n) {
		socket = sock_ring_sleep(b, deadline);
		n = sock_ring_take(b, until, arg);
	}
	while (socket && n >= 0 && (first || !until(arg))) {
		first = false;
		n = take_message(b, false);
		socket = n > 0;
		if (!n && used)
			b->sock->quiet = true;
	}
	if (n < 0)
		lost(b);
}

/* With no limit, receiving can do the waiting. */
static void socket_read(struct braid *b, conn_until until, const void *arg, uint64_t deadline)
{
	if (b->fd >= 0 && b->sock->rings) {
		ring_read(b, until, arg, deadline);
	} else {
		if (deadline != UINT64_MAX)
			sleep_for_message(b, deadline);
		read_once(b, until, arg, deadline, deadline == UINT64_MAX);
	}
	if (b->watched && b->sock->rings)
		sock_ring_rung(b);
}

/*
 * The socket is full. The queue does not read from who does not read its
 * replies, so somebody has to read while we wait: we do, if nobody does.
 */
static void wait_room(struct braid *b)
{
	struct pollfd pfd[2] = { { .fd = b->fd, .events = POLLOUT },
				 { .fd = -1, .events = POLLIN } };
	bool mine = !b->reading, look = false;

	if (mine) {
		b->reading = true;
		pfd[0].events |= POLLIN;
		pfd[1].fd = b->sock->wait;
		look = b->sock->rings && !ring_arm(&b->sock->down);
	}
	conn_unlock(b);
	/* Not ours, it may be closed meanwhile: then we are not to wait for long. */
	poll(pfd, 2, look ? 0 : mine ? 1000 : 20);
	conn_lock(b);
	if (mine) {
		if (b->fd >= 0 && b->sock->rings)
			sock_ring_take(b, conn_never, NULL);
		if (b->fd >= 0)
			read_once(b, conn_never, NULL, 0, false);
		if (b->watched && b->sock->rings)
			sock_ring_rung(b);
		conn_stop_reading(b);
	}
}

/* Its reply comes with the reader. */
static int socket_send(struct braid *b, struct call *call)
{
	struct sock *s = b->sock;
	struct iovec iov = { .iov_base = s->out };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	uint64_t link = s->link;
	ssize_t n;

	call->seq = ++s->seq;
	call->by_socket = false;
	for (;;) {
		/* Over another connection it was sent already, or is not valid. */
		if (!b->up || s->link != link) {
			call->lost = true;
			return 0;
		}
		/* What was left by a dead queue and taken since is not this one's. */
		n = wire_encode_command(call->cmd, call->arg, call->seq,
					b->seen > s->seen_base ? b->seen - s->seen_base : 0,
					s->out, b->max_message);
		if (n < 0)
			return braid_fail(n, "command %u does not fit a message", call->cmd->nr);
		if (s->rings && !call->cmd->fd_offset && !by_socket(b) &&
		    sock_ring_send(b, s->out, n))
			break;
		call->by_socket = true;
		iov.iov_len = n;
		n = sendmsg(b->fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n >= 0)
			break;
		if (errno == EAGAIN || errno == ENOBUFS) {
			wait_room(b);
		} else if (errno != EINTR) {
			call->lost = true;
			b->up = false;
			shutdown(b->fd, SHUT_RDWR);	/* wakes the reader, who closes */
			return 0;
		}
	}
	call->next = b->calls;
	b->calls = call;
	return 0;
}

/* braid_fd() was asked for. */
static void socket_watched(struct braid *b)
{
	if (b->sock->rings)
		sock_ring_watched(b);
}

const struct transport transport_socket = {
	.may_return = true,
	.open = socket_open,
	.shut = socket_shut,
	.send = socket_send,
	.read = socket_read,
	.watched = socket_watched,
};
