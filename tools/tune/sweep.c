// SPDX-License-Identifier: MIT
/*
 * braid-tune sweep: every product of some models, with every tile and number of
 * parts, at some degrees. Writes a line for each, a table as tile_table_read()
 * takes it. -kKIND: only products of a kind, as the table numbers them; -fN: with
 * N requests in flight, in as many launches as that takes: a table for launches in
 * a crowd. -eM: and with M launches, where those are fewer.
 */
#include "tools/tune/tune.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agent/lower/tiles.h"
#include "agent/program/program.h"
#include "kernels/conv_args.h"

#define REPEAT		32
#define MAX_SEEN	8192
#define MAX_CHOICES	64

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

/* A tile and number of parts for all products of a degree. */
struct choice {
	struct tile_choice c;
	struct gpu_plan *plan;
	bool *only;		/* kernels to be compiled */
};

/* Launches at once, and fewer that count as much where they are not 0. */
struct at_once {
	uint32_t launches, also;
};

/* Can it be, and is it not far from what the model takes for the best? */
static bool is_good(const struct gpu *g, uint32_t beside, const struct tile_shape *s, struct tile_choice c)
{
	const struct gpu_options opt = { .sm = g->sm, .n_sms = g->n_sms > beside ? g->n_sms / beside : 1 };
	struct tile_choice best = tile_choose(&opt, s);

	return tile_is_sound(&opt, s, &c) && tile_model(&opt, s, &c) < 2.5 * tile_model(&opt, s, &best);
}

static bool is_worth(const struct gpu *g, const struct at_once *n, const struct tile_shape *s,
		     struct tile_choice c)
{
	return is_good(g, n->launches, s, c) || (n->also && is_good(g, n->also, s, c));
}

/* Weights of another plan do where they are as many: nobody looks at results. */
static bool make(struct gpu *g, const struct program *p, struct gpu_options opt,
		 const struct at_once *beside, const struct todo *todo, uint32_t n, struct choice *to)
{
	struct tile_row row = { .choice = to->c };
	const struct gpu_tiles tiles = { &row, 1 };
	bool any = false;
	char why[512];

	for (uint32_t i = 0; i < n; i++)
		any |= is_worth(g, beside, &todo[i].shape, to->c);
	opt.tiles = &tiles;
	if (!any || gpu_plan_make(p, &opt, &to->plan, why, sizeof(why)))
		return false;
	to->only = calloc(to->plan->n_kernels + 1, sizeof(*to->only));
	for (uint32_t i = 0; i < n; i++) {
		const struct gpu_addresses at = { 0 };
		struct gpu_launch launch;

		gpu_step_bind(to->plan, todo[i].step, opt.degrees[0], &at, &launch);
		to->only[launch.kernel] |= is_worth(g, beside, &todo[i].shape, to->c);
	}
	return true;
}

static void measure(struct gpu *g, const struct program *p, uint32_t degree,
		    const struct at_once *beside, const struct todo *todo, uint32_t n, const struct choice *ch)
{
	struct lane *l[MAX_BESIDE];

	lanes_new(l, beside->launches, g, p, ch->plan, degree);
	for (uint32_t i = 0; i < n; i++) {
		const struct tile_shape *s = &todo[i].shape;
		const uint32_t step = todo[i].step;
		double us;

		if (!is_worth(g, beside, s, ch->c))
			continue;
		us = lanes_time(l, beside->launches, degree, step, step, REPEAT, ORDER_CHAIN);
		if (beside->also)
			us = sqrt(us * lanes_time(l, beside->also, degree, step, step, REPEAT, ORDER_CHAIN));
		printf("tile %u %u %u %u %u %s %u %.0f\n", s->m, s->n, s->k, s->groups, tile_kind(s),
		       tile_infos[ch->c.tile].name, ch->c.split, us * 1e3);
	}
	fflush(stdout);
	lanes_free(l, beside->launches);
}

/* All are compiled at once, by all processors. */
static int all_choices(struct gpu *g, const struct program *p, const struct gpu_options *opt,
		       const struct at_once *beside, const struct todo *todo, uint32_t n)
{
	struct gpu_plan *plans[MAX_CHOICES];
	struct choice all[MAX_CHOICES];
	bool *only[MAX_CHOICES];
	uint32_t made = 0;

	for (uint32_t t = 0; t < n_tile_infos && n; t++)
		for (uint32_t split = 1; split <= 8; split *= 2) {
			if (made == MAX_CHOICES) {
				fprintf(stderr, "too many tiles\n");
				exit(1);
			}
			all[made] = (struct choice) { .c = { t, split } };
			if (!make(g, p, *opt, beside, todo, n, &all[made]))
				continue;
			plans[made] = all[made].plan;
			only[made] = all[made].only;
			made++;
		}
	if (gpu_compile(g, plans, only, made))
		return 1;
	for (uint32_t i = 0; i < made; i++) {
		measure(g, p, opt->degrees[0], beside, todo, n, &all[i]);
		free(only[i]);
		gpu_plan_free(plans[i]);
	}
	return 0;
}

static int one_degree(struct gpu *g, const struct program *p, uint32_t degree, const struct run_options *o)
{
	const struct at_once beside = { run_beside(o, degree), run_also(o, degree) };
	struct gpu_options opt;
	struct gpu_plan *plan;
	struct todo *todo;
	uint32_t n = 0;
	char why[512];
	int ret;

	run_lowering(o, g, &opt);
	opt.degrees = &degree;
	opt.n_degrees = 1;
	if (gpu_plan_make(p, &opt, &plan, why, sizeof(why))) {
		fprintf(stderr, "degree %u: %s\n", degree, why);
		return 1;
	}
	todo = calloc(plan->n_steps + 1, sizeof(*todo));
	for (uint32_t s = 0; s < plan->n_steps; s++) {
		todo[n].step = s;
		if (shape_of(plan, s, degree, &todo[n].shape) &&
		    (o->kind < 0 || tile_kind(&todo[n].shape) == (enum tile_kind)o->kind) &&
		    is_new(&todo[n].shape))
			n++;
	}
	opt.image = plan->image;
	opt.image_bytes = plan->image_bytes;
	ret = all_choices(g, p, &opt, &beside, todo, n);
	gpu_plan_free(plan);
	free(todo);
	return ret;
}

int cmd_sweep(struct gpu *g, const struct run_options *o, int argc, char **argv)
{
	printf("tiles %u %u%s\n", g->sm, g->n_sms, o->in_flight ? " crowd" : "");
	for (int i = 0; i < argc; i++) {
		struct program *p = load_program(argv[i]);

		for (uint32_t d = 0; d < o->n_degrees && p; d++)
			if (one_degree(g, p, o->degrees[d], o))
				return 1;
		program_free(p);
	}
	return 0;
}
