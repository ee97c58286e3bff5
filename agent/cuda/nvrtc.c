// SPDX-License-Identifier: MIT
/*
 * Loading and calling NVIDIA's run-time compiler: see nvrtc.h. Keeps nothing.
 */
#include "agent/cuda/nvrtc.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NEWEST		13
#define OLDEST		12
#define MAX_HEADERS	32
#define MAX_OPTIONS	16
#define TOOLKIT		"/usr/local/cuda/lib64/"

static const struct {
	const char *name;
	size_t offset;
} symbols[] = {
	{ "nvrtcGetErrorString", offsetof(struct nvrtc_api, error_string) },
	{ "nvrtcVersion", offsetof(struct nvrtc_api, version) },
	{ "nvrtcCreateProgram", offsetof(struct nvrtc_api, program_new) },
	{ "nvrtcDestroyProgram", offsetof(struct nvrtc_api, program_free) },
	{ "nvrtcCompileProgram", offsetof(struct nvrtc_api, compile) },
	{ "nvrtcGetCUBINSize", offsetof(struct nvrtc_api, cubin_size) },
	{ "nvrtcGetCUBIN", offsetof(struct nvrtc_api, cubin) },
	{ "nvrtcGetProgramLogSize", offsetof(struct nvrtc_api, log_size) },
	{ "nvrtcGetProgramLog", offsetof(struct nvrtc_api, log) },
};

static bool fill(struct nvrtc_api *rt)
{
	for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
		void *p = dlsym(rt->lib, symbols[i].name);

		if (!p)
			return false;
		memcpy((char *)rt + symbols[i].offset, &p, sizeof(p));
	}
	return !rt->version(&rt->major, &rt->minor);
}

/* By name as the loader finds it, then where the toolkit puts it. */
static bool try(struct nvrtc_api *rt, int major)
{
	static const char *const dirs[] = { "", TOOLKIT };
	char name[128];

	for (int i = 0; i < 2; i++) {
		snprintf(name, sizeof(name), "%slibnvrtc.so.%d", dirs[i], major);
		rt->lib = dlopen(name, RTLD_NOW | RTLD_LOCAL);
		if (!rt->lib)
			continue;
		if (fill(rt))
			return true;
		dlclose(rt->lib);
		rt->lib = NULL;
	}
	return false;
}

int nvrtc_load(struct nvrtc_api *rt, int driver, char *why, size_t len)
{
	int newest = driver / 1000 < NEWEST ? driver / 1000 : NEWEST;

	memset(rt, 0, sizeof(*rt));
	for (int major = newest; major >= OLDEST; major--)
		if (try(rt, major))
			return 0;
	snprintf(why, len, "no run-time compiler: libnvrtc.so.%d is not to be found (nor in %s)",
		 newest, TOOLKIT);
	return -ENOENT;
}

/* The compiler's words, cut at what fits. */
static void tell(const struct nvrtc_api *rt, const struct nvrtc_job *job, nvrtc_program p, int res,
		 char *why, size_t len)
{
	size_t bytes = 0;
	char *log = NULL;

	if (!rt->log_size(p, &bytes) && bytes > 1)
		log = calloc(1, bytes + 1);
	if (log && rt->log(p, log))
		log[0] = 0;
	snprintf(why, len, "%s does not compile: %s%s%s", job->name, rt->error_string(res),
		 log && *log ? ": " : "", log ? log : "");
	free(log);
}

static int take(const struct nvrtc_api *rt, nvrtc_program p, void **image, size_t *bytes)
{
	int ret = -EIO;

	if (rt->cubin_size(p, bytes) || !*bytes)
		return -EIO;
	*image = malloc(*bytes);
	if (!*image)
		return -ENOMEM;
	if (!rt->cubin(p, *image))
		return 0;
	free(*image);
	*image = NULL;
	return ret;
}

int nvrtc_run(const struct nvrtc_api *rt, const struct nvrtc_job *job, void **image,
	      size_t *bytes, char *why, size_t len)
{
	const char *texts[MAX_HEADERS], *names[MAX_HEADERS], *options[MAX_OPTIONS];
	nvrtc_program p = NULL;
	char arch[40];
	int n = 0, res, ret;

	if (job->n_headers > MAX_HEADERS)
		return -EINVAL;
	for (unsigned int i = 0; i < job->n_headers; i++) {
		texts[i] = job->headers[i].text;
		names[i] = job->headers[i].name;
	}
	snprintf(arch, sizeof(arch), "--gpu-architecture=sm_%d", job->sm);
	options[n++] = arch;
	options[n++] = "--std=c++17";
	for (int i = 0; job->options && job->options[i] && n < MAX_OPTIONS; i++)
		options[n++] = job->options[i];
	res = rt->program_new(&p, job->source, job->name, job->n_headers, texts, names);
	if (res) {
		snprintf(why, len, "%s: %s", job->name, rt->error_string(res));
		return -EIO;
	}
	res = rt->compile(p, n, options);
	if (res) {
		tell(rt, job, p, res, why, len);
		ret = -EINVAL;
	} else {
		ret = take(rt, p, image, bytes);
		if (ret)
			snprintf(why, len, "%s: the compiler's result can't be had", job->name);
	}
	rt->program_free(&p);
	return ret;
}
