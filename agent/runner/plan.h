/* SPDX-License-Identifier: MIT */
/*
 * From a window of jobs to groups (merge) and launches (fuse).
 *
 * A pure function of the policy and the jobs' models, so that what the agent
 * decides can be tested, explained and replayed. Jobs keep their order: a
 * group stands where its first job stood, launches run in the order returned.
 */
#ifndef BRAID_AGENT_RUNNER_PLAN_H
#define BRAID_AGENT_RUNNER_PLAN_H

#include <stdint.h>

#include <linux/braid.h>

/* Why a group has the degree it has. */
enum plan_merge_why {
	PLAN_MERGED,		/* with every other job of its model in the window */
	PLAN_MERGE_POLICY,	/* the policy does not merge */
	PLAN_MERGE_ONLY_ONE,	/* no other job of its model in the window */
	PLAN_MERGE_FULL,	/* the model's largest degree; the rest is another group */
	PLAN_MERGE_SPLIT,	/* a degree that the backend has; the rest is another group */
	PLAN_MERGE_SPREAD,	/* there are lanes enough for smaller groups */
	PLAN_MERGE_ALONE,	/* a suspect runs alone */
};

/* Why a launch has the groups it has. */
enum plan_fuse_why {
	PLAN_FUSED,		/* with groups of other models */
	PLAN_FUSE_POLICY,	/* the policy does not fuse */
	PLAN_FUSE_ONLY_ONE,	/* no other model left in the window */
	PLAN_FUSE_ALONE,	/* a suspect runs alone */
};

/**
 * struct plan_job - what planning needs to know of a job
 * @model: number of its model; the same number is the same model
 * @max_degree: largest degree of that model, at least 1
 * @degrees: those that the backend runs as one, bit d - 1 for degree d, 1 always
 *           among them; 0: all
 * @alone: BRAID_JOB_ALONE
 */
struct plan_job {
	uint32_t model;
	uint32_t max_degree;
	uint64_t degrees;
	int alone;
};

/**
 * struct plan_group - jobs that run as one
 * @first: index into plan.order
 * @degree: how many
 * @launch: which launch it is part of
 * @why: of its degree
 */
struct plan_group {
	uint32_t first, degree, launch;
	enum plan_merge_why why;
};

/**
 * struct plan_launch - groups that run side by side
 * @first: index into plan.groups; they are neighbours
 * @n_groups: how many
 * @why: of that number
 */
struct plan_launch {
	uint32_t first, n_groups;
	enum plan_fuse_why why;
};

/**
 * struct plan - a planned window
 * @order: job numbers, group by group
 * @groups: the groups, launch by launch
 * @launches: in the order to be launched
 */
struct plan {
	uint32_t n_jobs, n_groups, n_launches;
	uint32_t order[BRAID_MAX_BATCH];
	struct plan_group groups[BRAID_MAX_BATCH];
	struct plan_launch launches[BRAID_MAX_BATCH];
};

/**
 * struct plan_how - how to plan
 * @policy: all but ADAPTIVE, which is a choice among the others (adapt.h)
 * @spread: merge only as far as lanes are short: so many are free; 0: all that
 *          can be merged
 * @max_groups: of a launch; 0: any number
 */
struct plan_how {
	enum braid_fusion_policy policy;
	uint32_t spread, max_groups;
};

/**
 * plan_window() - plan a window
 * @how: how
 * @jobs: the jobs in the queue's order
 * @n: how many, at most BRAID_MAX_BATCH
 * @plan: filled in
 *
 * Return: 0, or -EOPNOTSUPP for a policy that is not planned here.
 */
int plan_window(const struct plan_how *how, const struct plan_job *jobs, uint32_t n,
		struct plan *plan);

/** plan_merge_words() - for people */
const char *plan_merge_words(enum plan_merge_why why);

/** plan_fuse_words() - for people */
const char *plan_fuse_words(enum plan_fuse_why why);

#endif
