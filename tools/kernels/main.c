// SPDX-License-Identifier: MIT
/*
 * braid-kernels: compiles the kernels of models ahead, into a cache that the
 * agent then finds them in. Needs NVIDIA's run-time compiler, no GPU: a
 * machine that builds for others can do it, and an embedded one need not.
 */
#include <argp.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/cuda/kernel_build.h"
#include "agent/cuda/plan.h"
#include "agent/program/load.h"
#include "agent/program/program.h"

#define MAX_MODELS	256
#define MAX_THREADS	64
#define CACHE_BYTES	(16ull << 30)
#define ANY_DRIVER	99000	/* the newest compiler that is here */

static struct options {
	const char *cache, *models[MAX_MODELS];
	unsigned int n_models, sm, sms, threads, batch;
	unsigned int precision;
	bool list;
} o = { .sm = 90, .sms = 132, .batch = 1 };

static const struct argp_option options[] = {
	{ "cache", 'c', "DIR", 0, "where to put them (needed)", 0 },
	{ "sm", 's', "NN", 0, "architecture: 90 for sm_90 (90)", 0 },
	{ "multiprocessors", 'm', "N", 0, "that the GPU has, as tiles depend on it (132)", 0 },
	{ "threads", 't', "N", 0, "compilers at once (one a CPU)", 0 },
	{ "batch", 'b', "N", 0, "extent of a free leading dimension (1)", 0 },
	{ "precision", 'p', "WORD", 0, "auto, fp16 or fp32 (auto)", 0 },
	{ 0 }
};

static unsigned int number(struct argp_state *state, const char *option, const char *s,
			   unsigned long low, unsigned long high)
{
	unsigned long v;
	char *end;

	v = strtoul(s, &end, 10);
	if (*s < '0' || *s > '9' || *end || v < low || v > high)
		argp_error(state, "--%s %s: expected a number from %lu to %lu", option, s, low, high);
	return v;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case 'c':
		o.cache = arg;
		return 0;
	case 's':
		o.sm = number(state, "sm", arg, 80, 999);
		return 0;
	case 'm':
		o.sms = number(state, "multiprocessors", arg, 1, 1024);
		return 0;
	case 't':
		o.threads = number(state, "threads", arg, 0, MAX_THREADS);
		return 0;
	case 'b':
		o.batch = number(state, "batch", arg, 1, 1u << 20);
		return 0;
	case 'p':
		o.precision = !strcmp(arg, "fp16") ? 16 : !strcmp(arg, "fp32") ? 32 : 0;
		if (!o.precision && strcmp(arg, "auto"))
			argp_error(state, "--precision: auto, fp16 or fp32");
		return 0;
	case ARGP_KEY_ARG:
		if (o.n_models == MAX_MODELS)
			argp_error(state, "at most %d models", MAX_MODELS);
		o.models[o.n_models++] = arg;
		return 0;
	case ARGP_KEY_END:
		if (!o.cache || !*o.cache || !o.n_models)
			argp_error(state, "a cache and a model are needed");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	options, parse, "MODEL.onnx...",
	"Compile the kernels of models into a cache of braidd's (cache_dir), without a GPU.",
	NULL, NULL, NULL
};

/* Kernels to compile, each once; threads take them one by one. */
static struct {
	const struct gpu_kernel **list;
	unsigned int n;
	atomic_uint next, done, failed;
	struct nvrtc_api rt;
	struct cache *cache;
} all;

static void say(void *arg, const char *text)
{
	fprintf(stderr, "braid-kernels: %s\n", text);
}

static void compile(const struct gpu_kernel *k)
{
	const struct kernel_build b = { k->source, o.sm, all.rt.major, all.rt.minor };
	uint8_t key[CACHE_KEY_BYTES];
	struct cache_blob blob;
	char why[1024];
	void *image;
	size_t bytes;

	kernel_key(&b, key);
	if (!cache_get(all.cache, key, &blob)) {
		cache_release(&blob);
		return;
	}
	if (kernel_compile(&all.rt, k->name, k->source, o.sm, &image, &bytes, why, sizeof(why))) {
		atomic_fetch_add(&all.failed, 1);
		say(NULL, why);
		return;
	}
	cache_put(all.cache, key, image, bytes);
	free(image);
	atomic_fetch_add(&all.done, 1);
}

static void *work(void *arg)
{
	unsigned int i;

	while ((i = atomic_fetch_add(&all.next, 1)) < all.n)
		compile(all.list[i]);
	return NULL;
}

static bool is_listed(const struct gpu_kernel *k)
{
	for (unsigned int i = 0; i < all.n; i++)
		if (!strcmp(all.list[i]->name, k->name))
			return true;
	return false;
}

/* Plans stay: their strings are what is compiled. */
static int add_plan(const struct program *p, bool fp32, bool crowd, char *why, size_t len)
{
	struct gpu_options opt;
	struct gpu_tiles *tiles;
	struct gpu_plan *plan;
	void *list;
	int ret;

	ret = kernel_tiles(o.cache, o.sm, o.sms, crowd, &tiles, why, len);
	if (ret)
		say(NULL, why);
	kernel_options(&opt, o.sm, o.sms, fp32, crowd, tiles);
	ret = gpu_plan_make(p, &opt, &plan, why, len);
	gpu_tiles_free(tiles);
	if (ret)
		return ret;
	list = realloc(all.list, (all.n + plan->n_kernels + 1) * sizeof(*all.list));
	if (!list)
		return -ENOMEM;
	all.list = list;
	for (uint32_t i = 0; i < plan->n_kernels; i++)
		if (!is_listed(&plan->kernels[i]))
			all.list[all.n++] = &plan->kernels[i];
	return 0;
}

/* As the agent takes it. */
static bool is_fp32(const struct program *p)
{
	return o.precision ? o.precision == 32 : gpu_mode_auto(p) == GPU_FP32;
}

static int add_model(const char *path)
{
	const struct load_config lc = { .batch = o.batch, .passes = true };
	struct program *p = NULL;
	char why[512] = "no memory";
	int ret = program_load(path, &lc, &p, why, sizeof(why));
	bool fp32;

	/* It names the file. */
	if (ret) {
		say(NULL, why);
		return 1;
	}
	fp32 = is_fp32(p);
	ret = add_plan(p, fp32, false, why, sizeof(why));
	if (!ret && !fp32)
		ret = add_plan(p, false, true, why, sizeof(why));
	if (ret)
		fprintf(stderr, "braid-kernels: %s: %s\n", path, why);
	program_free(p);
	return ret != 0;
}

int main(int argc, char **argv)
{
	pthread_t threads[MAX_THREADS];
	unsigned int n = 0;
	char why[256];
	int bad = 0;

	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	if (!o.threads)
		o.threads = sysconf(_SC_NPROCESSORS_ONLN);
	if (nvrtc_load(&all.rt, ANY_DRIVER, why, sizeof(why))) {
		say(NULL, why);
		return 1;
	}
	all.cache = cache_open(o.cache, CACHE_BYTES, say, NULL);
	if (!cache_keeps(all.cache)) {
		fprintf(stderr, "braid-kernels: nothing can be kept in %s\n", o.cache);
		cache_close(all.cache);
		return 1;
	}
	for (unsigned int i = 0; i < o.n_models; i++)
		bad |= add_model(o.models[i]);
	while (n < o.threads && n < MAX_THREADS && !pthread_create(&threads[n], NULL, work, NULL))
		n++;
	while (n--)
		pthread_join(threads[n], NULL);
	printf("%u kernels for sm_%u: %u compiled, %u were there, %u failed\n", all.n, o.sm,
	       all.done, all.n - all.done - all.failed, all.failed);
	cache_close(all.cache);
	return bad || all.failed;
}
