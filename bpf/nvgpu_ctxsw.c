// SPDX-License-Identifier: MIT
/*
 * nvgpu_ctxsw's loader: which function of nvgpu to probe. The records only come
 * while somebody has tracing enabled at the ctxsw node, which this does.
 */
#include "bpf/nvgpu_ctxsw.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/ctxsw_node.h"
#include "bpf/probe.h"
#include "nvgpu_ctxsw.skel.h"

/* nvgpu since 2019, and before. */
static const char *const functions[] = { "nvgpu_gr_fecs_trace_write_entry",
					 "gk20a_ctxsw_trace_write" };

struct state {
	struct nvgpu_ctxsw_bpf *skel;
	struct bpf_link *enter, *leave;
	int node;
};

static const char *find_function(void)
{
	const char *found = NULL;
	char line[512], name[256];
	FILE *f = fopen("/proc/kallsyms", "re");

	while (f && fgets(line, sizeof(line), f))
		for (int i = 0; i < 2; i++)
			if (sscanf(line, "%*s %*c %255s", name) == 1 && !strcmp(name, functions[i]))
				found = functions[i];
	if (f)
		fclose(f);
	return found;
}

static int start(struct probe *p, char *why, size_t len)
{
	struct state *s = calloc(1, sizeof(*s));
	const char *function = find_function();
	int ret;

	p->own = s;
	if (!s)
		return -ENOMEM;
	s->node = -1;
	if (!function) {
		snprintf(why, len, "no nvgpu with context-switch records here (a Jetson's driver)");
		return -ENOENT;
	}
	s->skel = nvgpu_ctxsw_bpf__open();
	if (!s->skel) {
		snprintf(why, len, "the BPF object can't be opened: %s", strerror(errno));
		return -errno;
	}
	s->skel->rodata->want_events = p->opts.events;
	probe_resize(p, s->skel->maps.contexts);
	ret = probe_load(p, s->skel->obj, why, len);
	if (!ret)
		ret = probe_events(p, why, len);
	if (ret)
		return ret;
	s->leave = bpf_program__attach_kprobe(s->skel->progs.record_leave, true, function);
	s->enter = s->leave ? bpf_program__attach_kprobe(s->skel->progs.record_enter, false,
							 function) : NULL;
	if (!s->enter) {
		ret = -errno;
		snprintf(why, len, "%s can't be probed: %s", function, probe_words(ret));
		return ret;
	}
	s->node = ctxsw_node_open(NULL, why, len);
	if (s->node < 0) {
		snprintf(p->note, sizeof(p->note), "records come only while another reader has them enabled: %s",
			 why);
		*why = 0;
	}
	return 0;
}

static void tick(struct probe *p)
{
	struct state *s = p->own;

	if (s->node >= 0)
		ctxsw_node_drain(s->node);	/* a full ring would drop records */
}

static json_t *contexts(struct probe *p)
{
	struct nvgpu_ctxsw_key key, *prev = NULL;
	int fd = probe_fd(p, "contexts");
	struct nvgpu_ctxsw_context v;
	json_t *list = json_array(), *h;

	while (!bpf_map_get_next_key(fd, prev, &key)) {
		prev = &key;
		if (bpf_map_lookup_elem(fd, &key, &v))
			continue;
		h = json_array();
		for (unsigned int i = 0; i < NVGPU_CTXSW_BUCKETS; i++)
			json_array_append_new(h, json_integer(v.away[i]));
		json_array_append_new(list, json_pack(
			"{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:o}", "context", (json_int_t)key.context,
			"pid", (json_int_t)key.pid, "came", (json_int_t)v.came,
			"runs", (json_int_t)v.runs, "run_ns", (json_int_t)v.run_ns,
			"aways", (json_int_t)v.aways, "away_ns", (json_int_t)v.away_ns,
			"away_log2_ns", h));
	}
	return list;
}

static json_t *figures(struct probe *p)
{
	struct nvgpu_ctxsw_total t;
	uint32_t zero = 0;
	json_t *o;

	if (bpf_map_lookup_elem(probe_fd(p, "total"), &zero, &t))
		return NULL;
	o = json_pack("{s:I,s:I,s:I,s:I,s:I,s:o}", "records", (json_int_t)t.records,
		      "switches", (json_int_t)t.switches,
		      "timed_switches", (json_int_t)t.timed_switches,
		      "switch_ns", (json_int_t)t.switch_ns, "resets", (json_int_t)t.resets,
		      "contexts", contexts(p));
	json_object_set_new(o, "not_counted", json_pack(
		"{s:I,s:I,s:I,s:I,s:I,s:I}", "lost", (json_int_t)t.lost,
		"gaps", (json_int_t)t.gaps, "contexts_full", (json_int_t)t.contexts_full,
		"unreadable", (json_int_t)t.unreadable, "overrun", (json_int_t)t.overrun,
		"events_lost", (json_int_t)p->lost));
	return o;
}

static void stop(struct probe *p)
{
	struct state *s = p->own;

	if (!s)
		return;
	if (s->node >= 0)
		ctxsw_node_close(s->node);
	bpf_link__destroy(s->enter);
	bpf_link__destroy(s->leave);
	nvgpu_ctxsw_bpf__destroy(s->skel);
	free(s);
}

const struct probe_kind nvgpu_ctxsw = {
	.name = "nvgpu_ctxsw",
	.tells = "context switches of a Jetson's GPU",
	.start = start,
	.tick = tick,
	.figures = figures,
	.stop = stop,
};
