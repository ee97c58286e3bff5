// SPDX-License-Identifier: MIT
/*
 * A ring of the last windows with what was decided, and why: see explain.h.
 *
 * Filled on the hot path, so plain stores into memory that is there already;
 * words are found when somebody asks.
 */
#include "agent/runner/explain.h"

#include <stdlib.h>
#include <string.h>

#include "agent/runner/runner.h"

#define KEPT		512u
#define KEPT_JOBS	32u	/* a window; more are counted, not kept */

struct kept_job {
	uint64_t tenant, id;
	uint32_t group;
	uint32_t attempt;
};

struct kept_group {
	char model[BRAID_NAME_MAX];
	uint32_t degree, launch, n_groups, done, others;
	enum backend_form ran;
	bool staged, crowd;
	enum plan_merge_why merge_why;
	enum plan_fuse_why fuse_why;
	int status;
	uint64_t device_ns, start_ns, end_ns;
};

struct kept {
	uint64_t id, at_ns;
	uint32_t reason, policy, n_jobs, n_groups, n_launches;
	bool adaptive;
	struct adapt_reason adapt;
	struct outside outside;
	struct kept_job jobs[KEPT_JOBS];
	struct kept_group groups[KEPT_JOBS];
};

struct explain {
	struct kept ring[KEPT];
	uint64_t newest;
};

struct explain *explain_new(void)
{
	return calloc(1, sizeof(struct explain));
}

void explain_free(struct explain *e)
{
	free(e);
}

void explain_window(struct explain *e, const struct window *w, uint32_t reason, uint32_t policy,
		    const struct adapt_reason *adapt, const struct outside *outside)
{
	struct kept *k = &e->ring[w->id % KEPT];

	k->id = w->id;
	k->at_ns = runner_now();
	k->reason = reason;
	k->policy = policy;
	k->adaptive = w->adaptive;
	if (w->adaptive)
		k->adapt = *adapt;
	k->outside = *outside;
	k->n_jobs = w->n_jobs;
	k->n_groups = w->plan.n_groups;
	k->n_launches = w->plan.n_launches;
	e->newest = w->id;
	for (uint32_t g = 0; g < w->plan.n_groups; g++) {
		const struct plan_group *pg = &w->plan.groups[g];
		const struct plan_launch *pl = &w->plan.launches[pg->launch];

		for (uint32_t i = 0; i < pg->degree && pg->first + i < KEPT_JOBS; i++) {
			const struct braid_job *j = &w->jobs[w->plan.order[pg->first + i]];

			k->jobs[pg->first + i] = (struct kept_job){ j->tenant, j->id, g,
								    j->attempt };
		}
		if (g >= KEPT_JOBS)
			continue;
		k->groups[g] = (struct kept_group){
			.degree = pg->degree, .launch = pg->launch, .n_groups = pl->n_groups,
			.merge_why = pg->why, .fuse_why = pl->why,
		};
		memcpy(k->groups[g].model, w->models[w->plan.order[pg->first]]->conf.name,
		       BRAID_NAME_MAX);
	}
	/* The ring is larger than a cache near the core: fetch the next one's place. */
	k = &e->ring[(w->id + 1) % KEPT];
	__builtin_prefetch(k, 1);
	__builtin_prefetch(k->jobs, 1);
	__builtin_prefetch(k->groups, 1);
	__builtin_prefetch((char *)k->groups + 64, 1);
}

void explain_group(struct explain *e, const struct window *w, uint32_t group)
{
	struct kept *k = &e->ring[w->id % KEPT];
	const struct backend_group *g = &w->groups[group];

	if (k->id != w->id || group >= KEPT_JOBS)
		return;
	k->groups[group].done = 1;
	k->groups[group].status = g->status;
	k->groups[group].device_ns = g->device_ns;
	k->groups[group].start_ns = g->start_ns;
	k->groups[group].end_ns = g->end_ns;
	k->groups[group].others = g->others;
	k->groups[group].staged = g->staged;
	k->groups[group].crowd = g->crowd;
	k->groups[group].ran = w->launches[w->plan.groups[group].launch].ran;
}

static const struct kept *find(const struct explain *e, uint64_t window, uint64_t tenant,
			       uint64_t request)
{
	const struct kept *best = NULL;

	if (!window && !request)
		window = e->newest;
	if (window) {
		const struct kept *k = &e->ring[window % KEPT];

		return k->id == window ? k : NULL;
	}
	for (uint32_t i = 0; i < KEPT; i++) {
		const struct kept *k = &e->ring[i];
		uint32_t n = k->n_jobs < KEPT_JOBS ? k->n_jobs : KEPT_JOBS;

		for (uint32_t j = 0; k->id && j < n; j++)
			if (k->jobs[j].id == request && (!tenant || k->jobs[j].tenant == tenant) &&
			    (!best || k->id > best->id))
				best = k;
	}
	return best;
}

static const char *ran_words(const struct kept_group *kg)
{
	static const char *const words[BACKEND_FORMS] = {
		[BACKEND_LANES] = "on a lane of its own",
		[BACKEND_BRANCHES] = "as a branch of one graph",
		[BACKEND_SIDE_BY_SIDE] = "side by side in the same kernels",
	};

	if (kg->ran == BACKEND_LANES && kg->n_groups > 1)
		return "on a lane of its own: the graph of this combination is not ready";
	return kg->n_groups > 1 ? words[kg->ran] : words[BACKEND_LANES];
}

static json_t *group_json(const struct kept *k, uint32_t g)
{
	const struct kept_group *kg = &k->groups[g];
	uint32_t n = k->n_jobs < KEPT_JOBS ? k->n_jobs : KEPT_JOBS;
	json_t *jobs = json_array(), *o;

	for (uint32_t j = 0; j < n; j++)
		if (k->jobs[j].group == g)
			json_array_append_new(jobs, json_pack("{s:I,s:I,s:i}",
				"tenant", (json_int_t)k->jobs[j].tenant,
				"request", (json_int_t)k->jobs[j].id,
				"attempt", (int)k->jobs[j].attempt));
	o = json_pack("{s:s,s:i,s:s,s:i,s:i,s:s,s:b,s:o}", "model", kg->model,
		      "merge_degree", (int)kg->degree, "merge", plan_merge_words(kg->merge_why),
		      "launch", (int)kg->launch, "fuse_degree", (int)kg->n_groups,
		      "fuse", plan_fuse_words(kg->fuse_why), "done", (int)kg->done,
		      "requests", jobs);
	if (kg->done) {
		json_object_set_new(o, "status", json_integer(kg->status));
		json_object_set_new(o, "device_ns", json_integer(kg->device_ns));
		json_object_set_new(o, "run_ns", json_integer(kg->end_ns - kg->start_ns));
		json_object_set_new(o, "ran", json_string(ran_words(kg)));
		json_object_set_new(o, "beside", json_integer(kg->others));
		json_object_set_new(o, "inputs_copied", json_boolean(kg->staged));
		json_object_set_new(o, "large_tiles", json_boolean(kg->crowd));
	}
	return o;
}

json_t *explain_query(const struct explain *e, uint64_t window, uint64_t tenant,
		      uint64_t request)
{
	static const char *const closes[] = {
		"events only", "full: window_max requests were waiting",
		"age: the oldest had waited for window_timeout_us",
		"deadline: one would otherwise have been missed",
		"idle: the agent had nothing else to do",
		"suspect: one request alone, after an agent's death",
	};
	static const char *const policies[] = { "none", "merge", "fuse", "merge+fuse", "branches",
						"adaptive" };
	const struct kept *k = find(e, window, tenant, request);
	char words[320] = "";
	json_t *groups, *o, *outside;

	if (!k)
		return NULL;
	outside = outside_json(&k->outside);
	if (k->adaptive)
		adapt_words(&k->adapt, words, sizeof(words));
	groups = json_array();
	for (uint32_t g = 0; g < k->n_groups && g < KEPT_JOBS; g++)
		json_array_append_new(groups, group_json(k, g));
	o = json_pack("{s:I,s:s,s:s,s:i,s:i,s:i,s:o}", "window", (json_int_t)k->id,
			 "closed", k->reason < BRAID_CLOSES ? closes[k->reason] : "unknown",
			 "policy", k->policy < BRAID_FUSIONS ? policies[k->policy] : "unknown",
			 "requests", (int)k->n_jobs, "groups_total", (int)k->n_groups,
			 "launches", (int)k->n_launches, "groups", groups);
	if (*words)
		json_object_set_new(o, "chosen", json_string(words));
	if (outside)
		json_object_set_new(o, "outside", outside);
	return o;
}
