/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the files of core/ call in each other. Data flows submit -> order ->
 * window -> request (end); agent, model, buffer and owner feed them.
 */
#ifndef BRAID_CORE_PRIVATE_H
#define BRAID_CORE_PRIVATE_H

#include "core/queue.h"

/* Owners without tenants whose debt is remembered; more are forgotten. */
#define BQ_LINGER_MAX	1024

/* queue.c */

/* Put a dead node where bq_reap() finds it. */
void bq_bury(struct bq *q, struct bq_reap *reap, enum bq_kind kind);

/* order.c: who is next */

/* Virtual times wrap: @a is before @b. */
static inline bool bq_before(u64 a, u64 b)
{
	return (s64)(a - b) < 0;
}

/* Into the order, as QUEUED; and out of it again. */
void bq_order_add(struct bq *q, struct bq_request *r);
void bq_order_del(struct bq *q, struct bq_request *r);

/* Next in order among models with want_left, linked by want_next; or NULL. */
struct bq_request *bq_order_first(struct bq_model *wants);

/* Charge a FETCH, correct it by what was measured (0: take it back). */
void bq_order_charge(struct bq *q, struct bq_request *r);
void bq_order_correct(struct bq_request *r, u64 device_ns);

/* Raise the queue's clock.min; owners that it reaches stop lingering. */
void bq_order_raise(struct bq *q);

bool bq_order_by_vtime(const struct bq_rb_node *a, const struct bq_rb_node *b);

/* owner.c */

void bq_owner_get(struct bq *q, struct bq_owner *o);
void bq_owner_put(struct bq *q, struct bq_owner *o);
void bq_owner_forget(struct bq *q, struct bq_owner *o);
void bq_owners_unset(struct bq *q);	/* no limits by hand any more */
struct bq_flow *bq_flow_find(const struct bq_tenant *t, u64 model);
void bq_flow_free(struct bq *q, struct bq_flow *f);

/* model.c */

/* In the table, deleted ones included; or NULL. */
struct bq_model *bq_model_any(const struct bq *q, u64 id);

/* No new requests for @m. */
void bq_model_withdraw(struct bq *q, struct bq_model *m);

/* Requests of @m that wait end with ENOENT, held ones after the hold. */
void bq_model_end_queued(struct bq *q, struct bq_model *m, u64 now);

/* After a request of @m ended: does it leave the table? */
void bq_model_settle(struct bq *q, struct bq_model *m);

/* buffer.c */

struct bq_buffer *bq_buffer_usable(const struct bq *q, const struct bq_tenant *t, u64 id);

/* The first one that the agent does not know, or NULL; and now it knows it. */
struct bq_buffer *bq_buffer_fresh(const struct bq *q);
void bq_buffer_known(struct bq_buffer *b);

void bq_buffer_unref(struct bq *q, struct bq_buffer *b);
void bq_buffer_retire(struct bq *q, struct bq_buffer *b);
void bq_buffer_agent_gone(struct bq *q);

/* request.c: the end of a request, and suspects */

/*
 * @r, in none of the waiting structures any more, ends. With a tenant it
 * completes with @status and @counter goes up, else it is dropped.
 */
void bq_request_end(struct bq *q, struct bq_request *r, s32 status,
		    u64 *counter, u64 now);

/* Take a request that waits (QUEUED, SUSPECT, ENDING) out of all. */
void bq_request_detach(struct bq *q, struct bq_request *r);

/* A FETCHED one comes back from a dead agent; request.c says in what order they run. */
void bq_suspect_add(struct bq *q, struct bq_request *r);
void bq_suspect_del(struct bq *q, struct bq_request *r);

/* A suspect that may not complete yet ends with @status after the hold. */
void bq_suspect_end_later(struct bq *q, struct bq_request *r, s32 status);

/* The hold is over. */
void bq_hold_lift(struct bq *q, u64 now);

/* The oldest completion of @t is read, or never will be: its place is free. */
void bq_completion_end(struct bq *q, struct bq_tenant *t);

/* @r goes to the agent, as job of window @window. */
void bq_request_fetch(struct bq *q, struct bq_request *r, u64 window, u64 now);

/* @r is taken from the agent. */
void bq_request_unfetch(struct bq *q, struct bq_request *r);

#endif
