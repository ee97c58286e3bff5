// SPDX-License-Identifier: MIT
/*
 * Tenants with a CLOCK_MONOTONIC of their own (a time namespace): deadlines
 * and the times of completions are theirs, the queue's are the supervisor's.
 * How far one is ahead of the other is found out when it connects.
 */
#include <stdio.h>
#include <sys/stat.h>

#include "agent/supervisor/server.h"

/* Which clock a process has: 0, or -1 where it may not be known. */
static int clock_of(const char *pid, struct stat *st)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%s/ns/time", pid);
	return stat(path, st);
}

/* How far ahead of the host's the clock of its children is, in ns; false: unknown. */
static bool offset_of(const char *pid, int64_t *ahead)
{
	char path[64], clock[32];
	long long sec, nsec;
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/timens_offsets", pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	while (fscanf(f, "%31s %lld %lld", clock, &sec, &nsec) == 3) {
		if (clock[0] != 'm' && clock[0] != '1')
			continue;
		*ahead = sec * 1000000000ll + nsec;
		found = true;
		break;
	}
	fclose(f);
	return found;
}

void timens_of(struct client *c)
{
	struct stat mine, its;
	int64_t me, it;
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", c->pid);
	/* Of a process that may not be looked at nothing can be said. */
	if (clock_of("self", &mine) || clock_of(pid, &its) || mine.st_ino == its.st_ino)
		return;
	if (offset_of("self", &me) && offset_of(pid, &it))
		c->clock_ahead = it - me;
	else
		c->clock_unknown = true;
}

/* A deadline of the tenant's clock, not 0, as the queue's: never 0, which would be none. */
uint64_t timens_in(const struct client *c, uint64_t ns)
{
	int64_t ahead = c->clock_ahead;

	if (ahead >= 0)
		return ns > (uint64_t)ahead ? ns - ahead : 1;
	return ns < UINT64_MAX - (uint64_t)-ahead ? ns + (uint64_t)-ahead : UINT64_MAX;
}

/* And back; 0 stays 0. */
uint64_t timens_out(const struct client *c, uint64_t ns)
{
	return ns ? ns + c->clock_ahead : 0;
}
