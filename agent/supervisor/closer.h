/* SPDX-License-Identifier: MIT */
/*
 * Closing what tenants sent, and their sockets, which may still hold what they
 * sent. How long that takes is a tenant's to say: a TCP socket that lingers, a
 * file of a file system that it serves itself. So it is never done by the
 * thread that serves, nor by mem.c's.
 */
#ifndef BRAID_AGENT_SUPERVISOR_CLOSER_H
#define BRAID_AGENT_SUPERVISOR_CLOSER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/list.h"

struct server;

/**
 * struct parcel - descriptors to close; the giver's memory until @done
 * @owner: key of the owner that they are on account of, the giver's to set
 * @fds: the giver's to set; those below 0 are none
 * @n: how many
 * @sent: they came in messages, nobody asked for them
 * @done: called in the loop when all are closed
 */
struct parcel {
	uint64_t owner;
	const int *fds;
	unsigned int n;
	bool sent;
	void (*done)(struct server *s, struct parcel *p);

	/* The closer's own. */
	struct bq_list link;
	bool busy;
};

/** closer_start() - 0 or a negative errno */
int closer_start(struct server *s);

/** closer_stop() - waits a moment for what is left; NULL is fine */
void closer_stop(struct server *s);

/** closer_put() - close them soon; no @done before this returns */
void closer_put(struct server *s, struct parcel *p);

/** closer_pending() - descriptors that wait on account of an owner */
unsigned int closer_pending(struct server *s, uint64_t owner);

/**
 * closer_has_room() - may @most more descriptors be received for this owner?
 *
 * Not while such of its own wait; and those of all owners may only be as many
 * as the queue keeps for itself.
 */
bool closer_has_room(struct server *s, uint64_t owner, unsigned int most);

/** closer_idle() - does nothing wait that came in a message? */
bool closer_idle(const struct server *s);

#endif
