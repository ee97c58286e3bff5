// SPDX-License-Identifier: MIT
/*
 * braid-switch: counts the GPU's context switches, by whatever source there is.
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

#include "bpf/ctxsw.h"
#include "bpf/figures.h"
#include "tools/switch/cupti.h"
#include "tools/switch/fecs.h"
#include "tools/switch/node.h"
#include "tools/switch/report.h"
#include "tools/switch/witness.h"

#define POLL_NS	5000000

struct args {
	const char *command;
	const char *file;		/* to decode, or the node */
	const char *record;
	const char *write;
	struct witness_options witness;
	int minor;
	enum ctxsw_format format;
	double interval;
	bool json;
	bool events;
};

static volatile sig_atomic_t ended;

enum { KEY_THRESHOLD = 256, KEY_RECORD, KEY_FORMAT, KEY_MINOR, KEY_EVENTS, KEY_WRITE };

static const struct argp_option options[] = {
	{ "seconds", 's', "N", 0, "watch so long (5)", 0 },
	{ "json", 'j', NULL, 0, "print JSON", 0 },
	{ "interval", 'i', "N", 0, "fecs, node: also print every N seconds, a line of JSON", 0 },
	{ "events", KEY_EVENTS, NULL, 0, "fecs, node: print each record, a line of JSON", 0 },
	{ "device", 'd', "N", 0, "witness: CUDA's number of the device (0)", 0 },
	{ "processes", 'n', "N", 0, "witness: so many, each in a context of its own (1)", 0 },
	{ "threshold-us", KEY_THRESHOLD, "N", 0, "witness: longer is an absence (20)", 0 },
	{ "minor", KEY_MINOR, "N", 0, "fecs: of /dev/nvidiaN (the first there is)", 0 },
	{ "record", KEY_RECORD, "FILE", 0, "fecs, node: keep the records in a file, too", 0 },
	{ "write", KEY_WRITE, "FILE", 0,
	  "fecs, node: keep the figures in a file, too, for [probes] of braidd", 0 },
	{ "format", KEY_FORMAT, "N", 0, "decode: version of the records, 1 or 2 (2)", 0 },
	{ 0 }
};

static double number(struct argp_state *state, const char *name, const char *text, double low,
		     double high)
{
	char *end;
	double v = strtod(text, &end);

	if (end == text || *end || !(v >= low && v <= high))
		argp_error(state, "'%s' can't be --%s: %g to %g", text, name, low, high);
	return v;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct args *a = state->input;

	switch (key) {
	case 's':
		a->witness.seconds = number(state, "seconds", arg, 0.01, 86400);
		return 0;
	case 'j':
		a->json = true;
		return 0;
	case 'i':
		a->interval = number(state, "interval", arg, 0.1, 86400);
		return 0;
	case KEY_EVENTS:
		a->events = true;
		return 0;
	case 'd':
		a->witness.device = number(state, "device", arg, 0, 255);
		return 0;
	case 'n':
		a->witness.processes = number(state, "processes", arg, 1, 256);
		return 0;
	case KEY_THRESHOLD:
		a->witness.threshold_ns = number(state, "threshold-us", arg, 0.1, 1e6) * 1000;
		return 0;
	case KEY_MINOR:
		a->minor = number(state, "minor", arg, 0, 255);
		return 0;
	case KEY_RECORD:
		a->record = arg;
		return 0;
	case KEY_WRITE:
		if (!figures_file(arg))
			argp_failure(state, 2, 0, "--write %s: is there, and is no regular file", arg);
		a->write = arg;
		return 0;
	case KEY_FORMAT:
		a->format = number(state, "format", arg, 1, 2);
		return 0;
	case ARGP_KEY_ARG:
		if (!a->command)
			a->command = arg;
		else if (!a->file)
			a->file = arg;
		else
			argp_error(state, "'%s': what is this?", arg);
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "fecs, node, cupti, witness or decode?");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	options, parse, "fecs|node|cupti|witness|decode [FILE]",
	"Count the GPU's context switches.\n\n"
	"  fecs     the driver's own records, by way of its event buffer; root\n"
	"  node     the same from nvgpu's ctxsw node (Jetson); FILE is the node\n"
	"  cupti    the profiling library's, of a context of this process, and what a\n"
	"           witness in it saw; FILE is libcupti.so; toolkits after CUDA 13.0\n"
	"  witness  a kernel that sees its own absences; one context more\n"
	"  decode   records that --record kept in FILE",
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

/* What is done with each record beside counting it. */
struct keep {
	FILE *file;
	enum ctxsw_format format;
	bool events;
	int64_t offset_ns;	/* from the GPU's clock to CLOCK_MONOTONIC */
};

static void keep(void *arg, const struct ctxsw_record *r)
{
	struct keep *k = arg;
	uint8_t bytes[CTXSW_RECORD_BYTES];

	if (k->events)
		printf("{\"switch\":{\"context\":%u,\"pid\":%u,\"tag\":%u,\"gpu_ns\":%llu,\"ts_ns\":%lld}}\n",
		       r->context, r->pid, r->tag, (unsigned long long)r->ts_ns,
		       (long long)(r->ts_ns + k->offset_ns));
	if (!k->file)
		return;
	ctxsw_encode(r, k->format, bytes);
	fwrite(bytes, 1, sizeof(bytes), k->file);
}

/* Where figures so far go, and when next. */
struct told {
	const struct args *a;
	const char *source, *write;
	double since, print_at, write_at;
};

static struct told told_new(const struct args *a, const char *source)
{
	double t = now();

	return (struct told){ a, source, a->write, t, t + a->interval, t };
}

/* A line of figures, and the file of them, if it is time. */
static void tell_some(struct told *t, const struct ctxsw *c)
{
	bool print = t->a->interval && now() >= t->print_at;
	bool write = t->write && now() >= t->write_at;
	json_t *o;
	int ret;

	if (!print && !write)
		return;
	o = ctxsw_json(c, now() - t->since);
	json_object_set_new(o, "source", json_string(t->source));
	if (print) {
		t->print_at += t->a->interval;
		json_dumpf(o, stdout, JSON_COMPACT);
		putchar('\n');
		fflush(stdout);
	}
	if (write) {
		t->write_at += FIGURES_EVERY;
		ret = figures_write(t->write, o);
		if (ret) {
			fprintf(stderr, "braid-switch: %s: %s\n", t->write, strerror(-ret));
			t->write = NULL;
		}
	}
	json_decref(o);
}

static void told_end(const struct told *t)
{
	if (t->write)
		figures_remove(t->write);
}

static int print(const struct args *a, json_t *o, void (*table)(const json_t *o))
{
	bool json = a->json || a->events || a->interval;
	bool lines = a->events || a->interval;
	char *text = json && o ? json_dumps(o, lines ? JSON_COMPACT : JSON_INDENT(1)) : NULL;
	int ret = !o || (json && !text);

	if (text)
		puts(text);
	else if (o)
		table(o);
	if (fflush(stdout) || ferror(stdout))
		ret = 1;
	free(text);
	json_decref(o);
	return ret;
}

static int open_record(const struct args *a, struct keep *k)
{
	if (!a->record)
		return 0;
	k->file = fopen(a->record, "we");
	if (k->file)
		return 0;
	fprintf(stderr, "braid-switch: %s: %s\n", a->record, strerror(errno));
	return -errno;
}

static int close_record(const struct args *a, struct keep *k)
{
	if (!k->file || !fclose(k->file))
		return 0;
	fprintf(stderr, "braid-switch: %s: %s\n", a->record, strerror(errno));
	return 1;
}

static int fecs(const struct args *a)
{
	struct keep k = { .format = CTXSW_V2, .events = a->events };
	struct ctxsw *c = ctxsw_new();
	double seconds;
	struct told t;
	struct fecs f;
	char why[512];
	int ret, bad;
	json_t *o;

	if (!c || open_record(a, &k))
		return 1;
	if (fecs_open(&f, a->minor, why, sizeof(why))) {
		fprintf(stderr, "braid-switch: no FECS records: %s\n", why);
		ctxsw_free(c);
		return 1;
	}
	k.offset_ns = f.offset_ns;
	t = told_new(a, "fecs");
	do {
		struct timespec pause = { .tv_nsec = POLL_NS };

		nanosleep(&pause, NULL);
		ret = fecs_read(&f, c, keep, &k);
		tell_some(&t, c);
	} while (ret >= 0 && !ended && !ferror(stdout) && now() < t.since + a->witness.seconds);
	seconds = now() - t.since;
	told_end(&t);
	if (ret < 0)
		fprintf(stderr, "braid-switch: reading stopped: %s\n", strerror(-ret));
	o = ctxsw_json(c, seconds);
	json_object_set_new(o, "source", json_string("fecs"));
	json_object_set_new(o, "format", json_integer(f.format));
	json_object_set_new(o, "backing_class", json_integer(f.backing));
	json_object_set_new(o, "flush", json_boolean(f.flush));
	json_object_set_new(o, "buffer_full", json_integer(f.full));
	json_object_set_new(o, "clock_offset_ns", json_integer(f.offset_ns));
	json_object_set_new(o, "clock_error_ns", json_integer(f.offset_error_ns));
	fecs_close(&f);
	bad = close_record(a, &k);
	bad |= print(a, o, report_ctxsw);
	ctxsw_free(c);
	return bad || ret < 0;
}

static int node(const struct args *a, bool recording)
{
	struct keep k = { .format = CTXSW_V1, .events = a->events };
	struct ctxsw *c = ctxsw_new();
	struct told t;
	struct node n;
	char why[512];
	int ret, bad;
	json_t *o;

	if (recording && !a->file) {
		fprintf(stderr, "braid-switch: decode which file?\n");
		return 2;
	}
	if (!c || open_record(a, &k))
		return 1;
	if (node_open(&n, a->file, a->format, why, sizeof(why))) {
		fprintf(stderr, "braid-switch: %s\n", why);
		ctxsw_free(c);
		return 1;
	}
	t = told_new(a, "nvgpu");
	do {
		struct timespec pause = { .tv_nsec = POLL_NS };

		if (!n.file)
			nanosleep(&pause, NULL);
		ret = node_read(&n, c, keep, &k);
		if (!n.file)
			tell_some(&t, c);
	} while (ret >= 0 && !ended && !ferror(stdout) && (n.file || now() < t.since + a->witness.seconds));
	if (ret == -EBADMSG)
		fprintf(stderr, "braid-switch: %s: the last record is cut off\n", a->file);
	else if (ret < 0 && ret != -ENODATA)
		fprintf(stderr, "braid-switch: reading stopped: %s\n", strerror(-ret));
	o = ctxsw_json(c, n.file ? 0 : now() - t.since);
	if (!n.file)
		told_end(&t);
	json_object_set_new(o, "source", json_string(n.file ? "recording" : "nvgpu"));
	node_close(&n);
	bad = close_record(a, &k);
	bad |= print(a, o, report_ctxsw);
	ctxsw_free(c);
	return bad || (ret < 0 && ret != -ENODATA);
}

static int witness(const struct args *a)
{
	char why[512];
	json_t *o = witness_run(&a->witness, why, sizeof(why));

	if (!o) {
		fprintf(stderr, "braid-switch: no witness: %s\n", why);
		return 1;
	}
	json_object_set_new(o, "source", json_string("witness"));
	return print(a, o, report_witness);
}

static int cupti(const struct args *a)
{
	char why[512];
	json_t *o = cupti_run(&a->witness, a->file, why, sizeof(why));

	if (!o) {
		fprintf(stderr, "braid-switch: %s\n", why);
		return 1;
	}
	return print(a, o, report_cupti);
}

int main(int argc, char **argv)
{
	struct args a = {
		.minor = -1, .format = CTXSW_V2,
		.witness = { .seconds = 5, .processes = 1, .threshold_ns = 20000,
			     .max_gaps = 65536 },
	};
	struct sigaction sa = { .sa_handler = end };

	argp_parse(&argp, argc, argv, 0, NULL, &a);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
	if (!strcmp(a.command, "fecs"))
		return fecs(&a);
	if (!strcmp(a.command, "node"))
		return node(&a, false);
	if (!strcmp(a.command, "decode"))
		return node(&a, true);
	if (!strcmp(a.command, "cupti"))
		return cupti(&a);
	if (!strcmp(a.command, "witness"))
		return witness(&a);
	fprintf(stderr, "braid-switch: '%s'? fecs, node, cupti, witness or decode\n", a.command);
	return 2;
}
