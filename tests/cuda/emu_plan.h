/* SPDX-License-Identifier: MIT */
/*
 * Runs GPU plans on the host: every step a grid of emulated kernels, memory as
 * a lane has it, between pages that nobody may touch.
 *
 * Steps run in an order of their own at each run, that respects dependencies
 * and nothing else; memory that nothing wrote is NaN. Products run at random by
 * the tile that they would be specialised for, or by their generic entry.
 */
#ifndef BRAID_TESTS_CUDA_EMU_PLAN_H
#define BRAID_TESTS_CUDA_EMU_PLAN_H

#include <stdint.h>

#include "agent/cuda/plan.h"
#include "tests/cuda/emu.h"

struct emu_lane;

/** emu_find() - a linked-in entry by name, NULL where there is none */
emu_entry emu_find(const char *name);

/** emu_find_exact() - the tile that a specialised kernel calls; NULL: the generic one has it */
emu_entry emu_find_exact(const char *call);

/**
 * emu_lane_new() - memory for a plan
 * @plan: the plan, must outlive the lane
 * @degree: the largest that will run
 */
struct emu_lane *emu_lane_new(const struct gpu_plan *plan, uint32_t degree);
void emu_lane_free(struct emu_lane *lane);

/**
 * emu_lane_run() - one launch
 * @lane: the lane
 * @degree: requests
 * @io: @degree rows of n_inputs + n_outputs pointers, aligned to 16 bytes
 * @seed: of the orders
 *
 * Return: 0, or -ENOENT for a kernel that is not linked in. A step that broke
 * what the plan promises (scratch not left zero) ends the process with words.
 */
int emu_lane_run(struct emu_lane *lane, uint32_t degree, void *const *io, uint64_t seed);

#endif
