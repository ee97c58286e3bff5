// SPDX-License-Identifier: MIT
/*
 * Convolutions of up to four channels, from where and how they lie
 * (kernels/stem.cuh): most often a network's first, on the tenant's planes.
 */
#include "agent/lower/lower.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/conv_args.h"

#define MAX_SMEM	(96u << 10)

static uint32_t block_n(int64_t n)
{
	return n <= 16 ? 16 : n <= 32 ? 32 : 64;
}

static uint32_t smem_of(const struct prog_window *w, uint32_t bn)
{
	uint32_t kq = ((uint32_t)w->kernel[2] + 3) / 4 * 4;

	return K_STEM_SMEM(bn, (uint32_t)w->kernel[1], kq, (uint32_t)w->stride[1], (uint32_t)w->stride[2]);
}

bool lower_stem_fits(const struct lower *l, const struct prog_op *op)
{
	const struct prog_window *w = &op->params.conv.win;
	const struct prog_tensor *x = lower_t(l, op->in[0]), *y = lower_t(l, op->out[0]);

	if (!lower_conv_fits(l, op) || x->dims[4] > 4 || op->params.conv.group != 1)
		return false;
	if (w->dilation[1] != 1 || w->dilation[2] != 1 || w->stride[1] > 4 || w->stride[2] > 4 ||
	    w->kernel[1] > 16 || w->kernel[2] > 16)
		return false;
	return op->epi.residual == PROG_NONE && lower_storage(l, op->out[0])->place == PROG_ARENA &&
	       y->dims[2] * y->dims[3] >= 16 && smem_of(w, block_n(y->dims[4])) <= MAX_SMEM;
}

/* [n][kh][kw][c] with pixels of four channels, rows of kq pixels, and the padding between rows. */
static uint32_t pack(struct lower *l, const float *w, const struct k_stem_shape *s)
{
	size_t pitch = K_STEM_PITCH(s->kh, s->kq) / sizeof(uint16_t);
	size_t taps = (size_t)s->kh * s->kw;
	uint16_t *to = calloc(s->n * pitch, sizeof(*to)), *row = calloc(taps, sizeof(*row));
	uint32_t buf = 0;

	if (!to || !row) {
		lower_nomem(l);
		goto out;
	}
	for (size_t n = 0; n < s->n; n++)
		for (size_t c = 0; c < s->c; c++) {
			lower_halves(row, w + n * taps * s->c + c, (int64_t)taps, s->c, 1.0f);
			for (size_t t = 0; t < taps; t++)
				to[n * pitch + (t / s->kw * s->kq + t % s->kw) * 4 + c] = row[t];
		}
	buf = lower_const(l, to, s->n * pitch * sizeof(*to));
out:
	free(to);
	free(row);
	return buf;
}

static uint32_t stem_kernel(struct lower *l, const struct k_stem_shape *s, uint32_t bn)
{
#define FORMAT(name) " " #name " = %u,"
#define VALUE(name) s->name,
	const struct lower_special sp = {
		.header = "stem", .args = "k_stem", .args_bytes = sizeof(struct k_stem), .min_ctas = 2,
		.smem = K_STEM_SMEM(bn, s->kh, s->kq, s->sh, s->sw),
		.shape = lower_format(l, "static constexpr u32" K_STEM_SHAPE(FORMAT) " last = %u;",
				      K_STEM_SHAPE(VALUE) 0u),
		.call = lower_format(l, "stem_tile<%u>", bn),
		.generic = lower_format(l, "braid_stem_%u", bn),
	};
#undef FORMAT
#undef VALUE

	return lower_special(l, &sp);
}

void lower_stem(struct lower *l)
{
	const struct prog_op *op = l->op;
	const struct prog_window *win = &op->params.conv.win;
	struct lower_val x = lower_read(l, op->in[0]), y = lower_write_rows(l, op->out[0]);
	struct k_stem a = { .act = lower_act(&op->epi) };
	struct k_stem_shape *s = &a.s;
	uint32_t bn = block_n(y.dims[4]), w, bias = 0;
	struct lower_step *st;

	s->h = (k_u32)x.dims[2];
	s->w = (k_u32)x.dims[3];
	s->c = (k_u32)x.dims[4];
	s->oh = (k_u32)y.dims[2];
	s->ow = (k_u32)y.dims[3];
	s->n = (k_u32)y.dims[4];
	s->ldy = (k_u32)lower_pitch(&y);
	s->kh = (k_u32)win->kernel[1];
	s->kw = (k_u32)win->kernel[2];
	s->kq = (s->kw + 3) / 4 * 4;
	s->sh = (k_u32)win->stride[1];
	s->sw = (k_u32)win->stride[2];
	s->ph = (k_u32)win->pad_lo[1];
	s->pw = (k_u32)win->pad_lo[2];
	s->fn = (k_u32)op->epi.fn;
	s->images = (k_u32)x.dims[0];
	a.stride[0] = (k_i32)x.stride[0];
	for (int i = 1; i < 4; i++)
		a.stride[i] = (k_i32)x.stride[i + 1];
	a.tiles_x = (s->ow + K_STEM_X - 1) / K_STEM_X;
	a.tiles_y = (s->oh + K_STEM_Y - 1) / K_STEM_Y;
	a.tiles_n = (s->n + bn - 1) / bn;
	w = pack(l, lower_const_data(l, op->in[1]), s);
	if (op->n_in > 2 && op->in[2] != PROG_NONE) {
		s->bias = 1;
		bias = lower_bias(l, lower_const_data(l, op->in[2]), s->n);
	}
	st = lower_step(l, "first conv", stem_kernel(l, s, bn), &a, sizeof(a),
			offsetof(struct k_stem, degree),
			(uint64_t)s->images * a.tiles_x * a.tiles_y * a.tiles_n);
	LOWER_READ(l, st, struct k_stem, x, &x);
	LOWER_WRITE(l, st, struct k_stem, y, &y);
	lower_address(l, st, offsetof(struct k_stem, w), w);
	if (s->bias)
		lower_address(l, st, offsetof(struct k_stem, b), bias);
}
