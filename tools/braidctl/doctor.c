// SPDX-License-Identifier: MIT
/*
 * braidctl doctor: what this kernel, driver and privilege allow, a line each,
 * and for each probe whether it attaches, tried out.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "tools/braidctl/helper.h"
#include "tools/braidctl/measure.h"

#define CAP_SYS_ADMIN	21
#define CAP_PERFMON	38
#define CAP_BPF		39

enum verdict { YES, NO, INFO };

__attribute__((format(printf, 4, 5)))
static void tell(json_t *list, const char *what, enum verdict v, const char *fmt, ...)
{
	char text[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_array_append_new(list, json_pack("{s:s,s:s,s:s}", "what", what, "verdict",
					      v == YES ? "yes" : v == NO ? "no" : "-", "why",
					      text));
}

/* The first line of a file; false: it can't be read. */
static bool line_of(const char *path, char *buf, size_t len)
{
	FILE *f = fopen(path, "re");
	bool good = f && fgets(buf, len, f);

	if (f)
		fclose(f);
	if (good)
		buf[strcspn(buf, "\n")] = 0;
	return good;
}

/* A line of a file that begins so; what follows. */
static bool entry_of(const char *path, const char *key, char *buf, size_t len)
{
	FILE *f = fopen(path, "re");
	char line[512];
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f)) {
		if (strncmp(line, key, strlen(key)))
			continue;
		line[strcspn(line, "\n")] = 0;
		snprintf(buf, len, "%s", line + strlen(key) + strspn(line + strlen(key), " \t"));
		found = true;
	}
	if (f)
		fclose(f);
	return found;
}

static void kernel(json_t *list)
{
	char text[256] = "", level[16] = "?";
	unsigned long long caps = 0;
	struct utsname u;

	uname(&u);
	tell(list, "kernel", INFO, "%s %s", u.release, u.machine);
	if (entry_of("/proc/self/status", "CapEff:", text, sizeof(text)))
		caps = strtoull(text, NULL, 16);
	if (caps >> CAP_SYS_ADMIN & 1)
		tell(list, "privilege", YES, "uid %u with CAP_SYS_ADMIN", geteuid());
	else if (caps >> CAP_BPF & 1 && caps >> CAP_PERFMON & 1)
		tell(list, "privilege", YES, "uid %u with CAP_BPF and CAP_PERFMON", geteuid());
	else
		tell(list, "privilege", NO, "uid %u without CAP_BPF and CAP_PERFMON: no probe loads",
		     geteuid());
	line_of("/proc/sys/kernel/perf_event_paranoid", level, sizeof(level));
	tell(list, "perf events", atoi(level) > 2 && !(caps >> CAP_SYS_ADMIN & 1) ? NO : YES,
	     atoi(level) > 2 ? "kernel.perf_event_paranoid is %s: for CAP_SYS_ADMIN alone" :
	     "kernel.perf_event_paranoid is %s", level);
	if (line_of("/sys/kernel/security/lockdown", text, sizeof(text)))
		tell(list, "lockdown", strstr(text, "[none]") ? YES : NO, "%s", text);
	else
		tell(list, "lockdown", YES, "not known to this kernel, or securityfs is not mounted");
	if (access("/sys/kernel/tracing/events", F_OK) && access("/sys/kernel/debug/tracing/events", F_OK))
		tell(list, "tracefs", NO, "not mounted, or not for us: no tracepoints (mount -t tracefs tracefs /sys/kernel/tracing)");
	else
		tell(list, "tracefs", YES, "mounted");
	tell(list, "BTF", INFO, access("/sys/kernel/btf/vmlinux", R_OK) ?
	     "none; the probes do not need it" : "there; the probes do not need it");
}

static void braid(const struct ctl *c, json_t *list)
{
	json_t *o = ctl_try(c, "status");
	char path[64];

	snprintf(path, sizeof(path), "/dev/%s", c->device);
	if (!access(path, F_OK))
		tell(list, "module braid", YES, "%s is there", path);
	else
		tell(list, "module braid", INFO, "no %s: the queue, if any, is braidd's", path);
	if (!o)
		tell(list, "braidd", NO, "nobody answers at %s", c->socket);
	else
		tell(list, "braidd", json_is_true(json_object_get(o, "agent_up")) ? YES : NO,
		     "backend %s, runner %s", ctl_str(o, "backend"),
		     json_is_true(json_object_get(o, "agent_up")) ? "up" : "down");
	json_decref(o);
}

static void gpu(json_t *list)
{
	const char *source = measure_switches();
	char text[512], words[512];
	struct helper h;
	json_t *o = NULL;
	int ret;

	if (line_of("/proc/driver/nvidia/version", text, sizeof(text)))
		tell(list, "NVIDIA driver", YES, "%s", text);
	else
		tell(list, "NVIDIA driver", INFO, "not loaded");
	if (entry_of("/proc/driver/nvidia/params", "RmProfilingAdminOnly:", text, sizeof(text)))
		tell(list, "profiling", INFO, "RmProfilingAdminOnly is %s: %s", text,
		     atoi(text) ? "records are for root alone" : "others see their own processes");
	if (!source) {
		tell(list, "context switches", INFO, "no driver here tells of them (NVIDIA's, or a Jetson's nvgpu)");
		return;
	}
	ret = helper_start(&h, (const char *[]){ "braid-switch", source, "--seconds", "0.1",
						 "--interval", "10", NULL });
	if (!ret)
		o = helper_line(&h, 10000);
	if (o)
		tell(list, "context switches", YES, "by %s", source);
	else if (ret)
		tell(list, "context switches", NO, "braid-switch: %s", strerror(-ret));
	if (!o && !ret) {
		helper_words(&h, words, sizeof(words));
		tell(list, "context switches", NO, "%s", words);
	}
	json_decref(o);
	helper_stop(&h);
}

static void probes(json_t *list)
{
	struct helper h;
	json_t *o;
	int ret = helper_start(&h, (const char *[]){ "braid-probe", "check", "--json", NULL });

	if (ret)
		tell(list, "probes", NO, ret == -ENOENT ?
		     "braid-probe was left out of this build (clang, bpftool, libbpf or libelf was missing), or is not installed" :
		     "braid-probe can't be started");
	while (!ret && (o = helper_line(&h, 30000))) {
		bool good = json_is_true(json_object_get(o, "ok"));
		const char *why = ctl_str(o, "why");

		tell(list, ctl_str(o, "probe"), good ? YES : NO, "%s", *why ? why :
		     ctl_str(o, "tells"));
		json_decref(o);
	}
	helper_stop(&h);
}

int cmd_doctor(const struct ctl *c, int argc, char **argv)
{
	json_t *list = json_array(), *o;
	size_t i;

	if (ctl_too_many(argc, argv, 0))
		return 2;
	kernel(list);
	braid(c, list);
	gpu(list);
	probes(list);
	if (ctl_json(c, list))
		return 0;
	json_array_foreach(list, i, o)
		printf("%-18s %-4s %s\n", ctl_str(o, "what"), ctl_str(o, "verdict"),
		       ctl_str(o, "why"));
	json_decref(list);
	return 0;
}
