/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * One inference on its way through the queue. The node is the caller's memory
 * from bq_submit() until it comes back on the reap list; until then it is also
 * the reserved place of its completion.
 */
#ifndef BRAID_CORE_REQUEST_H
#define BRAID_CORE_REQUEST_H

#include <linux/braid.h>

#include "core/list.h"
#include "core/rbtree.h"
#include "core/reap.h"

struct bq;
struct bq_buffer;
struct bq_flow;
struct bq_model;
struct bq_owner;
struct bq_tenant;

/**
 * enum bq_state - where a request is
 * @BQ_NEW: the caller's, not yet accepted
 * @BQ_QUEUED: waits in the order
 * @BQ_SUSPECT: waits to run alone, after an agent died with it
 * @BQ_ENDING: ends with @bq_request.status when the hold is lifted
 * @BQ_FETCHED: the agent has it; without a tenant it is an orphan
 * @BQ_DONE: its completion waits to be read
 */
enum bq_state {
	BQ_NEW = 0,
	BQ_QUEUED,
	BQ_SUSPECT,
	BQ_ENDING,
	BQ_FETCHED,
	BQ_DONE,
};

/**
 * struct bq_slot - a slice and the buffer it lies in
 * @slice: filled by the caller
 * @buffer: the queue's
 */
struct bq_slot {
	struct braid_slice slice;
	struct bq_buffer *buffer;
};

/**
 * struct bq_request - a request; fields are the queue's, readable under the
 *                     lock, except @slots
 * @slots: caller's memory, as many as bq_request_slots() said, slices filled
 *         in; lives as long as the request
 * @n_slots: how many
 * @state: enum bq_state
 * @status: of the completion
 * @user_data: the tenant's
 * @id: counted by tenant
 * @priority: after the ceiling
 * @deadline_ns: 0 for none
 * @cookie: while FETCHED
 * @window: of the last FETCH, 0 if none
 * @enqueue_ns: time of bq_submit()
 * @fetch_ns: time of the last FETCH, 0 if none
 * @done_ns: time of its end
 * @device_ns: as committed
 * @attempt: agents that died with it
 * @kills: agents that died while it ran alone
 * @merge_degree: as committed
 * @fuse_degree: as committed
 * @cancelled: ends with ECANCELED as soon as it may
 * @alone: handed out alone
 */
struct bq_request {
	struct bq_slot *slots;
	u32 n_slots;
	u32 state;
	s32 status;
	u32 priority;
	u64 user_data;
	u64 id;
	u64 deadline_ns;
	u64 cookie;
	u64 window;
	u64 enqueue_ns;
	u64 fetch_ns;
	u64 done_ns;
	u64 device_ns;
	u32 attempt;
	u32 kills;
	u32 merge_degree;
	u32 fuse_degree;
	bool cancelled;
	bool alone;

	/* The queue's own. */
	struct bq_tenant *tenant;	/* NULL: orphan */
	struct bq_owner *owner;
	struct bq_model *model;
	struct bq_flow *flow;
	u64 seq;			/* arrival */
	s64 suspect_key;		/* order among suspects */
	u64 charged_vtime;		/* what its FETCH cost the owner */
	u64 charged_ns;			/* and the tenant */
	struct bq_rb_node order;	/* QUEUED: flow; FETCHED: by cookie */
	struct bq_rb_node by_deadline;	/* of its model */
	struct bq_rb_node expiry;	/* of the queue */
	struct bq_rb_node by_id;	/* of its tenant, until DONE */
	struct bq_list link;		/* model's arrivals or suspects, ending, tenant's done */
	struct bq_reap reap;
};

/**
 * bq_request_slots - check the head of a request, before memory is got for it
 * @in: as the tenant gave it
 * @n_slices: slices that came with the SUBMIT
 *
 * Returns how many slots the request needs. -E2BIG: reserved field set.
 * -EOPNOTSUPP: unknown flag or priority. -EINVAL: no such slices, or more than
 * BRAID_MAX_TENSORS.
 */
int bq_request_slots(const struct braid_request *in, u32 n_slices);

/**
 * bq_submit - accept one request
 * @q: queue
 * @t: tenant
 * @r: caller's node: @slots and @n_slots set, all else is overwritten
 * @in: the same that bq_request_slots() has seen
 * @now: CLOCK_MONOTONIC ns
 *
 * Returns 0: @r belongs to the queue and has its id. BQ_NEED_FLOW: the tenant
 * uses this model for the first time; see bq_flow_add(), then call again.
 * -ENOENT: model or buffer. -EINVAL: number of slices, length, alignment,
 * overlap. -EOVERFLOW: beyond a buffer. -EAGAIN: tenant_depth, or the queue is
 * full, or three quarters of it for an owner that has some. -EDQUOT: the owner's
 * requests. And bq_request_slots()'s errors. With
 * anything but 0, @r stays the caller's.
 */
int bq_submit(struct bq *q, struct bq_tenant *t, struct bq_request *r,
	      const struct braid_request *in, u64 now);

#define BQ_NEED_FLOW	1

/**
 * bq_cancel - give a request up
 * @q: queue
 * @t: tenant
 * @id: the tenant's id of the request
 * @now: CLOCK_MONOTONIC ns
 *
 * Returns enum braid_cancel_state, or -ENOENT: no such request, or it is done.
 */
int bq_cancel(struct bq *q, struct bq_tenant *t, u64 id, u64 now);

/**
 * bq_commit_check - may this COMMIT be taken?
 * @q: queue
 * @generation: the COMMIT's
 *
 * Returns 0. -ENODEV: no agent that is ready. -ESTALE: earlier generation.
 */
int bq_commit_check(const struct bq *q, u64 generation);

/**
 * bq_commit - one job has ended
 * @q: queue, after bq_commit_check()
 * @res: the result; @res->result is written too
 * @now: CLOCK_MONOTONIC ns
 *
 * Returns 0. -ENOENT: no such cookie. -EINVAL: status is not 0 or a negative
 * errno; the job stays fetched.
 */
int bq_commit(struct bq *q, struct braid_result *res, u64 now);

/**
 * bq_completion_peek - the oldest completion not yet popped or sent
 * @t: tenant
 * @out: filled, @size included
 *
 * Returns false when there is none.
 */
bool bq_completion_peek(const struct bq_tenant *t, struct braid_completion *out);

/**
 * bq_completion_pop - the record that was peeked has been read
 * @q: queue
 * @t: tenant
 *
 * For the device: its place in tenant_depth is free and the request goes to
 * the reap list. Peek, copy out without the lock, pop: so a fault loses none;
 * one reader at a time (the caller's mutex). Not for a tenant that
 * bq_completion_sent() is used for.
 */
void bq_completion_pop(struct bq *q, struct bq_tenant *t);

/**
 * bq_completion_sent - the record that was peeked is on the wire
 * @t: tenant
 *
 * For the socket: the next peek gives the next one, the place stays taken
 * until bq_completion_seen(). @t->sent counts them and is the sequence number
 * of the next COMPLETIONS message.
 */
void bq_completion_sent(struct bq_tenant *t);

/**
 * bq_completion_unsent - the last records did not get on the wire after all
 * @t: tenant
 * @n: how many of them, at most those that are not yet seen
 *
 * Undoes that many bq_completion_sent(); for a message that was filled before
 * the socket had no room for it. Linear in @n.
 */
void bq_completion_unsent(struct bq_tenant *t, u32 n);

/**
 * bq_completion_seen - the tenant has taken records
 * @q: queue
 * @t: tenant
 * @total: how many so far, as in struct braid_msg
 *
 * Returns 0. -EINVAL: fewer than before, or more than were sent.
 */
int bq_completion_seen(struct bq *q, struct bq_tenant *t, u64 total);

#endif
