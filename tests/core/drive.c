// SPDX-License-Identifier: MIT
/*
 * The operations, and what must be equal after each. See drive.h. Memory that
 * comes back on the reap list is overwritten and freed at once, so a queue
 * that still refers to it is found out.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/core/drive.h"

#define OWNERS		4
#define JOBS		64

static u32 pick(struct drive *d, u32 n)
{
	return d->source(d->from) % n;
}

static bool chance(struct drive *d, u32 percent)
{
	return pick(d, 100) < percent;
}

__attribute__((format(printf, 2, 3)))
static void differ(struct drive *d, const char *fmt, ...)
{
	char text[160];
	va_list ap;

	if (d->error[0])
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	snprintf(d->error, sizeof(d->error), "step %llu, %s: %s",
		 (unsigned long long)d->steps, d->what, text);
}

__attribute__((format(printf, 2, 3)))
static void doing(struct drive *d, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(d->what, sizeof(d->what), fmt, ap);
	va_end(ap);
	if (d->trace)
		printf("# %llu @%llu %s\n", (unsigned long long)d->steps,
		       (unsigned long long)d->now, d->what);
}

static void same(struct drive *d, const char *name, u64 core, u64 naive)
{
	if (core != naive)
		differ(d, "%s is %lld, should be %lld", name, (long long)core,
		       (long long)naive);
}

static void *get(struct drive *d, enum bq_kind kind, size_t size)
{
	void *p = malloc(size);

	if (!p)
		abort();
	memset(p, 0x5a, size);
	d->live[kind]++;
	return p;
}

static void put(struct drive *d, enum bq_kind kind, void *p, size_t size)
{
	d->live[kind]--;
	memset(p, 0xa5, size);
	free(p);
}

static void bury(struct drive *d)
{
	struct bq_reap *r, *next;

	for (r = bq_reap(&d->q); r; r = next) {
		next = r->next;
		switch (r->kind) {
		case BQ_REQUEST:
			put(d, r->kind, bq_entry(r, struct bq_request, reap), sizeof(struct bq_request));
			break;
		case BQ_FLOW:
			put(d, r->kind, bq_entry(r, struct bq_flow, reap), sizeof(struct bq_flow));
			break;
		case BQ_SHARE:
			put(d, r->kind, bq_entry(r, struct bq_share, reap), sizeof(struct bq_share));
			break;
		case BQ_TENANT:
			put(d, r->kind, bq_entry(r, struct bq_tenant, reap), sizeof(struct bq_tenant));
			break;
		case BQ_OWNER:
			put(d, r->kind, bq_entry(r, struct bq_owner, reap), sizeof(struct bq_owner));
			break;
		case BQ_MODEL:
			put(d, r->kind, bq_entry(r, struct bq_model, reap), sizeof(struct bq_model));
			break;
		case BQ_BUFFER:
			put(d, r->kind, bq_entry(r, struct bq_buffer, reap), sizeof(struct bq_buffer));
			break;
		default:
			differ(d, "reaped an unknown kind %u", r->kind);
			return;
		}
	}
}

static struct bq_tenant *tenant_by_id(struct drive *d, u64 id)
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
	return tenant_by_id(d, d->nv.tenant[pick(d, d->nv.n_tenants)].id);
}

/* Every second tenant reads as sockets do. */
static bool by_socket(const struct bq_tenant *t)
{
	return t->id & 1;
}

static u64 some_model(struct drive *d)
{
	if (!d->nv.n_models || chance(d, 3))
		return pick(d, 40);
	return d->nv.model[pick(d, d->nv.n_models)].id;
}

static struct bq_owner *owner_of(struct drive *d, u64 key)
{
	struct bq_owner *o = bq_owner_find(&d->q, key);

	if (!o) {
		o = get(d, BQ_OWNER, sizeof(*o));
		bq_owner_add(&d->q, o, key);
	}
	return o;
}

static void op_tenant_add(struct drive *d)
{
	u64 key = 1000 + pick(d, OWNERS);
	struct bq_owner *o;
	struct bq_tenant *t;

	if (d->nv.n_tenants >= 12)
		return;
	doing(d, "tenant of %llu comes", (unsigned long long)key);
	o = owner_of(d, key);
	t = get(d, BQ_TENANT, sizeof(*t));
	bq_tenant_add(&d->q, t, o);
	same(d, "tenant's id", t->id, nv_tenant_add(&d->nv, key));
}

static void op_tenant_gone(struct drive *d)
{
	struct bq_tenant *t = some_tenant(d);
	u64 id;

	if (!t)
		return;
	id = t->id;
	doing(d, "tenant %llu dies", (unsigned long long)id);
	bq_tenant_gone(&d->q, t);
	nv_tenant_gone(&d->nv, id);
}

static void op_owner_set(struct drive *d)
{
	static const u32 weights[] = { 100, 1, 1024, 50, 200, 0, 1025, 7 };
	u64 key = 1000 + pick(d, OWNERS);
	struct bq_owner_limits l = {
		.weight = weights[pick(d, 8)],
		.priority_ceiling = pick(d, 20) ? pick(d, 4) : 4,
		.request_quota = chance(d, 30) ? pick(d, 8) : 8192,
		.byte_quota = chance(d, 20) ? 4096 * pick(d, 8) : 1 << 30,
	};
	bool unset = chance(d, 40);

	doing(d, "limits of %llu: %s", (unsigned long long)key, unset ? "none" : "set");
	if (!unset && !bq_owner_find(&d->q, key) &&
	    (l.weight < 1 || l.weight > 1024 || l.priority_ceiling > 3))
		return;
	same(d, "owner_set", bq_owner_set(&d->q, owner_of(d, key), unset ? NULL : &l),
	     nv_owner_set(&d->nv, key, unset ? NULL : &l));
}

static void op_buffer_add(struct drive *d)
{
	struct bq_tenant *t = some_tenant(d);
	u64 length = pick(d, 3 * 4096), id = 0;
	struct bq_buffer *b;
	int ret;

	if (!t || d->nv.n_buffers > 60)
		return;
	if (chance(d, 1))
		length = ~0ULL - pick(d, 5000);
	doing(d, "buffer of %llu bytes", (unsigned long long)length);
	b = get(d, BQ_BUFFER, sizeof(*b));
	ret = bq_buffer_add(&d->q, t, b, length);
	same(d, "buffer_add", ret, nv_buffer_add(&d->nv, t->id, length, &id));
	if (ret) {
		put(d, BQ_BUFFER, b, sizeof(*b));
		return;
	}
	same(d, "buffer's id", b->id, id);
	same(d, "buffer's length", b->length, nv_buffer(&d->nv, id)->length);
}

static u64 some_buffer(struct drive *d)
{
	if (!d->nv.n_buffers || chance(d, 3))
		return pick(d, 200);
	return d->nv.buffer[pick(d, d->nv.n_buffers)].id;
}

static void op_buffer_free(struct drive *d)
{
	struct bq_tenant *t = some_tenant(d);
	u64 id = some_buffer(d);

	if (!t)
		return;
	if (nv_buffer(&d->nv, id) && !nv_buffer(&d->nv, id)->gone && !chance(d, 10))
		t = tenant_by_id(d, nv_buffer(&d->nv, id)->tenant);
	doing(d, "tenant %llu frees %llu", (unsigned long long)t->id, (unsigned long long)id);
	same(d, "buffer_free", bq_buffer_free(&d->q, t, id),
	     nv_buffer_free(&d->nv, t->id, id));
}

static void op_buffer_put(struct drive *d)
{
	u64 id = some_buffer(d);
	const struct nv_buffer *b = nv_buffer(&d->nv, id);

	doing(d, "agent puts buffer %llu", (unsigned long long)id);
	same(d, "buffer_get", !!bq_buffer_get(&d->q, id), b && b->known);
	same(d, "buffer_put", bq_buffer_put(&d->q, id), nv_buffer_put(&d->nv, id));
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

	m = get(d, BQ_MODEL, sizeof(*m));
	*m = *def;
	doing(d, "model %s/%u", m->name, m->digest[31]);
	ret = bq_model_put(&d->q, m, &out);
	same(d, "model_put", ret, nv_model_put(&d->nv, def, &id));
	if (!ret)
		same(d, "model's id", out->id, id);
	if (ret || out != m)
		put(d, BQ_MODEL, m, sizeof(*m));
}

static void op_model_put(struct drive *d)
{
	/* Tensors outlive the nodes that point to them. */
	static struct { struct bq_model m; struct braid_tensor t[NV_SLOTS]; } pool[16], *p;
	u32 n = pick(d, 8), other = chance(d, 3);

	if (nv_full(&d->nv))
		return;
	p = &pool[2 * n + other];
	define(&p->m, p->t, n, 40 + other);
	p->m.device_ns = 1 + pick(d, chance(d, 20) ? 100000 : 2000);
	put_model(d, &p->m);
}

/* What a successor does: most of what was there before. */
static void put_again(struct drive *d)
{
	struct bq_model defs[NV_MODELS];
	u32 i, n = 0;

	for (i = 0; i < d->nv.n_models; i++)
		if (!chance(d, 8))
			defs[n++] = d->nv.model[i].def;
	for (i = 0; i < n; i++)
		put_model(d, &defs[i]);
}

static void op_model_del(struct drive *d)
{
	u64 id = some_model(d);
	bool at_once = chance(d, 40);

	doing(d, "model %llu withdrawn%s", (unsigned long long)id, at_once ? " at once" : "");
	same(d, "model_del", bq_model_del(&d->q, id, at_once, d->now),
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
		for (tries = 0; tries < 20 && !chance(d, 1); tries++) {
			b = nv_buffer(&d->nv, s[i].buffer);
			if (b && b->tenant == t->id && !b->retired)
				break;
			s[i].buffer = some_buffer(d);
		}
		s[i].offset = 64 * pick(d, 62);
		if (chance(d, 1))
			s[i].offset = pick(d, 2) ? ~0ULL - 63 : pick(d, 9000);
		s[i].length = m ? m->tensors[i].bytes : 40;
		if (chance(d, 1))
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
	r = get(d, BQ_REQUEST, sizeof(*r) + n * sizeof(*slots));
	slots = (struct bq_slot *)(r + 1);
	for (i = 0; i < n; i++)
		slots[i].slice = s[i];
	r->slots = slots;
	r->n_slots = n;
	ret = bq_submit(&d->q, t, r, in, d->now);
	if (ret == BQ_NEED_FLOW) {
		flow = get(d, BQ_FLOW, sizeof(*flow));
		share = get(d, BQ_SHARE, sizeof(*share));
		bq_flow_add(&d->q, t, in->model, &flow, &share);
		if (flow)
			put(d, BQ_FLOW, flow, sizeof(*flow));
		if (share)
			put(d, BQ_SHARE, share, sizeof(*share));
		ret = bq_submit(&d->q, t, r, in, d->now);
	}
	same(d, "submit", ret, nv_submit(&d->nv, t->id, in, s, n, d->now, &id));
	if (ret)
		put(d, BQ_REQUEST, r, sizeof(*r));
	else
		same(d, "request's id", r->id, id);
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
	in.priority = pick(d, 4);
	if (chance(d, 25))
		in.deadline_ns = d->now + pick(d, chance(d, 30) ? 3000 : 100000);
	/* Equal deadlines now and then. */
	if (chance(d, 30))
		in.deadline_ns -= in.deadline_ns % 2000;
	if (chance(d, 1))
		in.flags = 1;
	if (chance(d, 1))
		in.priority = 4 + pick(d, 5);
	if (chance(d, 1))
		in.reserved = 1;
	if (chance(d, 1))
		in.n_inputs += pick(d, 3);
	n = in.n_inputs + in.n_outputs;
	doing(d, "tenant %llu submits %llu to %llu", (unsigned long long)t->id,
	      (unsigned long long)in.user_data, (unsigned long long)in.model);
	ret = bq_request_slots(&in, n);
	if (ret < 0) {
		u64 id;

		same(d, "request_slots", ret, nv_submit(&d->nv, t->id, &in, s, n, d->now, &id));
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
	r = &d->nv.request[pick(d, d->nv.n_requests)];
	id = r->id;
	if (r->tenant)
		t = tenant_by_id(d, r->tenant);
	doing(d, "tenant %llu cancels %llu", (unsigned long long)t->id, (unsigned long long)id);
	same(d, "cancel", bq_cancel(&d->q, t, id, d->now),
	     nv_cancel(&d->nv, t->id, id, d->now));
}

static u32 fill_wants(struct drive *d, struct braid_want *w)
{
	bool all = chance(d, 50);
	u32 i, n = 0;

	for (i = 0; i < d->nv.n_models && n < 12; i++) {
		if (!all && chance(d, 50))
			continue;
		memset(&w[n], 0, sizeof(*w));
		w[n].model = d->nv.model[i].id;
		w[n++].count = pick(d, 6);
	}
	if (chance(d, 3)) {
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

	doing(d, "looks at %u models", n);
	ret = bq_window(&d->q, w, n, d->now, &a);
	same(d, "window", ret, nv_window(&d->nv, w, n, d->now, &b));
	if (ret)
		return;
	same(d, "look's reason", a.reason, b.reason);
	same(d, "look's time", a.when, b.when);
	same(d, "look's events", a.events, b.events);
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
	same(d, "fetch", ret, nv_fetch(&d->nv, &b, d->now));
	if (ret)
		return;
	same(d, "fetch's reason", a.reason, b.reason);
	same(d, "fetch's window", a.window, b.window);
	same(d, "fetch's generation", a.generation, b.generation);
	same(d, "fetch's policy", a.fusion_policy, b.fusion_policy);
	same(d, "jobs", a.n_jobs, b.n_jobs);
	same(d, "slices", a.n_slices, b.n_slices);
	same(d, "events", a.n_events, b.n_events);
	for (i = 0; i < a.n_jobs && !d->error[0]; i++)
		if (memcmp(&ja[i], &jb[i], sizeof(*ja)))
			differ(d, "job %u is %llu of tenant %llu, should be %llu of %llu", i,
			       (unsigned long long)ja[i].id, (unsigned long long)ja[i].tenant,
			       (unsigned long long)jb[i].id, (unsigned long long)jb[i].tenant);
	if (memcmp(sa, sb, a.n_slices * sizeof(*sa)))
		differ(d, "slices differ");
	for (i = 0; i < a.n_events && !d->error[0]; i++)
		if (memcmp(&ea[i], &eb[i], sizeof(*ea)))
			differ(d, "event %u is %u of %llu, should be %u of %llu", i, ea[i].type,
			       (unsigned long long)ea[i].id, eb[i].type,
			       (unsigned long long)eb[i].id);
}

static void op_fetch(struct drive *d)
{
	struct braid_want w[16];
	u32 n = fill_wants(d, w);
	bool tight = chance(d, 20);

	doing(d, "fetches of %u models", n);
	fetch(d, w, n, tight ? pick(d, 4) : JOBS, tight ? pick(d, 10) : JOBS * NV_SLOTS,
	      chance(d, 20) ? pick(d, 3) : JOBS);
}

/* All that can be taken at once: the whole order. */
static void op_sweep(struct drive *d)
{
	struct braid_want w[16];
	u32 n, i;

	doing(d, "fetches all");
	for (n = 0; n < d->nv.n_models && n < 16; n++)
		w[n] = (struct braid_want){ .model = d->nv.model[n].id, .count = 1000 };
	for (i = 0; i < 8; i++)
		fetch(d, w, n, JOBS, JOBS * NV_SLOTS, JOBS);
}

static void op_commit(struct drive *d)
{
	struct braid_result a = { .cookie = pick(d, 1000), .result = 77 };
	u32 tries, from;

	from = pick(d, d->nv.n_requests + 1);
	for (tries = 0; tries < d->nv.n_requests; tries++) {
		const struct nv_request *r =
			&d->nv.request[(from + tries) % d->nv.n_requests];

		if (r->state == NV_FETCHED) {
			a.cookie = r->cookie;
			break;
		}
	}
	if (chance(d, 2))
		a.cookie = pick(d, 1000);
	a.device_ns = pick(d, chance(d, 10) ? 1000000 : 3000);
	if (chance(d, 1))
		a.device_ns = ~0ULL;
	a.merge_degree = pick(d, 4);
	a.fuse_degree = pick(d, 4);
	if (chance(d, 5))
		a.status = chance(d, 50) ? -EFAULT : chance(d, 50) ? 1 : -5000;
	doing(d, "commits %llu", (unsigned long long)a.cookie);
	same(d, "commit_check", bq_commit_check(&d->q, d->nv.generation),
	     d->nv.ready ? 0 : -ENODEV);
	if (!d->nv.ready)
		return;
	same(d, "commit_check of old", bq_commit_check(&d->q, d->nv.generation - 1), -ESTALE);
	same(d, "commit", bq_commit(&d->q, &a, d->now), nv_commit(&d->nv, &a, d->now));
	if (a.result == 77)
		differ(d, "commit wrote no result");
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
	doing(d, "tenant %llu reads", (unsigned long long)t->id);
	for (n = pick(d, 8); n; n--) {
		got = bq_completion_peek(t, &a);
		same(d, "peek", got, nv_peek(&d->nv, t->id, &b));
		if (!got || d->error[0])
			break;
		if (memcmp(&a, &b, sizeof(a)))
			differ(d, "completion of %llu with %d, should be of %llu with %d",
			       (unsigned long long)a.id, a.status,
			       (unsigned long long)b.id, b.status);
		if (d->completed[a.user_data % DRIVE_IDS]++ && d->last_data < DRIVE_IDS)
			differ(d, "request %llu completed twice", (unsigned long long)a.user_data);
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
	total = t->seen + pick(d, 6) - (chance(d, 2) ? 1 : 0);
	same(d, "seen", bq_completion_seen(&d->q, t, total), nv_seen(&d->nv, t->id, total));
}

static void op_agent(struct drive *d)
{
	/* Ready most of the time, with most models. */
	switch (d->nv.ready ? 2 : d->nv.attached ? pick(d, 3) : 0) {
	case 0:
		doing(d, "agent attaches");
		same(d, "attach", bq_agent_attach(&d->q), nv_attach(&d->nv));
		if (chance(d, 90))
			put_again(d);
		break;
	case 1:
		doing(d, "agent is ready");
		same(d, "ready", bq_agent_ready(&d->q, d->now), nv_ready(&d->nv, d->now));
		break;
	default:
		if (d->nv.ready && chance(d, 10)) {
			doing(d, "agent is ready again");
			same(d, "ready", bq_agent_ready(&d->q, d->now),
			     nv_ready(&d->nv, d->now));
			break;
		}
		if (!d->nv.ready && chance(d, 70))
			break;
		doing(d, "agent dies");
		bq_agent_gone(&d->q, d->now);
		nv_gone(&d->nv, d->now);
	}
}

static void op_knob(struct drive *d)
{
	static const u32 values[] = { 0, 1, 2, 3, 4, 5, 6, 8, 32, 256, 257, 20000000 };
	enum bq_knob knob = pick(d, BQ_KNOBS + 1);
	u32 value = values[pick(d, 12)];

	/* Tight limits only now and then, or nothing would ever queue up. */
	if ((knob == BQ_TENANT_DEPTH || knob == BQ_MAX_REQUESTS) && value < 32)
		value = chance(d, 20) ? value : 64;
	if (knob == BQ_GRACE_MS && value > 2)
		value = 0;
	doing(d, "knob %u = %u", knob, value);
	same(d, "knob_set", bq_knob_set(&d->q, knob, value), nv_knob_set(&d->nv, knob, value));
}

static void op_time(struct drive *d)
{
	d->now += pick(d, chance(d, 2) ? 1500000 : 1500);
	doing(d, "time passes");
	if (chance(d, 50)) {
		bq_expire(&d->q, d->now);
		nv_expire(&d->nv, d->now);
	}
}

/* Who had completions to read before the step. */
static void note_waiting(struct drive *d)
{
	const struct nv_request *r;
	u32 i;

	d->n_waiting = d->nv.n_tenants;
	for (i = 0; i < d->n_waiting; i++) {
		d->waiting_id[i] = d->nv.tenant[i].id;
		d->waiting[i] = 0;
		NV_FOR_EACH(&d->nv, request, r)
			d->waiting[i] += r->tenant == d->waiting_id[i] && r->state == NV_DONE;
	}
}

/* Exactly those who got some are woken. */
static void check_woken(struct drive *d)
{
	bool woken[NV_TENANTS] = { false };
	const struct nv_request *r;
	struct bq_tenant *t;
	u32 i, n;

	while ((t = bq_next_woken(&d->q)))
		for (i = 0; i < d->n_waiting; i++)
			woken[i] |= d->waiting_id[i] == t->id;
	for (i = 0; i < d->n_waiting; i++) {
		if (!nv_tenant(&d->nv, d->waiting_id[i]))
			continue;
		n = 0;
		NV_FOR_EACH(&d->nv, request, r)
			n += r->tenant == d->waiting_id[i] && r->state == NV_DONE;
		if (woken[i] != (n > d->waiting[i]))
			differ(d, "tenant %llu was %swoken", (unsigned long long)d->waiting_id[i],
			       woken[i] ? "" : "not ");
	}
}

static void check_owners(struct drive *d)
{
	struct bq_owner *o = NULL;
	struct nv_owner *n;
	u32 count = 0;

	while ((o = bq_owner_next(&d->q, o))) {
		count++;
		n = nv_owner(&d->nv, o->key);
		if (!n) {
			differ(d, "owner %llu is still there", (unsigned long long)o->key);
			return;
		}
		same(d, "owner's virtual time", o->vtime - d->vbase, n->vtime);
		same(d, "owner's requests", o->requests, nv_owner_requests(&d->nv, o->key));
		same(d, "owner's bytes", o->bytes, nv_owner_bytes(&d->nv, o->key));
	}
	same(d, "owners", count, d->nv.n_owners);
	same(d, "minimum virtual time", d->q.min_vtime - d->vbase, d->nv.min_vtime);
}

static void check_rest(struct drive *d)
{
	static const char names[] = "abc";
	const struct nv_tenant *n;
	struct nv_model *nm;
	struct bq_tenant *t;
	struct bq_model *m;
	struct bq_list *l;
	char name[2] = "";
	u32 i;

	for (l = d->q.tenants.next; l != &d->q.tenants; l = l->next) {
		t = bq_entry(l, struct bq_tenant, of_queue);
		n = nv_tenant(&d->nv, t->id);
		same(d, "tenant's virtual time", t->vtime, n->vtime);
		same(d, "outstanding", t->outstanding, nv_outstanding(&d->nv, t->id));
	}
	NV_FOR_EACH(&d->nv, model, nm) {
		if (nm->drained || nm->deleting)
			continue;
		m = bq_model_by_id(&d->q, nm->id);
		if (!m) {
			differ(d, "model %llu is missing", (unsigned long long)nm->id);
			return;
		}
		same(d, "model's queued", m->queued, nv_count(&d->nv, m->id, NV_QUEUED));
		same(d, "model's suspects", m->suspects,
		     nv_count(&d->nv, m->id, NV_SUSPECT) + nv_count(&d->nv, m->id, NV_ENDING));
		same(d, "model's fetched", m->fetched, nv_count(&d->nv, m->id, NV_FETCHED));
	}
	for (i = 0; names[i]; i++) {
		name[0] = names[i];
		m = bq_model_by_name(&d->q, name);
		same(d, "model by name", m ? m->id : 0, nv_model_by_name(&d->nv, name));
	}
}

static void check(struct drive *d)
{
	struct bq *q = &d->q;
	struct naive *nv = &d->nv;

	check_woken(d);
	bury(d);
	same(d, "next event", bq_next_event(q), nv_next_event(nv));
	same(d, "queued", q->queued, nv_count(nv, 0, NV_QUEUED));
	same(d, "suspects", q->suspects,
	     nv_count(nv, 0, NV_SUSPECT) + nv_count(nv, 0, NV_ENDING));
	same(d, "fetched", q->fetched, nv_count(nv, 0, NV_FETCHED));
	same(d, "generation", q->generation, nv->generation);
	same(d, "live requests", d->live[BQ_REQUEST], nv->n_requests);
	same(d, "live tenants", d->live[BQ_TENANT], nv->n_tenants);
	same(d, "live owners", d->live[BQ_OWNER], nv->n_owners);
	same(d, "live models", d->live[BQ_MODEL], nv->n_models);
	same(d, "live buffers", d->live[BQ_BUFFER], nv->n_buffers);
	if (memcmp(&q->count, &nv->count, sizeof(q->count))) {
		const u64 *a = (const u64 *)&q->count, *b = (const u64 *)&nv->count;
		u32 i;

		for (i = 0; a[i] == b[i]; i++)
			;
		differ(d, "counter %u is %llu, should be %llu", i, (unsigned long long)a[i],
		       (unsigned long long)b[i]);
	}
	check_owners(d);
	if (d->steps % 4 == 0)
		check_rest(d);
}

void drive_start(struct drive *d, u32 (*source)(void *from), void *from)
{
	bool trace = d->trace;
	u32 i;

	memset(d, 0, sizeof(*d));
	d->trace = trace;
	d->source = source;
	d->from = from;
	bq_init(&d->q);
	nv_init(&d->nv);
	d->now = 1000000;
	/* Every fourth run crosses the place where virtual time wraps. */
	if (pick(d, 4) == 0)
		d->vbase = 0ULL - pick(d, 200000);
	d->q.min_vtime = d->vbase;
	d->temper = pick(d, 4);
	bq_knob_set(&d->q, BQ_GRACE_MS, 1);
	nv_knob_set(&d->nv, BQ_GRACE_MS, 1);
	bq_knob_set(&d->q, BQ_WINDOW_TIMEOUT_US, 5);
	nv_knob_set(&d->nv, BQ_WINDOW_TIMEOUT_US, 5);
	for (i = pick(d, 3) + 1; i; i--)
		op_tenant_add(d);
	op_agent(d);
	for (i = pick(d, 5) + 2; i; i--)
		op_model_put(d);
	for (i = pick(d, 8) + 2; i; i--)
		op_buffer_add(d);
	bury(d);
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

bool drive_step(struct drive *d)
{
	u32 i, sum = 0, n;

	d->steps++;
	d->now += pick(d, 8);
	note_waiting(d);
	for (i = 0; i < sizeof(ops) / sizeof(*ops); i++)
		sum += ops[i].weight[d->temper];
	n = pick(d, sum);
	for (i = 0; n >= ops[i].weight[d->temper]; i++)
		n -= ops[i].weight[d->temper];
	doing(d, "nothing");
	/* Agents come back soon, and die on what killed their predecessors. */
	if ((!d->nv.ready && chance(d, 20)) || (d->q.alone && chance(d, 15)))
		op_agent(d);
	else
		ops[i].run(d);
	check(d);
	return !d->error[0];
}

bool drive_end(struct drive *d)
{
	struct bq_owner *o = NULL;
	u32 kind;

	doing(d, "end");
	while (d->nv.n_tenants && !d->error[0]) {
		u64 id = d->nv.tenant[0].id;

		note_waiting(d);
		bq_tenant_gone(&d->q, tenant_by_id(d, id));
		nv_tenant_gone(&d->nv, id);
		check(d);
	}
	bq_agent_gone(&d->q, d->now);
	nv_gone(&d->nv, d->now);
	same(d, "ended", d->q.count.submitted, d->q.count.completed + d->q.count.dropped);
	same(d, "left waiting", d->q.queued + d->q.suspects + d->q.fetched, 0);
	same(d, "next event", bq_next_event(&d->q), BQ_NEVER);
	while ((o = bq_owner_next(&d->q, o))) {
		same(d, "requests charged", o->requests, 0);
		same(d, "bytes charged", o->bytes, 0);
	}
	bq_exit(&d->q);
	bury(d);
	for (kind = BQ_REQUEST; kind <= BQ_BUFFER; kind++)
		if (d->live[kind])
			differ(d, "%llu nodes of kind %u are left",
			       (unsigned long long)d->live[kind], kind);
	return !d->error[0];
}
