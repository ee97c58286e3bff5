// SPDX-License-Identifier: MIT
/*
 * The socket transport says what <linux/braid.h> promises: sizes, flags,
 * every errno a tenant can meet, malformed messages.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/tap.h"
#include "tests/transport/daemon.h"
#include "tests/transport/raw.h"

static struct daemon d;
static struct raw r;

static const struct {
	uint32_t nr;
	size_t size;
	const char *name;
} commands[] = {
	{ BRAID_NR_GET_INFO, sizeof(struct braid_get_info), "GET_INFO" },
	{ BRAID_NR_MODEL_GET, sizeof(struct braid_model_get), "MODEL_GET" },
	{ BRAID_NR_BUF_ALLOC, sizeof(struct braid_buf_alloc), "BUF_ALLOC" },
	{ BRAID_NR_BUF_FREE, sizeof(struct braid_buf_free), "BUF_FREE" },
	{ BRAID_NR_SUBMIT, sizeof(struct braid_submit), "SUBMIT" },
	{ BRAID_NR_CANCEL, sizeof(struct braid_cancel), "CANCEL" },
};

static void test_sizes(void)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		size_t n = commands[i].size;
		int exact = raw_sized(&r, commands[i].nr, n, 0);

		is_int(raw_sized(&r, commands[i].nr, n - 1, 0), -EINVAL, "%s: one byte short: EINVAL",
		       commands[i].name);
		is_int(raw_sized(&r, commands[i].nr, n + 1, 0), exact,
		       "%s: a newer caller's zero tail changes nothing", commands[i].name);
		is_int(raw_sized(&r, commands[i].nr, n + 1, 1), -E2BIG, "%s: non-zero tail: E2BIG",
		       commands[i].name);
	}
	is_int(raw_sized(&r, 0x3f, 64, 0), -ENOTTY, "unknown command: ENOTTY");
	is_int(raw_sized(&r, BRAID_NR_FETCH, sizeof(struct braid_fetch), 0), -ENOTTY,
	       "an agent's command by a tenant: ENOTTY");
}

static int with_head(struct braid_msg head, size_t bytes)
{
	struct raw x;
	uint8_t msg[512] = { 0 };
	int ret;

	ret = raw_open(&x, d.socket);
	if (ret)
		return ret;
	memcpy(msg, &head, sizeof(head));
	ret = raw_bytes(&x, msg, bytes);
	if (!raw_hung_up(&x))
		ret = 1;
	raw_close(&x);
	return ret;
}

static void test_messages(void)
{
	struct braid_msg good = { .size = sizeof(good) + 80, .abi = BRAID_ABI,
				  .type = BRAID_MSG_COMMAND, .cmd = BRAID_NR_GET_INFO }, h;

	h = good;
	h.abi = BRAID_ABI + 1;
	is_int(with_head(h, h.size), -EPROTONOSUPPORT, "another version: EPROTONOSUPPORT, closed");
	h = good;
	h.abi = 0;
	is_int(with_head(h, h.size), -EPROTONOSUPPORT, "too old a version: the same");
	h = good;
	h.size--;
	is_int(with_head(h, good.size), -EBADMSG, "length other than the message's: EBADMSG, closed");
	h = good;
	h.type = BRAID_MSG_REPLY;
	is_int(with_head(h, h.size), -EBADMSG, "a reply to the queue: EBADMSG, closed");
	is_int(with_head(good, sizeof(good) - 1), -EBADMSG, "less than a head: EBADMSG, closed");
}

static void test_info(void)
{
	struct braid_get_info i = { .size = sizeof(i) };

	is_int(raw_call(&r, BRAID_NR_GET_INFO, &i, -1, NULL), 0, "GET_INFO");
	is_int(i.abi, BRAID_ABI, "it tells the version");
	ok(i.agent_up && i.generation >= 1 && i.tenant, "agent, generation and tenant are there");
	is_int(i.owner, getuid(), "the owner is the uid");
	ok(i.max_message >= 65536 && i.tenant_depth && i.byte_quota, "limits are told");
	is_int(i.models, 2, "two models");
	i = (struct braid_get_info){ .size = sizeof(i), .flags = 1 };
	ok(raw_call(&r, BRAID_NR_GET_INFO, &i, -1, NULL) < 0, "unknown flag is refused");
}

static void test_models(struct braid_model_get *m, struct braid_tensor *t)
{
	struct braid_model_get g;
	uint64_t first;

	is_int(raw_model(&r, "tiny_mlp", m, t, 8), 0, "MODEL_GET by name");
	ok(m->n_inputs == 1 && m->n_outputs == 1 && t[0].bytes && t[1].bytes,
	   "tensors with their sizes");
	is_int(m->tensors.count, 2, "count tells how many there are");
	is_int(raw_model(&r, "tiny_mlp", &g, NULL, 0), 0, "no room for tensors is no error");
	is_int(g.tensors.count, 2, "and count still tells");
	is_int(raw_model(&r, "nobody", &g, NULL, 0), -ENOENT, "unknown name: ENOENT");
	g = (struct braid_model_get){ .size = sizeof(g), .id = m->id };
	is_int(raw_call(&r, BRAID_NR_MODEL_GET, &g, -1, NULL), 0, "by id");
	ok(!strcmp(g.name, "tiny_mlp"), "it is the same model");
	g = (struct braid_model_get){ .size = sizeof(g), .id = 1u << 30 };
	is_int(raw_call(&r, BRAID_NR_MODEL_GET, &g, -1, NULL), -ENOENT, "unknown id: ENOENT");
	g = (struct braid_model_get){ .size = sizeof(g), .flags = BRAID_MODEL_GET_NEXT };
	is_int(raw_call(&r, BRAID_NR_MODEL_GET, &g, -1, NULL), 0, "the first model");
	first = g.id;
	g = (struct braid_model_get){ .size = sizeof(g), .flags = BRAID_MODEL_GET_NEXT,
				      .id = first };
	is_int(raw_call(&r, BRAID_NR_MODEL_GET, &g, -1, NULL), 0, "the next one");
	ok(g.id > first, "ids ascend");
	g = (struct braid_model_get){ .size = sizeof(g), .flags = BRAID_MODEL_GET_NEXT,
				      .id = g.id };
	is_int(raw_call(&r, BRAID_NR_MODEL_GET, &g, -1, NULL), -ENOENT, "no further one: ENOENT");
	g = (struct braid_model_get){ .size = sizeof(g), .flags = 2 };
	is_int(raw_call(&r, BRAID_NR_MODEL_GET, &g, -1, NULL), -EOPNOTSUPP,
	       "unknown flag: EOPNOTSUPP");
	g = (struct braid_model_get){ .size = sizeof(g) };
	memset(g.name, 'x', sizeof(g.name));
	is_int(raw_call(&r, BRAID_NR_MODEL_GET, &g, -1, NULL), -EINVAL,
	       "a name that does not end: EINVAL");
}

static int alloc(uint64_t length, uint32_t flags, int fd_in, uint64_t *id)
{
	struct braid_buf_alloc a = { .size = sizeof(a), .length = length, .flags = flags };
	int fd, ret = raw_call(&r, BRAID_NR_BUF_ALLOC, &a, fd_in, &fd);

	if (!ret && fd >= 0)
		close(fd);
	if (id)
		*id = a.id;
	return ret;
}

static int buf_free(uint64_t id)
{
	struct braid_buf_free f = { .size = sizeof(f), .id = id };

	return raw_call(&r, BRAID_NR_BUF_FREE, &f, -1, NULL);
}

static void test_buffers(void)
{
	struct braid_buf_alloc a = { .size = sizeof(a), .length = 5000 };
	int fd, memfd;
	uint64_t id;

	is_int(raw_call(&r, BRAID_NR_BUF_ALLOC, &a, -1, &fd), 0, "BUF_ALLOC");
	is_int(a.length, 8192, "rounded up");
	ok(fd >= 0, "a descriptor comes along");
	ok(ftruncate(fd, 0) && ftruncate(fd, 1 << 20), "that can't be made shorter or longer");
	close(fd);
	is_int(buf_free(a.id), 0, "BUF_FREE");
	is_int(buf_free(a.id), -ENOENT, "twice: ENOENT");
	is_int(alloc(0, 0, -1, NULL), -EINVAL, "length 0: EINVAL");
	is_int(alloc(~0ull, 0, -1, NULL), -EOVERFLOW, "a length that does not round up: EOVERFLOW");
	is_int(alloc(1ull << 40, 0, -1, NULL), -EDQUOT, "more than the quota: EDQUOT");
	is_int(alloc(4096, 2, -1, NULL), -EOPNOTSUPP, "unknown flag: EOPNOTSUPP");
	is_int(alloc(4096, BRAID_BUF_ADOPT, -1, NULL), -EINVAL, "ADOPT without one: EINVAL");
	memfd = memfd_create("x", MFD_CLOEXEC);
	is_int(ftruncate(memfd, 4096), 0, "a memfd that is not sealed");
	is_int(alloc(4096, BRAID_BUF_ADOPT, memfd, NULL), -EINVAL, "is not adopted: EINVAL");
	is_int(alloc(4096, 0, memfd, NULL), -EINVAL, "a descriptor nobody asked for: EINVAL");
	close(memfd);
	a = (struct braid_buf_alloc){ .size = sizeof(a), .length = 4096 };
	raw_call(&r, BRAID_NR_BUF_ALLOC, &a, -1, &fd);
	is_int(alloc(4096, BRAID_BUF_ADOPT, fd, &id), 0, "one of the queue's own is adopted");
	is_int(alloc(8192, BRAID_BUF_ADOPT, fd, NULL), -EINVAL, "of another length: EINVAL");
	close(fd);
	buf_free(a.id);
	buf_free(id);
}

static int submit(const struct braid_request *req, const struct braid_slice *s, unsigned int n,
		  struct braid_submit *out)
{
	struct braid_submit mine;

	return raw_submit(&r, req, s, n, out ? out : &mine);
}

/* Bad requests: each in one respect. */
static void test_submit_errors(const struct braid_model_get *m, const struct braid_tensor *t,
			       uint64_t buf, uint64_t foreign)
{
	const struct braid_slice good[2] = { { buf, 0, t[0].bytes }, { buf, 32768, t[1].bytes } };
	const struct braid_request ok_req = { .model = m->id, .priority = BRAID_PRIORITY_NORMAL,
					      .n_inputs = 1, .n_outputs = 1 };
	struct braid_request q;
	struct braid_slice s[2];

#define CASE(expect, change, words)                                     \
	do {                                                            \
		q = ok_req;                                             \
		memcpy(s, good, sizeof(s));                             \
		change;                                                 \
		is_int(submit(&q, s, 2, NULL), expect, words);          \
	} while (0)

	CASE(-ENOENT, q.model = 999, "unknown model: ENOENT");
	CASE(-ENOENT, s[0].buffer = 999999, "unknown buffer: ENOENT");
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
	CASE(-EINVAL, q.n_inputs = ~0u, "a number of inputs that overflows: EINVAL");
	CASE(-EOPNOTSUPP, q.priority = BRAID_PRIORITIES, "unknown priority: EOPNOTSUPP");
	CASE(-EOPNOTSUPP, q.flags = 1, "unknown flag: EOPNOTSUPP");
	CASE(-E2BIG, q.reserved = 1, "reserved field set: E2BIG");
#undef CASE
}

static void test_life(const struct braid_model_get *m, const struct braid_tensor *t, uint64_t buf)
{
	struct braid_slice s[2] = { { buf, 0, t[0].bytes }, { buf, 32768, t[1].bytes } };
	struct braid_request q = { .user_data = 42, .model = m->id,
				   .priority = BRAID_PRIORITY_REALTIME, .n_inputs = 1,
				   .n_outputs = 1 };
	struct braid_request two[2] = { q, q };
	struct braid_completion *c = r.done;
	struct braid_get_info i;
	struct braid_cancel k;
	struct braid_submit out;

	is_int(submit(&q, s, 2, &out), 0, "SUBMIT");
	ok(out.accepted == 1 && !out.error && out.first_id, "one accepted, with an id");
	is_int(raw_wait(&r, 1, 20000), 1, "it completes");
	ok(c->size == sizeof(*c) && !c->status && c->user_data == 42 && c->id == out.first_id,
	   "with status 0, its user_data and its id");
	ok(c->enqueue_ns && c->fetch_ns >= c->enqueue_ns && c->done_ns >= c->fetch_ns && c->window,
	   "times ascend, the window is named");
	ok(c->merge_degree == 1 && c->fuse_degree == 1 && c->device_ns && !c->reserved,
	   "degrees and device time are told");
	i = (struct braid_get_info){ .size = sizeof(i) };
	raw_call(&r, BRAID_NR_GET_INFO, &i, -1, NULL);
	is_int(i.outstanding, 1, "its place is taken until it was seen");
	r.seen = 1;
	i = (struct braid_get_info){ .size = sizeof(i) };
	raw_call(&r, BRAID_NR_GET_INFO, &i, -1, NULL);
	is_int(i.outstanding, 0, "then it is free");
	r.n_done = 0;

	two[1].model = 999;
	out = (struct braid_submit){
		.size = sizeof(out), .requests = { sizeof(q), 2, (uintptr_t)two },
		.slices = { sizeof(s[0]), 2, (uintptr_t)s },
	};
	is_int(raw_call(&r, BRAID_NR_SUBMIT, &out, -1, NULL), 0, "a good and a bad one: success");
	ok(out.accepted == 1 && out.error == -ENOENT, "with the prefix, and why not all");
	is_int(raw_wait(&r, 1, 20000), 1, "the good one completes");
	r.seen = 2;
	r.n_done = 0;

	q.deadline_ns = 1;
	is_int(submit(&q, s, 2, &out), 0, "a deadline that is over is accepted");
	is_int(raw_wait(&r, 1, 20000), 1, "and answered");
	is_int(c->status, -ETIME, "with ETIME");
	ok(!c->window && !c->fetch_ns, "it never ran");
	r.seen = 3;
	r.n_done = 0;
	k = (struct braid_cancel){ .size = sizeof(k), .id = out.first_id };
	is_int(raw_call(&r, BRAID_NR_CANCEL, &k, -1, NULL), -ENOENT, "CANCEL of what is done: ENOENT");
	k = (struct braid_cancel){ .size = sizeof(k), .id = 1, .flags = 1 };
	is_int(raw_call(&r, BRAID_NR_CANCEL, &k, -1, NULL), -EOPNOTSUPP, "unknown flag: EOPNOTSUPP");
}

/* A tenant that never reads is held at tenant_depth and nobody else is. */
static void test_depth(const struct braid_model_get *m, const struct braid_tensor *t)
{
	struct raw lazy;
	struct braid_submit out;
	struct braid_slice s[2];
	struct braid_request q = { .model = m->id, .priority = 1, .n_inputs = 1, .n_outputs = 1 };
	struct braid_get_info i = { .size = sizeof(i) };
	unsigned int taken = 0;
	uint64_t buf;
	int err, ret;

	raw_open(&lazy, d.socket);
	raw_buf(&lazy, 65536, &buf, &err);
	s[0] = (struct braid_slice){ buf, 0, t[0].bytes };
	s[1] = (struct braid_slice){ buf, 32768, t[1].bytes };
	raw_call(&lazy, BRAID_NR_GET_INFO, &i, -1, NULL);
	while (!(ret = raw_submit(&lazy, &q, s, 2, &out)) && taken < 100000)
		taken++;
	is_int(ret, -EAGAIN, "a tenant that takes no completions meets EAGAIN");
	is_int(taken, i.tenant_depth, "after tenant_depth requests");
	is_int(raw_wait(&lazy, taken, 20000), taken, "it gets them all when it looks");
	is_int(raw_submit(&lazy, &q, s, 2, &out), -EAGAIN, "which alone frees no place");
	lazy.seen = taken;
	is_int(raw_submit(&lazy, &q, s, 2, &out), 0, "having seen them does");
	raw_wait(&lazy, taken + 1, 20000);
	lazy.seen = taken + 100;
	is_int(raw_submit(&lazy, &q, s, 2, &out), -EBADMSG, "having seen more than came: EBADMSG");
	ok(raw_hung_up(&lazy), "and the connection is closed");
	raw_close(&lazy);
}

/* Random bytes, and good messages with random damage. */
static void test_noise(void)
{
	uint8_t msg[2048];
	unsigned int seed = 12345, opened = 0;
	struct braid_get_info i = { .size = sizeof(i) };
	struct raw x;

	for (int round = 0; round < 3000; round++) {
		size_t n = rand_r(&seed) % sizeof(msg) + 1;
		struct braid_msg h = { .abi = BRAID_ABI, .type = BRAID_MSG_COMMAND,
				       .cmd = rand_r(&seed) % 8 };

		if (!opened && raw_open(&x, d.socket))
			break;
		opened = 1;
		for (size_t k = 0; k < n; k++)
			msg[k] = rand_r(&seed) % 7 ? 0 : rand_r(&seed);
		if (round % 3) {
			if (n < sizeof(h) + 4)
				n = sizeof(h) + 4;
			h.size = n;
			memcpy(msg, &h, sizeof(h));
			msg[sizeof(h)] = rand_r(&seed) % 120;
			msg[sizeof(h) + 1] = msg[sizeof(h) + 2] = msg[sizeof(h) + 3] = 0;
		}
		if (send(x.sock, msg, n, MSG_NOSIGNAL) < 0 || !(round % 16)) {
			raw_close(&x);
			opened = 0;
		}
		/* Replies are not read: the queue must live with that too. */
	}
	if (opened)
		raw_close(&x);
	is_int(raw_call(&r, BRAID_NR_GET_INFO, &i, -1, NULL), 0,
	       "3,000 random messages later the queue still answers");
	is_int(daemon_status(&d, "runner_starts"), 1, "and the runner never noticed");
}

int main(void)
{
	static const char *const zoo[] = { "tiny_mlp", "null", NULL };
	struct braid_tensor t[8];
	struct braid_model_get m;
	uint64_t buf = 0, foreign = 0;
	struct raw other;
	int err;

	daemon_start(&d, zoo, NULL);
	is_int(raw_open(&r, d.socket), 0, "connected");
	is_int(raw_open(&other, d.socket), 0, "a second tenant too");
	test_info();
	test_models(&m, t);
	test_sizes();
	test_messages();
	test_buffers();
	ok(raw_buf(&r, 65536, &buf, &err) && raw_buf(&other, 65536, &foreign, &err), "buffers");
	test_submit_errors(&m, t, buf, foreign);
	test_life(&m, t, buf);
	test_depth(&m, t);
	test_noise();
	raw_close(&other);
	raw_close(&r);
	is_int(daemon_stop(&d), 0, "braidd ends well");
	return tap_done();
}
