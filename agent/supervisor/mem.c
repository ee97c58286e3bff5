// SPDX-License-Identifier: MIT
/*
 * A thread for memory in bulk. Giving a gigabyte its pages, or taking them
 * away, takes a good part of a second, and while the loop did it nobody would
 * be served: so large buffers are filled, and all are closed, beside it. What a
 * tenant sent and is no buffer is closer.c's.
 *
 * Owns the jobs. The thread knows descriptors and lengths and nothing else;
 * they go to it through one pipe and results come back through another, so
 * there is no lock. One job at a time is with it, and each is checked against
 * the quota just before, so that nobody gets more by asking for much at once.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "agent/supervisor/server.h"

#define PIPE_BYTES	(1 << 20)

/* What the thread is asked. */
struct order {
	u64 bytes;
	int fd;
	int what;
};

enum { FILL, CHECK, CLOSE };

struct mem_job {
	struct mem_job *next;
	struct client *c;		/* NULL: it has gone */
	struct wire_call call;
	int fd;
	bool adopt;
	struct parcel parcel;		/* @fd, where it came from a tenant and is not wanted */
};

struct mem {
	struct server *srv;
	struct loop_watch watch;	/* results */
	pthread_t thread;
	int orders[2], results[2];
	struct mem_job *first, **last;	/* the first one is with the thread */
};

static void *run(void *arg)
{
	struct mem *m = arg;
	struct order o;
	int ret;

	while (read(m->orders[0], &o, sizeof(o)) == sizeof(o)) {
		if (o.what == CLOSE) {
			close(o.fd);
			continue;
		}
		ret = o.what == FILL ? memfd_fill(o.fd, o.bytes) : memfd_check(o.fd, o.bytes);
		if (write(m->results[1], &ret, sizeof(ret)) != sizeof(ret))
			break;
	}
	return NULL;
}

static void parcel_closed(struct server *s, struct parcel *p)
{
	free(bq_entry(p, struct mem_job, parcel));
}

/* The end of a job with result @ret; it is none of the list any more. */
static void finish(struct mem *m, struct mem_job *j, int ret)
{
	if (j->c && buf_alloc_done(j->c, &j->call, j->fd, j->adopt, ret)) {
		free(j);
	} else if (j->adopt) {
		closer_put(m->srv, &j->parcel);
	} else {
		mem_close(m->srv, j->fd);
		free(j);
	}
}

/* Start the first job that may be; those that may not are answered. */
static void start(struct mem *m)
{
	struct mem_job *j;

	while ((j = m->first)) {
		struct order o = { .fd = j->fd, .what = j->adopt ? CHECK : FILL };
		int ret = -ECANCELED;

		if (j->c) {
			o.bytes = j->call.arg.buf_alloc.length;
			ret = bq_buffer_check(&m->srv->q, &j->c->tenant, &o.bytes);
		}
		if (!ret && write(m->orders[1], &o, sizeof(o)) == sizeof(o))
			return;
		m->first = j->next;
		if (!m->first)
			m->last = &m->first;
		finish(m, j, ret ? ret : -ENOMEM);
	}
}

static void result(struct loop_watch *w, uint32_t events)
{
	struct mem *m = bq_entry(w, struct mem, watch);
	struct mem_job *j = m->first;
	int ret;

	if (read(w->fd, &ret, sizeof(ret)) != sizeof(ret) || !j)
		return;
	m->first = j->next;
	if (!m->first)
		m->last = &m->first;
	finish(m, j, ret);
	start(m);
}

int mem_start(struct server *s)
{
	struct mem *m = calloc(1, sizeof(*m));
	sigset_t all, old;
	int ret;

	if (!m)
		return -ENOMEM;
	m->srv = s;
	m->last = &m->first;
	if (pipe2(m->orders, O_CLOEXEC)) {
		ret = -errno;
		goto err_free;
	}
	if (pipe2(m->results, O_CLOEXEC)) {
		ret = -errno;
		goto err_orders;
	}
	fcntl(m->orders[1], F_SETPIPE_SZ, PIPE_BYTES);
	fcntl(m->orders[1], F_SETFL, O_NONBLOCK);
	fcntl(m->results[0], F_SETFL, O_NONBLOCK);
	ret = server_watch(s, &m->watch, m->results[0], result);
	if (ret)
		goto err_results;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = -pthread_create(&m->thread, NULL, run, m);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (ret)
		goto err_watch;
	s->mem = m;
	return 0;

err_watch:
	loop_del(s->loop, &m->watch);
err_results:
	close(m->results[0]);
	close(m->results[1]);
err_orders:
	close(m->orders[0]);
	close(m->orders[1]);
err_free:
	free(m);
	return ret;
}

/* All clients are gone. */
void mem_stop(struct server *s)
{
	struct mem *m = s->mem;

	if (!m)
		return;
	s->mem = NULL;
	loop_del(s->loop, &m->watch);
	close(m->orders[1]);
	pthread_join(m->thread, NULL);
	while (m->first) {
		struct mem_job *j = m->first;

		m->first = j->next;
		if (!j->adopt)
			close(j->fd);
		free(j);
	}
	close(m->orders[0]);
	close(m->results[0]);
	close(m->results[1]);
	free(m);
}

/* Answered later with buf_alloc_done(); @fd is the job's from now on. */
int mem_put(struct client *c, const struct wire_call *call, int fd, bool adopt)
{
	struct mem *m = c->srv->mem;
	struct mem_job *j = calloc(1, sizeof(*j));

	if (!j)
		return -ENOMEM;
	j->c = c;
	j->call = *call;
	j->fd = fd;
	j->adopt = adopt;
	j->parcel = (struct parcel){ .owner = c->tenant.owner->key, .fds = &j->fd, .n = 1,
				     .sent = true, .done = parcel_closed };
	c->job = j;
	*m->last = j;
	m->last = &j->next;
	if (m->first == j)
		start(m);
	return 0;
}

/* The client goes: nobody waits for its job. */
void mem_forget(struct client *c)
{
	if (c->job)
		c->job->c = NULL;
	c->job = NULL;
}

void mem_close(struct server *s, int fd)
{
	struct order o = { .fd = fd, .what = CLOSE };

	if (!s->mem || write(s->mem->orders[1], &o, sizeof(o)) != sizeof(o))
		close(fd);
}
