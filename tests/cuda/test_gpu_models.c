// SPDX-License-Identifier: MIT
/*
 * Small models of every family through plan and emulated kernels, in fp16 and
 * fp32, merged at several degrees: see gpu_check.h. Then small models of the
 * zoo.
 *
 * BRAID_GPU_DEGREES=1,2,3,8 chooses the degrees, BRAID_GPU_ZOO=name,... models.
 * The first argument is the one model to run.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/program/program.h"
#include "tests/cuda/gpu_check.h"
#include "tests/cuda/zoo_program.h"
#include "tests/onnx/case.h"
#include "tests/tap.h"
#include "tools/zoo/models.h"

#define FOLDER		"tests/data/families"
#define MAX_DEGREE	8

static const struct mode {
	const char *name;
	enum gpu_mode mode;
	double most;
} modes[] = {
	{ "fp32", GPU_FP32, 1e-4 },
	{ "fp16", GPU_FP16, 1e-2 },
};
static const struct mode *mode;
static uint32_t degrees[8], n_degrees;

static int eval(const struct program *p, const void *const *in, void *const *out,
		char *why, size_t len)
{
	struct gpu_check how = {
		.opt = { .mode = mode->mode, .sm = 90 }, .most = mode->most,
		.degrees = degrees, .n_degrees = n_degrees,
	};

	return gpu_check(p, in, out, &how, why, len);
}

/* Models of the zoo, with commas between them. */
static void zoo(const char *names)
{
	while (*names) {
		size_t len = strcspn(names, ",");
		char name[64], why[512] = "";
		struct program *p;

		snprintf(name, sizeof(name), "%.*s", (int)len, names);
		p = zoo_program(name);
		for (size_t m = 0; m < sizeof(modes) / sizeof(*modes); m++) {
			mode = &modes[m];
			if (!ok(p && !eval(p, NULL, NULL, why, sizeof(why)), "%s of the zoo in %s", name,
				mode->name))
				diag("%s", why);
		}
		program_free(p);
		names += len + (names[len] == ',');
	}
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_case(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

int main(int argc, char **argv)
{
	const struct case_how how = { .rule = CASE_BY_L2, .eval = eval };
	const char *list = getenv("BRAID_GPU_DEGREES");
	struct dirent **names;
	int n = scandir(FOLDER, &names, is_case, by_name);

	for (const char *s = list ? list : "1,3"; *s && n_degrees < 8; s += strspn(s, ",")) {
		char *end;
		unsigned long d = strtoul(s, &end, 10);

		if (d >= 1 && d <= MAX_DEGREE)
			degrees[n_degrees++] = (uint32_t)d;
		s = end > s ? end : s + 1;
	}
	ok(n > 10 && n_degrees, "there are models in " FOLDER);
	for (int i = 0; i < n && n_degrees; i++) {
		struct case_result r;
		char path[512];

		for (size_t m = 0; m < sizeof(modes) / sizeof(*modes); m++) {
			mode = &modes[m];
			snprintf(path, sizeof(path), FOLDER "/%s", names[i]->d_name);
			if (argc > 1 && strcmp(argv[1], names[i]->d_name))
				continue;
			case_run(path, &how, &r);
			if (!ok(r.verdict == CASE_PASSED, "%s in %s", names[i]->d_name, mode->name))
				diag("%s", r.why);
		}
		free(names[i]);
	}
	if (n >= 0)
		free(names);
	if (argc < 2)
		zoo(getenv("BRAID_GPU_ZOO") ?: "tiny_cnn,tiny_mlp,tiny_bert,lstm,gru");
	else if (zoo_find(argv[1]))
		zoo(argv[1]);
	return tap_done();
}
