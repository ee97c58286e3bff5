// SPDX-License-Identifier: MIT
/*
 * Random cases of network layers against references: see nn.h.
 */
#include "tests/cpu/nn.h"

#include <math.h>
#include <stdlib.h>

#include "tests/tap.h"

#define TOLERANCE	1e-5

const float *nn_in(const struct one *o, uint32_t i, uint32_t r)
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

void nn_check(enum prog_kind kind, nn_case make, nn_ref ref, uint64_t seed, int cases,
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
