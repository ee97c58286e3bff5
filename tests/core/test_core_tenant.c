// SPDX-License-Identifier: MIT
/*
 * What a tenant may do and what it gets: checks of a request, quotas, cancel,
 * completions, buffers, models, death.
 */
#include <string.h>

#include "tests/core/world.h"
#include "tests/tap.h"

static struct world w;
static struct bq_tenant *t;
static u64 m;

static void begin(void)
{
	w_init(&w);
	m = w_model(&w, "m", 1, 1000);
	w_ready(&w);
	t = w_tenant(&w, 1);
}

static void test_checks(void)
{
	const struct braid_request good = { .n_inputs = 1, .n_outputs = 1 };
	struct braid_request in;
	struct braid_slice s[2];
	struct bq_tenant *other;
	u64 mine, foreign;

	begin();
	other = w_tenant(&w, 1);
	mine = bq_entry(t->buffers.next, struct bq_buffer, of_tenant)->id;
	foreign = bq_entry(other->buffers.next, struct bq_buffer, of_tenant)->id;

#define REFUSED(error, why, ...) do {						\
		in = good;							\
		in.model = m;							\
		s[0] = (struct braid_slice){ mine, 0, 64 };			\
		s[1] = (struct braid_slice){ mine, 64, 64 };			\
		__VA_ARGS__;							\
		is_int(w_raw(&w, t, &in, s, in.n_inputs + in.n_outputs), error, why); \
	} while (0)

	REFUSED(0, "a good request", (void)0);
	REFUSED(-ENOENT, "unknown model", in.model = 99);
	REFUSED(-EOPNOTSUPP, "unknown flag", in.flags = 1);
	REFUSED(-EOPNOTSUPP, "unknown priority", in.priority = BRAID_PRIORITIES);
	REFUSED(-E2BIG, "reserved field", in.reserved = 1);
	REFUSED(-EINVAL, "too few tensors", in.n_outputs = 0);
	REFUSED(-EINVAL, "inputs and outputs swapped in number", in.n_inputs = 2; in.n_outputs = 0);
	REFUSED(-ENOENT, "unknown buffer", s[0].buffer = 99);
	REFUSED(-ENOENT, "another tenant's buffer, of the same owner", s[0].buffer = foreign);
	REFUSED(-EINVAL, "offset not aligned", s[0].offset = 1);
	REFUSED(-EINVAL, "offset aligned to 32 only", s[1].offset = 96);
	REFUSED(-EINVAL, "length too short", s[0].length = 63);
	REFUSED(-EINVAL, "length too long", s[0].length = 65);
	REFUSED(-EOVERFLOW, "beyond the buffer", s[0].offset = 4096);
	REFUSED(0, "at its very end", s[0].offset = 4096 - 64);
	REFUSED(-EOVERFLOW, "offset that wraps", s[0].offset = ~63ULL);
	REFUSED(-EOVERFLOW, "offset near the top", s[0].offset = 1ULL << 63);
	REFUSED(-EINVAL, "output over the input", s[1].offset = 0);

	is_int(bq_request_slots(&good, 2), 2, "slots of a good head");
	is_int(bq_request_slots(&good, 1), -EINVAL, "more slices than came");
	in = good;
	in.priority = 9;
	is_int(bq_request_slots(&in, 2), -EOPNOTSUPP, "priority, before memory is got");
	in = good;
	in.first_slice = ~0U;
	is_int(bq_request_slots(&in, 2), -EINVAL, "first slice that wraps");
	in = good;
	in.n_inputs = ~0U;
	in.n_outputs = 2;
	is_int(bq_request_slots(&in, ~0U), -EINVAL, "number of tensors that wraps");
	in.n_inputs = BRAID_MAX_TENSORS;
	in.n_outputs = 1;
	is_int(bq_request_slots(&in, 100), -EINVAL, "more than any model has");

	bq_buffer_free(&w.q, t, mine);
	REFUSED(-ENOENT, "a retired buffer", (void)0);
	ok(w_exit(&w), "nothing left");
}

static void test_outputs_overlap(void)
{
	/* One input, two outputs of 128 bytes. */
	struct braid_tensor tensors[3] = { 0 };
	struct bq_model def = { .name = "o", .device_ns = 1, .n_inputs = 1, .n_outputs = 2,
				.tensors = tensors };
	struct braid_request in = { .n_inputs = 1, .n_outputs = 2 };
	struct braid_slice s[3];
	struct bq_model *out;
	u32 i;
	u64 b;

	begin();
	b = bq_entry(t->buffers.next, struct bq_buffer, of_tenant)->id;
	for (i = 0; i < 3; i++) {
		tensors[i].type = BRAID_TYPE_U8;
		tensors[i].rank = 1;
		tensors[i].dims[0] = 128;
		tensors[i].bytes = 128;
		s[i] = (struct braid_slice){ b, 128 * i, 128 };
	}
	is_int(bq_model_put(&w.q, &def, &out), 0, "a model with two outputs");
	in.model = out->id;
	is_int(w_raw(&w, t, &in, s, 3), 0, "side by side");
	s[2].offset -= 64;
	is_int(w_raw(&w, t, &in, s, 3), -EINVAL, "outputs that overlap by half");
	s[2].offset = 64;
	s[1].offset = 1024;
	is_int(w_raw(&w, t, &in, s, 3), -EINVAL, "the second output over the input");
	s[2].offset = 1024 + 128;
	s[0].offset = 4096 - 128;
	is_int(w_raw(&w, t, &in, s, 3), 0, "apart");
	is_int(out->queued, 2, "both wait");

	/* This model is on the stack: it may not come back to be freed. */
	while (w.q.n_tenants)
		bq_tenant_gone(&w.q, bq_tenant_next(&w.q, 0));
	w_reap(&w);
	bq_model_del(&w.q, out->id, true, w.now);
	is_int(w_fetch(&w, 0, 0, 0, 0), 0, "the agent hears of its end");
	ok(w.q.reap && w.q.reap == &def.reap, "and the node comes back");
	w.q.reap = def.reap.next;
	ok(w_exit(&w), "nothing left");
}

static void test_quotas(void)
{
	struct bq_owner_limits l;
	struct bq_tenant *u, *v;
	u32 i;

	begin();
	bq_knob_set(&w.q, BQ_TENANT_DEPTH, 3);
	for (i = 0; i < 3; i++)
		w_submit(&w, t, m);
	is_int(w_try(&w, t, m, 1, 0), -EAGAIN, "tenant_depth");
	bq_cancel(&w.q, t, 1, w.now);
	is_int(w_try(&w, t, m, 1, 0), -EAGAIN, "an unread completion keeps its place");
	w_read(&w, t, NULL);
	is_int(w_try(&w, t, m, 1, 0), 0, "reading frees it");

	u = w_tenant(&w, 1);
	l = w.q.defaults;
	l.request_quota = 4;
	is_int(bq_owner_set(&w.q, u->owner, &l), 0, "four requests for the owner");
	w_submit(&w, u, m);
	is_int(w_try(&w, u, m, 1, 0), -EDQUOT, "over all its tenants");
	bq_cancel(&w.q, u, 1, w.now);
	is_int(w_try(&w, u, m, 1, 0), 0, "one that has ended does not count");
	bq_cancel(&w.q, u, 2, w.now);
	is_int(w_try(&w, u, m, 1, 0), -EDQUOT, "a second does, until it is read");
	w_read(&w, u, NULL);
	is_int(w_try(&w, u, m, 1, 0), 0, "read");
	is_int(u->owner->requests, 4, "four places taken");

	v = w_tenant(&w, 2);
	bq_knob_set(&w.q, BQ_MAX_REQUESTS, 8);
	is_int(w_try(&w, v, m, 1, 0), 0, "another owner");
	is_int(w_try(&w, v, m, 1, 0), 0, "and again");
	is_int(w_try(&w, v, m, 1, 0), -EAGAIN, "not over three quarters of the queue");
	is_int(w_try(&w, w_tenant(&w, 3), m, 1, 0), 0, "but a newcomer");
	is_int(w_try(&w, w_tenant(&w, 3), m, 1, 0), -EAGAIN, "once");
	is_int(w_try(&w, w_tenant(&w, 4), m, 1, 0), 0, "and another one");
	is_int(w_try(&w, w_tenant(&w, 5), m, 1, 0), -EAGAIN, "the queue as a whole");

	l.byte_quota = 3 * 4096;
	bq_owner_set(&w.q, u->owner, &l);
	is_int(u->owner->bytes, 8192, "two pages charged");
	w_buffer(&w, u);
	is_int(bq_buffer_check(&w.q, u, &(u64){ 1 }), -EDQUOT, "a fourth page");
	is_int(bq_buffer_check(&w.q, u, &(u64){ 0 }), -EINVAL, "no bytes");
	is_int(bq_buffer_check(&w.q, u, &(u64){ ~0ULL }), -EOVERFLOW, "all bytes");
	bq_buffer_free(&w.q, u, w.q.last_buffer);
	is_int(bq_buffer_check(&w.q, u, &(u64){ 1 }), 0, "unknown to the agent: freed at once");

	l.weight = 0;
	is_int(bq_owner_set(&w.q, u->owner, &l), -EINVAL, "no weight");
	l.weight = BQ_WEIGHT_MAX + 1;
	is_int(bq_owner_set(&w.q, u->owner, &l), -EINVAL, "too much");
	l.weight = 1;
	l.priority_ceiling = BRAID_PRIORITIES;
	is_int(bq_owner_set(&w.q, u->owner, &l), -EOPNOTSUPP, "no such priority");
	ok(w_exit(&w), "nothing left");
}

/* Many tenants that never read: what they leave behind is their owner's. */
static void test_unread(void)
{
	struct bq_owner_limits l;
	struct bq_tenant *u;
	u32 i, k, n = 0;

	begin();
	l = w.q.defaults;
	l.request_quota = 40;
	bq_owner_set(&w.q, t->owner, &l);
	for (i = 0; i < 20; i++) {
		u = w_tenant(&w, 1);
		for (k = 0; k < 10 && !w_try(&w, u, m, 1, w.now + 1); k++)
			n++;
		w.now += 10;
		bq_expire(&w.q, w.now);
	}
	ok(n >= 40 && n <= 40 + 20, "tenants that never read pin %u nodes, not 200", n);
	is_int(w.q.queued, 0, "though nothing waits");
	is_int(w_try(&w, t, m, 1, 0), 0, "the last place");
	is_int(t->owner->requests, 40, "all the owner's places are taken");
	is_int(w_try(&w, t, m, 1, 0), -EDQUOT, "no more for any of its tenants");
	is_int(w_try(&w, w_tenant(&w, 2), m, 1, 0), 0, "which is not another owner's business");
	while (!bq_tenant_abandon(&w.q, u, 1))
		;
	bq_tenant_gone(&w.q, bq_tenant_find(&w.q, 2));
	w_reap(&w);
	ok(t->owner->requests < 40, "the dead free their places");
	is_int(w_try(&w, t, m, 1, 0), 0, "for the others");
	ok(w_exit(&w), "nothing left");
}

static void test_owner_outlives(void)
{
	struct bq_owner_limits l;

	begin();
	l = w.q.defaults;
	l.weight = 7;
	bq_owner_set(&w.q, t->owner, &l);
	bq_tenant_gone(&w.q, t);
	w_reap(&w);
	ok(bq_owner_find(&w.q, 1) && bq_owner_find(&w.q, 1)->limits.weight == 7,
	   "what was set by hand outlives the tenant");
	bq_owner_set(&w.q, bq_owner_find(&w.q, 1), NULL);
	w_reap(&w);
	ok(!bq_owner_find(&w.q, 1), "until it is unset");
	t = w_tenant(&w, 1);
	is_int(t->owner->limits.weight, BQ_WEIGHT_DEFAULT, "defaults again");
	ok(w_exit(&w), "nothing left");
}

/* A number that was a uid may be a cgroup's from now on. */
static void test_share_by(void)
{
	struct bq_owner_limits l;
	struct bq_tenant *u;
	u64 key;

	begin();
	u = w_tenant(&w, ~0ULL);
	l = w.q.defaults;
	l.weight = 7;
	bq_owner_set(&w.q, t->owner, &l);
	bq_owner_set(&w.q, u->owner, &l);
	for (key = 10; key < 20; key++) {
		bq_tenant_gone(&w.q, w_tenant(&w, key));
		u = w_tenant(&w, key);
		bq_owner_set(&w.q, u->owner, &l);
		bq_tenant_gone(&w.q, u);
	}
	w_reap(&w);
	is_int(bq_knob_set(&w.q, BQ_SHARE_BY, BQ_SHARE_UID), 0, "share_by as it was");
	is_int(t->owner->limits.weight, 7, "keeps what was set by hand");
	is_int(bq_knob_set(&w.q, BQ_SHARE_BY, BQ_SHARE_CGROUP), 0, "share_by changes");
	w_reap(&w);
	is_int(t->owner->limits.weight, BQ_WEIGHT_DEFAULT, "back to the defaults");
	u = bq_tenant_find(&w.q, 2);
	is_int(u->owner->limits.weight, BQ_WEIGHT_DEFAULT, "for the last number too");
	ok(!bq_owner_from(&w.q, 10) || bq_owner_from(&w.q, 10)->key == ~0ULL,
	   "owners that nothing else is left of go");
	ok(w_exit(&w), "nothing left");
}

static void test_cancel(void)
{
	struct braid_completion c;
	struct bq_tenant *u;

	begin();
	u = w_tenant(&w, 1);
	w_submit(&w, t, m);
	w_submit(&w, t, m);
	is_int(bq_cancel(&w.q, t, 3, w.now), -ENOENT, "no such request");
	is_int(bq_cancel(&w.q, u, 1, w.now), -ENOENT, "another tenant's");
	is_int(bq_cancel(&w.q, t, 1, w.now), BRAID_CANCEL_DONE, "queued: at once");
	is_int(bq_cancel(&w.q, t, 1, w.now), -ENOENT, "twice: it is done");
	ok(w_read(&w, t, &c) == -ECANCELED && c.id == 1, "with a completion");
	w_fetch(&w, m, 0, 0, 9);
	ok(w.f.n_jobs == 1 && w_job(&w, 0, t, 2), "not handed out");
	is_int(bq_cancel(&w.q, t, 2, w.now), BRAID_CANCEL_LATER, "with the agent: later");
	is_int(bq_cancel(&w.q, t, 2, w.now), BRAID_CANCEL_LATER, "twice: the same");
	is_int(w_read(&w, t, NULL), 1, "not yet");
	w_commit(&w, 0, 10, 0);
	ok(w_read(&w, t, &c) == -ECANCELED && c.window == 1 && c.device_ns == 10,
	   "at the commit, with what it cost");
	is_int(w.q.count.cancelled, 2, "counted");
	ok(w_exit(&w), "nothing left");
}

static void test_commit(void)
{
	struct braid_completion c;
	struct braid_result r = { 0 };

	begin();
	is_int(bq_commit_check(&w.q, 0), -ESTALE, "earlier generation");
	is_int(bq_commit_check(&w.q, 1), 0, "this one");
	w_submit(&w, t, m);
	w.now += 5;
	w_fetch(&w, m, 0, 0, 1);
	w.now += 5;
	is_int(w_commit_cookie(&w, 99, 1, 0), -ENOENT, "no such cookie");
	is_int(w_commit(&w, 0, 1, 3), -EINVAL, "positive status");
	is_int(w_commit(&w, 0, 1, -4096), -EINVAL, "no errno");
	r.cookie = w.job[0].cookie;
	r.device_ns = 3;
	r.merge_degree = 2;
	r.fuse_degree = 4;
	r.status = -EFAULT;
	is_int(bq_commit(&w.q, &r, w.now), 0, "the agent reports an error");
	is_int(bq_commit(&w.q, &r, w.now), -ENOENT, "twice: not there");
	is_int(r.result, -ENOENT, "and the element says so");
	is_int(w_read(&w, t, &c), -EFAULT, "the tenant gets it");
	ok(c.user_data == 100 && c.id == 1 && c.window == 1 && c.merge_degree == 2 &&
	   c.fuse_degree == 4 && c.device_ns == 3 && c.attempt == 0 && c.size == sizeof(c),
	   "with all that is known");
	ok(c.enqueue_ns == 1000000 && c.fetch_ns == 1000005 && c.done_ns == 1000010,
	   "and the three times");
	ok(w.q.count.failed == 1 && w.q.count.merged == 1 && w.q.count.fused == 1 &&
	   w.q.count.merge_sum == 2 && w.q.count.fuse_sum == 4 && w.q.count.device_ns == 3,
	   "counted");
	ok(w_exit(&w), "nothing left");
}

static void test_records(void)
{
	struct braid_completion c;
	u32 i;

	begin();
	for (i = 0; i < 4; i++) {
		w_submit(&w, t, m);
		bq_cancel(&w.q, t, i + 1, w.now);
	}
	ok(bq_completion_peek(t, &c) && c.id == 1, "peek");
	ok(bq_completion_peek(t, &c) && c.id == 1, "peeking again gives the same");
	bq_completion_sent(t);
	ok(bq_completion_peek(t, &c) && c.id == 2, "once sent, the next");
	bq_completion_sent(t);
	is_int(t->outstanding, 4, "places stay taken");
	is_int(bq_completion_seen(&w.q, t, 3), -EINVAL, "more seen than sent");
	is_int(bq_completion_seen(&w.q, t, 1), 0, "one seen");
	is_int(t->outstanding, 3, "frees one");
	is_int(bq_completion_seen(&w.q, t, 0), -EINVAL, "fewer than before");
	bq_completion_sent(t);
	bq_completion_sent(t);
	bq_completion_sent(t);
	is_int(t->sent, 4, "sending nothing counts nothing");
	ok(!bq_completion_peek(t, &c), "all sent");
	bq_completion_unsent(t, 2);
	is_int(t->sent, 2, "two were not, after all");
	ok(bq_completion_peek(t, &c) && c.id == 3, "so they come again");
	bq_completion_unsent(t, 9);
	is_int(t->sent, 1, "what was seen stays sent");
	ok(bq_completion_peek(t, &c) && c.id == 2, "and the rest comes again");
	for (i = 0; i < 3; i++)
		bq_completion_sent(t);
	ok(t->sent == 4 && !bq_completion_peek(t, &c), "all sent again");
	is_int(bq_completion_seen(&w.q, t, 4), 0, "all seen");
	is_int(t->outstanding, 0, "all free");
	w_submit(&w, t, m);
	bq_cancel(&w.q, t, 5, w.now);
	ok(bq_completion_peek(t, &c) && c.id == 5, "and on");
	ok(w_exit(&w), "nothing left");
}

/* As test_death(), but others go on in between. */
static void test_slow_death(void)
{
	struct bq_tenant *u;
	unsigned int steps;
	u64 cookie;

	begin();
	u = w_tenant(&w, 2);
	for (steps = 0; steps < 5; steps++)
		w_submit(&w, t, m);
	bq_cancel(&w.q, t, 5, w.now);
	w_fetch(&w, m, 0, 0, 1);
	cookie = w.job[0].cookie;
	ok(!bq_tenant_abandon(&w.q, t, 2), "one running, three queued, one unread: two go");
	is_int(w.q.queued, 2, "first the running one, as an orphan, then one that waits");
	is_int(w_commit_cookie(&w, cookie, 50, 0), 0, "the orphan's commit in between");
	w_submit(&w, u, m);
	ok(!w_fetch(&w, m, 0, 0, 3) && w.f.n_jobs == 3, "what is left is still handed out");
	for (steps = 1; !bq_tenant_abandon(&w.q, t, 1); steps++)
		;
	is_int(steps, 5, "two running, one unread, one buffer, then there is nothing");
	ok(bq_tenant_abandon(&w.q, t, 100), "and nothing again");
	bq_agent_gone(&w.q, w.now);
	bq_tenant_gone(&w.q, t);
	w_reap(&w);
	is_int(w.reaped[BQ_TENANT], 1, "the tenant goes");
	is_int(w.reaped[BQ_REQUEST], 5, "with all that it had");
	is_int(w.reaped[BQ_BUFFER], 1, "and its buffer");
	ok(w.q.count.requeued == 1 && u->outstanding == 1, "the other's is requeued");
	ok(w_exit(&w), "nothing left");
}

static void test_death(void)
{
	struct bq_tenant *u;
	u64 cookie, b, id;

	begin();
	u = w_tenant(&w, 2);
	w_submit(&w, t, m);
	w_submit(&w, t, m);
	w_submit(&w, t, m);
	bq_cancel(&w.q, t, 3, w.now);
	w_fetch(&w, m, 0, 0, 1);
	cookie = w.job[0].cookie;
	b = bq_entry(t->buffers.next, struct bq_buffer, of_tenant)->id;
	id = t->id;
	bq_tenant_gone(&w.q, t);
	w_reap(&w);
	is_int(w.reaped[BQ_REQUEST], 2, "queued and unread go, the running one stays");
	is_int(w.reaped[BQ_BUFFER], 0, "its buffer too");
	ok(w.reaped[BQ_TENANT] == 1 && w.reaped[BQ_FLOW] == 1 && w.reaped[BQ_SHARE] == 1,
	   "the tenant and its nodes go");
	ok(bq_owner_find(&w.q, 1) && bq_owner_find(&w.q, 1)->requests == 1, "the owner is charged");
	is_int(w_fetch(&w, m, 0, 0, 1), -EAGAIN, "the buffer is not retired while it is used");
	is_int(w_commit_cookie(&w, cookie, 50, 0), 0, "the orphan's commit");
	w_fetch(&w, 0, 0, 0, 0);
	ok(w.f.n_events == 1 && w.event[0].id == b && w.event[0].tenant == id, "then it is");
	is_int(bq_owner_find(&w.q, 1)->bytes, 4096, "charged until put");
	bq_buffer_put(&w.q, b);
	w_reap(&w);
	is_int(w.reaped[BQ_BUFFER], 1, "then freed");
	ok(w.q.count.dropped == 2 && w.q.count.committed == 1, "counted");
	w_submit(&w, u, m);
	ok(!w_fetch(&w, m, 0, 0, 1) && w_job(&w, 0, u, 1), "others go on");
	ok(w_exit(&w), "nothing left");
}

static int put_model(struct bq_model *def, struct bq_model **out)
{
	*out = NULL;
	return bq_model_put(&w.q, def, out);
}

static void test_model_checks(void)
{
	struct braid_tensor tensors[2];
	struct bq_model good, def, *out;
	u32 i;

	begin();
	memset(tensors, 0, sizeof(tensors));
	memset(&good, 0, sizeof(good));
	good.name[0] = 'x';
	good.device_ns = 1;
	good.n_inputs = 1;
	good.n_outputs = 1;
	good.tensors = tensors;

#define BAD(error, why, ...) do {						\
		for (i = 0; i < 2; i++)						\
			tensors[i] = (struct braid_tensor){			\
				.type = BRAID_TYPE_F32, .rank = 2,		\
				.dims = { 3, 5 }, .bytes = 60 };		\
		def = good;							\
		__VA_ARGS__;							\
		is_int(put_model(&def, &out), error, why);			\
	} while (0)

	BAD(-EINVAL, "no name", def.name[0] = 0);
	BAD(-EINVAL, "name without end", memset(def.name, 'x', sizeof(def.name)));
	BAD(-EINVAL, "no estimate", def.device_ns = 0);
	BAD(-EINVAL, "no inputs", def.n_inputs = 0);
	BAD(-EINVAL, "no outputs", def.n_outputs = 0);
	BAD(-EMSGSIZE, "too many tensors", def.n_outputs = BRAID_MAX_TENSORS);
	BAD(-EMSGSIZE, "numbers that wrap", def.n_inputs = 2; def.n_outputs = ~0U);
	BAD(-EOPNOTSUPP, "unknown type", tensors[1].type = 8);
	BAD(-EINVAL, "rank", tensors[1].rank = BRAID_RANK_MAX + 1);
	BAD(-EINVAL, "extent 0", tensors[1].dims[1] = 0);
	BAD(-EINVAL, "extent beyond the rank", tensors[1].dims[2] = 1);
	BAD(-EINVAL, "bytes", tensors[1].bytes = 61);
	BAD(-EOVERFLOW, "extents that wrap", tensors[1].dims[0] = 1ULL << 62);
	BAD(-EINVAL, "tensor's name without end",
	    memset(tensors[0].name, 'x', sizeof(tensors[0].name)));
	is_int(bq_type_bytes(BRAID_TYPE_F64), 8, "bytes of a type");
	is_int(bq_type_bytes(8), 0, "a string is none of ours");
	ok(w_exit(&w), "nothing left");
}

static void test_models(void)
{
	u64 a, b, c;

	begin();
	a = w_model(&w, "x", 1, 5);
	is_int(w_model(&w, "x", 1, 7), a, "the same name and digest keep the id");
	is_int(bq_model_by_id(&w.q, a)->device_ns, 7, "and take the new estimate");
	b = w_model(&w, "x", 2, 5);
	ok(b > a && bq_model_by_name(&w.q, "x")->id == b, "a new digest is what the name finds");
	w_model(&w, "x", 1, 9);
	is_int(bq_model_by_name(&w.q, "x")->id, b, "a new estimate does not change that");
	is_int(bq_model_next(&w.q, a)->id, b, "in order of ids");
	ok(!bq_model_next(&w.q, b), "to the end");

	w_submit(&w, t, b);
	w_submit(&w, t, b);
	is_int(bq_model_del(&w.q, b, false, w.now), 0, "withdrawn, to drain");
	is_int(w_try(&w, t, b, 1, 0), -ENOENT, "no new requests");
	is_int(bq_model_by_name(&w.q, "x")->id, a, "the name finds the older one");
	ok(!bq_model_by_id(&w.q, b), "its id nothing");
	w_fetch(&w, b, 0, 0, 1);
	ok(w.f.n_jobs == 1 && w.job[0].model == b, "what waits is still handed out");
	is_int(bq_model_del(&w.q, b, true, w.now), 0, "at once, then");
	is_int(w_read(&w, t, NULL), -ENOENT, "what waits ends");
	is_int(w_fetch(&w, b, 0, 0, 1), -EAGAIN, "not drained while one runs");
	w_commit_cookie(&w, w.q.last_cookie, 1, 0);
	w_fetch(&w, 0, 0, 0, 0);
	ok(w.f.n_events == 1 && w.event[0].type == BRAID_EVENT_MODEL_DRAINED &&
	   w.event[0].id == b, "then it is");
	is_int(bq_model_del(&w.q, b, true, w.now), -ENOENT, "and is gone");
	c = w_model(&w, "x", 2, 5);
	ok(c > b, "published again it is a new one");

	w_submit(&w, t, c);
	bq_model_del(&w.q, c, false, w.now);
	is_int(w_model(&w, "x", 2, 5), c, "revived while it drains, it is the same");
	is_int(w_try(&w, t, c, 1, 0), 0, "and takes requests");
	is_int(bq_model_by_name(&w.q, "x")->id, c, "and is what the name finds");
	ok(w_exit(&w), "nothing left");
}

static void test_too_many_models(void)
{
	struct braid_tensor tensors[2] = { 0 };
	struct bq_model def = { .name = "y", .device_ns = 1, .n_inputs = 1, .n_outputs = 1,
				.tensors = tensors }, *out;
	u32 i;

	begin();
	for (i = 0; i < 2; i++)
		tensors[i] = (struct braid_tensor){ .type = BRAID_TYPE_I8, .bytes = 1 };
	for (i = 1; i < BQ_MAX_MODELS; i++) {
		char name[8];

		snprintf(name, sizeof(name), "x%u", i);
		w_model(&w, name, 1, 5);
	}
	is_int(bq_model_put(&w.q, &def, &out), -EAGAIN, "the table is full");
	bq_model_del(&w.q, m, false, w.now);
	is_int(w.q.n_models, BQ_MAX_MODELS - 1, "one withdrawn");
	ok(w_model(&w, "y", 1, 5) > BQ_MAX_MODELS, "makes room for one");
	ok(w_exit(&w), "nothing left");
}

/* Lists are gone through by number, so that they may change meanwhile. */
static void test_by_number(void)
{
	struct bq_tenant *a, *b, *c;
	struct bq_owner *o;

	w_init(&w);
	a = w_tenant(&w, 7);
	b = w_tenant(&w, 0);
	c = w_tenant(&w, 9);
	ok(bq_tenant_next(&w.q, 0) == a && bq_tenant_next(&w.q, a->id) == b, "in order of coming");
	ok(bq_tenant_find(&w.q, b->id) == b, "found by its id");
	ok(!bq_tenant_find(&w.q, 0) && !bq_tenant_find(&w.q, c->id + 1), "nobody else is");
	o = bq_owner_from(&w.q, 0);
	ok(o && o->key == 0 && bq_owner_from(&w.q, 1)->key == 7, "owners by key");
	ok(bq_owner_from(&w.q, 9)->key == 9 && !bq_owner_from(&w.q, 10), "to the last");
	bq_tenant_gone(&w.q, b);
	ok(bq_tenant_next(&w.q, a->id) == c, "one that went is passed over");
	ok(!bq_tenant_next(&w.q, c->id), "and there is an end");
	ok(w_exit(&w), "nothing left");
}

int main(void)
{
	test_checks();
	test_outputs_overlap();
	test_quotas();
	test_unread();
	test_owner_outlives();
	test_share_by();
	test_cancel();
	test_commit();
	test_records();
	test_death();
	test_slow_death();
	test_model_checks();
	test_models();
	test_too_many_models();
	test_by_number();
	return tap_done();
}
