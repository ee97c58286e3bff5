// SPDX-License-Identifier: MIT
/*
 * The runner's windows with a backend that has no room, or refuses: what it
 * has no room for waits and is launched when there is, in order; what it
 * refuses ends with the reason, that job alone. And a queue that refuses what is
 * committed, or takes its time.
 */
#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
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
		done[n]->start_ns = done[n]->end_ns = runner_now();
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
static void answer_rings(int sock, struct ring *in, struct ring *out)
{
	const uint32_t up = 128u * 1024, down = 256u * 1024;
	int fds[3] = { memfd_create("rings", MFD_CLOEXEC), eventfd(0, 0), epoll_create1(0) };
	uint8_t buf[256];

	if (ftruncate(fds[0], ring_span(up, down)))
		exit(1);
	ring_map(mmap(NULL, ring_span(up, down), PROT_READ | PROT_WRITE, MAP_SHARED, fds[0], 0),
		 in, up, out, down);
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

/* What the queue refuses is counted, and told beside the models that were refused. */
static void test_refused(struct runner *r, struct ring *up, struct ring *down)
{
	static const char ask[] = "{\"op\":\"runner\",\"id\":5}";
	static uint8_t msg[WIRE_MAX_BYTES], buf[1024];
	static struct link_window none;
	struct refusal odd = { .name = "odd", .why = "it is" };
	struct braid_result res = { .cookie = 1 };
	struct wire_call call;
	struct wire_reply reply;
	json_t *o, *result;
	char text[4096];
	ssize_t n;
	int sv[2];

	link_commit(r->link, 1, &res, 1);
	link_flush(r->link);
	n = ring_take(up, msg, sizeof(msg));
	ok(n > 0 && !wire_parse_command(msg, n, true, &call), "a result for nothing is sent");
	res.result = -ENOENT;
	wire_reply_start(&reply, &call, buf, sizeof(buf));
	wire_reply_put(&reply, 0, &res, 1, 1);
	ring_put(down, buf, wire_reply_end(&reply, 0));
	is_int(link_take(r->link, &none), 0, "that it is refused is no window");

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv))
		exit(1);
	r->refused = &odd;
	r->control_watch.fd = sv[0];
	send(sv[1], ask, sizeof(ask) - 1, 0);
	runner_control(&r->control_watch, EPOLLIN);
	n = recv(sv[1], text, sizeof(text), MSG_DONTWAIT);
	o = n > 0 ? json_loadb(text, n, 0, NULL) : NULL;
	result = json_object_get(o, "result");
	is_int(json_integer_value(json_object_get(result, "results_refused")), 1,
	       "it is among the runner's figures");
	is_int(json_array_size(json_object_get(result, "refused")), 1, "and so is a model");
	json_decref(o);
	r->refused = NULL;
	close(sv[0]);
	close(sv[1]);
}

/* A supervisor that stands still: the watchdog is for drivers that do. */
static void test_slow_queue(struct runner *r, int queue)
{
	const struct timespec ts = { .tv_sec = 1, .tv_nsec = 200000000 };
	struct braid_buf_put arg = { .size = sizeof(arg), .id = 1 };
	uint8_t msg[1024], buf[256];
	struct wire_reply reply;
	struct wire_call call;
	int status = -1;
	pid_t pid = fork();
	ssize_t n;

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		r->outstanding = 3;
		if (watchdog_start(&r->dog, 100))
			_exit(1);
		_exit(runner_call(r, BRAID_NR_BUF_PUT, &arg, NULL) ? 2 : 0);
	}
	/* Behind what link_open() asked for. */
	do {
		n = recv(queue, msg, sizeof(msg), 0);
	} while (n > 0 && !wire_parse_command(msg, n, true, &call) &&
		 call.cmd->nr != BRAID_NR_BUF_PUT);
	nanosleep(&ts, NULL);
	if (n > 0) {
		wire_reply_start(&reply, &call, buf, sizeof(buf));
		wire_send(queue, buf, wire_reply_end(&reply, 0), -1, 0);
	}
	waitpid(pid, &status, 0);
	is_int(status, 0, "a queue that takes its time is no reason to end");
}

/* A window that never ends, looked at for so long after a stop: 0, or what ends its process. */
static int end_of_watch(struct runner *r, bool stops, unsigned int for_ms)
{
	const struct timespec ts = { .tv_nsec = 50000000 }, stop = { .tv_sec = 1 };
	struct window w = { .id = 1, .groups_left = 1 };
	int status = -1;
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		r->busy = &w;
		r->cfg.watchdog_ms = 500;
		windows_watch(r);
		if (stops)
			raise(SIGSTOP);
		for (unsigned int i = 0; i < for_ms / 50; i++) {
			windows_watch(r);
			nanosleep(&ts, NULL);
		}
		_exit(0);
	}
	if (stops) {
		waitpid(pid, &status, WUNTRACED);
		nanosleep(&stop, NULL);
		kill(pid, SIGCONT);
	}
	waitpid(pid, &status, 0);
	return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

static void test_watch(struct runner *r)
{
	is_int(end_of_watch(r, false, 5000), SIGKILL, "a window that takes too long ends it all");
	is_int(end_of_watch(r, true, 100), 0, "not one whose process was stopped for so long");
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
	struct ring up, down;
	int sv[2];

	log_open("test", LOG_EMERG);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv))
		return 1;
	r.ops = &ops;
	answer_rings(sv[1], &up, &down);
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

	/* Under the adaptive policy, after a pause: what waits in the queue is a part of the load. */
	in.arg.fusion_policy = BRAID_FUSION_ADAPTIVE;
	for (int i = 0; i < 3; i++) {
		in.arg.jobs.count = 1;
		in.arg.queued = 10 * i;
		in.jobs[0] = (struct braid_job){ .cookie = 200 + i, .model = 1, .tenant = 1, .id = 50 + i };
		usleep(30000 * i);
		window_take(&r, &in);
		while (r.busy && rounds++ < 60)
			windows_reap(&r);
		committed(r.link, &up, got);
	}
	is_int(adapt_reason(r.adapt)->load, 21, "one that the agent has, twenty in the queue");

	test_want(&r, &up);
	test_refused(&r, &up, &down);
	test_slow_queue(&r, sv[1]);
	test_watch(&r);
	windows_free(&r);
	bufs_free(&r);
	explain_free(r.explain);
	link_close(r.link);
	close(sv[1]);
	return tap_done();
}
