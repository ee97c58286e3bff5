// SPDX-License-Identifier: MIT
/*
 * braid-tune: plans on this machine's GPU, without a daemon.
 */
#include "tools/tune/tune.h"

#include <stdlib.h>
#include <string.h>

#include "agent/cuda/kernel_build.h"
#include "agent/lower/tiles.h"
#include "agent/program/load.h"
#include "agent/program/program.h"

static const struct {
	const char *name, *options;
	int (*run)(struct gpu *g, const struct run_options *o, int argc, char **argv);
	bool alone;		/* needs no model */
} commands[] = {
	{ "check", "", cmd_check, false },
	{ "time", "sdf", cmd_time, false },
	{ "sweep", "kdfe", cmd_sweep, false },
	{ "gemm", "a", cmd_gemm, true },
};

struct program *load_program(const char *path)
{
	const struct load_config cfg = { .batch = 1, .passes = true };
	struct program *p = NULL;
	char why[512];

	if (program_load(path, &cfg, &p, why, sizeof(why)))
		fprintf(stderr, "%s\n", why);
	return p;
}

uint32_t run_beside(const struct run_options *o, uint32_t degree)
{
	return o->in_flight > degree ? o->in_flight / degree : 1;
}

uint32_t run_also(const struct run_options *o, uint32_t degree)
{
	return o->also < run_beside(o, degree) ? o->also : 0;
}

/* As the agent has it. */
void run_lowering(const struct run_options *o, const struct gpu *g, struct gpu_options *opt)
{
	kernel_options(opt, (int)g->sm, g->n_sms, false, o->in_flight, NULL);
}

static bool read_number(char **s, uint32_t least, uint32_t most, uint32_t *to)
{
	unsigned long v;

	if (**s < '0' || **s > '9')
		return false;
	v = strtoul(*s, s, 10);
	*to = (uint32_t)v;
	return v >= least && v <= most;
}

static bool read_degrees(char **s, struct run_options *o)
{
	o->n_degrees = 0;
	do {
		if (o->n_degrees == sizeof(o->degrees) / sizeof(*o->degrees) ||
		    !read_number(s, 1, GPU_MAX_DEGREE, &o->degrees[o->n_degrees]) ||
		    (o->n_degrees && o->degrees[o->n_degrees] <= o->degrees[o->n_degrees - 1]))
			return false;
		o->n_degrees++;
	} while (*(*s)++ == ',');
	(*s)--;
	return true;
}

static bool read_option(const char *allowed, char *s, struct run_options *o)
{
	uint32_t kind = 0;
	bool good = false;

	if (!*s || !strchr(allowed, *s))
		return false;
	switch (*s++) {
	case 'a':
		good = o->all = true;
		break;
	case 's':
		good = o->steps = true;
		break;
	case 'k':
		good = read_number(&s, 0, TILE_SCALED, &kind);
		o->kind = (int)kind;
		break;
	case 'f':
		good = read_number(&s, 2, MAX_BESIDE, &o->in_flight);
		break;
	case 'e':
		good = read_number(&s, 1, MAX_BESIDE, &o->also);
		break;
	case 'd':
		good = read_degrees(&s, o);
		break;
	}
	return good && !*s;
}

/* The index of what is no option, -1: one that is wrong was named. */
static int read_options(const char *allowed, struct run_options *o, int argc, char **argv)
{
	int i = 0;

	*o = (struct run_options) { .degrees = { 1, 2, 8 }, .n_degrees = 3, .kind = -1 };
	for (; i < argc && argv[i][0] == '-'; i++)
		if (!read_option(allowed, argv[i] + 1, o)) {
			fprintf(stderr, "%s: not an option here, or not with this value\n", argv[i]);
			return -1;
		}
	if (o->in_flight && o->in_flight < 2 * o->degrees[o->n_degrees - 1]) {
		fprintf(stderr, "-f%u: launches of %u are to be two at once\n", o->in_flight,
			o->degrees[o->n_degrees - 1]);
		return -1;
	}
	return i;
}

static int usage(void)
{
	fprintf(stderr, "usage: braid-tune check MODEL.onnx...\n"
		"       braid-tune time [-s] [-dDEGREE,...] [-fREQUESTS] MODEL.onnx...\n"
		"       braid-tune sweep [-kKIND] [-dDEGREE,...] [-fREQUESTS [-eLAUNCHES]] MODEL.onnx...\n"
		"       braid-tune gemm [-a]\n"
		"-d  degrees, ascending, 1 to %u (1,2,8)\n"
		"-f  with so many requests in flight, 2 to %u, in as many launches as that takes\n"
		"-e  where those are more than LAUNCHES, with LAUNCHES as well: the geometric mean\n"
		"-s  by step   -k  products of a kind, 0 to %u   -a  by every tile\n",
		GPU_MAX_DEGREE, MAX_BESIDE, TILE_SCALED);
	return 2;
}

int main(int argc, char **argv)
{
	struct run_options o;
	struct gpu g;

	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands) && argc > 1; i++) {
		int at;

		if (strcmp(argv[1], commands[i].name))
			continue;
		at = read_options(commands[i].options, &o, argc - 2, argv + 2);
		if (at < 0 || (at == argc - 2) != commands[i].alone)
			return usage();
		if (gpu_open(&g))
			return 1;
		printf("device %s sm_%u %u multiprocessors\n", g.name, g.sm, g.n_sms);
		return commands[i].run(&g, &o, argc - 2 - at, argv + 2 + at);
	}
	return usage();
}
