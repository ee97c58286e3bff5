// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Owners, tenants, and their use of models.
 *
 * An owner lives as long as anything of it does, or its limits were set by
 * hand. When all is gone but it has had more than its share, it lingers until
 * the others have caught up: closing and opening again must not win anything.
 */
#include "core/private.h"

static bool key_less(const struct bq_rb_node *na, const struct bq_rb_node *nb)
{
	return bq_entry(na, struct bq_owner, by_key)->key <
	       bq_entry(nb, struct bq_owner, by_key)->key;
}

static bool tenant_id_less(const struct bq_rb_node *na, const struct bq_rb_node *nb)
{
	return bq_entry(na, struct bq_tenant, by_id)->id <
	       bq_entry(nb, struct bq_tenant, by_id)->id;
}

static bool share_model_less(const struct bq_rb_node *na, const struct bq_rb_node *nb)
{
	return bq_entry(na, struct bq_share, by_model)->model->id <
	       bq_entry(nb, struct bq_share, by_model)->model->id;
}

static bool flow_model_less(const struct bq_rb_node *na, const struct bq_rb_node *nb)
{
	return bq_entry(na, struct bq_flow, by_model)->model->id <
	       bq_entry(nb, struct bq_flow, by_model)->model->id;
}

struct bq_owner *bq_owner_find(const struct bq *q, u64 key)
{
	struct bq_rb_node *n = q->owners.node;
	struct bq_owner *o;

	while (n) {
		o = bq_entry(n, struct bq_owner, by_key);
		if (o->key == key)
			return o;
		n = n->child[o->key < key];
	}
	return NULL;
}

struct bq_owner *bq_owner_from(const struct bq *q, u64 key)
{
	struct bq_rb_node *n = q->owners.node;
	struct bq_owner *o, *best = NULL;

	while (n) {
		o = bq_entry(n, struct bq_owner, by_key);
		if (o->key >= key)
			best = o;
		n = n->child[o->key < key];
	}
	return best;
}

struct bq_owner *bq_owner_next(const struct bq *q, const struct bq_owner *o)
{
	struct bq_rb_node *n = o ? bq_rb_next(&o->by_key) : bq_rb_first(&q->owners);

	return n ? bq_entry(n, struct bq_owner, by_key) : NULL;
}

void bq_owner_add(struct bq *q, struct bq_owner *o, u64 key)
{
	memset(o, 0, sizeof(*o));
	o->key = key;
	o->limits = q->defaults;
	o->vtime = q->clock.min;
	bq_rb_init(&o->by_vtime);
	bq_list_init(&o->waiting);
	bq_rb_insert(&q->owners, &o->by_key, key_less);
}

static bool lingers(const struct bq_owner *o)
{
	return bq_rb_linked(&o->by_vtime);
}

static void stop_lingering(struct bq *q, struct bq_owner *o)
{
	bq_rb_erase(&q->lingering, &o->by_vtime);
	q->n_lingering--;
}

void bq_owner_forget(struct bq *q, struct bq_owner *o)
{
	if (lingers(o))
		stop_lingering(q, o);
	bq_rb_erase(&q->owners, &o->by_key);
	bq_bury(q, &o->reap, BQ_OWNER);
}

/* Nothing may be left of it. */
static void settle(struct bq *q, struct bq_owner *o)
{
	if (o->refs || o->set || lingers(o))
		return;
	if (!bq_before(q->clock.min, o->vtime)) {
		bq_owner_forget(q, o);
		return;
	}
	bq_rb_insert(&q->lingering, &o->by_vtime, bq_order_by_vtime);
	if (++q->n_lingering > BQ_LINGER_MAX)
		bq_owner_forget(q, bq_entry(bq_rb_first(&q->lingering),
					    struct bq_owner, by_vtime));
}

void bq_owner_get(struct bq *q, struct bq_owner *o)
{
	if (lingers(o))
		stop_lingering(q, o);
	o->refs++;
}

void bq_owner_put(struct bq *q, struct bq_owner *o)
{
	o->refs--;
	settle(q, o);
}

int bq_owner_set(struct bq *q, struct bq_owner *o, const struct bq_owner_limits *limits)
{
	if (!limits) {
		o->limits = q->defaults;
		o->set = false;
		settle(q, o);
		return 0;
	}
	if (limits->priority_ceiling >= BRAID_PRIORITIES)
		return -EOPNOTSUPP;
	if (limits->weight < BQ_WEIGHT_MIN || limits->weight > BQ_WEIGHT_MAX ||
	    limits->reserved)
		return -EINVAL;
	if (lingers(o))
		stop_lingering(q, o);
	o->limits = *limits;
	o->set = true;
	return 0;
}

void bq_owners_unset(struct bq *q)
{
	struct bq_owner *o = bq_owner_from(q, 0);
	u64 key;

	/* By key: one that is unset may go, and others with it. */
	for (; o; o = key + 1 ? bq_owner_from(q, key + 1) : NULL) {
		key = o->key;
		if (o->set)
			bq_owner_set(q, o, NULL);
	}
}

void bq_tenant_add(struct bq *q, struct bq_tenant *t, struct bq_owner *o)
{
	memset(t, 0, sizeof(*t));
	t->id = ++q->last_tenant;
	t->owner = o;
	t->vtime = o->clock.min;
	bq_rb_init(&t->by_id);
	bq_list_init(&t->waiting);
	bq_list_init(&t->done);
	t->unsent = &t->done;
	bq_list_init(&t->buffers);
	bq_list_init(&t->woken);
	bq_rb_insert(&q->tenants, &t->by_id, tenant_id_less);
	q->n_tenants++;
	o->n_tenants++;
	bq_owner_get(q, o);
}

struct bq_tenant *bq_tenant_next(const struct bq *q, u64 id)
{
	struct bq_rb_node *n = q->tenants.node;
	struct bq_tenant *t, *above = NULL;

	while (n) {
		t = bq_entry(n, struct bq_tenant, by_id);
		if (t->id > id)
			above = t;
		n = n->child[t->id <= id];
	}
	return above;
}

struct bq_tenant *bq_tenant_find(const struct bq *q, u64 id)
{
	struct bq_tenant *t = id ? bq_tenant_next(q, id - 1) : NULL;

	return t && t->id == id ? t : NULL;
}

/* Not done: dropped where it waits, an orphan where it runs. */
static void abandon_request(struct bq *q, struct bq_tenant *t, struct bq_request *r)
{
	bq_rb_erase(&t->requests, &r->by_id);
	if (r->state == BQ_FETCHED) {
		r->tenant = NULL;
		r->flow = NULL;
		return;
	}
	bq_request_detach(q, r);
	r->tenant = NULL;
	bq_request_end(q, r, 0, NULL, 0);
}

bool bq_tenant_abandon(struct bq *q, struct bq_tenant *t, u32 most)
{
	struct bq_buffer *b;

	for (; most; most--) {
		if (!bq_rb_empty(&t->requests)) {
			abandon_request(q, t, bq_entry(bq_rb_first(&t->requests),
						       struct bq_request, by_id));
		} else if (!bq_list_empty(&t->done)) {
			bq_completion_end(q, t);
		} else if (!bq_list_empty(&t->buffers)) {
			b = bq_entry(t->buffers.next, struct bq_buffer, of_tenant);
			bq_list_del(&b->of_tenant);
			b->tenant = NULL;
			bq_buffer_retire(q, b);
		} else {
			return true;
		}
	}
	return false;
}

void bq_tenant_gone(struct bq *q, struct bq_tenant *t)
{
	struct bq_owner *o = t->owner;

	while (!bq_tenant_abandon(q, t, ~0U))
		;
	while (!bq_rb_empty(&t->flows))
		bq_flow_free(q, bq_entry(bq_rb_first(&t->flows), struct bq_flow, by_model));
	bq_list_del(&t->woken);
	bq_rb_erase(&q->tenants, &t->by_id);
	q->n_tenants--;
	o->n_tenants--;
	bq_bury(q, &t->reap, BQ_TENANT);
	bq_owner_put(q, o);
}

struct bq_flow *bq_flow_find(const struct bq_tenant *t, u64 model)
{
	struct bq_rb_node *n = t->flows.node;
	struct bq_flow *f;

	while (n) {
		f = bq_entry(n, struct bq_flow, by_model);
		if (f->model->id == model)
			return f;
		n = n->child[f->model->id < model];
	}
	return NULL;
}

static struct bq_share *share_find(const struct bq_owner *o, u64 model)
{
	struct bq_rb_node *n = o->shares.node;
	struct bq_share *s;

	while (n) {
		s = bq_entry(n, struct bq_share, by_model);
		if (s->model->id == model)
			return s;
		n = n->child[s->model->id < model];
	}
	return NULL;
}

void bq_flow_add(struct bq *q, struct bq_tenant *t, u64 model,
		 struct bq_flow **flow, struct bq_share **share)
{
	struct bq_model *m = bq_model_by_id(q, model);
	struct bq_share *s;
	struct bq_flow *f;

	if (!m || bq_flow_find(t, model) || !*flow)
		return;
	s = share_find(t->owner, model);
	if (!s) {
		s = *share;
		if (!s)
			return;
		*share = NULL;
		memset(s, 0, sizeof(*s));
		s->owner = t->owner;
		s->model = m;
		bq_rb_init(&s->in_model);
		bq_list_init(&s->waiting);
		bq_rb_insert(&t->owner->shares, &s->by_model, share_model_less);
	}
	f = *flow;
	*flow = NULL;
	memset(f, 0, sizeof(*f));
	f->tenant = t;
	f->model = m;
	f->share = s;
	bq_rb_init(&f->in_share);
	bq_list_init(&f->waiting);
	bq_list_add_tail(&m->flows, &f->of_model);
	bq_rb_insert(&t->flows, &f->by_model, flow_model_less);
	s->flows_count++;
}

/* Nothing may be queued in it; the share goes with its last flow. */
void bq_flow_free(struct bq *q, struct bq_flow *f)
{
	struct bq_share *s = f->share;

	bq_rb_erase(&f->tenant->flows, &f->by_model);
	bq_list_del(&f->of_model);
	bq_bury(q, &f->reap, BQ_FLOW);
	if (--s->flows_count)
		return;
	bq_rb_erase(&s->owner->shares, &s->by_model);
	bq_bury(q, &s->reap, BQ_SHARE);
}
