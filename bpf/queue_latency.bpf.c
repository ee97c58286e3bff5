// SPDX-License-Identifier: GPL-2.0-only
/*
 * queue_latency: see queue_latency.h.
 *
 * Each happening has two programs, one for the kernel's tracepoint and one for
 * braidd's USDT probe, that bring it into one form; the rest is common. Events
 * of one queue come in order: it fires them under its lock, or in its one
 * thread.
 */
#include "bpf/compat.bpf.h"
#include "bpf/field.h"
#include "bpf/queue_latency.h"

/* Fields of the tracepoints, found by the loader. */
const volatile struct {
	struct field_at queue, tenant, model;
} submit_at;
const volatile struct {
	struct field_at queue, window, reason, jobs, close_ns;
} window_at;
const volatile struct {
	struct field_at queue, tenant, model, window, enqueue_ns, fetch_ns;
} fetch_at;
const volatile struct {
	struct field_at queue, tenant, id, model, window, enqueue_ns, fetch_ns, done_ns, device_ns,
		status, merge_degree, fuse_degree;
} complete_at;
const volatile struct {
	struct field_at queue, tenant, model;
} requeue_at;

const volatile bool want_events = false;

/* Of a queue: its last window, and the oldest request in it so far. */
struct window {
	__u64 id;
	__u64 close_ns;
	__u64 oldest_ns;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct queue_latency_key);
	__type(value, struct queue_latency_sums);
} requests SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct window);
} windows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct queue_latency_total);
} total SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} events SEC(".maps");

static const struct queue_latency_sums no_sums;

static __always_inline __u64 field(void *ctx, struct field_at at)
{
	__u64 v = 0;

	/* A field that is not there has no size. */
	if (at.size <= sizeof(v))
		bpf_probe_read_kernel(&v, at.size, ctx + at.offset);
	return v;
}

#define FIELD(from, name)	field(ctx, (struct field_at){ from.name.offset, from.name.size })

static __always_inline struct queue_latency_total *totals(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&total, &zero);
}

static __always_inline struct queue_latency_sums *sums(struct queue_latency_total *t, __u32 queue,
						       __u64 tenant, __u64 model)
{
	struct queue_latency_key key = { .queue = queue, .tenant = tenant, .model = model };
	struct queue_latency_sums *s = bpf_map_lookup_elem(&requests, &key);

	if (s)
		return s;
	bpf_map_update_elem(&requests, &key, &no_sums, BPF_NOEXIST);
	s = bpf_map_lookup_elem(&requests, &key);
	if (!s) {
		if (!t->requests_full)
			bpf_printk("queue_latency: no room for tenant %llu", tenant);
		add(&t->requests_full, 1);
	}
	return s;
}

static __always_inline void tell(void *ctx, struct queue_latency_total *t,
				 struct queue_latency_event *e)
{
	long ret;

	if (!want_events)
		return;
	ret = bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, e, sizeof(*e));
	/* ENOENT: nobody reads. */
	if (ret && ret != -ENOENT) {
		if (!t->overrun)
			bpf_printk("queue_latency: the reader of events is too slow");
		add(&t->overrun, 1);
	}
}

static __always_inline void in_histogram(__u64 *h, __u64 ns)
{
	__u32 b = bucket(ns, QUEUE_LATENCY_BUCKETS);

	if (b < QUEUE_LATENCY_BUCKETS)
		add(&h[b], 1);
}

static __always_inline int submitted(__u32 queue, __u64 tenant, __u64 model)
{
	struct queue_latency_total *t = totals();
	struct queue_latency_sums *s;

	if (!t)
		return 0;
	add(&t->sum.submitted, 1);
	s = sums(t, queue, tenant, model);
	if (s)
		add(&s->submitted, 1);
	return 0;
}

/* The last window of a queue is complete when the next one begins. */
static __always_inline void time_window(struct queue_latency_total *t, const struct window *w)
{
	if (!w->oldest_ns || w->close_ns < w->oldest_ns)
		return;
	add(&t->timed_windows, 1);
	add(&t->window_ns, w->close_ns - w->oldest_ns);
}

static __always_inline int closed(void *ctx, __u32 queue, __u64 window, __u32 reason, __u32 jobs,
				  __u64 close_ns)
{
	struct window w = { .id = window, .close_ns = close_ns }, *last;
	struct queue_latency_event e = {
		.type = QUEUE_LATENCY_WINDOW, .queue = queue, .window = window,
		.start_ns = close_ns, .status = reason, .merge_degree = jobs,
	};
	struct queue_latency_total *t = totals();

	if (!t)
		return 0;
	add(&t->windows, 1);
	add(&t->jobs, jobs);
	if (reason < QUEUE_LATENCY_CLOSES)
		add(&t->closes[reason], 1);
	last = bpf_map_lookup_elem(&windows, &queue);
	if (last)
		time_window(t, last);
	bpf_map_update_elem(&windows, &queue, &w, BPF_ANY);
	tell(ctx, t, &e);
	return 0;
}

static __always_inline void count_fetch(struct queue_latency_sums *s, __u64 ns)
{
	add(&s->fetched, 1);
	add(&s->queued_ns, ns);
	in_histogram(s->queued, ns);
}

static __always_inline int fetched(__u32 queue, __u64 tenant, __u64 model, __u64 window,
				   __u64 enqueue_ns, __u64 fetch_ns)
{
	__u64 ns = fetch_ns > enqueue_ns ? fetch_ns - enqueue_ns : 0;
	struct queue_latency_total *t = totals();
	struct queue_latency_sums *s;
	struct window *w;

	if (!t)
		return 0;
	w = bpf_map_lookup_elem(&windows, &queue);
	if (w && w->id == window && (!w->oldest_ns || enqueue_ns < w->oldest_ns))
		w->oldest_ns = enqueue_ns;
	count_fetch(&t->sum, ns);
	s = sums(t, queue, tenant, model);
	if (s)
		count_fetch(s, ns);
	return 0;
}

static __always_inline void count_complete(struct queue_latency_sums *s,
					   const struct queue_latency_event *e)
{
	__u64 all = e->end_ns > e->start_ns ? e->end_ns - e->start_ns : 0;

	add(&s->completed, 1);
	if (e->status)
		add(&s->failed, 1);
	add(&s->total_ns, all);
	in_histogram(s->total, all);
	raise(&s->max_total_ns, all);
	add(&s->device_ns, e->device_ns);
	if (e->fetch_ns && e->end_ns >= e->fetch_ns) {
		add(&s->run_ns, e->end_ns - e->fetch_ns);
		in_histogram(s->run, e->end_ns - e->fetch_ns);
	}
	if (e->merge_degree) {
		add(&s->ran, 1);
		add(&s->merge_sum, e->merge_degree);
		add(&s->fuse_sum, e->fuse_degree);
	}
}

static __always_inline int completed(void *ctx, struct queue_latency_event *e)
{
	struct queue_latency_total *t = totals();
	struct queue_latency_sums *s;

	if (!t)
		return 0;
	count_complete(&t->sum, e);
	s = sums(t, e->queue, e->tenant, e->model);
	if (s)
		count_complete(s, e);
	tell(ctx, t, e);
	return 0;
}

static __always_inline int requeued(__u32 queue, __u64 tenant, __u64 model)
{
	struct queue_latency_total *t = totals();
	struct queue_latency_sums *s;

	if (!t)
		return 0;
	add(&t->sum.requeued, 1);
	s = sums(t, queue, tenant, model);
	if (s)
		add(&s->requeued, 1);
	return 0;
}

/* The kernel's queue. */

SEC("tp")
int tp_submit(void *ctx)
{
	return submitted(FIELD(submit_at, queue), FIELD(submit_at, tenant),
			 FIELD(submit_at, model));
}

SEC("tp")
int tp_window_close(void *ctx)
{
	return closed(ctx, FIELD(window_at, queue), FIELD(window_at, window),
		      FIELD(window_at, reason), FIELD(window_at, jobs),
		      FIELD(window_at, close_ns));
}

SEC("tp")
int tp_fetch(void *ctx)
{
	return fetched(FIELD(fetch_at, queue), FIELD(fetch_at, tenant), FIELD(fetch_at, model),
		       FIELD(fetch_at, window), FIELD(fetch_at, enqueue_ns),
		       FIELD(fetch_at, fetch_ns));
}

SEC("tp")
int tp_complete(void *ctx)
{
	struct queue_latency_event e = {
		.type = QUEUE_LATENCY_COMPLETE,
		.queue = FIELD(complete_at, queue),
		.tenant = FIELD(complete_at, tenant),
		.id = FIELD(complete_at, id),
		.model = FIELD(complete_at, model),
		.window = FIELD(complete_at, window),
		.start_ns = FIELD(complete_at, enqueue_ns),
		.fetch_ns = FIELD(complete_at, fetch_ns),
		.end_ns = FIELD(complete_at, done_ns),
		.device_ns = FIELD(complete_at, device_ns),
		.status = FIELD(complete_at, status),
		.merge_degree = FIELD(complete_at, merge_degree),
		.fuse_degree = FIELD(complete_at, fuse_degree),
	};

	return completed(ctx, &e);
}

SEC("tp")
int tp_requeue(void *ctx)
{
	return requeued(FIELD(requeue_at, queue), FIELD(requeue_at, tenant),
			FIELD(requeue_at, model));
}

/* braidd's queue: arguments are where a function's would be, agent/usdt.h. */

static __always_inline __u32 this_queue(void)
{
	return bpf_get_current_pid_tgid() >> 32;
}

SEC("uprobe")
int usdt_submit(struct pt_regs *ctx)
{
	return submitted(this_queue(), PT_REGS_PARM1(ctx), PT_REGS_PARM3(ctx));
}

SEC("uprobe")
int usdt_window_close(struct pt_regs *ctx)
{
	return closed(ctx, this_queue(), PT_REGS_PARM1(ctx), PT_REGS_PARM2(ctx),
		      PT_REGS_PARM3(ctx), PT_REGS_PARM5(ctx));
}

SEC("uprobe")
int usdt_fetch(struct pt_regs *ctx)
{
	return fetched(this_queue(), PT_REGS_PARM1(ctx), PT_REGS_PARM3(ctx), PT_REGS_PARM4(ctx),
		       PT_REGS_PARM5(ctx), PARM6(ctx));
}

/* struct braid_completion; what is added to it later comes behind. */
struct completion {
	__u32 size;
	__s32 status;
	__u64 user_data;
	__u64 id;
	__u64 window;
	__u64 enqueue_ns;
	__u64 fetch_ns;
	__u64 done_ns;
	__u64 device_ns;
	__u32 attempt;
	__u32 merge_degree;
	__u32 fuse_degree;
	__u32 reserved;
};

SEC("uprobe")
int usdt_complete(struct pt_regs *ctx)
{
	struct queue_latency_total *t = totals();
	struct queue_latency_event e = { .type = QUEUE_LATENCY_COMPLETE };
	struct completion c = {};

	if (!t)
		return 0;
	if (PT_REGS_PARM5(ctx) < sizeof(c) ||
	    bpf_probe_read_user(&c, sizeof(c), (void *)PT_REGS_PARM4(ctx))) {
		add(&t->unreadable, 1);
		return 0;
	}
	e.queue = this_queue();
	e.tenant = PT_REGS_PARM1(ctx);
	e.model = PT_REGS_PARM2(ctx);
	e.id = c.id;
	e.window = c.window;
	e.start_ns = c.enqueue_ns;
	e.fetch_ns = c.fetch_ns;
	e.end_ns = c.done_ns;
	e.device_ns = c.device_ns;
	e.status = c.status;
	e.merge_degree = c.merge_degree;
	e.fuse_degree = c.fuse_degree;
	return completed(ctx, &e);
}

SEC("uprobe")
int usdt_requeue(struct pt_regs *ctx)
{
	return requeued(this_queue(), PT_REGS_PARM1(ctx), PT_REGS_PARM3(ctx));
}

/* The runner, over either transport. */
SEC("uprobe")
int usdt_group(struct pt_regs *ctx)
{
	__u64 shape = PT_REGS_PARM3(ctx);
	struct queue_latency_event e = {
		.type = QUEUE_LATENCY_GROUP, .queue = this_queue(),
		.window = PT_REGS_PARM1(ctx), .model = PT_REGS_PARM2(ctx),
		.id = shape >> 48, .launch = shape >> 32 & 0xffff,
		.merge_degree = shape >> 16 & 0xffff, .fuse_degree = shape & 0xffff,
		.start_ns = PT_REGS_PARM4(ctx), .end_ns = PT_REGS_PARM5(ctx),
		.device_ns = PARM6(ctx),
	};
	struct queue_latency_total *t = totals();

	if (t)
		tell(ctx, t, &e);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
