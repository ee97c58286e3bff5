/* SPDX-License-Identifier: MIT */
/*
 * The supervisor as braidd's main() sees it.
 */
#ifndef BRAID_AGENT_SUPERVISOR_SUPERVISOR_H
#define BRAID_AGENT_SUPERVISOR_SUPERVISOR_H

#include <stdbool.h>
#include <stddef.h>

/* A runner's exit status: it could not begin, and the next one could not either. */
#define RUNNER_CANT_START	78

struct config;

/**
 * knob_check() - may the configuration set this knob of the queue to this
 * @name: knob
 * @value: as written
 * @why: words if not
 * @len: size of @why
 *
 * Return: 0, -ENOENT: no such knob, -EOPNOTSUPP: no such policy, -EINVAL: out of
 * range, -ENOMEM.
 */
int knob_check(const char *name, const char *value, char *why, size_t len);

/** device_wanted() - is the kernel's queue to be served? */
bool device_wanted(const struct config *cfg);

/** device_there() - and is there one? 0 or a negative errno, words in @why */
int device_there(const struct config *cfg, char *why, size_t len);

/**
 * supervisor_main() - serve until SIGTERM or SIGINT
 * @cfg: configuration
 * @config_path: where it was read from, handed on to the runner; NULL: nowhere
 *
 * Return: the process's exit status.
 */
int supervisor_main(const struct config *cfg, const char *config_path);

#endif
