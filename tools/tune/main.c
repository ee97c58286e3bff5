// SPDX-License-Identifier: MIT
/*
 * braid-tune: plans on this machine's GPU, without a daemon.
 */
#include "tools/tune/tune.h"

#include <string.h>

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
	fprintf(stderr, "usage: braid-tune check|time [-s] [-dDEGREE,...]|sweep [-dDEGREE,...] [-kKIND] MODEL.onnx...\n"
		"       braid-tune gemm [-a]\n");
	return 2;
}
