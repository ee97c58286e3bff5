// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The order of what waits: priority class, owner's virtual time, tenant's
 * virtual time, deadline, arrival.
 *
 * A model has a tree of shares (its owners), a share a tree of flows (its
 * tenants), a flow a tree of requests. Shares and flows stand by the class of
 * their first request, then by virtual time, then by key or id, which makes
 * the order total: an owner that is first of all models in its class is the
 * first in each of them. So a pick looks at one share, one flow and one
 * request a model.
 *
 * A virtual time that rises leaves its old, lower value in the trees; whoever
 * finds such a one in front moves it on. A value that falls (a correction) is
 * moved at once. So a rise costs nothing for models that nobody looks at.
 */
#include "core/private.h"

/* A charge: at most 2^40 ns (18 minutes), so that sums can't run away. */
#define CHARGE_MAX_NS	(1ULL << 40)

/* Further ahead than this is a value left from before the clock wrapped. */
#define FAR_AHEAD	(1LL << 60)

static bool request_less(const struct bq_rb_node *na, const struct bq_rb_node *nb)
{
	const struct bq_request *a = bq_entry(na, struct bq_request, order);
	const struct bq_request *b = bq_entry(nb, struct bq_request, order);

	if (a->priority != b->priority)
		return a->priority > b->priority;
	/* Less one, no deadline is the largest. */
	if (a->deadline_ns != b->deadline_ns)
		return a->deadline_ns - 1 < b->deadline_ns - 1;
	return a->seq < b->seq;
}

static bool flow_less(const struct bq_rb_node *na, const struct bq_rb_node *nb)
{
	const struct bq_flow *a = bq_entry(na, struct bq_flow, in_share);
	const struct bq_flow *b = bq_entry(nb, struct bq_flow, in_share);

	if (a->class != b->class)
		return a->class > b->class;
	if (a->vtime != b->vtime)
		return bq_before(a->vtime, b->vtime);
	return a->tenant->id < b->tenant->id;
}

static bool share_less(const struct bq_rb_node *na, const struct bq_rb_node *nb)
{
	const struct bq_share *a = bq_entry(na, struct bq_share, in_model);
	const struct bq_share *b = bq_entry(nb, struct bq_share, in_model);

	if (a->class != b->class)
		return a->class > b->class;
	if (a->vtime != b->vtime)
		return bq_before(a->vtime, b->vtime);
	return a->owner->key < b->owner->key;
}

bool bq_order_by_vtime(const struct bq_rb_node *na, const struct bq_rb_node *nb)
{
	const struct bq_owner *a = bq_entry(na, struct bq_owner, by_vtime);
	const struct bq_owner *b = bq_entry(nb, struct bq_owner, by_vtime);

	if (a->vtime != b->vtime)
		return bq_before(a->vtime, b->vtime);
	return a->key < b->key;
}

static bool deadline_less(const struct bq_rb_node *na, const struct bq_rb_node *nb)
{
	const struct bq_request *a = bq_entry(na, struct bq_request, by_deadline);
	const struct bq_request *b = bq_entry(nb, struct bq_request, by_deadline);

	return a->deadline_ns < b->deadline_ns;
}

static bool expiry_less(const struct bq_rb_node *na, const struct bq_rb_node *nb)
{
	const struct bq_request *a = bq_entry(na, struct bq_request, expiry);
	const struct bq_request *b = bq_entry(nb, struct bq_request, expiry);

	return a->deadline_ns < b->deadline_ns;
}

/* Somebody at @vtime is served in class @class. */
static void clock_serve(struct bq_clock *c, u32 class, u64 vtime)
{
	if (bq_before(c->at[class], vtime))
		c->at[class] = vtime;
}

/*
 * Who is served at @vtime may be behind the clock, as a window has room for only
 * so many of a model. That must not add up: whoever came later begins at the clock
 * and would wait for all of it.
 */
static u64 catch_up(const struct bq_clock *c, u32 class, u64 vtime)
{
	u64 least = c->at[class] - BQ_LAG_NS;

	return bq_before(vtime, least) ? least : vtime;
}

static void clock_raise(struct bq_clock *c)
{
	const u64 *least = NULL;
	u32 i;

	for (i = 0; i < BRAID_PRIORITIES; i++)
		if (c->queued[i] && (!least || bq_before(c->at[i], *least)))
			least = &c->at[i];
	if (least && bq_before(c->min, *least))
		c->min = *least;
}

void bq_order_raise(struct bq *q)
{
	struct bq_rb_node *n;
	struct bq_owner *o;

	clock_raise(&q->clock);
	while ((n = bq_rb_first(&q->lingering))) {
		o = bq_entry(n, struct bq_owner, by_vtime);
		if (bq_before(q->clock.min, o->vtime))
			break;
		bq_owner_forget(q, o);
	}
}

/* Neither what was saved up while idle nor a value from long ago counts. */
static u64 start_at(u64 own, u64 min)
{
	s64 ahead = (s64)(own - min);

	return ahead < 0 || ahead > FAR_AHEAD ? min : own;
}

/*
 * Where somebody is who gets a request of class @class, having @queued by
 * class. In a class above all of that it begins to wait now: what it has in a
 * lower one it may have left there for ever, and must not save up by that.
 */
static u64 begin(const struct bq_clock *c, const u32 *queued, u32 class, u64 vtime)
{
	u32 i;

	for (i = class; i < BRAID_PRIORITIES; i++)
		if (queued[i])
			return vtime;
	vtime = start_at(vtime, c->at[class]);
	for (i = 0; i < class; i++)
		if (queued[i])
			return vtime;
	return start_at(vtime, c->min);
}

static void place_share(struct bq_share *s)
{
	struct bq_rb_node *n = bq_rb_first(&s->flows);

	if (bq_rb_linked(&s->in_model))
		bq_rb_erase(&s->model->shares, &s->in_model);
	if (!n) {
		bq_list_del(&s->waiting);
		return;
	}
	s->class = bq_entry(n, struct bq_flow, in_share)->class;
	s->vtime = s->owner->vtime;
	bq_rb_insert(&s->model->shares, &s->in_model, share_less);
	if (bq_list_empty(&s->waiting))
		bq_list_add_tail(&s->owner->waiting, &s->waiting);
}

static void place_flow(struct bq_flow *f)
{
	struct bq_rb_node *n = bq_rb_first(&f->requests);

	if (bq_rb_linked(&f->in_share))
		bq_rb_erase(&f->share->flows, &f->in_share);
	if (!n) {
		bq_list_del(&f->waiting);
		return;
	}
	f->class = bq_entry(n, struct bq_request, order)->priority;
	f->vtime = f->tenant->vtime;
	bq_rb_insert(&f->share->flows, &f->in_share, flow_less);
	if (bq_list_empty(&f->waiting))
		bq_list_add_tail(&f->tenant->waiting, &f->waiting);
}

/* The requests of @f changed: its place, and its share's, may be others. */
static void update_flow(struct bq_flow *f)
{
	struct bq_rb_node *n = bq_rb_first(&f->requests);
	struct bq_share *s = f->share;

	if (n && bq_rb_linked(&f->in_share) &&
	    f->class == bq_entry(n, struct bq_request, order)->priority)
		return;
	place_flow(f);

	n = bq_rb_first(&s->flows);
	if (n && bq_rb_linked(&s->in_model) &&
	    s->class == bq_entry(n, struct bq_flow, in_share)->class)
		return;
	place_share(s);
}

/* First share of @m, at its true place. */
static struct bq_share *first_share(struct bq_model *m)
{
	struct bq_rb_node *n;
	struct bq_share *s;

	while ((n = bq_rb_first(&m->shares))) {
		s = bq_entry(n, struct bq_share, in_model);
		if (s->vtime == s->owner->vtime)
			return s;
		place_share(s);
	}
	return NULL;
}

/* First flow of @s, which has one, at its true place. */
static struct bq_flow *first_flow(struct bq_share *s)
{
	struct bq_flow *f;

	for (;;) {
		f = bq_entry(bq_rb_first(&s->flows), struct bq_flow, in_share);
		if (f->vtime == f->tenant->vtime)
			return f;
		place_flow(f);
	}
}

struct bq_request *bq_order_first(struct bq_model *wants)
{
	struct bq_request *r, *best = NULL;
	struct bq_share *s, *best_share = NULL;
	struct bq_flow *f, *best_flow = NULL;
	struct bq_model *m;

	for (m = wants; m; m = m->want_next) {
		s = m->want_left ? first_share(m) : NULL;
		if (!s)
			continue;
		if (best && share_less(&best_share->in_model, &s->in_model))
			continue;
		f = first_flow(s);
		r = bq_entry(bq_rb_first(&f->requests), struct bq_request, order);
		if (best && !share_less(&s->in_model, &best_share->in_model)) {
			/* The same owner, in another model. */
			if (flow_less(&best_flow->in_share, &f->in_share))
				continue;
			if (best_flow->tenant == f->tenant &&
			    !request_less(&r->order, &best->order))
				continue;
		}
		best_share = s;
		best_flow = f;
		best = r;
	}
	return best;
}

void bq_order_add(struct bq *q, struct bq_request *r)
{
	struct bq_tenant *t = r->tenant;
	struct bq_owner *o = r->owner;
	struct bq_model *m = r->model;

	o->vtime = begin(&q->clock, o->clock.queued, r->priority, o->vtime);
	t->vtime = begin(&o->clock, t->queued, r->priority, t->vtime);
	q->clock.queued[r->priority]++;
	o->clock.queued[r->priority]++;
	t->queued[r->priority]++;
	clock_raise(&o->clock);
	bq_order_raise(q);
	r->state = BQ_QUEUED;
	bq_rb_insert(&r->flow->requests, &r->order, request_less);
	update_flow(r->flow);
	bq_list_add_tail(&m->arrivals, &r->link);
	if (r->deadline_ns) {
		bq_rb_insert(&m->deadlines, &r->by_deadline, deadline_less);
		bq_rb_insert(&q->expiry, &r->expiry, expiry_less);
	}
	m->queued++;
	q->queued++;
}

void bq_order_del(struct bq *q, struct bq_request *r)
{
	struct bq_tenant *t = r->tenant;
	struct bq_owner *o = r->owner;
	struct bq_model *m = r->model;

	q->queued--;
	m->queued--;
	if (r->deadline_ns) {
		bq_rb_erase(&q->expiry, &r->expiry);
		bq_rb_erase(&m->deadlines, &r->by_deadline);
	}
	bq_list_del(&r->link);
	bq_rb_erase(&r->flow->requests, &r->order);
	update_flow(r->flow);
	t->queued[r->priority]--;
	o->clock.queued[r->priority]--;
	q->clock.queued[r->priority]--;
	clock_raise(&o->clock);
	bq_order_raise(q);
}

static void move_owner(struct bq_owner *o, u64 vtime)
{
	bool falls = bq_before(vtime, o->vtime);
	struct bq_list *l, *next;
	struct bq_share *s;

	o->vtime = vtime;
	for (l = o->waiting.next; falls && l != &o->waiting; l = next) {
		next = l->next;
		s = bq_entry(l, struct bq_share, waiting);
		if (bq_before(vtime, s->vtime))
			place_share(s);
	}
}

static void move_tenant(struct bq_tenant *t, u64 vtime)
{
	bool falls = bq_before(vtime, t->vtime);
	struct bq_list *l, *next;
	struct bq_flow *f;

	t->vtime = vtime;
	for (l = t->waiting.next; falls && l != &t->waiting; l = next) {
		next = l->next;
		f = bq_entry(l, struct bq_flow, waiting);
		if (bq_before(vtime, f->vtime))
			place_flow(f);
	}
}

/* Virtual time of @ns on the device at the owner's weight. */
static u64 price(const struct bq_owner *o, u64 ns)
{
	return bq_div64(ns * BQ_WEIGHT_DEFAULT, o->limits.weight);
}

void bq_order_charge(struct bq *q, struct bq_request *r)
{
	u64 ns = r->model->device_ns, owner = r->owner->vtime, tenant = r->tenant->vtime;

	/* A suspect is nobody's turn. */
	if (r->state == BQ_QUEUED) {
		owner = catch_up(&q->clock, r->priority, owner);
		tenant = catch_up(&r->owner->clock, r->priority, tenant);
		clock_serve(&q->clock, r->priority, r->owner->vtime);
		clock_serve(&r->owner->clock, r->priority, r->tenant->vtime);
		clock_raise(&r->owner->clock);
		bq_order_raise(q);
	}
	if (ns > CHARGE_MAX_NS)
		ns = CHARGE_MAX_NS;
	r->charged_ns = ns;
	r->charged_vtime = price(r->owner, ns);
	move_owner(r->owner, owner + r->charged_vtime);
	move_tenant(r->tenant, tenant + r->charged_ns);
}

void bq_order_correct(struct bq_request *r, u64 device_ns)
{
	u64 ns = device_ns > CHARGE_MAX_NS ? CHARGE_MAX_NS : device_ns;

	move_owner(r->owner, r->owner->vtime - r->charged_vtime + price(r->owner, ns));
	if (r->tenant)
		move_tenant(r->tenant, r->tenant->vtime - r->charged_ns + ns);
}
