// SPDX-License-Identifier: MIT
/*
 * The private channel from the supervisor: one JSON object a message.
 *
 *	{"op":"reload","id":1}
 *	{"op":"explain","id":2,"window":17}    or "tenant" and "request"
 *	{"op":"runner","id":3}                 what the runner knows of itself
 *
 * The answer carries the id, and "result" or "error". Unasked, once:
 *
 *	{"id":0,"ready":{"generation":1,"models":2}}
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/log.h"
#include "agent/program/program.h"
#include "agent/runner/explain.h"
#include "agent/runner/runner.h"

#define SHOWN_REFUSALS	32u	/* an answer has to fit a message */

/* From files, so it may be anything. */
static json_t *text(const char *s)
{
	json_t *o = json_string(s);

	return o ? o : json_string("?");
}

static json_t *refusals(const struct runner *r)
{
	json_t *list = json_array();

	for (const struct refusal *f = r->refused;
	     f && json_array_size(list) < SHOWN_REFUSALS; f = f->next)
		json_array_append_new(list, json_pack("{s:o,s:o}", "model", text(f->name),
						      "why", text(f->why)));
	return list;
}

/* ns, from one thing to the next. */
static json_t *load_times(const struct run_model *m)
{
	return json_pack("{s:I,s:I,s:I,s:I,s:I}", "read", (json_int_t)m->read_ns,
			 "plan", (json_int_t)m->took.plan, "kernels", (json_int_t)m->took.kernels,
			 "weights", (json_int_t)m->took.weights, "lanes", (json_int_t)m->took.lanes);
}

static json_t *start_times(const struct run_start *s)
{
	return json_pack("{s:I,s:I,s:I,s:I,s:I}", "began_ns", (json_int_t)s->began_ns,
			 "opened_ns", (json_int_t)s->opened_ns, "ready_ns", (json_int_t)s->ready_ns,
			 "window_ns", (json_int_t)s->window_ns, "answer_ns", (json_int_t)s->answer_ns);
}

static json_t *about(struct runner *r)
{
	json_t *models = json_array();
	struct rusage ru;

	getrusage(RUSAGE_SELF, &ru);
	for (struct run_model *m = r->models; m; m = m->next)
		json_array_append_new(models,
			json_pack("{s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:i,s:i,s:b,s:o}",
				  "name", m->conf.name, "id", (json_int_t)m->id,
				  "arena_bytes", (json_int_t)m->prog->arena_bytes,
				  "const_bytes", (json_int_t)m->prog->const_bytes,
				  "mean_device_ns", (json_int_t)m->mean_ns,
				  "groups", (json_int_t)m->runs,
				  "requests", (json_int_t)m->requests,
				  "ops", (int)m->prog->n_ops,
				  "max_degree", (int)m->conf.max_degree,
				  "deleting", m->deleting, "load_ns", load_times(m)));
	return json_pack("{s:i,s:s,s:I,s:I,s:I,s:I,s:I,s:o,s:o}", "pid", (int)getpid(),
			 "backend", r->ops->name, "windows", (json_int_t)r->windows,
			 "groups", (json_int_t)r->groups, "jobs", (json_int_t)r->jobs,
			 "results_refused", (json_int_t)link_refused(r->link),
			 "max_rss_kib", (json_int_t)ru.ru_maxrss, "models", models,
			 "refused", refusals(r));
}

/* What the backend tells of itself, and whether it has done all that it can beforehand. */
static json_t *about_all(struct runner *r)
{
	json_t *o = about(r);

	json_object_set_new(o, "settled", json_boolean(r->ready && !r->asked &&
			    (!r->ops->settled || r->ops->settled(r->be))));
	json_object_set_new(o, "start", start_times(&r->start));
	json_object_set_new(o, "ended", json_integer(r->ended));
	json_object_set_new(o, "launch_ns", json_integer(r->launch_ns));
	json_object_set_new(o, "device_ns", json_integer(r->device_ns));
	if (r->ops->about)
		json_object_set_new(o, "device", r->ops->about(r->be));
	if (r->outside.at_ns)
		json_object_set_new(o, "outside", outside_json(&r->outside));
	return o;
}

static uint64_t field(json_t *o, const char *name)
{
	return json_integer_value(json_object_get(o, name));
}

static void answer(int fd, uint64_t id, json_t *result, const char *error)
{
	json_t *o = error ? json_pack("{s:I,s:s}", "id", (json_int_t)id, "error", error) :
			    json_pack("{s:I,s:o}", "id", (json_int_t)id, "result", result);
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	char broken[96];

	if (!text)
		snprintf(broken, sizeof(broken),
			 "{\"id\":%llu,\"error\":\"the answer can't be put into words\"}",
			 (unsigned long long)id);
	if (send(fd, text ? text : broken, strlen(text ? text : broken),
		 MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_line(LOG_WARNING, "answer to the supervisor lost", "error=\"%s\"",
			 strerror(errno));
	free(text);
	json_decref(o);
}

bool runner_reload_waits(const struct runner *r)
{
	return r->tell_reloaded || r->n_reloads;
}

/* What was asked for is over: all is loaded, or refused. SIGHUP's has no id. */
void runner_reloaded(struct runner *r)
{
	unsigned int served = 0, changed = r->n_changed;
	int fd = r->control_watch.fd;

	for (const struct run_model *m = r->models; m; m = m->next)
		served += !m->deleting;
	if (changed > served)
		changed = served;
	if (r->tell_reloaded)
		answer(fd, 0, json_object(), NULL);
	for (unsigned int i = 0; i < r->n_reloads; i++)
		answer(fd, r->reloads[i],
		       json_pack("{s:i,s:i,s:i,s:o}", "loaded", (int)changed, "withdrawn",
				 (int)r->n_withdrawn, "unchanged", (int)(served - changed),
				 "refused", refusals(r)), NULL);
	r->tell_reloaded = false;
	r->n_reloads = 0;
}

/* Over the device nothing else tells the supervisor. */
void runner_tell_ready(struct runner *r)
{
	char text[128];
	int n = snprintf(text, sizeof(text),
			 "{\"id\":0,\"ready\":{\"generation\":%llu,\"models\":%u}}",
			 (unsigned long long)r->generation, r->n_models);

	if (send(r->control_watch.fd, text, n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_line(LOG_WARNING, "the supervisor was not told", "error=\"%s\"",
			 strerror(errno));
}

/* Each is answered when the models are loaded, or refused. */
static void reload(struct runner *r, uint64_t id)
{
	if (id && r->n_reloads == RUNNER_RELOADS) {
		answer(r->control_watch.fd, id, NULL, "too many reloads wait already");
		return;
	}
	if (!runner_reload_waits(r))
		r->n_changed = r->n_withdrawn = 0;
	if (id)
		r->reloads[r->n_reloads++] = id;
	else
		r->tell_reloaded = true;
	models_reload(r);
}

void runner_control(struct loop_watch *w, uint32_t events)
{
	struct runner *r = (struct runner *)((char *)w - offsetof(struct runner, control_watch));
	char text[4096];
	const char *op;
	json_t *req, *res;
	ssize_t n;

	n = recv(w->fd, text, sizeof(text), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		loop_del(r->loop, w);
		runner_alone(r);
		return;
	}
	req = json_loadb(text, n, 0, NULL);
	op = json_string_value(json_object_get(req, "op"));
	if (!op) {
		answer(w->fd, field(req, "id"), NULL, "no \"op\"");
	} else if (!strcmp(op, "reload")) {
		reload(r, field(req, "id"));
	} else if (!strcmp(op, "explain")) {
		res = explain_query(r->explain, field(req, "window"), field(req, "tenant"),
				    field(req, "request"));
		answer(w->fd, field(req, "id"), res,
		       res ? NULL : "not among the windows that this agent remembers");
	} else if (!strcmp(op, "runner")) {
		answer(w->fd, field(req, "id"), about_all(r), NULL);
	} else {
		answer(w->fd, field(req, "id"), NULL, "unknown \"op\"");
	}
	json_decref(req);
}
