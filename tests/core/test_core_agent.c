// SPDX-License-Identifier: MIT
/*
 * The agent comes, dies, comes back: generations, requeueing, the hold,
 * suspects alone, max_attempts.
 */
#include <string.h>

#include "tests/core/world.h"
#include "tests/tap.h"

#define MS	1000000ULL

static struct world w;
static struct bq_tenant *t;
static u64 m, n;

static void begin(void)
{
	w_init(&w);
	m = w_model(&w, "m", 1, 1000);
	n = w_model(&w, "n", 1, 1000);
	w_ready(&w);
	bq_knob_set(&w.q, BQ_GRACE_MS, 10);
	t = w_tenant(&w, 1);
	w_fetch(&w, 0, 0, 0, 0);
}

/* A successor with the same models; takes the news about buffers. */
static void successor(void)
{
	bq_agent_attach(&w.q);
	w_model(&w, "m", 1, 1000);
	w_model(&w, "n", 1, 1000);
	w_ready(&w);
	w_fetch(&w, 0, 0, 0, 0);
}

static void test_life(void)
{
	begin();
	is_int(w.q.generation, 1, "the first generation");
	is_int(bq_agent_ready(&w.q, w.now), -EINVAL, "ready twice");
	is_int(bq_agent_attach(&w.q), -EBUSY, "a second agent");
	bq_agent_gone(&w.q, w.now);
	is_int(bq_agent_ready(&w.q, w.now), -ENODEV, "ready without an agent");
	is_int(w_fetch(&w, m, 0, 0, 1), -ENODEV, "FETCH without an agent");
	is_int(bq_commit_check(&w.q, 1), -ENODEV, "COMMIT without an agent");
	is_int(bq_buffer_put(&w.q, 1), -ENODEV, "BUF_PUT without an agent");
	is_int(bq_model_del(&w.q, m, true, w.now), -ENODEV, "MODEL_DEL without an agent");
	is_int(w_try(&w, t, m, 1, 0), 0, "the table outlives the agent");
	bq_agent_attach(&w.q);
	is_int(w_fetch(&w, m, 0, 0, 1), -ENODEV, "FETCH before READY");
	is_int(w_model(&w, "m", 1, 1000), m, "the same model, the same id");
	w_ready(&w);
	is_int(w.q.generation, 2, "the next generation");
	is_int(bq_commit_check(&w.q, 1), -ESTALE, "the old one is stale");
	ok(!bq_model_by_id(&w.q, n), "a model that did not come back is gone");
	is_int(w_fetch(&w, m, 0, 0, 1), 0, "what waited is handed out");
	ok(w.f.n_events == 1 && w.event[0].type == BRAID_EVENT_BUF_NEW, "buffers are told again");
	ok(w.f.n_jobs == 1 && !w.job[0].flags && w.job[0].attempt == 0,
	   "it never ran: no suspect");
	ok(w_exit(&w), "nothing left");
}

static void test_absent_model(void)
{
	begin();
	w_submit(&w, t, n);
	w_submit(&w, t, n);
	w_submit(&w, t, m);
	w_fetch(&w, n, 0, 0, 1);
	bq_agent_gone(&w.q, w.now);
	bq_agent_attach(&w.q);
	w_model(&w, "m", 1, 1000);
	w_ready(&w);
	ok(w_read(&w, t, NULL) == -ENOENT && w_read(&w, t, NULL) == -ENOENT,
	   "requests of a model that did not come back end, run or not");
	is_int(w_read(&w, t, NULL), 1, "the others do not");
	w_fetch(&w, m, n, 0, 9);
	ok(w.f.n_jobs == 1 && w.job[0].model == m, "and run");
	ok(w.f.n_events == 1, "the new agent hears nothing of the old model");
	ok(w_exit(&w), "nothing left");
}

static void test_requeue(void)
{
	u64 a, b, c, d, first;
	struct bq_look l;
	u32 i;

	begin();
	a = w_submit(&w, t, m);
	b = w_submit_full(&w, t, n, 1, w.now + 90000);
	c = w_submit(&w, t, m);
	w_fetch(&w, m, n, 0, 9);
	ok(w_job(&w, 0, t, b) && w_job(&w, 1, t, a) && w_job(&w, 2, t, c), "b, a, c are running");
	first = w.job[0].cookie;
	d = w_submit_full(&w, t, m, 1, w.now + 50000);
	i = t->owner->vtime;
	bq_agent_gone(&w.q, w.now);
	ok(t->owner->vtime + 3000 == i, "what did not run is not charged");
	is_int(w.q.count.requeued, 3, "three go back");
	successor();
	is_int(w_commit_cookie(&w, first, 1, 0), -ENOENT, "their cookies are void");
	is_int(w_look(&w, m, n, 0, 9).reason, BRAID_CLOSE_SUSPECT, "a suspect goes at once");
	w_fetch(&w, m, n, 0, 9);
	ok(w.f.n_jobs == 1 && w_job(&w, 0, t, b) && w.f.reason == BRAID_CLOSE_SUSPECT,
	   "alone, and before the rest, whatever its deadline");
	ok(w.job[0].flags == BRAID_JOB_ALONE && w.job[0].attempt == 1, "marked");
	l = w_look(&w, m, n, 0, 9);
	ok(!l.reason && l.when == BQ_NEVER, "nothing beside it");
	w_commit(&w, 0, 5, 0);
	w_fetch(&w, m, n, 0, 9);
	ok(w.f.n_jobs == 1 && w_job(&w, 0, t, a), "then the next one alone");
	w_commit(&w, 0, 5, 0);
	w_fetch(&w, m, n, 0, 9);
	w_commit(&w, 0, 5, 0);
	w_fetch(&w, m, n, 0, 9);
	ok(w.f.n_jobs == 1 && w_job(&w, 0, t, d) && !w.job[0].flags, "then the others as ever");
	is_int(w.q.count.closes[BRAID_CLOSE_SUSPECT], 3, "counted");
	ok(w_exit(&w), "nothing left");
}

static void test_drain_for_suspect(void)
{
	u64 cookie;

	begin();
	w_submit(&w, t, m);
	w_fetch(&w, m, 0, 0, 1);
	bq_agent_gone(&w.q, w.now);
	successor();
	w_submit(&w, t, n);
	w_submit(&w, t, n);
	w_fetch(&w, n, 0, 0, 1);
	ok(w.f.n_jobs == 1 && w.job[0].model == n && !w.job[0].flags,
	   "its model is not wanted: others run");
	cookie = w.job[0].cookie;
	ok(!w_look(&w, m, n, 0, 1).reason, "it is wanted, something runs: wait");
	is_int(w_look(&w, n, 0, 0, 1).reason, BRAID_CLOSE_IDLE, "not wanted: go on");
	ok(!w_look(&w, m, n, 0, 0).reason, "no credit for it: nothing");
	w_commit_cookie(&w, cookie, 1, 0);
	is_int(w_look(&w, m, n, 0, 1).reason, BRAID_CLOSE_SUSPECT, "drained: alone");
	ok(w_exit(&w), "nothing left");
}

static void test_poison(void)
{
	struct braid_completion c;
	u64 innocent, poison;
	u32 i;

	begin();
	poison = w_submit(&w, t, m);
	innocent = w_submit(&w, t, m);
	w_fetch(&w, m, 0, 0, 9);
	is_int(w.f.n_jobs, 2, "together");
	bq_agent_gone(&w.q, w.now);
	for (i = 1; i <= 3; i++) {
		is_int(w_read(&w, t, NULL), 1, "death %u decides nothing yet", i);
		successor();
		w_fetch(&w, m, 0, 0, 9);
		if (i == 3) {
			ok(w.f.n_jobs == 1 && w_job(&w, 0, t, innocent) && w.job[0].attempt == 1,
			   "one that ended no agent is not kept waiting by one that ended two");
			w_commit(&w, 0, 1, 0);
			is_int(w_read(&w, t, NULL), 0, "and is done");
			w_fetch(&w, m, 0, 0, 9);
		}
		ok(w.f.n_jobs == 1 && w_job(&w, 0, t, poison) && w.job[0].attempt == i,
		   "alone, attempt %u", i);
		bq_agent_gone(&w.q, w.now);
	}
	is_int(w_read(&w, t, NULL), 1, "three deaths alone, but its context may still write");
	successor();
	is_int(w_read(&w, t, &c), -EIO, "it ends with the successor");
	ok(c.id == poison && c.attempt == 4, "four agents died with it, three alone");
	is_int(w.q.count.killed, 1, "counted");
	ok(w_exit(&w), "nothing left");
}

/* Agents that die just after each commit, with whatever came next, prove nothing. */
static void test_killed_after_commits(void)
{
	enum { N = 6 };
	struct braid_completion c;
	u32 good = 0, agents = 0;

	begin();
	for (u32 i = 0; i < N; i++)
		w_submit(&w, t, m);
	w_fetch(&w, m, 0, 0, 9);
	is_int(w.f.n_jobs, N, "together");
	bq_agent_gone(&w.q, w.now);
	do {
		successor();
		w_fetch(&w, m, 0, 0, 9);
		w_commit(&w, 0, 1, 0);
		if (w_read(&w, t, &c) == 0)
			good += !c.status;
		w_fetch(&w, m, 0, 0, 9);
		if (w.f.n_jobs)
			bq_agent_gone(&w.q, w.now);
	} while (w.f.n_jobs && agents++ < 3 * N);
	is_int(good, N, "all are done");
	is_int(w.q.count.killed, 0, "nobody was blamed");
	ok(w_exit(&w), "nothing left");
}

/* Many deaths together with others never end in EIO. */
static void test_innocent(void)
{
	struct bq_tenant *u;
	u32 i;

	begin();
	bq_knob_set(&w.q, BQ_MAX_ATTEMPTS, 1);
	u = w_tenant(&w, 2);
	w_submit(&w, t, m);
	w_submit(&w, u, m);
	w_fetch(&w, m, 0, 0, 9);
	bq_agent_gone(&w.q, w.now);
	for (i = 0; i < 5; i++) {
		successor();
		bq_agent_gone(&w.q, w.now);
	}
	successor();
	ok(w_read(&w, t, NULL) == 1 && w_read(&w, u, NULL) == 1, "deaths that it had no part in");
	is_int(bq_entry(bq_model_by_id(&w.q, m)->suspect_list.next, struct bq_request,
			link)->attempt, 1, "are not its attempts");
	ok(w_exit(&w), "nothing left");
}

static void test_hold(void)
{
	struct braid_completion c;
	u64 start, again;

	begin();
	start = w.now;
	w_submit_full(&w, t, m, 1, start + 5000);
	w_submit(&w, t, m);
	w_submit(&w, t, m);
	w_fetch(&w, m, 0, 0, 9);
	bq_cancel(&w.q, t, 3, w.now);
	w_submit_full(&w, t, m, 1, start + 4000);
	bq_agent_gone(&w.q, w.now);
	is_int(bq_next_event(&w.q), start + 4000, "what was only queued expires as ever");
	w.now = start + 6000;
	bq_expire(&w.q, w.now);
	ok(w_read(&w, t, &c) == -ETIME && c.id == 4, "even while all is held");
	is_int(w_read(&w, t, NULL), 1, "what the dead agent had does not");
	is_int(bq_cancel(&w.q, t, 2, w.now), BRAID_CANCEL_LATER, "nor is it cancelled at once");
	is_int(bq_cancel(&w.q, t, 2, w.now), BRAID_CANCEL_LATER, "nor twice");
	is_int(bq_next_event(&w.q), start + 10 * MS, "the hold's end is next");
	bq_agent_attach(&w.q);
	is_int(w_read(&w, t, NULL), 1, "a successor that is not ready changes nothing");
	bq_agent_gone(&w.q, w.now);
	bq_expire(&w.q, start + 10 * MS - 1);
	is_int(w_read(&w, t, NULL), 1, "a tick before");
	w.now = start + 10 * MS;
	bq_expire(&w.q, w.now);
	ok(w_read(&w, t, &c) == -ECANCELED && c.id == 3, "the grace is over: cancelled while it ran");
	ok(w_read(&w, t, &c) == -ECANCELED && c.id == 2, "cancelled while held");
	ok(w_read(&w, t, &c) == -ETIME && c.id == 1 && c.attempt == 1, "and expired");
	is_int(bq_next_event(&w.q), BQ_NEVER, "all said");

	successor();
	again = w_submit_full(&w, t, m, 1, w.now + 100);
	w_fetch(&w, m, 0, 0, 1);
	bq_agent_gone(&w.q, w.now);
	w.now += 200;
	bq_expire(&w.q, w.now);
	is_int(w_read(&w, t, NULL), 1, "held again");
	successor();
	ok(w_read(&w, t, &c) == -ETIME && c.id == again, "a successor that is ready ends it");

	w_submit(&w, t, m);
	w_fetch(&w, m, 0, 0, 1);
	bq_knob_set(&w.q, BQ_GRACE_MS, 0);
	bq_cancel(&w.q, t, t->last_id, w.now);
	bq_agent_gone(&w.q, w.now);
	is_int(w_read(&w, t, NULL), -ECANCELED, "without grace nothing is held");
	ok(w_exit(&w), "nothing left");
}

static void test_death_in_hold(void)
{
	struct bq_tenant *u;

	begin();
	u = w_tenant(&w, 2);
	w_fetch(&w, 0, 0, 0, 0);
	w_submit(&w, t, m);
	w_submit(&w, t, m);
	w_submit(&w, u, m);
	w_fetch(&w, m, 0, 0, 9);
	bq_tenant_gone(&w.q, u);
	bq_cancel(&w.q, t, 1, w.now);
	bq_agent_gone(&w.q, w.now);
	w_reap(&w);
	ok(w.q.count.dropped == 1 && w.q.count.requeued == 2, "the orphan goes with the agent");
	is_int(w.reaped[BQ_BUFFER], 1, "and its buffer, which nobody holds any more");
	bq_tenant_gone(&w.q, t);
	w_reap(&w);
	ok(w.reaped[BQ_REQUEST] == 3 && w.reaped[BQ_BUFFER] == 2,
	   "a tenant's death does not wait for the hold");
	successor();
	is_int(w_fetch(&w, m, 0, 0, 9), -EAGAIN, "nothing is left to run");
	ok(w_exit(&w), "nothing left");
}

/* A model that drains is kept by what comes back, whatever is dropped. */
static void test_drain_and_orphan(void)
{
	struct bq_tenant *u;

	begin();
	u = w_tenant(&w, 2);
	w_fetch(&w, 0, 0, 0, 0);
	w_submit(&w, t, m);
	w_submit(&w, u, m);
	w_fetch(&w, m, 0, 0, 9);
	ok(w.f.n_jobs == 2 && w_job(&w, 0, t, 1), "the orphan to be is the second one");
	bq_model_del(&w.q, m, false, w.now);
	bq_tenant_gone(&w.q, u);
	bq_agent_gone(&w.q, w.now);
	w_reap(&w);
	is_int(w.reaped[BQ_MODEL], 0, "the model stays");
	bq_agent_attach(&w.q);
	is_int(w_model(&w, "m", 1, 1000), m, "and can be revived");
	w_ready(&w);
	w_fetch(&w, m, 0, 0, 9);
	ok(w.f.n_jobs == 1 && w_job(&w, 0, t, 1), "for what waits");
	ok(w_exit(&w), "nothing left");
}

static void test_model_withdrawn_in_hold(void)
{
	struct braid_completion c;

	begin();
	w_submit(&w, t, m);
	w_fetch(&w, m, 0, 0, 1);
	w_submit(&w, t, m);
	bq_agent_gone(&w.q, w.now);
	bq_agent_attach(&w.q);
	w_model(&w, "m", 1, 1000);
	bq_model_del(&w.q, m, true, w.now);
	ok(w_read(&w, t, &c) == -ENOENT && c.id == 2, "what was queued ends");
	is_int(w_read(&w, t, NULL), 1, "what had run is held");
	w_ready(&w);
	ok(w_read(&w, t, &c) == -ENOENT && c.id == 1, "until the agent is ready");
	w_fetch(&w, 0, 0, 0, 0);
	is_int(w.event[0].type, BRAID_EVENT_MODEL_DRAINED, "which hears that it drained");
	ok(w_exit(&w), "nothing left");
}

static void test_stall(void)
{
	struct bq_stall st = { 0 };
	u64 id;

	begin();
	ok(!bq_stalled(&w.q, &st) && !bq_stalled(&w.q, &st), "an idle agent does not stall");
	id = w_submit(&w, t, m);
	ok(!bq_stalled(&w.q, &st), "nor at the first look at its work");
	ok(bq_stalled(&w.q, &st), "it does when nothing moved until the second");
	ok(!bq_stalled(&w.q, &st), "which is told once");
	is_int(w_fetch(&w, m, 0, 0, 1), 0, "it takes");
	ok(w_job(&w, 0, t, id) && !bq_stalled(&w.q, &st), "and moves");
	ok(bq_stalled(&w.q, &st), "what it never gives back is the next stall");
	w_commit(&w, 0, 1, 0);
	w_submit(&w, t, m);
	ok(!bq_stalled(&w.q, &st), "a commit is a move too");
	w_fetch(&w, m, 0, 0, 1);
	w_commit(&w, 0, 1, 0);
	ok(!bq_stalled(&w.q, &st) && !bq_stalled(&w.q, &st), "all done");
	w_submit(&w, t, m);
	bq_agent_gone(&w.q, w.now);
	ok(!bq_stalled(&w.q, &st) && !bq_stalled(&w.q, &st), "without an agent nothing stalls");
	ok(w_exit(&w), "nothing is lost");
}

int main(void)
{
	test_life();
	test_absent_model();
	test_requeue();
	test_drain_for_suspect();
	test_poison();
	test_killed_after_commits();
	test_innocent();
	test_hold();
	test_death_in_hold();
	test_drain_and_orphan();
	test_model_withdrawn_in_hold();
	test_stall();
	return tap_done();
}
