// SPDX-License-Identifier: MIT
/*
 * POOL, SOFTMAX and NORM against plain loops, on random shapes, parameters,
 * places of tensors and degrees.
 */
#include <math.h>

#include "tests/cpu/nn.h"
#include "tests/tap.h"

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

/* The fastest coordinate of a flat index, which loses it. */
static int64_t take(int64_t *index, int64_t extent)
{
	int64_t c = *index % extent;

	*index /= extent;
	return c;
}

static void ref_pool(const struct one *o, uint32_t r, uint32_t out, double *y)
{
	const struct prog_pool *pp = &o->op.params.pool;
	const struct prog_window *win = &pp->win;
	const int64_t *xd = o->tensors[o->in[0]].dims, *yd = o->tensors[o->out[0]].dims;
	const float *x = nn_in(o, 0, r);
	int64_t taps = (int64_t)win->kernel[0] * win->kernel[1] * win->kernel[2];

	for (int64_t at = 0; at < o->tensors[o->out[0]].elems; at++) {
		double acc = pp->kind == PROG_POOL_MAX ? -INFINITY : 0, index = 0;
		int64_t c, n, o3[3], p[3], rest = at, real = 0, padded = 0;

		c = take(&rest, yd[4]);
		for (int i = 2; i >= 0; i--)
			o3[i] = take(&rest, yd[i + 1]);
		n = rest;
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
	const float *x = nn_in(o, 0, r);
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
	const float *x = nn_in(o, 0, r), *scale = nn_in(o, 1, r), *shift = nn_in(o, 2, r);
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

int main(void)
{
	nn_check(PROG_POOL, pool_case, ref_pool, 1, 200, "pool");
	nn_check(PROG_SOFTMAX, softmax_case, ref_softmax, 2, 200, "softmax");
	nn_check(PROG_NORM, norm_case, ref_norm, 3, 120, "norm");
	return tap_done();
}
