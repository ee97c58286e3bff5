// SPDX-License-Identifier: MIT
/*
 * The runner's link over /dev/braid0-agent: see link.h. The queue is the
 * kernel's; a command is an ioctl.
 *
 * FETCH never blocks: it tells the queue what could be taken, and the file is
 * readable as long as that could be served. So it is repeated only when it is,
 * or when something could be taken that the queue does not know of; that less
 * can be taken now, it is told the next time. Work comes for one FETCH a
 * window then.
 */
#include "agent/runner/link_ops.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

struct device_link {
	struct link link;
	bool asked;			/* there was a FETCH */
	bool due;			/* the next one is not to wait for poll() */
	struct braid_want told[LINK_MAX_WANTS];	/* by the last FETCH */
	uint32_t n_told;
	struct braid_want wants[LINK_MAX_WANTS];	/* for the next one */
	uint32_t n_wants, max_jobs;
};

static struct device_link *of(const struct link *l)
{
	return (struct device_link *)l;		/* its first member */
}

static void device_free(struct link *l)
{
	free(of(l));
}

static int command(const struct link *l, uint32_t nr, void *arg)
{
	int ret;

	do {
		ret = ioctl(l->fd, _IO(BRAID_IOC_TYPE, nr), arg);
	} while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : 0;
}

static int device_call(struct link *l, uint32_t nr, void *arg, int *fd_out)
{
	int ret = command(l, nr, arg);

	if (fd_out)
		*fd_out = -1;
	if (!ret && fd_out && wire_cmd(nr)->fd_offset)
		memcpy(fd_out, (uint8_t *)arg + wire_cmd(nr)->fd_offset, sizeof(*fd_out));
	return ret;
}

static int device_commit(struct link *l, struct braid_commit *arg)
{
	int ret = command(l, BRAID_NR_COMMIT, arg);

	if (!ret && arg->committed != arg->results.count)
		link_count_refused(l, arg, (struct braid_result *)(uintptr_t)arg->results.ptr);
	return ret;
}

/* Is there anything in @wants that the last FETCH did not offer to take? */
static bool offers_more(const struct device_link *l, const struct braid_want *wants, uint32_t n)
{
	uint32_t at = 0;

	/* Both are in the order of the models' list. */
	for (uint32_t i = 0; i < n; i++) {
		while (at < l->n_told && l->told[at].model != wants[i].model)
			at++;
		if (at == l->n_told || wants[i].count > l->told[at].count)
			return true;
	}
	return false;
}

static int device_fetch(struct link *link, const struct braid_want *wants, uint32_t n,
			uint32_t jobs)
{
	struct device_link *l = of(link);

	if (!l->asked || offers_more(l, wants, n))
		l->due = true;
	l->asked = true;
	memcpy(l->wants, wants, n * sizeof(wants[0]));
	l->n_wants = n;
	l->max_jobs = jobs;
	return 0;
}

static int device_take(struct link *link, struct link_window *w)
{
	struct device_link *l = of(link);
	int ret;

	if (!l->asked)
		return 0;
	l->due = false;
	memcpy(l->told, l->wants, l->n_wants * sizeof(l->wants[0]));
	l->n_told = l->n_wants;
	w->arg = (struct braid_fetch){
		.size = sizeof(w->arg),
		.flags = BRAID_FETCH_NONBLOCK,
		.wants = { sizeof(l->wants[0]), l->n_wants, (uintptr_t)l->wants },
		.jobs = { sizeof(w->jobs[0]), l->max_jobs, (uintptr_t)w->jobs },
		.slices = { sizeof(w->slices[0]), LINK_MAX_SLICES, (uintptr_t)w->slices },
		.events = { sizeof(w->events[0]), LINK_MAX_EVENTS, (uintptr_t)w->events },
	};
	ret = command(link, BRAID_NR_FETCH, &w->arg);
	if (ret)
		return ret == -EAGAIN ? 0 : ret;
	return 1;
}

static int device_flush(struct link *l)
{
	return 0;
}

static bool device_kept(const struct link *l)
{
	return of(l)->due;
}

static bool device_fetching(const struct link *l)
{
	return of(l)->asked;
}

static bool device_rest(struct link *l)
{
	return true;
}

static int device_waiter(struct link *l)
{
	return -1;
}

static const struct link_ops ops = {
	.free = device_free,
	.call = device_call,
	.commit = device_commit,
	.fetch = device_fetch,
	.take = device_take,
	.flush = device_flush,
	.kept = device_kept,
	.fetching = device_fetching,
	.rest = device_rest,
	.waiter = device_waiter,
};

int link_device_open(int fd, struct link **out)
{
	struct device_link *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->link = (struct link){ .ops = &ops, .fd = fd };
	*out = &l->link;
	return 0;
}
