// SPDX-License-Identifier: MIT
/*
 * The loading threads: see load.h. The mutex protects both lists and the flag;
 * a job that is being loaded is on neither and is its thread's alone.
 */
#include "agent/runner/load.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define MOST_THREADS	4u

struct loader {
	const struct backend_ops *ops;	/* NULL: not there yet */
	struct backend *be;
	unsigned int precision;
	pthread_t threads[MOST_THREADS];
	unsigned int n_threads;
	pthread_mutex_t lock;
	pthread_cond_t cond, opened;
	struct load_job *todo, **todo_end;
	struct load_job *done, **done_end;
	bool stop;
	int event;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

/* Opening a device takes about as long as reading a large model: both go on at once. */
static bool has_backend(struct loader *l)
{
	bool has;

	pthread_mutex_lock(&l->lock);
	while (!l->ops && !l->stop)
		pthread_cond_wait(&l->opened, &l->lock);
	has = l->ops;
	pthread_mutex_unlock(&l->lock);
	return has;
}

static void load(struct loader *l, struct load_job *job)
{
	const struct backend_model_config mc = {
		.precision = job->conf.precision ?: l->precision,
		.took = &job->took,
	};
	uint64_t from = now_ns();

	/* The arrays of the binding moved with the structure. */
	job->conf.load.shapes = job->conf.shapes;
	job->conf.load.consts = job->conf.consts;
	for (unsigned int i = 0, s = 0, c = 0; i < job->conf.n_names; i++) {
		if (job->conf.kinds[i] == 's')
			job->conf.shapes[s++].input = job->conf.names[i];
		else
			job->conf.consts[c++].input = job->conf.names[i];
	}
	job->err = program_load(job->conf.path, &job->conf.load, &job->prog, job->why,
				sizeof(job->why));
	job->read_ns = now_ns() - from;
	if (job->err) {
		job->prog = NULL;
		return;
	}
	if (!has_backend(l)) {		/* it ends before it began */
		job->err = -ECANCELED;
		program_free(job->prog);
		job->prog = NULL;
		return;
	}
	job->err = l->ops->supports(job->prog, job->why, sizeof(job->why));
	if (!job->err)
		job->err = l->ops->model_load(l->be, job->prog, &mc, &job->bm, job->why,
					      sizeof(job->why));
	if (job->err) {
		program_free(job->prog);
		job->prog = NULL;
		job->bm = NULL;
	}
}

static void *run(void *arg)
{
	struct loader *l = arg;
	uint64_t one = 1;
	ssize_t n;

	pthread_setname_np(pthread_self(), "braid-loader");
	pthread_mutex_lock(&l->lock);
	for (;;) {
		struct load_job *job = l->todo;

		if (l->stop)
			break;
		if (!job) {
			pthread_cond_wait(&l->cond, &l->lock);
			continue;
		}
		l->todo = job->next;
		if (!l->todo)
			l->todo_end = &l->todo;
		pthread_mutex_unlock(&l->lock);
		load(l, job);
		pthread_mutex_lock(&l->lock);
		job->next = NULL;
		*l->done_end = job;
		l->done_end = &job->next;
		n = write(l->event, &one, sizeof(one));
		(void)n;
	}
	pthread_mutex_unlock(&l->lock);
	return NULL;
}

static unsigned int how_many(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n < MOST_THREADS ? n : MOST_THREADS;
}

void loader_backend(struct loader *l, const struct backend_ops *ops, struct backend *be)
{
	pthread_mutex_lock(&l->lock);
	l->ops = ops;
	l->be = be;
	pthread_cond_broadcast(&l->opened);
	pthread_mutex_unlock(&l->lock);
}

struct loader *loader_new(unsigned int precision)
{
	const unsigned int n_threads = how_many();
	struct loader *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->precision = precision;
	l->todo_end = &l->todo;
	l->done_end = &l->done;
	l->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->cond, NULL);
	pthread_cond_init(&l->opened, NULL);
	while (l->event >= 0 && l->n_threads < n_threads &&
	       !pthread_create(&l->threads[l->n_threads], NULL, run, l))
		l->n_threads++;
	if (l->n_threads)
		return l;
	if (l->event >= 0)
		close(l->event);
	free(l);
	return NULL;
}

static void drop(struct loader *l, struct load_job *job)
{
	while (job) {
		struct load_job *next = job->next;

		if (job->bm)
			l->ops->model_unload(l->be, job->bm);
		program_free(job->prog);
		free(job);
		job = next;
	}
}

void loader_free(struct loader *l)
{
	if (!l)
		return;
	pthread_mutex_lock(&l->lock);
	l->stop = true;
	pthread_cond_broadcast(&l->cond);
	pthread_cond_broadcast(&l->opened);
	pthread_mutex_unlock(&l->lock);
	for (unsigned int i = 0; i < l->n_threads; i++)
		pthread_join(l->threads[i], NULL);
	drop(l, l->todo);
	drop(l, l->done);
	pthread_cond_destroy(&l->cond);
	pthread_cond_destroy(&l->opened);
	pthread_mutex_destroy(&l->lock);
	close(l->event);
	free(l);
}

int loader_fd(const struct loader *l)
{
	return l->event;
}

void loader_put(struct loader *l, struct load_job *job)
{
	job->next = NULL;
	pthread_mutex_lock(&l->lock);
	*l->todo_end = job;
	l->todo_end = &job->next;
	pthread_cond_signal(&l->cond);
	pthread_mutex_unlock(&l->lock);
}

struct load_job *loader_get(struct loader *l)
{
	struct load_job *job;
	uint64_t n;

	pthread_mutex_lock(&l->lock);
	job = l->done;
	if (job) {
		l->done = job->next;
		if (!l->done)
			l->done_end = &l->done;
	} else if (read(l->event, &n, sizeof(n)) < 0) {
		job = NULL;	/* nothing to clear: spurious */
	}
	pthread_mutex_unlock(&l->lock);
	return job;
}
