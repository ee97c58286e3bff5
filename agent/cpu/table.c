// SPDX-License-Identifier: MIT
/*
 * Which kernel does which kind of operation, and the preparing of a program's
 * operations for it. A kind without an entry is refused by name.
 *
 * No state of its own.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cpu/kernel.h"

static const struct cpu_kernel *const kernels[PROG_KINDS] = {
	[PROG_CONV] = &cpu_k_conv,
	[PROG_CONV_TRANSPOSE] = &cpu_k_conv_transpose,
	[PROG_GEMM] = &cpu_k_gemm,
	[PROG_POOL] = &cpu_k_pool,
	[PROG_REDUCE] = &cpu_k_reduce,
	[PROG_UNARY] = &cpu_k_unary,
	[PROG_BINARY] = &cpu_k_binary,
	[PROG_WHERE] = &cpu_k_where,
	[PROG_CAST] = &cpu_k_cast,
	[PROG_SOFTMAX] = &cpu_k_softmax,
	[PROG_NORM] = &cpu_k_norm,
	[PROG_TRANSPOSE] = &cpu_k_transpose,
	[PROG_COPY] = &cpu_k_copy,
	[PROG_SLICE] = &cpu_k_slice,
	[PROG_CONCAT] = &cpu_k_concat,
	[PROG_PAD] = &cpu_k_pad,
	[PROG_EXPAND] = &cpu_k_expand,
	[PROG_TILE] = &cpu_k_tile,
	[PROG_GATHER] = &cpu_k_gather,
	[PROG_GATHER_ELEMENTS] = &cpu_k_gather_elements,
	[PROG_GATHER_ND] = &cpu_k_gather_nd,
	[PROG_SCATTER_ELEMENTS] = &cpu_k_scatter_elements,
	[PROG_SCATTER_ND] = &cpu_k_scatter_nd,
	[PROG_RESIZE] = &cpu_k_resize,
	[PROG_ARGREDUCE] = &cpu_k_argreduce,
	[PROG_LRN] = &cpu_k_lrn,
	[PROG_CUMSUM] = &cpu_k_cumsum,
	[PROG_TOPK] = &cpu_k_topk,
	[PROG_ONEHOT] = &cpu_k_onehot,
	[PROG_TRILU] = &cpu_k_trilu,
	[PROG_RNN] = &cpu_k_rnn,
	[PROG_QUANTIZE] = &cpu_k_quantize,
	[PROG_DEQUANTIZE] = &cpu_k_dequantize,
};

const struct cpu_kernel *cpu_kernel_of(enum prog_kind kind)
{
	return kind < PROG_KINDS ? kernels[kind] : NULL;
}

int cpu_refuse(const struct prog_op *op, char *why, size_t len, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (!why || !len)
		return -EOPNOTSUPP;
	n = snprintf(why, len, "%s node '%s': ", op->op_type ? op->op_type : "?",
		     op->node ? op->node : "");
	if (n < 0 || (size_t)n >= len)
		return -EOPNOTSUPP;
	va_start(ap, fmt);
	vsnprintf(why + n, len - n, fmt, ap);
	va_end(ap);
	return -EOPNOTSUPP;
}

int cpu_check_f32(const struct program *p, const struct prog_op *op, char *why, size_t len)
{
	for (uint32_t i = 0; i < op->n_in; i++)
		if (cpu_has_in(op, i) && p->tensors[op->in[i]].type != BRAID_TYPE_F32)
			return cpu_refuse(op, why, len, "input %u is not float", i);
	for (uint32_t i = 0; i < op->n_out; i++)
		if (cpu_has_out(op, i) && p->tensors[op->out[i]].type != BRAID_TYPE_F32)
			return cpu_refuse(op, why, len, "output %u is not float", i);
	return 0;
}

static int check_op(const struct program *p, const struct prog_op *op, char *why, size_t len)
{
	const struct cpu_kernel *k = cpu_kernel_of(op->kind);

	if (!k)
		return cpu_refuse(op, why, len, "the cpu backend has no %s kernel",
				  prog_kind_name(op->kind));
	return k->check ? k->check(p, op, why, len) : 0;
}

int cpu_ops_check(const struct program *p, char *why, size_t len)
{
	int err = 0;

	for (uint32_t i = 0; i < p->n_ops && !err; i++)
		err = check_op(p, &p->ops[i], why, len);
	return err;
}

void cpu_ops_release(struct cpu_op *ops, uint32_t n_ops)
{
	if (!ops)
		return;
	for (uint32_t i = 0; i < n_ops; i++)
		if (ops[i].kernel && ops[i].kernel->release)
			ops[i].kernel->release(&ops[i]);
	free(ops);
}

int cpu_ops_prepare(const struct program *p, struct cpu_op **out, size_t *scratch,
		    char *why, size_t len)
{
	struct cpu_op *ops;
	size_t most = 0;
	int err;

	err = cpu_ops_check(p, why, len);
	if (err)
		return err;
	ops = calloc(p->n_ops ? p->n_ops : 1, sizeof(*ops));
	if (!ops)
		goto nomem;
	for (uint32_t i = 0; i < p->n_ops; i++) {
		struct cpu_op *co = &ops[i];
		const struct cpu_kernel *k = cpu_kernel_of(p->ops[i].kind);

		co->prog = p;
		co->op = &p->ops[i];
		co->kernel = k;
		err = k->prepare ? k->prepare(co) : 0;
		if (err) {
			co->kernel = NULL;
			goto nomem;
		}
		if (co->scratch > CPU_SCRATCH_MAX) {
			err = cpu_refuse(co->op, why, len,
					 "needs %zu bytes of scratch, %u are the limit",
					 co->scratch, CPU_SCRATCH_MAX);
			goto fail;
		}
		if (co->scratch > most)
			most = co->scratch;
	}
	*scratch = most;
	*out = ops;
	return 0;
nomem:
	err = -ENOMEM;
	if (why && len)
		snprintf(why, len, "out of memory while operations are prepared");
fail:
	cpu_ops_release(ops, p->n_ops);
	return err;
}
