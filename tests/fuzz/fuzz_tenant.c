// SPDX-License-Identifier: MIT
/*
 * libFuzzer: a tenant's messages into the supervisor's commands and the queue,
 * without sockets. The input is a list of steps: messages, damaged or made
 * from a few numbers, and between them what the agent, the clock and the other
 * tenant do. At the end everybody goes, and the queue must be empty.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/supervisor/server.h"

#define TENANTS	2

struct input {
	const uint8_t *at, *end;
};

static struct server *s;
static struct client *clients[TENANTS];
static uint64_t now_ns, seen[TENANTS];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

uint64_t server_now(void)
{
	return now_ns;
}

uint64_t server_round(struct server *server)
{
	return now_ns;
}

bool server_has_descriptors(const struct server *server, int below)
{
	return true;
}

static void must(bool good)
{
	if (!good)
		abort();
}

/* Large buffers take a while: a step of the input ends the wait. */
struct mem_job {
	struct wire_call call;
	int fd;
	bool adopt;
};

int mem_put(struct client *c, const struct wire_call *call, int fd, bool adopt)
{
	c->job = malloc(sizeof(*c->job));
	*c->job = (struct mem_job){ .call = *call, .fd = fd, .adopt = adopt };
	return 0;
}

/* Rings are another way in for the same messages: tests/transport/test_rings.c. */
int rings_part(struct rings *r, struct wire_call *call, uint32_t up_bytes, uint32_t down_bytes)
{
	return -ENOMEM;
}

void mem_close(struct server *server, int fd)
{
	must(!close(fd));
}

void client_answer(struct client *c, struct wire_call *call, int ret)
{
	struct wire_reply r = { .buf = s->out };
	size_t n;

	if (ret) {
		n = wire_reply_error(call->cmd->nr, call->seq, ret, s->out);
	} else {
		wire_reply_start(&r, call, s->out, sizeof(s->out));
		n = wire_reply_end(&r, 0);
	}
	must(n <= sizeof(s->out));
}

static void filled(struct client *c)
{
	struct mem_job *j = c->job;

	if (!j)
		return;
	buf_alloc_done(c, &j->call, j->fd, j->adopt, memfd_fill(j->fd, j->call.arg.buf_alloc.length));
	must(!c->job);
	free(j);
}

static uint32_t next(struct input *in)
{
	return in->at < in->end ? *in->at++ : 0;
}

static void come(unsigned int i)
{
	struct bq_owner *o = bq_owner_find(&s->q, i);

	if (!o) {
		o = node_owner();
		bq_owner_add(&s->q, o, i);
	}
	clients[i] = calloc(1, sizeof(*clients[i]));
	clients[i]->srv = s;
	bq_tenant_add(&s->q, &clients[i]->tenant, o);
	seen[i] = 0;
}

/* Reap as the round does; a tenant's node is part of its client. */
static void reap(struct client *gone)
{
	node_reap(s);
	if (gone && gone->reaped) {
		gone->next = NULL;
		free(gone);
	} else if (gone) {
		gone->next = s->dead;
		s->dead = gone;
	}
	for (struct client **at = &s->dead; *at;) {
		struct client *c = *at;

		if (!c->reaped) {
			at = &c->next;
			continue;
		}
		*at = c->next;
		free(c);
	}
}

static void go(unsigned int i)
{
	struct client *c = clients[i];

	clients[i] = NULL;
	c->closed = true;
	if (c->job)
		close(c->job->fd);
	free(c->job);
	c->job = NULL;
	bq_tenant_gone(&s->q, &c->tenant);
	reap(c);
}

static void publish(void)
{
	struct bq_model *m, *out;
	struct braid_tensor *t;

	for (unsigned int i = 0; i < 2; i++) {
		m = node_model(2 + i);
		t = node_model_tensors(m);
		for (unsigned int k = 0; k < 2 + i; k++)
			t[k] = (struct braid_tensor){ .name = "t", .type = BRAID_TYPE_F32,
						      .rank = 1, .dims = { 16 }, .bytes = 64 };
		m->name[0] = 'a' + i;
		m->digest[0] = i;
		m->device_ns = 1000;
		m->n_inputs = 1 + i;
		m->n_outputs = 1;
		must(!bq_model_put(&s->q, m, &out));
		if (out != m)
			node_free_model(m);
	}
	must(!bq_agent_ready(&s->q, now_ns));
}

/* The agent takes a window and commits some of it, or dies with it. */
static void agent_turn(struct input *in)
{
	static struct braid_job jobs[BRAID_MAX_BATCH];
	static struct braid_slice slices[BRAID_MAX_BATCH * 4];
	static struct braid_event events[64];
	struct braid_want wants[2] = { { .model = 1, .count = next(in) % 9 },
				       { .model = 2, .count = next(in) % 9 } };
	struct bq_fetch f = { .wants = wants, .n_wants = 2, .jobs = jobs, .slices = slices,
			      .events = events, .max_jobs = BRAID_MAX_BATCH,
			      .max_slices = BRAID_MAX_BATCH * 4, .max_events = 64 };
	uint32_t how = next(in);

	if (bq_fetch(&s->q, &f, now_ns))
		return;
	for (uint32_t i = 0; i < f.n_events; i++)
		if (events[i].type == BRAID_EVENT_BUF_RETIRED)
			must(!bq_buffer_put(&s->q, events[i].id));
	for (uint32_t i = 0; i < f.n_jobs && how % 4; i++) {
		struct braid_result r = { .cookie = jobs[i].cookie, .device_ns = 500,
					  .merge_degree = 1, .fuse_degree = 1 };

		if (i % 3 != how % 3)
			must(!bq_commit(&s->q, &r, now_ns));
	}
	if (how % 8 == 0) {
		bq_agent_gone(&s->q, now_ns);
		reap(NULL);
		must(!bq_agent_attach(&s->q));
		publish();
	}
}

static void send_message(unsigned int i, const uint8_t *msg, size_t bytes)
{
	struct wire_reply r = { .buf = s->out };
	struct wire_call call;
	uint8_t *exact;
	size_t n = 0;
	int ret;

	/* Nothing is read of a tenant that waits. */
	if (clients[i]->job)
		return;
	/* Exactly as long as it is, so that a byte too far is seen. */
	exact = malloc(bytes);
	memcpy(exact, msg, bytes);
	ret = wire_parse_command(exact, bytes, false, &call);
	if (!ret)
		ret = tenant_command(clients[i], &call, -1, &r, &n);
	must(n <= sizeof(s->out));
	free(exact);
	if (ret == -EBADMSG || ret == -EPROTONOSUPPORT) {
		go(i);
		come(i);
	}
}

/* A command whose head and sizes are right; the rest is the input's. */
static void command(struct input *in, unsigned int i)
{
	static uint8_t msg[8192];
	uint32_t nr = next(in) % (BRAID_NR_CANCEL + 1);
	const struct wire_cmd *cmd = wire_cmd(nr);
	struct braid_msg head = { .abi = BRAID_ABI, .type = BRAID_MSG_COMMAND, .cmd = nr,
				  .seen = seen[i] };
	uint32_t size = cmd->size;
	size_t at = sizeof(head) + size;

	memset(msg, 0, sizeof(msg));
	for (size_t k = 4; k < size && k < 24; k++)
		msg[sizeof(head) + k] = next(in);
	memcpy(msg + sizeof(head), &size, sizeof(size));
	if (nr == BRAID_NR_SUBMIT) {
		uint32_t n = next(in) % 6, flags = next(in) % 16;
		struct braid_submit a = {
			.size = size, .flags = flags < 2 ? flags : 0,
			.requests = { sizeof(struct braid_request), n, 0 },
			.slices = { sizeof(struct braid_slice), 3 * n, 0 },
		};

		memcpy(msg + sizeof(head), &a, sizeof(a));
		for (uint32_t k = 0; k < n; k++) {
			uint32_t model = next(in) % 4, odd = next(in);
			struct braid_request q = {
				.user_data = k, .model = model, .priority = odd % 5,
				.deadline_ns = odd & 64 ? now_ns + odd * 100 : 0,
				.first_slice = 3 * k, .n_inputs = model == 2 ? 2 : 1,
				.n_outputs = 1, .flags = odd == 255,
			};

			memcpy(msg + at, &q, sizeof(q));
			at += sizeof(q);
		}
		for (uint32_t k = 0; k < 3 * n; k++) {
			struct braid_slice sl = { .buffer = next(in) % 12,
						  .offset = (uint64_t)next(in) * 64,
						  .length = next(in) % 16 ? 64 : next(in) };

			memcpy(msg + at, &sl, sizeof(sl));
			at += sizeof(sl);
		}
	} else if (nr == BRAID_NR_BUF_ALLOC) {
		uint64_t unit = next(in) % 8 ? 97 : 5000;
		struct braid_buf_alloc a = { .size = size, .length = next(in) * unit };

		memcpy(msg + sizeof(head), &a, sizeof(a));
	} else if (nr == BRAID_NR_BUF_FREE || nr == BRAID_NR_CANCEL) {
		uint64_t id = next(in) % 16;

		memset(msg + sizeof(head) + 4, 0, size - 4);
		memcpy(msg + sizeof(head) + offsetof(struct braid_cancel, id), &id, sizeof(id));
	}
	head.size = at;
	memcpy(msg, &head, sizeof(head));
	send_message(i, msg, at);
}

/* Any bytes at all, behind a head that is half right. */
static void noise(struct input *in, unsigned int i)
{
	uint8_t msg[512];
	size_t bytes = sizeof(struct braid_msg) + next(in);
	struct braid_msg head = { .size = bytes, .abi = BRAID_ABI, .type = BRAID_MSG_COMMAND,
				  .cmd = next(in) % 16, .seen = next(in) % 4 ? seen[i] : next(in) };

	for (size_t k = sizeof(head); k < bytes; k++)
		msg[k] = next(in);
	memcpy(msg, &head, sizeof(head));
	send_message(i, msg, bytes);
}

static void take_completions(unsigned int i)
{
	struct braid_completion c;

	while (bq_completion_peek(&clients[i]->tenant, &c)) {
		must(c.size == sizeof(c) && c.status <= 0);
		bq_completion_sent(&clients[i]->tenant);
		seen[i]++;
	}
}

static void step(struct input *in)
{
	uint32_t what = next(in);
	unsigned int i = what / 16 % TENANTS;

	switch (what % 16) {
	case 0:
		noise(in, i);
		break;
	case 1:
	case 2:
		agent_turn(in);
		break;
	case 3:
		now_ns += (uint64_t)next(in) * 100000;
		bq_expire(&s->q, now_ns);
		break;
	case 4:
		take_completions(i);
		break;
	case 5:
		go(i);
		come(i);
		break;
	case 6:
		filled(clients[i]);
		break;
	default:
		command(in, i);
		break;
	}
	while (bq_next_woken(&s->q))
		;
	reap(NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, data + size };

	s = calloc(1, sizeof(*s));
	bq_init(&s->q);
	s->q.defaults.byte_quota = 1 << 20;
	s->q.defaults.request_quota = 32;
	s->cfg.buffer_quota = 64;
	s->fd_limit = 1 << 16;
	bq_knob_set(&s->q, BQ_TENANT_DEPTH, 16);
	now_ns = 1000000;
	must(!bq_agent_attach(&s->q));
	publish();
	for (unsigned int i = 0; i < TENANTS; i++)
		come(i);
	while (in.at < in.end)
		step(&in);
	for (unsigned int i = 0; i < TENANTS; i++)
		go(i);
	bq_agent_gone(&s->q, now_ns);
	now_ns += 1000000000000ull;
	bq_expire(&s->q, now_ns);
	reap(NULL);
	must(!s->q.queued && !s->q.fetched && !s->q.suspects && !s->dead);
	bq_exit(&s->q);
	reap(NULL);
	free(s);
	return 0;
}
