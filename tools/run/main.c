// SPDX-License-Identifier: MIT
/*
 * braid-run: one model on the CPU backend, without daemon or queue.
 *
 * Owns the command line and the measurement; report.c prints. Times are wall
 * clock from launch to completion, of runs one after the other.
 */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cpu/profile.h"
#include "tools/run/direct.h"
#include "tools/run/report.h"
#include "tools/zoo/draw.h"

#define MAX_SHAPES	16
#define MAX_CONSTS	16
#define MAX_DEGREE	64
#define MAX_REPEAT	1000000

/* All that the command line says. */
struct options {
	const char *path, *output;
	struct load_shape shapes[MAX_SHAPES];
	struct load_const consts[MAX_CONSTS];
	struct direct_config cfg;
	unsigned int repeat, warm_up;
	uint64_t seed;
	bool json, profile;
};

static void usage(FILE *f)
{
	fputs("usage: braid-run MODEL.onnx [options]\n"
	      "\n"
	      "Load a model and run it on the CPU backend with seeded inputs, without\n"
	      "daemon or queue; print what it is and how long it takes.\n"
	      "\n"
	      "  -s, --shape NAME=1x3x224x224  bind an input's free dimensions\n"
	      "  -c, --const NAME=VALUE        fix an input to a value\n"
	      "  -b, --batch N                 extent of a free first dimension (default 1)\n"
	      "  -t, --threads N               worker threads, 0 for one a core (default 1)\n"
	      "  -d, --degree N                merge N different requests into one run (default 1)\n"
	      "  -n, --repeat N                timed runs (default 10)\n"
	      "  -w, --warm-up N               runs before them (default 2)\n"
	      "      --seed N                  of the first request, the next is N + 1 (default 1)\n"
	      "      --no-passes               without graph optimisation\n"
	      "  -o, --output FILE             write the first request's outputs, raw, one after\n"
	      "                                the other\n"
	      "  -p, --profile                 time by operation, on one thread\n"
	      "  -j, --json                    as JSON\n"
	      "  -h, --help                    this text\n", f);
}

__attribute__((noreturn, format(printf, 1, 2)))
static void wrong(const char *fmt, ...)
{
	va_list ap;

	fputs("braid-run: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(2);
}

static uint64_t number(const char *option, const char *s, uint64_t low, uint64_t high)
{
	char *end;
	uint64_t v;

	errno = 0;
	v = strtoull(s, &end, 0);
	if (errno || end == s || *end || *s == '-' || v < low || v > high)
		wrong("--%s %s: expected a number from %llu to %llu", option, s,
		      (unsigned long long)low, (unsigned long long)high);
	return v;
}

/* NAME=VALUE cut in two; @s is changed. The last '=' counts: names may have one. */
static char *cut(const char *option, char *s)
{
	char *eq = strrchr(s, '=');

	if (!eq || eq == s || !eq[1])
		wrong("--%s %s: expected NAME=VALUE", option, s);
	*eq = '\0';
	return eq + 1;
}

static void add_shape(struct options *o, char *arg)
{
	struct load_shape *shape = &o->shapes[o->cfg.load.n_shapes];
	char *dims = cut("shape", arg), *save = NULL, *word;

	if (o->cfg.load.n_shapes++ == MAX_SHAPES)
		wrong("--shape: at most %d", MAX_SHAPES);
	shape->input = arg;
	for (word = strtok_r(dims, "x", &save); word; word = strtok_r(NULL, "x", &save)) {
		if (shape->rank == PROG_MAX_RANK)
			wrong("--shape %s: more than %d dimensions", arg, PROG_MAX_RANK);
		shape->dims[shape->rank++] = number("shape", word, 1, INT32_MAX);
	}
}

static void add_const(struct options *o, char *arg)
{
	struct load_const *c = &o->consts[o->cfg.load.n_consts];
	char *value = cut("const", arg), *end;

	if (o->cfg.load.n_consts++ == MAX_CONSTS)
		wrong("--const: at most %d", MAX_CONSTS);
	c->input = arg;
	c->value = strtod(value, &end);
	if (*end)
		wrong("--const %s: %s is not a number", arg, value);
}

enum { OPT_SEED = 256, OPT_NO_PASSES };

static const struct option long_options[] = {
	{ "shape", required_argument, NULL, 's' },
	{ "const", required_argument, NULL, 'c' },
	{ "batch", required_argument, NULL, 'b' },
	{ "threads", required_argument, NULL, 't' },
	{ "degree", required_argument, NULL, 'd' },
	{ "repeat", required_argument, NULL, 'n' },
	{ "warm-up", required_argument, NULL, 'w' },
	{ "seed", required_argument, NULL, OPT_SEED },
	{ "no-passes", no_argument, NULL, OPT_NO_PASSES },
	{ "output", required_argument, NULL, 'o' },
	{ "profile", no_argument, NULL, 'p' },
	{ "json", no_argument, NULL, 'j' },
	{ "help", no_argument, NULL, 'h' },
	{ }
};

static void parse(struct options *o, int argc, char **argv)
{
	int c;

	while ((c = getopt_long(argc, argv, "s:c:b:t:d:n:w:o:pjh", long_options, NULL)) != -1) {
		switch (c) {
		case 's':
			add_shape(o, optarg);
			break;
		case 'c':
			add_const(o, optarg);
			break;
		case 'b':
			o->cfg.load.batch = number("batch", optarg, 1, 1024);
			break;
		case 't':
			o->cfg.threads = number("threads", optarg, 0, 1024);
			break;
		case 'd':
			o->cfg.max_degree = number("degree", optarg, 1, MAX_DEGREE);
			break;
		case 'n':
			o->repeat = number("repeat", optarg, 1, MAX_REPEAT);
			break;
		case 'w':
			o->warm_up = number("warm-up", optarg, 0, MAX_REPEAT);
			break;
		case OPT_SEED:
			o->seed = number("seed", optarg, 0, UINT64_MAX - MAX_DEGREE);
			break;
		case OPT_NO_PASSES:
			o->cfg.load.passes = false;
			break;
		case 'o':
			o->output = optarg;
			break;
		case 'p':
			o->profile = true;
			break;
		case 'j':
			o->json = true;
			break;
		case 'h':
			usage(stdout);
			exit(0);
		default:
			usage(stderr);
			exit(2);
		}
	}
	if (optind != argc - 1) {
		usage(stderr);
		exit(2);
	}
	o->path = argv[optind];
	o->cfg.load.shapes = o->shapes;
	o->cfg.load.consts = o->consts;
}

static void draw_inputs(struct direct *d, const struct options *o)
{
	const struct program *p = direct_program(d);

	for (uint32_t r = 0; r < o->cfg.max_degree; r++) {
		for (uint32_t i = 0; i < p->n_inputs; i++) {
			const struct prog_tensor *t = &p->tensors[p->inputs[i].tensor];
			struct draw draw = { .name = p->inputs[i].name, .type = t->type,
					     .rank = t->rank, .dims = t->dims };

			draw_guess(&draw);
			draw_tensor(&draw, o->seed + r, direct_input(d, r, i));
		}
	}
}

static int measure(struct direct *d, const struct options *o, uint64_t *ns)
{
	int ret = 0;

	for (unsigned int i = 0; i < o->warm_up && !ret; i++)
		ret = direct_run(d, o->cfg.max_degree, NULL, NULL);
	for (unsigned int i = 0; i < o->repeat && !ret; i++)
		ret = direct_run(d, o->cfg.max_degree, NULL, &ns[i]);
	return ret;
}

/* Nanoseconds of each operation, the mean over the runs. */
static int profile(struct direct *d, const struct options *o, uint64_t *op_ns)
{
	const struct program *p = direct_program(d);
	const uint32_t n_io = p->n_inputs + p->n_outputs, degree = o->cfg.max_degree;
	void **io = calloc((size_t)degree * n_io, sizeof(*io));
	struct cpu_session *s = NULL;
	char why[256];
	int ret;

	if (!io)
		return -ENOMEM;
	for (uint32_t r = 0; r < degree; r++)
		for (uint32_t i = 0; i < n_io; i++)
			io[r * n_io + i] = direct_input(d, r, i);
	ret = cpu_session_open(p, degree, &s, why, sizeof(why));
	if (ret) {
		fprintf(stderr, "braid-run: %s\n", why);
		goto out;
	}
	for (unsigned int i = 0; i < o->warm_up; i++)
		cpu_session_run(s, degree, io, NULL);
	for (unsigned int i = 0; i < o->repeat; i++)
		cpu_session_run(s, degree, io, op_ns);
	for (uint32_t i = 0; i < p->n_ops; i++)
		op_ns[i] /= o->repeat;
	cpu_session_close(s);
out:
	free(io);
	return ret;
}

static int write_outputs(struct direct *d, const char *path)
{
	const struct program *p = direct_program(d);
	FILE *f = fopen(path, "we");
	int bad = !f;

	for (uint32_t i = 0; i < p->n_outputs && f; i++) {
		const struct prog_tensor *t = &p->tensors[p->outputs[i].tensor];
		const size_t n = t->elems * prog_type_size(t->type);

		bad |= fwrite(direct_output(d, 0, i), 1, n, f) != n;
	}
	if (f)
		bad |= fclose(f) != 0;
	if (bad)
		fprintf(stderr, "braid-run: writing %s: %s\n", path, strerror(errno));
	return bad ? -EIO : 0;
}

int main(int argc, char **argv)
{
	struct options o = {
		.cfg = { .threads = 1, .max_degree = 1, .load = { .batch = 1, .passes = true } },
		.repeat = 10, .warm_up = 2, .seed = 1,
	};
	struct report report = { 0 };
	uint64_t *ns = NULL, *op_ns = NULL;
	struct direct *d;
	char why[1024] = "";
	int ret;

	parse(&o, argc, argv);
	ret = direct_open(o.path, &o.cfg, &d, why, sizeof(why));
	if (ret) {
		fprintf(stderr, "braid-run: %s\n", *why ? why : strerror(-ret));
		return 1;
	}
	draw_inputs(d, &o);
	ns = calloc(o.repeat, sizeof(*ns));
	op_ns = calloc(direct_program(d)->n_ops + 1, sizeof(*op_ns));
	ret = ns && op_ns ? measure(d, &o, ns) : -ENOMEM;
	if (!ret && o.profile)
		ret = profile(d, &o, op_ns);
	if (!ret && o.output)
		ret = write_outputs(d, o.output);
	if (ret) {
		fprintf(stderr, "braid-run: running %s: %s\n", o.path, strerror(-ret));
	} else {
		report = (struct report){
			.path = o.path, .prog = direct_program(d), .times = direct_times(d),
			.threads = o.cfg.threads, .degree = o.cfg.max_degree, .n = o.repeat,
			.ns = ns, .op_ns = o.profile ? op_ns : NULL,
		};
		ret = o.json ? report_json(&report) : report_text(&report);
	}
	free(ns);
	free(op_ns);
	direct_close(d);
	return ret ? 1 : 0;
}
