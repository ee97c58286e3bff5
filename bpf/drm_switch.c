// SPDX-License-Identifier: MIT
/*
 * drm_switch's loader: finds which generation of tracepoints this kernel has and
 * where their fields are.
 */
#include "bpf/drm_switch.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bpf/probe.h"
#include "bpf/tracefs.h"
#include "drm_switch.skel.h"

#define STALE_NS	60000000000ull	/* a job that neither ran nor ended was given up */

/* From 6.17 on, and before. */
static const char *const generations[2][3] = {
	{ "gpu_scheduler/drm_sched_job_queue", "gpu_scheduler/drm_sched_job_run",
	  "gpu_scheduler/drm_sched_job_done" },
	{ "gpu_scheduler/drm_sched_job", "gpu_scheduler/drm_run_job",
	  "gpu_scheduler/drm_sched_process_job" },
};

struct state {
	struct drm_switch_bpf *skel;
	struct bpf_link *links[3];
	const char *const *names;
	uint64_t given_up;
};

static int find_fields(struct state *s, const char *tracefs)
{
	struct drm_switch_bpf__rodata *ro = s->skel->rodata;
	const struct {
		unsigned int event;
		const char *name;
		volatile struct field_at *at;
	} fields[] = {
#define AT(event, set, field, name)	{ event, name, (volatile struct field_at *)&ro->set.field }
		AT(0, queue_at, fence, "fence"), AT(0, queue_at, fence_context, "fence_context"),
		AT(0, queue_at, fence_seqno, "fence_seqno"), AT(0, queue_at, entity, "entity"),
		AT(0, queue_at, client, "client_id"), AT(0, queue_at, name, "name"),
		AT(0, queue_at, dev, "dev"),
		AT(1, run_at, fence, "fence"), AT(1, run_at, fence_context, "fence_context"),
		AT(1, run_at, fence_seqno, "fence_seqno"), AT(1, run_at, entity, "entity"),
		AT(1, run_at, client, "client_id"), AT(1, run_at, name, "name"),
		AT(1, run_at, dev, "dev"),
		AT(2, done_at, fence, "fence"), AT(2, done_at, fence_context, "fence_context"),
		AT(2, done_at, fence_seqno, "fence_seqno"),
#undef AT
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		struct field_at at;
		int ret = tracefs_field(tracefs, s->names[fields[i].event], fields[i].name, &at);

		if (ret && ret != -EINVAL)
			return ret;
		*fields[i].at = at;
	}
	/* A job must be known by something, and a ring have a name. */
	if ((!ro->run_at.fence.size && !ro->run_at.fence_context.size) ||
	    (!ro->done_at.fence.size && !ro->done_at.fence_context.size) || !ro->run_at.name.size)
		return -EINVAL;
	return 0;
}

static int start(struct probe *p, char *why, size_t len)
{
	struct state *s = calloc(1, sizeof(*s));
	const char *tracefs = tracefs_find(p->opts.tracefs);
	int ret;

	p->own = s;
	if (!s)
		return -ENOMEM;
	if (!tracefs) {
		snprintf(why, len, "tracefs is not mounted (mount -t tracefs tracefs /sys/kernel/tracing), or may not be read");
		return -ENOENT;
	}
	for (int i = 1; i >= 0; i--)
		if (!tracefs_has(tracefs, generations[i][1]))
			s->names = generations[i];
	if (!s->names) {
		snprintf(why, len, "no GPU here uses the DRM scheduler (module gpu-sched is not loaded)");
		return -ENOENT;
	}
	s->skel = drm_switch_bpf__open();
	if (!s->skel) {
		snprintf(why, len, "the BPF object can't be opened: %s", strerror(errno));
		return -errno;
	}
	ret = find_fields(s, tracefs);
	if (ret) {
		snprintf(why, len, "this kernel's %s has other fields than those known", s->names[1]);
		return ret;
	}
	s->skel->rodata->want_events = p->opts.events;
	probe_resize(p, s->skel->maps.clients);
	ret = probe_load(p, s->skel->obj, why, len);
	if (!ret)
		ret = probe_events(p, why, len);
	if (ret)
		return ret;
	for (unsigned int i = 0; i < 3; i++) {
		struct bpf_program *const progs[3] = {
			s->skel->progs.job_queue, s->skel->progs.job_run, s->skel->progs.job_done,
		};

		s->links[i] = tracefs_attach(tracefs, s->names[i], progs[i]);
		if (!s->links[i]) {
			ret = -errno;
			snprintf(why, len, "%s can't be attached to: %s", s->names[i],
				 probe_words(ret));
			return ret;
		}
	}
	return 0;
}

/* Jobs that were thrown away without an end must not fill the map. */
static void tick(struct probe *p)
{
	struct state *s = p->own;
	int fd = bpf_map__fd(s->skel->maps.jobs);
	struct {
		uint64_t context, seqno;
	} key, next, gone[64];
	struct {
		uint64_t queued_ns, start_ns;
		uint8_t rest[256];
	} v;
	unsigned int n = 0;
	struct timespec ts;
	uint64_t now;
	bool more;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	now = ts.tv_sec * 1000000000ull + ts.tv_nsec;
	more = !bpf_map_get_next_key(fd, NULL, &next);
	while (more && n < 64) {
		key = next;
		if (!bpf_map_lookup_elem(fd, &key, &v) && !v.start_ns &&
		    now > v.queued_ns + STALE_NS)
			gone[n++] = key;
		more = !bpf_map_get_next_key(fd, &key, &next);
	}
	s->given_up += n;
	while (n)
		bpf_map_delete_elem(fd, &gone[--n]);
}

static json_t *rings(struct probe *p)
{
	struct drm_switch_ring_key key, *prev = NULL;
	json_t *list = json_array(), *h;
	int fd = probe_fd(p, "rings");
	struct drm_switch_ring v;

	while (!bpf_map_get_next_key(fd, prev, &key)) {
		prev = &key;
		if (bpf_map_lookup_elem(fd, &key, &v))
			continue;
		h = json_array();
		for (unsigned int i = 0; i < DRM_SWITCH_BUCKETS; i++)
			json_array_append_new(h, json_integer(v.stall[i]));
		json_array_append_new(list, json_pack(
			"{s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:o}",
			"ring", key.name, "dev", key.dev, "jobs", (json_int_t)v.jobs,
			"done", (json_int_t)v.done, "switches", (json_int_t)v.switches,
			"stalls", (json_int_t)v.stalls, "stall_ns", (json_int_t)v.stall_ns,
			"idle_switches", (json_int_t)v.idle_switches,
			"overlapped", (json_int_t)v.overlapped,
			"busy_ns", (json_int_t)v.busy_ns, "stall_log2_ns", h));
	}
	return list;
}

static json_t *clients(struct probe *p)
{
	struct drm_switch_client_key key, *prev = NULL;
	int fd = probe_fd(p, "clients");
	struct drm_switch_client v;
	json_t *list = json_array();

	while (!bpf_map_get_next_key(fd, prev, &key)) {
		prev = &key;
		if (bpf_map_lookup_elem(fd, &key, &v))
			continue;
		v.comm[sizeof(v.comm) - 1] = 0;
		json_array_append_new(list, json_pack(
			"{s:I,s:I,s:s,s:i,s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I}",
			"entity", (json_int_t)key.entity, "client", (json_int_t)v.client,
			"comm", v.comm, "pid", (int)v.pid, "ring", v.ring.name, "dev", v.ring.dev,
			"jobs", (json_int_t)v.jobs, "done", (json_int_t)v.done,
			"came", (json_int_t)v.came, "stalls", (json_int_t)v.stalls,
			"stall_ns", (json_int_t)v.stall_ns, "wait_ns", (json_int_t)v.wait_ns,
			"run_ns", (json_int_t)v.run_ns));
	}
	return list;
}

static json_t *figures(struct probe *p)
{
	struct state *s = p->own;
	struct drm_switch_total t;
	uint32_t zero = 0;
	json_t *o;

	if (bpf_map_lookup_elem(probe_fd(p, "total"), &zero, &t))
		return NULL;
	o = json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:o,s:o}", "queued", (json_int_t)t.queued,
		      "jobs", (json_int_t)t.jobs, "done", (json_int_t)t.done,
		      "switches", (json_int_t)t.switches, "stalls", (json_int_t)t.stalls,
		      "stall_ns", (json_int_t)t.stall_ns, "rings", rings(p), "clients", clients(p));
	json_object_set_new(o, "not_counted", json_pack(
		"{s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "jobs_full", (json_int_t)t.jobs_full,
		"rings_full", (json_int_t)t.rings_full, "clients_full", (json_int_t)t.clients_full,
		"unmatched", (json_int_t)t.unmatched,
		"given_up", (json_int_t)(s ? s->given_up : 0),
		"overrun", (json_int_t)t.overrun, "events_lost", (json_int_t)p->lost));
	return o;
}

static void stop(struct probe *p)
{
	struct state *s = p->own;

	if (!s)
		return;
	for (unsigned int i = 0; i < 3; i++)
		bpf_link__destroy(s->links[i]);
	drm_switch_bpf__destroy(s->skel);
	free(s);
}

const struct probe_kind drm_switch = {
	.name = "drm_switch",
	.tells = "switches and stalls on rings of GPUs that use the DRM scheduler",
	.start = start,
	.tick = tick,
	.figures = figures,
	.stop = stop,
};
