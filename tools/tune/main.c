// SPDX-License-Identifier: MIT
/*
 * braid-tune: plans on this machine's GPU, without a daemon.
 */
#include "tools/tune/tune.h"

#include <stdlib.h>
#include <string.h>

#include "agent/cuda/kernel_build.h"
#include "agent/program/load.h"
#include "agent/program/program.h"

static const struct {
	const char *name;
	int (*run)(struct gpu *g, int argc, char **argv);
} commands[] = {
	{ "check", cmd_check },
	{ "time", cmd_time },
	{ "sweep", cmd_sweep },
	{ "gemm", cmd_gemm },
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

/* As the agent has it. */
void run_plan(const struct run_options *o, const struct gpu *g, struct gpu_options *opt)
{
	kernel_options(opt, (int)g->sm, g->n_sms, false, o->in_flight, NULL);
}

int options(struct run_options *o, int argc, char **argv)
{
	int i = 0;

	*o = (struct run_options) { { 1, 2, 8 }, 3, 0, -1, false };
	for (; i < argc && argv[i][0] == '-'; i++) {
		char *value = argv[i] + 2, *end = value;

		switch (argv[i][1]) {
		case 's':
			o->steps = true;
			break;
		case 'k':
			o->kind = (int)strtol(value, &end, 10);
			break;
		case 'f':
			o->in_flight = (uint32_t)strtoul(value, &end, 10);
			break;
		case 'd':
			for (o->n_degrees = 0; *end && o->n_degrees < 8; end += strspn(end, ","))
				o->degrees[o->n_degrees++] = (uint32_t)strtoul(end, &end, 10);
			break;
		}
		if (*end || end == argv[i] + (argv[i][1] == 's' ? 0 : 2) || o->in_flight > MAX_BESIDE) {
			fprintf(stderr, "%s: no such option\n", argv[i]);
			return -1;
		}
	}
	return i;
}

int main(int argc, char **argv)
{
	struct gpu g;

	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands) && argc > 1; i++) {
		if (strcmp(argv[1], commands[i].name) || (argc < 3 && commands[i].run != cmd_gemm))
			continue;
		if (gpu_open(&g))
			return 1;
		printf("device %s sm_%u %u multiprocessors\n", g.name, g.sm, g.n_sms);
		return commands[i].run(&g, argc - 2, argv + 2);
	}
	fprintf(stderr, "usage: braid-tune check|time [-s] [-dDEGREE,...] [-fREQUESTS]|sweep [-dDEGREE,...] [-fREQUESTS] [-kKIND] MODEL.onnx...\n"
		"       braid-tune gemm [-a]\n");
	return 2;
}
