// SPDX-License-Identifier: MIT
/*
 * What tenants, time and the control socket do, each to both queues, and which
 * operation comes next. See drive.h.
 */
#include <stdio.h>
#include <string.h>

#include "tests/core/drive.h"

#define OWNERS		4

struct bq_tenant *drive_tenant(struct drive *d, u64 id)
{
	return bq_tenant_find(&d->q, id);
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

u64 drive_some_model(struct drive *d)
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
	/* In steps or at once: it makes no difference. */
	while (drive_chance(d, 70) && !bq_tenant_abandon(&d->q, t, drive_pick(d, 4)))
		;
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

u64 drive_some_buffer(struct drive *d)
{
	if (!d->nv.n_buffers || drive_chance(d, 3))
		return drive_pick(d, 200);
	return d->nv.buffer[drive_pick(d, d->nv.n_buffers)].id;
}

static void op_buffer_free(struct drive *d)
{
	struct bq_tenant *t = some_tenant(d);
	u64 id = drive_some_buffer(d);

	if (!t)
		return;
	if (nv_buffer(&d->nv, id) && !nv_buffer(&d->nv, id)->gone && !drive_chance(d, 10))
		t = drive_tenant(d, nv_buffer(&d->nv, id)->tenant);
	drive_doing(d, "tenant %llu frees %llu", (unsigned long long)t->id, (unsigned long long)id);
	drive_same(d, "buffer_free", bq_buffer_free(&d->q, t, id),
	     nv_buffer_free(&d->nv, t->id, id));
}

/* Mostly valid slices for @m; buffers of the tenant, or not. */
static void fill_slices(struct drive *d, struct bq_tenant *t, const struct nv_model *m,
			struct braid_slice *s, u32 n)
{
	const struct nv_buffer *b;
	u32 i, tries;

	for (i = 0; i < n; i++) {
		s[i].buffer = drive_some_buffer(d);
		for (tries = 0; tries < 20 && !drive_chance(d, 1); tries++) {
			b = nv_buffer(&d->nv, s[i].buffer);
			if (b && b->tenant == t->id && !b->retired)
				break;
			s[i].buffer = drive_some_buffer(d);
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
	struct braid_request in = { .model = drive_some_model(d) };
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
		in.deadline_ns = d->now + drive_pick(d, drive_chance(d, 30) ? 3000 : 400000);
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
		while (drive_chance(d, 70) &&
		       !bq_expire_some(&d->q, d->now, drive_pick(d, 4)))
			;
		bq_expire(&d->q, d->now);
		nv_expire(&d->nv, d->now);
	}
}

static const struct {
	void (*run)(struct drive *d);
	u32 weight[4];			/* by temper */
} ops[] = {
	{ op_submit,		{ 300, 500, 300, 300 } },
	{ drive_fetch,		{ 150, 60, 150, 200 } },
	{ drive_commit,		{ 200, 80, 150, 250 } },
	{ op_read,		{ 120, 60, 80, 120 } },
	{ op_time,		{ 100, 40, 100, 60 } },
	{ drive_window,		{ 50, 20, 40, 40 } },
	{ op_cancel,		{ 25, 5, 40, 10 } },
	{ op_buffer_add,	{ 20, 15, 30, 20 } },
	{ op_buffer_free,	{ 12, 5, 20, 10 } },
	{ drive_buffer_put,	{ 20, 5, 30, 10 } },
	{ drive_model_put,		{ 20, 5, 60, 20 } },
	{ drive_model_del,		{ 3, 1, 4, 2 } },
	{ op_tenant_add,	{ 8, 3, 12, 6 } },
	{ op_tenant_gone,	{ 2, 1, 4, 1 } },
	{ op_owner_set,		{ 6, 2, 6, 6 } },
	{ drive_agent,		{ 6, 3, 25, 3 } },
	{ op_knob,		{ 8, 3, 8, 8 } },
	{ drive_sweep,		{ 2, 4, 2, 2 } },
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
		drive_agent(d);
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
	drive_agent(d);
	for (i = drive_pick(d, 5) + 2; i; i--)
		drive_model_put(d);
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
		drive_agent(d);
	} else {
		ops[i].run(d);
	}
	if (d->nv.ready && d->q.fetched > 2 && drive_pick(d, 150) == 0)
		d->storm = 3 + drive_pick(d, 3);
}
