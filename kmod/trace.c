// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tracepoints of what core/ does by itself: requests that end, and those that
 * come back from a dead agent. Called only while somebody traces.
 */
#include "kmod/braid_priv.h"

#define CREATE_TRACE_POINTS
#include "kmod/trace.h"

/* All that ended since the lock was taken is at the tail of the tenant's list. */
void braid_trace_completions(struct braid_queue *q, struct braid_tenant *t)
{
	const struct bq_request *r;
	struct bq_list *l;

	lockdep_assert_held(&q->lock);
	for (l = t->t.done.prev; l != &t->t.done; l = l->prev) {
		r = bq_entry(l, struct bq_request, link);
		if (r->done_ns < q->now)
			break;
		trace_braid_complete(q->index, r);
	}
}

/* What the agent has, and is about to be taken from it. */
void braid_trace_requeues(struct braid_queue *q)
{
	const struct bq_request *r;
	struct bq_rb_node *n;

	lockdep_assert_held(&q->lock);
	for (n = bq_rb_first(&q->bq.by_cookie); n; n = bq_rb_next(n)) {
		r = bq_entry(n, struct bq_request, order);
		if (r->tenant)
			trace_braid_requeue(q->index, r, q->bq.generation);
	}
}
