// SPDX-License-Identifier: MIT
/*
 * Rings: every message arrives once, whole and in order, between two threads
 * that sleep and wake each other; then libbraid over them, polled by its
 * descriptor, with and without spinning, and by more threads than fit a ring.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/conn.h"
#include "lib/ring.h"
#include "lib/socket.h"
#include "lib/spin.h"
#include "lib/wire_fd.h"
#include "tests/lib/work.h"
#include "tests/tap.h"
#include "tests/transport/daemon.h"

#define BYTES		1024u
#define MESSAGES	200000u
#define LONGEST		(BYTES / 2 - 8)

/* Two ends with minds of their own over the same memory. */
struct pair {
	struct ring in, out;
	int to_reader, to_writer;
	unsigned int sleeps, waits;
};

static void ring_new(struct pair *p)
{
	struct ring other;

	memset(p, 0, sizeof(*p));
	ring_map(calloc(1, ring_span(BYTES, 64)), &p->in, BYTES, &other, 64);
	p->out = p->in;
	p->to_reader = eventfd(0, 0);
	p->to_writer = eventfd(0, 0);
}

static void ring_free(struct pair *p)
{
	free(p->in.h);
	close(p->to_reader);
	close(p->to_writer);
}

static void rest(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	uint64_t v;

	if (poll(&pfd, 1, 20000) != 1 || read(fd, &v, sizeof(v)) != sizeof(v)) {
		printf("Bail out! nobody rang\n");
		exit(1);
	}
}

/* Message @i: its length and its bytes follow from its number. */
static uint32_t length(uint32_t i)
{
	return 1 + i * 2654435761u % LONGEST;
}

static void fill(uint8_t *msg, uint32_t i)
{
	memset(msg, i, length(i));
	memcpy(msg, &i, length(i) < 4 ? length(i) : 4);
}

static void *writer(void *arg)
{
	struct pair *p = arg;
	uint8_t msg[LONGEST];

	for (uint32_t i = 0; i < MESSAGES; i++) {
		fill(msg, i);
		while (ring_put(&p->out, msg, length(i)) == -EAGAIN) {
			p->waits++;
			rest(p->to_writer);
		}
		if (ring_wake(&p->out))
			ring_bell(p->to_reader);
	}
	return NULL;
}

static void test_order(void)
{
	uint8_t msg[LONGEST], want[LONGEST];
	unsigned int wrong = 0;
	pthread_t thread;
	struct pair p;
	ssize_t n;

	ring_new(&p);
	pthread_create(&thread, NULL, writer, &p);
	for (uint32_t i = 0; i < MESSAGES && !wrong; i++) {
		while (!(n = ring_take(&p.in, msg, sizeof(msg)))) {
			if (ring_arm(&p.in)) {
				p.sleeps++;
				rest(p.to_reader);
			}
		}
		if (ring_wanted(&p.in))
			ring_bell(p.to_writer);
		fill(want, i);
		wrong += n != length(i) || memcmp(msg, want, n);
	}
	pthread_join(thread, NULL);
	is_int(wrong, 0, "%u messages through a ring of %u bytes", MESSAGES, BYTES);
	diag("the reader slept %u times, the writer %u", p.sleeps, p.waits);
	ok(ring_empty(&p.in) && ring_take(&p.in, msg, sizeof(msg)) == 0, "and nothing more");
	ring_free(&p);
}

static bool never(const void *arg)
{
	return false;
}

static bool always(const void *arg)
{
	return true;
}

static void test_trust(void)
{
	unsigned int tried = 0, bad = 0;
	struct spin s = { 0 };

	for (int i = 0; i < 6400; i++)
		if (spin_worth(&s)) {
			tried++;
			spin_until(&s, 1, never, NULL);
		}
	is_int(tried, 100, "where it never pays it is tried once in 64 times");
	for (tried = 0; tried < 10000 && !s.trust; tried++)
		if (spin_worth(&s))
			spin_until(&s, 1, always, NULL);
	is_int(tried, 64, "the first success is believed");
	for (tried = 0; tried < 100; tried++)
		bad += !spin_worth(&s) || !spin_until(&s, 1, always, NULL);
	is_int(bad, 0, "and while it pays each one is tried");
	for (tried = 0; spin_worth(&s) && tried < 100; tried++)
		spin_until(&s, 1, never, NULL);
	ok(tried < 8, "a few failures in a row end that");
}

/* Poll, take, submit again: a bell that is lost would be waited for in vain. */
static void test_polled(struct braid *b, struct work *w, const char *how)
{
	struct pollfd p = { .fd = braid_fd(b), .events = POLLIN };
	struct braid_at at[4][WORK_TENSORS];
	struct braid_completion c[3];
	unsigned int sent = 0, got = 0, bad = 0, mute = 0;
	int n;

	for (int i = 0; i < 4; i++)
		bad += work_place(b, w, at[i]) != 0;
	for (; sent < 4; sent++)
		bad += work_submit(b, w, at[sent], sent) != 1;
	while (got < sent && !bad && !mute) {
		mute += poll(&p, 1, 20000) != 1;
		/* Fewer than there may be: what is left must keep it readable. */
		n = braid_wait(b, c, 1 + got % 3, 0);
		for (int i = 0; i < n; i++) {
			bad += c[i].status || !work_answered(w, at[c[i].user_data]);
			if (sent < 3000)
				bad += work_submit(b, w, at[c[i].user_data], c[i].user_data) != 1;
			sent += sent < 3000;
		}
		got += n > 0 ? n : 0;
	}
	is_int(mute, 0, "%s: braid_fd() always tells", how);
	ok(got == 3000 && !bad, "%s: 3,000 right answers", how);
	braid_wait(b, c, 1, 0);
	is_int(poll(&p, 1, 0), 0, "%s: and then it is quiet", how);
	for (int i = 0; i < 4; i++)
		braid_buf_free(b, at[i][0].buf);
}

struct thread {
	pthread_t id;
	struct braid *b;
	struct work w;
	unsigned int bad;
};

static void *infer(void *arg)
{
	struct thread *t = arg;

	for (int i = 0; i < 100; i++)
		t->bad += work_infer(t->b, &t->w, -1) != 0;
	return NULL;
}

static void test_threads(struct braid *b)
{
	static struct thread t[40];
	unsigned int bad = 0;

	for (int i = 0; i < 40; i++) {
		t[i].b = b;
		work_new(&t[i].w, b, "tiny_mlp", 100 + i);
	}
	for (int i = 0; i < 40; i++)
		pthread_create(&t[i].id, NULL, infer, &t[i]);
	for (int i = 0; i < 40; i++) {
		pthread_join(t[i].id, NULL);
		bad += t[i].bad;
		work_free(&t[i].w);
	}
	is_int(bad, 0, "40 threads of one connection, 100 right answers each");
}

static bool at_once(const void *arg)
{
	return true;
}

/* A reply to nobody, down the ring. */
static void put_reply(struct ring *out)
{
	uint8_t msg[sizeof(struct braid_msg)];

	ring_put(out, msg, wire_reply_error(BRAID_NR_GET_INFO, 1000, 0, msg));
}

/*
 * A ring that always has something, and a message that is in the socket from
 * before the ring was used: libbraid's reader alone, no queue.
 */
static void test_socket_behind_ring(void)
{
	static struct sock s;
	static struct braid b = { .sock = &s };
	struct braid_get_info info = { .size = sizeof(info) };
	struct call call = { .cmd = wire_cmd(BRAID_NR_GET_INFO), .arg = &info, .seq = 7 };
	uint8_t msg[sizeof(struct braid_msg)];
	struct ring up, out;
	int sv[2];

	s.ring_bytes = ring_span(BYTES, BYTES);
	s.rings = calloc(1, s.ring_bytes);
	ring_map(s.rings, &s.up, BYTES, &s.down, BYTES);
	ring_map(s.rings, &up, BYTES, &out, BYTES);
	s.bell = s.wait = b.epoll = b.event = -1;
	if (!s.rings || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv))
		return;
	b.fd = sv[0];
	b.up = true;
	b.calls = &call;
	wire_send(sv[1], msg, wire_reply_error(BRAID_NR_GET_INFO, 7, 0, msg), -1, 0);
	for (int i = 0; i < 3; i++) {
		put_reply(&out);
		transport_socket.read(&b, at_once, NULL, 0);
	}
	ok(call.done, "what is in the socket is read though the ring has something each time");
	ok(s.quiet, "until the socket was found empty");
	close(sv[0]);
	close(sv[1]);
	free(s.rings);
}

int main(void)
{
	static const char *const zoo[] = { "tiny_mlp", NULL };
	struct daemon d;
	struct braid *b;
	struct work w;

	test_order();
	test_trust();
	daemon_start(&d, zoo, NULL);
	if (braid_open(d.socket, &b)) {
		printf("Bail out! %s\n", braid_error());
		return 1;
	}
	test_threads(b);
	work_new(&w, b, "tiny_mlp", 1);
	test_polled(b, &w, "spinning");
	braid_set_spin(b, 0);
	test_polled(b, &w, "sleeping at once");
	test_threads(b);
	work_free(&w);
	braid_close(b);
	is_int(daemon_stop(&d), 0, "braidd ends well");
	test_socket_behind_ring();
	return tap_done();
}
