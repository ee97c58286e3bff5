// SPDX-License-Identifier: MIT
/*
 * When windows close, what FETCH returns, and the queue's clock.
 */
#include <string.h>

#include "tests/core/world.h"
#include "tests/tap.h"

static struct world w;
static struct bq_tenant *t;
static u64 m, n;

static void begin(u32 policy)
{
	w_init(&w);
	m = w_model(&w, "m", 1, 1000);
	n = w_model(&w, "n", 1, 4000);
	w_ready(&w);
	bq_knob_set(&w.q, BQ_WINDOW_POLICY, policy);
	bq_knob_set(&w.q, BQ_WINDOW_MAX, 4);
	bq_knob_set(&w.q, BQ_WINDOW_TIMEOUT_US, 10);
	t = w_tenant(&w, 1);
	w_fetch(&w, 0, 0, 0, 0);
}

static void test_fixed(void)
{
	struct bq_look l;
	u64 start;

	begin(BRAID_WINDOW_FIXED);
	l = w_look(&w, m, 0, 0, 9);
	ok(!l.reason && l.when == BQ_NEVER && !l.events, "an empty queue: never");
	start = w.now;
	w_submit(&w, t, m);
	l = w_look(&w, m, 0, 0, 9);
	ok(!l.reason && l.when == start + 10000, "one request: when it is old");
	is_int(w_fetch(&w, m, 0, 0, 9), -EAGAIN, "FETCH has nothing before");
	l = w_look(&w, n, 0, 0, 9);
	ok(!l.reason && l.when == BQ_NEVER, "another model's age does not count");
	w.now = start + 9999;
	ok(!w_look(&w, m, 0, 0, 9).reason, "a tick before");
	w.now = start + 10000;
	is_int(w_look(&w, m, 0, 0, 9).reason, BRAID_CLOSE_AGE, "old enough");
	w_fetch(&w, m, 0, 0, 9);
	ok(w.f.n_jobs == 1 && w.f.reason == BRAID_CLOSE_AGE && w.f.window == 1, "handed out for age");
	is_int(w.q.count.closes[BRAID_CLOSE_AGE], 1, "and counted");

	w_submit(&w, t, m);
	w_submit(&w, t, m);
	w_submit(&w, t, n);
	ok(!w_look(&w, m, n, 0, 0).reason, "three of four");
	w_submit(&w, t, n);
	is_int(w_look(&w, m, n, 0, 0).reason, BRAID_CLOSE_FULL, "full, whatever the credits");
	ok(!w_look(&w, m, 0, 0, 9).reason, "not by models that are not named");
	w_submit(&w, t, n);
	w_fetch(&w, m, n, 0, 0);
	ok(w.f.n_jobs == 4 && w.f.reason == BRAID_CLOSE_FULL, "window_max at most");
	w.now += 100000;
	w_fetch(&w, m, n, 0, 0);
	is_int(w.f.n_jobs, 1, "the rest in the next");
	ok(w_exit(&w), "nothing left");
}

static void test_deadline(void)
{
	struct bq_look l;
	u64 start;

	begin(BRAID_WINDOW_FIXED);
	bq_knob_set(&w.q, BQ_WINDOW_TIMEOUT_US, 1000);
	start = w.now;
	w_submit_full(&w, t, n, 1, start + 309000);
	w_submit_full(&w, t, m, 1, start + 309500);
	l = w_look(&w, m, n, 0, 9);
	ok(!l.reason && l.when == start + 305000 - BQ_DEADLINE_SLACK_NS,
	   "look when the slower one has to start, and a little before");
	l = w_look(&w, m, 0, 0, 9);
	ok(l.when == start + 308500 - BQ_DEADLINE_SLACK_NS, "or the other, if only that is named");
	w.now = l.when - 3500;
	is_int(w_look(&w, m, n, 0, 9).reason, BRAID_CLOSE_DEADLINE, "it has to start now");
	ok(!w_look(&w, m, 0, 0, 9).reason, "but not for the other model's sake");
	w_fetch(&w, m, n, 0, 9);
	ok(w.f.reason == BRAID_CLOSE_DEADLINE && w.f.n_jobs == 2, "handed out for the deadline");

	/* Who closes it is late, as timers are: it is handed out, not too late. */
	start = w.now;
	w_submit_full(&w, t, m, 1, start + 500000);
	w.now = w_look(&w, m, n, 0, 9).when + BQ_DEADLINE_SLACK_NS / 2;
	w_fetch(&w, m, n, 0, 9);
	ok(w.f.reason == BRAID_CLOSE_DEADLINE && w.f.n_jobs == 1, "a late timer misses no deadline");
	ok(w_exit(&w), "nothing left");
}

static void test_adaptive(void)
{
	begin(BRAID_WINDOW_ADAPTIVE);
	w_submit(&w, t, m);
	is_int(w_look(&w, m, 0, 0, 1).reason, BRAID_CLOSE_IDLE, "idle: at once");
	ok(!w_look(&w, m, 0, 0, 0).reason, "without credit it is not idle");
	is_int(w_look(&w, m, 0, 0, 0).when, BQ_NEVER, "and time changes nothing");
	ok(!w_look(&w, n, 0, 0, 1).reason, "nor for another model");
	w_fetch(&w, m, 0, 0, 1);
	ok(w.f.n_jobs == 1 && w.f.reason == BRAID_CLOSE_IDLE, "a lone request pays nothing");
	w_submit(&w, t, m);
	w_submit(&w, t, m);
	w_submit(&w, t, n);
	w_submit(&w, t, n);
	is_int(w_look(&w, m, n, 0, 1).reason, BRAID_CLOSE_IDLE, "credits bound the size");
	is_int(w_look(&w, m, n, 0, 2).reason, BRAID_CLOSE_FULL, "full");
	w.now += 20000;
	is_int(w_look(&w, m, n, 0, 1).reason, BRAID_CLOSE_AGE, "age counts before idle");
	ok(w_exit(&w), "nothing left");
}

static void test_room(void)
{
	struct braid_want want = { .model = m, .count = 9 };

	begin(BRAID_WINDOW_ADAPTIVE);
	want.model = m;
	w_submit(&w, t, m);
	w_submit(&w, t, m);
	w_submit(&w, t, m);
	w.f.wants = &want;
	w.f.n_wants = 1;
	w.f.max_slices = 5;
	is_int(bq_fetch(&w.q, &w.f, w.now), 0, "slices for two and a half");
	ok(w.f.n_jobs == 2 && w.f.n_slices == 4, "two");
	ok(w.job[1].first_slice == 2 && w.slice[3].offset == 64, "job's slices: input, output");
	w.f.max_slices = 1;
	is_int(bq_fetch(&w.q, &w.f, w.now), -EINVAL, "slices for none");
	w.f.max_slices = 9;
	w.f.max_jobs = 0;
	is_int(bq_fetch(&w.q, &w.f, w.now), -EINVAL, "no room for a job");
	w.f.max_jobs = 1;
	w.f.max_events = 0;
	is_int(bq_fetch(&w.q, &w.f, w.now), -EINVAL, "no room for an event");
	want.reserved = 1;
	w.f.max_events = 1;
	is_int(bq_fetch(&w.q, &w.f, w.now), -E2BIG, "reserved bits");
	ok(w_exit(&w), "nothing left");
}

/* Who asks for many buffers at once holds nobody up. */
static void test_many_buffers(void)
{
	struct bq_tenant *many, *u;
	u32 i, rounds, told = 0;

	begin(BRAID_WINDOW_ADAPTIVE);
	many = w_tenant(&w, 2);
	for (i = 0; i < 1000; i++)
		w_buffer(&w, many);
	u = w_tenant(&w, 3);
	w_submit(&w, u, m);
	is_int(w_fetch(&w, m, 0, 0, 9), 0, "a thousand buffers, and then a newcomer's request");
	ok(w.f.n_jobs == 1 && w_job(&w, 0, u, 1), "it comes at once");
	ok(w.event[0].type == BRAID_EVENT_BUF_NEW && w.event[0].tenant == u->id,
	   "its buffer is told first");
	is_int(w.f.n_events, 1 + W_MAX / 4, "of the others a quarter of the events' room");
	w_submit(&w, u, m);
	is_int(w_fetch(&w, m, 0, 0, 9), 0, "again");
	ok(w.f.n_jobs == 1 && w.f.n_events == W_MAX / 4, "what is known is not told again");
	for (rounds = 0; rounds < 20 && !w_fetch(&w, m, 0, 0, 9); rounds++)
		for (i = 0; i < w.f.n_events; i++)
			told += w.event[i].tenant == many->id;
	is_int(told, 1001 - 2 * W_MAX / 4, "in the end all are told");
	is_int(rounds, 4, "with all the room when there is no job");

	/* And whoever has a job that needs many gets no more than its part. */
	w_submit(&w, many, m);
	for (i = 0; i < 8; i++)
		w_buffer(&w, u);
	w.f.max_events = 4;
	w.f.n_wants = 1;
	w.f.wants = &(struct braid_want){ .model = m, .count = 5 };
	is_int(bq_fetch(&w.q, &w.f, w.now), 0, "room for four events, no new buffer needed");
	ok(w.f.n_jobs == 1 && w.f.n_events == 1, "a job, and one event beside it");
	ok(w_exit(&w), "nothing left");
}

/* A job that needs more new buffers than there is room for comes when they are told. */
static void test_little_room(void)
{
	struct braid_tensor tensors[4] = { 0 };
	struct bq_model def = { .name = "o", .device_ns = 1, .n_inputs = 3, .n_outputs = 1,
				.tensors = tensors };
	struct braid_request in = { .n_inputs = 3, .n_outputs = 1 };
	struct bq_model *out;
	struct braid_slice s[4];
	struct bq_tenant *u;
	u32 i;

	begin(BRAID_WINDOW_ADAPTIVE);
	u = w_tenant(&w, 2);
	for (i = 0; i < 4; i++) {
		tensors[i] = (struct braid_tensor){ .type = BRAID_TYPE_U8, .rank = 1,
						    .dims = { 64 }, .bytes = 64 };
		s[i] = (struct braid_slice){ .buffer = w_buffer(&w, u), .length = 64 };
	}
	is_int(bq_model_put(&w.q, &def, &out), 0, "a model with four tensors");
	in.model = out->id;
	is_int(w_raw(&w, u, &in, s, 4), 0, "a request in four new buffers");
	w.f.max_events = 2;
	w.f.n_wants = 1;
	w.f.wants = &(struct braid_want){ .model = in.model, .count = 5 };
	is_int(bq_fetch(&w.q, &w.f, w.now), 0, "room for two events");
	ok(w.f.n_jobs == 0 && w.f.n_events == 2 && w.event[0].id == s[0].buffer &&
	   w.event[1].id == s[1].buffer && !w.f.window && w.f.reason == BRAID_CLOSE_NONE,
	   "two are told, no job before the others");
	is_int(w.q.count.windows, 0, "which is no window");
	is_int(bq_fetch(&w.q, &w.f, w.now), 0, "and again");
	ok(w.f.n_jobs == 1 && w.f.n_events == 2 && w.event[0].id == s[2].buffer &&
	   w.event[1].id == s[3].buffer && w.f.window == 1, "the others, and with them the job");

	/* This model is on the stack: it may not come back to be freed. */
	bq_tenant_gone(&w.q, u);
	w_reap(&w);
	w_commit_cookie(&w, w.q.last_cookie, 10, 0);
	w_reap(&w);
	bq_model_del(&w.q, in.model, true, w.now);
	w_fetch(&w, 0, 0, 0, 0);
	ok(w.q.reap, "its node comes back");
	while (w.q.reap && w.q.reap != &def.reap)
		w.q.reap = w.q.reap->next;
	w.q.reap = def.reap.next;
	ok(w_exit(&w), "nothing left");
}

static void test_events(void)
{
	struct bq_tenant *u;
	u64 a, b;

	begin(BRAID_WINDOW_ADAPTIVE);
	u = w_tenant(&w, 2);
	w_submit(&w, u, m);
	b = w_buffer(&w, u);
	a = b - 1;
	ok(w_look(&w, m, 0, 0, 1).events, "new buffers are events");
	w.f.max_events = 1;
	w.f.n_wants = 1;
	w.f.wants = &(struct braid_want){ .model = m, .count = 5 };
	is_int(bq_fetch(&w.q, &w.f, w.now), 0, "room for one event");
	ok(w.f.n_jobs == 1 && w.f.n_events == 1 && w.event[0].id == a &&
	   w.event[0].type == BRAID_EVENT_BUF_NEW && w.event[0].length == 4096 &&
	   w.event[0].tenant == u->id, "the job's buffer is told, and the job comes");
	is_int(bq_fetch(&w.q, &w.f, w.now), 0, "the next");
	ok(w.f.n_jobs == 0 && w.f.n_events == 1 && w.event[0].id == b && w.f.window == 0 &&
	   w.f.reason == BRAID_CLOSE_NONE, "and then the other, alone");

	ok(!bq_buffer_free(&w.q, u, a), "free a buffer in use");
	ok(!bq_buffer_free(&w.q, u, b), "and one that is not");
	is_int(bq_buffer_free(&w.q, u, b), -ENOENT, "twice: not there");
	is_int(bq_buffer_put(&w.q, b), -EBUSY, "the agent does not know yet");
	is_int(w_fetch(&w, 0, 0, 0, 0), 0, "events only");
	ok(w.f.n_events == 1 && w.event[0].type == BRAID_EVENT_BUF_RETIRED && w.event[0].id == b,
	   "the unused one retires");
	is_int(u->owner->bytes, 8192, "its bytes are still charged");
	is_int(bq_buffer_put(&w.q, b), 0, "until the agent puts it");
	is_int(u->owner->bytes, 4096, "then not");
	is_int(bq_buffer_put(&w.q, b), -ENOENT, "twice: not there");
	w_commit_cookie(&w, w.q.last_cookie, 10, 0);
	w_fetch(&w, 0, 0, 0, 0);
	ok(w.f.n_events == 1 && w.event[0].id == a, "the used one after its request");

	b = w_buffer(&w, u);
	bq_buffer_free(&w.q, u, b);
	is_int(w_fetch(&w, 0, 0, 0, 0), -EAGAIN, "one that came and went is never told of");
	ok(!bq_buffer_get(&w.q, b), "and is gone");

	bq_knob_set(&w.q, BQ_FUSION_POLICY, BRAID_FUSION_NONE);
	w_fetch(&w, 0, 0, 0, 0);
	ok(w.f.n_events == 1 && w.event[0].type == BRAID_EVENT_POLICY &&
	   w.event[0].id == BRAID_FUSION_NONE && w.f.fusion_policy == BRAID_FUSION_NONE,
	   "a new policy is told");
	bq_knob_set(&w.q, BQ_FUSION_POLICY, BRAID_FUSION_NONE);
	is_int(w_fetch(&w, 0, 0, 0, 0), -EAGAIN, "the same again is not");
	ok(w_exit(&w), "nothing left");
}

static void test_expiry(void)
{
	struct braid_completion c;
	u64 start;

	begin(BRAID_WINDOW_ADAPTIVE);
	start = w.now;
	is_int(bq_next_event(&w.q), BQ_NEVER, "nothing to expire");
	w_submit_full(&w, t, m, 1, start + 700);
	w_submit_full(&w, t, n, 1, start + 500);
	is_int(bq_next_event(&w.q), start + 500, "the earliest deadline of all models");
	bq_expire(&w.q, start + 499);
	is_int(w_read(&w, t, NULL), 1, "not a tick before");
	bq_expire(&w.q, start + 500);
	ok(bq_next_woken(&w.q) == t && !bq_next_woken(&w.q), "its tenant is woken, once");
	is_int(w_read(&w, t, &c), -ETIME, "expired with no FETCH pending");
	ok(c.id == 2 && c.done_ns == start + 500 && !c.window && !c.fetch_ns, "the record says when");
	w.now = start + 700;
	is_int(w_fetch(&w, m, n, 0, 9), -EAGAIN, "what has expired is not handed out");
	is_int(w_read(&w, t, NULL), -ETIME, "but ends");
	w_submit_full(&w, t, m, 1, 1);
	is_int(bq_next_event(&w.q), 1, "a deadline long past is due at once");
	w_fetch(&w, m, 0, 0, 1);
	is_int(w_read(&w, t, NULL), -ETIME, "and ends so");
	w_submit_full(&w, t, m, 1, w.now + 50);
	w_fetch(&w, m, 0, 0, 1);
	w.now += 100;
	is_int(bq_next_event(&w.q), BQ_NEVER, "what runs does not expire");
	w_commit(&w, 0, 100, 0);
	is_int(w_read(&w, t, NULL), 0, "late is late, but done");
	ok(w_exit(&w), "nothing left");
}

static void test_knobs(void)
{
	static const struct { enum bq_knob knob; u32 good, bad; int error; } k[] = {
		{ BQ_WINDOW_MAX, 256, 257, -EINVAL },
		{ BQ_WINDOW_MAX, 1, 0, -EINVAL },
		{ BQ_WINDOW_TIMEOUT_US, 0, 10000001, -EINVAL },
		{ BQ_WINDOW_POLICY, 0, 2, -EOPNOTSUPP },
		{ BQ_FUSION_POLICY, 5, 6, -EOPNOTSUPP },
		{ BQ_TENANT_DEPTH, 65536, 0, -EINVAL },
		{ BQ_MAX_ATTEMPTS, 1, 0, -EINVAL },
		{ BQ_SHARE_BY, 1, 2, -EOPNOTSUPP },
		{ BQ_MAX_REQUESTS, 1, 0, -EINVAL },
		{ BQ_GRACE_MS, 0, 600001, -EINVAL },
	};
	struct bq q;
	u32 i;

	bq_init(&q);
	for (i = 0; i < sizeof(k) / sizeof(*k); i++) {
		is_int(bq_knob_set(&q, k[i].knob, k[i].good), 0, "knob %d takes %u", k[i].knob,
		       k[i].good);
		is_int(bq_knob_set(&q, k[i].knob, k[i].bad), k[i].error, "knob %d refuses %u",
		       k[i].knob, k[i].bad);
		is_int(q.knobs[k[i].knob], k[i].good, "and keeps what it had");
	}
	is_int(bq_knob_set(&q, BQ_KNOBS, 1), -EINVAL, "no such knob");
	q.fusion_mask = 1U << BRAID_FUSION_NONE;
	is_int(bq_knob_set(&q, BQ_FUSION_POLICY, BRAID_FUSION_MERGE), -EOPNOTSUPP,
	       "a policy that the backend lacks");
}

int main(void)
{
	test_fixed();
	test_deadline();
	test_adaptive();
	test_room();
	test_many_buffers();
	test_little_room();
	test_events();
	test_expiry();
	test_knobs();
	return tap_done();
}
