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

static void by_step(struct lane *l, const char *name, uint32_t degree)
{
	double all = 0;

	for (uint32_t s = 0; s < l->plan->n_steps; s++) {
		const struct gpu_addresses at = { 0 };
		struct gpu_launch launch;
		cu_exec e = lane_graph(l, degree, s, s, REPEAT, ORDER_CHAIN);
		double us = gpu_time(l->gpu, e, 1) / REPEAT;
		const char *call;

		gpu_step_bind(l->plan, s, degree, &at, &launch);
		call = l->plan->kernels[launch.kernel].call;
		printf("step %s %u %3u %7.2f us grid %6u %-14s %-24.*s %s\n", name, degree, s, us,
		       launch.grid, l->plan->steps[s].what, (int)strcspn(call, "("), call,
		       l->plan->steps[s].node);
		all += us;
		l->gpu->cu.exec_free(e);
	}
	printf("steps %s degree %u: %.1f us in all\n", name, degree, all);
}

int cmd_time(struct gpu *g, int argc, char **argv)
{
	static const char *const orders[] = { "graph", "chain", "dependent" };
	uint32_t degrees[8] = { 1, 2, 8 }, n = 3;
	bool steps = false;
	int i = 0;

	for (; i < argc && argv[i][0] == '-'; i++) {
		if (!strcmp(argv[i], "-s"))
			steps = true;
		if (!strncmp(argv[i], "-d", 2)) {
			n = 0;
			for (char *s = argv[i] + 2; *s && n < 8; s += strspn(s, ","))
				degrees[n++] = (uint32_t)strtoul(s, &s, 10);
		}
	}
	for (; i < argc; i++) {
		struct gpu_options opt = {
			.mode = GPU_FP16, .sm = g->sm, .n_sms = g->n_sms, .degrees = degrees, .n_degrees = n,
		};
		struct program *p = load_program(argv[i]);
		const char *name = strrchr(argv[i], '/') ? strrchr(argv[i], '/') + 1 : argv[i];
		struct gpu_plan *plan;
		struct lane *l;
		char why[512];

		if (!p || gpu_plan_make(p, &opt, &plan, why, sizeof(why)) || gpu_compile(g, plan, NULL))
			return 1;
		l = lane_new(g, p, plan, degrees[n - 1]);
		for (uint32_t d = 0; d < n; d++) {
			printf("time %s degree %u steps %u:", name, degrees[d], plan->n_steps);
			for (int o = ORDER_GRAPH; o <= ORDER_DEPENDENT; o++) {
				cu_exec e = lane_graph(l, degrees[d], 0, plan->n_steps - 1, 1, o);

				printf(" %s %.1f us", orders[o], gpu_time(g, e, 20));
				g->cu.exec_free(e);
			}
			printf("\n");
			fflush(stdout);
		}
		for (uint32_t d = 0; d < n && steps; d++)
			by_step(l, name, degrees[d]);
		lane_free(l);
		gpu_plan_free(plan);
		program_free(p);
	}
	return 0;
}
