/* SPDX-License-Identifier: MIT */
/*
 * Events as a file for Perfetto and chrome://tracing (the "JSON Object Format"
 * of Chrome's trace events).
 *
 * Tracks, in the file's terms processes and their threads:
 *
 *	GPU		windows; groups, a lane for each that runs at the same time;
 *			context switches; a thread a context
 *	tenant N	its requests, each with the time queued and the time run
 *	libcuda, pid N	a thread a thread: launches, waits
 *	ring NAME	a thread a client: jobs; stalls
 */
#ifndef BRAID_TOOLS_BRAIDCTL_TRACE_WRITE_H
#define BRAID_TOOLS_BRAIDCTL_TRACE_WRITE_H

#include <jansson.h>
#include <stdio.h>

#include "tools/braidctl/measure.h"

/**
 * trace_write() - write a trace
 * @f: file
 * @events: array of what braid-probe record and braid-switch --events print
 * @names: of tenants and models
 * @left_out: object of what could not be recorded, by name; goes into the file
 *
 * Return: how many events the file has, or a negative errno.
 */
long trace_write(FILE *f, json_t *events, const struct measure_names *names, json_t *left_out);

#endif
