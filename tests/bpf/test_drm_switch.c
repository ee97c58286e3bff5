// SPDX-License-Identifier: MIT
/*
 * drm_switch beside a driver that keeps account itself: runs in a test machine
 * with the module drmtest (tests/vm/drmtest) loaded, elsewhere it is skipped.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bpf/probe.h"
#include "tests/tap.h"

#define PARAMETERS	"/sys/module/drmtest/parameters/"

struct account {
	long runs, switches, stalls, idle, stall_us;
};

static long parameter(const char *name)
{
	char path[128], text[32] = "";
	FILE *f;

	snprintf(path, sizeof(path), PARAMETERS "%s", name);
	f = fopen(path, "re");
	if (!f || !fgets(text, sizeof(text), f))
		abort();
	fclose(f);
	return atol(text);
}

static struct account account(void)
{
	return (struct account){
		parameter("runs"), parameter("switches"), parameter("stalls"),
		parameter("idle"), parameter("stall_us"),
	};
}

static void run(const char *script)
{
	int fd = open(PARAMETERS "script", O_WRONLY | O_CLOEXEC);
	ssize_t n = strlen(script);

	ok(fd >= 0 && write(fd, script, n) == n, "script: %s", script);
	close(fd);
}

static long long get(json_t *o, const char *name)
{
	return json_integer_value(json_object_get(o, name));
}

static json_t *ring(json_t *f)
{
	json_t *o;
	size_t i;

	json_array_foreach(json_object_get(f, "rings"), i, o)
		if (!strcmp(json_string_value(json_object_get(o, "ring")), "drmtest_ring"))
			return o;
	return NULL;
}

static struct probe *start(bool events, unsigned int *count,
			   void (*event)(void *arg, const struct probe_event *e))
{
	struct probe_options o = { .events = events, .event = event, .arg = count };
	struct probe *p;
	char why[512];

	if (!probe_start(&drm_switch, &o, &p, why, sizeof(why)))
		return p;
	ok(false, "the probe starts: %s", why);
	exit(tap_done());
}

static void compare(struct probe *p, const struct account *before)
{
	struct account a = account();
	json_t *f = p->kind->figures(p), *r = ring(f), *c;
	long long came = 0, jobs = 0, stalls = 0, waited = 0;
	size_t i;

	is_int(get(r, "jobs"), a.runs - before->runs, "jobs that ran");
	is_int(get(r, "done"), a.runs - before->runs, "all of them ended");
	is_int(get(r, "switches"), a.switches - before->switches, "switches");
	is_int(get(r, "stalls"), a.stalls - before->stalls, "stalls");
	is_int(get(r, "idle_switches"), a.idle - before->idle, "switches while nobody waited");
	is_int(get(r, "overlapped"), 0, "the ring takes one job at a time");
	/* From the tracepoints the time is shorter than as the driver sees it, and not much. */
	ok(get(r, "stall_ns") / 1000 <= a.stall_us - before->stall_us &&
	   (get(r, "stall_ns") > 0) == (a.stalls > before->stalls),
	   "time of the stalls: %lld us of %ld", get(r, "stall_ns") / 1000,
	   a.stall_us - before->stall_us);
	json_array_foreach(json_object_get(f, "clients"), i, c) {
		came += get(c, "came");
		jobs += get(c, "jobs");
		stalls += get(c, "stalls");
		waited += get(c, "wait_ns");
		is_int(get(c, "pid"), getpid(), "a client is known by who queued");
	}
	is_int(json_array_size(json_object_get(f, "clients")), 2, "two clients");
	is_int(came, a.switches - before->switches, "switches to them add up");
	is_int(stalls, a.stalls - before->stalls, "stalls too");
	is_int(jobs, a.runs - before->runs, "and jobs");
	ok(waited > 0, "jobs waited");
	is_int(get(json_object_get(f, "not_counted"), "unmatched"), 0, "none was left out");
	json_decref(f);
}

static void scripts(void)
{
	struct account before;
	struct probe *p;

	/* The first job of all comes after nobody's. */
	run("qa8 w");
	before = account();
	p = start(false, NULL, NULL);
	run("qa8 w qa8 w qa8 w");
	is_int(account().switches, before.switches, "one client alone is not switched");
	run("qb8 w");
	is_int(account().idle, before.idle + 1, "another one's job on an empty ring");
	run("qb400 qa8 w");
	is_int(account().stalls, before.stalls + 1, "one that waits for the other's end");
	run("qa200 qb8 qa8 qb8 qa8 w p20 qb8 w");
	run("qa8 p40 qb8 p40 qa8 p40 qb8");
	for (int i = 0; i < 10; i++)
		run("qa4 qb4");
	compare(p, &before);
	probe_stop(p);
}

static void count_event(void *arg, const struct probe_event *e)
{
	++*(unsigned int *)arg;
}

static long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Returns when the script is about to be written. */
static pid_t run_aside(const char *script)
{
	const ssize_t n = strlen(script);
	int fd, about[2];
	char c = 0;
	pid_t pid;

	fflush(stdout);
	if (pipe(about))
		abort();
	pid = fork();
	if (pid < 0)
		abort();
	if (!pid) {
		fd = open(PARAMETERS "script", O_WRONLY | O_CLOEXEC);
		_exit(write(about[1], &c, 1) != 1 || write(fd, script, n) != n);
	}
	close(about[1]);
	if (read(about[0], &c, 1) != 1)
		abort();
	close(about[0]);
	return pid;
}

/*
 * Four jobs are queued and the first one runs when the probe comes. On a busy machine
 * that takes seconds, so a first one that may have ended by then is tried again, longer.
 */
static struct probe *start_late(unsigned int *seen)
{
	for (long ms = 3000;; ms *= 2) {
		const long began = now_ms();
		struct probe *p;
		char script[64];
		long took;
		pid_t pid;

		snprintf(script, sizeof(script), "qa%ld qb20 qa20 qb20", ms);
		pid = run_aside(script);
		usleep(ms * 1000 / 15);
		p = start(true, seen, count_event);
		took = now_ms() - began;
		/* Parameters can't be read while one is written. */
		waitpid(pid, NULL, 0);
		probe_poll(p, 0);
		if (took < ms || ms > 10000)
			return p;
		diag("the probe came after %ld ms: once more", took);
		probe_stop(p);
		*seen = 0;
	}
}

/* Jobs that were queued before the probe came. */
static void late(void)
{
	unsigned int seen = 0;
	struct probe *p = start_late(&seen);
	json_t *f;

	f = p->kind->figures(p);
	is_int(get(ring(f), "jobs"), 3, "jobs that were queued before are counted");
	is_int(get(json_object_get(f, "not_counted"), "unmatched"), 7,
	       "as ones without times: three starts, four ends");
	is_int(get(ring(f), "switches"), 2, "switches between jobs that were seen");
	is_int(get(f, "stalls"), 0, "and no guess of a stall");
	is_int(seen, 0, "nor an event without times");
	json_decref(f);
	run("qa8 qb8");
	probe_poll(p, 0);
	is_int(seen, 2, "then each job is an event");
	probe_stop(p);
}

int main(void)
{
	if (access(PARAMETERS "script", W_OK))
		tap_skip_all("the module drmtest is not loaded; it runs in test machines");
	scripts();
	late();
	return tap_done();
}
