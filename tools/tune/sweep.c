// SPDX-License-Identifier: MIT
/*
 * braid-tune sweep: every product of some models, with every tile and number of
 * parts, at some degrees. Writes a line for each:
 *
 *   product M N K GROUPS WINDOW TILE PARTS NANOSECONDS
 *
 * where PARTS ends in m if they meet in memory and not in a cluster.
 */
#include "tools/tune/tune.h"

#include <stdlib.h>
#include <string.h>

#include "agent/lower/tiles.h"
#include "agent/program/program.h"
#include "kernels/conv_args.h"

#define REPEAT		16
#define MAX_SEEN	8192

static struct tile_shape seen[MAX_SEEN];
static uint32_t n_seen;

/* Is it a product, and one that no model before had? */
static bool is_new(const struct gpu_plan *plan, uint32_t step, uint32_t degree, struct tile_shape *s)
{
	const struct gpu_addresses at = { 0 };
	struct gpu_launch launch;
	const struct k_conv *a = (const struct k_conv *)launch.args;

	gpu_step_bind(plan, step, degree, &at, &launch);
	if (strcmp(plan->kernels[launch.kernel].args, "k_conv"))
		return false;
	*s = (struct tile_shape) {
		.m = a->m, .n = a->s.n, .k = a->s.k, .groups = a->s.groups,
		.window = !strncmp(plan->kernels[launch.kernel].generic, "braid_conv_", 11),
	};
	for (uint32_t i = 0; i < n_seen; i++)
		if (!memcmp(&seen[i], s, sizeof(*s)))
			return false;
	return n_seen < MAX_SEEN;
}

static void one_choice(struct gpu *g, const struct program *p, uint32_t degree, const bool *steps,
		       struct tile_choice c)
{
	const struct tile_row row = { .choice = c };
	const struct gpu_tiles tiles = { &row, 1 };
	struct gpu_options opt = {
		.mode = GPU_FP16, .sm = g->sm, .n_sms = g->n_sms, .degrees = &degree, .n_degrees = 1,
		.tiles = &tiles,
	};
	struct gpu_plan *plan;
	struct lane *l;
	bool *only;
	char why[512];

	if (gpu_plan_make(p, &opt, &plan, why, sizeof(why)))
		return;
	only = calloc(plan->n_kernels + 1, sizeof(*only));
	for (uint32_t s = 0; s < plan->n_steps; s++) {
		const struct gpu_addresses at = { 0 };
		struct gpu_launch launch;

		gpu_step_bind(plan, s, degree, &at, &launch);
		only[launch.kernel] |= steps[s];
	}
	if (gpu_compile(g, plan, only))
		exit(1);
	l = lane_new(g, p, plan, degree);
	for (uint32_t s = 0; s < plan->n_steps; s++) {
		struct tile_shape shape;
		cu_exec e;

		if (!steps[s])
			continue;
		is_new(plan, s, degree, &shape);
		if (c.split > 1 && c.split * 2 > (shape.k + 63) / 64)
			continue;
		e = lane_graph(l, degree, s, s, REPEAT, ORDER_CHAIN);
		printf("product %u %u %u %u %d %s %u%s %.0f\n", shape.m, shape.n, shape.k, shape.groups,
		       shape.window, tile_infos[c.tile].name, c.split, c.memory ? "m" : "",
		       gpu_time(g, e, 1) / REPEAT * 1e3);
		g->cu.exec_free(e);
	}
	fflush(stdout);
	lane_free(l);
	free(only);
	gpu_plan_free(plan);
}

int cmd_sweep(struct gpu *g, int argc, char **argv)
{
	uint32_t degrees[8] = { 1, 2, 8 }, n = 3;
	int i = 0;

	for (; i < argc && !strncmp(argv[i], "-d", 2); i++) {
		n = 0;
		for (char *s = argv[i] + 2; *s && n < 8; s += strspn(s, ","))
			degrees[n++] = (uint32_t)strtoul(s, &s, 10);
	}
	for (; i < argc; i++) {
		struct program *p = load_program(argv[i]);

		for (uint32_t d = 0; d < n && p; d++) {
			struct gpu_options opt = { .mode = GPU_FP16, .sm = g->sm, .n_sms = g->n_sms };
			struct gpu_plan *plan;
			uint32_t any = 0;
			bool *steps;
			char why[512];

			if (gpu_plan_make(p, &opt, &plan, why, sizeof(why)))
				return 1;
			steps = calloc(plan->n_steps + 1, sizeof(*steps));
			for (uint32_t s = 0; s < plan->n_steps; s++) {
				struct tile_shape shape;

				if (!is_new(plan, s, degrees[d], &shape))
					continue;
				steps[s] = true;
				seen[n_seen++] = shape;
				any++;
			}
			for (uint32_t t = 0; t < n_tile_infos && any; t++)
				for (uint32_t split = 1; split <= 8; split *= 2)
					for (int memory = 0; memory <= (split > 1); memory++)
						one_choice(g, p, degrees[d], steps,
							   (struct tile_choice) { t, split, memory });
			free(steps);
			gpu_plan_free(plan);
		}
		program_free(p);
	}
	return 0;
}
