// SPDX-License-Identifier: MIT
/*
 * Trained models on a photographed page and speech, in the precision that they
 * get by default, under the engine, beside what ONNX Runtime recorded: 1e-2 at
 * most, and the same classes.
 *
 * Random weights do not tell: it is networks that have learnt to decide whose
 * answers hang on a few channels. Models from build/models (tools/demo/fetch) or
 * BRAID_DEMO_MODELS; without them, it says so. What was furthest off once is run;
 * BRAID_GPU_TRAINED=1: all that the demo asks, some minutes.
 */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/program/load.h"
#include "agent/program/program.h"
#include "tests/cuda/emu_plan.h"
#include "tests/tap.h"
#include "tools/demo/replay.h"
#include "tools/demo/scene.h"

#define DATA	"tools/demo/data"
#define MOST	1e-2

/* Model and request. */
static const char *const worst[][2] = {
	{ "ocr-cls", "turned/6" }, { "ocr-cls", "page/3" }, { "ocr-rec-640", "turned/2" },
	{ "vad", "speech-1/7" }, { "vad", "speech-2/1" }, { "vad", "speech-2/10" },
};

static bool is_wanted(const struct sample *s)
{
	if (getenv("BRAID_GPU_TRAINED"))
		return true;
	for (size_t i = 0; i < sizeof(worst) / sizeof(*worst); i++)
		if (!strcmp(s->model->name, worst[i][0]) && !strcmp(s->golden->key, worst[i][1]))
			return true;
	return false;
}

static struct program *program_of(const struct demo_model *m, const char *dir)
{
	struct load_shape shapes[MODEL_MAX_TENSORS] = { 0 };
	const struct load_config cfg = {
		.shapes = shapes, .n_shapes = (uint32_t)m->n_in, .batch = 1, .passes = true,
	};
	char path[PATH_MAX], why[512] = "";
	struct program *p = NULL;

	for (int i = 0; i < m->n_in; i++) {
		shapes[i].input = m->in[i].name;
		shapes[i].rank = (uint32_t)m->in[i].rank;
		for (int k = 0; k < m->in[i].rank; k++)
			shapes[i].dims[k] = m->in[i].dims[k];
	}
	snprintf(path, sizeof(path), "%s/%s", dir, m->file);
	if (program_load(path, &cfg, &p, why, sizeof(why)))
		diag("%s", why);
	return p;
}

static float *room_for(const struct model_tensor *t)
{
	return aligned_alloc(64, ((size_t)tensor_elems(t) * sizeof(float) + 63) / 64 * 64);
}

static void one(const struct sample *s, struct emu_lane *lane, float *const *in, float *const *out)
{
	const struct demo_model *m = s->model;
	void *io[2 * MODEL_MAX_TENSORS];
	double off;
	int other;

	for (int i = 0; i < m->n_in; i++) {
		memcpy(in[i], s->in[i], (size_t)tensor_elems(&m->in[i]) * sizeof(float));
		io[i] = in[i];
	}
	for (int i = 0; i < m->n_out; i++)
		io[m->n_in + i] = out[i];
	off = emu_lane_run(lane, 1, io, 1) ? INFINITY : golden_distance(s->golden, (const float *const *)out);
	other = golden_other_class(s->golden, m, (const float *const *)out);
	ok(off <= MOST && !other, "%s, %s: off by %.2g, %d other classes", m->name, s->golden->key, off, other);
}

static void model(const struct demo_model *m, const struct replay *replay, const char *dir)
{
	struct gpu_options opt = { .sm = 90 };
	struct program *p = program_of(m, dir);
	float *in[MODEL_MAX_TENSORS], *out[MODEL_MAX_TENSORS];
	struct gpu_plan *plan = NULL;
	struct emu_lane *lane;
	char why[256] = "";
	int n = 0;

	for (int i = 0; i < replay->count; i++)
		n += replay->samples[i].model == m && is_wanted(&replay->samples[i]);
	if (!n)
		return;
	if (p)
		opt.mode = gpu_mode_auto(p);
	if (!ok(p && !gpu_plan_make(p, &opt, &plan, why, sizeof(why)), "%s: a plan in %s %s", m->name,
		opt.mode == GPU_FP32 ? "fp32" : "fp16", why))
		return;
	lane = emu_lane_new(plan, 1);
	for (int i = 0; i < m->n_in; i++)
		in[i] = room_for(&m->in[i]);
	for (int i = 0; i < m->n_out; i++)
		out[i] = room_for(&m->out[i]);
	for (int i = 0; i < replay->count; i++)
		if (replay->samples[i].model == m && is_wanted(&replay->samples[i]))
			one(&replay->samples[i], lane, in, out);
	for (int i = 0; i < m->n_in; i++)
		free(in[i]);
	for (int i = 0; i < m->n_out; i++)
		free(out[i]);
	emu_lane_free(lane);
	gpu_plan_free(plan);
	program_free(p);
}

int main(void)
{
	const char *dir = getenv("BRAID_DEMO_MODELS") ?: "build/models";
	struct findings found;
	struct golden_set set;
	struct replay replay;
	struct scene scene;
	char path[PATH_MAX];

	for (int i = 0; i < MODEL_COUNT; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, demo_models[i].file);
		if (access(path, R_OK))
			tap_skip_all("the trained models are not there (tools/demo/fetch)");
	}
	if (scene_open(&scene, DATA, dir) || golden_read(&set, DATA "/goldens.gz"))
		return 1;
	replay_init(&replay, &set);
	if (scene_run(&scene, &replay.infer, &found))
		return 1;
	for (int i = 0; i < MODEL_COUNT; i++)
		model(&demo_models[i], &replay, dir);
	replay_free(&replay);
	golden_free(&set);
	scene_close(&scene);
	return tap_done();
}
