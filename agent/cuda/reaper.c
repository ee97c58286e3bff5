// SPDX-License-Identifier: MIT
/*
 * Wakes a caller that sleeps: see cuda.h. A thread looks at the flags of
 * launches while there are any, and makes the event readable when one has come
 * up. A caller that polls needs it only for buffers.
 *
 * It naps between looks, so that a small machine's CPUs are left to others; on
 * a large one the caller polls. The mutex protects the wish to sleep.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "agent/cuda/cuda.h"

#define NAP_NS		20000
#define LOOK_NS		2000000ull	/* without an end: have the caller look for faults */

struct reaper {
	struct backend *be;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t work;
	atomic_bool sleeps;
	bool stop;
};

void reaper_tell(struct backend *be)
{
	uint64_t one = 1;
	ssize_t n = write(be->event, &one, sizeof(one));

	(void)n;	/* full is as good as written */
}

static void nap(void)
{
	struct timespec ts = { .tv_nsec = NAP_NS };

	nanosleep(&ts, NULL);
}

static void watch(struct reaper *r)
{
	uint64_t told = backend_now();

	while (atomic_load_explicit(&r->be->lanes.in_flight, memory_order_relaxed)) {
		uint64_t now = backend_now();

		if (lanes_ended(r->be) || now - told > LOOK_NS) {
			told = now;
			reaper_tell(r->be);
		}
		nap();
	}
}

static void *serve(void *arg)
{
	struct reaper *r = arg;

	pthread_setname_np(pthread_self(), "braid-reaper");
	prctl(PR_SET_TIMERSLACK, 1000ul, 0, 0, 0);
	pthread_mutex_lock(&r->lock);
	while (!r->stop) {
		pthread_mutex_unlock(&r->lock);
		watch(r);
		pthread_mutex_lock(&r->lock);
		atomic_store(&r->sleeps, true);
		/* A launch from before that was noticed by nobody. */
		if (!r->stop && !r->be->lanes.in_flight)
			pthread_cond_wait(&r->work, &r->lock);
		atomic_store(&r->sleeps, false);
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

void reaper_wake(struct backend *be)
{
	struct reaper *r = be->reaper;

	if (be->polls || !atomic_load(&r->sleeps))
		return;
	pthread_mutex_lock(&r->lock);
	pthread_cond_signal(&r->work);
	pthread_mutex_unlock(&r->lock);
}

int reaper_new(struct backend *be)
{
	struct reaper *r;

	be->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (be->event < 0)
		return -errno;
	if (be->polls)
		return 0;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->be = be;
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->work, NULL);
	if (pthread_create(&r->thread, NULL, serve, r)) {
		free(r);
		return -EAGAIN;
	}
	be->reaper = r;
	return 0;
}

void reaper_free(struct backend *be)
{
	struct reaper *r = be->reaper;

	if (r) {
		pthread_mutex_lock(&r->lock);
		r->stop = true;
		pthread_cond_signal(&r->work);
		pthread_mutex_unlock(&r->lock);
		pthread_join(r->thread, NULL);
		pthread_cond_destroy(&r->work);
		pthread_mutex_destroy(&r->lock);
		free(r);
	}
	if (be->event >= 0)
		close(be->event);
}
