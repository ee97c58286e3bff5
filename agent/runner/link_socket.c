// SPDX-License-Identifier: MIT
/*
 * The runner's link over a socket: see link.h. The queue is the supervisor's.
 *
 * Owns the socket and the message buffers. Answers to FETCH that come while
 * link_call() waits for something else are kept until link_take(). A FETCH
 * that is replaced may have been answered with jobs just before: its answer
 * counts as much as the other's, so both are waited for, and no third is sent
 * before.
 */
#include "agent/runner/link_ops.h"
#include "lib/wire_fd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_FETCHES	2u

struct socket_link {
	struct link link;
	uint64_t seq;
	uint64_t fetch_seq;		/* of the newest FETCH */
	unsigned int fetching;		/* how many are unanswered */
	bool newest_open;		/* the newest is */
	struct braid_fetch fetch;	/* as sent; all are of one shape */
	int stale;
	unsigned int n_kept;
	size_t kept[MAX_FETCHES];	/* bytes of early answers to FETCH */
	size_t posted;			/* bytes in out that wait to be sent */
	uint8_t out[WIRE_MAX_BYTES];
	uint8_t in[WIRE_MAX_BYTES];
	uint8_t keep[MAX_FETCHES][WIRE_MAX_BYTES];
};

static struct socket_link *of(const struct link *l)
{
	return (struct socket_link *)l;		/* its first member */
}

static void socket_free(struct link *l)
{
	free(of(l));
}

static bool socket_fetching(const struct link *l)
{
	return of(l)->newest_open;
}

static int flush(struct socket_link *l)
{
	size_t n = l->posted;

	l->posted = 0;
	while (n && send(l->link.fd, l->out, n, MSG_NOSIGNAL) < 0)
		if (errno != EINTR)
			return -EPIPE;
	return 0;
}

/* Commands leave in one message: at flush(), before a call, or when it is full. */
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

/* One message into l->in: its length, 0 if there is none, -EPIPE. */
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

static void commit_answered(struct socket_link *l, const struct braid_msg *head, size_t bytes)
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

/* Sort a message that is not the one a caller waits for. */
static void other_message(struct socket_link *l, const struct braid_msg *head, size_t bytes)
{
	if (head->cmd == BRAID_NR_COMMIT)
		commit_answered(l, head, bytes);
	else if (head->cmd == BRAID_NR_FETCH && l->n_kept < MAX_FETCHES) {
		memcpy(l->keep[l->n_kept], l->in, bytes);
		l->kept[l->n_kept++] = bytes;
	}
}

static int socket_call(struct link *link, uint32_t nr, void *arg, int *fd_out)
{
	struct socket_link *l = of(link);
	struct braid_msg head;
	uint64_t seq;
	ssize_t n;
	int ret;

	ret = post(l, nr, arg);
	if (!ret)
		ret = flush(l);
	if (ret)
		return ret;
	seq = l->seq;
	for (;;) {
		n = receive(l, 0, fd_out);
		if (n < 0)
			return n;
		if (!n)
			continue;
		memcpy(&head, l->in, sizeof(head));
		if (head.seq == seq)
			return wire_decode_reply(wire_cmd(nr), l->in, n, arg);
		other_message(l, &head, n);
	}
}

static int socket_commit(struct link *link, struct braid_commit *arg)
{
	return post(of(link), BRAID_NR_COMMIT, arg);
}

static int socket_fetch(struct link *link, const struct braid_want *wants, uint32_t n)
{
	struct socket_link *l = of(link);
	int ret;

	if (l->fetching == MAX_FETCHES)
		return -EBUSY;
	l->fetch = (struct braid_fetch){
		.size = sizeof(l->fetch),
		.wants = { sizeof(wants[0]), n, (uintptr_t)wants },
		.jobs = { sizeof(struct braid_job), BRAID_MAX_BATCH, 0 },
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

static int decode_window(struct socket_link *l, const uint8_t *msg, size_t bytes,
			 struct link_window *w)
{
	struct braid_msg head;
	int ret;

	memcpy(&head, msg, sizeof(head));
	l->fetching--;
	if (head.seq == l->fetch_seq)
		l->newest_open = false;
	w->arg = l->fetch;
	w->arg.jobs.ptr = (uintptr_t)w->jobs;
	w->arg.slices.ptr = (uintptr_t)w->slices;
	w->arg.events.ptr = (uintptr_t)w->events;
	ret = wire_decode_reply(wire_cmd(BRAID_NR_FETCH), msg, bytes, &w->arg);
	if (ret)
		return ret;
	if (w->arg.jobs.count > BRAID_MAX_BATCH || w->arg.slices.count > LINK_MAX_SLICES ||
	    w->arg.events.count > LINK_MAX_EVENTS)
		return -EBADMSG;
	return 1;
}

static bool socket_kept(const struct link *l)
{
	return of(l)->n_kept;
}

static int socket_take(struct link *link, struct link_window *window)
{
	struct socket_link *l = of(link);
	struct braid_msg head;
	ssize_t n;
	int ret;

	while (l->n_kept) {
		ret = decode_window(l, l->keep[0], l->kept[0], window);
		l->kept[0] = l->kept[1];
		if (--l->n_kept)
			memcpy(l->keep[0], l->keep[1], l->kept[0]);
		if (ret != -ECANCELED)
			return ret;
	}
	while ((n = receive(l, MSG_DONTWAIT, NULL)) > 0) {
		memcpy(&head, l->in, sizeof(head));
		if (head.cmd != BRAID_NR_FETCH) {
			other_message(l, &head, n);
			continue;
		}
		ret = decode_window(l, l->in, n, window);
		if (ret != -ECANCELED)
			return ret;
	}
	if (l->stale)
		return -ESTALE;
	return n;
}

static int socket_flush(struct link *l)
{
	return flush(of(l));
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
};

struct link *link_socket_open(int fd)
{
	struct socket_link *l = calloc(1, sizeof(*l));
	int size = 4 * WIRE_MAX_BYTES;

	if (!l)
		return NULL;
	l->link.ops = &ops;
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	return &l->link;
}
