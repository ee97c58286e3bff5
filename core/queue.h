/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The queue: its knobs, its counters, its time, and the life of its agent.
 * Including this header gives the whole interface of core/.
 *
 * One lock, the caller's, is held around every call and around every look into
 * a structure. core/ never allocates, locks, sleeps, reads a clock or logs:
 *
 * - nodes come from the caller and go back on the reap list (core/reap.h);
 * - times come from the caller, CLOCK_MONOTONIC nanoseconds, never back;
 * - after a call that changes something the caller, still under the lock,
 *   takes bq_reap() and bq_next_woken(), looks with bq_window() whether a
 *   pending FETCH can be answered, and sets its timer to the earlier of
 *   bq_look.when and bq_next_event().
 *
 * Nothing is linear in the number of requests that wait, except where all of
 * a set end at once: a tenant's death (its own), a model's withdrawal (the
 * model's), an agent's death (those it has; and all buffers, which its successor
 * is to be told of).
 */
#ifndef BRAID_CORE_QUEUE_H
#define BRAID_CORE_QUEUE_H

#include <linux/braid.h>

#include "core/buffer.h"
#include "core/list.h"
#include "core/model.h"
#include "core/owner.h"
#include "core/rbtree.h"
#include "core/reap.h"
#include "core/request.h"
#include "core/types.h"
#include "core/window.h"

/**
 * enum bq_share_by - what an owner is; the caller derives the keys
 * @BQ_SHARE_UID: the effective uid of whoever opened
 * @BQ_SHARE_CGROUP: its cgroup
 */
enum bq_share_by {
	BQ_SHARE_UID = 0,
	BQ_SHARE_CGROUP = 1,
	BQ_SHARES
};

/**
 * enum bq_knob - what can be set while the queue lives
 * @BQ_WINDOW_MAX: requests, 1 to BRAID_MAX_BATCH
 * @BQ_WINDOW_TIMEOUT_US: 0 to 10,000,000
 * @BQ_WINDOW_POLICY: enum braid_window_policy
 * @BQ_FUSION_POLICY: enum braid_fusion_policy; the agent gets an event
 * @BQ_TENANT_DEPTH: requests, 1 to 65,536
 * @BQ_MAX_ATTEMPTS: deaths of agents, 1 to 100
 * @BQ_SHARE_BY: enum bq_share_by; for tenants that come from now on. A change
 *               drops the limits that were set by hand: a number that was a
 *               uid may be a cgroup's now
 * @BQ_MAX_REQUESTS: queued or running in all, 1 to 2^24; the last quarter is
 *                   for owners that have none
 * @BQ_GRACE_MS: how long requests of a dead agent are held, 0 to 600,000
 * @BQ_KNOBS: number of knobs
 */
enum bq_knob {
	BQ_WINDOW_MAX = 0,
	BQ_WINDOW_TIMEOUT_US,
	BQ_WINDOW_POLICY,
	BQ_FUSION_POLICY,
	BQ_TENANT_DEPTH,
	BQ_MAX_ATTEMPTS,
	BQ_SHARE_BY,
	BQ_MAX_REQUESTS,
	BQ_GRACE_MS,
	BQ_KNOBS
};

/* Models in the table at once, those that drain included. */
#define BQ_MAX_MODELS	1024

/**
 * struct bq_counters - what happened so far
 * @submitted: requests accepted
 * @completed: requests that ended with a completion
 * @done: of them with status 0
 * @failed: with a status that the agent reported
 * @expired: with ETIME
 * @cancelled: with ECANCELED
 * @withdrawn: with ENOENT
 * @killed: with EIO after max_attempts, or by an agent that it alone ended
 * @dropped: ended without a completion, their tenant is dead
 * @requeued: taken back from a dead agent
 * @windows: handed out
 * @closes: of them by enum braid_close_reason
 * @fetched: jobs handed out
 * @committed: jobs that came back, orphans included
 * @merged: of them those with a merge_degree above 1
 * @fused: of them those with a fuse_degree above 1
 * @merge_sum: sum of the merge_degrees, for the mean
 * @fuse_sum: sum of the fuse_degrees
 * @device_ns: as committed
 */
struct bq_counters {
	u64 submitted;
	u64 completed;
	u64 done;
	u64 failed;
	u64 expired;
	u64 cancelled;
	u64 withdrawn;
	u64 killed;
	u64 dropped;
	u64 requeued;
	u64 windows;
	u64 closes[BRAID_CLOSES];
	u64 fetched;
	u64 committed;
	u64 merged;
	u64 fused;
	u64 merge_sum;
	u64 fuse_sum;
	u64 device_ns;
};

/**
 * struct bq - a queue; set by bq_init() and the calls below, readable under
 *             the lock
 * @knobs: by enum bq_knob
 * @fusion_mask: fusion policies that may be set, a bit each; the caller's to
 *               change after bq_init()
 * @defaults: limits of owners for which none were set; the caller's to change
 *            after bq_init()
 * @count: counters
 * @generation: counts agents that were ready
 * @attached: there is an agent
 * @ready: it is ready
 * @held: what a dead agent had does not complete before @hold_until
 * @hold_until: CLOCK_MONOTONIC ns
 * @queued: requests that wait in the order
 * @suspects: requests that wait to run alone, or to end after the hold
 * @fetched: requests that the agent has, orphans included
 * @n_models: in the table
 * @n_usable: of them, those that may be used
 * @n_tenants: alive
 * @tenants: struct bq_tenant.by_id
 */
struct bq {
	u32 knobs[BQ_KNOBS];
	u32 fusion_mask;
	struct bq_owner_limits defaults;
	struct bq_counters count;
	u64 generation;
	bool attached;
	bool ready;
	bool held;
	u64 hold_until;
	u32 queued;
	u32 suspects;
	u32 fetched;
	u32 n_models;
	u32 n_usable;
	u32 n_tenants;
	struct bq_rb_root tenants;

	/* The queue's own. */
	u64 last_agent;			/* counts attached agents */
	u64 last_tenant;
	u64 last_model;
	u64 last_put;
	u64 last_buffer;
	u64 last_seq;
	u64 last_cookie;
	u64 last_window;
	u64 last_want;
	s64 first_suspect, last_suspect;	/* least and greatest key in use */
	struct bq_clock clock;		/* of owners */
	u32 n_lingering;
	bool alone;			/* a suspect is with the agent */
	bool policy_changed;		/* to be told */
	struct bq_rb_root by_cookie;	/* FETCHED */
	struct bq_rb_root expiry;	/* QUEUED with a deadline */
	struct bq_rb_root suspect_expiry;	/* SUSPECT with a deadline */
	struct bq_list ending;		/* ENDING */
	struct bq_rb_root models;	/* by id */
	struct bq_rb_root names;	/* models that may be used */
	struct bq_rb_root buffers;	/* by id */
	struct bq_list fresh;		/* buffers that the agent does not know, by id */
	struct bq_list retired;		/* buffers to be told */
	struct bq_list told;		/* buffers to be put */
	struct bq_list drained;		/* models to be told */
	struct bq_rb_root owners;	/* by key */
	struct bq_rb_root lingering;	/* owners without tenants that are ahead */
	struct bq_list woken;
	struct bq_reap *reap;
};

/**
 * bq_init - an empty queue without an agent, default knobs
 * @q: caller's memory, overwritten
 */
void bq_init(struct bq *q);

/**
 * bq_exit - hand all that is left back by the reap list
 * @q: queue without an agent and without tenants
 *
 * Models, and owners that linger or were set by hand.
 */
void bq_exit(struct bq *q);

/**
 * bq_knob_range - what a knob that is a number takes
 * @knob: which
 * @min: set to the least
 * @max: set to the most; less than @min for a knob that is none
 */
void bq_knob_range(enum bq_knob knob, u32 *min, u32 *max);

/**
 * bq_knob_set - change a knob
 * @q: queue
 * @knob: which
 * @value: its new value
 *
 * Returns 0. -EINVAL: out of range, or no such knob. -EOPNOTSUPP: unknown
 * policy, or one that is not in fusion_mask.
 */
int bq_knob_set(struct bq *q, enum bq_knob knob, u32 value);

/**
 * bq_expire - end what has expired
 * @q: queue
 * @now: CLOCK_MONOTONIC ns
 *
 * Deadlines that passed while queued, and the hold after an agent's death.
 * Every other call with a time does this first.
 */
void bq_expire(struct bq *q, u64 now);

/**
 * bq_expire_some - end some of what has expired
 * @q: queue
 * @now: CLOCK_MONOTONIC ns
 * @most: how many requests
 *
 * For a caller whose lock must not be held for long: when this has returned
 * true, nothing is left that bq_expire() would do at @now.
 */
bool bq_expire_some(struct bq *q, u64 now, u32 most);

/**
 * bq_next_event - when bq_expire() has something to do
 * @q: queue
 *
 * Returns CLOCK_MONOTONIC ns, BQ_NEVER if nothing can expire. O(1).
 */
u64 bq_next_event(const struct bq *q);

/**
 * bq_agent_attach - an agent came
 * @q: queue
 *
 * It may publish models, and must say that it is ready before all else.
 * Returns 0. -EBUSY: there is one.
 */
int bq_agent_attach(struct bq *q);

/**
 * bq_agent_ready - the agent has published its models
 * @q: queue
 * @now: CLOCK_MONOTONIC ns
 *
 * The generation goes up, the hold ends, models that this agent did not
 * publish are gone, all buffers are announced anew.
 * Returns 0. -EINVAL: called twice. -ENODEV: no agent.
 */
int bq_agent_ready(struct bq *q, u64 now);

/**
 * bq_agent_gone - the agent died or left
 * @q: queue
 * @now: CLOCK_MONOTONIC ns
 *
 * What it had goes back to the head in the order it was handed out, as
 * suspects; orphans are dropped. Of what it had, nothing completes within
 * BQ_GRACE_MS unless a successor is ready before.
 */
void bq_agent_gone(struct bq *q, u64 now);

/**
 * struct bq_stall - the caller's, zeroed to begin with; fields are the queue's
 * @seen: windows, jobs and agents at the last look
 * @busy: the agent had work at the last look
 * @told: of this stall
 */
struct bq_stall {
	u64 seen;
	bool busy;
	bool told;
};

/**
 * bq_stalled - whether the agent has stopped moving
 * @q: queue
 * @st: what the last look saw
 *
 * To be called at regular times. True once for each stall: there was work at
 * the last look already, and since then an agent that is ready has neither
 * taken nor given back anything.
 */
bool bq_stalled(const struct bq *q, struct bq_stall *st);

#endif
