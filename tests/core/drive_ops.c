// SPDX-License-Identifier: MIT
/*
 * The operations, each done to both queues. See drive.h.
 */
#include <stdio.h>
#include <string.h>

#include "tests/core/drive.h"

#define OWNERS		4
#define JOBS		64

struct bq_tenant *drive_tenant(struct drive *d, u64 id)
{
	struct bq_list *l;
	struct bq_tenant *t;

	for (l = d->q.tenants.next; l != &d->q.tenants; l = l->next) {
		t = bq_entry(l, struct bq_tenant, of_queue);
		if (t->id == id)
			return t;
	}
	return NULL;
}

/* A tenant of both, or NULL when there is none. */
static struct bq_tenant *some_tenant(struct drive *d)
{
	if (!d->nv.n_tenants)
		return NULL;
	return drive_tenant(d, d->nv.tenant[drive_pick(d, d->nv.n_tenants)].id);
}

/* Every second tenant reads as sockets do. */
static bool by_socket(const struct bq_tenant *t)
{
	return t->id & 1;
}

static u64 some_model(struct drive *d)
{
	if (!d->nv.n_models || drive_chance(d, 3))
		return drive_pick(d, 40);
	return d->nv.model[drive_pick(d, d->nv.n_models)].id;
}

static struct bq_owner *owner_of(struct drive *d, u64 key)
{
	struct bq_owner *o = bq_owner_find(&d->q, key);

	if (!o) {
		o = drive_get(d, BQ_OWNER, sizeof(*o));
		bq_owner_add(&d->q, o, key);
	}
	return o;
}

static void op_tenant_add(struct drive *d)
{
	u64 key = 1000 + drive_pick(d, OWNERS);
	struct bq_owner *o;
	struct bq_tenant *t;

	if (d->nv.n_tenants >= 12)
		return;
	drive_doing(d, "tenant of %llu comes", (unsigned long long)key);
	o = owner_of(d, key);
	t = drive_get(d, BQ_TENANT, sizeof(*t));
	bq_tenant_add(&d->q, t, o);
	drive_same(d, "tenant's id", t->id, nv_tenant_add(&d->nv, key));
}

static void op_tenant_gone(struct drive *d)
{
	struct bq_tenant *t = some_tenant(d);
	u64 id;

	if (!t)
		return;
	id = t->id;
	drive_doing(d, "tenant %llu dies", (unsigned long long)id);
	bq_tenant_gone(&d->q, t);
	nv_tenant_gone(&d->nv, id);
}

static void op_owner_set(struct drive *d)
{
	static const u32 weights[] = { 100, 1, 1024, 50, 200, 0, 1025, 7 };
	u64 key = 1000 + drive_pick(d, OWNERS);
	struct bq_owner_limits l = {
		.weight = weights[drive_pick(d, 8)],
		.priority_ceiling = drive_pick(d, 20) ? drive_pick(d, 4) : 4,
		.request_quota = drive_chance(d, 30) ? drive_pick(d, 8) : 8192,
		.byte_quota = drive_chance(d, 20) ? 4096 * drive_pick(d, 8) : 1 << 30,
	};
	bool unset = drive_chance(d, 40);

	drive_doing(d, "limits of %llu: %s", (unsigned long long)key, unset ? "none" : "set");
	if (!unset && !bq_owner_find(&d->q, key) &&
	    (l.weight < 1 || l.weight > 1024 || l.priority_ceiling > 3))
		return;
	drive_same(d, "owner_set", bq_owner_set(&d->q, owner_of(d, key), unset ? NULL : &l),
	     nv_owner_set(&d->nv, key, unset ? NULL : &l));
}

static void op_buffer_add(struct drive *d)
{
	struct bq_tenant *t = some_tenant(d);
	u64 length = drive_pick(d, 3 * 4096), id = 0;
	struct bq_buffer *b;
	int ret;

	if (!t || d->nv.n_buffers > 60)
		return;
	if (drive_chance(d, 1))
		length = ~0ULL - drive_pick(d, 5000);
	drive_doing(d, "buffer of %llu bytes", (unsigned long long)length);
	b = drive_get(d, BQ_BUFFER, sizeof(*b));
	ret = bq_buffer_add(&d->q, t, b, length);
	drive_same(d, "buffer_add", ret, nv_buffer_add(&d->nv, t->id, length, &id));
	if (ret) {
		drive_put(d, BQ_BUFFER, b, sizeof(*b));
		return;
	}
	drive_same(d, "buffer's id", b->id, id);
	drive_same(d, "buffer's length", b->length, nv_buffer(&d->nv, id)->length);
}

static u64 some_buffer(struct drive *d)
{
	if (!d->nv.n_buffers || drive_chance(d, 3))
		return drive_pick(d, 200);
	return d->nv.buffer[drive_pick(d, d->nv.n_buffers)].id;
}

static void op_buffer_free(struct drive *d)
{
	struct bq_tenant *t = some_tenant(d);
	u64 id = some_buffer(d);

	if (!t)
		return;
	if (nv_buffer(&d->nv, id) && !nv_buffer(&d->nv, id)->gone && !drive_chance(d, 10))
		t = drive_tenant(d, nv_buffer(&d->nv, id)->tenant);
	drive_doing(d, "tenant %llu frees %llu", (unsigned long long)t->id, (unsigned long long)id);
	drive_same(d, "buffer_free", bq_buffer_free(&d->q, t, id),
	     nv_buffer_free(&d->nv, t->id, id));
}

static void op_buffer_put(struct drive *d)
{
	u64 id = some_buffer(d);
	const struct nv_buffer *b = nv_buffer(&d->nv, id);

	drive_doing(d, "agent puts buffer %llu", (unsigned long long)id);
	drive_same(d, "buffer_get", !!bq_buffer_get(&d->q, id), b && b->known);
	drive_same(d, "buffer_put", bq_buffer_put(&d->q, id), nv_buffer_put(&d->nv, id));
}

static void define(struct bq_model *m, struct braid_tensor *tensors, u32 n, u32 elements)
{
	u32 i;

	memset(m, 0, sizeof(*m));
	memset(tensors, 0, NV_SLOTS * sizeof(*tensors));
	m->name[0] = 'a' + n % 3;
	m->digest[31] = n / 3;
	m->n_inputs = 1 + n % 2;
	m->n_outputs = 1 + n / 2 % 2;
	m->tensors = tensors;
	for (i = 0; i < m->n_inputs + m->n_outputs; i++) {
		tensors[i].name[0] = 'x';
		tensors[i].type = i % 2 ? BRAID_TYPE_F16 : BRAID_TYPE_U8;
		tensors[i].rank = 2;
		tensors[i].dims[0] = elements;
		tensors[i].dims[1] = 1 + n % 3;
		tensors[i].bytes = tensors[i].dims[0] * tensors[i].dims[1] * (1 + i % 2);
	}
}

static void put_model(struct drive *d, const struct bq_model *def)
{
	struct bq_model *m, *out = NULL;
	u64 id = 0;
	int ret;

	m = drive_get(d, BQ_MODEL, sizeof(*m));
	*m = *def;
	drive_doing(d, "model %s/%u", m->name, m->digest[31]);
	ret = bq_model_put(&d->q, m, &out);
	drive_same(d, "model_put", ret, nv_model_put(&d->nv, def, &id));
	if (!ret)
		drive_same(d, "model's id", out->id, id);
	if (ret || out != m)
		drive_put(d, BQ_MODEL, m, sizeof(*m));
}

static void op_model_put(struct drive *d)
{
	/* Tensors outlive the nodes that point to them. */
	static struct { struct bq_model m; struct braid_tensor t[NV_SLOTS]; } pool[16], *p;
	u32 n = drive_pick(d, 8), other = drive_chance(d, 3);

	if (nv_full(&d->nv))
		return;
	p = &pool[2 * n + other];
	define(&p->m, p->t, n, 40 + other);
	p->m.device_ns = 1 + drive_pick(d, drive_chance(d, 20) ? 100000 : 2000);
	put_model(d, &p->m);
}

/* What a successor does: most of what was there before. */
static void put_again(struct drive *d)
{
	struct bq_model defs[NV_MODELS];
	u32 i, n = 0;

	for (i = 0; i < d->nv.n_models; i++)
		if (!drive_chance(d, 8))
			defs[n++] = d->nv.model[i].def;
	for (i = 0; i < n; i++)
		put_model(d, &defs[i]);
}

static void op_model_del(struct drive *d)
{
	u64 id = some_model(d);
	bool at_once = drive_chance(d, 40);

	drive_doing(d, "model %llu withdrawn%s", (unsigned long long)id, at_once ? " at once" : "");
	drive_same(d, "model_del", bq_model_del(&d->q, id, at_once, d->now),
	     nv_model_del(&d->nv, id, at_once, d->now));
}

/* Mostly valid slices for @m; buffers of the tenant, or not. */
static void fill_slices(struct drive *d, struct bq_tenant *t, const struct nv_model *m,
			struct braid_slice *s, u32 n)
{
	const struct nv_buffer *b;
	u32 i, tries;

	for (i = 0; i < n; i++) {
		s[i].buffer = some_buffer(d);
		for (tries = 0; tries < 20 && !drive_chance(d, 1); tries++) {
			b = nv_buffer(&d->nv, s[i].buffer);
			if (b && b->tenant == t->id && !b->retired)
				break;
			s[i].buffer = some_buffer(d);
		}
		s[i].offset = 64 * drive_pick(d, 62);
		if (drive_chance(d, 1))
			s[i].offset = drive_pick(d, 2) ? ~0ULL - 63 : drive_pick(d, 9000);
		s[i].length = m ? m->tensors[i].bytes : 40;
		if (drive_chance(d, 1))
			s[i].length++;
	}
}

static void submit(struct drive *d, struct bq_tenant *t, struct braid_request *in,
		   const struct braid_slice *s, u32 n)
{
	struct bq_slot *slots;
	struct bq_request *r;
	struct bq_share *share;
	struct bq_flow *flow;
	u64 id = 0;
	u32 i;
	int ret;

	/* Slots behind the request, as a kernel would have them. */
	r = drive_get(d, BQ_REQUEST, sizeof(*r) + n * sizeof(*slots));
	slots = (struct bq_slot *)(r + 1);
	for (i = 0; i < n; i++)
		slots[i].slice = s[i];
	r->slots = slots;
	r->n_slots = n;
	ret = bq_submit(&d->q, t, r, in, d->now);
	if (ret == BQ_NEED_FLOW) {
		flow = drive_get(d, BQ_FLOW, sizeof(*flow));
		share = drive_get(d, BQ_SHARE, sizeof(*share));
		bq_flow_add(&d->q, t, in->model, &flow, &share);
		if (flow)
			drive_put(d, BQ_FLOW, flow, sizeof(*flow));
		if (share)
			drive_put(d, BQ_SHARE, share, sizeof(*share));
		ret = bq_submit(&d->q, t, r, in, d->now);
	}
	drive_same(d, "submit", ret, nv_submit(&d->nv, t->id, in, s, n, d->now, &id));
	if (ret)
		drive_put(d, BQ_REQUEST, r, sizeof(*r));
	else
		drive_same(d, "request's id", r->id, id);
}

static void op_submit(struct drive *d)
{
	struct braid_slice s[2 * NV_SLOTS];
	struct bq_tenant *t = some_tenant(d);
	struct braid_request in = { .model = some_model(d) };
	const struct nv_model *m = nv_model(&d->nv, in.model);
	u32 n;
	int ret;

	if (!t || nv_full(&d->nv))
		return;
	in.user_data = ++d->last_data;
	in.n_inputs = m ? m->def.n_inputs : 1;
	in.n_outputs = m ? m->def.n_outputs : 1;
	in.priority = drive_pick(d, 4);
	if (drive_chance(d, 25))
		in.deadline_ns = d->now + drive_pick(d, drive_chance(d, 30) ? 3000 : 100000);
	/* Equal deadlines now and then. */
	if (drive_chance(d, 30))
		in.deadline_ns -= in.deadline_ns % 2000;
	if (drive_chance(d, 1))
		in.flags = 1;
	if (drive_chance(d, 1))
		in.priority = 4 + drive_pick(d, 5);
	if (drive_chance(d, 1))
		in.reserved = 1;
	if (drive_chance(d, 1))
		in.n_inputs += drive_pick(d, 3);
	n = in.n_inputs + in.n_outputs;
	drive_doing(d, "tenant %llu submits %llu to %llu", (unsigned long long)t->id,
	      (unsigned long long)in.user_data, (unsigned long long)in.model);
	ret = bq_request_slots(&in, n);
	if (ret < 0) {
		u64 id;

		drive_same(d, "request_slots", ret, nv_submit(&d->nv, t->id, &in, s, n, d->now, &id));
		return;
	}
	fill_slices(d, t, m && n <= m->def.n_inputs + m->def.n_outputs ? m : NULL, s, n);
	submit(d, t, &in, s, n);
}

static void op_cancel(struct drive *d)
{
	const struct nv_request *r;
	struct bq_tenant *t = some_tenant(d);
	u64 id;

	if (!t || !d->nv.n_requests)
		return;
	r = &d->nv.request[drive_pick(d, d->nv.n_requests)];
	id = r->id;
	if (r->tenant)
		t = drive_tenant(d, r->tenant);
	drive_doing(d, "tenant %llu cancels %llu", (unsigned long long)t->id, (unsigned long long)id);
	drive_same(d, "cancel", bq_cancel(&d->q, t, id, d->now),
	     nv_cancel(&d->nv, t->id, id, d->now));
}

static u32 fill_wants(struct drive *d, struct braid_want *w)
{
	bool all = drive_chance(d, 50);
	u32 i, n = 0;

	for (i = 0; i < d->nv.n_models && n < 12; i++) {
		if (!all && drive_chance(d, 50))
			continue;
		memset(&w[n], 0, sizeof(*w));
		w[n].model = d->nv.model[i].id;
		w[n++].count = drive_pick(d, 6);
	}
	if (drive_chance(d, 3)) {
		memset(&w[n], 0, sizeof(*w));
		w[n].model = some_model(d);
		w[n++].count = 1;
	}
	return n;
}

static void op_window(struct drive *d)
{
	struct bq_look a = { 0 }, b = { 0 };
	struct braid_want w[16];
	u32 n = fill_wants(d, w);
	int ret;

	drive_doing(d, "looks at %u models", n);
	ret = bq_window(&d->q, w, n, d->now, &a);
	drive_same(d, "window", ret, nv_window(&d->nv, w, n, d->now, &b));
	if (ret)
		return;
	drive_same(d, "look's reason", a.reason, b.reason);
	drive_same(d, "look's time", a.when, b.when);
	drive_same(d, "look's events", a.events, b.events);
}

static void fetch(struct drive *d, const struct braid_want *w, u32 n, u32 jobs,
		  u32 slices, u32 events)
{
	static struct braid_job ja[JOBS], jb[JOBS];
	static struct braid_slice sa[JOBS * NV_SLOTS], sb[JOBS * NV_SLOTS];
	static struct braid_event ea[JOBS], eb[JOBS];
	struct bq_fetch a = {
		.wants = w, .n_wants = n, .max_jobs = jobs, .max_slices = slices,
		.max_events = events, .jobs = ja, .slices = sa, .events = ea,
	};
	struct bq_fetch b = a;
	u32 i;
	int ret;

	b.jobs = jb;
	b.slices = sb;
	b.events = eb;
	ret = bq_fetch(&d->q, &a, d->now);
	drive_same(d, "fetch", ret, nv_fetch(&d->nv, &b, d->now));
	if (ret)
		return;
	drive_same(d, "fetch's reason", a.reason, b.reason);
	drive_same(d, "fetch's window", a.window, b.window);
	drive_same(d, "fetch's generation", a.generation, b.generation);
	drive_same(d, "fetch's policy", a.fusion_policy, b.fusion_policy);
	drive_same(d, "jobs", a.n_jobs, b.n_jobs);
	drive_same(d, "slices", a.n_slices, b.n_slices);
	drive_same(d, "events", a.n_events, b.n_events);
	for (i = 0; i < a.n_jobs && !d->error[0]; i++)
		if (memcmp(&ja[i], &jb[i], sizeof(*ja)))
			drive_differ(d, "job %u is %llu of tenant %llu, should be %llu of %llu", i,
			       (unsigned long long)ja[i].id, (unsigned long long)ja[i].tenant,
			       (unsigned long long)jb[i].id, (unsigned long long)jb[i].tenant);
	if (memcmp(sa, sb, a.n_slices * sizeof(*sa)))
		drive_differ(d, "slices differ");
	for (i = 0; i < a.n_events && !d->error[0]; i++)
		if (memcmp(&ea[i], &eb[i], sizeof(*ea)))
			drive_differ(d, "event %u is %u of %llu, should be %u of %llu", i, ea[i].type,
			       (unsigned long long)ea[i].id, eb[i].type,
			       (unsigned long long)eb[i].id);
}

static void op_fetch(struct drive *d)
{
	struct braid_want w[16];
	u32 n = fill_wants(d, w);
	bool tight = drive_chance(d, 20);

	drive_doing(d, "fetches of %u models", n);
	fetch(d, w, n, tight ? drive_pick(d, 4) : JOBS, tight ? drive_pick(d, 10) : JOBS * NV_SLOTS,
	      drive_chance(d, 20) ? drive_pick(d, 3) : JOBS);
}

/* All that can be taken at once: the whole order. */
static void op_sweep(struct drive *d)
{
	struct braid_want w[16];
	u32 n, i;

	drive_doing(d, "fetches all");
	for (n = 0; n < d->nv.n_models && n < 16; n++)
		w[n] = (struct braid_want){ .model = d->nv.model[n].id, .count = 1000 };
	for (i = 0; i < 8; i++)
		fetch(d, w, n, JOBS, JOBS * NV_SLOTS, JOBS);
}

static void op_commit(struct drive *d)
{
	struct braid_result a = { .cookie = drive_pick(d, 1000), .result = 77 };
	u32 tries, from;

	from = drive_pick(d, d->nv.n_requests + 1);
	for (tries = 0; tries < d->nv.n_requests; tries++) {
		const struct nv_request *r =
			&d->nv.request[(from + tries) % d->nv.n_requests];

		if (r->state == NV_FETCHED) {
			a.cookie = r->cookie;
			break;
		}
	}
	if (drive_chance(d, 2))
		a.cookie = drive_pick(d, 1000);
	a.device_ns = drive_pick(d, drive_chance(d, 10) ? 1000000 : 3000);
	if (drive_chance(d, 1))
		a.device_ns = ~0ULL;
	a.merge_degree = drive_pick(d, 4);
	a.fuse_degree = drive_pick(d, 4);
	if (drive_chance(d, 5))
		a.status = drive_chance(d, 50) ? -EFAULT : drive_chance(d, 50) ? 1 : -5000;
	drive_doing(d, "commits %llu", (unsigned long long)a.cookie);
	drive_same(d, "commit_check", bq_commit_check(&d->q, d->nv.generation),
	     d->nv.ready ? 0 : -ENODEV);
	if (!d->nv.ready)
		return;
	drive_same(d, "commit_check of old", bq_commit_check(&d->q, d->nv.generation - 1), -ESTALE);
	drive_same(d, "commit", bq_commit(&d->q, &a, d->now), nv_commit(&d->nv, &a, d->now));
	if (a.result == 77)
		drive_differ(d, "commit wrote no result");
}

static void op_read(struct drive *d)
{
	struct braid_completion a, b;
	struct bq_tenant *t = some_tenant(d);
	bool got;
	u64 total;
	u32 n;

	if (!t)
		return;
	drive_doing(d, "tenant %llu reads", (unsigned long long)t->id);
	for (n = drive_pick(d, 8); n; n--) {
		got = bq_completion_peek(t, &a);
		drive_same(d, "peek", got, nv_peek(&d->nv, t->id, &b));
		if (!got || d->error[0])
			break;
		if (memcmp(&a, &b, sizeof(a)))
			drive_differ(d, "completion of %llu with %d, should be of %llu with %d",
			       (unsigned long long)a.id, a.status,
			       (unsigned long long)b.id, b.status);
		if (d->completed[a.user_data % DRIVE_IDS]++ && d->last_data < DRIVE_IDS)
			drive_differ(d, "request %llu completed twice", (unsigned long long)a.user_data);
		if (by_socket(t)) {
			bq_completion_sent(t);
			nv_sent(&d->nv, t->id);
		} else {
			bq_completion_pop(&d->q, t);
			nv_pop(&d->nv, t->id);
		}
	}
	if (!by_socket(t))
		return;
	total = t->seen + drive_pick(d, 6) - (drive_chance(d, 2) ? 1 : 0);
	drive_same(d, "seen", bq_completion_seen(&d->q, t, total), nv_seen(&d->nv, t->id, total));
}

static void op_agent(struct drive *d)
{
	/* Ready most of the time, with most models. */
	switch (d->nv.ready ? 2 : d->nv.attached ? drive_pick(d, 3) : 0) {
	case 0:
		drive_doing(d, "agent attaches");
		drive_same(d, "attach", bq_agent_attach(&d->q), nv_attach(&d->nv));
		if (drive_chance(d, 90))
			put_again(d);
		break;
	case 1:
		drive_doing(d, "agent is ready");
		drive_same(d, "ready", bq_agent_ready(&d->q, d->now), nv_ready(&d->nv, d->now));
		break;
	default:
		if (d->nv.ready && drive_chance(d, 10)) {
			drive_doing(d, "agent is ready again");
			drive_same(d, "ready", bq_agent_ready(&d->q, d->now),
			     nv_ready(&d->nv, d->now));
			break;
		}
		if (!d->nv.ready && drive_chance(d, 70))
			break;
		drive_doing(d, "agent dies");
		bq_agent_gone(&d->q, d->now);
		nv_gone(&d->nv, d->now);
	}
}

static void op_knob(struct drive *d)
{
	static const u32 values[] = { 0, 1, 2, 3, 4, 5, 6, 8, 32, 256, 257, 20000000 };
	enum bq_knob knob = drive_pick(d, BQ_KNOBS + 1);
	u32 value = values[drive_pick(d, 12)];

	/* Tight limits only now and then, or nothing would ever queue up. */
	if ((knob == BQ_TENANT_DEPTH || knob == BQ_MAX_REQUESTS) && value < 32)
		value = drive_chance(d, 20) ? value : 64;
	if (knob == BQ_GRACE_MS && value > 2)
		value = 0;
	drive_doing(d, "knob %u = %u", knob, value);
	drive_same(d, "knob_set", bq_knob_set(&d->q, knob, value), nv_knob_set(&d->nv, knob, value));
}

static void op_time(struct drive *d)
{
	d->now += drive_pick(d, drive_chance(d, 2) ? 1500000 : 1500);
	drive_doing(d, "time passes");
	if (drive_chance(d, 50)) {
		bq_expire(&d->q, d->now);
		nv_expire(&d->nv, d->now);
	}
}

static const struct {
	void (*run)(struct drive *d);
	u32 weight[4];			/* by temper */
} ops[] = {
	{ op_submit,		{ 300, 500, 300, 300 } },
	{ op_fetch,		{ 150, 60, 150, 200 } },
	{ op_commit,		{ 200, 80, 150, 250 } },
	{ op_read,		{ 120, 60, 80, 120 } },
	{ op_time,		{ 100, 40, 100, 60 } },
	{ op_window,		{ 50, 20, 40, 40 } },
	{ op_cancel,		{ 25, 5, 40, 10 } },
	{ op_buffer_add,	{ 20, 15, 30, 20 } },
	{ op_buffer_free,	{ 12, 5, 20, 10 } },
	{ op_buffer_put,	{ 20, 5, 30, 10 } },
	{ op_model_put,		{ 20, 5, 60, 20 } },
	{ op_model_del,		{ 3, 1, 4, 2 } },
	{ op_tenant_add,	{ 8, 3, 12, 6 } },
	{ op_tenant_gone,	{ 2, 1, 4, 1 } },
	{ op_owner_set,		{ 6, 2, 6, 6 } },
	{ op_agent,		{ 6, 3, 25, 3 } },
	{ op_knob,		{ 8, 3, 8, 8 } },
	{ op_sweep,		{ 2, 4, 2, 2 } },
};

/* Everything that can go away does so at once: the model of what runs, its
 * tenant, the agent.
 */
static void storm(struct drive *d)
{
	struct nv_request *r;
	u64 id;

	NV_FOR_EACH(&d->nv, request, r)
		if (r->state == NV_FETCHED && drive_chance(d, 40))
			break;
	if (r == d->nv.request + d->nv.n_requests || drive_chance(d, 20)) {
		op_agent(d);
	} else if (drive_chance(d, 30) && r->tenant) {
		id = r->tenant;
		drive_doing(d, "tenant %llu dies at work", (unsigned long long)id);
		bq_tenant_gone(&d->q, drive_tenant(d, id));
		nv_tenant_gone(&d->nv, id);
	} else {
		id = r->model;
		drive_doing(d, "model %llu withdrawn at work", (unsigned long long)id);
		drive_same(d, "model_del", bq_model_del(&d->q, id, false, d->now),
		     nv_model_del(&d->nv, id, false, d->now));
	}
}

void drive_begin(struct drive *d)
{
	u32 i;

	for (i = drive_pick(d, 3) + 1; i; i--)
		op_tenant_add(d);
	op_agent(d);
	for (i = drive_pick(d, 5) + 2; i; i--)
		op_model_put(d);
	for (i = drive_pick(d, 8) + 2; i; i--)
		op_buffer_add(d);
}

void drive_choose(struct drive *d)
{
	u32 i, sum = 0, n;

	for (i = 0; i < sizeof(ops) / sizeof(*ops); i++)
		sum += ops[i].weight[d->temper];
	n = drive_pick(d, sum);
	for (i = 0; n >= ops[i].weight[d->temper]; i++)
		n -= ops[i].weight[d->temper];
	/* Agents come back soon, and die on what killed their predecessors. */
	if (d->storm) {
		d->storm--;
		storm(d);
	} else if ((!d->nv.ready && drive_chance(d, 20)) ||
		   (d->q.alone && drive_chance(d, 15))) {
		op_agent(d);
	} else {
		ops[i].run(d);
	}
	if (d->nv.ready && d->q.fetched > 2 && drive_pick(d, 150) == 0)
		d->storm = 3 + drive_pick(d, 3);
}
