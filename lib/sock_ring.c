// SPDX-License-Identifier: MIT
/*
 * The rings beside a socket (BRAID_RING): commands without a descriptor go up
 * one, completions and those commands' replies come down the other. A queue
 * that has none to give is no error, the socket does all of it.
 *
 * Everything here runs with struct braid.lock held; it is dropped where a
 * thread sleeps. Only the reader takes from the ring.
 */
#include "lib/socket.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#define SOCKET	1	/* epoll's data: the socket; the queue's bell is 0 */

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void sock_rings_drop(struct braid *b)
{
	struct sock *s = b->sock;

	if (!s->rings)
		return;
	if (b->watched)
		epoll_ctl(b->epoll, EPOLL_CTL_DEL, s->wait, NULL);
	munmap(s->rings, s->ring_bytes);
	s->rings = NULL;
	close_fd(&s->bell);
	close_fd(&s->wait);
}

static int map(struct sock *s, int memory, const struct braid_ring *arg)
{
	void *mem;

	s->ring_bytes = ring_span(arg->up_bytes, arg->down_bytes);
	mem = mmap(NULL, s->ring_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	if (mem == MAP_FAILED)
		return -errno;
	s->rings = mem;
	return ring_map(mem, &s->up, arg->up_bytes, &s->down, arg->down_bytes);
}

/* On a fresh connection. */
void sock_rings_get(struct braid *b)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = SOCKET };
	struct braid_ring arg = { .size = sizeof(arg) };
	struct sock *s = b->sock;
	int fds[3] = { -1, -1, -1 }, ret = 0;

	s->quiet = false;
	for (arg.part = 0; arg.part < 3 && !ret; arg.part++)
		ret = sync_call(b, BRAID_NR_RING, &arg, -1, &fds[arg.part]);
	s->bell = fds[BRAID_RING_BELL];
	s->wait = fds[BRAID_RING_WAIT];
	if (!ret)
		ret = map(s, fds[BRAID_RING_MEMORY], &arg);
	if (!ret && epoll_ctl(s->wait, EPOLL_CTL_ADD, b->fd, &ev))
		ret = -errno;
	close_fd(&fds[BRAID_RING_MEMORY]);
	if (ret && s->rings) {
		munmap(s->rings, s->ring_bytes);
		s->rings = NULL;
	}
	if (ret) {
		close_fd(&s->bell);
		close_fd(&s->wait);
	} else if (b->watched) {
		sock_ring_watched(b);
	}
}

/* False: by the socket then. */
bool sock_ring_send(struct braid *b, const void *msg, size_t bytes)
{
	struct sock *s = b->sock;

	if (bytes > s->up.bytes || ring_put(&s->up, msg, bytes))
		return false;
	if (ring_wake(&s->up))
		ring_bell(s->bell);
	return true;
}

/* Take messages until @until holds. 1: some, 0: none, negative: it is no ring. */
int sock_ring_take(struct braid *b, conn_until until, const void *arg)
{
	struct sock *s = b->sock;
	ssize_t n;
	int ret = 0;

	while (ret >= 0 && (n = ring_take(&s->down, s->in, sizeof(s->in))) != 0) {
		ret = n < 0 ? n : socket_message(b, n, -1);
		if (until(arg))
			break;
	}
	if (ret > 0 && ring_wanted(&s->down))
		ring_bell(s->bell);
	return ret;
}

static bool there(const void *arg)
{
	return !ring_empty(arg);
}

/* The reader's rings and waiter stay while it sleeps without the lock. */
static bool spin(struct braid *b, unsigned int us)
{
	struct sock *s = b->sock;

	return us && spin_elsewhere(&s->down) && spin_worth(&s->spin) &&
	       spin_until(&s->spin, us, there, &s->down);
}

/* The ring is empty: sleep. True: the socket has something. */
bool sock_ring_sleep(struct braid *b, uint64_t deadline)
{
	int ms = conn_remaining_ms(deadline, UINT64_MAX), n = 0;
	unsigned int us = b->spin_us;
	struct sock *s = b->sock;
	struct epoll_event ev[4];
	bool socket = false;

	if (!ms) {
		n = epoll_wait(s->wait, ev, 4, 0);
	} else {
		conn_unlock(b);		/* what was taken for others is told before sleeping */
		if (!spin(b, us) && ring_arm(&s->down)) {
			n = epoll_wait(s->wait, ev, 4, ms);
			ring_disarm(&s->down);
		}
		conn_lock(b);
	}
	for (int i = 0; i < n; i++)
		socket |= ev[i].data.u64 == SOCKET;
	return socket;
}

/*
 * Somebody polls braid_fd(), which the bell makes readable: take all there
 * is, so that it is readable again only for what comes after.
 */
void sock_ring_rung(struct braid *b)
{
	struct epoll_event ev[4];

	do {
		epoll_wait(b->sock->wait, ev, 4, 0);
		sock_ring_take(b, conn_never, NULL);
	} while (!ring_arm(&b->sock->down));
}

void sock_ring_watched(struct braid *b)
{
	if (!conn_watch(b, b->sock->wait) && !b->reading)
		sock_ring_rung(b);
}
