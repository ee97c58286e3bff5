// SPDX-License-Identifier: MIT
/*
 * What a tenant may ask of the queue. Checks what is of the transport; what
 * is of the queue is checked in core/, the same for both transports.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/supervisor/server.h"
#include "agent/supervisor/trace.h"

#define INLINE_BYTES	(128u * 1024)	/* no more work than a handful of messages */
#define UP_BYTES	4096u		/* a tenant's rings: SUBMITs of a few requests */
#define DOWN_BYTES	16384u		/* and a full message of completions */

int cmd_get_info(struct server *s, struct bq_tenant *t, struct wire_call *call)
{
	struct braid_get_info *i = &call->arg.get_info;

	if (i->flags)
		return -EOPNOTSUPP;
	*i = (struct braid_get_info){
		.size = sizeof(*i),
		.abi = BRAID_ABI,
		.max_message = WIRE_MAX_BYTES,
		.generation = s->q.generation,
		.agent_up = s->q.ready,
		.tenant_depth = s->q.knobs[BQ_TENANT_DEPTH],
		.models = s->q.n_usable,
	};
	if (t) {
		i->tenant = t->id;
		i->owner = t->owner->key;
		i->outstanding = t->outstanding;
		i->priority_ceiling = t->owner->limits.priority_ceiling;
		i->byte_quota = t->owner->limits.byte_quota;
		i->bytes_used = t->owner->bytes;
	}
	return 0;
}

size_t cmd_model_get(struct server *s, struct wire_call *call, struct wire_reply *r, size_t cap)
{
	struct braid_model_get *g = &call->arg.model_get;
	struct bq_model *m;
	uint32_t n, room;

	if (g->flags & ~BRAID_MODEL_GET_NEXT)
		return wire_reply_error(BRAID_NR_MODEL_GET, call->seq, -EOPNOTSUPP, r->buf);
	if (g->flags & BRAID_MODEL_GET_NEXT)
		m = bq_model_next(&s->q, g->id);
	else if (g->id)
		m = bq_model_by_id(&s->q, g->id);
	else if (memchr(g->name, 0, sizeof(g->name)))
		m = bq_model_by_name(&s->q, g->name);
	else
		return wire_reply_error(BRAID_NR_MODEL_GET, call->seq, -EINVAL, r->buf);
	if (!m)
		return wire_reply_error(BRAID_NR_MODEL_GET, call->seq, -ENOENT, r->buf);
	g->id = m->id;
	memcpy(g->name, m->name, sizeof(g->name));
	memcpy(g->digest, m->digest, sizeof(g->digest));
	g->device_ns = m->device_ns;
	g->n_inputs = m->n_inputs;
	g->n_outputs = m->n_outputs;
	wire_reply_start(r, call, r->buf, cap);
	n = m->n_inputs + m->n_outputs;
	room = wire_reply_room(r, 0);
	wire_reply_put(r, 0, m->tensors, room < n ? room : n, n);
	return wire_reply_end(r, 0);
}

/*
 * The memory is there, or @ret says why not. With 0 the descriptor is the
 * queue's, and a copy goes to the tenant; else it stays the caller's.
 */
static int buf_add(struct client *c, struct wire_call *call, int fd, bool adopt, int ret)
{
	struct braid_buf_alloc *a = &call->arg.buf_alloc;
	struct server *s = c->srv;
	u64 length = a->length;
	struct bq_buffer *b;

	if (!ret)
		ret = bq_buffer_check(&s->q, &c->tenant, &length);
	if (!ret && !owner_may_have_buffer(s, c->tenant.owner))
		ret = -EDQUOT;
	b = ret ? NULL : node_buffer(fd, c->tenant.owner);
	if (!b)
		return ret ? ret : -ENOMEM;
	ret = bq_buffer_add(&s->q, &c->tenant, b, length);
	if (ret) {
		node_drop_buffer(b, c->tenant.owner);
		return ret;
	}
	s->n_buffers++;
	a->length = length;
	a->id = b->id;
	a->fd = -1;
	if (!adopt)
		call->fd = fd;
	return 0;
}

/* What mem_put() was given has been done, with result @ret: is @fd the queue's now? */
bool buf_alloc_done(struct client *c, struct wire_call *call, int fd, bool adopt, int ret)
{
	c->job = NULL;
	ret = buf_add(c, call, fd, adopt, ret);
	client_answer(c, call, ret);
	return !ret;
}

/* -EINPROGRESS: it is answered later. */
static int buf_alloc(struct client *c, struct wire_call *call, int *fd_in)
{
	struct braid_buf_alloc *a = &call->arg.buf_alloc;
	struct server *s = c->srv;
	bool adopt = a->flags & BRAID_BUF_ADOPT;
	u64 length = a->length;
	int fd, ret;

	if (a->flags & ~BRAID_BUF_ADOPT)
		return -EOPNOTSUPP;
	if (a->reserved)
		return -E2BIG;
	if (adopt != (*fd_in >= 0))
		return -EINVAL;
	ret = bq_buffer_check(&s->q, &c->tenant, &length);
	if (ret)
		return ret;
	if (!owner_may_have_buffer(s, c->tenant.owner))
		return -EDQUOT;
	if (!server_has_descriptors(s, s->fd_limit))
		return -ENOMEM;
	if (adopt && length != a->length)
		return -EINVAL;
	fd = adopt ? *fd_in : memfd_new("braid");
	if (fd < 0)
		return fd;
	if (length <= INLINE_BYTES)
		ret = buf_add(c, call, fd, adopt,
			      adopt ? memfd_check(fd, length) : memfd_fill(fd, length));
	else
		ret = mem_put(c, call, fd, adopt);
	if (!ret)
		*fd_in = -1;
	else if (!adopt)
		mem_close(s, fd);
	return ret || length <= INLINE_BYTES ? ret : -EINPROGRESS;
}

/* Nodes for the first use of a model; then the request is tried again. */
static int add_flow(struct client *c, uint64_t model)
{
	struct bq_flow *flow = malloc(sizeof(*flow));
	struct bq_share *share = malloc(sizeof(*share));

	if (flow && share)
		bq_flow_add(&c->srv->q, &c->tenant, model, &flow, &share);
	else
		model = 0;
	free(flow);
	free(share);
	return model ? 0 : -ENOMEM;
}

static int submit_one(struct client *c, struct wire_call *call, uint32_t i, uint64_t now)
{
	struct braid_request in;
	struct bq_request *r;
	int n, ret;

	ret = wire_get(call, 0, i, &in);
	if (ret)
		return ret;
	if (in.deadline_ns && c->clock_unknown)
		return -EOPNOTSUPP;
	if (in.deadline_ns && c->clock_ahead)
		in.deadline_ns = timens_in(c, in.deadline_ns);
	n = bq_request_slots(&in, call->count[1]);
	if (n < 0)
		return n;
	r = node_request(n);
	if (!r)
		return -ENOMEM;
	for (int k = 0; k < n && !ret; k++)
		ret = wire_get(call, 1, in.first_slice + k, &r->slots[k].slice);
	if (!ret)
		ret = bq_submit(&c->srv->q, &c->tenant, r, &in, now);
	if (ret == BQ_NEED_FLOW) {
		ret = add_flow(c, in.model);
		if (!ret)
			ret = bq_submit(&c->srv->q, &c->tenant, r, &in, now);
	}
	if (ret)
		node_free_request(r);
	else
		trace_submit(r);
	return ret;
}

static int submit(struct client *c, struct wire_call *call)
{
	struct braid_submit *a = &call->arg.submit;
	uint64_t now = server_round(c->srv);
	uint32_t i;
	int ret = 0;

	a->first_id = c->tenant.last_id + 1;
	a->accepted = 0;
	a->error = 0;
	if (a->flags & ~BRAID_QUIET)
		ret = -EOPNOTSUPP;
	for (i = 0; i < call->count[0] && !ret; i++) {
		ret = submit_one(c, call, i, now);
		if (!ret)
			a->accepted++;
	}
	a->error = ret;
	return a->accepted ? 0 : ret;
}

static int cancel(struct client *c, struct wire_call *call)
{
	struct braid_cancel *a = &call->arg.cancel;
	int ret;

	if (a->flags)
		return -EOPNOTSUPP;
	if (a->reserved)
		return -E2BIG;
	ret = bq_cancel(&c->srv->q, &c->tenant, a->id, server_round(c->srv));
	if (ret < 0)
		return ret;
	a->state = ret;
	return 0;
}

static int ring(struct client *c, struct wire_call *call)
{
	int had = rings_descriptors(&c->rings), ret;

	/* They are to make nobody wait outside. */
	if (!had && (!server_has_descriptors(c->srv, c->srv->fd_limit / 2) ||
		     !owner_may_have_rings(c->srv, c->tenant.owner)))
		return -ENOMEM;
	ret = rings_part(&c->rings, call, UP_BYTES, DOWN_BYTES);
	node_owner_extra(c->tenant.owner, rings_descriptors(&c->rings) - had);
	return ret;
}

/*
 * Carry a command out and write the reply, @bytes long, 0 for none. Return: 0,
 * or the reason to hang up after the reply.
 */
int tenant_command(struct client *c, struct wire_call *call, int *fd_in, struct wire_reply *r,
		   size_t *bytes)
{
	struct server *s = c->srv;
	int ret;

	if (bq_completion_seen(&s->q, &c->tenant, call->seen)) {
		*bytes = wire_reply_error(call->cmd->nr, call->seq, -EBADMSG, r->buf);
		return -EBADMSG;
	}
	switch (call->cmd->nr) {
	case BRAID_NR_GET_INFO:
		ret = cmd_get_info(s, &c->tenant, call);
		break;
	case BRAID_NR_MODEL_GET:
		*bytes = cmd_model_get(s, call, r, sizeof(s->out));
		return 0;
	case BRAID_NR_BUF_ALLOC:
		ret = buf_alloc(c, call, fd_in);
		if (ret == -EINPROGRESS) {
			*bytes = 0;
			return 0;
		}
		break;
	case BRAID_NR_BUF_FREE:
		ret = call->arg.buf_free.flags ? -EOPNOTSUPP :
		      bq_buffer_free(&s->q, &c->tenant, call->arg.buf_free.id);
		break;
	case BRAID_NR_SUBMIT:
		ret = submit(c, call);
		if (call->arg.submit.flags & BRAID_QUIET && !ret && !call->arg.submit.error) {
			*bytes = 0;
			return 0;
		}
		break;
	case BRAID_NR_CANCEL:
		ret = cancel(c, call);
		break;
	case BRAID_NR_RING:
		ret = ring(c, call);
		break;
	default:
		ret = -ENOTTY;
		break;
	}
	if (ret && !call->cmd->out_on_error) {
		*bytes = wire_reply_error(call->cmd->nr, call->seq, ret, r->buf);
		return 0;
	}
	wire_reply_start(r, call, r->buf, sizeof(s->out));
	*bytes = wire_reply_end(r, ret);
	return 0;
}
