// SPDX-License-Identifier: MIT
/*
 * The device without libbraid, the agent's side: see dev.h.
 */
#include "tests/vm/dev.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int agent_open(struct agent *a)
{
	memset(a, 0, sizeof(*a));
	for (int i = 0; i < 1000; i++) {
		a->fd = dev_open(DEV_AGENT, 0);
		if (a->fd != -EBUSY)
			break;
		dev_sleep_ms(1);
	}
	return a->fd < 0 ? a->fd : 0;
}

static void unmap(struct agent *a, unsigned int i)
{
	if (a->maps[i].at)
		munmap(a->maps[i].at, a->maps[i].length);
	memset(&a->maps[i], 0, sizeof(a->maps[i]));
}

void agent_close(struct agent *a)
{
	for (unsigned int i = 0; i < AGENT_MAPS; i++)
		unmap(a, i);
	close(a->fd);
	a->fd = -1;
}

uint64_t agent_model(struct agent *a, const char *name, uint8_t digest, uint64_t bytes, int *err)
{
	struct braid_tensor t[2] = {
		{ .name = "in", .type = BRAID_TYPE_U8, .rank = 1, .dims = { bytes },
		  .bytes = bytes },
		{ .name = "out", .type = BRAID_TYPE_U8, .rank = 1, .dims = { bytes },
		  .bytes = bytes },
	};
	struct braid_model_put p = {
		.size = sizeof(p), .device_ns = 100000, .n_inputs = 1, .n_outputs = 1,
		.tensors = { sizeof(t[0]), 2, (uintptr_t)t },
	};
	int ret;

	snprintf(p.name, sizeof(p.name), "%s", name);
	p.digest[0] = digest;
	ret = dev_call(a->fd, BRAID_NR_MODEL_PUT, &p);
	if (err)
		*err = ret;
	return ret ? 0 : p.id;
}

int agent_ready(struct agent *a)
{
	struct braid_ready r = { .size = sizeof(r) };
	int ret = dev_call(a->fd, BRAID_NR_READY, &r);

	if (!ret)
		a->generation = r.generation;
	return ret;
}

uint64_t agent_start(struct agent *a, uint64_t bytes)
{
	uint64_t id;

	if (agent_open(a))
		return 0;
	id = agent_model(a, "inverse", 1, bytes, NULL);
	return id && !agent_ready(a) ? id : 0;
}

int agent_fetch(struct agent *a, uint64_t model, uint32_t count, uint32_t flags)
{
	struct braid_want want = { .model = model, .count = count };

	a->arg = (struct braid_fetch){
		.size = sizeof(a->arg), .flags = flags,
		.wants = { sizeof(want), model ? 1 : 0, (uintptr_t)&want },
		.jobs = { sizeof(a->jobs[0]), BRAID_MAX_BATCH, (uintptr_t)a->jobs },
		.slices = { sizeof(a->slices[0]), BRAID_MAX_BATCH * 2, (uintptr_t)a->slices },
		.events = { sizeof(a->events[0]), 64, (uintptr_t)a->events },
	};
	return dev_call(a->fd, BRAID_NR_FETCH, &a->arg);
}

/* Its place, or a free one for it; AGENT_MAPS when there is none. */
static unsigned int place(const struct agent *a, uint64_t id)
{
	for (unsigned int i = 0; i < AGENT_MAPS; i++) {
		unsigned int at = (id + i) % AGENT_MAPS;

		if (a->maps[at].id == id)
			return at;
	}
	for (unsigned int i = 0; i < AGENT_MAPS; i++) {
		unsigned int at = (id + i) % AGENT_MAPS;

		if (!a->maps[at].id)
			return at;
	}
	return AGENT_MAPS;
}

static uint8_t *map(struct agent *a, uint64_t id)
{
	struct braid_buf_get_fd get = { .size = sizeof(get), .id = id };
	unsigned int i = place(a, id);
	void *p;

	if (i == AGENT_MAPS)
		return NULL;
	if (a->maps[i].id)
		return a->maps[i].at;
	if (dev_call(a->fd, BRAID_NR_BUF_GET_FD, &get))
		return NULL;
	p = mmap(NULL, get.length, PROT_READ | PROT_WRITE, MAP_SHARED, get.fd, 0);
	close(get.fd);
	if (p == MAP_FAILED)
		return NULL;
	a->maps[i].id = id;
	a->maps[i].length = get.length;
	a->maps[i].at = p;
	return p;
}

int agent_jobs(struct agent *a, uint64_t model, uint32_t count, uint32_t flags)
{
	int ret = agent_fetch(a, model, count, flags);

	for (uint32_t i = 0; !ret && i < a->arg.events.count; i++) {
		struct braid_buf_put put = { .size = sizeof(put), .id = a->events[i].id };
		unsigned int at;

		if (a->events[i].type != BRAID_EVENT_BUF_RETIRED)
			continue;
		at = place(a, put.id);
		if (at < AGENT_MAPS && a->maps[at].id == put.id)
			unmap(a, at);
		ret = dev_call(a->fd, BRAID_NR_BUF_PUT, &put);
	}
	return ret;
}

bool agent_run(struct agent *a, unsigned int i)
{
	const struct braid_slice *s = &a->slices[a->jobs[i].first_slice];
	volatile const uint8_t *in = map(a, s[0].buffer);
	volatile uint8_t *out = map(a, s[1].buffer);

	if (!in || !out)
		return false;
	for (uint64_t k = 0; k < s[1].length; k++)
		out[s[1].offset + k] = ~in[s[0].offset + k];
	return true;
}

int agent_commit(struct agent *a, uint64_t generation, uint64_t cookie, int status)
{
	struct braid_result res = { .cookie = cookie, .device_ns = 1000, .status = status,
				    .merge_degree = 1, .fuse_degree = 1 };
	struct braid_commit c = {
		.size = sizeof(c), .generation = generation,
		.results = { sizeof(res), 1, (uintptr_t)&res },
	};
	int ret = dev_call(a->fd, BRAID_NR_COMMIT, &c);

	return ret ? ret : res.result;
}

int agent_finish(struct agent *a)
{
	struct braid_result res[BRAID_MAX_BATCH] = { 0 };
	struct braid_commit c = {
		.size = sizeof(c), .generation = a->generation,
		.results = { sizeof(res[0]), a->arg.jobs.count, (uintptr_t)res },
	};

	if (!a->arg.jobs.count)
		return 0;
	for (uint32_t i = 0; i < a->arg.jobs.count; i++) {
		res[i].cookie = a->jobs[i].cookie;
		res[i].status = agent_run(a, i) ? 0 : -EFAULT;
		res[i].device_ns = 1000;
		res[i].merge_degree = a->arg.jobs.count;
		res[i].fuse_degree = 1;
	}
	return dev_call(a->fd, BRAID_NR_COMMIT, &c);
}

int agent_serve(struct agent *a, uint64_t model, uint32_t count)
{
	int ret;

	do {
		ret = agent_jobs(a, model, count, 0);
		if (!ret)
			ret = agent_finish(a);
	} while (!ret || ret == -EINTR);
	return ret;
}
