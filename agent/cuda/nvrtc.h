/* SPDX-License-Identifier: MIT */
/*
 * NVIDIA's run-time compiler, loaded when it is there.
 *
 * Not needed where all kernels are in the cache: without it the kernels that
 * were compiled ahead of time serve. The table is filled once and only read
 * afterwards; compiling is thread-safe.
 */
#ifndef BRAID_AGENT_CUDA_NVRTC_H
#define BRAID_AGENT_CUDA_NVRTC_H

#include <stddef.h>
#include <stdint.h>

typedef struct nvrtc_program_opaque *nvrtc_program;

/**
 * struct nvrtc_api - functions of the compiler
 * @lib: the library, NULL when there is none
 * @major: version
 * @minor: version
 */
struct nvrtc_api {
	void *lib;
	int major, minor;

	const char *(*error_string)(int res);
	int (*version)(int *major, int *minor);
	int (*program_new)(nvrtc_program *p, const char *source, const char *name, int n_headers,
			   const char *const *headers, const char *const *names);
	int (*program_free)(nvrtc_program *p);
	int (*compile)(nvrtc_program p, int n, const char *const *options);
	int (*cubin_size)(nvrtc_program p, size_t *bytes);
	int (*cubin)(nvrtc_program p, char *to);
	int (*log_size)(nvrtc_program p, size_t *bytes);
	int (*log)(nvrtc_program p, char *to);
};

/**
 * struct nvrtc_header - a file that sources may include
 * @name: as it is included
 * @text: what it holds
 */
struct nvrtc_header {
	const char *name, *text;
};

/**
 * struct nvrtc_job - something to compile
 * @name: for messages
 * @source: CUDA C++; entries are extern "C"
 * @headers: what it may include, @n_headers of them
 * @sm: architecture, 90 for sm_90
 * @options: further options, NULL at the end; may be NULL
 */
struct nvrtc_job {
	const char *name, *source;
	const struct nvrtc_header *headers;
	unsigned int n_headers;
	int sm;
	const char *const *options;
};

/**
 * nvrtc_load() - look for the compiler
 * @rt: filled in
 * @driver: version of CUDA that the driver supports: code of a newer compiler
 *          than that may not load
 * @why: words on failure
 * @len: size of @why
 *
 * Return: 0, -ENOENT: there is none.
 */
int nvrtc_load(struct nvrtc_api *rt, int driver, char *why, size_t len);

/**
 * nvrtc_run() - compile
 * @rt: the compiler
 * @job: what
 * @image: from malloc(), a cubin
 * @bytes: its size
 * @why: words on failure, the first lines of the compiler's
 * @len: size of @why
 *
 * Return: 0, -ENOMEM, -EINVAL: it does not compile, -EIO.
 */
int nvrtc_run(const struct nvrtc_api *rt, const struct nvrtc_job *job, void **image,
	      size_t *bytes, char *why, size_t len);

#endif
