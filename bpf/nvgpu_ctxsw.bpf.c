// SPDX-License-Identifier: GPL-2.0-only
/*
 * nvgpu_ctxsw: see nvgpu_ctxsw.h.
 *
 * nvgpu's function that puts a record into the user's ring gives it its sequence
 * number on the way, so the record is read when that function returns. It is
 * called under a lock of nvgpu's, one record after the other.
 */
#include "bpf/compat.bpf.h"
#include "bpf/nvgpu_ctxsw.h"

#define SAVE_END	0x03
#define CONTEXT_START	0x05
#define ENGINE_RESET	0xfe
#define BAD_TIME	0xff

const volatile bool want_events = false;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u64);
	__type(value, __u64);
} on_the_way SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct nvgpu_ctxsw_key);
	__type(value, struct nvgpu_ctxsw_context);
} contexts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct nvgpu_ctxsw_total);
} total SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} events SEC(".maps");

static const struct nvgpu_ctxsw_context no_context;

/* (struct gk20a *g, struct nvgpu_gpu_ctxsw_trace_entry *entry) */
SEC("kprobe")
int record_enter(struct pt_regs *ctx)
{
	__u64 id = bpf_get_current_pid_tgid(), entry = PT_REGS_PARM2(ctx);

	bpf_map_update_elem(&on_the_way, &id, &entry, BPF_ANY);
	return 0;
}

static __always_inline struct nvgpu_ctxsw_context *find(struct nvgpu_ctxsw_total *t,
							const struct nvgpu_ctxsw_key *key)
{
	struct nvgpu_ctxsw_context *c = bpf_map_lookup_elem(&contexts, key);

	if (c)
		return c;
	bpf_map_update_elem(&contexts, key, &no_context, BPF_NOEXIST);
	c = bpf_map_lookup_elem(&contexts, key);
	if (!c) {
		if (!t->contexts_full)
			bpf_printk("nvgpu_ctxsw: no room for context %d", key->context);
		t->contexts_full++;
	}
	return c;
}

/* What was under way can't be told any more. */
static __always_inline void forget(struct nvgpu_ctxsw_total *t, __u64 now)
{
	t->epoch_ns = now;
	t->last.context = 0;
	t->last.pid = 0;
	t->last_end_ns = 0;
}

static __always_inline void started(struct nvgpu_ctxsw_total *t, struct nvgpu_ctxsw_context *c,
				    const struct nvgpu_ctxsw_key *key, __u64 now)
{
	bool known = t->last.context || t->last.pid;
	__u32 b;

	if (known && (t->last.context != key->context || t->last.pid != key->pid)) {
		t->switches++;
		c->came++;
		if (t->last_end_ns && now >= t->last_end_ns) {
			t->timed_switches++;
			t->switch_ns += now - t->last_end_ns;
		}
		if (c->ended_ns > t->epoch_ns && now >= c->ended_ns) {
			c->aways++;
			c->away_ns += now - c->ended_ns;
			b = bucket(now - c->ended_ns, NVGPU_CTXSW_BUCKETS);
			if (b < NVGPU_CTXSW_BUCKETS)
				c->away[b]++;
		}
	}
	c->started_ns = now;
	t->last = *key;
	t->last_end_ns = 0;
}

static __always_inline void ended(struct nvgpu_ctxsw_total *t, struct nvgpu_ctxsw_context *c,
				  const struct nvgpu_ctxsw_key *key, __u64 now)
{
	if (c->started_ns > t->epoch_ns && now >= c->started_ns) {
		c->runs++;
		c->run_ns += now - c->started_ns;
	}
	c->started_ns = 0;
	c->ended_ns = now;
	t->last = *key;
	t->last_end_ns = now;
}

static __always_inline void take(struct nvgpu_ctxsw_total *t, const struct nvgpu_ctxsw_record *r)
{
	struct nvgpu_ctxsw_key key = { .context = r->context, .pid = r->pid };
	__u16 missing = r->seqno - t->seq;
	struct nvgpu_ctxsw_context *c;

	t->records++;
	if (t->begun && missing) {
		t->gaps++;
		t->lost += missing;
		/* One tick before: this record itself is known. */
		forget(t, r->ts_ns - 1);
	}
	t->begun = 1;
	t->seq = (__u16)(r->seqno + 1);
	if (r->tag == ENGINE_RESET) {
		t->resets++;
		forget(t, r->ts_ns);
		return;
	}
	if (r->tag != CONTEXT_START && r->tag != SAVE_END)
		return;
	c = find(t, &key);
	if (!c)
		return;
	if (r->tag == CONTEXT_START)
		started(t, c, &key, r->ts_ns);
	else
		ended(t, c, &key, r->ts_ns);
}

SEC("kretprobe")
int record_leave(struct pt_regs *ctx)
{
	__u64 id = bpf_get_current_pid_tgid(), *entry;
	struct nvgpu_ctxsw_record r = {};
	struct nvgpu_ctxsw_total *t;
	__u32 zero = 0;
	long ret;

	t = bpf_map_lookup_elem(&total, &zero);
	entry = bpf_map_lookup_elem(&on_the_way, &id);
	if (!t || !entry)
		return 0;
	ret = bpf_probe_read_kernel(&r, sizeof(r), (void *)*entry);
	bpf_map_delete_elem(&on_the_way, &id);
	if (ret) {
		t->unreadable++;
		return 0;
	}
	take(t, &r);
	if (!want_events)
		return 0;
	ret = bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, &r, sizeof(r));
	/* ENOENT: nobody reads. */
	if (ret && ret != -ENOENT) {
		if (!t->overrun)
			bpf_printk("nvgpu_ctxsw: the reader of events is too slow");
		t->overrun++;
	}
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
