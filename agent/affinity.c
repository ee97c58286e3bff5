// SPDX-License-Identifier: MIT
/*
 * Where service threads run: see affinity.h. Keeps nothing.
 */
#include "agent/affinity.h"

#include <errno.h>

int affinity_pin(int cpu, cpu_set_t *before)
{
	cpu_set_t one;

	if (sched_getaffinity(0, sizeof(*before), before))
		return -errno;
	if (cpu == AFFINITY_NONE || (cpu == AFFINITY_AUTO && CPU_COUNT(before) < 2))
		return 0;
	if (cpu == AFFINITY_AUTO)
		for (int i = 0; i < CPU_SETSIZE; i++)
			if (CPU_ISSET(i, before))
				cpu = i;
	if (cpu < 0 || cpu >= CPU_SETSIZE || !CPU_ISSET(cpu, before))
		return -EINVAL;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	return sched_setaffinity(0, sizeof(one), &one) ? -errno : 0;
}
