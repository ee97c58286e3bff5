/* SPDX-License-Identifier: MIT */
/*
 * Events of the probes as lines of JSON, for whoever draws them.
 *
 *	{"request":{...}}	a request ended			queue_latency
 *	{"window":{...}}	a window was handed out
 *	{"group":{...}}		the runner is done with a group
 *	{"launch":{...}}	a kernel, graph or copy was queued	host_stall
 *	{"wait":{...}}		a blocking call returned
 *	{"job":{...}}		a job on a ring ended		drm_switch
 *	{"switch":{...}}	a context-switch record		nvgpu_ctxsw
 *
 * Times are nanoseconds of CLOCK_MONOTONIC, of "switch" the GPU's own.
 */
#ifndef BRAID_TOOLS_PROBE_RECORD_H
#define BRAID_TOOLS_PROBE_RECORD_H

#include "bpf/probe.h"

/** record_event() - print one; for struct probe_options.event, @arg is a FILE */
void record_event(void *arg, const struct probe_event *e);

#endif
