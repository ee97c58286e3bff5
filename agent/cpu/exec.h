/* SPDX-License-Identifier: MIT */
/*
 * Launches on the CPU: what runs, what is ready to run, who runs it.
 *
 * One lock, struct exec.lock, protects all that is not said to be immutable.
 * It is taken once for each piece of work: a worker hands in what it finished
 * and takes what is next in one go. It is never held while a tile runs.
 *
 *   launch   queued ──► on a lane, its groups started one after the other
 *   group    cut into slices of so many requests as a cache and the workers like
 *   slice    a context of its model: arena, table of pointers, state by operation
 *   op       waits for its dependencies ──► ready, tiles handed out ──► done
 *
 * The requests of a slice run as one. More of them in one slice would save
 * nothing once what they compute no longer fits a cache, and slices that run
 * side by side need not wait for each other at every operation.
 *
 * A worker stays with the slice that it worked on last as long as that has
 * something ready: what the last operation wrote is in its cache.
 */
#ifndef BRAID_AGENT_CPU_EXEC_H
#define BRAID_AGENT_CPU_EXEC_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/backend/backend.h"
#include "agent/cpu/kernel.h"

#define EXEC_MAX_LAUNCHES	4096	/* queued, not yet on a lane */
#define EXEC_MAX_GROUPS		4096	/* launched, not yet reaped */
#define EXEC_MAX_THREADS	256
#define EXEC_MAX_LANES		64

struct exec_context;

/**
 * struct exec_op - an operation of a slice that runs
 * @prev, @next: in the list of what is ready
 * @ctx: its slice's context, immutable
 * @waits: dependencies that are not complete yet
 * @tiles: how many there are, known once it is ready
 * @taken: tiles handed out
 * @left: tiles not finished yet
 * @shared: counted in @n_ready: worth the attention of a second worker
 */
struct exec_op {
	struct exec_op *prev, *next;
	struct exec_context *ctx;
	uint32_t waits, tiles, taken, left;
	bool shared;
};

/**
 * struct exec_context - what one slice of a group needs to run
 * @model: whose it is, immutable
 * @next_free: in the model's list of free ones
 * @group: whose slice runs in it, NULL while free
 * @lane: the lane that the group's launch is on
 * @run: as tiles see it, but for the scratch; set when a slice starts
 * @io: the table of pointers in @run
 * @ops: state by operation
 * @ops_left: operations not complete yet
 */
struct exec_context {
	struct backend_model *model;
	struct exec_context *next_free;
	struct backend_group *group;
	struct exec_lane *lane;
	struct cpu_run run;
	void **io;
	struct exec_op *ops;
	uint32_t ops_left;
};

/**
 * struct backend_model - a program made ready for launches
 * @prog: the program, immutable like all but the last three
 * @ops: its operations, prepared
 * @succ: who depends on operation i: succ[succ_at[i]] to succ[succ_at[i + 1]]
 * @succ_at: n_ops + 1 indices
 * @contexts: one a worker or lane, whichever are more
 * @work: multiply-accumulates and elements written, of one request
 * @slice: requests of a slice, at most
 * @arena_bytes: mapped for each context
 * @tile_ns: what a tile of each operation takes, as seen lately; 0: not seen
 * @free: contexts that no slice runs in
 * @n_free: how many
 */
struct backend_model {
	const struct program *prog;
	struct cpu_op *ops;
	uint32_t *succ, *succ_at;
	struct exec_context *contexts;
	uint32_t n_contexts, max_degree, slice;
	uint64_t work;
	size_t arena_bytes;
	uint32_t *tile_ns;
	struct exec_context *free;
	uint32_t n_free;
};

/**
 * struct exec_lane - a launch that runs
 * @launch: which, NULL while the lane is free
 * @started: groups that have been started as a whole, in order
 * @at: requests of the next group that have been started
 * @left: groups that are not finished
 * @age: number of the launch, in the order of their start
 */
struct exec_lane {
	struct backend_launch *launch;
	uint32_t started, at, left;
	uint64_t age;
};

/**
 * struct exec - the state of all launches
 * @lock: protects what follows
 * @work: signalled when something becomes ready, or to stop
 * @quiet: signalled when a lane becomes free
 * @ready: list head of operations with tiles to hand out, oldest first
 * @n_ready: those that are worth a second worker; read without the lock by
 *           workers that spin
 * @new_tiles: tiles that have become ready since workers were last woken
 * @new_ns: what they will take
 * @idle: workers that wait for @work
 * @stop: workers leave
 * @lanes: launches that run
 * @ages: launches that have been started
 * @queue: ring of launches that wait for a lane
 * @done: ring of groups that wait for reap()
 * @in_flight: groups launched and not yet reaped
 * @event: eventfd, readable while @done is not empty
 * @told: it is readable now
 * @here: a launch is being run by its caller, who reaps at once
 * @reaps_at_once: the caller does that
 */
struct exec {
	pthread_mutex_t lock;
	pthread_cond_t work, quiet;
	struct exec_op ready;
	atomic_uint_least32_t n_ready;
	uint32_t new_tiles, idle, n_threads;
	uint64_t new_ns;
	bool stop;
	struct exec_lane lanes[EXEC_MAX_LANES];
	uint32_t n_lanes, lanes_used;
	uint64_t ages;
	struct backend_launch *queue[EXEC_MAX_LAUNCHES];
	uint32_t queue_at, n_queue;
	struct backend_group *done[EXEC_MAX_GROUPS];
	uint32_t done_at, n_done, in_flight;
	int event;
	bool told, here, reaps_at_once;
};

int exec_init(struct exec *ex, uint32_t n_lanes, uint32_t n_threads);
void exec_destroy(struct exec *ex);

/** exec_worker() - what a worker does until exec_stop(); @scratch is its own */
void exec_worker(struct exec *ex, void *scratch);

/**
 * exec_submit() - queue a launch that has been checked
 * @ex: state
 * @launch: the launch
 * @scratch: NULL, or of the caller's own: then a launch that needs to wait for
 *           nobody is run here and now, which for a tiny one is sooner than
 *           waking a worker
 *
 * Return: 0, -EAGAIN where all is full.
 */
int exec_submit(struct exec *ex, struct backend_launch *launch, void *scratch);
unsigned int exec_reap(struct exec *ex, struct backend_group **done, unsigned int max);

/** exec_stop() - drop what is queued, wait for what runs, let the workers go */
void exec_stop(struct exec *ex);

/** exec_lanes() - launches that would find a lane now */
uint32_t exec_lanes(struct exec *ex);

/** exec_now() - CLOCK_MONOTONIC in nanoseconds */
uint64_t exec_now(void);

/* model.c: contexts and dependencies of a program. */
int model_new(const struct program *p, uint32_t n_contexts, uint32_t max_degree,
	      struct backend_model **model, char *why, size_t len);
void model_free(struct backend_model *m);

/** model_bind() - point a context at the memory of @n requests of a group */
void model_bind(struct exec_context *c, const struct backend_group *g, uint32_t first,
		uint32_t n);

/* buffer.c: memory of tenants. */
struct backend_buf {
	uint8_t *base;
	uint64_t bytes;
};

int buffer_map(int fd, uint64_t bytes, struct backend_buf **buf);
void buffer_unmap(struct backend_buf *buf);

/* pool.c: threads. */
struct pool;

/** pool_scratch_new() - memory for one thread's tiles; NULL where there is none */
void *pool_scratch_new(void);
void pool_scratch_free(void *scratch);

int pool_start(uint32_t n, void (*work)(void *arg, void *scratch), void *arg,
	       struct pool **pool);
/** pool_join() - wait for threads whose work returns, free the pool */
void pool_join(struct pool *pool);

#endif
