/* SPDX-License-Identifier: MIT */
/*
 * Where the pieces of scratch memory go, so that those alive at one time do
 * not overlap and the whole is small.
 */
#ifndef BRAID_AGENT_PROGRAM_ARENA_H
#define BRAID_AGENT_PROGRAM_ARENA_H

#include <stdint.h>

/**
 * struct arena_block - one piece
 * @bytes: size, a multiple of PROG_ALIGN
 * @first: operation that writes it
 * @last: last operation that reads it, @first where none does
 * @offset: out: where it goes
 */
struct arena_block {
	uint64_t bytes;
	uint32_t first, last;
	uint64_t offset;
};

/**
 * arena_colour() - give every block an offset
 *
 * Large blocks first, each into the tightest gap between the blocks that are
 * alive with it (greedy by size; Pisarchyk and Lee, "Efficient Memory
 * Management for Deep Neural Net Inference", 2020). Quadratic in @n.
 *
 * Return: 0 and the size of the whole in @total; -ENOMEM; -EOVERFLOW.
 */
int arena_colour(struct arena_block *blocks, uint32_t n, uint64_t *total);

#endif
