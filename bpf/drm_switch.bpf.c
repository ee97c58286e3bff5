// SPDX-License-Identifier: GPL-2.0-only
/*
 * drm_switch: see drm_switch.h.
 *
 * Three tracepoints: a job is queued, started, done. Their names and fields
 * changed in 6.17; the loader says where each field lies, and this program goes
 * by what is there. A job is known by its fence: an address, or, from 6.17, a
 * context and a number.
 *
 * Jobs of a ring are started by one thread, one after the other; they may end on
 * another CPU meanwhile.
 */
#include "bpf/compat.bpf.h"
#include "bpf/drm_switch.h"
#include "bpf/field.h"

const volatile struct {
	struct field_at fence, fence_context, fence_seqno, entity, client, name, dev;
} queue_at;
const volatile struct {
	struct field_at fence, fence_context, fence_seqno, entity, client, name, dev;
} run_at;
const volatile struct {
	struct field_at fence, fence_context, fence_seqno;
} done_at;

const volatile bool want_events = false;

struct job_key {
	__u64 context;		/* or the fence's address */
	__u64 seqno;
};

struct job {
	__u64 queued_ns;
	__u64 start_ns;
	__u64 stall_ns;
	__u64 entity;
	__u64 client;
	__u32 pid;
	__u32 switched;
	struct drm_switch_ring_key ring;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, struct job_key);
	__type(value, struct job);
} jobs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, struct drm_switch_ring_key);
	__type(value, struct drm_switch_ring);
} rings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct drm_switch_client_key);
	__type(value, struct drm_switch_client);
} clients SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct drm_switch_total);
} total SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} events SEC(".maps");

static const struct drm_switch_ring no_ring;
static const struct drm_switch_client no_client;

static __always_inline __u64 field(void *ctx, struct field_at at)
{
	__u64 v = 0;

	/* A field that is not there has no size. */
	if (at.size <= sizeof(v))
		bpf_probe_read_kernel(&v, at.size, ctx + at.offset);
	return v;
}

#define FIELD(from, name)	field(ctx, (struct field_at){ from.name.offset, from.name.size })

/* A string lies behind the fields; its field says where. */
static __always_inline void text(void *ctx, struct field_at at, char *to)
{
	__u64 where = field(ctx, at);

	if (at.size == 4)
		bpf_probe_read_kernel_str(to, DRM_SWITCH_NAME, ctx + (where & 0xffff));
}

#define TEXT(from, name, to)	text(ctx, (struct field_at){ from.name.offset, from.name.size }, to)

static __always_inline struct drm_switch_total *totals(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&total, &zero);
}

static __always_inline __u64 hash(const struct drm_switch_ring_key *k)
{
	__u64 h = 14695981039346656037ull;

	for (int i = 0; i < DRM_SWITCH_NAME; i++)
		h = (h ^ (__u8)k->name[i]) * 1099511628211ull;
	for (int i = 0; i < DRM_SWITCH_NAME; i++)
		h = (h ^ (__u8)k->dev[i]) * 1099511628211ull;
	return h;
}

static __always_inline struct drm_switch_ring *ring_of(struct drm_switch_total *t,
						       const struct drm_switch_ring_key *key)
{
	struct drm_switch_ring *r = bpf_map_lookup_elem(&rings, key);

	if (r)
		return r;
	bpf_map_update_elem(&rings, key, &no_ring, BPF_NOEXIST);
	r = bpf_map_lookup_elem(&rings, key);
	if (!r) {
		if (!t->rings_full)
			bpf_printk("drm_switch: no room for a ring");
		add(&t->rings_full, 1);
	}
	return r;
}

static __always_inline struct drm_switch_client *client_of(struct drm_switch_total *t,
							   const struct job *j)
{
	struct drm_switch_client_key key = { .entity = j->entity, .ring = hash(&j->ring) };
	struct drm_switch_client *c = bpf_map_lookup_elem(&clients, &key);

	if (c)
		return c;
	bpf_map_update_elem(&clients, &key, &no_client, BPF_NOEXIST);
	c = bpf_map_lookup_elem(&clients, &key);
	if (!c) {
		if (!t->clients_full)
			bpf_printk("drm_switch: no room for a client");
		add(&t->clients_full, 1);
		return NULL;
	}
	c->client = j->client;
	c->pid = j->pid;
	c->ring = j->ring;
	return c;
}

SEC("tp")
int job_queue(void *ctx)
{
	struct job_key key = {
		.context = FIELD(queue_at, fence) | FIELD(queue_at, fence_context),
		.seqno = FIELD(queue_at, fence_seqno),
	};
	struct job j = { .queued_ns = bpf_ktime_get_ns() };
	struct drm_switch_total *t = totals();
	struct drm_switch_client *c;

	if (!t)
		return 0;
	add(&t->queued, 1);
	j.entity = FIELD(queue_at, entity);
	if (!j.entity)
		j.entity = key.context;
	j.client = FIELD(queue_at, client);
	j.pid = bpf_get_current_pid_tgid() >> 32;
	TEXT(queue_at, name, j.ring.name);
	TEXT(queue_at, dev, j.ring.dev);
	if (bpf_map_update_elem(&jobs, &key, &j, BPF_ANY)) {
		if (!t->jobs_full)
			bpf_printk("drm_switch: no room for a job");
		add(&t->jobs_full, 1);
	}
	/* It is queued by its own process; it is started by the scheduler's. */
	c = client_of(t, &j);
	if (c && !c->comm[0])
		bpf_get_current_comm(c->comm, sizeof(c->comm));
	return 0;
}

/* Another entity's job is started on a ring: was it waiting? */
static __always_inline void turn(struct drm_switch_total *t, struct drm_switch_ring *r,
				 struct drm_switch_client *c, struct job *j, __u64 now,
				 bool known)
{
	__u64 done = r->last_done_ns, b;

	add(&t->switches, 1);
	add(&r->switches, 1);
	if (c)
		add(&c->came, 1);
	j->switched = 1;
	if (!known)
		return;
	if (r->running) {
		add(&r->overlapped, 1);
		return;
	}
	if (!done || j->queued_ns > done) {
		add(&r->idle_switches, 1);
		return;
	}
	j->stall_ns = now - done;
	add(&t->stalls, 1);
	add(&t->stall_ns, j->stall_ns);
	add(&r->stalls, 1);
	add(&r->stall_ns, j->stall_ns);
	b = bucket(j->stall_ns, DRM_SWITCH_BUCKETS);
	if (b < DRM_SWITCH_BUCKETS)
		add(&r->stall[b], 1);
	if (c) {
		add(&c->stalls, 1);
		add(&c->stall_ns, j->stall_ns);
	}
}

SEC("tp")
int job_run(void *ctx)
{
	struct job_key key = {
		.context = FIELD(run_at, fence) | FIELD(run_at, fence_context),
		.seqno = FIELD(run_at, fence_seqno),
	};
	struct drm_switch_total *t = totals();
	__u64 now = bpf_ktime_get_ns(), last;
	struct job *queued, j = {};
	struct drm_switch_client *c;
	struct drm_switch_ring *r;

	if (!t)
		return 0;
	add(&t->jobs, 1);
	queued = bpf_map_lookup_elem(&jobs, &key);
	if (queued) {
		j = *queued;
	} else {
		/* Queued before the probe: it counts, and has no time. */
		add(&t->unmatched, 1);
		j.entity = FIELD(run_at, entity);
		if (!j.entity)
			j.entity = key.context;
		j.client = FIELD(run_at, client);
		TEXT(run_at, name, j.ring.name);
		TEXT(run_at, dev, j.ring.dev);
	}
	r = ring_of(t, &j.ring);
	if (!r)
		return 0;
	c = client_of(t, &j);
	last = r->last;
	r->last = j.entity;
	if (last && last != j.entity)
		turn(t, r, c, &j, now, queued);
	add(&r->jobs, 1);
	if (c)
		add(&c->jobs, 1);
	if (!queued)
		return 0;
	queued->start_ns = now;
	queued->stall_ns = j.stall_ns;
	queued->switched = j.switched;
	add(&r->running, 1);
	if (c)
		add(&c->wait_ns, now - j.queued_ns);
	return 0;
}

static __always_inline void tell(void *ctx, struct drm_switch_total *t, const struct job *j,
				 __u64 now)
{
	struct drm_switch_event e = {
		.queued_ns = j->queued_ns, .start_ns = j->start_ns, .end_ns = now,
		.stall_ns = j->stall_ns, .entity = j->entity, .client = j->client,
		.pid = j->pid, .switched = j->switched,
	};
	long ret;

	if (!want_events)
		return;
	__builtin_memcpy(e.ring, j->ring.name, sizeof(e.ring));
	ret = bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, &e, sizeof(e));
	/* ENOENT: nobody reads. */
	if (ret && ret != -ENOENT) {
		if (!t->overrun)
			bpf_printk("drm_switch: the reader of events is too slow");
		add(&t->overrun, 1);
	}
}

SEC("tp")
int job_done(void *ctx)
{
	struct job_key key = {
		.context = FIELD(done_at, fence) | FIELD(done_at, fence_context),
		.seqno = FIELD(done_at, fence_seqno),
	};
	struct drm_switch_total *t = totals();
	__u64 now = bpf_ktime_get_ns(), from;
	struct drm_switch_client *c;
	struct drm_switch_ring *r;
	struct job *j;

	if (!t)
		return 0;
	add(&t->done, 1);
	j = bpf_map_lookup_elem(&jobs, &key);
	if (!j || !j->start_ns) {
		add(&t->unmatched, 1);
		return 0;
	}
	r = bpf_map_lookup_elem(&rings, &j->ring);
	if (r) {
		from = r->last_done_ns > j->start_ns ? r->last_done_ns : j->start_ns;
		add(&r->done, 1);
		add(&r->busy_ns, now > from ? now - from : 0);
		r->last_done_ns = now;
		add(&r->running, -1);
	}
	c = client_of(t, j);
	if (c) {
		add(&c->done, 1);
		add(&c->run_ns, now - j->start_ns);
	}
	tell(ctx, t, j, now);
	bpf_map_delete_elem(&jobs, &key);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
