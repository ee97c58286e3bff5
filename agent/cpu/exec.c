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
#define WORTH_NS	10000	/* of work pay for waking a worker */

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

/*
 * An operation has all it waited for. Small ones are left to the worker that
 * made them ready: fetching another costs more than doing them. But for those
 * that begin a slice: @first.
 */
static void make_ready(struct exec *ex, struct exec_op *op, bool first)
{
	struct backend_model *m = op->ctx->model;
	const uint32_t i = (uint32_t)(op - op->ctx->ops);
	const struct cpu_op *co = &m->ops[i];
	uint64_t ns;

	op->tiles = op->left = co->kernel->tiles(co, op->ctx->run.degree);
	op->taken = 0;
	op->prev = ex->ready.prev;
	op->next = &ex->ready;
	op->prev->next = op;
	op->next->prev = op;
	ns = (uint64_t)op->tiles * (m->tile_ns[i] ? m->tile_ns[i] : WORTH_NS);
	if (first && ns < WORTH_NS)
		ns = WORTH_NS;
	ex->new_tiles += op->tiles;
	ex->new_ns += ns;
	op->shared = ns >= WORTH_NS;
	if (op->shared)
		count_ready(ex, 1);
}

/* Wake workers for what has become ready, but for @kept tiles, the caller's. */
static void wake(struct exec *ex, uint32_t kept)
{
	uint32_t n = ex->new_tiles > kept ? ex->new_tiles - kept : 0;

	if (n > ex->new_ns / WORTH_NS)
		n = (uint32_t)(ex->new_ns / WORTH_NS);
	/* Somebody must. */
	if (!n && !kept && ex->new_tiles)
		n = 1;
	if (n > ex->idle)
		n = ex->idle;
	while (n--)
		pthread_cond_signal(&ex->work);
	ex->new_tiles = 0;
	ex->new_ns = 0;
}

static void tell_done(struct exec *ex, struct backend_group *g)
{
	const uint64_t one = 1;

	ex->done[(ex->done_at + ex->n_done++) % EXEC_MAX_GROUPS] = g;
	if (ex->told || ex->here)
		return;
	ex->told = true;
	if (write(ex->event, &one, sizeof(one)) < 0)
		return;	/* the counter is full: it is readable as it is */
}

/* The last operation of a slice is complete: its context is free again. */
static void finish_slice(struct exec *ex, struct exec_context *c, uint64_t now)
{
	struct backend_group *g = c->group;
	struct backend_model *m = c->model;
	struct exec_lane *lane = c->lane;

	c->group = NULL;
	c->lane = NULL;
	c->next_free = m->free;
	m->free = c;
	m->n_free++;
	g->left -= c->run.degree;
	if (g->left)
		return;
	g->status = 0;
	g->end_ns = now;
	if (!g->start_ns)
		g->start_ns = now;
	if (!--lane->left) {
		lane->launch = NULL;
		ex->lanes_used--;
		pthread_cond_broadcast(&ex->quiet);
	}
	tell_done(ex, g);
}

/* The next slice of a group; its model has a free context. */
static void start_slice(struct exec *ex, struct exec_lane *lane, struct backend_group *g)
{
	struct backend_model *m = g->model;
	struct exec_context *c = m->free;
	uint32_t left = g->degree - lane->at, most, n;

	/* As many slices as there are workers, if there are requests for that. */
	most = (g->degree + ex->n_threads - 1) / ex->n_threads;
	most = most < m->slice ? most : m->slice;
	n = (left + most - 1) / most;
	n = (left + n - 1) / n;
	m->free = c->next_free;
	m->n_free--;
	c->group = g;
	c->lane = lane;
	model_bind(c, g, lane->at, n);
	lane->at += n;
	for (uint32_t i = 0; i < m->prog->n_ops; i++)
		if (!c->ops[i].waits)
			make_ready(ex, &c->ops[i], true);
	if (!m->prog->n_ops)
		finish_slice(ex, c, exec_now());
}

/* Start what there are contexts for of a lane's launch. */
static void start_slices(struct exec *ex, struct exec_lane *lane)
{
	while (lane->launch && lane->started < lane->launch->n_groups) {
		struct backend_group *g = &lane->launch->groups[lane->started];

		if (!lane->at) {
			g->start_ns = g->end_ns = g->device_ns = 0;
			g->left = g->degree;
		}
		if (!g->model->n_free)
			break;
		start_slice(ex, lane, g);
		if (lane->at == g->degree) {
			lane->started++;
			lane->at = 0;
		}
	}
}

static void fill_lanes(struct exec *ex)
{
	for (uint32_t i = 0; i < ex->n_lanes && ex->n_queue; i++) {
		struct exec_lane *lane = &ex->lanes[i];

		if (lane->launch)
			continue;
		lane->launch = ex->queue[ex->queue_at];
		lane->started = lane->at = 0;
		lane->left = lane->launch->n_groups;
		lane->age = ++ex->ages;
		ex->queue_at = (ex->queue_at + 1) % EXEC_MAX_LAUNCHES;
		ex->n_queue--;
		ex->lanes_used++;
	}
}

/* The oldest launch that is younger than @age. */
static struct exec_lane *next_lane(struct exec *ex, uint64_t age)
{
	struct exec_lane *next = NULL;

	for (uint32_t i = 0; i < ex->n_lanes; i++) {
		struct exec_lane *lane = &ex->lanes[i];

		if (lane->launch && lane->age > age && (!next || lane->age < next->age))
			next = lane;
	}
	return next;
}

/*
 * Put queued launches on free lanes and start the slices for which there is a
 * context, those of older launches first.
 */
static void start_launches(struct exec *ex)
{
	struct exec_lane *lane;
	uint64_t age;

	/* A launch of nothing but empty programs is done when it starts. */
	do {
		fill_lanes(ex);
		age = 0;
		while ((lane = next_lane(ex, age))) {
			age = lane->age;
			start_slices(ex, lane);
		}
	} while (ex->n_queue && ex->lanes_used < ex->n_lanes);
}

/* An operation is complete. */
static void finish_op(struct exec *ex, struct exec_op *op, uint64_t now)
{
	struct exec_context *c = op->ctx;
	struct backend_model *m = c->model;
	uint32_t i = (uint32_t)(op - c->ops);

	for (uint32_t k = m->succ_at[i]; k < m->succ_at[i + 1]; k++)
		if (!--c->ops[m->succ[k]].waits)
			make_ready(ex, &c->ops[m->succ[k]], false);
	if (!--c->ops_left) {
		finish_slice(ex, c, now);
		start_launches(ex);
	}
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
	if (ex->stop || ex->ready.next != &ex->ready)
		return;
	ex->idle++;
	pthread_cond_wait(&ex->work, &ex->lock);
	ex->idle--;
}

static void saw_tile(const struct exec_op *op, uint64_t ns)
{
	uint32_t *seen = &op->ctx->model->tile_ns[op - op->ctx->ops];
	uint64_t old = *seen ? *seen : ns;

	/* At least 1: 0 would be "not seen". */
	ns = (7 * old + ns) / 8;
	*seen = ns < 1 ? 1 : ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
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
		if (op->shared)
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
	saw_tile(op, (end - start) / n);
	if (!op->left) {
		finish_op(ex, op, end);
		/* One of the new tiles is this worker's. */
		wake(ex, 1);
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

		ex->in_flight += launch->n_groups;
		ex->queue[(ex->queue_at + ex->n_queue++) % EXEC_MAX_LAUNCHES] = launch;
		ex->here = here && ex->reaps_at_once;
		start_launches(ex);
		wake(ex, here ? 1 : 0);
		while (here && work_once(ex, &last, scratch))
			;
		ex->here = false;
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
	if (ex->told && !ex->n_done) {
		ex->told = false;
		if (read(ex->event, &count, sizeof(count)) < 0)
			count = 0;	/* it could not be written: see tell_done() */
	}
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

uint32_t exec_lanes(struct exec *ex)
{
	uint32_t lanes;

	pthread_mutex_lock(&ex->lock);
	lanes = ex->n_lanes - ex->lanes_used;
	lanes = lanes > ex->n_queue ? lanes - ex->n_queue : 0;
	pthread_mutex_unlock(&ex->lock);
	return lanes;
}
