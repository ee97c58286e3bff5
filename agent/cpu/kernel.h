/* SPDX-License-Identifier: MIT */
/*
 * The inside of the CPU backend: what a kernel is and what it may see.
 *
 * One struct cpu_kernel a kind of operation, found through cpu_kernel_of().
 * An operation at merge degree R is cut into tiles that may run in any order
 * on any threads at the same time; the executor starts them once everything
 * that the operation depends on is complete. A tile writes only what no other
 * tile of its operation reads or writes.
 *
 * On the run path nothing allocates, locks or logs. A kernel that needs room
 * says so in prepare() and gets it as cpu_run.scratch: its own, uninitialised,
 * CPU_SCRATCH_ALIGN aligned, valid for one tile.
 *
 * No lock: everything here is immutable once prepared, but for the scratch.
 */
#ifndef BRAID_AGENT_CPU_KERNEL_H
#define BRAID_AGENT_CPU_KERNEL_H

#include <stddef.h>
#include <stdint.h>

#include "agent/program/program.h"

#define CPU_SCRATCH_ALIGN	64u
#define CPU_SCRATCH_MAX		(64u << 20)	/* bytes that prepare() may ask for */

/**
 * struct cpu_run - one group of a launch as its tiles see it
 * @prog: the program
 * @degree: number of requests, R
 * @arena: scratch memory of the launch, R * prog->arena_bytes
 * @io: R rows of n_inputs + n_outputs pointers, inputs first
 * @scratch: of the thread that runs the tile
 */
struct cpu_run {
	const struct program *prog;
	uint32_t degree;
	uint8_t *arena;
	void *const *io;
	void *scratch;
};

struct cpu_kernel;

/**
 * struct cpu_op - an operation made ready to run
 * @prog: its program
 * @op: what is to be done
 * @kernel: who does it
 * @scratch: bytes a tile needs at most, set by prepare(); same for every degree
 * @priv: prepare()'s own: packed weights, choices; freed by release()
 */
struct cpu_op {
	const struct program *prog;
	const struct prog_op *op;
	const struct cpu_kernel *kernel;
	size_t scratch;
	void *priv;
};

/**
 * struct cpu_kernel - how a kind of operation is done
 * @check: can this one be done? 0, or cpu_refuse(). Called for every operation
 *         before prepare(); all that depends on types and parameters is here.
 *         Shapes have been proved by program_verify().
 * @prepare: optional. Once, at load, on any thread: pack, choose, reserve.
 *           0, or -ENOMEM having freed what it took. May set co->kernel to a
 *           special one
 * @release: optional, undoes prepare()
 * @tiles: number of tiles at this degree, >= 1. Must not depend on the number
 *         of threads. A tile should be worth some 20 to 200 us
 * @run: do tile number @tile of @n_tiles
 */
struct cpu_kernel {
	int (*check)(const struct program *p, const struct prog_op *op, char *why, size_t len);
	int (*prepare)(struct cpu_op *co);
	void (*release)(struct cpu_op *co);
	uint32_t (*tiles)(const struct cpu_op *co, uint32_t degree);
	void (*run)(const struct cpu_run *run, const struct cpu_op *co,
		    uint32_t tile, uint32_t n_tiles);
};

/** cpu_kernel_of() - the kernel of a kind, NULL where there is none (table.c) */
const struct cpu_kernel *cpu_kernel_of(enum prog_kind kind);

/**
 * cpu_refuse() - say why an operation cannot run here
 *
 * Writes "<op type> node '<name>': <words>" to @why. Return: -EOPNOTSUPP.
 */
int cpu_refuse(const struct prog_op *op, char *why, size_t len, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/** cpu_check_f32() - refuse an operation that has inputs or outputs of other types */
int cpu_check_f32(const struct program *p, const struct prog_op *op, char *why, size_t len);

/** cpu_ops_prepare() - check and prepare all operations of a program
 * @p: a verified program
 * @ops: n_ops elements, set here; freed by cpu_ops_release()
 * @scratch: the most that a tile needs
 *
 * Return: 0, -EOPNOTSUPP or -ENOMEM with words in @why.
 */
int cpu_ops_prepare(const struct program *p, struct cpu_op **ops, size_t *scratch,
		    char *why, size_t len);
void cpu_ops_release(struct cpu_op *ops, uint32_t n_ops);

/** cpu_ops_check() - would cpu_ops_prepare() take this program? */
int cpu_ops_check(const struct program *p, char *why, size_t len);

static inline const struct prog_tensor *cpu_tensor(const struct cpu_op *co, uint32_t t)
{
	return &co->prog->tensors[t];
}

/* The tensor of input or output @i; must not be PROG_NONE. */
static inline const struct prog_tensor *cpu_in_tensor(const struct cpu_op *co, uint32_t i)
{
	return &co->prog->tensors[co->op->in[i]];
}

static inline const struct prog_tensor *cpu_out_tensor(const struct cpu_op *co, uint32_t i)
{
	return &co->prog->tensors[co->op->out[i]];
}

/* Is there an input or output @i? */
static inline bool cpu_has_in(const struct prog_op *op, uint32_t i)
{
	return i < op->n_in && op->in[i] != PROG_NONE;
}

static inline bool cpu_has_out(const struct prog_op *op, uint32_t i)
{
	return i < op->n_out && op->out[i] != PROG_NONE;
}

/* Where tensor @t of request @r is. */
static inline void *cpu_ptr(const struct cpu_run *run, uint32_t t, uint32_t r)
{
	const struct program *p = run->prog;
	const struct prog_storage *s = &p->storages[p->tensors[t].storage];
	uint32_t width = p->n_inputs + p->n_outputs;

	switch (s->place) {
	case PROG_INPUT:
		return run->io[(size_t)r * width + s->index];
	case PROG_OUTPUT:
		return run->io[(size_t)r * width + p->n_inputs + s->index];
	case PROG_CONST:
		return p->consts + s->offset;
	default:
		return run->arena + run->degree * s->offset + r * s->bytes;
	}
}

/* Where input or output @i of request @r is. */
static inline const void *cpu_in(const struct cpu_run *run, const struct cpu_op *co,
				 uint32_t i, uint32_t r)
{
	return cpu_ptr(run, co->op->in[i], r);
}

static inline void *cpu_out(const struct cpu_run *run, const struct cpu_op *co,
			    uint32_t i, uint32_t r)
{
	return cpu_ptr(run, co->op->out[i], r);
}

/* Is tensor @t the same memory for every request? */
static inline bool cpu_is_const(const struct program *p, uint32_t t)
{
	return p->storages[p->tensors[t].storage].place == PROG_CONST;
}

/* The value of a constant tensor, NULL if it is no constant: for prepare(). */
static inline const void *cpu_const(const struct program *p, uint32_t t)
{
	const struct prog_storage *s = &p->storages[p->tensors[t].storage];

	return s->place == PROG_CONST ? p->consts + s->offset : NULL;
}

/**
 * cpu_stride() - bytes from tensor @t of one request to that of the next
 *
 * Arena tensors: the size of the storage, which is the tensor's rounded up to
 * PROG_ALIGN: "back to back" when the two are equal. Constants: 0. Inputs and
 * outputs lie anywhere: -1, go through cpu_ptr() for each request.
 */
static inline int64_t cpu_stride(const struct program *p, uint32_t t)
{
	const struct prog_storage *s = &p->storages[p->tensors[t].storage];

	switch (s->place) {
	case PROG_ARENA:
		return (int64_t)s->bytes;
	case PROG_CONST:
		return 0;
	default:
		return -1;
	}
}

/**
 * struct cpu_piece - what one tile does of R requests of @items items each
 * @r: first request
 * @r_end: behind the last
 * @begin: first item, of each of these requests
 * @end: behind the last
 *
 * Either a part of one request or several requests whole. An item is what the
 * kernel likes: an element, a row, an image.
 */
struct cpu_piece {
	uint32_t r, r_end;
	int64_t begin, end;
};

/* Number of tiles when a tile is to do about @grain items (>= 1). */
static inline uint32_t cpu_pieces(uint32_t degree, int64_t items, int64_t grain)
{
	if (items >= grain)
		return (uint32_t)(degree * ((items + grain - 1) / grain));
	return (uint32_t)((degree + grain / items - 1) / (grain / items));
}

static inline struct cpu_piece cpu_piece(uint32_t degree, int64_t items, int64_t grain,
					 uint32_t tile)
{
	struct cpu_piece c = { .end = items };

	if (items >= grain) {
		uint32_t cuts = (uint32_t)((items + grain - 1) / grain);
		int64_t k = tile % cuts;

		c.r = tile / cuts;
		c.r_end = c.r + 1;
		c.begin = items * k / cuts;
		c.end = items * (k + 1) / cuts;
	} else {
		uint32_t many = (uint32_t)(grain / items);

		c.r = tile * many;
		c.r_end = c.r + many < degree ? c.r + many : degree;
	}
	return c;
}

/* One a kind; the file k_<name>.c defines it. */
extern const struct cpu_kernel cpu_k_conv, cpu_k_conv_transpose, cpu_k_gemm, cpu_k_pool;
extern const struct cpu_kernel cpu_k_rnn, cpu_k_softmax, cpu_k_norm, cpu_k_reduce;
extern const struct cpu_kernel cpu_k_resize;
extern const struct cpu_kernel cpu_k_argreduce, cpu_k_unary, cpu_k_binary, cpu_k_where;
extern const struct cpu_kernel cpu_k_cast, cpu_k_lrn, cpu_k_transpose, cpu_k_copy;
extern const struct cpu_kernel cpu_k_slice, cpu_k_concat, cpu_k_pad, cpu_k_expand;
extern const struct cpu_kernel cpu_k_tile, cpu_k_gather, cpu_k_gather_elements;
extern const struct cpu_kernel cpu_k_gather_nd, cpu_k_scatter_elements;
extern const struct cpu_kernel cpu_k_scatter_nd, cpu_k_cumsum, cpu_k_topk;
extern const struct cpu_kernel cpu_k_onehot, cpu_k_trilu, cpu_k_quantize;
extern const struct cpu_kernel cpu_k_dequantize;

#endif
