/* SPDX-License-Identifier: MIT */
/*
 * Where the time of a program goes on the CPU: nanoseconds by operation.
 *
 * Costs one test of a pointer an operation when it is off.
 */
#ifndef BRAID_AGENT_CPU_PROFILE_H
#define BRAID_AGENT_CPU_PROFILE_H

#include <stddef.h>
#include <stdint.h>

struct program;
struct cpu_session;

/**
 * cpu_session_open() - make a program ready to be run again and again
 * @p: a verified program, must outlive the session
 * @max_degree: requests that one run may merge
 * @s: the session
 * @why: words on failure, may be NULL
 * @len: size of @why
 *
 * A session runs on the calling thread alone; one at a time may use it.
 * Return: 0, -EOPNOTSUPP, -ENOMEM.
 */
int cpu_session_open(const struct program *p, uint32_t max_degree,
		     struct cpu_session **s, char *why, size_t len);

/**
 * cpu_session_run() - run @degree requests as one
 * @s: the session
 * @degree: 1 to max_degree
 * @io: @degree rows of n_inputs + n_outputs pointers, inputs first
 * @op_ns: n_ops counters to which each operation's time is added, or NULL
 */
void cpu_session_run(struct cpu_session *s, uint32_t degree, void *const *io,
		     uint64_t *op_ns);

/** cpu_session_close() - free it; NULL is fine */
void cpu_session_close(struct cpu_session *s);

#endif
