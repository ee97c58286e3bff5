// SPDX-License-Identifier: GPL-2.0-only
/*
 * In and out of a queue's lock, and what follows from a change: the pending
 * FETCH, tenants with completions, timers, the dead. The rules are told in
 * braid_priv.h. Knows nothing of commands.
 */
#include <linux/ktime.h>

#include "kmod/braid_priv.h"
#include "kmod/compat.h"
#include "kmod/trace.h"

/* What is done without the lock. */
struct after {
	struct bq_reap *dead;
	struct braid_tenant *woken[BRAID_WAKE_BATCH];
	unsigned int n_woken;
	bool agent;
};

static struct braid_tenant *tenant_of(struct bq_tenant *t)
{
	return container_of(t, struct braid_tenant, t);
}

/* At @when, BQ_NEVER for not at all; @was is what it was set to before. */
static void set_timer(struct hrtimer *timer, u64 when, u64 *was)
{
	if (when == *was && (when == BQ_NEVER || hrtimer_is_queued(timer)))
		return;
	*was = when;
	if (when == BQ_NEVER) {
		hrtimer_try_to_cancel(timer);
		return;
	}
	hrtimer_start(timer, ns_to_ktime(min_t(u64, when, KTIME_MAX)), HRTIMER_MODE_ABS);
}

static enum hrtimer_restart look_due(struct hrtimer *timer)
{
	struct braid_queue *q = container_of(timer, struct braid_queue, look_timer);

	WRITE_ONCE(q->kick, true);
	wake_up_interruptible(&q->agent_wait);
	return HRTIMER_NORESTART;
}

static enum hrtimer_restart event_due(struct hrtimer *timer)
{
	struct braid_queue *q = container_of(timer, struct braid_queue, event_timer);

	queue_work(braid_wq, &q->event_work);
	return HRTIMER_NORESTART;
}

static void event_work(struct work_struct *work)
{
	struct braid_queue *q = container_of(work, struct braid_queue, event_work);

	braid_queue_lock(q);
	braid_queue_unlock(q);
}

void braid_queue_lock(struct braid_queue *q)
{
	mutex_lock(&q->lock);
	q->now = max_t(u64, ktime_get_ns(), q->now + 1);
}

/* Could the pending FETCH be served? If not, when to look again. */
static u64 look(struct braid_queue *q, struct after *after)
{
	struct bq_look look;

	if (READ_ONCE(q->kick) ||
	    bq_window(&q->bq, q->wants, q->n_wants, q->now, &look)) {
		bq_expire(&q->bq, q->now);
		return BQ_NEVER;
	}
	if (!look.reason && !look.events)
		return look.when;
	WRITE_ONCE(q->kick, true);
	after->agent = true;
	return BQ_NEVER;
}

static void wake_tenants(struct braid_queue *q, struct after *after)
{
	struct braid_tenant *t;
	struct bq_tenant *bt;

	while ((bt = bq_next_woken(&q->bq))) {
		t = tenant_of(bt);
		if (trace_braid_complete_enabled())
			braid_trace_completions(q, t);
		WRITE_ONCE(t->ready, true);
		if (!wq_has_sleeper(&t->wait))
			continue;
		if (after->n_woken == BRAID_WAKE_BATCH) {
			wake_up_interruptible_poll(&t->wait, EPOLLIN | EPOLLRDNORM);
			continue;
		}
		kref_get(&t->ref);
		after->woken[after->n_woken++] = t;
	}
}

void braid_queue_unlock(struct braid_queue *q)
{
	struct after after = { .n_woken = 0 };
	unsigned int i;
	u64 when;

	lockdep_assert_held(&q->lock);
	when = look(q, &after);
	wake_tenants(q, &after);
	after.dead = bq_reap(&q->bq);
	if (!q->stopping) {
		set_timer(&q->look_timer, when, &q->look_at);
		set_timer(&q->event_timer, bq_next_event(&q->bq), &q->event_at);
	}
	mutex_unlock(&q->lock);

	if (after.agent)
		wake_up_interruptible_poll(&q->agent_wait, EPOLLIN | EPOLLRDNORM);
	for (i = 0; i < after.n_woken; i++) {
		wake_up_interruptible_poll(&after.woken[i]->wait, EPOLLIN | EPOLLRDNORM);
		braid_tenant_put(after.woken[i]);
	}
	braid_reap(after.dead);
}

int braid_queue_init(struct braid_queue *q, unsigned int index)
{
	q->index = index;
	mutex_init(&q->lock);
	bq_init(&q->bq);
	init_waitqueue_head(&q->agent_wait);
	braid_hrtimer_setup(&q->look_timer, look_due);
	braid_hrtimer_setup(&q->event_timer, event_due);
	q->look_at = BQ_NEVER;
	q->event_at = BQ_NEVER;
	INIT_WORK(&q->event_work, event_work);
	return 0;
}

/* No file is open. */
void braid_queue_exit(struct braid_queue *q)
{
	struct bq_reap *dead;

	mutex_lock(&q->lock);
	q->stopping = true;
	mutex_unlock(&q->lock);
	hrtimer_cancel(&q->look_timer);
	hrtimer_cancel(&q->event_timer);
	cancel_work_sync(&q->event_work);
	mutex_lock(&q->lock);
	bq_exit(&q->bq);
	dead = bq_reap(&q->bq);
	mutex_unlock(&q->lock);
	braid_reap(dead);
	mutex_destroy(&q->lock);
}
