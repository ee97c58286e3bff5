// SPDX-License-Identifier: MIT
/*
 * braid-tune time: how long a model's graph takes on the device at some degrees,
 * in all and by step.
 */
#include "tools/tune/tune.h"

#include <stdlib.h>
#include <string.h>

#include "agent/lower/tiles.h"
#include "agent/program/program.h"

#define REPEAT	20

static void by_step(struct lane *const *l, uint32_t n, const char *name, uint32_t degree)
{
	const struct gpu_plan *plan = l[0]->plan;
	double all = 0;

	for (uint32_t s = 0; s < plan->n_steps; s++) {
		const struct gpu_addresses at = { 0 };
		struct gpu_launch launch;
		double us = lanes_time(l, n, degree, s, s, REPEAT, ORDER_CHAIN);
		const char *call;

		gpu_step_bind(plan, s, degree, &at, &launch);
		call = plan->kernels[launch.kernel].call;
		printf("step %s %u %3u %7.2f us grid %6u %-14s %-24.*s %s\n", name, degree, s, us,
		       launch.grid, plan->steps[s].what, (int)strcspn(call, "("), call,
		       plan->steps[s].node);
		all += us;
	}
	printf("steps %s degree %u: %.1f us in all\n", name, degree, all);
}

static int one_model(struct gpu *g, const struct run_options *o, const char *path)
{
	static const char *const orders[] = { "graph", "chain", "dependent" };
	struct gpu_options opt;
	struct program *p = load_program(path);
	const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	struct lane *l[MAX_BESIDE];
	struct gpu_plan *plan;
	char why[512];

	run_lowering(o, g, &opt);
	opt.degrees = o->degrees;
	opt.n_degrees = o->n_degrees;
	if (!p)
		return 1;
	if (gpu_plan_make(p, &opt, &plan, why, sizeof(why))) {
		fprintf(stderr, "%s: %s\n", path, why);
		return 1;
	}
	if (gpu_compile(g, &plan, NULL, 1))
		return 1;
	for (uint32_t d = 0; d < o->n_degrees; d++) {
		const uint32_t degree = o->degrees[d], n = run_beside(o, degree);

		lanes_new(l, n, g, p, plan, degree);
		printf("time %s degree %u steps %u:", name, degree, plan->n_steps);
		for (int k = ORDER_GRAPH; k <= ORDER_DEPENDENT; k++)
			printf(" %s %.1f us", orders[k],
			       lanes_time(l, n, degree, 0, plan->n_steps - 1, 1, (enum order)k));
		if (n > 1)
			printf(" beside %u", n - 1);
		printf("\n");
		fflush(stdout);
		if (o->steps)
			by_step(l, n, name, degree);
		lanes_free(l, n);
	}
	gpu_plan_free(plan);
	program_free(p);
	return 0;
}

int cmd_time(struct gpu *g, const struct run_options *o, int argc, char **argv)
{
	for (int i = 0; i < argc; i++)
		if (one_model(g, o, argv[i]))
			return 1;
	return 0;
}
