// SPDX-License-Identifier: MIT
/*
 * braidctl trace: records what the probes see for a while, and writes it as a
 * file that Perfetto and chrome://tracing open.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/braidctl/helper.h"
#include "tools/braidctl/measure.h"
#include "tools/braidctl/trace_write.h"

static volatile sig_atomic_t ended;

static void end(int sig)
{
	ended = 1;
}

/* What the last line, the figures, says was not recorded. */
static void add_drops(json_t *figures, json_t *left_out)
{
	static const char *const drops[] = { "overrun", "lost", "requests_full", "processes_full",
					     "calls_full", "jobs_full", "unreadable" };
	json_t *p, *n;
	const char *probe;
	char key[96];

	if (ctl_int(figures, "lost")) {
		snprintf(key, sizeof(key), "%s.lost", ctl_str(figures, "source"));
		json_object_set_new(left_out, key, json_integer(ctl_int(figures, "lost")));
	}
	json_object_foreach(figures, probe, p) {
		n = json_object_get(p, "not_counted");
		for (size_t i = 0; i < sizeof(drops) / sizeof(drops[0]); i++) {
			if (!ctl_int(n, drops[i]))
				continue;
			snprintf(key, sizeof(key), "%s.%s", probe, drops[i]);
			json_object_set_new(left_out, key, json_integer(ctl_int(n, drops[i])));
		}
	}
}

static bool is_event(json_t *o)
{
	static const char *const kinds[] = { "request", "window", "group", "launch", "wait", "job",
					     "switch" };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (json_is_object(json_object_get(o, kinds[i])))
			return true;
	return false;
}

/* All that a helper says until it ends; how many events. */
static size_t take(struct helper *h, json_t *events, json_t *left_out)
{
	size_t n = 0;
	json_t *o;

	while (!h->ended || h->used) {
		o = helper_line(h, -1);
		if (!o && ended && !h->ended) {
			ended = 0;	/* once: they end and say the rest */
			kill(h->pid, SIGINT);
			continue;
		}
		if (!o)
			break;
		if (is_event(o)) {
			json_array_append(events, o);
			n++;
		} else {
			add_drops(o, left_out);
		}
		json_decref(o);
	}
	return n;
}

static int write_file(const char *path, json_t *events, const struct measure_names *names,
		      json_t *left_out, long *n)
{
	FILE *f = fopen(path, "we");

	if (!f)
		return -errno;
	*n = trace_write(f, events, names, left_out);
	if (fclose(f) && *n >= 0)
		return -errno;
	return *n < 0 ? *n : 0;
}

int cmd_trace(const struct ctl *c, int argc, char **argv)
{
	const char *source = measure_switches(), *path, *key;
	struct helper probe, sw = { .fd = -1, .words = -1 };
	json_t *events = json_array(), *left_out = json_object(), *v;
	struct sigaction sa = { .sa_handler = end };
	char seconds[32], words[512];
	struct measure_names names;
	double time = 5;
	long n = 0;
	int ret;

	if (argc < 1 || argc > 2) {
		fprintf(stderr, "usage: braidctl trace FILE [SECONDS]\n");
		return 2;
	}
	path = argv[0];
	if (argc > 1 && !measure_number(argv[1], "a time in seconds", &time))
		return 2;
	snprintf(seconds, sizeof(seconds), "%g", time);
	sigaction(SIGINT, &sa, NULL);
	ret = helper_start(&probe, (const char *[]){ "braid-probe", "record", "--seconds", seconds,
						     NULL });
	if (ret) {
		fprintf(stderr, "braidctl: braid-probe: %s\n", ret == -ENOENT ?
			"it was left out of this build, or is not installed" : strerror(-ret));
		return 1;
	}
	if (source)
		helper_start(&sw, (const char *[]){ "braid-switch", source, "--events",
						    "--seconds", seconds, NULL });
	/* Before the time is over: tenants may go. */
	measure_names(c, &names);
	take(&probe, events, left_out);
	helper_words(&probe, words, sizeof(words));
	if (sw.pid)
		take(&sw, events, left_out);
	ret = helper_stop(&probe);
	helper_stop(&sw);
	if (ret) {
		fprintf(stderr, "braidctl: %s\n", *words ? words : "braid-probe has ended");
	} else {
		ret = write_file(path, events, &names, left_out, &n);
		if (ret)
			fprintf(stderr, "braidctl: %s: %s\n", path, strerror(-ret));
		else
			printf("%s: %ld events\n", path, n);
		json_object_foreach(left_out, key, v)
			printf("not recorded: %s %lld\n", key, (long long)json_integer_value(v));
	}
	measure_forget(&names);
	json_decref(events);
	json_decref(left_out);
	return ret ? 1 : 0;
}
