/* SPDX-License-Identifier: MIT */
/*
 * The stand-in's own parts.
 *
 *   driver.c  device, context, errors: the calls that ask
 *   memory.c  allocations, registrations, copies
 *   stream.c  a thread a stream, that works off its queue in order
 *   graph.c   graphs, run in one of the orders that their edges allow
 *   image.c   modules: shared objects of the host with the same kernels
 *
 * One lock, si.lock, protects all lists and counts of the stand-in; it is
 * never held while a kernel runs or a copy is made.
 */
#ifndef BRAID_TESTS_CUDA_STANDIN_H
#define BRAID_TESTS_CUDA_STANDIN_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/cuda/driver.h"
#include "kernels/emu_ops.h"
#include "tests/cuda/standin/control.h"

/* Found by name, so nobody declares them. */
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#define API __attribute__((visibility("default")))

#define INVALID_VALUE		1
#define NOT_INITIALIZED		3
#define ILLEGAL_ADDRESS		700
#define NOT_REGISTERED		713
#define LAUNCH_FAILED		719

struct cu_stream_opaque;

struct state {
	pthread_mutex_t lock;
	pthread_cond_t moved;		/* a queue went on, or a fault came */
	struct standin *say;		/* never NULL after cuInit() */
	bool started, retained;
	cu_result sticky;
	struct cu_stream_opaque *streams;
	unsigned int waiting;		/* streams, for a value */
};

extern struct state si;

/* Every call that touches the context begins with this. */
cu_result si_check(void);

/* A fault that stays: of all that is called from now on this is the result. */
void si_break(cu_result res);

/* Count a fault down: true for the call that it hits. */
bool si_due(standin_word *count);

/* A call that a real driver would not survive: told and counted. */
void si_misuse(const char *what);

void si_count(standin_word *word, int64_t by);

/* memory.c: is this range one that the device can reach? */
bool memory_known(uint64_t at, size_t bytes);

/* image.c */
struct cu_function_opaque {
	emu_entry entry;
	int shared_limit;
	struct cu_function_opaque *next;
};

/* A kernel with its arguments, copied. */
struct call {
	cu_function f;
	unsigned int grid, shared;
	size_t args_bytes;
	void *args;
};

cu_result call_copy(struct call *c, const void *args);
cu_result call_make(struct call *c, const struct cu_kernel_node *p);
void call_run(const struct call *c, unsigned int *seed);
void call_drop(struct call *c);

/* stream.c: something to be done in order. */
struct work {
	struct work *next;
	void (*run)(struct work *w, unsigned int *seed);
	void (*drop)(struct work *w);
	bool launch;
};

cu_result stream_put(cu_stream s, struct work *w);

/* Till nothing of it is left to do, or the device is broken: with that error. */
cu_result stream_end(cu_stream s);

#endif
