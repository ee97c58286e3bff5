// SPDX-License-Identifier: MIT
/*
 * braidctl monitor: events as they come, a line each.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tools/braidctl/ctl.h"

struct monitor {
	bool json;
	long left;	/* events to be shown, below 0: all */
};

static void stamp(char *buf, size_t len)
{
	struct timespec ts;
	struct tm tm;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	n = strftime(buf, len, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf + n, len - n, ".%03ldZ", ts.tv_nsec / 1000000);
}

static void print(const char *when, json_t *event)
{
	const char *name;
	json_t *v;

	printf("%s  %-12s", when, ctl_str(event, "event"));
	json_object_foreach(event, name, v) {
		if (json_is_integer(v))
			printf(" %s %lld", name, (long long)json_integer_value(v));
		else if (json_is_string(v) && strcmp(name, "event"))
			printf(" %s %s", name, json_string_value(v));
	}
	putchar('\n');
}

/* What reads us may be gone: then there is nobody to tell. */
static bool told(void *arg, json_t *event)
{
	struct monitor *m = arg;
	bool counts = strcmp(ctl_str(event, "event"), "listening");
	char when[32];

	stamp(when, sizeof(when));
	if (m->json) {
		json_object_set_new(event, "time", json_string(when));
		json_dumpf(event, stdout, JSON_COMPACT);
		putchar('\n');
	} else {
		print(when, event);
	}
	json_decref(event);
	if (counts && m->left > 0)
		m->left--;
	return !fflush(stdout) && m->left;
}

int cmd_monitor(const struct ctl *c, int argc, char **argv)
{
	struct monitor m = { .json = c->json, .left = -1 };
	char *end;

	if (ctl_too_many(argc, argv, 1))
		return 2;
	if (argc) {
		m.left = strtol(argv[0], &end, 10);
		if (*end || m.left < 1) {
			fprintf(stderr, "braidctl: '%s' is no number of events\n", argv[0]);
			return 2;
		}
	}
	return c->source->monitor(c, told, &m) ? 1 : 0;
}
