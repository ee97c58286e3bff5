// SPDX-License-Identifier: MIT
/*
 * Requests held still by stopping the runner: the first is with the agent,
 * the others wait in the queue. Then cancel, deadlines, tenant_depth, more
 * completions than room, and what braid_open() refuses.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/work.h"
#include "tests/tap.h"
#include "tests/transport/daemon.h"

#define DEPTH	16

static struct daemon d;
static struct braid *b;
static struct work w;
static struct braid_at at[DEPTH][WORK_TENSORS];

static void sleep_ms(unsigned int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000l };

	nanosleep(&ts, NULL);
}

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

/*
 * Stop the runner and give it a request, user_data 0: what follows is queued.
 * Stopped before it asked for more it gets none: then it is let go once more.
 * Where it fetches itself, a runner that is stopped has nothing at all.
 */
static void hold(void)
{
	struct braid_completion c;

	for (;;) {
		daemon_kill_runner(&d, SIGSTOP);
		work_submit(b, &w, at[0], 0);
		if (daemon_over_device())
			return;
		for (int i = 0; i < 50; i++) {
			if (daemon_status(&d, "fetched") == 1)
				return;
			sleep_ms(2);
		}
		daemon_kill_runner(&d, SIGCONT);
		work_take(b, &c, 1);
	}
}

static void let_go(void)
{
	daemon_kill_runner(&d, SIGCONT);
}

static void test_cancel(void)
{
	struct braid_completion c[4];
	unsigned int right = 0;

	if (daemon_over_device()) {
		tap_skip("cancelling what an agent has", "a runner that is stopped has nothing");
		return;
	}
	hold();
	for (unsigned int i = 1; i < 4; i++)
		work_submit(b, &w, at[i], i < 3 ? 1 : 3);
	is_int(daemon_status(&d, "queued"), 3, "one request with the agent, three in the queue");
	is_int(braid_cancel(b, 1), 2, "both with a user_data are cancelled");
	is_int(work_take(b, c, 2), 2, "those in the queue complete at once");
	ok(c[0].status == -ECANCELED && c[1].status == -ECANCELED && c[0].user_data == 1 &&
	   c[1].user_data == 1, "with ECANCELED");
	is_int(braid_cancel(b, 0), 1, "the one with the agent is cancelled");
	is_int(braid_wait(b, c, 4, 50), 0, "and does not complete while the agent has it");
	let_go();
	is_int(work_take(b, c, 2), 2, "then it does, and so does what was not cancelled");
	for (unsigned int i = 0; i < 2; i++)
		right += c[i].user_data == 0 ? c[i].status == -ECANCELED :
			 c[i].user_data == 3 && !c[i].status && work_answered(&w, at[3]);
	is_int(right, 2, "one with ECANCELED, the other with its answer");
	is_int(braid_wait(b, c, 4, 50), 0, "there is no further completion");
	is_int(braid_cancel(b, 1), -ENOENT, "nothing is left to cancel");
}

static void test_deadline(void)
{
	struct braid_completion c[2];
	struct braid_job_desc job = { .model = w.model, .io = at[1], .user_data = 7,
				      .priority = BRAID_PRIORITY_NORMAL };

	hold();
	job.deadline_ns = now() + 20000000;
	is_int(braid_submit(b, &job, 1), 1, "a deadline in 20 ms, the agent is busy");
	is_int(work_take(b, c, 1), 1, "it completes all the same");
	ok(c[0].user_data == 7 && c[0].status == -ETIME, "with ETIME");
	ok(now() >= job.deadline_ns, "and not before its time");
	is_int(work_infer(b, &w, 20), -ETIME, "braid_infer() with 20 ms: %s", braid_error());
	let_go();
	is_int(work_take(b, c, 1), 1, "the other one completes");
	is_int(c[0].status, 0, "well");
	is_int(work_infer(b, &w, 60000), 0, "braid_infer() with a minute");
}

static void test_depth(void)
{
	struct braid_job_desc jobs[DEPTH + 4];
	struct braid_completion c[DEPTH];
	bool seen[DEPTH] = { false };
	unsigned int n = 0, twice = 0;
	int ret;

	for (unsigned int i = 0; i < DEPTH + 4; i++)
		jobs[i] = (struct braid_job_desc){ .model = w.model, .io = at[i % DEPTH],
						   .user_data = i, .priority = 1 };
	hold();
	is_int(braid_submit(b, jobs + 1, DEPTH + 3), DEPTH - 1, "%d places are left: so many are taken",
	       DEPTH - 1);
	ok(strstr(braid_error(), "job 15") && strstr(braid_error(), "outstanding"), "words: %s",
	   braid_error());
	is_int(braid_submit(b, jobs, 1), -EAGAIN, "the next one meets EAGAIN: %s", braid_error());
	is_int(work_infer(b, &w, -1), -EAGAIN, "so does braid_infer(): %s", braid_error());
	let_go();
	while (n < DEPTH) {
		ret = braid_wait(b, c, 3, -1);
		if (ret <= 0 || ret > 3)
			break;
		for (int i = 0; i < ret; i++) {
			twice += c[i].user_data >= DEPTH || seen[c[i].user_data];
			seen[c[i].user_data % DEPTH] = true;
		}
		n += ret;
	}
	is_int(n, DEPTH, "completions come three at a time");
	is_int(twice, 0, "each once");
	is_int(braid_wait(b, c, 3, -1), 0, "with nothing outstanding there is nothing to wait for");
	is_int(work_submit(b, &w, at[0], 0), 1, "having taken them makes room");
	is_int(work_take(b, c, 1), 1, "and goes on");
}

static void test_bad_jobs(void)
{
	struct braid_at bad[WORK_TENSORS];
	struct braid_job_desc job = { .model = w.model, .io = bad, .priority = 1 };

	memcpy(bad, at[0], sizeof(bad));
	bad[0].offset = 1 << 20;
	is_int(braid_submit(b, &job, 1), -EOVERFLOW, "beyond its buffer: %s", braid_error());
	bad[0].offset = 32;
	is_int(braid_submit(b, &job, 1), -EINVAL, "not aligned: %s", braid_error());
	bad[0].buf = NULL;
	is_int(braid_submit(b, &job, 1), -EINVAL, "no buffer: %s", braid_error());
	ok(strstr(braid_error(), "job 0: tensor 0"), "named by its number");
	job.io = NULL;
	is_int(braid_submit(b, &job, 1), -EINVAL, "no tensors: %s", braid_error());
	job.io = bad;
	memcpy(bad, at[0], sizeof(bad));
	job.priority = 9;
	is_int(braid_submit(b, &job, 1), -EOPNOTSUPP, "a priority that is none: %s", braid_error());
	is_int(braid_submit(b, &job, BRAID_MAX_BATCH + 1), -EMSGSIZE, "too many: %s", braid_error());
	is_int(braid_submit(b, &job, 0), 0, "none at all is fine");
}

static void test_open(void)
{
	char path[200];
	struct braid *x;
	int status;
	pid_t pid;

	snprintf(path, sizeof(path), "%s/nowhere", d.dir);
	is_int(braid_open(path, &x), -ENOENT, "%s", braid_error());
	is_int(braid_open(d.config, &x), -ECONNREFUSED, "a file: %s", braid_error());
	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = 0;
	is_int(braid_open(path, &x), -ENAMETOOLONG, "%.20s... %s", braid_error(),
	       strrchr(braid_error(), ':'));
	setenv("BRAID_PATH", d.socket, 1);
	is_int(braid_open(NULL, &x), 0, "BRAID_PATH names the socket");
	braid_close(x);
	braid_close(NULL);
	if (getuid()) {
		tap_skip("no permission", "only root can become somebody else");
		return;
	}
	chmod(d.dir, 0711);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		if (setgid(65534) || setuid(65534))
			_exit(9);
		_exit(braid_open(d.socket, &x) == -EACCES &&
		      strstr(braid_error(), "group") ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	ok(WIFEXITED(status) && !WEXITSTATUS(status), "no permission: EACCES, and words that help");
}

int main(void)
{
	static const char *const models[] = { "tiny_mlp", NULL };
	struct braid_buf *huge;

	alarm(55);
	daemon_start(&d, models, "[queue]\ntenant_depth = 16\n");
	is_int(braid_open(d.socket, &b), 0, "connected");
	work_new(&w, b, "tiny_mlp", 1);
	for (unsigned int i = 0; i < DEPTH; i++)
		work_place(b, &w, at[i]);
	test_cancel();
	test_deadline();
	test_depth();
	test_bad_jobs();
	is_int(braid_buf_new(b, 1ull << 45, &huge), -EDQUOT, "%s", braid_error());
	is_int(braid_buf_new(b, 0, &huge), -EINVAL, "%s", braid_error());
	test_open();
	work_free(&w);
	braid_close(b);
	is_int(daemon_stop(&d), 0, "braidd ends well");
	return tap_done();
}
