// SPDX-License-Identifier: MIT
/*
 * The naive queue's fair share: who waits, the minima of virtual time, what a
 * request costs. See naive.h.
 */
#include "tests/core/naive.h"

/* Highest class in which the owner, or only the tenant, waits; -1 for none. */
static int highest(const struct naive *nv, u64 owner, u64 tenant)
{
	const struct nv_request *r;
	int best = -1;

	NV_FOR_EACH(nv, request, r)
		if (r->owner == owner && (!tenant || r->tenant == tenant) &&
		    r->state == NV_QUEUED && (int)r->priority > best)
			best = r->priority;
	return best;
}

static void at_least(u64 *v, u64 least)
{
	if (*v < least)
		*v = least;
}

/* Somebody gets a request of this class. */
void nv_begin(struct naive *nv, struct nv_owner *o, struct nv_tenant *t, u32 class)
{
	int top = highest(nv, o->key, 0);

	if (top < (int)class)
		at_least(&o->vtime, nv->clock[class]);
	if (top < 0)
		at_least(&o->vtime, nv->min_vtime);
	top = highest(nv, o->key, t->id);
	if (top < (int)class)
		at_least(&t->vtime, o->clock[class]);
	if (top < 0)
		at_least(&t->vtime, o->min_vtime);
}

/* Before it pays. */
void nv_serve(struct naive *nv, const struct nv_request *r)
{
	struct nv_owner *o = nv_owner(nv, r->owner);

	at_least(&nv->clock[r->priority], o->vtime);
	at_least(&o->clock[r->priority], nv_tenant(nv, r->tenant)->vtime);
	/* And nobody is too far behind whom it serves. */
	if (nv->clock[r->priority] > BQ_LAG_NS)
		at_least(&o->vtime, nv->clock[r->priority] - BQ_LAG_NS);
	if (o->clock[r->priority] > BQ_LAG_NS)
		at_least(&nv_tenant(nv, r->tenant)->vtime, o->clock[r->priority] - BQ_LAG_NS);
}

static u64 least_clock(const struct naive *nv, const u64 *clock, const struct nv_owner *o)
{
	const struct nv_request *r;
	u64 least = ~0ULL;

	NV_FOR_EACH(nv, request, r)
		if (r->state == NV_QUEUED && (!o || r->owner == o->key) &&
		    clock[r->priority] < least)
			least = clock[r->priority];
	return least == ~0ULL ? 0 : least;
}

/* The minima never fall: raise them to the least clock of a class that waits. */
void nv_raise(struct naive *nv)
{
	struct nv_owner *o;

	at_least(&nv->min_vtime, least_clock(nv, nv->clock, NULL));
	NV_FOR_EACH(nv, owner, o)
		at_least(&o->min_vtime, least_clock(nv, o->clock, o));
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
