// SPDX-License-Identifier: MIT
/*
 * The naive queue: what the rules say, by exhaustive search. See naive.h.
 */
#include <string.h>

#include "tests/core/naive.h"

void nv_init(struct naive *nv)
{
	static const u32 knobs[BQ_KNOBS] = {
		[BQ_WINDOW_MAX] = 32,
		[BQ_WINDOW_TIMEOUT_US] = 1000,
		[BQ_WINDOW_POLICY] = BRAID_WINDOW_ADAPTIVE,
		[BQ_FUSION_POLICY] = BRAID_FUSION_MERGE_FUSE,
		[BQ_TENANT_DEPTH] = 256,
		[BQ_MAX_ATTEMPTS] = 3,
		[BQ_SHARE_BY] = BQ_SHARE_UID,
		[BQ_MAX_REQUESTS] = 65536,
		[BQ_GRACE_MS] = 2000,
	};

	memset(nv, 0, sizeof(*nv));
	memcpy(nv->knobs, knobs, sizeof(knobs));
	nv->defaults.weight = 100;
	nv->defaults.priority_ceiling = BRAID_PRIORITY_NORMAL;
	nv->defaults.request_quota = 8192;
	nv->defaults.byte_quota = 1 << 30;
	nv->last_rank = 1ULL << 32;
}

bool nv_full(const struct naive *nv)
{
	return nv->n_requests + 2 > NV_REQUESTS || nv->n_tenants + 2 > NV_TENANTS ||
	       nv->n_models + 2 > NV_MODELS || nv->n_buffers + 2 > NV_BUFFERS;
}

int nv_knob_set(struct naive *nv, enum bq_knob knob, u32 value)
{
	static const struct { u32 min, max; } range[] = {
		[BQ_WINDOW_MAX] = { 1, 256 },
		[BQ_WINDOW_TIMEOUT_US] = { 0, 10000000 },
		[BQ_TENANT_DEPTH] = { 1, 65536 },
		[BQ_MAX_ATTEMPTS] = { 1, 100 },
		[BQ_MAX_REQUESTS] = { 1, 1 << 24 },
		[BQ_GRACE_MS] = { 0, 600000 },
	};
	struct nv_owner *o;

	if (knob >= BQ_KNOBS)
		return -EINVAL;
	if ((knob == BQ_WINDOW_POLICY && value > 1) || (knob == BQ_SHARE_BY && value > 1) ||
	    (knob == BQ_FUSION_POLICY && value > 5))
		return -EOPNOTSUPP;
	if (knob != BQ_WINDOW_POLICY && knob != BQ_SHARE_BY && knob != BQ_FUSION_POLICY &&
	    (value < range[knob].min || value > range[knob].max))
		return -EINVAL;
	if (knob == BQ_SHARE_BY && nv->knobs[knob] != value) {
		NV_FOR_EACH(nv, owner, o) {
			o->limits = o->set ? nv->defaults : o->limits;
			o->set = false;
		}
		nv_forget(nv);
	}
	if (knob == BQ_FUSION_POLICY && nv->ready && nv->knobs[knob] != value)
		nv->policy = true;
	nv->knobs[knob] = value;
	return 0;
}

struct nv_owner *nv_owner(struct naive *nv, u64 key)
{
	struct nv_owner *o;

	NV_FOR_EACH(nv, owner, o)
		if (o->key == key)
			return o;
	return NULL;
}

struct nv_tenant *nv_tenant(struct naive *nv, u64 id)
{
	struct nv_tenant *t;

	NV_FOR_EACH(nv, tenant, t)
		if (t->id == id)
			return t;
	return NULL;
}

struct nv_model *nv_model(struct naive *nv, u64 id)
{
	struct nv_model *m;

	NV_FOR_EACH(nv, model, m)
		if (m->id == id && !m->drained)
			return m;
	return NULL;
}

struct nv_buffer *nv_buffer(struct naive *nv, u64 id)
{
	struct nv_buffer *b;

	NV_FOR_EACH(nv, buffer, b)
		if (b->id == id)
			return b;
	return NULL;
}

u32 nv_outstanding(const struct naive *nv, u64 tenant)
{
	const struct nv_request *r;
	u32 n = 0;

	NV_FOR_EACH(nv, request, r)
		n += r->tenant == tenant;
	return n;
}

/* Those that have not ended, and of each tenant's unread ones all but one. */
u32 nv_owner_requests(const struct naive *nv, u64 owner)
{
	const struct nv_request *r;
	const struct nv_tenant *t;
	u32 n = 0, unread;

	NV_FOR_EACH(nv, request, r)
		n += r->owner == owner && r->state != NV_DONE;
	NV_FOR_EACH(nv, tenant, t) {
		unread = 0;
		NV_FOR_EACH(nv, request, r)
			unread += r->tenant == t->id && r->state == NV_DONE;
		if (t->owner == owner && unread)
			n += unread - 1;
	}
	return n;
}

u64 nv_owner_bytes(const struct naive *nv, u64 owner)
{
	const struct nv_buffer *b;
	u64 n = 0;

	NV_FOR_EACH(nv, buffer, b)
		if (b->owner == owner)
			n += b->length;
	return n;
}

u32 nv_count(const struct naive *nv, u64 model, enum nv_state state)
{
	const struct nv_request *r;
	u32 n = 0;

	NV_FOR_EACH(nv, request, r)
		n += (!model || r->model == model) && r->state == state;
	return n;
}

/* The end of things. */

void nv_buffer_remove(struct naive *nv, struct nv_buffer *b)
{
	*b = nv->buffer[--nv->n_buffers];
}

void nv_buffer_settle(struct naive *nv, struct nv_buffer *b)
{
	if (!b->retired || b->refs || b->unused_at)
		return;
	if (b->known)
		b->unused_at = ++nv->last_unused;
	else
		nv_buffer_remove(nv, b);
}

void nv_model_settle(struct naive *nv, u64 id)
{
	struct nv_model *m = nv_model(nv, id);
	const struct nv_request *r;

	if (!m || !m->deleting)
		return;
	NV_FOR_EACH(nv, request, r)
		if (r->model == id && r->state != NV_DONE)
			return;
	if (nv->attached && m->agent == nv->agent) {
		m->drained = true;
		m->drained_at = ++nv->last_unused;
	} else {
		*m = nv->model[--nv->n_models];
	}
}

void nv_request_remove(struct naive *nv, struct nv_request *r)
{
	*r = nv->request[--nv->n_requests];
}

void nv_drop(struct naive *nv, struct nv_request *r)
{
	struct nv_request dead = *r;
	struct nv_buffer *b;
	u32 i;

	nv_request_remove(nv, r);
	nv->count.dropped++;
	for (i = 0; i < dead.n_slots; i++) {
		b = nv_buffer(nv, dead.slots[i].buffer);
		b->refs--;
		nv_buffer_settle(nv, b);
	}
	nv_model_settle(nv, dead.model);
	nv_raise(nv);
}

void nv_complete(struct naive *nv, struct nv_request *r, s32 status, u64 *counter, u64 now)
{
	struct nv_buffer *b;
	u32 i;

	if (!r->tenant) {
		nv_drop(nv, r);
		return;
	}
	r->state = NV_DONE;
	r->status = status;
	r->done = now;
	r->rank = ++nv->last_rank;
	nv->count.completed++;
	(*counter)++;
	for (i = 0; i < r->n_slots; i++) {
		b = nv_buffer(nv, r->slots[i].buffer);
		b->refs--;
		nv_buffer_settle(nv, b);
	}
	nv_model_settle(nv, r->model);
	nv_raise(nv);
}

/* The request of a state with the least rank, or NULL. */
static struct nv_request *least_rank(struct naive *nv, enum nv_state state)
{
	struct nv_request *r, *best = NULL;

	NV_FOR_EACH(nv, request, r)
		if (r->state == state && (!best || r->rank < best->rank))
			best = r;
	return best;
}

static void lift(struct naive *nv, u64 now)
{
	struct nv_request *r;
	u64 *counter;

	nv->held = false;
	while ((r = least_rank(nv, NV_ENDING))) {
		counter = r->status == -ECANCELED ? &nv->count.cancelled :
			  r->status == -EIO ? &nv->count.killed : &nv->count.withdrawn;
		nv_complete(nv, r, r->status, counter, now);
	}
}

static struct nv_request *first_expired(struct naive *nv, enum nv_state state, u64 now)
{
	struct nv_request *r, *best = NULL;

	NV_FOR_EACH(nv, request, r) {
		if (r->state != state || !r->deadline || r->deadline > now)
			continue;
		if (!best || r->deadline < best->deadline ||
		    (r->deadline == best->deadline &&
		     (state == NV_QUEUED ? r->seq < best->seq : r->rank < best->rank)))
			best = r;
	}
	return best;
}

void nv_expire(struct naive *nv, u64 now)
{
	struct nv_request *r;

	if (nv->held && now >= nv->hold_until)
		lift(nv, now);
	while ((r = first_expired(nv, NV_QUEUED, now)))
		nv_complete(nv, r, -ETIME, &nv->count.expired, now);
	while (!nv->held && (r = first_expired(nv, NV_SUSPECT, now)))
		nv_complete(nv, r, -ETIME, &nv->count.expired, now);
	nv_forget(nv);
}

u64 nv_next_event(const struct naive *nv)
{
	const struct nv_request *r;
	u64 best = BQ_NEVER, at;

	NV_FOR_EACH(nv, request, r) {
		if (r->state == NV_ENDING)
			at = nv->hold_until;
		else if (r->state == NV_QUEUED && r->deadline)
			at = r->deadline;
		else if (r->state == NV_SUSPECT && r->deadline)
			at = nv->held && r->deadline < nv->hold_until ? nv->hold_until
								     : r->deadline;
		else
			continue;
		if (at < best)
			best = at;
	}
	return best;
}

/* Requests. */

static int check_slices(struct naive *nv, u64 tenant, const struct nv_model *m,
			const struct braid_slice *s, u32 n)
{
	struct nv_buffer *b;
	u32 i, j;
	u64 k;

	for (i = 0; i < n; i++) {
		b = nv_buffer(nv, s[i].buffer);
		if (!b || b->tenant != tenant || b->retired)
			return -ENOENT;
		if (s[i].offset & 63 || s[i].length != m->tensors[i].bytes)
			return -EINVAL;
		if ((__uint128_t)s[i].offset + s[i].length > b->length)
			return -EOVERFLOW;
	}
	/* Every 64 bytes of every output, against all that are not it. */
	for (i = m->def.n_inputs; i < n; i++)
		for (k = s[i].offset; k < s[i].offset + s[i].length; k++)
			for (j = 0; j < n; j++)
				if (j != i && s[j].buffer == s[i].buffer &&
				    k >= s[j].offset && k < s[j].offset + s[j].length)
					return -EINVAL;
	return 0;
}

int nv_submit(struct naive *nv, u64 tenant, const struct braid_request *in,
	      const struct braid_slice *slices, u32 n, u64 now, u64 *id)
{
	struct nv_tenant *t = nv_tenant(nv, tenant);
	struct nv_request *r;
	struct nv_owner *o;
	struct nv_model *m;
	u32 i, total = 0, most;
	int ret;

	if (in->reserved)
		return -E2BIG;
	if (in->flags || in->priority > 3)
		return -EOPNOTSUPP;
	nv_expire(nv, now);
	o = nv_owner(nv, t->owner);
	m = nv_model(nv, in->model);
	if (!m || m->deleting)
		return -ENOENT;
	if (in->n_inputs != m->def.n_inputs || in->n_outputs != m->def.n_outputs)
		return -EINVAL;
	ret = check_slices(nv, tenant, m, slices, n);
	if (ret)
		return ret;
	if (nv_outstanding(nv, tenant) >= nv->knobs[BQ_TENANT_DEPTH])
		return -EAGAIN;
	if (nv_owner_requests(nv, o->key) >= o->limits.request_quota)
		return -EDQUOT;
	NV_FOR_EACH(nv, request, r)
		total += r->state != NV_DONE;
	most = nv->knobs[BQ_MAX_REQUESTS];
	if (nv_owner_requests(nv, o->key))
		most -= most / 4;
	if (total >= most)
		return -EAGAIN;

	nv_begin(nv, o, t, in->priority < o->limits.priority_ceiling ? in->priority
								       : o->limits.priority_ceiling);
	r = &nv->request[nv->n_requests++];
	memset(r, 0, sizeof(*r));
	r->state = NV_QUEUED;
	r->tenant = tenant;
	r->owner = o->key;
	r->model = m->id;
	r->id = ++t->last_id;
	r->user_data = in->user_data;
	r->deadline = in->deadline_ns;
	r->enqueue = now;
	r->seq = ++nv->last_seq;
	r->priority = in->priority < o->limits.priority_ceiling ? in->priority
								: o->limits.priority_ceiling;
	r->n_slots = n;
	for (i = 0; i < n; i++) {
		r->slots[i] = slices[i];
		nv_buffer(nv, slices[i].buffer)->refs++;
	}
	nv->count.submitted++;
	*id = r->id;
	nv_raise(nv);
	nv_forget(nv);
	return 0;
}

int nv_cancel(struct naive *nv, u64 tenant, u64 id, u64 now)
{
	struct nv_request *r;

	nv_expire(nv, now);
	NV_FOR_EACH(nv, request, r)
		if (r->tenant == tenant && r->id == id && r->state != NV_DONE)
			break;
	if (r == nv->request + nv->n_requests)
		return -ENOENT;
	r->cancelled = true;
	if (r->state == NV_FETCHED)
		return BRAID_CANCEL_LATER;
	if (r->state == NV_ENDING) {
		r->status = -ECANCELED;
		return BRAID_CANCEL_LATER;
	}
	if (r->state == NV_SUSPECT && nv->held) {
		r->state = NV_ENDING;
		r->status = -ECANCELED;
		r->rank = ++nv->last_rank;
		return BRAID_CANCEL_LATER;
	}
	nv_complete(nv, r, -ECANCELED, &nv->count.cancelled, now);
	nv_forget(nv);
	return BRAID_CANCEL_DONE;
}

/* Completions. */

static struct nv_request *oldest_done(struct naive *nv, u64 tenant, bool sent)
{
	struct nv_request *r, *best = NULL;

	NV_FOR_EACH(nv, request, r)
		if (r->tenant == tenant && r->state == NV_DONE && r->sent == sent &&
		    (!best || r->rank < best->rank))
			best = r;
	return best;
}

bool nv_peek(struct naive *nv, u64 tenant, struct braid_completion *out)
{
	struct nv_request *r = oldest_done(nv, tenant, false);

	if (!r)
		return false;
	*out = (struct braid_completion){
		.size = sizeof(*out), .status = r->status, .user_data = r->user_data,
		.id = r->id, .window = r->window, .enqueue_ns = r->enqueue,
		.fetch_ns = r->fetch, .done_ns = r->done, .device_ns = r->device,
		.attempt = r->attempt, .merge_degree = r->merge, .fuse_degree = r->fuse,
	};
	return true;
}

void nv_pop(struct naive *nv, u64 tenant)
{
	struct nv_request *r = oldest_done(nv, tenant, false);

	if (r)
		nv_request_remove(nv, r);
}

void nv_sent(struct naive *nv, u64 tenant)
{
	struct nv_request *r = oldest_done(nv, tenant, false);

	if (!r)
		return;
	r->sent = true;
	nv_tenant(nv, tenant)->sent++;
}

int nv_seen(struct naive *nv, u64 tenant, u64 total)
{
	struct nv_tenant *t = nv_tenant(nv, tenant);

	if (total < t->seen || total > t->sent)
		return -EINVAL;
	for (; t->seen < total; t->seen++)
		nv_request_remove(nv, oldest_done(nv, tenant, true));
	return 0;
}

/* The agent. */

int nv_attach(struct naive *nv)
{
	if (nv->attached)
		return -EBUSY;
	nv->attached = true;
	nv->agent++;
	return 0;
}

int nv_ready(struct naive *nv, u64 now)
{
	struct nv_model *m;
	u64 id;

	if (!nv->attached)
		return -ENODEV;
	if (nv->ready)
		return -EINVAL;
	nv->ready = true;
	nv->policy = false;
	nv->generation++;
	lift(nv, now);
	nv_expire(nv, now);
	for (id = 1; id <= nv->last_model; id++) {
		m = nv_model(nv, id);
		if (!m || m->agent == nv->agent)
			continue;
		m->deleting = true;
		nv_end_waiting(nv, id, now);
		nv_model_settle(nv, id);
	}
	nv_forget(nv);
	return 0;
}

static struct nv_request *first_fetched(struct naive *nv)
{
	struct nv_request *r, *first = NULL;

	NV_FOR_EACH(nv, request, r)
		if (r->state == NV_FETCHED && (!first || r->cookie < first->cookie))
			first = r;
	return first;
}

void nv_gone(struct naive *nv, u64 now)
{
	struct nv_request *r;
	struct nv_buffer *b;
	struct nv_model *m;
	u64 base = 0;

	if (!nv->attached)
		return;
	nv_expire(nv, now);
	nv->attached = false;
	for (m = nv->model; m < nv->model + nv->n_models; m++)
		if (m->drained)
			*m-- = nv->model[--nv->n_models];
	if (!nv->ready)
		return;
	nv->ready = false;
	nv->policy = false;
	nv->held = true;
	nv->hold_until = now + nv->knobs[BQ_GRACE_MS] * 1000000ULL;

	/* All older suspects move back, to make room for the batch in front. */
	NV_FOR_EACH(nv, request, r)
		if (r->state == NV_SUSPECT && r->kills < 2)
			r->rank += 1 << 20;
	while ((r = first_fetched(nv))) {
		nv_pay(nv, r, 0);
		if (!r->tenant) {
			nv_drop(nv, r);
			continue;
		}
		nv->count.requeued++;
		r->attempt++;
		r->kills += r->alone;
		r->alone = false;
		r->state = NV_SUSPECT;
		r->rank = ++base;
		if (r->cancelled || r->kills >= nv->knobs[BQ_MAX_ATTEMPTS]) {
			r->state = NV_ENDING;
			r->status = r->cancelled ? -ECANCELED : -EIO;
		} else if (r->kills > 1) {
			r->rank = (1ULL << 60) + ++nv->killers;
		}
	}
	for (b = nv->buffer; b < nv->buffer + nv->n_buffers; b++) {
		b->known = false;
		b->told = false;
		b->unused_at = 0;
		if (b->retired && !b->refs) {
			nv_buffer_remove(nv, b);
			b--;
		}
	}
	nv_expire(nv, now);
}
