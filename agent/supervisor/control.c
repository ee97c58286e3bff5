// SPDX-License-Identifier: MIT
/*
 * The control socket: one JSON object a message, one answer each. What sysfs
 * and netlink are to the device, this is to the socket transport.
 *
 *	{"cmd":"status"}                      -> {"ok":true,"result":{...}}
 *	{"cmd":"set","knob":"window_max","value":"8"}
 *	                                      -> {"ok":false,"error":"..."}
 *	{"cmd":"monitor"}                     -> {"ok":true,"result":{}}, then, as
 *	                                         they come, {"event":{...}}
 *
 * Where the queue is the kernel's, only what is braidd's own is answered.
 *
 * For root and for whoever runs braidd. What only the runner knows (explain,
 * runner, reload) is handed on to it and answered when it answers, or when it
 * did not for too long.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/log.h"
#include "agent/supervisor/server.h"

#define CONTROL_MAX	(256u * 1024)
#define CONTROL_CLIENTS	64	/* at once */
#define PATIENCE_S	5u	/* with a runner that is asked; braidctl's own is 10 s, */
#define RELOAD_S	590u	/* and 600 s where large models may have to be loaded */

struct control_client {
	struct loop_watch watch;
	struct server *srv;
	struct control_client *next;
	uint64_t waits_for;		/* id of what the runner was asked, 0: nothing */
	uint64_t waits_until;
	bool monitors;
	uint64_t lost;			/* events that it did not read in time */
	bool closed;
};

static void control_ready(struct loop_watch *w, uint32_t events);

/* Takes @result. There is an answer in any case, if only that there is none. */
void control_answer(struct control_client *c, json_t *result, const char *error)
{
	static const char broken[] = "{\"ok\":false,\"error\":\"the answer can't be put into words\"}";
	static const char too_long[] = "{\"ok\":false,\"error\":\"the answer is too long for a message\"}";
	json_t *o = error ? json_pack("{s:b,s:o}", "ok", 0, "error", show_text(error)) :
		    result ? json_pack("{s:b,s:O}", "ok", 1, "result", result) : NULL;
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	const char *say = text ? text : broken;
	int ret = send(c->watch.fd, say, strlen(say), MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? errno : 0;

	if (ret == EMSGSIZE &&
	    send(c->watch.fd, too_long, sizeof(too_long) - 1, MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
		ret = 0;
	if (ret && ret != EPIPE && server_may_tell(c->srv))
		log_line(LOG_WARNING, "control answer lost", "error=\"%s\"", strerror(ret));
	free(text);
	json_decref(o);
	json_decref(result);
}

static int tell(struct control_client *c, const char *text)
{
	return send(c->watch.fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

/* Takes @event. Who does not read loses events, and is told how many. */
void control_tell(struct server *s, json_t *event)
{
	json_t *o = json_pack("{s:o}", "event", event);
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	char lost[80];

	for (struct control_client *c = s->controls; c && text; c = c->next) {
		if (c->closed || !c->monitors)
			continue;
		snprintf(lost, sizeof(lost), "{\"event\":{\"event\":\"lost\",\"count\":%llu}}",
			 (unsigned long long)c->lost);
		if (c->lost && !tell(c, lost))
			c->lost = 0;
		if (c->lost || tell(c, text))
			c->lost++;
	}
	free(text);
	json_decref(o);
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

/*
 * A list in parts that fit a message: "after" names the key of the last one
 * known, "more" that of the last one told when there are others.
 */
static void say_list(struct control_client *c, json_t *req,
		     json_t *(*show)(struct server *s, uint64_t after, uint64_t *more))
{
	uint64_t after = SHOW_FROM_START, more = SHOW_FROM_START;
	json_t *o, *list;
	char *text;

	if (field(req, "after", &after)) {
		control_answer(c, NULL, "after: a number is needed");
		return;
	}
	list = show(c->srv, after, &more);
	o = json_pack("{s:b,s:o}", "ok", 1, "result", list);
	if (more != SHOW_FROM_START)
		json_object_set_new(o, "more", show_number(more));
	text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	if (!text)
		control_answer(c, NULL, "no memory");
	else if (send(c->watch.fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_line(LOG_WARNING, "control answer lost", "error=\"%s\"", strerror(errno));
	free(text);
	json_decref(o);
}

/* {"cmd":"owner","owner":1000,"weight":200,...}; "reset":true: the defaults. "tenant": its owner. */
static void set_owner(struct control_client *c, json_t *req)
{
	struct server *s = c->srv;
	uint64_t key = UINT64_MAX, tenant = UINT64_MAX, weight, ceiling, requests, bytes;
	bool reset = json_is_true(json_object_get(req, "reset"));
	struct bq_owner_limits l = s->q.defaults;
	struct bq_owner *o, *fresh = NULL;
	struct bq_tenant *t;

	if (field(req, "owner", &key) || field(req, "tenant", &tenant) ||
	    (key == UINT64_MAX) == (tenant == UINT64_MAX)) {
		control_answer(c, NULL, "owner or tenant: a number is needed");
		return;
	}
	if (tenant != UINT64_MAX) {
		t = bq_tenant_find(&s->q, tenant);
		if (!t) {
			control_answer(c, NULL, "no such tenant");
			return;
		}
		key = t->owner->key;
	}
	o = bq_owner_find(&s->q, key);
	if (o)
		l = o->limits;
	weight = l.weight;
	ceiling = l.priority_ceiling;
	requests = l.request_quota;
	bytes = l.byte_quota;
	if (field(req, "weight", &weight) || field(req, "priority_ceiling", &ceiling) ||
	    field(req, "request_quota", &requests) || field(req, "byte_quota", &bytes) ||
	    weight > UINT32_MAX || ceiling > UINT32_MAX || requests > UINT32_MAX) {
		control_answer(c, NULL, "a limit is not a number");
		return;
	}
	l.weight = weight;
	l.priority_ceiling = ceiling;
	l.request_quota = requests;
	l.byte_quota = bytes;
	if (!o) {
		o = fresh = node_owner();
		if (!o) {
			control_answer(c, NULL, "no memory");
			return;
		}
		bq_owner_add(&s->q, o, key);
	}
	if (bq_owner_set(&s->q, o, reset ? NULL : &l)) {
		control_answer(c, NULL, "weight 1 to 1024, priority_ceiling 0 to 3");
		if (fresh)
			bq_owner_set(&s->q, fresh, NULL);
	} else {
		control_answer(c, json_object(), NULL);
	}
}

static void set_knob(struct control_client *c, json_t *req)
{
	const char *knob = json_string_value(json_object_get(req, "knob"));
	const char *value = json_string_value(json_object_get(req, "value"));
	char why[128];

	if (!knob || !value) {
		control_answer(c, NULL, "set: knob and value are needed, both strings");
	} else if (knob_set(c->srv, knob, value, why, sizeof(why))) {
		control_answer(c, NULL, why);
	} else {
		log_line(LOG_NOTICE, "knob changed", "knob=%s value=%s", knob, value);
		event_knob(c->srv, knob, value);
		control_answer(c, show_knobs(c->srv), NULL);
	}
}

/* The answer comes before the first event. */
static void monitor(struct control_client *c)
{
	int ret = c->monitors ? 0 : monitor_start(c->srv);

	c->monitors |= !ret;
	control_answer(c, ret ? NULL : json_object(), ret ? strerror(-ret) : NULL);
}

/*
 * The runner's business: ask it, with a number to know the answer by. Only
 * what it understands is handed on, so that its message has room for it.
 */
static void ask_runner(struct control_client *c, json_t *req, const char *op)
{
	static const char *const known[] = { "window", "tenant", "request" };
	struct server *s = c->srv;
	uint64_t id = ++s->control_seq, v;
	json_t *o = json_pack("{s:s,s:I}", "op", op, "id", (json_int_t)id);
	char *text = NULL;
	int ret;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		v = UINT64_MAX;
		if (field(req, known[i], &v)) {
			control_answer(c, NULL, "window, tenant and request are numbers");
			goto out;
		}
		if (v != UINT64_MAX)
			json_object_set_new(o, known[i], show_number(v));
	}
	text = json_dumps(o, JSON_COMPACT);
	ret = text ? runner_send(s, text, strlen(text)) : -ENOMEM;
	if (ret)
		control_answer(c, NULL, ret == -EAGAIN ? "the runner reads no questions now" :
			       ret == -ENOMEM ? "no memory" : "there is no runner now");
	else
		c->waits_for = id;
	c->waits_until = server_now() +
			 (strcmp(op, "reload") ? PATIENCE_S : RELOAD_S) * 1000000000ull;
out:
	free(text);
	json_decref(o);
}

/* What is the queue's; false: it is not. */
static bool queue_command(struct control_client *c, json_t *req, const char *cmd)
{
	if (!strcmp(cmd, "models"))
		say_list(c, req, show_models);
	else if (!strcmp(cmd, "tenants"))
		say_list(c, req, show_tenants);
	else if (!strcmp(cmd, "owners"))
		say_list(c, req, show_owners);
	else if (!strcmp(cmd, "get"))
		control_answer(c, show_knobs(c->srv), NULL);
	else if (!strcmp(cmd, "set"))
		set_knob(c, req);
	else if (!strcmp(cmd, "owner"))
		set_owner(c, req);
	else if (!strcmp(cmd, "monitor"))
		monitor(c);
	else
		return false;
	return true;
}

static void command(struct control_client *c, const char *text, size_t len)
{
	json_error_t err;
	json_t *req = json_loadb(text, len, 0, &err);
	const char *cmd = json_string_value(json_object_get(req, "cmd"));

	if (!req || !cmd)
		control_answer(c, NULL, req ? "no \"cmd\"" : err.text);
	else if (c->waits_for)
		control_answer(c, NULL, "the runner has not answered the last one yet");
	else if (!strcmp(cmd, "status"))
		control_answer(c, show_status(c->srv), NULL);
	else if (!strcmp(cmd, "explain") || !strcmp(cmd, "reload") || !strcmp(cmd, "runner"))
		ask_runner(c, req, cmd);
	else if (c->srv->device)
		control_answer(c, NULL, "not asked of braidd: the queue is the kernel's");
	else if (!queue_command(c, req, cmd))
		control_answer(c, NULL, "unknown command");
	json_decref(req);
}

void control_runner_said(struct server *s, const char *json, size_t len)
{
	json_t *o = json_loadb(json, len, 0, NULL);
	json_t *result = json_object_get(o, "result"), *ready = json_object_get(o, "ready");
	const char *error = json_string_value(json_object_get(o, "error"));
	uint64_t id = json_integer_value(json_object_get(o, "id"));

	/* 0 is what SIGHUP asked for, or that it is ready, which our queue tells too. */
	if (ready && s->device)
		runner_ready(s, json_integer_value(json_object_get(ready, "generation")),
			     json_integer_value(json_object_get(ready, "models")));
	else if (o && !id && !ready)
		notify_ready(s);
	for (struct control_client *c = s->controls; c && id; c = c->next) {
		if (c->closed || c->waits_for != id)
			continue;
		c->waits_for = 0;
		control_answer(c, error ? NULL : json_incref(result), error);
		break;
	}
	json_decref(o);
}

/* What it was asked it will not answer any more. */
void control_runner_gone(struct server *s)
{
	for (struct control_client *c = s->controls; c; c = c->next) {
		if (c->closed || !c->waits_for)
			continue;
		c->waits_for = 0;
		control_answer(c, NULL, "the runner ended before it answered");
	}
}

/* What it was asked for too long ago is answered without it; when the next one is due. */
uint64_t control_overdue(struct server *s)
{
	uint64_t when = BQ_NEVER, now = 0;

	for (struct control_client *c = s->controls; c; c = c->next) {
		if (c->closed || !c->waits_for)
			continue;
		now = now ? now : server_now();
		if (c->waits_until <= now) {
			c->waits_for = 0;
			control_answer(c, NULL, "the runner does not answer (the watchdog "
				       "ends one that is stuck, after watchdog_ms)");
		} else if (c->waits_until < when) {
			when = c->waits_until;
		}
	}
	return when;
}

static void close_one(struct control_client *c)
{
	loop_del(c->srv->loop, &c->watch);
	close(c->watch.fd);
	c->closed = true;
	c->srv->n_controls--;
	if (c->monitors)
		monitor_stop(c->srv);
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
	c = s->n_controls < CONTROL_CLIENTS ? calloc(1, sizeof(*c)) : NULL;
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
	s->n_controls++;
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
