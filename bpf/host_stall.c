// SPDX-License-Identifier: MIT
/*
 * host_stall's loader: which functions of libcuda are probed, in which files.
 *
 * A probe belongs to a file, not to a process: one attachment sees all that
 * have it mapped, and processes in containers with a libcuda of their own are
 * seen once that file is found. Every tick looks again, so that a library that
 * was replaced, or came later, is attached to; what was called in a file before
 * it was found is not seen, and the figures say how many were found late.
 */
#include "bpf/host_stall.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bpf/attach.h"
#include "bpf/library.h"
#include "bpf/probe.h"
#include "host_stall.skel.h"

#define EXITED_KEPT_NS	60000000000ull	/* a process that ended is shown so long */

struct function {
	const char *name;
	enum host_stall_kind kind;
};

/*
 * Both generations of every name: _ptsz and _ptds are what code gets that was
 * compiled for a default stream a thread. cuGetProcAddress(), by which the CUDA
 * runtime finds its functions, gives the same places (seen with driver 580).
 */
#define BOTH_Z(name, kind)	{ name, kind }, { name "_ptsz", kind }
#define BOTH_D(name, kind)	{ name, kind }, { name "_ptds", kind }

static const struct function functions[] = {
	BOTH_Z("cuLaunchKernel", HOST_STALL_KERNEL),
	BOTH_Z("cuLaunchKernelEx", HOST_STALL_KERNEL),
	BOTH_Z("cuLaunchCooperativeKernel", HOST_STALL_KERNEL),
	{ "cuLaunchCooperativeKernelMultiDevice", HOST_STALL_KERNEL },
	{ "cuLaunch", HOST_STALL_KERNEL },
	{ "cuLaunchGrid", HOST_STALL_KERNEL },
	{ "cuLaunchGridAsync", HOST_STALL_KERNEL },
	BOTH_Z("cuGraphLaunch", HOST_STALL_GRAPH),
	{ "cuCtxSynchronize", HOST_STALL_SYNC },
	{ "cuCtxSynchronize_v2", HOST_STALL_SYNC },
	BOTH_Z("cuStreamSynchronize", HOST_STALL_SYNC),
	{ "cuEventSynchronize", HOST_STALL_SYNC },
	BOTH_Z("cuMemcpyAsync", HOST_STALL_COPY),
	BOTH_Z("cuMemcpyHtoDAsync_v2", HOST_STALL_COPY),
	BOTH_Z("cuMemcpyDtoHAsync_v2", HOST_STALL_COPY),
	BOTH_Z("cuMemcpyDtoDAsync_v2", HOST_STALL_COPY),
	BOTH_Z("cuMemcpyHtoAAsync_v2", HOST_STALL_COPY),
	BOTH_Z("cuMemcpyAtoHAsync_v2", HOST_STALL_COPY),
	BOTH_Z("cuMemcpyPeerAsync", HOST_STALL_COPY),
	BOTH_Z("cuMemcpy2DAsync_v2", HOST_STALL_COPY),
	BOTH_Z("cuMemcpy3DAsync_v2", HOST_STALL_COPY),
	BOTH_D("cuMemcpy", HOST_STALL_BLOCKING_COPY),
	BOTH_D("cuMemcpyPeer", HOST_STALL_BLOCKING_COPY),
	BOTH_D("cuMemcpyHtoD_v2", HOST_STALL_BLOCKING_COPY),
	BOTH_D("cuMemcpyDtoH_v2", HOST_STALL_BLOCKING_COPY),
	BOTH_D("cuMemcpyDtoD_v2", HOST_STALL_BLOCKING_COPY),
	BOTH_D("cuMemcpyDtoA_v2", HOST_STALL_BLOCKING_COPY),
	BOTH_D("cuMemcpyAtoD_v2", HOST_STALL_BLOCKING_COPY),
	BOTH_D("cuMemcpyHtoA_v2", HOST_STALL_BLOCKING_COPY),
	BOTH_D("cuMemcpyAtoH_v2", HOST_STALL_BLOCKING_COPY),
	BOTH_D("cuMemcpyAtoA_v2", HOST_STALL_BLOCKING_COPY),
	BOTH_D("cuMemcpy2D_v2", HOST_STALL_BLOCKING_COPY),
	BOTH_D("cuMemcpy2DUnaligned_v2", HOST_STALL_BLOCKING_COPY),
	BOTH_D("cuMemcpy3D_v2", HOST_STALL_BLOCKING_COPY),
	BOTH_D("cuMemcpy3DPeer", HOST_STALL_BLOCKING_COPY),
	{ "cuMemcpyHtoD", HOST_STALL_BLOCKING_COPY },
	{ "cuMemcpyDtoH", HOST_STALL_BLOCKING_COPY },
	{ "cuMemcpyDtoD", HOST_STALL_BLOCKING_COPY },
};

#define FUNCTIONS	(sizeof(functions) / sizeof(functions[0]))

static const char *const installed[] = {
	"/usr/lib/x86_64-linux-gnu/libcuda.so.1",
	"/usr/lib/aarch64-linux-gnu/libcuda.so.1",
	"/usr/lib/aarch64-linux-gnu/tegra/libcuda.so.1",
	"/usr/lib/aarch64-linux-gnu/nvidia/libcuda.so.1",
	"/usr/lib64/libcuda.so.1",
	"/usr/lib/libcuda.so.1",
	"/usr/local/nvidia/lib64/libcuda.so.1",
	"/usr/local/cuda/compat/libcuda.so.1",
	NULL
};

/* A file that is attached to, or that could not be. */
struct attached {
	struct library_file file;
	struct attached_places launches, entries, returns;
	unsigned int found;
	unsigned int places;
	int error;
};

struct state {
	struct host_stall_bpf *skel;
	struct attached *files[LIBRARY_MAX];
	unsigned int n_files;
	unsigned int late;	/* found after the start */
	int error;		/* the last one, of a file that was refused */
};

static void detach(struct attached *a)
{
	detach_places(&a->launches);
	detach_places(&a->entries);
	detach_places(&a->returns);
}

/* Where in the file what the functions do begins; two names of one place are one. */
static int find_places(struct attached *a, struct attach_place *launches, unsigned int *n_launches,
		       struct attach_place *blocking, unsigned int *n_blocking)
{
	const char *names[FUNCTIONS + 1];
	uint64_t offsets[FUNCTIONS + 1];
	int ret;

	for (unsigned int i = 0; i < FUNCTIONS; i++)
		names[i] = functions[i].name;
	names[FUNCTIONS] = NULL;
	ret = library_symbols(a->file.path, names, offsets);
	if (ret <= 0)
		return ret ? ret : -ENOENT;
	a->found = ret;
	*n_launches = *n_blocking = 0;
	for (unsigned int i = 0; i < FUNCTIONS; i++) {
		struct attach_place place = { .offset = offsets[i], .cookie = functions[i].kind };
		bool twice = false;

		for (unsigned int k = 0; k < i && offsets[i]; k++)
			twice |= offsets[k] == offsets[i];
		if (!offsets[i] || twice)
			continue;
		a->places++;
		if (functions[i].kind >= HOST_STALL_SYNC)
			blocking[(*n_blocking)++] = place;
		else
			launches[(*n_launches)++] = place;
	}
	return 0;
}

static int attach(struct state *s, const struct library_file *f)
{
	struct attach_place launches[FUNCTIONS], blocking[FUNCTIONS];
	struct attached *a = calloc(1, sizeof(*a));
	unsigned int n_launches, n_blocking;
	int ret;

	if (!a)
		return -ENOMEM;
	a->file = *f;
	ret = find_places(a, launches, &n_launches, blocking, &n_blocking);
	/* Returns first: a call that is seen to be entered is also seen to end. */
	if (!ret)
		ret = attach_places(s->skel->progs.leave, f->path, blocking, n_blocking, true,
				    &a->returns);
	if (!ret)
		ret = attach_places(s->skel->progs.enter, f->path, blocking, n_blocking, false,
				    &a->entries);
	if (!ret)
		ret = attach_places(s->skel->progs.launch, f->path, launches, n_launches, false,
				    &a->launches);
	if (ret)
		detach(a);
	a->error = ret;
	s->files[s->n_files++] = a;	/* refused ones too: they are not tried again */
	if (ret)
		s->error = ret;
	return ret;
}

/* Look for files that are not attached to yet; how many were attached. */
static unsigned int look(struct probe *p)
{
	struct library_file files[LIBRARY_MAX];
	struct state *s = p->own;
	unsigned int n, attached = 0;

	if (p->opts.libraries) {
		for (n = 0; n < LIBRARY_MAX && p->opts.libraries[n]; n++)
			if (library_stat(p->opts.libraries[n], &files[n]))
				files[n].ino = 0;
	} else {
		n = library_find("libcuda.so", installed, files, LIBRARY_MAX);
	}
	for (unsigned int i = 0; i < n; i++) {
		bool known = !files[i].ino;

		for (unsigned int k = 0; k < s->n_files; k++)
			known |= s->files[k]->file.dev == files[i].dev &&
				 s->files[k]->file.ino == files[i].ino;
		if (!known && s->n_files < LIBRARY_MAX && !attach(s, &files[i]))
			attached++;
	}
	return attached;
}

static int start(struct probe *p, char *why, size_t len)
{
	struct state *s = calloc(1, sizeof(*s));
	int ret;

	p->own = s;
	if (!s)
		return -ENOMEM;
	s->skel = host_stall_bpf__open();
	if (!s->skel) {
		snprintf(why, len, "the BPF object can't be opened: %s", strerror(errno));
		return -errno;
	}
	s->skel->rodata->want_events = p->opts.events;
	attach_prepare(s->skel->progs.launch);
	attach_prepare(s->skel->progs.enter);
	attach_prepare(s->skel->progs.leave);
	probe_resize(p, s->skel->maps.processes);
	probe_resize(p, s->skel->maps.cgroups);
	ret = probe_load(p, s->skel->obj, why, len);
	if (ret)
		return ret;
	s->skel->links.gone = bpf_program__attach(s->skel->progs.gone);
	if (!s->skel->links.gone) {
		ret = -errno;
		snprintf(why, len, "sched_process_exit can't be attached to: %s",
			 probe_words(ret));
		return ret;
	}
	ret = probe_events(p, why, len);
	if (ret)
		return ret;
	if (!look(p) && s->error) {
		snprintf(why, len, "%s: uprobes can't be attached: %s", s->files[0]->file.path,
			 s->error == -ENOENT ? "it has none of the functions" :
			 probe_words(s->error));
		return s->error;
	}
	if (!s->n_files)
		snprintf(p->note, sizeof(p->note),
			 "no libcuda yet: none is installed, and no process has one mapped");
	return 0;
}

/* Forget processes that ended a while ago: their room may be needed. */
static void forget(struct state *s)
{
	int fd = bpf_map__fd(s->skel->maps.processes);
	struct host_stall_process v;
	uint32_t key, next, gone[256];
	unsigned int n = 0;
	struct timespec ts;
	uint64_t now;
	bool more;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	now = ts.tv_sec * 1000000000ull + ts.tv_nsec;
	more = !bpf_map_get_next_key(fd, NULL, &next);
	while (more && n < 256) {
		key = next;
		if (!bpf_map_lookup_elem(fd, &key, &v) && v.exited_ns &&
		    now > v.exited_ns + EXITED_KEPT_NS)
			gone[n++] = key;
		more = !bpf_map_get_next_key(fd, &key, &next);
	}
	while (n)
		bpf_map_delete_elem(fd, &gone[--n]);
}

static void tick(struct probe *p)
{
	struct state *s = p->own;

	s->late += look(p);
	if (s->n_files)
		p->note[0] = 0;
	forget(s);
}

static json_t *sums(const struct host_stall_figures *f)
{
	json_t *o = json_object(), *h = json_array();
	const struct {
		const char *name;
		uint64_t value;
	} list[] = {
		{ "kernels", f->kernels }, { "graphs", f->graphs }, { "copies", f->copies },
		{ "syncs", f->syncs }, { "sync_wait_ns", f->sync_ns },
		{ "blocking_copies", f->blocking_copies },
		{ "blocking_copy_ns", f->blocking_copy_ns },
		{ "contended", f->contended }, { "contended_ns", f->contended_ns },
		{ "foreign_launches", f->foreign_launches }, { "longest_ns", f->max_ns },
	};

	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		json_object_set_new(o, list[i].name, json_integer(list[i].value));
	for (unsigned int b = 0; b < HOST_STALL_BUCKETS; b++)
		json_array_append_new(h, json_integer(f->wait[b]));
	json_object_set_new(o, "wait_log2_ns", h);
	return o;
}

static json_t *processes(struct probe *p)
{
	int fd = probe_fd(p, "processes");
	struct host_stall_process v;
	json_t *list = json_array(), *o;
	uint32_t key, *prev = NULL;

	while (!bpf_map_get_next_key(fd, prev, &key)) {
		prev = &key;
		if (bpf_map_lookup_elem(fd, &key, &v))
			continue;
		v.comm[sizeof(v.comm) - 1] = 0;
		o = sums(&v.sum);
		json_object_set_new(o, "pid", json_integer(key));
		/* A process names itself, and may do so in bytes that are no text. */
		if (json_object_set_new(o, "comm", json_string(v.comm)))
			json_object_set_new(o, "comm", json_string("?"));
		json_object_set_new(o, "cgroup", json_integer(v.cgroup));
		json_object_set_new(o, "since_ns", json_integer(v.first_ns));
		json_object_set_new(o, "exited", json_boolean(v.exited_ns));
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *cgroups(struct probe *p)
{
	int fd = probe_fd(p, "cgroups");
	struct host_stall_figures v;
	json_t *list = json_array(), *o;
	uint64_t key, *prev = NULL;

	while (!bpf_map_get_next_key(fd, prev, &key)) {
		prev = &key;
		if (bpf_map_lookup_elem(fd, &key, &v))
			continue;
		o = sums(&v);
		json_object_set_new(o, "cgroup", json_integer(key));
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *turns(struct probe *p)
{
	int fd = probe_fd(p, "turns");
	struct host_stall_pair key, *prev = NULL;
	struct host_stall_turns v;
	json_t *list = json_array();

	while (!bpf_map_get_next_key(fd, prev, &key)) {
		prev = &key;
		if (bpf_map_lookup_elem(fd, &key, &v))
			continue;
		json_array_append_new(list, json_pack("{s:I,s:I,s:I,s:I}",
						      "from", (json_int_t)key.from,
						      "to", (json_int_t)key.to,
						      "count", (json_int_t)v.count,
						      "gap_ns", (json_int_t)v.gap_ns));
	}
	return list;
}

static json_t *files(const struct state *s)
{
	json_t *list = json_array(), *o;

	for (unsigned int i = 0; s && i < s->n_files; i++) {
		const struct attached *a = s->files[i];

		o = json_pack("{s:s,s:I,s:i,s:i}", "path", a->file.path, "inode",
			      (json_int_t)a->file.ino, "functions", (int)a->found, "places",
			      (int)a->places);
		if (a->error)
			json_object_set_new(o, "error", json_string(probe_words(a->error)));
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *figures(struct probe *p)
{
	struct state *s = p->own;
	struct host_stall_total t;
	uint32_t zero = 0;
	json_t *o;

	if (bpf_map_lookup_elem(probe_fd(p, "total"), &zero, &t))
		return NULL;
	o = json_pack("{s:o,s:o,s:o,s:o,s:o}", "total", sums(&t.sum), "processes", processes(p),
		      "cgroups", cgroups(p), "turns", turns(p), "libraries", files(s));
	json_object_set_new(o, "not_counted", json_pack(
		"{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:i}",
		"processes_full", (json_int_t)t.processes_full,
		"cgroups_full", (json_int_t)t.cgroups_full,
		"turns_full", (json_int_t)t.turns_full,
		"calls_full", (json_int_t)t.calls_full,
		"lost_returns", (json_int_t)t.lost_returns,
		"unmatched", (json_int_t)t.unmatched,
		"exited_in_call", (json_int_t)t.exited_in_call,
		"exited_in_call_ns", (json_int_t)t.exited_in_call_ns,
		"pid_reused", (json_int_t)t.pid_reused,
		"overrun", (json_int_t)t.overrun,
		"events_lost", (json_int_t)p->lost,
		"libraries_found_late", s ? (int)s->late : 0));
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
	host_stall_bpf__destroy(s->skel);
	free(s);
}

const struct probe_kind host_stall = {
	.name = "host_stall",
	.tells = "launches and sync wait of processes that use libcuda",
	.start = start,
	.tick = tick,
	.figures = figures,
	.stop = stop,
};
