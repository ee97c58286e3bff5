// SPDX-License-Identifier: MIT
/*
 * queue_latency's sums beside the queue's own counters, to the last request,
 * with deadlines, cancels, failures, agents that die and tenants that leave; over
 * either transport, see tests/abi/.
 *
 * BRAID_PROBE_REQUESTS: how many requests, 4000 unless told.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bpf/probe.h"
#include "tests/abi/abi.h"
#include "tests/bpf/able.h"

#define TENANTS	3
#define BATCH	8

static long long get(json_t *o, const char *name)
{
	json_t *v = json_object_get(o, name);

	return json_is_integer(v) ? json_integer_value(v) : -1;
}

/* All of a window as one group, with figures of its own. */
static void commit(struct peer *a, const struct abi_fetch *f, unsigned int round)
{
	struct braid_result res[BRAID_MAX_BATCH];
	struct braid_commit c = {
		.size = sizeof(c), .generation = a->generation,
		.results = { sizeof(res[0]), f->arg.jobs.count, (uintptr_t)res },
	};

	for (uint32_t i = 0; i < f->arg.jobs.count; i++)
		res[i] = (struct braid_result){
			.cookie = f->jobs[i].cookie, .device_ns = 1000 + round % 97,
			.status = (round + i) % 50 ? 0 : -EIO,
			.merge_degree = f->arg.jobs.count, .fuse_degree = 1 + round % 3,
		};
	if (abi_call(a, BRAID_NR_COMMIT, &c) || c.committed != f->arg.jobs.count)
		diag("a COMMIT took %u of %u", c.committed, f->arg.jobs.count);
}

/* A window, if there is one now; 0, or -EAGAIN. */
static int fetch(struct peer *a, struct abi_fetch *f, uint64_t model)
{
	int ret;

	do {
		f->wants[0] = (struct braid_want){ .model = model, .count = 32 };
		f->arg = (struct braid_fetch){
			.size = sizeof(f->arg), .flags = BRAID_FETCH_NONBLOCK,
			.wants = { sizeof(f->wants[0]), 1, (uintptr_t)f->wants },
			.jobs = { sizeof(f->jobs[0]), BRAID_MAX_BATCH, (uintptr_t)f->jobs },
			.slices = { sizeof(f->slices[0]), 4 * BRAID_MAX_BATCH,
				    (uintptr_t)f->slices },
			.events = { sizeof(f->events[0]), 128, (uintptr_t)f->events },
		};
		ret = abi_call(a, BRAID_NR_FETCH, &f->arg);
		for (uint32_t i = 0; !ret && i < f->arg.events.count; i++)
			if (f->events[i].type == BRAID_EVENT_BUF_RETIRED)
				abi_put(a, f->events[i].id);
	} while (!ret && !f->arg.jobs.count);
	return ret;
}

static unsigned int take(struct peer *t)
{
	struct braid_completion c[BATCH * 2];
	unsigned int n = 0;
	int got;

	while ((got = abi->take(t, c, BATCH * 2, 0)) > 0)
		n += got;
	return n;
}

static unsigned int rounds(struct peer *a, struct peer *t, uint64_t model, unsigned int want)
{
	unsigned int sent = 0, round = 0;
	static struct abi_fetch f;
	struct peer guest;
	uint64_t id;
	uint32_t state;

	while (sent < want) {
		unsigned int queued = 0;

		round++;
		for (int i = 0; i < TENANTS; i++)
			for (int k = 0; k < BATCH; k++)
				queued += !abi_submit(&t[i], model, 1, 0, &id);
		sent += queued;
		if (round % 10 == 3 && !abi_submit(&t[0], model, 1, abi_now() + 1000, &id)) {
			sent++;
			usleep(10);	/* its deadline passes while it waits */
		}
		if (round % 10 == 5)
			abi_cancel(&t[1], id, &state);
		if (round % 40 == 7) {
			abi_tenant(&guest);
			guest.buf = abi_buf(&guest, 4096);
			sent += !abi_submit(&guest, model, 0, 0, &id);
			abi_close(&guest);	/* what it had queued is dropped */
		}
		while (!fetch(a, &f, model)) {
			if (round % 60 == 11) {
				abi_successor(a);
				round++;
				continue;
			}
			commit(a, &f, round);
		}
		for (int i = 0; i < TENANTS; i++)
			take(&t[i]);
	}
	return sent;
}

static void compare(json_t *f)
{
	static const char *const same[] = { "submitted", "completed", "fetched", "requeued",
					    "device_ns", "merge_sum", "fuse_sum" };
	json_t *t = json_object_get(f, "total"), *n = json_object_get(f, "not_counted"), *o;
	long long sum;
	size_t i;

	for (unsigned int k = 0; k < sizeof(same) / sizeof(same[0]); k++) {
		is_int(get(t, same[k]), abi->counter(same[k]), "%s", same[k]);
		sum = 0;
		json_array_foreach(json_object_get(f, "requests"), i, o)
			sum += get(o, same[k]);
		is_int(sum, get(t, same[k]), "%s: tenants add up to it", same[k]);
	}
	is_int(get(f, "windows"), abi->counter("windows"), "windows");
	is_int(get(f, "jobs"), abi->counter("fetched"), "jobs in them");
	is_int(get(f, "timed_windows"), get(f, "windows"), "every window was timed");
	is_int(get(t, "failed"), abi->counter("completed") - abi->counter("done"),
	       "ended otherwise than well");
	ok(abi->counter("requeued") > 0 && abi->counter("expired") > 0 &&
	   abi->counter("cancelled") > 0 && abi->counter("dropped") > 0 &&
	   abi->counter("failed") > 0, "all kinds of ends happened");
	is_int(get(n, "requests_full"), 0, "none was left out");
	is_int(get(n, "unreadable"), 0, "none could not be read");
	ok(get(t, "total_ns") >= get(t, "run_ns") && get(t, "queued_ns") > 0, "times");
}

static void count_event(void *arg, const struct probe_event *e)
{
	++*(unsigned long long *)arg;
}

/*
 * A probe sees a file, in every process: braidd and this program are copied, or
 * other tests beside this one would be measured as well.
 */
static void go_private(char **argv)
{
	char dir[] = "/tmp/braid-queue-XXXXXX", command[2048];
	const char *t = getenv("BRAID_TEST_TRANSPORT"), *out = getenv("O");
	int status;
	pid_t pid;

	if ((t && !strcmp(t, "device")) || getenv("BRAID_PRIVATE"))
		return;
	out = out ? out : "build";
	if (!mkdtemp(dir))
		abort();
	snprintf(command, sizeof(command), "mkdir %s/tests && cp %s/braidd %s/braid-zoo %s && cp %s %s/tests",
		 dir, out, out, dir, argv[0], dir);
	if (system(command))
		abort();
	pid = fork();
	if (!pid) {
		snprintf(command, sizeof(command), "%s/tests/%s", dir, strrchr(argv[0], '/') + 1);
		setenv("BRAID_PRIVATE", dir, 1);
		execv(command, argv);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	if (system(command))
		diag("%s stays", dir);
	exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

int main(int argc, char **argv)
{
	const char *n = getenv("BRAID_PROBE_REQUESTS");
	unsigned long long seen = 0, events;
	unsigned int want = n ? atoi(n) : 4000, sent;
	struct peer agent, tenants[TENANTS];
	struct probe_options o = { .events = true, .event = count_event, .arg = &seen };
	char braidd[256], why[512];
	struct probe *p;
	uint64_t model;
	json_t *f;
	int ret;

	/* A runner is started by a braidd that is a copy already. */
	go_private(argv);
	snprintf(braidd, sizeof(braidd), "%s/braidd", getenv("BRAID_PRIVATE"));
	abi_start(argc, argv);
	if (!abi->device)
		o.braidd = braidd;
	ret = probe_start(&queue_latency, &o, &p, why, sizeof(why));
	if (machine_cannot(ret)) {
		tap_skip("the probe loads and attaches", why);
		abi_tenant(&tenants[0]);	/* who is asked to end must be up */
		abi_close(&tenants[0]);
		return abi_stop();
	}
	if (!ok(!ret, "the probe loads and attaches%s%s", ret ? ": " : "", ret ? why : ""))
		return abi_stop();
	abi_agent(&agent);
	model = abi_serve(&agent);
	for (int i = 0; i < TENANTS; i++) {
		abi_tenant(&tenants[i]);
		tenants[i].buf = abi_buf(&tenants[i], 4096);
	}
	sent = rounds(&agent, tenants, model, want);
	diag("%u requests, counters say %lld submitted, %lld completed, %lld fetched", sent,
	     abi->counter("submitted"), abi->counter("completed"), abi->counter("fetched"));
	ok(sent >= want, "%u requests", want);
	probe_poll(p, 0);
	f = p->kind->figures(p);
	compare(f);
	/* Nobody read events meanwhile: what there was no room for is counted. */
	events = get(json_object_get(f, "total"), "completed") + get(f, "windows");
	is_int(seen + get(json_object_get(f, "not_counted"), "overrun"), events,
	       "events that were seen and events that were dropped");
	json_decref(f);
	for (int i = 0; i < TENANTS; i++)
		abi_close(&tenants[i]);
	abi_close(&agent);
	probe_stop(p);
	return abi_stop();
}
