// SPDX-License-Identifier: MIT
/*
 * The event loop: see loop.h. Owns the epoll descriptor.
 */
#include "agent/loop.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define ROUND	64
#define UNSEEN	8	/* rounds of other work before descriptors are looked at */

struct loop {
	int fd;
	unsigned int unseen;
	bool stop;
};

struct loop *loop_new_on(int epoll)
{
	struct loop *l = calloc(1, sizeof(*l));

	if (l)
		l->fd = epoll;
	return l;
}

struct loop *loop_new(void)
{
	int fd = epoll_create1(EPOLL_CLOEXEC);
	struct loop *l = fd < 0 ? NULL : loop_new_on(fd);

	if (!l && fd >= 0)
		close(fd);
	return l;
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	close(l->fd);
	free(l);
}

int loop_add(struct loop *l, struct loop_watch *w)
{
	struct epoll_event ev = { .events = w->events, .data.ptr = w };

	w->gone = false;
	return epoll_ctl(l->fd, EPOLL_CTL_ADD, w->fd, &ev) ? -errno : 0;
}

void loop_change(struct loop *l, struct loop_watch *w, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = w };

	if (w->gone || w->events == events)
		return;
	w->events = events;
	epoll_ctl(l->fd, EPOLL_CTL_MOD, w->fd, &ev);
}

void loop_del(struct loop *l, struct loop_watch *w)
{
	if (w->gone)
		return;
	w->gone = true;
	epoll_ctl(l->fd, EPOLL_CTL_DEL, w->fd, NULL);
}

int loop_run(struct loop *l, void (*after)(void *arg), bool (*rest)(void *arg), void *arg)
{
	struct epoll_event ev[ROUND];
	int n;

	l->stop = false;
	while (!l->stop) {
		if (rest(arg)) {
			n = epoll_wait(l->fd, ev, ROUND, -1);
			l->unseen = 0;
		} else if (++l->unseen >= UNSEEN) {
			n = epoll_wait(l->fd, ev, ROUND, 0);
			l->unseen = 0;
		} else {
			n = 0;
		}
		if (n < 0 && errno != EINTR)
			return -errno;
		for (int i = 0; i < n; i++) {
			struct loop_watch *w = ev[i].data.ptr;

			if (w && !w->gone)
				w->ready(w, ev[i].events);
		}
		after(arg);
	}
	return 0;
}

bool loop_pending(const struct loop *l)
{
	struct pollfd pfd = { .fd = l->fd, .events = POLLIN };

	return poll(&pfd, 1, 0) > 0;
}

void loop_look(struct loop *l)
{
	l->unseen = UNSEEN;
}

void loop_stop(struct loop *l)
{
	l->stop = true;
}
