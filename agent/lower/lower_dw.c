// SPDX-License-Identifier: MIT
/*
 * Depthwise convolutions by chunks of eight channels (kernels/dw.cuh).
 */
#include "agent/lower/lower.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/conv_args.h"

static bool has(const struct prog_op *op, uint32_t i)
{
	return i < op->n_in && op->in[i] != PROG_NONE;
}

/* Is there an entry for the window? */
static bool known(const struct prog_window *w, k_u32 *tw)
{
#define WINDOW(k, s, t)									\
	if (w->kernel[1] == k && w->kernel[2] == k && w->stride[1] == s && w->stride[2] == s) {	\
		*tw = t;								\
		return true;								\
	}
	K_DW_WINDOWS(WINDOW)
#undef WINDOW
	return false;
}

bool lower_dw_fits(const struct lower *l, const struct prog_op *op)
{
	const struct prog_conv *p = &op->params.conv;
	const struct prog_tensor *x = lower_t(l, op->in[0]), *y = lower_t(l, op->out[0]);
	k_u32 tw;

	return l->opt.mode == GPU_FP16 && x->type == BRAID_TYPE_F32 && p->group == x->dims[4] &&
	       y->dims[4] == x->dims[4] && x->dims[1] == 1 && p->win.kernel[0] == 1 &&
	       p->win.dilation[1] == 1 && p->win.dilation[2] == 1 && known(&p->win, &tw) &&
	       lower_const_data(l, op->in[1]) && (!has(op, 2) || lower_const_data(l, op->in[2])) &&
	       op->epi.residual == PROG_NONE && lower_storage(l, op->out[0])->place == PROG_ARENA &&
	       lower_is_small(x) && lower_is_small(y);
}

uint32_t lower_dw_weights(struct lower *l, const float *w, int64_t c, int64_t taps)
{
	int64_t cp = lower_up8(c);
	uint16_t *to = calloc((size_t)(taps * cp), sizeof(*to));
	uint16_t *row = calloc((size_t)taps, sizeof(*row));
	uint32_t buf = 0;

	if (!to || !row) {
		lower_nomem(l);
		goto out;
	}
	for (int64_t i = 0; i < c; i++) {
		lower_halves(row, w + i * taps, taps, 1, 1.0f);
		for (int64_t t = 0; t < taps; t++)
			to[t * cp + i] = row[t];
	}
	buf = lower_const(l, to, (uint64_t)(taps * cp) * sizeof(*to));
out:
	free(to);
	free(row);
	return buf;
}

/* Bias of whole chunks. */
static uint32_t pack_bias(struct lower *l, const float *b, int64_t c)
{
	float *to = calloc((size_t)lower_up8(c), sizeof(*to));
	uint32_t buf;

	if (!to) {
		lower_nomem(l);
		return 0;
	}
	memcpy(to, b, (size_t)c * sizeof(*to));
	buf = lower_const(l, to, (uint64_t)lower_up8(c) * sizeof(*to));
	free(to);
	return buf;
}

uint32_t lower_chunk_block(uint32_t chunks)
{
	for (uint32_t cb = 8; cb >= 4; cb--)
		if (chunks % cb == 0)
			return cb;
	return chunks < 8 ? chunks : 8;
}

static uint32_t dw_kernel(struct lower *l, const struct k_dw_shape *s, uint32_t hidden)
{
#define FORMAT(name) " " #name " = %u,"
#define VALUE(name) s->name,
	const struct lower_special sp = {
		.header = "dw", .args = "k_dw", .args_bytes = sizeof(struct k_dw), .min_ctas = 2,
		.smem = s->squeeze ? K_DW_SUMS(s->cb) + K_SE_W1(hidden, s->cb * 8) : 0,
		.shape = lower_format(l, "static constexpr u32" K_DW_SHAPE(FORMAT) " last = %u;",
				      K_DW_SHAPE(VALUE) 0u),
		.call = "dw_tile",
		.generic = lower_format(l, "braid_dw_%ux%u_%u", s->kh, s->kw, s->sh),
	};
#undef FORMAT
#undef VALUE

	return lower_special(l, &sp);
}

void lower_dw(struct lower *l)
{
	const struct prog_op *op = l->op;
	const struct prog_window *win = &op->params.conv.win;
	struct lower_val x = lower_read_input(l, op->in[0]), y = lower_write_rows(l, op->out[0]);
	struct k_dw a = { .act = lower_act(&op->epi) };
	struct k_dw_shape *s = &a.s;
	struct lower_se *se = l->se[op - l->p->ops];
	uint32_t w, bias = 0, per, kernel;
	int64_t c = x.dims[4];
	struct lower_step *st;

	s->h = (k_u32)x.dims[2];
	s->w = (k_u32)x.dims[3];
	s->c = (k_u32)lower_up8(c) / 8;
	s->ldx = (k_u32)lower_pitch(&x);
	s->oh = (k_u32)y.dims[2];
	s->ow = (k_u32)y.dims[3];
	s->ldy = (k_u32)lower_pitch(&y);
	s->kh = (k_u32)win->kernel[1];
	s->kw = (k_u32)win->kernel[2];
	s->sh = (k_u32)win->stride[1];
	s->sw = (k_u32)win->stride[2];
	s->ph = (k_u32)win->pad_lo[1];
	s->pw = (k_u32)win->pad_lo[2];
	s->fn = (k_u32)op->epi.fn;
	s->images = (k_u32)x.dims[0];
	s->cb = lower_chunk_block(s->c);
	s->pt = 1;
	known(win, &s->tw);
	per = K_THREADS / s->cb * s->pt;
	a.segs = (s->oh * ((s->ow + s->tw - 1) / s->tw) + per - 1) / per;
	w = lower_dw_weights(l, lower_const_data(l, op->in[1]), c, (int64_t)s->kh * s->kw);
	if (has(op, 2)) {
		s->bias = 1;
		bias = pack_bias(l, lower_const_data(l, op->in[2]), c);
	}
	if (se) {
		s->squeeze = 1;
		lower_se_squeeze(l, se, &a.se, s->images, a.segs * ((s->c + s->cb - 1) / s->cb));
	}
	kernel = dw_kernel(l, s, a.se.hidden);
	st = lower_step(l, "depthwise", kernel, &a, sizeof(a), offsetof(struct k_dw, degree),
			(uint64_t)a.segs * ((s->c + s->cb - 1) / s->cb) * s->images);
	LOWER_READ(l, st, struct k_dw, x, &x);
	LOWER_WRITE(l, st, struct k_dw, y, &y);
	lower_address(l, st, offsetof(struct k_dw, w), w);
	if (s->bias)
		lower_address(l, st, offsetof(struct k_dw, b), bias);
	if (se) {
		LOWER_WRITE(l, st, struct k_dw, se.part, &se->part);
		lower_address(l, st, offsetof(struct k_dw, se.w1), se->w1);
	}
}
