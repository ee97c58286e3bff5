// SPDX-License-Identifier: MIT
/*
 * Kernels by name, shared by all models: see cuda.h.
 *
 * A kernel runs as soon as there is any code for it: its own from the cache,
 * else the generic one that was compiled with Braid and takes the shapes at run
 * time, else one compiled while the model's loader waits. What is not
 * specialised yet is compiled by threads; chores.c then puts it into graphs.
 * One that is wanted for a graph of several models has no code until a thread
 * has compiled it; compose.c waits.
 *
 * The mutex protects the list, users and the queue of sources to compile; a
 * kernel's strings do not change, its code and the counts are atomic.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "agent/cuda/cuda.h"
#include "agent/cuda/kernel_build.h"

#define SHARED_PLAIN	(48 << 10)
#define MAX_THREADS	16u
/*
 * Nobody waits for what the threads compile. At the priority of those who serve they would
 * make these wait for a whole turn of the scheduler where CPUs are short.
 */
#define COMPILE_NICE	10	/* more than the agent itself */
#define TELL_EACH	16u	/* kernels, till graphs are made anew */

/* Compilers whose code is looked for in the cache when none is here. */
static const struct { int major, minor; } compilers[] = {
	{ 13, 3 }, { 13, 2 }, { 13, 1 }, { 13, 0 },
	{ 12, 9 }, { 12, 8 }, { 12, 6 }, { 12, 5 }, { 12, 4 }, { 12, 3 }, { 12, 2 },
};

struct kernels {
	struct device *dev;
	struct cache *cache;
	struct chores *chores;
	struct chore *better;
	void (*say)(void *arg, const char *text);
	void *arg;
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct kernel *all, *first, **end;
	pthread_t threads[MAX_THREADS];
	unsigned int n_threads, finished;
	int nice;			/* the agent's own */
	atomic_uint pending, compiled;
	bool stop, told;
	cu_module generic;
};

/* ---- code ---- */

static void key_of(const struct kernels *ks, const struct kernel *k, int major, int minor,
		   uint8_t key[CACHE_KEY_BYTES])
{
	const struct kernel_build b = { k->source, ks->dev->sm, major, minor };

	kernel_key(&b, key);
}

/*
 * An entry of a module. How much shared memory a launch of it takes is the
 * plan's, and differs from plan to plan: it may have all that there is.
 */
static int entry(const struct kernels *ks, cu_module m, const char *name, cu_function *f,
		 char *why, size_t len)
{
	const struct cu_api *cu = &ks->dev->cu;
	cu_result res = cu->module_function(f, m, name);

	if (!res && ks->dev->shared_most > SHARED_PLAIN)
		res = cu->func_set(*f, CU_FUNC_MAX_DYNAMIC, ks->dev->shared_most);
	return res ? cu_fail(cu, res, name, why, len) : 0;
}

/* Code of its own from here on. */
static int adopt(struct kernels *ks, struct kernel *k, const void *image, char *why, size_t len)
{
	const struct cu_api *cu = &ks->dev->cu;
	cu_module m = NULL;
	cu_function f;
	cu_result res;
	int ret;

	res = cu->module_load(&m, image);
	if (res)
		return cu_fail(cu, res, k->name, why, len);
	ret = entry(ks, m, k->name, &f, why, len);
	if (ret) {
		cu->module_free(m);
		return ret;
	}
	k->module = m;
	atomic_store_explicit(&k->code, f, memory_order_release);
	atomic_store(&k->best, true);
	return 0;
}

static int from_cache_of(struct kernels *ks, struct kernel *k, int major, int minor)
{
	uint8_t key[CACHE_KEY_BYTES];
	struct cache_blob blob;
	char why[256];
	int ret;

	key_of(ks, k, major, minor, key);
	ret = cache_get(ks->cache, key, &blob);
	if (ret)
		return ret;
	ret = adopt(ks, k, blob.data, why, sizeof(why));
	cache_release(&blob);
	return ret;
}

static int from_cache(struct kernels *ks, struct kernel *k)
{
	const struct nvrtc_api *rt = &ks->dev->rt;

	if (rt->lib)
		return from_cache_of(ks, k, rt->major, rt->minor);
	for (size_t i = 0; i < sizeof(compilers) / sizeof(compilers[0]); i++)
		if (!from_cache_of(ks, k, compilers[i].major, compilers[i].minor))
			return 0;
	return -ENOENT;
}

/*
 * This thread's priority, its own alone on Linux. It is raised again for the driver, as
 * launches wait for its locks; which may be refused to an agent without rights.
 */
static void be_nice(const struct kernels *ks, int more)
{
	setpriority(PRIO_PROCESS, 0, ks->nice + more);
}

static int compile(struct kernels *ks, struct kernel *k, bool waited_for, char *why, size_t len)
{
	const struct nvrtc_api *rt = &ks->dev->rt;
	uint8_t key[CACHE_KEY_BYTES];
	void *image = NULL;
	size_t bytes;
	int ret;

	if (!rt->lib) {
		snprintf(why, len, "%s must be compiled: %s", k->name, ks->dev->no_rt);
		return -ENOENT;
	}
	if (!waited_for)
		be_nice(ks, COMPILE_NICE);
	ret = kernel_compile(rt, k->name, k->source, ks->dev->sm, &image, &bytes, why, len);
	if (!waited_for)
		be_nice(ks, 0);
	if (ret)
		return ret;
	ret = adopt(ks, k, image, why, len);
	if (!ret) {
		key_of(ks, k, rt->major, rt->minor, key);
		cache_put(ks->cache, key, image, bytes);
	}
	free(image);
	return ret;
}

static int from_generic(struct kernels *ks, struct kernel *k, char *why, size_t len)
{
	cu_function f;
	int ret;

	if (!ks->generic || !k->generic)
		return -ENOENT;
	ret = entry(ks, ks->generic, k->generic, &f, why, len);
	if (ret)
		return ret;
	atomic_store_explicit(&k->code, f, memory_order_release);
	if (!k->specialised)
		atomic_store(&k->best, true);
	return 0;
}

/* ---- compilers ---- */

/* One that is on no list. */
static void release(struct kernels *ks, struct kernel *k)
{
	if (k->module)
		ks->dev->cu.module_free(k->module);
	free(k->name);
	free(k->source);
	free(k->generic);
	free(k);
}

/* Under the lock, which is not held while the driver works: release() it after. */
static void take_off(struct kernels *ks, struct kernel *k)
{
	struct kernel **at = &ks->all;

	while (*at && *at != k)
		at = &(*at)->next;
	if (*at)
		*at = k->next;
}

static void compile_one(struct kernels *ks, struct kernel *k)
{
	char why[1024];
	int ret = compile(ks, k, false, why, sizeof(why));

	if (!ret)
		return;
	k->failed = true;
	atomic_store(&k->best, true);	/* as good as it gets */
	pthread_mutex_lock(&ks->lock);
	if (!ks->told && ks->say)
		ks->say(ks->arg, why);
	ks->told = true;
	pthread_mutex_unlock(&ks->lock);
}

static void *work(void *arg)
{
	struct kernels *ks = arg;
	bool tell;

	pthread_setname_np(pthread_self(), "braid-compile");
	gpu_enter(ks->dev);
	pthread_mutex_lock(&ks->lock);
	while (!ks->stop) {
		struct kernel *k = ks->first;

		if (!k) {
			pthread_cond_wait(&ks->more, &ks->lock);
			continue;
		}
		ks->first = k->next_job;
		if (!ks->first)
			ks->end = &ks->first;
		if (k->users) {
			pthread_mutex_unlock(&ks->lock);
			compile_one(ks, k);
			pthread_mutex_lock(&ks->lock);
			ks->compiled += !k->failed;
		}
		k->queued = false;
		ks->pending--;
		tell = !ks->pending || ++ks->finished % TELL_EACH == 0;
		if (k->users)
			k = NULL;
		else
			take_off(ks, k);
		pthread_mutex_unlock(&ks->lock);
		if (k)
			release(ks, k);
		if (tell && ks->better)
			chores_put(ks->chores, ks->better);
		pthread_mutex_lock(&ks->lock);
	}
	pthread_mutex_unlock(&ks->lock);
	return NULL;
}

/* ---- the store ---- */

static void load_generic(struct kernels *ks)
{
	const void *image;
	size_t bytes = 0;
	cu_result res;
	char text[256];

	image = gpu_generic_image(&bytes);
	res = ks->dev->cu.module_load(&ks->generic, image);
	if (!res)
		return;
	ks->generic = NULL;
	if (!bytes)
		return;		/* there was no compiler when Braid was built */
	snprintf(text, sizeof(text),
		 "the kernels built with Braid can't be used, all are compiled at load: %s",
		 cu_words(&ks->dev->cu, res));
	if (ks->say)
		ks->say(ks->arg, text);
}

int kernels_new(struct device *d, struct cache *cache, struct chores *chores,
		struct chore *better, unsigned int threads,
		void (*say)(void *arg, const char *text), void *arg, struct kernels **out)
{
	struct kernels *ks = calloc(1, sizeof(*ks));

	if (!ks)
		return -ENOMEM;
	ks->dev = d;
	ks->cache = cache;
	ks->chores = chores;
	ks->better = better;
	ks->say = say;
	ks->arg = arg;
	ks->end = &ks->first;
	ks->nice = getpriority(PRIO_PROCESS, 0);
	pthread_mutex_init(&ks->lock, NULL);
	pthread_cond_init(&ks->more, NULL);
	load_generic(ks);
	threads = threads < MAX_THREADS ? threads : MAX_THREADS;
	while (d->rt.lib && ks->n_threads < threads &&
	       !pthread_create(&ks->threads[ks->n_threads], NULL, work, ks))
		ks->n_threads++;
	*out = ks;
	return 0;
}

void kernels_stop(struct kernels *ks)
{
	if (!ks)
		return;
	pthread_mutex_lock(&ks->lock);
	ks->stop = true;
	pthread_cond_broadcast(&ks->more);
	pthread_mutex_unlock(&ks->lock);
	for (unsigned int i = 0; i < ks->n_threads; i++)
		pthread_join(ks->threads[i], NULL);
	pthread_mutex_lock(&ks->lock);
	ks->n_threads = 0;
	pthread_mutex_unlock(&ks->lock);
}

void kernels_free(struct kernels *ks)
{
	if (!ks)
		return;
	while (ks->all) {
		struct kernel *k = ks->all;

		take_off(ks, k);
		release(ks, k);
	}
	if (ks->generic)
		ks->dev->cu.module_free(ks->generic);
	pthread_cond_destroy(&ks->more);
	pthread_mutex_destroy(&ks->lock);
	free(ks);
}

static struct kernel *make(struct kernels *ks, const struct gpu_kernel *from)
{
	struct kernel *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	k->name = strdup(from->name);
	k->source = strdup(from->source);
	k->generic = from->generic ? strdup(from->generic) : NULL;
	k->specialised = from->specialised;
	if (!k->name || !k->source || (from->generic && !k->generic)) {
		release(ks, k);
		return NULL;
	}
	return k;
}

/* One that is there already, counted. */
static struct kernel *find(struct kernels *ks, const char *name)
{
	struct kernel *k = ks->all;

	while (k && strcmp(k->name, name))
		k = k->next;
	if (k)
		k->users++;
	return k;
}

/* Under the lock. */
static void queue(struct kernels *ks, struct kernel *k)
{
	k->queued = true;
	k->next_job = NULL;
	*ks->end = k;
	ks->end = &k->next_job;
	ks->pending++;
	pthread_cond_signal(&ks->more);
}

static int get(struct kernels *ks, const struct gpu_kernel *from, bool wait, struct kernel **out,
	       char *why, size_t len)
{
	struct kernel *k, *other;
	bool later;
	int ret;

	pthread_mutex_lock(&ks->lock);
	*out = find(ks, from->name);
	pthread_mutex_unlock(&ks->lock);
	if (*out)
		return 0;
	k = make(ks, from);
	if (!k) {
		snprintf(why, len, "out of memory");
		return -ENOMEM;
	}
	/* The generic one is as good where nothing was to be specialised. */
	ret = k->specialised ? -ENOENT : from_generic(ks, k, why, len);
	if (ret)
		ret = from_cache(ks, k);
	if (ret)
		ret = from_generic(ks, k, why, len);
	later = ret && !wait && ks->n_threads;
	if (ret && !later)
		ret = compile(ks, k, true, why, len);
	if (ret && !later) {
		release(ks, k);
		return ret;
	}
	pthread_mutex_lock(&ks->lock);
	other = find(ks, from->name);	/* another loader was faster */
	if (!other) {
		k->users = 1;
		k->next = ks->all;
		ks->all = k;
		if (later)
			queue(ks, k);
	}
	pthread_mutex_unlock(&ks->lock);
	if (other)
		release(ks, k);
	*out = other ? other : k;
	return 0;
}

int kernels_get(struct kernels *ks, const struct gpu_kernel *k, struct kernel **out, char *why,
		size_t len)
{
	return get(ks, k, true, out, why, len);
}

int kernels_want(struct kernels *ks, const struct gpu_kernel *k, struct kernel **out, char *why,
		 size_t len)
{
	return get(ks, k, false, out, why, len);
}

void kernels_put(struct kernels *ks, struct kernel *k)
{
	if (!k)
		return;
	pthread_mutex_lock(&ks->lock);
	if (--k->users || k->queued)
		k = NULL;		/* others', or the compiler's to release */
	else
		take_off(ks, k);
	pthread_mutex_unlock(&ks->lock);
	if (k)
		release(ks, k);
}

void kernels_better(struct kernels *ks, struct kernel *k)
{
	pthread_mutex_lock(&ks->lock);
	if (!ks->n_threads) {
		atomic_store(&k->best, true);
	} else if (!k->queued && !atomic_load(&k->best)) {
		queue(ks, k);
	}
	pthread_mutex_unlock(&ks->lock);
}

unsigned int kernels_pending(struct kernels *ks)
{
	return atomic_load(&ks->pending);
}

unsigned int kernels_compiled(struct kernels *ks)
{
	return atomic_load(&ks->compiled);
}
