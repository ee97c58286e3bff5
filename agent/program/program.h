/* SPDX-License-Identifier: MIT */
/*
 * A program: what a model is once shapes are bound and nothing is symbolic.
 *
 * A flat list of operations over typed, statically shaped tensors, with
 * dependencies and a coloured arena. Written once through agent/program/build.h,
 * immutable afterwards, read by every backend. It holds no code and no
 * pointer into the ONNX file. All integers are validated by program_verify()
 * before a backend sees them, so a backend need not check again.
 *
 * One request or many: every tensor here is the tensor of ONE request.
 * At merge degree R the arena is R times as large and storage s of request r
 * starts at
 *
 *     arena + R * s.offset + r * s.bytes
 *
 * so that the same tensor of all requests lies back to back: a convolution or
 * GEMM whose leading dimension is the image index runs over R requests as one.
 * Inputs and outputs are reached through a table of pointers, one a request.
 * Constants are shared by all requests.
 *
 * Tensors are dense and row-major. Spatial operations (conv, pool, resize)
 * work on channels-last data: [N][D][H][W][C] with D (and H) 1 for fewer
 * spatial dimensions; lowering inserts TRANSPOSE where the model disagrees.
 *
 * No lock: immutable after program_verify().
 */
#ifndef BRAID_AGENT_PROGRAM_PROGRAM_H
#define BRAID_AGENT_PROGRAM_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/braid.h>

#define PROG_MAX_RANK	8
#define PROG_NONE	UINT32_MAX	/* "no tensor" where one is optional */
#define PROG_ALIGN	64u		/* of every storage, in bytes */

/* Where a storage lives. */
enum prog_place {
	PROG_INPUT,	/* the tenant's buffer, volatile, read only */
	PROG_OUTPUT,	/* the tenant's buffer, written, never read back */
	PROG_ARENA,	/* scratch of the launch */
	PROG_CONST,	/* weights, shared by all requests */
};

/**
 * struct prog_storage - a piece of memory, seen by one tensor or several
 * @place: which memory
 * @index: PROG_INPUT and PROG_OUTPUT: number of the model's input or output
 * @offset: PROG_ARENA: offset at degree 1; PROG_CONST: offset in consts
 * @bytes: size for one request; in the arena a multiple of PROG_ALIGN
 */
struct prog_storage {
	enum prog_place place;
	uint32_t index;
	uint64_t offset;
	uint64_t bytes;
};

/**
 * struct prog_tensor - a typed, shaped view of a whole storage
 * @type: element type, ONNX numbering
 * @rank: number of dimensions, 0 for a scalar
 * @dims: extents, all >= 1 (programs with empty tensors are refused)
 * @elems: product of @dims
 * @storage: index into program.storages; reshapes share one storage
 */
struct prog_tensor {
	enum braid_type type;
	uint32_t rank;
	int64_t dims[PROG_MAX_RANK];
	int64_t elems;
	uint32_t storage;
};

enum prog_kind {
	PROG_CONV,		/* in: x, w, [bias]; also depthwise and grouped */
	PROG_CONV_TRANSPOSE,	/* in: x, w, [bias] */
	PROG_GEMM,		/* in: a, b, [bias]; batched, broadcast over batch */
	PROG_POOL,		/* in: x; out: y, [int64 indices] for max */
	PROG_REDUCE,		/* in: x */
	PROG_ARGREDUCE,		/* in: x; out: int64 */
	PROG_UNARY,		/* in: x */
	PROG_BINARY,		/* in: a, b; numpy broadcast */
	PROG_WHERE,		/* in: cond, a, b; numpy broadcast */
	PROG_CAST,		/* in: x; type from the output tensor */
	PROG_SOFTMAX,		/* in: x; also log-softmax and hardmax */
	PROG_NORM,		/* in: x, [scale], [shift]: layer, instance, group, rms */
	PROG_LRN,		/* in: x, channels last */
	PROG_TRANSPOSE,		/* in: x */
	PROG_COPY,		/* in: x; same elements, other storage */
	PROG_SLICE,		/* in: x; start and step an axis, steps may be negative */
	PROG_CONCAT,		/* in: x...; along params.axis */
	PROG_PAD,		/* in: x */
	PROG_EXPAND,		/* in: x; broadcast to the output's shape */
	PROG_TILE,		/* in: x; repeat to the output's shape */
	PROG_GATHER,		/* in: data, indices; one axis */
	PROG_GATHER_ELEMENTS,	/* in: data, indices */
	PROG_GATHER_ND,		/* in: data, indices; params.gather.batch_dims */
	PROG_SCATTER_ELEMENTS,	/* in: data, indices, updates */
	PROG_SCATTER_ND,	/* in: data, indices, updates */
	PROG_RESIZE,		/* in: x, channels last, up to 3 spatial dimensions */
	PROG_CUMSUM,		/* in: x */
	PROG_TOPK,		/* in: x; out: values, int64 indices */
	PROG_ONEHOT,		/* in: indices, values[2]; depth from the output's shape */
	PROG_TRILU,		/* in: x */
	PROG_RNN,		/* in: x, w, r, [b], [seq_lens], [h0], [c0], [p]; out: y, yh, yc */
	PROG_QUANTIZE,		/* in: x, scale, [zero point] */
	PROG_DEQUANTIZE,	/* in: x, scale, [zero point] */
	PROG_KINDS
};

/* Element functions of PROG_UNARY; those to PROG_FN_SILU also as epilogues. */
enum prog_fn {
	PROG_FN_NONE,
	PROG_FN_RELU,
	PROG_FN_CLIP,		/* alpha = low, beta = high (relu6: 0, 6) */
	PROG_FN_LEAKY_RELU,	/* alpha = slope */
	PROG_FN_SIGMOID,
	PROG_FN_TANH,
	PROG_FN_HARD_SIGMOID,	/* clip(alpha * x + beta, 0, 1) */
	PROG_FN_HARD_SWISH,	/* x * clip(x / 6 + 0.5, 0, 1) */
	PROG_FN_GELU,		/* erf form */
	PROG_FN_GELU_TANH,
	PROG_FN_SILU,		/* x * sigmoid(x) */
	PROG_FN_EPILOGUE_LAST = PROG_FN_SILU,
	PROG_FN_ELU, PROG_FN_SELU, PROG_FN_CELU,	/* alpha, beta = gamma */
	PROG_FN_THRESHOLDED_RELU, PROG_FN_SOFTPLUS, PROG_FN_SOFTSIGN,
	PROG_FN_MISH, PROG_FN_SHRINK,			/* alpha = lambd, beta = bias */
	PROG_FN_ABS, PROG_FN_NEG, PROG_FN_SIGN, PROG_FN_RECIPROCAL,
	PROG_FN_SQRT, PROG_FN_EXP, PROG_FN_LOG, PROG_FN_ERF,
	PROG_FN_FLOOR, PROG_FN_CEIL, PROG_FN_ROUND,	/* round half to even */
	PROG_FN_SIN, PROG_FN_COS, PROG_FN_TAN, PROG_FN_ASIN, PROG_FN_ACOS, PROG_FN_ATAN,
	PROG_FN_SINH, PROG_FN_COSH, PROG_FN_ASINH, PROG_FN_ACOSH, PROG_FN_ATANH,
	PROG_FN_NOT, PROG_FN_ISNAN, PROG_FN_ISINF,	/* alpha/beta: detect negative/positive */
	PROG_FN_BITWISE_NOT,
	PROG_FNS
};

enum prog_binary {
	PROG_BIN_ADD, PROG_BIN_SUB, PROG_BIN_MUL, PROG_BIN_DIV, PROG_BIN_POW,
	PROG_BIN_MIN, PROG_BIN_MAX, PROG_BIN_MOD, PROG_BIN_FMOD, PROG_BIN_PRELU,
	PROG_BIN_AND, PROG_BIN_OR, PROG_BIN_XOR,
	PROG_BIN_EQUAL, PROG_BIN_LESS, PROG_BIN_LESS_EQUAL,
	PROG_BIN_GREATER, PROG_BIN_GREATER_EQUAL,
	PROG_BIN_SHIFT_LEFT, PROG_BIN_SHIFT_RIGHT,
	PROG_BIN_BIT_AND, PROG_BIN_BIT_OR, PROG_BIN_BIT_XOR,
	PROG_BINS
};

enum prog_reduce {
	PROG_RED_SUM, PROG_RED_MEAN, PROG_RED_MAX, PROG_RED_MIN, PROG_RED_PROD,
	PROG_RED_L1, PROG_RED_L2, PROG_RED_SUM_SQUARE, PROG_RED_LOG_SUM,
	PROG_RED_LOG_SUM_EXP, PROG_REDS
};

/**
 * struct prog_epilogue - what a CONV, CONV_TRANSPOSE, GEMM or BINARY does to
 *                        its result before it stores it
 * @fn: element function, PROG_FN_NONE to PROG_FN_EPILOGUE_LAST
 * @alpha: first parameter of @fn
 * @beta: second parameter of @fn
 * @residual: tensor of the output's shape to add, or PROG_NONE
 * @residual_last: false: fn(acc + bias + residual); true: fn(acc + bias) + residual
 */
struct prog_epilogue {
	enum prog_fn fn;
	float alpha, beta;
	uint32_t residual;
	bool residual_last;
};

/* Spatial geometry, innermost dimension last: [0] depth, [1] height, [2] width. */
struct prog_window {
	int32_t kernel[3], stride[3], dilation[3];
	int32_t pad_lo[3], pad_hi[3];
};

/*
 * Layouts that CONV and CONV_TRANSPOSE demand:
 *   x: [N][D][H][W][C]   y: [N][OD][OH][OW][M]   (rank 5, always)
 *   w of CONV: [M][KD][KH][KW][C/group]
 *   w of CONV_TRANSPOSE: [C][KD][KH][KW][M/group]
 *   bias: [M]
 * w may be constant (a backend packs it once) or not.
 */
struct prog_conv {
	struct prog_window win;
	int32_t group;
};

/*
 * GEMM: y[..., m, n] = act(alpha * op(a) x op(b) + bias + residual).
 * a and b have rank >= 2; leading dimensions broadcast as numpy's do.
 * bias broadcasts to y as numpy's do; most often it is [n].
 */
struct prog_gemm {
	bool trans_a, trans_b;
	float alpha;
};

enum prog_pool_kind { PROG_POOL_MAX, PROG_POOL_AVG, PROG_POOL_LP };

/*
 * POOL: x, y as CONV's. ceil_mode is in y's shape already. Indices (max only)
 * are flat into ONNX's [N][C][D][H][W] order; column_major as in the opset.
 */
struct prog_pool {
	struct prog_window win;
	enum prog_pool_kind kind;
	bool count_include_pad;
	bool column_major;
	int32_t p;
};

struct prog_reduce_params {
	enum prog_reduce fn;
	uint32_t axes;			/* bit a set: axis a is reduced */
};

struct prog_argreduce {
	bool max;
	bool select_last;
	int32_t axis;
};

enum prog_softmax_kind { PROG_SOFTMAX_PLAIN, PROG_SOFTMAX_LOG, PROG_SOFTMAX_HARD };

/* SOFTMAX over axes [axis, axis + n_axes): opset < 13 flattens several. */
struct prog_softmax {
	enum prog_softmax_kind kind;
	int32_t axis, n_axes;
};

/*
 * NORM: x seen as [outer][groups][inner]; mean and variance over inner.
 *   layer:    axes [axis, rank) are inner; scale, shift have their shape
 *   instance, group: x channels last [N][spatial...][C]; groups = C or G,
 *             each over its C/groups channels and all spatial positions;
 *             scale, shift: [C]
 *   rms:      as layer, no mean, no shift
 * Out 1 and 2, where present (LayerNormalization): mean, 1/std.
 */
enum prog_norm_kind { PROG_NORM_LAYER, PROG_NORM_GROUP, PROG_NORM_RMS };
struct prog_norm {
	enum prog_norm_kind kind;
	int32_t axis;
	int32_t groups;
	float epsilon;
};

struct prog_lrn {
	int32_t size;
	float alpha, beta, bias;
};

enum prog_pad_mode { PROG_PAD_CONSTANT, PROG_PAD_REFLECT, PROG_PAD_EDGE, PROG_PAD_WRAP };
struct prog_pad {
	enum prog_pad_mode mode;
	int64_t lo[PROG_MAX_RANK];	/* may be negative: crop */
	int64_t hi[PROG_MAX_RANK];
	double value;			/* constant mode; integers up to 2^53 */
};

struct prog_slice {
	int64_t start[PROG_MAX_RANK];
	int64_t step[PROG_MAX_RANK];
};

/* Indices come from tenants: clamped to the axis on use, negative wraps once. */
struct prog_gather {
	int32_t axis;
	int32_t batch_dims;
};

enum prog_scatter_fn { PROG_SCATTER_SET, PROG_SCATTER_ADD, PROG_SCATTER_MUL,
		       PROG_SCATTER_MIN, PROG_SCATTER_MAX };
struct prog_scatter {
	int32_t axis;
	enum prog_scatter_fn fn;
};

enum prog_resize_mode { PROG_RESIZE_NEAREST, PROG_RESIZE_LINEAR, PROG_RESIZE_CUBIC };
enum prog_resize_coord { PROG_COORD_HALF_PIXEL, PROG_COORD_PYTORCH_HALF_PIXEL,
			 PROG_COORD_ALIGN_CORNERS, PROG_COORD_ASYMMETRIC,
			 PROG_COORD_HALF_PIXEL_SYMMETRIC, PROG_COORD_TF_CROP };
enum prog_resize_nearest { PROG_NEAREST_ROUND_FLOOR, PROG_NEAREST_ROUND_CEIL,
			   PROG_NEAREST_FLOOR, PROG_NEAREST_CEIL };

/* RESIZE: x, y rank 5 channels last. scale[i] = out / in as the opset says. */
struct prog_resize {
	enum prog_resize_mode mode;
	enum prog_resize_coord coord;
	enum prog_resize_nearest nearest;
	float scale[3];
	float roi_lo[3], roi_hi[3];	/* tf_crop_and_resize only */
	float cubic_a;
	float extrapolation;
	bool exclude_outside;
};

struct prog_cumsum {
	int32_t axis;
	bool exclusive, reverse;
};

struct prog_topk {
	int32_t axis;
	bool largest, sorted;
};

struct prog_trilu {
	bool upper;
	int64_t k;
};

/*
 * RNN: ONNX's LSTM, GRU and RNN, layout 0: x [T][B][I], w [dirs][G*H][I],
 * r [dirs][G*H][H], b [dirs][2*G*H], y [T][dirs][B][H], yh and yc [dirs][B][H].
 * Gate order is ONNX's (LSTM iofc, GRU zrh). fn: three a direction at most.
 */
enum prog_rnn_cell { PROG_RNN_LSTM, PROG_RNN_GRU, PROG_RNN_PLAIN };
enum prog_rnn_dir { PROG_RNN_FORWARD, PROG_RNN_REVERSE, PROG_RNN_BIDIRECTIONAL };
struct prog_rnn {
	enum prog_rnn_cell cell;
	enum prog_rnn_dir dir;
	int32_t hidden;
	float clip;			/* 0: none */
	bool linear_before_reset;	/* GRU */
	bool input_forget;		/* LSTM */
	enum prog_fn fn[6];
	float fn_alpha[6], fn_beta[6];
};

/**
 * struct prog_op - one operation
 * @kind: what it does
 * @n_in: number of inputs; optional ones that are absent are PROG_NONE
 * @n_out: number of outputs, likewise
 * @in: tensor numbers
 * @out: tensor numbers
 * @n_deps: number of operations that must be complete first
 * @deps: their numbers, all smaller than this one's: who wrote what is read,
 *        and who read or wrote the arena bytes that are reused
 * @epi: epilogue (kinds that have one)
 * @params: by @kind
 * @node: name of the ONNX node it comes from, for messages and profiles
 * @op_type: ONNX operator of that node
 */
struct prog_op {
	enum prog_kind kind;
	uint32_t n_in, n_out, n_deps;
	uint32_t *in, *out, *deps;
	struct prog_epilogue epi;
	union {
		struct prog_conv conv;
		struct prog_gemm gemm;
		struct prog_pool pool;
		struct prog_reduce_params reduce;
		struct prog_argreduce argreduce;
		struct { enum prog_fn fn; float alpha, beta; } unary;
		enum prog_binary binary;
		struct prog_softmax softmax;
		struct prog_norm norm;
		struct prog_lrn lrn;
		uint8_t perm[PROG_MAX_RANK];	/* TRANSPOSE: out axis i is in axis perm[i] */
		int32_t axis;			/* CONCAT, ONEHOT, QUANTIZE, DEQUANTIZE */
		struct prog_slice slice;
		struct prog_pad pad;
		struct prog_gather gather;
		struct prog_scatter scatter;
		struct prog_resize resize;
		struct prog_cumsum cumsum;
		struct prog_topk topk;
		struct prog_trilu trilu;
		struct prog_rnn rnn;
	} params;
	const char *node;
	const char *op_type;
};

/**
 * struct prog_io - an input or output of the model as a tenant sees it
 * @name: as in the ONNX file
 * @tensor: the tensor (its storage is PROG_INPUT or PROG_OUTPUT)
 */
struct prog_io {
	const char *name;
	uint32_t tensor;
};

/**
 * struct program - a whole model
 * @n_inputs: number of inputs, in the file's order
 * @n_outputs: number of outputs, likewise
 * @arena_bytes: scratch for one request; R requests take R times that
 * @consts: weights, PROG_ALIGN aligned
 * @digest: SHA-256 over the model file and the binding of its shapes
 * @macs: multiply-accumulates of one request, for estimates
 */
struct program {
	struct prog_io *inputs, *outputs;
	struct prog_storage *storages;
	struct prog_tensor *tensors;
	struct prog_op *ops;
	uint32_t n_inputs, n_outputs, n_storages, n_tensors, n_ops;
	uint64_t arena_bytes;
	uint8_t *consts;
	uint64_t const_bytes;
	uint8_t digest[32];
	uint64_t macs;
	void *strings;		/* owns every name above */
};

/**
 * program_verify() - prove that a program is safe to run
 * @p: the program
 * @why: buffer for words, may be NULL
 * @len: its size
 *
 * Checks every index, size and shape; that each operation's inputs and outputs
 * agree with its kind; that dependencies point backwards; that everything read
 * was written by an operation it depends on (transitively); that no two
 * operations touch the same arena bytes, one of them writing, without a path
 * of dependencies between them; that no output storage is read.
 *
 * Return: 0, or -EINVAL with the reason in @why.
 */
int program_verify(const struct program *p, char *why, size_t len);

/** program_free() - release a program and all it owns; NULL is fine */
void program_free(struct program *p);

/** prog_type_size() - bytes of one element, 0 for a type we do not know */
size_t prog_type_size(enum braid_type t);

/** prog_type_is_int() - an integer, with a sign or without; bool is none */
bool prog_type_is_int(enum braid_type t);

/** prog_type_is_signed() - an integer with a sign */
bool prog_type_is_signed(enum braid_type t);

/** prog_type_is_float() - a float of any width */
bool prog_type_is_float(enum braid_type t);

/** prog_type_name() - as ONNX's files name it, for messages; any number will do */
const char *prog_type_name(int type);

/** prog_kind_name() - for messages and profiles, never NULL */
const char *prog_kind_name(enum prog_kind kind);

#endif
