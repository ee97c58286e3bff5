/* SPDX-License-Identifier: MIT */
/*
 * Where the threads that pass requests on run.
 *
 * A request goes from the tenant to the supervisor, to the runner, and back:
 * four wake-ups. On one CPU each costs a switch, across CPUs the other one
 * must be woken from idle as well, several times as much. So the supervisor
 * and the runner's main thread share a CPU; the workers stay free.
 */
#ifndef BRAID_AGENT_AFFINITY_H
#define BRAID_AGENT_AFFINITY_H

#include <sched.h>

#define AFFINITY_NONE	(-2)
#define AFFINITY_AUTO	(-1)

/**
 * affinity_pin() - keep this thread on one CPU
 * @cpu: a CPU, AFFINITY_AUTO for the last that the thread may use, or
 *       AFFINITY_NONE to leave it as it is
 * @before: where it could run before; to be given to children
 *
 * Does nothing where there is but one CPU. Return: 0, or a negative errno
 * when @cpu is none that it may use.
 */
int affinity_pin(int cpu, cpu_set_t *before);

#endif
