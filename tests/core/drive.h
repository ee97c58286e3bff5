/* SPDX-License-Identifier: MIT */
/*
 * Random operations on core/ and on the naive queue side by side, compared
 * after every step. Numbers come from a source that the caller gives: a seeded
 * generator (test_core_property) or bytes (fuzz_core).
 */
#ifndef BRAID_TESTS_CORE_DRIVE_H
#define BRAID_TESTS_CORE_DRIVE_H

#include "core/queue.h"
#include "tests/core/naive.h"

#define DRIVE_IDS	(1 << 16)

struct drive {
	struct bq q;
	struct naive nv;
	u32 (*source)(void *from);	/* 32 random bits */
	void *from;
	u64 now;
	u64 vbase;			/* where core's virtual time starts */
	u64 steps;
	u64 last_data;
	u64 live[BQ_BUFFER + 1];	/* nodes given and not yet reaped */
	u32 waiting[NV_TENANTS];	/* completions before the step */
	u64 waiting_id[NV_TENANTS];
	u32 n_waiting;
	u32 storm;			/* steps of it to come */
	u32 temper;			/* which operations are frequent */
	u8 completed[DRIVE_IDS];
	char what[64];			/* last operation */
	char error[256];		/* empty while all is well */
	bool trace;			/* print every operation */
};

/* A fresh pair of queues. */
void drive_start(struct drive *d, u32 (*source)(void *from), void *from);

/* One operation. Returns false when the two differ: see @error. */
bool drive_step(struct drive *d);

/* Everybody leaves; nothing may be left. Returns as drive_step(). */
bool drive_end(struct drive *d);

/* Between drive.c, drive_ops.c and drive_agent.c. */
u32 drive_pick(struct drive *d, u32 n);
bool drive_chance(struct drive *d, u32 percent);
__attribute__((format(printf, 2, 3)))
void drive_differ(struct drive *d, const char *fmt, ...);
__attribute__((format(printf, 2, 3)))
void drive_doing(struct drive *d, const char *fmt, ...);
void drive_same(struct drive *d, const char *name, u64 core, u64 naive);
void *drive_get(struct drive *d, enum bq_kind kind, size_t size);
void drive_put(struct drive *d, enum bq_kind kind, void *p, size_t size);
struct bq_tenant *drive_tenant(struct drive *d, u64 id);
void drive_begin(struct drive *d);
void drive_choose(struct drive *d);
u64 drive_some_model(struct drive *d);
u64 drive_some_buffer(struct drive *d);
void drive_buffer_put(struct drive *d);
void drive_model_put(struct drive *d);
void drive_model_del(struct drive *d);
void drive_window(struct drive *d);
void drive_fetch(struct drive *d);
void drive_sweep(struct drive *d);
void drive_commit(struct drive *d);
void drive_agent(struct drive *d);

#endif
