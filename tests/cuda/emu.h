/* SPDX-License-Identifier: MIT */
/*
 * Runs kernels on the host: those of kernels/ compiled with BRAID_EMULATE.
 *
 * Every thread of a block is a fiber; barriers and warp operations are meeting
 * points. Blocks run one after the other in an order that the seed shuffles, and
 * so do the warps of a block between two barriers: what depends on an order is
 * found by running with several seeds.
 * Shared memory starts as NaNs. Copies in the background arrive when they are
 * waited for and no sooner. A broken rule (a deadlock, a misaligned access)
 * ends the process with words.
 *
 * Any number of threads may run launches at the same time.
 */
#ifndef BRAID_TESTS_CUDA_EMU_H
#define BRAID_TESTS_CUDA_EMU_H

#include <stdint.h>

#include "kernels/emu_ops.h"

/**
 * emu_launch() - run a grid to its end
 * @entry: the kernel
 * @grid: blocks
 * @smem: bytes of shared memory of a block
 * @args: the argument struct
 * @seed: of the order
 */
void emu_launch(emu_entry entry, unsigned int grid, unsigned int smem, const void *args, uint64_t seed);

#endif
