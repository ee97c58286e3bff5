// SPDX-License-Identifier: MIT
/*
 * Plans against the CPU backend, see gpu_check.h. No state.
 */
#include "tests/cuda/gpu_check.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cpu/eval.h"
#include "agent/program/program.h"
#include "tests/cuda/emu_plan.h"

#define MAX_DEGREE	8
#define MAX_IO		32

/* All requests' tensors: [request][input or output]. */
struct set {
	const struct program *p;
	uint32_t width;
	void *io[MAX_DEGREE * MAX_IO];
};

static size_t bytes_of(const struct program *p, uint32_t t)
{
	return (size_t)p->tensors[t].elems * prog_type_size(p->tensors[t].type);
}

static void *room(size_t bytes)
{
	void *m = aligned_alloc(64, (bytes + 63) / 64 * 64 + 64);

	if (!m)
		abort();
	memset(m, 0xa5, bytes);
	return m;
}

static float noise(uint64_t *s)
{
	*s = *s * 6364136223846793005u + 1442695040888963407u;
	return (float)(*s >> 40) / (float)(1 << 23) - 1.0f;
}

/* Request 0 is the case's own; the others have floats of theirs and other numbers. */
static void draw(struct set *s, const void *const *in, uint32_t r, uint64_t *seed)
{
	float size = 0.5f + 2.5f * fabsf(noise(seed)), shift = 2.0f * noise(seed);

	for (uint32_t i = 0; i < s->p->n_inputs; i++) {
		const struct prog_tensor *t = &s->p->tensors[s->p->inputs[i].tensor];
		void *to = s->io[r * s->width + i];

		memcpy(to, in[i], bytes_of(s->p, s->p->inputs[i].tensor));
		for (int64_t k = 0; r && k < t->elems; k++) {
			if (t->type == BRAID_TYPE_F32)
				((float *)to)[k] = 0.4f * ((float *)to)[k] + size * noise(seed) + shift;
			else if (t->type == BRAID_TYPE_I64 && ((int64_t *)to)[k] > 1)
				((int64_t *)to)[k] = 2 + (int64_t)(fabsf(noise(seed)) * 7);
		}
	}
}

static void inputs(struct set *s, uint32_t n)
{
	for (uint32_t r = 0; r < n; r++)
		for (uint32_t i = 0; i < s->p->n_inputs; i++)
			s->io[r * s->width + i] = room(bytes_of(s->p, s->p->inputs[i].tensor));
}

static void outputs(struct set *s, uint32_t n)
{
	for (uint32_t r = 0; r < n; r++)
		for (uint32_t o = 0; o < s->p->n_outputs; o++)
			s->io[r * s->width + s->p->n_inputs + o] =
				room(bytes_of(s->p, s->p->outputs[o].tensor));
}

/* Relative L2 distance of output @o of two requests; of integers, 0 or infinite. */
static double distance(const struct set *a, uint32_t ra, const struct set *b, uint32_t rb, uint32_t o)
{
	const struct prog_tensor *t = &a->p->tensors[a->p->outputs[o].tensor];
	const float *x = a->io[ra * a->width + a->p->n_inputs + o];
	const float *y = b->io[rb * b->width + b->p->n_inputs + o];
	double off = 0, all = 1e-30;

	if (t->type != BRAID_TYPE_F32)
		return memcmp(x, y, bytes_of(a->p, a->p->outputs[o].tensor)) ? INFINITY : 0;
	for (int64_t i = 0; i < t->elems; i++) {
		double d = (double)x[i] - y[i];

		if (isnan(d))
			return INFINITY;
		off += d * d;
		all += (double)y[i] * y[i];
	}
	return sqrt(off / all);
}

/* The worst output. */
static double worst(const struct set *a, uint32_t ra, const struct set *b, uint32_t rb)
{
	double most = 0, d;

	for (uint32_t o = 0; o < a->p->n_outputs; o++) {
		d = distance(a, ra, b, rb, o);
		most = d > most ? d : most;
	}
	return most;
}

static int fail(char *why, size_t len, const char *what, double d, uint32_t degree)
{
	snprintf(why, len, "%s at degree %u: %.3g", what, degree, d);
	return -EILSEQ;
}

static int merged(const struct gpu_check *how, struct emu_lane *lane, const struct set *want,
		  uint32_t degree, char *why, size_t len)
{
	struct set got = *want;
	int err;

	outputs(&got, degree);
	err = emu_lane_run(lane, degree, got.io, degree + how->seed);
	for (uint32_t r = 0; r < degree && !err; r++) {
		double d = worst(&got, r, want, r);

		if (!(d <= how->most))
			err = fail(why, len, "a merged request is off", d, degree);
	}
	if (err || degree < 2)
		goto out;
	/* The first two requests' outputs swapped: both must be far off. */
	for (uint32_t o = want->p->n_inputs; o < want->width; o++) {
		void *x = got.io[o];

		got.io[o] = got.io[got.width + o];
		got.io[got.width + o] = x;
	}
	err = emu_lane_run(lane, degree, got.io, degree);
	for (uint32_t o = want->p->n_inputs; o < want->width; o++) {
		void *x = got.io[o];

		got.io[o] = got.io[got.width + o];
		got.io[got.width + o] = x;
	}
	if (!err && (worst(&got, 0, want, 0) <= how->most || worst(&got, 1, want, 1) <= how->most))
		err = fail(why, len, "a swap went unnoticed", 0, degree);
out:
	for (uint32_t r = 0; r < degree; r++)
		for (uint32_t o = want->p->n_inputs; o < want->width; o++)
			free(got.io[r * got.width + o]);
	return err;
}

/* Request @r and what it must give; drawn again while it is too much like another. */
static int request(const struct gpu_check *how, struct set *s, const void *const *in, uint32_t r,
		   char *why, size_t len)
{
	uint64_t seed = 7 + r;

	for (int tries = 0; tries < 50; tries++) {
		bool apart = true;
		int err;

		draw(s, in, r, &seed);
		err = cpu_eval(s->p, (const void *const *)&s->io[r * s->width],
			       &s->io[r * s->width + s->p->n_inputs], why, len);
		if (err)
			return err;
		for (uint32_t q = 0; q < r && apart; q++)
			apart = worst(s, r, s, q) >= 10 * how->most;
		if (apart)
			return 0;
	}
	fail(why, len, "requests are too much alike", r, how->degrees[how->n_degrees - 1]);
	return -EDOM;
}

/* Data for request 0 where the caller has none. */
static void *own_input(const struct program *p, uint32_t i)
{
	const struct prog_tensor *t = &p->tensors[p->inputs[i].tensor];
	void *in = room(bytes_of(p, p->inputs[i].tensor));
	uint64_t seed = 99 + i;

	memset(in, 0, bytes_of(p, p->inputs[i].tensor));
	for (int64_t k = 0; k < t->elems; k++) {
		if (t->type == BRAID_TYPE_F32)
			((float *)in)[k] = noise(&seed);
		else if (t->type == BRAID_TYPE_I64)
			((int64_t *)in)[k] = i ? 1 : 2 + k % 7;	/* tokens, their types, a mask */
	}
	return in;
}

int gpu_check(const struct program *p, const void *const *in, void *const *out,
	      const struct gpu_check *how, char *why, size_t len)
{
	struct set want = { .p = p, .width = p->n_inputs + p->n_outputs };
	uint32_t most = how->degrees[how->n_degrees - 1];
	const void *first[MAX_IO];
	struct gpu_plan *plan;
	struct emu_lane *lane;
	int err;

	if (want.width > MAX_IO || most > MAX_DEGREE)
		return -E2BIG;
	err = gpu_plan_make(p, &how->opt, &plan, why, len);
	if (err)
		return err;
	for (uint32_t i = 0; i < p->n_inputs; i++)
		first[i] = in ? in[i] : own_input(p, i);
	inputs(&want, most);
	outputs(&want, most);
	for (uint32_t r = 0; r < most && !err; r++)
		err = request(how, &want, first, r, why, len);
	lane = emu_lane_new(plan, most);
	for (uint32_t i = 0; i < how->n_degrees && !err; i++)
		err = merged(how, lane, &want, how->degrees[i], why, len);
	for (uint32_t o = 0; o < p->n_outputs && out; o++)
		memcpy(out[o], want.io[p->n_inputs + o], bytes_of(p, p->outputs[o].tensor));
	for (uint32_t i = 0; i < want.width * most; i++)
		free(want.io[i]);
	for (uint32_t i = 0; i < p->n_inputs && !in; i++)
		free((void *)first[i]);
	emu_lane_free(lane);
	gpu_plan_free(plan);
	return err;
}
