// SPDX-License-Identifier: MIT
/*
 * See world.h. A mistake of the test itself aborts.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/core/world.h"

static u32 given[BQ_BUFFER + 1];

static void *get(enum bq_kind kind, size_t size)
{
	void *p = calloc(1, size);

	if (!p)
		abort();
	given[kind]++;
	return p;
}

static void unget(enum bq_kind kind, void *p)
{
	if (p)
		given[kind]--;
	free(p);
}

void w_init(struct world *w)
{
	memset(w, 0, sizeof(*w));
	memset(given, 0, sizeof(given));
	bq_init(&w->q);
	w->now = 1000000;
	bq_agent_attach(&w->q);
}

void w_reap(struct world *w)
{
	struct bq_reap *r, *next;
	void *p;

	while (bq_next_woken(&w->q))
		;
	for (r = bq_reap(&w->q); r; r = next) {
		next = r->next;
		w->reaped[r->kind]++;
		switch (r->kind) {
		case BQ_REQUEST:
			p = bq_entry(r, struct bq_request, reap);
			free(((struct bq_request *)p)->slots);
			break;
		case BQ_FLOW:
			p = bq_entry(r, struct bq_flow, reap);
			break;
		case BQ_SHARE:
			p = bq_entry(r, struct bq_share, reap);
			break;
		case BQ_TENANT:
			p = bq_entry(r, struct bq_tenant, reap);
			break;
		case BQ_OWNER:
			p = bq_entry(r, struct bq_owner, reap);
			break;
		case BQ_MODEL:
			p = bq_entry(r, struct bq_model, reap);
			free((void *)((struct bq_model *)p)->tensors);
			break;
		case BQ_BUFFER:
			p = bq_entry(r, struct bq_buffer, reap);
			break;
		default:
			abort();
		}
		free(p);
	}
}

bool w_exit(struct world *w)
{
	bool good = true;
	u32 i;

	while (w->q.n_tenants)
		bq_tenant_gone(&w->q, bq_tenant_next(&w->q, 0));
	bq_agent_gone(&w->q, w->now);
	bq_exit(&w->q);
	w_reap(w);
	for (i = BQ_REQUEST; i <= BQ_BUFFER; i++) {
		if (given[i] == w->reaped[i])
			continue;
		printf("# kind %u: %u given, %u came back\n", i, given[i], w->reaped[i]);
		good = false;
	}
	return good;
}

u64 w_model(struct world *w, const char *name, u8 digest, u64 device_ns)
{
	struct braid_tensor *t = calloc(2, sizeof(*t));
	struct bq_model *m = get(BQ_MODEL, sizeof(*m)), *out;
	u64 id;
	u32 i;

	snprintf(m->name, sizeof(m->name), "%s", name);
	m->digest[0] = digest;
	m->device_ns = device_ns;
	m->n_inputs = 1;
	m->n_outputs = 1;
	for (i = 0; i < 2; i++) {
		t[i].type = BRAID_TYPE_F32;
		t[i].rank = 1;
		t[i].dims[0] = 16;
		t[i].bytes = 64;
	}
	m->tensors = t;
	if (bq_model_put(&w->q, m, &out))
		abort();
	id = out->id;
	if (out != m) {
		free(t);
		unget(BQ_MODEL, m);
	}
	return id;
}

void w_ready(struct world *w)
{
	if (bq_agent_ready(&w->q, w->now))
		abort();
	w_reap(w);
}

struct bq_tenant *w_tenant(struct world *w, u64 owner)
{
	struct bq_owner *o = bq_owner_find(&w->q, owner);
	struct bq_tenant *t = get(BQ_TENANT, sizeof(*t));

	if (!o) {
		o = get(BQ_OWNER, sizeof(*o));
		bq_owner_add(&w->q, o, owner);
	}
	bq_tenant_add(&w->q, t, o);
	w_buffer(w, t);
	return t;
}

u64 w_buffer(struct world *w, struct bq_tenant *t)
{
	struct bq_buffer *b = get(BQ_BUFFER, sizeof(*b));

	if (bq_buffer_add(&w->q, t, b, 4096))
		abort();
	return b->id;
}

int w_raw(struct world *w, struct bq_tenant *t, const struct braid_request *in,
	  const struct braid_slice *slices, u32 n)
{
	struct bq_request *r = get(BQ_REQUEST, sizeof(*r));
	struct bq_share *share;
	struct bq_flow *flow;
	int ret;
	u32 i;

	r->slots = calloc(n, sizeof(*r->slots));
	r->n_slots = n;
	for (i = 0; i < n; i++)
		r->slots[i].slice = slices[i];
	ret = bq_submit(&w->q, t, r, in, w->now);
	if (ret == BQ_NEED_FLOW) {
		flow = get(BQ_FLOW, sizeof(*flow));
		share = get(BQ_SHARE, sizeof(*share));
		bq_flow_add(&w->q, t, in->model, &flow, &share);
		unget(BQ_FLOW, flow);
		unget(BQ_SHARE, share);
		ret = bq_submit(&w->q, t, r, in, w->now);
	}
	if (ret) {
		free(r->slots);
		unget(BQ_REQUEST, r);
	}
	return ret;
}

int w_try(struct world *w, struct bq_tenant *t, u64 model, u32 priority, u64 deadline)
{
	struct braid_request in = {
		.model = model, .priority = priority, .deadline_ns = deadline,
		.n_inputs = 1, .n_outputs = 1, .user_data = t->last_id + 100,
	};
	struct braid_slice s[2] = { { .length = 64 }, { .offset = 64, .length = 64 } };

	s[0].buffer = bq_entry(t->buffers.next, struct bq_buffer, of_tenant)->id;
	s[1].buffer = s[0].buffer;
	return w_raw(w, t, &in, s, 2);
}

u64 w_submit_full(struct world *w, struct bq_tenant *t, u64 model, u32 priority, u64 deadline)
{
	if (w_try(w, t, model, priority, deadline))
		abort();
	return t->last_id;
}

u64 w_submit(struct world *w, struct bq_tenant *t, u64 model)
{
	return w_submit_full(w, t, model, BRAID_PRIORITY_NORMAL, 0);
}

static u32 wants(struct braid_want *want, u64 a, u64 b, u64 c, u32 count)
{
	u64 models[3] = { a, b, c };
	u32 i, n = 0;

	for (i = 0; i < 3; i++)
		if (models[i])
			want[n++] = (struct braid_want){ .model = models[i], .count = count };
	return n;
}

int w_fetch(struct world *w, u64 a, u64 b, u64 c, u32 count)
{
	struct braid_want want[3];

	memset(&w->f, 0, sizeof(w->f));
	w->f.wants = want;
	w->f.n_wants = wants(want, a, b, c, count);
	w->f.max_jobs = W_MAX;
	w->f.max_slices = W_MAX * BRAID_MAX_TENSORS;
	w->f.max_events = W_MAX;
	w->f.jobs = w->job;
	w->f.slices = w->slice;
	w->f.events = w->event;
	return bq_fetch(&w->q, &w->f, w->now);
}

bool w_job(const struct world *w, u32 i, const struct bq_tenant *t, u64 id)
{
	return i < w->f.n_jobs && w->job[i].tenant == t->id && w->job[i].id == id;
}

int w_commit_cookie(struct world *w, u64 cookie, u64 device_ns, s32 status)
{
	struct braid_result r = {
		.cookie = cookie, .device_ns = device_ns, .status = status,
		.merge_degree = 1, .fuse_degree = 1,
	};

	return bq_commit(&w->q, &r, w->now);
}

int w_commit(struct world *w, u32 i, u64 device_ns, s32 status)
{
	return w_commit_cookie(w, w->job[i].cookie, device_ns, status);
}

struct bq_look w_look(struct world *w, u64 a, u64 b, u64 c, u32 count)
{
	struct braid_want want[3];
	struct bq_look look;
	u32 n = wants(want, a, b, c, count);

	if (bq_window(&w->q, want, n, w->now, &look))
		abort();
	return look;
}

int w_read(struct world *w, struct bq_tenant *t, struct braid_completion *c)
{
	struct braid_completion unused;

	if (!c)
		c = &unused;
	if (!bq_completion_peek(t, c))
		return 1;
	bq_completion_pop(&w->q, t);
	return c->status;
}
