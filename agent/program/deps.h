/* SPDX-License-Identifier: MIT */
/* Who must wait for whom. */
#ifndef BRAID_AGENT_PROGRAM_DEPS_H
#define BRAID_AGENT_PROGRAM_DEPS_H

struct program;

/**
 * deps_build() - fill in every operation's dependencies
 * @p: a program with storages placed and without dependencies (n_deps 0)
 *
 * An operation waits for the writers of what it reads, and for the readers
 * (the writer, where there is none) of arena bytes that it writes anew.
 * Transitively reduced: a dependency that follows from others is left out.
 *
 * Return: 0 or -ENOMEM.
 */
int deps_build(struct program *p);

#endif
