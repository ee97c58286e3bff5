// SPDX-License-Identifier: MIT
/*
 * Asking the control socket, and small things that every table needs.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "tools/braidctl/ctl.h"

#define ANSWER_MAX	(4u << 20)

static int connect_to(const char *path, const char *cmd)
{
	/* A reload is answered when large models have been loaded. */
	struct timeval tv = { .tv_sec = cmd && !strcmp(cmd, "reload") ? 600 : 10 };
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(sa.sun_path)) {
		fprintf(stderr, "braidctl: %s: longer than a socket's name may be\n", path);
		return -1;
	}
	strcpy(sa.sun_path, path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa))) {
		fprintf(stderr, "braidctl: %s: %s%s\n", path, strerror(errno),
			errno == ENOENT || errno == ECONNREFUSED ? " (is braidd running?)" :
			errno == EACCES ? " (braidctl is for root)" : "");
		if (fd >= 0)
			close(fd);
		return -1;
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	return fd;
}

/* Ask once; @more is set when the list goes on after it. */
static json_t *ask(const struct ctl *c, json_t *req, json_t **more)
{
	json_t *o = NULL, *result = NULL;
	char *text = NULL, *buf = NULL;
	const char *error;
	int fd;
	ssize_t n;

	fd = connect_to(c->socket, ctl_str(req, "cmd"));
	if (fd < 0)
		goto out;
	text = json_dumps(req, JSON_COMPACT);
	buf = malloc(ANSWER_MAX);
	if (!text || !buf)
		goto out;
	if (send(fd, text, strlen(text), MSG_NOSIGNAL) < 0) {
		fprintf(stderr, "braidctl: %s: %s\n", c->socket, strerror(errno));
		goto out;
	}
	n = recv(fd, buf, ANSWER_MAX, 0);
	if (n <= 0) {
		fprintf(stderr, "braidctl: %s: %s\n", c->socket,
			!n ? "hung up: not root, nor who runs braidd?" :
			errno == EAGAIN ? "no answer" : strerror(errno));
		goto out;
	}
	o = json_loadb(buf, n, 0, NULL);
	error = json_string_value(json_object_get(o, "error"));
	if (!o || error || !json_is_true(json_object_get(o, "ok")))
		fprintf(stderr, "braidctl: %s\n", error ? error : "answer not understood");
	else
		result = json_incref(json_object_get(o, "result"));
	*more = json_incref(json_object_get(o, "more"));
out:
	json_decref(o);
	free(text);
	free(buf);
	if (fd >= 0)
		close(fd);
	return result;
}

json_t *ctl_ask(const struct ctl *c, json_t *req)
{
	json_t *more = NULL, *all, *part;

	all = ask(c, req, &more);
	while (all && more) {
		json_object_set_new(req, "after", more);
		more = NULL;
		part = ask(c, req, &more);
		if (!part || json_array_extend(all, part)) {
			json_decref(all);
			all = NULL;
		}
		json_decref(part);
	}
	json_decref(more);
	json_decref(req);
	return all;
}

bool ctl_json(const struct ctl *c, json_t *result)
{
	if (!c->json)
		return false;
	json_dumpf(result, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);
	putchar('\n');
	json_decref(result);
	return true;
}

long long ctl_int(const json_t *o, const char *name)
{
	return json_integer_value(json_object_get(o, name));
}

const char *ctl_str(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s ? s : "";
}

const char *ctl_ns(long long ns, char *buf, unsigned long len)
{
	if (ns < 10000)
		snprintf(buf, len, "%lld ns", ns);
	else if (ns < 10000000)
		snprintf(buf, len, "%.1f us", ns / 1e3);
	else if (ns < 1000000000ll)
		snprintf(buf, len, "%.1f ms", ns / 1e6);
	else if (ns < 600000000000ll)
		snprintf(buf, len, "%.1f s", ns / 1e9);
	else
		snprintf(buf, len, "%lldh%02lldm", ns / 3600000000000ll,
			 ns / 60000000000ll % 60);
	return buf;
}

const char *ctl_bytes(long long n, char *buf, unsigned long len)
{
	if (n < 10240)
		snprintf(buf, len, "%lld B", n);
	else if (n < 10 << 20)
		snprintf(buf, len, "%lld KiB", n >> 10);
	else
		snprintf(buf, len, "%lld MiB", n >> 20);
	return buf;
}
