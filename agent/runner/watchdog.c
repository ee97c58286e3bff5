// SPDX-License-Identifier: MIT
/*
 * The thread that ends a stuck runner: see watchdog.h.
 *
 * Owns the thread braid-watchdog. Its looks are counted, not the time that went by: a
 * process that was stopped, or a machine that slept, takes one look for all of it, and
 * the serving thread has beaten before the next one.
 */
#include "agent/runner/watchdog.h"

#include <errno.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "agent/log.h"

#define LOOKS		8u	/* within the limit, */
#define FAST_MS		20u	/* but no more often, */
#define SLOW_MS		1000u	/* and no less often than so */
#define LEAST_MS	500u	/* who has nothing to do beats with the loop's tick, every 100 ms */

/*
 * A line that the log has no room for is left out, but standard error may be a file, and
 * that a disk which does not answer: then the alarm is what ends the process.
 */
static void __attribute__((noreturn)) give_up(const struct watchdog *d, uint32_t requests)
{
	sigset_t set;

	signal(SIGALRM, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	alarm(1);
	log_line(LOG_CRIT, "watchdog: the runner is stuck, giving up", "requests=%u ms=%u", requests,
		 d->every_ms * d->looks);
	for (;;) {
		kill(getpid(), SIGKILL);
		pause();
	}
}

/* Wait for the next look; false: there is none. */
static bool another(struct watchdog *d)
{
	struct timespec at;
	int ret = 0;
	bool stop;

	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_nsec += d->every_ms % 1000 * 1000000l;
	at.tv_sec += d->every_ms / 1000 + at.tv_nsec / 1000000000;
	at.tv_nsec %= 1000000000;
	pthread_mutex_lock(&d->lock);
	while (!d->stop && ret != ETIMEDOUT)
		ret = pthread_cond_timedwait(&d->rung, &d->lock, &at);
	stop = d->stop;
	pthread_mutex_unlock(&d->lock);
	return !stop;
}

static void *look(void *arg)
{
	struct watchdog *d = arg;
	uint32_t last = 0, still = 0, beat, requests;

	while (another(d)) {
		beat = atomic_load_explicit(&d->beat, memory_order_relaxed);
		requests = atomic_load_explicit(&d->requests, memory_order_relaxed);
		still = requests && beat == last ? still + 1 : 0;
		last = beat;
		if (still >= d->looks)
			give_up(d, requests);
	}
	return NULL;
}

static uint32_t within(uint32_t v, uint32_t least, uint32_t most)
{
	return v < least ? least : v > most ? most : v;
}

int watchdog_start(struct watchdog *d, unsigned int ms)
{
	pthread_condattr_t attr;
	int ret;

	if (!ms)
		return 0;
	d->every_ms = within(ms / LOOKS, FAST_MS, SLOW_MS);
	if (ms < LEAST_MS)
		ms = LEAST_MS;
	d->looks = (ms + d->every_ms - 1) / d->every_ms;
	pthread_mutex_init(&d->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&d->rung, &attr);
	pthread_condattr_destroy(&attr);
	ret = pthread_create(&d->thread, NULL, look, d);
	if (ret)
		d->looks = 0;
	else
		pthread_setname_np(d->thread, "braid-watchdog");
	return -ret;
}

void watchdog_stop(struct watchdog *d)
{
	if (!d->looks)
		return;
	pthread_mutex_lock(&d->lock);
	d->stop = true;
	pthread_cond_signal(&d->rung);
	pthread_mutex_unlock(&d->lock);
	pthread_join(d->thread, NULL);
	d->looks = 0;
}
