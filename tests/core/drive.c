// SPDX-License-Identifier: MIT
/*
 * Steps, and what must be equal after each. See drive.h. Memory that comes back
 * on the reap list is overwritten and freed at once, so a queue that still
 * refers to it is found out.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/core/drive.h"

u32 drive_pick(struct drive *d, u32 n)
{
	return d->source(d->from) % n;
}

bool drive_chance(struct drive *d, u32 percent)
{
	return drive_pick(d, 100) < percent;
}

__attribute__((format(printf, 2, 3)))
void drive_differ(struct drive *d, const char *fmt, ...)
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
void drive_doing(struct drive *d, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(d->what, sizeof(d->what), fmt, ap);
	va_end(ap);
	if (d->trace)
		printf("# %llu @%llu %s\n", (unsigned long long)d->steps,
		       (unsigned long long)d->now, d->what);
}

void drive_same(struct drive *d, const char *name, u64 core, u64 naive)
{
	if (core != naive)
		drive_differ(d, "%s is %lld, should be %lld", name, (long long)core,
		       (long long)naive);
}

void *drive_get(struct drive *d, enum bq_kind kind, size_t size)
{
	void *p = malloc(size);

	if (!p)
		abort();
	memset(p, 0x5a, size);
	d->live[kind]++;
	return p;
}

void drive_put(struct drive *d, enum bq_kind kind, void *p, size_t size)
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
			drive_put(d, r->kind, bq_entry(r, struct bq_request, reap), sizeof(struct bq_request));
			break;
		case BQ_FLOW:
			drive_put(d, r->kind, bq_entry(r, struct bq_flow, reap), sizeof(struct bq_flow));
			break;
		case BQ_SHARE:
			drive_put(d, r->kind, bq_entry(r, struct bq_share, reap), sizeof(struct bq_share));
			break;
		case BQ_TENANT:
			drive_put(d, r->kind, bq_entry(r, struct bq_tenant, reap), sizeof(struct bq_tenant));
			break;
		case BQ_OWNER:
			drive_put(d, r->kind, bq_entry(r, struct bq_owner, reap), sizeof(struct bq_owner));
			break;
		case BQ_MODEL:
			drive_put(d, r->kind, bq_entry(r, struct bq_model, reap), sizeof(struct bq_model));
			break;
		case BQ_BUFFER:
			drive_put(d, r->kind, bq_entry(r, struct bq_buffer, reap), sizeof(struct bq_buffer));
			break;
		default:
			drive_differ(d, "reaped an unknown kind %u", r->kind);
			return;
		}
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
			drive_differ(d, "tenant %llu was %swoken", (unsigned long long)d->waiting_id[i],
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
			drive_differ(d, "owner %llu is still there", (unsigned long long)o->key);
			return;
		}
		drive_same(d, "owner's virtual time", o->vtime - d->vbase, n->vtime);
		drive_same(d, "owner's requests", o->requests, nv_owner_requests(&d->nv, o->key));
		drive_same(d, "owner's limits set", o->set, n->set);
		drive_same(d, "owner's weight", o->limits.weight, n->limits.weight);
		drive_same(d, "owner's bytes", o->bytes, nv_owner_bytes(&d->nv, o->key));
	}
	drive_same(d, "owners", count, d->nv.n_owners);
	drive_same(d, "minimum virtual time", d->q.clock.min - d->vbase, d->nv.min_vtime);
}

static void check_rest(struct drive *d)
{
	static const char names[] = "abc";
	const struct nv_tenant *n;
	struct nv_model *nm;
	struct bq_tenant *t;
	struct bq_model *m;
	char name[2] = "";
	u32 i, usable = 0;

	for (t = bq_tenant_next(&d->q, 0); t; t = bq_tenant_next(&d->q, t->id)) {
		n = nv_tenant(&d->nv, t->id);
		drive_same(d, "tenant's virtual time", t->vtime, n->vtime);
		drive_same(d, "outstanding", t->outstanding, nv_outstanding(&d->nv, t->id));
	}
	NV_FOR_EACH(&d->nv, model, nm) {
		if (nm->drained || nm->deleting)
			continue;
		m = bq_model_by_id(&d->q, nm->id);
		if (!m) {
			drive_differ(d, "model %llu is missing", (unsigned long long)nm->id);
			return;
		}
		drive_same(d, "model's queued", m->queued, nv_count(&d->nv, m->id, NV_QUEUED));
		drive_same(d, "model's suspects", m->suspects,
		     nv_count(&d->nv, m->id, NV_SUSPECT) + nv_count(&d->nv, m->id, NV_ENDING));
		drive_same(d, "model's fetched", m->fetched, nv_count(&d->nv, m->id, NV_FETCHED));
	}
	NV_FOR_EACH(&d->nv, model, nm)
		usable += !nm->drained && !nm->deleting;
	drive_same(d, "models that may be used", d->q.n_usable, usable);
	for (i = 0; names[i]; i++) {
		name[0] = names[i];
		m = bq_model_by_name(&d->q, name);
		drive_same(d, "model by name", m ? m->id : 0, nv_model_by_name(&d->nv, name));
	}
}

static void check(struct drive *d)
{
	struct bq *q = &d->q;
	struct naive *nv = &d->nv;

	check_woken(d);
	bury(d);
	drive_same(d, "next event", bq_next_event(q), nv_next_event(nv));
	drive_same(d, "queued", q->queued, nv_count(nv, 0, NV_QUEUED));
	drive_same(d, "suspects", q->suspects,
	     nv_count(nv, 0, NV_SUSPECT) + nv_count(nv, 0, NV_ENDING));
	drive_same(d, "fetched", q->fetched, nv_count(nv, 0, NV_FETCHED));
	drive_same(d, "generation", q->generation, nv->generation);
	drive_same(d, "live requests", d->live[BQ_REQUEST], nv->n_requests);
	drive_same(d, "live tenants", d->live[BQ_TENANT], nv->n_tenants);
	drive_same(d, "live owners", d->live[BQ_OWNER], nv->n_owners);
	drive_same(d, "live models", d->live[BQ_MODEL], nv->n_models);
	drive_same(d, "live buffers", d->live[BQ_BUFFER], nv->n_buffers);
	if (memcmp(&q->count, &nv->count, sizeof(q->count))) {
		const u64 *a = (const u64 *)&q->count, *b = (const u64 *)&nv->count;
		u32 i;

		for (i = 0; a[i] == b[i]; i++)
			;
		drive_differ(d, "counter %u is %llu, should be %llu", i, (unsigned long long)a[i],
		       (unsigned long long)b[i]);
	}
	check_owners(d);
	if (d->steps % 4 == 0)
		check_rest(d);
}

void drive_start(struct drive *d, u32 (*source)(void *from), void *from)
{
	bool trace = d->trace;

	memset(d, 0, sizeof(*d));
	d->trace = trace;
	d->source = source;
	d->from = from;
	bq_init(&d->q);
	nv_init(&d->nv);
	d->now = 1000000;
	/* Every fourth run crosses the place where virtual time wraps. */
	if (drive_pick(d, 4) == 0)
		d->vbase = 0ULL - drive_pick(d, 200000);
	d->q.clock.min = d->vbase;
	for (u32 i = 0; i < BRAID_PRIORITIES; i++)
		d->q.clock.at[i] = d->vbase;
	d->temper = drive_pick(d, 4);
	bq_knob_set(&d->q, BQ_GRACE_MS, 1);
	nv_knob_set(&d->nv, BQ_GRACE_MS, 1);
	bq_knob_set(&d->q, BQ_WINDOW_TIMEOUT_US, 5);
	nv_knob_set(&d->nv, BQ_WINDOW_TIMEOUT_US, 5);
	drive_begin(d);
	bury(d);
}

bool drive_step(struct drive *d)
{
	d->steps++;
	d->now += drive_pick(d, 8);
	note_waiting(d);
	drive_doing(d, "nothing");
	drive_choose(d);
	check(d);
	return !d->error[0];
}

bool drive_end(struct drive *d)
{
	struct bq_owner *o = NULL;
	u32 kind;

	drive_doing(d, "end");
	while (d->nv.n_tenants && !d->error[0]) {
		u64 id = d->nv.tenant[0].id;

		note_waiting(d);
		bq_tenant_gone(&d->q, drive_tenant(d, id));
		nv_tenant_gone(&d->nv, id);
		check(d);
	}
	bq_agent_gone(&d->q, d->now);
	nv_gone(&d->nv, d->now);
	drive_same(d, "ended", d->q.count.submitted, d->q.count.completed + d->q.count.dropped);
	drive_same(d, "left waiting", d->q.queued + d->q.suspects + d->q.fetched, 0);
	drive_same(d, "next event", bq_next_event(&d->q), BQ_NEVER);
	while ((o = bq_owner_next(&d->q, o))) {
		drive_same(d, "requests charged", o->requests, 0);
		drive_same(d, "bytes charged", o->bytes, 0);
	}
	bq_exit(&d->q);
	bury(d);
	for (kind = BQ_REQUEST; kind <= BQ_BUFFER; kind++)
		if (d->live[kind])
			drive_differ(d, "%llu nodes of kind %u are left",
			       (unsigned long long)d->live[kind], kind);
	return !d->error[0];
}
