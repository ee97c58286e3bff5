/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The way of dead nodes back to the caller. What the queue is done with it
 * puts on one singly linked list; the caller takes the list with bq_reap()
 * while it holds the lock and frees what is on it after dropping the lock.
 */
#ifndef BRAID_CORE_REAP_H
#define BRAID_CORE_REAP_H

#include "core/types.h"

enum bq_kind {
	BQ_REQUEST = 1,		/* struct bq_request, member reap; with its slots */
	BQ_FLOW,		/* struct bq_flow */
	BQ_SHARE,		/* struct bq_share */
	BQ_TENANT,		/* struct bq_tenant */
	BQ_OWNER,		/* struct bq_owner */
	BQ_MODEL,		/* struct bq_model; with its tensors */
	BQ_BUFFER,		/* struct bq_buffer; with its memory */
};

/**
 * struct bq_reap - embedded in all that the queue holds, as member `reap`
 * @next: next on the list
 * @kind: enum bq_kind, says what bq_entry() must be given
 */
struct bq_reap {
	struct bq_reap *next;
	u32 kind;
};

struct bq;

/**
 * bq_reap - take all that is dead
 * @q: queue
 *
 * Returns a list linked by @next, NULL when empty. No member of it refers to
 * another one or to the queue any more: free in any order.
 */
struct bq_reap *bq_reap(struct bq *q);

#endif
