/* SPDX-License-Identifier: MIT */
/*
 * Run a program once, here and now, on the calling thread: what constant
 * folding needs, and the simplest form of execution to compare others with.
 */
#ifndef BRAID_AGENT_CPU_EVAL_H
#define BRAID_AGENT_CPU_EVAL_H

#include <stddef.h>

struct program;

/**
 * cpu_eval() - run @p for one request
 * @p: a verified program
 * @in: one pointer an input
 * @out: one pointer an output, each of its tensor's byte size
 * @why: words on failure, may be NULL
 * @len: size of @why
 *
 * Allocates its arena for the call. Return: 0, -EOPNOTSUPP (operator, type),
 * -ENOMEM.
 */
int cpu_eval(const struct program *p, const void *const *in, void *const *out,
	     char *why, size_t len);

#endif
