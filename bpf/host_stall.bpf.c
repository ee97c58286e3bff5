// SPDX-License-Identifier: GPL-2.0-only
/*
 * host_stall: uprobes on libcuda, for every process; see host_stall.h.
 *
 * A blocking call is timed from its entry to its return, once however deep the
 * library calls itself: the outermost call of a thread counts. A call that is
 * left by another way than its return is noticed when its thread ends or
 * enters the library again at the same height of the stack or above it, and
 * is counted, never timed.
 *
 * Figures are added to with atomics: nothing is lost when processes run on
 * several CPUs, and there is no lock.
 */
#include "bpf/compat.bpf.h"
#include "bpf/host_stall.h"

struct call {
	__u64 start_ns;
	__u64 sp;		/* at entry; deeper calls have smaller ones */
	__u64 launches;		/* of everybody, at entry */
	__u64 own;		/* of this process, at entry */
	__u32 kind;
	__u32 depth;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct host_stall_process);
} processes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, struct host_stall_figures);
} cgroups SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, struct host_stall_pair);
	__type(value, struct host_stall_turns);
} turns SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, struct call);
} calls SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct host_stall_total);
} total SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} events SEC(".maps");

const volatile bool want_events = false;

/* Who launched last, and when: two words, so that each changes in one go. */
__u64 last_pid;
__u64 last_ns;

static const struct host_stall_process no_process;
static const struct host_stall_figures no_figures;
static const struct host_stall_turns no_turns;

static __always_inline struct host_stall_total *totals(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&total, &zero);
}

static __always_inline void name_it(struct host_stall_process *p, __u32 pid)
{
	p->pid = pid;
	p->cgroup = bpf_get_current_cgroup_id();
	p->first_ns = bpf_ktime_get_ns();
	bpf_get_current_comm(p->comm, sizeof(p->comm));
}

/* The entry of the current process, NULL when the map is full. */
static __always_inline struct host_stall_process *process(struct host_stall_total *t, __u32 pid,
							  __u32 tid)
{
	struct host_stall_process *p = bpf_map_lookup_elem(&processes, &pid);

	/* Its first thread has ended and runs: this is somebody else. */
	if (p && p->exited_ns && pid == tid) {
		add(&t->pid_reused, 1);
		bpf_map_update_elem(&processes, &pid, &no_process, BPF_ANY);
		p = bpf_map_lookup_elem(&processes, &pid);
		if (p)
			name_it(p, pid);
	}
	if (p)
		return p;
	/* Another thread of it may be doing the same: one of them creates it. */
	bpf_map_update_elem(&processes, &pid, &no_process, BPF_NOEXIST);
	p = bpf_map_lookup_elem(&processes, &pid);
	if (!p) {
		if (!t->processes_full)
			bpf_printk("host_stall: no room for process %d", pid);
		add(&t->processes_full, 1);
	} else if (!p->pid) {
		name_it(p, pid);
	}
	return p;
}

static __always_inline struct host_stall_figures *cgroup(struct host_stall_total *t)
{
	__u64 id = bpf_get_current_cgroup_id();
	struct host_stall_figures *f = bpf_map_lookup_elem(&cgroups, &id);

	if (f)
		return f;
	bpf_map_update_elem(&cgroups, &id, &no_figures, BPF_NOEXIST);
	f = bpf_map_lookup_elem(&cgroups, &id);
	if (!f)
		add(&t->cgroups_full, 1);
	return f;
}

static __always_inline void tell(void *ctx, struct host_stall_total *t,
				 struct host_stall_event *e)
{
	long ret;

	if (!want_events)
		return;
	ret = bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, e, sizeof(*e));
	/* ENOENT: nobody reads. */
	if (ret && ret != -ENOENT) {
		if (!t->overrun)
			bpf_printk("host_stall: the reader of events is too slow");
		add(&t->overrun, 1);
	}
}

static __always_inline void count_launch(struct host_stall_figures *f, __u32 kind)
{
	if (!f)
		return;
	if (kind == HOST_STALL_KERNEL)
		add(&f->kernels, 1);
	else if (kind == HOST_STALL_GRAPH)
		add(&f->graphs, 1);
	else
		add(&f->copies, 1);
}

/* Whose turn was it, and whose is it now? */
static __always_inline void take_turn(struct host_stall_total *t, __u32 pid, __u64 now)
{
	struct host_stall_pair pair = { .to = pid };
	struct host_stall_turns *n;
	__u64 then;

	pair.from = exchange(&last_pid, pid);
	then = exchange(&last_ns, now);
	if (!pair.from || pair.from == pid)
		return;
	n = bpf_map_lookup_elem(&turns, &pair);
	if (!n) {
		bpf_map_update_elem(&turns, &pair, &no_turns, BPF_NOEXIST);
		n = bpf_map_lookup_elem(&turns, &pair);
	}
	if (!n) {
		add(&t->turns_full, 1);
		return;
	}
	add(&n->count, 1);
	add(&n->gap_ns, now > then ? now - then : 0);
}

SEC("uprobe")
int launch(struct pt_regs *ctx)
{
	__u64 id = bpf_get_current_pid_tgid(), now = bpf_ktime_get_ns();
	struct host_stall_event e = { .ts_ns = now, .pid = id >> 32, .tid = id };
	struct host_stall_total *t = totals();
	struct host_stall_process *p;
	__u32 tid = id;

	if (!t)
		return 0;
	e.kind = bpf_get_attach_cookie(ctx);
	p = process(t, e.pid, tid);
	count_launch(&t->sum, e.kind);
	count_launch(p ? &p->sum : NULL, e.kind);
	count_launch(cgroup(t), e.kind);
	/* A copy goes to another engine. */
	if (e.kind != HOST_STALL_COPY)
		take_turn(t, e.pid, now);
	tell(ctx, t, &e);
	return 0;
}

SEC("uprobe")
int enter(struct pt_regs *ctx)
{
	__u64 id = bpf_get_current_pid_tgid();
	struct host_stall_total *t = totals();
	struct host_stall_process *p;
	struct call c = {}, *outer;
	__u32 tid = id;

	if (!t)
		return 0;
	c.sp = PT_REGS_SP(ctx);
	outer = bpf_map_lookup_elem(&calls, &tid);
	if (outer && c.sp < outer->sp) {
		outer->depth++;
		return 0;
	}
	if (outer)
		add(&t->lost_returns, 1);
	p = process(t, id >> 32, tid);
	c.kind = bpf_get_attach_cookie(ctx);
	/* In this order, and on return in the other one: foreign is never too many. */
	c.own = p ? p->sum.kernels + p->sum.graphs : 0;
	c.launches = t->sum.kernels + t->sum.graphs;
	c.start_ns = bpf_ktime_get_ns();
	if (bpf_map_update_elem(&calls, &tid, &c, BPF_ANY)) {
		if (!t->calls_full)
			bpf_printk("host_stall: no room for a call of thread %d", tid);
		add(&t->calls_full, 1);
	}
	return 0;
}

static __always_inline void count_wait(struct host_stall_figures *f, __u32 kind, __u64 ns,
				       __u64 foreign)
{
	__u32 b;

	if (!f)
		return;
	if (kind == HOST_STALL_SYNC) {
		add(&f->syncs, 1);
		add(&f->sync_ns, ns);
	} else {
		add(&f->blocking_copies, 1);
		add(&f->blocking_copy_ns, ns);
	}
	if (foreign) {
		add(&f->contended, 1);
		add(&f->contended_ns, ns);
		add(&f->foreign_launches, foreign);
	}
	raise(&f->max_ns, ns);
	b = bucket(ns, HOST_STALL_BUCKETS);
	if (b < HOST_STALL_BUCKETS)
		add(&f->wait[b], 1);
}

SEC("uretprobe")
int leave(struct pt_regs *ctx)
{
	__u64 id = bpf_get_current_pid_tgid(), now = bpf_ktime_get_ns();
	struct host_stall_event e = { .pid = id >> 32, .tid = id };
	struct host_stall_total *t = totals();
	struct host_stall_process *p;
	__u64 all, own, foreign = 0;
	__u32 tid = id;
	struct call *c;

	if (!t)
		return 0;
	c = bpf_map_lookup_elem(&calls, &tid);
	if (!c) {
		add(&t->unmatched, 1);
		return 0;
	}
	if (c->depth) {
		c->depth--;
		return 0;
	}
	e.ts_ns = c->start_ns;
	e.wait_ns = now - c->start_ns;
	e.kind = c->kind;
	p = process(t, e.pid, tid);
	/* Without an entry nobody knows which were its own. */
	all = t->sum.kernels + t->sum.graphs - c->launches;
	own = p ? p->sum.kernels + p->sum.graphs - c->own : all;
	if (all > own)
		foreign = all - own;
	e.foreign = foreign;
	bpf_map_delete_elem(&calls, &tid);
	count_wait(&t->sum, e.kind, e.wait_ns, foreign);
	count_wait(p ? &p->sum : NULL, e.kind, e.wait_ns, foreign);
	count_wait(cgroup(t), e.kind, e.wait_ns, foreign);
	tell(ctx, t, &e);
	return 0;
}

/* A thread ends: what it was in the middle of is counted and forgotten. */
SEC("raw_tp/sched_process_exit")
int gone(void *ctx)
{
	__u64 id = bpf_get_current_pid_tgid(), now = bpf_ktime_get_ns();
	__u32 pid = id >> 32, tid = id;
	struct host_stall_total *t = totals();
	struct host_stall_process *p;
	struct call *c;

	if (!t)
		return 0;
	c = bpf_map_lookup_elem(&calls, &tid);
	if (c) {
		add(&t->exited_in_call, 1);
		add(&t->exited_in_call_ns, now - c->start_ns);
		bpf_printk("host_stall: thread %d ended in a call", tid);
		bpf_map_delete_elem(&calls, &tid);
	}
	if (pid != tid)
		return 0;
	p = bpf_map_lookup_elem(&processes, &pid);
	if (p)
		p->exited_ns = now;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
