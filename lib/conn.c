// SPDX-License-Identifier: MIT
/*
 * The connection, whatever the transport: commands and their results, who
 * reads, what braid_fd() shows.
 *
 * Everything here runs with struct braid.lock held; it is dropped where a
 * thread sleeps.
 */
#include "lib/conn.h"
#include "lib/wire.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

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

/* braid_fd() is readable when @fd is. */
int conn_watch(struct braid *b, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN };

	return epoll_ctl(b->epoll, EPOLL_CTL_ADD, fd, &ev) ? -errno : 0;
}

int conn_open(struct braid *b)
{
	int ret;

	b->fd = b->event = -1;
	b->epoll = epoll_create1(EPOLL_CLOEXEC);
	b->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (b->epoll < 0 || b->event < 0)
		return braid_fail(-errno, "descriptors: %s", strerror(errno));
	ret = b->transport->open(b);
	if (ret)
		return ret;
	ret = conn_watch(b, b->event);
	if (!ret)
		ret = conn_watch(b, b->fd);
	if (ret)
		return braid_fail(ret, "epoll: %s", strerror(-ret));
	b->up = true;
	return 0;
}

void conn_shut(struct braid *b)
{
	b->transport->shut(b);
	if (b->event >= 0)
		close(b->event);
	if (b->epoll >= 0)
		close(b->epoll);
}

/* Until the earlier of the two, for poll(). */
int conn_remaining_ms(uint64_t deadline, uint64_t limit)
{
	uint64_t until = deadline < limit ? deadline : limit, now;

	if (until == UINT64_MAX)
		return -1;
	now = conn_now();
	if (until <= now)
		return 0;
	until = (until - now + 999999) / 1000000;
	return until > 3600000 ? 3600000 : (int)until;
}

/* Somebody else may be the reader now. */
void conn_stop_reading(struct braid *b)
{
	b->reading = false;
	if (b->waiters)
		pthread_cond_broadcast(&b->cond);
}

int conn_dead(const struct braid *b)
{
	return braid_fail(-ECONNRESET, "%s: the queue went away and did not return", b->path);
}

int conn_pump(struct braid *b, conn_until until, const void *arg, uint64_t deadline)
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
			b->transport->read(b, until, arg, deadline);
			conn_stop_reading(b);
		}
		last = deadline != UINT64_MAX && conn_now() >= deadline;
	}
	return 0;
}

bool conn_never(const void *arg)
{
	return false;
}

/* Take what is there without waiting for anything, the end as well. */
void conn_look(struct braid *b)
{
	if (b->reading || b->dead)
		return;
	b->reading = true;
	b->transport->read(b, conn_never, NULL, 0);
	conn_stop_reading(b);
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

/* Send a command; its result comes through conn_pump(), or is there already. */
int conn_send(struct braid *b, struct call *call, uint32_t nr, void *arg)
{
	call->cmd = wire_cmd(nr);
	call->arg = arg;
	call->done = call->lost = false;
	if (!b->up) {
		call->lost = true;
		return 0;
	}
	return b->transport->send(b, call);
}

static bool call_over(const void *arg)
{
	const struct call *c = arg;

	return c->done || c->lost;
}

static bool is_up(const void *arg)
{
	const struct braid *b = arg;

	return b->up;
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
