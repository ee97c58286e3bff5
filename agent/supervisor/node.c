// SPDX-License-Identifier: MIT
/*
 * Memory of the queue's nodes: core/ is given nodes with what belongs to them
 * in one piece, and gives them back on its reap list.
 */
#include <stdlib.h>

#include "agent/supervisor/server.h"

struct request_node {
	struct bq_request r;
	struct bq_slot slots[];
};

struct buffer_node {
	struct bq_buffer b;
	int fd;
	uint64_t owner;			/* key: the owner itself may go first */
};

struct owner_node {
	struct bq_owner o;
	unsigned int buffers, tenants;
	unsigned int extra;		/* descriptors: of rings, of replies that wait */
};

struct model_node {
	struct bq_model m;
	struct braid_tensor tensors[];
};

struct bq_request *node_request(unsigned int n_slots)
{
	struct request_node *n = malloc(sizeof(*n) + n_slots * sizeof(n->slots[0]));

	if (!n)
		return NULL;
	n->r.slots = n->slots;
	n->r.n_slots = n_slots;
	return &n->r;
}

void node_free_request(struct bq_request *r)
{
	free(bq_entry(r, struct request_node, r));
}

struct bq_owner *node_owner(void)
{
	struct owner_node *n = calloc(1, sizeof(*n));

	return n ? &n->o : NULL;
}

static struct owner_node *owner_node(const struct bq_owner *o)
{
	return bq_entry(o, struct owner_node, o);
}

/* Buffers that it has; each costs a descriptor here and a mapping there. */
unsigned int node_owner_buffers(const struct bq_owner *o)
{
	return owner_node(o)->buffers;
}

unsigned int node_owner_tenants(const struct bq_owner *o)
{
	return owner_node(o)->tenants;
}

/* Descriptors that the queue has on its account, but those that are being closed. */
unsigned int node_owner_descriptors(const struct bq_owner *o)
{
	const struct owner_node *n = owner_node(o);

	return n->buffers + n->tenants + n->extra;
}

void node_owner_tenant(struct bq_owner *o, int more)
{
	owner_node(o)->tenants += more;
}

void node_owner_extra(struct bq_owner *o, int more)
{
	owner_node(o)->extra += more;
}

struct bq_buffer *node_buffer(int fd, struct bq_owner *o)
{
	struct buffer_node *n = malloc(sizeof(*n));

	if (!n)
		return NULL;
	n->fd = fd;
	n->owner = o->key;
	owner_node(o)->buffers++;
	return &n->b;
}

int node_buffer_fd(const struct bq_buffer *b)
{
	return bq_entry(b, struct buffer_node, b)->fd;
}

/* One that never was a buffer; its descriptor stays the caller's. */
void node_drop_buffer(struct bq_buffer *b, struct bq_owner *o)
{
	owner_node(o)->buffers--;
	free(bq_entry(b, struct buffer_node, b));
}

void node_free_buffer(struct server *s, struct bq_buffer *b)
{
	struct buffer_node *n = bq_entry(b, struct buffer_node, b);
	struct bq_owner *o = bq_owner_find(&s->q, n->owner);

	/* An owner that came anew since has its own count. */
	if (o && owner_node(o)->buffers)
		owner_node(o)->buffers--;
	s->n_buffers--;
	mem_close(s, n->fd);
	free(n);
}

struct bq_model *node_model(unsigned int n_tensors)
{
	struct model_node *n = calloc(1, sizeof(*n) + n_tensors * sizeof(n->tensors[0]));

	if (!n)
		return NULL;
	n->m.tensors = n->tensors;
	return &n->m;
}

struct braid_tensor *node_model_tensors(struct bq_model *m)
{
	return bq_entry(m, struct model_node, m)->tensors;
}

void node_free_model(struct bq_model *m)
{
	free(bq_entry(m, struct model_node, m));
}

/* Free what the queue is done with. */
void node_reap(struct server *s)
{
	struct bq_reap *dead = bq_reap(&s->q), *next;

	for (; dead; dead = next) {
		next = dead->next;
		switch (dead->kind) {
		case BQ_REQUEST:
			node_free_request(bq_entry(dead, struct bq_request, reap));
			break;
		case BQ_FLOW:
			free(bq_entry(dead, struct bq_flow, reap));
			break;
		case BQ_SHARE:
			free(bq_entry(dead, struct bq_share, reap));
			break;
		case BQ_TENANT:
			/* Part of its connection, which ends with the round. */
			bq_entry(bq_entry(dead, struct bq_tenant, reap), struct client,
				 tenant)->reaped = true;
			break;
		case BQ_OWNER:
			free(owner_node(bq_entry(dead, struct bq_owner, reap)));
			break;
		case BQ_MODEL:
			node_free_model(bq_entry(dead, struct bq_model, reap));
			break;
		case BQ_BUFFER:
			node_free_buffer(s, bq_entry(dead, struct bq_buffer, reap));
			break;
		}
	}
}
