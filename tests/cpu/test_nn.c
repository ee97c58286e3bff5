// SPDX-License-Identifier: MIT
/*
 * POOL, SOFTMAX, NORM, RESIZE and RNN against plain loops, on random shapes,
 * parameters, places of tensors and degrees.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/cpu/one.h"
#include "tests/cpu/ref.h"
#include "tests/tap.h"

#define TOLERANCE	1e-5

typedef void (*case_fn)(struct one *o, struct one_rng *g);
/* Results of output @out of request @r, as many as it has elements. */
typedef void (*ref_run)(const struct one *o, uint32_t r, uint32_t out, double *y);

static const float *in_of(const struct one *o, uint32_t i, uint32_t r)
{
	return i < o->op.n_in && o->in[i] != PROG_NONE ? o->data[o->in[i]][r] : NULL;
}

static double at_of(const struct one *o, uint32_t t, uint32_t r, int64_t i)
{
	if (o->tensors[t].type == BRAID_TYPE_I64)
		return (double)((const int64_t *)o->data[t][r])[i];
	return ((const float *)o->data[t][r])[i];
}

static double distance(const struct one *o, uint32_t t, uint32_t r, const double *y)
{
	double d = 0, s = 0;

	for (int64_t i = 0; i < o->tensors[t].elems; i++) {
		double e = at_of(o, t, r, i) - y[i];

		if (isnan(e))
			return INFINITY;
		d += e * e;
		s += y[i] * y[i];
	}
	return sqrt(d / (s > 1e-20 ? s : 1e-20));
}

static void check(enum prog_kind kind, case_fn make, ref_run ref, uint64_t seed, int cases,
		  const char *name)
{
	struct one_rng g = { seed };
	bool told_apart = false;
	double worst = 0;
	int bad = 0;

	for (int i = 0; i < cases; i++) {
		struct one o;
		char why[256] = "";
		int err;

		one_init(&o, &g, kind, (uint32_t)one_range(&g, 1, ONE_DEGREE));
		make(&o, &g);
		err = one_run(&o, why, sizeof(why));
		if (err) {
			diag("%s case %d: error %d %s", name, i, err, why);
			bad++;
		}
		for (uint32_t k = 0; !err && k < o.op.n_out; k++)
			for (uint32_t r = 0; r < o.degree; r++) {
				double *y = calloc(o.tensors[o.out[k]].elems, sizeof(*y)), d;

				ref(&o, r, k, y);
				d = distance(&o, o.out[k], r, y);
				if (d > worst)
					worst = d;
				if (d > TOLERANCE) {
					diag("%s case %d request %u output %u: %.1e",
					     name, i, r, k, d);
					bad++;
				}
				if (o.degree > 1 && distance(&o, o.out[k], (r + 1) % o.degree, y) >
						    10 * TOLERANCE)
					told_apart = true;
				free(y);
			}
		one_free(&o);
	}
	ok(!bad, "%s: %d cases, worst distance %.1e", name, cases, worst);
	ok(told_apart, "%s: requests swapped would have been seen", name);
}

/* ---- pool ---- */

static void pool_case(struct one *o, struct one_rng *g)
{
	struct prog_pool *pp = &o->op.params.pool;
	struct prog_window *win = &pp->win;
	int64_t x[5], y[5];

	x[0] = y[0] = one_range(g, 1, 2);
	x[4] = y[4] = one_range(g, 1, 40);
	pp->kind = (enum prog_pool_kind)one_range(g, 0, 2);
	pp->count_include_pad = one_range(g, 0, 1);
	pp->column_major = one_range(g, 0, 1);
	pp->p = (int32_t)one_range(g, 1, 3);
	for (int i = 0; i < 3; i++) {
		int64_t span, room;

		win->kernel[i] = (int32_t)one_range(g, 1, 4);
		win->stride[i] = (int32_t)one_range(g, 1, 3);
		win->dilation[i] = (int32_t)(one_range(g, 0, 2) ? 1 : 2);
		win->pad_lo[i] = (int32_t)one_range(g, 0, win->kernel[i] - 1);
		win->pad_hi[i] = (int32_t)one_range(g, 0, win->kernel[i] - 1);
		span = (win->kernel[i] - 1) * win->dilation[i] + 1;
		x[i + 1] = one_range(g, span, span + 8);
		room = x[i + 1] + win->pad_lo[i] + win->pad_hi[i] - span;
		/* As ceil_mode does, if the last window still begins in the input. */
		y[i + 1] = room / win->stride[i] + 1;
		if (one_range(g, 0, 1) && room % win->stride[i] &&
		    y[i + 1] * win->stride[i] < x[i + 1] + win->pad_lo[i])
			y[i + 1]++;
	}
	one_in(o, BRAID_TYPE_F32, 5, x, false);
	one_out(o, BRAID_TYPE_F32, 5, y);
	if (pp->kind == PROG_POOL_MAX && one_range(g, 0, 1))
		one_out(o, BRAID_TYPE_I64, 5, y);
}

static void ref_pool(const struct one *o, uint32_t r, uint32_t out, double *y)
{
	const struct prog_pool *pp = &o->op.params.pool;
	const struct prog_window *win = &pp->win;
	const int64_t *xd = o->tensors[o->in[0]].dims, *yd = o->tensors[o->out[0]].dims;
	const float *x = in_of(o, 0, r);
	int64_t taps = (int64_t)win->kernel[0] * win->kernel[1] * win->kernel[2];
	int64_t at = 0, o3[3], p[3];

	for (int64_t n = 0; n < yd[0]; n++)
	for (o3[0] = 0; o3[0] < yd[1]; o3[0]++)
	for (o3[1] = 0; o3[1] < yd[2]; o3[1]++)
	for (o3[2] = 0; o3[2] < yd[3]; o3[2]++)
	for (int64_t c = 0; c < yd[4]; c++, at++) {
		double acc = pp->kind == PROG_POOL_MAX ? -INFINITY : 0, index = 0;
		int64_t real = 0, padded = 0;

		for (int64_t k = 0; k < taps; k++) {
			int64_t q[3] = { k / (win->kernel[1] * win->kernel[2]),
					 k / win->kernel[2] % win->kernel[1], k % win->kernel[2] };
			bool in = true, in_pad = true;
			double v;

			for (int i = 0; i < 3; i++) {
				p[i] = o3[i] * win->stride[i] - win->pad_lo[i] +
				       q[i] * win->dilation[i];
				in = in && p[i] >= 0 && p[i] < xd[i + 1];
				in_pad = in_pad && p[i] < xd[i + 1] + win->pad_hi[i];
			}
			padded += in_pad;
			if (!in)
				continue;
			real++;
			v = x[(((n * xd[1] + p[0]) * xd[2] + p[1]) * xd[3] + p[2]) * xd[4] + c];
			if (pp->kind == PROG_POOL_AVG) {
				acc += v;
			} else if (pp->kind == PROG_POOL_LP) {
				acc += pow(fabs(v), pp->p);
			} else if (v > acc) {
				acc = v;
				index = (double)((n * xd[4] + c) * xd[1] * xd[2] * xd[3] +
					(pp->column_major ? (p[2] * xd[2] + p[1]) * xd[1] + p[0] :
							    (p[0] * xd[2] + p[1]) * xd[3] + p[2]));
			}
		}
		if (pp->kind == PROG_POOL_AVG)
			acc /= (double)(pp->count_include_pad ? padded : real ? real : 1);
		if (pp->kind == PROG_POOL_LP)
			acc = pow(acc, 1.0 / pp->p);
		y[at] = out ? index : acc;
	}
}

/* ---- softmax ---- */

static void softmax_case(struct one *o, struct one_rng *g)
{
	struct prog_softmax *ps = &o->op.params.softmax;
	uint32_t rank = (uint32_t)one_range(g, 1, 4);
	int64_t dims[4];
	uint32_t x;

	for (uint32_t i = 0; i < rank; i++)
		dims[i] = one_range(g, 1, 7);
	dims[one_range(g, 0, rank - 1)] = one_range(g, 1, 70);
	ps->kind = (enum prog_softmax_kind)one_range(g, 0, 2);
	ps->axis = (int32_t)one_range(g, 0, rank - 1);
	ps->n_axes = (int32_t)one_range(g, 1, rank - ps->axis);
	x = one_in(o, BRAID_TYPE_F32, rank, dims, false);
	for (uint32_t r = 0; r < o->degree; r++)
		for (int64_t i = 0; i < o->tensors[x].elems; i++)
			one_f(o, x, r)[i] *= 30.0f;
	one_out(o, BRAID_TYPE_F32, rank, dims);
}

static void ref_softmax(const struct one *o, uint32_t r, uint32_t out, double *y)
{
	const struct prog_softmax *ps = &o->op.params.softmax;
	const struct prog_tensor *t = &o->tensors[o->in[0]];
	const float *x = in_of(o, 0, r);
	int64_t n = 1, inner = 1;

	for (int32_t i = ps->axis; i < (int32_t)t->rank; i++) {
		if (i < ps->axis + ps->n_axes)
			n *= t->dims[i];
		else
			inner *= t->dims[i];
	}
	for (int64_t i = 0; i < t->elems; i++) {
		int64_t base = i / (n * inner) * n * inner + i % inner, best = base;
		double most = -INFINITY, sum = 0;

		for (int64_t k = 0; k < n; k++)
			if (x[base + k * inner] > most) {
				most = x[base + k * inner];
				best = base + k * inner;
			}
		for (int64_t k = 0; k < n; k++)
			sum += exp(x[base + k * inner] - most);
		if (ps->kind == PROG_SOFTMAX_HARD)
			y[i] = i == best;
		else if (ps->kind == PROG_SOFTMAX_LOG)
			y[i] = x[i] - most - log(sum);
		else
			y[i] = exp(x[i] - most) / sum;
	}
}

/* ---- normalisation ---- */

static void norm_case(struct one *o, struct one_rng *g)
{
	struct prog_norm *pn = &o->op.params.norm;
	uint32_t rank = (uint32_t)one_range(g, 3, 4);
	int64_t dims[4], stat[4];

	pn->kind = (enum prog_norm_kind)one_range(g, 0, 2);
	pn->epsilon = 1e-5f;
	for (uint32_t i = 0; i < rank; i++)
		dims[i] = stat[i] = one_range(g, 1, i + 1 == rank ? 100 : 4);
	if (pn->kind == PROG_NORM_GROUP) {
		pn->groups = (int32_t)one_range(g, 1, 9);
		dims[rank - 1] = pn->groups * one_range(g, 1, 12);
		if (one_range(g, 0, 2) == 0)
			pn->groups = (int32_t)dims[rank - 1];
		/* One element has no variance: what is left is rounding. */
		dims[1] = one_range(g, 3, 5);
		pn->axis = (int32_t)rank - 1;
	} else {
		pn->axis = (int32_t)one_range(g, 1, rank - 1);
		dims[rank - 1] = one_range(g, 3, 100);
	}
	for (uint32_t i = (uint32_t)pn->axis; i < rank; i++)
		stat[i] = 1;
	one_in(o, BRAID_TYPE_F32, rank, dims, false);
	if (one_range(g, 0, 3)) {
		one_in(o, BRAID_TYPE_F32, rank - pn->axis, dims + pn->axis, true);
		if (pn->kind != PROG_NORM_RMS && one_range(g, 0, 2))
			one_in(o, BRAID_TYPE_F32, rank - pn->axis, dims + pn->axis, true);
	}
	one_out(o, BRAID_TYPE_F32, rank, dims);
	if (pn->kind == PROG_NORM_LAYER && one_range(g, 0, 1)) {
		one_out(o, BRAID_TYPE_F32, rank, stat);
		one_out(o, BRAID_TYPE_F32, rank, stat);
	}
}

static void ref_norm(const struct one *o, uint32_t r, uint32_t out, double *y)
{
	const struct prog_norm *pn = &o->op.params.norm;
	const struct prog_tensor *t = &o->tensors[o->in[0]];
	const float *x = in_of(o, 0, r), *scale = in_of(o, 1, r), *shift = in_of(o, 2, r);
	int64_t c = t->dims[t->rank - 1], n = 1, image = t->elems / t->dims[0];

	for (int32_t i = pn->axis; i < (int32_t)t->rank; i++)
		n *= t->dims[i];
	for (int64_t i = 0; i < t->elems; i++) {
		bool group = pn->kind == PROG_NORM_GROUP;
		int64_t whole = group ? image : n, from = i / whole * whole, to = from + whole;
		int64_t per = group ? c / pn->groups : 0, count = 0, p = group ? i % c : i % n;
		double mean = 0, var = 0;

		if (out && i % n)
			continue;
		for (int64_t k = from; k < to; k++)
			if (!group || k % c / per == i % c / per) {
				mean += x[k];
				count++;
			}
		mean = pn->kind == PROG_NORM_RMS ? 0 : mean / (double)count;
		for (int64_t k = from; k < to; k++)
			if (!group || k % c / per == i % c / per)
				var += (x[k] - mean) * (x[k] - mean);
		var = 1 / sqrt(var / (double)count + pn->epsilon);
		if (out)
			y[i / n] = out == 1 ? mean : var;
		else
			y[i] = (x[i] - mean) * var * (scale ? scale[p] : 1) +
			       (shift ? shift[p] : 0);
	}
}

/* ---- resize ---- */

static void resize_case(struct one *o, struct one_rng *g)
{
	struct prog_resize *pr = &o->op.params.resize;
	int64_t x[5], y[5];

	x[0] = y[0] = one_range(g, 1, 2);
	x[4] = y[4] = one_range(g, 1, 20);
	for (int i = 0; i < 3; i++) {
		bool flat = i == 0 && one_range(g, 0, 2);

		x[i + 1] = flat ? 1 : one_range(g, 1, i ? 7 : 3);
		y[i + 1] = flat ? 1 : one_range(g, 1, i ? 9 : 3);
		pr->scale[i] = (float)y[i + 1] / (float)x[i + 1];
		pr->roi_lo[i] = 0.1f;
		pr->roi_hi[i] = 1.2f;
	}
	pr->mode = (enum prog_resize_mode)one_range(g, 0, 2);
	pr->coord = (enum prog_resize_coord)one_range(g, 0, 5);
	pr->nearest = (enum prog_resize_nearest)one_range(g, 0, 3);
	pr->cubic_a = -0.75f;
	pr->extrapolation = 0.5f;
	pr->exclude_outside = one_range(g, 0, 1);
	one_in(o, BRAID_TYPE_F32, 5, x, false);
	one_out(o, BRAID_TYPE_F32, 5, y);
}

/* In float: ties of the nearest mode depend on it. */
static float resize_from(const struct prog_resize *pr, int i, float o, float in, float out)
{
	float s = pr->scale[i], roi = pr->roi_hi[i] - pr->roi_lo[i];

	switch (pr->coord) {
	case PROG_COORD_HALF_PIXEL:
		return (o + 0.5f) / s - 0.5f;
	case PROG_COORD_PYTORCH_HALF_PIXEL:
		return out > 1 ? (o + 0.5f) / s - 0.5f : 0;
	case PROG_COORD_ALIGN_CORNERS:
		return out > 1 ? o * (in - 1) / (out - 1) : 0;
	case PROG_COORD_ASYMMETRIC:
		return o / s;
	case PROG_COORD_HALF_PIXEL_SYMMETRIC:
		return in / 2 * (1 - out / (in * s)) + (o + 0.5f) / s - 0.5f;
	default:
		if (out > 1)
			return pr->roi_lo[i] * (in - 1) + o * roi * (in - 1) / (out - 1);
		return 0.5f * (pr->roi_lo[i] + pr->roi_hi[i]) * (in - 1);
	}
}

static double resize_near(const struct prog_resize *pr, double x)
{
	switch (pr->nearest) {
	case PROG_NEAREST_ROUND_FLOOR:
		return ceil(x - 0.5);
	case PROG_NEAREST_ROUND_CEIL:
		return floor(x + 0.5);
	case PROG_NEAREST_FLOOR:
		return floor(x);
	default:
		return ceil(x);
	}
}

static double resize_cubic(double d, double a)
{
	d = fabs(d);
	if (d <= 1)
		return ((a + 2) * d - (a + 3)) * d * d + 1;
	if (d < 2)
		return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
	return 0;
}

/* Weight of input coordinate @k for output coordinate @q of one dimension. */
static double resize_weight(const struct prog_resize *pr, int i, int64_t q, int64_t k, int64_t in,
			    int64_t out, bool *outside)
{
	double x = resize_from(pr, i, (float)q, (float)in, (float)out), w = 0, sum = 0;

	if (in == out && pr->coord != PROG_COORD_TF_CROP)
		x = (double)q;
	if (pr->coord == PROG_COORD_TF_CROP && (x < 0 || x > (double)(in - 1)))
		*outside = true;
	if (pr->mode == PROG_RESIZE_NEAREST)
		return fmin(fmax(resize_near(pr, x), 0), (double)(in - 1)) == (double)k;
	if (pr->mode == PROG_RESIZE_LINEAR) {
		x = fmin(fmax(x, 0), (double)(in - 1));
		return fmax(0, 1 - fabs(x - (double)k));
	}
	for (int64_t j = (int64_t)floor(x) - 1; j <= (int64_t)floor(x) + 2; j++) {
		double v = resize_cubic(x - (double)j, pr->cubic_a);
		int64_t at = j < 0 ? 0 : j >= in ? in - 1 : j;

		if (pr->exclude_outside && at != j)
			continue;
		sum += v;
		if (at == k)
			w += v;
	}
	return pr->exclude_outside ? w / sum : w;
}

static void ref_resize(const struct one *o, uint32_t r, uint32_t out, double *y)
{
	const struct prog_resize *pr = &o->op.params.resize;
	const int64_t *xd = o->tensors[o->in[0]].dims, *yd = o->tensors[o->out[0]].dims;
	const float *x = in_of(o, 0, r);
	int64_t pixels = o->tensors[o->out[0]].elems / yd[4];

	for (int64_t p = 0; p < pixels; p++) {
		int64_t q[3] = { p / (yd[3] * yd[2]) % yd[1], p / yd[3] % yd[2], p % yd[3] };
		int64_t n = p / (yd[1] * yd[2] * yd[3]);
		bool outside = false;

		for (int64_t k = 0; k < xd[1] * xd[2] * xd[3]; k++) {
			int64_t c[3] = { k / (xd[3] * xd[2]), k / xd[3] % xd[2], k % xd[3] };
			const float *from = x + (n * xd[1] * xd[2] * xd[3] + k) * xd[4];
			double w = 1;

			for (int i = 0; i < 3; i++)
				w *= resize_weight(pr, i, q[i], c[i], xd[i + 1], yd[i + 1],
						   &outside);
			for (int64_t j = 0; w != 0 && j < yd[4]; j++)
				y[p * yd[4] + j] += w * from[j];
		}
		for (int64_t j = 0; outside && j < yd[4]; j++)
			y[p * yd[4] + j] = pr->extrapolation;
	}
}

/* ---- recurrent cells ---- */

static void rnn_case(struct one *o, struct one_rng *g)
{
	struct prog_rnn *pr = &o->op.params.rnn;
	int64_t t = one_range(g, 1, 9), b = one_range(g, 1, one_range(g, 0, 4) ? 4 : 20);
	int64_t in = one_range(g, 1, 30), h = one_range(g, 1, 50), dirs, gates;
	/* None that lets a state grow without bound. */
	static const enum prog_fn fns[] = { PROG_FN_SIGMOID, PROG_FN_TANH,
					    PROG_FN_HARD_SIGMOID };
	bool stock = one_range(g, 0, 1), fixed = one_range(g, 0, 2);
	int64_t dims[4];
	uint32_t id;

	pr->cell = (enum prog_rnn_cell)one_range(g, 0, 2);
	pr->dir = (enum prog_rnn_dir)one_range(g, 0, 2);
	pr->hidden = (int32_t)h;
	pr->clip = one_range(g, 0, 3) ? 0 : 0.4f;
	pr->linear_before_reset = one_range(g, 0, 1);
	pr->input_forget = one_range(g, 0, 3) == 0;
	dirs = pr->dir == PROG_RNN_BIDIRECTIONAL ? 2 : 1;
	gates = pr->cell == PROG_RNN_LSTM ? 4 : pr->cell == PROG_RNN_GRU ? 3 : 1;
	for (int i = 0; i < 6; i++) {
		pr->fn[i] = stock ? (i % 3 || pr->cell == PROG_RNN_PLAIN ? PROG_FN_TANH :
				     PROG_FN_SIGMOID) : fns[one_range(g, 0, 2)];
		pr->fn_alpha[i] = 0.2f;
		pr->fn_beta[i] = 0.5f;
	}
	dims[0] = t;
	dims[1] = b;
	dims[2] = in;
	one_in(o, BRAID_TYPE_F32, 3, dims, false);
	dims[0] = dirs;
	dims[1] = gates * h;
	id = fixed ? one_const(o, BRAID_TYPE_F32, 3, dims) :
		     one_in(o, BRAID_TYPE_F32, 3, dims, true);
	dims[2] = h;
	id = fixed ? one_const(o, BRAID_TYPE_F32, 3, dims) :
		     one_in(o, BRAID_TYPE_F32, 3, dims, true);
	for (uint32_t r = 0; r < o->degree; r++) {
		/* Shared by all requests where it is constant: scaled once. */
		if (r && o->data[id][r] == o->data[id][0])
			break;
		for (int64_t i = 0; i < o->tensors[id].elems; i++)
			one_f(o, id, r)[i] *= 0.2f;
	}
	dims[1] = 2 * gates * h;
	if (one_range(g, 0, 3))
		one_in(o, BRAID_TYPE_F32, 2, dims, true);
	else
		one_none(o);
	if (one_range(g, 0, 1)) {
		id = one_in(o, BRAID_TYPE_I32, 1, &b, false);
		for (uint32_t r = 0; r < o->degree; r++)
			for (int64_t i = 0; i < b; i++)
				((int32_t *)o->data[id][r])[i] = (int32_t)one_range(g, 0, t);
	} else {
		one_none(o);
	}
	dims[1] = b;
	dims[2] = h;
	if (one_range(g, 0, 1))
		one_in(o, BRAID_TYPE_F32, 3, dims, true);
	else
		one_none(o);
	if (pr->cell == PROG_RNN_LSTM && one_range(g, 0, 1)) {
		one_in(o, BRAID_TYPE_F32, 3, dims, true);
		dims[1] = 3 * h;
		if (one_range(g, 0, 1))
			one_in(o, BRAID_TYPE_F32, 2, dims, true);
	}
	dims[0] = t;
	dims[1] = dirs;
	dims[2] = b;
	dims[3] = h;
	one_out(o, BRAID_TYPE_F32, 4, dims);
	one_out(o, BRAID_TYPE_F32, 3, dims + 1);
	if (pr->cell == PROG_RNN_LSTM)
		one_out(o, BRAID_TYPE_F32, 3, dims + 1);
}

static double act(const struct prog_rnn *pr, int f, double x)
{
	if (pr->clip > 0 && f % 3 != 2)	/* not an LSTM's cell state */
		x = fmin(fmax(x, -pr->clip), pr->clip);
	return ref_fn(x, pr->fn[f], pr->fn_alpha[f], pr->fn_beta[f]);
}

/* One row of one direction from the first step to the last. */
static void ref_rnn_row(const struct one *o, uint32_t r, uint32_t out, double *y, int d, int64_t bi)
{
	const struct prog_rnn *pr = &o->op.params.rnn;
	const int64_t *xd = o->tensors[o->in[0]].dims;
	int64_t t = xd[0], nb = xd[1], in = xd[2], h = pr->hidden, len = t;
	int64_t dirs = pr->dir == PROG_RNN_BIDIRECTIONAL ? 2 : 1;
	int64_t gates = pr->cell == PROG_RNN_LSTM ? 4 : pr->cell == PROG_RNN_GRU ? 3 : 1;
	const float *x = in_of(o, 0, r), *w = in_of(o, 1, r) + d * gates * h * in;
	const float *rw = in_of(o, 2, r) + d * gates * h * h, *b = in_of(o, 3, r);
	const int32_t *lens = (const int32_t *)in_of(o, 4, r);
	const float *h0 = in_of(o, 5, r), *c0 = in_of(o, 6, r), *p = in_of(o, 7, r);
	double *hs = calloc(h * 8, sizeof(*hs)), *cs = hs + h, *s = hs + 2 * h, *next = hs + 6 * h;
	double *xs = calloc(h * 4, sizeof(*xs));

	if (b)
		b += d * 2 * gates * h;
	if (p)
		p += d * 3 * h;
	if (lens)
		len = lens[bi];
	for (int64_t j = 0; j < h; j++) {
		hs[j] = h0 ? h0[(d * nb + bi) * h + j] : 0;
		cs[j] = c0 ? c0[(d * nb + bi) * h + j] : 0;
	}
	for (int64_t k = 0; k < len; k++) {
		int64_t at = pr->dir == PROG_RNN_REVERSE || d ? len - 1 - k : k;

		for (int64_t j = 0; j < gates * h; j++) {
			xs[j] = b ? b[j] : 0;
			s[j] = b ? b[gates * h + j] : 0;
			for (int64_t i = 0; i < in; i++)
				xs[j] += (double)w[j * in + i] * x[(at * nb + bi) * in + i];
			for (int64_t i = 0; i < h; i++)
				s[j] += rw[j * h + i] * hs[i];
		}
		for (int64_t j = 0; j < h; j++) {
			if (pr->cell == PROG_RNN_LSTM) {
				double i = act(pr, d * 3, xs[j] + s[j] + (p ? p[j] * cs[j] : 0));
				double f = pr->input_forget ? 1 - i :
					act(pr, d * 3, xs[2 * h + j] + s[2 * h + j] +
					    (p ? p[2 * h + j] * cs[j] : 0));
				double z = act(pr, d * 3 + 1, xs[3 * h + j] + s[3 * h + j]);

				cs[j] = f * cs[j] + i * z;
				next[j] = act(pr, d * 3, xs[h + j] + s[h + j] +
					      (p ? p[h + j] * cs[j] : 0)) *
					  act(pr, d * 3 + 2, cs[j]);
			} else if (pr->cell == PROG_RNN_GRU) {
				double z = act(pr, d * 3, xs[j] + s[j]), v;

				if (pr->linear_before_reset) {
					v = act(pr, d * 3, xs[h + j] + s[h + j]) * s[2 * h + j];
				} else {
					v = b ? b[5 * h + j] : 0;
					for (int64_t i = 0; i < h; i++)
						v += rw[(2 * h + j) * h + i] * hs[i] *
						     act(pr, d * 3, xs[h + i] + s[h + i]);
				}
				v = act(pr, d * 3 + 1, xs[2 * h + j] + v);
				next[j] = (1 - z) * v + z * hs[j];
			} else {
				next[j] = act(pr, d * 3, xs[j] + s[j]);
			}
		}
		for (int64_t j = 0; j < h; j++) {
			hs[j] = next[j];
			if (out == 0)
				y[((at * dirs + d) * nb + bi) * h + j] = hs[j];
		}
	}
	for (int64_t j = 0; out && j < h; j++)
		y[(d * nb + bi) * h + j] = out == 1 ? hs[j] : cs[j];
	free(xs);
	free(hs);
}

static void ref_rnn(const struct one *o, uint32_t r, uint32_t out, double *y)
{
	int dirs = o->op.params.rnn.dir == PROG_RNN_BIDIRECTIONAL ? 2 : 1;

	for (int d = 0; d < dirs; d++)
		for (int64_t b = 0; b < o->tensors[o->in[0]].dims[1]; b++)
			ref_rnn_row(o, r, out, y, d, b);
}

int main(void)
{
	check(PROG_POOL, pool_case, ref_pool, 1, 200, "pool");
	check(PROG_SOFTMAX, softmax_case, ref_softmax, 2, 200, "softmax");
	check(PROG_NORM, norm_case, ref_norm, 3, 120, "norm");
	check(PROG_RESIZE, resize_case, ref_resize, 4, 120, "resize");
	check(PROG_RNN, rnn_case, ref_rnn, 5, 200, "rnn");
	return tap_done();
}
