/* SPDX-License-Identifier: MIT */
/*
 * What the op_*.c files share: their tables, and the few steps that operators
 * of several topics are made from. Everything else they need is in emit.h and
 * build.h; errors stick there, so helpers here return tensor 0 after one.
 *
 * No state of its own.
 */
#ifndef BRAID_AGENT_ONNX_OP_H
#define BRAID_AGENT_ONNX_OP_H

#include "agent/onnx/emit.h"

/* Each topic's operators, ended by a NULL name; op_table.c searches them. */
extern const struct emit_op op_elementwise[], op_conv[], op_pool[], op_matmul[];
extern const struct emit_op op_einsum[], op_reduce[], op_shape[], op_index[], op_norm[];
extern const struct emit_op op_rnn[], op_resize[], op_quant[], op_const[], op_refused[];

/* A shape under construction. */
struct op_dims {
	uint32_t rank;
	int64_t d[PROG_MAX_RANK];
};

/** op_dims() - the shape of tensor @t */
struct op_dims op_dims(const struct emit *e, uint32_t t);

/** op_view() - build_view() to a struct op_dims */
uint32_t op_view(struct emit *e, uint32_t t, const struct op_dims *d);

/** op_expand() - build_expand() to a struct op_dims, no operation where nothing changes */
uint32_t op_expand(struct emit *e, uint32_t t, const struct op_dims *d);

/** op_full() - a constant of that shape, every element @v (converted) */
uint32_t op_full(struct emit *e, enum braid_type type, const struct op_dims *d, double v);

/** op_f32() - a float scalar */
uint32_t op_f32(struct emit *e, float v);

/** op_bin() - build_binary() */
uint32_t op_bin(struct emit *e, enum prog_binary fn, uint32_t x, uint32_t y);

#define OP_MAX_EXTENT	(1 << 24)	/* of a kernel, stride, dilation, pad or image */

enum op_auto_pad { OP_PAD_NOTSET, OP_PAD_SAME_UPPER, OP_PAD_SAME_LOWER, OP_PAD_VALID };

/** op_auto_pad() - attribute auto_pad */
enum op_auto_pad op_auto_pad(struct emit *e);

/**
 * struct op_window - kernel, stride, dilation and padding of a sliding window
 * @n: spatial dimensions, 1 to 3
 * @win: right-aligned: dimension i of @n is entry 3 - n + i
 * @out: extents of the result, aligned alike
 */
struct op_window {
	uint32_t n;
	struct prog_window win;
	int64_t out[3];
};

/**
 * op_window() - read kernel_shape, strides, dilations, pads, auto_pad
 * @x: number of the input that the window slides over, [N][C][spatial...]
 * @kernel: extents of the kernel where the weights say them, NULL: attribute
 * @ceil_mode: round the extents of the result up
 * @w: set here
 *
 * Checks what a hostile file could get wrong: ranks, signs, overflows, a
 * result without elements. Return: false after a failure.
 */
bool op_window(struct emit *e, uint32_t x, const int64_t *kernel, bool ceil_mode,
	       struct op_window *w);

#endif
