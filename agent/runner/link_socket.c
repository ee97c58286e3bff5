// SPDX-License-Identifier: MIT
/*
 * The runner's link over a socket: see link.h. The queue is the supervisor's.
 *
 * Owns the socket, the rings and the message buffers. COMMIT and FETCH go
 * through the rings, calls through the socket, which takes what the ring holds
 * first. A FETCH that is replaced may have been answered with jobs just before:
 * its answer counts as much as the other's, so both are waited for, and no
 * third is sent before.
 */
#include "agent/runner/link_ops.h"
#include "lib/ring.h"
#include "lib/wire_fd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_FETCHES	2u
#define OUT_BYTES	(32u * 1024)	/* any COMMIT, FETCH or call */
#define ROOM_NS		50000		/* how soon to look again for room */

struct socket_link {
	struct link link;
	int bell;			/* the queue's */
	int wait;			/* epoll: rung by the queue */
	void *mem;
	size_t span;
	struct ring up, down;
	uint64_t seq;
	uint64_t fetch_seq;		/* of the newest FETCH */
	unsigned int fetching;		/* how many are unanswered */
	bool newest_open;		/* the newest is */
	struct braid_fetch fetch;	/* as sent; all are of one shape */
	int stale;
	size_t posted;			/* bytes in out that wait to be sent */
	uint8_t out[OUT_BYTES];
	uint8_t in[WIRE_MAX_BYTES];
};

static struct socket_link *of(const struct link *l)
{
	return (struct socket_link *)l;		/* its first member */
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void socket_free(struct link *link)
{
	struct socket_link *l = of(link);

	close_fd(&l->bell);
	close_fd(&l->wait);
	if (l->mem != MAP_FAILED)
		munmap(l->mem, l->span);
	free(l);
}

/* The supervisor takes all it finds: it is only a question of when. */
static int flush(struct socket_link *l)
{
	const struct timespec moment = { .tv_nsec = ROOM_NS };
	size_t n = l->posted;
	int ret;

	if (!n)
		return 0;
	l->posted = 0;
	while ((ret = ring_put(&l->up, l->out, n)) == -EAGAIN)
		nanosleep(&moment, NULL);
	if (!ret && ring_wake(&l->up))
		ring_bell(l->bell);
	return ret ? -EPIPE : 0;
}

/* Commands leave in one message: at link_flush(), before a call, or when it is full. */
static int post(struct socket_link *l, uint32_t nr, const void *arg)
{
	const struct wire_cmd *cmd = wire_cmd(nr);
	size_t at = (l->posted + 7) & ~(size_t)7;
	ssize_t n;

	n = wire_encode_command(cmd, arg, ++l->seq, 0, l->out + at, sizeof(l->out) - at);
	if (n == -EMSGSIZE && l->posted) {
		if (flush(l))
			return -EPIPE;
		at = 0;
		n = wire_encode_command(cmd, arg, l->seq, 0, l->out, sizeof(l->out));
	}
	if (n < 0)
		return n;
	memset(l->out + l->posted, 0, at > l->posted ? at - l->posted : 0);
	l->posted = at + n;
	return 0;
}

/* One message from the socket into l->in: its length, 0 if there is none, -EPIPE. */
static ssize_t receive(struct socket_link *l, int flags, int *fd_out)
{
	ssize_t n;

	do {
		n = wire_recv(l->link.fd, l->in, sizeof(l->in), flags, fd_out);
	} while (n == -EINTR);
	if (n < 0)
		return n == -EAGAIN ? 0 : -EPIPE;
	return n < (ssize_t)sizeof(struct braid_msg) ? -EPIPE : n;
}

static void commit_answered(struct socket_link *l, size_t bytes)
{
	struct braid_result results[BRAID_MAX_BATCH];
	struct braid_commit arg = {
		.size = sizeof(arg),
		.results = { sizeof(results[0]), BRAID_MAX_BATCH, (uintptr_t)results },
	};
	int ret = wire_decode_reply(wire_cmd(BRAID_NR_COMMIT), l->in, bytes, &arg);

	if (ret == -ESTALE)
		l->stale = 1;
	if (!ret)
		link_count_refused(&l->link, &arg, results);
}

static int socket_call(struct link *link, uint32_t nr, void *arg, int *fd_out)
{
	struct socket_link *l = of(link);
	struct braid_msg head;
	ssize_t n;
	int ret;

	ret = flush(l);
	if (ret)
		return ret;
	n = wire_encode_command(wire_cmd(nr), arg, ++l->seq, 0, l->out, sizeof(l->out));
	if (n < 0)
		return n;
	if (wire_send(l->link.fd, l->out, n, -1, 0))
		return -EPIPE;
	do {
		n = receive(l, 0, fd_out);
		if (n < 0)
			return n;
		memcpy(&head, l->in, sizeof(head));
	} while (!n || head.seq != l->seq);
	return wire_decode_reply(wire_cmd(nr), l->in, n, arg);
}

static int socket_commit(struct link *link, struct braid_commit *arg)
{
	return post(of(link), BRAID_NR_COMMIT, arg);
}

static int socket_fetch(struct link *link, const struct braid_want *wants, uint32_t n,
			uint32_t jobs)
{
	struct socket_link *l = of(link);
	int ret;

	if (l->fetching == MAX_FETCHES)
		return -EBUSY;
	l->fetch = (struct braid_fetch){
		.size = sizeof(l->fetch),
		.wants = { sizeof(wants[0]), n, (uintptr_t)wants },
		.jobs = { sizeof(struct braid_job), jobs, 0 },
		.slices = { sizeof(struct braid_slice), LINK_MAX_SLICES, 0 },
		.events = { sizeof(struct braid_event), LINK_MAX_EVENTS, 0 },
	};
	ret = post(l, BRAID_NR_FETCH, &l->fetch);
	if (!ret) {
		l->fetch_seq = l->seq;
		l->newest_open = true;
		l->fetching++;
	}
	return ret;
}

static int decode_window(struct socket_link *l, size_t bytes, struct link_window *w)
{
	struct braid_msg head;
	int ret;

	memcpy(&head, l->in, sizeof(head));
	l->fetching--;
	if (head.seq == l->fetch_seq)
		l->newest_open = false;
	w->arg = l->fetch;
	/* It may answer the FETCH before, which had room for more. */
	w->arg.jobs.count = BRAID_MAX_BATCH;
	w->arg.jobs.ptr = (uintptr_t)w->jobs;
	w->arg.slices.ptr = (uintptr_t)w->slices;
	w->arg.events.ptr = (uintptr_t)w->events;
	ret = wire_decode_reply(wire_cmd(BRAID_NR_FETCH), l->in, bytes, &w->arg);
	if (ret)
		return ret;
	if (w->arg.jobs.count > BRAID_MAX_BATCH || w->arg.slices.count > LINK_MAX_SLICES ||
	    w->arg.events.count > LINK_MAX_EVENTS)
		return -EBADMSG;
	return 1;
}

static bool socket_kept(const struct link *l)
{
	return !ring_empty(&of(l)->down);
}

static int socket_take(struct link *link, struct link_window *window)
{
	struct socket_link *l = of(link);
	struct braid_msg head;
	ssize_t n;
	int ret;

	ring_disarm(&l->down);
	while ((n = ring_take(&l->down, l->in, sizeof(l->in))) > 0) {
		if (n < (ssize_t)sizeof(head))
			return -EBADMSG;
		memcpy(&head, l->in, sizeof(head));
		if (head.cmd == BRAID_NR_COMMIT)
			commit_answered(l, n);
		if (head.cmd != BRAID_NR_FETCH || !l->fetching)
			continue;
		ret = decode_window(l, n, window);
		if (ret != -ECANCELED)
			return ret;
	}
	if (n || l->stale)
		return n ? n : -ESTALE;
	/* Nothing comes by the socket that is not waited for, but its end. */
	n = receive(l, MSG_DONTWAIT, NULL);
	return n < 0 ? n : 0;
}

static int socket_flush(struct link *l)
{
	return flush(of(l));
}

static bool socket_fetching(const struct link *l)
{
	return of(l)->newest_open;
}

static bool socket_rest(struct link *l)
{
	return ring_arm(&of(l)->down);
}

static int socket_waiter(struct link *link)
{
	struct socket_link *l = of(link);
	int fd = l->wait;

	l->wait = -1;
	return fd;
}

static const struct link_ops ops = {
	.free = socket_free,
	.call = socket_call,
	.commit = socket_commit,
	.fetch = socket_fetch,
	.take = socket_take,
	.flush = socket_flush,
	.kept = socket_kept,
	.fetching = socket_fetching,
	.rest = socket_rest,
	.waiter = socket_waiter,
};

static int map_rings(struct socket_link *l)
{
	struct braid_ring arg = { .size = sizeof(arg) };
	int fds[3] = { -1, -1, -1 }, ret = 0;

	for (arg.part = 0; arg.part < 3 && !ret; arg.part++) {
		ret = socket_call(&l->link, BRAID_NR_RING, &arg, &fds[arg.part]);
		if (!ret && fds[arg.part] < 0)
			ret = -EBADMSG;
	}
	l->bell = fds[BRAID_RING_BELL];
	l->wait = fds[BRAID_RING_WAIT];
	if (!ret) {
		l->span = ring_span(arg.up_bytes, arg.down_bytes);
		l->mem = mmap(NULL, l->span, PROT_READ | PROT_WRITE, MAP_SHARED,
			      fds[BRAID_RING_MEMORY], 0);
		if (l->mem == MAP_FAILED)
			ret = -errno;
	}
	close_fd(&fds[BRAID_RING_MEMORY]);
	if (!ret)
		ret = ring_map(l->mem, &l->up, arg.up_bytes, &l->down, arg.down_bytes);
	if (!ret && l->up.bytes < 4 * OUT_BYTES)
		ret = -EBADMSG;
	return ret;
}

int link_socket_open(int fd, struct link **out)
{
	struct socket_link *l = calloc(1, sizeof(*l));
	int size = 4 * WIRE_MAX_BYTES, ret;

	if (!l)
		return -ENOMEM;
	l->link = (struct link){ .ops = &ops, .fd = fd };
	l->bell = l->wait = -1;
	l->mem = MAP_FAILED;
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	ret = map_rings(l);
	if (ret) {
		socket_free(&l->link);
		return ret;
	}
	*out = &l->link;
	return 0;
}
