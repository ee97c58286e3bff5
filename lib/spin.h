/* SPDX-License-Identifier: MIT */
/*
 * Looking for a moment before sleeping, where that has paid lately.
 *
 * A thread that sleeps has its CPU fall idle, and to wake that costs the other
 * side and itself several times what the message costs. To spin instead is
 * worth it when the answer comes from another CPU within a moment; otherwise
 * it only takes that time from others. So it is tried now and then, believed
 * while most tries succeed, and not done at all for somebody on the same CPU.
 *
 * Where both sides sleep each wakes the other too late for the other's look:
 * until it is sure of it, a side looks longer, so that both come to spin.
 */
#ifndef BRAID_LIB_SPIN_H
#define BRAID_LIB_SPIN_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/ring.h"

#define SPIN_DEFAULT_US	50u
#define SPIN_MAX_US	10000u
#define SPIN_LONGER	4u	/* as long, where there is little trust: both sides may be asleep still */

/**
 * struct spin - what has been learnt; zero at the start
 * @trust: rises with each try that succeeds, falls eight times as fast
 * @skipped: waits since the last try
 */
struct spin {
	unsigned int trust;
	unsigned int skipped;
};

/** spin_elsewhere() - does the writer of a ring run on another CPU than this thread? */
bool spin_elsewhere(const struct ring *r);

/** spin_worth() - is this one to be tried? */
bool spin_worth(struct spin *s);

/**
 * spin_until() - look until there is something
 * @s: what is learnt from it
 * @us: how long, microseconds; SPIN_LONGER times that as long as there is little trust
 * @there: is there something?
 * @arg: for @there
 *
 * Return: whether there is.
 */
bool spin_until(struct spin *s, unsigned int us, bool (*there)(const void *arg), const void *arg);

#endif
