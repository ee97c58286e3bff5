/* SPDX-License-Identifier: MIT */
/*
 * Ends a runner whose serving thread is stuck.
 *
 * That thread looks itself whether a window takes too long (windows_watch()), but while
 * it is inside a driver call it looks at nothing: a launch or a question may wait for a
 * lock that another thread of the driver's holds, and that one for a device that never
 * comes back. So a thread, braid-watchdog, looks from outside. It never calls the driver
 * and takes no lock but its own.
 */
#ifndef BRAID_AGENT_RUNNER_WATCHDOG_H
#define BRAID_AGENT_RUNNER_WATCHDOG_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/**
 * struct watchdog - who watches
 * @beat: moves while the serving thread does; written by that one alone
 * @requests: taken and not committed, as of the last beat; likewise
 * @lock: protects @stop
 * @rung: @stop was set
 * @stop: the thread is to end
 * @thread: it
 * @every_ms: how long from one look to the next
 * @looks: so many without a beat are too many; 0: there is no thread
 *
 * All but the first two and @stop is set before the thread starts.
 */
struct watchdog {
	_Atomic uint32_t beat, requests;
	pthread_mutex_t lock;
	pthread_cond_t rung;
	bool stop;
	pthread_t thread;
	uint32_t every_ms, looks;
};

/**
 * watchdog_start() - begin to watch
 * @d: zeroed; may have had beats
 * @ms: a runner with requests ends after so long without a beat, or half a second if
 *      that is more; 0: it never does
 *
 * Return: 0, or a negative errno.
 */
int watchdog_start(struct watchdog *d, unsigned int ms);

/**
 * watchdog_stop() - end the thread
 * @d: started, or never
 */
void watchdog_stop(struct watchdog *d);

/**
 * watchdog_beat() - the serving thread is alive
 * @d: who watches
 * @requests: that were taken and not committed; 0: what comes now may take its time
 *
 * Two plain stores: nothing else depends on what is read.
 */
static inline void watchdog_beat(struct watchdog *d, uint32_t requests)
{
	uint32_t n = atomic_load_explicit(&d->beat, memory_order_relaxed);

	atomic_store_explicit(&d->requests, requests, memory_order_relaxed);
	atomic_store_explicit(&d->beat, n + 1, memory_order_relaxed);
}

#endif
