// SPDX-License-Identifier: MIT
/*
 * Many tenants at once: each is served, what they cost in memory is told, and it
 * comes back. BRAID_TEST_TENANTS says how many.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/tap.h"
#include "tests/vm/dev.h"

static struct agent agent;
static uint64_t model;

/* KiB that nobody uses, caches not counted. */
static long long unused(void)
{
	long long n = -1;
	char line[128];
	FILE *f;

	sync();
	dev_write("/proc/sys/vm/drop_caches", "3");
	dev_sleep_ms(200);
	f = fopen("/proc/meminfo", "r");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "MemAvailable: %lld", &n) == 1)
			break;
	if (f)
		fclose(f);
	return n;
}

static unsigned int open_all(int *fds, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		fds[i] = dev_open(DEV_TENANT, O_NONBLOCK);
		if (fds[i] < 0) {
			diag("tenant %u: %d", i, fds[i]);
			break;
		}
	}
	return i;
}

/* Hand out and commit so many. They are not run: so many buffers can't be mapped here. */
static void serve(unsigned int queued)
{
	while (queued) {
		if (agent_jobs(&agent, model, BRAID_MAX_BATCH, 0))
			break;
		for (uint32_t i = 0; i < agent.arg.jobs.count; i++)
			agent_commit(&agent, agent.generation, agent.jobs[i].cookie, 0);
		queued -= agent.arg.jobs.count;
	}
}

/*
 * Each gets a buffer and submits; they are served when all have, or when they
 * have as many as one owner may have. How many got their answer.
 */
static unsigned int serve_all(const int *fds, unsigned int n)
{
	struct braid_completion c;
	unsigned int queued = 0, got = 0;

	for (unsigned int i = 0; i < n; i++) {
		uint64_t buffer;
		int ret;
		void *at = dev_buf(fds[i], BRAID_BUF_ALIGN, &buffer, NULL, &ret);

		if (!at)
			break;
		munmap(at, BRAID_BUF_ALIGN);
		ret = dev_submit(fds[i], model, buffer, 1, i, 0, NULL);
		if (ret == -EDQUOT) {
			serve(queued);
			queued = 0;
			ret = dev_submit(fds[i], model, buffer, 1, i, 0, NULL);
		}
		if (ret != 1)
			break;
		queued++;
	}
	serve(queued);
	for (unsigned int i = 0; i < n; i++)
		got += dev_wait(fds[i], &c, 1, 0) == 1 && c.user_data == i && !c.status;
	return got;
}

struct seen {
	long long before, opened, served, after;	/* KiB that nobody used */
};

/* They come, are served and go. */
static void come_and_go(int *fds, unsigned int n, struct seen *seen)
{
	unsigned int got;

	seen->before = unused();
	got = open_all(fds, n);
	seen->opened = unused();
	is_int(got, n, "%u tenants open", n);
	is_int(serve_all(fds, got), n, "each of them is served");
	seen->served = unused();
	for (unsigned int i = 0; i < got; i++)
		close(fds[i]);
	while (!agent_jobs(&agent, 0, 0, BRAID_FETCH_NONBLOCK))
		;
	got = dev_open(DEV_TENANT, 0);
	is_int(dev_charged(got, 0), 0, "nothing stays charged");
	close(got);
	seen->after = unused();
}

static void tenants(unsigned int n)
{
	static const char *const most = "/sys/module/braid/parameters/max_tenants";
	struct rlimit limit = { n + 100, n + 100 };
	int *fds = calloc(n, sizeof(*fds));
	struct seen one, two;
	char text[32];

	if (setrlimit(RLIMIT_NOFILE, &limit)) {
		tap_skip("many tenants", "so many descriptors are not allowed");
		return;
	}
	/* One owner gets three quarters, and all of these are root's. */
	snprintf(text, sizeof(text), "%u", 2 * n + 100);
	dev_write(most, text);
	come_and_go(fds, n, &one);
	diag("%u tenants: %lld KiB open, %lld KiB with a model, a page of buffer and a request each, %lld KiB after",
	     n, one.before - one.opened, one.before - one.served, one.before - one.after);
	/* The kernel keeps some of it for the next ones: then these need no more. */
	come_and_go(fds, n, &two);
	diag("and again: %lld KiB less than after the first", one.after - two.after);
	/*
	 * A kernel that looks for leaks also puts aside what was freed, and the books
	 * of its checkers grow: more comes and goes there than tenants take.
	 */
	if (!access("/sys/kernel/debug/kmemleak", F_OK))
		tap_skip("what they took is given back", "kmemleak looks for that at the end");
	else
		ok(one.after - two.after < (one.before - one.served) / 2 ||
		   one.before - one.served < 4096, "what they took is given back");
	free(fds);
}

int main(void)
{
	dev_require();
	setvbuf(stdout, NULL, _IOLBF, 0);
	model = agent_start(&agent, SLOT_BYTES);
	if (!ok(model, "an agent"))
		return tap_done();
	tenants(dev_env("BRAID_TEST_TENANTS", 1000));
	return tap_done();
}
