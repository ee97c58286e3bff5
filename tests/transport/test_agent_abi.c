// SPDX-License-Identifier: MIT
/*
 * The agent's commands over the socket say what <linux/braid.h> promises:
 * sizes, strides, counts, flags, errnos, and what ends the connection.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/tap.h"
#include "tests/transport/fake.h"

#define BYTES	64

static struct daemon d;
static struct fake f;
static struct raw t;

static const struct {
	uint32_t nr;
	size_t size;
	const char *name;
} commands[] = {
	{ BRAID_NR_GET_INFO, sizeof(struct braid_get_info), "GET_INFO" },
	{ BRAID_NR_MODEL_GET, sizeof(struct braid_model_get), "MODEL_GET" },
	{ BRAID_NR_MODEL_PUT, sizeof(struct braid_model_put), "MODEL_PUT" },
	{ BRAID_NR_MODEL_DEL, sizeof(struct braid_model_del), "MODEL_DEL" },
	{ BRAID_NR_FETCH, sizeof(struct braid_fetch), "FETCH" },
	{ BRAID_NR_COMMIT, sizeof(struct braid_commit), "COMMIT" },
	{ BRAID_NR_BUF_GET_FD, sizeof(struct braid_buf_get_fd), "BUF_GET_FD" },
	{ BRAID_NR_BUF_PUT, sizeof(struct braid_buf_put), "BUF_PUT" },
	{ BRAID_NR_READY, sizeof(struct braid_ready), "READY" },
};

/* All but READY leave everything as it is: there is nothing they could name. */
static void test_sizes(void)
{
	for (size_t i = 0; i + 1 < sizeof(commands) / sizeof(commands[0]); i++) {
		size_t n = commands[i].size;
		int exact = raw_sized(&f.q, commands[i].nr, n, 0);

		is_int(raw_sized(&f.q, commands[i].nr, n - 1, 0), -EINVAL, "%s: one byte short: EINVAL",
		       commands[i].name);
		is_int(raw_sized(&f.q, commands[i].nr, n + 1, 0), exact,
		       "%s: a newer agent's zero tail changes nothing (%d)", commands[i].name,
		       exact);
		is_int(raw_sized(&f.q, commands[i].nr, n + 1, 1), -E2BIG, "%s: non-zero tail: E2BIG",
		       commands[i].name);
	}
	is_int(raw_sized(&f.q, BRAID_NR_READY, sizeof(struct braid_ready) - 1, 0), -EINVAL,
	       "READY: one byte short: EINVAL");
	is_int(raw_sized(&f.q, BRAID_NR_READY, sizeof(struct braid_ready) + 1, 1), -E2BIG,
	       "READY: non-zero tail: E2BIG");
	is_int(raw_sized(&f.q, 0x3f, 64, 0), -ENOTTY, "unknown command: ENOTTY");
	is_int(raw_sized(&f.q, BRAID_NR_SUBMIT, sizeof(struct braid_submit), 0), -ENOTTY,
	       "a tenant's command by the agent: ENOTTY");
}

static int put(const struct braid_model_put *p, const struct braid_tensor *tensors, uint32_t n)
{
	struct braid_model_put q = *p;

	q.tensors = (struct braid_array){ sizeof(*tensors), n, (uintptr_t)tensors };
	return raw_call(&f.q, BRAID_NR_MODEL_PUT, &q, -1, NULL);
}

static void test_model_put(void)
{
	const struct braid_tensor x = { .name = "x", .type = BRAID_TYPE_F32, .rank = 1,
					.dims = { 16 }, .bytes = 64 };
	const struct braid_model_put good = { .size = sizeof(good), .name = "bad", .device_ns = 1,
					      .n_inputs = 1, .n_outputs = 1 };
	struct braid_tensor many[BRAID_MAX_TENSORS + 1], io[2];
	struct braid_model_put p;
	uint64_t a, b;
	int err;

	for (unsigned int i = 0; i <= BRAID_MAX_TENSORS; i++)
		many[i] = x;
#define CASE(expect, change, words)                                     \
	do {                                                            \
		p = good;                                               \
		io[0] = io[1] = x;                                      \
		change;                                                 \
		is_int(put(&p, io, 2), expect, "MODEL_PUT: " words);    \
	} while (0)
	CASE(-EOPNOTSUPP, p.flags = 1, "unknown flag: EOPNOTSUPP");
	CASE(-EINVAL, p.name[0] = 0, "no name: EINVAL");
	CASE(-EINVAL, memset(p.name, 'x', sizeof(p.name)), "a name that does not end: EINVAL");
	CASE(-EINVAL, p.device_ns = 0, "no estimate: EINVAL");
	CASE(-EINVAL, p.n_inputs = 0, "no inputs: EINVAL");
	CASE(-EINVAL, p.n_outputs = 0, "no outputs: EINVAL");
	CASE(-EINVAL, p.n_inputs = ~0u, "a number of inputs that overflows: EINVAL");
	CASE(-EINVAL, p.n_inputs = 2, "more tensors said than came: EINVAL");
	CASE(-EINVAL, io[0].bytes = 60, "size that is not the extents': EINVAL");
	CASE(-EINVAL, io[0].rank = BRAID_RANK_MAX + 1, "too many extents: EINVAL");
	CASE(-EOPNOTSUPP, io[1].type = 99, "unknown type: EOPNOTSUPP");
	CASE(-EOVERFLOW, io[1].rank = 3; io[1].dims[0] = io[1].dims[1] = io[1].dims[2] = 1ull << 40,
	     "extents that overflow: EOVERFLOW");
#undef CASE
	p = good;
	is_int(put(&p, many, BRAID_MAX_TENSORS + 1), -EMSGSIZE,
	       "MODEL_PUT: too many tensors: EMSGSIZE");
	a = fake_model(&f, "m", 1, BYTES, &err);
	ok(a && !err, "MODEL_PUT");
	is_int(fake_model(&f, "m", 1, BYTES, NULL), a, "the same again keeps the id");
	is_int(fake_model(&f, "m", 1, BYTES * 2, &err), 0, "the same digest, other tensors");
	is_int(err, -EINVAL, "is refused: EINVAL");
	b = fake_model(&f, "m", 2, BYTES, &err);
	ok(b > a, "a new digest makes a new id");
}

static void test_before_ready(void)
{
	struct braid_get_info i = { .size = sizeof(i) };

	is_int(raw_call(&t, BRAID_NR_GET_INFO, &i, -1, NULL), 0, "a tenant asks");
	ok(!i.agent_up && !i.generation, "and learns that there is no agent yet");
	is_int(fake_jobs(&f, 0, 0, 2000), -ENODEV, "FETCH before READY: ENODEV");
	is_int(fake_commit(&f, 0, 1, 0), -ENODEV, "COMMIT before READY: ENODEV");
	is_int(fake_ready(&f), 0, "READY");
	is_int(f.generation, 1, "the first generation");
	is_int(fake_ready(&f), -EINVAL, "READY twice: EINVAL");
	i = (struct braid_get_info){ .size = sizeof(i) };
	raw_call(&t, BRAID_NR_GET_INFO, &i, -1, NULL);
	ok(i.agent_up && i.generation == 1, "a tenant learns that it is up");
}

/* A FETCH of any shape; its result if it comes within a second. */
static int fetch(struct braid_fetch a, const struct braid_want *wants, uint32_t n_wants)
{
	ssize_t n;

	a.size = sizeof(a);
	a.wants.ptr = (uintptr_t)wants;
	if (!a.wants.count && !a.wants.stride)
		a.wants = (struct braid_array){ sizeof(*wants), n_wants, (uintptr_t)wants };
	n = wire_encode_command(wire_cmd(BRAID_NR_FETCH), &a, ++f.q.seq, 0, f.q.buf,
				sizeof(f.q.buf));
	return n < 0 ? (int)n : raw_bytes(&f.q, f.q.buf, n);
}

#define ROOM							\
	.jobs = { sizeof(struct braid_job), 4, 0 },		\
	.slices = { sizeof(struct braid_slice), 16, 0 },	\
	.events = { sizeof(struct braid_event), 4, 0 }

static void test_fetch_errors(uint64_t m)
{
	struct braid_want w[2] = { { .model = m, .count = 4 }, { .model = m, .count = 4 } };
	struct braid_want odd = { .model = m, .count = 4, .reserved = 1 };
	const struct braid_fetch good = { .flags = BRAID_FETCH_NONBLOCK, ROOM };
	struct braid_fetch a;

	is_int(fetch(good, w, 1), -EAGAIN, "NONBLOCK with nothing there: EAGAIN");
	a = good;
	a.flags = 2;
	is_int(fetch(a, w, 1), -EOPNOTSUPP, "unknown flag: EOPNOTSUPP");
	is_int(fetch(good, w, 2), -EINVAL, "a model named twice: EINVAL");
	is_int(fetch(good, &odd, 1), -E2BIG, "reserved field of a want: E2BIG");
	a = good;
	a.jobs.stride = sizeof(struct braid_job) - 1;
	is_int(fetch(a, w, 1), -EINVAL, "stride below an element: EINVAL");
	a.jobs.stride = 0;
	is_int(fetch(a, w, 1), -EINVAL, "stride 0: EINVAL");
	a.jobs.stride = ~0u;
	is_int(fetch(a, w, 1), -EINVAL, "an endless stride: EINVAL");
	a = good;
	a.events = (struct braid_array){ sizeof(struct braid_event), ~0u, 0 };
	is_int(fetch(a, w, 1), -EAGAIN, "endless room is no error");
	/* A FETCH that is wrong replaces nothing. */
	fake_fetch(&f, m, 1);
	is_int(fetch(good, &odd, 1), -E2BIG, "a wrong FETCH beside one that waits");
	fake_fetch(&f, m, 2);
	is_int(fake_answer(&f, 5000), -ECANCELED, "a right one replaces it: ECANCELED");
	is_int(fetch(good, w, 1), -ECANCELED, "NONBLOCK replaces as well");
	is_int(fake_answer(&f, 5000), -EAGAIN, "and is answered at once: EAGAIN");
}

/* Large strides: the reply must not be longer than a message, nor braidd's buffer. */
static void test_fetch_room(uint64_t m)
{
	struct braid_want w = { .model = m, .count = 200 };
	struct braid_fetch a = {
		.flags = BRAID_FETCH_NONBLOCK,
		.jobs = { 4096, 256, 0 }, .slices = { 4096, 4096, 0 }, .events = { 4096, 4096, 0 },
	};
	struct braid_msg head;
	struct braid_fetch got;
	unsigned int seen = 0, rounds = 0;
	uint64_t id;
	int err, fd;

	for (int i = 0; i < 200; i++) {
		struct braid_buf_alloc b = { .size = sizeof(b), .length = 4096 };

		err = raw_call(&t, BRAID_NR_BUF_ALLOC, &b, -1, &fd);
		if (err)
			break;
		close(fd);
		id = b.id;
	}
	is_int(err, 0, "200 buffers");
	while (seen < 200 && rounds++ < 200 && !fetch(a, &w, 1)) {
		memcpy(&head, f.q.buf, sizeof(head));
		memcpy(&got, f.q.buf + sizeof(head), sizeof(got));
		seen += got.events.count;
		if (head.size > WIRE_MAX_BYTES || !got.events.count)
			break;
	}
	ok(seen == 200 && rounds > 3, "are told in %u answers that each fit a message", rounds);
	a.events.count = 0;
	raw_buf(&t, 4096, &id, &err);
	is_int(fetch(a, &w, 1), -EINVAL, "no room for an event that is there: EINVAL");
	is_int(fake_jobs(&f, 0, 0, 100), -ETIMEDOUT, "told the last one");
	fetch((struct braid_fetch){ .flags = BRAID_FETCH_NONBLOCK, ROOM }, NULL, 0);
	fake_answer(&f, 1000);
}

static void test_buffers(void)
{
	struct braid_buf_get_fd g = { .size = sizeof(g), .id = 1 << 20 };
	struct braid_buf_put p = { .size = sizeof(p), .id = 1 << 20 };
	struct stat st;
	uint64_t id;
	int fd = -1, err;

	is_int(raw_call(&f.q, BRAID_NR_BUF_GET_FD, &g, -1, &fd), -ENOENT, "BUF_GET_FD of nothing");
	is_int(raw_call(&f.q, BRAID_NR_BUF_PUT, &p, -1, NULL), -ENOENT, "BUF_PUT of nothing");
	raw_buf(&t, 8192, &id, &err);
	g.id = p.id = id;
	is_int(raw_call(&f.q, BRAID_NR_BUF_GET_FD, &g, -1, &fd), -ENOENT,
	       "BUF_GET_FD of one it was not told of: ENOENT");
	fake_jobs(&f, 0, 0, 50);
	fetch((struct braid_fetch){ .flags = BRAID_FETCH_NONBLOCK, ROOM }, NULL, 0);
	fake_answer(&f, 1000);
	is_int(raw_call(&f.q, BRAID_NR_BUF_GET_FD, &g, -1, &fd), 0, "told of, it is there");
	ok(fd >= 0 && !fstat(fd, &st) && st.st_size == 8192 && g.length == 8192,
	   "with a descriptor and its length");
	close(fd);
	g.flags = p.flags = 1;
	is_int(raw_call(&f.q, BRAID_NR_BUF_GET_FD, &g, -1, &fd), -EOPNOTSUPP, "unknown flag");
	is_int(raw_call(&f.q, BRAID_NR_BUF_PUT, &p, -1, NULL), -EOPNOTSUPP, "unknown flag");
	p.flags = 0;
	is_int(raw_call(&f.q, BRAID_NR_BUF_PUT, &p, -1, NULL), -EBUSY,
	       "BUF_PUT of what is not retired: EBUSY");
}

static void test_commit_errors(void)
{
	struct braid_result res[BRAID_MAX_BATCH + 1];
	struct braid_commit c = { .size = sizeof(c), .generation = f.generation,
				  .results = { sizeof(res[0]), 1, (uintptr_t)res } }, k;

	memset(res, 0, sizeof(res));
	is_int(fake_commit(&f, f.generation, 12345, 0), -ENOENT, "COMMIT of an unknown cookie");
	is_int(fake_commit(&f, f.generation, 0, 0), -ENOENT, "of cookie 0");
	is_int(fake_commit(&f, f.generation + 1, 1, 0), -ESTALE, "of a later generation: ESTALE");
	is_int(fake_commit(&f, 0, 1, 0), -ESTALE, "of an earlier one: ESTALE");
	k = c;
	k.flags = 4;
	is_int(raw_call(&f.q, BRAID_NR_COMMIT, &k, -1, NULL), -EOPNOTSUPP, "unknown flag");
	k = c;
	k.reserved = 1;
	is_int(raw_call(&f.q, BRAID_NR_COMMIT, &k, -1, NULL), -E2BIG, "reserved field");
	k = c;
	k.results.count = BRAID_MAX_BATCH + 1;
	is_int(raw_call(&f.q, BRAID_NR_COMMIT, &k, -1, NULL), -EMSGSIZE, "too many: EMSGSIZE");
	k = c;
	k.results.stride = sizeof(res[0]) - 8;
	is_int(raw_call(&f.q, BRAID_NR_COMMIT, &k, -1, NULL), -EINVAL, "stride too small: EINVAL");
	k = c;
	k.results.count = 0;
	is_int(raw_call(&f.q, BRAID_NR_COMMIT, &k, -1, NULL), 0, "of nothing: success");
	is_int(k.committed, 0, "and nothing committed");
}

/* What ends the connection ends the process, and another one comes. */
static void ends(const char *what, const void *msg, size_t bytes, int expect)
{
	pid_t pid = f.pid;
	struct fake next;
	int ret = bytes ? raw_bytes(&f.q, msg, bytes) : 0;

	if (!bytes)
		close(f.q.sock);
	is_int(ret, expect, "%s", what);
	ok(!bytes || raw_hung_up(&f.q), "%s: the connection is over", what);
	ok(fake_take(&next), "%s: another runner is started", what);
	ok(kill(pid, 0) && errno == ESRCH, "%s: the old one is dead", what);
	if (bytes)
		close(f.q.sock);
	close(f.control);
	f = next;
}

static void test_ends(void)
{
	struct braid_msg h = { .size = sizeof(h) + 8, .abi = BRAID_ABI,
			       .type = BRAID_MSG_COMMAND, .cmd = BRAID_NR_READY, .seq = 7 };
	uint8_t msg[256] = { 0 };
	struct braid_fetch a = { .size = sizeof(a), .wants = { 16, 4000, 0 } };

	memcpy(msg, &h, sizeof(h));
	ends("length other than the message's", msg, sizeof(h) + 4, -EBADMSG);
	h.abi++;
	memcpy(msg, &h, sizeof(h));
	ends("another version", msg, h.size, -EPROTONOSUPPORT);
	h = (struct braid_msg){ .size = sizeof(h) + sizeof(a), .abi = BRAID_ABI,
				.type = BRAID_MSG_COMMAND, .cmd = BRAID_NR_FETCH };
	memcpy(msg, &h, sizeof(h));
	memcpy(msg + sizeof(h), &a, sizeof(a));
	ends("more elements than bytes", msg, h.size, -EBADMSG);
	memset(msg, 0xff, sizeof(msg));
	ends("noise", msg, 200, -EPROTONOSUPPORT);
	ends("a runner that hangs up", NULL, 0, 0);
}

int main(int argc, char **argv)
{
	uint64_t m;

	fake_main(argc, argv);
	fake_daemon(&d, NULL);
	ok(fake_take(&f), "braidd started its runner");
	is_int(raw_open(&t, d.socket), 0, "a tenant connects meanwhile");
	test_sizes();
	test_model_put();
	m = fake_model(&f, "m", 2, BYTES, NULL);
	test_before_ready();
	test_fetch_errors(m);
	test_fetch_room(m);
	test_buffers();
	test_commit_errors();
	test_ends();
	fake_drop(&f);
	raw_close(&t);
	is_int(daemon_stop(&d), 0, "braidd ends well");
	return tap_done();
}
