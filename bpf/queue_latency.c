// SPDX-License-Identifier: MIT
/*
 * queue_latency's loader: attaches to the kernel module's tracepoints, to the
 * USDT probes of every braidd that runs, or to both; looks again every tick, so
 * that a module or a braidd that comes later is seen from then on.
 */
#include "bpf/queue_latency.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/attach.h"
#include "bpf/library.h"
#include "bpf/probe.h"
#include "bpf/tracefs.h"
#include "queue_latency.skel.h"

#if defined(__x86_64__)
#define ARGS	"8@%rdi 8@%rsi 8@%rdx 8@%rcx 8@%r8 8@%r9"
#else
#define ARGS	"8@x0 8@x1 8@x2 8@x3 8@x4 8@x5"
#endif

#define POINTS	6u
#define EVENTS	5u

static const char *const point_names[POINTS + 1] = {
	"submit", "window_close", "fetch", "complete", "requeue", "group", NULL
};
static const char *const event_names[EVENTS] = {
	"braid/braid_submit", "braid/braid_window_close", "braid/braid_fetch",
	"braid/braid_complete", "braid/braid_requeue",
};

/* A braidd, as a file. */
struct attached {
	struct library_file file;
	struct attached_places places[POINTS];
	int error;
};

struct state {
	struct queue_latency_bpf *skel;
	struct attached *files[LIBRARY_MAX];
	unsigned int n_files;
	struct bpf_link *events[EVENTS];
	const char *tracefs;
	int tp_error;		/* why the tracepoints are not attached to */
	bool fields_known;
};

static struct bpf_program *point_program(const struct state *s, unsigned int i)
{
	struct bpf_program *const progs[POINTS] = {
		s->skel->progs.usdt_submit, s->skel->progs.usdt_window_close,
		s->skel->progs.usdt_fetch, s->skel->progs.usdt_complete,
		s->skel->progs.usdt_requeue, s->skel->progs.usdt_group,
	};

	return progs[i];
}

static struct bpf_program *event_program(const struct state *s, unsigned int i)
{
	struct bpf_program *const progs[EVENTS] = {
		s->skel->progs.tp_submit, s->skel->progs.tp_window_close,
		s->skel->progs.tp_fetch, s->skel->progs.tp_complete,
		s->skel->progs.tp_requeue,
	};

	return progs[i];
}

/* Where the fields are, before the program is loaded. */
static int find_fields(struct state *s)
{
	struct queue_latency_bpf__rodata *ro = s->skel->rodata;
	const struct {
		unsigned int event;
		const char *name;
		volatile struct field_at *at;
	} fields[] = {
#define AT(event, set, field)	{ event, #field, (volatile struct field_at *)&ro->set.field }
		AT(0, submit_at, queue), AT(0, submit_at, tenant), AT(0, submit_at, model),
		AT(1, window_at, queue), AT(1, window_at, window), AT(1, window_at, reason),
		AT(1, window_at, jobs), AT(1, window_at, close_ns),
		AT(2, fetch_at, queue), AT(2, fetch_at, tenant), AT(2, fetch_at, model),
		AT(2, fetch_at, window), AT(2, fetch_at, enqueue_ns), AT(2, fetch_at, fetch_ns),
		AT(3, complete_at, queue), AT(3, complete_at, tenant), AT(3, complete_at, id),
		AT(3, complete_at, model), AT(3, complete_at, window),
		AT(3, complete_at, enqueue_ns), AT(3, complete_at, fetch_ns),
		AT(3, complete_at, done_ns), AT(3, complete_at, device_ns),
		AT(3, complete_at, status), AT(3, complete_at, merge_degree),
		AT(3, complete_at, fuse_degree),
		AT(4, requeue_at, queue), AT(4, requeue_at, tenant), AT(4, requeue_at, model),
#undef AT
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		struct field_at at;
		int ret = tracefs_field(s->tracefs, event_names[fields[i].event], fields[i].name,
					&at);

		if (ret)
			return ret;
		*fields[i].at = at;
	}
	s->fields_known = true;
	return 0;
}

static int attach_events(struct state *s)
{
	for (unsigned int i = 0; i < EVENTS; i++) {
		s->events[i] = tracefs_attach(s->tracefs, event_names[i], event_program(s, i));
		if (s->events[i])
			continue;
		s->tp_error = -errno;
		while (i) {
			bpf_link__destroy(s->events[--i]);
			s->events[i] = NULL;
		}
		return s->tp_error;
	}
	s->tp_error = 0;
	return 0;
}

static int attach_points(struct state *s, struct attached *a)
{
	struct library_point points[ATTACH_MAX];
	int n = library_points(a->file.path, "braid", point_names, ARGS, points, ATTACH_MAX), ret;

	if (n <= 0)
		return n ? n : -ENOENT;
	for (unsigned int i = 0; i < POINTS; i++) {
		struct attach_place places[ATTACH_MAX];
		unsigned int k = 0;

		for (int j = 0; j < n; j++)
			if (points[j].name == i)
				places[k++] = (struct attach_place){
					.offset = points[j].offset,
					.semaphore = points[j].semaphore,
				};
		ret = attach_places(point_program(s, i), a->file.path, places, k, false,
				    &a->places[i]);
		if (ret)
			return ret;
	}
	return 0;
}

static void detach(struct attached *a)
{
	for (unsigned int i = 0; i < POINTS; i++)
		detach_places(&a->places[i]);
}

static void look(struct probe *p)
{
	struct library_file files[LIBRARY_MAX];
	struct state *s = p->own;
	unsigned int n;

	if (p->opts.braidd)
		n = !library_stat(p->opts.braidd, &files[0]);
	else
		n = library_find("braidd", NULL, files, LIBRARY_MAX);
	for (unsigned int i = 0; i < n && s->n_files < LIBRARY_MAX; i++) {
		struct attached *a;
		bool known = false;

		for (unsigned int k = 0; k < s->n_files; k++)
			known |= s->files[k]->file.dev == files[i].dev &&
				 s->files[k]->file.ino == files[i].ino;
		a = known ? NULL : calloc(1, sizeof(*a));
		if (!a)
			continue;
		a->file = files[i];
		a->error = attach_points(s, a);
		if (a->error)
			detach(a);
		s->files[s->n_files++] = a;
	}
}

/* What is attached to, and if to nothing, why. */
static int judge(struct probe *p, char *why, size_t len)
{
	struct state *s = p->own;
	unsigned int daemons = 0;
	int error = 0;

	for (unsigned int i = 0; i < s->n_files; i++) {
		daemons += !s->files[i]->error;
		if (s->files[i]->error && s->files[i]->error != -ENOENT)
			error = s->files[i]->error;
	}
	p->note[0] = 0;
	if (s->events[0] || daemons)
		return 0;
	if (error) {
		snprintf(why, len, "braidd's USDT probes can't be attached to: %s",
			 probe_words(error));
		return error;
	}
	if (s->tp_error && s->tp_error != -ENOENT) {
		snprintf(why, len, "the tracepoints braid:* can't be attached to: %s",
			 probe_words(s->tp_error));
		return s->tp_error;
	}
	snprintf(p->note, sizeof(p->note), "nothing to see yet: %s, and no braidd with probes runs",
		 s->tracefs ? "the module braid is not loaded" : "tracefs is not mounted");
	return 0;
}

static int start(struct probe *p, char *why, size_t len)
{
	struct state *s = calloc(1, sizeof(*s));
	int ret;

	p->own = s;
	if (!s)
		return -ENOMEM;
	s->skel = queue_latency_bpf__open();
	if (!s->skel) {
		snprintf(why, len, "the BPF object can't be opened: %s", strerror(errno));
		return -errno;
	}
	s->skel->rodata->want_events = p->opts.events;
	for (unsigned int i = 0; i < POINTS; i++)
		attach_prepare(point_program(s, i));
	s->tracefs = tracefs_find(p->opts.tracefs);
	s->tp_error = s->tracefs ? find_fields(s) : -ENOENT;
	for (unsigned int i = 0; i < EVENTS; i++)
		bpf_program__set_autoload(event_program(s, i), s->fields_known);
	probe_resize(p, s->skel->maps.requests);
	ret = probe_load(p, s->skel->obj, why, len);
	if (!ret)
		ret = probe_events(p, why, len);
	if (ret)
		return ret;
	if (s->fields_known)
		attach_events(s);
	look(p);
	return judge(p, why, len);
}

static void tick(struct probe *p)
{
	struct state *s = p->own;
	char why[256];

	look(p);
	judge(p, why, sizeof(why));
	/* The programs have the places of the fields in them: too late for these. */
	if (s->tracefs && !s->fields_known && !tracefs_has(s->tracefs, event_names[0]))
		snprintf(p->note, sizeof(p->note),
			 "the module braid was loaded later; start again to see its queue");
}

static json_t *histogram(const __u64 *h)
{
	json_t *a = json_array();

	for (unsigned int i = 0; i < QUEUE_LATENCY_BUCKETS; i++)
		json_array_append_new(a, json_integer(h[i]));
	return a;
}

static json_t *sums(const struct queue_latency_sums *s)
{
	json_t *o = json_object();
	const struct {
		const char *name;
		uint64_t value;
	} list[] = {
		{ "submitted", s->submitted }, { "fetched", s->fetched },
		{ "completed", s->completed }, { "failed", s->failed },
		{ "requeued", s->requeued }, { "queued_ns", s->queued_ns },
		{ "run_ns", s->run_ns }, { "total_ns", s->total_ns },
		{ "device_ns", s->device_ns }, { "merge_sum", s->merge_sum },
		{ "fuse_sum", s->fuse_sum }, { "ran", s->ran },
		{ "longest_ns", s->max_total_ns },
	};

	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		json_object_set_new(o, list[i].name, json_integer(list[i].value));
	json_object_set_new(o, "queued_log2_ns", histogram(s->queued));
	json_object_set_new(o, "run_log2_ns", histogram(s->run));
	json_object_set_new(o, "total_log2_ns", histogram(s->total));
	return o;
}

static json_t *requests(struct probe *p)
{
	struct queue_latency_key key, *prev = NULL;
	int fd = probe_fd(p, "requests");
	struct queue_latency_sums v;
	json_t *list = json_array(), *o;

	while (!bpf_map_get_next_key(fd, prev, &key)) {
		prev = &key;
		if (bpf_map_lookup_elem(fd, &key, &v))
			continue;
		o = sums(&v);
		json_object_set_new(o, "queue", json_integer(key.queue));
		json_object_set_new(o, "tenant", json_integer(key.tenant));
		json_object_set_new(o, "model", json_integer(key.model));
		json_array_append_new(list, o);
	}
	return list;
}

/* The last window of each queue: no next one has closed its account yet. */
static void last_windows(struct probe *p, struct queue_latency_total *t)
{
	struct {
		__u64 id, close_ns, oldest_ns;
	} w;
	int fd = probe_fd(p, "windows");
	__u32 key, *prev = NULL;

	while (!bpf_map_get_next_key(fd, prev, &key)) {
		prev = &key;
		if (bpf_map_lookup_elem(fd, &key, &w) || !w.oldest_ns || w.close_ns < w.oldest_ns)
			continue;
		t->timed_windows++;
		t->window_ns += w.close_ns - w.oldest_ns;
	}
}

static json_t *sources(const struct state *s)
{
	json_t *list = json_array(), *o;

	if (s && s->events[0])
		json_array_append_new(list, json_pack("{s:s}", "tracepoints", "braid:*"));
	for (unsigned int i = 0; s && i < s->n_files; i++) {
		o = json_pack("{s:s,s:I}", "path", s->files[i]->file.path, "inode",
			      (json_int_t)s->files[i]->file.ino);
		if (s->files[i]->error)
			json_object_set_new(o, "error", json_string(
				s->files[i]->error == -ENOENT ? "it has no such probes" :
				probe_words(s->files[i]->error)));
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *figures(struct probe *p)
{
	static const char *const closes[] = { "none", "full", "age", "deadline", "idle",
					      "suspect" };
	struct queue_latency_total t;
	json_t *by = json_object(), *o;
	__u32 zero = 0;

	if (bpf_map_lookup_elem(probe_fd(p, "total"), &zero, &t)) {
		json_decref(by);
		return NULL;
	}
	last_windows(p, &t);
	for (size_t i = 1; i < sizeof(closes) / sizeof(closes[0]); i++)
		json_object_set_new(by, closes[i], json_integer(t.closes[i]));
	o = json_pack("{s:o,s:o,s:I,s:I,s:I,s:I,s:o,s:o}", "total", sums(&t.sum), "requests",
		      requests(p), "windows", (json_int_t)t.windows, "jobs", (json_int_t)t.jobs,
		      "timed_windows", (json_int_t)t.timed_windows,
		      "window_ns", (json_int_t)t.window_ns, "closes", by,
		      "sources", sources(p->own));
	json_object_set_new(o, "not_counted", json_pack(
		"{s:I,s:I,s:I,s:I}", "requests_full", (json_int_t)t.requests_full,
		"unreadable", (json_int_t)t.unreadable, "overrun", (json_int_t)t.overrun,
		"events_lost", (json_int_t)p->lost));
	return o;
}

static void stop(struct probe *p)
{
	struct state *s = p->own;

	if (!s)
		return;
	for (unsigned int i = 0; i < s->n_files; i++) {
		detach(s->files[i]);
		free(s->files[i]);
	}
	for (unsigned int i = 0; i < EVENTS; i++)
		bpf_link__destroy(s->events[i]);
	queue_latency_bpf__destroy(s->skel);
	free(s);
}

const struct probe_kind queue_latency = {
	.name = "queue_latency",
	.tells = "where requests spend their time in Braid's queue",
	.start = start,
	.tick = tick,
	.figures = figures,
	.stop = stop,
};
