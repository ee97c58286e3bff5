// SPDX-License-Identifier: MIT
/*
 * A stand-in for NVIDIA's run-time compiler: the host's C++ compiler makes a
 * shared object of a source, for the stand-in driver to load.
 *
 * The headers that are handed over are written out and come first, so that one
 * that the agent forgot to embed is found missing here; only what the emulator
 * adds comes from the tree. BRAID_STANDIN_CXX is the compiler (c++).
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/cuda/standin/control.h"
#include "tests/cuda/standin/image.h"

/* Found by name, so nobody declares them. */
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#define API __attribute__((visibility("default")))

#define OUT_OF_MEMORY		1
#define INVALID_INPUT		3
#define INVALID_OPTION		5
#define COMPILATION		6

struct nvrtc_program_opaque {
	char dir[64];
	char *log;
	uint8_t *image;
	size_t bytes;
};

typedef struct nvrtc_program_opaque *nvrtc_program;

static struct standin *control(void)
{
	static struct standin *page, plain;
	const char *path = getenv(STANDIN_ENV);
	void *p = MAP_FAILED;
	int fd;

	if (page)
		return page;
	fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	if (fd >= 0) {
		p = mmap(NULL, sizeof(struct standin), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		close(fd);
	}
	page = p == MAP_FAILED ? &plain : p;
	return page;
}

API const char *nvrtcGetErrorString(int res)
{
	return res == COMPILATION ? "NVRTC_ERROR_COMPILATION" : "NVRTC_ERROR";
}

API int nvrtcVersion(int *major, int *minor)
{
	*major = 13;
	*minor = 0;
	return 0;
}

static int put_file(const char *dir, const char *name, const char *text)
{
	char path[PATH_MAX];
	FILE *f;
	int bad;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "we");
	if (!f)
		return -errno;
	bad = fputs(text, f) < 0;
	return fclose(f) || bad ? -EIO : 0;
}

API int nvrtcCreateProgram(nvrtc_program *out, const char *source, const char *name, int n_headers,
			   const char *const *headers, const char *const *names)
{
	nvrtc_program p = calloc(1, sizeof(*p));
	int bad;

	if (!p)
		return OUT_OF_MEMORY;
	/* A process that is killed leaves it: a test that kills sets TMPDIR to what it removes. */
	bad = snprintf(p->dir, sizeof(p->dir), "%s/braid-nvrtc-XXXXXX", getenv("TMPDIR") ?: "/tmp") >=
	      (int)sizeof(p->dir);
	if (bad || !mkdtemp(p->dir)) {
		free(p);
		return OUT_OF_MEMORY;
	}
	bad = put_file(p->dir, "source.cc", source);
	for (int i = 0; i < n_headers; i++)
		bad |= strchr(names[i], '/') || put_file(p->dir, names[i], headers[i]);
	*out = p;
	return bad ? INVALID_INPUT : 0;
}

static void remove_dir(const char *dir)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	if (system(command))
		fprintf(stderr, "stand-in compiler: %s stays\n", dir);
}

API int nvrtcDestroyProgram(nvrtc_program *p)
{
	remove_dir((*p)->dir);
	free((*p)->log);
	free((*p)->image);
	free(*p);
	*p = NULL;
	return 0;
}

/* A file as a whole, with room for @head bytes before it. */
static uint8_t *slurp(const char *dir, const char *name, size_t head, size_t *bytes)
{
	char path[PATH_MAX];
	uint8_t *p = NULL;
	struct stat st;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "re");
	if (!f)
		return NULL;
	if (!fstat(fileno(f), &st)) {
		p = calloc(1, head + st.st_size + 1);
		if (p && fread(p + head, 1, st.st_size, f) != (size_t)st.st_size) {
			free(p);
			p = NULL;
		}
		*bytes = st.st_size;
	}
	fclose(f);
	return p;
}

static bool options_are_good(int n, const char *const *options)
{
	bool arch = false, std = false;

	for (int i = 0; i < n; i++) {
		arch |= !strncmp(options[i], "--gpu-architecture=sm_", 22);
		std |= !strcmp(options[i], "--std=c++17");
	}
	return arch && std;
}

API int nvrtcCompileProgram(nvrtc_program p, int n, const char *const *options)
{
	struct standin *say = control();
	const char *cxx = getenv("BRAID_STANDIN_CXX");
	uint64_t left = say->fail_compile;
	struct image_head head = { .magic = IMAGE_MAGIC };
	char command[1024];
	size_t bytes;

	atomic_fetch_add(&say->compiled, 1);
	atomic_fetch_add(&say->nice_compiled, standin_is_nice());
	usleep(say->compile_ms * 1000);
	if (!options_are_good(n, options))
		return INVALID_OPTION;
	while (left && !atomic_compare_exchange_weak(&say->fail_compile, &left, left - 1))
		;
	if (left == 1) {
		p->log = strdup("source.cc(1): error: told to fail\n");
		return COMPILATION;
	}
	snprintf(command, sizeof(command),
		 "cd %s && %s -std=c++17 -O1 -fPIC -shared -w -DBRAID_EMULATE -fvisibility=hidden "
		 "-I. -I%s/kernels -o image.so source.cc 2>log", p->dir, cxx ? cxx : "c++",
		 STANDIN_TOP);
	if (system(command)) {
		p->log = (char *)slurp(p->dir, "log", 0, &bytes);
		return COMPILATION;
	}
	p->image = slurp(p->dir, "image.so", sizeof(head), &bytes);
	if (!p->image)
		return OUT_OF_MEMORY;
	head.bytes = bytes;
	memcpy(p->image, &head, sizeof(head));
	p->bytes = sizeof(head) + bytes;
	return 0;
}

API int nvrtcGetCUBINSize(nvrtc_program p, size_t *bytes)
{
	*bytes = p->bytes;
	return 0;
}

API int nvrtcGetCUBIN(nvrtc_program p, char *to)
{
	memcpy(to, p->image, p->bytes);
	return 0;
}

API int nvrtcGetProgramLogSize(nvrtc_program p, size_t *bytes)
{
	*bytes = p->log ? strlen(p->log) + 1 : 1;
	return 0;
}

API int nvrtcGetProgramLog(nvrtc_program p, char *to)
{
	strcpy(to, p->log ? p->log : "");
	return 0;
}
