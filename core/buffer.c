// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Buffers. One that the agent does not know is in the list of fresh ones. One
 * that is retired and unused goes at once if the agent does not know it, else by
 * way of two lists: to be told, and told.
 */
#include "core/private.h"

static bool id_less(const struct bq_rb_node *na, const struct bq_rb_node *nb)
{
	return bq_entry(na, struct bq_buffer, by_id)->id <
	       bq_entry(nb, struct bq_buffer, by_id)->id;
}

static struct bq_buffer *find(const struct bq *q, u64 id)
{
	struct bq_rb_node *n = q->buffers.node;
	struct bq_buffer *b;

	while (n) {
		b = bq_entry(n, struct bq_buffer, by_id);
		if (b->id == id)
			return b;
		n = n->child[b->id < id];
	}
	return NULL;
}

int bq_buffer_check(const struct bq *q, const struct bq_tenant *t, u64 *length)
{
	const struct bq_owner *o = t->owner;

	if (!*length)
		return -EINVAL;
	if (*length > BQ_NEVER - (BRAID_BUF_ALIGN - 1))
		return -EOVERFLOW;
	*length = (*length + BRAID_BUF_ALIGN - 1) & ~(u64)(BRAID_BUF_ALIGN - 1);
	if (o->bytes > o->limits.byte_quota || *length > o->limits.byte_quota - o->bytes)
		return -EDQUOT;
	return 0;
}

int bq_buffer_add(struct bq *q, struct bq_tenant *t, struct bq_buffer *b, u64 length)
{
	int ret = bq_buffer_check(q, t, &length);

	if (ret)
		return ret;
	memset(b, 0, sizeof(*b));
	b->id = ++q->last_buffer;
	b->tenant_id = t->id;
	b->length = length;
	b->tenant = t;
	b->owner = t->owner;
	b->owner->bytes += length;
	b->owner->n_buffers++;
	bq_owner_get(q, b->owner);
	bq_list_add_tail(&q->fresh, &b->link);
	bq_list_add_tail(&t->buffers, &b->of_tenant);
	bq_rb_insert(&q->buffers, &b->by_id, id_less);
	return 0;
}

struct bq_buffer *bq_buffer_usable(const struct bq *q, const struct bq_tenant *t, u64 id)
{
	struct bq_buffer *b = find(q, id);

	return b && b->tenant == t && !b->retired ? b : NULL;
}

static void buffer_end(struct bq *q, struct bq_buffer *b)
{
	bq_list_del(&b->link);
	bq_list_del(&b->of_tenant);
	bq_rb_erase(&q->buffers, &b->by_id);
	b->owner->bytes -= b->length;
	b->owner->n_buffers--;
	bq_owner_put(q, b->owner);
	b->owner = NULL;
	b->tenant = NULL;
	bq_bury(q, &b->reap, BQ_BUFFER);
}

/* Retired and unused. */
static void let_go(struct bq *q, struct bq_buffer *b)
{
	if (b->known)
		bq_list_add_tail(&q->retired, &b->link);
	else
		buffer_end(q, b);
}

void bq_buffer_retire(struct bq *q, struct bq_buffer *b)
{
	if (b->retired)
		return;
	b->retired = true;
	if (!b->refs)
		let_go(q, b);
}

void bq_buffer_unref(struct bq *q, struct bq_buffer *b)
{
	if (--b->refs == 0 && b->retired)
		let_go(q, b);
}

int bq_buffer_free(struct bq *q, struct bq_tenant *t, u64 id)
{
	struct bq_buffer *b = bq_buffer_usable(q, t, id);

	if (!b)
		return -ENOENT;
	bq_buffer_retire(q, b);
	return 0;
}

struct bq_buffer *bq_buffer_get(struct bq *q, u64 id)
{
	struct bq_buffer *b = find(q, id);

	return b && b->known ? b : NULL;
}

int bq_buffer_put(struct bq *q, u64 id)
{
	struct bq_buffer *b;

	if (!q->ready)
		return -ENODEV;
	b = bq_buffer_get(q, id);
	if (!b)
		return -ENOENT;
	if (!b->told)
		return -EBUSY;
	buffer_end(q, b);
	return 0;
}

struct bq_buffer *bq_buffer_fresh(const struct bq *q)
{
	return bq_list_empty(&q->fresh) ? NULL :
	       bq_entry(q->fresh.next, struct bq_buffer, link);
}

void bq_buffer_known(struct bq_buffer *b)
{
	bq_list_del(&b->link);
	b->known = true;
}

static void end_all(struct bq *q, struct bq_list *list)
{
	while (!bq_list_empty(list))
		buffer_end(q, bq_entry(list->next, struct bq_buffer, link));
}

void bq_buffer_agent_gone(struct bq *q)
{
	struct bq_rb_node *n;
	struct bq_buffer *b;

	end_all(q, &q->retired);
	end_all(q, &q->told);
	for (n = bq_rb_first(&q->buffers); n; n = bq_rb_next(n)) {
		b = bq_entry(n, struct bq_buffer, by_id);
		bq_list_del(&b->link);
		b->known = false;
		bq_list_add_tail(&q->fresh, &b->link);
	}
}
