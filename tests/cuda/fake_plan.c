// SPDX-License-Identifier: MIT
/*
 * Plans of one kind, for tests of the backend alone: n floats in, n floats
 * out, y = (x + 1) * w, in three steps that go through the arena and count in
 * scratch, on two branches of which the second is joined again. Small enough
 * to be run by the emulator thousands of times.
 *
 * Stands in for lowering: the functions of agent/cuda/plan.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cuda/plan.h"
#include "agent/program/program.h"
#include "tests/cuda/fake_plan.h"

/* The argument of every kernel here. */
struct args {
	uint64_t x, y, z, scratch, io;
	uint32_t n, degree, width, column, what, pad;
};

#define TEXT(...) #__VA_ARGS__

/* One source, an entry a name: what it does is in the argument. */
static const char body[] = TEXT(
struct args {
	unsigned long x, y, z, scratch, io;
	unsigned n, degree, width, column, what, pad;
};
static void tile(const struct emu_ops *ops, const struct args &a, unsigned t)
{
	unsigned r = t, i = ops->thread();
	float *io = ((float **)a.io)[r * a.width + a.column];
	float *x = (float *)a.x + r * a.n, *y = (float *)a.y + r * a.n, *z = (float *)a.z + r * a.n;

	for (; i < a.n; i += 256) {
		if (a.what == 0)
			y[i] = io[i] + 1;
		else if (a.what == 1)
			y[i] = x[i] * ((float *)a.z)[0];
		else
			io[i] = x[i] + 0 * z[i];
	}
	ops->sync(0, 256);
	if (a.what == 2 && !ops->thread())
		((unsigned *)a.scratch)[r] = 0;
}
);

struct gpu_plan_priv {
	uint32_t n;
	float weight;
	char name[3][40], source[3][4096];
	uint32_t deps[2][2];
};

const struct gpu_header gpu_headers[] = { { "nothing.h", "" } };
const unsigned int gpu_n_headers = 1;
unsigned int fake_image;

const void *gpu_generic_image(size_t *bytes)
{
	*bytes = fake_image ? sizeof(fake_image) : 0;
	return &fake_image;
}

int gpu_tiles_read(const char *path, const struct gpu_options *opt, struct gpu_tiles **out)
{
	*out = NULL;
	return 0;
}

void gpu_tiles_free(struct gpu_tiles *t)
{
}

enum gpu_mode gpu_mode_auto(const struct program *p)
{
	return GPU_FP16;
}

int gpu_plan_make(const struct program *p, const struct gpu_options *opt,
		  struct gpu_plan **out, char *why, size_t len)
{
	struct gpu_plan *plan = calloc(1, sizeof(*plan));
	struct gpu_plan_priv *priv = calloc(1, sizeof(*priv));
	float weight = p->macs;

	if (p->macs == FAKE_REFUSED) {
		free(plan);
		free(priv);
		snprintf(why, len, "Fancy (node fancy_1): not on a GPU");
		return -EOPNOTSUPP;
	}
	plan->priv = priv;
	priv->n = p->tensors[0].elems;
	plan->n_kernels = plan->n_steps = 3;
	plan->kernels = calloc(3, sizeof(*plan->kernels));
	plan->steps = calloc(3, sizeof(*plan->steps));
	plan->image = aligned_alloc(64, 64);
	memcpy(plan->image, &weight, sizeof(weight));
	plan->image_bytes = 64;
	plan->arena_bytes = 2 * 4 * priv->n;
	plan->n_inputs = plan->n_outputs = 1;
	plan->max_degree = GPU_MAX_DEGREE;
	for (int i = 0; i < 3; i++) {
		/* Kernels of different models differ, as they do in earnest. */
		snprintf(priv->name[i], sizeof(priv->name[i]), "fake_%u_%d", priv->n, i);
		snprintf(priv->source[i], sizeof(priv->source[i]),
			 "#include \"emu_ops.h\"\n%s\nextern \"C\" "
			 "__attribute__((visibility(\"default\"))) void %s"
			 "(const struct emu_ops *ops, const void *a)\n"
			 "{ tile(ops, *(const struct args *)a, ops->block()); }\n",
			 body, priv->name[i]);
		plan->kernels[i] = (struct gpu_kernel){
			.name = priv->name[i], .source = priv->source[i], .specialised = true,
			.generic = "fake_generic", .threads = 256, .min_ctas = 1,
			.args_bytes = sizeof(struct args), .decl = body, .call = "tile",
			.args = "args",
		};
		plan->steps[i].node = "fake";
		plan->steps[i].op_type = "Fake";
		plan->steps[i].what = "fake";
	}
	priv->deps[1][1] = 1;
	plan->steps[1].deps = priv->deps[0];
	plan->steps[1].n_deps = 1;
	plan->steps[2].deps = priv->deps[1];
	plan->steps[2].n_deps = 2;
	*out = plan;
	return 0;
}

void gpu_plan_free(struct gpu_plan *plan)
{
	if (!plan)
		return;
	free(plan->image);
	free(plan->kernels);
	free(plan->steps);
	free(plan->priv);
	free(plan);
}

uint64_t gpu_plan_scratch(const struct gpu_plan *plan, uint32_t degree, uint64_t *zero)
{
	if (zero)
		*zero = degree * sizeof(uint32_t);
	return degree * sizeof(uint32_t) + 4;
}

int gpu_step_bind(const struct gpu_plan *plan, uint32_t step, uint32_t degree,
		  const struct gpu_addresses *at, struct gpu_launch *out)
{
	uint64_t half = (uint64_t)degree * plan->priv->n * 4;
	struct args a = {
		.scratch = at->scratch, .io = at->io, .n = plan->priv->n, .degree = degree,
		.width = 2, .column = step == 2, .what = step, .y = at->arena, .x = at->arena,
	};

	if (!degree || degree > plan->max_degree)
		return -EINVAL;
	if (step == 1) {
		a.y = at->arena + half;
		a.z = at->weights;
	} else if (step == 2) {
		a.x = at->arena + half;
		a.z = at->arena;
	}
	*out = (struct gpu_launch){ .kernel = step, .grid = degree, .args_bytes = sizeof(a) };
	memcpy(out->args, &a, sizeof(a));
	return 0;
}

int gpu_fused_make(const struct gpu_kernel *const *parts, uint32_t n, struct gpu_fused *out)
{
	static const char head[] = "extern \"C\" __attribute__((visibility(\"default\"))) void ";
	char *source = malloc(16384), *name = malloc(128);
	size_t at;

	*out = (struct gpu_fused){ .n = n };
	at = snprintf(name, 128, "fused");
	for (uint32_t i = 0; i < n; i++) {
		out->offset[i] = 64 + i * sizeof(struct args);
		at += snprintf(name + at, 128 - at, "_%s", parts[i]->name + 5);
	}
	snprintf(source, 16384,
		 "#include \"emu_ops.h\"\n%s\n%s%s(const struct emu_ops *ops, const void *a)\n{\n"
		 "unsigned b = ops->block(), k = 0;\nconst unsigned *first = (const unsigned *)a;\n"
		 "while (b >= first[k + 1]) k++;\n"
		 "tile(ops, ((const struct args *)((const char *)a + 64))[k], b - first[k]);\n}\n",
		 body, head, name);
	out->kernel = (struct gpu_kernel){
		.name = name, .source = source, .specialised = true, .threads = 256,
		.min_ctas = 1, .args_bytes = 64 + n * sizeof(struct args),
	};
	return 0;
}

void gpu_fused_free(struct gpu_fused *f)
{
	free((char *)f->kernel.name);
	free((char *)f->kernel.source);
}

void gpu_fused_bind(const struct gpu_fused *f, const struct gpu_launch *const *parts,
		    void *args, uint32_t *grid)
{
	uint32_t *first = args;

	memset(args, 0, f->kernel.args_bytes);
	for (uint32_t i = 0; i < f->n; i++) {
		first[i + 1] = first[i] + parts[i]->grid;
		memcpy((char *)args + f->offset[i], parts[i]->args, parts[i]->args_bytes);
	}
	*grid = first[f->n];
}
