// SPDX-License-Identifier: MIT
/*
 * Threads that close: see closer.h. An owner has one of them at most, so that
 * one whose descriptors do not close holds up nobody else; there is one as
 * long as braidd serves, and more while several owners have something.
 *
 * @lock protects the lists, @at and the counts of threads. A parcel that is
 * with the closer is read by its threads; the loop touches it again once it is
 * on the list of those that are done. @sent is the loop's alone.
 */
#include "agent/supervisor/closer.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "agent/log.h"
#include "agent/supervisor/server.h"

#define THREADS		64u
#define STACK_BYTES	(256u << 10)
#define LAST_WAIT_S	1

struct worker {
	bool busy;
	uint64_t owner;
	unsigned int n;
};

struct closer {
	struct loop_watch watch;	/* some are done */
	struct server *srv;
	unsigned int sent;
	pthread_mutex_t lock;
	pthread_cond_t work;		/* something to take, or the end */
	pthread_cond_t less;		/* a thread has ended */
	struct bq_list waiting, done;
	struct worker at[THREADS];
	unsigned int threads, idle;
	bool stop;
};

static bool owner_busy(const struct closer *cl, uint64_t owner)
{
	for (unsigned int i = 0; i < THREADS; i++)
		if (cl->at[i].busy && cl->at[i].owner == owner)
			return true;
	return false;
}

/* The first parcel whose owner has no thread, or NULL. */
static struct parcel *next_parcel(const struct closer *cl)
{
	for (struct bq_list *l = cl->waiting.next; l != &cl->waiting; l = l->next) {
		struct parcel *p = bq_entry(l, struct parcel, link);

		if (!owner_busy(cl, p->owner))
			return p;
	}
	return NULL;
}

static struct worker *free_worker(struct closer *cl)
{
	for (unsigned int i = 0; i < THREADS; i++)
		if (!cl->at[i].busy)
			return &cl->at[i];
	return NULL;
}

/* With the lock, which it gives up while it closes. */
static void close_parcel(struct closer *cl, struct parcel *p)
{
	const uint64_t one = 1;
	struct worker *w = free_worker(cl);

	bq_list_del(&p->link);
	*w = (struct worker){ .busy = true, .owner = p->owner, .n = p->n };
	pthread_mutex_unlock(&cl->lock);
	for (unsigned int i = 0; i < p->n; i++)
		if (p->fds[i] >= 0)
			close(p->fds[i]);
	pthread_mutex_lock(&cl->lock);
	w->busy = false;
	bq_list_add_tail(&cl->done, &p->link);
	/* A counter that is full wakes as well. */
	if (write(cl->watch.fd, &one, sizeof(one)) != sizeof(one))
		return;
}

static void *run(void *arg)
{
	struct closer *cl = arg;
	struct parcel *p;

	pthread_mutex_lock(&cl->lock);
	for (;;) {
		p = next_parcel(cl);
		if (p) {
			close_parcel(cl, p);
		} else if (cl->stop || cl->idle) {
			break;
		} else {
			cl->idle++;
			pthread_cond_wait(&cl->work, &cl->lock);
			cl->idle--;
		}
	}
	cl->threads--;
	pthread_cond_signal(&cl->less);
	pthread_mutex_unlock(&cl->lock);
	return NULL;
}

/* With the lock. Without a new thread those that are there do it later. */
static int start_thread(struct closer *cl)
{
	pthread_attr_t attr;
	sigset_t all, old;
	pthread_t thread;
	int ret;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = -pthread_create(&thread, &attr, run, cl);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	if (!ret)
		cl->threads++;
	return ret;
}

static void some_done(struct loop_watch *w, uint32_t events)
{
	struct closer *cl = bq_entry(w, struct closer, watch);
	struct parcel *p;
	uint64_t n;

	if (read(w->fd, &n, sizeof(n)) != sizeof(n))
		return;
	pthread_mutex_lock(&cl->lock);
	while (!bq_list_empty(&cl->done)) {
		p = bq_entry(cl->done.next, struct parcel, link);
		bq_list_del(&p->link);
		pthread_mutex_unlock(&cl->lock);
		p->busy = false;
		if (p->sent)
			cl->sent -= p->n;
		p->done(cl->srv, p);
		pthread_mutex_lock(&cl->lock);
	}
	pthread_mutex_unlock(&cl->lock);
	client_room(cl->srv);
}

int closer_start(struct server *s)
{
	struct closer *cl = calloc(1, sizeof(*cl));
	int ret;

	if (!cl)
		return -ENOMEM;
	cl->srv = s;
	pthread_mutex_init(&cl->lock, NULL);
	pthread_cond_init(&cl->work, NULL);
	pthread_cond_init(&cl->less, NULL);
	bq_list_init(&cl->waiting);
	bq_list_init(&cl->done);
	ret = server_watch(s, &cl->watch, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), some_done);
	if (ret) {
		free(cl);
		return ret;
	}
	pthread_mutex_lock(&cl->lock);
	ret = start_thread(cl);
	pthread_mutex_unlock(&cl->lock);
	if (ret) {
		loop_del(s->loop, &cl->watch);
		close(cl->watch.fd);
		free(cl);
		return ret;
	}
	s->closer = cl;
	return 0;
}

/* The process ends: what does not close by then is left to that. */
void closer_stop(struct server *s)
{
	struct closer *cl = s->closer;
	struct timespec until;
	bool all;

	if (!cl)
		return;
	s->closer = NULL;
	loop_del(s->loop, &cl->watch);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += LAST_WAIT_S;
	pthread_mutex_lock(&cl->lock);
	cl->stop = true;
	pthread_cond_broadcast(&cl->work);
	while (cl->threads && !pthread_cond_timedwait(&cl->less, &cl->lock, &until))
		;
	all = !cl->threads;
	pthread_mutex_unlock(&cl->lock);
	if (!all) {
		log_line(LOG_WARNING, "a tenant's descriptor does not close: left", "%s", "");
		return;
	}
	while (!bq_list_empty(&cl->done)) {
		struct parcel *p = bq_entry(cl->done.next, struct parcel, link);

		bq_list_del(&p->link);
		p->busy = false;
		p->done(s, p);
	}
	close(cl->watch.fd);
	free(cl);
}

void closer_put(struct server *s, struct parcel *p)
{
	struct closer *cl = s->closer;

	p->busy = true;
	if (p->sent)
		cl->sent += p->n;
	pthread_mutex_lock(&cl->lock);
	bq_list_add_tail(&cl->waiting, &p->link);
	if (cl->idle)
		pthread_cond_signal(&cl->work);
	else if (cl->threads < THREADS && !owner_busy(cl, p->owner))
		start_thread(cl);
	pthread_mutex_unlock(&cl->lock);
}

unsigned int closer_pending(struct server *s, uint64_t owner)
{
	struct closer *cl = s->closer;
	unsigned int n = 0;

	pthread_mutex_lock(&cl->lock);
	for (struct bq_list *l = cl->waiting.next; l != &cl->waiting; l = l->next) {
		const struct parcel *p = bq_entry(l, struct parcel, link);

		if (p->owner == owner)
			n += p->n;
	}
	for (unsigned int i = 0; i < THREADS; i++)
		if (cl->at[i].busy && cl->at[i].owner == owner)
			n += cl->at[i].n;
	pthread_mutex_unlock(&cl->lock);
	return n;
}

bool closer_idle(const struct server *s)
{
	return !s->closer->sent;
}

bool closer_has_room(struct server *s, uint64_t owner, unsigned int most)
{
	return closer_idle(s) ||
	       (s->closer->sent + most <= s->fd_kept && !closer_pending(s, owner));
}
