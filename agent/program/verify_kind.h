/* SPDX-License-Identifier: MIT */
/* The part of verification that looks at one operation alone. */
#ifndef BRAID_AGENT_PROGRAM_VERIFY_KIND_H
#define BRAID_AGENT_PROGRAM_VERIFY_KIND_H

struct program;
struct prog_op;

/**
 * verify_kind() - do inputs, outputs and parameters agree with the kind?
 * @p: the program; tensors are sound, @op's tensor numbers are in range
 * @op: the operation, its counts of inputs and outputs as yet unchecked
 *
 * Return: NULL, or what is wrong.
 */
const char *verify_kind(const struct program *p, const struct prog_op *op);

#endif
