// SPDX-License-Identifier: MIT
/*
 * Writing a trace: see trace_write.h. Times in the file are microseconds of
 * CLOCK_MONOTONIC, with three decimals.
 */
#include "tools/braidctl/trace_write.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define GPU_PID		1
#define WINDOWS_TID	1
#define SWITCHES_TID	2
#define LANE_TID	10	/* and the ones after it */
#define LANES		64
#define CONTEXT_TID	100	/* and the context's number */
#define RING_PID	10	/* and the ones after it */
#define TENANT_PID	1000	/* and the tenant's number */
#define HOST_PID	100000000ll	/* and the real one */
#define STALLS_TID	1
#define CLIENT_TID	10

struct writer {
	FILE *f;
	long n;
	json_t *tracks;		/* "pid" and "pid/tid" that have a name */
	long long lanes[LANES];	/* when each is free again */
	json_t *contexts;	/* "context/pid": when it started */
	json_t *window_ends;	/* window: when its last part ended */
	json_t *rings;		/* name: pid */
	json_t *clients;	/* entity: tid */
	long long last_end_ns;	/* of the context that ran last */
	long long last_context;
};

static void string(struct writer *w, const char *s)
{
	json_t *v = json_string(s);
	char *text = json_dumps(v ? v : json_null(), JSON_ENCODE_ANY | JSON_ENSURE_ASCII);

	fputs(text ? text : "\"?\"", w->f);
	free(text);
	json_decref(v);
}

static void begin(struct writer *w, const char *phase, long long pid, long long tid)
{
	fprintf(w->f, "%s{\"ph\":\"%s\",\"pid\":%lld,\"tid\":%lld", w->n++ ? ",\n" : "", phase, pid,
		tid);
}

static void name(struct writer *w, const char *text)
{
	fputs(",\"name\":", w->f);
	string(w, text);
}

static void stamp(struct writer *w, const char *what, long long ns)
{
	fprintf(w->f, ",\"%s\":%lld.%03lld", what, ns / 1000, ns % 1000);
}

static void track(struct writer *w, long long pid, const char *process, long long tid,
		  const char *thread)
{
	char key[64];

	snprintf(key, sizeof(key), "%lld", pid);
	if (!json_object_get(w->tracks, key)) {
		json_object_set_new(w->tracks, key, json_true());
		begin(w, "M", pid, 0);
		fputs(",\"name\":\"process_name\",\"args\":{\"name\":", w->f);
		string(w, process);
		fputs("}}", w->f);
	}
	snprintf(key, sizeof(key), "%lld/%lld", pid, tid);
	if (!thread || json_object_get(w->tracks, key))
		return;
	json_object_set_new(w->tracks, key, json_true());
	begin(w, "M", pid, tid);
	fputs(",\"name\":\"thread_name\",\"args\":{\"name\":", w->f);
	string(w, thread);
	fputs("}}", w->f);
}

/* A span on a thread; what is on one thread must not overlap. */
static void span(struct writer *w, long long pid, long long tid, const char *text, long long from,
		 long long to)
{
	begin(w, "X", pid, tid);
	name(w, text);
	stamp(w, "ts", from);
	stamp(w, "dur", to > from ? to - from : 0);
}

/* A span that may overlap with others; those of one id nest. */
static void open_span(struct writer *w, const char *category, long long pid, const char *id,
		      const char *text, long long at)
{
	begin(w, "b", pid, 0);
	name(w, text);
	fprintf(w->f, ",\"cat\":\"%s\",\"id\":\"%s\"", category, id);
	stamp(w, "ts", at);
}

static void close_span(struct writer *w, const char *category, long long pid, const char *id,
		       const char *text, long long at)
{
	begin(w, "e", pid, 0);
	name(w, text);
	fprintf(w->f, ",\"cat\":\"%s\",\"id\":\"%s\"", category, id);
	stamp(w, "ts", at);
	fputs("}", w->f);
}

static void note_end(struct writer *w, const json_t *o, long long ns)
{
	char key[32];

	snprintf(key, sizeof(key), "%lld", ctl_int(o, "window"));
	if (json_integer_value(json_object_get(w->window_ends, key)) < ns)
		json_object_set_new(w->window_ends, key, json_integer(ns));
}

static void request(struct writer *w, const json_t *o, const struct measure_names *names)
{
	long long tenant = ctl_int(o, "tenant"), from = ctl_int(o, "enqueue_ns");
	long long fetch = ctl_int(o, "fetch_ns"), done = ctl_int(o, "done_ns");
	long long pid = TENANT_PID + tenant;
	json_t *t = measure_tenant(names, tenant);
	char text[160], model[128], id[64];

	if (t)
		snprintf(text, sizeof(text), "tenant %lld, pid %lld", tenant, ctl_int(t, "pid"));
	else
		snprintf(text, sizeof(text), "tenant %lld", tenant);
	track(w, pid, text, 0, NULL);
	measure_model(names, ctl_int(o, "model"), model, sizeof(model));
	snprintf(id, sizeof(id), "r%lld.%lld", tenant, ctl_int(o, "id"));
	open_span(w, "request", pid, id, model, from);
	fprintf(w->f, ",\"args\":{\"request\":%lld,\"window\":%lld,\"status\":%lld,\"merge_degree\":%lld,\"fuse_degree\":%lld,\"device_us\":%.3f}}",
		ctl_int(o, "id"), ctl_int(o, "window"), ctl_int(o, "status"),
		ctl_int(o, "merge_degree"), ctl_int(o, "fuse_degree"),
		ctl_int(o, "device_ns") / 1e3);
	open_span(w, "request", pid, id, "queued", from);
	fputs("}", w->f);
	close_span(w, "request", pid, id, "queued", fetch ? fetch : done);
	if (fetch) {
		open_span(w, "request", pid, id, "running", fetch);
		fputs("}", w->f);
		close_span(w, "request", pid, id, "running", done);
	}
	close_span(w, "request", pid, id, model, done);
}

/* Each group takes the first lane that is free when it starts. */
static int lane(struct writer *w, const json_t *o)
{
	long long start = ctl_int(o, "start_ns"), end = ctl_int(o, "end_ns");
	int n = 0;

	while (n < LANES - 1 && w->lanes[n] > start)
		n++;
	if (end > w->lanes[n])
		w->lanes[n] = end;
	return n;
}

static void group(struct writer *w, const json_t *o, const struct measure_names *names)
{
	char text[192], model[128], thread[32];
	int n = lane(w, o);

	track(w, GPU_PID, "GPU", 0, NULL);
	snprintf(thread, sizeof(thread), "lane %d", n);
	track(w, GPU_PID, "GPU", LANE_TID + n, thread);
	measure_model(names, ctl_int(o, "model"), model, sizeof(model));
	snprintf(text, sizeof(text), ctl_int(o, "fuse_degree") > 1 ? "%s x%lld, fused with %lld" :
		 "%s x%lld", model, ctl_int(o, "merge_degree"), ctl_int(o, "fuse_degree") - 1);
	span(w, GPU_PID, LANE_TID + n, text, ctl_int(o, "start_ns"), ctl_int(o, "end_ns"));
	fprintf(w->f, ",\"args\":{\"window\":%lld,\"launch\":%lld,\"merge_degree\":%lld,\"fuse_degree\":%lld,\"device_us\":%.3f}}",
		ctl_int(o, "window"), ctl_int(o, "launch"), ctl_int(o, "merge_degree"),
		ctl_int(o, "fuse_degree"), ctl_int(o, "device_ns") / 1e3);
}

static void window(struct writer *w, const json_t *o)
{
	static const char *const reasons[] = { "none", "full", "age", "deadline", "idle",
					       "suspect" };
	long long reason = ctl_int(o, "reason"), from = ctl_int(o, "close_ns"), to;
	char text[96], id[48], key[32];

	track(w, GPU_PID, "GPU", 0, NULL);
	snprintf(key, sizeof(key), "%lld", ctl_int(o, "id"));
	to = json_integer_value(json_object_get(w->window_ends, key));
	snprintf(text, sizeof(text), "window %lld: %lld requests, %s", ctl_int(o, "id"),
		 ctl_int(o, "requests"), reason >= 0 && reason < 6 ? reasons[reason] : "?");
	snprintf(id, sizeof(id), "w%lld.%lld", ctl_int(o, "queue"), ctl_int(o, "id"));
	open_span(w, "window", GPU_PID, id, text, from);
	fputs("}", w->f);
	/* Its end is known where something of it was seen to end. */
	close_span(w, "window", GPU_PID, id, text, to > from ? to : from);
}

static void wait(struct writer *w, const json_t *o)
{
	long long pid = ctl_int(o, "pid"), from = ctl_int(o, "ts_ns");
	char process[64], thread[32];

	snprintf(process, sizeof(process), "libcuda, pid %lld", pid);
	snprintf(thread, sizeof(thread), "thread %lld", ctl_int(o, "tid"));
	track(w, HOST_PID + pid, process, ctl_int(o, "tid"), thread);
	span(w, HOST_PID + pid, ctl_int(o, "tid"), ctl_int(o, "foreign_launches") ?
	     "sync wait, others launched" : "sync wait", from, from + ctl_int(o, "wait_ns"));
	fprintf(w->f, ",\"args\":{\"call\":\"%s\",\"foreign_launches\":%lld}}", ctl_str(o, "kind"),
		ctl_int(o, "foreign_launches"));
}

static void launch(struct writer *w, const json_t *o)
{
	long long pid = ctl_int(o, "pid");
	char process[64], thread[32];

	snprintf(process, sizeof(process), "libcuda, pid %lld", pid);
	snprintf(thread, sizeof(thread), "thread %lld", ctl_int(o, "tid"));
	track(w, HOST_PID + pid, process, ctl_int(o, "tid"), thread);
	begin(w, "i", HOST_PID + pid, ctl_int(o, "tid"));
	name(w, ctl_str(o, "kind"));
	stamp(w, "ts", ctl_int(o, "ts_ns"));
	fputs(",\"s\":\"t\"}", w->f);
}

static long long number_of(json_t *all, const char *key, long long first)
{
	if (!json_object_get(all, key))
		json_object_set_new(all, key, json_integer(first + json_object_size(all)));
	return json_integer_value(json_object_get(all, key));
}

static void job(struct writer *w, const json_t *o)
{
	long long pid = number_of(w->rings, ctl_str(o, "ring"), RING_PID), tid;
	long long start = ctl_int(o, "start_ns"), stall = ctl_int(o, "stall_ns");
	char process[96], thread[64], key[32];

	snprintf(process, sizeof(process), "ring %s", ctl_str(o, "ring"));
	snprintf(key, sizeof(key), "%lld", ctl_int(o, "entity"));
	tid = number_of(w->clients, key, CLIENT_TID);
	snprintf(thread, sizeof(thread), "client of pid %lld", ctl_int(o, "pid"));
	track(w, pid, process, tid, thread);
	span(w, pid, tid, "job", start, ctl_int(o, "end_ns"));
	fprintf(w->f, ",\"args\":{\"waited_us\":%.3f}}",
		(start - ctl_int(o, "queued_ns")) / 1e3);
	if (!stall)
		return;
	track(w, pid, process, STALLS_TID, "stalls");
	span(w, pid, STALLS_TID, "stall", start - stall, start);
	fputs("}", w->f);
}

/* Tags are FECS's: 3 and 7 end a context's turn, 5 and 6 begin it. */
static void context(struct writer *w, const json_t *o)
{
	long long tag = ctl_int(o, "tag"), id = ctl_int(o, "context"), ts = ctl_int(o, "ts_ns");
	long long tid = CONTEXT_TID + id, from;
	char key[48], thread[64];

	if (tag != 3 && tag != 5 && tag != 6 && tag != 7)
		return;
	snprintf(key, sizeof(key), "%lld/%lld", id, ctl_int(o, "pid"));
	if (tag == 5 || tag == 6) {
		json_object_set_new(w->contexts, key, json_integer(ts));
		if (w->last_end_ns && w->last_context != id && ts >= w->last_end_ns) {
			track(w, GPU_PID, "GPU", SWITCHES_TID, "context switches");
			span(w, GPU_PID, SWITCHES_TID, "switch", w->last_end_ns, ts);
			fprintf(w->f, ",\"args\":{\"from\":%lld,\"to\":%lld}}", w->last_context, id);
		}
		w->last_end_ns = 0;
		return;
	}
	from = json_integer_value(json_object_get(w->contexts, key));
	json_object_del(w->contexts, key);
	w->last_end_ns = ts;
	w->last_context = id;
	if (!from)
		return;
	snprintf(thread, sizeof(thread), "context %lld, pid %lld", id, ctl_int(o, "pid"));
	track(w, GPU_PID, "GPU", tid, thread);
	span(w, GPU_PID, tid, "on the GPU", from, ts);
	fputs("}", w->f);
}

static int by_start(const void *a, const void *b)
{
	const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
	long long s = ctl_int(x, "start_ns"), t = ctl_int(y, "start_ns");

	return s < t ? -1 : s > t;
}

/* Groups in order of their start, so that lanes are filled from the first on. */
static void groups(struct writer *w, json_t *events, const struct measure_names *names)
{
	size_t n = 0, i;
	json_t **all = calloc(json_array_size(events) + 1, sizeof(*all)), *e, *o;

	if (!all)
		return;
	json_array_foreach(events, i, e)
		if ((o = json_object_get(e, "group")))
			all[n++] = o;
	qsort(all, n, sizeof(*all), by_start);
	for (i = 0; i < n; i++)
		group(w, all[i], names);
	free(all);
}

static void all(struct writer *w, json_t *events, const struct measure_names *names)
{
	json_t *e, *o;
	size_t i;

	json_array_foreach(events, i, e) {
		if ((o = json_object_get(e, "request")))
			note_end(w, o, ctl_int(o, "done_ns"));
		else if ((o = json_object_get(e, "group")))
			note_end(w, o, ctl_int(o, "end_ns"));
	}
	groups(w, events, names);
	json_array_foreach(events, i, e) {
		if ((o = json_object_get(e, "request")))
			request(w, o, names);
		else if ((o = json_object_get(e, "window")))
			window(w, o);
		else if ((o = json_object_get(e, "wait")))
			wait(w, o);
		else if ((o = json_object_get(e, "launch")))
			launch(w, o);
		else if ((o = json_object_get(e, "job")))
			job(w, o);
		else if ((o = json_object_get(e, "switch")))
			context(w, o);
	}
}

long trace_write(FILE *f, json_t *events, const struct measure_names *names, json_t *left_out)
{
	struct writer w = {
		.f = f, .tracks = json_object(), .contexts = json_object(),
		.window_ends = json_object(), .rings = json_object(), .clients = json_object(),
	};
	char *text = json_dumps(left_out, JSON_COMPACT);

	fprintf(f, "{\"displayTimeUnit\":\"ms\",\"otherData\":{\"clock\":\"CLOCK_MONOTONIC\",\"not_recorded\":%s},\n\"traceEvents\":[\n",
		text ? text : "{}");
	all(&w, events, names);
	fputs("\n]}\n", f);
	free(text);
	json_decref(w.tracks);
	json_decref(w.contexts);
	json_decref(w.window_ends);
	json_decref(w.rings);
	json_decref(w.clients);
	return ferror(f) ? -EIO : w.n;
}
