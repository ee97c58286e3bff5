// SPDX-License-Identifier: MIT
/*
 * The runner's connection to the queue: the agent's commands.
 *
 * At most one, at the supervisor's end of a socketpair. A FETCH waits here
 * until there is something to answer it with. The end of the connection is
 * the agent's death, as far as the queue is concerned; what the runner sent
 * before it died is taken first.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/log.h"
#include "agent/supervisor/server.h"
#include "agent/supervisor/trace.h"
#include "lib/wire_fd.h"

#define UP_BYTES	(128u * 1024)	/* FETCH and COMMIT */
#define DOWN_BYTES	(256u * 1024)	/* the answers to two FETCHes */

static void agent_ready_cb(struct loop_watch *w, uint32_t events);
static bool agent_rung(struct rings *r);

int agent_connect(struct server *s, int fd)
{
	struct agent *a = &s->agent;
	int size = 4 * WIRE_MAX_BYTES, ret;

	ret = bq_agent_attach(&s->q);
	if (ret)
		return ret;
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	a->srv = s;
	a->watch = (struct loop_watch){ .fd = fd, .events = EPOLLIN, .ready = agent_ready_cb };
	a->fetching = a->by_ring = false;
	rings_init(&a->rings, s, agent_rung);
	ret = loop_add(s->loop, &a->watch);
	if (ret) {
		bq_agent_gone(&s->q, server_now());
		return ret;
	}
	a->connected = true;
	return 0;
}

void agent_disconnect(struct server *s)
{
	uint64_t requeued = s->q.count.requeued;
	struct agent *a = &s->agent;
	bool was_ready = s->q.ready;

	if (!a->connected)
		return;
	loop_del(s->loop, &a->watch);
	close(a->watch.fd);
	rings_close(&a->rings);
	a->connected = false;
	a->fetching = false;
	s->runner.gone_ns = server_now();
	log_line(s->runner.stopping ? LOG_INFO : LOG_WARNING, "agent gone",
		 "generation=%llu fetched=%u", (unsigned long long)s->q.generation,
		 s->q.fetched);
	trace_requeues(&s->q);
	bq_agent_gone(&s->q, server_now());
	if (was_ready)
		event_agent_down(s, s->q.count.requeued - requeued);
}

/*
 * Replies go the way of their command, and are few: one for which there is no
 * room is the agent's end.
 */
static void send_agent(struct server *s, bool ring, const void *msg, size_t bytes, int fd)
{
	if (ring ? rings_send(&s->agent.rings, msg, bytes) :
		   wire_send(s->agent.watch.fd, msg, bytes, fd, MSG_DONTWAIT))
		shutdown(s->agent.watch.fd, SHUT_RDWR);	/* seen as its end */
}

static uint32_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/*
 * What a reply has room for. Strides are the agent's to choose, so room is
 * given out in bytes: events first, as jobs wait until they have been told,
 * but never all of it.
 */
static void make_room(const struct wire_call *call, struct bq_fetch *f)
{
	size_t left = WIRE_MAX_BYTES - sizeof(struct braid_msg), used;

	/* The structure, and eight bytes for the alignment of each array. */
	used = call->caller_size + 8 * (WIRE_MAX_ARRAYS + 1);
	left = left > used ? left - used : 0;
	f->max_events = least(call->count[3], sizeof(((struct agent *)0)->events) /
						      sizeof(struct braid_event));
	if (f->max_events)
		f->max_events = least(f->max_events, left / 2 / call->stride[3]);
	left -= (size_t)f->max_events * call->stride[3];
	f->max_jobs = least(call->count[1], BRAID_MAX_BATCH);
	if (f->max_jobs)
		f->max_jobs = least(f->max_jobs, left / 2 / call->stride[1]);
	left -= (size_t)f->max_jobs * call->stride[1];
	f->max_slices = least(call->count[2], sizeof(((struct agent *)0)->slices) /
						      sizeof(struct braid_slice));
	if (f->max_slices)
		f->max_slices = least(f->max_slices, left / call->stride[2]);
}

static void fetch_failed(struct server *s, int err)
{
	uint8_t msg[sizeof(struct braid_msg)];

	s->agent.fetching = false;
	send_agent(s, s->agent.fetch_by_ring, msg,
		   wire_reply_error(BRAID_NR_FETCH, s->agent.fetch.seq, err, msg), -1);
}

/*
 * Answer the FETCH that waits, if there is anything; else tell when to look
 * again.
 */
void agent_answer_fetch(struct server *s, uint64_t *when)
{
	struct agent *a = &s->agent;
	struct wire_reply r = { .buf = s->out };
	struct braid_fetch *arg = &a->fetch.arg.fetch;
	uint64_t now = server_round(s);
	struct bq_fetch f = a->room;
	int ret;

	if (!a->connected || !a->fetching)
		return;
	f.wants = a->wants;
	f.jobs = a->jobs;
	f.slices = a->slices;
	f.events = a->events;
	ret = bq_fetch(&s->q, &f, now);
	if (ret == -EAGAIN) {
		if (f.when < *when)
			*when = f.when;
		return;
	}
	if (ret) {
		fetch_failed(s, ret);
		return;
	}
	trace_window(&s->q, &f, now);
	a->fetching = false;
	arg->window = f.window;
	arg->generation = f.generation;
	arg->reason = f.reason;
	arg->fusion_policy = f.fusion_policy;
	arg->queued = f.queued;
	wire_reply_start(&r, &a->fetch, s->out, sizeof(s->out));
	wire_reply_put(&r, 1, a->jobs, f.n_jobs, f.n_jobs);
	wire_reply_put(&r, 2, a->slices, f.n_slices, f.n_slices);
	wire_reply_put(&r, 3, a->events, f.n_events, f.n_events);
	send_agent(s, a->fetch_by_ring, s->out, wire_reply_end(&r, 0), -1);
}

static int fetch(struct server *s, struct wire_call *call)
{
	struct agent *a = &s->agent;
	struct bq_fetch f = { .wants = a->next_wants, .n_wants = call->count[0] };
	uint64_t when = BQ_NEVER;
	int ret = 0;

	if (call->arg.fetch.flags & ~BRAID_FETCH_NONBLOCK)
		return -EOPNOTSUPP;
	/* One that is wrong replaces nothing. */
	for (uint32_t i = 0; i < call->count[0] && !ret; i++)
		ret = wire_get(call, 0, i, &a->next_wants[i]);
	make_room(call, &f);
	if (!ret)
		ret = bq_fetch_check(&s->q, &f);
	if (ret)
		return ret;
	if (a->fetching)
		fetch_failed(s, -ECANCELED);
	a->n_wants = call->count[0];
	memcpy(a->wants, a->next_wants, a->n_wants * sizeof(a->wants[0]));
	a->fetch = *call;
	a->room = f;
	a->fetching = true;
	a->fetch_by_ring = a->by_ring;
	if (call->arg.fetch.flags & BRAID_FETCH_NONBLOCK) {
		agent_answer_fetch(s, &when);
		if (a->fetching)
			fetch_failed(s, -EAGAIN);
	}
	return 0;
}

static int model_put(struct server *s, struct wire_call *call)
{
	struct braid_model_put *p = &call->arg.model_put;
	struct bq_model *m, *out;
	int ret = 0;

	if (p->flags)
		return -EOPNOTSUPP;
	if ((uint64_t)p->n_inputs + p->n_outputs != call->count[0])
		return -EINVAL;
	m = node_model(call->count[0]);
	if (!m)
		return -ENOMEM;
	memcpy(m->name, p->name, sizeof(m->name));
	memcpy(m->digest, p->digest, sizeof(m->digest));
	m->device_ns = p->device_ns;
	m->n_inputs = p->n_inputs;
	m->n_outputs = p->n_outputs;
	for (uint32_t i = 0; i < call->count[0] && !ret; i++)
		ret = wire_get(call, 0, i, &node_model_tensors(m)[i]);
	if (!ret)
		ret = bq_model_put(&s->q, m, &out);
	if (ret || out != m)
		node_free_model(m);
	if (!ret)
		p->id = out->id;
	return ret;
}

/* The bytes of the reply, 0 for none. */
static size_t commit(struct server *s, struct wire_call *call, struct wire_reply *r)
{
	struct braid_result results[BRAID_MAX_BATCH];
	struct braid_commit *c = &call->arg.commit;
	uint64_t now = server_round(s);
	int ret;

	c->committed = 0;
	ret = c->flags & ~BRAID_QUIET ? -EOPNOTSUPP : c->reserved ? -E2BIG :
	      bq_commit_check(&s->q, c->generation);
	for (uint32_t i = 0; i < call->count[0] && !ret; i++)
		ret = wire_get(call, 0, i, &results[i]);
	for (uint32_t i = 0; i < call->count[0] && !ret; i++) {
		results[i].result = bq_commit(&s->q, &results[i], now);
		c->committed += !results[i].result;
	}
	if (c->flags & BRAID_QUIET && !ret && c->committed == call->count[0])
		return 0;
	wire_reply_start(r, call, s->out, sizeof(s->out));
	if (!ret)
		wire_reply_put(r, 0, results, call->count[0], call->count[0]);
	return wire_reply_end(r, ret);
}

static int buf_get_fd(struct server *s, struct wire_call *call)
{
	struct braid_buf_get_fd *g = &call->arg.buf_get_fd;
	struct bq_buffer *b = bq_buffer_get(&s->q, g->id);

	if (g->flags)
		return -EOPNOTSUPP;
	if (g->reserved)
		return -E2BIG;
	if (!b)
		return -ENOENT;
	g->length = b->length;
	g->fd = -1;
	call->fd = node_buffer_fd(b);
	return 0;
}

static int ready(struct server *s, struct wire_call *call)
{
	int ret;

	if (call->arg.ready.flags)
		return -EOPNOTSUPP;
	ret = bq_agent_ready(&s->q, server_now());
	if (ret)
		return ret;
	call->arg.ready.generation = s->q.generation;
	runner_ready(s, s->q.generation, s->q.n_models);
	event_agent_up(s);
	return 0;
}

/* 0, or the reason to hang up. */
static int handle(struct server *s, const uint8_t *msg, size_t bytes)
{
	struct wire_reply r = { .buf = s->out };
	struct wire_call call;
	size_t n = 0;
	int ret;

	ret = wire_parse_command(msg, bytes, true, &call);
	if (!ret && s->agent.by_ring && call.cmd->fd_offset)
		ret = -EINVAL;
	if (ret) {
		uint32_t nr = bytes < sizeof(struct braid_msg) ? 0 :
			      ((const struct braid_msg *)msg)->cmd;

		log_line(LOG_ERR, "agent message refused", "cmd=%u error=%d", nr, ret);
		send_agent(s, s->agent.by_ring, s->out,
			   wire_reply_error(nr, call.seq, ret, s->out), -1);
		return ret == -EBADMSG || ret == -EPROTONOSUPPORT ? ret : 0;
	}
	switch (call.cmd->nr) {
	case BRAID_NR_GET_INFO:
		ret = cmd_get_info(s, NULL, &call);
		break;
	case BRAID_NR_MODEL_GET:
		n = cmd_model_get(s, &call, &r, sizeof(s->out));
		break;
	case BRAID_NR_MODEL_PUT:
		ret = model_put(s, &call);
		break;
	case BRAID_NR_MODEL_DEL:
		ret = call.arg.model_del.flags & ~BRAID_MODEL_DEL_NOW ? -EOPNOTSUPP :
		      bq_model_del(&s->q, call.arg.model_del.id,
				   call.arg.model_del.flags & BRAID_MODEL_DEL_NOW, server_now());
		break;
	case BRAID_NR_READY:
		ret = ready(s, &call);
		break;
	case BRAID_NR_FETCH:
		ret = fetch(s, &call);
		if (!ret)
			return 0;	/* answered when there is something */
		break;
	case BRAID_NR_COMMIT:
		n = commit(s, &call, &r);
		if (!n)
			return 0;
		break;
	case BRAID_NR_BUF_GET_FD:
		ret = buf_get_fd(s, &call);
		break;
	case BRAID_NR_RING:
		ret = rings_part(&s->agent.rings, &call, UP_BYTES, DOWN_BYTES);
		break;
	case BRAID_NR_BUF_PUT:
		ret = call.arg.buf_put.flags ? -EOPNOTSUPP :
		      bq_buffer_put(&s->q, call.arg.buf_put.id);
		break;
	default:
		ret = -ENOTTY;
		break;
	}
	if (!n && ret) {
		n = wire_reply_error(call.cmd->nr, call.seq, ret, s->out);
	} else if (!n) {
		wire_reply_start(&r, &call, s->out, sizeof(s->out));
		n = wire_reply_end(&r, 0);
	}
	send_agent(s, s->agent.by_ring, s->out, n, call.fd);
	rings_given(&call);
	return 0;
}

/* One message, which may hold several commands. 0, or the reason to hang up. */
static int take(struct server *s, size_t bytes)
{
	struct braid_msg head;
	size_t at = 0, size;

	s->round_ns = 0;
	do {
		size = bytes - at;
		if (size >= sizeof(head)) {
			memcpy(&head, s->in + at, sizeof(head));
			if (head.size >= sizeof(head) && head.size < size)
				size = head.size;
		}
		if (handle(s, s->in + at, size))
			return -EBADMSG;
		at += (size + 7) & ~(size_t)7;
	} while (at < bytes);
	return 0;
}

/* A message from the ring: 0: there may be more; 1: nothing now; negative: as below. */
static int receive_ring(struct server *s)
{
	struct agent *a = &s->agent;
	ssize_t n = a->rings.mem ? rings_receive(&a->rings, s->in, sizeof(s->in)) : 0;
	int ret;

	if (n <= 0)
		return n < 0 ? n : 1;
	a->by_ring = true;
	ret = take(s, n);
	a->by_ring = false;
	return ret;
}

/* 0: there may be more; 1: nothing now; negative: the connection is over. */
static int receive(struct server *s)
{
	ssize_t n;
	int ret;

	/* What the ring holds was sent before what the socket has. */
	do {
		ret = receive_ring(s);
	} while (!ret);
	if (ret < 0)
		return ret;
	n = recv(s->agent.watch.fd, s->in, sizeof(s->in), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 1;
	return n <= 0 ? -ECONNRESET : take(s, n);
}

static void over(struct server *s)
{
	agent_disconnect(s);
	/* Without the queue it is of no use, and it must not write any more. */
	if (!s->runner.stopping)
		runner_kill(s);
}

static void agent_ready_cb(struct loop_watch *w, uint32_t events)
{
	struct server *s = bq_entry(w, struct server, agent.watch);

	if (receive(s) < 0)
		over(s);
}

static bool agent_rung(struct rings *r)
{
	struct server *s = r->srv;

	if (receive_ring(s) >= 0)
		return true;
	over(s);
	return false;
}

/* The agent's process is dead: take what it sent before. */
void agent_last_words(struct server *s)
{
	if (!s->agent.connected)
		return;
	while (!receive(s))
		;
	agent_disconnect(s);
}
