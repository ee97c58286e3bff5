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

#endif
