// SPDX-License-Identifier: MIT
/*
 * What a tenant may ask, and every errno that <linux/braid.h> promises it.
 */
#include "tests/abi/abi.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct peer a, t;
static uint64_t model;

static void test_info(void)
{
	struct braid_get_info i = { .size = sizeof(i) };

	is_int(abi_call(&t, BRAID_NR_GET_INFO, &i), 0, "GET_INFO");
	is_int(i.abi, BRAID_ABI, "it tells the version");
	ok(i.agent_up && i.generation == a.generation && i.tenant, "agent, generation, tenant");
	is_int(i.owner, getuid(), "the owner is the uid");
	ok(i.tenant_depth && i.byte_quota && !i.outstanding && !i.reserved, "limits are told");
	ok(abi->device || i.max_message >= 65536, "and the largest message, where there are any");
	is_int(i.priority_ceiling, BRAID_PRIORITY_NORMAL, "the default ceiling");
	is_int(i.models, 2, "two models");
	i = (struct braid_get_info){ .size = sizeof(i), .flags = 1 };
	is_int(abi_call(&t, BRAID_NR_GET_INFO, &i), -EOPNOTSUPP, "unknown flag: EOPNOTSUPP");
	i = (struct braid_get_info){ .size = sizeof(i) };
	is_int(abi_call(&a, BRAID_NR_GET_INFO, &i), 0, "GET_INFO by the agent");
	ok(!i.tenant && i.generation == a.generation, "which is no tenant");
}

static int get(struct braid_model_get *g, const char *name)
{
	if (name)
		snprintf(g->name, sizeof(g->name), "%s", name);
	g->size = sizeof(*g);
	return abi_call(&t, BRAID_NR_MODEL_GET, g);
}

static void test_models(void)
{
	struct braid_tensor x[3];
	struct braid_model_get g = { .tensors = { sizeof(x[0]), 3, (uintptr_t)x } };
	uint64_t first;
	unsigned int set = 0;

	memset(x, 0xa5, sizeof(x));
	is_int(get(&g, "m"), 0, "MODEL_GET by name");
	ok(g.id == model && g.n_inputs == 1 && g.n_outputs == 1 && g.device_ns == 300000000,
	   "the model");
	is_int(g.tensors.count, 2, "count tells how many tensors there are");
	ok(!strcmp(x[0].name, "x") && !strcmp(x[1].name, "y") && x[1].bytes == ABI_BYTES &&
	   x[1].rank == 1 && x[1].dims[0] == ABI_BYTES && !x[1].dims[1], "which are these");
	for (size_t k = 1; k < sizeof(x[0].name); k++)
		set += x[0].name[k] != 0;
	for (size_t k = 1; k < sizeof(g.name); k++)
		set += g.name[k] != 0;
	is_int(set, 0, "nothing is left behind the ends of names");
	g = (struct braid_model_get){ 0 };
	is_int(get(&g, "m"), 0, "no room for tensors is no error");
	is_int(g.tensors.count, 2, "and count still tells");
	g = (struct braid_model_get){ .tensors = { sizeof(x[0]), 1, (uintptr_t)x } };
	memset(x, 0xa5, sizeof(x));
	is_int(get(&g, "m"), 0, "nor is too little");
	ok(g.tensors.count == 2 && x[0].rank == 1 && x[1].rank == 0xa5a5a5a5, "it takes what fits");
	g = (struct braid_model_get){ 0 };
	is_int(get(&g, "nobody"), -ENOENT, "unknown name: ENOENT");
	g = (struct braid_model_get){ .id = model };
	is_int(get(&g, NULL), 0, "by id");
	ok(!strcmp(g.name, "m"), "it is the same model");
	g = (struct braid_model_get){ .id = 1ull << 40 };
	is_int(get(&g, NULL), -ENOENT, "unknown id: ENOENT");
	g = (struct braid_model_get){ .flags = BRAID_MODEL_GET_NEXT };
	is_int(get(&g, NULL), 0, "the first model");
	first = g.id;
	g = (struct braid_model_get){ .flags = BRAID_MODEL_GET_NEXT, .id = first };
	is_int(get(&g, NULL), 0, "the next one");
	ok(g.id > first, "ids ascend");
	g = (struct braid_model_get){ .flags = BRAID_MODEL_GET_NEXT, .id = g.id };
	is_int(get(&g, NULL), -ENOENT, "no further one: ENOENT");
	g = (struct braid_model_get){ .flags = 2 };
	is_int(get(&g, "m"), -EOPNOTSUPP, "unknown flag: EOPNOTSUPP");
	g = (struct braid_model_get){ 0 };
	memset(g.name, 'x', sizeof(g.name));
	is_int(get(&g, NULL), -EINVAL, "a name that does not end: EINVAL");
}

static int alloc(uint64_t length, uint32_t flags, uint32_t reserved)
{
	struct braid_buf_alloc b = { .size = sizeof(b), .length = length, .flags = flags,
				     .reserved = reserved };

	return abi_call(&t, BRAID_NR_BUF_ALLOC, &b);
}

static uint64_t used(void)
{
	struct braid_get_info i = { .size = sizeof(i) };

	abi_call(&t, BRAID_NR_GET_INFO, &i);
	return i.bytes_used;
}

static void test_bytes(void)
{
	uint64_t before = used();

	is_int(abi->owner(getuid(), "byte_quota", before + 8192), 0, "a quota of two pages more");
	is_int(alloc(4096, 0, 0), 0, "one page");
	is_int(alloc(8192, 0, 0), -EDQUOT, "two more: EDQUOT");
	is_int(alloc(4096, 0, 0), 0, "one more");
	is_int(alloc(1, 0, 0), -EDQUOT, "not a byte more: EDQUOT");
	is_int(used() - before, 8192, "two pages are charged");
	abi->owner(getuid(), NULL, 0);
}

static void test_buffers(void)
{
	struct braid_buf_alloc b = { .size = sizeof(b), .length = 5000 };
	struct braid_buf_free f = { .size = sizeof(f), .flags = 1 };
	uint64_t before = used();
	unsigned int set = 0;
	uint8_t *p;
	int fd;

	is_int(abi->call(&t, BRAID_NR_BUF_ALLOC, &b, &fd), 0, "BUF_ALLOC");
	is_int(b.length, 8192, "rounded up");
	ok(fd >= 0 && b.id, "a descriptor comes along, and an id");
	is_int(used() - before, 8192, "its bytes are charged");
	ok(ftruncate(fd, 0) && ftruncate(fd, 1 << 20), "it can't be made shorter or longer");
	p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (ok(p != MAP_FAILED, "it can be mapped")) {
		for (int i = 0; i < 8192; i++)
			set += p[i] != 0;
		is_int(set, 0, "and is zeroed");
		memset(p, 1, 8192);
		munmap(p, 8192);
	}
	close(fd);
	f.id = b.id;
	is_int(abi_call(&t, BRAID_NR_BUF_FREE, &f), -EOPNOTSUPP, "unknown flag: EOPNOTSUPP");
	is_int(abi_buf_free(&t, b.id), 0, "BUF_FREE");
	is_int(abi_buf_free(&t, b.id), -ENOENT, "twice: ENOENT");
	abi_drain(&a);
	is_int(used(), before, "the agent never heard of it: its bytes are free");
	is_int(alloc(0, 0, 0), -EINVAL, "length 0: EINVAL");
	is_int(alloc(~0ull, 0, 0), -EOVERFLOW, "a length that does not round up: EOVERFLOW");
	is_int(alloc(1ull << 40, 0, 0), -EDQUOT, "more than the quota: EDQUOT");
	is_int(alloc(4096, 2, 0), -EOPNOTSUPP, "unknown flag: EOPNOTSUPP");
	is_int(alloc(4096, BRAID_BUF_ADOPT, 0), abi->device ? -EOPNOTSUPP : -EINVAL,
	       "ADOPT: not on the device, nor without a descriptor");
	is_int(alloc(4096, 0, 1), -E2BIG, "reserved field set: E2BIG");
}

static int submit(const struct braid_request *q, unsigned int n, const struct braid_slice *s,
		  unsigned int n_slices, struct braid_submit *out)
{
	struct braid_submit mine;

	if (!out)
		out = &mine;
	*out = (struct braid_submit){
		.size = sizeof(*out), .requests = { sizeof(*q), n, (uintptr_t)q },
		.slices = { sizeof(*s), n_slices, (uintptr_t)s },
	};
	return abi_call(&t, BRAID_NR_SUBMIT, out);
}

/* Bad requests: each in one respect. */
static void test_submit_errors(uint64_t foreign)
{
	const struct braid_slice good[2] = { { t.buf, 0, ABI_BYTES }, { t.buf, 1024, ABI_BYTES } };
	const struct braid_request fine = { .model = model, .priority = BRAID_PRIORITY_NORMAL,
					    .n_inputs = 1, .n_outputs = 1 };
	struct braid_submit out;
	struct braid_request q;
	struct braid_slice s[2];

#define CASE(expect, change, words)                                             \
	do {                                                                    \
		q = fine;                                                       \
		memcpy(s, good, sizeof(s));                                     \
		change;                                                         \
		is_int(submit(&q, 1, s, 2, &out), expect, words);               \
		ok(out.error == expect && !out.accepted, "its error says it");  \
	} while (0)

	CASE(-ENOENT, q.model = 1ull << 40, "unknown model: ENOENT");
	CASE(-ENOENT, s[0].buffer = 1ull << 40, "unknown buffer: ENOENT");
	CASE(-ENOENT, s[0].buffer = foreign, "another tenant's buffer: ENOENT, as if unknown");
	CASE(-EINVAL, s[0].length--, "input too short: EINVAL");
	CASE(-EINVAL, s[1].length++, "output too long: EINVAL");
	CASE(-EINVAL, s[0].offset = 32, "offset not a multiple of 64: EINVAL");
	CASE(-EOVERFLOW, s[0].offset = 1 << 20, "beyond the buffer: EOVERFLOW");
	CASE(-EOVERFLOW, s[0].offset = ~63ull, "offset and length overflow: EOVERFLOW");
	CASE(-EINVAL, s[1].offset = 0, "output over the input: EINVAL");
	CASE(-EINVAL, q.n_inputs = 2; q.n_outputs = 0, "wrong number of inputs: EINVAL");
	CASE(-EINVAL, q.n_inputs = 0, "no inputs: EINVAL");
	CASE(-EINVAL, q.first_slice = 1, "slices that did not come: EINVAL");
	CASE(-EINVAL, q.first_slice = ~0u, "far behind the last: EINVAL");
	CASE(-EINVAL, q.n_inputs = ~0u, "a number of inputs that overflows: EINVAL");
	CASE(-EOPNOTSUPP, q.priority = BRAID_PRIORITIES, "unknown priority: EOPNOTSUPP");
	CASE(-EOPNOTSUPP, q.flags = 1, "unknown flag: EOPNOTSUPP");
	CASE(-E2BIG, q.reserved = 1, "reserved field set: E2BIG");
#undef CASE
	out = (struct braid_submit){ .size = sizeof(out), .flags = 2 };
	is_int(abi_call(&t, BRAID_NR_SUBMIT, &out), -EOPNOTSUPP, "SUBMIT's unknown flag: EOPNOTSUPP");
}

/* Two outputs may lie beside each other, not over each other. */
static void test_overlap(void)
{
	struct braid_tensor x[3] = { [0 ... 2] = { .name = "x", .type = BRAID_TYPE_U8, .rank = 1,
						   .dims = { ABI_BYTES }, .bytes = ABI_BYTES } };
	struct braid_model_put p = {
		.size = sizeof(p), .name = "two", .digest = { 8 }, .device_ns = 1, .n_inputs = 1,
		.n_outputs = 2, .tensors = { sizeof(x[0]), 3, (uintptr_t)x },
	};
	struct braid_slice s[3] = { { t.buf, 0, ABI_BYTES }, { t.buf, 1024, ABI_BYTES },
				    { t.buf, 1024, ABI_BYTES } };
	struct braid_request q = { .priority = BRAID_PRIORITY_NORMAL, .n_inputs = 1, .n_outputs = 2 };
	struct braid_submit out;
	uint32_t state;

	is_int(abi_call(&a, BRAID_NR_MODEL_PUT, &p), 0, "a model with two outputs");
	q.model = p.id;
	is_int(submit(&q, 1, s, 3, &out), -EINVAL, "an output over the other: EINVAL");
	s[2].offset = 0;
	is_int(submit(&q, 1, s, 3, &out), -EINVAL, "the second one over the input: EINVAL");
	s[2].offset = 1024 + ABI_BYTES;
	is_int(submit(&q, 1, s, 3, &out), 0, "next to each other they may be");
	ok(!abi_cancel(&t, out.first_id, &state) && abi_status(&t, NULL, ABI_LONG) == -ECANCELED,
	   "which is enough of it");
}

static void commit_next(unsigned int n)
{
	static struct abi_fetch f;

	for (unsigned int done = 0; done < n; done += f.arg.jobs.count) {
		if (abi_jobs(&a, &f, model, 256, ABI_LONG)) {
			ok(false, "jobs come");
			return;
		}
		abi_commit_all(&a, &f);
	}
}

/* A prefix is accepted; ids follow each other. */
static void test_prefix(void)
{
	struct braid_slice s[2] = { { t.buf, 0, ABI_BYTES }, { t.buf, 1024, ABI_BYTES } };
	struct braid_request q[4] = { [0 ... 3] = { .model = model, .priority = 1, .n_inputs = 1,
						    .n_outputs = 1 } };
	struct braid_completion c[4];
	struct braid_submit out;
	uint64_t first;

	for (int i = 0; i < 4; i++)
		q[i].user_data = 100 + i;
	is_int(submit(q, 4, s, 2, &out), 0, "four requests");
	ok(out.accepted == 4 && !out.error && out.first_id, "are accepted");
	first = out.first_id;
	commit_next(4);
	for (int i = 0; i < 4; i++)
		abi_status(&t, &c[i], ABI_LONG);
	ok(c[0].id == first && c[3].id == first + 3 && c[0].user_data == 100 &&
	   c[3].user_data == 103, "ids follow each other, user_data comes back");
	q[2].model = 1ull << 40;
	is_int(submit(q, 4, s, 2, &out), 0, "the third is wrong: success");
	ok(out.accepted == 2 && out.error == -ENOENT && out.first_id == first + 4,
	   "with the prefix, and why not all");
	commit_next(2);
	ok(!abi_status(&t, &c[0], ABI_LONG) && !abi_status(&t, &c[1], ABI_LONG) &&
	   c[1].id == first + 5, "which completes");
	is_int(abi_status(&t, NULL, ABI_SOON), 1, "and nothing else does");
	q[0].model = 1ull << 40;
	is_int(submit(q, 4, s, 2, &out), -ENOENT, "the first is wrong: its error");
	ok(!out.accepted && out.error == -ENOENT, "and none accepted");
	is_int(submit(q, 0, s, 2, &out), 0, "no requests: success");
	q[0].model = model;
	out = (struct braid_submit){
		.size = sizeof(out), .flags = BRAID_QUIET,
		.requests = { sizeof(q[0]), 1, (uintptr_t)q },
	};
	is_int(abi_call(&t, BRAID_NR_SUBMIT, &out), -EINVAL, "QUIET does not hide an error");
}

/* The record of a completion, and that a place is taken until it is read. */
static void test_completion(void)
{
	struct braid_get_info i = { .size = sizeof(i) };
	struct braid_completion c;
	uint64_t id, before = abi_now();
	struct braid_cancel k;

	is_int(abi_submit(&t, model, BRAID_PRIORITY_REALTIME, 0, &id), 0, "SUBMIT");
	commit_next(1);
	abi_call(&t, BRAID_NR_GET_INFO, &i);
	is_int(i.outstanding, 1, "its place is taken until it was read");
	memset(&c, 0xa5, sizeof(c));
	is_int(abi_status(&t, &c, ABI_LONG), 0, "it completes");
	ok(c.size == sizeof(c) && c.user_data == 42 && c.id == id, "with user_data and id");
	ok(c.enqueue_ns >= before && c.fetch_ns >= c.enqueue_ns && c.done_ns >= c.fetch_ns &&
	   c.done_ns <= abi_now() && c.window, "times ascend, the window is named");
	ok(c.merge_degree == 1 && c.fuse_degree == 1 && c.device_ns == 6000 && !c.attempt,
	   "degrees and device time are the agent's");
	is_int(c.reserved, 0, "reserved is zero");
	i = (struct braid_get_info){ .size = sizeof(i) };
	abi_call(&t, BRAID_NR_GET_INFO, &i);
	is_int(i.outstanding, 0, "then it is free");

	is_int(abi_submit(&t, model, 1, 1, &id), 0, "a deadline that is over is accepted");
	is_int(abi_status(&t, &c, ABI_LONG), -ETIME, "and answered with ETIME");
	ok(!c.window && !c.fetch_ns && !c.device_ns && !c.merge_degree && c.done_ns, "it never ran");
	k = (struct braid_cancel){ .size = sizeof(k), .id = id };
	is_int(abi_call(&t, BRAID_NR_CANCEL, &k), -ENOENT, "CANCEL of what is done: ENOENT");
	k = (struct braid_cancel){ .size = sizeof(k), .id = 1, .flags = 1 };
	is_int(abi_call(&t, BRAID_NR_CANCEL, &k), -EOPNOTSUPP, "unknown flag: EOPNOTSUPP");
	k = (struct braid_cancel){ .size = sizeof(k), .id = 1, .reserved = 1 };
	is_int(abi_call(&t, BRAID_NR_CANCEL, &k), -E2BIG, "reserved field set: E2BIG");
	k = (struct braid_cancel){ .size = sizeof(k), .id = 1ull << 40 };
	is_int(abi_call(&t, BRAID_NR_CANCEL, &k), -ENOENT, "of a request that never was: ENOENT");
}

/* A tenant that never reads is held at tenant_depth and nobody else is. */
static void test_depth(void)
{
	struct braid_completion c;
	struct peer lazy;
	int ret;

	abi_knob("tenant_depth", "8");
	abi_tenant(&lazy);
	abi_buf(&lazy, 4096);
	for (int i = 0; i < 8; i++)
		if (abi_submit(&lazy, model, 1, 0, NULL))
			ok(false, "request %d of eight", i);
	is_int(abi_submit(&lazy, model, 1, 0, NULL), -EAGAIN, "tenant_depth is reached: EAGAIN");
	commit_next(8);
	is_int(abi_submit(&lazy, model, 1, 0, NULL), -EAGAIN, "done but unread: the same");
	is_int(abi_submit(&t, model, 1, 0, NULL), 0, "another tenant is not held up");
	commit_next(1);
	is_int(abi_status(&t, NULL, ABI_LONG), 0, "and gets its answer");
	is_int(abi_status(&lazy, &c, ABI_LONG), 0, "one is read");
	is_int(abi_submit(&lazy, model, 1, 0, NULL), 0, "so there is one place");
	is_int(abi_submit(&lazy, model, 1, 0, NULL), -EAGAIN, "and no other");
	abi_knob("tenant_depth", "256");
	ret = abi_submit(&lazy, model, 1, 0, NULL);
	is_int(ret, 0, "a larger depth holds at once");
	abi_close(&lazy);
}

/* The queue as a whole, and the owner's part of it. */
static void test_full(void)
{
	struct braid_slice s[2] = { { t.buf, 0, ABI_BYTES }, { t.buf, 1024, ABI_BYTES } };
	static struct braid_request q[200];
	struct peer crowd[4];
	struct braid_submit out;
	unsigned int all = 0, n = 0;
	int ret = 0;

	abi_knob("max_requests", "8");
	for (unsigned int i = 0; i < 6; i++)
		abi_submit(&t, model, 1, 0, NULL);
	is_int(abi_submit(&t, model, 1, 0, NULL), -EAGAIN,
	       "an owner's part of max_requests is reached: EAGAIN");
	abi_knob("max_requests", "65536");
	commit_next(6);
	for (unsigned int i = 0; i < 6; i++)
		abi_status(&t, NULL, ABI_LONG);
	/* Over the socket what was read is told with the next command. */
	abi_call(&t, BRAID_NR_GET_INFO, &(struct braid_get_info){ .size = sizeof(struct braid_get_info) });

	is_int(abi->owner(getuid(), "request_quota", 300), 0, "an owner gets less");
	while (n < 4 && !ret) {
		abi_tenant(&crowd[n]);
		s[0].buffer = s[1].buffer = abi_buf(&crowd[n], 4096);
		for (unsigned int i = 0; i < 200; i++)
			q[i] = (struct braid_request){ .model = model, .priority = 1, .n_inputs = 1,
						       .n_outputs = 1 };
		out = (struct braid_submit){
			.size = sizeof(out), .requests = { sizeof(q[0]), 200, (uintptr_t)q },
			.slices = { sizeof(s[0]), 2, (uintptr_t)s },
		};
		ret = abi_call(&crowd[n++], BRAID_NR_SUBMIT, &out);
		all += out.accepted;
		if (out.error)
			ret = out.error;
	}
	is_int(ret, -EDQUOT, "an owner's requests: EDQUOT, however many tenants they have");
	is_int(all, 300, "the quota exactly");
	is_int(n, 2, "by two tenants");
	while (n)
		abi_close(&crowd[--n]);
	abi_drain(&a);

	/* They end at once, but nobody reads: all but one of each still count. */
	for (all = 0; n < 4; n++) {
		abi_tenant(&crowd[n]);
		s[0].buffer = s[1].buffer = abi_buf(&crowd[n], 4096);
		for (unsigned int i = 0; i < 200; i++)
			q[i].deadline_ns = 1;
		out = (struct braid_submit){
			.size = sizeof(out), .requests = { sizeof(q[0]), 200, (uintptr_t)q },
			.slices = { sizeof(s[0]), 2, (uintptr_t)s },
		};
		ret = abi_call(&crowd[n], BRAID_NR_SUBMIT, &out);
		all += out.accepted;
	}
	is_int(ret, -EDQUOT, "unread completions are the owner's too: EDQUOT");
	is_int(all, 302, "the quota, and one that is free for each of the two tenants that have some");
	is_int(abi->owner(getuid(), NULL, 0), 0, "back to the defaults");
	while (n)
		abi_close(&crowd[--n]);
	is_int(abi_submit(&t, model, 1, 0, NULL), 0, "their tenants gone, there is room again");
	commit_next(1);
	abi_status(&t, NULL, ABI_LONG);
}

int main(int argc, char **argv)
{
	struct peer other;
	uint64_t foreign;

	abi_start(argc, argv);
	abi_agent(&a);
	ok(abi_model(&a, "n", 7, 128, NULL), "a second model");
	model = abi_serve(&a);
	abi_tenant(&t);
	abi_tenant(&other);
	test_info();
	test_models();
	test_buffers();
	test_bytes();
	foreign = abi_buf(&other, 4096);
	ok(abi_buf(&t, 65536) && foreign, "buffers");
	abi_drain(&a);
	test_submit_errors(foreign);
	test_overlap();
	test_prefix();
	test_completion();
	test_depth();
	test_full();
	abi_close(&other);
	abi_close(&t);
	abi_close(&a);
	return abi_stop();
}
