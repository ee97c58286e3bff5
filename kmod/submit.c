// SPDX-License-Identifier: GPL-2.0-only
/*
 * SUBMIT: read all requests, give them memory, then hand them to core/ in one
 * go under the lock. What a request says is read once, into its own node.
 */
#include <linux/slab.h>

#include "kmod/braid_priv.h"
#include "kmod/trace.h"

/*
 * Until core/ has accepted a request, its fields are ours. They keep what the
 * tenant said, for there may be 256 and the stack is small.
 */
static void stash(struct bq_request *r, const struct braid_request *in)
{
	r->user_data = in->user_data;
	r->deadline_ns = braid_time_in(in->deadline_ns);
	r->priority = in->priority;
	r->cookie = in->model;
	r->merge_degree = in->n_inputs;
	r->fuse_degree = in->n_outputs;
}

static void unstash(const struct bq_request *r, struct braid_request *in)
{
	*in = (struct braid_request){
		.user_data = r->user_data,
		.deadline_ns = r->deadline_ns,
		.priority = r->priority,
		.model = r->cookie,
		.n_inputs = r->merge_degree,
		.n_outputs = r->fuse_degree,
	};
}

/* One request and its slices; NULL with *@ret set. */
static struct bq_request *read_one(const struct braid_submit *s, u32 i, int *ret)
{
	struct braid_request in;
	struct braid_slice slice;
	struct bq_request *r;
	int n, k;

	*ret = braid_array_get(&s->requests, i, &in, sizeof(in));
	if (*ret)
		return NULL;
	n = bq_request_slots(&in, s->slices.count);
	if (n < 0) {
		*ret = n;
		return NULL;
	}
	r = braid_request_alloc(n);
	if (!r) {
		*ret = -ENOMEM;
		return NULL;
	}
	for (k = 0; k < n; k++) {
		*ret = braid_array_get(&s->slices, in.first_slice + k, &slice, sizeof(slice));
		if (*ret) {
			braid_request_free(r);
			return NULL;
		}
		r->slots[k].slice = slice;
	}
	stash(r, &in);
	return r;
}

/* All up to the first that is wrong, in order. Returns what is wrong with it. */
static int read_all(const struct braid_submit *s, struct bq_reap **list)
{
	struct bq_request *r;
	int ret = 0;
	u32 i;

	for (i = 0; i < s->requests.count; i++) {
		r = read_one(s, i, &ret);
		if (!r)
			break;
		*list = &r->reap;
		list = &r->reap.next;
	}
	*list = NULL;
	return ret;
}

/* A tenant's first use of a model needs memory: without the lock. */
static int add_flow(struct braid_tenant *t, u64 model)
{
	struct bq_flow *flow = kmalloc(sizeof(*flow), GFP_KERNEL_ACCOUNT);
	struct bq_share *share = kmalloc(sizeof(*share), GFP_KERNEL_ACCOUNT);
	struct braid_queue *q = t->queue;
	int ret = -ENOMEM;

	if (flow && share) {
		braid_queue_lock(q);
		bq_flow_add(&q->bq, &t->t, model, &flow, &share);
		/* Taking the lock may have ended what has expired. */
		braid_queue_unlock(q);
		ret = 0;
	}
	kfree(flow);
	kfree(share);
	return ret;
}

/* Under the lock, which is dropped for a moment if memory is needed. */
static int submit_one(struct braid_tenant *t, struct bq_request *r)
{
	struct braid_queue *q = t->queue;
	struct braid_request in;
	int ret;

	unstash(r, &in);
	while ((ret = bq_submit(&q->bq, &t->t, r, &in, q->now)) == BQ_NEED_FLOW) {
		braid_queue_unlock(q);
		ret = add_flow(t, in.model);
		braid_queue_lock(q);
		if (ret)
			break;
	}
	if (!ret)
		trace_braid_submit(q->index, r);
	return ret;
}

static int submit_all(struct braid_tenant *t, struct braid_submit *s, struct bq_reap **list)
{
	struct braid_queue *q = t->queue;
	struct bq_request *r;
	struct bq_reap *next;
	u32 work = 0;
	int ret = 0;

	/* Ids of one SUBMIT are consecutive, also if the lock is dropped. */
	mutex_lock(&t->submit_lock);
	braid_queue_lock(q);
	s->first_id = t->t.last_id + 1;
	for (; *list; *list = next) {
		next = (*list)->next;
		r = container_of(*list, struct bq_request, reap);
		/* What a request costs goes with its slots. */
		work += 1 + r->n_slots / 4;
		if (work > BRAID_AT_ONCE) {
			braid_queue_breathe(q);
			work = 0;
		}
		ret = submit_one(t, r);
		if (ret)
			break;
		s->accepted++;
	}
	braid_queue_unlock(q);
	mutex_unlock(&t->submit_lock);
	return ret;
}

int braid_submit(struct braid_call *call)
{
	struct braid_submit *s = &call->arg.submit;
	struct bq_reap *list = NULL, *next;
	int wrong, ret;

	s->first_id = 0;
	s->accepted = 0;
	s->error = 0;
	if (s->flags & ~BRAID_QUIET) {
		s->error = -EOPNOTSUPP;
		return s->error;
	}
	wrong = read_all(s, &list);
	ret = submit_all(call->tenant, s, &list);
	for (; list; list = next) {
		next = list->next;
		braid_request_free(container_of(list, struct bq_request, reap));
	}
	s->error = ret ? ret : wrong;
	return s->accepted ? 0 : s->error;
}
