// SPDX-License-Identifier: MIT
/*
 * A pool of threads, each with scratch memory of its own.
 *
 * Scratch is address space for the most that any operation may ask for;
 * pages come when they are touched. Threads block every signal, so that those
 * of the process are taken by its main loop.
 *
 * Immutable once started; what the threads do is not known here.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "agent/cpu/exec.h"

struct pool_thread {
	pthread_t thread;
	void *scratch;
	struct pool *pool;
};

struct pool {
	uint32_t n;
	void (*work)(void *arg, void *scratch);
	void *arg;
	struct pool_thread threads[];
};

void *pool_scratch_new(void)
{
	void *p = mmap(NULL, CPU_SCRATCH_MAX, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

void pool_scratch_free(void *scratch)
{
	if (scratch)
		munmap(scratch, CPU_SCRATCH_MAX);
}

static void *thread_main(void *arg)
{
	struct pool_thread *t = arg;

	pthread_setname_np(pthread_self(), "braid-cpu");
	t->pool->work(t->pool->arg, t->scratch);
	return NULL;
}

int pool_start(uint32_t n, void (*work)(void *arg, void *scratch), void *arg,
	       struct pool **out)
{
	struct pool *pool = calloc(1, sizeof(*pool) + n * sizeof(pool->threads[0]));
	sigset_t all, old;
	int err;

	if (!pool)
		return -ENOMEM;
	pool->work = work;
	pool->arg = arg;
	/* Published before the first thread runs: pool_join() after a failure. */
	*out = pool;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	for (err = 0; pool->n < n; pool->n++) {
		struct pool_thread *t = &pool->threads[pool->n];

		t->pool = pool;
		t->scratch = pool_scratch_new();
		if (!t->scratch) {
			err = -ENOMEM;
			break;
		}
		err = -pthread_create(&t->thread, NULL, thread_main, t);
		if (err) {
			pool_scratch_free(t->scratch);
			break;
		}
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return err;
}

void pool_join(struct pool *pool)
{
	if (!pool)
		return;
	for (uint32_t i = 0; i < pool->n; i++) {
		pthread_join(pool->threads[i].thread, NULL);
		pool_scratch_free(pool->threads[i].scratch);
	}
	free(pool);
}
