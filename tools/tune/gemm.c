// SPDX-License-Identifier: MIT
/*
 * braid-tune gemm: large products as merged requests make them, beside cuBLAS on
 * the same buffers, if it is to be found (BRAID_CUBLAS=PATH: there). Its results
 * must be ours. -a: with every tile that may be, not just the one that is taken.
 */
#include "tools/tune/tune.h"

#include <dlfcn.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agent/lower/tiles.h"
#include "agent/program/build.h"
#include "agent/program/program.h"
#include "kernels/conv_args.h"

#define REPEAT		20
#define WORKSPACE	(64u << 20)

/* cublas_api.h's numbers. */
#define OP_N		0
#define OP_T		1
#define R_16F		2
#define COMPUTE_32F	68
#define GEMM_DEFAULT	(-1)

struct cublas {
	void *lib, *handle;
	int (*create)(void **handle);
	int (*set_stream)(void *handle, cu_stream s);
	int (*set_workspace)(void *handle, void *at, size_t bytes);
	int (*gemm)(void *handle, int ta, int tb, int m, int n, int k, const void *alpha, const void *a,
		    int type_a, int lda, const void *b, int type_b, int ldb, const void *beta, void *c,
		    int type_c, int ldc, int compute, int algo);
};

/* Rows of a request, requests, columns, depth. */
static const struct product {
	const char *what;
	uint32_t rows, degree, n, k;
} products[] = {
	{ "square", 4096, 1, 4096, 4096 },
	{ "bert_6x384, intermediate", 128, 32, 1536, 384 },
	{ "bert_6x384, output", 128, 32, 384, 1536 },
	{ "bert base, intermediate", 128, 32, 3072, 768 },
	{ "resnet50, layer3, 1x1 up", 196, 32, 1024, 256 },
	{ "resnet50, layer4, 1x1 down", 49, 32, 512, 2048 },
};

static bool cublas_open(struct gpu *g, struct cublas *c)
{
	static const char *const names[] = {
		"libcublas.so.13", "libcublas.so.12", "/usr/local/cuda/lib64/libcublas.so",
	};
	const char *path = getenv("BRAID_CUBLAS");
	cu_ptr room;

	memset(c, 0, sizeof(*c));
	if (path && *path)
		c->lib = dlopen(path, RTLD_NOW);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names) && !c->lib; i++)
		c->lib = dlopen(names[i], RTLD_NOW);
	if (!c->lib)
		return false;
	*(void **)&c->create = dlsym(c->lib, "cublasCreate_v2");
	*(void **)&c->set_stream = dlsym(c->lib, "cublasSetStream_v2");
	*(void **)&c->set_workspace = dlsym(c->lib, "cublasSetWorkspace_v2");
	*(void **)&c->gemm = dlsym(c->lib, "cublasGemmEx");
	if (!c->create || !c->set_stream || !c->set_workspace || !c->gemm || c->create(&c->handle))
		return false;
	gpu_die(g, g->cu.mem_alloc(&room, WORKSPACE), "memory");
	return !c->set_stream(c->handle, g->stream) &&
	       !c->set_workspace(c->handle, (void *)(uintptr_t)room, WORKSPACE);
}

static uint32_t noise(struct build *b, uint32_t rank, const int64_t *dims, double depth, uint64_t seed)
{
	void *data = NULL;
	uint32_t t = build_const_new(b, BRAID_TYPE_F32, rank, dims, &data);

	for (int64_t i = 0; data && i < build_t(b, t)->elems; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		((float *)data)[i] = (float)(((double)(seed >> 40) / (1 << 23) - 1.0) / sqrt(depth));
	}
	return t;
}

static uint32_t gemm(struct build *b, uint32_t x, int64_t rows, int64_t n, int64_t k)
{
	const int64_t w[2] = { n, k }, y[2] = { rows, n };
	const uint32_t in[2] = { x, noise(b, 2, w, (double)k, (uint64_t)(n + k)) };
	struct prog_op *op = build_op(b, PROG_GEMM, 2, in, 1);

	op->params.gemm.trans_b = true;
	op->params.gemm.alpha = 1.0f;
	return build_set_out(b, op, 0, BRAID_TYPE_F32, 2, y);
}

/* The product, and a narrow one behind it, so that its result stays in the arena. */
static struct program *program_of(const struct product *p)
{
	const int64_t x[2] = { p->rows, p->k };
	struct build *b = build_new();
	struct program *prog = NULL;
	uint32_t t;

	if (!b)
		return NULL;
	t = gemm(b, build_input(b, "x", BRAID_TYPE_F32, 2, x), p->rows, p->n, p->k);
	build_output(b, "y", gemm(b, t, p->rows, 8, p->n));
	if (build_finish(b, &prog))
		fprintf(stderr, "%s: %s\n", p->what, b->why);
	build_free(b);
	return prog;
}

static void fill(struct lane *l, const struct product *p)
{
	size_t n = (size_t)p->rows * p->k;
	float *x = malloc(n * sizeof(*x));
	uint64_t seed = 3;

	for (uint32_t r = 0; x && r < p->degree; r++) {
		for (size_t i = 0; i < n; i++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			x[i] = (float)(seed >> 40) / (float)(1 << 23) - 1.0f;
		}
		lane_input(l, r, 0, x);
	}
	free(x);
}

static float half_value(uint16_t h)
{
	float v = ldexpf((float)(h & 0x3ff) + (h & 0x7c00 ? 1024.0f : 0.0f), (h >> 10 & 31 ?: 1) - 25);

	return h & 0x8000 ? -v : v;
}

static uint16_t *result(struct gpu *g, const struct k_conv *a, size_t *n)
{
	uint16_t *y;

	*n = (size_t)a->m * a->s.ldy;
	y = malloc(*n * sizeof(*y));
	if (y)
		gpu_die(g, g->cu.copy_from(y, a->y.at + a->y.off, *n * sizeof(*y)), "result");
	return y;
}

static double apart(const uint16_t *a, const uint16_t *b, size_t n)
{
	double off = 0, all = 1e-30;

	for (size_t i = 0; i < n; i++) {
		double x = half_value(a[i]), y = half_value(b[i]);

		off += (x - y) * (x - y);
		all += y * y;
	}
	return sqrt(off / all);
}

/* Row-major y = x w^T is column-major y^T = w x^T. */
static double time_cublas(struct gpu *g, struct cublas *c, const struct k_conv *a)
{
	const float one = 1, none = 0;
	cu_graph graph;
	cu_exec e;
	double us;
	int bad = 0;

	for (int captured = 0; captured < 2; captured++) {
		if (captured)
			gpu_die(g, g->begin_capture(g->stream, 2), "capture");
		for (int i = 0; i < (captured ? REPEAT : 1); i++)
			bad |= c->gemm(c->handle, OP_T, OP_N, (int)a->s.n, (int)a->m, (int)a->s.k, &one,
				       (void *)(uintptr_t)a->w, R_16F, (int)a->s.ldw,
				       (void *)(uintptr_t)(a->x.at + a->x.off), R_16F, (int)a->s.ldx, &none,
				       (void *)(uintptr_t)(a->y.at + a->y.off), R_16F, (int)a->s.ldy,
				       COMPUTE_32F, GEMM_DEFAULT);
		if (!captured)
			gpu_die(g, g->cu.stream_synchronize(g->stream), "cuBLAS");
	}
	gpu_die(g, g->end_capture(g->stream, &graph), "capture");
	if (bad) {
		fprintf(stderr, "cuBLAS does not take it: %d\n", bad);
		return NAN;
	}
	gpu_die(g, g->cu.graph_instantiate(&e, graph, 0), "graph");
	us = gpu_time(g, e, 1) / REPEAT;
	g->cu.exec_free(e);
	g->cu.graph_free(graph);
	return us;
}

/* The step of the first product; its launch is left in @launch. */
static uint32_t step_of(struct lane *l, uint32_t degree, struct gpu_launch *launch)
{
	const struct gpu_addresses at = {
		.weights = l->image, .arena = l->arena, .scratch = l->scratch, .io = l->table,
	};
	uint32_t s = 0;

	do
		gpu_step_bind(l->plan, s, degree, &at, launch);
	while (strcmp(l->plan->kernels[launch->kernel].args, "k_conv") && ++s < l->plan->n_steps);
	return s;
}

/* By the tile that is taken, or as @tiles say. */
static int one(struct gpu *g, struct cublas *c, const struct product *p, const struct gpu_tiles *tiles)
{
	const struct gpu_options opt = {
		.mode = GPU_FP16, .sm = g->sm, .n_sms = g->n_sms, .degrees = &p->degree, .n_degrees = 1,
		.tiles = tiles,
	};
	double flops = 2.0 * p->rows * p->degree * p->n * p->k, us, theirs, off;
	struct program *prog = program_of(p);
	struct gpu_launch launch;
	const struct k_conv *a = (const struct k_conv *)launch.args;
	uint16_t *mine, *other;
	const char *call;
	struct gpu_plan *plan;
	struct lane *l;
	char why[512];
	uint32_t step;
	size_t n;
	cu_exec e;
	int bad = 0;

	if (!prog || gpu_plan_make(prog, &opt, &plan, why, sizeof(why)) || gpu_compile(g, &plan, NULL, 1))
		return 1;
	l = lane_new(g, prog, plan, p->degree, NULL);
	fill(l, p);
	step = step_of(l, p->degree, &launch);
	e = lane_graph(l, p->degree, 0, plan->n_steps - 1, 1, ORDER_GRAPH);
	gpu_time(g, e, 1);
	g->cu.exec_free(e);
	mine = result(g, a, &n);
	e = lane_graph(l, p->degree, step, step, REPEAT, ORDER_CHAIN);
	us = gpu_time(g, e, 1) / REPEAT;
	g->cu.exec_free(e);
	printf("gemm %u %u %u braid %.1f us %.0f TFLOP/s", p->rows * p->degree, p->n, p->k, us,
	       flops / us / 1e6);
	if (c) {
		theirs = time_cublas(g, c, a);
		other = result(g, a, &n);
		off = mine && other ? apart(mine, other, n) : NAN;
		bad = !(off < 2e-3);
		printf(" cublas %.1f us %.0f TFLOP/s ratio %.2f apart %.1e%s", theirs, flops / theirs / 1e6,
		       theirs / us, off, bad ? " WRONG" : "");
		free(other);
	}
	call = plan->kernels[launch.kernel].call;
	printf(" (%s, %.*s in %u)\n", p->what, (int)strcspn(call, "("), call, a->split);
	fflush(stdout);
	free(mine);
	lane_free(l);
	gpu_plan_free(plan);
	program_free(prog);
	return bad;
}

/* Every tile, whole depth and two halves of it. */
static int each_tile(struct gpu *g, const struct product *p)
{
	const struct gpu_options opt = { .sm = g->sm, .n_sms = g->n_sms };
	const struct tile_shape s = { .m = p->rows * p->degree, .n = p->n, .k = p->k, .groups = 1 };
	int bad = 0;

	for (uint32_t t = 0; t < n_tile_infos; t++)
		for (uint32_t split = 1; split <= 2; split++) {
			struct tile_row row = { .choice = { t, split } };
			const struct gpu_tiles tiles = { &row, 1 };

			if (tile_infos[t].bm * tile_infos[t].bn >= 64 * 128 && tile_fits(&opt, &s, &row.choice))
				bad |= one(g, NULL, p, &tiles);
		}
	return bad;
}

int cmd_gemm(struct gpu *g, const struct run_options *o, int argc, char **argv)
{
	struct cublas c;
	bool has = cublas_open(g, &c);
	int bad = 0;

	if (!has)
		printf("there is no cuBLAS to compare with\n");
	for (size_t i = 0; i < sizeof(products) / sizeof(*products); i++)
		bad |= one(g, has ? &c : NULL, &products[i], NULL);
	for (size_t i = 0; i < sizeof(products) / sizeof(*products) && o->all; i++)
		bad |= each_tile(g, &products[i]);
	return bad;
}
