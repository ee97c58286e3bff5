/* SPDX-License-Identifier: MIT */
/*
 * What others do with the GPU, and what that takes from this process.
 *
 * Three sources, each optional: the backend's witness sees when the GPU is taken
 * away, braid-switch's figures of the driver's records also see by whom, and
 * braid-probe's figures of libcuda see that others launch. The two programs
 * are root's and write their figures into files; the agent, which has no rights,
 * reads them there.
 *
 * A thread looks twice a second; the runner takes over what it has found from its
 * tick, so nothing is asked on the way of a request.
 */
#ifndef BRAID_AGENT_RUNNER_OUTSIDE_H
#define BRAID_AGENT_RUNNER_OUTSIDE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define OUTSIDE_STALE_NS	3000000000ull

/* Who has told, a bit each. */
enum outside_source {
	OUTSIDE_WITNESS = 1u << 0,
	OUTSIDE_SWITCHES = 1u << 1,
	OUTSIDE_LAUNCHES = 1u << 2,
};

/**
 * struct outside - what is known of the last half second
 * @at_ns: CLOCK_MONOTONIC of the newest reading, 0: nothing is known
 * @told: enum outside_source, who tells: the rest is 0
 * @away: thousandths of the time in which the GPU was taken from this process;
 *        by the witness, else by the driver's records
 * @others: thousandths of the time in which contexts of others ran; by the records
 * @stalls_per_s: how often it was taken
 * @launches_per_s: kernels and graphs that other processes launched
 * @waits: thousandths of a CPU's time that other processes waited in libcuda
 */
struct outside {
	uint64_t at_ns;
	uint32_t told;
	uint32_t away, others;
	float stalls_per_s, launches_per_s;
	uint32_t waits;
};

/* What a source has counted since it began; differences are what is told. */
struct outside_count {
	uint64_t at_ns, watched_ns, away_ns, others_ns, stalls, launches, wait_ns;
};

/**
 * outside_switches() - read what braid-switch writes
 * @o: its JSON
 * @pid: ours
 * @c: filled
 *
 * Return: false: that is something else.
 */
bool outside_switches(json_t *o, uint32_t pid, struct outside_count *c);

/** outside_launches() - the same of what braid-probe writes */
bool outside_launches(json_t *o, uint32_t pid, struct outside_count *c);

/**
 * outside_add() - what one source tells, by two of its readings
 * @out: added to
 * @source: which
 * @before: earlier reading, @at_ns 0: none
 * @now: later one
 *
 * Readings without time between them, or counted from a new beginning, tell nothing.
 */
void outside_add(struct outside *out, enum outside_source source,
		 const struct outside_count *before, const struct outside_count *now);

/** outside_json() - for people and scripts; NULL: nothing is known */
json_t *outside_json(const struct outside *o);

struct outside_watch;
struct backend;
struct backend_ops;

/**
 * outside_start() - look from now on
 * @ops: backend
 * @be: its instance; must outlive the watch
 * @switches: file that braid-switch writes, "": none
 * @launches: file that braid-probe writes, "": none
 *
 * Return: NULL where there is nothing to look at, or no thread.
 */
struct outside_watch *outside_start(const struct backend_ops *ops, struct backend *be,
				    const char *switches, const char *launches);

/** outside_now() - what is known; all 0 when it is too old, or @w is NULL */
void outside_now(struct outside_watch *w, struct outside *out);

/** outside_stop() - and free it */
void outside_stop(struct outside_watch *w);

#endif
