// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The life of the agent: attached, ready, gone; and what its death does to
 * the requests it had.
 */
#include "core/private.h"

#define NS_PER_MS	1000000ULL

int bq_agent_attach(struct bq *q)
{
	if (q->attached)
		return -EBUSY;
	q->attached = true;
	q->last_agent++;
	return 0;
}

/* The new agent does not serve these: they end here, nobody else knows them. */
static void drop_absent_models(struct bq *q, u64 now)
{
	struct bq_rb_node *n, *next;
	struct bq_model *m;

	for (n = bq_rb_first(&q->models); n; n = next) {
		next = bq_rb_next(n);
		m = bq_entry(n, struct bq_model, by_id);
		if (m->put_by == q->last_agent)
			continue;
		bq_model_withdraw(q, m);
		bq_model_end_queued(q, m, now);
		bq_model_settle(q, m);
	}
}

int bq_agent_ready(struct bq *q, u64 now)
{
	if (!q->attached)
		return -ENODEV;
	if (q->ready)
		return -EINVAL;
	q->ready = true;
	q->generation++;
	q->policy_changed = false;
	bq_hold_lift(q, now);
	bq_expire(q, now);
	drop_absent_models(q, now);
	return 0;
}

/* Requeue all that is FETCHED; the first one handed out ends up first. */
static void take_back(struct bq *q, u64 now)
{
	struct bq_list taken, orphans;
	struct bq_rb_node *n;
	struct bq_request *r;

	bq_list_init(&taken);
	bq_list_init(&orphans);
	while ((n = bq_rb_first(&q->by_cookie))) {
		r = bq_entry(n, struct bq_request, order);
		bq_order_correct(r, 0);
		bq_request_unfetch(q, r);
		bq_list_add_tail(r->tenant ? &taken : &orphans, &r->link);
	}
	while (!bq_list_empty(&taken)) {
		r = bq_entry(taken.prev, struct bq_request, link);
		bq_list_del(&r->link);
		q->count.requeued++;
		r->attempt++;
		if (r->alone)
			r->kills++;
		r->alone = false;
		bq_suspect_add(q, r);
		if (r->cancelled)
			bq_suspect_end_later(q, r, -ECANCELED);
		else if (r->kills >= q->knobs[BQ_MAX_ATTEMPTS])
			bq_suspect_end_later(q, r, -EIO);
		else
			continue;
		/* The list was empty before: READY had lifted the last hold. */
		bq_list_del(&r->link);
		bq_list_add_head(&q->ending, &r->link);
	}
	/* Last: only now the others count, and keep their deleted models. */
	while (!bq_list_empty(&orphans)) {
		r = bq_entry(orphans.next, struct bq_request, link);
		bq_list_del(&r->link);
		bq_request_end(q, r, 0, NULL, now);
	}
}

static void forget_drained(struct bq *q)
{
	struct bq_model *m;

	while (!bq_list_empty(&q->drained)) {
		m = bq_entry(q->drained.next, struct bq_model, link);
		bq_list_del(&m->link);
		bq_bury(q, &m->reap, BQ_MODEL);
	}
}

void bq_agent_gone(struct bq *q, u64 now)
{
	if (!q->attached)
		return;
	bq_expire(q, now);
	q->attached = false;
	forget_drained(q);
	if (!q->ready)
		return;
	q->ready = false;
	q->policy_changed = false;
	q->held = true;
	q->hold_until = now + q->knobs[BQ_GRACE_MS] * NS_PER_MS;
	take_back(q, now);
	bq_buffer_agent_gone(q);
	bq_expire(q, now);
}

bool bq_stalled(const struct bq *q, struct bq_stall *st)
{
	/* Each of them only grows: the sum stays only if all do. */
	u64 seen = q->count.fetched + q->count.committed + q->generation;
	bool busy = q->ready && (q->queued || q->suspects || q->fetched);
	bool still = busy && st->busy && seen == st->seen;
	bool fresh = still && !st->told;

	st->seen = seen;
	st->busy = busy;
	st->told = still;
	return fresh;
}
