// SPDX-License-Identifier: MIT
/*
 * The control socket: one JSON object a message, one answer each. What sysfs
 * and netlink are to the device, this is to the socket transport.
 *
 *	{"cmd":"status"}                      -> {"ok":true,"result":{...}}
 *	{"cmd":"set","knob":"window_max","value":"8"}
 *	                                      -> {"ok":false,"error":"..."}
 *
 * For root and for whoever runs braidd. What only the runner knows (explain,
 * profile, reload) is handed on to it and answered when it answers.
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/log.h"
#include "agent/supervisor/server.h"

#define CONTROL_MAX	(256u * 1024)

struct control_client {
	struct loop_watch watch;
	struct server *srv;
	struct control_client *next;
	uint64_t waits_for;		/* id of what the runner was asked, 0: nothing */
	bool closed;
};

static void control_ready(struct loop_watch *w, uint32_t events);

static void answer(struct control_client *c, json_t *result, const char *error)
{
	json_t *o = error ? json_pack("{s:b,s:s}", "ok", 0, "error", error) :
			    json_pack("{s:b,s:o}", "ok", 1, "result", result);
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;

	if (text && send(c->watch.fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_line(LOG_WARNING, "control answer lost", "error=\"%s\"", strerror(errno));
	free(text);
	json_decref(o);
}

static json_t *number(uint64_t v)
{
	return json_integer((json_int_t)v);
}

static json_t *knobs(struct server *s)
{
	json_t *o = json_object();
	char buf[16];

	for (unsigned int i = 0; i < BQ_KNOBS; i++)
		json_object_set_new(o, knob_name(i),
				    json_string(knob_words(i, s->q.knobs[i], buf, sizeof(buf))));
	return o;
}

static json_t *counters(const struct bq *q)
{
	static const char *const closes[] = { "none", "full", "age", "deadline", "idle",
					      "suspect" };
	const struct bq_counters *c = &q->count;
	const struct {
		const char *name;
		uint64_t value;
	} list[] = {
		{ "submitted", c->submitted }, { "completed", c->completed }, { "done", c->done },
		{ "failed", c->failed }, { "expired", c->expired },
		{ "cancelled", c->cancelled }, { "withdrawn", c->withdrawn },
		{ "killed", c->killed }, { "dropped", c->dropped },
		{ "requeued", c->requeued }, { "windows", c->windows },
		{ "fetched", c->fetched }, { "committed", c->committed },
		{ "merged", c->merged }, { "fused", c->fused },
		{ "merge_sum", c->merge_sum }, { "fuse_sum", c->fuse_sum },
		{ "device_ns", c->device_ns },
	};
	json_t *o = json_object(), *by = json_object();

	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		json_object_set_new(o, list[i].name, number(list[i].value));
	for (unsigned int i = 1; i < BRAID_CLOSES; i++)
		json_object_set_new(by, closes[i], number(c->closes[i]));
	json_object_set_new(o, "window_closes", by);
	return o;
}

static json_t *status(struct server *s)
{
	const struct bq *q = &s->q;

	return json_pack("{s:o,s:b,s:s,s:I,s:I,s:i,s:i,s:i,s:i,s:i,s:i,s:b,s:o,s:o}",
			 "uptime_ns", number(server_now() - s->started_ns),
			 "agent_up", q->ready, "backend", s->cfg.backend,
			 "generation", (json_int_t)q->generation,
			 "runner_pid", (json_int_t)s->runner.pid,
			 "runner_starts", (int)s->runner.starts,
			 "tenants", (int)s->n_clients, "models", (int)q->n_models,
			 "queued", (int)q->queued, "suspects", (int)q->suspects,
			 "fetched", (int)q->fetched, "draining", s->draining,
			 "knobs", knobs(s), "counters", counters(q));
}

static json_t *tensors(const struct bq_model *m, unsigned int first, unsigned int n)
{
	json_t *list = json_array();

	for (unsigned int i = first; i < first + n; i++) {
		const struct braid_tensor *t = &m->tensors[i];
		json_t *dims = json_array();

		for (unsigned int k = 0; k < t->rank; k++)
			json_array_append_new(dims, number(t->dims[k]));
		json_array_append_new(list, json_pack("{s:s,s:i,s:o,s:o}", "name", t->name,
						      "type", (int)t->type, "dims", dims,
						      "bytes", number(t->bytes)));
	}
	return list;
}

static json_t *models(struct server *s)
{
	json_t *list = json_array();
	char hex[2 * BRAID_DIGEST_BYTES + 1];

	for (struct bq_model *m = bq_model_next(&s->q, 0); m; m = bq_model_next(&s->q, m->id)) {
		for (int i = 0; i < BRAID_DIGEST_BYTES; i++)
			sprintf(hex + 2 * i, "%02x", m->digest[i]);
		json_array_append_new(list,
			json_pack("{s:I,s:s,s:s,s:o,s:i,s:i,s:o,s:o}",
				  "id", (json_int_t)m->id, "name", m->name, "digest", hex,
				  "device_ns", number(m->device_ns),
				  "queued", (int)m->queued, "fetched", (int)m->fetched,
				  "inputs", tensors(m, 0, m->n_inputs),
				  "outputs", tensors(m, m->n_inputs, m->n_outputs)));
	}
	return list;
}

static json_t *tenants(struct server *s)
{
	json_t *list = json_array();

	for (struct client *c = s->clients; c; c = c->next)
		json_array_append_new(list,
			json_pack("{s:I,s:I,s:i,s:i,s:i,s:o,s:o}",
				  "id", (json_int_t)c->tenant.id,
				  "owner", (json_int_t)c->tenant.owner->key,
				  "pid", (int)c->pid, "uid", (int)c->uid,
				  "outstanding", (int)c->tenant.outstanding,
				  "submitted", number(c->tenant.submitted),
				  "device_ns", number(c->tenant.device_ns)));
	return list;
}

static json_t *owners(struct server *s)
{
	json_t *list = json_array();

	for (struct bq_owner *o = bq_owner_next(&s->q, NULL); o; o = bq_owner_next(&s->q, o))
		json_array_append_new(list,
			json_pack("{s:I,s:i,s:i,s:i,s:o,s:b,s:i,s:o,s:o,s:o}",
				  "owner", (json_int_t)o->key, "weight", (int)o->limits.weight,
				  "priority_ceiling", (int)o->limits.priority_ceiling,
				  "request_quota", (int)o->limits.request_quota,
				  "byte_quota", number(o->limits.byte_quota), "set", o->set,
				  "requests", (int)o->requests, "bytes", number(o->bytes),
				  "device_ns", number(o->device_ns),
				  "completed", number(o->completed)));
	return list;
}

static int field(json_t *req, const char *name, uint64_t *to)
{
	json_t *v = json_object_get(req, name);

	if (!v)
		return 0;
	if (!json_is_integer(v) || json_integer_value(v) < 0)
		return -EINVAL;
	*to = json_integer_value(v);
	return 0;
}

/* {"cmd":"owner","owner":1000,"weight":200,...}; "reset":true: the defaults. */
static void set_owner(struct control_client *c, json_t *req)
{
	struct server *s = c->srv;
	uint64_t key = UINT64_MAX, weight, ceiling, requests, bytes;
	struct bq_owner_limits l;
	struct bq_owner *o;
	bool reset = json_is_true(json_object_get(req, "reset"));

	if (field(req, "owner", &key) || key == UINT64_MAX) {
		answer(c, NULL, "owner: a number is needed");
		return;
	}
	o = bq_owner_find(&s->q, key);
	if (!o) {
		o = malloc(sizeof(*o));
		if (!o) {
			answer(c, NULL, "no memory");
			return;
		}
		bq_owner_add(&s->q, o, key);
	}
	l = o->limits;
	weight = l.weight;
	ceiling = l.priority_ceiling;
	requests = l.request_quota;
	bytes = l.byte_quota;
	if (field(req, "weight", &weight) || field(req, "priority_ceiling", &ceiling) ||
	    field(req, "request_quota", &requests) || field(req, "byte_quota", &bytes) ||
	    weight > UINT32_MAX || ceiling > UINT32_MAX || requests > UINT32_MAX) {
		answer(c, NULL, "a limit is not a number");
		return;
	}
	l.weight = weight;
	l.priority_ceiling = ceiling;
	l.request_quota = requests;
	l.byte_quota = bytes;
	if (bq_owner_set(&s->q, o, reset ? NULL : &l))
		answer(c, NULL, "weight 1 to 1024, priority_ceiling 0 to 3, quotas above 0");
	else
		answer(c, json_object(), NULL);
}

static void set_knob(struct control_client *c, json_t *req)
{
	const char *knob = json_string_value(json_object_get(req, "knob"));
	const char *value = json_string_value(json_object_get(req, "value"));
	char why[128];

	if (!knob || !value) {
		answer(c, NULL, "set: knob and value are needed, both strings");
	} else if (knob_set(c->srv, knob, value, why, sizeof(why))) {
		answer(c, NULL, why);
	} else {
		log_line(LOG_NOTICE, "knob changed", "knob=%s value=%s", knob, value);
		answer(c, knobs(c->srv), NULL);
	}
}

/* The runner's business: hand it on, with a number to know the answer by. */
static void ask_runner(struct control_client *c, json_t *req, const char *op)
{
	struct server *s = c->srv;
	uint64_t id = ++s->control_seq;
	char *text;

	json_object_set_new(req, "op", json_string(op));
	json_object_set_new(req, "id", number(id));
	text = json_dumps(req, JSON_COMPACT);
	if (!text || runner_send(s, text, strlen(text)))
		answer(c, NULL, "there is no runner now");
	else
		c->waits_for = id;
	free(text);
}

static void command(struct control_client *c, const char *text, size_t len)
{
	json_error_t err;
	json_t *req = json_loadb(text, len, 0, &err);
	const char *cmd = json_string_value(json_object_get(req, "cmd"));

	if (!req || !cmd)
		answer(c, NULL, req ? "no \"cmd\"" : err.text);
	else if (c->waits_for)
		answer(c, NULL, "the runner has not answered the last one yet");
	else if (!strcmp(cmd, "status"))
		answer(c, status(c->srv), NULL);
	else if (!strcmp(cmd, "models"))
		answer(c, models(c->srv), NULL);
	else if (!strcmp(cmd, "tenants"))
		answer(c, tenants(c->srv), NULL);
	else if (!strcmp(cmd, "owners"))
		answer(c, owners(c->srv), NULL);
	else if (!strcmp(cmd, "get"))
		answer(c, knobs(c->srv), NULL);
	else if (!strcmp(cmd, "set"))
		set_knob(c, req);
	else if (!strcmp(cmd, "owner"))
		set_owner(c, req);
	else if (!strcmp(cmd, "explain") || !strcmp(cmd, "reload") || !strcmp(cmd, "runner"))
		ask_runner(c, req, cmd);
	else
		answer(c, NULL, "unknown command");
	json_decref(req);
}

void control_runner_said(struct server *s, const char *json, size_t len)
{
	json_t *o = json_loadb(json, len, 0, NULL);
	json_t *result = json_object_get(o, "result");
	const char *error = json_string_value(json_object_get(o, "error"));
	uint64_t id = json_integer_value(json_object_get(o, "id"));

	for (struct control_client *c = s->controls; c && id; c = c->next) {
		if (c->closed || c->waits_for != id)
			continue;
		c->waits_for = 0;
		answer(c, json_incref(result), error);
		if (error)
			json_decref(result);
		break;
	}
	json_decref(o);
}

static void close_one(struct control_client *c)
{
	loop_del(c->srv->loop, &c->watch);
	close(c->watch.fd);
	c->closed = true;
}

static void control_ready(struct loop_watch *w, uint32_t events)
{
	struct control_client *c = bq_entry(w, struct control_client, watch);
	ssize_t n;

	n = recv(w->fd, c->srv->in, sizeof(c->srv->in), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		close_one(c);
	else
		command(c, (char *)c->srv->in, n);
}

void control_accept(struct loop_watch *w, uint32_t events)
{
	struct server *s = bq_entry(w, struct server, control_listener);
	int size = CONTROL_MAX, fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	socklen_t len = sizeof(struct ucred);
	struct control_client *c;
	struct ucred cred;

	if (fd < 0)
		return;
	c = calloc(1, sizeof(*c));
	if (!c || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) ||
	    (cred.uid != 0 && cred.uid != geteuid())) {
		free(c);
		close(fd);
		return;
	}
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	c->srv = s;
	c->watch = (struct loop_watch){ .fd = fd, .events = EPOLLIN, .ready = control_ready };
	if (loop_add(s->loop, &c->watch)) {
		free(c);
		close(fd);
		return;
	}
	c->next = s->controls;
	s->controls = c;
}

/* The round is over: no event of it can name them any more. */
void control_free_dead(struct server *s)
{
	for (struct control_client **at = &s->controls; *at;) {
		struct control_client *c = *at;

		if (!c->closed) {
			at = &c->next;
			continue;
		}
		*at = c->next;
		free(c);
	}
}

void control_close_all(struct server *s)
{
	for (struct control_client *c = s->controls; c; c = c->next)
		if (!c->closed)
			close_one(c);
	control_free_dead(s);
}
