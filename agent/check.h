/* SPDX-License-Identifier: MIT */
/*
 * braidd --check: would braidd start here with this configuration, and which
 * of its models would be served?
 */
#ifndef BRAID_AGENT_CHECK_H
#define BRAID_AGENT_CHECK_H

#include "agent/config.h"

/**
 * check() - try it, a line for each model on standard output
 * @cfg: what was read
 * @path: the file it was read from, NULL: there is none
 *
 * Return: braidd's exit status.
 */
int check(const struct config *cfg, const char *path);

#endif
