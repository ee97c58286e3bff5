// SPDX-License-Identifier: MIT
/*
 * Planning a window: see plan.h. Owns nothing, keeps nothing between windows.
 *
 * Windows are short (BRAID_MAX_BATCH at most), so plain scans beat anything
 * that would have to be set up and cleared.
 */
#include "agent/runner/plan.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* The largest degree up to @n that the backend runs as one. */
static uint32_t fitting(const struct plan_job *job, uint32_t n)
{
	uint64_t below = n < 64 ? (1ull << n) - 1 : ~0ull;

	if (!job->degrees)
		return n;
	return 64 - __builtin_clzll((job->degrees | 1) & below);
}

/* Groups in order of their first job; plan->order is filled group by group. */
static void make_groups(struct plan *plan, const struct plan_job *jobs, bool merge,
			uint32_t most)
{
	bool taken[BRAID_MAX_BATCH] = { false };
	uint32_t at = 0;

	for (uint32_t i = 0; i < plan->n_jobs; i++) {
		struct plan_group *g = &plan->groups[plan->n_groups];
		uint32_t left_over = 0, max = jobs[i].max_degree < most ? jobs[i].max_degree : most;
		uint32_t fits;

		if (taken[i])
			continue;
		*g = (struct plan_group){ .first = at, .degree = 1 };
		plan->order[at++] = i;
		taken[i] = true;
		for (uint32_t k = i + 1; merge && !jobs[i].alone && k < plan->n_jobs; k++) {
			if (taken[k] || jobs[k].model != jobs[i].model || jobs[k].alone)
				continue;
			if (g->degree == max) {
				left_over++;
				continue;
			}
			plan->order[at++] = k;
			taken[k] = true;
			g->degree++;
		}
		/* What does not fit goes back; it is the first of the next group. */
		fits = fitting(&jobs[i], g->degree);
		g->why = jobs[i].alone ? PLAN_MERGE_ALONE :
			 !merge ? PLAN_MERGE_POLICY :
			 fits < g->degree ? PLAN_MERGE_SPLIT :
			 left_over && max < jobs[i].max_degree ? PLAN_MERGE_SPREAD :
			 left_over ? PLAN_MERGE_FULL :
			 g->degree == 1 ? PLAN_MERGE_ONLY_ONE : PLAN_MERGED;
		for (; g->degree > fits; g->degree--)
			taken[plan->order[--at]] = false;
		plan->n_groups++;
	}
}

static uint32_t model_of(const struct plan *plan, const struct plan_job *jobs, uint32_t group)
{
	return jobs[plan->order[plan->groups[group].first]].model;
}

/*
 * Side by side means different models: the second group of a model goes to
 * the next launch. Groups are put next to each other launch by launch.
 */
static void make_launches(struct plan *plan, const struct plan_job *jobs, uint32_t most)
{
	struct plan_group sorted[BRAID_MAX_BATCH];
	bool taken[BRAID_MAX_BATCH] = { false };
	uint32_t at = 0;

	while (at < plan->n_groups) {
		struct plan_launch *l = &plan->launches[plan->n_launches];
		bool alone = false;

		*l = (struct plan_launch){ .first = at };
		for (uint32_t g = 0; g < plan->n_groups; g++) {
			bool clash = false;

			if (taken[g])
				continue;
			for (uint32_t k = l->first; k < at && !clash; k++)
				clash = jobs[plan->order[sorted[k].first]].model ==
					model_of(plan, jobs, g);
			if (clash)
				continue;
			if (plan->groups[g].why == PLAN_MERGE_ALONE && l->n_groups)
				break;
			alone = plan->groups[g].why == PLAN_MERGE_ALONE;
			taken[g] = true;
			sorted[at] = plan->groups[g];
			sorted[at++].launch = plan->n_launches;
			l->n_groups++;
			if (l->n_groups == most || alone)
				break;
		}
		l->why = alone ? PLAN_FUSE_ALONE :
			 most == 1 ? PLAN_FUSE_POLICY :
			 l->n_groups == 1 ? PLAN_FUSE_ONLY_ONE : PLAN_FUSED;
		plan->n_launches++;
	}
	memcpy(plan->groups, sorted, plan->n_groups * sizeof(sorted[0]));
}

int plan_window(const struct plan_how *how, const struct plan_job *jobs, uint32_t n,
		struct plan *plan)
{
	enum braid_fusion_policy policy = how->policy;
	bool merge = policy == BRAID_FUSION_MERGE || policy == BRAID_FUSION_MERGE_FUSE ||
		     policy == BRAID_FUSION_BRANCHES;
	bool fuse = policy == BRAID_FUSION_FUSE || policy == BRAID_FUSION_MERGE_FUSE ||
		    policy == BRAID_FUSION_BRANCHES;

	if (policy > BRAID_FUSION_BRANCHES)
		return -EOPNOTSUPP;
	plan->n_jobs = n;
	plan->n_groups = 0;
	plan->n_launches = 0;
	make_groups(plan, jobs, merge,
		    how->spread ? (n + how->spread - 1) / how->spread : BRAID_MAX_BATCH);
	make_launches(plan, jobs, fuse ? how->max_groups : 1);
	return 0;
}

const char *plan_merge_words(enum plan_merge_why why)
{
	switch (why) {
	case PLAN_MERGED:
		return "merged: the window held several requests of this model";
	case PLAN_MERGE_POLICY:
		return "not merged: the policy does not merge";
	case PLAN_MERGE_ONLY_ONE:
		return "not merged: the only request of this model in the window";
	case PLAN_MERGE_SPLIT:
		return "merged as far as there is a graph for so many, the rest separately";
	case PLAN_MERGE_SPREAD:
		return "merged only as far as needed: there were lanes for smaller groups";
	case PLAN_MERGE_FULL:
		return "merged up to the model's largest degree, the rest separately";
	case PLAN_MERGE_ALONE:
		return "not merged: it was with an agent that died, so it ran alone";
	}
	return "unknown";
}

const char *plan_fuse_words(enum plan_fuse_why why)
{
	switch (why) {
	case PLAN_FUSED:
		return "fused: side by side with other models of the window";
	case PLAN_FUSE_POLICY:
		return "not fused: the policy does not fuse";
	case PLAN_FUSE_ONLY_ONE:
		return "not fused: no other model left in the window";
	case PLAN_FUSE_ALONE:
		return "not fused: it was with an agent that died, so it ran alone";
	}
	return "unknown";
}
