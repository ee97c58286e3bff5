// SPDX-License-Identifier: MIT
/*
 * Models that several threads load into the CUDA backend at once, on the stand-in
 * driver: read before there is a backend, loaded while others are given up, with the
 * cache empty and then full. tests/cuda/tsan.t runs this under ThreadSanitizer.
 */
#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/program/program.h"
#include "agent/runner/load.h"
#include "tests/tap.h"

#define EACH	3u		/* how often each model is loaded */

static const char *const names[] = { "tiny_mlp", "tiny_cnn", "lstm", "tiny_bert" };

#define MODELS	(sizeof(names) / sizeof(names[0]))

static char dir[] = "/tmp/braid-loading-XXXXXX";
static const struct backend_ops *const ops = &cuda_backend_ops;

static void put_in(struct loader *l, const char *name, unsigned int precision)
{
	struct load_job *job = calloc(1, sizeof(*job));

	snprintf(job->conf.name, sizeof(job->conf.name), "%s", name);
	snprintf(job->conf.path, sizeof(job->conf.path), "%s/%s.onnx", dir, name);
	job->conf.load.batch = 1;
	job->conf.load.passes = true;
	job->conf.precision = precision;
	loader_put(l, job);
}

static void put(struct loader *l, const char *name)
{
	put_in(l, name, 0);
}

static struct load_job *get(struct loader *l)
{
	struct pollfd p = { .fd = loader_fd(l), .events = POLLIN };
	struct load_job *job;

	while (!(job = loader_get(l)) && poll(&p, 1, 60000) > 0)
		;
	return job;
}

static void drop(struct backend *be, struct load_job *job)
{
	if (job->bm)
		ops->model_unload(be, job->bm);
	program_free(job->prog);
	free(job);
}

static unsigned int damaged;

static void say(void *arg, const char *text)
{
	damaged += strstr(text, "damaged") != NULL;
}

/* Plans whose weights came from the cache. */
static long long taken(struct backend *be)
{
	json_t *o = ops->about(be);
	long long n = json_integer_value(json_object_get(o, "weights_from_cache"));

	json_decref(o);
	return n;
}

static long long all_at_once(const char *what)
{
	const struct backend_config cfg = { .lanes = 4, .max_degree = 4, .cache_dir = dir,
					    .no_compiler = true, .say = say };
	long long from_cache;
	struct load_job *kept[EACH * MODELS];
	unsigned int n = 0, failed = 0, credits = 0;
	struct loader *l = loader_new(false);
	struct backend *be = NULL;
	char why[512] = "";
	uint64_t took = 0;

	for (size_t i = 0; i < MODELS; i++)
		put(l, names[i]);
	if (ops->open(&cfg, &be, why, sizeof(why))) {
		ok(false, "%s: the backend: %s", what, why);
		return -1;
	}
	loader_backend(l, ops, be);
	for (size_t i = MODELS; i < EACH * MODELS; i++)
		put(l, names[i % MODELS]);
	for (size_t i = 0; i < EACH * MODELS; i++) {
		struct load_job *job = get(l);

		if (!job || job->err) {
			diag("%s: %s", job ? job->conf.name : "?", job ? job->why : "no answer");
			failed++;
		}
		if (!job)
			break;
		took += job->read_ns && job->took.plan && job->took.lanes;
		if (i % 2) {
			drop(be, job);
			continue;
		}
		credits += job->bm && ops->credits(be, job->bm, true) > 0;
		kept[n++] = job;
	}
	is_int(failed, 0, "%s: all are loaded", what);
	is_int(credits, n, "%s: those that are kept can be launched", what);
	is_int(took, EACH * MODELS, "%s: and how long it took is known", what);
	while (n)
		drop(be, kept[--n]);
	loader_free(l);
	from_cache = taken(be);
	ops->close(be);
	return from_cache;
}

/* A byte of all that is kept of weights. */
static void damage(void)
{
	char text[256];

	snprintf(text, sizeof(text), "for f in %s/*.pack; do printf x | dd of=$f bs=1 seek=4100 conv=notrunc 2>/dev/null; done",
		 dir);
	ok(!system(text), "what is kept is damaged");
}

/* What a model says of its precision holds against the configuration's: here fp32. */
static void precisions(void)
{
	static const unsigned int said[][2] = { { 0, 32 }, { PRECISION_AUTO, 16 }, { 16, 16 } };
	const struct backend_config cfg = { .lanes = 1, .max_degree = 1, .no_compiler = true };
	struct loader *l = loader_new(32);
	struct backend *be = NULL;
	char why[512] = "";

	if (ops->open(&cfg, &be, why, sizeof(why))) {
		ok(false, "the backend: %s", why);
		return;
	}
	loader_backend(l, ops, be);
	for (size_t i = 0; i < 3; i++) {
		struct load_job *job;

		put_in(l, names[0], said[i][0]);
		job = get(l);
		is_int(job ? job->took.precision : 0, said[i][1], "told %u, where fp32 is the rule",
		       said[i][0]);
		if (job)
			drop(be, job);
	}
	loader_free(l);
	ops->close(be);
}

/* No backend comes: what was read is given up. */
static void no_backend(void)
{
	struct loader *l = loader_new(false);

	for (size_t i = 0; i < MODELS; i++)
		put(l, names[i]);
	usleep(20000);
	loader_free(l);
	ok(true, "without a backend loading ends when it is told to");
}

int main(int argc, char **argv)
{
	const char *top = getenv("O"), *path = getenv("LD_LIBRARY_PATH");
	char text[512];

	if (!top)
		top = "build";
	snprintf(text, sizeof(text), "%s/standin", top);
	if (!path || strcmp(path, text)) {
		setenv("LD_LIBRARY_PATH", text, 1);
		execv("/proc/self/exe", argv);
	}
	if (!mkdtemp(dir))
		return 2;
	for (size_t i = 0; i < MODELS; i++) {
		snprintf(text, sizeof(text), "%s/braid-zoo %s -o %s/%s.onnx", top, names[i], dir, names[i]);
		if (system(text))
			return 2;
	}
	all_at_once("first");
	is_int(all_at_once("with what was kept"), 2 * EACH * MODELS, "no weights are packed again");
	is_int(damaged, 0, "all of it is good");
	damage();
	ok(all_at_once("with what is damaged") < 2 * EACH * MODELS, "weights are packed again");
	is_int(damaged, 1, "which is said");
	is_int(all_at_once("after that"), 2 * EACH * MODELS, "and kept again");
	precisions();
	no_backend();
	snprintf(text, sizeof(text), "rm -rf %s", dir);
	return system(text) ? 2 : tap_done();
}
