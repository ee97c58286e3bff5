/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints braid:*. Scalars only, no pointers; times are CLOCK_MONOTONIC
 * nanoseconds. They fire under the queue's lock, so in the order in which
 * things happened.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM braid

#if !defined(BRAID_KMOD_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define BRAID_KMOD_TRACE_H

#include <linux/tracepoint.h>

#include "core/queue.h"

TRACE_EVENT(braid_tenant_open,
	TP_PROTO(u32 queue, u64 tenant, u64 owner, u32 pid),
	TP_ARGS(queue, tenant, owner, pid),
	TP_STRUCT__entry(
		__field(u64, tenant)
		__field(u64, owner)
		__field(u32, queue)
		__field(u32, pid)
	),
	TP_fast_assign(
		__entry->tenant = tenant;
		__entry->owner = owner;
		__entry->queue = queue;
		__entry->pid = pid;
	),
	TP_printk("queue=%u tenant=%llu owner=%llu pid=%u", __entry->queue,
		  __entry->tenant, __entry->owner, __entry->pid)
);

TRACE_EVENT(braid_tenant_release,
	TP_PROTO(u32 queue, const struct bq_tenant *t),
	TP_ARGS(queue, t),
	TP_STRUCT__entry(
		__field(u64, tenant)
		__field(u64, owner)
		__field(u64, submitted)
		__field(u64, device_ns)
		__field(u32, queue)
		__field(u32, outstanding)
	),
	TP_fast_assign(
		__entry->tenant = t->id;
		__entry->owner = t->owner->key;
		__entry->submitted = t->submitted;
		__entry->device_ns = t->device_ns;
		__entry->queue = queue;
		__entry->outstanding = t->outstanding;
	),
	TP_printk("queue=%u tenant=%llu owner=%llu submitted=%llu device_ns=%llu outstanding=%u",
		  __entry->queue, __entry->tenant, __entry->owner, __entry->submitted,
		  __entry->device_ns, __entry->outstanding)
);

TRACE_EVENT(braid_submit,
	TP_PROTO(u32 queue, const struct bq_request *r),
	TP_ARGS(queue, r),
	TP_STRUCT__entry(
		__field(u64, tenant)
		__field(u64, id)
		__field(u64, model)
		__field(u64, owner)
		__field(u64, enqueue_ns)
		__field(u64, deadline_ns)
		__field(u32, queue)
		__field(u32, priority)
	),
	TP_fast_assign(
		__entry->tenant = r->tenant->id;
		__entry->id = r->id;
		__entry->model = r->model->id;
		__entry->owner = r->owner->key;
		__entry->enqueue_ns = r->enqueue_ns;
		__entry->deadline_ns = r->deadline_ns;
		__entry->queue = queue;
		__entry->priority = r->priority;
	),
	TP_printk("queue=%u tenant=%llu id=%llu model=%llu owner=%llu priority=%u enqueue_ns=%llu deadline_ns=%llu",
		  __entry->queue, __entry->tenant, __entry->id, __entry->model,
		  __entry->owner, __entry->priority, __entry->enqueue_ns,
		  __entry->deadline_ns)
);

#define braid_show_reason(reason)			\
	__print_symbolic(reason,			\
		{ BRAID_CLOSE_NONE, "none" },		\
		{ BRAID_CLOSE_FULL, "full" },		\
		{ BRAID_CLOSE_AGE, "age" },		\
		{ BRAID_CLOSE_DEADLINE, "deadline" },	\
		{ BRAID_CLOSE_IDLE, "idle" },		\
		{ BRAID_CLOSE_SUSPECT, "suspect" })

TRACE_EVENT(braid_window_close,
	TP_PROTO(u32 queue, const struct bq_fetch *f, u32 left, u64 now),
	TP_ARGS(queue, f, left, now),
	TP_STRUCT__entry(
		__field(u64, window)
		__field(u64, generation)
		__field(u64, close_ns)
		__field(u32, queue)
		__field(u32, reason)
		__field(u32, jobs)
		__field(u32, left)
	),
	TP_fast_assign(
		__entry->window = f->window;
		__entry->generation = f->generation;
		__entry->close_ns = now;
		__entry->queue = queue;
		__entry->reason = f->reason;
		__entry->jobs = f->n_jobs;
		__entry->left = left;
	),
	TP_printk("queue=%u window=%llu reason=%s jobs=%u left=%u generation=%llu close_ns=%llu",
		  __entry->queue, __entry->window, braid_show_reason(__entry->reason),
		  __entry->jobs, __entry->left, __entry->generation, __entry->close_ns)
);

TRACE_EVENT(braid_fetch,
	TP_PROTO(u32 queue, const struct braid_job *j, u64 window, u64 now),
	TP_ARGS(queue, j, window, now),
	TP_STRUCT__entry(
		__field(u64, tenant)
		__field(u64, id)
		__field(u64, model)
		__field(u64, owner)
		__field(u64, cookie)
		__field(u64, window)
		__field(u64, enqueue_ns)
		__field(u64, fetch_ns)
		__field(u32, queue)
		__field(u32, attempt)
		__field(u32, alone)
	),
	TP_fast_assign(
		__entry->tenant = j->tenant;
		__entry->id = j->id;
		__entry->model = j->model;
		__entry->owner = j->owner;
		__entry->cookie = j->cookie;
		__entry->window = window;
		__entry->enqueue_ns = j->enqueue_ns;
		__entry->fetch_ns = now;
		__entry->queue = queue;
		__entry->attempt = j->attempt;
		__entry->alone = !!(j->flags & BRAID_JOB_ALONE);
	),
	TP_printk("queue=%u tenant=%llu id=%llu model=%llu owner=%llu cookie=%llu window=%llu attempt=%u alone=%u enqueue_ns=%llu fetch_ns=%llu",
		  __entry->queue, __entry->tenant, __entry->id, __entry->model,
		  __entry->owner, __entry->cookie, __entry->window, __entry->attempt,
		  __entry->alone, __entry->enqueue_ns, __entry->fetch_ns)
);

TRACE_EVENT(braid_complete,
	TP_PROTO(u32 queue, const struct bq_request *r),
	TP_ARGS(queue, r),
	TP_STRUCT__entry(
		__field(u64, tenant)
		__field(u64, id)
		__field(u64, model)
		__field(u64, owner)
		__field(u64, window)
		__field(u64, enqueue_ns)
		__field(u64, fetch_ns)
		__field(u64, done_ns)
		__field(u64, device_ns)
		__field(u32, queue)
		__field(s32, status)
		__field(u32, attempt)
		__field(u32, merge_degree)
		__field(u32, fuse_degree)
	),
	TP_fast_assign(
		__entry->tenant = r->tenant->id;
		__entry->id = r->id;
		__entry->model = r->model->id;
		__entry->owner = r->owner->key;
		__entry->window = r->window;
		__entry->enqueue_ns = r->enqueue_ns;
		__entry->fetch_ns = r->fetch_ns;
		__entry->done_ns = r->done_ns;
		__entry->device_ns = r->device_ns;
		__entry->queue = queue;
		__entry->status = r->status;
		__entry->attempt = r->attempt;
		__entry->merge_degree = r->merge_degree;
		__entry->fuse_degree = r->fuse_degree;
	),
	TP_printk("queue=%u tenant=%llu id=%llu model=%llu owner=%llu status=%d window=%llu attempt=%u merge_degree=%u fuse_degree=%u enqueue_ns=%llu fetch_ns=%llu done_ns=%llu device_ns=%llu",
		  __entry->queue, __entry->tenant, __entry->id, __entry->model,
		  __entry->owner, __entry->status, __entry->window, __entry->attempt,
		  __entry->merge_degree, __entry->fuse_degree, __entry->enqueue_ns,
		  __entry->fetch_ns, __entry->done_ns, __entry->device_ns)
);

TRACE_EVENT(braid_requeue,
	TP_PROTO(u32 queue, const struct bq_request *r, u64 generation),
	TP_ARGS(queue, r, generation),
	TP_STRUCT__entry(
		__field(u64, tenant)
		__field(u64, id)
		__field(u64, model)
		__field(u64, owner)
		__field(u64, cookie)
		__field(u64, generation)
		__field(u32, queue)
		__field(u32, attempt)
		__field(u32, alone)
	),
	TP_fast_assign(
		__entry->tenant = r->tenant->id;
		__entry->id = r->id;
		__entry->model = r->model->id;
		__entry->owner = r->owner->key;
		__entry->cookie = r->cookie;
		__entry->generation = generation;
		__entry->queue = queue;
		__entry->attempt = r->attempt;
		__entry->alone = r->alone;
	),
	TP_printk("queue=%u tenant=%llu id=%llu model=%llu owner=%llu cookie=%llu generation=%llu attempt=%u alone=%u",
		  __entry->queue, __entry->tenant, __entry->id, __entry->model,
		  __entry->owner, __entry->cookie, __entry->generation,
		  __entry->attempt, __entry->alone)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH kmod
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
