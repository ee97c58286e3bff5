// SPDX-License-Identifier: MIT
/*
 * Every call fails at every place where it can: the first allocation or copy,
 * the second, and so on until it gets through (/proc/self/fail-nth). A call
 * that failed must say so with a plausible errno and leave the queue as it was;
 * the machine looks for leaks afterwards.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/tap.h"
#include "tests/vm/dev.h"

#define MOST	2000		/* places in one call */

/* What the calls work on; a call that needs it makes it new. */
struct world {
	struct agent agent;
	uint64_t model;
	int tenant;
	uint64_t buffer;
	uint8_t *at;
	unsigned int digest;
	int fd;			/* that the call opened */
	void *map;
	int fails;		/* fail-nth's file */
	unsigned long injected;
};

static struct world w;

static int inject(unsigned int nth)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%u", nth);

	return pwrite(w.fails, text, n, 0) == n ? 0 : -errno;
}

/* Was there a failure? Ends the injection. */
static bool injected(void)
{
	char text[16] = "";
	bool was;

	if (pread(w.fails, text, sizeof(text) - 1, 0) <= 0)
		return false;
	was = !strtoul(text, NULL, 10);
	inject(0);
	return was;
}

/* An agent that lives, whatever happened to the last one. */
static bool have_agent(void)
{
	struct braid_fetch f = { .size = sizeof(f), .flags = BRAID_FETCH_NONBLOCK };
	int ret = w.agent.fd > 0 ? dev_call(w.agent.fd, BRAID_NR_FETCH, &f) : -ENODEV;

	if (ret != -ENODEV && ret != -EBADF && w.model)
		return true;
	if (w.agent.fd > 0)
		agent_close(&w.agent);
	w.model = agent_start(&w.agent, SLOT_BYTES);
	return w.model;
}

static void drain(void)
{
	struct braid_completion c[64];
	struct braid_get_info info;

	for (unsigned int i = 0; i < 100; i++) {
		have_agent();
		while (!agent_jobs(&w.agent, w.model, 64, BRAID_FETCH_NONBLOCK))
			agent_finish(&w.agent);
		while (dev_wait(w.tenant, c, 64, 0) > 0)
			;
		if (!dev_info(w.tenant, &info) && !info.outstanding)
			return;
	}
}

/* A tenant that has not used the model yet, with a buffer. */
static bool new_tenant(void)
{
	int err;

	if (w.tenant > 0)
		close(w.tenant);
	if (w.at)
		munmap(w.at, 16 * BRAID_BUF_ALIGN);
	w.tenant = dev_open(DEV_TENANT, O_NONBLOCK);
	w.at = dev_buf(w.tenant, 16 * BRAID_BUF_ALIGN, &w.buffer, NULL, &err);
	return w.at;
}

static bool with_agent(void)
{
	return have_agent();
}

static bool with_tenant(void)
{
	return have_agent() && new_tenant();
}

static bool without_agent(void)
{
	if (w.agent.fd > 0)
		agent_close(&w.agent);
	w.agent.fd = -1;
	return true;
}

static bool with_unready_agent(void)
{
	without_agent();
	return !agent_open(&w.agent) && agent_model(&w.agent, "inverse", 1, SLOT_BYTES, NULL);
}

static bool with_queued(void)
{
	return with_tenant() && dev_submit(w.tenant, w.model, w.buffer, 4, 1, 0, NULL) == 4;
}

static bool with_fetched(void)
{
	if (!with_queued())
		return false;
	for (unsigned int i = 0; i < 100; i++) {
		int ret = agent_jobs(&w.agent, w.model, 4, BRAID_FETCH_NONBLOCK);

		/* Retired buffers and suspects come first. */
		if (!ret && w.agent.arg.jobs.count == 4)
			return true;
		if (!ret)
			agent_finish(&w.agent);
		if (!ret && w.agent.arg.jobs.count)
			dev_submit(w.tenant, w.model, w.buffer, 1, 1, 0, NULL);
	}
	return false;
}

static bool with_done(void)
{
	return with_fetched() && !agent_finish(&w.agent);
}

static bool with_known_buffer(void)
{
	return with_done();
}

/* A buffer that the agent was told of, and then that it is retired; its id in w.buffer. */
static bool with_retired(void)
{
	if (!with_done() || dev_buf_free(w.tenant, w.buffer))
		return false;
	for (unsigned int i = 0; i < 100; i++) {
		int ret = agent_fetch(&w.agent, 0, 0, BRAID_FETCH_NONBLOCK);

		for (uint32_t k = 0; !ret && k < w.agent.arg.events.count; k++) {
			struct braid_buf_put put = { .size = sizeof(put),
						     .id = w.agent.events[k].id };

			if (w.agent.events[k].type != BRAID_EVENT_BUF_RETIRED)
				continue;
			if (put.id == w.buffer)
				return true;
			dev_call(w.agent.fd, BRAID_NR_BUF_PUT, &put);
		}
	}
	return false;
}

static int do_open(void)
{
	w.fd = dev_open(DEV_TENANT, 0);
	return w.fd < 0 ? w.fd : 0;
}

static int do_open_agent(void)
{
	w.agent.fd = dev_open(DEV_AGENT, 0);
	return w.agent.fd < 0 ? w.agent.fd : 0;
}

static int do_get_info(void)
{
	struct braid_get_info info;

	return dev_info(w.tenant, &info);
}

static int do_model_get(void)
{
	struct braid_tensor t[2];
	struct braid_model_get g = { .size = sizeof(g), .id = w.model,
				     .tensors = { sizeof(t[0]), 2, (uintptr_t)t } };

	return dev_call(w.tenant, BRAID_NR_MODEL_GET, &g);
}

static int do_buf_alloc(void)
{
	struct braid_buf_alloc a = { .size = sizeof(a), .length = 40 * BRAID_BUF_ALIGN };
	int ret = dev_call(w.tenant, BRAID_NR_BUF_ALLOC, &a);

	w.fd = ret ? -1 : a.fd;
	return ret;
}

static bool with_buffer_fd(void)
{
	return with_tenant() && !do_buf_alloc();
}

static int do_mmap(void)
{
	w.map = mmap(NULL, 40 * BRAID_BUF_ALIGN, PROT_READ | PROT_WRITE, MAP_SHARED, w.fd, 0);
	if (w.map == MAP_FAILED) {
		w.map = NULL;
		return -errno;
	}
	return 0;
}

static int do_buf_free(void)
{
	return dev_buf_free(w.tenant, w.buffer);
}

static int do_submit(void)
{
	int ret = dev_submit(w.tenant, w.model, w.buffer, 16, 1, dev_now() + 3600000000000ull, NULL);

	return ret < 0 ? ret : 0;
}

static int do_cancel(void)
{
	int ret = dev_cancel(w.tenant, 1);

	return ret < 0 ? ret : 0;
}

static int do_read(void)
{
	struct braid_completion c[4];

	return read(w.tenant, c, sizeof(c)) < 0 ? -errno : 0;
}

static int do_poll(void)
{
	struct pollfd p[2] = { { w.tenant, POLLIN }, { w.agent.fd, POLLIN } };

	return poll(p, 2, 0) < 0 ? -errno : 0;
}

static int do_model_put(void)
{
	int err;

	agent_model(&w.agent, "another", 2 + w.digest++ % 200, 128, &err);
	return err;
}

static int do_model_del(void)
{
	struct braid_model_del d = { .size = sizeof(d), .flags = BRAID_MODEL_DEL_NOW,
				     .id = w.model };
	int ret = dev_call(w.agent.fd, BRAID_NR_MODEL_DEL, &d);

	if (!ret)
		w.model = 0;
	return ret;
}

static int do_ready(void)
{
	return agent_ready(&w.agent);
}

static int do_fetch(void)
{
	return agent_fetch(&w.agent, w.model, 8, BRAID_FETCH_NONBLOCK);
}

static int do_commit(void)
{
	return agent_commit(&w.agent, w.agent.generation, w.agent.jobs[0].cookie, 0);
}

static int do_get_fd(void)
{
	struct braid_buf_get_fd get = { .size = sizeof(get), .id = w.buffer };
	int ret = dev_call(w.agent.fd, BRAID_NR_BUF_GET_FD, &get);

	w.fd = ret ? -1 : get.fd;
	return ret;
}

static int do_put(void)
{
	struct braid_buf_put put = { .size = sizeof(put), .id = w.buffer };

	return dev_call(w.agent.fd, BRAID_NR_BUF_PUT, &put);
}

static int do_knob(void)
{
	return dev_write(DEV_SYSFS "window_max", "32");
}

static int do_counter(void)
{
	return dev_number(DEV_SYSFS "depth") < 0 ? -errno : 0;
}

static const struct {
	const char *name;
	bool (*prepare)(void);
	int (*call)(void);
} calls[] = {
	{ "open of a tenant", with_agent, do_open },
	{ "open of an agent", without_agent, do_open_agent },
	{ "GET_INFO", with_tenant, do_get_info },
	{ "MODEL_GET", with_tenant, do_model_get },
	{ "BUF_ALLOC", with_tenant, do_buf_alloc },
	{ "mmap", with_buffer_fd, do_mmap },
	{ "BUF_FREE", with_tenant, do_buf_free },
	{ "SUBMIT, first of a model", with_tenant, do_submit },
	{ "SUBMIT, another", with_queued, do_submit },
	{ "CANCEL", with_queued, do_cancel },
	{ "read", with_done, do_read },
	{ "poll", with_done, do_poll },
	{ "MODEL_PUT", with_agent, do_model_put },
	{ "MODEL_DEL", with_queued, do_model_del },
	{ "READY", with_unready_agent, do_ready },
	{ "FETCH", with_queued, do_fetch },
	{ "COMMIT", with_fetched, do_commit },
	{ "BUF_GET_FD", with_known_buffer, do_get_fd },
	{ "BUF_PUT", with_retired, do_put },
	{ "a knob", with_agent, do_knob },
	{ "a counter", with_agent, do_counter },
};

static void clean_up(void)
{
	if (w.map)
		munmap(w.map, 40 * BRAID_BUF_ALIGN);
	if (w.fd > 0)
		close(w.fd);
	w.map = NULL;
	w.fd = -1;
}

static bool plausible(int ret)
{
	return ret == -ENOMEM || ret == -EFAULT || ret == -ENFILE || ret == -EMFILE;
}

static void sweep(unsigned int c)
{
	int ret = 0, odd = 0, last_odd = 0;
	unsigned int nth, failed = 0, places = 0;
	bool hit = true;

	for (nth = 1; hit && nth < MOST; nth++) {
		if (!calls[c].prepare()) {
			ok(false, "%s: prepared for place %u", calls[c].name, nth);
			return;
		}
		inject(nth);
		ret = calls[c].call();
		hit = injected();
		places += hit;
		failed += ret < 0;
		if (ret < 0 && !plausible(ret) && hit) {
			odd++;
			last_odd = ret;
		}
		clean_up();
	}
	w.injected += places;
	ok(!hit && !ret, "%s gets through in the end (%d)", calls[c].name, ret);
	is_int(odd, 0, "%s: its errors are plausible", calls[c].name);
	if (odd)
		diag("last one: %d", last_odd);
	diag("%s: %u places, %u failures", calls[c].name, places, failed);
}

int main(void)
{
	struct braid_get_info info = { 0 };
	static const char *const knobs[] = {
		"failslab/ignore-gfp-wait", "fail_page_alloc/ignore-gfp-wait",
		"fail_page_alloc/ignore-gfp-highmem", "fail_page_alloc/min-order",
		"failslab/verbose", "fail_page_alloc/verbose", "fail_usercopy/verbose",
	};
	char path[128];

	dev_require();
	w.fails = open("/proc/self/fail-nth", O_RDWR | O_CLOEXEC);
	if (w.fails < 0)
		tap_skip_all("this kernel injects no faults");
	for (unsigned int i = 0; i < sizeof(knobs) / sizeof(knobs[0]); i++) {
		snprintf(path, sizeof(path), "/sys/kernel/debug/%s", knobs[i]);
		dev_write(path, strstr(path, "ignore") ? "N" : "0");
	}
	for (unsigned int c = 0; c < sizeof(calls) / sizeof(calls[0]); c++)
		sweep(c);
	ok(w.injected > 100, "%lu failures were injected in all", w.injected);

	/* Jobs that were not committed, events that did not arrive end with their agent. */
	without_agent();
	ok(with_tenant(), "after all that, a tenant and an agent");
	drain();
	ok(dev_submit(w.tenant, w.model, w.buffer, 4, 1, 0, NULL) == 4, "work as ever");
	drain();
	is_int(w.at[SLOT_BYTES], 0xff, "with the right output");
	while (!agent_jobs(&w.agent, 0, 0, BRAID_FETCH_NONBLOCK))
		;
	is_int(dev_charged(w.tenant, 16 * BRAID_BUF_ALIGN), 16 * BRAID_BUF_ALIGN, "nothing but its buffer is charged");
	dev_info(w.tenant, &info);
	is_int(info.outstanding, 0, "nothing is outstanding");
	return tap_done();
}
