// SPDX-License-Identifier: MIT
/*
 * Who is next: class, owner's share, tenant's share, deadline, arrival.
 */
#include <string.h>

#include "tests/core/world.h"
#include "tests/tap.h"

static struct world w;

static void limits(u64 owner, u32 weight, u32 ceiling)
{
	struct bq_owner_limits l = w.q.defaults;

	l.weight = weight;
	l.priority_ceiling = ceiling;
	bq_owner_set(&w.q, bq_owner_find(&w.q, owner), &l);
}

static void test_class(void)
{
	struct bq_tenant *a, *b;
	u64 m, low, normal, high, lowered;

	w_init(&w);
	m = w_model(&w, "m", 1, 1000);
	w_ready(&w);
	a = w_tenant(&w, 1);
	b = w_tenant(&w, 2);
	limits(2, 100, BRAID_PRIORITY_HIGH);
	low = w_submit_full(&w, a, m, BRAID_PRIORITY_LOW, w.now + 5000);
	lowered = w_submit_full(&w, a, m, BRAID_PRIORITY_REALTIME, 0);
	normal = w_submit_full(&w, b, m, BRAID_PRIORITY_NORMAL, 0);
	high = w_submit_full(&w, b, m, BRAID_PRIORITY_REALTIME, 0);
	w_fetch(&w, m, 0, 0, 10);
	is_int(w.f.n_jobs, 4, "all four in one window");
	ok(w_job(&w, 0, b, high), "the raised ceiling goes first");
	is_int(w.job[0].priority, BRAID_PRIORITY_HIGH, "as its ceiling, not as asked");
	ok(w_job(&w, 1, a, lowered), "above the default ceiling counts as normal");
	is_int(w.job[1].priority, BRAID_PRIORITY_NORMAL, "and says so");
	ok(w_job(&w, 2, b, normal), "owners take turns within a class");
	ok(w_job(&w, 3, a, low), "low goes last, deadline or not");
	ok(w_exit(&w), "nothing left");
}

static void test_deadline_and_arrival(void)
{
	struct bq_tenant *a;
	u64 m, id[5];

	w_init(&w);
	m = w_model(&w, "m", 1, 1000);
	w_ready(&w);
	a = w_tenant(&w, 1);
	id[0] = w_submit(&w, a, m);
	id[1] = w_submit_full(&w, a, m, 1, w.now + 90000);
	id[2] = w_submit(&w, a, m);
	id[3] = w_submit_full(&w, a, m, 1, w.now + 80000);
	id[4] = w_submit_full(&w, a, m, 1, w.now + 90000);
	w_fetch(&w, m, 0, 0, 10);
	ok(w_job(&w, 0, a, id[3]) && w_job(&w, 1, a, id[1]) && w_job(&w, 2, a, id[4]),
	   "earliest deadline first, equal ones by arrival");
	ok(w_job(&w, 3, a, id[0]) && w_job(&w, 4, a, id[2]), "then those without, by arrival");
	ok(w_exit(&w), "nothing left");
}

/* How many of @n picks, one a window, go to owner @owner. */
static u32 picks(u64 m, u32 n, u64 owner, u64 cost)
{
	u32 i, got = 0;

	for (i = 0; i < n; i++) {
		w_fetch(&w, m, 0, 0, 1);
		got += w.job[0].owner == owner;
		w_commit(&w, 0, cost, 0);
	}
	return got;
}

static void test_shares(void)
{
	struct bq_tenant *a, *b[3];
	u64 m;
	u32 i, k, got;

	w_init(&w);
	m = w_model(&w, "m", 1, 1000);
	w_ready(&w);
	a = w_tenant(&w, 1);
	for (k = 0; k < 3; k++)
		b[k] = w_tenant(&w, 2);
	for (i = 0; i < 200; i++) {
		w_submit(&w, a, m);
		w_submit(&w, b[i % 3], m);
	}
	is_int(picks(m, 100, 1, 1000), 50, "an owner with three files gets no more than one with one");

	w_fetch(&w, m, 0, 0, 60);
	got = 0;
	for (i = 0; i < w.f.n_jobs; i++)
		got += w.job[i].tenant == b[0]->id;
	ok(w.f.n_jobs == 32 && got >= 5 && got <= 6, "and its files share it equally: %u of 16", got);
	w_exit(&w);

	w_init(&w);
	m = w_model(&w, "m", 1, 1000);
	w_ready(&w);
	a = w_tenant(&w, 1);
	b[0] = w_tenant(&w, 2);
	limits(1, 300, 1);
	for (i = 0; i < 200; i++) {
		w_submit(&w, a, m);
		w_submit(&w, b[0], m);
	}
	is_int(picks(m, 100, 1, 1000), 75, "three times the weight, three times the turns");
	ok(w_exit(&w), "nothing left");
}

/* The estimate is wrong: what was measured decides. */
static void test_correction(void)
{
	struct bq_tenant *a, *b;
	u64 slow, fast;
	u32 i, got = 0;

	w_init(&w);
	slow = w_model(&w, "slow", 1, 1000);
	fast = w_model(&w, "fast", 1, 1000);
	w_ready(&w);
	a = w_tenant(&w, 1);
	b = w_tenant(&w, 2);
	for (i = 0; i < 200; i++) {
		w_submit(&w, a, slow);
		w_submit(&w, b, fast);
	}
	for (i = 0; i < 100; i++) {
		w_fetch(&w, slow, fast, 0, 1);
		/* Two jobs a window: only the first one counts its owner. */
		got += w.job[0].model == fast;
		w_commit(&w, 0, w.job[0].model == slow ? 9000 : 1000, 0);
		if (w.f.n_jobs == 2)
			w_commit(&w, 1, w.job[1].model == slow ? 9000 : 1000, 0);
	}
	is_int(got, 99, "having taken more than was thought, it goes second");
	w_exit(&w);

	w_init(&w);
	slow = w_model(&w, "slow", 1, 1000);
	w_ready(&w);
	a = w_tenant(&w, 1);
	b = w_tenant(&w, 2);
	for (i = 0; i < 250; i++) {
		w_submit(&w, a, slow);
		w_submit(&w, b, slow);
	}
	for (i = 0, got = 0; i < 100; i++) {
		w_fetch(&w, slow, 0, 0, 1);
		got += w.job[0].owner == 1;
		w_commit(&w, 0, w.job[0].owner == 1 ? 4000 : 1000, 0);
	}
	is_int(got, 20, "four times as dear, a fourth of the turns");
	ok(w_exit(&w), "nothing left");
}

static void test_idle_wins_nothing(void)
{
	struct bq_tenant *a, *b;
	struct bq_owner *o;
	u64 m;
	u32 i, got = 0;

	w_init(&w);
	m = w_model(&w, "m", 1, 1000);
	w_ready(&w);
	a = w_tenant(&w, 1);
	b = w_tenant(&w, 2);
	for (i = 0; i < 200; i++)
		w_submit(&w, a, m);
	picks(m, 100, 1, 1000);
	for (i = 0; i < 50; i++)
		w_submit(&w, b, m);
	is_int(picks(m, 40, 2, 1000), 20, "who was idle does not catch up");

	/* Ahead, closing and opening again. */
	w_fetch(&w, m, 0, 0, 1);
	w_commit(&w, 0, 500000, 0);
	o = bq_owner_find(&w.q, w.job[0].owner);
	i = o->key;
	got = o->vtime - w.q.clock.min;
	ok(got > 400000, "a long job puts its owner ahead");
	bq_tenant_gone(&w.q, i == 1 ? a : b);
	w_reap(&w);
	o = bq_owner_find(&w.q, i);
	ok(o && o->vtime - w.q.clock.min == got, "which closing everything does not undo");
	a = w_tenant(&w, i);
	w_submit(&w, a, m);
	is_int(picks(m, 5, i, 1000), 0, "nor opening again");
	ok(w_exit(&w), "nothing left");
}

/*
 * One request of a low class that never gets its turn, then many of the class
 * that all others use: what was not used meanwhile is not saved up. @a and @b
 * are of one owner or of two.
 */
static void parked(u64 owner_b, const char *who)
{
	struct bq_tenant *a, *b;
	u32 i, row = 0;
	u64 m;

	w_init(&w);
	m = w_model(&w, "m", 1, 1000);
	w_ready(&w);
	a = w_tenant(&w, 1);
	b = w_tenant(&w, owner_b);
	for (i = 0; i < 200; i++)
		w_submit(&w, b, m);
	w_submit_full(&w, a, m, BRAID_PRIORITY_LOW, 0);
	is_int(picks(m, 100, b->owner->key, 1000), 100, "%s: low waits for normal", who);
	for (i = 0; i < 100; i++)
		w_submit(&w, a, m);
	for (i = 0; i < 100; i++) {
		w_fetch(&w, m, 0, 0, 1);
		row += w.job[0].tenant == a->id;
		w_commit(&w, 0, 1000, 0);
	}
	ok(row >= 49 && row <= 51, "%s: and earns nothing by that in the class above: %u of 100",
	   who, row);
	while (!w_fetch(&w, m, 0, 0, 1))
		w_commit(&w, 0, 1000, 0);
	ok(w_exit(&w), "nothing left");
}

/* Who comes does not start where something waits that nobody serves. */
static void test_newcomer(void)
{
	struct bq_tenant *a, *b, *c;
	u32 i, row = 0;
	u64 m, n;

	w_init(&w);
	m = w_model(&w, "m", 1, 1000);
	n = w_model(&w, "n", 1, 1000);
	w_ready(&w);
	a = w_tenant(&w, 1);
	b = w_tenant(&w, 2);
	w_submit(&w, a, n);
	for (i = 0; i < 200; i++)
		w_submit(&w, b, m);
	picks(m, 100, 2, 1000);
	c = w_tenant(&w, 3);
	for (i = 0; i < 100; i++)
		w_submit(&w, c, m);
	for (i = 0; i < 100; i++) {
		w_fetch(&w, m, 0, 0, 1);
		row += w.job[0].tenant == c->id;
		w_commit(&w, 0, 1000, 0);
	}
	ok(row >= 49 && row <= 51, "a newcomer takes turns with who is served: %u of 100", row);
	while (!w_fetch(&w, m, n, 1, 1))
		w_commit(&w, 0, 1000, 0);
	ok(w_exit(&w), "nothing left");
}

/*
 * A window has room for one of each model, so who uses a cheap one is ever further
 * behind who uses a dear one. Somebody new gets the cheap one soon all the same.
 */
static void laggards(u64 owner_b, u64 owner_c, const char *who)
{
	u64 dear, cheap, id, took[2] = { 10000000, 100000 };
	struct bq_tenant *a, *b, *c;
	u32 i, k, rounds = 0;
	bool served = false;

	w_init(&w);
	dear = w_model(&w, "dear", 1, took[0]);
	cheap = w_model(&w, "cheap", 2, took[1]);
	w_ready(&w);
	a = w_tenant(&w, 1);
	b = w_tenant(&w, owner_b);
	for (i = 0; i < 200; i++) {
		w_submit(&w, a, dear);
		w_submit(&w, b, cheap);
	}
	for (i = 0; i < 100; i++) {
		w_fetch(&w, dear, cheap, 0, 1);
		for (k = 0; k < w.f.n_jobs; k++)
			w_commit(&w, k, took[w.job[k].tenant != a->id], 0);
	}
	c = w_tenant(&w, owner_c);
	id = w_submit(&w, c, cheap);
	for (; rounds < 90 && !served; rounds++) {
		w_fetch(&w, dear, cheap, 0, 1);
		for (k = 0; k < w.f.n_jobs; k++) {
			served |= w_job(&w, k, c, id);
			w_commit(&w, k, took[w.job[k].tenant != a->id], 0);
		}
	}
	ok(served && rounds <= 12, "%s: a newcomer waits for 100 ms of the device at most: %u rounds of 10",
	   who, rounds);
	while (!w_fetch(&w, dear, cheap, 0, 1))
		for (k = 0; k < w.f.n_jobs; k++)
			w_commit(&w, k, 1000, 0);
	ok(w_exit(&w), "nothing left");
}

static void test_linger_is_bounded(void)
{
	struct bq_tenant *busy, *t;
	u32 i, owners = 0, before;
	struct bq_owner *o = NULL;
	u64 m;

	w_init(&w);
	m = w_model(&w, "m", 1, 1000);
	w_ready(&w);
	busy = w_tenant(&w, 1);
	for (i = 0; i < 10; i++)
		w_submit(&w, busy, m);
	for (i = 0; i < 1500; i++) {
		t = w_tenant(&w, 100 + i);
		limits(100 + i, 100, BRAID_PRIORITY_HIGH);
		w_submit_full(&w, t, m, BRAID_PRIORITY_HIGH, 0);
		w_fetch(&w, m, 0, 0, 1);
		w_commit(&w, 0, 1000000 + i, 0);
		bq_owner_set(&w.q, bq_owner_find(&w.q, 100 + i), NULL);
		bq_tenant_gone(&w.q, t);
		/* The agent lets go of the buffer. */
		w_fetch(&w, 0, 0, 0, 0);
		bq_buffer_put(&w.q, w.event[w.f.n_events - 1].id);
		w_reap(&w);
	}
	while ((o = bq_owner_next(&w.q, o)))
		owners++;
	is_int(owners, 1025, "only so many debts are remembered");
	ok(!bq_owner_find(&w.q, 100) && bq_owner_find(&w.q, 1599), "the largest ones");
	before = w.reaped[BQ_OWNER];
	w_fetch(&w, m, 0, 0, 1);
	w_commit(&w, 0, 5000000, 0);
	w_reap(&w);
	is_int(w.reaped[BQ_OWNER] - before, 0, "not forgotten by what somebody else may have next");
	w_fetch(&w, m, 0, 0, 1);
	w_reap(&w);
	is_int(w.reaped[BQ_OWNER] - before, 1024, "and forgotten when the others have caught up");
	ok(w_exit(&w), "nothing left");
}

static void test_only_wanted(void)
{
	struct bq_tenant *a, *b;
	u64 m, n, id_n, id_m;

	w_init(&w);
	m = w_model(&w, "m", 1, 1000);
	n = w_model(&w, "n", 1, 1000);
	w_ready(&w);
	a = w_tenant(&w, 1);
	b = w_tenant(&w, 2);
	id_m = w_submit(&w, a, m);
	w_submit(&w, a, m);
	id_n = w_submit(&w, b, n);
	w_fetch(&w, n, 0, 0, 5);
	ok(w.f.n_jobs == 1 && w_job(&w, 0, b, id_n), "only models that are named");
	w_fetch(&w, m, n, 0, 1);
	ok(w.f.n_jobs == 1 && w_job(&w, 0, a, id_m), "and of each only so many");
	is_int(w_fetch(&w, m, 0, 0, 0), -EAGAIN, "of none, none");
	is_int(w_fetch(&w, 999, 0, 0, 1), -EAGAIN, "an unknown model is passed over");
	is_int(w_fetch(&w, m, m, 0, 1), -EINVAL, "named twice is a mistake");
	ok(w_exit(&w), "nothing left");
}

int main(void)
{
	test_class();
	test_deadline_and_arrival();
	test_shares();
	test_correction();
	test_idle_wins_nothing();
	parked(2, "two owners");
	parked(1, "two tenants of one");
	test_newcomer();
	laggards(2, 3, "three owners");
	laggards(1, 1, "three tenants of one");
	test_linger_is_bounded();
	test_only_wanted();
	return tap_done();
}
