// SPDX-License-Identifier: MIT
/*
 * The naive queue's fair share: who waits, the minima of virtual time, what a
 * request costs. See naive.h.
 */
#include "tests/core/naive.h"

bool nv_owner_waits(const struct naive *nv, u64 owner)
{
	const struct nv_request *r;

	NV_FOR_EACH(nv, request, r)
		if (r->owner == owner && r->state == NV_QUEUED)
			return true;
	return false;
}

bool nv_tenant_waits(const struct naive *nv, u64 tenant)
{
	const struct nv_request *r;

	NV_FOR_EACH(nv, request, r)
		if (r->tenant == tenant && r->state == NV_QUEUED)
			return true;
	return false;
}

/* The minima never fall: raise them to the least that waits. */
void nv_raise(struct naive *nv)
{
	struct nv_owner *o;
	struct nv_tenant *t;
	u64 least = ~0ULL;

	NV_FOR_EACH(nv, owner, o)
		if (nv_owner_waits(nv, o->key) && o->vtime < least)
			least = o->vtime;
	if (least != ~0ULL && least > nv->min_vtime)
		nv->min_vtime = least;
	NV_FOR_EACH(nv, owner, o) {
		least = ~0ULL;
		NV_FOR_EACH(nv, tenant, t)
			if (t->owner == o->key && nv_tenant_waits(nv, t->id) && t->vtime < least)
				least = t->vtime;
		if (least != ~0ULL && least > o->min_vtime)
			o->min_vtime = least;
	}
}

/* Owners of whom nothing is left and who are not ahead are forgotten. */
void nv_forget(struct naive *nv)
{
	const struct nv_request *r;
	struct nv_owner *o;
	u32 i, k, refs;

	for (i = 0; i < nv->n_owners; i++) {
		o = &nv->owner[i];
		refs = o->set;
		for (k = 0; k < nv->n_tenants; k++)
			refs += nv->tenant[k].owner == o->key;
		for (k = 0; k < nv->n_buffers; k++)
			refs += nv->buffer[k].owner == o->key;
		NV_FOR_EACH(nv, request, r)
			refs += r->owner == o->key && r->state == NV_FETCHED;
		if (refs || o->vtime > nv->min_vtime)
			continue;
		*o = nv->owner[--nv->n_owners];
		i--;
	}
}

void nv_pay(struct naive *nv, struct nv_request *r, u64 ns)
{
	struct nv_tenant *t = r->tenant ? nv_tenant(nv, r->tenant) : NULL;
	struct nv_owner *o = nv_owner(nv, r->owner);
	u64 cost;

	if (ns > 1ULL << 40)
		ns = 1ULL << 40;
	cost = ns * 100 / o->limits.weight;
	o->vtime = o->vtime - r->cost_owner + cost;
	if (t)
		t->vtime = t->vtime - r->cost_tenant + ns;
	r->cost_owner = cost;
	r->cost_tenant = ns;
	nv_raise(nv);
}
