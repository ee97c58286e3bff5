// SPDX-License-Identifier: MIT
/*
 * Every state of a request and every way from one to the next: queued,
 * fetched, requeued, alone, done, read; cancelled, expired, withdrawn, dropped,
 * orphaned, held; and the order in which what waits is handed out.
 */
#include "tests/abi/abi.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MS	1000000ull

static struct peer a;
static struct abi_fetch f;
static uint64_t model;

/* A tenant with one buffer, of which the agent has heard. */
static void come(struct peer *t)
{
	abi_tenant(t);
	if (!abi_buf(t, 4096))
		ok(false, "a buffer");
	abi_drain(&a);
}

static int take(uint32_t count)
{
	return abi_jobs(&a, &f, model, count, ABI_LONG);
}

/* Nothing is handed out for this. */
static bool nothing(uint64_t m, uint32_t count)
{
	static struct abi_fetch g;
	int ret;

	abi_fetch(&a, &g, m, count);
	ret = abi_fetched(&g, ABI_SOON);
	abi_fetch_end(&g);
	return ret == -ETIMEDOUT;
}

static void test_life(struct peer *t)
{
	struct braid_completion c;
	uint64_t id, cookie;

	is_int(abi_submit(t, model, 1, 0, &id), 0, "a request");
	is_int(take(8), 0, "is fetched");
	ok(f.arg.jobs.count == 1 && f.arg.slices.count == 2 && f.arg.window &&
	   f.arg.generation == a.generation &&
	   (f.arg.reason == BRAID_CLOSE_IDLE || f.arg.reason == BRAID_CLOSE_AGE), "in a window");
	ok(f.jobs[0].model == model && f.jobs[0].id == id && f.jobs[0].tenant &&
	   f.jobs[0].owner == getuid() && !f.jobs[0].attempt && !f.jobs[0].flags &&
	   f.jobs[0].n_inputs == 1 && f.jobs[0].n_outputs == 1 && f.jobs[0].enqueue_ns &&
	   !f.jobs[0].deadline_ns && f.jobs[0].priority == 1, "with all that the job needs");
	ok(f.slices[0].buffer == t->buf && f.slices[1].offset == 1024 &&
	   f.slices[1].length == ABI_BYTES, "and its slices");
	cookie = f.jobs[0].cookie;
	is_int(abi_commit(&a, a.generation, cookie, 5), -EINVAL, "positive status: EINVAL");
	is_int(abi_commit(&a, a.generation, cookie + 1, 0), -ENOENT, "foreign cookie: ENOENT");
	is_int(abi_commit(&a, a.generation, cookie, -EFAULT), 0, "COMMIT");
	is_int(abi_commit(&a, a.generation, cookie, 0), -ENOENT, "again: ENOENT");
	is_int(abi_status(t, &c, ABI_LONG), -EFAULT, "the tenant gets what the agent reported");
	ok(c.id == id && c.window == f.arg.window && c.device_ns == 6000, "of its request");
	is_int(abi_status(t, NULL, ABI_SOON), 1, "once");
}

static void test_subset(struct peer *t)
{
	static const int order[] = { 3, 1, 0, 2 };
	struct braid_completion c;
	bool right = true;
	uint64_t id[4];

	for (int i = 0; i < 4; i++)
		abi_submit(t, model, 1, 0, &id[i]);
	is_int(take(8), 0, "four jobs");
	is_int(f.arg.jobs.count, 4, "in one window");
	for (int i = 0; i < 4; i++) {
		right &= !abi_commit(&a, a.generation, f.jobs[order[i]].cookie, 0);
		right &= !abi_status(t, &c, ABI_LONG) && c.id == id[order[i]];
	}
	ok(right, "are committed one by one in another order, and complete in that");
}

static void test_cancel(struct peer *t)
{
	uint32_t state;
	uint64_t id;

	abi_submit(t, model, 1, 0, &id);
	ok(!abi_cancel(t, id, &state) && state == BRAID_CANCEL_DONE, "CANCEL of a queued one: done");
	is_int(abi_status(t, NULL, ABI_LONG), -ECANCELED, "it completes at once");
	ok(nothing(model, 8), "and is not handed out");
	abi_submit(t, model, 1, 0, &id);
	take(8);
	ok(!abi_cancel(t, id, &state) && state == BRAID_CANCEL_LATER, "of a fetched one: later");
	ok(!abi_cancel(t, id, &state) && state == BRAID_CANCEL_LATER, "twice: the same");
	is_int(abi_status(t, NULL, ABI_SOON), 1, "nothing completes yet");
	is_int(abi_commit(&a, a.generation, f.jobs[0].cookie, 0), 0, "COMMIT");
	is_int(abi_status(t, NULL, ABI_LONG), -ECANCELED, "then it does, with ECANCELED");
}

static void test_deadline(struct peer *t)
{
	abi_submit(t, model, 1, abi_now() + 50 * MS, NULL);
	is_int(abi_status(t, NULL, ABI_LONG), -ETIME,
	       "a deadline passes while the agent does not fetch");
	abi_submit(t, model, 1, abi_now() + 400 * MS, NULL);
	take(8);
	is_int(abi_status(t, NULL, 600), 1, "a fetched one does not expire");
	abi_commit_all(&a, &f);
	is_int(abi_status(t, NULL, ABI_LONG), 0, "it completes when it is done");
}

static uint64_t bytes_used(struct peer *t)
{
	struct braid_get_info i = { .size = sizeof(i) };

	abi_call(t, BRAID_NR_GET_INFO, &i);
	return i.bytes_used;
}

static void test_tenant_dies(struct peer *t)
{
	uint64_t before = bytes_used(t), cookie, buf;
	static struct abi_fetch g;
	struct peer o;

	come(&o);
	buf = o.buf;
	abi_submit(&o, model, 1, 0, NULL);
	abi_submit(&o, model, 1, 0, NULL);
	take(1);
	cookie = f.jobs[0].cookie;
	abi_close(&o);
	ok(nothing(model, 8), "its tenant died: what was queued is dropped, its buffer not retired");
	is_int(bytes_used(t) - before, 4096, "it is held by what the agent has");
	abi_fetch(&a, &g, 0, 0);
	is_int(abi_fetched(&g, ABI_SOON), -ETIMEDOUT, "for as long as that takes");
	is_int(abi_commit(&a, a.generation, cookie, 0), 0, "COMMIT of an orphan is taken");
	is_int(abi_fetched(&g, ABI_LONG), 0, "now there is an event");
	ok(g.arg.events.count == 1 && g.events[0].type == BRAID_EVENT_BUF_RETIRED &&
	   g.events[0].id == buf && !g.arg.jobs.count && !g.arg.window, "the buffer is retired");
	is_int(bytes_used(t) - before, 4096, "and charged until it is put");
	is_int(abi_put(&a, buf), 0, "BUF_PUT");
	is_int(bytes_used(t), before, "the owner is charged no more");
}

static void test_agent_dies(struct peer *t)
{
	struct braid_completion c;
	uint64_t first, second, old = a.generation, cookie;

	abi_submit(t, model, 1, 0, &first);
	abi_submit(t, model, 1, 0, &second);
	take(8);
	is_int(f.arg.jobs.count, 2, "two are with the agent when it dies");
	cookie = f.jobs[0].cookie;
	model = abi_successor(&a);
	is_int(a.generation, old + 1, "its successor is of the next generation");
	is_int(abi_commit(&a, old, cookie, 0), -ESTALE, "a COMMIT of the old one: ESTALE");
	is_int(take(8), 0, "they are handed out again");
	ok(f.arg.jobs.count == 1 && f.jobs[0].id == first && f.jobs[0].attempt == 1 &&
	   f.jobs[0].flags == BRAID_JOB_ALONE && f.arg.reason == BRAID_CLOSE_SUSPECT,
	   "one alone, the first one first");
	ok(nothing(model, 8), "nothing beside it");
	abi_commit_all(&a, &f);
	is_int(abi_status(t, &c, ABI_LONG), 0, "it completes");
	ok(c.attempt == 1 && c.id == first, "and tells of the attempt");
	is_int(take(8), 0, "then the other one");
	ok(f.jobs[0].id == second && f.jobs[0].flags == BRAID_JOB_ALONE, "alone as well");
	for (int i = 0; i < 3; i++) {
		model = abi_successor(&a);
		if (i < 2)
			take(8);
	}
	is_int(abi_status(t, &c, ABI_LONG), -EIO, "which ends in EIO after three deaths alone");
	is_int(c.attempt, 4, "four agents died with it");
}

/* What was not with the agent is no suspect, and keeps its place behind. */
static void test_behind(struct peer *t)
{
	uint64_t first, second;

	abi_submit(t, model, 1, 0, &first);
	take(8);
	abi_submit(t, model, 1, 0, &second);
	model = abi_successor(&a);
	take(8);
	ok(f.jobs[0].id == first && f.jobs[0].flags == BRAID_JOB_ALONE, "the suspect comes first");
	abi_commit_all(&a, &f);
	take(8);
	ok(f.jobs[0].id == second && !f.jobs[0].flags && !f.jobs[0].attempt,
	   "what was only queued is handed out as ever");
	abi_commit_all(&a, &f);
	ok(!abi_status(t, NULL, ABI_LONG) && !abi_status(t, NULL, ABI_LONG), "both complete");
}

/* Cancelled and expired ones wait until nobody can write any more. */
static void test_hold(struct peer *t)
{
	uint64_t id, late;
	uint32_t state;

	abi_knob("grace_ms", "5000");
	abi_submit(t, model, 1, 0, &id);
	abi_submit(t, model, 1, abi_now() + 400 * MS, &late);
	take(8);
	abi_close(&a);
	/* Over the socket the queue notices some time later. */
	while (abi->counter("agent_up") == 1)
		abi_sleep_ms(2);
	ok(!abi_cancel(t, id, &state) && state == BRAID_CANCEL_LATER, "CANCEL after the death: later");
	is_int(abi_status(t, NULL, 600), 1, "nothing completes before there is a successor");
	abi_agent(&a);
	model = abi_serve(&a);
	is_int(abi_status(t, NULL, ABI_LONG) + abi_status(t, NULL, ABI_LONG), -ECANCELED - ETIME,
	       "then ECANCELED and ETIME are told");
}

/* Without a successor they are told when the grace period is over. */
static void test_grace(struct peer *t)
{
	uint32_t state;
	uint64_t id;

	if (!abi->device) {
		tap_skip("the grace period ends", "braidd starts the next runner at once");
		return;
	}
	abi_knob("grace_ms", "300");
	abi_submit(t, model, 1, 0, &id);
	take(8);
	abi_close(&a);
	abi_cancel(t, id, &state);
	is_int(abi_status(t, NULL, ABI_SOON), 1, "no agent: nothing is told yet");
	is_int(abi_status(t, NULL, ABI_LONG), -ECANCELED, "the grace period is over: it is");
	is_int(abi_submit(t, model, 1, 0, NULL), 0, "without an agent requests are queued");
	is_int(abi_submit(t, model, 1, abi_now() + 50 * MS, NULL), 0, "with a deadline too");
	is_int(abi_status(t, NULL, ABI_LONG), -ETIME, "which passes");
	abi_agent(&a);
	model = abi_serve(&a);
	is_int(take(8), 0, "the next agent gets what waits");
	ok(f.arg.jobs.count == 1 && !f.jobs[0].flags, "which is no suspect");
	abi_commit_all(&a, &f);
	is_int(abi_status(t, NULL, ABI_LONG), 0, "and it completes");
	abi_knob("grace_ms", "5000");
}

/* Both die, in either order. */
static void test_both_die(struct peer *t)
{
	uint64_t before = bytes_used(t), buf;
	struct peer o;

	come(&o);
	buf = o.buf;
	abi_submit(&o, model, 1, 0, NULL);
	take(8);
	abi_close(&o);
	model = abi_successor(&a);
	abi_drain(&a);
	ok(nothing(model, 8), "tenant, then agent: nobody runs it again");
	is_int(abi_put(&a, buf), -ENOENT, "its buffer was retired and put");
	is_int(bytes_used(t), before, "and is free");
	come(&o);
	abi_submit(&o, model, 1, 0, NULL);
	take(8);
	abi_close(&a);
	while (abi->counter("agent_up") == 1)
		abi_sleep_ms(2);
	abi_close(&o);
	abi_agent(&a);
	model = abi_serve(&a);
	abi_drain(&a);
	ok(nothing(model, 8), "agent, then tenant: the same");
	is_int(bytes_used(t), before, "its buffer too");
}

static void test_models(struct peer *t)
{
	struct braid_model_del del = { .size = sizeof(del), .id = model };
	static struct abi_fetch g;

	abi_submit(t, model, 1, 0, NULL);
	is_int(abi_call(&a, BRAID_NR_MODEL_DEL, &del), 0, "MODEL_DEL");
	is_int(abi_submit(t, model, 1, 0, NULL), -ENOENT, "no new requests");
	is_int(take(8), 0, "what waits is still handed out");
	abi_commit_all(&a, &f);
	is_int(abi_status(t, NULL, ABI_LONG), 0, "and completes");
	abi_fetch(&a, &g, 0, 0);
	is_int(abi_fetched(&g, ABI_LONG), 0, "then there is an event");
	ok(g.arg.events.count == 1 && g.events[0].type == BRAID_EVENT_MODEL_DRAINED &&
	   g.events[0].id == model, "it has drained");
	is_int(abi_call(&a, BRAID_NR_MODEL_DEL, &del), -ENOENT, "it is gone");
	model = abi_model(&a, "m", 1, ABI_BYTES, NULL);
	abi_submit(t, model, 1, 0, NULL);
	del.id = model;
	del.flags = BRAID_MODEL_DEL_NOW;
	is_int(abi_call(&a, BRAID_NR_MODEL_DEL, &del), 0, "MODEL_DEL at once");
	is_int(abi_status(t, NULL, ABI_LONG), -ENOENT, "what waits ends with ENOENT");
	model = abi_model(&a, "m", 1, ABI_BYTES, NULL);
	/* The next agent does not bring it. */
	abi_submit(t, model, 1, 0, NULL);
	abi_close(&a);
	abi_agent(&a);
	abi_model(&a, "other", 9, ABI_BYTES, NULL);
	is_int(abi_status(t, NULL, ABI_SOON), 1, "before READY its model may still come");
	is_int(abi_ready(&a), 0, "READY without it");
	is_int(abi_status(t, NULL, ABI_LONG), -ENOENT, "what waits ends with ENOENT");
	model = abi_model(&a, "m", 1, ABI_BYTES, NULL);
	ok(model, "it may come later, too");
}

static void test_windows(struct peer *t)
{
	uint64_t start = abi_now();
	static struct abi_fetch g;

	abi_knob("fusion_policy", "none");
	abi_fetch(&a, &g, 0, 0);
	is_int(abi_fetched(&g, ABI_LONG), 0, "a change of policy is told");
	ok(g.arg.events.count && g.events[0].type == BRAID_EVENT_POLICY &&
	   g.events[0].id == BRAID_FUSION_NONE && g.arg.fusion_policy == BRAID_FUSION_NONE,
	   "with its value");
	abi_knob("window_policy", "fixed");
	abi_knob("window_max", "4");
	abi_knob("window_timeout_us", "300000");
	for (int i = 0; i < 3; i++)
		abi_submit(t, model, 1, 0, NULL);
	is_int(take(8), 0, "fixed: three requests");
	ok(f.arg.jobs.count == 3 && f.arg.reason == BRAID_CLOSE_AGE &&
	   abi_now() - start > 250 * MS, "are handed out when the first is old");
	abi_commit_all(&a, &f);
	for (int i = 0; i < 6; i++)
		abi_submit(t, model, 1, 0, NULL);
	is_int(take(8), 0, "six requests");
	ok(f.arg.jobs.count == 4 && f.arg.reason == BRAID_CLOSE_FULL, "a full window at once");
	abi_commit_all(&a, &f);
	abi_knob("window_timeout_us", "10000000");
	abi_submit(t, model, 1, abi_now() + 800 * MS, NULL);
	is_int(take(8), 0, "a deadline");
	ok(f.arg.jobs.count == 3 && f.arg.reason == BRAID_CLOSE_DEADLINE, "closes a window early");
	abi_commit_all(&a, &f);
	for (int i = 0; i < 10; i++)
		abi_status(t, NULL, ABI_LONG);
	abi_knob("window_timeout_us", "1000");
	abi_knob("window_policy", "adaptive");
	abi_knob("window_max", "32");
}

/* What is not wanted is not handed out, nor more of it than is. */
static void test_wants(struct peer *t)
{
	uint64_t other = abi_model(&a, "wanted", 5, ABI_BYTES, NULL);

	abi_submit(t, model, 1, 0, NULL);
	abi_submit(t, other, 1, 0, NULL);
	abi_submit(t, other, 1, 0, NULL);
	is_int(abi_jobs(&a, &f, other, 1, ABI_LONG), 0, "one of the other model is wanted");
	ok(f.arg.jobs.count == 1 && f.jobs[0].model == other, "and comes, though it is not the first");
	abi_commit_all(&a, &f);
	ok(nothing(1ull << 40, 8), "of a model that is not there nothing comes");
	is_int(take(8), 0, "then the first model");
	ok(f.arg.jobs.count == 1 && f.jobs[0].model == model, "of which there was one");
	abi_commit_all(&a, &f);
	abi_jobs(&a, &f, other, 8, ABI_LONG);
	abi_commit_all(&a, &f);
	for (int i = 0; i < 3; i++)
		abi_status(t, NULL, ABI_LONG);
}

static void test_priority(struct peer *t)
{
	uint64_t id[4];

	for (uint32_t p = 0; p < 4; p++)
		abi_submit(t, model, p, 0, &id[p]);
	take(8);
	ok(f.arg.jobs.count == 4 && f.jobs[3].id == id[0] && f.jobs[2].priority == 1,
	   "low comes last, others are lowered to the ceiling");
	abi_commit_all(&a, &f);
	for (int i = 0; i < 4; i++)
		abi_status(t, NULL, ABI_LONG);
	is_int(abi->owner(getuid(), "priority_ceiling", 2), 0, "the ceiling is raised");
	for (uint32_t p = 0; p < 4; p++)
		abi_submit(t, model, p, 0, &id[p]);
	take(8);
	is_int(f.arg.jobs.count, 4, "one request of each priority");
	ok(f.jobs[0].id == id[2] && f.jobs[1].id == id[3] && f.jobs[2].id == id[1] &&
	   f.jobs[3].id == id[0], "high before normal before low");
	is_int(f.jobs[1].priority, BRAID_PRIORITY_HIGH, "real time lowered to the ceiling");
	abi_commit_all(&a, &f);
	for (int i = 0; i < 4; i++)
		abi_status(t, NULL, ABI_LONG);
	abi->owner(getuid(), NULL, 0);
}

/* Two owners, weights three to one: so is what they get. */
static void test_weights(struct peer *t)
{
	unsigned int mine = 0;
	struct peer other;

	if (getuid()) {
		tap_skip("two owners", "needs root");
		return;
	}
	if (abi->open_to_all() || seteuid(4711))
		return;
	abi_tenant(&other);
	abi_buf(&other, 4096);
	ok(!seteuid(0), "a tenant of another user");
	abi_drain(&a);
	is_int(abi->owner(getuid(), "weight", 300), 0, "a weight is set");
	for (int i = 0; i < 60; i++) {
		abi_submit(t, model, 1, 0, NULL);
		abi_submit(&other, model, 1, 0, NULL);
	}
	for (int i = 0; i < 40; i++) {
		take(1);
		mine += f.jobs[0].owner == 0;
		abi_commit_all(&a, &f);
	}
	ok(mine >= 28 && mine <= 32, "weights 300 and 100: %u and %u of 40", mine, 40 - mine);
	abi->owner(getuid(), NULL, 0);
	abi_close(&other);
}

int main(int argc, char **argv)
{
	struct peer t;

	abi_start(argc, argv);
	abi_agent(&a);
	model = abi_serve(&a);
	come(&t);
	test_life(&t);
	test_subset(&t);
	test_cancel(&t);
	test_deadline(&t);
	test_tenant_dies(&t);
	test_agent_dies(&t);
	abi_drain(&a);
	test_behind(&t);
	abi_drain(&a);
	test_hold(&t);
	abi_drain(&a);
	test_grace(&t);
	abi_drain(&a);
	test_both_die(&t);
	test_models(&t);
	abi_drain(&a);
	test_windows(&t);
	test_wants(&t);
	test_priority(&t);
	test_weights(&t);
	abi_close(&t);
	abi_close(&a);
	return abi_stop();
}
