// SPDX-License-Identifier: MIT
/*
 * Launches run by workers, see exec.h for the locking.
 */
#include <errno.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "agent/cpu/exec.h"

#define SPIN_NS		4000	/* before a worker sleeps */
#define CHUNK_MAX	8	/* tiles taken at a time */

uint64_t exec_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void relax(void)
{
#ifdef __x86_64__
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

int exec_init(struct exec *ex, uint32_t n_lanes, uint32_t n_threads)
{
	ex->n_lanes = n_lanes;
	ex->n_threads = n_threads;
	ex->ready.prev = ex->ready.next = &ex->ready;
	ex->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (ex->event < 0)
		return -errno;
	pthread_mutex_init(&ex->lock, NULL);
	pthread_cond_init(&ex->work, NULL);
	pthread_cond_init(&ex->quiet, NULL);
	return 0;
}

void exec_destroy(struct exec *ex)
{
	close(ex->event);
	pthread_mutex_destroy(&ex->lock);
	pthread_cond_destroy(&ex->work);
	pthread_cond_destroy(&ex->quiet);
}

static void count_ready(struct exec *ex, int by)
{
	uint32_t n = atomic_load_explicit(&ex->n_ready, memory_order_relaxed);

	atomic_store_explicit(&ex->n_ready, n + (uint32_t)by, memory_order_relaxed);
}

/* An operation has all it waited for. Returns the number of its tiles. */
static uint32_t make_ready(struct exec *ex, struct exec_op *op)
{
	const struct cpu_op *co = &op->ctx->model->ops[op - op->ctx->ops];

	op->tiles = op->left = co->kernel->tiles(co, op->ctx->run.degree);
	op->taken = 0;
	op->prev = ex->ready.prev;
	op->next = &ex->ready;
	op->prev->next = op;
	op->next->prev = op;
	count_ready(ex, 1);
	return op->tiles;
}

static void wake(struct exec *ex, uint32_t tiles)
{
	for (uint32_t i = 0; i < tiles && i < ex->idle; i++)
		pthread_cond_signal(&ex->work);
}

static void tell_done(struct exec *ex, struct backend_group *g)
{
	const uint64_t one = 1;

	ex->done[(ex->done_at + ex->n_done) % EXEC_MAX_GROUPS] = g;
	if (!ex->n_done++ && write(ex->event, &one, sizeof(one)) < 0)
		return;	/* the counter is full: it is readable as it is */
}

static uint32_t start_groups(struct exec *ex);

/* The last operation of a group is complete. Returns tiles that became ready. */
static uint32_t finish_group(struct exec *ex, struct exec_context *c, uint64_t now)
{
	struct backend_group *g = c->group;
	struct backend_model *m = c->model;
	struct exec_lane *lane = c->lane;

	g->status = 0;
	g->end_ns = now;
	if (!g->start_ns)
		g->start_ns = now;
	c->group = NULL;
	c->lane = NULL;
	c->next_free = m->free;
	m->free = c;
	m->n_free++;
	if (!--lane->left) {
		lane->launch = NULL;
		ex->lanes_used--;
		pthread_cond_broadcast(&ex->quiet);
	}
	tell_done(ex, g);
	return start_groups(ex);
}

static uint32_t start_group(struct exec *ex, struct exec_lane *lane, struct backend_group *g)
{
	struct backend_model *m = g->model;
	struct exec_context *c = m->free;
	uint32_t tiles = 0;

	m->free = c->next_free;
	m->n_free--;
	c->group = g;
	c->lane = lane;
	model_bind(c, g);
	g->start_ns = g->end_ns = g->device_ns = 0;
	for (uint32_t i = 0; i < m->prog->n_ops; i++)
		if (!c->ops[i].waits)
			tiles += make_ready(ex, &c->ops[i]);
	return tiles;
}

/*
 * Put queued launches on free lanes and start the groups for which there is a
 * context. Returns tiles that became ready.
 */
static uint32_t start_groups(struct exec *ex)
{
	uint32_t tiles = 0;

	for (uint32_t i = 0; i < ex->n_lanes; i++) {
		struct exec_lane *lane = &ex->lanes[i];

		if (!lane->launch && ex->n_queue) {
			lane->launch = ex->queue[ex->queue_at];
			lane->started = 0;
			lane->left = lane->launch->n_groups;
			ex->queue_at = (ex->queue_at + 1) % EXEC_MAX_LAUNCHES;
			ex->n_queue--;
			ex->lanes_used++;
		}
		while (lane->launch && lane->started < lane->launch->n_groups) {
			struct backend_group *g = &lane->launch->groups[lane->started];

			if (!g->model->n_free)
				break;
			lane->started++;
			tiles += start_group(ex, lane, g);
			if (g->model->prog->n_ops)
				continue;
			/* Nothing to do; the lane may be another launch's behind this. */
			for (uint32_t k = 0; k < g->model->n_contexts; k++)
				if (g->model->contexts[k].group == g) {
					tiles += finish_group(ex, &g->model->contexts[k],
							      exec_now());
					break;
				}
		}
	}
	return tiles;
}

/* An operation is complete. Returns tiles that became ready. */
static uint32_t finish_op(struct exec *ex, struct exec_op *op, uint64_t now)
{
	struct exec_context *c = op->ctx;
	struct backend_model *m = c->model;
	uint32_t i = (uint32_t)(op - c->ops), tiles = 0;

	for (uint32_t k = m->succ_at[i]; k < m->succ_at[i + 1]; k++)
		if (!--c->ops[m->succ[k]].waits)
			tiles += make_ready(ex, &c->ops[m->succ[k]]);
	if (!--c->ops_left)
		tiles += finish_group(ex, c, now);
	return tiles;
}

static struct exec_op *pick(struct exec *ex, const struct exec_context *last)
{
	struct exec_op *op;

	for (op = ex->ready.next; op != &ex->ready; op = op->next)
		if (op->ctx == last)
			return op;
	return ex->ready.next == &ex->ready ? NULL : ex->ready.next;
}

/* Nothing is ready: look for a moment without the lock, then sleep. */
static void rest(struct exec *ex)
{
	uint64_t end;

	pthread_mutex_unlock(&ex->lock);
	end = exec_now() + SPIN_NS;
	while (!atomic_load_explicit(&ex->n_ready, memory_order_relaxed) && exec_now() < end)
		relax();
	pthread_mutex_lock(&ex->lock);
	if (ex->stop || atomic_load_explicit(&ex->n_ready, memory_order_relaxed))
		return;
	ex->idle++;
	pthread_cond_wait(&ex->work, &ex->lock);
	ex->idle--;
}

/*
 * Take some tiles and run them; the lock is held, but not meanwhile. False
 * when nothing is ready.
 */
static bool work_once(struct exec *ex, struct exec_context **last, void *scratch)
{
	struct exec_op *op = pick(ex, *last);
	uint32_t first, n, tiles;
	const struct cpu_op *co;
	struct cpu_run run;
	uint64_t start, end;

	*last = op ? op->ctx : NULL;
	if (!op)
		return false;
	first = op->taken;
	n = (op->tiles - first) / (2 * ex->n_threads);
	n = n < 1 ? 1 : n > CHUNK_MAX ? CHUNK_MAX : n;
	op->taken += n;
	if (op->taken == op->tiles) {
		op->prev->next = op->next;
		op->next->prev = op->prev;
		count_ready(ex, -1);
	}
	run = op->ctx->run;
	co = &op->ctx->model->ops[op - op->ctx->ops];
	tiles = op->tiles;
	start = exec_now();
	if (!op->ctx->group->start_ns)
		op->ctx->group->start_ns = start;
	pthread_mutex_unlock(&ex->lock);

	run.scratch = scratch;
	for (uint32_t i = first; i < first + n; i++)
		co->kernel->run(&run, co, i, tiles);
	end = exec_now();

	pthread_mutex_lock(&ex->lock);
	op->ctx->group->device_ns += end - start;
	op->left -= n;
	if (!op->left) {
		tiles = finish_op(ex, op, end);
		/* One of them is this worker's. */
		if (tiles > 1)
			wake(ex, tiles - 1);
	}
	return true;
}

void exec_worker(struct exec *ex, void *scratch)
{
	struct exec_context *last = NULL;

	pthread_mutex_lock(&ex->lock);
	while (!ex->stop)
		if (!work_once(ex, &last, scratch))
			rest(ex);
	pthread_mutex_unlock(&ex->lock);
}

int exec_submit(struct exec *ex, struct backend_launch *launch, void *scratch)
{
	struct exec_context *last = NULL;
	int err = 0;

	pthread_mutex_lock(&ex->lock);
	if (ex->n_queue == EXEC_MAX_LAUNCHES ||
	    launch->n_groups > EXEC_MAX_GROUPS - ex->in_flight) {
		err = -EAGAIN;
	} else {
		/* Only where the caller could not meet somebody else's long tiles. */
		bool here = scratch && !ex->lanes_used && !ex->n_queue;
		uint32_t tiles;

		ex->in_flight += launch->n_groups;
		ex->queue[(ex->queue_at + ex->n_queue++) % EXEC_MAX_LAUNCHES] = launch;
		tiles = start_groups(ex);
		if (!here)
			wake(ex, tiles);
		while (here && work_once(ex, &last, scratch))
			;
	}
	pthread_mutex_unlock(&ex->lock);
	return err;
}

unsigned int exec_reap(struct exec *ex, struct backend_group **done, unsigned int max)
{
	unsigned int n = 0;
	uint64_t count;

	pthread_mutex_lock(&ex->lock);
	while (n < max && ex->n_done) {
		done[n++] = ex->done[ex->done_at];
		ex->done_at = (ex->done_at + 1) % EXEC_MAX_GROUPS;
		ex->n_done--;
	}
	ex->in_flight -= n;
	if (n && !ex->n_done && read(ex->event, &count, sizeof(count)) < 0)
		count = 0;	/* it was never written: see tell_done() */
	pthread_mutex_unlock(&ex->lock);
	return n;
}

void exec_stop(struct exec *ex)
{
	pthread_mutex_lock(&ex->lock);
	ex->n_queue = 0;
	while (ex->lanes_used)
		pthread_cond_wait(&ex->quiet, &ex->lock);
	ex->stop = true;
	pthread_cond_broadcast(&ex->work);
	pthread_mutex_unlock(&ex->lock);
}

uint32_t exec_credits(struct exec *ex, const struct backend_model *m)
{
	uint32_t lanes, n;

	pthread_mutex_lock(&ex->lock);
	lanes = ex->n_lanes - ex->lanes_used;
	lanes = lanes > ex->n_queue ? lanes - ex->n_queue : 0;
	n = lanes < m->n_free ? lanes : m->n_free;
	pthread_mutex_unlock(&ex->lock);
	return n * m->max_degree;
}
