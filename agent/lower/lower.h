/* SPDX-License-Identifier: MIT */
/*
 * The inside of the lowering: a program becomes buffers, values and steps, and
 * these a struct gpu_plan (agent/cuda/plan.h).
 *
 *   buffer	memory of one request: in the arena, the tenant's, or constant
 *   value	a view of a buffer as a tensor: type, extents, strides
 *   step	one launch: a kernel, an argument struct, who is read and written
 *
 * Every storage of the program has a value as its producer wrote it; a reader
 * that wants another shape, layout or type gets a view, or a step that copies.
 * So moves (transpose, slice, expand) cost nothing where the consumer takes
 * strides.
 *
 * Errors stick: the first is kept in @err with its words, and what follows does
 * nothing. Owns its memory in chunks that the finished plan takes over. One
 * thread.
 */
#ifndef BRAID_AGENT_LOWER_LOWER_H
#define BRAID_AGENT_LOWER_LOWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/cuda/plan.h"
#include "agent/program/program.h"
#include "kernels/args.h"

#define LOWER_RANK	PROG_MAX_RANK
#define LOWER_NONE	UINT32_MAX
#define LOWER_MAX_REFS	16	/* tensors of a step */
#define LOWER_MAX_SLOTS	32	/* of scratch: steps that need some at one time */

enum buf_place { BUF_ARENA, BUF_INPUT, BUF_OUTPUT, BUF_CONST };

/**
 * struct lower_buf - memory of one request
 * @place: where
 * @index: number of the input or output
 * @bytes: size; in the arena a multiple of 16
 * @offset: in the image (BUF_CONST), in the arena once it is coloured
 */
struct lower_buf {
	enum buf_place place;
	uint32_t index;
	uint64_t bytes, offset;
};

/**
 * struct lower_val - a tensor in a buffer
 * @buf: which, LOWER_NONE: no value
 * @type: enum k_type of its elements
 * @rank: number of axes
 * @dims: extents
 * @stride: in elements
 * @off: of the first element, in elements
 * @padded: behind each row of the last axis there are finite numbers up to a
 *          multiple of eight
 */
struct lower_val {
	uint32_t buf, type, rank;
	int64_t dims[LOWER_RANK], stride[LOWER_RANK], off;
	bool padded;
};

/* How a reference stands in the arguments. */
enum lower_form {
	LOWER_REF,	/* a k_ref */
	LOWER_ADDRESS,	/* a k_u64: of a constant, or of request 0's in the arena */
};

/* A tensor that a step's arguments refer to. */
struct lower_ref {
	uint16_t at;		/* in the argument struct */
	uint8_t form;
	bool write;
	uint32_t buf;
	int64_t off;		/* bytes */
};

struct lower_step;

/**
 * typedef lower_bind - finish a step's launch for a degree
 * @s: the step
 * @degree: requests
 * @args: the arguments, references filled in
 * @out: the launch: kernel and grid are set here
 */
typedef void (*lower_bind)(const struct lower_step *s, uint32_t degree, void *args,
			   struct gpu_launch *out);

/**
 * struct lower_scratch - memory of a step for the time that it runs
 * @zero: bytes of counters, zero before and after
 * @bytes: of everything else
 */
struct lower_scratch {
	uint64_t zero, bytes;
};

/**
 * struct lower_step - a launch
 * @pub: what everybody may see
 * @kernel: number
 * @args: template of the argument struct
 * @args_bytes: its size
 * @degree_at: where the degree stands in it
 * @grid: blocks a request, where @bind is NULL
 * @bind: else
 * @scratch: what it needs at a degree, or NULL
 * @scratch_at: where two k_u64 stand in it: that memory, and the counters
 * @slot: of scratch; steps that may run at one time have different ones
 * @refs: tensors read and written
 * @priv: the bind function's own
 */
struct lower_step {
	struct gpu_step pub;
	uint32_t kernel, args_bytes, degree_at, grid;
	void *args;
	lower_bind bind;
	struct lower_scratch (*scratch)(const struct lower_step *s, uint32_t degree);
	uint32_t scratch_at, slot;
	struct lower_ref refs[LOWER_MAX_REFS];
	uint32_t n_refs;
	const void *priv;
};

/**
 * struct lower_se - squeeze-excite between a maker and a reader of data
 * @fc1, @fc2: the layers
 * @data: tensor that the maker writes
 * @hidden: units between the layers
 * @blocks: of the maker, an image; @part: what they leave
 * @w1 ... @b2: buffers of packed weights
 */
struct lower_se {
	const struct prog_op *fc1, *fc2;
	uint32_t data, hidden, blocks, w1, w2, b1, b2;
	struct lower_val part;
};

/**
 * struct lower_place - where a storage is, if not in a buffer of its own
 * @op: the concatenation that it is a part of, NULL: none
 * @off: its first channel in that
 * @made: of a concatenation: @val is set
 * @val: its rows
 */
struct lower_place {
	const struct prog_op *op;
	int64_t off;
	bool made;
	struct lower_val val;
};

struct lower_chunk;

/**
 * struct lower - a plan in the making
 * @p: the program
 * @opt: what for
 * @vals: by storage of the program; buf LOWER_NONE where not written yet
 * @op: operation that is being lowered, for messages and names
 * @image: constants; @image_cap bytes of memory
 * @n_slots: of scratch
 * @const_bufs: by storage: a plain constant that is in the image already
 * @first_use: by storage: its readers are use[first_use[s]] to use[first_use[s + 1]]
 * @use: numbers of operations
 * @se: by operation: squeeze-excite that it makes or reads, see fuse_se.c
 * @places: by storage
 * @expand: by operation: of a depthwise convolution, the expansion that it includes
 * @attn: by operation: of a product with values, the one that makes the scores
 * @siblings: by operation: the next product of the same rows, made in one with this
 * @wide: by storage: fp32 in an fp16 plan, see wide.c
 * @done: by operation: part of another one's step
 * @spare: what lower_step() gives after a failure
 */
struct lower {
	const struct program *p;
	struct gpu_options opt;
	uint32_t degrees[GPU_MAX_DEGREES];
	struct lower_val *vals;
	const struct prog_op *op;
	struct lower_buf *bufs;
	struct lower_step *steps;
	struct gpu_kernel *kernels;
	uint32_t n_bufs, n_steps, n_kernels, cap_bufs, cap_steps, cap_kernels;
	uint8_t *image;
	uint64_t image_bytes, image_cap, arena_bytes;
	uint32_t n_slots;
	uint32_t *const_bufs;
	uint32_t *first_use, *use;
	struct lower_se **se;
	struct lower_place *places;
	const struct prog_op **expand, **attn, **siblings;
	bool *wide, *done;
	struct lower_step spare;
	struct lower_chunk *chunks;
	int err;
	char *why;
	size_t why_len;
};

/* ---- errors, memory ---- */

/** lower_refuse() - "<op> node '<name>': words"; sets -EOPNOTSUPP */
void lower_refuse(struct lower *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void lower_nomem(struct lower *l);

/** lower_alloc() - zeroed, lives as long as the plan; never NULL: dies into a spare, sets err */
void *lower_alloc(struct lower *l, size_t bytes);
char *lower_format(struct lower *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void lower_chunks_free(struct lower_chunk *c);

/* ---- values (value.c) ---- */

size_t lower_size(uint32_t k_type);
const struct prog_tensor *lower_t(const struct lower *l, uint32_t t);
const struct prog_storage *lower_storage(const struct lower *l, uint32_t t);

/** lower_type() - what elements of a tensor of ours are on the device */
uint32_t lower_type(const struct lower *l, uint32_t t);

/** lower_dense() - strides of a dense tensor */
void lower_dense(struct lower_val *v);
bool lower_is_dense(const struct lower_val *v);
int64_t lower_elems(const struct lower_val *v);

/** lower_new() - a new dense value in the arena */
struct lower_val lower_new(struct lower *l, uint32_t type, uint32_t rank, const int64_t *dims);

/** lower_read() - tensor @t as it lies, any strides, any place, any type of float */
struct lower_val lower_read(struct lower *l, uint32_t t);

/** lower_read_dense() - the same, dense: copied where it is not */
struct lower_val lower_read_dense(struct lower *l, uint32_t t);

/**
 * lower_pitch() - elements from row to row, where a value is rows
 *
 * Rows are of the last axis, dense in themselves, all one distance apart.
 * Return: 0 where it is not so.
 */
int64_t lower_pitch(const struct lower_val *v);

/** lower_read_rows() - the tensor as rows, see lower_pitch(); copied where it is not */
struct lower_val lower_read_rows(struct lower *l, uint32_t t);

/** lower_copy() - a dense copy of a value, converted to @type */
struct lower_val lower_copy(struct lower *l, const struct lower_val *v, uint32_t type);

/** lower_write() - where output tensor @t goes: dense; noted as its storage's value */
struct lower_val lower_write(struct lower *l, uint32_t t);

/** lower_write_any() - the same, but rows may be apart */
struct lower_val lower_write_any(struct lower *l, uint32_t t);

/**
 * lower_write_rows() - the same, but rows may be padded to a multiple of eight
 *
 * For producers that write all of the padding, finite numbers.
 */
struct lower_val lower_write_rows(struct lower *l, uint32_t t);

/** lower_new_rows() - new fp16 rows in the arena, padded to a multiple of eight */
struct lower_val lower_new_rows(struct lower *l, uint32_t rank, const int64_t *dims);

/** lower_view() - output tensor @t is nothing but another view of a value */
void lower_view(struct lower *l, uint32_t t, const struct lower_val *v);

/** lower_bcast() - strides of @v over @rank axes of @dims, numpy's rules */
void lower_bcast(const struct lower_val *v, uint32_t rank, const int64_t *dims, int64_t *stride);

/** lower_reshape() - view under another shape, without a copy; false: it cannot be */
bool lower_reshape(const struct lower_val *v, uint32_t rank, const int64_t *dims,
		   struct lower_val *out);

/** lower_const() - constant data for the image; returns its buffer */
uint32_t lower_const(struct lower *l, const void *data, uint64_t bytes);

/** lower_const_data() - elements of a constant tensor, NULL if it is none */
const void *lower_const_data(const struct lower *l, uint32_t t);

/* ---- steps (step.c) ---- */

/** lower_entry() - number of the kernel of a plain entry (kernels/entries.h) */
uint32_t lower_entry(struct lower *l, const char *entry, uint32_t smem);

/** lower_kernel() - number of the kernel with this name, added where it is new */
uint32_t lower_kernel(struct lower *l, const struct gpu_kernel *k);

/**
 * lower_step() - append a step
 * @what: word for profiles
 * @kernel: number
 * @args: argument struct, copied
 * @bytes: its size
 * @degree_at: offset of its member degree
 * @grid: blocks a request
 */
struct lower_step *lower_step(struct lower *l, const char *what, uint32_t kernel,
			      const void *args, size_t bytes, size_t degree_at, uint64_t grid);

/** lower_ref_read() - the k_ref at @at of the step's arguments is @v, read */
void lower_ref_read(struct lower *l, struct lower_step *s, size_t at, const struct lower_val *v);
void lower_ref_write(struct lower *l, struct lower_step *s, size_t at, const struct lower_val *v);

/** lower_address() - the k_u64 at @at is the address of a buffer, read */
void lower_address(struct lower *l, struct lower_step *s, size_t at, uint32_t buf);

#define LOWER_STEP(l, what, entry, smem, a, grid)				\
	lower_step(l, what, lower_entry(l, entry, smem), &(a), sizeof(a),	\
		   offsetof(__typeof__(a), degree), grid)
#define LOWER_READ(l, s, type, member, v)	lower_ref_read(l, s, offsetof(type, member), v)
#define LOWER_WRITE(l, s, type, member, v)	lower_ref_write(l, s, offsetof(type, member), v)

/** lower_div() - a divisor for the device, 1 to 2^31 */
struct k_div lower_div(int64_t d);

/** lower_tiles() - blocks of 256 threads over @n points */
static inline uint64_t lower_tiles(int64_t n)
{
	return ((uint64_t)n + K_THREADS - 1) / K_THREADS;
}

/** lower_act() - an epilogue's function as kernels take it */
struct k_act lower_act(const struct prog_epilogue *e);

/* ---- specialised kernels (special.c) ---- */

/**
 * struct lower_special - a kernel that knows its shape
 * @header: file of kernels/, without .cuh
 * @args: argument struct, @args_bytes long
 * @shape: members of the shape struct, static constexpr
 * @call: tile function, called (shape, args, tile, shared memory)
 * @generic: the entry that takes the shape from the arguments
 */
struct lower_special {
	const char *header, *args, *shape, *call, *generic;
	uint32_t args_bytes, smem, min_ctas;
};

/** lower_special() - number of the kernel */
uint32_t lower_special(struct lower *l, const struct lower_special *sp);

/** lower_half() - to fp16, finite numbers cut off at the largest */
uint16_t lower_half(float v);

/**
 * lower_halves() - a row of weights to fp16, their sum kept as well as can be
 * @to: @n of them
 * @w: the weights, @stride apart
 * @scale: multiplied with each
 */
void lower_halves(uint16_t *to, const float *w, int64_t n, int64_t stride, float scale);

/** lower_bias() - fp32 numbers for the image, padded by four */
uint32_t lower_bias(struct lower *l, const float *b, int64_t n);

/** lower_is_flat() - rows of merged requests follow each other without a gap */
bool lower_is_flat(const struct lower *l, const struct lower_val *v);

/** lower_is_chunked() - and are fp16 in whole, aligned chunks of eight channels */
bool lower_is_chunked(const struct lower *l, const struct lower_val *v);

/** lower_is_small() - 32 bits number its elements at any degree */
bool lower_is_small(const struct prog_tensor *t);

static inline int64_t lower_up8(int64_t v)
{
	return (v + 7) / 8 * 8;
}

/* ---- kinds of operations ---- */

/* lower_elem.c */
void lower_unary(struct lower *l);
void lower_binary(struct lower *l);
void lower_where(struct lower *l);
void lower_cast(struct lower *l);
void lower_quant(struct lower *l);

/** lower_move() - copy @from to @to, same extents, any strides, float types may differ */
void lower_move(struct lower *l, const struct lower_val *from, const struct lower_val *to,
		const char *what);

/* lower_move.c */
void lower_transpose(struct lower *l);
void lower_copy_op(struct lower *l);
void lower_slice(struct lower *l);
void lower_pad(struct lower *l);
void lower_expand(struct lower *l);
void lower_tile(struct lower *l);

/* lower_index.c */
void lower_gather(struct lower *l);
void lower_gather_elements(struct lower *l);
void lower_gather_nd(struct lower *l);
void lower_scatter(struct lower *l);
void lower_argreduce(struct lower *l);
void lower_cumsum(struct lower *l);
void lower_topk(struct lower *l);
void lower_onehot(struct lower *l);
void lower_trilu(struct lower *l);

/* lower_reduce.c */
void lower_reduce(struct lower *l);
void lower_softmax(struct lower *l);
void lower_norm(struct lower *l);
void lower_lrn(struct lower *l);

/** lower_mean_pool() - a pool that is the mean over all of the image */
void lower_mean_pool(struct lower *l);

/* lower_window.c */
void lower_pool(struct lower *l);
void lower_resize(struct lower *l);

struct k_conv;

/* lower_conv.c, lower_gemm.c */
void lower_conv(struct lower *l);
void lower_gemm(struct lower *l);

/**
 * lower_product() - the step of a product on tensor cores
 * @a: shape of x and w set; the rest is set here
 * @x: rows
 * @w: buffer of packed weights
 * @bias: buffer of the bias, where a->s.bias
 * @one: rows of x are rows of the product
 * @what: word for profiles
 * @to: where the result goes; NULL: to the operation's output
 */
void lower_product(struct lower *l, struct k_conv *a, const struct lower_val *x, uint32_t w,
		   uint32_t bias, bool one, const char *what, const struct lower_val *to);

/** lower_read_input() - the tensor as fp16 rows for cp.async; packed where it lies otherwise */
struct lower_val lower_read_input(struct lower *l, uint32_t t);

/** lower_conv_fits() - will lower_conv() use the tensor cores for it? */
bool lower_conv_fits(const struct lower *l, const struct prog_op *op);

/* lower_stem.c */
bool lower_stem_fits(const struct lower *l, const struct prog_op *op);
void lower_stem(struct lower *l);

/* lower_dw.c */
bool lower_dw_fits(const struct lower *l, const struct prog_op *op);
void lower_dw(struct lower *l);

/** lower_dw_weights() - [c][taps] turned to fp16 [taps][c], channels up to a multiple of eight */
uint32_t lower_dw_weights(struct lower *l, const float *w, int64_t c, int64_t taps);

/** lower_chunk_block() - chunks of channels that a block shares out among its threads */
uint32_t lower_chunk_block(uint32_t chunks);

/** lower_pack() - any rows of floats as fp16 rows padded with zeros */
struct lower_val lower_pack(struct lower *l, const struct lower_val *x);

#define LOWER_VEC_MAX	4096	/* a vector fits into shared memory */

/* lower_vec.c */
bool lower_vec_fits(const struct lower *l, const struct prog_op *op);
void lower_vec(struct lower *l);

/* lower_fma.c */
void lower_fma_conv(struct lower *l);
void lower_fma_gemm(struct lower *l);

/* lower_rnn.c */
void lower_rnn(struct lower *l);

/* ---- what is fp32 in fp16 mode (wide.c) ---- */

/** lower_find_wide() - mark tensors; @writer by storage. Behind all that makes one of several */
void lower_find_wide(struct lower *l, const uint32_t *writer);

/** lower_is_vector() - one row of a request */
bool lower_is_vector(const struct prog_tensor *t);

/* ---- several operations in one ---- */

/* uses.c: who reads a tensor's storage */
bool lower_index_uses(struct lower *l);
uint32_t lower_n_uses(const struct lower *l, uint32_t t);
const struct prog_op *lower_use(const struct lower *l, uint32_t t, uint32_t i);

/** lower_only_use() - the one operation that reads a tensor of the arena, or NULL */
const struct prog_op *lower_only_use(const struct lower *l, uint32_t t);

/* lower_mb.c: an expansion and the depthwise convolution behind it */
void lower_find_mb(struct lower *l, const uint32_t *writer);
void lower_mb(struct lower *l);

/* lower_attn.c */
void lower_find_attn(struct lower *l);
void lower_attn(struct lower *l);

/** lower_find_siblings() - products with constant weights that read the same rows (lower_gemm.c) */
void lower_find_siblings(struct lower *l);

/* fuse_concat.c */
void lower_concat(struct lower *l);

/** lower_find_concats() - give parts of concatenations their places; @writer by storage */
void lower_find_concats(struct lower *l, const uint32_t *writer);

/** lower_place() - rows of output tensor @t in the concatenation that it has a place in */
struct lower_val lower_place(struct lower *l, uint32_t t);

struct k_se;

/** lower_is_mean() - the mean over all pixels of [N][1][H][W][C] or [N][H][W][C] (fuse_se.c) */
bool lower_is_mean(const struct lower *l, const struct prog_op *op);

/** lower_find_se() - mark squeeze-excite in the program (fuse_se.c) */
void lower_find_se(struct lower *l);

/** lower_se_squeeze() - arguments of the maker, whose images have @blocks blocks each */
void lower_se_squeeze(struct lower *l, struct lower_se *se, struct k_se *a, int64_t images,
		      int64_t blocks);

/** lower_se_excite() - arguments of the reader */
void lower_se_excite(struct lower *l, struct lower_se *se, struct k_se *a);

/* ---- the end (finish.c) ---- */

/** lower_finish() - dependencies of steps, places in the arena */
void lower_finish(struct lower *l);

#endif
