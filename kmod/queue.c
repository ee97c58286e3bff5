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

/* Tenants that are woken without the lock; what is more is woken with it. */
#define WOKEN	16

/* What is done without the lock. */
struct after {
	struct bq_reap *dead;
	struct braid_tenant *woken[WOKEN];
	unsigned int n_woken;
	bool agent;
};

static struct braid_tenant *tenant_of(struct bq_tenant *t)
{
	return container_of(t, struct braid_tenant, t);
}

/* Exactly at @when, or not at all: each time costs the agent a wake-up. */
static void set_look_timer(struct braid_queue *q, u64 when)
{
	if (when == q->look_at && (when == BQ_NEVER || hrtimer_is_queued(&q->look_timer)))
		return;
	q->look_at = when;
	if (when == BQ_NEVER)
		hrtimer_try_to_cancel(&q->look_timer);
	else
		hrtimer_start(&q->look_timer, ns_to_ktime(min_t(u64, when, KTIME_MAX)),
			      HRTIMER_MODE_ABS);
}

/*
 * Not after @when: the first deadline moves with every request that is taken,
 * and coming too early now and then is cheaper than setting a timer each time.
 */
static void set_event_timer(struct braid_queue *q, u64 when)
{
	if (when == BQ_NEVER || (when >= q->event_at && hrtimer_is_queued(&q->event_timer)))
		return;
	q->event_at = when;
	hrtimer_start(&q->event_timer, ns_to_ktime(min_t(u64, when, KTIME_MAX)),
		      HRTIMER_MODE_ABS);
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

/* Completions may be read from now on; whoever waits for them is woken later. */
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
		if (after->n_woken == WOKEN) {
			wake_up_interruptible_poll(&t->wait, EPOLLIN | EPOLLRDNORM);
			continue;
		}
		kref_get(&t->ref);
		after->woken[after->n_woken++] = t;
	}
}

/* Out of the lock, and then do what had better be done without it. */
static void leave(struct braid_queue *q, struct after *after) __releases(&q->lock)
{
	unsigned int i;

	wake_tenants(q, after);
	after->dead = bq_reap(&q->bq);
	spin_unlock(&q->lock);

	if (after->agent)
		wake_up_interruptible_poll(&q->agent_wait, EPOLLIN | EPOLLRDNORM);
	for (i = 0; i < after->n_woken; i++) {
		wake_up_interruptible_poll(&after->woken[i]->wait, EPOLLIN | EPOLLRDNORM);
		braid_tenant_put(after->woken[i]);
	}
	braid_reap(after->dead);
}

static void enter(struct braid_queue *q) __acquires(&q->lock)
{
	spin_lock(&q->lock);
	q->now = max_t(u64, ktime_get_ns(), q->now + 1);
}

void braid_queue_lock(struct braid_queue *q) __acquires(&q->lock)
{
	enter(q);
	/* core/ ends what has expired first of all: let that not be many. */
	while (bq_next_event(&q->bq) <= q->now &&
	       !bq_expire_some(&q->bq, q->now, BRAID_AT_ONCE)) {
		struct after after = { .n_woken = 0 };

		leave(q, &after);
		cond_resched();
		enter(q);
	}
}

static void set_timers(struct braid_queue *q, u64 when)
{
	if (q->stopping)
		return;
	set_look_timer(q, when);
	set_event_timer(q, bq_next_event(&q->bq));
}

void braid_queue_unlock(struct braid_queue *q) __releases(&q->lock)
{
	struct after after = { .n_woken = 0 };

	lockdep_assert_held(&q->lock);
	set_timers(q, look(q, &after));
	leave(q, &after);
}

void braid_queue_unlock_looked(struct braid_queue *q, u64 when) __releases(&q->lock)
{
	struct after after = { .n_woken = 0 };

	lockdep_assert_held(&q->lock);
	set_timers(q, when);
	leave(q, &after);
}

void braid_queue_unlock_reap(struct braid_queue *q) __releases(&q->lock)
{
	struct bq_reap *dead = bq_reap(&q->bq);

	spin_unlock(&q->lock);
	braid_reap(dead);
}

int braid_queue_init(struct braid_queue *q, unsigned int index)
{
	q->index = index;
	spin_lock_init(&q->lock);
	spin_lock_init(&q->charge_lock);
	bq_init(&q->bq);
	init_waitqueue_head(&q->agent_wait);
	braid_hrtimer_setup(&q->look_timer, look_due);
	braid_hrtimer_setup(&q->event_timer, event_due);
	q->look_at = BQ_NEVER;
	q->event_at = BQ_NEVER;
	INIT_WORK(&q->event_work, event_work);
	braid_stall_init(q);
	return 0;
}

/* No file is open. */
void braid_queue_exit(struct braid_queue *q)
{
	spin_lock(&q->lock);
	q->stopping = true;
	spin_unlock(&q->lock);
	hrtimer_cancel(&q->look_timer);
	hrtimer_cancel(&q->event_timer);
	cancel_work_sync(&q->event_work);
	spin_lock(&q->lock);
	bq_exit(&q->bq);
	braid_queue_unlock_reap(q);
	/* Buffers that are still being freed know their queue. */
	flush_workqueue(braid_free_wq);
}
