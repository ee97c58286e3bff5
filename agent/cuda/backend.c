// SPDX-License-Identifier: MIT
/*
 * The CUDA backend's vtable: opens and closes its parts in order, checks what
 * comes in, hands it on. See cuda.h for the parts and their threads.
 */
#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "agent/cuda/cuda.h"
#include "agent/cuda/kernel_build.h"
#include "agent/program/program.h"

#define DEFAULT_LANES	16u
#define DEFAULT_DEGREE	8u
#define DEFAULT_CACHE	(2ull << 30)

uint64_t backend_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

void backend_say(struct backend *be, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	if (!be->say)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	be->say(be->arg, text);
}

/*
 * Errors of what kernels do. Memory that fails, a GPU that went away, a driver that is
 * out of order are nobody's; and under MPS another client's kernel may have done it.
 */
static bool is_of_launch(cu_result res)
{
	if (getenv("CUDA_MPS_PIPE_DIRECTORY"))
		return false;
	return res == CU_ILLEGAL_ADDRESS || res == CU_ASSERT ||
	       (res >= CU_HARDWARE_STACK_ERROR && res <= CU_LAUNCH_FAILED);
}

void backend_lost(struct backend *be, const char *what, cu_result res)
{
	char why[512];

	if (atomic_exchange(&be->is_lost, true))
		return;
	snprintf(why, sizeof(why), "the GPU is lost while %s: %s", what,
		 cu_words(&be->dev.cu, res));
	if (be->lost)
		be->lost(be->arg, why, is_of_launch(res));
}

static void better(struct chore *c)
{
	models_better((struct backend *)((char *)c - offsetof(struct backend, better)));
}

static void sweep(struct chore *c)
{
	struct backend *be = (struct backend *)((char *)c - offsetof(struct backend, sweep));
	struct exec *e = atomic_exchange(&be->trash, NULL);

	while (e) {
		struct exec *next = e->next;

		exec_free(&be->dev, e);
		e = next;
	}
}

void exec_retire(struct backend *be, struct exec *e)
{
	if (!e)
		return;
	e->next = atomic_load(&be->trash);
	while (!atomic_compare_exchange_weak(&be->trash, &e->next, e))
		;
	chores_put(be->chores, &be->sweep);
}

static unsigned int compilers(unsigned int asked)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	return asked ? asked : cpus > 8 ? 4 : cpus > 3 ? 2 : 1;
}

static void cuda_close(struct backend *be)
{
	if (!be)
		return;
	atomic_store(&be->closing, true);
	watcher_free(be);
	/* What runs writes into tenants' memory, unless the device is lost anyway. */
	if (be->dev.retained && !atomic_load(&be->is_lost))
		be->dev.cu.ctx_synchronize();
	/* Who puts chores ends before who does them, who uses kernels before these. */
	compose_free(be->compose);
	kernels_stop(be->kernels);
	chores_free(be->chores);
	kernels_free(be->kernels);
	reaper_free(be);
	lanes_free(be);
	gpu_close(&be->dev);
	cache_close(be->cache);
	for (int t = 0; t < TILES; t++)
		gpu_tiles_free(be->tiles[t]);
	while (be->gone)
		buffers_gone(be);
	pthread_mutex_destroy(&be->lock);
	free(be);
}

/* What was measured on this device; the cache is where it is kept. */
static void read_tiles(struct backend *be, const char *dir)
{
	char why[512];

	for (int t = 0; t < TILES; t++)
		if (kernel_tiles(dir, be->dev.sm, be->dev.n_sms, t == TILES_CROWD, &be->tiles[t], why, sizeof(why)))
			backend_say(be, "%s", why);
}

static int cuda_open(const struct backend_config *cfg, struct backend **out, char *why, size_t len)
{
	struct backend *be = calloc(1, sizeof(*be));
	uint32_t lanes = cfg->lanes ? cfg->lanes : DEFAULT_LANES;
	int ret;

	if (!be)
		return -ENOMEM;
	be->event = -1;
	be->say = cfg->say;
	be->lost = cfg->lost;
	be->arg = cfg->arg;
	be->polls = cfg->polls;
	be->beside = cfg->beside;
	be->crowd = cfg->crowd ? cfg->crowd : CROWD;
	be->max_degree = cfg->max_degree ? cfg->max_degree : DEFAULT_DEGREE;
	be->gone_end = &be->gone;
	be->better.run = better;
	be->sweep.run = sweep;
	pthread_mutex_init(&be->lock, NULL);
	if (lanes > CUDA_MAX_LANES) {
		snprintf(why, len, "%u lanes, %u are the most", lanes, CUDA_MAX_LANES);
		ret = -EINVAL;
		goto fail;
	}
	ret = gpu_open(&be->dev, cfg, why, len);
	if (ret)
		goto fail;
	be->cache = cache_open(cfg->cache_dir, cfg->cache_bytes ? cfg->cache_bytes : DEFAULT_CACHE,
			       cfg->say, cfg->arg);
	read_tiles(be, cfg->cache_dir);
	ret = be->cache ? chores_new(&be->dev, &be->chores) : -ENOMEM;
	if (!ret)
		ret = kernels_new(&be->dev, be->cache, be->chores, &be->better,
				  compilers(cfg->threads), cfg->say, cfg->arg, &be->kernels);
	if (!ret)
		ret = compose_new(be, &be->compose);
	if (!ret)
		ret = reaper_new(be);
	if (!ret)
		ret = lanes_new(be, lanes, why, len);
	if (!ret && cfg->witness)
		ret = watcher_new(be);
	if (ret)
		goto fail;
	backend_say(be, "GPU %s, sm_%d, %d multiprocessors, CUDA %d.%d, %s", be->dev.name,
		    be->dev.sm, be->dev.n_sms, be->dev.cu.version / 1000,
		    be->dev.cu.version % 1000 / 10,
		    be->dev.rt.lib ? "with its run-time compiler" : be->dev.no_rt);
	*out = be;
	return 0;
fail:
	if (why && len && !*why)
		snprintf(why, len, "the CUDA backend can't start (error %d)", -ret);
	cuda_close(be);
	return ret;
}

/* Lowering finds out, and says so when the model is loaded. */
static int cuda_supports(const struct program *p, char *why, size_t len)
{
	return 0;
}

static int cuda_model_load(struct backend *be, const struct program *p,
			   const struct backend_model_config *cfg, struct backend_model **model,
			   char *why, size_t len)
{
	return model_load(be, p, cfg, model, why, len);
}

static void cuda_model_unload(struct backend *be, struct backend_model *m)
{
	if (!m)
		return;
	atomic_store(&m->dead, true);
	compose_forget(be->compose, m);
	model_drop(m);
}

static int cuda_buf_map(struct backend *be, int fd, uint64_t bytes, uint64_t tenant,
			struct backend_buf **buf)
{
	return buffer_new(be, fd, bytes, tenant, buf);
}

static bool cuda_buf_unmap(struct backend *be, struct backend_buf *buf, void *priv)
{
	buffer_drop(buf, priv);
	return false;
}

static uint32_t cuda_degree(const struct backend_model *m, uint32_t n)
{
	uint32_t best = m->degrees[0];

	for (uint32_t i = 0; i < m->n_degrees; i++)
		if (m->degrees[i] <= n)
			best = m->degrees[i];
	return best;
}

static uint32_t cuda_largest(const struct backend_model *m)
{
	return m->n_full || m->max_degree < LATER_DEGREE ? m->max_degree : LATER_DEGREE;
}

static uint32_t cuda_credits(struct backend *be, struct backend_model *m, bool merge)
{
	const struct lanes *l = &be->lanes;
	uint32_t in_flight = l->in_flight;
	uint32_t free = l->limit > in_flight ? l->limit - in_flight : 0;

	model_grown(m);
	free = free < l->n_free ? free : l->n_free;
	free = free < m->n_free ? free : m->n_free;
	return merge ? free * cuda_largest(m) : free;
}

static void cuda_limit(struct backend *be, uint32_t lanes)
{
	struct lanes *l = &be->lanes;

	l->limit = lanes && lanes < l->default_limit ? lanes : l->default_limit;
}

static bool io_fits(const struct backend_model *m, uint32_t i, const struct backend_io *io)
{
	return io->buf && io->offset % m->io[i].size == 0 && io->offset <= io->buf->bytes &&
	       m->io[i].bytes <= io->buf->bytes - io->offset;
}

static bool group_fits(const struct backend_group *g)
{
	const struct backend_io *io = g->io;

	if (!g->model || model_degree(g->model, g->degree) < 0)
		return false;
	for (uint32_t r = 0; r < g->degree; r++)
		for (uint32_t i = 0; i < g->model->n_io; i++)
			if (!io_fits(g->model, i, io++))
				return false;
	return true;
}

static int cuda_launch(struct backend *be, struct backend_launch *launch)
{
	if (!launch->n_groups)
		return -EINVAL;
	for (uint32_t i = 0; i < launch->n_groups; i++)
		if (!group_fits(&launch->groups[i]))
			return -EINVAL;
	return lanes_launch(be, launch);
}

static unsigned int cuda_reap(struct backend *be, struct backend_group **done, unsigned int max)
{
	uint64_t n;

	if (!be->polls && read(be->event, &n, sizeof(n)) < 0)
		errno = 0;	/* not readable: nobody has told yet */
	return lanes_reap(be, done, max);
}

static bool cuda_busy(const struct backend *be)
{
	return be->polls && be->lanes.in_flight;
}

static int cuda_event_fd(struct backend *be)
{
	return be->event;
}

/* The graphs of the last kernels are made, and handed over or to be so at the next launch. */
static bool cuda_settled(struct backend *be)
{
	return !kernels_pending(be->kernels) && compose_idle(be->compose) &&
	       chores_idle(be->chores);
}

static json_t *cuda_about(struct backend *be)
{
	size_t left = 0, total = 0;
	json_t *o, *seen = watcher_about(be);

	be->dev.cu.mem_info(&left, &total);
	o = json_pack("{s:s,s:i,s:i,s:i,s:i,s:i,s:i,s:I,s:I}", "gpu", be->dev.name, "sm",
			 be->dev.sm, "multiprocessors", be->dev.n_sms, "lanes", (int)be->lanes.n,
			 "kernels_to_compile", (int)kernels_pending(be->kernels),
			 "kernels_compiled", (int)kernels_compiled(be->kernels),
			 "composed_graphs", (int)compose_count(be->compose),
			 "memory_free", (json_int_t)left, "memory", (json_int_t)total);
	json_object_set_new(o, "weights_from_cache", json_integer(be->from_cache));
	json_object_set_new(o, "buffers", json_pack("{s:I,s:I,s:I,s:I,s:I}",
		"registered", (json_int_t)be->registered, "register_ns", (json_int_t)be->register_ns,
		"unregistered", (json_int_t)be->unregistered,
		"unregister_ns", (json_int_t)be->unregister_ns, "staged_requests", (json_int_t)be->staged));
	json_object_set_new(o, "driver_ns", json_integer(be->dev.driver_ns));
	json_object_set_new(o, "context_ns", json_integer(be->dev.context_ns));
	if (seen)
		json_object_set_new(o, "witness", seen);
	return o;
}

const struct backend_ops cuda_backend_ops = {
	.name = "cuda",
	.forms = 1u << BACKEND_LANES | 1u << BACKEND_BRANCHES | 1u << BACKEND_SIDE_BY_SIDE,
	.open = cuda_open,
	.close = cuda_close,
	.supports = cuda_supports,
	.model_load = cuda_model_load,
	.model_unload = cuda_model_unload,
	.buf_map = cuda_buf_map,
	.buf_unmap = cuda_buf_unmap,
	.buf_unmapped = buffers_gone,
	.degree = cuda_degree,
	.credits = cuda_credits,
	.largest = cuda_largest,
	.limit = cuda_limit,
	.launch = cuda_launch,
	.reap = cuda_reap,
	.busy = cuda_busy,
	.event_fd = cuda_event_fd,
	.settled = cuda_settled,
	.about = cuda_about,
	.absence = watcher_absence,
};
