/* SPDX-License-Identifier: MIT */
/*
 * Walks over index spaces: several operands with strides of their own, cut
 * into pieces that inner loops like. And moves: one strided tensor copied into
 * another, which is what a dozen of kinds are.
 *
 * A walk and a move are made once in prepare() and immutable afterwards.
 */
#ifndef BRAID_AGENT_CPU_WALK_H
#define BRAID_AGENT_CPU_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/program/program.h"

#define WALK_RANK	(2 * PROG_MAX_RANK)	/* a tile has two axes for each of its input's */
#define WALK_OPERANDS	3

/* Elements that make a tile of simple work worth its while. */
#define WALK_GRAIN	32768

/**
 * struct cpu_walk - an index space and how operands lie in it
 * @rank: number of axes, at least 1; axes that lie alike have been joined
 * @dims: extents
 * @stride: of each operand on each axis, in elements; 0 where it is broadcast
 * @elems: number of points
 */
struct cpu_walk {
	uint32_t rank;
	int64_t dims[WALK_RANK];
	int64_t stride[WALK_OPERANDS][WALK_RANK];
	int64_t elems;
};

/**
 * struct cpu_span - a rectangle of a walk: @rows of @n points
 * @at: number of the first point in the walk's order; the points are
 *      consecutive from there on
 * @off: offset of each operand, in elements
 * @rs: from one row to the next, for each operand
 * @cs: from one point of a row to the next
 */
struct cpu_span {
	int64_t at, rows, n;
	int64_t off[WALK_OPERANDS], rs[WALK_OPERANDS], cs[WALK_OPERANDS];
};

/** cpu_walk_start() - an index space as it stands; operands are added, then joined */
void cpu_walk_start(struct cpu_walk *w, uint32_t rank, const int64_t *dims);

/** cpu_walk_bcast() - operand @k is a dense tensor that numpy would broadcast to @w */
void cpu_walk_bcast(struct cpu_walk *w, uint32_t k, const struct prog_tensor *t);

/** cpu_walk_join() - drop axes of extent 1, join those that lie alike */
void cpu_walk_join(struct cpu_walk *w);

/**
 * cpu_walk_span() - the next rectangle of the points from @pos to @end
 * @w: a joined walk
 * @pos: moved behind the rectangle
 * @end: where to stop
 * @most: points in a rectangle at most
 * @s: the rectangle
 *
 * Return: false at the end.
 */
bool cpu_walk_span(const struct cpu_walk *w, int64_t *pos, int64_t end, int64_t most,
		   struct cpu_span *s);

/**
 * struct cpu_move - out[point] = in[point] for all points of an index space
 * @w: operand 0 is the input, 1 the output
 * @size: bytes of an element; after cpu_move_init() perhaps of several joined
 * @base: where the first point of each is, in elements
 * @plane: axis along which the input is dense while the last axis is not:
 *         then the move is a transposition of planes; -1 otherwise
 * @items: what tiles share out: points, or blocks of planes
 * @grain: items that make a tile
 */
struct cpu_move {
	struct cpu_walk w;
	uint32_t size;
	int64_t base[2];
	int32_t plane;
	int64_t items, grain;
};

/**
 * cpu_move_init() - from an index space and strides in elements
 * @m: set here
 * @size: bytes of an element: 1, 2, 4 or 8
 * @rank: up to WALK_RANK
 * @dims: extents
 * @in_base: where the first point of the input is, in elements
 * @in: its strides, may be 0 or negative
 * @out_base: likewise of the output
 * @out: its strides; no two points may meet
 */
void cpu_move_init(struct cpu_move *m, uint32_t size, uint32_t rank, const int64_t *dims,
		   int64_t in_base, const int64_t *in, int64_t out_base, const int64_t *out);

/** cpu_move_run() - items [begin, end) of a move */
void cpu_move_run(const struct cpu_move *m, void *out, const void *in, int64_t begin, int64_t end);

/** cpu_dense() - strides of a dense tensor */
void cpu_dense(uint32_t rank, const int64_t *dims, int64_t *stride);

#endif
