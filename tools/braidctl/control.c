// SPDX-License-Identifier: MIT
/*
 * braidd's control socket: asking it, and the source that it is where the
 * queue is braidd's.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "tools/braidctl/source.h"

#define ANSWER_MAX	(4u << 20)

static void say(const struct ctl *c, const char *what, const char *more)
{
	fprintf(stderr, "%s: %s: %s%s\n", program_invocation_short_name, c->socket, what, more);
}

static void say_errno(const struct ctl *c, int err)
{
	say(c, strerror(err), err == ENOENT || err == ECONNREFUSED ? " (is braidd running?)" :
			      err == EACCES ? " (this is for root)" : "");
}

/* @quiet: that nobody is there is no failure. */
static int connect_to(const struct ctl *c, const char *cmd, bool quiet)
{
	/* A reload is answered when large models have been loaded. */
	struct timeval tv = { .tv_sec = cmd && !strcmp(cmd, "reload") ? 600 : 10 };
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(c->socket) >= sizeof(sa.sun_path)) {
		say(c, "longer than a socket's name may be", "");
		return -1;
	}
	strcpy(sa.sun_path, c->socket);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa))) {
		if (!quiet)
			say_errno(c, errno);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	return fd;
}

/* Ask once; @more is set when the list goes on after it. */
static json_t *ask(const struct ctl *c, json_t *req, json_t **more, bool quiet)
{
	const char *cmd = json_string_value(json_object_get(req, "cmd")), *error;
	json_t *o = NULL, *result = NULL;
	char *text = NULL, *buf = NULL;
	int fd = connect_to(c, cmd, quiet);
	ssize_t n;

	if (fd < 0)
		return NULL;
	text = json_dumps(req, JSON_COMPACT);
	buf = malloc(ANSWER_MAX);
	if (!text || !buf)
		goto out;
	if (send(fd, text, strlen(text), MSG_NOSIGNAL) < 0) {
		say(c, strerror(errno), "");
		goto out;
	}
	n = recv(fd, buf, ANSWER_MAX, 0);
	if (n <= 0) {
		say(c, !n ? "hung up: not root, nor who runs braidd?" :
		    errno == EAGAIN ? "no answer" : strerror(errno), "");
		goto out;
	}
	o = json_loadb(buf, n, 0, NULL);
	error = json_string_value(json_object_get(o, "error"));
	if (!o || error || !json_is_true(json_object_get(o, "ok")))
		fprintf(stderr, "%s: %s\n", program_invocation_short_name,
			error ? error : "answer not understood");
	else
		result = json_incref(json_object_get(o, "result"));
	*more = json_incref(json_object_get(o, "more"));
out:
	json_decref(o);
	free(text);
	free(buf);
	close(fd);
	return result;
}

json_t *ctl_ask(const struct ctl *c, json_t *req)
{
	json_t *more = NULL, *all, *part;

	all = ask(c, req, &more, false);
	while (all && more) {
		json_object_set_new(req, "after", more);
		more = NULL;
		part = ask(c, req, &more, false);
		if (!part || json_array_extend(all, part)) {
			json_decref(all);
			all = NULL;
		}
		json_decref(part);
	}
	json_decref(more);
	json_decref(req);
	return all;
}

json_t *ctl_try(const struct ctl *c, const char *cmd)
{
	json_t *req = json_pack("{s:s}", "cmd", cmd), *more = NULL, *o;

	o = ask(c, req, &more, true);
	json_decref(more);
	json_decref(req);
	return o;
}

json_t *ctl_cmd(const struct ctl *c, const char *cmd)
{
	return ctl_ask(c, json_pack("{s:s}", "cmd", cmd));
}

static json_t *status(const struct ctl *c)
{
	return ctl_cmd(c, "status");
}

static json_t *models(const struct ctl *c)
{
	return ctl_cmd(c, "models");
}

static json_t *tenants(const struct ctl *c)
{
	return ctl_cmd(c, "tenants");
}

static json_t *owners(const struct ctl *c)
{
	return ctl_cmd(c, "owners");
}

static json_t *owner_set(const struct ctl *c, const char *whose, long long id, json_t *limits)
{
	json_object_set_new(limits, "cmd", json_string("owner"));
	json_object_set_new(limits, whose, json_integer(id));
	return ctl_ask(c, limits);
}

static json_t *knobs(const struct ctl *c)
{
	return ctl_cmd(c, "get");
}

static json_t *knob_set(const struct ctl *c, const char *knob, const char *value)
{
	return ctl_ask(c, json_pack("{s:s,s:s,s:s}", "cmd", "set", "knob", knob, "value", value));
}

/* A message of one who monitors: its event, "listening" for the answer before. */
static json_t *event_of(const struct ctl *c, const char *buf, size_t n)
{
	json_t *o = json_loadb(buf, n, 0, NULL), *event;
	const char *error = json_string_value(json_object_get(o, "error"));

	if (json_is_true(json_object_get(o, "ok")))
		event = json_pack("{s:s}", "event", "listening");
	else
		event = json_incref(json_object_get(o, "event"));
	if (!event)
		say(c, error ? error : "answer not understood", "");
	json_decref(o);
	return event;
}

static int monitor(const struct ctl *c, source_told *told, void *arg)
{
	static const char cmd[] = "{\"cmd\":\"monitor\"}";
	struct timeval forever = { 0 };
	char *buf = malloc(ANSWER_MAX);
	int fd = connect_to(c, "monitor", false), ret = -1;
	json_t *event;
	ssize_t n;

	if (fd < 0 || !buf)
		goto out;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &forever, sizeof(forever));
	n = send(fd, cmd, sizeof(cmd) - 1, MSG_NOSIGNAL);
	while (n > 0) {
		n = recv(fd, buf, ANSWER_MAX, 0);
		if (n <= 0)
			break;
		event = event_of(c, buf, n);
		if (!event)
			goto out;
		if (!told(arg, event)) {
			ret = 0;
			goto out;
		}
	}
	say(c, n ? strerror(errno) : "hung up", "");
out:
	if (fd >= 0)
		close(fd);
	free(buf);
	return ret;
}

const struct source source_control = {
	.name = "socket",
	.status = status,
	.models = models,
	.tenants = tenants,
	.owners = owners,
	.owner_set = owner_set,
	.knobs = knobs,
	.knob_set = knob_set,
	.monitor = monitor,
};
