/* SPDX-License-Identifier: MIT */
/*
 * A queue with everything a unit test needs around it: one model's worth of
 * memory handling, short names for the common calls. Time is world.now, moved
 * by the test alone.
 */
#ifndef BRAID_TESTS_CORE_WORLD_H
#define BRAID_TESTS_CORE_WORLD_H

#include "core/queue.h"

#define W_MAX	256

struct world {
	struct bq q;
	u64 now;
	u32 reaped[BQ_BUFFER + 1];	/* nodes that came back so far */
	/* The last FETCH. */
	struct bq_fetch f;
	struct braid_job job[W_MAX];
	struct braid_slice slice[W_MAX * BRAID_MAX_TENSORS];
	struct braid_event event[W_MAX];
};

/* An agent that is attached but not ready; no models. */
void w_init(struct world *w);

/* All leave; returns whether no node was lost. */
bool w_exit(struct world *w);

/* Free what is on the reap list; who was woken is forgotten. */
void w_reap(struct world *w);

/* Publish a model with one input and one output of 64 bytes; its id. */
u64 w_model(struct world *w, const char *name, u8 digest, u64 device_ns);

/* Ready, having published nothing more. */
void w_ready(struct world *w);

struct bq_tenant *w_tenant(struct world *w, u64 owner);

/* A buffer of one page; its id. */
u64 w_buffer(struct world *w, struct bq_tenant *t);

/* A valid request on a buffer of its own page; the queue's answer. */
int w_try(struct world *w, struct bq_tenant *t, u64 model, u32 priority, u64 deadline);

/* As w_try(), which must succeed; the request's id. */
u64 w_submit(struct world *w, struct bq_tenant *t, u64 model);
u64 w_submit_full(struct world *w, struct bq_tenant *t, u64 model, u32 priority, u64 deadline);

/* Any request. */
int w_raw(struct world *w, struct bq_tenant *t, const struct braid_request *in,
	  const struct braid_slice *slices, u32 n);

/* FETCH naming up to three models (0: none) and so many of each; the answer. */
int w_fetch(struct world *w, u64 a, u64 b, u64 c, u32 count);

/* Whether job @i of the last FETCH is this one. */
bool w_job(const struct world *w, u32 i, const struct bq_tenant *t, u64 id);

/* COMMIT a job of the last FETCH; the answer. */
int w_commit(struct world *w, u32 i, u64 device_ns, s32 status);
int w_commit_cookie(struct world *w, u64 cookie, u64 device_ns, s32 status);

/* What a look says. */
struct bq_look w_look(struct world *w, u64 a, u64 b, u64 c, u32 count);

/* Read one completion; its status, or 1 when there is none. */
int w_read(struct world *w, struct bq_tenant *t, struct braid_completion *c);

#endif
