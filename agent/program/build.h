/* SPDX-License-Identifier: MIT */
/*
 * A program while it is being written.
 *
 * Emitters (agent/onnx/op_*.c) append operations, passes (pass_*.c) rewrite
 * them, build_finish() turns the result into an immutable struct program with
 * storages, a coloured arena and dependencies. The operations are struct
 * prog_op from the start; what a builder adds is one more kind, BUILD_VIEW
 * (same elements in the same order under another shape), which costs nothing
 * and is gone after build_finish().
 *
 * Errors stick. The first failure is kept with its words in b->err and b->why,
 * and every function after it does nothing and returns tensor 0, a scalar that
 * exists only for that. So an emitter checks b->err (or returns) where it
 * would otherwise loop or compute on nonsense, and nowhere else.
 *
 * Tensors and operations stay where they are until build_free(): a pointer to
 * one is good as long as the builder. Owns all of its memory; borrows what
 * build_const_ref() was given. No lock: one thread.
 */
#ifndef BRAID_AGENT_PROGRAM_BUILD_H
#define BRAID_AGENT_PROGRAM_BUILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/program/program.h"

/* Kinds that only a builder knows. */
#define BUILD_VIEW	((enum prog_kind)PROG_KINDS)		/* in: x; same elements */
#define BUILD_DEAD	((enum prog_kind)(PROG_KINDS + 1))	/* removed, skip it */

/* Bounds against hostile files; far above any model that is meant seriously. */
#define BUILD_MAX_OPS		32768u
#define BUILD_MAX_TENSORS	262144u
#define BUILD_MAX_TENSOR_BYTES	(1ull << 32)
#define BUILD_MAX_BYTES		(1ull << 34)	/* constants, and the arena */

enum build_from {
	BUILD_FROM_NOTHING,	/* made, but no operation writes it (yet) */
	BUILD_FROM_OP,
	BUILD_FROM_INPUT,
	BUILD_FROM_CONST,
};

/**
 * struct build_tensor - a tensor of a program that is being written
 * @type: element type
 * @rank: number of dimensions
 * @dims: extents, all >= 1; 0 only in constants, which no operation may read
 *        then (an absent roi, the shape of a scalar)
 * @elems: their product
 * @from: who makes it
 * @input: BUILD_FROM_INPUT: number of the model's input
 * @data: BUILD_FROM_CONST: its elements, dense, aligned for the type
 * @def: BUILD_FROM_OP: the operation that writes it
 */
struct build_tensor {
	enum braid_type type;
	uint32_t rank;
	int64_t dims[PROG_MAX_RANK];
	int64_t elems;
	enum build_from from;
	uint32_t input;
	const void *data;
	struct prog_op *def;
};

struct build_io {
	char *name;
	uint32_t tensor;
};

struct build_chunk;

/**
 * struct build - a program that is being written
 * @tensors: by number; 0 is the tensor that failed calls return
 * @ops: in topological order, except inside of a pass (see build_sort())
 * @inputs: of the model, in the file's order
 * @outputs: of the model, in the file's order
 * @node: stamped on the operations that are appended, may be NULL
 * @op_type: likewise
 * @const_bytes: bytes of constants made here, not borrowed
 * @max_const_bytes: bound on them
 * @max_bytes: bound on a tensor, on all constants of the program, on the arena
 * @fold_work: what constant folding has cost so far
 * @nowhere: what build_op() returns without memory
 * @err: first failure, negative errno, or 0
 * @why: its words
 */
struct build {
	struct build_tensor **tensors;
	struct prog_op **ops;
	struct build_io *inputs, *outputs;
	uint32_t n_tensors, n_ops, n_inputs, n_outputs;
	uint32_t cap_tensors, cap_ops;
	const char *node, *op_type;
	uint64_t const_bytes, max_const_bytes, max_bytes, fold_work;
	struct prog_op nowhere;
	int err;
	char why[512];
	struct build_chunk *chunks;
};

/** build_new() - an empty builder, or NULL without memory */
struct build *build_new(void);
void build_free(struct build *b);

/** build_fail() - keep the first failure; returns tensor 0 for `return build_fail(...)` */
__attribute__((format(printf, 3, 4)))
uint32_t build_fail(struct build *b, int err, const char *fmt, ...);

/** build_alloc() - zeroed memory that lives as long as @b; NULL: -ENOMEM is set */
void *build_alloc(struct build *b, size_t bytes);
char *build_strdup(struct build *b, const char *s);

/* ---- tensors ---- */

/** build_t() - the tensor numbered @t; tensor 0 where @t is none of ours */
struct build_tensor *build_t(const struct build *b, uint32_t t);

/** build_tensor() - a tensor that an operation will write (build_set_out()) */
uint32_t build_tensor(struct build *b, enum braid_type type, uint32_t rank,
		      const int64_t *dims);
uint32_t build_input(struct build *b, const char *name, enum braid_type type,
		     uint32_t rank, const int64_t *dims);
void build_output(struct build *b, const char *name, uint32_t t);

/** build_const() - a constant whose elements are copied from @data */
uint32_t build_const(struct build *b, enum braid_type type, uint32_t rank,
		     const int64_t *dims, const void *data);

/** build_const_new() - a zeroed constant; @data points at its elements, to be filled */
uint32_t build_const_new(struct build *b, enum braid_type type, uint32_t rank,
			 const int64_t *dims, void **data);

/** build_const_ref() - a constant whose elements stay the caller's until build_free() */
uint32_t build_const_ref(struct build *b, enum braid_type type, uint32_t rank,
			 const int64_t *dims, const void *data);

/** build_scalar() - a constant of rank 0 of any type, converted from @v */
uint32_t build_scalar(struct build *b, enum braid_type type, double v);

/** build_fill() - a constant with all elements @v */
uint32_t build_fill(struct build *b, enum braid_type type, uint32_t rank,
		    const int64_t *dims, double v);

/** build_i64s() - an int64 constant of rank 1 */
uint32_t build_i64s(struct build *b, uint32_t n, const int64_t *v);

bool build_is_const(const struct build *b, uint32_t t);

/**
 * build_splat() - is @t a constant whose elements all have one value?
 *
 * A view of a constant is a constant. Return: true, and the value in @v.
 */
bool build_splat(const struct build *b, uint32_t t, double *v);

/** build_elem() - element @i of constant @t as a double (0 where there is none) */
double build_elem(const struct build *b, uint32_t t, int64_t i);

bool build_same_shape(const struct build *b, uint32_t s, uint32_t t);

/* ---- operations, the plain way ---- */

/**
 * build_op() - append an operation
 *
 * @in is copied; outputs are PROG_NONE until build_set_out(); parameters are
 * zero; no epilogue. Never NULL: after a failure an operation is returned that
 * belongs to no program.
 */
struct prog_op *build_op(struct build *b, enum prog_kind kind, uint32_t n_in,
			 const uint32_t *in, uint32_t n_out);

/** build_set_out() - a fresh tensor becomes output @i of @op; returns its number */
uint32_t build_set_out(struct build *b, struct prog_op *op, uint32_t i,
		       enum braid_type type, uint32_t rank, const int64_t *dims);

/* ---- operations whose output follows from their inputs ---- */

/** build_view() - the same elements under another shape; of a constant, a constant */
uint32_t build_view(struct build *b, uint32_t x, uint32_t rank, const int64_t *dims);

/** build_squeeze() - drop the axes of extent 1 in the mask (bit a: axis a) */
uint32_t build_squeeze(struct build *b, uint32_t x, uint32_t axes);

/** build_unsqueeze() - insert axes of extent 1; the mask counts the result's axes */
uint32_t build_unsqueeze(struct build *b, uint32_t x, uint32_t axes);

/** build_transpose() - axis i of the result is axis @perm[i] of @x */
uint32_t build_transpose(struct build *b, uint32_t x, const uint8_t *perm);

uint32_t build_unary(struct build *b, uint32_t x, enum prog_fn fn, float alpha, float beta);

/** build_binary() - numpy broadcast; comparisons and logic give BOOL, else a's type */
uint32_t build_binary(struct build *b, enum prog_binary fn, uint32_t x, uint32_t y);
uint32_t build_where(struct build *b, uint32_t cond, uint32_t x, uint32_t y);
uint32_t build_cast(struct build *b, uint32_t x, enum braid_type type);
uint32_t build_copy(struct build *b, uint32_t x);

/** build_reduce() - over the axes of the mask; without @keep a view drops them */
uint32_t build_reduce(struct build *b, uint32_t x, enum prog_reduce fn, uint32_t axes,
		      bool keep);

/** build_expand() - broadcast to a shape, numpy's rules, from @x to @dims only */
uint32_t build_expand(struct build *b, uint32_t x, uint32_t rank, const int64_t *dims);
uint32_t build_concat(struct build *b, uint32_t n, const uint32_t *x, int32_t axis);

/** build_slice() - @count elements an axis from @start by @step (may be negative) */
uint32_t build_slice(struct build *b, uint32_t x, const int64_t *start,
		     const int64_t *step, const int64_t *count);
uint32_t build_pad(struct build *b, uint32_t x, enum prog_pad_mode mode,
		   const int64_t *lo, const int64_t *hi, double value);

/** build_gemm() - matrices of rank >= 2, leading dimensions broadcast; @bias or PROG_NONE */
uint32_t build_gemm(struct build *b, uint32_t x, uint32_t y, uint32_t bias,
		    bool trans_a, bool trans_b, float alpha);

/** build_broadcast() - numpy's common shape of two; false where there is none */
bool build_broadcast(const struct build *b, uint32_t x, uint32_t y, uint32_t *rank,
		     int64_t *dims);

/*
 * Channels first to channels last and back, always in the same form, which is
 * what the transpose pass looks for: TRANSPOSE at the model's own rank, and a
 * view to or from rank 5.
 *
 * build_channels_last: [N][C][spatial...] (rank 3 to 5) to [N][D][H][W][C].
 * build_channels_first: rank 5 back to [N][C][spatial...] of rank @rank.
 */
uint32_t build_channels_last(struct build *b, uint32_t x);
uint32_t build_channels_first(struct build *b, uint32_t x, uint32_t rank);

/* ---- folding, passes, the end ---- */

/**
 * build_fold() - run operations whose inputs are all constant, from number @first on
 *
 * Their results become constants, the operations disappear. What would cost
 * too much time or memory stays an operation. @keep: tensors that are needed
 * besides by operations that stay (a node's outputs).
 */
void build_fold(struct build *b, uint32_t first, uint32_t n_keep, const uint32_t *keep);

/** build_passes() - all optimising passes, in their order, to a fixed point */
void build_passes(struct build *b);

/** build_sort() - drop what is dead or unused, put the rest in topological order */
void build_sort(struct build *b);

/**
 * build_finish() - storages, arena, dependencies; verified
 * @b: the builder; stays usable only for build_free()
 * @out: the program, to be freed with program_free()
 *
 * Return: 0, or b->err, the words in b->why.
 */
int build_finish(struct build *b, struct program **out);

#endif
