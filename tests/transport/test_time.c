// SPDX-License-Identifier: MIT
/*
 * A tenant in a time namespace: deadlines and times are of its clock.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/tap.h"
#include "tests/transport/daemon.h"
#include "tests/transport/raw.h"

#define AHEAD_S	100000

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME	0x00000080
#endif

static struct daemon d;

struct seen {
	uint64_t before, after;
	int ret;
	struct braid_completion late, early;
};

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static void tenant(struct seen *s)
{
	static struct raw r;
	struct braid_model_get m;
	struct braid_tensor t[4];
	uint64_t buf;
	int err;

	s->before = now();
	s->ret = raw_open(&r, d.socket);
	if (!s->ret)
		s->ret = raw_model(&r, "null", &m, t, 4);
	if (!s->ret && !raw_buf(&r, 65536, &buf, &err))
		s->ret = err;
	if (!s->ret)
		s->ret = raw_infer(&r, &m, t, buf, s->before - 1, &s->late);
	if (!s->ret)
		s->ret = raw_infer(&r, &m, t, buf, s->before + 60000000000ull, &s->early);
	s->after = now();
}

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return good;
}

static void in_namespace(int seconds)
{
	struct seen *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t here = now();
	char text[64];
	int status;

	snprintf(text, sizeof(text), "monotonic %d 0", seconds);
	fflush(stdout);
	if (!fork()) {
		if (unshare(CLONE_NEWTIME) || !write_file("/proc/self/timens_offsets", text))
			_exit(1);
		/* The clock is another one for who is born in there. */
		if (!fork()) {
			tenant(s);
			_exit(0);
		}
		wait(NULL);
		_exit(0);
	}
	wait(&status);
	if (!WIFEXITED(status) || WEXITSTATUS(status)) {
		tap_skip("deadlines in a time namespace", "none may be made here");
		return;
	}
	ok(!s->ret, "a tenant whose clock is %d s off: error %d", seconds, s->ret);
	ok((int64_t)(s->before - here) / 1000000000 / (seconds / 10) >= 9, "its clock is");
	is_int(s->late.status, -ETIME, "a deadline that is past there is past");
	is_int(s->early.status, 0, "one that is to come is to come");
	ok(s->early.enqueue_ns >= s->before && s->early.fetch_ns >= s->early.enqueue_ns &&
	   s->early.done_ns <= s->after, "times of the completion are that clock's");
	is_int(s->late.fetch_ns, 0, "but for what never was");
	munmap(s, sizeof(*s));
}

int main(void)
{
	static const char *const zoo[] = { "null", NULL };
	struct timespec ts;

	daemon_start(&d, zoo, NULL);
	in_namespace(AHEAD_S);
	/* Behind: not further than this machine has run, which may be minutes. */
	clock_gettime(CLOCK_MONOTONIC, &ts);
	if (ts.tv_sec > 40)
		in_namespace(-20);
	is_int(daemon_stop(&d), 0, "braidd ends well");
	return tap_done();
}
