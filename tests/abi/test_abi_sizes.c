// SPDX-License-Identifier: MIT
/*
 * Every structure and every array element, smaller, larger with a tail of
 * zeros, larger with something in it: as <linux/braid.h> promises under
 * "General format", for both roles.
 */
#include "tests/abi/abi.h"

#include <errno.h>
#include <string.h>

#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))

static struct peer t, a;
static uint64_t model, other;

/* What a command of zeros gets, which no change of its size may alter. */
static const struct command {
	uint32_t nr;
	size_t size;
	int zeros;
	const char *name;
} tenant[] = {
	{ BRAID_NR_GET_INFO, sizeof(struct braid_get_info), 0, "GET_INFO" },
	{ BRAID_NR_MODEL_GET, sizeof(struct braid_model_get), -ENOENT, "MODEL_GET" },
	{ BRAID_NR_BUF_ALLOC, sizeof(struct braid_buf_alloc), -EINVAL, "BUF_ALLOC" },
	{ BRAID_NR_BUF_FREE, sizeof(struct braid_buf_free), -ENOENT, "BUF_FREE" },
	{ BRAID_NR_SUBMIT, sizeof(struct braid_submit), 0, "SUBMIT" },
	{ BRAID_NR_CANCEL, sizeof(struct braid_cancel), -ENOENT, "CANCEL" },
}, agent[] = {
	{ BRAID_NR_GET_INFO, sizeof(struct braid_get_info), 0, "agent's GET_INFO" },
	{ BRAID_NR_MODEL_GET, sizeof(struct braid_model_get), -ENOENT, "agent's MODEL_GET" },
	{ BRAID_NR_MODEL_PUT, sizeof(struct braid_model_put), -EINVAL, "MODEL_PUT" },
	{ BRAID_NR_MODEL_DEL, sizeof(struct braid_model_del), -ENOENT, "MODEL_DEL" },
	{ BRAID_NR_READY, sizeof(struct braid_ready), -EINVAL, "READY" },
	{ BRAID_NR_COMMIT, sizeof(struct braid_commit), -ESTALE, "COMMIT" },
	{ BRAID_NR_BUF_GET_FD, sizeof(struct braid_buf_get_fd), -ENOENT, "BUF_GET_FD" },
	{ BRAID_NR_BUF_PUT, sizeof(struct braid_buf_put), -ENOENT, "BUF_PUT" },
};

static void test_sizes(struct peer *p, const struct command *list, size_t n)
{
	for (const struct command *c = list; c < list + n; c++) {
		is_int(abi_sized(p, c->nr, c->size, false), c->zeros, "%s of zeros", c->name);
		is_int(abi_sized(p, c->nr, c->size - 1, false), -EINVAL,
		       "%s: one byte short: EINVAL", c->name);
		is_int(abi_sized(p, c->nr, sizeof(uint32_t), false), -EINVAL,
		       "%s: its size alone: EINVAL", c->name);
		is_int(abi_sized(p, c->nr, c->size + 1, false), c->zeros,
		       "%s: a newer caller's zero tail changes nothing", c->name);
		is_int(abi_sized(p, c->nr, 4000, false), c->zeros, "%s: nor does a long one",
		       c->name);
		is_int(abi_sized(p, c->nr, c->size + 1, true), -E2BIG, "%s: non-zero tail: E2BIG",
		       c->name);
		is_int(abi_sized(p, c->nr, 4000, true), -E2BIG, "%s: at the end of a long one: E2BIG",
		       c->name);
	}
}

/* FETCH by itself: it would wait. */
static void test_fetch_sizes(void)
{
	struct {
		struct braid_fetch f;
		uint64_t tail;
	} x = { .f = { .flags = BRAID_FETCH_NONBLOCK } };
	struct braid_event event;

	x.f.events = (struct braid_array){ sizeof(event), 1, (uintptr_t)&event };

	x.f.size = sizeof(x.f) - 1;
	is_int(abi_call(&a, BRAID_NR_FETCH, &x), -EINVAL, "FETCH: one byte short: EINVAL");
	x.f.size = sizeof(x.f) + 1;
	is_int(abi_call(&a, BRAID_NR_FETCH, &x), -EAGAIN, "FETCH: zero tail");
	x.tail = 1;
	is_int(abi_call(&a, BRAID_NR_FETCH, &x), -E2BIG, "FETCH: non-zero tail: E2BIG");
}

static void test_roles(void)
{
	for (const struct command *c = agent + 2; c < agent + COUNT(agent); c++)
		is_int(abi_sized(&t, c->nr, c->size, false), -ENOTTY, "%s by a tenant: ENOTTY",
		       c->name);
	is_int(abi_sized(&t, BRAID_NR_FETCH, sizeof(struct braid_fetch), false), -ENOTTY,
	       "FETCH by a tenant: ENOTTY");
	for (const struct command *c = tenant + 2; c < tenant + COUNT(tenant); c++)
		is_int(abi_sized(&a, c->nr, c->size, false), -ENOTTY, "%s by the agent: ENOTTY",
		       c->name);
	is_int(abi_sized(&t, 0x3f, 64, false), -ENOTTY, "unknown command by a tenant: ENOTTY");
	is_int(abi_sized(&a, 0x7f, 64, false), -ENOTTY, "by the agent: ENOTTY");
	is_int(abi_sized(&t, 0xff, 64, false), -ENOTTY, "beyond the last one: ENOTTY");
	if (abi->device) {
		is_int(abi_sized(&t, BRAID_NR_RING, sizeof(struct braid_ring), false), -ENOTTY,
		       "RING on the device: ENOTTY");
		is_int(abi_sized(&a, BRAID_NR_RING, sizeof(struct braid_ring), false), -ENOTTY,
		       "by the agent too: ENOTTY");
	}
}

/* Out fields go back, and nothing behind the caller's structure does. */
static void test_written(void)
{
	struct {
		struct braid_get_info i;
		uint8_t rest[64];
	} x;
	unsigned int bad = 0;

	memset(&x, 0xa5, sizeof(x));
	x.i = (struct braid_get_info){ .size = sizeof(x.i) };
	is_int(abi_call(&t, BRAID_NR_GET_INFO, &x.i), 0, "GET_INFO");
	ok(x.i.size == sizeof(x.i) && x.i.abi == BRAID_ABI, "its size stays the caller's");
	for (size_t k = 0; k < sizeof(x.rest); k++)
		bad += x.rest[k] != 0xa5;
	is_int(bad, 0, "nothing is written behind it");
	memset(&x, 0, sizeof(x));
	x.i.size = sizeof(x.i) + 16;
	is_int(abi_call(&t, BRAID_NR_GET_INFO, &x.i), 0, "of a newer caller");
	ok(x.i.size == sizeof(x.i) + 16 && x.i.abi == BRAID_ABI, "likewise");
	for (size_t k = 0; k < sizeof(x.rest); k++)
		bad += x.rest[k] != 0;
	is_int(bad, 0, "its tail stays zero");
}

/* An element of any array, larger than this version's. */
struct big_request {
	struct braid_request r;
	uint64_t more;
};

struct big_slice {
	struct braid_slice s;
	uint8_t more[40];
};

static int submit(struct big_request *q, uint32_t q_stride, struct big_slice *s, uint32_t s_stride)
{
	struct braid_submit out = {
		.size = sizeof(out), .requests = { q_stride, 1, (uintptr_t)q },
		.slices = { s_stride, 2, (uintptr_t)s },
	};

	return abi_call(&t, BRAID_NR_SUBMIT, &out);
}

/* SUBMIT's two arrays. */
static void test_in_strides(void)
{
	struct big_request q = { .r = { .model = model, .priority = 1, .n_inputs = 1,
					.n_outputs = 1 } };
	struct big_slice s[2] = { { .s = { t.buf, 0, ABI_BYTES } },
				  { .s = { t.buf, 1024, ABI_BYTES } } };
	const uint32_t qs = sizeof(q), ss = sizeof(s[0]);

	is_int(submit(&q, qs, s, ss), 0, "larger elements with zero tails are taken");
	is_int(submit(&q, sizeof(q.r) - 1, s, ss), -EINVAL, "a request too small: EINVAL");
	is_int(submit(&q, qs, s, sizeof(s[0].s) - 1), -EINVAL, "a slice too small: EINVAL");
	is_int(submit(&q, 0, s, ss), -EINVAL, "stride 0: EINVAL");
	is_int(submit(&q, ~0u, s, ss), -EINVAL, "an endless stride: EINVAL");
	q.more = 1;
	is_int(submit(&q, qs, s, ss), -E2BIG, "something in a request's tail: E2BIG");
	q.more = 0;
	s[1].more[39] = 1;
	is_int(submit(&q, qs, s, ss), -E2BIG, "something in a slice's tail: E2BIG");
}

/* MODEL_PUT's and FETCH's arrays that are read. */
static void test_agent_strides(void)
{
	struct {
		struct braid_tensor t;
		uint64_t more;
	} x[2] = {
		{ .t = { .name = "x", .type = BRAID_TYPE_U8, .rank = 1, .dims = { 8 }, .bytes = 8 } },
		{ .t = { .name = "y", .type = BRAID_TYPE_U8, .rank = 1, .dims = { 8 }, .bytes = 8 } },
	};
	struct braid_model_put p = {
		.size = sizeof(p), .name = "strides", .device_ns = 1, .n_inputs = 1, .n_outputs = 1,
		.tensors = { sizeof(x[0]), 2, (uintptr_t)x },
	};
	struct {
		struct braid_want w;
		uint64_t more;
	} w = { .w = { .model = model, .count = 1 } };
	struct braid_fetch f = { .size = sizeof(f), .flags = BRAID_FETCH_NONBLOCK }, g;
	struct braid_job job;
	struct braid_slice slice[2];

	is_int(abi_call(&a, BRAID_NR_MODEL_PUT, &p), 0, "larger tensors with zero tails are taken");
	other = p.id;
	p.tensors.stride = sizeof(x[0].t) - 1;
	is_int(abi_call(&a, BRAID_NR_MODEL_PUT, &p), -EINVAL, "tensors too small: EINVAL");
	p.tensors.stride = sizeof(x[0]);
	x[1].more = 1ull << 63;
	is_int(abi_call(&a, BRAID_NR_MODEL_PUT, &p), -E2BIG, "something in a tail: E2BIG");

	f.wants = (struct braid_array){ sizeof(w), 1, (uintptr_t)&w };
	f.jobs = (struct braid_array){ sizeof(job), 1, (uintptr_t)&job };
	f.slices = (struct braid_array){ sizeof(slice[0]), 2, (uintptr_t)slice };
	w.more = 1;
	g = f;
	is_int(abi_call(&a, BRAID_NR_FETCH, &g), -E2BIG, "something in a want's tail: E2BIG");
	w.more = 0;
	g = f;
	g.wants.stride = sizeof(w.w) - 1;
	is_int(abi_call(&a, BRAID_NR_FETCH, &g), -EINVAL, "a want too small: EINVAL");
	g = f;
	g.jobs.stride = sizeof(job) - 1;
	is_int(abi_call(&a, BRAID_NR_FETCH, &g), -EINVAL, "room for jobs that are smaller: EINVAL");
	g = f;
	g.slices.stride = sizeof(slice[0]) - 1;
	is_int(abi_call(&a, BRAID_NR_FETCH, &g), -EINVAL, "for slices: EINVAL");
	g = f;
	g.events = (struct braid_array){ sizeof(struct braid_event) - 1, 1, (uintptr_t)&job };
	is_int(abi_call(&a, BRAID_NR_FETCH, &g), -EINVAL, "for events: EINVAL");
}

static bool all(const void *p, size_t n, uint8_t value)
{
	const uint8_t *b = p;

	while (n--)
		if (*b++ != value)
			return false;
	return true;
}

/* Arrays that are written, at a larger stride: tails are cleared. */
static void test_out_strides(void)
{
	struct {
		struct braid_job j;
		uint8_t more[24];
	} jobs[2];
	struct {
		struct braid_slice s;
		uint8_t more[8];
	} slices[4];
	struct {
		struct braid_event e;
		uint8_t more[16];
	} events[2];
	struct {
		struct braid_result r;
		uint8_t more[8];
	} res[2] = { 0 };
	struct {
		struct braid_tensor t;
		uint8_t more[8];
	} tensors[3];
	struct braid_want w = { .model = model, .count = 2 };
	struct braid_fetch f = {
		.size = sizeof(f), .flags = BRAID_FETCH_NONBLOCK,
		.wants = { sizeof(w), 1, (uintptr_t)&w },
		.jobs = { sizeof(jobs[0]), 1, (uintptr_t)jobs },
		.slices = { sizeof(slices[0]), 3, (uintptr_t)slices },
		.events = { sizeof(events[0]), 2, (uintptr_t)events },
	};
	struct braid_model_get g = {
		.size = sizeof(g), .id = model, .tensors = { sizeof(tensors[0]), 3, (uintptr_t)tensors },
	};
	struct braid_commit c = {
		.size = sizeof(c), .generation = a.generation,
		.results = { sizeof(res[0]), 2, (uintptr_t)res },
	};

	ok(abi_buf(&t, 4096), "another buffer");
	memset(jobs, 0xa5, sizeof(jobs));
	memset(slices, 0xa5, sizeof(slices));
	memset(events, 0xa5, sizeof(events));
	is_int(abi_call(&a, BRAID_NR_FETCH, &f), 0, "FETCH with larger elements");
	ok(f.jobs.count == 1 && f.slices.count == 2 && f.events.count >= 1, "brings one of each");
	ok(jobs[0].j.model == model && all(jobs[0].more, sizeof(jobs[0].more), 0),
	   "a job, its tail cleared");
	ok(slices[1].s.offset == 1024 && all(slices[1].more, sizeof(slices[1].more), 0) &&
	   all(slices[0].more, sizeof(slices[0].more), 0), "its slices likewise");
	ok(events[0].e.id && all(events[0].more, sizeof(events[0].more), 0), "an event likewise");
	ok(all(&jobs[1], sizeof(jobs[1]), 0xa5) && all(&slices[2], sizeof(slices[2]), 0xa5),
	   "what was not used is not touched");

	res[0].r = (struct braid_result){ .cookie = jobs[0].j.cookie, .device_ns = 1,
					  .merge_degree = 1, .fuse_degree = 1, .result = 77 };
	res[1].r = (struct braid_result){ .cookie = ~0ull, .result = 77 };
	is_int(abi_call(&a, BRAID_NR_COMMIT, &c), 0, "COMMIT with larger elements");
	ok(c.committed == 1 && !res[0].r.result && res[1].r.result == -ENOENT,
	   "takes one and says why not the other");
	res[1].more[7] = 1;
	is_int(abi_call(&a, BRAID_NR_COMMIT, &c), -E2BIG, "something in a tail: E2BIG");
	ok(!c.committed && !c.results.count, "nothing is taken and nothing written");
	c.results = (struct braid_array){ sizeof(res[0].r) - 1, 1, (uintptr_t)res };
	is_int(abi_call(&a, BRAID_NR_COMMIT, &c), -EINVAL, "results too small: EINVAL");

	memset(tensors, 0xa5, sizeof(tensors));
	is_int(abi_call(&t, BRAID_NR_MODEL_GET, &g), 0, "MODEL_GET with larger elements");
	ok(g.tensors.count == 2 && !strcmp(tensors[1].t.name, "y") &&
	   all(tensors[1].more, sizeof(tensors[1].more), 0) &&
	   all(&tensors[2], sizeof(tensors[2]), 0xa5), "brings the tensors there are");
	g = (struct braid_model_get){ .size = sizeof(g), .id = model,
				      .tensors = { sizeof(tensors[0].t) - 1, 1, (uintptr_t)tensors } };
	is_int(abi_call(&t, BRAID_NR_MODEL_GET, &g), -EINVAL, "room for smaller ones: EINVAL");
}

/* Limits on counts; nothing is read where a count is too large. */
static void test_counts(void)
{
	struct braid_submit s = { .size = sizeof(s) };
	struct braid_commit c = { .size = sizeof(c), .generation = a.generation };
	struct braid_model_put p = { .size = sizeof(p), .name = "many", .device_ns = 1 };
	struct braid_fetch f = { .size = sizeof(f), .flags = BRAID_FETCH_NONBLOCK };

	s.requests = (struct braid_array){ sizeof(struct braid_request), BRAID_MAX_BATCH + 1, 0 };
	is_int(abi_call(&t, BRAID_NR_SUBMIT, &s), -EMSGSIZE, "too many requests: EMSGSIZE");
	s.requests.count = ~0u;
	is_int(abi_call(&t, BRAID_NR_SUBMIT, &s), -EMSGSIZE, "far too many: EMSGSIZE");
	s.requests.count = 0;
	s.slices = (struct braid_array){ sizeof(struct braid_slice),
					 BRAID_MAX_BATCH * BRAID_MAX_TENSORS + 1, 0 };
	is_int(abi_call(&t, BRAID_NR_SUBMIT, &s), -EMSGSIZE, "too many slices: EMSGSIZE");
	c.results = (struct braid_array){ sizeof(struct braid_result), BRAID_MAX_BATCH + 1, 0 };
	is_int(abi_call(&a, BRAID_NR_COMMIT, &c), -EMSGSIZE, "too many results: EMSGSIZE");
	p.n_inputs = BRAID_MAX_TENSORS;
	p.n_outputs = 1;
	p.tensors = (struct braid_array){ sizeof(struct braid_tensor), BRAID_MAX_TENSORS + 1, 0 };
	is_int(abi_call(&a, BRAID_NR_MODEL_PUT, &p), -EMSGSIZE, "too many tensors: EMSGSIZE");
	f.wants = (struct braid_array){ sizeof(struct braid_want), 4097, 0 };
	is_int(abi_call(&a, BRAID_NR_FETCH, &f), -EMSGSIZE, "too many wants: EMSGSIZE");
}

int main(int argc, char **argv)
{
	abi_start(argc, argv);
	abi_agent(&a);
	model = abi_serve(&a);
	abi_tenant(&t);
	ok(abi_buf(&t, 4096), "a buffer");
	test_sizes(&t, tenant, COUNT(tenant));
	abi_drain(&a);
	test_sizes(&a, agent, COUNT(agent));
	test_fetch_sizes();
	test_roles();
	test_written();
	test_in_strides();
	test_agent_strides();
	test_out_strides();
	test_counts();
	abi_close(&t);
	abi_close(&a);
	return abi_stop();
}
