// SPDX-License-Identifier: MIT
/*
 * A request's states over the socket, with the test as the agent: queued,
 * fetched, requeued, alone, done; cancelled, expired, orphaned; and the order
 * in which what waits is handed out.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/tap.h"
#include "tests/transport/fake.h"
#include "tests/transport/storm.h"

#define BYTES	64

static struct daemon d;
static struct fake f;
static uint64_t model;

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

/* A tenant with one buffer. */
struct one {
	struct raw r;
	uint64_t buf;
};

static void come(struct one *o)
{
	int err;

	if (raw_open(&o->r, d.socket) || !raw_buf(&o->r, 4096, &o->buf, &err))
		ok(false, "a tenant can't connect");
}

static int send_one(struct one *o, uint32_t priority, uint64_t deadline, uint64_t *id)
{
	struct braid_slice s[2] = { { o->buf, 0, BYTES }, { o->buf, 1024, BYTES } };
	struct braid_request q = { .model = model, .priority = priority, .deadline_ns = deadline,
				   .n_inputs = 1, .n_outputs = 1 };
	struct braid_submit out;
	int ret = raw_submit(&o->r, &q, s, 2, &out);

	if (id)
		*id = out.first_id;
	return ret;
}

/* The status of the next completion, 1 for none. */
static int status(struct one *o, struct braid_completion *c)
{
	struct braid_completion got;

	if (!raw_wait(&o->r, 1, 3000))
		return 1;
	got = o->r.done[0];
	memmove(o->r.done, o->r.done + 1, --o->r.n_done * sizeof(o->r.done[0]));
	o->r.seen++;
	if (c)
		*c = got;
	return got.status;
}

static int cancel(struct one *o, uint64_t id, uint32_t *state)
{
	struct braid_cancel k = { .size = sizeof(k), .id = id };
	int ret = raw_call(&o->r, BRAID_NR_CANCEL, &k, -1, NULL);

	*state = k.state;
	return ret;
}

static void serve(void)
{
	model = fake_model(&f, "m", 1, BYTES, NULL);
	if (fake_ready(&f))
		ok(false, "the agent is not ready");
}

/* The agent dies; the next one comes and publishes the same. */
static void successor(void)
{
	fake_kill(&f);
	fake_drop(&f);
	if (!fake_take(&f))
		ok(false, "no successor");
	serve();
}

static void test_life(struct one *o)
{
	struct braid_completion c;
	uint64_t id, cookie;

	is_int(send_one(o, 1, 0, &id), 0, "a request");
	is_int(fake_jobs(&f, model, 8, 3000), 0, "is fetched");
	ok(f.arg.jobs.count == 1 && f.arg.slices.count == 2 && f.arg.window &&
	   f.arg.generation == f.generation &&
	   (f.arg.reason == BRAID_CLOSE_IDLE || f.arg.reason == BRAID_CLOSE_AGE), "in a window");
	ok(f.jobs[0].model == model && f.jobs[0].id == id && f.jobs[0].tenant &&
	   f.jobs[0].owner == getuid() && !f.jobs[0].attempt && !f.jobs[0].flags &&
	   f.jobs[0].n_inputs == 1 && f.jobs[0].n_outputs == 1, "with all that the job needs");
	ok(f.slices[0].buffer == o->buf && f.slices[1].offset == 1024 &&
	   f.slices[1].length == BYTES, "and its slices");
	cookie = f.jobs[0].cookie;
	is_int(fake_commit(&f, f.generation, cookie, 5), -EINVAL, "positive status: EINVAL");
	is_int(fake_commit(&f, f.generation, cookie + 1, 0), -ENOENT, "foreign cookie: ENOENT");
	is_int(fake_commit(&f, f.generation, cookie, -EFAULT), 0, "COMMIT");
	is_int(fake_commit(&f, f.generation, cookie, 0), -ENOENT, "again: ENOENT");
	is_int(status(o, &c), -EFAULT, "the tenant gets what the agent reported");
	ok(c.id == id && c.merge_degree == 1 && c.device_ns == 6000, "of its request");
}

static void test_subset(struct one *o)
{
	uint64_t id[4], cookie[4];
	struct braid_completion c;
	static const int order[] = { 3, 1, 0, 2 };
	bool right = true;

	for (int i = 0; i < 4; i++)
		send_one(o, 1, 0, &id[i]);
	is_int(fake_jobs(&f, model, 8, 3000), 0, "four jobs");
	is_int(f.arg.jobs.count, 4, "in one window");
	for (int i = 0; i < 4; i++)
		cookie[i] = f.jobs[i].cookie;
	for (int i = 0; i < 4; i++) {
		right &= !fake_commit(&f, f.generation, cookie[order[i]], 0);
		right &= !status(o, &c) && c.id == id[order[i]];
	}
	ok(right, "are committed one by one in another order, and complete in that");
}

static void test_cancel(struct one *o)
{
	uint64_t id;
	uint32_t state;

	send_one(o, 1, 0, &id);
	ok(!cancel(o, id, &state) && state == BRAID_CANCEL_DONE, "CANCEL of a queued one: done");
	is_int(status(o, NULL), -ECANCELED, "it completes at once");
	send_one(o, 1, 0, &id);
	fake_jobs(&f, model, 8, 3000);
	ok(!cancel(o, id, &state) && state == BRAID_CANCEL_LATER, "of a fetched one: later");
	ok(!cancel(o, id, &state) && state == BRAID_CANCEL_LATER, "twice: the same");
	ok(!raw_wait(&o->r, 1, 100), "nothing completes yet");
	is_int(fake_commit(&f, f.generation, f.jobs[0].cookie, 0), 0, "COMMIT");
	is_int(status(o, NULL), -ECANCELED, "then it does, with ECANCELED");
}

static void test_stuck(struct one *o)
{
	uint64_t cookie;

	send_one(o, 1, now() + 50000000, NULL);
	is_int(status(o, NULL), -ETIME, "a deadline passes while the agent does not fetch");
	send_one(o, 1, now() + 600000000, NULL);
	fake_jobs(&f, model, 8, 3000);
	cookie = f.jobs[0].cookie;
	ok(!raw_wait(&o->r, 1, 700), "a fetched one does not expire");
	fake_commit(&f, f.generation, cookie, 0);
	is_int(status(o, NULL), 0, "it completes when it is done");
}

static long long owner_bytes(void)
{
	json_t *list = daemon_ask(&d, "{\"cmd\":\"owners\"}");
	long long n = json_integer_value(json_object_get(json_array_get(list, 0), "bytes"));

	json_decref(list);
	return n;
}

static int put(uint64_t id)
{
	struct braid_buf_put p = { .size = sizeof(p), .id = id };

	return raw_call(&f.q, BRAID_NR_BUF_PUT, &p, -1, NULL);
}

static void test_orphan(void)
{
	long long before = owner_bytes();
	uint64_t cookie, buf;
	struct one o;

	come(&o);
	buf = o.buf;
	send_one(&o, 1, 0, NULL);
	send_one(&o, 1, 0, NULL);
	fake_jobs(&f, model, 1, 3000);
	cookie = f.jobs[0].cookie;
	raw_close(&o.r);
	fake_fetch(&f, model, 8);
	is_int(fake_answer(&f, 150), -ETIMEDOUT, "its tenant died: what it had queued is dropped");
	is_int(owner_bytes(), before + 4096, "its buffer is held by what the agent has");
	fake_fetch(&f, 0, 0);
	fake_answer(&f, 1000);
	is_int(fake_answer(&f, 100), -ETIMEDOUT, "and not retired");
	/* The COMMIT's answer and the event's come in any order. */
	is_int(fake_commit(&f, f.generation, cookie, 0), 0, "COMMIT of an orphan is taken");
	is_int(fake_answer(&f, 3000), 0, "now there is an event");
	ok(f.arg.events.count == 1 && f.events[0].type == BRAID_EVENT_BUF_RETIRED &&
	   f.events[0].id == buf, "the buffer is retired");
	is_int(owner_bytes(), before + 4096, "and charged until it is put");
	is_int(put(buf), 0, "BUF_PUT");
	is_int(put(buf), -ENOENT, "twice: ENOENT");
	is_int(owner_bytes(), before, "the owner is charged no more");
}

static void test_death(struct one *o)
{
	struct braid_completion c;
	uint64_t first, second, old = f.generation;

	send_one(o, 1, 0, &first);
	send_one(o, 1, 0, &second);
	fake_jobs(&f, model, 8, 3000);
	is_int(f.arg.jobs.count, 2, "two are with the agent when it dies");
	successor();
	is_int(f.generation, old + 1, "its successor is of the next generation");
	is_int(fake_commit(&f, old, 1, 0), -ESTALE, "a COMMIT of the old one: ESTALE");
	is_int(fake_jobs(&f, model, 8, 3000), 0, "they are handed out again");
	ok(f.arg.jobs.count == 1 && f.jobs[0].id == first && f.jobs[0].attempt == 1 &&
	   f.jobs[0].flags == BRAID_JOB_ALONE && f.arg.reason == BRAID_CLOSE_SUSPECT,
	   "one alone, the first one first");
	first = f.jobs[0].cookie;
	fake_fetch(&f, model, 8);
	is_int(fake_answer(&f, 150), -ETIMEDOUT, "nothing beside it");
	fake_fetch(&f, 0, 0);
	fake_answer(&f, 1000);
	fake_commit(&f, f.generation, first, 0);
	is_int(status(o, &c), 0, "it completes");
	is_int(c.attempt, 1, "and tells of the attempt");
	is_int(fake_jobs(&f, model, 8, 3000), 0, "then the other one");
	for (int i = 0; i < 3; i++) {
		successor();
		if (i < 2)
			fake_jobs(&f, model, 8, 3000);
	}
	is_int(status(o, &c), -EIO, "which ends in EIO after three deaths alone");
	is_int(c.attempt, 4, "four agents died with it");
}

/* Cancelled and expired ones wait until nobody can write any more. */
static void test_hold(struct one *o)
{
	uint64_t id, late;
	uint32_t state;

	send_one(o, 1, 0, &id);
	send_one(o, 1, now() + 600000000, &late);
	fake_jobs(&f, model, 8, 3000);
	fake_kill(&f);
	fake_drop(&f);
	while (daemon_status(&d, "suspects") != 2)
		storm_sleep_ms(2);
	ok(!cancel(o, id, &state) && state == BRAID_CANCEL_LATER, "CANCEL after the death: later");
	ok(!raw_wait(&o->r, 1, 700), "nothing completes before there is a successor");
	fake_take(&f);
	serve();
	is_int(status(o, NULL) + status(o, NULL), -ECANCELED - ETIME,
	       "then ECANCELED and ETIME are told");
}

static void test_models(struct one *o)
{
	struct braid_model_del del = { .size = sizeof(del), .id = model, .flags = 4 };
	uint64_t cookie;

	is_int(raw_call(&f.q, BRAID_NR_MODEL_DEL, &del, -1, NULL), -EOPNOTSUPP, "unknown flag");
	del.flags = 0;
	send_one(o, 1, 0, NULL);
	is_int(raw_call(&f.q, BRAID_NR_MODEL_DEL, &del, -1, NULL), 0, "MODEL_DEL");
	is_int(send_one(o, 1, 0, NULL), -ENOENT, "no new requests");
	is_int(fake_jobs(&f, model, 8, 3000), 0, "what waits is still handed out");
	cookie = f.jobs[0].cookie;
	fake_commit(&f, f.generation, cookie, 0);
	is_int(status(o, NULL), 0, "and completes");
	fake_fetch(&f, 0, 0);
	is_int(fake_answer(&f, 3000), 0, "then there is an event");
	ok(f.arg.events.count == 1 && f.events[0].type == BRAID_EVENT_MODEL_DRAINED &&
	   f.events[0].id == model, "it has drained");
	is_int(raw_call(&f.q, BRAID_NR_MODEL_DEL, &del, -1, NULL), -ENOENT, "it is gone");
	model = fake_model(&f, "m", 1, BYTES, NULL);
	send_one(o, 1, 0, NULL);
	del.id = model;
	del.flags = BRAID_MODEL_DEL_NOW;
	is_int(raw_call(&f.q, BRAID_NR_MODEL_DEL, &del, -1, NULL), 0, "MODEL_DEL at once");
	is_int(status(o, NULL), -ENOENT, "what waits ends with ENOENT");
	model = fake_model(&f, "m", 1, BYTES, NULL);
}

static void set(const char *knob, const char *value)
{
	char text[128];

	snprintf(text, sizeof(text), "{\"cmd\":\"set\",\"knob\":\"%s\",\"value\":\"%s\"}", knob,
		 value);
	json_decref(daemon_ask(&d, text));
}

static void commit_all(void)
{
	uint64_t cookie[BRAID_MAX_BATCH];
	uint32_t n = f.arg.jobs.count;

	for (uint32_t i = 0; i < n; i++)
		cookie[i] = f.jobs[i].cookie;
	for (uint32_t i = 0; i < n; i++)
		fake_commit(&f, f.generation, cookie[i], 0);
}

static void test_windows(struct one *o)
{
	uint64_t start = now();

	set("fusion_policy", "none");
	fake_fetch(&f, 0, 0);
	is_int(fake_answer(&f, 3000), 0, "a change of policy is told");
	ok(f.arg.events.count && f.events[0].type == BRAID_EVENT_POLICY &&
	   f.events[0].id == BRAID_FUSION_NONE && f.arg.fusion_policy == BRAID_FUSION_NONE,
	   "with its value");
	set("window_policy", "fixed");
	set("window_max", "4");
	set("window_timeout_us", "300000");
	for (int i = 0; i < 3; i++)
		send_one(o, 1, 0, NULL);
	fake_fetch(&f, model, 8);
	is_int(fake_answer(&f, 5000), 0, "fixed: three requests");
	ok(f.arg.jobs.count == 3 && f.arg.reason == BRAID_CLOSE_AGE && now() - start > 250000000,
	   "are handed out when the first is old");
	commit_all();
	for (int i = 0; i < 6; i++)
		send_one(o, 1, 0, NULL);
	fake_fetch(&f, model, 8);
	is_int(fake_answer(&f, 5000), 0, "six requests");
	ok(f.arg.jobs.count == 4 && f.arg.reason == BRAID_CLOSE_FULL, "a full window at once");
	commit_all();
	set("window_timeout_us", "10000000");
	send_one(o, 1, now() + 800000000, NULL);
	fake_fetch(&f, model, 8);
	is_int(fake_answer(&f, 5000), 0, "a deadline");
	ok(f.arg.jobs.count == 3 && f.arg.reason == BRAID_CLOSE_DEADLINE, "closes a window early");
	commit_all();
	for (int i = 0; i < 10; i++)
		status(o, NULL);
	set("window_policy", "adaptive");
	set("window_max", "32");
}

static void test_priority(struct one *o)
{
	char text[128];
	uint64_t id[4];

	snprintf(text, sizeof(text), "{\"cmd\":\"owner\",\"owner\":%u,\"priority_ceiling\":2}",
		 getuid());
	json_decref(daemon_ask(&d, text));
	for (uint32_t p = 0; p < 4; p++)
		send_one(o, p, 0, &id[p]);
	fake_jobs(&f, model, 8, 3000);
	is_int(f.arg.jobs.count, 4, "one request of each priority");
	ok(f.jobs[0].id == id[2] && f.jobs[1].id == id[3] && f.jobs[2].id == id[1] &&
	   f.jobs[3].id == id[0], "high before normal before low");
	is_int(f.jobs[1].priority, BRAID_PRIORITY_HIGH, "real time lowered to the ceiling");
	commit_all();
	for (int i = 0; i < 4; i++)
		status(o, NULL);
}

/* Two owners, weights three to one: so is what they get. */
static void test_weights(struct one *o)
{
	unsigned int mine = 0;
	struct one other;
	char text[128];

	if (getuid()) {
		printf("ok %d - two owners # SKIP needs root\n", ++tap_count);
		return;
	}
	chmod(d.dir, 0711);
	chmod(d.socket, 0666);
	if (seteuid(4711))
		return;
	come(&other);
	ok(!seteuid(0), "a tenant of another user");
	snprintf(text, sizeof(text), "{\"cmd\":\"owner\",\"owner\":%u,\"weight\":300}", getuid());
	json_decref(daemon_ask(&d, text));
	for (int i = 0; i < 60; i++) {
		send_one(o, 1, 0, NULL);
		send_one(&other, 1, 0, NULL);
	}
	for (int i = 0; i < 40; i++) {
		fake_jobs(&f, model, 1, 3000);
		mine += f.jobs[0].owner == 0;
		commit_all();
	}
	ok(mine >= 28 && mine <= 32, "weights 300 and 100: %u and %u of 40", mine, 40 - mine);
	raw_close(&other.r);
}

int main(int argc, char **argv)
{
	struct one o;

	fake_main(argc, argv);
	fake_daemon(&d, "[queue]\ngrace_ms=5000\n");
	ok(fake_take(&f), "braidd started its runner");
	serve();
	come(&o);
	test_life(&o);
	test_subset(&o);
	test_cancel(&o);
	test_stuck(&o);
	test_orphan();
	test_death(&o);
	test_hold(&o);
	test_models(&o);
	test_windows(&o);
	test_priority(&o);
	test_weights(&o);
	fake_drop(&f);
	raw_close(&o.r);
	is_int(daemon_stop(&d), 0, "braidd ends well");
	return tap_done();
}
