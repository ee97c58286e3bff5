// SPDX-License-Identifier: MIT
/*
 * RNN: LSTM, GRU and the plain cell, forward, reverse and both.
 *
 * All of one direction of one or several requests is one tile, because each
 * step needs the one before: the rows of the requests' batches are stepped
 * together, so that merged requests share each pass over the weights. The
 * product of x with w is made for several steps at a time; each step then adds
 * that of the hidden state with r, and the cell. Weights are packed once where
 * they are constant, else by the tile.
 *
 * Padding by sequence lengths: a row's state stands still behind its last
 * step, its outputs there are zero, and its reverse begins at its last step.
 *
 * Immutable once prepared.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cpu/gemm.h"
#include "agent/cpu/igemm.h"
#include "agent/cpu/simd.h"

#define TILE_ROWS	CPU_MR_MAX	/* rows of a tile: one block of a product */
#define CHUNK_ROWS	(2 * CPU_MR_MAX)	/* rows of x multiplied at a time */

/**
 * struct rnn - a plan
 * @t: steps, @b: batch, @i: width of x, @h: hidden, @g: gates
 * @dirs: directions
 * @together: requests that share a tile
 * @chunk: steps whose x is multiplied at a time
 * @w: packed [i][h], one matrix a direction and gate; NULL: not constant
 * @r: packed [h][h], likewise
 * @w_floats: of one matrix
 * @r_floats: likewise
 */
struct rnn {
	const struct cpu_simd *simd;
	int64_t t, b, i, h, g;
	int dirs;
	uint32_t together;
	int64_t chunk;
	float *w, *r;
	size_t w_floats, r_floats;
};

enum { IN_X, IN_W, IN_R, IN_B, IN_LENS, IN_H0, IN_C0, IN_P };

static bool known(enum prog_fn fn)
{
	switch (fn) {
	case PROG_FN_NONE:
	case PROG_FN_SOFTPLUS:
		return true;
	default:
		return cpu_unary_has(fn);
	}
}

static int check(const struct program *p, const struct prog_op *op, char *why, size_t len)
{
	const struct prog_rnn *pr = &op->params.rnn;
	int dirs = pr->dir == PROG_RNN_BIDIRECTIONAL ? 2 : 1;
	int fns = pr->cell == PROG_RNN_LSTM ? 3 : pr->cell == PROG_RNN_GRU ? 2 : 1;

	for (uint32_t i = 0; i < op->n_in; i++) {
		enum braid_type want = i == IN_LENS ? BRAID_TYPE_I32 : BRAID_TYPE_F32;

		if (cpu_has_in(op, i) && p->tensors[op->in[i]].type != want)
			return cpu_refuse(op, why, len, "input %u is %s", i,
					  prog_type_name((int)p->tensors[op->in[i]].type));
	}
	for (int d = 0; d < dirs; d++)
		for (int i = 0; i < fns; i++)
			if (!known(pr->fn[d * 3 + i]))
				return cpu_refuse(op, why, len, "function %d is no activation",
						  pr->fn[d * 3 + i]);
	return 0;
}

static void release(struct cpu_op *co)
{
	struct rnn *n = co->priv;

	free(n->w);
	free(n->r);
	free(n);
}

/* All matrices of one direction: for each gate, [h][k] turned to packed [k][h]. */
static void pack_gates(const struct rnn *n, float *to, const float *from, int64_t k, size_t floats)
{
	for (int64_t g = 0; g < n->g; g++)
		cpu_pack(n->simd, to + g * floats, from + g * n->h * k, k, n->h, 1, k);
}

static bool varies(const struct cpu_op *co, uint32_t i)
{
	return cpu_has_in(co->op, i) && !cpu_is_const(co->prog, co->op->in[i]);
}

static int prepare(struct cpu_op *co)
{
	const struct prog_rnn *pr = &co->op->params.rnn;
	const struct prog_tensor *x = cpu_in_tensor(co, IN_X);
	const float *w = cpu_const(co->prog, co->op->in[IN_W]);
	const float *r = cpu_const(co->prog, co->op->in[IN_R]);
	struct rnn *n = calloc(1, sizeof(*n));
	size_t rows;

	if (!n)
		return -ENOMEM;
	co->priv = n;
	n->simd = cpu_simd();
	n->t = x->dims[0];
	n->b = x->dims[1];
	n->i = x->dims[2];
	n->h = pr->hidden;
	n->g = pr->cell == PROG_RNN_LSTM ? 4 : pr->cell == PROG_RNN_GRU ? 3 : 1;
	n->dirs = pr->dir == PROG_RNN_BIDIRECTIONAL ? 2 : 1;
	n->w_floats = (cpu_packed_floats(n->simd, n->i, n->h) + 15) & ~(size_t)15;
	n->r_floats = (cpu_packed_floats(n->simd, n->h, n->h) + 15) & ~(size_t)15;
	/* Requests share a pass over the weights if these are the same for all. */
	n->together = 1;
	if (w && r && !varies(co, IN_B) && !varies(co, IN_P) && n->b < TILE_ROWS)
		n->together = (uint32_t)(TILE_ROWS / n->b);
	n->chunk = CHUNK_ROWS / (n->together * n->b);
	n->chunk = n->chunk < 1 ? 1 : n->chunk > n->t ? n->t : n->chunk;
	/* Pointers, three states, and the sums of all gates for a chunk of steps. */
	rows = (size_t)n->together * n->b;
	co->scratch = rows * n->chunk * sizeof(float *) + 128 +
		      rows * n->h * (3 + n->g * n->chunk) * sizeof(float);
	if (w && r) {
		n->w = cpu_alloc((size_t)n->dirs * n->g * n->w_floats * sizeof(float));
		n->r = cpu_alloc((size_t)n->dirs * n->g * n->r_floats * sizeof(float));
		if (!n->w || !n->r) {
			release(co);
			return -ENOMEM;
		}
		for (int d = 0; d < n->dirs; d++) {
			pack_gates(n, n->w + d * n->g * n->w_floats, w + d * n->g * n->h * n->i,
				   n->i, n->w_floats);
			pack_gates(n, n->r + d * n->g * n->r_floats, r + d * n->g * n->h * n->h,
				   n->h, n->r_floats);
		}
	} else {
		co->scratch += n->g * (n->w_floats + n->r_floats) * sizeof(float) + 64;
	}
	return 0;
}

static uint32_t tiles(const struct cpu_op *co, uint32_t degree)
{
	const struct rnn *n = co->priv;

	return (degree + n->together - 1) / n->together * (uint32_t)n->dirs;
}

/*
 * What a tile works with. Rows are [request][batch]; at a step, row i of gate g
 * in @sum is row (g * chunk + step of the chunk) * rows + i.
 */
struct tile {
	const struct cpu_run *run;
	const struct cpu_op *co;
	const struct rnn *n;
	int dir;
	bool reverse;
	uint32_t r0;
	int64_t rows, at;
	const float *w, *r, *bias, *peep;
	const float **from;
	float *h, *c, *tmp, *sum;
};

/* Lengths come from tenants: read once a use, and cut to what there is. */
static int64_t steps_of(const struct tile *s, int64_t row)
{
	const volatile int32_t *lens;
	int64_t len;

	if (!cpu_has_in(s->co->op, IN_LENS))
		return s->n->t;
	lens = cpu_in(s->run, s->co, IN_LENS, s->r0 + (uint32_t)(row / s->n->b));
	len = lens[row % s->n->b];
	return len < 0 ? 0 : len > s->n->t ? s->n->t : len;
}

/* to = from x m (+ to): @rows rows of @k floats each, one packed matrix. */
static void product(const struct rnn *n, const float *const *from, int64_t rows, int64_t k,
		    const float *m, float *to, bool add)
{
	const struct cpu_epi none = { .fn = PROG_FN_NONE };
	struct cpu_gemm_args a = { .kp = 1, .kc = k, .epi = &none, .alpha = 1.0f };
	const float *sum[CPU_MR_MAX];
	float *c[CPU_MR_MAX];

	for (int64_t r0 = 0; r0 < rows; r0 += n->simd->mr) {
		a.m = (uint32_t)(rows - r0 < n->simd->mr ? rows - r0 : n->simd->mr);
		a.a = from + r0;
		a.c = c;
		for (int64_t j = 0; j < n->h; j += n->simd->nr) {
			for (uint32_t i = 0; i < a.m; i++)
				sum[i] = c[i] = to + (r0 + i) * n->h + j;
			a.n = (uint32_t)(n->h - j < n->simd->nr ? n->h - j : n->simd->nr);
			a.w = m + j * k;
			a.add = add ? sum : NULL;
			n->simd->gemm(&a);
		}
	}
}

/*
 * Clips, then applies function @which. The third, an LSTM's on its cell state,
 * is not clipped: ONNX's words could mean either, ONNX Runtime does it so.
 */
static void activate(const struct tile *s, int which, float *x)
{
	const struct prog_rnn *pr = &s->co->op->params.rnn;
	const int f = s->dir * 3 + which;
	const float clip = which == 2 ? 0.0f : pr->clip;

	for (int64_t i = 0; clip > 0 && i < s->n->h; i++)
		x[i] = x[i] > clip ? clip : x[i] < -clip ? -clip : x[i];
	if (pr->fn[f] == PROG_FN_SOFTPLUS) {
		for (int64_t i = 0; i < s->n->h; i++)
			x[i] = x[i] > 20.0f ? x[i] : log1pf(expf(x[i]));
		return;
	}
	s->n->simd->unary(x, x, s->n->h, pr->fn[f], pr->fn_alpha[f], pr->fn_beta[f]);
}

/* Row @row of gate @g at the step that is being done. */
static float *gate(const struct tile *s, int64_t g, int64_t row)
{
	return s->sum + ((g * s->n->chunk + s->at) * s->rows + row) * s->n->h;
}

static void add_bias(const struct tile *s, int64_t g, bool recurrent, float *y)
{
	const float *b;

	if (!s->bias)
		return;
	b = s->bias + (g + (recurrent ? s->n->g : 0)) * s->n->h;
	for (int64_t j = 0; j < s->n->h; j++)
		y[j] += b[j];
}

static void peephole(const struct tile *s, int which, const float *c, float *y)
{
	if (!s->peep)
		return;
	for (int64_t j = 0; j < s->n->h; j++)
		y[j] += s->peep[which * s->n->h + j] * c[j];
}

/* Gates i, o, f, c. */
static void lstm_row(const struct tile *s, int64_t row)
{
	float *i = gate(s, 0, row), *o = gate(s, 1, row), *f = gate(s, 2, row);
	float *z = gate(s, 3, row), *h = s->h + row * s->n->h, *c = s->c + row * s->n->h;
	int64_t n = s->n->h;

	peephole(s, 0, c, i);
	activate(s, 0, i);
	if (s->co->op->params.rnn.input_forget) {
		for (int64_t j = 0; j < n; j++)
			f[j] = 1.0f - i[j];
	} else {
		peephole(s, 2, c, f);
		activate(s, 0, f);
	}
	activate(s, 1, z);
	for (int64_t j = 0; j < n; j++)
		c[j] = f[j] * c[j] + i[j] * z[j];
	peephole(s, 1, c, o);
	activate(s, 0, o);
	memcpy(h, c, n * sizeof(*h));
	activate(s, 2, h);
	for (int64_t j = 0; j < n; j++)
		h[j] *= o[j];
}

/* GRU: the reset gate, then the recurrent half of the candidate, into tmp. */
static void gru_candidate(const struct tile *s)
{
	const struct rnn *n = s->n;
	const bool after = s->co->op->params.rnn.linear_before_reset;

	for (int64_t i = 0; i < s->rows; i++) {
		float *r = gate(s, 1, i), *h = s->h + i * n->h;

		activate(s, 0, r);
		s->from[i] = h;
		if (after)
			continue;
		for (int64_t j = 0; j < n->h; j++)
			r[j] *= h[j];
		s->from[i] = r;
	}
	product(n, s->from, s->rows, n->h, s->r + 2 * n->r_floats, s->tmp, false);
	for (int64_t i = 0; i < s->rows; i++) {
		float *t = s->tmp + i * n->h, *r = gate(s, 1, i);

		add_bias(s, 2, true, t);
		for (int64_t j = 0; after && j < n->h; j++)
			t[j] *= r[j];
	}
}

/* Gates z, r, h. */
static void gru_row(const struct tile *s, int64_t row)
{
	float *z = gate(s, 0, row), *x = gate(s, 2, row), *h = s->h + row * s->n->h;
	const float *t = s->tmp + row * s->n->h;

	activate(s, 0, z);
	for (int64_t j = 0; j < s->n->h; j++)
		x[j] += t[j];
	activate(s, 1, x);
	for (int64_t j = 0; j < s->n->h; j++)
		h[j] = (1.0f - z[j]) * x[j] + z[j] * h[j];
}

static void plain_row(const struct tile *s, int64_t row)
{
	float *x = gate(s, 0, row);

	activate(s, 0, x);
	memcpy(s->h + row * s->n->h, x, s->n->h * sizeof(*x));
}

/* The time that a row is at in step @k, -1 behind its end. */
static int64_t time_of(const struct tile *s, int64_t row, int64_t k)
{
	int64_t len = steps_of(s, row);

	if (k >= len)
		return -1;
	return s->reverse ? len - 1 - k : k;
}

/* x times w for steps [k0, k1) of all rows and gates. */
static void multiply_x(const struct tile *s, int64_t k0, int64_t k1)
{
	const struct rnn *n = s->n;

	for (int64_t k = k0; k < k1; k++)
		for (int64_t i = 0; i < s->rows; i++) {
			const float *x = cpu_in(s->run, s->co, IN_X, s->r0 + (uint32_t)(i / n->b));
			int64_t t = time_of(s, i, k);

			/* Behind its end a row is multiplied for nothing. */
			x += ((t < 0 ? 0 : t) * n->b + i % n->b) * n->i;
			s->from[(k - k0) * s->rows + i] = x;
		}
	for (int64_t g = 0; g < n->g; g++)
		product(n, s->from, (k1 - k0) * s->rows, n->i, s->w + g * n->w_floats,
			s->sum + g * n->chunk * s->rows * n->h, false);
}

static void step(const struct tile *s, int64_t k)
{
	const struct rnn *n = s->n;
	const enum prog_rnn_cell cell = s->co->op->params.rnn.cell;

	for (int64_t i = 0; i < s->rows; i++)
		s->from[i] = s->h + i * n->h;
	for (int64_t g = 0; g < n->g; g++) {
		bool candidate = cell == PROG_RNN_GRU && g == 2;

		if (!candidate)
			product(n, s->from, s->rows, n->h, s->r + g * n->r_floats,
				gate(s, g, 0), true);
		for (int64_t i = 0; i < s->rows; i++) {
			add_bias(s, g, false, gate(s, g, i));
			if (!candidate)
				add_bias(s, g, true, gate(s, g, i));
		}
	}
	if (cell == PROG_RNN_GRU)
		gru_candidate(s);
	for (int64_t i = 0; i < s->rows; i++) {
		uint32_t r = s->r0 + (uint32_t)(i / n->b);
		int64_t t = time_of(s, i, k);
		float *y = NULL;

		if (cpu_has_out(s->co->op, 0))
			y = (float *)cpu_out(s->run, s->co, 0, r) +
			    (((t < 0 ? k : t) * n->dirs + s->dir) * n->b + i % n->b) * n->h;
		if (t < 0) {
			if (y)
				memset(y, 0, n->h * sizeof(*y));
			continue;
		}
		if (cell == PROG_RNN_LSTM)
			lstm_row(s, i);
		else if (cell == PROG_RNN_GRU)
			gru_row(s, i);
		else
			plain_row(s, i);
		if (y)
			memcpy(y, s->h + i * n->h, n->h * sizeof(*y));
	}
}

static float *align64(void *p)
{
	return (float *)(((uintptr_t)p + 63) & ~(uintptr_t)63);
}

/* Rows of a state: from an input, or zero; to an output, if it is wanted. */
static void load_state(const struct tile *s, uint32_t in, float *to)
{
	const struct rnn *n = s->n;

	for (int64_t i = 0; i < s->rows; i++, to += n->h) {
		const float *from;

		if (!cpu_has_in(s->co->op, in)) {
			memset(to, 0, n->h * sizeof(*to));
			continue;
		}
		from = cpu_in(s->run, s->co, in, s->r0 + (uint32_t)(i / n->b));
		memcpy(to, from + (s->dir * n->b + i % n->b) * n->h, n->h * sizeof(*to));
	}
}

static void store_state(const struct tile *s, uint32_t out, const float *from)
{
	const struct rnn *n = s->n;

	for (int64_t i = 0; cpu_has_out(s->co->op, out) && i < s->rows; i++, from += n->h)
		memcpy((float *)cpu_out(s->run, s->co, out, s->r0 + (uint32_t)(i / n->b)) +
		       (s->dir * n->b + i % n->b) * n->h, from, n->h * sizeof(*from));
}

static void run_rnn(const struct cpu_run *run, const struct cpu_op *co, uint32_t tile,
		    uint32_t n_tiles)
{
	const struct rnn *n = co->priv;
	const struct prog_rnn *pr = &co->op->params.rnn;
	struct tile s = { .run = run, .co = co, .n = n, .dir = (int)(tile % (uint32_t)n->dirs) };
	uint32_t requests;
	float *room;

	s.reverse = pr->dir == PROG_RNN_REVERSE || s.dir == 1;
	s.r0 = tile / (uint32_t)n->dirs * n->together;
	requests = run->degree - s.r0 < n->together ? run->degree - s.r0 : n->together;
	s.rows = requests * n->b;
	s.from = run->scratch;
	s.h = align64(s.from + n->together * n->b * n->chunk);
	s.c = s.h + s.rows * n->h;
	s.tmp = s.c + s.rows * n->h;
	s.sum = s.tmp + s.rows * n->h;
	if (n->w) {
		s.w = n->w + s.dir * n->g * n->w_floats;
		s.r = n->r + s.dir * n->g * n->r_floats;
	} else {
		room = align64(s.sum + n->g * n->chunk * s.rows * n->h);
		pack_gates(n, room, (const float *)cpu_in(run, co, IN_W, s.r0) +
				    s.dir * n->g * n->h * n->i, n->i, n->w_floats);
		s.w = room;
		room += n->g * n->w_floats;
		pack_gates(n, room, (const float *)cpu_in(run, co, IN_R, s.r0) +
				    s.dir * n->g * n->h * n->h, n->h, n->r_floats);
		s.r = room;
	}
	if (cpu_has_in(co->op, IN_B))
		s.bias = (const float *)cpu_in(run, co, IN_B, s.r0) + s.dir * 2 * n->g * n->h;
	if (cpu_has_in(co->op, IN_P))
		s.peep = (const float *)cpu_in(run, co, IN_P, s.r0) + s.dir * 3 * n->h;
	load_state(&s, IN_H0, s.h);
	load_state(&s, IN_C0, s.c);
	for (int64_t k = 0; k < n->t; k++) {
		s.at = k % n->chunk;
		if (!s.at)
			multiply_x(&s, k, k + n->chunk < n->t ? k + n->chunk : n->t);
		step(&s, k);
	}
	store_state(&s, 1, s.h);
	store_state(&s, 2, s.c);
}

const struct cpu_kernel cpu_k_rnn = {
	.check = check,
	.prepare = prepare,
	.release = release,
	.tiles = tiles,
	.run = run_rnn,
};
