// SPDX-License-Identifier: MIT
/*
 * Probe points of the queue: see trace.h. Nothing is done here while nobody
 * looks, but for one time that is kept for each tenant.
 */
#include "agent/supervisor/trace.h"

#include "agent/supervisor/server.h"
#include "agent/usdt.h"

USDT_DEFINE(submit);
USDT_DEFINE(window_close);
USDT_DEFINE(fetch);
USDT_DEFINE(complete);
USDT_DEFINE(requeue);

void trace_submit(const struct bq_request *r)
{
	if (usdt_on(submit))
		USDT6(submit, r->tenant->id, r->id, r->model->id, r->owner->key, r->enqueue_ns,
		      r->priority);
}

void trace_window(const struct bq *q, const struct bq_fetch *f, uint64_t now)
{
	if (!f->window)
		return;
	if (usdt_on(window_close))
		USDT6(window_close, f->window, f->reason, f->n_jobs, q->queued, now,
		      f->generation);
	if (!usdt_on(fetch))
		return;
	for (uint32_t i = 0; i < f->n_jobs; i++) {
		const struct braid_job *j = &f->jobs[i];

		USDT6(fetch, j->tenant, j->id, j->model, f->window, j->enqueue_ns, now);
	}
}

static void complete(const struct bq_request *r)
{
	struct braid_completion c = {
		.size = sizeof(c), .status = r->status, .user_data = r->user_data, .id = r->id,
		.window = r->window, .enqueue_ns = r->enqueue_ns, .fetch_ns = r->fetch_ns,
		.done_ns = r->done_ns, .device_ns = r->device_ns, .attempt = r->attempt,
		.merge_degree = r->merge_degree, .fuse_degree = r->fuse_degree,
	};

	USDT6(complete, r->tenant->id, r->model->id, r->owner->key, (uintptr_t)&c, sizeof(c),
	      r->done_ns);
}

/* Those that ended since the last time are at the tail of the list. */
void trace_completions(struct client *c)
{
	const struct bq_list *done = &c->tenant.done, *l;
	uint64_t told = c->told_ns;

	if (done->prev == done)
		return;
	c->told_ns = bq_entry(done->prev, struct bq_request, link)->done_ns;
	if (!usdt_on(complete))
		return;
	for (l = done->prev; l != done; l = l->prev) {
		const struct bq_request *r = bq_entry(l, struct bq_request, link);

		if (r->done_ns <= told)
			break;
		complete(r);
	}
}

void trace_requeues(const struct bq *q)
{
	if (!usdt_on(requeue))
		return;
	for (struct bq_rb_node *n = bq_rb_first(&q->by_cookie); n; n = bq_rb_next(n)) {
		const struct bq_request *r = bq_entry(n, struct bq_request, order);

		if (r->tenant)
			USDT6(requeue, r->tenant->id, r->id, r->model->id, r->window,
			      q->generation, r->attempt);
	}
}
