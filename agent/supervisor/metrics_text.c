// SPDX-License-Identifier: MIT
/*
 * Figures of the queue in Prometheus's text format. Where the queue is the
 * kernel's they are read from its files; per model and per owner there is then
 * nothing, which netlink has.
 *
 * Owners are users, or what else shares are given by: few. Tenants come and go
 * and are many, so they have no figures here.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/supervisor/metrics.h"
#include "agent/supervisor/server.h"

#define MAX_OWNERS	256u

#define COUNT(field)	offsetof(struct bq_counters, field)
#define CLOSED(reason)	COUNT(closes) + BRAID_CLOSE_##reason * sizeof(uint64_t)

struct sample {
	const char *label;		/* NULL: none */
	const char *file;		/* below counters/ */
	size_t offset;			/* in struct bq_counters */
};

struct family {
	const char *name, *help;
	struct sample samples[8];
};

static const struct family counters[] = {
	{ "braid_requests_submitted_total", "Requests that tenants have put into the queue.",
	  { { NULL, "submitted", COUNT(submitted) } } },
	{ "braid_requests_ended_total", "Requests that have ended, by how.",
	  { { "how=\"done\"", "done", COUNT(done) },
	    { "how=\"failed\"", "failed", COUNT(failed) },
	    { "how=\"expired\"", "expired", COUNT(expired) },
	    { "how=\"cancelled\"", "cancelled", COUNT(cancelled) },
	    { "how=\"withdrawn\"", "withdrawn", COUNT(withdrawn) },
	    { "how=\"killed\"", "killed", COUNT(killed) },
	    { "how=\"dropped\"", "dropped", COUNT(dropped) } } },
	{ "braid_requests_requeued_total", "Requests taken back from an agent that died.",
	  { { NULL, "requeued", COUNT(requeued) } } },
	{ "braid_requests_fetched_total", "Requests handed to the agent.",
	  { { NULL, "fetched", COUNT(fetched) } } },
	{ "braid_requests_committed_total", "Requests that the agent gave back.",
	  { { NULL, "committed", COUNT(committed) } } },
	{ "braid_requests_merged_total", "Of these, those that ran merged with others.",
	  { { NULL, "merged", COUNT(merged) } } },
	{ "braid_requests_fused_total", "Of these, those that ran side by side with another model.",
	  { { NULL, "fused", COUNT(fused) } } },
	{ "braid_merge_degree_total", "Sum of the merge degrees of requests given back.",
	  { { NULL, "merge_sum", COUNT(merge_sum) } } },
	{ "braid_fuse_degree_total", "Sum of the fuse degrees of requests given back.",
	  { { NULL, "fuse_sum", COUNT(fuse_sum) } } },
	{ "braid_windows_total", "Windows handed to the agent, by what closed them.",
	  { { "closed=\"full\"", "windows_full", CLOSED(FULL) },
	    { "closed=\"age\"", "windows_age", CLOSED(AGE) },
	    { "closed=\"deadline\"", "windows_deadline", CLOSED(DEADLINE) },
	    { "closed=\"idle\"", "windows_idle", CLOSED(IDLE) },
	    { "closed=\"suspect\"", "windows_suspect", CLOSED(SUSPECT) } } },
};

static void head(FILE *f, const char *name, const char *type, const char *help)
{
	fprintf(f, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void number(FILE *f, const char *name, const char *type, const char *help, uint64_t v)
{
	head(f, name, type, help);
	fprintf(f, "%s %llu\n", name, (unsigned long long)v);
}

static void seconds(FILE *f, const char *name, const char *type, const char *help, uint64_t ns)
{
	head(f, name, type, help);
	fprintf(f, "%s %.9f\n", name, ns / 1e9);
}

/* A label's value: what would end it is escaped, and it is UTF-8. */
static void quoted(FILE *f, const char *text)
{
	json_t *utf8 = show_text(text);

	fputc('"', f);
	for (const char *p = json_string_value(utf8); p && *p; p++) {
		if (*p == '\n') {
			fputs("\\n", f);
			continue;
		}
		if (*p == '"' || *p == '\\')
			fputc('\\', f);
		fputc(*p, f);
	}
	fputc('"', f);
	json_decref(utf8);
}

/* False: the module that is loaded has no such file, or none is. */
static bool counter(struct server *s, const struct sample *p, uint64_t *v)
{
	char file[64];

	if (!s->device) {
		memcpy(v, (const char *)&s->q.count + p->offset, sizeof(*v));
		return true;
	}
	snprintf(file, sizeof(file), "counters/%s", p->file);
	return !device_number(s, file, v);
}

static void all_counters(FILE *f, struct server *s)
{
	static const struct sample device_ns = { NULL, "device_ns", COUNT(device_ns) };
	uint64_t v;

	for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++) {
		const struct family *fam = &counters[i];

		head(f, fam->name, "counter", fam->help);
		for (const struct sample *p = fam->samples; p->file; p++) {
			if (!counter(s, p, &v))
				continue;
			fprintf(f, p->label ? "%s{%s} %llu\n" : "%s%s %llu\n", fam->name,
				p->label ? p->label : "", (unsigned long long)v);
		}
	}
	if (counter(s, &device_ns, &v))
		seconds(f, "braid_device_seconds_total", "counter",
			"Time that the device spent on requests.", v);
}

static void gauges(FILE *f, struct server *s)
{
	const struct {
		const char *name, *file, *help;
		uint64_t value;
	} list[] = {
		{ "braid_agent_up", "agent_up", "Is there an agent that takes requests?", s->q.ready },
		{ "braid_agent_generation", "generation", "Counts agents that were ready.",
		  s->q.generation },
		{ "braid_tenants", "tenants", "Tenants that are connected.", s->q.n_tenants },
		{ "braid_models", "models", "Models that are served.", s->q.n_models },
		{ "braid_requests_queued", "depth", "Requests that wait.",
		  s->q.queued + s->q.suspects },
		{ "braid_requests_running", "fetched", "Requests that are with the agent.",
		  s->q.fetched },
	};
	uint64_t v;

	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		v = list[i].value;
		if (!s->device || !device_number(s, list[i].file, &v))
			number(f, list[i].name, "gauge", list[i].help, v);
	}
}

static void own(FILE *f, struct server *s)
{
	head(f, "braid_info", "gauge", "What serves here.");
	fprintf(f, "braid_info{version=\"%s\",transport=\"%s\",backend=", BRAID_VERSION,
		s->device ? "device" : "socket");
	quoted(f, s->cfg.backend);
	fprintf(f, "} 1\n");
	seconds(f, "braid_uptime_seconds", "gauge", "Since braidd was started.",
		server_now() - s->started_ns);
	number(f, "braid_runner_starts_total", "counter", "Times the runner was started.",
	       s->runner.starts);
	number(f, "braid_draining", "gauge", "Is braidd about to end?", s->draining);
}

static void models(FILE *f, struct server *s)
{
	const struct bq_model *m;

	head(f, "braid_model_requests_queued", "gauge", "Requests for a model that wait.");
	for (m = bq_model_next(&s->q, 0); m; m = bq_model_next(&s->q, m->id)) {
		fprintf(f, "braid_model_requests_queued{model=");
		quoted(f, m->name);
		fprintf(f, "} %u\n", m->queued);
	}
	head(f, "braid_model_request_seconds", "gauge",
	     "What the device takes for a request of a model, as the agent last said.");
	for (m = bq_model_next(&s->q, 0); m; m = bq_model_next(&s->q, m->id)) {
		fprintf(f, "braid_model_request_seconds{model=");
		quoted(f, m->name);
		fprintf(f, "} %.9f\n", m->device_ns / 1e9);
	}
}

static uint64_t owner_value(const struct bq_owner *o, int i)
{
	return i == 0 ? o->requests : i == 1 ? o->bytes : i == 2 ? node_owner_tenants(o) :
	       i == 3 ? o->completed : o->device_ns;
}

static void owners(FILE *f, struct server *s)
{
	static const struct {
		const char *name, *type, *help;
	} list[] = {
		{ "braid_owner_requests", "gauge", "Requests of an owner that count towards its quota." },
		{ "braid_owner_buffer_bytes", "gauge", "Memory of an owner's buffers." },
		{ "braid_owner_tenants", "gauge", "Tenants of an owner." },
		{ "braid_owner_requests_ended_total", "counter", "Requests of an owner that ended." },
		{ "braid_owner_device_seconds_total", "counter",
		  "Time that the device spent on an owner's requests." },
	};
	unsigned int n = 0;

	for (int i = 0; i < (int)(sizeof(list) / sizeof(list[0])); i++) {
		n = 0;
		head(f, list[i].name, list[i].type, list[i].help);
		for (struct bq_owner *o = bq_owner_from(&s->q, 0); o; o = bq_owner_next(&s->q, o)) {
			uint64_t v = owner_value(o, i);

			if (n++ >= MAX_OWNERS)
				continue;
			fprintf(f, "%s{owner=\"%llu\"} ", list[i].name, (unsigned long long)o->key);
			fprintf(f, i == 4 ? "%.9f\n" : "%.0f\n", i == 4 ? v / 1e9 : (double)v);
		}
	}
	number(f, "braid_owners", "gauge", "Owners that are known; the first 256 have figures.", n);
}

char *metrics_text(struct server *s, size_t *bytes)
{
	char *text = NULL;
	FILE *f = open_memstream(&text, bytes);
	bool bad;

	if (!f)
		return NULL;
	own(f, s);
	gauges(f, s);
	all_counters(f, s);
	if (!s->device) {
		models(f, s);
		owners(f, s);
	}
	bad = ferror(f);
	if (!fclose(f) && !bad)
		return text;
	free(text);
	return NULL;
}
