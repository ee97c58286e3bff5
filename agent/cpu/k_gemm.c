// SPDX-License-Identifier: MIT
/*
 * GEMM: y = fn(alpha * op(a) x op(b) + bias + residual), batched.
 *
 * Two ways:
 *   shared	b is one constant matrix: it is packed at load, and the rows of
 *		all batches and all requests are one left side
 *   each	otherwise a tile works on one matrix of the batch of one request
 *		and packs the columns of b that it needs into its scratch
 * A transposed a is turned, some rows at a time, in scratch.
 *
 * Immutable once prepared.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cpu/gemm.h"
#include "agent/cpu/igemm.h"

#define TILE_MACS	(4 << 20)
#define TILE_ROWS_MIN	56
#define TILE_ROWS_MAX	448
#define KEEP_BYTES	(320u << 10)
#define TURN_FLOATS	(1 << 16)	/* of a transposed a, at a time */

/* A broadcast operand: elements to move for one step of each output axis. */
struct operand {
	int64_t step[PROG_MAX_RANK];
};

/**
 * struct gemm - a plan
 * @m: rows, @n: columns, @k: inner extent
 * @batch: matrices of one request
 * @lead: number of leading axes
 * @dims: their extents
 * @a: steps of a, likewise @b and @bias (all axes)
 * @bias_cols: the bias is one row for all of y, or one number a column
 * @has_bias: there is a bias
 * @packed: b, packed
 * @rows: of one request: batch * m if shared, else m
 * @tile_rows: rows of a tile, at most
 * @tile_n: columns of a tile
 * @n_tiles: tiles over the columns
 */
struct gemm {
	const struct cpu_simd *simd;
	struct cpu_epi epi;
	int64_t m, n, k, batch;
	uint32_t lead, rank;
	int64_t dims[PROG_MAX_RANK];
	struct operand a, b, bias;
	bool bias_cols, has_bias, shared, per_request;
	float *packed;
	int64_t rows, tile_rows, tile_n, n_tiles;
};

static void steps(struct operand *o, const struct prog_tensor *t, uint32_t rank)
{
	int64_t at = 1;

	memset(o, 0, sizeof(*o));
	for (uint32_t i = 0; i < t->rank && i < rank; i++) {
		int64_t d = t->dims[t->rank - 1 - i];

		o->step[rank - 1 - i] = d == 1 ? 0 : at;
		at *= d;
	}
}

/* Element where matrix @batch of an operand begins. */
static int64_t matrix_at(const struct gemm *g, const struct operand *o, int64_t batch)
{
	int64_t at = 0;

	for (int32_t i = (int32_t)g->lead - 1; i >= 0; i--) {
		at += batch % g->dims[i] * o->step[i];
		batch /= g->dims[i];
	}
	return at;
}

static int gemm_prepare(struct cpu_op *co)
{
	const struct prog_gemm *pg = &co->op->params.gemm;
	const struct prog_tensor *a = cpu_in_tensor(co, 0), *b = cpu_in_tensor(co, 1);
	const struct prog_tensor *y = cpu_out_tensor(co, 0);
	const float *w = cpu_const(co->prog, co->op->in[1]);
	struct gemm *g = calloc(1, sizeof(*g));
	int64_t cols, one = 1;
	bool a_const;

	if (!g)
		return -ENOMEM;
	g->simd = cpu_simd();
	g->epi = cpu_epi_of(co->op);
	g->rank = y->rank;
	g->lead = y->rank - 2;
	g->m = y->dims[g->lead];
	g->n = y->dims[g->lead + 1];
	g->k = a->dims[a->rank - (pg->trans_a ? 2 : 1)];
	g->batch = 1;
	for (uint32_t i = 0; i < g->lead; i++) {
		g->dims[i] = y->dims[i];
		g->batch *= y->dims[i];
	}
	steps(&g->a, a, y->rank);
	steps(&g->b, b, y->rank);
	for (uint32_t i = 0; i + 2 < b->rank; i++)
		one *= b->dims[i];
	a_const = cpu_is_const(co->prog, co->op->in[0]);
	g->bias_cols = true;
	if (cpu_has_in(co->op, 2)) {
		g->has_bias = true;
		steps(&g->bias, cpu_in_tensor(co, 2), y->rank);
		for (uint32_t i = 0; i + 1 < y->rank; i++)
			if (g->bias.step[i])
				g->bias_cols = false;
		g->per_request = !cpu_is_const(co->prog, co->op->in[2]);
	}
	/* All of a in y's order: no broadcast of a over the batch. */
	g->shared = w && one == 1 && !pg->trans_a && a->elems == g->batch * g->m * g->k &&
		    g->bias_cols && !a_const;
	g->rows = g->shared ? g->batch * g->m : g->m;
	cols = (g->n + g->simd->nr - 1) / g->simd->nr * g->simd->nr;
	g->tile_rows = TILE_MACS / (g->k * cols);
	if (g->tile_rows < TILE_ROWS_MIN) {
		g->tile_rows = TILE_ROWS_MIN;
		cols = TILE_MACS / (TILE_ROWS_MIN * g->k) / g->simd->nr * g->simd->nr;
		if (cols < g->simd->nr)
			cols = g->simd->nr;
		if (cols > g->n)
			cols = (g->n + g->simd->nr - 1) / g->simd->nr * g->simd->nr;
	}
	if (g->tile_rows > TILE_ROWS_MAX)
		g->tile_rows = TILE_ROWS_MAX;
	/* Where b is packed each time, that should serve all rows. */
	if (!g->shared && g->m <= TILE_ROWS_MAX)
		g->tile_rows = g->m;
	if (!g->shared && pg->trans_a && g->tile_rows * g->k > TURN_FLOATS)
		g->tile_rows = TURN_FLOATS / g->k > g->simd->mr ? TURN_FLOATS / g->k : g->simd->mr;
	g->tile_n = cols;
	g->n_tiles = (g->n + cols - 1) / cols;
	co->scratch = (size_t)g->tile_rows * 3 * sizeof(void *) + 64;
	if (g->shared) {
		g->packed = cpu_alloc(cpu_packed_floats(g->simd, g->k, g->n) * sizeof(float));
		if (!g->packed) {
			free(g);
			return -ENOMEM;
		}
		cpu_pack(g->simd, g->packed, w, g->k, g->n, pg->trans_b ? 1 : g->n,
			 pg->trans_b ? g->k : 1);
	} else {
		co->scratch += (size_t)g->k * g->simd->nr * sizeof(float) + 64;
		if (pg->trans_a)
			co->scratch += (size_t)g->tile_rows * g->k * sizeof(float) + 64;
	}
	co->priv = g;
	return 0;
}

static void gemm_release(struct cpu_op *co)
{
	struct gemm *g = co->priv;

	free(g->packed);
	free(g);
}

/* May the rows of several requests be in one tile? */
static bool joined(const struct gemm *g)
{
	return g->shared && !g->per_request;
}

static uint32_t gemm_tiles(const struct cpu_op *co, uint32_t degree)
{
	const struct gemm *g = co->priv;
	int64_t rows = g->rows * (joined(g) ? degree : 1);
	int64_t tiles = (rows + g->tile_rows - 1) / g->tile_rows * g->n_tiles;

	if (!joined(g))
		tiles *= degree;
	if (!g->shared)
		tiles *= g->batch;
	return (uint32_t)tiles;
}

/* The rows of a bias that is not one row for all of y. */
static void bias_rows(const struct gemm *g, const float *bias, int64_t row, int64_t n0,
		      int64_t cols, const float **at, float *room)
{
	int64_t sn = g->bias.step[g->rank - 1];

	bias += row * g->bias.step[g->rank - 2] + n0 * sn;
	*at = bias;
	if (sn == 1)
		return;
	for (int64_t j = 0; j < cols; j++)
		room[j] = *bias;
	*at = room;
}

static const float *turn(const struct gemm *g, float *to, const float *a, int64_t r0, int64_t r1,
			 int64_t lda)
{
	for (int64_t k = 0; k < g->k; k++)
		for (int64_t i = r0; i < r1; i++)
			to[(i - r0) * g->k + k] = a[k * lda + i];
	return to;
}

static float *align64(void *p)
{
	return (float *)(((uintptr_t)p + 63) & ~(uintptr_t)63);
}

static void gemm_run(const struct cpu_run *run, const struct cpu_op *co, uint32_t tile,
		     uint32_t n_tiles)
{
	const struct gemm *g = co->priv;
	const struct prog_gemm *pg = &co->op->params.gemm;
	const struct cpu_simd *s = g->simd;
	const bool has_res = co->op->epi.residual != PROG_NONE;
	int64_t rows = g->rows * (joined(g) ? run->degree : 1);
	int64_t row_tiles = (rows + g->tile_rows - 1) / g->tile_rows;
	int64_t n0 = tile % g->n_tiles * g->tile_n;
	int64_t n1 = n0 + g->tile_n < g->n ? n0 + g->tile_n : g->n;
	int64_t rt = tile / g->n_tiles % row_tiles, rest = tile / g->n_tiles / row_tiles;
	int64_t p0 = cpu_cut(rows, row_tiles, rt), p1 = cpu_cut(rows, row_tiles, rt + 1);
	int64_t batch = g->shared ? 0 : rest % g->batch, r = g->shared ? rest : rest / g->batch;
	int64_t blocks = (p1 - p0 + s->mr - 1) / s->mr;
	const float **a = run->scratch, **res = a + g->tile_rows, *b = NULL, *bias = NULL;
	float **y = (float **)(res + g->tile_rows);
	float *fresh = align64(y + g->tile_rows);
	const float *turned = NULL;
	struct cpu_gemm_args args = {
		.kp = 1, .kc = g->k, .epi = &g->epi, .alpha = pg->alpha,
	};
	bool keep;

	if (!g->shared && pg->trans_a) {
		const float *from = (const float *)cpu_in(run, co, 0, r) +
				    matrix_at(g, &g->a, batch);

		turned = turn(g, align64(fresh + g->k * s->nr), from, p0, p1, g->m);
	}
	for (int64_t i = p0; i < p1; i++) {
		int64_t q = joined(g) ? i / g->rows : r, row = joined(g) ? i % g->rows : i;
		int64_t at = (batch * g->m + row) * g->n;

		if (turned)
			a[i - p0] = turned + (i - p0) * g->k;
		else if (g->shared)
			a[i - p0] = (const float *)cpu_in(run, co, 0, q) + row * g->k;
		else
			a[i - p0] = (const float *)cpu_in(run, co, 0, q) +
				    matrix_at(g, &g->a, batch) + row * g->k;
		y[i - p0] = (float *)cpu_out(run, co, 0, q) + at;
		if (has_res)
			res[i - p0] = (const float *)cpu_ptr(run, co->op->epi.residual, q) + at;
	}
	if (g->has_bias)
		bias = (const float *)cpu_in(run, co, 2, r) + matrix_at(g, &g->bias, batch);
	if (!g->shared)
		b = (const float *)cpu_in(run, co, 1, r) + matrix_at(g, &g->b, batch);
	keep = g->shared && (size_t)(g->k * (n1 - n0)) * sizeof(float) <= KEEP_BYTES;
	for (int64_t b0 = 0; b0 < (keep ? blocks : 1); b0++) {
		for (int64_t n = n0; n < n1; n += s->nr) {
			int64_t cols = n1 - n < s->nr ? n1 - n : s->nr;
			float edge[CPU_NR_MAX] = { 0 }, room[CPU_MR_MAX][CPU_NR_MAX];
			const float *add[CPU_MR_MAX];

			args.n = (uint32_t)cols;
			args.c_off = n;
			args.bias = NULL;
			if (bias && g->bias_cols) {
				int64_t sn = g->bias.step[g->rank - 1];

				for (int64_t j = 0; j < cols; j++)
					edge[j] = bias[(n + j) * sn];
				args.bias = edge;
			}
			args.w = g->shared ? g->packed + n * g->k : fresh;
			if (!g->shared)
				cpu_pack(s, fresh, b + n * (pg->trans_b ? g->k : 1), g->k, cols,
					 pg->trans_b ? 1 : g->n, pg->trans_b ? g->k : 1);
			for (int64_t k = b0; k < (keep ? b0 + 1 : blocks); k++) {
				int64_t r0 = cpu_cut(p1 - p0, blocks, k);

				args.m = (uint32_t)(cpu_cut(p1 - p0, blocks, k + 1) - r0);
				args.a = a + r0;
				args.c = y + r0;
				args.res = has_res ? res + r0 : NULL;
				args.add = NULL;
				if (bias && !g->bias_cols) {
					for (uint32_t i = 0; i < args.m; i++)
						bias_rows(g, bias, p0 + r0 + i, n, cols,
							  &add[i], room[i]);
					args.add = add;
				}
				s->gemm(&args);
			}
		}
	}
}

const struct cpu_kernel cpu_k_gemm = {
	.check = igemm_check,
	.prepare = gemm_prepare,
	.release = gemm_release,
	.tiles = gemm_tiles,
	.run = gemm_run,
};
