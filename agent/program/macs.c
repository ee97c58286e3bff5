// SPDX-License-Identifier: MIT
/*
 * Multiply-accumulates of a program: what estimates of its time start from.
 * Saturates; a program too large to count is refused elsewhere, by its memory.
 */
#include "agent/program/macs.h"

#include "agent/program/program.h"

static uint64_t mul(uint64_t a, uint64_t b)
{
	uint64_t c;

	return __builtin_mul_overflow(a, b, &c) ? UINT64_MAX : c;
}

static uint64_t op_macs(const struct program *p, const struct prog_op *op)
{
	const struct prog_tensor *x, *w, *y;

	switch (op->kind) {
	case PROG_CONV:
		/* A row of w per output element. */
		w = &p->tensors[op->in[1]];
		y = &p->tensors[op->out[0]];
		return mul(y->elems, w->elems / w->dims[0]);
	case PROG_CONV_TRANSPOSE:
		w = &p->tensors[op->in[1]];
		x = &p->tensors[op->in[0]];
		return mul(x->elems, w->elems / w->dims[0]);
	case PROG_GEMM:
		x = &p->tensors[op->in[0]];
		y = &p->tensors[op->out[0]];
		return mul(y->elems, x->dims[x->rank - (op->params.gemm.trans_a ? 2 : 1)]);
	case PROG_RNN:
		/* Every weight once a step and batch entry. */
		x = &p->tensors[op->in[0]];
		return mul(mul(x->dims[0], x->dims[1]),
			   p->tensors[op->in[1]].elems + p->tensors[op->in[2]].elems);
	default:
		return 0;
	}
}

uint64_t program_macs(const struct program *p)
{
	uint64_t sum = 0, m;

	for (uint32_t i = 0; i < p->n_ops; i++) {
		m = op_macs(p, &p->ops[i]);
		if (__builtin_add_overflow(sum, m, &sum))
			return UINT64_MAX;
	}
	return sum;
}
