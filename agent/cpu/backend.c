// SPDX-License-Identifier: MIT
/*
 * The CPU as a backend: checks what comes in, hands it to exec.c.
 *
 * Holds no lock of its own. As the vtable says, all calls come from one
 * thread, but for model_load(), which touches only what it makes.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/backend/backend.h"
#include "agent/cpu/exec.h"

#define DEFAULT_LANES	2
#define DEFAULT_DEGREE	32
#define MAX_DEGREE	1024
#define TINY_WORK	20000	/* less time than it takes to wake a worker */

struct backend {
	struct exec exec;
	struct pool *pool;
	void *scratch;			/* for launches that are run at once */
	uint32_t max_degree;
};

static void work(void *arg, void *scratch)
{
	exec_worker(arg, scratch);
}

static uint32_t cores(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set))
		return 1;
	return (uint32_t)CPU_COUNT(&set);
}

static int refuse(char *why, size_t len, const char *what, unsigned int n, unsigned int max)
{
	if (why && len)
		snprintf(why, len, "%u %s, %u are the most", n, what, max);
	return -EINVAL;
}

static int cpu_open(const struct backend_config *cfg, struct backend **out, char *why, size_t len)
{
	uint32_t threads = cfg->threads ? cfg->threads : cores();
	uint32_t lanes = cfg->lanes ? cfg->lanes : DEFAULT_LANES;
	uint32_t degree = cfg->max_degree ? cfg->max_degree : DEFAULT_DEGREE;
	struct backend *be;
	int err;

	if (threads > EXEC_MAX_THREADS && cfg->threads)
		return refuse(why, len, "threads", threads, EXEC_MAX_THREADS);
	if (threads > EXEC_MAX_THREADS)
		threads = EXEC_MAX_THREADS;
	if (lanes > EXEC_MAX_LANES)
		return refuse(why, len, "lanes", lanes, EXEC_MAX_LANES);
	if (degree > MAX_DEGREE)
		return refuse(why, len, "requests a group", degree, MAX_DEGREE);
	be = calloc(1, sizeof(*be));
	if (!be) {
		err = -ENOMEM;
		goto fail;
	}
	be->max_degree = degree;
	be->scratch = pool_scratch_new();
	if (!be->scratch) {
		err = -ENOMEM;
		goto fail;
	}
	err = exec_init(&be->exec, lanes, threads);
	if (err)
		goto fail;
	be->exec.reaps_at_once = cfg->reaps_at_once;
	err = pool_start(threads, work, &be->exec, &be->pool);
	if (err) {
		exec_stop(&be->exec);
		pool_join(be->pool);
		exec_destroy(&be->exec);
		goto fail;
	}
	*out = be;
	return 0;
fail:
	if (be)
		pool_scratch_free(be->scratch);
	free(be);
	if (why && len)
		snprintf(why, len, "starting %u worker threads failed (error %d)", threads, -err);
	return err;
}

static void cpu_close(struct backend *be)
{
	if (!be)
		return;
	exec_stop(&be->exec);
	pool_join(be->pool);
	exec_destroy(&be->exec);
	pool_scratch_free(be->scratch);
	free(be);
}

static int cpu_model_load(struct backend *be, const struct program *p,
			  const struct backend_model_config *cfg, struct backend_model **model, char *why, size_t len)
{
	const struct exec *ex = &be->exec;
	uint32_t contexts = ex->n_lanes > ex->n_threads ? ex->n_lanes : ex->n_threads;

	return model_new(p, contexts, be->max_degree, model, why, len);
}

static void cpu_model_unload(struct backend *be, struct backend_model *model)
{
	model_free(model);
}

static int cpu_buf_map(struct backend *be, int fd, uint64_t bytes, uint64_t tenant,
		       struct backend_buf **buf)
{
	return buffer_map(fd, bytes, buf);
}

static bool cpu_buf_unmap(struct backend *be, struct backend_buf *buf, void *priv)
{
	buffer_unmap(buf);
	return true;
}

static uint32_t cpu_degree(const struct backend_model *model, uint32_t n)
{
	return n < model->max_degree ? n : model->max_degree;
}

static uint32_t cpu_credits(struct backend *be, struct backend_model *model, bool merge)
{
	return exec_lanes(&be->exec) * (merge ? model->max_degree : 1);
}

static bool io_fits(const struct program *p, uint32_t tensor, const struct backend_io *io)
{
	return io->buf && tenant_fits(p, tensor, io, io->buf->bytes);
}

static bool group_fits(const struct backend *be, const struct backend_group *g)
{
	const struct backend_io *io = g->io;
	const struct program *p;

	if (!g->model || !g->degree || g->degree > be->max_degree)
		return false;
	p = g->model->prog;
	for (uint32_t r = 0; r < g->degree; r++) {
		for (uint32_t i = 0; i < p->n_inputs; i++)
			if (!io_fits(p, p->inputs[i].tensor, io++))
				return false;
		for (uint32_t i = 0; i < p->n_outputs; i++)
			if (!io_fits(p, p->outputs[i].tensor, io++))
				return false;
	}
	return true;
}

static int cpu_launch(struct backend *be, struct backend_launch *launch)
{
	uint64_t work = 0;

	if (!launch->n_groups)
		return -EINVAL;
	for (uint32_t i = 0; i < launch->n_groups; i++) {
		if (!group_fits(be, &launch->groups[i]))
			return -EINVAL;
		work += launch->groups[i].model->work * launch->groups[i].degree;
	}
	launch->ran = BACKEND_SIDE_BY_SIDE;
	return exec_submit(&be->exec, launch, work <= TINY_WORK ? be->scratch : NULL);
}

static unsigned int cpu_reap(struct backend *be, struct backend_group **done, unsigned int max)
{
	return exec_reap(&be->exec, done, max);
}

/* Its workers tell when there is something to reap. */
static bool cpu_busy(const struct backend *be)
{
	return false;
}

static int cpu_event_fd(struct backend *be)
{
	return be->exec.event;
}

const struct backend_ops cpu_backend_ops = {
	.name = "cpu",
	.forms = 1u << BACKEND_LANES | 1u << BACKEND_SIDE_BY_SIDE,
	.open = cpu_open,
	.close = cpu_close,
	.supports = cpu_ops_check,
	.model_load = cpu_model_load,
	.model_unload = cpu_model_unload,
	.buf_map = cpu_buf_map,
	.buf_unmap = cpu_buf_unmap,
	.degree = cpu_degree,
	.credits = cpu_credits,
	.launch = cpu_launch,
	.reap = cpu_reap,
	.busy = cpu_busy,
	.event_fd = cpu_event_fd,
};
