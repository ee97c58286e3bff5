// SPDX-License-Identifier: MIT
/*
 * BRAID_RING does what <linux/braid.h> promises: its parts, what goes which
 * way, what waits when there is no room, and that a ring which breaks the
 * rules ends its connection and nothing else.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/supervisor/rings.h"
#include "lib/ring.h"
#include "tests/tap.h"
#include "tests/transport/daemon.h"
#include "tests/transport/raw.h"

static struct daemon d;

/* A tenant with rings. */
struct ringed {
	struct raw q;
	struct ring up, down;
	void *mem;
	size_t bytes;
	int memory, bell, wait;
	uint8_t msg[WIRE_MAX_BYTES];
};

static int part(struct ringed *t, uint32_t which, struct braid_ring *out, int *fd)
{
	*out = (struct braid_ring){ .size = sizeof(*out), .part = which };
	return raw_call(&t->q, BRAID_NR_RING, out, -1, fd);
}

static void ringed_open(struct ringed *t)
{
	struct braid_ring arg;

	if (raw_open(&t->q, d.socket) || part(t, BRAID_RING_MEMORY, &arg, &t->memory) ||
	    part(t, BRAID_RING_BELL, &arg, &t->bell) || part(t, BRAID_RING_WAIT, &arg, &t->wait)) {
		printf("Bail out! no rings\n");
		exit(1);
	}
	t->bytes = ring_span(arg.up_bytes, arg.down_bytes);
	t->mem = mmap(NULL, t->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, t->memory, 0);
	if (t->mem == MAP_FAILED || ring_map(t->mem, &t->up, arg.up_bytes, &t->down, arg.down_bytes))
		exit(1);
}

static void ringed_close(struct ringed *t)
{
	munmap(t->mem, t->bytes);
	close(t->memory);
	close(t->bell);
	close(t->wait);
	raw_close(&t->q);
}

static void ring(struct ringed *t)
{
	uint64_t one = 1;

	if (write(t->bell, &one, sizeof(one)) != sizeof(one))
		printf("# the bell is full\n");
}

static ssize_t encode(struct ringed *t, uint32_t nr, void *arg)
{
	return wire_encode_command(wire_cmd(nr), arg, ++t->q.seq, t->q.seen, t->msg,
				   sizeof(t->msg));
}

/* A command up the ring, whether or not the queue sleeps. */
static int up(struct ringed *t, uint32_t nr, void *arg)
{
	int ret = ring_put(&t->up, t->msg, encode(t, nr, arg));

	if (!ret && ring_wake(&t->up))
		ring(t);
	return ret;
}

/* A message down the ring: its bytes, 0 for none within 20 s. */
static ssize_t down(struct ringed *t, struct braid_msg *head)
{
	struct epoll_event ev;
	ssize_t n;

	memset(head, 0, sizeof(*head));
	while (!(n = ring_take(&t->down, t->msg, sizeof(t->msg)))) {
		if (!ring_arm(&t->down))
			continue;
		if (epoll_wait(t->wait, &ev, 1, 20000) < 1)
			break;
		if (ev.data.u64)
			return -EINVAL;
	}
	if (n >= (ssize_t)sizeof(*head))
		memcpy(head, t->msg, sizeof(*head));
	if (ring_wanted(&t->down))
		ring(t);
	return n;
}

static unsigned int records(const struct braid_msg *head)
{
	return head->type != BRAID_MSG_COMPLETIONS ? 0 :
	       (head->size - sizeof(*head)) / sizeof(struct braid_completion);
}

static void test_parts(void)
{
	static struct ringed t;
	struct braid_ring arg = { .size = sizeof(arg), .part = BRAID_RING_WAIT + 1 };

	raw_open(&t.q, d.socket);
	is_int(raw_call(&t.q, BRAID_NR_RING, &arg, -1, NULL), -EOPNOTSUPP, "unknown part");
	is_int(part(&t, BRAID_RING_BELL, &arg, NULL), -ENOENT, "a bell without rings: ENOENT");
	arg = (struct braid_ring){ .size = sizeof(arg), .reserved = 1 };
	is_int(raw_call(&t.q, BRAID_NR_RING, &arg, -1, NULL), -E2BIG, "reserved field");
	is_int(raw_sized(&t.q, BRAID_NR_RING, sizeof(arg) - 1, 0), -EINVAL, "one byte short");
	raw_close(&t.q);

	ringed_open(&t);
	ok(t.memory >= 0 && t.bell >= 0 && t.wait >= 0, "three parts, three descriptors");
	is_int(part(&t, BRAID_RING_MEMORY, &arg, NULL), -EBUSY, "the same part again: EBUSY");
	ok(ftruncate(t.memory, 0) && errno == EPERM, "the memory can't be cut");
	ringed_close(&t);
}

/* The null model and a buffer, ready to submit @n requests in one go. */
struct job {
	struct braid_request req[64];
	struct braid_slice slices[2];
	struct braid_submit arg;
};

static void job_new(struct ringed *t, struct job *j, unsigned int n, uint32_t flags)
{
	struct braid_tensor tensors[8];
	struct braid_model_get m;
	uint64_t buf = 0;
	int err;

	memset(j, 0, sizeof(*j));
	raw_model(&t->q, "null", &m, tensors, 8);
	munmap(raw_buf(&t->q, 65536, &buf, &err), 65536);
	j->slices[0] = (struct braid_slice){ buf, 0, tensors[0].bytes };
	j->slices[1] = (struct braid_slice){ buf, 32768, tensors[1].bytes };
	for (unsigned int i = 0; i < n; i++)
		j->req[i] = (struct braid_request){ .model = m.id, .user_data = i,
						    .priority = BRAID_PRIORITY_NORMAL,
						    .n_inputs = 1, .n_outputs = 1 };
	j->arg = (struct braid_submit){
		.size = sizeof(j->arg), .flags = flags,
		.requests = { sizeof(j->req[0]), n, (uintptr_t)j->req },
		.slices = { sizeof(j->slices[0]), 2, (uintptr_t)j->slices },
	};
}

static void test_ways(void)
{
	static struct ringed t;
	struct braid_get_info info = { .size = sizeof(info) };
	struct braid_buf_alloc alloc = { .size = sizeof(alloc), .length = 4096 };
	struct braid_msg head;
	struct job j;
	int ret;

	ringed_open(&t);
	job_new(&t, &j, 1, 0);
	is_int(raw_call(&t.q, BRAID_NR_SUBMIT, &j.arg, -1, NULL), 0, "SUBMIT by the socket");
	is_int(raw_wait(&t.q, 1, 20000), 1, "before the ring is used, so come completions");
	t.q.seen = 1;

	is_int(up(&t, BRAID_NR_GET_INFO, &info), 0, "GET_INFO up the ring");
	ok(down(&t, &head) > 0 && head.type == BRAID_MSG_REPLY && head.seq == t.q.seq,
	   "its reply comes down");
	is_int(wire_decode_reply(wire_cmd(BRAID_NR_GET_INFO), t.msg, head.size, &info), 0,
	       "and is whole");
	is_int(info.outstanding, 0, "what was seen is over");
	up(&t, BRAID_NR_BUF_ALLOC, &alloc);
	down(&t, &head);
	is_int(head.ret, -EINVAL, "a command that brings a descriptor does not go by ring");

	j.arg.flags = BRAID_QUIET;
	up(&t, BRAID_NR_SUBMIT, &j.arg);
	down(&t, &head);
	is_int(records(&head), 1, "a quiet SUBMIT up, a completion down");
	j.arg.flags = 0;
	ret = raw_call(&t.q, BRAID_NR_SUBMIT, &j.arg, -1, NULL);
	is_int(ret, 0, "a SUBMIT by the socket is answered there");
	down(&t, &head);
	is_int(records(&head), 1, "its completion comes down as well");
	is_int(head.seq, 2, "completions are counted whichever way they came");

	/* Not a sound, as if the queue were awake: it looks before it reads the socket. */
	t.q.seen = 3;
	j.req[0].model = 1u << 30;
	ring_put(&t.up, t.msg, encode(&t, BRAID_NR_SUBMIT, &j.arg));
	raw_call(&t.q, BRAID_NR_GET_INFO, &info, -1, NULL);
	ok(!ring_empty(&t.down), "the ring comes before the socket");
	down(&t, &head);
	is_int(head.ret, -ENOENT, "with what went wrong");
	ringed_close(&t);
}

static void test_room(void)
{
	static struct ringed t;
	struct braid_get_info info = { .size = sizeof(info) };
	unsigned int sent = 0, got = 0, left = 0, replies = 0;
	struct braid_msg head;
	struct job j;

	ringed_open(&t);
	job_new(&t, &j, 16, BRAID_QUIET);
	raw_call(&t.q, BRAID_NR_GET_INFO, &info, -1, NULL);
	while (sent + 16 <= info.tenant_depth && sent < 512 &&
	       (sent + 16) * sizeof(struct braid_completion) < 3 * t.down.bytes) {
		while (up(&t, BRAID_NR_SUBMIT, &j.arg) == -EAGAIN)
			usleep(1000);
		sent += 16;
	}
	ok(sent * sizeof(struct braid_completion) > t.down.bytes,
	   "%u completions do not fit the ring", sent);
	for (int i = 0; i < 2000 && !left; i++) {
		usleep(10000);
		left = __atomic_load_n(&t.down.h->full, __ATOMIC_ACQUIRE);
	}
	ok(left, "the queue waits for room");
	is_int(daemon_status(&d, "tenants"), 1, "and serves meanwhile");
	up(&t, BRAID_NR_GET_INFO, &info);
	for (int i = 0; i < 2000 && __atomic_load_n(&t.up.h->tail, __ATOMIC_ACQUIRE) != t.up.pos; i++)
		usleep(1000);
	while (got < sent && down(&t, &head) > 0) {
		got += records(&head);
		replies += head.type == BRAID_MSG_REPLY;
	}
	is_int(got, sent, "all of them come when there is");
	is_int(replies, 1, "a small reply that found room before them holds none back");
	up(&t, BRAID_NR_GET_INFO, &info);
	ok(down(&t, &head) > 0 && head.type == BRAID_MSG_REPLY, "and replies as before");
	memset(t.msg, 0, sizeof(t.msg));
	is_int(ring_put(&t.up, t.msg, t.up.bytes / 2), -EMSGSIZE, "more than half a ring is too much");
	ringed_close(&t);
}

static unsigned int looks;

static bool takes_back(struct rings *r)
{
	__atomic_store_n(&r->in.h->head, r->in.pos, __ATOMIC_SEQ_CST);
	return ++looks < 1000;
}

static bool tells_lies(struct rings *r)
{
	r->in.pos += 64;
	__atomic_store_n(&r->in.h->head, r->in.pos + (1u << 30), __ATOMIC_SEQ_CST);
	return ++looks < 1000;
}

/* Between two looks of the queue at it: the supervisor's own end, no daemon. */
static void test_head_moves(void)
{
	static uint8_t mem[BRAID_RING_DATA + 4096 + 4096] __attribute__((aligned(64)));
	struct rings r;

	rings_init(&r, NULL, takes_back);
	r.mem = mem;
	ring_map(mem, &r.in, 4096, &r.out, 4096);
	r.in.h->head = 8;
	rings_drain(&r);
	is_int(looks, 1, "a head that is taken back is looked at once");
	r.take = tells_lies;
	r.in.h->head = r.in.pos + (1u << 30);
	looks = 0;
	rings_drain(&r);
	is_int(looks, 64, "one that claims more than the ring: at most the ring");
}

enum damage { AHEAD, ODD, LONG, BEYOND, SKIP, EMPTY, NOISE, TAIL, DAMAGES };

static const char *const damages[] = { "more than the ring holds", "an odd number of bytes",
				       "a record longer than is there", "a record beyond the end",
				       "a gap with nothing behind it", "an empty record",
				       "a record that is no message", "more taken than was written" };

static void damage(struct ringed *t, enum damage how)
{
	struct braid_get_info info = { .size = sizeof(info) };
	struct braid_ring_head *h = t->up.h;
	uint32_t *word = (uint32_t *)t->up.data;
	uint32_t head = 64;

	memset(t->up.data, 0, t->up.bytes);
	word[0] = 40;
	if (how == AHEAD)
		head = t->up.bytes + 8;
	else if (how == ODD)
		head = 49;
	else if (how == LONG)
		word[0] = 0xfffffff0u;
	else if (how == BEYOND)
		word[0] = t->up.bytes;
	else if (how == SKIP)
		word[0] = BRAID_RING_SKIP;
	else if (how == EMPTY)
		word[0] = 0;
	if (how == TAIL) {
		t->down.h->tail = 1u << 20;
		up(t, BRAID_NR_GET_INFO, &info);
		return;
	}
	__atomic_store_n(&h->head, head, __ATOMIC_SEQ_CST);
	ring(t);
}

static void test_damage(void)
{
	static struct ringed t;
	struct raw other;
	struct braid_get_info info = { .size = sizeof(info) };

	raw_open(&other, d.socket);
	for (enum damage how = 0; how < DAMAGES; how++) {
		ringed_open(&t);
		damage(&t, how);
		ok(raw_hung_up(&t.q), "%s: hung up on", damages[how]);
		ringed_close(&t);
	}
	is_int(raw_call(&other, BRAID_NR_GET_INFO, &info, -1, NULL), 0, "the others are served");
	raw_close(&other);
}

/* Anything at all in all of the memory, while the queue looks. */
static void test_noise(void)
{
	static struct ringed t;
	struct braid_get_info info = { .size = sizeof(info) };
	unsigned int seed = 4711;
	struct raw other;

	for (int i = 0; i < 300; i++) {
		ringed_open(&t);
		for (int k = 0; k < 40; k++) {
			size_t at = rand_r(&seed) % 4 ? rand_r(&seed) % 512 :
				    rand_r(&seed) % (t.bytes - 4);
			uint32_t v = rand_r(&seed) % 3 ? rand_r(&seed) % 300 * 4 : rand_r(&seed);

			memcpy((uint8_t *)t.mem + (at & ~(size_t)3), &v, sizeof(v));
			if (k % 3 == 0)
				up(&t, BRAID_NR_GET_INFO, &info);
			ring(&t);
		}
		ringed_close(&t);
	}
	raw_open(&other, d.socket);
	is_int(raw_call(&other, BRAID_NR_GET_INFO, &info, -1, NULL), 0,
	       "300 rings of random bytes later the queue still answers (seed 4711)");
	raw_close(&other);
}

int main(void)
{
	static const char *const zoo[] = { "null", NULL };
	int fds;

	daemon_start(&d, zoo, NULL);
	fds = process_files(d.pid);
	test_parts();
	test_ways();
	test_room();
	test_head_moves();
	test_damage();
	test_noise();
	for (int i = 0; i < 500 && process_files(d.pid) > fds; i++)
		usleep(10000);
	/* Fewer: the control connection of the start was still there when counted. */
	ok(process_files(d.pid) <= fds, "no descriptor is left");
	is_int(daemon_status(&d, "runner_starts"), 1, "the runner never noticed");
	is_int(daemon_stop(&d), 0, "braidd ends well");
	return tap_done();
}
