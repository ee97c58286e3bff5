// SPDX-License-Identifier: MIT
/*
 * What the agent does, each to both queues: models, windows, commits, death.
 * See drive.h.
 */
#include <string.h>

#include "tests/core/drive.h"

#define JOBS	64

void drive_buffer_put(struct drive *d)
{
	u64 id = drive_some_buffer(d);
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

void drive_model_put(struct drive *d)
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
	static struct bq_model defs[NV_MODELS];
	u32 i, n = 0;

	for (i = 0; i < d->nv.n_models; i++)
		if (!drive_chance(d, 8))
			defs[n++] = d->nv.model[i].def;
	for (i = 0; i < n; i++)
		put_model(d, &defs[i]);
}

void drive_model_del(struct drive *d)
{
	u64 id = drive_some_model(d);
	bool at_once = drive_chance(d, 40);

	drive_doing(d, "model %llu withdrawn%s", (unsigned long long)id, at_once ? " at once" : "");
	drive_same(d, "model_del", bq_model_del(&d->q, id, at_once, d->now),
	     nv_model_del(&d->nv, id, at_once, d->now));
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
		w[n].model = drive_some_model(d);
		w[n++].count = 1;
	}
	return n;
}

void drive_window(struct drive *d)
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
	struct bq_look look;
	u32 i;
	int ret;

	b.jobs = jb;
	b.slices = sb;
	b.events = eb;
	ret = bq_fetch(&d->q, &a, d->now);
	drive_same(d, "fetch", ret, nv_fetch(&d->nv, &b, d->now));
	if (ret == -EAGAIN && !nv_window(&d->nv, w, n, d->now, &look))
		drive_same(d, "when to fetch again", a.when, look.when);
	if (ret)
		return;
	drive_same(d, "fetch's reason", a.reason, b.reason);
	drive_same(d, "fetch's window", a.window, b.window);
	drive_same(d, "fetch's generation", a.generation, b.generation);
	drive_same(d, "fetch's policy", a.fusion_policy, b.fusion_policy);
	drive_same(d, "what still waits", a.queued, b.queued);
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

void drive_fetch(struct drive *d)
{
	struct braid_want w[16];
	u32 n = fill_wants(d, w);
	bool tight = drive_chance(d, 20);

	drive_doing(d, "fetches of %u models", n);
	fetch(d, w, n, tight ? drive_pick(d, 4) : JOBS, tight ? drive_pick(d, 10) : JOBS * NV_SLOTS,
	      drive_chance(d, 20) ? drive_pick(d, 3) : JOBS);
}

/* All that can be taken at once: the whole order. */
void drive_sweep(struct drive *d)
{
	struct braid_want w[16];
	u32 n, i;

	drive_doing(d, "fetches all");
	for (n = 0; n < d->nv.n_models && n < 16; n++)
		w[n] = (struct braid_want){ .model = d->nv.model[n].id, .count = 1000 };
	for (i = 0; i < 8; i++)
		fetch(d, w, n, JOBS, JOBS * NV_SLOTS, JOBS);
}

void drive_commit(struct drive *d)
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
		a.status = drive_chance(d, 50) ? drive_chance(d, 50) ? -EIO : -EFAULT : drive_chance(d, 50) ? 1 : -5000;
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

void drive_agent(struct drive *d)
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
