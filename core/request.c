// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A request on its way out: with the agent, back from a dead one as a suspect,
 * ended, and read.
 */
#include "core/private.h"

#define ERRNO_MAX	4095

static bool cookie_less(const struct bq_rb_node *na, const struct bq_rb_node *nb)
{
	return bq_entry(na, struct bq_request, order)->cookie <
	       bq_entry(nb, struct bq_request, order)->cookie;
}

static bool suspect_less(const struct bq_rb_node *na, const struct bq_rb_node *nb)
{
	const struct bq_request *a = bq_entry(na, struct bq_request, expiry);
	const struct bq_request *b = bq_entry(nb, struct bq_request, expiry);

	if (a->deadline_ns != b->deadline_ns)
		return a->deadline_ns < b->deadline_ns;
	return a->suspect_key < b->suspect_key;
}

void bq_request_end(struct bq *q, struct bq_request *r, s32 status,
		    u64 *counter, u64 now)
{
	struct bq_tenant *t = r->tenant;
	u32 i;

	for (i = 0; i < r->n_slots; i++)
		bq_buffer_unref(q, r->slots[i].buffer);
	bq_model_settle(q, r->model);
	if (!t) {
		r->owner->requests--;
		q->count.dropped++;
		bq_bury(q, &r->reap, BQ_REQUEST);
		return;
	}

	/* The first goes free, but the next ones take a place until they are read. */
	if (!t->unread++)
		r->owner->requests--;
	q->count.completed++;
	r->owner->completed++;
	(*counter)++;
	r->state = BQ_DONE;
	r->status = status;
	r->done_ns = now;
	bq_rb_erase(&t->requests, &r->by_id);
	bq_list_add_tail(&t->done, &r->link);
	if (t->unsent == &t->done)
		t->unsent = &r->link;
	if (bq_list_empty(&t->woken))
		bq_list_add_tail(&q->woken, &t->woken);
}

void bq_request_detach(struct bq *q, struct bq_request *r)
{
	switch (r->state) {
	case BQ_QUEUED:
		bq_order_del(q, r);
		break;
	case BQ_SUSPECT:
		bq_suspect_del(q, r);
		break;
	case BQ_ENDING:
		bq_list_del(&r->link);
		r->model->suspects--;
		q->suspects--;
		break;
	default:
		break;
	}
}

/*
 * One that ended two agents by itself is tried again when the others have had
 * their turn. After one it comes first: agents that are killed for no fault of
 * its own, each just after a commit, would otherwise always meet who is next.
 */
void bq_suspect_add(struct bq *q, struct bq_request *r)
{
	r->state = BQ_SUSPECT;
	if (r->kills > 1) {
		r->suspect_key = ++q->last_suspect;
		bq_list_add_tail(&r->model->suspect_list, &r->link);
	} else {
		r->suspect_key = --q->first_suspect;
		bq_list_add_head(&r->model->suspect_list, &r->link);
	}
	if (r->deadline_ns)
		bq_rb_insert(&q->suspect_expiry, &r->expiry, suspect_less);
	r->model->suspects++;
	q->suspects++;
}

void bq_suspect_del(struct bq *q, struct bq_request *r)
{
	bq_list_del(&r->link);
	if (r->deadline_ns)
		bq_rb_erase(&q->suspect_expiry, &r->expiry);
	r->model->suspects--;
	q->suspects--;
}

void bq_suspect_end_later(struct bq *q, struct bq_request *r, s32 status)
{
	bq_list_del(&r->link);
	if (r->deadline_ns)
		bq_rb_erase(&q->suspect_expiry, &r->expiry);
	r->state = BQ_ENDING;
	r->status = status;
	bq_list_add_tail(&q->ending, &r->link);
}

void bq_hold_lift(struct bq *q, u64 now)
{
	struct bq_request *r;
	u64 *counter;

	q->held = false;
	while (!bq_list_empty(&q->ending)) {
		r = bq_entry(q->ending.next, struct bq_request, link);
		bq_request_detach(q, r);
		if (r->status == -ECANCELED)
			counter = &q->count.cancelled;
		else if (r->status == -EIO)
			counter = &q->count.killed;
		else
			counter = &q->count.withdrawn;
		bq_request_end(q, r, r->status, counter, now);
	}
}

void bq_request_fetch(struct bq *q, struct bq_request *r, u64 window, u64 now)
{
	bq_order_charge(q, r);
	r->alone = r->state == BQ_SUSPECT;
	bq_request_detach(q, r);
	r->state = BQ_FETCHED;
	r->cookie = ++q->last_cookie;
	r->window = window;
	r->fetch_ns = now;
	bq_rb_insert(&q->by_cookie, &r->order, cookie_less);
	bq_owner_get(q, r->owner);
	if (r->alone)
		q->alone = true;
	r->model->fetched++;
	q->fetched++;
	q->count.fetched++;
}

void bq_request_unfetch(struct bq *q, struct bq_request *r)
{
	bq_rb_erase(&q->by_cookie, &r->order);
	if (r->alone)
		q->alone = false;
	r->model->fetched--;
	q->fetched--;
	bq_owner_put(q, r->owner);
}

int bq_commit_check(const struct bq *q, u64 generation)
{
	if (!q->ready)
		return -ENODEV;
	return generation == q->generation ? 0 : -ESTALE;
}

static struct bq_request *find(const struct bq *q, u64 cookie)
{
	struct bq_rb_node *n = q->by_cookie.node;
	struct bq_request *r;

	while (n) {
		r = bq_entry(n, struct bq_request, order);
		if (r->cookie == cookie)
			return r;
		n = n->child[r->cookie < cookie];
	}
	return NULL;
}

static void count_commit(struct bq *q, struct bq_request *r)
{
	struct bq_counters *c = &q->count;

	c->committed++;
	c->merged += r->merge_degree > 1;
	c->fused += r->fuse_degree > 1;
	c->merge_sum += r->merge_degree;
	c->fuse_sum += r->fuse_degree;
	c->device_ns += r->device_ns;
	r->owner->device_ns += r->device_ns;
	if (r->tenant)
		r->tenant->device_ns += r->device_ns;
}

int bq_commit(struct bq *q, struct braid_result *res, u64 now)
{
	struct bq_request *r;
	u64 *counter;
	s32 status;

	bq_expire(q, now);
	r = find(q, res->cookie);
	if (!r) {
		res->result = -ENOENT;
		return -ENOENT;
	}
	if (res->status > 0 || res->status < -ERRNO_MAX) {
		res->result = -EINVAL;
		return -EINVAL;
	}
	r->device_ns = res->device_ns;
	r->merge_degree = res->merge_degree;
	r->fuse_degree = res->fuse_degree;
	count_commit(q, r);
	bq_order_correct(r, res->device_ns);

	status = r->cancelled ? -ECANCELED : res->status;
	if (r->cancelled)
		counter = &q->count.cancelled;
	else if (status == -EIO && r->alone)
		counter = &q->count.killed;
	else if (status)
		counter = &q->count.failed;
	else
		counter = &q->count.done;
	/* The end first: the owner may go with the last request. */
	bq_owner_get(q, r->owner);
	bq_request_unfetch(q, r);
	bq_request_end(q, r, status, counter, now);
	bq_owner_put(q, r->owner);
	res->result = 0;
	return 0;
}

bool bq_completion_peek(const struct bq_tenant *t, struct braid_completion *out)
{
	const struct bq_request *r;

	if (t->unsent == &t->done)
		return false;
	r = bq_entry(t->unsent, struct bq_request, link);
	memset(out, 0, sizeof(*out));
	out->size = sizeof(*out);
	out->status = r->status;
	out->user_data = r->user_data;
	out->id = r->id;
	out->window = r->window;
	out->enqueue_ns = r->enqueue_ns;
	out->fetch_ns = r->fetch_ns;
	out->done_ns = r->done_ns;
	out->device_ns = r->device_ns;
	out->attempt = r->attempt;
	out->merge_degree = r->merge_degree;
	out->fuse_degree = r->fuse_degree;
	return true;
}

void bq_completion_end(struct bq *q, struct bq_tenant *t)
{
	struct bq_request *r = bq_entry(t->done.next, struct bq_request, link);

	if (t->unsent == &r->link)
		t->unsent = r->link.next;
	bq_list_del(&r->link);
	t->outstanding--;
	if (--t->unread)
		t->owner->requests--;
	bq_bury(q, &r->reap, BQ_REQUEST);
}

void bq_completion_pop(struct bq *q, struct bq_tenant *t)
{
	if (t->unsent != &t->done && t->unsent == t->done.next)
		bq_completion_end(q, t);
}

void bq_completion_sent(struct bq_tenant *t)
{
	if (t->unsent == &t->done)
		return;
	t->unsent = t->unsent->next;
	t->sent++;
}

void bq_completion_unsent(struct bq_tenant *t, u32 n)
{
	for (; n && t->sent > t->seen; n--) {
		t->unsent = t->unsent->prev;
		t->sent--;
	}
}

int bq_completion_seen(struct bq *q, struct bq_tenant *t, u64 total)
{
	if (total < t->seen || total > t->sent)
		return -EINVAL;
	while (t->seen < total) {
		bq_completion_end(q, t);
		t->seen++;
	}
	return 0;
}
