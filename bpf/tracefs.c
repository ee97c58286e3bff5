// SPDX-License-Identifier: MIT
/*
 * Reading tracefs: see tracefs.h. Keeps nothing.
 */
#include "bpf/tracefs.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int open_file(const char *tracefs, const char *event, const char *name, FILE **out)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/events/%s/%s", tracefs, event, name);
	*out = fopen(path, "re");
	return *out ? 0 : -errno;
}

const char *tracefs_find(const char *given)
{
	static const char *const places[] = { "/sys/kernel/tracing", "/sys/kernel/debug/tracing" };
	char path[512];

	if (given) {
		snprintf(path, sizeof(path), "%s/events", given);
		return access(path, F_OK) ? NULL : given;
	}
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/events", places[i]);
		if (!access(path, F_OK))
			return places[i];
	}
	return NULL;
}

int tracefs_has(const char *tracefs, const char *event)
{
	FILE *f;
	int ret = open_file(tracefs, event, "id", &f);

	if (!ret)
		fclose(f);
	return ret;
}

/*
 * A line of a field: "field:unsigned long long tenant;	offset:8;	size:8;	signed:0;"
 */
int tracefs_field(const char *tracefs, const char *event, const char *field,
		  struct field_at *out)
{
	char line[512];
	FILE *f;
	int ret = open_file(tracefs, event, "format", &f);

	*out = (struct field_at){ 0, 0 };
	if (ret)
		return ret;
	ret = -EINVAL;
	while (ret && fgets(line, sizeof(line), f)) {
		char *end = strchr(line, ';'), *name = end, *at, *size;

		if (!strstr(line, "field:") || !end)
			continue;
		*end++ = 0;
		while (name > line && name[-1] != ' ' && name[-1] != '*')
			name--;
		name[strcspn(name, "[")] = 0;
		at = strstr(end, "offset:");
		size = strstr(end, "size:");
		if (strcmp(name, field) || !at || !size)
			continue;
		out->offset = atoi(at + 7);
		out->size = atoi(size + 5);
		ret = out->size && out->size <= 8 ? 0 : -EINVAL;
	}
	fclose(f);
	if (ret)
		out->size = 0;
	return ret;
}

struct bpf_link *tracefs_attach(const char *tracefs, const char *event, struct bpf_program *prog)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_TRACEPOINT, .size = sizeof(attr) };
	unsigned long long id = 0;
	struct bpf_link *l;
	FILE *f;
	int ret = open_file(tracefs, event, "id", &f), fd;

	if (!ret) {
		if (fscanf(f, "%llu", &id) != 1)
			ret = -EIO;
		fclose(f);
	}
	if (ret) {
		errno = -ret;
		return NULL;
	}
	attr.config = id;
	fd = syscall(__NR_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		return NULL;
	l = bpf_program__attach_perf_event(prog, fd);
	if (!l) {
		ret = errno;
		close(fd);
		errno = ret;
	}
	return l;
}
