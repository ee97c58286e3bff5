// SPDX-License-Identifier: MIT
/*
 * Expansion and depthwise convolution in one (kernels/mb.cuh): found in the
 * program, cut into blocks, lowered.
 */
#include "agent/lower/lower.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/conv_args.h"

#define MAX_SMEM	(96u << 10)
#define MAX_DEPTH	256
#define DEGREE		2	/* that blocks are cut for */

static bool is_1x1(const struct prog_op *op)
{
	const struct prog_window *w = &op->params.conv.win;

	for (int i = 0; i < 3; i++)
		if (w->kernel[i] != 1 || w->stride[i] != 1 || w->pad_lo[i] || w->pad_hi[i])
			return false;
	return op->params.conv.group == 1;
}

void lower_find_mb(struct lower *l, const uint32_t *writer)
{
	for (uint32_t i = 0; i < l->p->n_ops; i++) {
		const struct prog_op *dw = &l->p->ops[i], *ex;
		uint32_t w;

		if (dw->kind != PROG_CONV || !lower_dw_fits(l, dw) || lower_t(l, dw->out[0])->dims[4] % 8)
			continue;
		w = writer[lower_t(l, dw->in[0])->storage];
		if (w == LOWER_NONE)
			continue;
		ex = &l->p->ops[w];
		if (ex->kind != PROG_CONV || !lower_conv_fits(l, ex) || !is_1x1(ex) || l->se[w] ||
		    ex->epi.residual != PROG_NONE || lower_only_use(l, ex->out[0]) != dw ||
		    lower_stem_fits(l, ex) || lower_t(l, ex->in[0])->dims[4] > MAX_DEPTH ||
		    l->places[lower_t(l, ex->out[0])->storage].op)
			continue;
		/* The same image: no view of it in between. */
		if (memcmp(lower_t(l, ex->out[0])->dims, lower_t(l, dw->in[0])->dims, 5 * sizeof(int64_t)))
			continue;
		l->expand[i] = ex;
		l->done[w] = true;
	}
}

/* ---- how blocks are cut ---- */

static uint32_t smem_of(const struct k_mb_shape *s, uint32_t cb, uint32_t hidden)
{
	uint32_t iy = K_MB_IN(s->ty, s->sh, s->kh), ix = K_MB_IN(s->tx, s->sw, s->kw);

	/* Sums of squeeze-excite lie over the rows and the weights. */
	return K_MB_A(K_MB_MIN(iy, s->h), K_MB_MIN(ix, s->w), s->c) + K_MB_B(cb, s->c) +
	       K_MB_D(cb, s->kh, s->kw) + K_MB_E(cb, iy, ix) + (s->squeeze ? K_SE_W1(hidden, cb) : 0);
}

/* Nanoseconds, roughly: what the largest share of blocks on one multiprocessor takes. */
static double cost(const struct lower *l, const struct k_mb_shape *s, uint32_t cb)
{
	double tiles = (double)((s->oh + s->ty - 1) / s->ty) * ((s->ow + s->tx - 1) / s->tx);
	double blocks = tiles * ((s->ce + cb - 1) / cb) * s->images * DEGREE;
	double m = (double)K_MB_MIN(K_MB_IN(s->ty, s->sh, s->kh), s->h) *
		   K_MB_MIN(K_MB_IN(s->tx, s->sw, s->kw), s->w);
	double out = (double)s->ty * s->tx * cb, share = blocks / l->opt.n_sms, work;

	work = (m + cb) * s->c * 2 / 70.0 + m * cb * s->c / 600.0 + m * cb * 0.09 +
	       out * s->kh * s->kw * 0.012 + out * 0.09;
	/* Two on a multiprocessor hide each other's waiting. */
	return 1800.0 + (share < 1 ? 1 : share) * work + (share > 2 ? (share - 1) * 300 : 0);
}

static uint32_t cut(const struct lower *l, struct k_mb_shape *s, uint32_t hidden)
{
	static const uint32_t sides[] = { 4, 7, 8, 14, 16, 28, 32 };
	struct k_mb_shape best = *s;
	uint32_t best_cb = 0;
	double least = 0;

	for (size_t i = 0; i < sizeof(sides) / sizeof(*sides); i++)
		for (size_t k = 0; k < sizeof(sides) / sizeof(*sides); k++)
			for (uint32_t cb = 16; cb <= 32; cb += 16) {
				struct k_mb_shape t = *s;
				double ns;

				t.ty = sides[i] < s->oh ? sides[i] : s->oh;
				t.tx = sides[k] < s->ow ? sides[k] : s->ow;
				if (smem_of(&t, cb, hidden) > MAX_SMEM)
					continue;
				ns = cost(l, &t, cb);
				if (best_cb && ns >= least)
					continue;
				least = ns;
				best_cb = cb;
				best = t;
			}
	*s = best;
	s->tw = s->sw == 1 && s->tx % 2 == 0 ? 2 : 1;
	return best_cb;
}

/* ---- lowering ---- */

/* [ce][c] with rows up to a multiple of 16. */
static uint32_t pack_expand(struct lower *l, const float *w, int64_t ce, int64_t c)
{
	int64_t ld = K_MB_UP16(lower_up8(c));
	uint16_t *to = calloc((size_t)(ce * ld), sizeof(*to));
	uint32_t buf;

	if (!to) {
		lower_nomem(l);
		return 0;
	}
	for (int64_t i = 0; i < ce && !l->opt.image; i++)
		lower_halves(to + i * ld, w + i * c, c, 1, 1.0f);
	buf = lower_const(l, to, (uint64_t)(ce * ld) * sizeof(*to));
	free(to);
	return buf;
}

static uint32_t mb_kernel(struct lower *l, const struct k_mb_shape *s, uint32_t cb, uint32_t hidden)
{
#define FORMAT(name) " " #name " = %u,"
#define VALUE(name) s->name,
	const struct lower_special sp = {
		.header = "mb", .args = "k_mb", .args_bytes = sizeof(struct k_mb), .min_ctas = 2,
		.smem = smem_of(s, cb, hidden),
		.shape = lower_format(l, "static constexpr u32" K_MB_SHAPE(FORMAT) " last = %u;",
				      K_MB_SHAPE(VALUE) 0u),
		.call = lower_format(l, "mb_tile<%u, %u>", cb, s->tw),
		.generic = lower_format(l, "braid_mb_%u", cb),
	};
#undef FORMAT
#undef VALUE

	return lower_special(l, &sp);
}

static bool has(const struct prog_op *op, uint32_t i)
{
	return i < op->n_in && op->in[i] != PROG_NONE;
}

static void shape(struct lower *l, struct k_mb_shape *s, const struct lower_val *x,
		  const struct lower_val *y, const struct prog_op *ex)
{
	const struct prog_window *win = &l->op->params.conv.win;

	s->h = (k_u32)x->dims[2];
	s->w = (k_u32)x->dims[3];
	s->c = (k_u32)lower_up8(x->dims[4]);
	s->ldx = (k_u32)lower_pitch(x);
	s->ce = (k_u32)y->dims[4];
	s->oh = (k_u32)y->dims[2];
	s->ow = (k_u32)y->dims[3];
	s->ldy = (k_u32)lower_pitch(y);
	s->kh = (k_u32)win->kernel[1];
	s->kw = (k_u32)win->kernel[2];
	s->sh = (k_u32)win->stride[1];
	s->sw = (k_u32)win->stride[2];
	s->ph = (k_u32)win->pad_lo[1];
	s->pw = (k_u32)win->pad_lo[2];
	s->fn1 = (k_u32)ex->epi.fn;
	s->fn2 = (k_u32)l->op->epi.fn;
	s->images = (k_u32)x->dims[0];
	s->bias1 = has(ex, 2);
	s->bias2 = has(l->op, 2);
}

void lower_mb(struct lower *l)
{
	const struct prog_op *op = l->op, *ex = l->expand[op - l->p->ops];
	struct lower_se *se = l->se[op - l->p->ops];
	struct k_mb a = { .act1 = lower_act(&ex->epi), .act2 = lower_act(&op->epi) };
	struct lower_val x = lower_read_input(l, ex->in[0]), y = lower_write_rows(l, op->out[0]);
	struct k_mb_shape *s = &a.s;
	uint32_t cb, w1, w2, b1 = 0, b2 = 0;
	struct lower_step *st;
	int64_t c = x.dims[4];

	shape(l, s, &x, &y, ex);
	s->squeeze = se != NULL;
	cb = cut(l, s, se ? se->hidden : 0);
	if (!cb)
		lower_refuse(l, "no block of it fits into shared memory");
	if (l->err)
		return;
	a.tiles_y = (s->oh + s->ty - 1) / s->ty;
	a.tiles_x = (s->ow + s->tx - 1) / s->tx;
	a.blocks = (s->ce + cb - 1) / cb;
	w1 = pack_expand(l, lower_const_data(l, ex->in[1]), s->ce, c);
	w2 = lower_dw_weights(l, lower_const_data(l, op->in[1]), s->ce, (int64_t)s->kh * s->kw);
	if (s->bias1)
		b1 = lower_bias(l, lower_const_data(l, ex->in[2]), s->ce);
	if (s->bias2)
		b2 = lower_bias(l, lower_const_data(l, op->in[2]), s->ce);
	if (se)
		lower_se_squeeze(l, se, &a.se, s->images, (int64_t)a.tiles_y * a.tiles_x * a.blocks);
	st = lower_step(l, "expand, depthwise", mb_kernel(l, s, cb, a.se.hidden), &a, sizeof(a),
			offsetof(struct k_mb, degree),
			(uint64_t)a.tiles_y * a.tiles_x * a.blocks * s->images);
	LOWER_READ(l, st, struct k_mb, x, &x);
	LOWER_WRITE(l, st, struct k_mb, y, &y);
	lower_address(l, st, offsetof(struct k_mb, w1), w1);
	lower_address(l, st, offsetof(struct k_mb, w2), w2);
	if (s->bias1)
		lower_address(l, st, offsetof(struct k_mb, b1), b1);
	if (s->bias2)
		lower_address(l, st, offsetof(struct k_mb, b2), b2);
	if (se) {
		LOWER_WRITE(l, st, struct k_mb, se.part, &se->part);
		lower_address(l, st, offsetof(struct k_mb, se.w1), se->w1);
	}
}
