// SPDX-License-Identifier: MIT
/*
 * plan_window() by its properties, over millions of random windows: each is
 * checked from what plan.h promises, without planning it a second time. Some
 * small windows by hand say what the words mean.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "agent/runner/plan.h"
#include "tests/tap.h"

#define WINDOWS	1000000

/* Marsaglia, "Xorshift RNGs", 2003. */
static uint64_t state = 88172645463325252ull;

static uint32_t draw(uint32_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state >> 32) * below >> 32;
}

/* A window, most often short; few or many models, few or many suspects. */
static uint32_t draw_window(struct plan_job *jobs)
{
	uint32_t degree[BRAID_MAX_BATCH], n, n_models = 1 + draw(draw(8) ? 6 : BRAID_MAX_BATCH);
	uint32_t alone = draw(4) ? 0 : 1 + draw(10);
	uint64_t degrees[8];

	for (int i = 0; i < 8; i++)
		degrees[i] = draw(3) ? 0 : 1 | (state & 0xff) | 1ull << draw(64);
	n = draw(500) ? draw(12) : draw(BRAID_MAX_BATCH + 1);
	for (uint32_t m = 0; m < n_models; m++)
		degree[m] = 1 + draw(draw(4) ? 8 : BRAID_MAX_BATCH);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t m = draw(n_models);

		jobs[i] = (struct plan_job){ .model = m * 7919, .max_degree = degree[m],
					     .degrees = degrees[m % 8],
					     .alone = alone && !draw(alone) };
	}
	return n;
}

/* How many jobs of a model could be merged at all. */
static uint32_t of_model(const struct plan_job *jobs, uint32_t n, uint32_t model)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < n; i++)
		count += jobs[i].model == model && !jobs[i].alone;
	return count;
}

/* As many as may be one, of @n that are left, in the slowest way. */
static uint32_t as_one(const struct plan_job *job, const struct plan_how *how, uint32_t n_jobs,
		       uint32_t n)
{
	while (n > 1 && (n > job->max_degree || (how->spread && (n - 1) * how->spread >= n_jobs) ||
	       (job->degrees && (n > 64 || !(job->degrees >> (n - 1) & 1)))))
		n--;
	return n;
}

/* The groups cover the jobs; a broken promise is named. */
static const char *check_groups(const struct plan *p, const struct plan_job *jobs,
				const struct plan_how *how, bool merge)
{
	bool used[BRAID_MAX_BATCH] = { false }, covered[BRAID_MAX_BATCH] = { false };

	for (uint32_t g = 0; g < p->n_groups; g++) {
		const struct plan_group *group = &p->groups[g];
		const struct plan_job *lead;
		uint32_t same, before = 0, left, fit;

		if (!group->degree || group->first >= p->n_jobs ||
		    group->degree > p->n_jobs - group->first)
			return "a group is empty or reaches beyond the jobs";
		for (uint32_t k = group->first; k < group->first + group->degree; k++) {
			if (covered[k])
				return "two groups overlap";
			covered[k] = true;
			if (p->order[k] >= p->n_jobs || used[p->order[k]])
				return "a job comes twice, or is none";
			used[p->order[k]] = true;
			if (jobs[p->order[k]].model != jobs[p->order[group->first]].model)
				return "a group has two models";
			if (jobs[p->order[k]].alone && group->degree > 1)
				return "a suspect is merged";
			if (k > group->first && p->order[k] <= p->order[k - 1])
				return "jobs of a group are out of order";
		}
		lead = &jobs[p->order[group->first]];
		if (group->degree > lead->max_degree)
			return "a group is larger than its model allows";
		if (lead->degrees && !(lead->degrees >> (group->degree - 1) & 1))
			return "a group has a degree that the backend has not";
		if (!merge && group->degree > 1)
			return "a policy that does not merge merged";
		same = of_model(jobs, p->n_jobs, lead->model);
		for (uint32_t i = 0; i < g; i++)
			if (jobs[p->order[p->groups[i].first]].model == lead->model &&
			    !jobs[p->order[p->groups[i].first]].alone)
				before += p->groups[i].degree;
		left = same - before;
		fit = merge && !lead->alone ? as_one(lead, how, p->n_jobs, left) : 0;
		if (fit && group->degree != fit)
			return "what could be merged was not";
		switch (group->why) {
		case PLAN_MERGED:
			/* With all that were left of its model. */
			if (!merge || group->degree < 2 || group->degree != left)
				return "'merged' is not true";
			break;
		case PLAN_MERGE_POLICY:
			if (merge || lead->alone)
				return "'the policy does not merge' is not true";
			break;
		case PLAN_MERGE_ONLY_ONE:
			if (!merge || group->degree != 1 || left != 1)
				return "'the only one' is not true";
			break;
		case PLAN_MERGE_FULL:
			if (!merge || group->degree != lead->max_degree || left <= group->degree)
				return "'the largest degree' is not true";
			break;
		case PLAN_MERGE_SPLIT:
			if (!merge || !lead->degrees || left <= group->degree)
				return "'a degree that there is' is not true";
			break;
		case PLAN_MERGE_SPREAD:
			if (!merge || !how->spread || left <= group->degree)
				return "'lanes for smaller groups' is not true";
			break;
		case PLAN_MERGE_ALONE:
			if (!lead->alone || group->degree != 1)
				return "'a suspect' is not true";
			break;
		default:
			return "a reason that is none";
		}
		if (lead->alone && group->why != PLAN_MERGE_ALONE)
			return "a suspect is not called one";
	}
	for (uint32_t i = 0; i < p->n_jobs; i++)
		if (!used[i])
			return "a job is missing";
	return NULL;
}

static uint32_t model_of(const struct plan *p, const struct plan_job *jobs, uint32_t g)
{
	return jobs[p->order[p->groups[g].first]].model;
}

/* The launches cover the groups, in order. */
static const char *check_launches(const struct plan *p, const struct plan_job *jobs, bool fuse)
{
	uint32_t at = 0;

	for (uint32_t l = 0; l < p->n_launches; l++) {
		const struct plan_launch *launch = &p->launches[l];
		bool alone = false;

		if (launch->first != at || !launch->n_groups ||
		    launch->n_groups > p->n_groups - at)
			return "launches are not neighbours, or one is empty";
		at += launch->n_groups;
		for (uint32_t g = launch->first; g < at; g++) {
			if (p->groups[g].launch != l)
				return "a group names another launch";
			alone |= p->groups[g].why == PLAN_MERGE_ALONE;
			for (uint32_t k = launch->first; k < g; k++)
				if (model_of(p, jobs, k) == model_of(p, jobs, g))
					return "a launch has two groups of a model";
		}
		if (alone && launch->n_groups > 1)
			return "a suspect runs beside others";
		if (!fuse && launch->n_groups > 1)
			return "a policy that does not fuse fused";
		/* The first job not launched before is never put off further. */
		for (uint32_t g = at; g < p->n_groups; g++)
			if (p->order[p->groups[g].first] < p->order[p->groups[launch->first].first])
				return "an earlier group waits for a later launch";
		if (launch->why != (alone ? PLAN_FUSE_ALONE : !fuse ? PLAN_FUSE_POLICY :
				    launch->n_groups > 1 ? PLAN_FUSED : PLAN_FUSE_ONLY_ONE))
			return "the reason of a launch is not true";
	}
	return at == p->n_groups ? NULL : "a group is not launched";
}

static void test_random(void)
{
	static struct plan_job jobs[BRAID_MAX_BATCH], before[BRAID_MAX_BATCH];
	static struct plan p;
	uint64_t n_jobs = 0, merged = 0, fused = 0, suspects = 0;
	const char *broken = NULL;
	uint32_t w;

	for (w = 0; w < WINDOWS && !broken; w++) {
		const struct plan_how how = {
			.policy = draw(5), .spread = draw(3) ? 0 : 1 + draw(20),
			.max_groups = draw(2) ? 0 : 1 + draw(8),
		};
		bool merge = how.policy == BRAID_FUSION_MERGE ||
			     how.policy == BRAID_FUSION_MERGE_FUSE ||
			     how.policy == BRAID_FUSION_BRANCHES;
		bool fuse = (how.policy == BRAID_FUSION_FUSE ||
			     how.policy == BRAID_FUSION_MERGE_FUSE ||
			     how.policy == BRAID_FUSION_BRANCHES) && how.max_groups != 1;
		uint32_t n = draw_window(jobs);

		memcpy(before, jobs, n * sizeof(jobs[0]));
		if (plan_window(&how, jobs, n, &p))
			broken = "refused";
		else if (p.n_jobs != n || memcmp(before, jobs, n * sizeof(jobs[0])))
			broken = "the jobs were changed";
		if (!broken)
			broken = check_groups(&p, jobs, &how, merge);
		if (!broken)
			broken = check_launches(&p, jobs, fuse);
		n_jobs += n;
		for (uint32_t g = 0; g < p.n_groups; g++) {
			merged += p.groups[g].degree > 1;
			suspects += p.groups[g].why == PLAN_MERGE_ALONE;
		}
		for (uint32_t l = 0; l < p.n_launches; l++) {
			fused += p.launches[l].n_groups > 1;
			if (!broken && how.max_groups && p.launches[l].n_groups > how.max_groups)
				broken = "a launch has more groups than it may";
		}
	}
	ok(!broken, "%u random windows keep every promise%s%s", w, broken ? ": " : "",
	   broken ? broken : "");
	diag("%llu jobs, %llu merged groups, %llu suspects, %llu fused launches",
	     (unsigned long long)n_jobs, (unsigned long long)merged,
	     (unsigned long long)suspects, (unsigned long long)fused);
	ok(merged > 100000 && suspects > 100000 && fused > 100000,
	   "among them many merged, alone and fused");
}

static int plan_as(enum braid_fusion_policy policy, uint32_t spread, const struct plan_job *jobs,
		   uint32_t n, struct plan *p)
{
	return plan_window(&(struct plan_how){ .policy = policy, .spread = spread }, jobs, n, p);
}

static void test_by_hand(void)
{
	/* Models A B A A, of which A runs at most two at a time. */
	const struct plan_job jobs[] = { { 1, 2 }, { 2, 8 }, { 1, 2 }, { 1, 2 } };
	/* Seven of a model of which 1, 2 and 4 are degrees. */
	const struct plan_job few[] = { { 1, 8, 0xb }, { 1, 8, 0xb }, { 1, 8, 0xb }, { 1, 8, 0xb },
					{ 1, 8, 0xb }, { 1, 8, 0xb }, { 1, 8, 0xb } };
	struct plan p;

	is_int(plan_as(BRAID_FUSION_MERGE_FUSE, 0, jobs, 4, &p), 0, "A B A A, A at most two");
	ok(p.n_groups == 3 && p.n_launches == 2, "three groups in two launches");
	ok(p.groups[0].degree == 2 && p.groups[0].why == PLAN_MERGE_FULL && p.order[0] == 0 &&
	   p.order[1] == 2, "the first two of A are one group, which is full");
	ok(p.groups[1].degree == 1 && p.groups[1].why == PLAN_MERGE_ONLY_ONE &&
	   p.launches[0].n_groups == 2 && p.launches[0].why == PLAN_FUSED, "B runs beside it");
	ok(p.launches[1].n_groups == 1 && p.launches[1].why == PLAN_FUSE_ONLY_ONE,
	   "the third of A runs after them");
	is_int(plan_as(BRAID_FUSION_FUSE, 0, jobs, 4, &p), 0, "the same without merging");
	is_int(p.n_launches, 3, "A's run one after the other, B beside the first");
	is_int(plan_as(BRAID_FUSION_MERGE, 0, jobs, 4, &p), 0, "the same without fusing");
	ok(p.n_groups == 3 && p.n_launches == 3, "three groups, each by itself");
	is_int(plan_as(BRAID_FUSION_NONE, 0, jobs, 4, &p), 0, "neither");
	is_int(p.n_launches, 4, "each by itself");
	is_int(plan_as(BRAID_FUSION_NONE, 0, jobs, 0, &p), 0, "an empty window");
	ok(!p.n_groups && !p.n_launches, "is an empty plan");
	is_int(plan_as(BRAID_FUSION_BRANCHES, 0, jobs, 4, &p), 0, "a graph of branches");
	is_int(p.n_launches, 2, "is planned as what runs side by side");
	is_int(plan_as(BRAID_FUSION_MERGE, 0, few, 7, &p), 0, "seven, where 1, 2 and 4 are degrees");
	ok(p.n_groups == 3 && p.groups[0].degree == 4 && p.groups[1].degree == 2 &&
	   p.groups[2].degree == 1 && p.groups[0].why == PLAN_MERGE_SPLIT &&
	   p.groups[2].why == PLAN_MERGE_ONLY_ONE, "are a four, a two and a one");
	is_int(plan_as(BRAID_FUSION_MERGE, 4, few, 7, &p), 0, "the same with four free lanes");
	ok(p.n_groups == 4 && p.groups[0].degree == 2 && p.groups[3].degree == 1 &&
	   p.groups[0].why == PLAN_MERGE_SPREAD, "are four groups");
	is_int(plan_as(BRAID_FUSION_ADAPTIVE, 0, jobs, 4, &p), -EOPNOTSUPP,
	       "a policy that is not planned here");
	is_int(plan_as(BRAID_FUSIONS, 0, jobs, 4, &p), -EOPNOTSUPP, "one that is none");
}

static void test_words(void)
{
	bool distinct = true;

	for (int i = PLAN_MERGED; i <= PLAN_MERGE_ALONE; i++) {
		distinct &= strlen(plan_merge_words(i)) > 8;
		for (int k = PLAN_MERGED; k < i; k++)
			distinct &= strcmp(plan_merge_words(i), plan_merge_words(k)) != 0;
	}
	for (int i = PLAN_FUSED; i <= PLAN_FUSE_ALONE; i++) {
		distinct &= strlen(plan_fuse_words(i)) > 8;
		for (int k = PLAN_FUSED; k < i; k++)
			distinct &= strcmp(plan_fuse_words(i), plan_fuse_words(k)) != 0;
	}
	ok(distinct, "each reason has words of its own");
}

int main(void)
{
	test_by_hand();
	test_words();
	test_random();
	return tap_done();
}
