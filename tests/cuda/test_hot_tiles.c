// SPDX-License-Identifier: MIT
/*
 * Kernels as the zoo's models want them specialised, for every architecture: none
 * may ask for more shared memory than there is, and, compiled by nvcc, none may
 * have registers that do not fit and spill into memory.
 *
 * Of all kernels that call the same tile function the one with the longest
 * source counts for the others: they differ in constants. NVCC is the compiler;
 * empty, or none to be found: nothing is compiled. BRAID_HOT_TILES=all takes every
 * kernel, =N,... architectures.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/cuda/plan.h"
#include "agent/program/build.h"
#include "agent/program/program.h"
#include "tests/cuda/zoo_program.h"
#include "tests/tap.h"

#define MAX_KERNELS	4096

static const char *const models[] = {
	"resnet50", "mobilenet_v2", "squeezenet1_1", "efficientnet_b0", "bert_6x384", "large",
};
#define N_MODELS	(sizeof(models) / sizeof(*models))

/* As an A100, an Orin and an H100 have them; and a GPU with less shared memory. */
static const struct target {
	uint32_t sm, n_sms, kib;
	bool compiled;
} targets[] = { { 80, 108, 163, true }, { 87, 16, 163, true }, { 90, 132, 227, true }, { 89, 128, 99, false } };

struct list {
	const struct gpu_kernel *k[MAX_KERNELS];
	uint32_t n;
	bool all;
};

static const char *nvcc;
static char dir[] = "/tmp/braid-hot-XXXXXX";

/* ---- which kernels ---- */

static bool same_tile(const struct gpu_kernel *a, const struct gpu_kernel *b)
{
	size_t len = strcspn(a->call, "(");

	return len == strcspn(b->call, "(") && !strncmp(a->call, b->call, len);
}

static void add(struct list *l, const struct gpu_kernel *k)
{
	for (uint32_t i = 0; i < l->n; i++) {
		if (!strcmp(l->k[i]->name, k->name))
			return;
		if (!l->all && same_tile(l->k[i], k)) {
			if (strlen(k->source) > strlen(l->k[i]->source))
				l->k[i] = k;
			return;
		}
	}
	if (l->n < MAX_KERNELS)
		l->k[l->n++] = k;
}

static bool plans(struct program *const *p, const struct target *t, struct gpu_plan **plan, struct list *l)
{
	const uint32_t degrees[] = { 1, 8, 32 };
	const struct gpu_options opt = {
		.sm = t->sm, .n_sms = t->n_sms, .degrees = degrees, .n_degrees = 3,
	};
	char why[256];

	for (uint32_t i = 0; i < N_MODELS; i++) {
		if (!p[i] || gpu_plan_make(p[i], &opt, &plan[i], why, sizeof(why))) {
			diag("%s: %s", models[i], p[i] ? why : "cannot be made");
			return false;
		}
		for (uint32_t k = 0; k < plan[i]->n_kernels; k++) {
			add(l, &plan[i]->kernels[k]);
			if (plan[i]->kernels[k].smem > t->kib << 10) {
				diag("%s: %s wants %u bytes of shared memory", models[i],
				     plan[i]->kernels[k].call, plan[i]->kernels[k].smem);
				return false;
			}
		}
	}
	return true;
}

/* ---- compiling ---- */

/* Kernels that spill, named; -1: it does not compile. */
static int spills(const char *source, uint32_t sm, uint32_t *compiled)
{
	char command[512], line[1024], name[256] = "?";
	int bad = 0, status;
	unsigned int frame, bytes;
	FILE *f;

	snprintf(command, sizeof(command),
		 "%s -cubin -arch=sm_%u -std=c++17 -O3 -w -Ikernels -Xptxas -v -o %s/code %s 2>&1", nvcc, sm, dir,
		 source);
	f = popen(command, "re");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		const char *of = strstr(line, "Function properties for ");

		if (strstr(line, "error"))
			diag("%.*s", (int)strcspn(line, "\n"), line);
		*compiled += strstr(line, "Compiling entry function") != NULL;
		if (of)
			sscanf(of, "Function properties for %255s", name);
		if (sscanf(line, " %u bytes stack frame, %u bytes spill stores", &frame, &bytes) == 2 && bytes) {
			diag("%s for sm_%u: %u bytes of registers are spilled", name, sm, bytes);
			bad++;
		}
	}
	status = pclose(f);
	return status ? -1 : bad;
}

static bool has_tile(const struct list *l, const char *name)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (!strncmp(l->k[i]->call, name, strlen(name)))
			return true;
	return false;
}

static const char *write_source(const struct list *l)
{
	static char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/hot.cu", dir);
	f = fopen(path, "we");
	if (!f)
		return NULL;
	for (uint32_t i = 0; i < l->n; i++)
		fputs(l->k[i]->source, f);
	return fclose(f) ? NULL : path;
}

static void target(struct program *const *p, const struct target *t, bool all)
{
	struct gpu_plan *plan[N_MODELS] = { NULL };
	struct list *l = calloc(1, sizeof(*l));
	uint32_t compiled = 0;
	const char *source;

	l->all = all;
	if (!ok(plans(p, t, plan, l), "plans for sm_%u", t->sm) || !t->compiled)
		goto out;
	is_int(has_tile(l, "big_tile<"), t->n_sms >= 64, "the largest tiles are there for %u multiprocessors",
	       t->n_sms);
	if (!nvcc) {
		tap_skip("compiled, they do not spill", "there is no nvcc");
		goto out;
	}
	source = write_source(l);
	ok(source && !spills(source, t->sm, &compiled), "no spills for sm_%u", t->sm);
	ok(compiled == l->n && compiled > 20, "%u of %u kernels compiled", compiled, l->n);
out:
	for (uint32_t i = 0; i < N_MODELS; i++)
		gpu_plan_free(plan[i]);
	free(l);
}

/* A tile that wants far more registers than eight blocks a multiprocessor leave it. */
static void canary(void)
{
	static const char text[] =
		"#include \"conv.cuh\"\n"
		"ENTRY(too_many, k_conv, 8, (conv_tile<conv_cfg<128, 128, 2, 4, 1, 4>, false>(a.s, a, tile, smem)))\n";
	const struct gpu_kernel k = { .name = "too_many", .source = text };
	const struct list l = { { &k }, 1, false };
	uint32_t compiled = 0;
	const char *source = write_source(&l);

	ok(source && spills(source, 90, &compiled) == 1 && compiled == 1, "a spill is found where there is one");
}

/* A product that wants the largest tiles; the zoo has none. */
static struct program *large(void)
{
	const int64_t x[2] = { 4096, 1024 }, w[2] = { 4096, 1024 }, y[2] = { 4096, 4096 };
	struct build *b = build_new();
	struct program *p = NULL;
	struct prog_op *op;
	uint32_t in[2];

	in[0] = build_unary(b, build_input(b, "x", BRAID_TYPE_F32, 2, x), PROG_FN_TANH, 0, 0);
	in[1] = build_fill(b, BRAID_TYPE_F32, 2, w, 0.5);
	op = build_op(b, PROG_GEMM, 2, in, 1);
	op->params.gemm.trans_b = true;
	op->params.gemm.alpha = 1.0f;
	build_output(b, "y", build_unary(b, build_set_out(b, op, 0, BRAID_TYPE_F32, 2, y),
					 PROG_FN_TANH, 0, 0));
	build_finish(b, &p);
	build_free(b);
	return p;
}

static bool is_wanted(const char *only, uint32_t sm)
{
	char number[16];

	snprintf(number, sizeof(number), "%u", sm);
	return !only || !strcmp(only, "all") || strstr(only, number);
}

int main(void)
{
	const char *env = getenv("NVCC"), *only = getenv("BRAID_HOT_TILES");
	struct program *p[N_MODELS];
	char command[300];

	nvcc = env ? env : access("/usr/local/cuda/bin/nvcc", X_OK) ? "nvcc" : "/usr/local/cuda/bin/nvcc";
	snprintf(command, sizeof(command), "%s --version >/dev/null 2>&1", nvcc);
	if (!*nvcc || system(command))
		nvcc = NULL;
	if (!mkdtemp(dir))
		return 1;
	for (uint32_t i = 0; i < N_MODELS; i++)
		p[i] = strcmp(models[i], "large") ? zoo_program(models[i]) : large();
	for (uint32_t i = 0; i < sizeof(targets) / sizeof(*targets); i++)
		if (is_wanted(only, targets[i].sm))
			target(p, &targets[i], only && !strcmp(only, "all"));
	if (nvcc)
		canary();
	for (uint32_t i = 0; i < N_MODELS; i++)
		program_free(p[i]);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command) ? 1 : tap_done();
}
