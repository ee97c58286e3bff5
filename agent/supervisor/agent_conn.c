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

static void agent_ready_cb(struct loop_watch *w, uint32_t events);

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
	a->fetching = false;
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
	struct agent *a = &s->agent;

	if (!a->connected)
		return;
	loop_del(s->loop, &a->watch);
	close(a->watch.fd);
	a->connected = false;
	a->fetching = false;
	log_line(LOG_WARNING, "agent gone", "generation=%llu fetched=%u",
		 (unsigned long long)s->q.generation, s->q.fetched);
	bq_agent_gone(&s->q, server_now());
}

/* Replies to the agent are small and few: one that does not fit is its end. */
static void send_agent(struct server *s, const void *msg, size_t bytes, int fd)
{
	char ctl[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { (void *)msg, bytes };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (fd >= 0) {
		struct cmsghdr *cm = (struct cmsghdr *)ctl;

		mh.msg_control = ctl;
		mh.msg_controllen = sizeof(ctl);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cm), &fd, sizeof(int));
	}
	do {
		n = sendmsg(s->agent.watch.fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		shutdown(s->agent.watch.fd, SHUT_RDWR);	/* seen as its end */
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
	uint64_t now = server_now();
	struct bq_fetch f = {
		.wants = a->wants, .n_wants = a->n_wants,
		.jobs = a->jobs, .slices = a->slices, .events = a->events,
	};
	struct bq_look look;
	size_t fixed;
	int ret;

	if (!a->connected || !a->fetching)
		return;
	ret = bq_window(&s->q, a->wants, a->n_wants, now, &look);
	if (!ret && !look.reason && !look.events) {
		if (look.when < *when)
			*when = look.when;
		return;
	}
	if (!ret) {
		f.max_jobs = a->fetch.count[1] < BRAID_MAX_BATCH ? a->fetch.count[1] :
								   BRAID_MAX_BATCH;
		f.max_events = a->fetch.count[3] < 128 ? a->fetch.count[3] : 128;
		fixed = sizeof(struct braid_msg) + a->fetch.caller_size + 64 +
			(size_t)f.max_jobs * a->fetch.stride[1] +
			(size_t)f.max_events * a->fetch.stride[3];
		f.max_slices = a->fetch.count[2] < BRAID_MAX_BATCH * 16 ? a->fetch.count[2] :
									  BRAID_MAX_BATCH * 16;
		if (fixed > sizeof(s->out) || !a->fetch.stride[2])
			f.max_slices = 0;
		else if (f.max_slices > (sizeof(s->out) - fixed) / a->fetch.stride[2])
			f.max_slices = (sizeof(s->out) - fixed) / a->fetch.stride[2];
		ret = bq_fetch(&s->q, &f, now);
		if (ret == -EAGAIN)
			return;
	}
	a->fetching = false;
	if (ret) {
		send_agent(s, s->out, wire_reply_error(BRAID_NR_FETCH, a->fetch.seq, ret, s->out),
			   -1);
		return;
	}
	arg->window = f.window;
	arg->generation = f.generation;
	arg->reason = f.reason;
	arg->fusion_policy = f.fusion_policy;
	wire_reply_start(&r, &a->fetch, s->out, sizeof(s->out));
	wire_reply_put(&r, 1, a->jobs, f.n_jobs, f.n_jobs);
	wire_reply_put(&r, 2, a->slices, f.n_slices, f.n_slices);
	wire_reply_put(&r, 3, a->events, f.n_events, f.n_events);
	send_agent(s, s->out, wire_reply_end(&r, 0), -1);
}

static int fetch(struct server *s, struct wire_call *call)
{
	struct agent *a = &s->agent;
	int ret;

	if (call->arg.fetch.flags & ~BRAID_FETCH_NONBLOCK)
		return -EOPNOTSUPP;
	if (call->arg.fetch.flags)
		return -EAGAIN;	/* over the socket every FETCH can be polled for */
	if (a->fetching) {
		uint8_t msg[sizeof(struct braid_msg)];

		send_agent(s, msg, wire_reply_error(BRAID_NR_FETCH, a->fetch.seq, -ECANCELED, msg),
			   -1);
		a->fetching = false;
	}
	for (uint32_t i = 0; i < call->count[0]; i++) {
		ret = wire_get(call, 0, i, &a->wants[i]);
		if (ret)
			return ret;
	}
	a->n_wants = call->count[0];
	a->fetch = *call;
	a->fetching = true;
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
	uint64_t now = server_now();
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
	runner_ready(s);
	return 0;
}

static void handle(struct server *s, size_t bytes)
{
	struct wire_reply r = { .buf = s->out };
	struct wire_call call;
	size_t n = 0;
	int ret;

	ret = wire_parse_command(s->in, bytes, true, &call);
	if (ret) {
		log_line(LOG_ERR, "malformed agent message", "error=%d", ret);
		send_agent(s, s->out, wire_reply_error(0, call.seq, ret, s->out), -1);
		return;
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
			return;		/* answered when there is something */
		break;
	case BRAID_NR_COMMIT:
		n = commit(s, &call, &r);
		if (!n)
			return;
		break;
	case BRAID_NR_BUF_GET_FD:
		ret = buf_get_fd(s, &call);
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
	send_agent(s, s->out, n, call.fd);
}

static void agent_ready_cb(struct loop_watch *w, uint32_t events)
{
	struct server *s = bq_entry(w, struct server, agent.watch);
	ssize_t n;

	for (;;) {
		n = recv(w->fd, s->in, sizeof(s->in), MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0)
			break;
		handle(s, n);
	}
	agent_disconnect(s);
}
