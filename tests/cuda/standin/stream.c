// SPDX-License-Identifier: MIT
/*
 * Streams of the stand-in: a thread each, that works off its queue in order.
 * Between streams there is no order, and with slow_us they go at paces of
 * their own.
 *
 * si.lock protects the queues. A launch that hangs holds its thread until the
 * process ends.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/cuda/standin/standin.h"

struct cu_stream_opaque {
	struct cu_stream_opaque *next;
	pthread_t thread;
	pthread_cond_t more;
	struct work *first, **end;
	bool busy, stop;
	unsigned int seed;
};

/* Where a kernel goes that touches memory that is nobody's. */
static __thread sigjmp_buf *astray;

static void touched(int sig)
{
	if (astray)
		siglongjmp(*astray, 1);
	signal(sig, SIG_DFL);
	raise(sig);
}

static void catch_touches(void)
{
	const struct sigaction act = { .sa_handler = touched, .sa_flags = SA_NODEFER };

	sigaction(SIGSEGV, &act, NULL);
	sigaction(SIGBUS, &act, NULL);
}

/* As on a device, that is the end of the context and not of the process. */
static void run_kernel(struct work *w, unsigned int *seed)
{
	sigjmp_buf here;

	if (sigsetjmp(here, 1)) {
		astray = NULL;
		si_break(ILLEGAL_ADDRESS);
		return;
	}
	astray = &here;
	w->run(w, seed);
	astray = NULL;
}

static void running(int by)
{
	uint64_t now = atomic_fetch_add(&si.say->running, by) + by, most;

	most = atomic_load(&si.say->most_running);
	while (by > 0 && now > most &&
	       !atomic_compare_exchange_weak(&si.say->most_running, &most, now))
		;
}

static void run(struct work *w, unsigned int *seed)
{
	if (!w->launch) {
		w->run(w, seed);
		return;
	}
	running(1);
	if (si_due(&si.say->hang))
		for (;;)
			pause();
	if (si_due(&si.say->fault))
		si_break(atomic_load(&si.say->fault_as) ?: ILLEGAL_ADDRESS);
	else
		run_kernel(w, seed);
	running(-1);
}

static void *serve(void *arg)
{
	struct cu_stream_opaque *s = arg;

	pthread_mutex_lock(&si.lock);
	for (;;) {
		struct work *w = s->first;
		bool dead = si.sticky;

		if (!w) {
			s->busy = false;
			pthread_cond_broadcast(&si.moved);
			if (s->stop)
				break;
			pthread_cond_wait(&s->more, &si.lock);
			continue;
		}
		s->first = w->next;
		if (!s->first)
			s->end = &s->first;
		s->busy = true;
		pthread_mutex_unlock(&si.lock);
		if (!dead)
			run(w, &s->seed);
		w->drop(w);
		pthread_mutex_lock(&si.lock);
	}
	pthread_mutex_unlock(&si.lock);
	return NULL;
}

cu_result stream_put(cu_stream s, struct work *w)
{
	w->next = NULL;
	pthread_mutex_lock(&si.lock);
	*s->end = w;
	s->end = &w->next;
	s->busy = true;
	pthread_cond_signal(&s->more);
	pthread_mutex_unlock(&si.lock);
	return CU_SUCCESS;
}

API cu_result cuStreamCreateWithPriority(cu_stream *out, unsigned int flags, int priority)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	cu_result res = si_check();
	struct cu_stream_opaque *s;

	if (res)
		return res;
	pthread_once(&once, catch_touches);
	if (!(flags & CU_STREAM_NON_BLOCKING))
		si_misuse("a stream that waits for the default one");
	s = calloc(1, sizeof(*s));
	if (!s)
		return CU_OUT_OF_MEMORY;
	s->end = &s->first;
	s->seed = (uintptr_t)s ^ si.say->shuffle;
	pthread_cond_init(&s->more, NULL);
	if (pthread_create(&s->thread, NULL, serve, s)) {
		free(s);
		return CU_OUT_OF_MEMORY;
	}
	pthread_mutex_lock(&si.lock);
	s->next = si.streams;
	si.streams = s;
	pthread_mutex_unlock(&si.lock);
	*out = s;
	return CU_SUCCESS;
}

cu_result stream_end(cu_stream s)
{
	cu_result res;

	pthread_mutex_lock(&si.lock);
	while (!si.sticky && s->busy)
		pthread_cond_wait(&si.moved, &si.lock);
	res = si.sticky;
	pthread_mutex_unlock(&si.lock);
	return res;
}

API cu_result cuStreamDestroy_v2(cu_stream s)
{
	struct cu_stream_opaque **link;

	stream_end(s);
	pthread_mutex_lock(&si.lock);
	for (link = &si.streams; *link && *link != s; link = &(*link)->next)
		;
	if (*link)
		*link = s->next;
	s->stop = true;
	pthread_cond_signal(&s->more);
	pthread_mutex_unlock(&si.lock);
	pthread_join(s->thread, NULL);
	pthread_cond_destroy(&s->more);
	free(s);
	return CU_SUCCESS;
}

API cu_result cuStreamQuery(cu_stream s)
{
	cu_result res = si_check();

	if (res)
		return res;
	pthread_mutex_lock(&si.lock);
	res = s->busy ? CU_NOT_READY : CU_SUCCESS;
	pthread_mutex_unlock(&si.lock);
	return res;
}

API cu_result cuStreamSynchronize(cu_stream s)
{
	cu_result res = si_check();

	/* What goes to the default stream is done at once here. */
	return res || !s ? res : stream_end(s);
}

API cu_result cuCtxSynchronize(void)
{
	cu_result res = si_check();
	bool busy = true;

	pthread_mutex_lock(&si.lock);
	while (!res && busy) {
		busy = false;
		for (struct cu_stream_opaque *s = si.streams; s; s = s->next)
			busy |= s->busy;
		if (busy)
			pthread_cond_wait(&si.moved, &si.lock);
		res = si.sticky;
	}
	pthread_mutex_unlock(&si.lock);
	return res;
}
