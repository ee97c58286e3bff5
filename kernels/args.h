/* SPDX-License-Identifier: MIT */
/*
 * Arguments of kernels: the one header that host (C) and device (CUDA C++)
 * share. Every __global__ entry takes exactly one of these structs by value.
 *
 * Addresses are 64-bit numbers. A struct holds everything that a kernel must
 * know, shapes too; a specialised kernel has the shapes as constants and does
 * not read them here.
 *
 * Laid out alike by all compilers: 64-bit members first or aligned by hand.
 */
#ifndef BRAID_KERNELS_ARGS_H
#define BRAID_KERNELS_ARGS_H

typedef unsigned char k_u8;
typedef unsigned short k_u16;
typedef unsigned int k_u32;
typedef int k_i32;
typedef unsigned long long k_u64;
typedef long long k_i64;

#define K_THREADS	256	/* of every block */
#define K_RANK		8
#define K_NONE		0xffffffffu

/* Element types: ONNX's numbers, as enum braid_type has them. */
enum k_type {
	K_F32 = 1, K_U8 = 2, K_I8 = 3, K_U16 = 4, K_I16 = 5, K_I32 = 6, K_I64 = 7,
	K_BOOL = 9, K_F16 = 10, K_F64 = 11, K_U32 = 12, K_U64 = 13, K_BF16 = 16,
};

/**
 * struct k_ref - a tensor of every request
 * @at: address of request 0's; with @table, of its entry in the io table
 * @off: bytes from where that points, to where the tensor begins
 * @step: bytes to the next request's; with @table, to its entry in the table
 * @table: go through the io table
 * @type: of elements
 */
struct k_ref {
	k_u64 at, off;
	k_u32 step;
	k_u16 table, type;
};

/* A divisor: n / d is (umulhi(n, mul) + n) >> shift, for n below 2^31. */
struct k_div {
	k_u32 d, mul, shift;
};

/**
 * struct k_act - what becomes of a result before it is stored
 * @fn: enum prog_fn
 * @residual_last: fn(v) + residual, not fn(v + residual)
 */
struct k_act {
	k_u32 fn, residual_last;
	float alpha, beta;
};

/* ---- elements: map.cuh ---- */

#define K_MAP_IN	3

enum k_map_class { K_CLASS_FLOAT, K_CLASS_DOUBLE, K_CLASS_INT, K_CLASS_UINT, K_CLASS_RAW };
enum k_map_kind { K_MAP_UNARY, K_MAP_BINARY, K_MAP_WHERE, K_MAP_CAST, K_MAP_MOVE };

/**
 * struct k_map - elementwise, any strides: out[p] = f(in0[p], in1[p], in2[p])
 * @in: operands; @in[2] is also the residual of a binary one
 * @out: result
 * @div: extents of the joined axes, innermost first
 * @rank: how many
 * @stride: in elements, of each operand and of the output, innermost first
 * @n: points of a request
 * @degree: requests
 * @kind: enum k_map_kind
 * @fn: enum prog_fn or prog_binary
 * @act: of a binary operation
 * @has_res: it has a residual
 * @size: of an element, for K_MAP_MOVE
 */
struct k_map {
	struct k_ref in[K_MAP_IN], out;
	struct k_div div[K_RANK];
	k_i32 stride[K_MAP_IN + 1][K_RANK];
	struct k_div n;
	k_u32 rank, degree, kind, fn;
	struct k_act act;
	k_u32 has_res, size;
};

/* ---- moves with more than strides: move.cuh ---- */

/**
 * struct k_pad - out[p] = x[map(p)], or the value outside
 * @mode: enum prog_pad_mode; a tile is wrap
 * @out: extents of the output, innermost first
 * @in: of the input
 * @lo: offset of the input in the output
 * @value: bits of the element that fills
 */
struct k_pad {
	struct k_ref x, y;
	struct k_div n, out[K_RANK];
	k_i32 in[K_RANK], lo[K_RANK], stride[K_RANK];
	k_u64 value;
	k_u32 rank, degree, mode, size;
};

/**
 * struct k_gather - rows by index
 * @kind: 0 GATHER, 1 GATHER_ELEMENTS, 2 GATHER_ND
 * @n: output elements of a request
 *
 * GATHER: [batch][outer][axis][inner] by [batch][count]: @inner, @count, @outer.
 * ELEMENTS: @dim extents of the indices, innermost first, @stride those of x in
 * elements, @axis counted from the innermost.
 * ND: @k numbers a tuple, @dim their axes' extents, outermost first, @inner
 * elements a row, @count tuples a batch, @data elements a batch.
 */
struct k_gather {
	struct k_ref x, index, y;
	struct k_div n, inner, count, outer, dim[K_RANK];
	k_i32 stride[K_RANK];
	k_u32 rank, axis, extent, k, data, degree, kind, size, index_type;
};

/**
 * struct k_scatter - data copied, then updates over it, in order
 * @kind: 0 ELEMENTS, 1 ND
 * @fn: enum prog_scatter_fn
 * @n: elements of the data, @m: of the updates (of ND: rows)
 *
 * Fields as in struct k_gather. A block a request, so that the last of several
 * updates of one place wins.
 */
struct k_scatter {
	struct k_ref x, index, u, y;
	struct k_div dim[K_RANK];
	k_i32 stride[K_RANK];
	k_u32 n, m, inner, rank, axis, extent, k, degree, kind, fn, size, index_type, type;
};

/**
 * struct k_index - small things over one axis: [outer][axis][inner]
 * @kind: enum k_index_kind
 * @fn: of K_ARG: bit 0 max, bit 1 select last; of K_CUMSUM: bit 0 exclusive,
 *      bit 1 reverse; of K_TOPK: bit 0 largest; of K_TRILU: bit 0 upper
 * @k: of K_TOPK and K_TRILU
 * @has: of K_TOPK: bit 0 values, bit 1 indices
 */
enum k_index_kind { K_ARG, K_CUMSUM, K_TOPK, K_ONEHOT, K_TRILU };
struct k_index {
	struct k_ref x, v, y, z;
	struct k_div outer, inner, n;
	k_i64 k;
	k_u32 extent, degree, kind, fn, size, type, has;
};

/**
 * struct k_quant - QUANTIZE (to) and DEQUANTIZE, a scale for all or a channel
 */
struct k_quant {
	struct k_ref x, scale, zero, y;
	struct k_div n, inner, channels;
	k_u32 degree, to, has_zero;
};

/**
 * struct k_pack - rows of any strides to fp16 rows padded with zeros
 * @n: chunks of eight channels of a request
 * @chunks: of a row
 * @dim: extents of the axes that rows are numbered by, innermost first
 * @stride: in x, in elements; @c_stride: from channel to channel
 * @c: channels, @ldy: elements from row to row of y
 */
struct k_pack {
	struct k_ref x, y;
	struct k_div n, chunks, dim[4];
	k_i32 stride[4], c_stride;
	k_u32 c, ldy, rank, degree;
};

/* ---- reductions: reduce.cuh ---- */

/**
 * struct k_reduce - over some axes; kept axes and reduced ones apart
 * @keep: extents of the kept axes, innermost first, @n_keep of them
 * @red: of the reduced
 * @keep_stride: in x, in elements
 * @red_stride: likewise
 * @n: results of a request
 * @m: elements of each
 * @lanes: threads that share a result: 1, 32 or 256
 */
struct k_reduce {
	struct k_ref x, y;
	struct k_div n, keep[K_RANK], red[K_RANK];
	k_i32 keep_stride[K_RANK], red_stride[K_RANK];
	k_u32 m, n_keep, n_red, degree, fn, lanes, cls;
};

/**
 * struct k_rows - something over rows: [outer][axis][inner]
 * @kind: enum k_rows_kind
 * @n: rows of a request: outer * inner
 * @extent: elements of a row, @stride apart
 * @lanes: threads that share a row: 32 or 256
 */
enum k_rows_kind { K_SOFTMAX, K_LOGSOFTMAX, K_HARDMAX, K_LAYER_NORM, K_RMS_NORM };
struct k_rows {
	struct k_ref x, scale, shift, y, mean, inv;
	struct k_div n, inner;
	k_u32 extent, degree, kind, lanes, has_scale, has_shift, has_mean, has_inv;
	float epsilon;
};

/* Group and instance normalisation, channels last: a block a group of an image. */
struct k_group_norm {
	struct k_ref x, scale, shift, y;
	struct k_div per, groups;
	k_u32 images, pixels, channels, degree, has_scale, has_shift;
	float epsilon;
};

struct k_lrn {
	struct k_ref x, y;
	struct k_div n, c;
	k_u32 degree, before, after;
	float alpha, beta, bias;
};

/* ---- windows: window.cuh ---- */

/**
 * struct k_pool - any pool, channels last, one thread a result
 * @ldx: elements from pixel to pixel
 * @n: results of a request
 */
struct k_pool {
	struct k_ref x, y, indices;
	struct k_div c, od, oh, ow, n;
	k_u32 in[3], ldx, ldy, kernel[3], stride[3], dilation[3], pad_lo[3], pad_hi[3];
	k_u32 kind, count_pad, column_major, p, has_indices, degree;
};

#define K_RESIZE_TAPS	4

/* Taps of one output coordinate, made by the host, in the weight image. */
struct k_taps {
	k_i32 n, at[K_RESIZE_TAPS];
	float w[K_RESIZE_TAPS];
	k_u32 outside;
};

/**
 * struct k_resize - channels last
 * @taps: addresses of struct k_taps, one an output coordinate, by dimension
 * @n: elements of a request's output
 */
struct k_resize {
	struct k_ref x, y;
	k_u64 taps[3];
	struct k_div n, c, out[3];
	k_u32 in[3], ldx, ldy, degree, nearest, size;
	float extrapolation;
};

/* ---- products, plain: fma.cuh ---- */

/**
 * struct k_fma_conv - any convolution, also transposed, 3-D, in groups
 * @transposed: gathers: output o meets input (o + pad - k * dilation) / stride
 * @w: weights: CONV [m][taps][cg], CONV_TRANSPOSE [c][taps][mg]
 * @m: pixels of a request's output
 * @cg, @mg: channels of a group, in and out
 * @taps: of the kernel; @kh, @kw: its extents
 * @apart: weights or bias are the requests' own: 0 they share tiles, else tiles of one
 */
struct k_fma_conv {
	struct k_ref x, w, bias, res, y;
	struct k_div m, od, oh, ow, cg, kh, kw, stride[3];
	struct k_act act;
	k_u32 in[3], dilation[3];
	k_i32 pad[3];
	k_u32 ldx, ldy, ldr, groups, mg, taps, degree, transposed;
	k_u32 has_bias, has_res, tiles_m, tiles_n, apart;
};

/**
 * struct k_fma_gemm - batched product with any strides
 * @a, @b, @bias, @res, @y: strides of m, n or k and of up to four batch axes,
 *                          in elements
 */
struct k_fma_gemm {
	struct k_ref a, b, bias, res, y;
	struct k_div batch[4], m;
	struct k_act act;
	k_i32 a_m, a_k, b_k, b_n, bias_m, bias_n, res_m, res_n, y_m, y_n;
	k_i32 a_b[4], b_b[4], bias_b[4], res_b[4], y_b[4];
	k_u32 n, k, n_batch, batches, degree, has_bias, has_res, tiles_m, tiles_n;
	float alpha;
};

/* ---- recurrent: rnn.cuh ---- */

/**
 * struct k_rnn - LSTM, GRU or the plain cell; a block a direction and row
 * @w, @r: [dirs][k][gates][hidden], turned so that neighbours read neighbours
 */
struct k_rnn {
	struct k_ref x, w, r, bias, lens, h0, c0, peep, y, yh, yc;
	k_u32 steps, batch, width, hidden, gates, dirs, reverse, degree, cell;
	k_u32 linear_before_reset, input_forget, packed;
	k_u32 has_bias, has_lens, has_h0, has_c0, has_peep, has_y, has_yh, has_yc;
	k_u32 lens_type, fn[6];
	float fn_alpha[6], fn_beta[6], clip;
};

#endif
