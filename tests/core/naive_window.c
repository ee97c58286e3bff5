// SPDX-License-Identifier: MIT
/*
 * The naive queue's windows: when one closes, what is in it, what the agent is
 * told, and what comes back. See naive.h.
 */
#include <string.h>

#include "tests/core/naive.h"

/* How many more of @model a FETCH may take, having taken @taken. */
static u32 credit(const struct naive *nv, const struct braid_want *wants, u32 n,
		  u64 model, const u32 *taken)
{
	u32 i;

	for (i = 0; i < n; i++)
		if (wants[i].model == model) {
			if (nv->knobs[BQ_WINDOW_POLICY] == BRAID_WINDOW_FIXED)
				return 1000;
			return wants[i].count > taken[i] ? wants[i].count - taken[i] : 0;
		}
	return 0;
}

static int check_wants(struct naive *nv, const struct braid_want *wants, u32 n)
{
	u32 i, j;

	if (!nv->ready)
		return -ENODEV;
	for (i = 0; i < n; i++)
		for (j = 0; j < i; j++)
			if (wants[i].model == wants[j].model && nv_model(nv, wants[i].model))
				return -EINVAL;
	return 0;
}

static struct nv_request *wanted_suspect(struct naive *nv, const struct braid_want *wants, u32 n)
{
	struct nv_request *r, *best = NULL;
	u32 none[16] = { 0 };

	NV_FOR_EACH(nv, request, r)
		if (r->state == NV_SUSPECT && credit(nv, wants, n, r->model, none) &&
		    (!best || r->rank < best->rank))
			best = r;
	return best;
}

static void look(struct naive *nv, const struct braid_want *wants, u32 n, u64 now,
		 struct bq_look *out)
{
	u64 total = 0, old = BQ_NEVER, late = BQ_NEVER, first, est, at;
	u32 none[16] = { 0 }, i, here, may;
	const struct nv_request *r;

	out->reason = BRAID_CLOSE_NONE;
	out->when = BQ_NEVER;
	NV_FOR_EACH(nv, request, r)
		if (r->state == NV_FETCHED && r->alone)
			return;
	if (wanted_suspect(nv, wants, n)) {
		if (!nv_count(nv, 0, NV_FETCHED))
			out->reason = BRAID_CLOSE_SUSPECT;
		return;
	}
	for (i = 0; i < n; i++) {
		may = credit(nv, wants, n, wants[i].model, none);
		if (!may || !nv_model(nv, wants[i].model))
			continue;
		est = nv_model(nv, wants[i].model)->def.device_ns + BQ_DEADLINE_SLACK_NS;
		here = nv_count(nv, wants[i].model, NV_QUEUED);
		total += here < may ? here : may;
		first = ~0ULL;
		NV_FOR_EACH(nv, request, r) {
			if (r->state != NV_QUEUED || r->model != wants[i].model)
				continue;
			if (r->seq < first) {
				first = r->seq;
				at = r->enqueue + nv->knobs[BQ_WINDOW_TIMEOUT_US] * 1000ULL;
				if (at < old)
					old = at;
			}
			if (!r->deadline)
				continue;
			at = r->deadline > est ? r->deadline - est : 0;
			if (at < late)
				late = at;
		}
	}
	if (!total)
		return;
	if (total >= nv->knobs[BQ_WINDOW_MAX])
		out->reason = BRAID_CLOSE_FULL;
	else if (now >= old)
		out->reason = BRAID_CLOSE_AGE;
	else if (now >= late)
		out->reason = BRAID_CLOSE_DEADLINE;
	else if (nv->knobs[BQ_WINDOW_POLICY] == BRAID_WINDOW_ADAPTIVE)
		out->reason = BRAID_CLOSE_IDLE;
	else
		out->when = old < late ? old : late;
}

static bool untold(struct naive *nv)
{
	struct nv_buffer *b;
	struct nv_model *m;

	NV_FOR_EACH(nv, buffer, b)
		if (!b->known || (b->unused_at && !b->told))
			return true;
	NV_FOR_EACH(nv, model, m)
		if (m->drained)
			return true;
	return nv->policy;
}

int nv_window(struct naive *nv, const struct braid_want *wants, u32 n, u64 now,
	      struct bq_look *out)
{
	int ret;

	nv_expire(nv, now);
	ret = check_wants(nv, wants, n);
	if (ret)
		return ret;
	look(nv, wants, n, now, out);
	out->events = untold(nv);
	return 0;
}

/* Does @a come before @b? */
static bool precedes(struct naive *nv, const struct nv_request *a, const struct nv_request *b)
{
	const struct nv_owner *oa = nv_owner(nv, a->owner), *ob = nv_owner(nv, b->owner);
	const struct nv_tenant *ta = nv_tenant(nv, a->tenant), *tb = nv_tenant(nv, b->tenant);

	if (a->priority != b->priority)
		return a->priority > b->priority;
	if (oa->vtime != ob->vtime)
		return oa->vtime < ob->vtime;
	if (oa != ob)
		return oa->key < ob->key;
	if (ta->vtime != tb->vtime)
		return ta->vtime < tb->vtime;
	if (ta != tb)
		return ta->id < tb->id;
	if (a->deadline != b->deadline)
		return b->deadline == 0 || (a->deadline && a->deadline < b->deadline);
	return a->seq < b->seq;
}

static bool event(struct bq_fetch *f, u32 most, u32 type, u64 id, u64 length, u64 tenant)
{
	struct braid_event e = { type, 0, id, length, tenant };

	if (f->n_events >= most)
		return false;
	f->events[f->n_events++] = e;
	return true;
}

/* The buffers of @r, in three quarters of the room. Returns whether all are known. */
static bool tell_slots(struct naive *nv, const struct nv_request *r, struct bq_fetch *f)
{
	struct nv_buffer *b;
	u32 i;

	for (i = 0; i < r->n_slots; i++) {
		b = nv_buffer(nv, r->slots[i].buffer);
		if (!b->known && !event(f, f->max_events - f->max_events / 4,
					BRAID_EVENT_BUF_NEW, b->id, b->length, b->tenant))
			return false;
		b->known = true;
	}
	return true;
}

/* The rest, in all the room that is left, beside jobs in a quarter of all. */
static void tell(struct naive *nv, struct bq_fetch *f)
{
	u32 most = f->n_events + (f->max_events + 3) / 4;
	struct nv_buffer *b, *next;
	struct nv_model *m, *drained;

	if (!f->n_jobs || most > f->max_events)
		most = f->max_events;
	for (;;) {
		next = NULL;
		NV_FOR_EACH(nv, buffer, b)
			if (b->unused_at && !b->told &&
			    (!next || b->unused_at < next->unused_at))
				next = b;
		if (!next || !event(f, most, BRAID_EVENT_BUF_RETIRED, next->id, next->length,
				    next->tenant))
			break;
		next->told = true;
	}
	for (;;) {
		drained = NULL;
		NV_FOR_EACH(nv, model, m)
			if (m->drained && (!drained || m->drained_at < drained->drained_at))
				drained = m;
		if (!drained || !event(f, most, BRAID_EVENT_MODEL_DRAINED, drained->id, 0, 0))
			break;
		*drained = nv->model[--nv->n_models];
	}
	for (;;) {
		next = NULL;
		NV_FOR_EACH(nv, buffer, b)
			if (!b->known && (!next || b->id < next->id))
				next = b;
		if (!next || !event(f, most, BRAID_EVENT_BUF_NEW, next->id, next->length,
				    next->tenant))
			break;
		next->known = true;
	}
}

/* May @r be handed out? The first job opens the window. */
static bool may_go(struct naive *nv, const struct nv_request *r, struct bq_fetch *f, u32 reason)
{
	if (!tell_slots(nv, r, f))
		return false;
	if (f->n_jobs)
		return true;
	f->reason = reason;
	f->window = ++nv->last_window;
	nv->count.windows++;
	nv->count.closes[reason]++;
	return true;
}

static void hand_out(struct naive *nv, struct nv_request *r, struct bq_fetch *f, u64 now)
{
	struct braid_job *j = &f->jobs[f->n_jobs++];
	struct nv_model *m = nv_model(nv, r->model);
	u32 i;

	if (r->state == NV_QUEUED)
		nv_serve(nv, r);
	nv_pay(nv, r, m->def.device_ns);
	r->alone = r->state == NV_SUSPECT;
	r->state = NV_FETCHED;
	r->cookie = ++nv->last_cookie;
	r->window = nv->last_window;
	r->fetch = now;
	nv->count.fetched++;
	*j = (struct braid_job){
		.cookie = r->cookie, .model = r->model, .tenant = r->tenant,
		.owner = r->owner, .enqueue_ns = r->enqueue, .deadline_ns = r->deadline,
		.id = r->id, .priority = r->priority, .attempt = r->attempt,
		.first_slice = f->n_slices, .n_inputs = m->def.n_inputs,
		.n_outputs = m->def.n_outputs, .flags = r->alone,
	};
	for (i = 0; i < r->n_slots; i++)
		f->slices[f->n_slices++] = r->slots[i];
	nv_raise(nv);
}

int nv_fetch(struct naive *nv, struct bq_fetch *f, u64 now)
{
	struct bq_look l = { 0 };
	struct nv_request *r, *best;
	u32 taken[16] = { 0 }, i;
	struct nv_model *m;
	int ret;

	f->n_jobs = 0;
	f->n_slices = 0;
	f->n_events = 0;
	f->window = 0;
	f->reason = BRAID_CLOSE_NONE;
	nv_expire(nv, now);
	ret = check_wants(nv, f->wants, f->n_wants);
	if (ret)
		return ret;
	if (!f->max_events || (f->n_wants && !f->max_jobs))
		return -EINVAL;
	for (i = 0; i < f->n_wants; i++) {
		m = nv_model(nv, f->wants[i].model);
		if (m && m->def.n_inputs + m->def.n_outputs > f->max_slices)
			return -EINVAL;
	}
	if (nv->policy &&
	    event(f, f->max_events, BRAID_EVENT_POLICY, nv->knobs[BQ_FUSION_POLICY], 0, 0))
		nv->policy = false;
	look(nv, f->wants, f->n_wants, now, &l);
	if (l.reason == BRAID_CLOSE_SUSPECT) {
		best = wanted_suspect(nv, f->wants, f->n_wants);
		if (may_go(nv, best, f, l.reason))
			hand_out(nv, best, f, now);
		l.reason = BRAID_CLOSE_NONE;
	}
	while (l.reason && f->n_jobs < f->max_jobs && f->n_jobs < nv->knobs[BQ_WINDOW_MAX]) {
		best = NULL;
		NV_FOR_EACH(nv, request, r)
			if (r->state == NV_QUEUED &&
			    credit(nv, f->wants, f->n_wants, r->model, taken) &&
			    (!best || precedes(nv, r, best)))
				best = r;
		if (!best || f->n_slices + best->n_slots > f->max_slices ||
		    !may_go(nv, best, f, l.reason))
			break;
		for (i = 0; i < f->n_wants; i++)
			taken[i] += f->wants[i].model == best->model;
		hand_out(nv, best, f, now);
	}
	tell(nv, f);
	if (!f->n_jobs && !f->n_events)
		return -EAGAIN;
	f->generation = nv->generation;
	f->fusion_policy = nv->knobs[BQ_FUSION_POLICY];
	f->queued = 0;
	NV_FOR_EACH(nv, request, r)
		f->queued += r->state == NV_QUEUED;
	nv_forget(nv);
	return 0;
}

int nv_commit(struct naive *nv, const struct braid_result *res, u64 now)
{
	struct nv_request *r;
	u64 *counter;

	nv_expire(nv, now);
	NV_FOR_EACH(nv, request, r)
		if (r->state == NV_FETCHED && r->cookie == res->cookie)
			break;
	if (r == nv->request + nv->n_requests)
		return -ENOENT;
	if (res->status > 0 || res->status < -4095)
		return -EINVAL;
	r->device = res->device_ns;
	r->merge = res->merge_degree;
	r->fuse = res->fuse_degree;
	nv->count.committed++;
	nv->count.merged += r->merge > 1;
	nv->count.fused += r->fuse > 1;
	nv->count.merge_sum += r->merge;
	nv->count.fuse_sum += r->fuse;
	nv->count.device_ns += r->device;
	nv_pay(nv, r, res->device_ns);
	counter = r->cancelled ? &nv->count.cancelled :
		  res->status == -EIO && r->alone ? &nv->count.killed :
		  res->status ? &nv->count.failed : &nv->count.done;
	nv_complete(nv, r, r->cancelled ? -ECANCELED : res->status, counter, now);
	nv_forget(nv);
	return 0;
}
