/* SPDX-License-Identifier: MIT */
/*
 * What k_reduce.c and reduce_types.c share: the shape of a reduction.
 */
#ifndef BRAID_AGENT_CPU_REDUCE_H
#define BRAID_AGENT_CPU_REDUCE_H

#include "agent/cpu/walk.h"
#include "agent/program/program.h"

#define REDUCE_BLOCK	1024	/* accumulators of an item */

/* Some axes of the input and how it lies along them. */
struct reduce_axes {
	uint32_t rank;
	int64_t dims[PROG_MAX_RANK], stride[PROG_MAX_RANK];
	int64_t elems;
};

/**
 * struct reduce - a reduction, its axes joined
 * @type: of the elements
 * @fn: what to do
 * @keep: kept axes, but for the last axis
 * @over: reduced axes, but for the last axis
 * @run: extent of the last axis if it is reduced, else 1
 * @width: extent of the last axis if it is kept, else 1
 * @count: elements that go into one result
 * @blocks: items that a row of @width is cut into
 * @items: all of them
 * @grain: items that make a tile
 */
struct reduce {
	enum braid_type type;
	enum prog_reduce fn;
	struct reduce_axes keep, over;
	int64_t run, width, count, blocks, items, grain;
};

/** reduce_offset() - offset of point @i of some axes */
int64_t reduce_offset(const struct reduce_axes *a, int64_t i);

/** reduce_any_item() - item @item of a reduction of another type than fp32 */
void reduce_any_item(const struct reduce *d, void *y, const void *x, int64_t item);

#endif
