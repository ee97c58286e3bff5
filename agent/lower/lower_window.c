// SPDX-License-Identifier: MIT
/*
 * POOL and RESIZE.
 */
#include "agent/lower/lower.h"

#include <stdlib.h>

#include "agent/cpu/taps.h"
#include "kernels/conv_args.h"

/* fp16 by chunks of eight channels (kernels/cpool.cuh): windows ... */
static void chunk_pool(struct lower *l, const struct lower_val *x)
{
	const struct prog_pool *p = &l->op->params.pool;
	struct lower_val y = lower_write_rows(l, l->op->out[0]);
	struct k_cpool a = { .avg = p->kind == PROG_POOL_AVG, .count_pad = p->count_include_pad };
	struct lower_step *s;

	a.c = lower_div(lower_up8(x->dims[4]) / 8);
	a.oh = lower_div(y.dims[2]);
	a.ow = lower_div(y.dims[3]);
	a.n = lower_div(y.dims[0] * y.dims[2] * y.dims[3] * a.c.d);
	a.h = (k_u32)x->dims[2];
	a.w = (k_u32)x->dims[3];
	a.ldx = (k_u32)lower_pitch(x);
	a.ldy = (k_u32)lower_pitch(&y);
	a.kh = (k_u32)p->win.kernel[1];
	a.kw = (k_u32)p->win.kernel[2];
	a.sh = (k_u32)p->win.stride[1];
	a.sw = (k_u32)p->win.stride[2];
	a.ph = (k_u32)p->win.pad_lo[1];
	a.pw = (k_u32)p->win.pad_lo[2];
	a.ph_hi = (k_u32)p->win.pad_hi[1];
	a.pw_hi = (k_u32)p->win.pad_hi[2];
	s = LOWER_STEP(l, "pool", "braid_cpool", 0, a, lower_tiles(a.n.d));
	LOWER_READ(l, s, struct k_cpool, x, x);
	LOWER_WRITE(l, s, struct k_cpool, y, &y);
}

/* ... and the mean of an image. */
static void chunk_mean(struct lower *l, const struct lower_val *x)
{
	struct lower_val y = lower_write_rows(l, l->op->out[0]);	/* fp16 or, of whole chunks, fp32 */
	struct k_mean a = {
		.pixels = (k_u32)(x->dims[2] * x->dims[3]), .c = (k_u32)lower_up8(x->dims[4]) / 8,
		.ldx = (k_u32)lower_pitch(x), .ldy = (k_u32)lower_pitch(&y), .images = (k_u32)x->dims[0],
	};
	struct lower_step *s;

	a.cb = a.c % 4 ? 1 : a.pixels > 2048 ? 2 : 4;
	s = LOWER_STEP(l, "mean", "braid_mean", K_THREADS * 32, a,
		       (uint64_t)a.images * ((a.c + a.cb - 1) / a.cb));
	LOWER_READ(l, s, struct k_mean, x, x);
	LOWER_WRITE(l, s, struct k_mean, y, &y);
}

static bool chunk_fits(const struct lower *l, const struct lower_val *x)
{
	const struct prog_op *op = l->op;
	const struct prog_pool *p = &op->params.pool;

	return lower_is_chunked(l, x) && x->dims[1] == 1 && p->win.kernel[0] == 1 &&
	       p->kind != PROG_POOL_LP && p->win.dilation[1] == 1 && p->win.dilation[2] == 1 &&
	       (op->n_out < 2 || op->out[1] == PROG_NONE) &&
	       lower_storage(l, op->out[0])->place == PROG_ARENA &&
	       lower_t(l, op->out[0])->dims[1] == 1;
}

void lower_pool(struct lower *l)
{
	const struct prog_op *op = l->op;
	const struct prog_pool *p = &op->params.pool;
	struct k_pool a = { .kind = (k_u32)p->kind, .p = (k_u32)p->p };
	bool wide = l->wide[lower_t(l, op->out[0])->storage];
	struct lower_val x, y, indices;
	struct lower_step *s;

	if (lower_t(l, op->in[0])->type != BRAID_TYPE_F32) {
		lower_refuse(l, "its input is not float");
		return;
	}
	x = lower_read_rows(l, op->in[0]);
	if (!l->err && chunk_fits(l, &x)) {
		if (lower_is_mean(l, op) && (!wide || x.dims[4] % 8 == 0))
			chunk_mean(l, &x);
		else if (lower_is_mean(l, op))
			lower_mean_pool(l);
		else
			chunk_pool(l, &x);
		return;
	}
	if (lower_is_mean(l, op)) {
		lower_mean_pool(l);
		return;
	}
	y = lower_write_any(l, op->out[0]);
	a.has_indices = op->n_out > 1 && op->out[1] != PROG_NONE;
	if (a.has_indices)
		indices = lower_write(l, op->out[1]);
	a.c = lower_div(x.dims[4]);
	a.od = lower_div(y.dims[1]);
	a.oh = lower_div(y.dims[2]);
	a.ow = lower_div(y.dims[3]);
	a.n = lower_div(lower_elems(&y));
	a.ldx = (k_u32)lower_pitch(&x);
	a.ldy = (k_u32)lower_pitch(&y);
	a.count_pad = p->count_include_pad;
	a.column_major = p->column_major;
	for (int i = 0; i < 3; i++) {
		a.in[i] = (k_u32)x.dims[i + 1];
		a.kernel[i] = (k_u32)p->win.kernel[i];
		a.stride[i] = (k_u32)p->win.stride[i];
		a.dilation[i] = (k_u32)p->win.dilation[i];
		a.pad_lo[i] = (k_u32)p->win.pad_lo[i];
		a.pad_hi[i] = (k_u32)p->win.pad_hi[i];
	}
	s = LOWER_STEP(l, "pool", "braid_pool", 0, a, lower_tiles(a.n.d));
	LOWER_READ(l, s, struct k_pool, x, &x);
	LOWER_WRITE(l, s, struct k_pool, y, &y);
	if (a.has_indices)
		LOWER_WRITE(l, s, struct k_pool, indices, &indices);
}

/* Taps of all output coordinates of a dimension, in the image. */
static uint32_t taps_of(struct lower *l, int i, int64_t in, int64_t out)
{
	struct k_taps *taps = calloc((size_t)out, sizeof(*taps));
	uint32_t buf = 0;

	if (!taps) {
		lower_nomem(l);
		return 0;
	}
	for (int64_t o = 0; o < out; o++) {
		struct cpu_taps t = { 0 };

		cpu_taps(&l->op->params.resize, i, o, in, out, &t);
		taps[o].n = t.n;
		taps[o].outside = t.outside;
		for (int k = 0; k < K_RESIZE_TAPS; k++) {
			taps[o].at[k] = t.at[k];
			taps[o].w[k] = t.w[k];
		}
	}
	buf = lower_const(l, taps, (uint64_t)out * sizeof(*taps));
	free(taps);
	return buf;
}

void lower_resize(struct lower *l)
{
	const struct prog_op *op = l->op;
	const struct prog_resize *p = &op->params.resize;
	struct lower_val x = lower_read_rows(l, op->in[0]), y = lower_write_any(l, op->out[0]);
	struct k_resize a = { .extrapolation = p->extrapolation };
	uint32_t taps[3];
	struct lower_step *s;

	a.nearest = p->mode == PROG_RESIZE_NEAREST;
	if (!a.nearest && lower_t(l, op->in[0])->type != BRAID_TYPE_F32) {
		lower_refuse(l, "its input is not float and its mode not nearest");
		return;
	}
	a.n = lower_div(lower_elems(&y));
	a.c = lower_div(y.dims[4]);
	a.size = (k_u32)lower_size(y.type);
	a.ldx = (k_u32)lower_pitch(&x);
	a.ldy = (k_u32)lower_pitch(&y);
	for (int i = 0; i < 3; i++) {
		a.in[i] = (k_u32)x.dims[i + 1];
		a.out[i] = lower_div(y.dims[i + 1]);
		taps[i] = taps_of(l, i, x.dims[i + 1], y.dims[i + 1]);
	}
	s = LOWER_STEP(l, "resize", "braid_resize", 0, a, lower_tiles(a.n.d));
	LOWER_READ(l, s, struct k_resize, x, &x);
	LOWER_WRITE(l, s, struct k_resize, y, &y);
	for (int i = 0; i < 3; i++)
		lower_address(l, s, offsetof(struct k_resize, taps) + (size_t)i * sizeof(k_u64), taps[i]);
}
