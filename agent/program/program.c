// SPDX-License-Identifier: MIT
/*
 * Names, sizes and the end of a program. Owns nothing.
 */
#include "agent/program/program.h"

#include <stdlib.h>

size_t prog_type_size(enum braid_type t)
{
	switch (t) {
	case BRAID_TYPE_U8:
	case BRAID_TYPE_I8:
	case BRAID_TYPE_BOOL:
		return 1;
	case BRAID_TYPE_U16:
	case BRAID_TYPE_I16:
	case BRAID_TYPE_F16:
	case BRAID_TYPE_BF16:
		return 2;
	case BRAID_TYPE_F32:
	case BRAID_TYPE_I32:
	case BRAID_TYPE_U32:
		return 4;
	case BRAID_TYPE_I64:
	case BRAID_TYPE_U64:
	case BRAID_TYPE_F64:
		return 8;
	}
	return 0;
}

bool prog_type_is_signed(enum braid_type t)
{
	return t == BRAID_TYPE_I8 || t == BRAID_TYPE_I16 || t == BRAID_TYPE_I32 ||
	       t == BRAID_TYPE_I64;
}

bool prog_type_is_int(enum braid_type t)
{
	return prog_type_is_signed(t) || t == BRAID_TYPE_U8 || t == BRAID_TYPE_U16 ||
	       t == BRAID_TYPE_U32 || t == BRAID_TYPE_U64;
}

bool prog_type_is_float(enum braid_type t)
{
	return t == BRAID_TYPE_F32 || t == BRAID_TYPE_F64 || t == BRAID_TYPE_F16 ||
	       t == BRAID_TYPE_BF16;
}

/* Those without a size too: they stand in files, and are refused by name. */
static const char *const type_names[] = {
	[BRAID_TYPE_F32] = "float", [BRAID_TYPE_U8] = "uint8", [BRAID_TYPE_I8] = "int8",
	[BRAID_TYPE_U16] = "uint16", [BRAID_TYPE_I16] = "int16", [BRAID_TYPE_I32] = "int32",
	[BRAID_TYPE_I64] = "int64", [8] = "string", [BRAID_TYPE_BOOL] = "bool",
	[BRAID_TYPE_F16] = "float16", [BRAID_TYPE_F64] = "double", [BRAID_TYPE_U32] = "uint32",
	[BRAID_TYPE_U64] = "uint64", [14] = "complex64", [15] = "complex128",
	[BRAID_TYPE_BF16] = "bfloat16", [17] = "float8e4m3fn", [18] = "float8e4m3fnuz",
	[19] = "float8e5m2", [20] = "float8e5m2fnuz", [21] = "uint4", [22] = "int4",
};

const char *prog_type_name(int type)
{
	if (type < 0 || (size_t)type >= sizeof(type_names) / sizeof(*type_names) ||
	    !type_names[type])
		return "an unknown type";
	return type_names[type];
}

static const char *const kind_names[PROG_KINDS] = {
	[PROG_CONV] = "conv",
	[PROG_CONV_TRANSPOSE] = "conv-transpose",
	[PROG_GEMM] = "gemm",
	[PROG_POOL] = "pool",
	[PROG_REDUCE] = "reduce",
	[PROG_ARGREDUCE] = "argreduce",
	[PROG_UNARY] = "unary",
	[PROG_BINARY] = "binary",
	[PROG_WHERE] = "where",
	[PROG_CAST] = "cast",
	[PROG_SOFTMAX] = "softmax",
	[PROG_NORM] = "norm",
	[PROG_LRN] = "lrn",
	[PROG_TRANSPOSE] = "transpose",
	[PROG_COPY] = "copy",
	[PROG_SLICE] = "slice",
	[PROG_CONCAT] = "concat",
	[PROG_PAD] = "pad",
	[PROG_EXPAND] = "expand",
	[PROG_TILE] = "tile",
	[PROG_GATHER] = "gather",
	[PROG_GATHER_ELEMENTS] = "gather-elements",
	[PROG_GATHER_ND] = "gather-nd",
	[PROG_SCATTER_ELEMENTS] = "scatter-elements",
	[PROG_SCATTER_ND] = "scatter-nd",
	[PROG_RESIZE] = "resize",
	[PROG_CUMSUM] = "cumsum",
	[PROG_TOPK] = "topk",
	[PROG_ONEHOT] = "onehot",
	[PROG_TRILU] = "trilu",
	[PROG_RNN] = "rnn",
	[PROG_QUANTIZE] = "quantize",
	[PROG_DEQUANTIZE] = "dequantize",
};

const char *prog_kind_name(enum prog_kind kind)
{
	if ((unsigned int)kind >= PROG_KINDS || !kind_names[kind])
		return "unknown";
	return kind_names[kind];
}

void program_free(struct program *p)
{
	if (!p)
		return;
	/* An operation's inputs, outputs and dependencies are one block. */
	for (uint32_t i = 0; p->ops && i < p->n_ops; i++)
		free(p->ops[i].in);
	free(p->ops);
	free(p->inputs);
	free(p->outputs);
	free(p->storages);
	free(p->tensors);
	free(p->consts);
	free(p->strings);
	free(p);
}
