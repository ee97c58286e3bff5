// SPDX-License-Identifier: MIT
/*
 * Loading, pinning and reading of probes: see probe.h.
 *
 * libbpf's own messages go nowhere unless BRAID_PROBE_DEBUG is set: every
 * failure is put into words here.
 */
#include "bpf/probe.h"
#include "bpf/attach.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <ftw.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define RING_PAGES	64	/* a CPU */

const struct probe_kind *const *probe_kinds(void)
{
	static const struct probe_kind *const kinds[] = {
		&host_stall, &queue_latency, &drm_switch, &nvgpu_ctxsw, NULL
	};

	return kinds;
}

static int say(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	return getenv("BRAID_PROBE_DEBUG") ? vfprintf(stderr, fmt, ap) : 0;
}

static bool locked_down(void)
{
	char text[128] = "";
	FILE *f = fopen("/sys/kernel/security/lockdown", "re");
	size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;

	if (f)
		fclose(f);
	text[n] = 0;
	return n && !strstr(text, "[none]");
}

/* Debian has a level of its own, 3: nothing without CAP_SYS_ADMIN. */
static int paranoid(void)
{
	FILE *f = fopen("/proc/sys/kernel/perf_event_paranoid", "re");
	int level = 0;

	if (f && fscanf(f, "%d", &level) != 1)
		level = 0;
	if (f)
		fclose(f);
	return level;
}

const char *probe_words(int err)
{
	switch (err < 0 ? -err : err) {
	case EINVAL:
	case EPERM:
	case EACCES:
		if (locked_down())
			return "the kernel is locked down (/sys/kernel/security/lockdown)";
		if (err == EINVAL || err == -EINVAL)
			return strerror(EINVAL);
		if (paranoid() > 2)
			return "not allowed; root is needed, or CAP_BPF and CAP_PERFMON with kernel.perf_event_paranoid at 2 (it is higher here)";
		return attach_is_multi() ?
			"not allowed; root, or CAP_BPF and CAP_PERFMON, is needed" :
			"not allowed; root is needed, or CAP_BPF and CAP_PERFMON, and for uprobes before Linux 6.6 CAP_SYS_ADMIN";
	case ENOSYS:
		return "this kernel is built without it (CONFIG_BPF_SYSCALL, CONFIG_BPF_EVENTS, CONFIG_UPROBE_EVENTS)";
	case ENOENT:
		return "not there";
	case ENOMEM:
		return "no memory";
	case E2BIG:
		return "too big for this kernel";
	default:
		return strerror(err < 0 ? -err : err);
	}
}

int probe_load(struct probe *p, struct bpf_object *obj, char *why, size_t len)
{
	int ret = bpf_object__load(obj);

	p->obj = obj;
	if (!ret)
		return 0;
	snprintf(why, len, "BPF programs can't be loaded: %s",
		 (ret == -EACCES || ret == -EINVAL) && !locked_down() ?
		 "this kernel's verifier refuses them" : probe_words(ret));
	return ret;
}

void probe_resize(const struct probe *p, struct bpf_map *map)
{
	if (p->opts.max_entries)
		bpf_map__set_max_entries(map, p->opts.max_entries);
}

static void pin_path(const struct probe *p, const char *name, char *out, size_t len)
{
	snprintf(out, len, "%s/%s%s%s", p->opts.pin, p->kind->name, *name ? "/" : "", name);
}

int probe_fd(struct probe *p, const char *map)
{
	LIBBPF_OPTS(bpf_obj_get_opts, ro, .file_flags = BPF_F_RDONLY);
	char path[256];

	if (p->obj)
		return bpf_object__find_map_fd_by_name(p->obj, map);
	for (unsigned int i = 0; i < PROBE_MAPS; i++) {
		if (p->fds[i].name && strcmp(p->fds[i].name, map))
			continue;
		if (!p->fds[i].name) {
			pin_path(p, map, path, sizeof(path));
			p->fds[i].name = map;
			p->fds[i].fd = bpf_obj_get_opts(path, &ro);
		}
		return p->fds[i].fd;
	}
	return -1;
}

static void event(void *ctx, int cpu, void *data, __u32 bytes)
{
	struct probe *p = ctx;
	struct probe_event e = { p->kind->name, data, bytes };

	p->opts.event(p->opts.arg, &e);
}

static void lost(void *ctx, int cpu, __u64 n)
{
	struct probe *p = ctx;

	p->lost += n;
}

int probe_events(struct probe *p, char *why, size_t len)
{
	struct perf_buffer *b;

	if (!p->opts.events || !p->opts.event)
		return 0;
	b = perf_buffer__new(probe_fd(p, "events"), RING_PAGES, event, lost, p, NULL);
	if (!b) {
		snprintf(why, len, "no buffer for events: %s", probe_words(errno));
		return -errno;
	}
	p->ring = b;
	return 0;
}

int probe_poll(struct probe *p, int ms)
{
	int ret = p->ring ? perf_buffer__poll(p->ring, ms) : 0;

	return ret < 0 && ret != -EINTR ? ret : 0;
}

/* The bpf file system is mounted where it belongs if nobody has done so. */
static int pin_folder(const char *path, char *why, size_t len)
{
	struct statfs fs;
	char parent[128];
	char *slash;

	if (strlen(path) >= sizeof(parent)) {
		snprintf(why, len, "%s: the path is too long", path);
		return -ENAMETOOLONG;
	}
	strcpy(parent, path);
	slash = strrchr(parent, '/');
	if (!slash || slash == parent) {
		snprintf(why, len, "%s: no folder to pin in", path);
		return -EINVAL;
	}
	*slash = 0;
	if (!strcmp(parent, "/sys/fs/bpf") && !statfs(parent, &fs) && fs.f_type != BPF_FS_MAGIC &&
	    mount("bpf", parent, "bpf", 0, "mode=0755")) {
		snprintf(why, len, "%s: no bpf file system there, and mounting it: %s", parent,
			 probe_words(errno));
		return -errno;
	}
	if (mkdir(path, 0750) && errno != EEXIST) {
		snprintf(why, len, "%s: %s", path, strerror(errno));
		return -errno;
	}
	if (statfs(path, &fs) || fs.f_type != BPF_FS_MAGIC) {
		snprintf(why, len, "%s: not in a bpf file system", path);
		return -EINVAL;
	}
	return 0;
}

/* Each process that pins holds the folder by its programs: a leftover has none. */
static int pin(struct probe *p, char *why, size_t len)
{
	struct bpf_program *prog;
	char path[256];
	struct bpf_map *map;
	int ret = pin_folder(p->opts.pin, why, len);

	if (ret)
		return ret;
	pin_path(p, "", path, sizeof(path));
	if (mkdir(path, 0750)) {
		ret = -errno;
		snprintf(why, len, ret == -EEXIST ?
			 "%s: is there; another braid-probe runs, or one was killed (braid-probe unpin)" :
			 "%s: %s", path, strerror(-ret));
		return ret;
	}
	p->pinned = true;
	bpf_object__for_each_map(map, p->obj) {
		if (bpf_map__is_internal(map))
			continue;
		pin_path(p, bpf_map__name(map), path, sizeof(path));
		ret = bpf_map__pin(map, path);
		if (ret)
			goto err;
		chmod(path, 0640);
	}
	bpf_object__for_each_program(prog, p->obj) {
		if (bpf_program__fd(prog) < 0)
			continue;
		pin_path(p, bpf_program__name(prog), path, sizeof(path));
		ret = bpf_program__pin(prog, path);
		if (ret)
			goto err;
	}
	return 0;
err:
	snprintf(why, len, "%s: %s", path, probe_words(ret));
	return ret;
}

static void unpin(struct probe *p)
{
	struct bpf_program *prog;
	struct bpf_map *map;
	char path[256];

	bpf_object__for_each_map(map, p->obj) {
		pin_path(p, bpf_map__name(map), path, sizeof(path));
		unlink(path);
	}
	bpf_object__for_each_program(prog, p->obj) {
		pin_path(p, bpf_program__name(prog), path, sizeof(path));
		unlink(path);
	}
	pin_path(p, "", path, sizeof(path));
	rmdir(path);
	rmdir(p->opts.pin);	/* the last one takes the folder along */
}

int probe_start(const struct probe_kind *kind, const struct probe_options *o, struct probe **out,
		char *why, size_t len)
{
	struct probe *p = calloc(1, sizeof(*p));
	int ret = -ENOMEM;

	*out = NULL;
	*why = 0;
	if (!p) {
		snprintf(why, len, "no memory");
		return ret;
	}
	libbpf_set_print(say);
	p->kind = kind;
	p->opts = *o;
	ret = kind->start(p, why, len);
	if (!ret && o->pin)
		ret = pin(p, why, len);
	if (ret) {
		probe_stop(p);
		return ret;
	}
	*out = p;
	return 0;
}

int probe_look(const struct probe_kind *kind, const struct probe_options *o, struct probe **out)
{
	struct probe *p = calloc(1, sizeof(*p));
	char path[256];
	int ret = 0;

	*out = NULL;
	if (!p)
		return -ENOMEM;
	libbpf_set_print(say);
	p->kind = kind;
	p->opts = *o;
	pin_path(p, "total", path, sizeof(path));
	if (access(path, F_OK))
		ret = errno == EACCES ? -EPERM : -ENOENT;
	else if (probe_fd(p, "total") < 0)
		ret = errno == ENOENT ? -ENOENT : -EPERM;
	if (ret)
		free(p);
	else
		*out = p;
	return ret;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	return remove(path);
}

int probe_unpin(const char *pin)
{
	struct statfs fs;

	if (statfs(pin, &fs))
		return errno == ENOENT ? 0 : -errno;
	if (fs.f_type != BPF_FS_MAGIC)
		return -EINVAL;
	return nftw(pin, remove_one, 8, FTW_DEPTH | FTW_PHYS) ? -errno : 0;
}

void probe_stop(struct probe *p)
{
	if (!p)
		return;
	for (unsigned int i = 0; i < PROBE_MAPS; i++)
		if (p->fds[i].name && p->fds[i].fd >= 0)
			close(p->fds[i].fd);
	if (p->pinned)
		unpin(p);
	if (p->ring)
		perf_buffer__free(p->ring);
	p->kind->stop(p);
	free(p);
}
