// SPDX-License-Identifier: MIT
/*
 * Modules of the stand-in: shared objects for the host. What the stand-in's
 * compiler made is one; anything else is taken for the ahead-of-time build
 * for real GPUs, in whose place the same sources, built for the host, serve
 * (generic.so beside this library).
 *
 * Owns the modules. A module's functions live as long as it does.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/cuda/emu.h"
#include "tests/cuda/standin/image.h"
#include "tests/cuda/standin/standin.h"

#define PLAIN_SHARED	(48 << 10)

struct cu_module_opaque {
	void *lib;
	struct cu_function_opaque *functions;
};

/*
 * A file that the loader can open, as it opens nothing else; of a name that it
 * has not seen, as it goes by that.
 */
static void *open_image(const struct image_head *h)
{
	char path[] = "/tmp/braid-image-XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);
	const uint8_t *p = (const uint8_t *)(h + 1);
	uint64_t left = h->bytes;
	void *lib = NULL;

	while (fd >= 0 && left) {
		ssize_t n = write(fd, p, left);

		if (n <= 0)
			goto out;
		p += n;
		left -= n;
	}
	lib = fd < 0 ? NULL : dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!lib)
		fprintf(stderr, "stand-in driver: %s\n", dlerror());
out:
	if (fd >= 0) {
		close(fd);
		unlink(path);
	}
	return lib;
}

static void *open_generic(void)
{
	char path[PATH_MAX], *slash;
	Dl_info self;

	if (!dladdr((void *)open_generic, &self))
		return NULL;
	snprintf(path, sizeof(path), "%s", self.dli_fname);
	slash = strrchr(path, '/');
	snprintf(slash ? slash + 1 : path, slash ? sizeof(path) - (slash + 1 - path) : sizeof(path),
		 "generic.so");
	return dlopen(path, RTLD_NOW | RTLD_LOCAL);
}

API cu_result cuModuleLoadData(cu_module *out, const void *image)
{
	const struct image_head *h = image;
	cu_result res = si_check();
	cu_module m;

	if (res)
		return res;
	si_count(&si.say->modules, 1);
	si_count(&si.say->nice_loaded, standin_is_nice());
	m = calloc(1, sizeof(*m));
	if (!m)
		return CU_OUT_OF_MEMORY;
	m->lib = !memcmp(h->magic, IMAGE_MAGIC, sizeof(h->magic)) ? open_image(h) : open_generic();
	if (!m->lib) {
		free(m);
		return CU_INVALID_IMAGE;
	}
	*out = m;
	return CU_SUCCESS;
}

API cu_result cuModuleUnload(cu_module m)
{
	while (m->functions) {
		struct cu_function_opaque *f = m->functions;

		m->functions = f->next;
		free(f);
	}
	dlclose(m->lib);
	free(m);
	return CU_SUCCESS;
}

API cu_result cuModuleGetFunction(cu_function *out, cu_module m, const char *name)
{
	cu_result res = si_check();
	void *entry = NULL;
	cu_function f;

	if (res)
		return res;
	entry = dlsym(m->lib, name);
	if (!entry)
		return CU_NOT_FOUND;
	f = calloc(1, sizeof(*f));
	if (!f)
		return CU_OUT_OF_MEMORY;
	memcpy(&f->entry, &entry, sizeof(entry));
	f->shared_limit = PLAIN_SHARED;
	f->next = m->functions;
	m->functions = f;
	*out = f;
	return CU_SUCCESS;
}

API cu_result cuFuncSetAttribute(cu_function f, int attribute, int value)
{
	if (attribute == CU_FUNC_MAX_DYNAMIC)
		f->shared_limit = value;
	return si_check();
}

API cu_result cuFuncGetAttribute(int *value, int attribute, cu_function f)
{
	*value = attribute == CU_FUNC_REGISTERS ? 64 : 0;
	return si_check();
}

/* The arguments as one buffer, the way that tells their size. */
static bool args_of(void *const *extra, const void **args, size_t *bytes)
{
	if (!extra || extra[0] != CU_ARGS_POINTER || extra[2] != CU_ARGS_SIZE || extra[4])
		return false;
	*args = extra[1];
	*bytes = *(const size_t *)extra[3];
	return true;
}

cu_result call_make(struct call *c, const struct cu_kernel_node *p)
{
	const void *args;

	*c = (struct call){ .f = p->func, .grid = p->grid[0], .shared = p->shared_bytes };
	if (!p->func || !p->grid[0] || p->grid[1] != 1 || p->grid[2] != 1 || p->block[0] != 256 ||
	    p->block[1] != 1 || p->block[2] != 1 || p->params ||
	    !args_of(p->extra, &args, &c->args_bytes) ||
	    p->shared_bytes > (unsigned int)p->func->shared_limit) {
		si_misuse("a kernel is launched as it must not be");
		return INVALID_VALUE;
	}
	return call_copy(c, args);
}

/* Arguments in memory of their own, aligned as the device has them. */
cu_result call_copy(struct call *c, const void *args)
{
	c->args = aligned_alloc(64, (c->args_bytes + 64) / 64 * 64);
	if (!c->args)
		return CU_OUT_OF_MEMORY;
	memcpy(c->args, args, c->args_bytes);
	return CU_SUCCESS;
}

void call_run(const struct call *c, unsigned int *seed)
{
	uint64_t slow = si.say->slow_us;

	if (slow)
		usleep(rand_r(seed) % slow);
	emu_launch(c->f->entry, c->grid, c->shared, c->args, rand_r(seed));
}

void call_drop(struct call *c)
{
	free(c->args);
	c->args = NULL;
}

struct launch_work {
	struct work work;
	struct call call;
};

static void launch_run(struct work *w, unsigned int *seed)
{
	call_run(&((struct launch_work *)w)->call, seed);
}

static void launch_drop(struct work *w)
{
	call_drop(&((struct launch_work *)w)->call);
	free(w);
}

API cu_result cuLaunchKernel(cu_function f, unsigned int gx, unsigned int gy, unsigned int gz,
			     unsigned int bx, unsigned int by, unsigned int bz,
			     unsigned int shared, cu_stream s, void **params, void **extra)
{
	struct cu_kernel_node p = { .func = f, .grid = { gx, gy, gz }, .block = { bx, by, bz },
				    .shared_bytes = shared, .params = params, .extra = extra };
	cu_result res = si_check();
	struct launch_work *w;

	if (res)
		return res;
	si_count(&si.say->launches, 1);
	w = calloc(1, sizeof(*w));
	res = w ? call_make(&w->call, &p) : CU_OUT_OF_MEMORY;
	if (res) {
		free(w);
		return res;
	}
	w->work = (struct work){ .run = launch_run, .drop = launch_drop, .launch = true };
	return stream_put(s, &w->work);
}
