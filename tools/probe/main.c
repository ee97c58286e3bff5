// SPDX-License-Identifier: MIT
/*
 * braid-probe: loads the probes, keeps them attached, tells what they see.
 *
 * One thread. A probe that can't be started is named with the reason in one
 * line, and the others go on.
 */
#include <argp.h>
#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bpf/figures.h"
#include "bpf/library.h"
#include "bpf/probe.h"
#include "tools/probe/record.h"

#define MAX_PROBES	8u
#define MAX_LIBRARIES	16u

struct args {
	const char *command;
	struct probe_options probe;
	const char *libraries[MAX_LIBRARIES + 1];
	unsigned int n_libraries;
	const char *only;
	const char *write;
	bool json;
	double seconds;
	double interval;
};

static volatile sig_atomic_t ended;

enum { KEY_MAX = 256, KEY_TRACEFS, KEY_EVENTS, KEY_WRITE };

static const struct argp_option options[] = {
	{ "pin", 'p', "DIR", 0, "pin maps and programs there, or read those pinned there ("
	  PROBE_PINS "); none: pin nothing", 0 },
	{ "only", 'o', "NAMES", 0, "these probes, separated by commas", 0 },
	{ "library", 'l', "FILE", 0, "probe this libcuda, and no other; may be repeated", 0 },
	{ "braidd", 'b', "FILE", 0, "the braidd to probe, instead of those that run", 0 },
	{ "seconds", 's', "N", 0, "end after so long; otherwise at a signal", 0 },
	{ "interval", 'i', "N", 0, "print the figures every N seconds, too", 0 },
	{ "json", 'j', NULL, 0, "figures as JSON, one object a line", 0 },
	{ "events", KEY_EVENTS, NULL, 0, "run: also produce events, for bpftool map event_pipe", 0 },
	{ "write", KEY_WRITE, "FILE", 0, "run: keep the figures in a file, too, for [probes] of braidd", 0 },
	{ "max-entries", KEY_MAX, "N", 0, "room for so many processes or tenants", 0 },
	{ "tracefs", KEY_TRACEFS, "DIR", 0, "where tracefs is mounted", 0 },
	{ 0 }
};

static int number(const char *text, double low, double high, double *to)
{
	char *end;

	*to = strtod(text, &end);
	return end == text || *end || !(*to >= low && *to <= high) ? -EINVAL : 0;
}

/* A probe only waits for files that it finds itself: one that was named has to be there. */
static const char *named_file(struct argp_state *state, const char *option, const char *path)
{
	struct library_file f;
	int ret = library_stat(path, &f);

	if (ret)
		argp_failure(state, 2, 0, "--%s %s: %s", option, path,
			     ret == -EINVAL ? "not a regular file" : strerror(-ret));
	return path;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct args *a = state->input;
	double v;

	switch (key) {
	case 'p':
		a->probe.pin = strcmp(arg, "none") ? arg : NULL;
		return 0;
	case 'o':
		a->only = arg;
		return 0;
	case 'l':
		if (a->n_libraries == MAX_LIBRARIES)
			argp_error(state, "%u libraries at most", MAX_LIBRARIES);
		a->libraries[a->n_libraries++] = named_file(state, "library", arg);
		a->probe.libraries = a->libraries;
		return 0;
	case 'b':
		a->probe.braidd = named_file(state, "braidd", arg);
		return 0;
	case 's':
		if (number(arg, 0, 1e9, &a->seconds))
			argp_error(state, "'%s' can't be --seconds", arg);
		return 0;
	case 'i':
		if (number(arg, 0.1, 1e6, &a->interval))
			argp_error(state, "'%s' can't be --interval: 0.1 at least", arg);
		return 0;
	case 'j':
		a->json = true;
		return 0;
	case KEY_MAX:
		if (number(arg, 1, 1 << 20, &v))
			argp_error(state, "'%s' can't be --max-entries", arg);
		a->probe.max_entries = v;
		return 0;
	case KEY_EVENTS:
		a->probe.events = true;
		return 0;
	case KEY_WRITE:
		if (!figures_file(arg))
			argp_failure(state, 2, 0, "--write %s: is there, and is no regular file", arg);
		a->write = arg;
		return 0;
	case KEY_TRACEFS:
		a->probe.tracefs = arg;
		return 0;
	case ARGP_KEY_ARG:
		if (a->command)
			argp_error(state, "'%s': one command at a time", arg);
		a->command = arg;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "run, record, show, check or unpin?");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	options, parse, "run|record|show|check|unpin",
	"Measure what sharing a GPU costs, with BPF.\n\n"
	"  run    load the probes, pin them, stay until a signal, then say what was seen\n"
	"  record the same, unpinned; events as lines of JSON, the figures as the last one\n"
	"  show   what the probes of another braid-probe have seen so far\n"
	"  check  try each probe, say which can be used here and why not\n"
	"  unpin  remove what a braid-probe that was killed has left",
	NULL, NULL, NULL
};

static void end(int sig)
{
	ended = 1;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* Is @name one of the words of @list? */
static bool named(const char *list, const char *name)
{
	size_t n = strlen(name);

	for (const char *at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
		if (strcspn(at, ",") == n && !strncmp(at, name, n))
			return true;
	return false;
}

static int check_names(const char *list)
{
	for (const char *at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
		bool known = false;

		for (const struct probe_kind *const *k = probe_kinds(); *k; k++)
			known |= strlen((*k)->name) == strcspn(at, ",") &&
				 !strncmp((*k)->name, at, strcspn(at, ","));
		if (!known) {
			fprintf(stderr, "braid-probe: there is no probe '%.*s'\n",
				(int)strcspn(at, ","), at);
			return -EINVAL;
		}
	}
	return 0;
}

static json_t *figures(struct probe *const *probes, unsigned int n)
{
	struct timespec mono, real;
	json_t *all = json_object(), *o;

	clock_gettime(CLOCK_MONOTONIC, &mono);
	clock_gettime(CLOCK_REALTIME, &real);
	json_object_set_new(all, "monotonic_ns", json_integer(mono.tv_sec * 1000000000ll +
							      mono.tv_nsec));
	json_object_set_new(all, "realtime_ns", json_integer(real.tv_sec * 1000000000ll +
							     real.tv_nsec));
	for (unsigned int i = 0; i < n; i++) {
		o = probes[i]->kind->figures(probes[i]);
		if (o && probes[i]->note[0])
			json_object_set_new(o, "note", json_string(probes[i]->note));
		if (o)
			json_object_set_new(all, probes[i]->kind->name, o);
	}
	return all;
}

static void print(struct probe *const *probes, unsigned int n)
{
	json_t *all = figures(probes, n);
	char *text;

	text = json_dumps(all, JSON_COMPACT);
	if (text)
		puts(text);
	fflush(stdout);
	free(text);
	json_decref(all);
}

/* That nobody can be told of them by a file is no reason not to look: it is said once. */
static void keep(struct args *a, struct probe *const *probes, unsigned int n)
{
	json_t *all = figures(probes, n);
	int ret = figures_write(a->write, all);

	json_decref(all);
	if (!ret)
		return;
	fprintf(stderr, "braid-probe: %s: %s\n", a->write, strerror(-ret));
	a->write = NULL;
}

/*
 * Start all that are wanted; what can't be is named, and where that is all of them the
 * first one last, as the others may lack more than it does. How many there are.
 */
static unsigned int start(struct args *a, struct probe **probes)
{
	unsigned int n = 0, refused = 0;
	char why[512], first[600];

	for (const struct probe_kind *const *k = probe_kinds(); *k && n < MAX_PROBES; k++) {
		if (a->only && !named(a->only, (*k)->name))
			continue;
		if (probe_start(*k, &a->probe, &probes[n], why, sizeof(why))) {
			fprintf(stderr, "braid-probe: %s: %s\n", (*k)->name, why);
			if (!refused++)
				snprintf(first, sizeof(first), "%s: %s", (*k)->name, why);
			continue;
		}
		fprintf(stderr, "braid-probe: %s: attached%s%s\n", (*k)->name,
			probes[n]->note[0] ? "; " : "", probes[n]->note);
		n++;
	}
	if (refused > 1 && !n)
		fprintf(stderr, "braid-probe: no probe can be used here; %s\n", first);
	return n;
}

/* Until a signal or the end of the time, or until nobody reads any more. */
static void stay(struct args *a, struct probe *const *probes, unsigned int n)
{
	double began = now(), tick = began + 1, say = began + a->interval, write = began;
	struct timespec pause = { .tv_nsec = a->probe.events ? 5000000 : 50000000 };

	while (!ended && !ferror(stdout) && (!a->seconds || now() < began + a->seconds)) {
		nanosleep(&pause, NULL);
		for (unsigned int i = 0; i < n && a->probe.events; i++)
			probe_poll(probes[i], 0);
		if (now() >= tick) {
			tick += 1;
			for (unsigned int i = 0; i < n; i++)
				if (probes[i]->obj && probes[i]->kind->tick)
					probes[i]->kind->tick(probes[i]);
		}
		if (a->interval && now() >= say) {
			say += a->interval;
			print(probes, n);
		}
		if (a->write && now() >= write) {
			write += FIGURES_EVERY;
			keep(a, probes, n);
		}
	}
	if (a->write)
		figures_remove(a->write);
	for (unsigned int i = 0; i < n && a->probe.events; i++)
		probe_poll(probes[i], 0);
}

static int run(struct args *a)
{
	struct probe *probes[MAX_PROBES];
	unsigned int n = start(a, probes);

	if (!n)
		return 1;
	stay(a, probes, n);
	print(probes, n);
	while (n)
		probe_stop(probes[--n]);
	return !!ferror(stdout);
}

static int record(struct args *a)
{
	a->probe.pin = NULL;
	a->probe.events = true;
	a->probe.event = record_event;
	a->probe.arg = stdout;
	return run(a);
}

static int show(struct args *a)
{
	struct probe *probes[MAX_PROBES];
	unsigned int n = 0;
	int ret, bad = 0;

	if (!a->probe.pin) {
		fprintf(stderr, "braid-probe: show needs a folder of pins\n");
		return 2;
	}
	for (const struct probe_kind *const *k = probe_kinds(); *k && n < MAX_PROBES; k++) {
		if (a->only && !named(a->only, (*k)->name))
			continue;
		ret = probe_look(*k, &a->probe, &probes[n]);
		if (!ret)
			n++;
		else if (ret != -ENOENT || a->only)
			bad = fprintf(stderr, "braid-probe: %s/%s: %s\n", a->probe.pin, (*k)->name,
				      probe_words(ret));
	}
	if (!n && !bad)
		fprintf(stderr, "braid-probe: %s: nothing is pinned there\n", a->probe.pin);
	if (n && (a->interval || a->seconds))
		stay(a, probes, n);
	if (n)
		print(probes, n);
	bad = !n;
	while (n)
		probe_stop(probes[--n]);
	return bad;
}

/* One line a probe; 1 if one can't be used. */
static int check(struct args *a)
{
	struct probe_options o = a->probe;
	int bad = 0;

	o.pin = NULL;
	for (const struct probe_kind *const *k = probe_kinds(); *k; k++) {
		struct probe *p;
		char why[512];
		json_t *line;
		int ret;

		if (a->only && !named(a->only, (*k)->name))
			continue;
		ret = probe_start(*k, &o, &p, why, sizeof(why));
		bad |= !!ret;
		if (a->json) {
			line = json_pack("{s:s,s:s,s:b,s:s}", "probe", (*k)->name, "tells",
					 (*k)->tells, "ok", !ret, "why", ret ? why : p->note);
			json_dumpf(line, stdout, JSON_COMPACT);
			putchar('\n');
			json_decref(line);
		} else {
			printf("%-14s %s%s%s\n", (*k)->name, ret ? "no: " : "ok",
			       !ret && p->note[0] ? ": " : "", ret ? why : p->note);
		}
		probe_stop(p);
	}
	return bad;
}

int main(int argc, char **argv)
{
	struct args a = { .probe.pin = PROBE_PINS };
	struct sigaction sa = { .sa_handler = end };
	int ret;

	argp_parse(&argp, argc, argv, 0, NULL, &a);
	if (a.only && check_names(a.only))
		return 2;
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
	if (!strcmp(a.command, "run"))
		return run(&a);
	if (!strcmp(a.command, "record"))
		return record(&a);
	if (!strcmp(a.command, "show"))
		return show(&a);
	if (!strcmp(a.command, "check"))
		return check(&a);
	if (!strcmp(a.command, "unpin")) {
		ret = a.probe.pin ? probe_unpin(a.probe.pin) : -EINVAL;
		if (ret)
			fprintf(stderr, "braid-probe: %s: %s\n", a.probe.pin ? a.probe.pin : "none",
				strerror(-ret));
		return !!ret;
	}
	fprintf(stderr, "braid-probe: '%s'? run, record, show, check or unpin\n", a.command);
	return 2;
}
