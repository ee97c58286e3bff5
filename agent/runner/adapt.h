/* SPDX-License-Identifier: MIT */
/*
 * The adaptive policy: which form, and how many launches at once, by what was
 * measured.
 *
 * How far to merge follows from how many launches may be in flight: what finds
 * no lane waits and is merged with what comes meanwhile. So there is one thing
 * to choose, an *arm*: a way of planning a window and a limit on launches. An
 * arm is held for an epoch and scored by the work done in it: requests, each
 * weighted by what its model costs by itself, in a second. Scores are kept by
 * *situation*: which models there are, how much is outstanding, and how much of
 * the device others take, as another load or another mix has another best arm.
 * What was measured while somebody else had the device half of the time says
 * nothing of the time after.
 *
 * When the device is not busy all the time nothing can be gained, and each
 * request has a lane at once: unmerged, with all lanes. The same holds while
 * requests come when they like and all of them are served: any arm then does
 * the same work, and one with few lanes only makes them wait. It shows in how
 * much the number of those outstanding varies: tenants that wait for their
 * answers keep it where it is, unless they are served in bursts; so another arm
 * with all lanes is held if it does clearly more. Else the best one is
 * held; now and then another is tried, its neighbours and those that did well
 * more often than what did badly. One that gets worse loses its place by its
 * own score.
 *
 * A pure machine: time comes in, nothing is asked, so it can be tested with
 * made-up devices. One thread; allocates at adapt_new() only.
 */
#ifndef BRAID_AGENT_RUNNER_ADAPT_H
#define BRAID_AGENT_RUNNER_ADAPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/braid.h>

struct adapt;

/* How an arm cuts a window into groups. */
enum adapt_merge {
	ADAPT_ALONE,	/* each request by itself */
	ADAPT_SPREAD,	/* merged as far as lanes are short */
	ADAPT_ALL,	/* all that can be merged */
};

/**
 * struct adapt_arm - what can be chosen
 * @policy: form: MERGE is lanes
 * @merge: how groups are cut
 * @limit: launches at once
 */
struct adapt_arm {
	enum braid_fusion_policy policy;
	enum adapt_merge merge;
	uint32_t limit;
};

/* Why an arm is held. */
enum adapt_why {
	ADAPT_FIRST,	/* nothing is known yet */
	ADAPT_IDLE,	/* the device is not busy all the time */
	ADAPT_UNEVEN,	/* requests come when they like, and it serves all of them */
	ADAPT_TRY,	/* not measured in this situation */
	ADAPT_EXPLORE,	/* another is better, but things change */
	ADAPT_BEST,	/* the best that was measured */
};

/**
 * struct adapt_reason - what is told of a choice, small enough to be kept
 * @arm: chosen
 * @why: in a word
 * @load: requests outstanding
 * @score: of the arm, the best one's being 1000; 0: not measured
 * @best: the best arm where another was chosen
 * @best_is: there is one
 * @shared: how much others take of the device, in classes; 0: next to nothing
 */
struct adapt_reason {
	struct adapt_arm arm, best;
	enum adapt_why why;
	uint32_t load, score, shared;
	bool best_is;
};

/**
 * adapt_new() - start knowing nothing
 * @policies: that the backend runs, a bit each
 * @lanes: launches at once, at most
 */
struct adapt *adapt_new(uint32_t policies, uint32_t lanes);
void adapt_free(struct adapt *a);

/** adapt_arm() - the arm that is held now */
const struct adapt_arm *adapt_arm(const struct adapt *a);

/** adapt_reason() - and why */
const struct adapt_reason *adapt_reason(const struct adapt *a);

/**
 * adapt_window() - a window came
 * @a: the policy
 * @now: ns
 * @outstanding: requests that the agent has, this window's among them, and that wait
 *               in the queue
 *
 * After a pause what was being measured is dropped.
 * Return: whether another arm is held now
 */
bool adapt_window(struct adapt *a, uint64_t now, uint32_t outstanding);

/**
 * adapt_restart() - it was not asked for a while, other policies held
 * @a: the policy
 * @now: ns
 * @left: launches in flight, which were not its own
 */
void adapt_restart(struct adapt *a, uint64_t now, uint32_t left);

/**
 * adapt_launched() - a launch was made
 * @a: the policy
 * @several: of several groups
 * @as_asked: in the form of the arm
 */
void adapt_launched(struct adapt *a, bool several, bool as_asked);

/**
 * adapt_done() - a group has ended
 * @a: the policy
 * @now: ns
 * @model: its number
 * @degree: requests
 * @device_ns: device time of the group
 * @left: launches still in flight
 * @outstanding: requests that the agent still has, and that wait in the queue
 *
 * Return: true: another arm is held from now on.
 */
bool adapt_done(struct adapt *a, uint64_t now, uint32_t model, uint32_t degree,
		uint64_t device_ns, uint32_t left, uint32_t outstanding);

/**
 * adapt_shared() - what others do with the device, as often as it is known anew
 * @a: the policy
 * @away: thousandths of the time in which it was taken from us
 * @launches_per_s: of others; counts where @away is 0, as that may be unknown
 *
 * Believed when it is told twice. What is being measured is then dropped.
 */
void adapt_shared(struct adapt *a, uint32_t away, float launches_per_s);

/** adapt_words() - a reason for people */
void adapt_words(const struct adapt_reason *r, char *buf, size_t len);

#endif
