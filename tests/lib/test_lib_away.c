// SPDX-License-Identifier: MIT
/*
 * Runner and supervisor are killed under a tenant that polls: the descriptor
 * stays good, buffers keep address and contents, requests complete, and what
 * cannot come back ends in words.
 */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/work.h"
#include "tests/tap.h"
#include "tests/transport/daemon.h"

#define JOBS	8

static struct daemon d;
static struct braid *b;

static void sleep_ms(unsigned int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000l };

	nanosleep(&ts, NULL);
}

/* Take @n completions in an event loop of the tenant's own. */
static unsigned int poll_for(struct braid_completion *out, unsigned int n)
{
	struct pollfd p = { .fd = braid_fd(b), .events = POLLIN };
	unsigned int got = 0, turns = 0;

	while (got < n && poll(&p, 1, 20000) > 0) {
		int ret = braid_wait(b, out + got, n - got, 0);

		if (ret < 0)
			break;
		got += ret;
		turns++;
	}
	diag("%u completions in %u turns of the loop", got, turns);
	return got;
}

/* Submit with the runner stopped, do @harm, and expect every answer. */
static void survive(struct work *w, struct braid_at (*at)[WORK_TENSORS], const char *what,
		    void (*harm)(void))
{
	struct braid_completion c[JOBS];
	unsigned int right = 0, seen = 0;
	int fd = braid_fd(b);

	daemon_kill_runner(&d, SIGSTOP);
	for (unsigned int i = 0; i < JOBS; i++)
		is_int(work_submit(b, &w[i], at[i], i), 1, "%s: request %u", what, i);
	harm();
	is_int(poll_for(c, JOBS), JOBS, "%s: poll() tells of all completions", what);
	for (unsigned int i = 0; i < JOBS; i++) {
		seen |= 1u << c[i].user_data;
		right += !c[i].status && work_answered(&w[c[i].user_data], at[c[i].user_data]);
	}
	is_int(seen, (1u << JOBS) - 1, "%s: each once", what);
	is_int(right, JOBS, "%s: with its own answer", what);
	is_int(braid_fd(b), fd, "%s: the descriptor is the same", what);
}

static void kill_runner(void)
{
	daemon_kill_runner(&d, SIGKILL);
}

static void kill_supervisor(void)
{
	daemon_kill(&d, SIGKILL);
	daemon_spawn(&d);
}

static void kill_late(void)
{
	daemon_kill(&d, SIGKILL);
	sleep_ms(400);
	daemon_spawn(&d);
}

/* Descriptors that this process has open. */
static unsigned int descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n;
}

static void test_buffers(void)
{
	struct braid_buf *buf;
	unsigned char *p;
	struct braid_get_info info;
	size_t bytes = 300000, wrong = 0;

	is_int(braid_buf_new(b, bytes, &buf), 0, "a buffer");
	p = braid_buf_addr(buf);
	for (size_t i = 0; i < bytes; i++)
		p[i] = i * 7;
	kill_supervisor();
	is_int(braid_info(b, &info), 0, "the supervisor is killed and returns: we are connected");
	ok(info.bytes_used >= braid_buf_bytes(buf), "the buffer is known there");
	ok(braid_buf_addr(buf) == p, "its address is the same");
	for (size_t i = 0; i < bytes; i++)
		wrong += p[i] != (unsigned char)(i * 7);
	is_int(wrong, 0, "so is what is in it");
	is_int(braid_buf_free(b, buf), 0, "it is freed there");
}

/* While the queue is away one model becomes another of the same name. */
static void test_replaced(struct work *w, struct braid_at (*at)[WORK_TENSORS])
{
	struct braid_completion c[JOBS];
	unsigned int gone = 0, done = 0;

	daemon_kill_runner(&d, SIGSTOP);
	for (unsigned int i = 0; i < JOBS; i++)
		work_submit(b, &w[i], at[i], i);
	daemon_kill(&d, SIGKILL);
	daemon_model(&d, "null", "tiny_mlp", 1);
	daemon_spawn(&d);
	is_int(work_take(b, c, JOBS), JOBS, "one model is replaced meanwhile: all complete");
	for (unsigned int i = 0; i < JOBS; i++) {
		if (c[i].user_data % 2)
			done += !c[i].status && work_answered(&w[c[i].user_data], at[c[i].user_data]);
		else
			gone += c[i].status == -ENOENT;
	}
	is_int(gone, JOBS / 2, "its requests with ENOENT");
	is_int(done, JOBS / 2, "the other model's with their answers");
	is_int(work_submit(b, &w[0], at[0], 0), -ENOENT, "its handle is of no use: %s", braid_error());
	is_int(work_infer(b, &w[0], -1), -ENOENT, "to braid_infer() neither: %s", braid_error());
	is_int(work_infer(b, &w[1], -1), 0, "the other model is fine");
}

static void test_patience(struct work *w, struct braid_at *at)
{
	struct braid_completion c;

	braid_set_patience(b, 300);
	daemon_kill_runner(&d, SIGSTOP);
	is_int(work_submit(b, w, at, 5), 1, "a request");
	daemon_kill(&d, SIGKILL);
	is_int(poll_for(&c, 1), 1, "the supervisor does not return: it ends");
	ok(c.user_data == 5 && c.status == -ECONNRESET, "with ECONNRESET");
	is_int(work_submit(b, w, at, 6), -ECONNRESET, "no further one: %s", braid_error());
	ok(strstr(braid_error(), d.socket) && strstr(braid_error(), "did not return"),
	   "the words say where and what");
	is_int(braid_wait(b, &c, 1, -1), -ECONNRESET, "waiting says so too");
}

int main(void)
{
	static const char *const models[] = { "tiny_mlp", "tiny_cnn", NULL };
	struct braid_at at[JOBS][WORK_TENSORS];
	struct work w[JOBS];
	unsigned int before;

	alarm(55);
	daemon_start(&d, models, NULL);
	is_int(braid_open(d.socket, &b), 0, "connected");
	for (unsigned int i = 0; i < JOBS; i++) {
		work_new(&w[i], b, models[i % 2], i + 1);
		work_place(b, &w[i], at[i]);
	}
	before = descriptors();
	survive(w, at, "runner killed", kill_runner);
	daemon_wait_ready(&d, 2);
	survive(w, at, "supervisor killed", kill_supervisor);
	daemon_wait_ready(&d, 1);
	survive(w, at, "away for a while", kill_late);
	daemon_wait_ready(&d, 1);
	test_buffers();
	daemon_wait_ready(&d, 1);
	is_int(descriptors(), before, "no descriptor was left over");
	test_replaced(w, at);
	daemon_wait_ready(&d, 1);
	test_patience(&w[1], at[1]);
	for (unsigned int i = 0; i < JOBS; i++)
		work_free(&w[i]);
	braid_close(b);
	daemon_stop(&d);
	return tap_done();
}
