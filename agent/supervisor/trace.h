/* SPDX-License-Identifier: MIT */
/*
 * What happens in the supervisor's queue, for whoever looks: the same as the
 * kernel module's tracepoints braid:*, as USDT probes of provider braid.
 *
 *	submit        tenant, id, model, owner, enqueue_ns, priority
 *	window_close  window, reason, jobs, left, close_ns, generation
 *	fetch         tenant, id, model, window, enqueue_ns, fetch_ns
 *	complete      tenant, model, owner, pointer to a struct braid_completion,
 *	              its size, when
 *	requeue       tenant, id, model, window, generation, attempt
 */
#ifndef BRAID_AGENT_SUPERVISOR_TRACE_H
#define BRAID_AGENT_SUPERVISOR_TRACE_H

#include <stdint.h>

struct bq;
struct bq_fetch;
struct bq_request;
struct client;

/** trace_submit() - a request was accepted */
void trace_submit(const struct bq_request *r);

/** trace_window() - a window was handed out */
void trace_window(const struct bq *q, const struct bq_fetch *f, uint64_t now);

/** trace_completions() - requests of a tenant have ended; call before any is sent */
void trace_completions(struct client *c);

/** trace_requeues() - what the agent has is about to be taken from it */
void trace_requeues(const struct bq *q);

#endif
