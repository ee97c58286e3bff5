/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Who shares the device: owners (a uid or a cgroup: share and quota), their
 * tenants (an open file or a connection), and which model each of them uses.
 *
 * A share is an owner's use of one model, a flow a tenant's. Both are found by
 * the pick, so they must exist before the first request: bq_submit() says when
 * one is missing.
 */
#ifndef BRAID_CORE_OWNER_H
#define BRAID_CORE_OWNER_H

#include <linux/braid.h>

#include "core/list.h"
#include "core/rbtree.h"
#include "core/reap.h"

struct bq;
struct bq_model;
struct bq_request;

#define BQ_WEIGHT_MIN		1
#define BQ_WEIGHT_MAX		1024
#define BQ_WEIGHT_DEFAULT	100

/* Virtual time that who is served may be behind its clock: 100 ms of the device. */
#define BQ_LAG_NS		100000000ULL

/**
 * struct bq_owner_limits - what an administrator sets by owner
 * @weight: share of the device's time, BQ_WEIGHT_MIN to BQ_WEIGHT_MAX
 * @priority_ceiling: enum braid_priority
 * @request_quota: requests queued, running, or unread beyond one a tenant
 * @reserved: zero
 * @byte_quota: bytes of buffers
 */
struct bq_owner_limits {
	u32 weight;
	u32 priority_ceiling;
	u32 request_quota;
	u32 reserved;
	u64 byte_quota;
};

/**
 * struct bq_clock - where those start who have nothing waiting
 * @at: virtual time, before its charge, of who was last served, by class
 * @queued: requests in the order, by class
 * @min: the least of @at among classes in which something waits
 *
 * None of the times goes back; they wrap.
 */
struct bq_clock {
	u64 at[BRAID_PRIORITIES];
	u32 queued[BRAID_PRIORITIES];
	u64 min;
};

/**
 * struct bq_owner - an owner; all fields are the queue's
 * @key: uid or cgroup id
 * @limits: in force
 * @set: limits were set by hand: it outlives its tenants
 * @requests: queued, running, or unread beyond one a tenant; what a socket's
 *            tenant has taken is told with its next message, so one that is
 *            idle may have one
 * @bytes: of buffers, until they are freed
 * @n_tenants: alive
 * @n_buffers: until they are freed
 * @device_ns: committed so far
 * @completed: requests that ended so far
 * @vtime: virtual time, ns at weight BQ_WEIGHT_DEFAULT; wraps
 */
struct bq_owner {
	u64 key;
	struct bq_owner_limits limits;
	bool set;
	u32 requests;
	u64 bytes;
	u32 n_tenants;
	u32 n_buffers;
	u64 device_ns;
	u64 completed;
	u64 vtime;

	/* The queue's own. */
	struct bq_clock clock;		/* of its tenants */
	u32 refs;			/* tenants, buffers, requests with the agent */
	u32 queued;			/* requests in the order */
	struct bq_rb_node by_key;
	struct bq_rb_node by_vtime;	/* lingers */
	struct bq_rb_root shares;	/* by model */
	struct bq_list waiting;		/* shares with something queued */
	struct bq_reap reap;
};

/**
 * struct bq_tenant - a tenant; all fields are the queue's
 * @id: never used twice
 * @owner: whose share and quota it uses
 * @outstanding: places taken: queued, running and unread
 * @unread: of them, those that have ended
 * @last_id: id of the latest request
 * @sent: completion records sent so far (socket)
 * @seen: of them, those that the tenant has taken
 * @submitted: requests accepted so far
 * @device_ns: committed so far
 */
struct bq_tenant {
	u64 id;
	struct bq_owner *owner;
	u32 outstanding;
	u32 unread;
	u64 last_id;
	u64 sent;
	u64 seen;
	u64 submitted;
	u64 device_ns;

	/* The queue's own. */
	u64 vtime;
	u32 queued[BRAID_PRIORITIES];	/* requests in the order, by class */
	struct bq_rb_root requests;	/* not done, by id */
	struct bq_rb_root flows;	/* by model */
	struct bq_list waiting;		/* flows with something queued */
	struct bq_list done;		/* first those that were sent */
	struct bq_list *unsent;		/* first one of @done that was not, or @done */
	struct bq_list buffers;
	struct bq_rb_node by_id;
	struct bq_list woken;
	struct bq_reap reap;
};

/* An owner's use of a model; the queue's own but for its memory. */
struct bq_share {
	struct bq_owner *owner;
	struct bq_model *model;
	u32 flows_count;
	u32 class;			/* of its first flow */
	u64 vtime;			/* owner's, not later than it is now */
	struct bq_rb_root flows;	/* by class, tenant's virtual time */
	struct bq_rb_node in_model;
	struct bq_rb_node by_model;
	struct bq_list waiting;
	struct bq_reap reap;
};

/* A tenant's use of a model; the queue's own but for its memory. */
struct bq_flow {
	struct bq_tenant *tenant;
	struct bq_model *model;
	struct bq_share *share;
	u32 class;			/* of its first request */
	u64 vtime;			/* tenant's, not later than it is now */
	struct bq_rb_root requests;	/* by class, deadline, arrival */
	struct bq_rb_node in_share;
	struct bq_rb_node by_model;
	struct bq_list waiting;
	struct bq_list of_model;
	struct bq_reap reap;
};

/**
 * bq_owner_find - find an owner
 * @q: queue
 * @key: uid or cgroup id
 *
 * Returns it, or NULL: then bq_owner_add() one before its first tenant.
 */
struct bq_owner *bq_owner_find(const struct bq *q, u64 key);

/**
 * bq_owner_add - a new owner, with the default limits
 * @q: queue
 * @o: caller's node, overwritten
 * @key: uid or cgroup id; not there yet
 *
 * From then on it lives while it has tenants, buffers, requests with the agent
 * or limits set by hand, then goes to the reap list. An owner that never had
 * any of these goes by bq_owner_set() with NULL.
 */
void bq_owner_add(struct bq *q, struct bq_owner *o, u64 key);

/**
 * bq_owner_set - set an owner's limits by hand
 * @q: queue
 * @o: owner
 * @limits: all of them; NULL: back to the defaults, and not by hand
 *
 * Acts on what is submitted and handed out from now on, until it is set again or
 * BQ_SHARE_BY changes. Returns 0. -EINVAL:
 * weight or quota out of range. -EOPNOTSUPP: unknown priority.
 */
int bq_owner_set(struct bq *q, struct bq_owner *o, const struct bq_owner_limits *limits);

/**
 * bq_owner_from - the owner with the smallest key that is not below
 * @q: queue
 * @key: uid or cgroup id
 *
 * Returns it, or NULL. Owners that merely linger are included.
 */
struct bq_owner *bq_owner_from(const struct bq *q, u64 key);

/**
 * bq_owner_next - the owner with the next larger key
 * @q: queue
 * @o: an owner, NULL to start
 *
 * Returns it, or NULL after the last. Owners that merely linger are included.
 */
struct bq_owner *bq_owner_next(const struct bq *q, const struct bq_owner *o);

/**
 * bq_tenant_add - a tenant came
 * @q: queue
 * @t: caller's node, overwritten
 * @o: its owner
 */
void bq_tenant_add(struct bq *q, struct bq_tenant *t, struct bq_owner *o);

/**
 * bq_tenant_abandon - a tenant dies, step by step
 * @q: queue
 * @t: tenant; nothing else may be called for it any more but bq_tenant_gone()
 * @most: how many requests and buffers this step gives up
 *
 * For a caller whose lock must not be held for long. Returns true when there is
 * nothing left to give up.
 */
bool bq_tenant_abandon(struct bq *q, struct bq_tenant *t, u32 most);

/**
 * bq_tenant_gone - a tenant died
 * @q: queue
 * @t: tenant
 *
 * What it has queued is dropped, what the agent has becomes an orphan, its
 * buffers retire. @t itself goes to the reap list. Linear in what it has.
 */
void bq_tenant_gone(struct bq *q, struct bq_tenant *t);

/**
 * bq_tenant_find - find a tenant
 * @q: queue
 * @id: its id
 *
 * Returns it, or NULL.
 */
struct bq_tenant *bq_tenant_find(const struct bq *q, u64 id);

/**
 * bq_tenant_next - the tenant with the smallest id above
 * @q: queue
 * @id: 0 to start
 *
 * Returns it, or NULL after the last.
 */
struct bq_tenant *bq_tenant_next(const struct bq *q, u64 id);

/**
 * bq_flow_add - nodes for a tenant's first use of a model
 * @q: queue
 * @t: tenant
 * @model: id
 * @flow: caller's node; NULL on return if it was taken
 * @share: the same
 *
 * Takes what is missing, nothing when the model is not there: bq_submit()
 * again says what is wrong. Free what was not taken.
 */
void bq_flow_add(struct bq *q, struct bq_tenant *t, u64 model,
		 struct bq_flow **flow, struct bq_share **share);

/**
 * bq_next_woken - a tenant that got completions
 * @q: queue
 *
 * Returns one and forgets it, NULL when there is none. To be called until
 * then after every call that takes a time.
 */
struct bq_tenant *bq_next_woken(struct bq *q);

#endif
