// SPDX-License-Identifier: MIT
/*
 * CONV on the tensor cores (kernels/conv.cuh): what shapes they take, how
 * weights are packed, which tile at which degree. What they do not take,
 * lower_fma.c does.
 */
#include "agent/lower/lower.h"

#include <stdlib.h>
#include <string.h>

#include "agent/lower/tiles.h"
#include "kernels/conv_args.h"

#define K_STEP	K_CONV_STEP

/**
 * struct variant - what is launched from a degree on
 * @kernel: number
 */
struct variant {
	uint32_t degree, kernel;
	struct tile_choice c;
};

struct conv_priv {
	struct tile_shape shape;
	uint32_t rows;		/* of a request */
	uint32_t n;
	struct variant v[GPU_MAX_DEGREES];
};

/* ---- kernels ---- */

static const char *shape_text(struct lower *l, const struct k_conv_shape *s)
{
#define FORMAT(name) " " #name " = %u,"
#define VALUE(name) s->name,
	return lower_format(l, "static constexpr u32" K_CONV_SHAPE(FORMAT) " last = %u;",
			    K_CONV_SHAPE(VALUE) 0u);
#undef FORMAT
#undef VALUE
}

static uint32_t conv_kernel(struct lower *l, const struct conv_priv *c, const struct k_conv_shape *s,
			    bool one, const struct tile_choice *ch)
{
	const struct tile_info *t = &tile_infos[ch->tile];
	bool big = t->bm > TILE_LARGE, flat = one && !s->x_apart && s->sh == 1 && s->sw == 1;
	const char *kind = c->shape.taps ? "patch" : big ? "big" : "conv";
	const struct lower_special sp = {
		.header = kind, .args = "k_conv", .args_bytes = sizeof(struct k_conv),
		.smem = tile_smem(&c->shape, ch), .min_ctas = t->ctas,
		.shape = shape_text(l, s),
		.call = lower_format(l, "%s_tile<conv_cfg<%u, %u, %u, %u, %u, %u>%s>", kind, t->bm, t->bn,
				     t->wm, t->wn, t->slices, t->stages,
				     c->shape.taps ? "" : !one ? big ? ", false, false" : ", false" :
				     !big ? ", true" : flat ? ", true, true" : ", true, false"),
		.generic = lower_format(l, "braid_%s_%s", big ? "conv" : kind, tile_generic(t)->name),
	};

	return lower_special(l, &sp);
}

/* ---- binding ---- */

static const struct variant *variant_of(const struct conv_priv *c, uint32_t degree)
{
	uint32_t i = c->n - 1;

	while (i && c->v[i].degree > degree)
		i--;
	return &c->v[i];
}

static uint32_t tiles_of(const struct conv_priv *c, const struct tile_info *t, uint32_t m)
{
	return (m + t->bm - 1) / t->bm * ((c->shape.n + t->bn - 1) / t->bn) * c->shape.groups;
}

static void conv_bind(const struct lower_step *s, uint32_t degree, void *args, struct gpu_launch *out)
{
	const struct conv_priv *c = s->priv;
	const struct variant *v = variant_of(c, degree);
	const struct tile_info *t = &tile_infos[v->c.tile];
	struct k_conv *a = args;

	a->degree = degree;
	a->m = degree * c->rows;
	a->split = v->c.split;
	a->kt_per = tile_per(&c->shape, a->split);
	a->tiles_n = (c->shape.n + t->bn - 1) / t->bn * c->shape.groups;
	a->sub_m = t->bm / tile_generic(t)->bm;
	a->sub_n = t->bn / tile_generic(t)->bn;
	out->kernel = v->kernel;
	out->grid = tiles_of(c, t, a->m) * a->split;
}

static struct lower_scratch conv_scratch(const struct lower_step *s, uint32_t degree)
{
	const struct conv_priv *c = s->priv;
	const struct variant *v = variant_of(c, degree);
	const struct tile_info *t = &tile_infos[v->c.tile], *g = tile_generic(t);
	uint64_t tiles = tiles_of(c, t, degree * c->rows);

	if (v->c.split == 1)
		return (struct lower_scratch) { 0 };
	return (struct lower_scratch) {
		.zero = tiles * (t->bm / g->bm) * (t->bn / g->bn) * sizeof(k_u32),
		.bytes = tiles * v->c.split * t->bm * t->bn * sizeof(float),
	};
}

/*
 * Is the input read once (kernels/patch.cuh)? Rows must follow each other, and
 * channels be enough that steps of 64 are not mostly empty.
 */
static bool is_patch(const struct lower *l, const struct k_conv_shape *s, bool one)
{
	const struct tile_shape shape = {
		.taps = s->kh * s->kw, .c = s->c, .reach = K_PATCH_ROWS(0, s->w, s->kh, s->kw),
	};

	return !one && !s->x_apart && s->groups == 1 && s->oh == s->h && s->ow == s->w && s->sh == 1 &&
	       s->sw == 1 && s->dh == 1 && s->dw == 1 && s->c >= 48 && s->kh * s->kw >= 3 &&
	       s->kh * s->kw <= 32 && shape.reach <= 320 && tile_any(&l->opt, &shape);
}

/* Tiles for all degrees that the plan is made for; equal neighbours are one. */
static void choose(struct lower *l, struct conv_priv *c, const struct k_conv_shape *s, bool one)
{
	for (uint32_t i = 0; i < l->opt.n_degrees; i++) {
		struct tile_shape at = c->shape;
		struct variant *v = &c->v[c->n];

		at.m = l->opt.degrees[i] * c->rows;
		v->degree = l->opt.degrees[i];
		v->c = tile_choose(&l->opt, &at);
		if (c->n && v[-1].c.tile == v->c.tile && v[-1].c.split == v->c.split)
			continue;
		v->kernel = conv_kernel(l, c, s, one, &v->c);
		c->n++;
	}
}

/* ---- weights ---- */

/*
 * [n][taps][c] with channels padded to @cp, rows to @ldw; for patches 64
 * channels of all taps, then the next 64.
 */
static uint32_t pack_conv(struct lower *l, const float *w, int64_t n, int64_t taps, int64_t c,
			  int64_t cp, int64_t ldw, bool patch)
{
	uint16_t *to = calloc((size_t)(n * ldw), sizeof(*to));
	uint16_t *row = calloc((size_t)(taps * c), sizeof(*row));
	uint32_t buf = 0;

	if (!to || !row) {
		lower_nomem(l);
		goto out;
	}
	for (int64_t i = 0; i < n && !l->opt.image; i++) {
		lower_halves(row, w + i * taps * c, taps * c, 1, 1.0f);
		for (int64_t t = 0; t < taps; t++)
			for (int64_t k = 0; k < c; k++) {
				int64_t at = patch ? (k / K_STEP * taps + t) * K_STEP + k % K_STEP : t * cp + k;

				to[i * ldw + at] = row[t * c + k];
			}
	}
	buf = lower_const(l, to, (uint64_t)(n * ldw) * sizeof(*to));
out:
	free(to);
	free(row);
	return buf;
}

/* ---- operands ---- */

/* Can cp.async take it: fp16 rows in the arena, 16-byte aligned, whole chunks of channels? */
static bool is_input(const struct lower *l, const struct lower_val *v)
{
	int64_t c = v->dims[v->rank - 1], pitch = lower_pitch(v);

	return v->type == K_F16 && l->bufs[v->buf].place == BUF_ARENA && pitch % 8 == 0 &&
	       v->off % 8 == 0 && pitch > 0 && (c % 8 == 0 || (v->padded && pitch >= lower_up8(c)));
}

struct lower_val lower_pack(struct lower *l, const struct lower_val *x)
{
	uint32_t last = x->rank - 1;
	struct lower_val y = *x;
	struct k_pack a = { .c = (k_u32)x->dims[last], .c_stride = (k_i32)x->stride[last] };
	int64_t rows = 1, dims[LOWER_RANK], stride[LOWER_RANK];
	struct lower_step *s;
	uint32_t n = 0;

	/* Axes that rows are numbered by, innermost first, joined. */
	for (uint32_t i = last; i-- > 0;) {
		rows *= x->dims[i];
		if (x->dims[i] == 1)
			continue;
		if (n && x->stride[i] == stride[n - 1] * dims[n - 1]) {
			dims[n - 1] *= x->dims[i];
			continue;
		}
		dims[n] = x->dims[i];
		stride[n++] = x->stride[i];
	}
	if (n > 4) {
		y = lower_copy(l, x, K_F16);
		return l->err ? y : lower_pack(l, &y);
	}
	for (uint32_t i = 0; i < n; i++) {
		a.dim[i] = lower_div(dims[i]);
		a.stride[i] = (k_i32)stride[i];
	}
	a.rank = n;
	y = lower_new_rows(l, x->rank, x->dims);
	a.ldy = (k_u32)lower_pitch(&y);
	a.chunks = lower_div(lower_up8(x->dims[last]) / 8);
	a.n = lower_div(rows * a.chunks.d);
	s = LOWER_STEP(l, "pack", "braid_pack", 0, a, lower_tiles(a.n.d));
	LOWER_READ(l, s, struct k_pack, x, x);
	LOWER_WRITE(l, s, struct k_pack, y, &y);
	return y;
}

struct lower_val lower_read_input(struct lower *l, uint32_t t)
{
	struct lower_val v = lower_read(l, t), packed;

	if (l->err || is_input(l, &v))
		return v;
	packed = lower_pack(l, &v);
	/* The next reader finds it so. */
	if (v.type == K_F16 && l->bufs[v.buf].place == BUF_ARENA)
		l->vals[lower_t(l, t)->storage] = packed;
	return packed;
}

void lower_product(struct lower *l, struct k_conv *a, const struct lower_val *x, uint32_t w,
		   uint32_t bias, bool one, const char *what, const struct lower_val *to)
{
	const struct prog_op *op = l->op;
	struct k_conv_shape *s = &a->s;
	struct conv_priv *c = lower_alloc(l, sizeof(*c));
	struct lower_val y, res;
	struct lower_step *st;

	if (!c)
		return;
	if (op->epi.residual != PROG_NONE) {
		res = lower_read_rows(l, op->epi.residual);
		s->res = 1;
		s->ldr = (k_u32)lower_pitch(&res);
		s->r_any = !lower_is_chunked(l, &res);
	}
	y = to ? *to : lower_write_rows(l, op->out[0]);
	if (l->err)
		return;
	s->ldx = (k_u32)lower_pitch(x);
	s->ldy = (k_u32)lower_pitch(&y);
	s->y_any = !lower_is_chunked(l, &y) || (s->groups > 1 && s->n % 8);
	s->x_apart = !lower_is_flat(l, x);
	s->fn = (k_u32)op->epi.fn;
	a->act = lower_act(&op->epi);
	c->rows = s->images * s->oh * s->ow;
	c->shape = (struct tile_shape) { .n = s->n, .k = s->k, .groups = s->groups, .window = !one };
	if (s->scaled) {
		c->shape.hidden = a->se.hidden;
		c->shape.pixels = s->oh * s->ow;
	}
	if (is_patch(l, s, one)) {
		c->shape.taps = s->kh * s->kw;
		c->shape.c = s->c;
		c->shape.reach = K_PATCH_ROWS(0, s->w, s->kh, s->kw);
	}
	choose(l, c, s, one);
	st = LOWER_STEP(l, what, "braid_move", 0, *a, 1);
	st->bind = conv_bind;
	st->scratch = conv_scratch;
	st->scratch_at = offsetof(struct k_conv, partial);
	st->priv = c;
	LOWER_READ(l, st, struct k_conv, x, x);
	LOWER_WRITE(l, st, struct k_conv, y, &y);
	if (s->res)
		LOWER_READ(l, st, struct k_conv, res, &res);
	lower_address(l, st, offsetof(struct k_conv, w), w);
	if (s->bias)
		lower_address(l, st, offsetof(struct k_conv, b), bias);
	if (s->scaled) {
		struct lower_se *se = l->se[op - l->p->ops];

		LOWER_READ(l, st, struct k_conv, se.part, &se->part);
		lower_address(l, st, offsetof(struct k_conv, se.w2), se->w2);
		lower_address(l, st, offsetof(struct k_conv, se.b1), se->b1);
		lower_address(l, st, offsetof(struct k_conv, se.b2), se->b2);
	}
}

bool lower_conv_fits(const struct lower *l, const struct prog_op *op)
{
	const struct prog_conv *p = &op->params.conv;
	const struct prog_tensor *x = lower_t(l, op->in[0]), *y = lower_t(l, op->out[0]);
	int64_t cg = x->dims[4] / p->group, n = y->dims[4] / p->group;

	if (l->opt.mode != GPU_FP16 || op->kind != PROG_CONV || x->type != BRAID_TYPE_F32)
		return false;
	if (!lower_const_data(l, op->in[1]) || (op->n_in > 2 && op->in[2] != PROG_NONE && !lower_const_data(l, op->in[2])))
		return false;
	if (x->dims[1] != 1 || y->dims[1] != 1 || p->win.kernel[0] != 1)
		return false;
	return lower_is_small(x) && lower_is_small(y) && (p->group == 1 || (cg % 8 == 0 && n % 8 == 0));
}

void lower_conv(struct lower *l)
{
	const struct prog_op *op = l->op;
	const struct prog_window *win = &op->params.conv.win;
	const struct prog_tensor *y = lower_t(l, op->out[0]);
	int64_t groups = op->params.conv.group, c, taps;
	struct k_conv a = { 0 };
	struct k_conv_shape *s = &a.s;
	struct lower_se *se = l->se[op - l->p->ops];
	struct lower_val x;
	uint32_t w, bias = 0;
	bool one;

	if (l->expand[op - l->p->ops]) {
		lower_mb(l);
		return;
	}
	if (lower_vec_fits(l, op)) {
		lower_vec(l);
		return;
	}
	if (lower_dw_fits(l, op)) {
		lower_dw(l);
		return;
	}
	if (lower_stem_fits(l, op)) {
		lower_stem(l);
		return;
	}
	if (!lower_conv_fits(l, op)) {
		lower_fma_conv(l);
		return;
	}
	x = lower_read_input(l, se ? se->data : op->in[0]);
	c = x.dims[4] / groups;
	taps = (int64_t)win->kernel[1] * win->kernel[2];
	s->h = (k_u32)x.dims[2];
	s->w = (k_u32)x.dims[3];
	s->c = (k_u32)lower_up8(c);
	s->oh = (k_u32)y->dims[2];
	s->ow = (k_u32)y->dims[3];
	s->n = (k_u32)(y->dims[4] / groups);
	s->kh = (k_u32)win->kernel[1];
	s->kw = (k_u32)win->kernel[2];
	s->sh = (k_u32)win->stride[1];
	s->sw = (k_u32)win->stride[2];
	s->ph = (k_u32)win->pad_lo[1];
	s->pw = (k_u32)win->pad_lo[2];
	s->dh = (k_u32)win->dilation[1];
	s->dw = (k_u32)win->dilation[2];
	s->k = (k_u32)(taps * s->c);
	s->ldw = (s->k + K_STEP - 1) / K_STEP * K_STEP;
	s->groups = (k_u32)groups;
	s->images = (k_u32)y->dims[0];
	one = taps == 1 && !s->ph && !s->pw && !win->pad_hi[1] && !win->pad_hi[2];
	s->x_apart = !lower_is_flat(l, &x);
	if (is_patch(l, s, one))
		s->ldw = (s->c + K_STEP - 1) / K_STEP * (k_u32)taps * K_STEP;
	w = pack_conv(l, lower_const_data(l, op->in[1]), y->dims[4], taps, c, s->c, s->ldw, is_patch(l, s, one));
	if (op->n_in > 2 && op->in[2] != PROG_NONE) {
		s->bias = 1;
		bias = lower_bias(l, lower_const_data(l, op->in[2]), y->dims[4]);
	}
	if (se) {
		s->scaled = 1;
		lower_se_excite(l, se, &a.se);
	}
	if (!l->err)
		lower_product(l, &a, &x, w, bias, one, "conv", NULL);
}
