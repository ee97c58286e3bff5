// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory of the nodes that hang in a queue, and its return. All of it is
 * charged to the cgroup of whoever asked for it. Nothing here takes a queue's
 * lock; whoever frees does not hold it.
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include "kmod/braid_priv.h"

/* Most models have two to four tensors: those requests come from a cache. */
#define SLOTS	4

struct node {
	struct bq_request r;
	struct bq_slot slots[];
};

static struct kmem_cache *requests;

int braid_node_init(void)
{
	requests = kmem_cache_create("braid_request",
				     sizeof(struct node) + SLOTS * sizeof(struct bq_slot), 0,
				     SLAB_HWCACHE_ALIGN | SLAB_ACCOUNT, NULL);
	return requests ? 0 : -ENOMEM;
}

void braid_node_exit(void)
{
	kmem_cache_destroy(requests);
}

struct bq_request *braid_request_alloc(u32 n_slots)
{
	struct node *n;

	if (n_slots <= SLOTS)
		n = kmem_cache_alloc(requests, GFP_KERNEL);
	else
		n = kmalloc(struct_size(n, slots, n_slots), GFP_KERNEL_ACCOUNT);
	if (!n)
		return NULL;
	n->r.slots = n->slots;
	n->r.n_slots = n_slots;
	return &n->r;
}

void braid_request_free(struct bq_request *r)
{
	struct node *n = container_of(r, struct node, r);

	if (r->n_slots <= SLOTS)
		kmem_cache_free(requests, n);
	else
		kfree(n);
}

struct braid_model *braid_model_alloc(u32 n_tensors)
{
	struct braid_model *m;

	m = kvzalloc(struct_size(m, tensors, n_tensors), GFP_KERNEL_ACCOUNT);
	if (!m)
		return NULL;
	kref_init(&m->ref);
	m->m.tensors = m->tensors;
	return m;
}

static void model_free(struct kref *ref)
{
	kvfree(container_of(ref, struct braid_model, ref));
}

void braid_model_put(struct braid_model *m)
{
	kref_put(&m->ref, model_free);
}

/* Free what core/ is done with. */
void braid_reap(struct bq_reap *dead)
{
	struct bq_reap *next;

	for (; dead; dead = next) {
		next = dead->next;
		switch (dead->kind) {
		case BQ_REQUEST:
			braid_request_free(container_of(dead, struct bq_request, reap));
			break;
		case BQ_FLOW:
			kfree(container_of(dead, struct bq_flow, reap));
			break;
		case BQ_SHARE:
			kfree(container_of(dead, struct bq_share, reap));
			break;
		case BQ_TENANT:
			braid_tenant_put(container_of(dead, struct braid_tenant, t.reap));
			break;
		case BQ_OWNER:
			kfree(container_of(dead, struct bq_owner, reap));
			break;
		case BQ_MODEL:
			braid_model_put(container_of(dead, struct braid_model, m.reap));
			break;
		case BQ_BUFFER:
			braid_buffer_put_later(container_of(dead, struct braid_buffer, b.reap));
			break;
		}
	}
}
