// SPDX-License-Identifier: MIT
/*
 * REDUCE, SOFTMAX, NORM and LRN.
 */
#include "agent/lower/lower.h"

#include "kernels/attn_args.h"

/* How many threads share a result of @m elements when there are @n results. */
static uint32_t share(int64_t n, int64_t m)
{
	if (m <= 8 || (m <= 32 && n >= 4096))
		return 1;
	return m <= 1024 && n >= 64 ? 32 : m <= 128 ? 32 : 256;
}

static const char *class_entry(uint32_t type)
{
	switch (type) {
	case K_F16:
	case K_F32:
		return "braid_reduce_float";
	case K_F64:
		return "braid_reduce_double";
	case K_U64:
		return "braid_reduce_uint";
	default:
		return "braid_reduce_int";
	}
}

/* Kept and reduced axes apart, innermost first; neighbours that lie as one joined. */
static void split_axes(struct k_reduce *a, const struct lower_val *x, uint32_t axes)
{
	for (uint32_t i = x->rank; i-- > 0;) {
		bool red = axes >> i & 1;
		k_u32 *n = red ? &a->n_red : &a->n_keep;
		struct k_div *dims = red ? a->red : a->keep;
		k_i32 *stride = red ? a->red_stride : a->keep_stride;

		if (x->dims[i] == 1)
			continue;
		if (*n && x->stride[i] == stride[*n - 1] * (int64_t)dims[*n - 1].d) {
			dims[*n - 1] = lower_div(x->dims[i] * dims[*n - 1].d);
			continue;
		}
		dims[*n] = lower_div(x->dims[i]);
		stride[(*n)++] = (k_i32)x->stride[i];
	}
}

static void reduce_step(struct lower *l, const struct lower_val *x, const struct lower_val *y,
			uint32_t axes, enum prog_reduce fn, const char *what)
{
	struct k_reduce a = { .fn = (k_u32)fn };
	int64_t n = lower_elems(y), m = lower_elems(x) / n;
	struct lower_step *s;

	split_axes(&a, x, axes);
	a.n = lower_div(n);
	a.m = (k_u32)m;
	a.lanes = share(n, m);
	s = LOWER_STEP(l, what, class_entry(x->type), K_THREADS * 8, a,
		       ((uint64_t)n * a.lanes + K_THREADS - 1) / K_THREADS);
	LOWER_READ(l, s, struct k_reduce, x, x);
	LOWER_WRITE(l, s, struct k_reduce, y, y);
}

void lower_reduce(struct lower *l)
{
	const struct prog_reduce_params *p = &l->op->params.reduce;
	struct lower_val x = lower_read(l, l->op->in[0]), y = lower_write(l, l->op->out[0]);

	switch (x.type) {
	case K_I16:
	case K_U16:
	case K_BF16:
		lower_refuse(l, "its input is %s", prog_type_name((int)x.type));
		return;
	}
	reduce_step(l, &x, &y, p->axes, p->fn, "reduce");
}

void lower_mean_pool(struct lower *l)
{
	struct lower_val x = lower_read(l, l->op->in[0]), y = lower_write(l, l->op->out[0]);

	reduce_step(l, &x, &y, 0xe, PROG_RED_MEAN, "mean");
}

/* ---- rows ---- */

static struct lower_step *rows_step(struct lower *l, struct k_rows *a, const struct lower_val *x,
				    const struct lower_val *y, uint32_t axis, uint32_t n_axes,
				    const char *what)
{
	int64_t outer = 1, inner = 1, n = 1;
	struct lower_step *s;

	for (uint32_t i = 0; i < x->rank; i++) {
		if (i < axis)
			outer *= x->dims[i];
		else if (i < axis + n_axes)
			n *= x->dims[i];
		else
			inner *= x->dims[i];
	}
	a->n = lower_div(outer * inner);
	a->inner = lower_div(inner);
	a->extent = (k_u32)n;
	a->lanes = n <= 1024 && (outer * inner >= 16 || n <= 64) ? 32 : 256;
	s = LOWER_STEP(l, what, "braid_rows", K_THREADS * 4, *a,
		       ((uint64_t)a->n.d * a->lanes + K_THREADS - 1) / K_THREADS);
	LOWER_READ(l, s, struct k_rows, x, x);
	LOWER_WRITE(l, s, struct k_rows, y, y);
	return s;
}

void lower_softmax(struct lower *l)
{
	const struct prog_softmax *p = &l->op->params.softmax;
	struct lower_val x = lower_read_dense(l, l->op->in[0]), y = lower_write(l, l->op->out[0]);
	struct k_rows a = { .kind = K_SOFTMAX + (k_u32)p->kind };

	if (lower_t(l, l->op->in[0])->type != BRAID_TYPE_F32) {
		lower_refuse(l, "its input is not float");
		return;
	}
	rows_step(l, &a, &x, &y, (uint32_t)p->axis, (uint32_t)p->n_axes, "softmax");
}

static bool has(const uint32_t *t, uint32_t n, uint32_t i)
{
	return i < n && t[i] != PROG_NONE;
}

static void group_norm(struct lower *l)
{
	const struct prog_op *op = l->op;
	const struct prog_norm *p = &op->params.norm;
	struct lower_val x = lower_read_dense(l, op->in[0]), scale, shift;
	struct lower_val y = lower_write(l, op->out[0]);
	struct k_group_norm a = { .epsilon = p->epsilon };
	struct lower_step *s;

	if (has(op->out, op->n_out, 1) || has(op->out, op->n_out, 2)) {
		lower_refuse(l, "mean and deviation of groups cannot be had");
		return;
	}
	a.images = (k_u32)x.dims[0];
	a.channels = (k_u32)x.dims[x.rank - 1];
	a.pixels = (k_u32)(lower_elems(&x) / a.images / a.channels);
	a.per = lower_div(a.channels / (k_u32)p->groups);
	a.groups = lower_div(p->groups);
	a.has_scale = has(op->in, op->n_in, 1);
	a.has_shift = has(op->in, op->n_in, 2);
	if (a.has_scale)
		scale = lower_read_dense(l, op->in[1]);
	if (a.has_shift)
		shift = lower_read_dense(l, op->in[2]);
	s = LOWER_STEP(l, "group norm", "braid_group_norm", K_THREADS * 4, a,
		       (uint64_t)a.images * a.groups.d);
	LOWER_READ(l, s, struct k_group_norm, x, &x);
	if (a.has_scale)
		LOWER_READ(l, s, struct k_group_norm, scale, &scale);
	if (a.has_shift)
		LOWER_READ(l, s, struct k_group_norm, shift, &shift);
	LOWER_WRITE(l, s, struct k_group_norm, y, &y);
}

/* Rows of all requests, eight a block. */
static void norm8_bind(const struct lower_step *s, uint32_t degree, void *args, struct gpu_launch *out)
{
	struct k_norm8 *a = args;

	a->degree = degree;
	out->grid = (degree * a->rows + 7) / 8;
}

/* fp16 rows of whole chunks, a warp each (kernels/rows8.cuh). */
static bool norm8_fits(const struct lower *l, const struct lower_val *x)
{
	const struct prog_op *op = l->op;
	int64_t n = x->dims[x->rank - 1];

	return x->type == K_F16 && l->bufs[x->buf].place == BUF_ARENA && lower_pitch(x) % 8 == 0 &&
	       lower_pitch(x) && x->off % 8 == 0 && n % 8 == 0 && n <= K_NORM8_MAX &&
	       op->params.norm.axis == (int32_t)x->rank - 1 && !has(op->out, op->n_out, 1) &&
	       !has(op->out, op->n_out, 2) && lower_storage(l, op->out[0])->place == PROG_ARENA;
}

/* A scale or a shift, to be read eight numbers at a time. */
static struct lower_val norm8_row(struct lower *l, uint32_t t)
{
	struct lower_val v = lower_read_dense(l, t);
	bool whole = (v.type == K_F16 || v.type == K_F32) && v.off % 8 == 0 &&
		     (l->bufs[v.buf].place == BUF_ARENA || l->bufs[v.buf].place == BUF_CONST);

	return l->err || whole ? v : lower_copy(l, &v, K_F32);
}

static void norm8(struct lower *l, const struct lower_val *x)
{
	const struct prog_op *op = l->op;
	struct lower_val y = lower_write_rows(l, op->out[0]), scale, shift;
	struct k_norm8 a = {
		.epsilon = op->params.norm.epsilon, .rms = op->params.norm.kind == PROG_NORM_RMS,
		.has_scale = has(op->in, op->n_in, 1), .has_shift = has(op->in, op->n_in, 2),
	};
	struct lower_step *s;

	a.n = (k_u32)x->dims[x->rank - 1];
	a.rows = (k_u32)(lower_elems(x) / a.n);
	a.ldx = (k_u32)lower_pitch(x);
	a.ldy = (k_u32)lower_pitch(&y);
	if (a.has_scale)
		scale = norm8_row(l, op->in[1]);
	if (a.has_shift)
		shift = norm8_row(l, op->in[2]);
	s = LOWER_STEP(l, "norm", a.n <= 512 ? "braid_norm8_512" : a.n <= 1024 ? "braid_norm8_1024" :
		       "braid_norm8_2048", 0, a, a.rows);
	s->bind = norm8_bind;
	LOWER_READ(l, s, struct k_norm8, x, x);
	if (a.has_scale)
		LOWER_READ(l, s, struct k_norm8, scale, &scale);
	if (a.has_shift)
		LOWER_READ(l, s, struct k_norm8, shift, &shift);
	LOWER_WRITE(l, s, struct k_norm8, y, &y);
}

void lower_norm(struct lower *l)
{
	const struct prog_op *op = l->op;
	const struct prog_norm *p = &op->params.norm;
	struct k_rows a = { .epsilon = p->epsilon };
	struct lower_val x, y, scale, shift, mean, inv;
	struct lower_step *s;

	if (lower_t(l, op->in[0])->type != BRAID_TYPE_F32) {
		lower_refuse(l, "its input is not float");
		return;
	}
	if (p->kind == PROG_NORM_GROUP) {
		group_norm(l);
		return;
	}
	x = lower_read_rows(l, op->in[0]);
	if (!l->err && norm8_fits(l, &x)) {
		norm8(l, &x);
		return;
	}
	a.kind = p->kind == PROG_NORM_LAYER ? K_LAYER_NORM : K_RMS_NORM;
	a.has_scale = has(op->in, op->n_in, 1);
	a.has_shift = has(op->in, op->n_in, 2);
	a.has_mean = has(op->out, op->n_out, 1);
	a.has_inv = has(op->out, op->n_out, 2);
	x = lower_read_dense(l, op->in[0]);
	if (a.has_scale)
		scale = lower_read_dense(l, op->in[1]);
	if (a.has_shift)
		shift = lower_read_dense(l, op->in[2]);
	y = lower_write(l, op->out[0]);
	if (a.has_mean)
		mean = lower_write(l, op->out[1]);
	if (a.has_inv)
		inv = lower_write(l, op->out[2]);
	s = rows_step(l, &a, &x, &y, (uint32_t)p->axis, x.rank - (uint32_t)p->axis, "norm");
	if (a.has_scale)
		LOWER_READ(l, s, struct k_rows, scale, &scale);
	if (a.has_shift)
		LOWER_READ(l, s, struct k_rows, shift, &shift);
	if (a.has_mean)
		LOWER_WRITE(l, s, struct k_rows, mean, &mean);
	if (a.has_inv)
		LOWER_WRITE(l, s, struct k_rows, inv, &inv);
}

void lower_lrn(struct lower *l)
{
	const struct prog_lrn *p = &l->op->params.lrn;
	struct lower_val x = lower_read_dense(l, l->op->in[0]), y = lower_write(l, l->op->out[0]);
	int64_t c = x.dims[x.rank - 1];
	struct k_lrn a = {
		.alpha = p->alpha / (float)p->size, .beta = p->beta, .bias = p->bias,
		.before = (k_u32)((p->size - 1) / 2 < c ? (p->size - 1) / 2 : c),
		.after = (k_u32)(p->size / 2 < c ? p->size / 2 : c),
	};
	struct lower_step *s;

	if (lower_t(l, l->op->in[0])->type != BRAID_TYPE_F32) {
		lower_refuse(l, "its input is not float");
		return;
	}
	a.n = lower_div(lower_elems(&x));
	a.c = lower_div(c);
	s = LOWER_STEP(l, "lrn", "braid_lrn", 0, a, lower_tiles(a.n.d));
	LOWER_READ(l, s, struct k_lrn, x, &x);
	LOWER_WRITE(l, s, struct k_lrn, y, &y);
}
