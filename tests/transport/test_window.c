// SPDX-License-Identifier: MIT
/*
 * The runner's windows with a backend that has no room, or refuses: what it
 * has no room for waits and is launched when there is, in order; what it
 * refuses ends with the reason, that job alone.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/log.h"
#include "agent/program/program.h"
#include "agent/runner/runner.h"
#include "lib/ring.h"
#include "lib/wire_fd.h"
#include "tests/tap.h"

#define JOBS	6

/* A backend of two places; launches whose first group is of model 2 are refused. */
static struct {
	struct backend_launch *has[2];
	unsigned int n, asked;
	struct backend_model *bad;
} be;

static int launch(struct backend *b, struct backend_launch *l)
{
	be.asked++;
	if (l->groups[0].model == be.bad)
		return -EINVAL;
	if (be.n == 2)
		return -EAGAIN;
	be.has[be.n++] = l;
	return 0;
}

/* One launch ends each time, the oldest. */
static unsigned int reap(struct backend *b, struct backend_group **done, unsigned int max)
{
	unsigned int n = 0;

	if (!be.n)
		return 0;
	for (; n < be.has[0]->n_groups; n++) {
		done[n] = &be.has[0]->groups[n];
		done[n]->status = 0;
		done[n]->device_ns = 100;
	}
	be.has[0] = be.has[1];
	be.n--;
	return n;
}

static uint32_t credits(struct backend *b, struct backend_model *m, bool merge)
{
	return (2 - be.n) * (merge ? 4 : 1);
}

static const struct backend_ops ops = { .name = "test", .launch = launch, .reap = reap,
					.credits = credits };

/* The queue's end, for link_open(): its three answers are there before it asks. */
static struct ring answer_rings(int sock)
{
	const uint32_t up = 128u * 1024, down = 256u * 1024;
	int fds[3] = { memfd_create("rings", MFD_CLOEXEC), eventfd(0, 0), epoll_create1(0) };
	struct ring in, out;
	uint8_t buf[256];

	if (ftruncate(fds[0], ring_span(up, down)))
		exit(1);
	ring_map(mmap(NULL, ring_span(up, down), PROT_READ | PROT_WRITE, MAP_SHARED, fds[0], 0),
		 &in, up, &out, down);
	for (uint32_t i = 0; i < 3; i++) {
		struct wire_call call = {
			.cmd = wire_cmd(BRAID_NR_RING), .seq = i + 1,
			.caller_size = sizeof(struct braid_ring),
			.arg.ring = { .part = i, .up_bytes = up, .down_bytes = down, .fd = -1 },
		};
		struct wire_reply r;

		wire_reply_start(&r, &call, buf, sizeof(buf));
		wire_send(sock, buf, wire_reply_end(&r, 0), fds[i], 0);
		close(fds[i]);
	}
	return in;
}

/* Results of the COMMITs that came, in order. */
static unsigned int committed(struct link *l, struct ring *in, struct braid_result *to)
{
	static uint8_t msg[WIRE_MAX_BYTES];
	struct wire_call call;
	unsigned int n = 0;
	struct braid_msg head;
	ssize_t bytes;

	link_flush(l);
	while ((bytes = ring_take(in, msg, sizeof(msg))) > 0) {
		/* Commands stand one behind the other in a message. */
		for (ssize_t at = 0; at < bytes; at += (head.size + 7) & ~7u) {
			memcpy(&head, msg + at, sizeof(head));
			if (wire_parse_command(msg + at, head.size, true, &call))
				return n;
			for (uint32_t i = 0; call.cmd->nr == BRAID_NR_COMMIT && i < call.count[0];
			     i++)
				wire_get(&call, 0, i, &to[n++]);
		}
	}
	return n;
}

/* What the FETCH that came last says; @counts: of its wants, two of them. */
static uint32_t fetched(struct runner *r, struct ring *in, enum braid_fusion_policy policy,
			uint32_t counts[2])
{
	static uint8_t msg[WIRE_MAX_BYTES];
	struct braid_want want;
	struct wire_call call;
	ssize_t bytes;

	r->policy = policy;
	runner_want(r);
	link_flush(r->link);
	bytes = ring_take(in, msg, sizeof(msg));
	if (bytes <= 0 || wire_parse_command(msg, bytes, true, &call) ||
	    call.cmd->nr != BRAID_NR_FETCH || call.count[0] != 2)
		return 0;
	for (uint32_t i = 0; i < 2; i++) {
		wire_get(&call, 0, i, &want);
		counts[i] = want.count;
	}
	return call.count[1];
}

static void test_want(struct runner *r, struct ring *up)
{
	uint32_t counts[2] = { 0 };

	r->ready = true;
	is_int(fetched(r, up, BRAID_FUSION_NONE, counts), 2,
	       "each request a launch: as many as there are places, of all models together");
	ok(counts[0] == 2 && counts[1] == 2, "of each of them as many");
	is_int(fetched(r, up, BRAID_FUSION_MERGE_FUSE, counts), BRAID_MAX_BATCH,
	       "where launches are shared, any number");
	r->ready = false;
}

int main(void)
{
	static struct link_window in;
	static struct runner r;
	struct braid_result got[16];
	struct program prog[2] = { 0 };
	struct run_model m[2] = { 0 };
	unsigned int n, rounds = 0;
	bool order = true;
	struct ring up;
	int sv[2];

	log_open("test", LOG_EMERG);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv))
		return 1;
	r.ops = &ops;
	up = answer_rings(sv[1]);
	is_int(link_open(sv[0], &r.link), 0, "a link with rings");
	r.explain = explain_new();
	r.bufs = bufs_new();
	r.adapt = adapt_new(1u << BRAID_FUSION_NONE, 1);
	r.generation = 1;
	ok(!windows_new(&r) && r.n_free == RUNNER_WINDOWS + RUNNER_RESERVE, "a pool of windows");
	for (int i = 0; i < 2; i++) {
		m[i].prog = &prog[i];
		m[i].bm = (struct backend_model *)&m[i];
		m[i].id = m[i].number = i + 1;
		m[i].conf.max_degree = 4;
	}
	m[0].next = &m[1];
	r.models = &m[0];
	be.bad = m[1].bm;

	/* Each job a launch of its own; the fourth is refused. */
	in.arg = (struct braid_fetch){ .window = 7, .generation = 1, .reason = BRAID_CLOSE_FULL,
				       .fusion_policy = BRAID_FUSION_NONE,
				       .jobs.count = JOBS };
	for (int i = 0; i < JOBS; i++)
		in.jobs[i] = (struct braid_job){ .cookie = 100 + i, .model = i == 3 ? 2 : 1,
						 .tenant = 1, .id = i + 1 };
	window_take(&r, &in);
	is_int(be.n, 2, "the backend takes two launches");
	is_int(committed(r.link, &up, got), 0, "what it has no room for is not answered");
	ok(r.waiting && r.n_free == RUNNER_WINDOWS + RUNNER_RESERVE - 1, "the window waits");
	n = be.asked;
	windows_launch(&r);
	is_int(be.asked, n + 1, "asked again, no further than to the one that waits");

	n = 0;
	while (r.busy && rounds++ < 20) {
		windows_reap(&r);
		windows_launch(&r);
		n += committed(r.link, &up, got + n);
	}
	is_int(n, JOBS, "in the end each job is answered once");
	for (unsigned int i = 0, last = 0; i < n; i++) {
		if (got[i].cookie == 103) {
			is_int(got[i].status, -EINVAL, "the one that is refused with the reason");
			continue;
		}
		order &= !got[i].status && got[i].cookie > last && got[i].device_ns == 100;
		last = got[i].cookie;
	}
	ok(order, "the others well, in order");
	ok(!r.waiting && r.n_free == RUNNER_WINDOWS + RUNNER_RESERVE, "the window is free again");
	is_int(m[0].inflight + m[1].inflight, 0, "no group is counted");

	/* A job of a model or with slices that are not there harms nobody. */
	in.arg.jobs.count = 3;
	in.jobs[0].model = 99;
	in.jobs[1].n_inputs = 1;
	in.jobs[2].model = 1;
	window_take(&r, &in);
	while (r.busy && rounds++ < 40)
		windows_reap(&r);
	n = committed(r.link, &up, got);
	ok(n == 3 && got[0].status == -ENOENT && got[1].status == -ENOENT && !got[2].status,
	   "what can't be placed is answered, the rest is run");

	test_want(&r, &up);
	windows_free(&r);
	bufs_free(&r);
	explain_free(r.explain);
	link_close(r.link);
	close(sv[1]);
	return tap_done();
}
