/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Buffers: who owns them, who uses them, and what the agent knows of them.
 * The memory itself is the caller's; it is freed when the buffer comes back on
 * the reap list.
 */
#ifndef BRAID_CORE_BUFFER_H
#define BRAID_CORE_BUFFER_H

#include "core/list.h"
#include "core/rbtree.h"
#include "core/reap.h"

struct bq;
struct bq_owner;
struct bq_tenant;

/**
 * struct bq_buffer - a buffer; all fields are the queue's
 * @id: never used twice; the agent is told of new buffers in this order, but
 *      for those that a job needs before it is their turn
 * @tenant_id: whose it is
 * @length: bytes, a multiple of BRAID_BUF_ALIGN
 * @refs: requests that use it and are not done
 * @retired: freed by its tenant, or the tenant died
 * @known: the agent was told that it is there
 * @told: the agent was told that it is retired
 * @tenant: NULL when it died
 * @owner: whose byte quota is charged, until the buffer is freed
 */
struct bq_buffer {
	u64 id;
	u64 tenant_id;
	u64 length;
	u64 refs;
	bool retired;
	bool known;
	bool told;
	struct bq_tenant *tenant;
	struct bq_owner *owner;

	/* The queue's own. */
	struct bq_rb_node by_id;
	struct bq_list of_tenant;
	struct bq_list link;		/* fresh, to be told, or told */
	struct bq_reap reap;
};

/**
 * bq_buffer_check - could the tenant have this buffer?
 * @q: queue
 * @t: tenant
 * @length: bytes wanted; rounded up to BRAID_BUF_ALIGN
 *
 * To be asked before memory is got. Returns 0. -EINVAL: length 0.
 * -EOVERFLOW: does not round up. -EDQUOT: the owner's byte quota.
 */
int bq_buffer_check(const struct bq *q, const struct bq_tenant *t, u64 *length);

/**
 * bq_buffer_add - a tenant's new buffer
 * @q: queue
 * @t: tenant
 * @b: caller's node, overwritten
 * @length: as bq_buffer_check() left it; checked again
 *
 * Returns 0, @b->id is set, the agent will be told; or bq_buffer_check()'s
 * errors, and @b stays the caller's.
 */
int bq_buffer_add(struct bq *q, struct bq_tenant *t, struct bq_buffer *b, u64 length);

/**
 * bq_buffer_free - the tenant gives it up
 * @q: queue
 * @t: tenant
 * @id: buffer
 *
 * Returns 0. -ENOENT: no such buffer of this tenant, or it is retired.
 */
int bq_buffer_free(struct bq *q, struct bq_tenant *t, u64 id);

/**
 * bq_buffer_get - a buffer for the agent to map
 * @q: queue
 * @id: buffer
 *
 * Returns it, or NULL when there is none, or none that the agent knows.
 */
struct bq_buffer *bq_buffer_get(struct bq *q, u64 id);

/**
 * bq_buffer_put - the agent has unmapped it
 * @q: queue
 * @id: buffer
 *
 * Returns 0. -ENODEV: no agent that is ready. -ENOENT: no such buffer.
 * -EBUSY: the agent was not told that it is retired.
 */
int bq_buffer_put(struct bq *q, u64 id);

#endif
