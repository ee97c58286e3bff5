// SPDX-License-Identifier: MIT
/*
 * Layers over a vector, all in fp32 (kernels/vec.cuh): where wide.c wants it.
 */
#include "agent/lower/lower.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/vec_args.h"

/* [n][k], rows up to a multiple of four. */
static uint32_t pack(struct lower *l, const struct prog_op *op, int64_t n, int64_t k, int64_t ld)
{
	const float *w = lower_const_data(l, op->in[1]);
	bool gemm = op->kind == PROG_GEMM, turned = gemm && !op->params.gemm.trans_b;
	float alpha = gemm ? op->params.gemm.alpha : 1.0f;
	float *to = calloc((size_t)(n * ld), sizeof(*to));
	uint32_t buf;

	if (!to) {
		lower_nomem(l);
		return 0;
	}
	for (int64_t i = 0; i < n && !l->opt.image; i++)
		for (int64_t j = 0; j < k; j++)
			to[i * ld + j] = alpha * (turned ? w[j * n + i] : w[i * k + j]);
	buf = lower_const(l, to, (uint64_t)(n * ld) * sizeof(*to));
	free(to);
	return buf;
}

bool lower_vec_fits(const struct lower *l, const struct prog_op *op)
{
	return l->opt.mode == GPU_FP16 && l->wide[lower_t(l, op->out[0])->storage];
}

void lower_vec(struct lower *l)
{
	const struct prog_op *op = l->op;
	struct lower_val x = lower_read_dense(l, op->in[0]), res, y;
	struct k_vec a = { .act = lower_act(&op->epi) };
	struct lower_step *s;
	uint32_t w, bias = 0;

	a.k = (k_u32)lower_elems(&x);
	a.ld = (a.k + 3) / 4 * 4;
	a.n = (k_u32)lower_t(l, op->out[0])->elems;
	a.tiles = (a.n + K_VEC_N - 1) / K_VEC_N;
	w = pack(l, op, a.n, a.k, a.ld);
	if (op->n_in > 2 && op->in[2] != PROG_NONE) {
		a.has_bias = 1;
		bias = lower_bias(l, lower_const_data(l, op->in[2]), a.n);
	}
	if (op->epi.residual != PROG_NONE) {
		a.has_res = 1;
		res = lower_read_dense(l, op->epi.residual);
	}
	y = lower_write(l, op->out[0]);
	s = LOWER_STEP(l, "vector", "braid_vec", a.ld * (uint32_t)sizeof(float), a, a.tiles);
	LOWER_READ(l, s, struct k_vec, x, &x);
	LOWER_WRITE(l, s, struct k_vec, y, &y);
	if (a.has_res)
		LOWER_READ(l, s, struct k_vec, res, &res);
	lower_address(l, s, offsetof(struct k_vec, w), w);
	if (a.has_bias)
		lower_address(l, s, offsetof(struct k_vec, b), bias);
}
