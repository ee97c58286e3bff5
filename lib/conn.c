// SPDX-License-Identifier: MIT
/*
 * The connection: sending commands, the reader's loop, noticing that the
 * queue went away.
 *
 * Everything here runs with struct braid.lock held; conn_pump() drops it
 * while it sleeps. Only the reader (see conn.h) receives or closes.
 */
#include "lib/conn.h"
#include "lib/wire_fd.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define FIRST_BACKOFF_MS	5u
#define LAST_BACKOFF_MS		250u

uint64_t conn_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

void conn_lock(struct braid *b)
{
	pthread_mutex_lock(&b->lock);
}

/*
 * A completion may have been received by a call that was not after one: then
 * braid_fd() must tell whoever polls it. The descriptor is touched only when
 * that changes, so waiting in a loop costs nothing.
 */
void conn_unlock(struct braid *b)
{
	bool want = b->n_ready || b->dead;
	uint64_t v = 1;
	ssize_t n;

	if (want != b->event_set) {
		n = want ? write(b->event, &v, sizeof(v)) : read(b->event, &v, sizeof(v));
		(void)n;	/* a non-blocking counter of 0 or 1: can't fail */
		b->event_set = want;
	}
	pthread_mutex_unlock(&b->lock);
}

static int watch(struct braid *b, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN };

	return epoll_ctl(b->epoll, EPOLL_CTL_ADD, fd, &ev) ? -errno : 0;
}

static void arm_timer(struct braid *b, uint64_t at)
{
	struct itimerspec its = { .it_value = { at / 1000000000ull, at % 1000000000ull } };

	timerfd_settime(b->timer, TFD_TIMER_ABSTIME, &its, NULL);
}

int conn_open(struct braid *b)
{
	struct braid_get_info info;
	int ret;

	b->sock = b->epoll = b->event = b->timer = -1;
	b->epoll = epoll_create1(EPOLL_CLOEXEC);
	b->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	b->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (b->epoll < 0 || b->event < 0 || b->timer < 0)
		return braid_fail(-errno, "descriptors: %s", strerror(errno));
	ret = sync_connect(b, &info);
	if (ret)
		return ret;
	ret = watch(b, b->event);
	if (!ret)
		ret = watch(b, b->timer);
	if (!ret)
		ret = watch(b, b->sock);
	return ret ? braid_fail(ret, "epoll: %s", strerror(-ret)) : 0;
}

void conn_shut(struct braid *b)
{
	int *fds[] = { &b->sock, &b->timer, &b->event, &b->epoll };

	for (unsigned int i = 0; i < 4; i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

/* The reader saw the end of the connection. */
static void conn_lost(struct braid *b)
{
	/* A child of the tenant's may have it too: closing is not leaving then. */
	epoll_ctl(b->epoll, EPOLL_CTL_DEL, b->sock, NULL);
	close(b->sock);
	b->sock = -1;
	b->broken = false;
	b->down_since = conn_now();
	b->next_try = b->down_since;
	b->backoff_ms = FIRST_BACKOFF_MS;
	arm_timer(b, b->next_try + 1);
	for (struct call *c = b->calls; c; c = c->next)
		c->lost = true;
	b->calls = NULL;
}

static void try_again(struct braid *b)
{
	struct braid_get_info info;
	int ret;

	ret = sync_connect(b, &info);
	if (!ret)
		ret = sync_restore(b, &info);
	if (!ret)
		ret = watch(b, b->sock);
	if (!ret) {
		arm_timer(b, 0);
		return;
	}
	if (b->sock >= 0)
		close(b->sock);
	b->sock = -1;
	if (conn_now() - b->down_since >= b->patience_ms * 1000000ull) {
		b->dead = true;
		arm_timer(b, 0);
		request_fail_all(b, -ECONNRESET);
		return;
	}
	b->next_try = conn_now() + b->backoff_ms * 1000000ull;
	b->backoff_ms = b->backoff_ms * 2 < LAST_BACKOFF_MS ? b->backoff_ms * 2 : LAST_BACKOFF_MS;
	arm_timer(b, b->next_try);
}

static void take_completions(struct braid *b, const uint8_t *p, size_t bytes)
{
	while (bytes >= sizeof(uint32_t)) {
		struct braid_completion c = { 0 };
		uint32_t size;

		memcpy(&size, p, sizeof(size));
		if (size < sizeof(c) || size > bytes)
			return;
		memcpy(&c, p, sizeof(c));
		request_completed(b, &c);
		p += size;
		bytes -= size;
	}
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
	c->ret = wire_decode_reply(c->cmd, b->in, bytes, c->arg);
	c->done = true;
	c->fd = fd;
	if (c->taken)
		c->taken(b, c);
	if (c->fd >= 0)
		close(c->fd);
}

/* One message; 1: took one, 0: nothing there, negative: the queue is gone. */
static int take_message(struct braid *b, bool wait)
{
	struct braid_msg head;
	ssize_t n;
	int fd;

	if (wait)
		conn_unlock(b);		/* what was taken for others is told before sleeping */
	n = wire_recv(b->sock, b->in, sizeof(b->in), wait ? 0 : MSG_DONTWAIT, &fd);
	if (wait)
		conn_lock(b);
	if (n < 0)
		return n == -EAGAIN || n == -EINTR ? 0 : n;
	if (n >= (ssize_t)sizeof(head)) {
		memcpy(&head, b->in, sizeof(head));
		if (head.type != BRAID_MSG_COMPLETIONS) {
			take_reply(b, &head, n, fd);
			return 1;
		}
		take_completions(b, b->in + sizeof(head), n - sizeof(head));
	}
	if (fd >= 0)
		close(fd);
	return n < (ssize_t)sizeof(head) ? -ECONNRESET : 1;
}

static int remaining_ms(uint64_t deadline, uint64_t limit)
{
	uint64_t now = conn_now(), until = deadline < limit ? deadline : limit;

	if (until == UINT64_MAX)
		return -1;
	if (until <= now)
		return 0;
	until = (until - now + 999999) / 1000000;
	return until > 3600000 ? 3600000 : (int)until;
}

/* What the reader does once: take what is there, else sleep without the lock. */
static void read_once(struct braid *b, bool (*until)(const void *arg), const void *arg,
		      uint64_t deadline, bool wait)
{
	int n, ms;

	if (b->sock < 0) {
		ms = remaining_ms(deadline, b->next_try);
		if (ms) {
			conn_unlock(b);
			poll(NULL, 0, ms);
			conn_lock(b);
		}
		if (conn_now() >= b->next_try)
			try_again(b);
		return;
	}
	do {
		n = take_message(b, wait);
		wait = false;
	} while (n > 0 && !until(arg));
	if (n < 0)
		conn_lost(b);
}

/* Sleep until there may be a message, if there is a connection and time. */
static void sleep_for_message(struct braid *b, uint64_t deadline)
{
	struct pollfd pfd = { .fd = b->sock, .events = POLLIN };
	int ms = remaining_ms(deadline, UINT64_MAX);

	if (b->sock < 0 || !ms)
		return;
	conn_unlock(b);		/* what was taken for others is told before sleeping */
	poll(&pfd, 1, ms);
	conn_lock(b);
}

static void stop_reading(struct braid *b)
{
	b->reading = false;
	if (b->waiters)
		pthread_cond_broadcast(&b->cond);
}

int conn_dead(const struct braid *b)
{
	return braid_fail(-ECONNRESET, "%s: the queue went away and did not return", b->path);
}

int conn_pump(struct braid *b, bool (*until)(const void *arg), const void *arg,
	      uint64_t deadline)
{
	bool last = false;

	while (!until(arg)) {
		if (b->dead)
			return conn_dead(b);
		if (last)
			return -ETIMEDOUT;
		if (b->reading) {
			struct timespec ts = { deadline / 1000000000ull, deadline % 1000000000ull };

			b->waiters++;
			if (deadline == UINT64_MAX)
				pthread_cond_wait(&b->cond, &b->lock);
			else
				pthread_cond_timedwait(&b->cond, &b->lock, &ts);
			b->waiters--;
		} else {
			b->reading = true;
			/*
			 * With no time to wait: only what is there already. With
			 * no limit, receiving can do the waiting.
			 */
			if (deadline != UINT64_MAX)
				sleep_for_message(b, deadline);
			read_once(b, until, arg, deadline, deadline == UINT64_MAX);
			stop_reading(b);
		}
		last = conn_now() >= deadline;
	}
	return 0;
}

static bool never(const void *arg)
{
	return false;
}

/* Take what is there without waiting for anything, the end as well. */
void conn_look(struct braid *b)
{
	if (b->reading || b->dead)
		return;
	b->reading = true;
	read_once(b, never, NULL, 0, false);
	stop_reading(b);
}

void conn_forget(struct braid *b, struct call *call)
{
	for (struct call **at = &b->calls; *at; at = &(*at)->next) {
		if (*at == call) {
			*at = call->next;
			return;
		}
	}
}

/*
 * The socket is full. The queue does not read from who does not read its
 * replies, so somebody has to read while we wait: we do, if nobody does.
 */
static void wait_room(struct braid *b)
{
	struct pollfd pfd = { .fd = b->sock, .events = POLLOUT };
	bool mine = !b->reading;

	if (mine) {
		b->reading = true;
		pfd.events |= POLLIN;
	}
	conn_unlock(b);
	/* Not ours, it may be closed meanwhile: then we are not to wait for long. */
	poll(&pfd, 1, mine ? 1000 : 20);
	conn_lock(b);
	if (mine) {
		if (b->sock >= 0)
			read_once(b, never, NULL, 0, false);
		stop_reading(b);
	}
}

/*
 * Send a command; its reply comes through conn_pump(). A queue that is gone
 * is no error here: the call is marked lost.
 */
int conn_send(struct braid *b, struct call *call, uint32_t nr, void *arg)
{
	struct iovec iov = { .iov_base = b->out };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	uint64_t link = b->link;
	ssize_t n;

	call->cmd = wire_cmd(nr);
	call->arg = arg;
	call->done = call->lost = false;
	call->seq = ++b->seq;
	for (;;) {
		/* Over another connection it was sent already, or is not valid. */
		if (b->sock < 0 || b->broken || b->link != link) {
			call->lost = true;
			return 0;
		}
		/* What was left by a dead queue and taken since is not this one's. */
		n = wire_encode_command(call->cmd, arg, call->seq,
					b->seen > b->seen_base ? b->seen - b->seen_base : 0,
					b->out, b->max_message);
		if (n < 0)
			return braid_fail(n, "command %u does not fit a message", nr);
		iov.iov_len = n;
		n = sendmsg(b->sock, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n >= 0)
			break;
		if (errno == EAGAIN || errno == ENOBUFS) {
			wait_room(b);
		} else if (errno != EINTR) {
			call->lost = true;
			b->broken = true;
			shutdown(b->sock, SHUT_RDWR);	/* wakes the reader, who closes */
			return 0;
		}
	}
	call->next = b->calls;
	b->calls = call;
	return 0;
}

static bool call_over(const void *arg)
{
	const struct call *c = arg;

	return c->done || c->lost;
}

static bool is_up(const void *arg)
{
	const struct braid *b = arg;

	return b->sock >= 0 && !b->broken;
}

int conn_wait_up(struct braid *b)
{
	return conn_pump(b, is_up, b, UINT64_MAX);
}

/* Send and wait. -ECONNRESET with the connection up or coming: try again. */
int conn_ask(struct braid *b, struct call *call, uint32_t nr, void *arg)
{
	int ret;

	ret = conn_send(b, call, nr, arg);
	if (!ret && !call->lost)
		ret = conn_pump(b, call_over, call, UINT64_MAX);
	if (ret) {
		conn_forget(b, call);
		return ret;
	}
	return call->lost ? -ECONNRESET : call->ret;
}

int conn_call(struct braid *b, uint32_t nr, void *arg)
{
	struct call call = { 0 };

	return conn_ask(b, &call, nr, arg);
}
