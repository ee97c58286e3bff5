// SPDX-License-Identifier: MIT
/*
 * Weights as fp16: a row's sum is kept, and what that is worth.
 *
 * EfficientNet-B0 of the zoo (seed 1) on a drawn image was off by 1.9e-2 with
 * weights rounded one by one; kept sums bring it to a fifth of that or less.
 * BRAID_GPU_IMAGES=n: more images (default 1).
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cpu/eval.h"
#include "agent/lower/lower.h"
#include "agent/program/program.h"
#include "tests/cuda/emu_plan.h"
#include "tests/cuda/zoo_program.h"
#include "tests/tap.h"
#include "tools/zoo/draw.h"

#define MAX_ROW		4608
#define IMAGE		1001	/* the worst that was seen */

static float noise(uint64_t *s)
{
	*s = *s * 6364136223846793005u + 1442695040888963407u;
	return (float)(*s >> 40) / (float)(1 << 23) - 1.0f;
}

static float value(uint16_t h)
{
	float v = ldexpf((float)(h & 0x3ff) + (h & 0x7c00 ? 1024.0f : 0.0f), (h >> 10 & 31 ?: 1) - 25);

	return h & 0x8000 ? -v : v;
}

/* Step from one half to the next, about @v. */
static float step_at(float v)
{
	return v == 0.0f || fabsf(v) < 0x1p-14f ? 0x1p-24f : ldexpf(1.0f, ilogbf(v) - 10);
}

static void rows(void)
{
	static const int64_t lengths[] = { 1, 3, 9, 25, 64, 147, 512, MAX_ROW };
	static const float sizes[] = { 1e-6f, 1e-3f, 0.05f, 1.0f, 300.0f };
	uint32_t far = 0, sums = 0, kept = 0;
	double plain = 0, even = 0;
	static float w[3 * MAX_ROW];
	static uint16_t to[MAX_ROW];
	uint64_t seed = 11;

	for (size_t l = 0; l < sizeof(lengths) / sizeof(*lengths); l++)
		for (size_t k = 0; k < sizeof(sizes) / sizeof(*sizes); k++)
			for (int64_t stride = 1; stride <= 3; stride += 2) {
				int64_t n = lengths[l];
				double err = 0, one = 0;
				float largest = 0;

				for (int64_t i = 0; i < n * stride; i++)
					w[i] = sizes[k] * noise(&seed);
				lower_halves(to, w, n, stride, 1.0f);
				for (int64_t i = 0; i < n; i++) {
					float v = w[i * stride], off = value(to[i]) - v;

					far += fabsf(off) > step_at(v);
					err += off;
					one += value(lower_half(v)) - v;
					largest = fmaxf(largest, step_at(v));
				}
				sums++;
				kept += fabs(err) <= largest / 2;
				plain += fabs(one) / largest;
				even += fabs(err) / largest;
			}
	ok(!far, "no weight is off by more than a step");
	ok(kept == sums, "%u of %u sums are within half a step", kept, sums);
	ok(plain > 8 * even, "rounded one by one they are off by %.3g steps, so by %.3g", plain / sums, even / sums);
}

static void edges(void)
{
	static const float w[] = { 65519.0f, 65519.0f, INFINITY, 0.0f, -0.0f, 1e-9f };
	static const float nan[] = { NAN, 1.0f };
	uint16_t to[6];

	lower_halves(to, w, 2, 1, 1.0f);
	ok(to[0] == 0x7bff && to[1] == 0x7bff, "the largest stays finite");
	lower_halves(to, w, 6, 1, 1.0f);
	ok(to[2] == 0x7c00 && !(to[3] & 0x7fff), "infinity and zero stay");
	lower_halves(to, nan, 2, 1, 1.0f);
	ok((to[0] & 0x7fff) > 0x7c00 && to[1] == 0x3c00, "what is no number stays none");
}

static double image(const struct program *p, struct emu_lane *lane, uint64_t seed)
{
	const struct prog_tensor *ti = &p->tensors[p->inputs[0].tensor];
	const struct prog_tensor *to = &p->tensors[p->outputs[0].tensor];
	struct draw d = { .name = p->inputs[0].name, .type = ti->type, .rank = ti->rank, .dims = ti->dims };
	float *in = aligned_alloc(64, ((size_t)ti->elems * 4 + 63) / 64 * 64);
	float *want = aligned_alloc(64, ((size_t)to->elems * 4 + 63) / 64 * 64);
	float *got = aligned_alloc(64, ((size_t)to->elems * 4 + 63) / 64 * 64);
	void *io[2] = { in, got };
	double off = 0, all = 1e-30;
	char why[256];

	draw_guess(&d);
	draw_tensor(&d, seed, in);
	if (cpu_eval(p, (const void *[]) { in }, (void *[]) { want }, why, sizeof(why)) ||
	    emu_lane_run(lane, 1, io, seed))
		off = INFINITY;
	for (int64_t i = 0; i < to->elems; i++) {
		off += ((double)got[i] - want[i]) * ((double)got[i] - want[i]);
		all += (double)want[i] * want[i];
	}
	free(in);
	free(want);
	free(got);
	return sqrt(off / all);
}

static void images(uint32_t n)
{
	const struct gpu_options opt = { .mode = GPU_FP16, .sm = 90 };
	struct program *p = zoo_program("efficientnet_b0");
	struct gpu_plan *plan = NULL;
	struct emu_lane *lane;
	char why[256] = "";

	if (!ok(p && !gpu_plan_make(p, &opt, &plan, why, sizeof(why)), "a plan of efficientnet_b0 %s", why))
		return;
	lane = emu_lane_new(plan, 1);
	for (uint32_t i = 0; i < n; i++) {
		double off = image(p, lane, IMAGE + i);

		ok(off < 5e-3, "image %u is off by %.2g", IMAGE + i, off);
	}
	emu_lane_free(lane);
	gpu_plan_free(plan);
	program_free(p);
}

int main(void)
{
	const char *env = getenv("BRAID_GPU_IMAGES");

	rows();
	edges();
	images(env ? (uint32_t)atoi(env) : 1);
	return tap_done();
}
