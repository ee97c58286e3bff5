// SPDX-License-Identifier: MIT
/*
 * The naive queue's owners, tenants, buffers and models. See naive.h.
 */
#include <string.h>

#include "tests/core/naive.h"

/* Owners, tenants, buffers. */

static struct nv_owner *owner_make(struct naive *nv, u64 key)
{
	struct nv_owner *o = nv_owner(nv, key);

	if (o)
		return o;
	o = &nv->owner[nv->n_owners++];
	memset(o, 0, sizeof(*o));
	o->key = key;
	o->limits = nv->defaults;
	o->vtime = nv->min_vtime;
	return o;
}

int nv_owner_set(struct naive *nv, u64 key, const struct bq_owner_limits *limits)
{
	struct nv_owner *o = owner_make(nv, key);
	int ret = 0;

	if (!limits) {
		o->limits = nv->defaults;
		o->set = false;
	} else if (limits->priority_ceiling > 3) {
		ret = -EOPNOTSUPP;
	} else if (limits->weight < 1 || limits->weight > 1024) {
		ret = -EINVAL;
	} else {
		o->limits = *limits;
		o->set = true;
	}
	nv_forget(nv);
	return ret;
}

u64 nv_tenant_add(struct naive *nv, u64 owner)
{
	struct nv_owner *o = owner_make(nv, owner);
	struct nv_tenant *t = &nv->tenant[nv->n_tenants++];

	memset(t, 0, sizeof(*t));
	t->id = ++nv->last_tenant;
	t->owner = owner;
	t->vtime = o->min_vtime;
	return t->id;
}

void nv_tenant_gone(struct naive *nv, u64 id)
{
	struct nv_request *r;
	struct nv_buffer *b;
	bool again = true;
	u64 bid;

	while (again) {
		struct nv_request *first = NULL;

		NV_FOR_EACH(nv, request, r)
			if (r->tenant == id && (!first || r->id < first->id))
				first = r;
		again = first;
		if (!first)
			break;
		if (first->state == NV_FETCHED)
			first->tenant = 0;
		else if (first->state == NV_DONE)
			nv_request_remove(nv, first);
		else
			nv_drop(nv, first);
	}
	for (bid = 1; bid <= nv->last_buffer; bid++) {
		b = nv_buffer(nv, bid);
		if (!b || b->tenant != id || b->gone)
			continue;
		b->gone = true;
		b->retired = true;
		nv_buffer_settle(nv, b);
	}
	*nv_tenant(nv, id) = nv->tenant[nv->n_tenants - 1];
	nv->n_tenants--;
	nv_raise(nv);
	nv_forget(nv);
}

int nv_buffer_add(struct naive *nv, u64 tenant, u64 length, u64 *id)
{
	u64 owner = nv_tenant(nv, tenant)->owner;
	u64 pages = length / 4096 + !!(length % 4096);
	struct nv_buffer *b;

	if (!length)
		return -EINVAL;
	if (pages > ~0ULL / 4096)
		return -EOVERFLOW;
	if ((__uint128_t)pages * 4096 + nv_owner_bytes(nv, owner) >
	    nv_owner(nv, owner)->limits.byte_quota)
		return -EDQUOT;
	b = &nv->buffer[nv->n_buffers++];
	memset(b, 0, sizeof(*b));
	b->id = ++nv->last_buffer;
	b->tenant = tenant;
	b->owner = owner;
	b->length = pages * 4096;
	*id = b->id;
	return 0;
}

int nv_buffer_free(struct naive *nv, u64 tenant, u64 id)
{
	struct nv_buffer *b = nv_buffer(nv, id);

	if (!b || b->tenant != tenant || b->retired)
		return -ENOENT;
	b->retired = true;
	nv_buffer_settle(nv, b);
	nv_forget(nv);
	return 0;
}

int nv_buffer_put(struct naive *nv, u64 id)
{
	struct nv_buffer *b = nv_buffer(nv, id);

	if (!nv->ready)
		return -ENODEV;
	if (!b || !b->known)
		return -ENOENT;
	if (!b->told)
		return -EBUSY;
	nv_buffer_remove(nv, b);
	nv_forget(nv);
	return 0;
}

/* Models. */

int nv_model_put(struct naive *nv, const struct bq_model *def, u64 *id)
{
	u32 n = def->n_inputs + def->n_outputs;
	struct nv_model *m;

	if (!nv->attached)
		return -ENODEV;
	NV_FOR_EACH(nv, model, m) {
		if (m->drained || strcmp(m->def.name, def->name) ||
		    memcmp(m->def.digest, def->digest, sizeof(def->digest)))
			continue;
		if (m->def.n_inputs != def->n_inputs || m->def.n_outputs != def->n_outputs ||
		    memcmp(m->tensors, def->tensors, n * sizeof(*m->tensors)))
			return -EINVAL;
		m->def.device_ns = def->device_ns;
		m->agent = nv->agent;
		if (m->deleting)
			m->newest = ++nv->last_newest;
		m->deleting = false;
		*id = m->id;
		return 0;
	}
	m = &nv->model[nv->n_models++];
	memset(m, 0, sizeof(*m));
	m->def = *def;
	memcpy(m->tensors, def->tensors, n * sizeof(*m->tensors));
	m->id = ++nv->last_model;
	m->newest = ++nv->last_newest;
	m->agent = nv->agent;
	*id = m->id;
	return 0;
}

u64 nv_model_by_name(struct naive *nv, const char *name)
{
	struct nv_model *m, *best = NULL;

	NV_FOR_EACH(nv, model, m)
		if (!m->deleting && !strcmp(m->def.name, name) &&
		    (!best || m->newest > best->newest))
			best = m;
	return best ? best->id : 0;
}

void nv_end_waiting(struct naive *nv, u64 model, u64 now)
{
	struct nv_request *r, *first;

	do {
		first = NULL;
		NV_FOR_EACH(nv, request, r)
			if (r->model == model && r->state == NV_QUEUED &&
			    (!first || r->seq < first->seq))
				first = r;
		if (first)
			nv_complete(nv, first, -ENOENT, &nv->count.withdrawn, now);
	} while (first);
	do {
		first = NULL;
		NV_FOR_EACH(nv, request, r)
			if (r->model == model && r->state == NV_SUSPECT &&
			    (!first || r->rank < first->rank))
				first = r;
		if (first && nv->held) {
			first->state = NV_ENDING;
			first->status = -ENOENT;
			first->rank = ++nv->last_rank;
		} else if (first) {
			nv_complete(nv, first, -ENOENT, &nv->count.withdrawn, now);
		}
	} while (first);
}

int nv_model_del(struct naive *nv, u64 id, bool end_queued, u64 now)
{
	struct nv_model *m;

	if (!nv->attached)
		return -ENODEV;
	nv_expire(nv, now);
	m = nv_model(nv, id);
	if (!m)
		return -ENOENT;
	m->deleting = true;
	if (end_queued)
		nv_end_waiting(nv, id, now);
	nv_model_settle(nv, id);
	nv_forget(nv);
	return 0;
}
