// SPDX-License-Identifier: MIT
/*
 * What every test of the suite needs, whatever the transport: see abi.h.
 */
#include "tests/abi/abi.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

const struct abi_transport *abi;

static void bail(const char *what, int err)
{
	printf("Bail out! %s: %s\n", what, strerror(-err));
	exit(1);
}

bool abi_over_device(void)
{
	const char *t = getenv("BRAID_TEST_TRANSPORT");

	return t && !strcmp(t, "device");
}

void abi_start(int argc, char **argv)
{
	abi = abi_over_device() ? &abi_device : &abi_socket;
	if (!abi)
		tap_skip_all("this program is for the device: BRAID_TEST_TRANSPORT=device");
	abi->start(argc, argv);
	diag("over the %s, %d bit", abi->name, (int)sizeof(long) * 8);
}

int abi_stop(void)
{
	abi->stop();
	return tap_done();
}

uint64_t abi_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

void abi_sleep_ms(unsigned int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000l };

	nanosleep(&ts, NULL);
}

void abi_tenant(struct peer *p)
{
	int ret;

	memset(p, 0, sizeof(*p));
	ret = abi->tenant(p);
	if (ret)
		bail("a tenant", ret);
}

void abi_agent(struct peer *p)
{
	int ret;

	memset(p, 0, sizeof(*p));
	p->agent = true;
	ret = abi->agent(p);
	if (ret)
		bail("the agent", ret);
}

void abi_close(struct peer *p)
{
	if (p->mem)
		munmap(p->mem, p->mem_bytes);
	p->mem = NULL;
	abi->close(p);
}

int abi_call(struct peer *p, uint32_t nr, void *arg)
{
	int fd = -1, ret = abi->call(p, nr, arg, &fd);

	if (fd >= 0)
		close(fd);
	return ret;
}

int abi_sized(struct peer *p, uint32_t nr, size_t size, bool tail)
{
	/* In whole words, as a structure is; what is behind it is not sent. */
	uint64_t room[1024] = { 0 };
	uint32_t claim = size;

	memcpy(room, &claim, sizeof(claim));
	if (tail)
		((uint8_t *)room)[size - 1] = 1;
	return abi_call(p, nr, room);
}

uint64_t abi_model(struct peer *a, const char *name, uint8_t digest, uint64_t bytes, int *err)
{
	struct braid_tensor t[2] = {
		{ .name = "x", .type = BRAID_TYPE_U8, .rank = 1, .dims = { bytes },
		  .bytes = bytes },
		{ .name = "y", .type = BRAID_TYPE_U8, .rank = 1, .dims = { bytes },
		  .bytes = bytes },
	};
	struct braid_model_put p = {
		.size = sizeof(p), .device_ns = 300000000, .n_inputs = 1, .n_outputs = 1,
		.tensors = { sizeof(t[0]), 2, (uintptr_t)t },
	};
	int ret;

	snprintf(p.name, sizeof(p.name), "%s", name);
	p.digest[0] = digest;
	ret = abi_call(a, BRAID_NR_MODEL_PUT, &p);
	if (err)
		*err = ret;
	return ret ? 0 : p.id;
}

int abi_ready(struct peer *a)
{
	struct braid_ready r = { .size = sizeof(r) };
	int ret = abi_call(a, BRAID_NR_READY, &r);

	if (!ret)
		a->generation = r.generation;
	return ret;
}

uint64_t abi_serve(struct peer *a)
{
	uint64_t id = abi_model(a, "m", 1, ABI_BYTES, NULL);
	int ret = id ? abi_ready(a) : -ENOENT;

	if (ret)
		bail("READY", ret);
	return id;
}

uint64_t abi_successor(struct peer *a)
{
	abi_close(a);
	abi_agent(a);
	return abi_serve(a);
}

uint64_t abi_buf(struct peer *t, uint64_t bytes)
{
	struct braid_buf_alloc a = { .size = sizeof(a), .length = bytes };
	int fd = -1;
	void *p;

	if (abi->call(t, BRAID_NR_BUF_ALLOC, &a, &fd) || fd < 0)
		return 0;
	p = mmap(NULL, a.length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (p == MAP_FAILED)
		return 0;
	if (!t->mem) {
		t->mem = p;
		t->mem_bytes = a.length;
		t->buf = a.id;
	} else {
		munmap(p, a.length);
	}
	return a.id;
}

int abi_buf_free(struct peer *t, uint64_t id)
{
	struct braid_buf_free f = { .size = sizeof(f), .id = id };

	return abi_call(t, BRAID_NR_BUF_FREE, &f);
}

int abi_submit(struct peer *t, uint64_t model, uint32_t priority, uint64_t deadline,
	       uint64_t *id)
{
	struct braid_slice s[2] = { { t->buf, 0, ABI_BYTES }, { t->buf, 1024, ABI_BYTES } };
	struct braid_request q = { .user_data = 42, .model = model, .priority = priority,
				   .deadline_ns = deadline, .n_inputs = 1, .n_outputs = 1 };
	struct braid_submit out = {
		.size = sizeof(out), .requests = { sizeof(q), 1, (uintptr_t)&q },
		.slices = { sizeof(s[0]), 2, (uintptr_t)s },
	};
	int ret = abi_call(t, BRAID_NR_SUBMIT, &out);

	if (id)
		*id = out.first_id;
	return ret;
}

int abi_cancel(struct peer *t, uint64_t id, uint32_t *state)
{
	struct braid_cancel k = { .size = sizeof(k), .id = id };
	int ret = abi_call(t, BRAID_NR_CANCEL, &k);

	*state = k.state;
	return ret;
}

int abi_status(struct peer *t, struct braid_completion *c, int timeout_ms)
{
	struct braid_completion mine;

	if (!c)
		c = &mine;
	return abi->take(t, c, 1, timeout_ms) == 1 ? c->status : 1;
}

void abi_fetch(struct peer *a, struct abi_fetch *f, uint64_t model, uint32_t count)
{
	if (f->running)
		bail("a FETCH that still waits was used again", -EBUSY);
	f->running = true;
	f->wants[0] = (struct braid_want){ .model = model, .count = count };
	f->arg = (struct braid_fetch){
		.size = sizeof(f->arg),
		.wants = { sizeof(f->wants[0]), model ? 1 : 0, (uintptr_t)f->wants },
		.jobs = { sizeof(f->jobs[0]), BRAID_MAX_BATCH, (uintptr_t)f->jobs },
		.slices = { sizeof(f->slices[0]), 4 * BRAID_MAX_BATCH, (uintptr_t)f->slices },
		.events = { sizeof(f->events[0]), 128, (uintptr_t)f->events },
	};
	f->peer = a;
	abi->fetch(a, f);
}

int abi_fetched(struct abi_fetch *f, int timeout_ms)
{
	int ret = abi->fetched(f->peer, f, timeout_ms);

	f->running = ret == -ETIMEDOUT;
	return ret;
}

void abi_fetch_end(struct abi_fetch *f)
{
	/* The thread of one that was started just now may not wait yet. */
	while (f->running) {
		abi_drain(f->peer);
		abi_fetched(f, 20);
	}
}

static void put_retired(struct peer *a, const struct abi_fetch *f)
{
	for (uint32_t i = 0; i < f->arg.events.count; i++)
		if (f->events[i].type == BRAID_EVENT_BUF_RETIRED)
			abi_put(a, f->events[i].id);
}

int abi_jobs(struct peer *a, struct abi_fetch *f, uint64_t model, uint32_t count, int timeout_ms)
{
	int ret;

	do {
		abi_fetch(a, f, model, count);
		ret = abi_fetched(f, timeout_ms);
		if (!ret)
			put_retired(a, f);
	} while (!ret && !f->arg.jobs.count);
	return ret;
}

void abi_drain(struct peer *a)
{
	struct abi_fetch f;

	do {
		f.arg = (struct braid_fetch){
			.size = sizeof(f.arg), .flags = BRAID_FETCH_NONBLOCK,
			.wants = { sizeof(f.wants[0]), 0, 0 },
			.events = { sizeof(f.events[0]), 128, (uintptr_t)f.events },
		};
		if (abi_call(a, BRAID_NR_FETCH, &f.arg))
			return;
		put_retired(a, &f);
	} while (f.arg.events.count);
}

int abi_commit(struct peer *a, uint64_t generation, uint64_t cookie, int status)
{
	struct braid_result res = { .cookie = cookie, .device_ns = 6000, .status = status,
				    .merge_degree = 1, .fuse_degree = 1 };
	struct braid_commit c = {
		.size = sizeof(c), .generation = generation,
		.results = { sizeof(res), 1, (uintptr_t)&res },
	};
	int ret = abi_call(a, BRAID_NR_COMMIT, &c);

	return ret ? ret : res.result;
}

void abi_commit_all(struct peer *a, const struct abi_fetch *f)
{
	for (uint32_t i = 0; i < f->arg.jobs.count; i++)
		abi_commit(a, a->generation, f->jobs[i].cookie, 0);
}

int abi_put(struct peer *a, uint64_t buf)
{
	struct braid_buf_put p = { .size = sizeof(p), .id = buf };

	return abi_call(a, BRAID_NR_BUF_PUT, &p);
}

void abi_knob(const char *name, const char *value)
{
	int ret = abi->knob(name, value);

	if (ret)
		ok(false, "knob %s is set to %s: %s", name, value, strerror(-ret));
}
