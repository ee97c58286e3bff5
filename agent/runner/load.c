// SPDX-License-Identifier: MIT
/*
 * The loading threads: see load.h. The mutex protects the lists, the flag and the
 * backend; a job that is being read or loaded is on no list and is its thread's alone.
 */
#include "agent/runner/load.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define MOST_THREADS	4u

struct job_list {
	struct load_job *first, **end;
};

struct loader {
	const struct backend_ops *ops;	/* NULL: not there yet */
	struct backend *be;
	unsigned int precision;
	pthread_t threads[MOST_THREADS];
	unsigned int n_threads;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	struct job_list todo, ready, done;	/* ready: read, not loaded */
	bool stop;
	int event;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static void list_init(struct job_list *list)
{
	*list = (struct job_list){ .end = &list->first };
}

static void list_put(struct job_list *list, struct load_job *job)
{
	job->next = NULL;
	*list->end = job;
	list->end = &job->next;
}

static struct load_job *list_get(struct job_list *list)
{
	struct load_job *job = list->first;

	if (!job)
		return NULL;
	list->first = job->next;
	if (!list->first)
		list->end = &list->first;
	return job;
}

int load_publishable(const struct program *p, char *why, size_t len)
{
	const char *words = !p->n_inputs ? "no input is left for tenants to give (const.NAME in an .ini takes one)" :
			    !p->n_outputs ? "it has no outputs" : NULL;

	if (words)
		snprintf(why, len, "%s", words);
	else if (p->n_inputs + p->n_outputs > BRAID_MAX_TENSORS)
		snprintf(why, len, "more than %d inputs and outputs", BRAID_MAX_TENSORS);
	else
		return 0;
	return words ? -EINVAL : -EMSGSIZE;
}

bool load_binds_batch(const struct model_config *c, const struct program *p)
{
	bool bound = !c->load.batch;

	for (uint32_t i = 0; i < p->n_inputs; i++) {
		const struct prog_tensor *t = &p->tensors[p->inputs[i].tensor];

		bound |= t->rank && t->dims[0] == c->load.batch;
	}
	return bound;
}

static void read_model(struct load_job *job)
{
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
	if (!job->err) {
		job->err = load_publishable(job->prog, job->why, sizeof(job->why));
		if (job->err)
			program_free(job->prog);
	}
	job->read_ns = now_ns() - from;
	if (job->err)
		job->prog = NULL;
}

static void load_model(struct loader *l, struct load_job *job)
{
	unsigned int asked = job->conf.precision ?: l->precision;
	const struct backend_model_config mc = {
		.precision = asked == PRECISION_AUTO ? 0 : asked,
		.took = &job->took,
	};

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

/*
 * Under the lock, given up while there is work. Opening a device takes about as long as
 * reading a large model: until it is there all are read.
 */
static bool work(struct loader *l)
{
	struct load_job *job = l->ops ? list_get(&l->ready) : NULL;
	const uint64_t one = 1;
	bool load = job;
	ssize_t n;

	if (!job)
		job = list_get(&l->todo);
	if (!job)
		return false;
	pthread_mutex_unlock(&l->lock);
	if (load)
		load_model(l, job);
	else
		read_model(job);
	pthread_mutex_lock(&l->lock);
	if (!load && !job->err) {
		list_put(&l->ready, job);
		return true;		/* and this thread looks for more */
	}
	list_put(&l->done, job);
	n = write(l->event, &one, sizeof(one));
	(void)n;
	return true;
}

static void *run(void *arg)
{
	struct loader *l = arg;

	pthread_setname_np(pthread_self(), "braid-loader");
	pthread_mutex_lock(&l->lock);
	while (!l->stop)
		if (!work(l))
			pthread_cond_wait(&l->cond, &l->lock);
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
	pthread_cond_broadcast(&l->cond);
	pthread_mutex_unlock(&l->lock);
}

struct loader *loader_new(unsigned int precision)
{
	const unsigned int n_threads = how_many();
	struct loader *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->precision = precision;
	list_init(&l->todo);
	list_init(&l->ready);
	list_init(&l->done);
	l->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->cond, NULL);
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
	pthread_mutex_unlock(&l->lock);
	for (unsigned int i = 0; i < l->n_threads; i++)
		pthread_join(l->threads[i], NULL);
	drop(l, l->todo.first);
	drop(l, l->ready.first);
	drop(l, l->done.first);
	pthread_cond_destroy(&l->cond);
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
	pthread_mutex_lock(&l->lock);
	list_put(&l->todo, job);
	pthread_cond_signal(&l->cond);
	pthread_mutex_unlock(&l->lock);
}

struct load_job *loader_get(struct loader *l)
{
	struct load_job *job;
	uint64_t n;

	pthread_mutex_lock(&l->lock);
	job = list_get(&l->done);
	if (!job && read(l->event, &n, sizeof(n)) < 0)
		errno = 0;	/* nothing to clear: spurious */
	pthread_mutex_unlock(&l->lock);
	return job;
}
