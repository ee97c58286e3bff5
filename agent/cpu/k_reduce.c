// SPDX-License-Identifier: MIT
/*
 * REDUCE over any set of axes.
 *
 * Axes that are neighbours and both kept or both reduced are joined. What is
 * left is walked; the last axis, reduced or kept, is the inner loop. Floats
 * are added up in float within a row of the last axis, or across few rows, and in
 * double beyond.
 *
 * A tile is some output elements. Immutable once prepared.
 */
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cpu/clones.h"
#include "agent/cpu/kernel.h"
#include "agent/cpu/simd.h"

#define TILE_ELEMS	32768	/* read by a tile */
#define BLOCK		1024	/* outputs of a kept inner axis at a time */
#define PART_ROWS	64	/* added up in float before they go to double */

/**
 * struct reduce - a plan
 * @rank: of the joined axes
 * @dims: their extents
 * @step: elements from one to the next
 * @kept: is it an axis of the output?
 * @outs: output elements
 * @n: elements behind each
 * @inner: extent of the last axis
 * @inner_kept: it is kept: neighbours in the output are neighbours in x
 * @grain: outputs of a tile
 */
struct reduce {
	uint32_t rank;
	int64_t dims[PROG_MAX_RANK], step[PROG_MAX_RANK];
	bool kept[PROG_MAX_RANK];
	int64_t outs, n, inner, grain;
	bool inner_kept;
};

static int check(const struct program *p, const struct prog_op *op, char *why, size_t len)
{
	switch (p->tensors[op->in[0]].type) {
	case BRAID_TYPE_F32:
	case BRAID_TYPE_F64:
	case BRAID_TYPE_I32:
	case BRAID_TYPE_I64:
	case BRAID_TYPE_U32:
	case BRAID_TYPE_U64:
	case BRAID_TYPE_I8:
	case BRAID_TYPE_U8:
	case BRAID_TYPE_BOOL:
		return 0;
	default:
		return cpu_refuse(op, why, len, "its input is %s",
				  prog_type_name((int)p->tensors[op->in[0]].type));
	}
}

static int prepare(struct cpu_op *co)
{
	const struct prog_tensor *x = cpu_in_tensor(co, 0);
	uint32_t axes = co->op->params.reduce.axes;
	struct reduce *rd = calloc(1, sizeof(*rd));
	int64_t step = 1;

	if (!rd)
		return -ENOMEM;
	rd->outs = rd->n = 1;
	for (uint32_t i = 0; i < x->rank; i++) {
		bool kept = !(axes >> i & 1);

		if (x->dims[i] == 1)
			continue;
		if (kept)
			rd->outs *= x->dims[i];
		else
			rd->n *= x->dims[i];
		if (rd->rank && rd->kept[rd->rank - 1] == kept) {
			rd->dims[rd->rank - 1] *= x->dims[i];
			continue;
		}
		rd->dims[rd->rank] = x->dims[i];
		rd->kept[rd->rank++] = kept;
	}
	if (!rd->rank) {
		rd->dims[0] = 1;
		rd->kept[0] = true;
		rd->rank = 1;
	}
	for (uint32_t i = rd->rank; i-- > 0;) {
		rd->step[i] = step;
		step *= rd->dims[i];
	}
	rd->inner = rd->dims[rd->rank - 1];
	rd->inner_kept = rd->kept[rd->rank - 1];
	rd->grain = rd->n < TILE_ELEMS ? TILE_ELEMS / rd->n : 1;
	/* Neighbours of a kept inner axis share the lines that they read. */
	if (rd->inner_kept && rd->grain < 64)
		rd->grain = 64;
	co->priv = rd;
	return 0;
}

static void release(struct cpu_op *co)
{
	free(co->priv);
}

static uint32_t tiles(const struct cpu_op *co, uint32_t degree)
{
	const struct reduce *rd = co->priv;

	return cpu_pieces(degree, rd->outs, rd->grain);
}

/* Offset of item @i of the kept (or the reduced) axes, leaving the last @skip out. */
static int64_t offset(const struct reduce *rd, int64_t i, bool kept, uint32_t skip)
{
	int64_t at = 0;

	for (uint32_t a = rd->rank > skip ? rd->rank - skip : 0; a-- > 0;) {
		if (rd->kept[a] != kept)
			continue;
		at += i % rd->dims[a] * rd->step[a];
		i /= rd->dims[a];
	}
	return at;
}

static double first(enum prog_reduce fn)
{
	switch (fn) {
	case PROG_RED_MAX:
	case PROG_RED_LOG_SUM_EXP:
		return -INFINITY;
	case PROG_RED_MIN:
		return INFINITY;
	case PROG_RED_PROD:
		return 1;
	default:
		return 0;
	}
}

static inline double step_of(enum prog_reduce fn, double acc, double v)
{
	switch (fn) {
	case PROG_RED_MAX:
		return v > acc || v != v ? v : acc;
	case PROG_RED_MIN:
		return v < acc || v != v ? v : acc;
	case PROG_RED_PROD:
		return acc * v;
	case PROG_RED_L1:
		return acc + fabs(v);
	case PROG_RED_L2:
	case PROG_RED_SUM_SQUARE:
		return acc + v * v;
	default:
		return acc + v;
	}
}

static double last(enum prog_reduce fn, double acc, double n)
{
	switch (fn) {
	case PROG_RED_MEAN:
		return acc / n;
	case PROG_RED_L2:
		return sqrt(acc);
	case PROG_RED_LOG_SUM:
		return log(acc);
	default:
		return acc;
	}
}

static double load(const void *x, enum braid_type type, int64_t i)
{
	switch (type) {
	case BRAID_TYPE_F64:
		return ((const double *)x)[i];
	default:
		return ((const float *)x)[i];
	}
}

/* log(sum(exp)): twice over the elements, the largest first. */
static double log_sum_exp(const struct reduce *rd, const void *x, enum braid_type type,
			  int64_t base)
{
	double most = -INFINITY, sum = 0;

	for (int64_t k = 0; k < rd->n; k++)
		most = step_of(PROG_RED_MAX, most, load(x, type, base + offset(rd, k, false, 0)));
	if (isinf(most))
		return most;
	for (int64_t k = 0; k < rd->n; k++)
		sum += exp(load(x, type, base + offset(rd, k, false, 0)) - most);
	return log(sum) + most;
}

static void store(void *y, enum braid_type type, int64_t i, double v)
{
	if (type == BRAID_TYPE_F64)
		((double *)y)[i] = v;
	else
		((float *)y)[i] = (float)v;
}

static void any_float(const struct reduce *rd, enum prog_reduce fn, enum braid_type type,
		      const void *x, void *y, int64_t o0, int64_t o1)
{
	for (int64_t o = o0; o < o1; o++) {
		int64_t base = offset(rd, o, true, 0);
		double acc = first(fn);

		if (fn == PROG_RED_LOG_SUM_EXP) {
			store(y, type, o, log_sum_exp(rd, x, type, base));
			continue;
		}
		for (int64_t k = 0; k < rd->n; k++)
			acc = step_of(fn, acc, load(x, type, base + offset(rd, k, false, 0)));
		store(y, type, o, last(fn, acc, (double)rd->n));
	}
}

/* Add one row of floats to one accumulator. */
static double fold_row(enum prog_reduce fn, double acc, const float *x, int64_t n)
{
	const struct cpu_simd *s = cpu_simd();

	switch (fn) {
	case PROG_RED_SUM:
	case PROG_RED_MEAN:
	case PROG_RED_LOG_SUM:
		return acc + s->sum(x, n);
	case PROG_RED_L2:
	case PROG_RED_SUM_SQUARE:
		return acc + s->dot(x, x, n);
	case PROG_RED_MAX:
		return step_of(fn, acc, s->max(x, n));
	default:
		for (int64_t i = 0; i < n; i++)
			acc = step_of(fn, acc, x[i]);
		return acc;
	}
}

/* Floats, the last axis reduced: row by row. */
static void rows(const struct reduce *rd, enum prog_reduce fn, const float *x, float *y,
		 int64_t o0, int64_t o1)
{
	int64_t n = rd->n / rd->inner;

	for (int64_t o = o0; o < o1; o++) {
		const float *from = x + offset(rd, o, true, 0);
		double acc = first(fn);

		for (int64_t k = 0; k < n; k++)
			acc = fold_row(fn, acc, from + offset(rd, k, false, 1), rd->inner);
		y[o] = (float)last(fn, acc, (double)rd->n);
	}
}

/* As step_of(), in float, over rows: PART_ROWS at most, so that it stays accurate. */
#define FOLD(step)								\
	for (int64_t r = 0; r < rows; r++) {					\
		const float *p = x + r * stride;				\
										\
		CLONES_LOOP							\
		for (int64_t i = 0; i < n; i++) {				\
			float a = part[i], v = p[i];				\
										\
			part[i] = (step);					\
		}								\
	}									\
	break

static CLONES_BODY void fold_rows_body(enum prog_reduce fn, float *part, const float *x,
				       int64_t rows, int64_t stride, int64_t n)
{
	switch (fn) {
	case PROG_RED_MAX:
		FOLD(v > a || v != v ? v : a);
	case PROG_RED_MIN:
		FOLD(v < a || v != v ? v : a);
	case PROG_RED_PROD:
		FOLD(a * v);
	case PROG_RED_L1:
		FOLD(a + fabsf(v));
	case PROG_RED_L2:
	case PROG_RED_SUM_SQUARE:
		FOLD(a + v * v);
	default:
		FOLD(a + v);
	}
}
CLONES(static, fold_rows, (enum prog_reduce fn, float *part, const float *x, int64_t rows,
			   int64_t stride, int64_t n), (fn, part, x, rows, stride, n))

/* Merge what two sets of elements gave. */
static double merge(enum prog_reduce fn, double a, double b)
{
	return fn == PROG_RED_MAX || fn == PROG_RED_MIN || fn == PROG_RED_PROD ?
	       step_of(fn, a, b) : a + b;
}

/* Floats, the last axis kept: many neighbours at a time. */
static void columns(const struct reduce *rd, enum prog_reduce fn, const float *x, float *y,
		    int64_t o0, int64_t o1)
{
	/* Kept and reduced axes alternate: the one before the last is reduced. */
	int64_t rows = rd->rank > 1 ? rd->dims[rd->rank - 2] : 1;
	int64_t stride = rd->rank > 1 ? rd->step[rd->rank - 2] : 0;
	double acc[BLOCK];
	float part[BLOCK];

	for (int64_t o = o0; o < o1;) {
		int64_t n = rd->inner - o % rd->inner;
		const float *from = x + offset(rd, o, true, 0);

		if (n > o1 - o)
			n = o1 - o;
		if (n > BLOCK)
			n = BLOCK;
		for (int64_t i = 0; i < n; i++)
			acc[i] = first(fn);
		for (int64_t k = 0; k < rd->n / rows; k++) {
			const float *at = from + offset(rd, k, false, 2);

			for (int64_t r = 0; r < rows; r += PART_ROWS) {
				for (int64_t i = 0; i < n; i++)
					part[i] = (float)first(fn);
				fold_rows(fn, part, at + r * stride,
					  rows - r < PART_ROWS ? rows - r : PART_ROWS, stride, n);
				for (int64_t i = 0; i < n; i++)
					acc[i] = merge(fn, acc[i], part[i]);
			}
		}
		for (int64_t i = 0; i < n; i++)
			y[o + i] = (float)last(fn, acc[i], (double)rd->n);
		o += n;
	}
}

static int64_t load_int(const void *x, enum braid_type type, int64_t i)
{
	switch (type) {
	case BRAID_TYPE_I32:
		return ((const int32_t *)x)[i];
	case BRAID_TYPE_U32:
		return ((const uint32_t *)x)[i];
	case BRAID_TYPE_I8:
		return ((const int8_t *)x)[i];
	case BRAID_TYPE_U8:
	case BRAID_TYPE_BOOL:
		return ((const uint8_t *)x)[i];
	default:
		return ((const int64_t *)x)[i];
	}
}

static void store_int(void *y, enum braid_type type, int64_t i, int64_t v)
{
	switch (type) {
	case BRAID_TYPE_I32:
	case BRAID_TYPE_U32:
		((uint32_t *)y)[i] = (uint32_t)v;
		break;
	case BRAID_TYPE_I8:
	case BRAID_TYPE_U8:
	case BRAID_TYPE_BOOL:
		((uint8_t *)y)[i] = (uint8_t)v;
		break;
	default:
		((int64_t *)y)[i] = v;
	}
}

/* The order of unsigned 64-bit numbers as one of signed ones. */
static int64_t ordered(int64_t v, enum braid_type type)
{
	return type == BRAID_TYPE_U64 ? (int64_t)((uint64_t)v ^ (1ull << 63)) : v;
}

/* Integers wrap; a mean is cut off towards zero. */
static int64_t one_int(const struct reduce *rd, enum prog_reduce fn, enum braid_type type,
		       const void *x, int64_t base)
{
	int64_t most = load_int(x, type, base);
	uint64_t acc = fn == PROG_RED_PROD;
	double exps = 0;

	for (int64_t k = 0; k < rd->n; k++) {
		int64_t v = load_int(x, type, base + offset(rd, k, false, 0));
		uint64_t u = (uint64_t)v;

		switch (fn) {
		case PROG_RED_MAX:
			most = ordered(v, type) > ordered(most, type) ? v : most;
			break;
		case PROG_RED_MIN:
			most = ordered(v, type) < ordered(most, type) ? v : most;
			break;
		case PROG_RED_PROD:
			acc *= u;
			break;
		case PROG_RED_L2:
		case PROG_RED_SUM_SQUARE:
			acc += u * u;
			break;
		case PROG_RED_L1:
			acc += v < 0 && type != BRAID_TYPE_U64 ? -u : u;
			break;
		case PROG_RED_LOG_SUM_EXP:
			exps += exp((double)v);
			break;
		default:
			acc += u;
		}
	}
	switch (fn) {
	case PROG_RED_MAX:
	case PROG_RED_MIN:
		return most;
	case PROG_RED_MEAN:
		if (type == BRAID_TYPE_U64)
			return (int64_t)(acc / (uint64_t)rd->n);
		return (int64_t)acc / rd->n;
	case PROG_RED_L2:
		return (int64_t)sqrt((double)acc);
	case PROG_RED_LOG_SUM:
		return acc ? (int64_t)log((double)acc) : 0;
	case PROG_RED_LOG_SUM_EXP:
		return exps < 9e18 ? (int64_t)log(exps) : 0;
	default:
		return (int64_t)acc;
	}
}

static void run_reduce(const struct cpu_run *run, const struct cpu_op *co, uint32_t tile,
		       uint32_t n_tiles)
{
	const struct reduce *rd = co->priv;
	enum braid_type type = cpu_in_tensor(co, 0)->type;
	enum prog_reduce fn = co->op->params.reduce.fn;
	struct cpu_piece pc = cpu_piece(run->degree, rd->outs, rd->grain, tile);

	for (uint32_t r = pc.r; r < pc.r_end; r++) {
		const void *x = cpu_in(run, co, 0, r);
		void *y = cpu_out(run, co, 0, r);

		if (type == BRAID_TYPE_F64 || (type == BRAID_TYPE_F32 && fn == PROG_RED_LOG_SUM_EXP)) {
			any_float(rd, fn, type, x, y, pc.begin, pc.end);
		} else if (type == BRAID_TYPE_F32 && rd->inner_kept) {
			columns(rd, fn, x, y, pc.begin, pc.end);
		} else if (type == BRAID_TYPE_F32) {
			rows(rd, fn, x, y, pc.begin, pc.end);
		} else {
			for (int64_t o = pc.begin; o < pc.end; o++)
				store_int(y, type, o, one_int(rd, fn, type, x,
							      offset(rd, o, true, 0)));
		}
	}
}

const struct cpu_kernel cpu_k_reduce = {
	.check = check,
	.prepare = prepare,
	.release = release,
	.tiles = tiles,
	.run = run_reduce,
};
