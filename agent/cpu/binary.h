/* SPDX-License-Identifier: MIT */
/*
 * BINARY's inner loops on types other than fp32 (binary_types.c); fp32's own
 * are in k_binary.c.
 */
#ifndef BRAID_AGENT_CPU_BINARY_H
#define BRAID_AGENT_CPU_BINARY_H

#include <stdbool.h>

#include "agent/cpu/walk.h"
#include "agent/program/program.h"

/** binary_supported() - is there a loop for @fn on @a and @b? */
bool binary_supported(enum prog_binary fn, enum braid_type a, enum braid_type b);

/**
 * binary_span() - a rectangle of results, densely stored
 * @fn: which function
 * @ta: type of @a, and of results that are not bool
 * @tb: type of @b: @ta's, but for POW
 * @out: the first result
 * @a: the first operand's tensor
 * @b: the second's
 * @s: operand 0 is @a, 1 is @b
 */
void binary_span(enum prog_binary fn, enum braid_type ta, enum braid_type tb, void *out,
		 const void *a, const void *b, const struct cpu_span *s);

#endif
