// SPDX-License-Identifier: MIT
/*
 * RNN, LSTM and GRU against plain loops: directions, lengths, initial states,
 * peepholes and element functions, on random shapes, places and degrees.
 */
#include <math.h>
#include <stdlib.h>

#include "tests/cpu/nn.h"
#include "tests/cpu/ref.h"
#include "tests/tap.h"

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
	const float *x = nn_in(o, 0, r), *w = nn_in(o, 1, r) + d * gates * h * in;
	const float *rw = nn_in(o, 2, r) + d * gates * h * h, *b = nn_in(o, 3, r);
	const int32_t *lens = (const int32_t *)nn_in(o, 4, r);
	const float *h0 = nn_in(o, 5, r), *c0 = nn_in(o, 6, r), *p = nn_in(o, 7, r);
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
	nn_check(PROG_RNN, rnn_case, ref_rnn, 5, 200, "rnn");
	return tap_done();
}
