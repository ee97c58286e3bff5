// SPDX-License-Identifier: MIT
/*
 * host_stall against a stand-in libcuda whose waits are written down: counts
 * must be equal, times within 1% of what the stand-in itself has waited, and
 * whatever can't be measured must be counted as such.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bpf/host_stall.h"
#include "bpf/probe.h"
#include "tests/bpf/able.h"
#include "tests/bpf/script.h"
#include "tests/tap.h"

static char library[512], folder[] = "/tmp/braid-stall-XXXXXX";
static const char *libraries[2] = { library };

static json_int_t get(json_t *o, const char *name)
{
	json_t *v = json_object_get(o, name);

	return json_is_integer(v) ? json_integer_value(v) : -1;
}

static json_t *of_process(json_t *figures, pid_t pid)
{
	json_t *o;
	size_t i;

	json_array_foreach(json_object_get(figures, "processes"), i, o)
		if (get(o, "pid") == pid)
			return o;
	return NULL;
}

static json_int_t turns(json_t *figures, pid_t from, pid_t to)
{
	json_t *o;
	size_t i;

	json_array_foreach(json_object_get(figures, "turns"), i, o)
		if (get(o, "from") == from && get(o, "to") == to)
			return get(o, "count");
	return 0;
}

/*
 * The time from a call to its return is between what the library's clock and
 * the caller's say; a busy machine may part them. If it did not, it is within
 * 1% of what was written.
 */
static bool within(json_int_t got, uint64_t inner, uint64_t outer)
{
	bool good = got >= (json_int_t)inner && got <= (json_int_t)outer;

	if (outer < inner + inner / 200)
		good &= got <= (json_int_t)(inner + inner / 100);
	if (!good)
		diag("got %lld, between %llu and %llu is true", (long long)got,
		     (unsigned long long)inner, (unsigned long long)outer);
	return good;
}

static void same(json_t *o, const struct script_truth *t, const char *whose)
{
	is_int(get(o, "kernels"), t->kernels, "%s: kernels", whose);
	is_int(get(o, "graphs"), t->graphs, "%s: graphs", whose);
	is_int(get(o, "copies"), t->copies, "%s: copies", whose);
	is_int(get(o, "syncs"), t->syncs, "%s: syncs", whose);
	is_int(get(o, "blocking_copies"), t->blocking, "%s: blocking copies", whose);
	ok(within(get(o, "sync_wait_ns"), t->sync_ns, t->sync_outer_ns), "%s: sync wait within 1%%", whose);
	ok(within(get(o, "blocking_copy_ns"), t->blocking_ns, t->blocking_outer_ns),
	   "%s: blocking copies' time within 1%%", whose);
}

static struct probe *start(uint32_t max_entries)
{
	struct probe_options o = { .libraries = libraries, .max_entries = max_entries };
	struct probe *p;
	char why[512];
	int ret = probe_start(&host_stall, &o, &p, why, sizeof(why));

	if (!ret)
		return p;
	ok(false, "the probe starts: %s", why);
	exit(tap_done());
}

static void scripted(const char *path)
{
	const char *list[2] = { path };
	struct probe_options o2 = { .libraries = list };
	struct script_truth t;
	struct probe *p;
	char why[512];
	struct script s;
	json_t *f, *o, *h;
	json_int_t sum = 0;
	size_t i;

	if (!ok(!probe_start(&host_stall, &o2, &p, why, sizeof(why)), "%s: attached %s", path, why))
		return;
	s = script_start(path, "kkKL gG a s20 S30 e15 x10 c20 C10 kk s40");

	is_int(script_end(&s, &t), 0, "the script runs");
	is_int(t.kernels, 6, "six kernels are true");
	f = p->kind->figures(p);
	same(of_process(f, s.pid), &t, "process");
	same(json_object_get(f, "total"), &t, "total");
	o = json_array_get(json_object_get(f, "cgroups"), 0);
	same(o, &t, "cgroup");
	json_array_foreach(json_object_get(of_process(f, s.pid), "wait_log2_ns"), i, h)
		sum += json_integer_value(h);
	is_int(sum, t.syncs + t.blocking, "the histogram has each blocking call once");
	ok(get(of_process(f, s.pid), "longest_ns") >= 40000000, "the longest call is the 40 ms");
	ok(json_is_true(json_object_get(of_process(f, s.pid), "exited")), "it has ended");
	is_int(get(json_object_get(f, "not_counted"), "lost_returns"), 0, "no return was lost");
	is_int(get(json_object_get(f, "not_counted"), "unmatched"), 0, "none came from nowhere");
	json_decref(f);
	probe_stop(p);
}

/* Two processes launch in turn; one of them waits while the other launches. */
static void interleaved(void)
{
	struct script_truth ta, tb;
	struct probe *p = start(0);
	struct script a = script_start(library, "*5<k>"), b = script_start(library, "*5<k>");
	struct script w, l;
	json_t *f, *o;

	for (int i = 0; i < 5; i++) {
		script_let(&a);
		script_wait(&a);
		script_let(&b);
		script_wait(&b);
	}
	script_end(&a, &ta);
	script_end(&b, &tb);
	/* The one is ready to launch when the other begins to wait. */
	l = script_start(library, "> < kkgk");
	script_wait(&l);
	w = script_start(library, "> s400 s10");
	script_wait(&w);
	usleep(100000);
	script_let(&l);
	script_end(&l, &tb);
	script_end(&w, &ta);
	f = p->kind->figures(p);
	is_int(turns(f, a.pid, b.pid), 5, "five times it went from one to the other");
	is_int(turns(f, b.pid, a.pid), 4, "and four times back");
	is_int(turns(f, b.pid, l.pid), 1, "then once to a third");
	o = of_process(f, w.pid);
	is_int(get(o, "syncs"), 2, "two waits");
	is_int(get(o, "contended"), 1, "in one of them another process launched");
	is_int(get(o, "foreign_launches"), 4, "four times");
	ok(get(o, "contended_ns") >= 400000000 && get(o, "contended_ns") <= get(o, "sync_wait_ns") - 10000000,
	   "its time is that of the one");
	json_decref(f);
	probe_stop(p);
}

static void bad_ends(void)
{
	struct script_truth t;
	struct probe *p = start(0);
	struct script s;
	json_t *f, *n, *o;

	s = script_start(library, "k s10 !20");
	ok(WIFSIGNALED(script_end(&s, &t)), "a process is killed in the middle of a call");
	f = p->kind->figures(p);
	n = json_object_get(f, "not_counted");
	o = of_process(f, s.pid);
	is_int(get(n, "exited_in_call"), 1, "that is counted");
	ok(get(n, "exited_in_call_ns") >= 20000000, "with the time it had been there");
	is_int(get(o, "syncs"), 1, "the call it did not come back from is in no figure");
	ok(get(o, "sync_wait_ns") == get(o, "longest_ns"), "nor is its time");
	json_decref(f);

	s = script_start(library, "s10 j20 s10 s10");
	script_end(&s, &t);
	f = p->kind->figures(p);
	is_int(get(json_object_get(f, "not_counted"), "lost_returns"), 1,
	       "a call that was left by longjmp is counted");
	same(of_process(f, s.pid), &t, "the calls after it");
	json_decref(f);
	probe_stop(p);
}

static void full(void)
{
	struct script_truth t[4], all = { 0 };
	struct probe *p = start(2);
	struct script s[4];
	json_t *f;

	for (int i = 0; i < 4; i++) {
		s[i] = script_start(library, "kkk s10 g");
		script_end(&s[i], &t[i]);
		all.kernels += t[i].kernels;
		all.graphs += t[i].graphs;
		all.syncs += t[i].syncs;
		all.sync_ns += t[i].sync_ns;
		all.sync_outer_ns += t[i].sync_outer_ns;
	}
	f = p->kind->figures(p);
	is_int(json_array_size(json_object_get(f, "processes")), 2, "two have room");
	same(of_process(f, s[1].pid), &t[1], "one of those that have room");
	same(json_object_get(f, "total"), &all, "all, in the total");
	/* Four launches, and a call on its way in and on its way out. */
	is_int(get(json_object_get(f, "not_counted"), "processes_full"), 12,
	       "what the others did without an entry is counted");
	json_decref(f);
	probe_stop(p);
}

static void copy_to(const char *path)
{
	char cmd[1200];

	snprintf(cmd, sizeof(cmd), "cp '%s' '%s.new' && mv -f '%s.new' '%s'", library, path, path,
		 path);
	if (system(cmd))
		abort();
}

static void replaced(void)
{
	struct script_truth t, t2;
	char path[600];
	const char *list[2] = { path };
	struct probe_options o = { .libraries = list };
	struct script old, new;
	struct probe *p;
	char why[512];
	json_t *f;

	snprintf(path, sizeof(path), "%s/libcuda.so.1", folder);
	copy_to(path);
	if (probe_start(&host_stall, &o, &p, why, sizeof(why))) {
		ok(false, "%s", why);
		return;
	}
	old = script_start(path, "k > < kk s10");
	script_wait(&old);
	copy_to(path);
	p->kind->tick(p);
	new = script_start(path, "ggg s10");
	script_end(&new, &t2);
	script_let(&old);
	script_end(&old, &t);
	f = p->kind->figures(p);
	same(of_process(f, old.pid), &t, "the process with the old library");
	same(of_process(f, new.pid), &t2, "the one with the new");
	is_int(json_array_size(json_object_get(f, "libraries")), 2, "two files are known");
	is_int(get(json_object_get(f, "not_counted"), "libraries_found_late"), 1,
	       "one was found late");
	json_decref(f);
	probe_stop(p);
	unlink(path);
}

static void count_event(void *arg, const struct probe_event *e)
{
	const struct host_stall_event *ev = e->data;

	if (e->bytes >= sizeof(*ev) && ev->kind <= HOST_STALL_GRAPH)
		++*(unsigned int *)arg;
}

static void overrun(void)
{
	unsigned int seen = 0;
	struct probe_options o = {
		.libraries = libraries, .events = true, .event = count_event, .arg = &seen,
	};
	struct script_truth t;
	struct script s;
	struct probe *p;
	char why[512];
	json_t *f;

	if (probe_start(&host_stall, &o, &p, why, sizeof(why))) {
		ok(false, "%s", why);
		return;
	}
	s = script_start(library, "*100k");
	script_end(&s, &t);
	probe_poll(p, 0);
	is_int(seen, 100, "a reader that keeps up gets every event");
	s = script_start(library, "*20000k");
	script_end(&s, &t);
	probe_poll(p, 0);
	f = p->kind->figures(p);
	ok(seen < 20100, "one that sleeps does not: %u", seen);
	is_int(seen + get(json_object_get(f, "not_counted"), "overrun"), 20100,
	       "what it missed is counted");
	is_int(get(json_object_get(f, "total"), "kernels"), 20100, "the figures have them all");
	json_decref(f);
	probe_stop(p);
}

/* The same pid twice, by asking the kernel for it. */
static void pid_again(void)
{
	struct script_truth t;
	struct probe *p = start(0);
	struct script a, b;
	char text[32];
	json_t *f;
	int fd;

	a = script_start(library, "kkk");
	script_end(&a, &t);
	for (int tries = 0; tries < 20; tries++) {
		fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
		snprintf(text, sizeof(text), "%d", a.pid - 1);
		if (fd < 0 || write(fd, text, strlen(text)) < 0) {
			tap_skip("a pid that is used again", "ns_last_pid can't be written");
			probe_stop(p);
			return;
		}
		close(fd);
		b = script_start(library, "gg");
		script_end(&b, &t);
		if (b.pid == a.pid)
			break;
	}
	f = p->kind->figures(p);
	if (b.pid != a.pid) {
		tap_skip("a pid that is used again", "others were faster to take it");
	} else {
		is_int(get(of_process(f, b.pid), "kernels"), 0,
		       "a pid that is used again begins at nothing");
		is_int(get(of_process(f, b.pid), "graphs"), 2, "and has its own");
		is_int(get(json_object_get(f, "not_counted"), "pid_reused"), 1, "it is counted");
	}
	json_decref(f);
	probe_stop(p);
}

/*
 * A probe sees whoever uses a file: other tests have a process with the same
 * library, and totals are compared here.
 */
static void own_copy(const char *kind, char *path, size_t len)
{
	const char *out = getenv("O");
	char cmd[1200];

	snprintf(path, len, "%s/%s.so", folder, kind);
	snprintf(cmd, sizeof(cmd), "cp '%s/tests/%s/libcuda.so.1' '%s'", out ? out : "build", kind,
		 path);
	if (system(cmd))
		abort();
}

int main(void)
{
	struct probe_options o = { .libraries = libraries };
	char cet[512];
	struct probe *p;
	char why[512];
	int ret;

	if (!mkdtemp(folder))
		return 1;
	own_copy("standin-cuda", library, sizeof(library));
	own_copy("standin-cet", cet, sizeof(cet));
	ret = probe_start(&host_stall, &o, &p, why, sizeof(why));
	if (!ret) {
		ok(true, "the probe loads and attaches");
		probe_stop(p);
		scripted(library);
		/* The same, compiled with landing pads for indirect branches. */
		scripted(cet);
		interleaved();
		bad_ends();
		full();
		replaced();
		overrun();
		pid_again();
	}
	unlink(library);
	unlink(cet);
	rmdir(folder);
	if (machine_cannot(ret))
		tap_skip_all(why);
	if (ret)
		ok(false, "the probe loads and attaches: %s", why);
	return tap_done();
}
