// SPDX-License-Identifier: MIT
/*
 * CONV, CONV_TRANSPOSE and GEMM of any shape, the plain way (kernels/fma.cuh).
 */
#include "agent/lower/lower.h"

#include <string.h>

#define TILE	64

static bool has(const struct prog_op *op, uint32_t i)
{
	return i < op->n_in && op->in[i] != PROG_NONE;
}

/* Merged requests are rows of one product. */
static void conv_bind(const struct lower_step *s, uint32_t degree, void *args,
		      struct gpu_launch *out)
{
	struct k_fma_conv *a = args;

	a->degree = degree;
	if (a->apart)
		a->tiles_m = degree * a->apart;
	else
		a->tiles_m = (k_u32)(((uint64_t)degree * a->m.d + TILE - 1) / TILE);
	out->grid = a->tiles_m * a->tiles_n * a->groups;
}

void lower_fma_conv(struct lower *l)
{
	const struct prog_op *op = l->op;
	const struct prog_conv *p = &op->params.conv;
	struct k_fma_conv a = { .transposed = op->kind == PROG_CONV_TRANSPOSE };
	struct lower_val x, w, bias, res, y;
	struct lower_step *s;

	if (lower_t(l, op->in[0])->type != BRAID_TYPE_F32) {
		lower_refuse(l, "its input is not float");
		return;
	}
	x = lower_read_rows(l, op->in[0]);
	w = lower_read_dense(l, op->in[1]);
	if (has(op, 2)) {
		bias = lower_read_dense(l, op->in[2]);
		a.has_bias = 1;
	}
	if (op->epi.residual != PROG_NONE) {
		res = lower_read_rows(l, op->epi.residual);
		a.has_res = 1;
		a.ldr = (k_u32)lower_pitch(&res);
	}
	y = lower_write_any(l, op->out[0]);
	a.act = lower_act(&op->epi);
	a.groups = (k_u32)p->group;
	a.cg = lower_div(x.dims[4] / p->group);
	a.mg = (k_u32)(y.dims[4] / p->group);
	a.taps = (k_u32)(p->win.kernel[0] * p->win.kernel[1] * p->win.kernel[2]);
	a.kh = lower_div(p->win.kernel[1]);
	a.kw = lower_div(p->win.kernel[2]);
	a.m = lower_div(lower_elems(&y) / y.dims[4]);
	a.od = lower_div(y.dims[1]);
	a.oh = lower_div(y.dims[2]);
	a.ow = lower_div(y.dims[3]);
	a.ldx = (k_u32)lower_pitch(&x);
	a.ldy = (k_u32)lower_pitch(&y);
	a.tiles_n = (a.mg + TILE - 1) / TILE;
	/* Rows of a tile have one set of weights. */
	if (!lower_const_data(l, op->in[1]))
		a.apart = (a.m.d + TILE - 1) / TILE;
	for (int i = 0; i < 3; i++) {
		a.in[i] = (k_u32)x.dims[i + 1];
		a.stride[i] = lower_div(p->win.stride[i]);
		a.dilation[i] = (k_u32)p->win.dilation[i];
		a.pad[i] = p->win.pad_lo[i];
	}
	s = LOWER_STEP(l, a.transposed ? "conv-transpose" : "conv", "braid_fma_conv", 2 * 16 * 68 * 4,
		       a, 1 + (uint64_t)a.m.d / TILE * a.tiles_n * a.groups);
	s->bind = conv_bind;
	LOWER_READ(l, s, struct k_fma_conv, x, &x);
	LOWER_READ(l, s, struct k_fma_conv, w, &w);
	if (a.has_bias)
		LOWER_READ(l, s, struct k_fma_conv, bias, &bias);
	if (a.has_res)
		LOWER_READ(l, s, struct k_fma_conv, res, &res);
	LOWER_WRITE(l, s, struct k_fma_conv, y, &y);
}

/* Strides of an operand over y's leading axes (four of them, joined by the caller). */
static void lead(const struct lower_val *v, const struct lower_val *y, int64_t *stride)
{
	struct lower_val t = *v;

	t.rank = v->rank - 2;
	lower_bcast(&t, y->rank - 2, y->dims, stride);
}

void lower_fma_gemm(struct lower *l)
{
	const struct prog_op *op = l->op;
	const struct prog_gemm *p = &op->params.gemm;
	struct lower_val v[5] = { 0 };	/* a, b, bias, residual, y */
	int64_t stride[5][LOWER_RANK] = { 0 }, dims[LOWER_RANK];
	struct k_fma_gemm a = { .alpha = p->alpha };
	k_i32 *to[5] = { a.a_b, a.b_b, a.bias_b, a.res_b, a.y_b };
	uint32_t n = 0, rank;
	struct lower_step *s;

	if (lower_t(l, op->in[0])->type != BRAID_TYPE_F32) {
		lower_refuse(l, "its operands are not float");
		return;
	}
	v[0] = lower_read(l, op->in[0]);
	v[1] = lower_read(l, op->in[1]);
	if (has(op, 2)) {
		v[2] = lower_read(l, op->in[2]);
		a.has_bias = 1;
	}
	if (op->epi.residual != PROG_NONE) {
		v[3] = lower_read(l, op->epi.residual);
		a.has_res = 1;
	}
	v[4] = lower_write_any(l, op->out[0]);
	rank = v[4].rank;
	lead(&v[0], &v[4], stride[0]);
	lead(&v[1], &v[4], stride[1]);
	if (a.has_bias)
		lower_bcast(&v[2], rank, v[4].dims, stride[2]);
	if (a.has_res)
		lower_bcast(&v[3], rank, v[4].dims, stride[3]);
	memcpy(stride[4], v[4].stride, sizeof(stride[4]));
	a.a_m = (k_i32)v[0].stride[v[0].rank - (p->trans_a ? 1 : 2)];
	a.a_k = (k_i32)v[0].stride[v[0].rank - (p->trans_a ? 2 : 1)];
	a.b_k = (k_i32)v[1].stride[v[1].rank - (p->trans_b ? 1 : 2)];
	a.b_n = (k_i32)v[1].stride[v[1].rank - (p->trans_b ? 2 : 1)];
	a.bias_m = (k_i32)stride[2][rank - 2];
	a.bias_n = (k_i32)stride[2][rank - 1];
	a.res_m = (k_i32)stride[3][rank - 2];
	a.res_n = (k_i32)stride[3][rank - 1];
	a.y_m = (k_i32)stride[4][rank - 2];
	a.y_n = (k_i32)stride[4][rank - 1];
	a.m = lower_div(v[4].dims[rank - 2]);
	a.n = (k_u32)v[4].dims[rank - 1];
	a.k = (k_u32)v[0].dims[v[0].rank - (p->trans_a ? 2 : 1)];
	a.act = lower_act(&op->epi);
	a.batches = 1;
	/* Leading axes, innermost first, joined where all operands allow. */
	for (uint32_t i = rank - 2; i-- > 0;) {
		bool one = n > 0;

		if (v[4].dims[i] == 1)
			continue;
		for (int k = 0; k < 5 && one; k++)
			one = stride[k][i] == to[k][n - 1] * dims[n - 1];
		a.batches *= (k_u32)v[4].dims[i];
		if (one) {
			dims[n - 1] *= v[4].dims[i];
			continue;
		}
		if (n == 4) {
			lower_refuse(l, "more than four leading axes that do not join");
			return;
		}
		for (int k = 0; k < 5; k++)
			to[k][n] = (k_i32)stride[k][i];
		dims[n++] = v[4].dims[i];
	}
	a.n_batch = n;
	for (uint32_t i = 0; i < n; i++)
		a.batch[i] = lower_div(dims[i]);
	a.tiles_m = (a.m.d + TILE - 1) / TILE;
	a.tiles_n = (a.n + TILE - 1) / TILE;
	s = LOWER_STEP(l, "gemm", "braid_fma_gemm", 2 * 16 * 68 * 4, a,
		       (uint64_t)a.tiles_m * a.tiles_n * a.batches);
	LOWER_READ(l, s, struct k_fma_gemm, a, &v[0]);
	LOWER_READ(l, s, struct k_fma_gemm, b, &v[1]);
	if (a.has_bias)
		LOWER_READ(l, s, struct k_fma_gemm, bias, &v[2]);
	if (a.has_res)
		LOWER_READ(l, s, struct k_fma_gemm, res, &v[3]);
	LOWER_WRITE(l, s, struct k_fma_gemm, y, &v[4]);
}
