// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The table of models. A model leaves it when it is deleted and nothing of it
 * waits or runs; until then requests are handed out by its id as before.
 */
#include "core/private.h"

u32 bq_type_bytes(u32 type)
{
	switch (type) {
	case BRAID_TYPE_U8:
	case BRAID_TYPE_I8:
	case BRAID_TYPE_BOOL:
		return 1;
	case BRAID_TYPE_U16:
	case BRAID_TYPE_I16:
	case BRAID_TYPE_F16:
	case BRAID_TYPE_BF16:
		return 2;
	case BRAID_TYPE_F32:
	case BRAID_TYPE_I32:
	case BRAID_TYPE_U32:
		return 4;
	case BRAID_TYPE_I64:
	case BRAID_TYPE_F64:
	case BRAID_TYPE_U64:
		return 8;
	default:
		return 0;
	}
}

static bool id_less(const struct bq_rb_node *na, const struct bq_rb_node *nb)
{
	return bq_entry(na, struct bq_model, by_id)->id <
	       bq_entry(nb, struct bq_model, by_id)->id;
}

static bool same_bytes(const void *a, const void *b, u32 n)
{
	const u8 *x = a, *y = b;

	while (n && *x == *y) {
		x++;
		y++;
		n--;
	}
	return !n;
}

/* Below zero, zero or above, as @a is to @b. */
static int compare(const char *a, const char *b, u32 max)
{
	u32 i;

	for (i = 0; i < max && a[i] == b[i]; i++)
		if (!a[i])
			return 0;
	return i == max ? 0 : (int)(u8)a[i] - (int)(u8)b[i];
}

static bool same_string(const char *a, const char *b, u32 max)
{
	return !compare(a, b, max);
}

static bool name_less(const struct bq_rb_node *na, const struct bq_rb_node *nb)
{
	const struct bq_model *a = bq_entry(na, struct bq_model, by_name);
	const struct bq_model *b = bq_entry(nb, struct bq_model, by_name);
	int order = compare(a->name, b->name, BRAID_NAME_MAX);

	return order ? order < 0 : a->put_seq > b->put_seq;
}

/* It may be used, and is the newest of its name. */
static void offer(struct bq *q, struct bq_model *m)
{
	m->put_seq = ++q->last_put;
	m->deleting = false;
	bq_rb_insert(&q->names, &m->by_name, name_less);
	q->n_usable++;
}

void bq_model_withdraw(struct bq *q, struct bq_model *m)
{
	if (m->deleting)
		return;
	m->deleting = true;
	bq_rb_erase(&q->names, &m->by_name);
	q->n_usable--;
}

static bool ends(const char *s, u32 max)
{
	u32 i;

	for (i = 0; i < max; i++)
		if (!s[i])
			return true;
	return false;
}

static int check_tensor(const struct braid_tensor *t)
{
	u64 bytes = bq_type_bytes(t->type);
	u32 i;

	if (!bytes)
		return -EOPNOTSUPP;
	if (!ends(t->name, BRAID_TENSOR_NAME_MAX) || t->rank > BRAID_RANK_MAX)
		return -EINVAL;
	for (i = 0; i < BRAID_RANK_MAX; i++) {
		if (i >= t->rank) {
			if (t->dims[i])
				return -EINVAL;
			continue;
		}
		if (!t->dims[i])
			return -EINVAL;
		if (t->dims[i] > bq_div64(BQ_NEVER, bytes))
			return -EOVERFLOW;
		bytes *= t->dims[i];
	}
	return bytes == t->bytes ? 0 : -EINVAL;
}

static int check_model(const struct bq_model *m)
{
	u32 i;
	int ret;

	if (!m->name[0] || !ends(m->name, BRAID_NAME_MAX) || !m->device_ns ||
	    !m->n_inputs || !m->n_outputs)
		return -EINVAL;
	if (m->n_inputs > BRAID_MAX_TENSORS ||
	    m->n_outputs > BRAID_MAX_TENSORS - m->n_inputs)
		return -EMSGSIZE;
	for (i = 0; i < m->n_inputs + m->n_outputs; i++) {
		ret = check_tensor(&m->tensors[i]);
		if (ret)
			return ret;
	}
	return 0;
}

static bool same_tensor(const struct braid_tensor *a, const struct braid_tensor *b)
{
	return same_string(a->name, b->name, BRAID_TENSOR_NAME_MAX) &&
	       a->type == b->type && a->rank == b->rank && a->bytes == b->bytes &&
	       same_bytes(a->dims, b->dims, sizeof(a->dims));
}

static bool same_tensors(const struct bq_model *a, const struct bq_model *b)
{
	u32 i;

	if (a->n_inputs != b->n_inputs || a->n_outputs != b->n_outputs)
		return false;
	for (i = 0; i < a->n_inputs + a->n_outputs; i++)
		if (!same_tensor(&a->tensors[i], &b->tensors[i]))
			return false;
	return true;
}

/* The one with the same name and digest, deleted or not. */
static struct bq_model *find_same(const struct bq *q, const struct bq_model *m)
{
	struct bq_rb_node *n;
	struct bq_model *at;

	for (n = bq_rb_first(&q->models); n; n = bq_rb_next(n)) {
		at = bq_entry(n, struct bq_model, by_id);
		if (same_bytes(at->digest, m->digest, BRAID_DIGEST_BYTES) &&
		    same_string(at->name, m->name, BRAID_NAME_MAX))
			return at;
	}
	return NULL;
}

int bq_model_put(struct bq *q, struct bq_model *m, struct bq_model **out)
{
	struct bq_model *old;
	int ret;

	if (!q->attached)
		return -ENODEV;
	ret = check_model(m);
	if (ret)
		return ret;

	old = find_same(q, m);
	if (old) {
		if (!same_tensors(old, m))
			return -EINVAL;
		old->device_ns = m->device_ns;
		old->put_by = q->last_agent;
		if (old->deleting)
			offer(q, old);
		*out = old;
		return 0;
	}

	if (q->n_models >= BQ_MAX_MODELS)
		return -EAGAIN;
	m->id = ++q->last_model;
	m->put_by = q->last_agent;
	m->queued = 0;
	m->suspects = 0;
	m->fetched = 0;
	m->want_next = NULL;
	m->want_seq = 0;
	m->want_left = 0;
	memset(&m->shares, 0, sizeof(m->shares));
	memset(&m->deadlines, 0, sizeof(m->deadlines));
	bq_list_init(&m->arrivals);
	bq_list_init(&m->suspect_list);
	bq_list_init(&m->flows);
	bq_list_init(&m->link);
	bq_rb_insert(&q->models, &m->by_id, id_less);
	q->n_models++;
	offer(q, m);
	*out = m;
	return 0;
}

void bq_model_end_queued(struct bq *q, struct bq_model *m, u64 now)
{
	struct bq_request *r;

	while (!bq_list_empty(&m->arrivals)) {
		r = bq_entry(m->arrivals.next, struct bq_request, link);
		bq_order_del(q, r);
		bq_request_end(q, r, -ENOENT, &q->count.withdrawn, now);
	}
	while (!bq_list_empty(&m->suspect_list)) {
		r = bq_entry(m->suspect_list.next, struct bq_request, link);
		if (q->held) {
			bq_suspect_end_later(q, r, -ENOENT);
			continue;
		}
		bq_suspect_del(q, r);
		bq_request_end(q, r, -ENOENT, &q->count.withdrawn, now);
	}
}

void bq_model_settle(struct bq *q, struct bq_model *m)
{
	if (!m->deleting || !bq_rb_linked(&m->by_id) ||
	    m->queued || m->suspects || m->fetched)
		return;
	bq_rb_erase(&q->models, &m->by_id);
	q->n_models--;
	while (!bq_list_empty(&m->flows))
		bq_flow_free(q, bq_entry(m->flows.next, struct bq_flow, of_model));
	if (q->attached && m->put_by == q->last_agent)
		bq_list_add_tail(&q->drained, &m->link);
	else
		bq_bury(q, &m->reap, BQ_MODEL);
}

int bq_model_del(struct bq *q, u64 id, bool end_queued, u64 now)
{
	struct bq_model *m;

	if (!q->attached)
		return -ENODEV;
	bq_expire(q, now);
	m = bq_model_any(q, id);
	if (!m)
		return -ENOENT;
	bq_model_withdraw(q, m);
	if (end_queued)
		bq_model_end_queued(q, m, now);
	bq_model_settle(q, m);
	return 0;
}

struct bq_model *bq_model_any(const struct bq *q, u64 id)
{
	struct bq_rb_node *n = q->models.node;
	struct bq_model *m;

	while (n) {
		m = bq_entry(n, struct bq_model, by_id);
		if (m->id == id)
			return m;
		n = n->child[m->id < id];
	}
	return NULL;
}

struct bq_model *bq_model_by_id(const struct bq *q, u64 id)
{
	struct bq_model *m = bq_model_any(q, id);

	return m && !m->deleting ? m : NULL;
}

struct bq_model *bq_model_by_name(const struct bq *q, const char *name)
{
	struct bq_rb_node *n = q->names.node;
	struct bq_model *m, *best = NULL;
	int order;

	while (n) {
		m = bq_entry(n, struct bq_model, by_name);
		order = compare(name, m->name, BRAID_NAME_MAX);
		if (!order)
			best = m;
		n = n->child[order > 0];
	}
	return best;
}

struct bq_model *bq_model_next(const struct bq *q, u64 id)
{
	struct bq_rb_node *n = q->models.node, *above = NULL;

	while (n) {
		if (bq_entry(n, struct bq_model, by_id)->id > id) {
			above = n;
			n = n->child[0];
		} else {
			n = n->child[1];
		}
	}
	while (above && bq_entry(above, struct bq_model, by_id)->deleting)
		above = bq_rb_next(above);
	return above ? bq_entry(above, struct bq_model, by_id) : NULL;
}
