// SPDX-License-Identifier: MIT
/*
 * QUANTIZE: y = saturate(round(x / scale) + zero point), ties to even, to 8 and
 * 16 bits. DEQUANTIZE: y = (x - zero point) * scale. One scale for all, or one
 * a channel of params.axis.
 *
 * No state.
 */
#include <math.h>

#include "agent/cpu/convert.h"
#include "agent/cpu/kernel.h"
#include "agent/cpu/walk.h"

#define CHUNK	256

static bool is_quantized(enum braid_type t)
{
	return t == BRAID_TYPE_U8 || t == BRAID_TYPE_I8 || t == BRAID_TYPE_U16 ||
	       t == BRAID_TYPE_I16;
}

static int check(const struct program *p, const struct prog_op *op, char *why, size_t len,
		 bool to)
{
	enum braid_type x = p->tensors[op->in[0]].type, y = p->tensors[op->out[0]].type;

	if (p->tensors[op->in[1]].type != BRAID_TYPE_F32)
		return cpu_refuse(op, why, len, "the scale is %s",
				  prog_type_name(p->tensors[op->in[1]].type));
	if (to ? (x == BRAID_TYPE_F32 || x == BRAID_TYPE_I32) && is_quantized(y) :
		 (is_quantized(x) || x == BRAID_TYPE_I32) && y == BRAID_TYPE_F32)
		return 0;
	return cpu_refuse(op, why, len, "no such conversion from %s to %s",
			  prog_type_name(x), prog_type_name(y));
}

static int quantize_check(const struct program *p, const struct prog_op *op,
			  char *why, size_t len)
{
	return check(p, op, why, len, true);
}

static int dequantize_check(const struct program *p, const struct prog_op *op,
			    char *why, size_t len)
{
	return check(p, op, why, len, false);
}

/* Elements in a row that have one scale, and the number of scales. */
static void channels(const struct cpu_op *co, int64_t *inner, int64_t *n)
{
	const struct prog_tensor *x = cpu_in_tensor(co, 0);

	*n = cpu_in_tensor(co, 1)->elems;
	*inner = *n == 1 ? x->elems : 1;
	for (uint32_t i = (uint32_t)co->op->params.axis + 1; *n > 1 && i < x->rank; i++)
		*inner *= x->dims[i];
}

static float zero_of(const struct cpu_run *run, const struct cpu_op *co, uint32_t r, int64_t k)
{
	const struct prog_tensor *t;
	float z;

	if (!cpu_has_in(co->op, 2))
		return 0;
	t = cpu_in_tensor(co, 2);
	cpu_convert(BRAID_TYPE_F32, &z, t->type, (const uint8_t *)cpu_in(run, co, 2, r) +
		    k * (int64_t)prog_type_size(t->type), 1);
	return z;
}

static void ends_of(enum braid_type t, float *lo, float *hi)
{
	*lo = t == BRAID_TYPE_I8 ? INT8_MIN : t == BRAID_TYPE_I16 ? INT16_MIN : 0;
	*hi = t == BRAID_TYPE_I8 ? INT8_MAX : t == BRAID_TYPE_I16 ? INT16_MAX :
	      t == BRAID_TYPE_U8 ? UINT8_MAX : UINT16_MAX;
}

/* @n elements from @at on of one scale, at most CHUNK. */
static void quantize_some(const struct prog_tensor *tx, const struct prog_tensor *ty,
			  const uint8_t *x, uint8_t *y, int64_t at, size_t n,
			  float scale, float zero)
{
	float v[CHUNK], lo, hi;

	ends_of(ty->type, &lo, &hi);
	cpu_convert(BRAID_TYPE_F32, v, tx->type, x + at * (int64_t)prog_type_size(tx->type), n);
	for (size_t i = 0; i < n; i++) {
		float q = rintf(v[i] / scale) + zero;

		q = q > lo ? q : lo;
		v[i] = q < hi ? q : hi;
	}
	cpu_convert(ty->type, y + at * (int64_t)prog_type_size(ty->type), BRAID_TYPE_F32, v, n);
}

/* The difference of int32 numbers is not always a float: in double. */
static void dequantize_some(const struct prog_tensor *tx, const uint8_t *x, float *y,
			    int64_t at, size_t n, float scale, float zero)
{
	double v[CHUNK];

	cpu_convert(BRAID_TYPE_F64, v, tx->type, x + at * (int64_t)prog_type_size(tx->type), n);
	for (size_t i = 0; i < n; i++)
		y[at + (int64_t)i] = (float)((v[i] - zero) * scale);
}

static uint32_t tiles(const struct cpu_op *co, uint32_t degree)
{
	return cpu_pieces(degree, cpu_out_tensor(co, 0)->elems, WALK_GRAIN);
}

static void run_piece(const struct cpu_run *run, const struct cpu_op *co,
		      uint32_t tile, uint32_t n_tiles)
{
	const struct prog_tensor *tx = cpu_in_tensor(co, 0), *ty = cpu_out_tensor(co, 0);
	struct cpu_piece c = cpu_piece(run->degree, ty->elems, WALK_GRAIN, tile);
	int64_t inner, many, n;

	channels(co, &inner, &many);
	for (uint32_t r = c.r; r < c.r_end; r++) {
		const float *scale = cpu_in(run, co, 1, r);

		for (int64_t at = c.begin; at < c.end; at += n) {
			int64_t k = at / inner % many;

			n = inner - at % inner;
			n = n < c.end - at ? n : c.end - at;
			n = n < CHUNK ? n : CHUNK;
			if (co->op->kind == PROG_QUANTIZE)
				quantize_some(tx, ty, cpu_in(run, co, 0, r), cpu_out(run, co, 0, r),
					      at, (size_t)n, scale[k], zero_of(run, co, r, k));
			else
				dequantize_some(tx, cpu_in(run, co, 0, r), cpu_out(run, co, 0, r),
						at, (size_t)n, scale[k], zero_of(run, co, r, k));
		}
	}
}

const struct cpu_kernel cpu_k_quantize = {
	.check = quantize_check,
	.tiles = tiles,
	.run = run_piece,
};

const struct cpu_kernel cpu_k_dequantize = {
	.check = dequantize_check,
	.tiles = tiles,
	.run = run_piece,
};
