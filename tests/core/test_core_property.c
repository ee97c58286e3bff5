// SPDX-License-Identifier: MIT
/*
 * Random operations over many seeds, core/ against the naive queue.
 *
 *   BRAID_SEED    first seed; without it, from the clock (always printed)
 *   BRAID_STEPS   operations in all, default 4,000,000 (fewer under
 *                 sanitizers)
 *   BRAID_TRACE   print every operation
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/core/drive.h"
#include "tests/tap.h"

#define STEPS_A_SEED	1500

#if defined(__SANITIZE_ADDRESS__)
#define STEPS		600000
#else
#define STEPS		4000000
#endif

/* splitmix64 */
static u32 next_number(void *from)
{
	u64 *state = from, z;

	z = *state += 0x9e3779b97f4a7c15ULL;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return (z ^ (z >> 31)) >> 32;
}

static u64 setting(const char *name, u64 otherwise)
{
	const char *s = getenv(name);

	return s && *s ? strtoull(s, NULL, 0) : otherwise;
}

static void add(struct bq_counters *sum, const struct bq_counters *c)
{
	const u64 *from = (const u64 *)c;
	u64 *to = (u64 *)sum;
	u32 i;

	for (i = 0; i < sizeof(*sum) / sizeof(u64); i++)
		to[i] += from[i];
}

/* One seed. Returns false, having said why, when the two differ. */
static bool run(struct drive *d, u64 seed)
{
	u64 state = seed, i;
	bool good = true;

	drive_start(d, next_number, &state);
	for (i = 0; good && i < STEPS_A_SEED; i++)
		good = drive_step(d);
	good = good && drive_end(d);
	if (!good)
		diag("BRAID_SEED=%llu: %s", (unsigned long long)seed, d->error);
	return good;
}

int main(void)
{
	u64 steps = setting("BRAID_STEPS", STEPS), done = 0, seed, first;
	struct drive *d = calloc(1, sizeof(*d));
	struct bq_counters sum = { 0 };
	bool good = true;
	int i;

	if (!d)
		return 1;
	d->trace = getenv("BRAID_TRACE");
	first = setting("BRAID_SEED", (u64)time(NULL) * 1000003);
	for (seed = first; good && done < steps; seed++) {
		good = run(d, seed);
		done += d->steps;
		add(&sum, &d->q.count);
	}
	ok(good, "%llu operations, seeds %llu to %llu: core and the naive queue agree",
	   (unsigned long long)done, (unsigned long long)first,
	   (unsigned long long)seed - 1);
	diag("requests %llu, done %llu, expired %llu, cancelled %llu, withdrawn %llu",
	     (unsigned long long)sum.submitted, (unsigned long long)sum.done,
	     (unsigned long long)sum.expired, (unsigned long long)sum.cancelled,
	     (unsigned long long)sum.withdrawn);
	diag("requeued %llu, killed %llu, dropped %llu, windows %llu",
	     (unsigned long long)sum.requeued, (unsigned long long)sum.killed,
	     (unsigned long long)sum.dropped, (unsigned long long)sum.windows);

	/* A run that never got somewhere proves nothing about it. */
	if (good && done >= 200000) {
		ok(sum.done && sum.failed && sum.expired && sum.cancelled && sum.withdrawn &&
		   sum.killed && sum.dropped && sum.requeued && sum.merged && sum.fused,
		   "requests ended in every way");
		for (i = BRAID_CLOSE_FULL; i < BRAID_CLOSES; i++)
			ok(sum.closes[i], "windows closed for reason %d: %llu", i,
			   (unsigned long long)sum.closes[i]);
	}
	free(d);
	return tap_done();
}
