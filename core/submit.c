// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The way in: what a tenant hands over is checked here against its model and
 * its buffers, so that nothing malformed ever reaches the agent.
 */
#include "core/private.h"

#define SLICE_ALIGN	64

int bq_request_slots(const struct braid_request *in, u32 n_slices)
{
	u64 n = (u64)in->n_inputs + in->n_outputs;

	if (in->reserved)
		return -E2BIG;
	if (in->flags || in->priority >= BRAID_PRIORITIES)
		return -EOPNOTSUPP;
	if (n > BRAID_MAX_TENSORS || in->first_slice + n > n_slices)
		return -EINVAL;
	return n;
}

static int check_slot(const struct bq *q, const struct bq_tenant *t,
		      struct bq_slot *slot, u64 bytes)
{
	const struct braid_slice *s = &slot->slice;

	slot->buffer = bq_buffer_usable(q, t, s->buffer);
	if (!slot->buffer)
		return -ENOENT;
	if (s->offset % SLICE_ALIGN || s->length != bytes)
		return -EINVAL;
	if (s->offset > slot->buffer->length ||
	    s->length > slot->buffer->length - s->offset)
		return -EOVERFLOW;
	return 0;
}

static bool overlap(const struct braid_slice *a, const struct braid_slice *b)
{
	return a->buffer == b->buffer && a->offset < b->offset + b->length &&
	       b->offset < a->offset + a->length;
}

static int check_slots(const struct bq *q, const struct bq_tenant *t,
		       const struct bq_model *m, struct bq_slot *slots)
{
	u32 n = m->n_inputs + m->n_outputs, i, j;
	int ret;

	for (i = 0; i < n; i++) {
		ret = check_slot(q, t, &slots[i], m->tensors[i].bytes);
		if (ret)
			return ret;
	}
	for (i = m->n_inputs; i < n; i++)
		for (j = 0; j < i; j++)
			if (overlap(&slots[i].slice, &slots[j].slice))
				return -EINVAL;
	return 0;
}

/*
 * The last quarter of the queue is for owners that have nothing in it: whoever
 * fills the rest, however many it pretends to be, a newcomer gets in.
 */
static int check_room(const struct bq *q, const struct bq_tenant *t)
{
	const struct bq_owner *o = t->owner;
	u32 most = q->knobs[BQ_MAX_REQUESTS];

	if (t->outstanding >= q->knobs[BQ_TENANT_DEPTH])
		return -EAGAIN;
	if (o->requests >= o->limits.request_quota)
		return -EDQUOT;
	if (o->requests)
		most -= most / 4;
	return q->queued + q->suspects + q->fetched < most ? 0 : -EAGAIN;
}

static bool id_less(const struct bq_rb_node *na, const struct bq_rb_node *nb)
{
	return bq_entry(na, struct bq_request, by_id)->id <
	       bq_entry(nb, struct bq_request, by_id)->id;
}

int bq_submit(struct bq *q, struct bq_tenant *t, struct bq_request *r,
	      const struct braid_request *in, u64 now)
{
	struct bq_slot *slots = r->slots;
	struct bq_owner *o = t->owner;
	u32 n_slots = r->n_slots, i;
	struct bq_model *m;
	struct bq_flow *f;
	int ret;

	bq_expire(q, now);
	ret = bq_request_slots(in, in->first_slice + n_slots);
	if (ret < 0)
		return ret;
	m = bq_model_by_id(q, in->model);
	if (!m)
		return -ENOENT;
	if (in->n_inputs != m->n_inputs || in->n_outputs != m->n_outputs ||
	    n_slots != m->n_inputs + m->n_outputs)
		return -EINVAL;
	ret = check_slots(q, t, m, slots);
	if (ret)
		return ret;
	ret = check_room(q, t);
	if (ret)
		return ret;
	f = bq_flow_find(t, m->id);
	if (!f)
		return BQ_NEED_FLOW;

	memset(r, 0, sizeof(*r));
	r->slots = slots;
	r->n_slots = n_slots;
	r->priority = in->priority;
	if (r->priority > o->limits.priority_ceiling)
		r->priority = o->limits.priority_ceiling;
	r->user_data = in->user_data;
	r->id = ++t->last_id;
	r->deadline_ns = in->deadline_ns;
	r->enqueue_ns = now;
	r->tenant = t;
	r->owner = o;
	r->model = m;
	r->flow = f;
	r->seq = ++q->last_seq;
	bq_list_init(&r->link);
	for (i = 0; i < n_slots; i++)
		slots[i].buffer->refs++;
	bq_rb_insert(&t->requests, &r->by_id, id_less);
	t->outstanding++;
	t->submitted++;
	o->requests++;
	q->count.submitted++;
	bq_order_add(q, r);
	return 0;
}

static struct bq_request *find(const struct bq_tenant *t, u64 id)
{
	struct bq_rb_node *n = t->requests.node;
	struct bq_request *r;

	while (n) {
		r = bq_entry(n, struct bq_request, by_id);
		if (r->id == id)
			return r;
		n = n->child[r->id < id];
	}
	return NULL;
}

int bq_cancel(struct bq *q, struct bq_tenant *t, u64 id, u64 now)
{
	struct bq_request *r;

	bq_expire(q, now);
	r = find(t, id);
	if (!r)
		return -ENOENT;
	r->cancelled = true;
	switch (r->state) {
	case BQ_SUSPECT:
		if (q->held) {
			bq_suspect_end_later(q, r, -ECANCELED);
			return BRAID_CANCEL_LATER;
		}
		break;
	case BQ_ENDING:
		r->status = -ECANCELED;
		return BRAID_CANCEL_LATER;
	case BQ_FETCHED:
		return BRAID_CANCEL_LATER;
	default:
		break;
	}
	bq_request_detach(q, r);
	bq_request_end(q, r, -ECANCELED, &q->count.cancelled, now);
	return BRAID_CANCEL_DONE;
}
