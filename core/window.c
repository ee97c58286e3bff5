// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * When a window closes, what goes into it, and what the agent is told.
 *
 * A look only sees the models that the FETCH names: they are linked by
 * want_next for the length of one call.
 */
#include "core/private.h"

#define NS_PER_US	1000ULL

static bool fixed(const struct bq *q)
{
	return q->knobs[BQ_WINDOW_POLICY] == BRAID_WINDOW_FIXED;
}

/* Link the models named; fixed windows ignore how many of each. */
static int resolve(struct bq *q, const struct braid_want *wants, u32 n_wants,
		   struct bq_model **first)
{
	struct bq_model *m;
	u32 i;

	*first = NULL;
	if (!q->ready)
		return -ENODEV;
	q->last_want++;
	for (i = 0; i < n_wants; i++) {
		if (wants[i].reserved)
			return -E2BIG;
		m = bq_model_any(q, wants[i].model);
		if (!m)
			continue;
		if (m->want_seq == q->last_want)
			return -EINVAL;
		m->want_seq = q->last_want;
		m->want_left = fixed(q) ? BRAID_MAX_BATCH : wants[i].count;
		m->want_next = *first;
		*first = m;
	}
	return 0;
}

/* The suspect that comes first among the models that can be taken, or NULL. */
static struct bq_request *first_suspect(struct bq_model *wants)
{
	struct bq_request *r, *best = NULL;
	struct bq_model *m;

	for (m = wants; m; m = m->want_next) {
		if (!m->want_left || bq_list_empty(&m->suspect_list))
			continue;
		r = bq_entry(m->suspect_list.next, struct bq_request, link);
		if (!best || r->suspect_key < best->suspect_key)
			best = r;
	}
	return best;
}

/* When to start @r so that it surely meets its deadline. */
static u64 latest_start(const struct bq_request *r)
{
	u64 takes = r->model->device_ns + BQ_DEADLINE_SLACK_NS;

	return r->deadline_ns > takes ? r->deadline_ns - takes : 0;
}

static void look_at(const struct bq *q, struct bq_model *wants, u64 now,
		    struct bq_look *look)
{
	u64 total = 0, old = BQ_NEVER, late = BQ_NEVER, t;
	const struct bq_request *r;
	struct bq_model *m;

	look->reason = BRAID_CLOSE_NONE;
	look->when = BQ_NEVER;
	if (q->alone)
		return;
	if (first_suspect(wants)) {
		if (!q->fetched)
			look->reason = BRAID_CLOSE_SUSPECT;
		return;
	}

	for (m = wants; m; m = m->want_next) {
		if (!m->want_left || !m->queued)
			continue;
		total += m->want_left < m->queued ? m->want_left : m->queued;
		r = bq_entry(m->arrivals.next, struct bq_request, link);
		t = r->enqueue_ns + q->knobs[BQ_WINDOW_TIMEOUT_US] * NS_PER_US;
		if (t < old)
			old = t;
		if (bq_rb_empty(&m->deadlines))
			continue;
		r = bq_entry(bq_rb_first(&m->deadlines), struct bq_request, by_deadline);
		t = latest_start(r);
		if (t < late)
			late = t;
	}
	if (!total)
		return;
	if (total >= q->knobs[BQ_WINDOW_MAX])
		look->reason = BRAID_CLOSE_FULL;
	else if (old <= now)
		look->reason = BRAID_CLOSE_AGE;
	else if (late <= now)
		look->reason = BRAID_CLOSE_DEADLINE;
	else if (!fixed(q))
		look->reason = BRAID_CLOSE_IDLE;
	else
		look->when = old < late ? old : late;
}

static bool have_events(const struct bq *q)
{
	return q->policy_changed || !bq_list_empty(&q->retired) ||
	       !bq_list_empty(&q->drained) || !bq_list_empty(&q->fresh);
}

int bq_window(struct bq *q, const struct braid_want *wants, u32 n_wants,
	      u64 now, struct bq_look *look)
{
	struct bq_model *first;
	int ret;

	bq_expire(q, now);
	ret = resolve(q, wants, n_wants, &first);
	if (ret)
		return ret;
	look_at(q, first, now, look);
	look->events = have_events(q);
	return 0;
}

/* An event, while there are fewer than @most. */
static struct braid_event *next_event(struct bq_fetch *f, u32 most, u32 type, u64 id)
{
	struct braid_event *e;

	if (f->n_events >= most)
		return NULL;
	e = &f->events[f->n_events++];
	memset(e, 0, sizeof(*e));
	e->type = type;
	e->id = id;
	return e;
}

static bool tell_buffer(struct bq_fetch *f, u32 most, u32 type, const struct bq_buffer *b)
{
	struct braid_event *e = next_event(f, most, type, b->id);

	if (!e)
		return false;
	e->length = b->length;
	e->tenant = b->tenant_id;
	return true;
}

/* Of the buffers of a job, so that it can be handed out. Returns whether they fit. */
static bool tell_slots(const struct bq_request *r, struct bq_fetch *f)
{
	u32 most = f->max_events - f->max_events / 4, i;
	struct bq_buffer *b;

	for (i = 0; i < r->n_slots; i++) {
		b = r->slots[i].buffer;
		if (b->known)
			continue;
		if (!tell_buffer(f, most, BRAID_EVENT_BUF_NEW, b))
			return false;
		bq_buffer_known(b);
	}
	return true;
}

static void tell_policy(struct bq *q, struct bq_fetch *f)
{
	if (q->policy_changed && next_event(f, f->max_events, BRAID_EVENT_POLICY,
					    q->knobs[BQ_FUSION_POLICY]))
		q->policy_changed = false;
}

/* All else, after the jobs. */
static void tell(struct bq *q, struct bq_fetch *f)
{
	u32 most = f->max_events;
	struct bq_buffer *b;
	struct bq_model *m;

	if (f->n_jobs && f->n_events + (most + 3) / 4 < most)
		most = f->n_events + (most + 3) / 4;
	while (!bq_list_empty(&q->retired)) {
		b = bq_entry(q->retired.next, struct bq_buffer, link);
		if (!tell_buffer(f, most, BRAID_EVENT_BUF_RETIRED, b))
			break;
		b->told = true;
		bq_list_del(&b->link);
		bq_list_add_tail(&q->told, &b->link);
	}
	while (!bq_list_empty(&q->drained)) {
		m = bq_entry(q->drained.next, struct bq_model, link);
		if (!next_event(f, most, BRAID_EVENT_MODEL_DRAINED, m->id))
			break;
		bq_list_del(&m->link);
		bq_bury(q, &m->reap, BQ_MODEL);
	}
	while ((b = bq_buffer_fresh(q)) && tell_buffer(f, most, BRAID_EVENT_BUF_NEW, b))
		bq_buffer_known(b);
}

static void write_job(const struct bq_request *r, struct bq_fetch *f)
{
	struct braid_job *j = &f->jobs[f->n_jobs++];
	u32 i;

	memset(j, 0, sizeof(*j));
	j->cookie = r->cookie;
	j->model = r->model->id;
	j->tenant = r->tenant->id;
	j->owner = r->owner->key;
	j->enqueue_ns = r->enqueue_ns;
	j->deadline_ns = r->deadline_ns;
	j->id = r->id;
	j->priority = r->priority;
	j->attempt = r->attempt;
	j->first_slice = f->n_slices;
	j->n_inputs = r->model->n_inputs;
	j->n_outputs = r->model->n_outputs;
	j->flags = r->alone ? BRAID_JOB_ALONE : 0;
	for (i = 0; i < r->n_slots; i++)
		f->slices[f->n_slices++] = r->slots[i].slice;
}

/* Hand @r out, as the first job or one more. Returns false: no room for its buffers. */
static bool take(struct bq *q, struct bq_request *r, struct bq_fetch *f, u32 reason, u64 now)
{
	if (!tell_slots(r, f))
		return false;
	if (!f->n_jobs) {
		f->window = ++q->last_window;
		f->reason = reason;
		q->count.windows++;
		q->count.closes[reason]++;
	}
	bq_request_fetch(q, r, q->last_window, now);
	write_job(r, f);
	return true;
}

static void take_window(struct bq *q, struct bq_model *wants, struct bq_fetch *f, u32 reason,
			u64 now)
{
	u32 most = q->knobs[BQ_WINDOW_MAX];
	struct bq_request *r;

	if (most > f->max_jobs)
		most = f->max_jobs;
	while (f->n_jobs < most) {
		r = bq_order_first(wants);
		if (!r || r->n_slots > f->max_slices - f->n_slices ||
		    !take(q, r, f, reason, now))
			break;
		r->model->want_left--;
	}
}

/* A FETCH that could never return a job it asks for would wait for ever. */
static bool has_room(const struct bq_model *wants, const struct bq_fetch *f)
{
	const struct bq_model *m;

	if (!f->max_events || (f->n_wants && !f->max_jobs))
		return false;
	for (m = wants; m; m = m->want_next)
		if (m->n_inputs + m->n_outputs > f->max_slices)
			return false;
	return true;
}

int bq_fetch_check(struct bq *q, const struct bq_fetch *f)
{
	struct bq_model *wants;
	int ret = resolve(q, f->wants, f->n_wants, &wants);

	return ret || has_room(wants, f) ? ret : -EINVAL;
}

int bq_fetch(struct bq *q, struct bq_fetch *f, u64 now)
{
	struct bq_look look;
	struct bq_model *wants;
	int ret;

	f->n_jobs = 0;
	f->n_slices = 0;
	f->n_events = 0;
	f->window = 0;
	f->reason = BRAID_CLOSE_NONE;
	bq_expire(q, now);
	ret = resolve(q, f->wants, f->n_wants, &wants);
	if (ret)
		return ret;
	if (!has_room(wants, f))
		return -EINVAL;

	tell_policy(q, f);
	look_at(q, wants, now, &look);
	if (look.reason == BRAID_CLOSE_SUSPECT)
		take(q, first_suspect(wants), f, look.reason, now);
	else if (look.reason != BRAID_CLOSE_NONE)
		take_window(q, wants, f, look.reason, now);
	tell(q, f);
	if (!f->n_jobs && !f->n_events) {
		f->when = look.when;
		return -EAGAIN;
	}
	f->generation = q->generation;
	f->fusion_policy = q->knobs[BQ_FUSION_POLICY];
	f->queued = q->queued;
	return 0;
}
