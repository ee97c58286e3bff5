// SPDX-License-Identifier: MIT
/*
 * The table of operators: every topic's, searched by name and opset.
 *
 * No state of its own.
 */
#include <string.h>

#include "agent/onnx/op.h"

static const struct emit_op *const topics[] = {
	op_elementwise, op_conv, op_pool, op_matmul, op_einsum, op_reduce, op_shape,
	op_index, op_norm, op_rnn, op_resize, op_quant, op_const, op_refused,
};

const struct emit_op *emit_find(const char *op_type, int64_t opset, bool *known)
{
	*known = false;
	for (size_t i = 0; i < sizeof(topics) / sizeof(*topics); i++) {
		for (const struct emit_op *op = topics[i]; op->op_type; op++) {
			if (strcmp(op->op_type, op_type))
				continue;
			*known = true;
			if (opset >= op->since && opset <= op->last)
				return op;
		}
	}
	return NULL;
}
