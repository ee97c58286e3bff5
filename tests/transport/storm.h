/* SPDX-License-Identifier: MIT */
/*
 * Tenants under fire: processes that submit without pause, know what the
 * answer must be, and keep books.
 */
#ifndef BRAID_TESTS_TRANSPORT_STORM_H
#define BRAID_TESTS_TRANSPORT_STORM_H

#include <stdatomic.h>
#include <sys/types.h>

#include "tests/transport/daemon.h"

#define STORM_TENANTS	8

/* Books of one tenant, in shared memory; its own till it has ended. */
struct books {
	atomic_ulong submitted, answered;
	unsigned long wrong, twice, eio, other;
	int last_status;
	char why[120];
};

struct storm {
	struct daemon *d;
	atomic_int stop;
	atomic_uint ready;
	struct books books[STORM_TENANTS];
	pid_t pids[STORM_TENANTS];
};

/* Memory for a storm, shared with the tenants. */
struct storm *storm_new(struct daemon *d);

/* Start tenants over the two models; they work when this returns. */
void storm_start(struct storm *s, const char *const *models, unsigned int n_models);

/* Wait until all together have got @n more answers, or 60 s: then false. */
bool storm_progress(struct storm *s, unsigned long n);

/* Let them finish what is outstanding and end. */
void storm_end(struct storm *s);

/* Report the books: nothing lost, nothing twice, nothing wrong, no EIO. */
void storm_check(struct storm *s, const char *what);

/* A request of its own to tiny_mlp, whose first input is @first; its status. */
int storm_infer(struct daemon *d, float first);

void storm_sleep_ms(unsigned int ms);

#endif
