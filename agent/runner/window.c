// SPDX-License-Identifier: MIT
/*
 * A window's way: jobs are matched with models and buffers, planned, launched;
 * each group is committed the moment it is done.
 *
 * Owns the pool of windows. Nothing here allocates, logs or waits while all
 * goes well.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/log.h"
#include "agent/program/program.h"
#include "agent/runner/runner.h"
#include "agent/usdt.h"

/*
 * A group is done: window, model, its number in the window, launch, degree and
 * groups of its launch (16 bits each), start, end, device time.
 */
USDT_DEFINE(group);

int windows_new(struct runner *r)
{
	r->in = calloc(1, sizeof(*r->in));
	if (!r->in)
		return -ENOMEM;
	for (unsigned int i = 0; i < RUNNER_WINDOWS + RUNNER_RESERVE; i++) {
		struct window *w = calloc(1, sizeof(*w));

		if (!w)
			return -ENOMEM;
		w->next = r->free_windows;
		r->free_windows = w;
		r->n_free++;
	}
	return 0;
}

void windows_free(struct runner *r)
{
	struct window *lists[] = { r->free_windows, r->busy };

	for (int i = 0; i < 2; i++) {
		while (lists[i]) {
			struct window *next = lists[i]->next;

			free(lists[i]);
			lists[i] = next;
		}
	}
	free(r->in);
}

static void commit(struct runner *r, struct braid_result *res, uint32_t n)
{
	int ret = link_commit(r->link, r->generation, res, n);

	if (ret)
		runner_fail(r, "COMMIT", ret);
}

static void commit_error(struct runner *r, const struct braid_job *job, int err)
{
	struct braid_result res = { .cookie = job->cookie, .status = err };

	if (runner_may_tell(r))
		log_line(LOG_WARNING, "job can't be run", "tenant=%llu id=%llu error=%d",
			 (unsigned long long)job->tenant, (unsigned long long)job->id, err);
	commit(r, &res, 1);
}

/* Fault injection ([debug]): a request that ends, or stops, its agent. */
static void maybe_die(struct runner *r, const struct run_model *m, const struct run_buf *b,
		      uint64_t offset)
{
	float v;

	if (!b->look || strcmp(m->conf.name, r->cfg.kill_model))
		return;
	memcpy(&v, (const uint8_t *)b->look + offset, sizeof(v));
	if (v != r->cfg.kill_value)
		return;
	log_line(LOG_CRIT, "fault injected", "model=%s how=%d", m->conf.name, r->cfg.kill_how);
	switch (r->cfg.kill_how) {
	case KILL_RUNNER:
		kill(getpid(), SIGKILL);
		break;
	case KILL_BY_HANG:
		r->hang = true;		/* what is launched now never ends */
		break;
	case KILL_BY_GPU_FAULT:
		r->sabotage = BACKEND_FAULT;
		break;
	case KILL_BY_GPU_HANG:
		r->sabotage = BACKEND_HANG;
		break;
	}
}

/* Where a job's tensors are; 0, or why it can't be run. */
static int place(struct runner *r, const struct link_window *in, const struct braid_job *job,
		 const struct run_model *m, struct backend_io *io, uint32_t room)
{
	uint32_t n = job->n_inputs + job->n_outputs;

	if (!m || m->prog->n_inputs != job->n_inputs || m->prog->n_outputs != job->n_outputs)
		return -ENOENT;
	if (n > room || job->first_slice > in->arg.slices.count ||
	    n > in->arg.slices.count - job->first_slice)
		return -EINVAL;
	for (uint32_t i = 0; i < n; i++) {
		const struct braid_slice *s = &in->slices[job->first_slice + i];
		struct run_buf *b = buf_find(r->bufs, s->buffer);

		if (!b)
			return -EFAULT;
		if (s->offset > b->bytes || s->length > b->bytes - s->offset)
			return -EINVAL;
		io[i] = (struct backend_io){ b->bb, s->offset };
		if (!i && r->cfg.kill_model[0] && s->length >= sizeof(float))
			maybe_die(r, m, b, s->offset);
	}
	return 0;
}

static struct run_model *cached_model(struct runner *r, const struct window *w, uint64_t id)
{
	struct run_model *m;

	/* Jobs of one model often stand next to each other. */
	m = w->n_jobs ? w->models[w->n_jobs - 1] : NULL;
	return m && m->id == id ? m : model_by_id(r, id);
}

static void events(struct runner *r, const struct link_window *in)
{
	int ret;

	for (uint32_t i = 0; i < in->arg.events.count; i++) {
		const struct braid_event *ev = &in->events[i];

		if (ev->type == BRAID_EVENT_BUF_NEW) {
			ret = buf_add(r, ev);
			if (ret)
				runner_fail(r, "BUF_GET_FD", ret);
		} else if (ev->type == BRAID_EVENT_BUF_RETIRED) {
			buf_retire(r, ev->id);
		} else if (ev->type == BRAID_EVENT_MODEL_DRAINED) {
			model_drained(r, ev->id);
		}
	}
}

static void finish(struct runner *r, struct window *w)
{
	struct window **at = &r->busy;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	w->next = r->free_windows;
	r->free_windows = w;
	r->n_free++;
}

static void group_done(struct runner *r, struct run_group *rg)
{
	struct braid_result res[BRAID_MAX_BATCH];
	struct window *w = rg->w;
	const struct plan_group *pg = &w->plan.groups[rg->number];
	struct backend_group *g = &w->groups[rg->number];
	/* As it ran, not as it was meant to. */
	const bool fused = w->launches[pg->launch].ran != BACKEND_LANES;
	const uint32_t fuse = fused ? w->plan.launches[pg->launch].n_groups : 1;

	for (uint32_t i = 0; i < pg->degree; i++)
		res[i] = (struct braid_result){
			.cookie = w->jobs[w->plan.order[pg->first + i]].cookie,
			.device_ns = g->device_ns / pg->degree,
			.status = g->status,
			.merge_degree = pg->degree,
			.fuse_degree = fuse,
		};
	commit(r, res, pg->degree);
	if (!r->start.answer_ns)
		r->start.answer_ns = runner_now();
	r->outstanding -= pg->degree;
	if (!--w->left_of[pg->launch])
		r->in_flight--;
	if (!g->status) {
		r->ended++;
		r->launch_ns += g->start_ns > w->taken_ns ? g->start_ns - w->taken_ns : 0;
		r->device_ns += g->end_ns - g->start_ns;
		model_ran(rg->model, pg->degree, g->device_ns);
		if (r->policy == BRAID_FUSION_ADAPTIVE &&
		    adapt_done(r->adapt, g->end_ns, rg->model->number, pg->degree, g->device_ns,
			       r->in_flight, r->outstanding + r->queued))
			runner_limit(r);
	}
	explain_group(r->explain, w, rg->number);
	if (usdt_on(group))
		USDT6(group, w->id, rg->model->id,
		      (uint64_t)rg->number << 48 | (uint64_t)(pg->launch & 0xffff) << 32 |
		      pg->degree << 16 | fuse,
		      g->start_ns, g->end_ns, g->device_ns);
	rg->model->inflight--;
	if (!--w->groups_left)
		finish(r, w);
}

static void launch(struct runner *r, struct window *w, struct backend_io *staged,
		   const uint32_t *io_first)
{
	struct window **at_end = &r->waiting;
	struct plan *plan = &w->plan;
	uint32_t at = 0;

	/* The table of a group is one row a request, in the group's order. */
	for (uint32_t i = 0; i < plan->n_launches; i++)
		w->left_of[i] = plan->launches[i].n_groups;
	for (uint32_t i = 0; i < plan->n_groups; i++) {
		const struct plan_group *pg = &plan->groups[i];
		struct run_model *m = w->models[plan->order[pg->first]];
		uint32_t row = m->prog->n_inputs + m->prog->n_outputs;

		w->run[i] = (struct run_group){ w, i, m };
		w->groups[i] = (struct backend_group){
			.model = m->bm, .degree = pg->degree, .io = &w->io[at],
			.priv = &w->run[i],
		};
		for (uint32_t k = 0; k < pg->degree; k++, at += row)
			memcpy(&w->io[at], &staged[io_first[plan->order[pg->first + k]]],
			       row * sizeof(w->io[0]));
		m->inflight++;
		m->waiting++;
	}
	w->groups_left = plan->n_groups;
	w->launched = w->started = 0;
	w->next = r->busy;
	r->busy = w;
	r->groups += plan->n_groups;
	w->next_waiting = NULL;
	while (*at_end)
		at_end = &(*at_end)->next_waiting;
	*at_end = w;
	windows_launch(r);
}

/* Is one of these a request that was to be the end of the device? */
static enum backend_sabotage sabotage_of(const struct window *w, const struct plan_launch *pl)
{
	for (uint32_t g = pl->first; g < pl->first + pl->n_groups; g++)
		for (uint32_t k = 0; k < w->plan.groups[g].degree; k++)
			if (w->plan.order[w->plan.groups[g].first + k] + 1 == w->bad)
				return w->sabotage;
	return BACKEND_NO_SABOTAGE;
}

/* Hand over the rest of a window; false when the backend has no room now. */
static bool launch_rest(struct runner *r, struct window *w)
{
	while (w->launched < w->plan.n_launches) {
		uint32_t i = w->launched;
		const struct plan_launch *pl = &w->plan.launches[i];
		uint32_t started = w->started;
		int ret;

		w->launches[i] = (struct backend_launch){
			.groups = &w->groups[pl->first], .n_groups = pl->n_groups,
			.form = w->form, .started = started, .priv = w,
			.sabotage = w->bad ? sabotage_of(w, pl) : BACKEND_NO_SABOTAGE,
		};
		/* Before it is, see window_blame(). */
		w->launched++;
		ret = r->hang ? 0 : r->ops->launch(r->be, &w->launches[i]);
		w->started = w->launches[i].started;
		if (ret == -EAGAIN) {
			w->launched--;
			return false;
		}
		w->started = 0;
		for (uint32_t k = 0; k < pl->n_groups; k++)
			w->run[pl->first + k].model->waiting--;
		r->in_flight++;
		if (w->adaptive)
			adapt_launched(r->adapt, pl->n_groups > 1, w->launches[i].ran == w->form);
		for (uint32_t k = 0; ret && k < pl->n_groups; k++) {
			w->groups[pl->first + k].status = ret;
			w->groups[pl->first + k].device_ns = 0;
			group_done(r, &w->run[pl->first + k]);
		}
	}
	return true;
}

/*
 * What the backend had no room for: no fault of the tenants', it waits, the
 * oldest before others. Windows of other models pass it; of its own nothing
 * more is asked for meanwhile.
 */
void windows_launch(struct runner *r)
{
	struct window **at = &r->waiting;

	while (*at) {
		if (launch_rest(r, *at))
			*at = (*at)->next_waiting;
		else
			at = &(*at)->next_waiting;
	}
}

/* Powers of two, where combinations of groups must come again to be of use. */
#define FEW_DEGREES	0x800000008000808bull

static void how_to_plan(struct runner *r, struct window *w, struct plan_job *jobs,
			struct plan_how *how)
{
	const struct adapt_arm *arm;

	*how = (struct plan_how){ .policy = r->policy, .max_groups = RUNNER_GROUPS };
	w->adaptive = r->policy == BRAID_FUSION_ADAPTIVE;
	if (w->adaptive) {
		if (adapt_window(r->adapt, w->taken_ns, r->outstanding + r->queued))
			runner_limit(r);
		arm = adapt_arm(r->adapt);
		how->policy = arm->policy;
		if (arm->merge == ADAPT_SPREAD)
			how->spread = arm->limit > r->in_flight ? arm->limit - r->in_flight : 1;
	}
	w->form = how->policy == BRAID_FUSION_BRANCHES ? BACKEND_BRANCHES :
		  how->policy == BRAID_FUSION_FUSE || how->policy == BRAID_FUSION_MERGE_FUSE ?
		  BACKEND_SIDE_BY_SIDE : BACKEND_LANES;
	for (uint32_t i = 0; w->form != BACKEND_LANES && i < w->n_jobs; i++)
		if (jobs[i].degrees)
			jobs[i].degrees &= FEW_DEGREES;
}

/* No larger than what there is room for now, unless that is none at all. */
static uint32_t largest(const struct runner *r, const struct run_model *m)
{
	uint32_t now = r->ops->largest ? r->ops->largest(m->bm) : m->conf.max_degree;

	return now < m->conf.max_degree ? now : m->conf.max_degree;
}

void window_take(struct runner *r, const struct link_window *in)
{
	struct plan_how how;
	static struct backend_io staged[LINK_MAX_SLICES];	/* one thread */
	uint32_t io_first[BRAID_MAX_BATCH], used = 0;
	struct plan_job pj[BRAID_MAX_BATCH];
	enum braid_fusion_policy policy = in->arg.fusion_policy;
	struct window *w;
	int ret;

	events(r, in);
	r->queued = in->arg.queued < INT32_MAX ? in->arg.queued : INT32_MAX;
	if (!in->arg.jobs.count || r->failed)
		return;
	w = r->free_windows;	/* there is one: see runner_want() */
	r->free_windows = w->next;
	r->n_free--;
	w->taken_ns = runner_now();
	if (!r->start.window_ns)
		r->start.window_ns = w->taken_ns;
	w->id = in->arg.window;
	w->n_jobs = w->bad = 0;
	for (uint32_t i = 0; i < in->arg.jobs.count; i++) {
		const struct braid_job *job = &in->jobs[i];
		struct run_model *m = cached_model(r, w, job->model);

		ret = place(r, in, job, m, &staged[used], LINK_MAX_SLICES - used);
		if (ret) {
			commit_error(r, job, ret);
			continue;
		}
		pj[w->n_jobs] = (struct plan_job){
			.model = m->number, .max_degree = largest(r, m),
			.degrees = m->degrees,
			.alone = !!(job->flags & BRAID_JOB_ALONE),
		};
		io_first[w->n_jobs] = used;
		used += job->n_inputs + job->n_outputs;
		w->models[w->n_jobs] = m;
		w->jobs[w->n_jobs++] = *job;
		if (r->sabotage) {
			w->bad = w->n_jobs;
			w->sabotage = r->sabotage;
			r->sabotage = BACKEND_NO_SABOTAGE;
		}
	}
	if (!w->n_jobs || r->failed) {
		w->next = r->free_windows;
		r->free_windows = w;
		r->n_free++;
		return;
	}
	r->windows++;
	r->jobs += w->n_jobs;
	r->outstanding += w->n_jobs;
	watchdog_beat(&r->dog, r->outstanding);
	if (policy != r->policy)
		runner_policy(r, policy);
	how_to_plan(r, w, pj, &how);
	plan_window(&how, pj, w->n_jobs, &w->plan);
	explain_window(r->explain, w, in->arg.reason, policy, adapt_reason(r->adapt),
		       &r->outside);
	launch(r, w, staged, io_first);
}

/*
 * The device faulted: was it a request that ran alone? Then it fails, and the next agent
 * has nothing to find out. With others beside it nobody knows which of them it was.
 * The fault of a short kernel is seen while it is launched. It can't be an older one: only
 * requests launch kernels, and all before this one had ended without an error.
 */
void window_blame(struct runner *r)
{
	const struct window *w = r->busy;
	struct braid_result res = { .status = -EIO };

	if (!w || w->next || w->n_jobs != 1 || !(w->jobs[0].flags & BRAID_JOB_ALONE) || !w->launched)
		return;
	res.cookie = w->jobs[0].cookie;
	if (!link_commit(r->link, r->generation, &res, 1))
		link_flush(r->link);
	log_line(LOG_ERR, "a request that was alone on the GPU faulted", "tenant=%llu id=%llu model=%s",
		 (unsigned long long)w->jobs[0].tenant, (unsigned long long)w->jobs[0].id,
		 w->models[0]->conf.name);
}

/* Commit what has ended; how many groups that were. */
unsigned int windows_reap(struct runner *r)
{
	struct backend_group *done[64];
	unsigned int n, all = 0;

	do {
		n = r->ops->reap(r->be, done, 64);
		for (unsigned int i = 0; i < n; i++)
			group_done(r, done[i]->priv);
		all += n;
	} while (n == 64);
	return all;
}

/* Longest that counts from one look to the next. */
#define LOOK_NS	200000000ull

/*
 * A launch that takes too long: only the end of this process ends it. Launches
 * start in order, so the oldest window is the one that runs; time counts while
 * none of its groups ends, not while it waits for windows before it. Nor does it
 * while this process was stopped, as the CPU backend was with it. While this
 * thread can't look, as a driver call does not return, watchdog.c does.
 */
void windows_watch(struct runner *r)
{
	uint64_t limit = r->cfg.watchdog_ms * 1000000ull, now = runner_now();
	uint64_t since = now - r->looked_ns;
	struct window *w = r->busy;

	r->looked_ns = now;

	while (w && w->next)
		w = w->next;
	if (!w || w->id != r->watched || w->groups_left != r->watched_left) {
		r->watched = w ? w->id : 0;
		r->watched_left = w ? w->groups_left : 0;
		r->watched_ns = 0;
		return;
	}
	r->watched_ns += since < LOOK_NS ? since : LOOK_NS;
	if (!limit || r->watched_ns < limit)
		return;
	log_line(LOG_CRIT, "watchdog: a window takes too long, giving up",
		 "window=%llu jobs=%u groups_left=%u", (unsigned long long)w->id, w->n_jobs,
		 w->groups_left);
	kill(getpid(), SIGKILL);
}
