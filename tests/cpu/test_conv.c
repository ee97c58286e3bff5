// SPDX-License-Identifier: MIT
/*
 * CONV, CONV_TRANSPOSE and GEMM against plain loops, on random shapes, strides,
 * pads, groups, dilations, epilogues, places of tensors and degrees.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/cpu/simd.h"
#include "tests/cpu/one.h"
#include "tests/cpu/ref.h"
#include "tests/tap.h"

#define TOLERANCE	1e-5

/* Coordinates of element @at of a tensor [N][D][H][W][C]. */
static void coords(const int64_t *dims, int64_t at, int64_t c[5])
{
	for (int i = 4; i >= 0; i--) {
		c[i] = at % dims[i];
		at /= dims[i];
	}
}

/*
 * The place that tap @k (flat over the kernel) of a window at @from touches,
 * where that is inside: the index of its pixel in a tensor of @dims.
 */
static bool touches(const struct prog_window *win, const int64_t *dims, const int64_t from[5],
		    int64_t k, int64_t *pixel)
{
	int64_t tap[3] = { k / win->kernel[2] / win->kernel[1],
			   k / win->kernel[2] % win->kernel[1], k % win->kernel[2] };

	*pixel = from[0];
	for (int i = 0; i < 3; i++) {
		int64_t p = from[i + 1] * win->stride[i] - win->pad_lo[i] +
			    tap[i] * win->dilation[i];

		if (p < 0 || p >= dims[i + 1])
			return false;
		*pixel = *pixel * dims[i + 1] + p;
	}
	return true;
}

static float *ref_conv(struct one *o, uint32_t r)
{
	const struct prog_conv *cv = &o->op.params.conv;
	const int64_t *xd = o->tensors[o->in[0]].dims, *yd = o->tensors[o->out[0]].dims;
	const float *x = one_f(o, o->in[0], r), *w = one_f(o, o->in[1], r);
	const float *b = o->op.n_in > 2 ? one_f(o, o->in[2], r) : NULL;
	int64_t elems = o->tensors[o->out[0]].elems;
	int64_t cg = xd[4] / cv->group, mg = yd[4] / cv->group, c[5], pixel;
	int64_t taps = (int64_t)cv->win.kernel[0] * cv->win.kernel[1] * cv->win.kernel[2];
	float *y = malloc(elems * sizeof(*y));

	for (int64_t at = 0; at < elems; at++) {
		double acc;

		coords(yd, at, c);
		acc = b ? b[c[4]] : 0;
		for (int64_t k = 0; k < taps; k++) {
			if (!touches(&cv->win, xd, c, k, &pixel))
				continue;
			for (int64_t i = 0; i < cg; i++)
				acc += (double)x[pixel * xd[4] + c[4] / mg * cg + i] *
				       w[(c[4] * taps + k) * cg + i];
		}
		y[at] = ref_store(o, acc, r, at);
	}
	return y;
}

static float *ref_conv_transpose(struct one *o, uint32_t r)
{
	const struct prog_conv *cv = &o->op.params.conv;
	const int64_t *xd = o->tensors[o->in[0]].dims, *yd = o->tensors[o->out[0]].dims;
	const float *x = one_f(o, o->in[0], r), *w = one_f(o, o->in[1], r);
	const float *b = o->op.n_in > 2 ? one_f(o, o->in[2], r) : NULL;
	int64_t elems = o->tensors[o->out[0]].elems;
	int64_t cg = xd[4] / cv->group, mg = yd[4] / cv->group, c[5], pixel;
	int64_t taps = (int64_t)cv->win.kernel[0] * cv->win.kernel[1] * cv->win.kernel[2];
	double *acc = malloc(elems * sizeof(*acc));
	float *y = malloc(elems * sizeof(*y));

	for (int64_t i = 0; i < elems; i++)
		acc[i] = b ? b[i % yd[4]] : 0;
	for (int64_t at = 0; at < o->tensors[o->in[0]].elems; at++) {
		coords(xd, at, c);
		for (int64_t k = 0; k < taps; k++) {
			if (!touches(&cv->win, yd, c, k, &pixel))
				continue;
			for (int64_t m = 0; m < mg; m++)
				acc[pixel * yd[4] + c[4] / cg * mg + m] +=
					(double)x[at] * w[(c[4] * taps + k) * mg + m];
		}
	}
	for (int64_t i = 0; i < elems; i++)
		y[i] = ref_store(o, acc[i], r, i);
	free(acc);
	return y;
}

/* Compare all requests; also each with the reference of the next: must differ. */
static bool matches(struct one *o, float *(*ref)(struct one *o, uint32_t r), double *worst,
		    bool *told_apart)
{
	int64_t n = o->tensors[o->out[0]].elems;
	bool good = true;

	for (uint32_t r = 0; r < o->degree; r++) {
		float *y = ref(o, r);
		double d = one_distance(one_f(o, o->out[0], r), y, n);

		if (d > *worst)
			*worst = d;
		good = good && d <= TOLERANCE;
		if (o->degree > 1 &&
		    one_distance(one_f(o, o->out[0], (r + 1) % o->degree), y, n) > 10 * TOLERANCE)
			*told_apart = true;
		free(y);
	}
	return good;
}

static void conv_case(struct one *o, struct one_rng *g, bool transpose, int shape)
{
	struct prog_window *win = &o->op.params.conv.win;
	int64_t x[5], w[5], y[5], group = 1, cg, mg;

	/* shape: 0 any, 1 depthwise, 2 pointwise, 3 image, 4 wide, 5 enlargement */
	for (int i = 0; i < 3; i++) {
		bool flat = i == 0 && one_range(g, 0, 3);

		win->kernel[i] = flat ? 1 : (int32_t)one_range(g, 1, shape == 3 ? 7 : 4);
		win->stride[i] = (int32_t)one_range(g, 1, 3);
		win->dilation[i] = (int32_t)(one_range(g, 0, 2) ? 1 : 2);
		if (shape == 2)
			win->kernel[i] = 1;
		win->pad_lo[i] = flat ? 0 : (int32_t)one_range(g, 0, win->kernel[i] - 1);
		win->pad_hi[i] = flat ? 0 : (int32_t)one_range(g, 0, win->kernel[i] - 1);
		x[i + 1] = flat ? 1 : one_range(g, 1, 13);
		if (shape == 5) {
			win->stride[i] = win->kernel[i];
			win->dilation[i] = 1;
			win->pad_lo[i] = win->pad_hi[i] = 0;
		}
	}
	x[0] = one_range(g, 1, 2);
	cg = one_range(g, 1, shape == 4 ? 70 : 20);
	mg = one_range(g, 1, shape == 4 ? 150 : 40);
	if (shape == 0)
		group = one_range(g, 1, 3);
	if (shape == 1) {
		group = one_range(g, 2, 70);
		cg = 1;
		mg = one_range(g, 0, 2) ? 1 : one_range(g, 2, 3);
	}
	if (shape == 3)
		cg = one_range(g, 1, 4);
	x[4] = cg * group;
	y[0] = x[0];
	y[4] = mg * group;
	for (int i = 0; i < 3; i++) {
		int64_t span = (win->kernel[i] - 1) * win->dilation[i] + 1;

		if (transpose) {
			y[i + 1] = (x[i + 1] - 1) * win->stride[i] + span -
				   win->pad_lo[i] - win->pad_hi[i] +
				   (shape == 5 ? 0 : one_range(g, 0, 1));
			if (y[i + 1] < 1)
				y[i + 1] = 1;
		} else {
			while (x[i + 1] + win->pad_lo[i] + win->pad_hi[i] < span)
				x[i + 1]++;
			y[i + 1] = (x[i + 1] + win->pad_lo[i] + win->pad_hi[i] - span) /
				   win->stride[i] + 1;
		}
		w[i + 1] = win->kernel[i];
	}
	w[0] = transpose ? x[4] : y[4];
	w[4] = transpose ? mg : cg;
	o->op.params.conv.group = (int32_t)group;
	one_in(o, BRAID_TYPE_F32, 5, x, false);
	if (one_range(g, 0, 3))
		one_const(o, BRAID_TYPE_F32, 5, w);
	else
		one_in(o, BRAID_TYPE_F32, 5, w, true);
	if (one_range(g, 0, 2))
		one_in(o, BRAID_TYPE_F32, 1, &y[4], true);
	one_out(o, BRAID_TYPE_F32, 5, y);
	ref_epilogue(o, g, 5, y);
}

static void convs(uint64_t seed, bool transpose, int shape, const char *name, int cases)
{
	struct one_rng g = { seed };
	int bad = 0, failed = 0;
	double worst = 0;
	bool told_apart = false;

	for (int i = 0; i < cases; i++) {
		struct one o;
		char why[256] = "";
		int err;

		one_init(&o, &g, transpose ? PROG_CONV_TRANSPOSE : PROG_CONV,
			 (uint32_t)one_range(&g, 1, ONE_DEGREE));
		conv_case(&o, &g, transpose, shape);
		err = one_run(&o, why, sizeof(why));
		if (err) {
			failed++;
			diag("case %d: error %d %s", i, err, why);
		} else if (!matches(&o, transpose ? ref_conv_transpose : ref_conv, &worst,
				    &told_apart)) {
			bad++;
			diag("case %d of %s is wrong", i, name);
		}
		one_free(&o);
	}
	ok(!bad && !failed, "%s: %d cases, worst distance %.1e", name, cases, worst);
	ok(told_apart, "%s: requests swapped would have been seen", name);
}

static int64_t bcast_at(const struct prog_tensor *t, const struct prog_tensor *y, int64_t at,
			uint32_t skip)
{
	int64_t off = 0, step = 1;

	/* Axes of t from the last, of y likewise; the last `skip` of both left out. */
	for (uint32_t i = 0; i < y->rank; i++) {
		int64_t yi = at % y->dims[y->rank - 1 - i];

		at /= y->dims[y->rank - 1 - i];
		if (i < t->rank) {
			int64_t d = t->dims[t->rank - 1 - i];

			if (i >= skip && d > 1)
				off += yi * step;
			step *= d;
		}
	}
	return off;
}

static float *ref_gemm(struct one *o, uint32_t r)
{
	const struct prog_gemm *pg = &o->op.params.gemm;
	const struct prog_tensor *at = &o->tensors[o->in[0]], *bt = &o->tensors[o->in[1]];
	const struct prog_tensor *yt = &o->tensors[o->out[0]];
	const float *a = one_f(o, o->in[0], r), *b = one_f(o, o->in[1], r);
	int64_t m = yt->dims[yt->rank - 2], n = yt->dims[yt->rank - 1];
	int64_t k = at->dims[at->rank - (pg->trans_a ? 2 : 1)];
	float *y = malloc(yt->elems * sizeof(*y));

	for (int64_t i = 0; i < yt->elems; i++) {
		const float *pa = a + bcast_at(at, yt, i, 2), *pb = b + bcast_at(bt, yt, i, 2);
		int64_t row = i / n % m, col = i % n;
		double acc = 0;

		for (int64_t j = 0; j < k; j++)
			acc += (double)(pg->trans_a ? pa[j * m + row] : pa[row * k + j]) *
			       (pg->trans_b ? pb[col * k + j] : pb[j * n + col]);
		acc *= pg->alpha;
		if (o->op.n_in > 2)
			acc += one_f(o, o->in[2], r)[bcast_at(&o->tensors[o->in[2]], yt, i, 0)];
		y[i] = ref_store(o, acc, r, i);
	}
	return y;
}

static void gemm_case(struct one *o, struct one_rng *g)
{
	struct prog_gemm *pg = &o->op.params.gemm;
	uint32_t lead = (uint32_t)one_range(g, 0, 2);
	uint32_t la = (uint32_t)one_range(g, 0, lead), lb = (uint32_t)one_range(g, 0, lead);
	int64_t y[4], a[4], b[4], bias[4], m, n, k, d;
	uint32_t rank = lead + 2, br;

	m = one_range(g, 1, one_range(g, 0, 2) ? 20 : 130);
	n = one_range(g, 1, one_range(g, 0, 2) ? 20 : 130);
	k = one_range(g, 1, one_range(g, 0, 2) ? 40 : 300);
	pg->trans_a = one_range(g, 0, 2) == 0;
	pg->trans_b = one_range(g, 0, 1);
	pg->alpha = one_range(g, 0, 1) ? 1.0f : 0.37f;
	if (one_range(g, 0, 1))
		la = lead;
	for (uint32_t i = 0; i < lead; i++) {
		bool in_a = i + la >= lead, in_b = i + lb >= lead;

		d = one_range(g, 1, 3);
		if (in_a)
			a[i + la - lead] = d;
		if (in_b)
			b[i + lb - lead] = d;
		if (in_a && in_b && one_range(g, 0, 2) == 0) {
			if (one_range(g, 0, 1))
				a[i + la - lead] = 1;
			else
				b[i + lb - lead] = 1;
		}
		y[i] = in_a || in_b ? d : 1;
	}
	/* An axis that neither has is no axis of y. */
	d = la > lb ? la : lb;
	for (uint32_t i = 0; i < d; i++)
		y[i] = y[i + lead - d];
	rank -= lead - d;
	a[la] = pg->trans_a ? k : m;
	a[la + 1] = pg->trans_a ? m : k;
	b[lb] = pg->trans_b ? n : k;
	b[lb + 1] = pg->trans_b ? k : n;
	y[rank - 2] = m;
	y[rank - 1] = n;
	one_in(o, BRAID_TYPE_F32, la + 2, a, one_range(g, 0, 5) == 0);
	if (one_range(g, 0, 1))
		one_const(o, BRAID_TYPE_F32, lb + 2, b);
	else
		one_in(o, BRAID_TYPE_F32, lb + 2, b, true);
	if (one_range(g, 0, 1)) {
		br = (uint32_t)one_range(g, 0, rank);
		for (uint32_t i = 0; i < br; i++)
			bias[i] = one_range(g, 0, 2) ? y[rank - br + i] : 1;
		one_in(o, BRAID_TYPE_F32, br, bias, true);
	}
	one_out(o, BRAID_TYPE_F32, rank, y);
	ref_epilogue(o, g, rank, y);
}

static void gemms(uint64_t seed, int cases)
{
	struct one_rng g = { seed };
	double worst = 0;
	bool told_apart = false;
	int bad = 0;

	for (int i = 0; i < cases; i++) {
		struct one o;
		char why[256] = "";
		int err;

		one_init(&o, &g, PROG_GEMM, (uint32_t)one_range(&g, 1, ONE_DEGREE));
		gemm_case(&o, &g);
		err = one_run(&o, why, sizeof(why));
		if (err || !matches(&o, ref_gemm, &worst, &told_apart)) {
			bad++;
			diag("gemm case %d: error %d %s", i, err, why);
		}
		one_free(&o);
	}
	ok(!bad, "gemm: %d cases, worst distance %.1e", cases, worst);
	ok(told_apart, "gemm: requests swapped would have been seen");
}

int main(void)
{
	diag("instruction set: %s", cpu_simd()->name);
	convs(1, false, 0, "convolution", 150);
	convs(2, false, 1, "depthwise convolution", 150);
	convs(3, false, 2, "pointwise convolution", 100);
	convs(4, false, 3, "convolution of few channels", 100);
	convs(5, false, 4, "convolution of many channels", 40);
	convs(6, true, 0, "transposed convolution", 120);
	convs(9, true, 5, "enlargement", 80);
	convs(7, true, 1, "transposed depthwise convolution", 60);
	gemms(8, 400);
	return tap_done();
}
