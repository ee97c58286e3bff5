// SPDX-License-Identifier: MIT
/*
 * What there is to see of the queue, as JSON. Lists come in parts that fit a
 * message, in order of a key that is never used twice.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/supervisor/server.h"

#define PART_BYTES	(96u * 1024)	/* a part of a list has about so many */

json_t *show_number(uint64_t v)
{
	return json_integer((json_int_t)v);
}

/* Names come from files: what is not UTF-8 is shown as question marks. */
json_t *show_text(const char *text)
{
	json_t *v = json_string(text);
	char *ascii;

	if (v)
		return v;
	ascii = strdup(text);
	for (char *p = ascii; p && *p; p++)
		if (*p & 0x80)
			*p = '?';
	v = json_string(ascii ? ascii : "?");
	free(ascii);
	return v;
}

json_t *show_knobs(const struct server *s)
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
		json_object_set_new(o, list[i].name, show_number(list[i].value));
	for (unsigned int i = 1; i < BRAID_CLOSES; i++)
		json_object_set_new(by, closes[i], show_number(c->closes[i]));
	json_object_set_new(o, "window_closes", by);
	return o;
}

/* What is braidd's own, whoever has the queue. */
static json_t *own_status(struct server *s)
{
	const struct runner_proc *r = &s->runner;
	json_t *times = json_pack("{s:o,s:o,s:o,s:o}", "gone_ns", show_number(r->gone_ns),
				  "ended_ns", show_number(r->ended_ns), "started_ns",
				  show_number(r->started_ns), "ready_ns", show_number(r->ready_ns));

	return json_pack("{s:s,s:o,s:s,s:I,s:i,s:b,s:o}",
			 "transport", s->device ? "device" : "socket",
			 "uptime_ns", show_number(server_now() - s->started_ns),
			 "backend", s->cfg.backend,
			 "runner_pid", (json_int_t)s->runner.pid,
			 "runner_starts", (int)s->runner.starts, "draining", s->draining,
			 "runner_times", times);
}

json_t *show_status(struct server *s)
{
	const struct bq *q = &s->q;
	json_t *o = own_status(s), *queue;

	if (s->device) {
		json_object_set_new(o, "device", json_string(s->cfg.device));
		return o;
	}
	queue = json_pack("{s:b,s:I,s:i,s:i,s:i,s:i,s:i,s:o,s:o}",
			  "agent_up", q->ready, "generation", (json_int_t)q->generation,
			  "tenants", (int)s->n_clients, "models", (int)q->n_models,
			  "queued", (int)q->queued, "suspects", (int)q->suspects,
			  "fetched", (int)q->fetched,
			  "knobs", show_knobs(s), "counters", counters(q));
	json_object_update(o, queue);
	json_decref(queue);
	return o;
}

/* Bytes that a member of a list will take, roughly and not too few. */
static size_t weight(json_t *member)
{
	char *text = json_dumps(member, JSON_COMPACT);
	size_t n = text ? strlen(text) + 1 : 0;

	free(text);
	return n;
}

/* Append; false when the part is full, @key is then the last one in it. */
static bool add(json_t *list, json_t *member, uint64_t key, size_t *bytes, uint64_t *more)
{
	*bytes += weight(member);
	if (member)
		json_array_append_new(list, member);
	if (*bytes < PART_BYTES)
		return true;
	*more = key;
	return false;
}

static json_t *tensors(const struct bq_model *m, unsigned int first, unsigned int n)
{
	json_t *list = json_array();

	for (unsigned int i = first; i < first + n; i++) {
		const struct braid_tensor *t = &m->tensors[i];
		json_t *dims = json_array();

		for (unsigned int k = 0; k < t->rank; k++)
			json_array_append_new(dims, show_number(t->dims[k]));
		json_array_append_new(list, json_pack("{s:o,s:i,s:o,s:o}",
						      "name", show_text(t->name),
						      "type", (int)t->type, "dims", dims,
						      "bytes", show_number(t->bytes)));
	}
	return list;
}

json_t *show_models(struct server *s, uint64_t after, uint64_t *more)
{
	char hex[2 * BRAID_DIGEST_BYTES + 1];
	json_t *list = json_array();
	struct bq_model *m;
	size_t bytes = 0;

	if (after == SHOW_FROM_START)
		after = 0;
	for (m = bq_model_next(&s->q, after); m; m = bq_model_next(&s->q, m->id)) {
		for (int i = 0; i < BRAID_DIGEST_BYTES; i++)
			sprintf(hex + 2 * i, "%02x", m->digest[i]);
		if (!add(list, json_pack("{s:I,s:o,s:s,s:o,s:i,s:i,s:o,s:o}",
					 "id", (json_int_t)m->id, "name", show_text(m->name),
					 "digest", hex, "device_ns", show_number(m->device_ns),
					 "queued", (int)m->queued, "fetched", (int)m->fetched,
					 "inputs", tensors(m, 0, m->n_inputs),
					 "outputs", tensors(m, m->n_inputs, m->n_outputs)),
			 m->id, &bytes, more))
			break;
	}
	return list;
}

json_t *show_tenants(struct server *s, uint64_t after, uint64_t *more)
{
	json_t *list = json_array();
	struct bq_tenant *t;
	size_t bytes = 0;

	if (after == SHOW_FROM_START)
		after = 0;
	for (t = bq_tenant_next(&s->q, after); t; t = bq_tenant_next(&s->q, t->id)) {
		struct client *c = bq_entry(t, struct client, tenant);

		if (!add(list, json_pack("{s:I,s:I,s:i,s:i,s:i,s:o,s:o}",
					 "id", (json_int_t)t->id,
					 "owner", (json_int_t)t->owner->key,
					 "pid", (int)c->pid, "uid", (int)c->uid,
					 "outstanding", (int)t->outstanding,
					 "submitted", show_number(t->submitted),
					 "device_ns", show_number(t->device_ns)),
			 t->id, &bytes, more))
			break;
	}
	return list;
}

json_t *show_owners(struct server *s, uint64_t after, uint64_t *more)
{
	json_t *list = json_array();
	size_t bytes = 0;

	/* Keys start with 0; SHOW_FROM_START is one below that. */
	for (struct bq_owner *o = bq_owner_from(&s->q, after + 1); o; o = bq_owner_next(&s->q, o)) {
		if (!add(list, json_pack("{s:I,s:i,s:i,s:i,s:o,s:b,s:i,s:i,s:o,s:o,s:o}",
					 "owner", (json_int_t)o->key,
					 "weight", (int)o->limits.weight,
					 "priority_ceiling", (int)o->limits.priority_ceiling,
					 "request_quota", (int)o->limits.request_quota,
					 "byte_quota", show_number(o->limits.byte_quota),
					 "set", o->set, "requests", (int)o->requests,
					 "buffers", (int)node_owner_buffers(o),
					 "bytes", show_number(o->bytes),
					 "device_ns", show_number(o->device_ns),
					 "completed", show_number(o->completed)),
			 o->key, &bytes, more))
			break;
	}
	return list;
}
