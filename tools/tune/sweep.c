// SPDX-License-Identifier: MIT
/*
 * braid-tune sweep: every product of some models, with every tile and number of
 * parts, at some degrees. Writes a line for each, a table as tile_table_read()
 * takes it. -kKIND: only products of a kind, as the table numbers them.
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

/* A step to be measured: a product that no model before had. */
struct todo {
	uint32_t step;
	struct tile_shape shape;
};

static bool shape_of(const struct gpu_plan *plan, uint32_t step, uint32_t degree, struct tile_shape *s)
{
	const struct gpu_addresses at = { 0 };
	struct gpu_launch launch;
	const struct k_conv *a = (const struct k_conv *)launch.args;
	const char *call;

	gpu_step_bind(plan, step, degree, &at, &launch);
	if (strcmp(plan->kernels[launch.kernel].args, "k_conv"))
		return false;
	call = plan->kernels[launch.kernel].call;
	*s = (struct tile_shape) {
		.m = a->m, .n = a->s.n, .k = a->s.k, .groups = a->s.groups,
		.window = !strstr(call, ", true>"),
	};
	if (!strncmp(call, "patch", 5)) {
		s->taps = a->s.kh * a->s.kw;
		s->c = a->s.c;
		s->reach = K_PATCH_ROWS(0, a->s.w, a->s.kh, a->s.kw);
	}
	if (a->s.scaled) {
		s->hidden = a->se.hidden;
		s->pixels = a->s.oh * a->s.ow;
	}
	return true;
}

static bool is_new(const struct tile_shape *s)
{
	for (uint32_t i = 0; i < n_seen; i++)
		if (!memcmp(&seen[i], s, sizeof(*s)))
			return false;
	if (n_seen == MAX_SEEN)
		return false;
	seen[n_seen++] = *s;
	return true;
}

/* Can it be, and is it not far from what the model takes for the best? */
static bool is_worth(const struct gpu *g, const struct tile_shape *s, struct tile_choice c)
{
	const struct gpu_options opt = { .sm = g->sm, .n_sms = g->n_sms };
	struct tile_choice best = tile_choose(&opt, s);

	return tile_is_sound(&opt, s, &c) && tile_model(&opt, s, &c) < 2.2 * tile_model(&opt, s, &best);
}

static void one_choice(struct gpu *g, const struct program *p, uint32_t degree, const struct todo *todo,
		       uint32_t n, struct tile_choice c)
{
	struct tile_row row = { .choice = c };
	const struct gpu_tiles tiles = { &row, 1 };
	const struct gpu_options opt = {
		.mode = GPU_FP16, .sm = g->sm, .n_sms = g->n_sms, .degrees = &degree, .n_degrees = 1,
		.tiles = &tiles,
	};
	uint32_t left = 0;
	struct gpu_plan *plan;
	struct lane *l;
	bool *only;
	char why[512];

	for (uint32_t i = 0; i < n; i++)
		left += is_worth(g, &todo[i].shape, c);
	if (!left || gpu_plan_make(p, &opt, &plan, why, sizeof(why)))
		return;
	only = calloc(plan->n_kernels + 1, sizeof(*only));
	for (uint32_t i = 0; i < n; i++) {
		const struct gpu_addresses at = { 0 };
		struct gpu_launch launch;

		gpu_step_bind(plan, todo[i].step, degree, &at, &launch);
		only[launch.kernel] |= is_worth(g, &todo[i].shape, c);
	}
	if (gpu_compile(g, plan, only))
		exit(1);
	l = lane_new(g, p, plan, degree);
	for (uint32_t i = 0; i < n; i++) {
		const struct tile_shape *s = &todo[i].shape;
		cu_exec e;

		if (!is_worth(g, s, c))
			continue;
		e = lane_graph(l, degree, todo[i].step, todo[i].step, REPEAT, ORDER_CHAIN);
		printf("tile %u %u %u %u %u %s %u %.0f\n", s->m, s->n, s->k, s->groups, tile_kind(s),
		       tile_infos[c.tile].name, c.split, gpu_time(g, e, 1) / REPEAT * 1e3);
		g->cu.exec_free(e);
	}
	fflush(stdout);
	lane_free(l);
	free(only);
	gpu_plan_free(plan);
}

static int one_degree(struct gpu *g, const struct program *p, uint32_t degree, int kind)
{
	const struct gpu_options opt = {
		.mode = GPU_FP16, .sm = g->sm, .n_sms = g->n_sms, .degrees = &degree, .n_degrees = 1,
	};
	struct gpu_plan *plan;
	struct todo *todo;
	uint32_t n = 0;
	char why[512];

	if (gpu_plan_make(p, &opt, &plan, why, sizeof(why)))
		return 1;
	todo = calloc(plan->n_steps + 1, sizeof(*todo));
	for (uint32_t s = 0; s < plan->n_steps; s++) {
		todo[n].step = s;
		if (shape_of(plan, s, degree, &todo[n].shape) &&
		    (kind < 0 || tile_kind(&todo[n].shape) == (enum tile_kind)kind) &&
		    is_new(&todo[n].shape))
			n++;
	}
	gpu_plan_free(plan);
	for (uint32_t t = 0; t < n_tile_infos && n; t++)
		for (uint32_t split = 1; split <= 8; split *= 2)
			one_choice(g, p, degree, todo, n, (struct tile_choice) { t, split });
	free(todo);
	return 0;
}

int cmd_sweep(struct gpu *g, int argc, char **argv)
{
	uint32_t degrees[8] = { 1, 2, 8 }, n = 3;
	int i = 0, kind = -1;

	printf("tiles %u %u\n", g->sm, g->n_sms);
	for (; i < argc && argv[i][0] == '-'; i++) {
		if (argv[i][1] == 'k')
			kind = atoi(argv[i] + 2);
		if (argv[i][1] != 'd')
			continue;
		n = 0;
		for (char *s = argv[i] + 2; *s && n < 8; s += strspn(s, ","))
			degrees[n++] = (uint32_t)strtoul(s, &s, 10);
	}
	for (; i < argc; i++) {
		struct program *p = load_program(argv[i]);

		for (uint32_t d = 0; d < n && p; d++)
			if (one_degree(g, p, degrees[d], kind))
				return 1;
		program_free(p);
	}
	return 0;
}
