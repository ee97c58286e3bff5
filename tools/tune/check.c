// SPDX-License-Identifier: MIT
/*
 * braid-tune check: models on the GPU, alone and merged, against the CPU
 * backend; a deliberate swap of two requests must be noticed.
 */
#include "tools/tune/tune.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cpu/eval.h"
#include "agent/program/program.h"

#define REQUESTS	8
#define MAX_IO		16

struct data {
	void *in[REQUESTS][MAX_IO], *want[REQUESTS][MAX_IO], *got[MAX_IO];
};

static size_t bytes_of(const struct program *p, uint32_t t)
{
	return (size_t)p->tensors[t].elems * prog_type_size(p->tensors[t].type);
}

static float noise(uint64_t *s)
{
	*s = *s * 6364136223846793005u + 1442695040888963407u;
	return (float)(*s >> 40) / (float)(1 << 23) - 1.0f;
}

static void draw(const struct program *p, struct data *d)
{
	uint64_t seed = 1;

	for (uint32_t r = 0; r < REQUESTS; r++) {
		for (uint32_t i = 0; i < p->n_inputs; i++) {
			const struct prog_tensor *t = &p->tensors[p->inputs[i].tensor];

			d->in[r][i] = calloc(1, bytes_of(p, p->inputs[i].tensor) + 64);
			for (int64_t k = 0; k < t->elems; k++) {
				if (t->type == BRAID_TYPE_F32)
					((float *)d->in[r][i])[k] = 2.0f * noise(&seed);
				else if (t->type == BRAID_TYPE_I64)
					((int64_t *)d->in[r][i])[k] = (int64_t)(fabsf(noise(&seed)) * (i ? 2 : 1000));
			}
		}
		for (uint32_t o = 0; o < p->n_outputs; o++) {
			d->want[r][o] = calloc(1, bytes_of(p, p->outputs[o].tensor) + 64);
			d->got[o] = calloc(1, bytes_of(p, p->outputs[o].tensor) + 64);
		}
	}
}

static double distance(const struct program *p, uint32_t o, const void *got, const void *want)
{
	const struct prog_tensor *t = &p->tensors[p->outputs[o].tensor];
	const float *x = got, *y = want;
	double off = 0, all = 1e-30;

	if (t->type != BRAID_TYPE_F32)
		return memcmp(got, want, bytes_of(p, p->outputs[o].tensor)) ? INFINITY : 0;
	for (int64_t i = 0; i < t->elems; i++) {
		off += ((double)x[i] - y[i]) * ((double)x[i] - y[i]);
		all += (double)y[i] * y[i];
	}
	return isnan(off) ? INFINITY : sqrt(off / all);
}

/* Requests go to slots of another, so that a swap can be made; the worst distance. */
static double run(struct lane *l, struct data *d, uint32_t degree, const uint32_t *slot)
{
	cu_exec e = lane_graph(l, degree, 0, l->plan->n_steps - 1, 1, ORDER_GRAPH);
	double worst = 0;

	for (uint32_t r = 0; r < degree; r++)
		for (uint32_t i = 0; i < l->p->n_inputs; i++)
			lane_input(l, r, i, d->in[slot ? slot[r] : r][i]);
	/* Twice: what a launch leaves behind must not harm the next. */
	for (int i = 0; i < 2; i++)
		gpu_die(l->gpu, l->gpu->cu.graph_launch(e, l->gpu->stream), "launch");
	gpu_die(l->gpu, l->gpu->cu.stream_synchronize(l->gpu->stream), "run");
	for (uint32_t r = 0; r < degree; r++)
		for (uint32_t o = 0; o < l->p->n_outputs; o++) {
			double off;

			lane_output(l, r, o, d->got[o]);
			off = distance(l->p, o, d->got[o], d->want[r][o]);
			worst = off <= worst ? worst : off;
		}
	l->gpu->cu.exec_free(e);
	return worst;
}

static int check(struct gpu *g, const struct program *p, const char *name, enum gpu_mode mode,
		 const uint32_t *degrees, uint32_t n)
{
	static const uint32_t swapped[REQUESTS] = { 1, 0, 2, 3, 4, 5, 6, 7 };
	struct gpu_options opt = { .mode = mode, .sm = g->sm, .n_sms = g->n_sms };
	double most = mode == GPU_FP16 ? 1e-2 : 1e-4, apart = INFINITY;
	char why[512];
	struct gpu_plan *plan;
	struct data d = { 0 };
	struct lane *l;
	int bad = 0;

	if (gpu_plan_make(p, &opt, &plan, why, sizeof(why))) {
		printf("%s: %s\n", name, why);
		return 1;
	}
	if (gpu_compile(g, &plan, NULL, 1))
		return 1;
	draw(p, &d);
	for (uint32_t r = 0; r < REQUESTS; r++)
		if (cpu_eval(p, (const void *const *)d.in[r], d.want[r], why, sizeof(why)))
			return 1;
	for (uint32_t r = 1; r < REQUESTS; r++)
		for (uint32_t o = 0; o < p->n_outputs; o++)
			apart = fmin(apart, distance(p, o, d.want[r][o], d.want[r - 1][o]));
	l = lane_new(g, p, plan, REQUESTS, NULL);
	for (uint32_t i = 0; i < n; i++) {
		double off = run(l, &d, degrees[i], NULL);

		bad |= !(off <= most);
		printf("check %s %s degree %u: off by %.2e%s\n", name,
		       mode == GPU_FP16 ? "fp16" : "fp32", degrees[i], off, off <= most ? "" : " WRONG");
	}
	if (run(l, &d, 2, swapped) <= most || apart < 10 * most) {
		printf("check %s: a swap goes unnoticed, or requests are alike (%.2e)\n", name, apart);
		bad = 1;
	}
	fflush(stdout);
	lane_free(l);
	gpu_plan_free(plan);
	return bad;
}

int cmd_check(struct gpu *g, const struct run_options *o, int argc, char **argv)
{
	static const uint32_t many[] = { 1, 2, 3, 8 }, few[] = { 1, 2 };
	int bad = 0;

	for (int i = 0; i < argc; i++) {
		struct program *p = load_program(argv[i]);
		const char *name = strrchr(argv[i], '/') ? strrchr(argv[i], '/') + 1 : argv[i];

		if (!p)
			return 1;
		bad |= check(g, p, name, GPU_FP16, many, 4);
		bad |= check(g, p, name, GPU_FP32, few, 2);
		program_free(p);
	}
	return bad;
}
