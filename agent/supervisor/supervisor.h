/* SPDX-License-Identifier: MIT */
/*
 * The supervisor as braidd's main() sees it.
 */
#ifndef BRAID_AGENT_SUPERVISOR_SUPERVISOR_H
#define BRAID_AGENT_SUPERVISOR_SUPERVISOR_H

struct config;

/**
 * supervisor_main() - serve until SIGTERM or SIGINT
 * @cfg: configuration
 * @config_path: where it was read from, handed on to the runner; NULL: nowhere
 *
 * Return: the process's exit status.
 */
int supervisor_main(const struct config *cfg, const char *config_path);

#endif
