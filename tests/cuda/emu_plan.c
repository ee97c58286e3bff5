// SPDX-License-Identifier: MIT
/*
 * Plans under the engine, see emu_plan.h. Owns a lane's memory.
 */
#include "tests/cuda/emu_plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Memory whose last byte is followed by a page that faults, as is its first preceded. */
struct area {
	uint8_t *map, *at;
	size_t map_bytes, bytes;
};

struct emu_lane {
	const struct gpu_plan *plan;
	uint32_t degree;
	struct area image, arena, scratch, io;
};

static void give_up(const char *why)
{
	fprintf(stderr, "emulated plan: %s\n", why);
	abort();
}

static void area_make(struct area *a, uint64_t bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), room = (bytes + 255) / 256 * 256;

	a->bytes = bytes;
	a->map_bytes = (room + page - 1) / page * page + 2 * page;
	a->map = mmap(NULL, a->map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (a->map == MAP_FAILED)
		give_up("no memory");
	mprotect(a->map, page, PROT_NONE);
	mprotect(a->map + a->map_bytes - page, page, PROT_NONE);
	a->at = a->map + a->map_bytes - page - room;
}

static void area_drop(struct area *a)
{
	if (a->map)
		munmap(a->map, a->map_bytes);
}

struct emu_lane *emu_lane_new(const struct gpu_plan *plan, uint32_t degree)
{
	struct emu_lane *lane = calloc(1, sizeof(*lane));
	uint64_t zero;

	if (!lane)
		give_up("no memory");
	lane->plan = plan;
	lane->degree = degree;
	area_make(&lane->image, plan->image_bytes);
	if (plan->image_bytes)
		memcpy(lane->image.at, plan->image, plan->image_bytes);
	area_make(&lane->arena, plan->arena_bytes * degree);
	area_make(&lane->scratch, gpu_plan_scratch(plan, degree, &zero));
	memset(lane->scratch.at, 0xff, lane->scratch.bytes);
	memset(lane->scratch.at, 0, zero);
	area_make(&lane->io, (uint64_t)degree * (plan->n_inputs + plan->n_outputs) * sizeof(uint64_t));
	return lane;
}

void emu_lane_free(struct emu_lane *lane)
{
	if (!lane)
		return;
	area_drop(&lane->image);
	area_drop(&lane->arena);
	area_drop(&lane->scratch);
	area_drop(&lane->io);
	free(lane);
}

static uint64_t next(uint64_t *s)
{
	uint64_t z = (*s += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static int run_step(struct emu_lane *lane, uint32_t step, uint32_t degree, uint64_t seed)
{
	const struct gpu_addresses at = {
		.weights = (uintptr_t)lane->image.at, .arena = (uintptr_t)lane->arena.at,
		.scratch = (uintptr_t)lane->scratch.at, .io = (uintptr_t)lane->io.at,
	};
	const struct gpu_kernel *k;
	struct gpu_launch launch;
	emu_entry entry;
	int err;

	err = gpu_step_bind(lane->plan, step, degree, &at, &launch);
	if (err)
		return err;
	k = &lane->plan->kernels[launch.kernel];
	entry = seed % 4 ? emu_find_exact(k->call) : NULL;
	if (!entry)
		entry = emu_find(k->generic);
	if (!entry)
		return -ENOENT;
	emu_launch(entry, launch.grid, k->smem, launch.args, seed);
	return 0;
}

int emu_lane_run(struct emu_lane *lane, uint32_t degree, void *const *io, uint64_t seed)
{
	uint32_t n = lane->plan->n_steps, left = n, width = lane->plan->n_inputs + lane->plan->n_outputs;
	bool *done = calloc(n + 1, sizeof(*done));
	uint64_t zero;
	int err = 0;

	if (!done || degree > lane->degree)
		give_up("no memory, or too large a degree");
	memset(lane->arena.at, 0xff, lane->arena.bytes);
	for (uint32_t i = 0; i < degree * width; i++)
		((uint64_t *)lane->io.at)[i] = (uintptr_t)io[i];
	while (left && !err) {
		uint32_t start = (uint32_t)(next(&seed) % n), i, v = n;

		/* Some step that may run. */
		for (i = 0; i < n && v == n; i++) {
			const struct gpu_step *s = &lane->plan->steps[(start + i) % n];
			bool ready = !done[(start + i) % n];

			for (uint32_t k = 0; k < s->n_deps && ready; k++)
				ready = done[s->deps[k]];
			if (ready)
				v = (start + i) % n;
		}
		if (v == n)
			give_up("no step may run");
		err = run_step(lane, v, degree, next(&seed));
		done[v] = true;
		left--;
	}
	free(done);
	gpu_plan_scratch(lane->plan, degree, &zero);
	for (uint64_t i = 0; i < zero && !err; i++)
		if (lane->scratch.at[i])
			give_up("scratch was not left zero");
	return err;
}
