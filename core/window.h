/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * When a window closes, and what is in it.
 */
#ifndef BRAID_CORE_WINDOW_H
#define BRAID_CORE_WINDOW_H

#include <linux/braid.h>

#include "core/types.h"

struct bq;

/*
 * A window closes so long before a deadline would be missed: who is to close it
 * wakes late, and a request whose deadline is over by then ends with ETIME.
 */
#define BQ_DEADLINE_SLACK_NS	200000ULL

/**
 * struct bq_look - what a pending FETCH would get
 * @reason: enum braid_close_reason; BRAID_CLOSE_NONE: no jobs now
 * @events: there are events
 * @when: with neither: look again at this time, BQ_NEVER: not before the queue
 *        changes. Deadlines that merely expire are bq_next_event()'s.
 */
struct bq_look {
	u32 reason;
	bool events;
	u64 when;
};

/**
 * bq_window - look whether a pending FETCH can be answered
 * @q: queue
 * @wants: what it names
 * @n_wants: how many
 * @now: CLOCK_MONOTONIC ns
 * @look: answer
 *
 * O(wants), at most a logarithm more. Call after all that changes the queue
 * and when @look->when has come. What has expired by @now ends first, so
 * bq_next_woken() may have something. Unknown models are passed over.
 *
 * Returns 0. -ENODEV: no agent that is ready. -EINVAL: a model named twice.
 * -E2BIG: reserved field set.
 */
int bq_window(struct bq *q, const struct braid_want *wants, u32 n_wants,
	      u64 now, struct bq_look *look);

/**
 * struct bq_fetch - one FETCH
 * @wants: what it names
 * @n_wants: how many
 * @max_jobs: room in @jobs
 * @max_slices: room in @slices
 * @max_events: room in @events, at least 1
 * @jobs: written
 * @slices: written; each job's inputs, then its outputs
 * @events: written
 * @n_jobs: out
 * @n_slices: out
 * @n_events: out
 * @window: out, 0 without jobs
 * @generation: out
 * @reason: out, enum braid_close_reason
 * @fusion_policy: out
 * @queued: out, requests that still wait in the order
 * @when: out with -EAGAIN, as in struct bq_look
 */
struct bq_fetch {
	const struct braid_want *wants;
	u32 n_wants;
	u32 max_jobs;
	u32 max_slices;
	u32 max_events;
	struct braid_job *jobs;
	struct braid_slice *slices;
	struct braid_event *events;

	u32 n_jobs;
	u32 n_slices;
	u32 n_events;
	u64 window;
	u64 generation;
	u32 reason;
	u32 fusion_policy;
	u32 queued;
	u64 when;
};

/**
 * bq_fetch - hand out a window, events, or both
 * @q: queue
 * @f: arrays of the caller, reachable while the lock is held
 * @now: CLOCK_MONOTONIC ns
 *
 * No job is handed out before the agent has been told of its buffers. Those that
 * it does not know yet go first, whoever else waits to be told of; so a FETCH
 * with little room for events may come back with events alone. Of @max_events
 * jobs leave a quarter to what else is to be told, which beside jobs gets no
 * more than that: each event costs the agent time.
 *
 * Returns 0. -EAGAIN: nothing; @f->when tells when to look again. -EINVAL:
 * no room for an event, for a job, or for a job of a model named; or a model
 * named twice. -ENODEV, -E2BIG: as bq_window().
 */
int bq_fetch(struct bq *q, struct bq_fetch *f, u64 now);

/**
 * bq_fetch_check - is a FETCH right, whatever the queue holds now
 * @q: queue
 * @f: its wants and room
 *
 * Returns 0, or what bq_fetch() would say but for -EAGAIN.
 */
int bq_fetch_check(struct bq *q, const struct bq_fetch *f);

#endif
