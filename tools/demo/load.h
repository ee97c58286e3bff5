/* SPDX-License-Identifier: MIT */
/*
 * All tenants at once, for some seconds.
 */
#ifndef BRAID_DEMO_LOAD_H
#define BRAID_DEMO_LOAD_H

#include "tools/demo/replay.h"

/**
 * struct load - a run of all tenants
 * @socket: braidd's socket
 * @seconds: how long
 * @label: opens every line of the table
 * @header: print the table's head first
 */
struct load {
	const char *socket;
	int seconds;
	const char *label;
	bool header;
};

/**
 * load_run() - start the tenants, let them run, print their figures
 * @load: how
 * @replay: requests with known answers, after the chain has run over it
 *
 * Return: 0 when every answer was right; 1 otherwise, said on stderr.
 */
int load_run(const struct load *load, const struct replay *replay);

#endif
