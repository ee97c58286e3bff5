// SPDX-License-Identifier: MIT
/*
 * What is of the socket alone, by the agent: answers that must fit a message,
 * and what ends the connection. The rest is the conformance suite's
 * (tests/abi/).
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/tap.h"
#include "tests/transport/fake.h"

#define BYTES	64

static struct daemon d;
static struct fake f;
static struct raw t;

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
	m = fake_model(&f, "m", 2, BYTES, NULL);
	is_int(fake_ready(&f), 0, "READY");
	test_fetch_room(m);
	test_ends();
	fake_drop(&f);
	raw_close(&t);
	is_int(daemon_stop(&d), 0, "braidd ends well");
	return tap_done();
}
