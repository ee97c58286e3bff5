// SPDX-License-Identifier: MIT
/*
 * Spinning before sleeping: see spin.h. Owns nothing.
 */
#include "lib/spin.h"

#include <sched.h>
#include <time.h>

#define MAX_TRUST	32u
#define LOST_TRUST	8u
#define TRY_EVERY	64u	/* waits, when there is no trust */
#define LOOKS		8	/* at the ring for one at the clock */

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static void relax(void)
{
#ifdef __x86_64__
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

bool spin_elsewhere(const struct ring *r)
{
	uint32_t theirs = __atomic_load_n(&r->h->cpu, __ATOMIC_RELAXED);

	return theirs && theirs != (uint32_t)sched_getcpu() + 1;
}

bool spin_worth(struct spin *s)
{
	if (s->trust || ++s->skipped >= TRY_EVERY) {
		s->skipped = 0;
		return true;
	}
	return false;
}

bool spin_until(struct spin *s, unsigned int us, bool (*there)(const void *arg), const void *arg)
{
	uint64_t end = now_ns() + us * (s->trust < LOST_TRUST ? SPIN_LONGER : 1) * 1000ull;
	bool hit;

	do {
		for (int i = 0; !(hit = there(arg)) && i < LOOKS; i++)
			relax();
	} while (!hit && now_ns() < end);
	if (hit)
		s->trust += s->trust < MAX_TRUST;
	else
		s->trust -= s->trust < LOST_TRUST ? s->trust : LOST_TRUST;
	return hit;
}
