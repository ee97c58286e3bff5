// SPDX-License-Identifier: MIT
/*
 * UNARY, BINARY, WHERE, CAST, QUANTIZE, DEQUANTIZE, and copies by strides: all
 * one kind of kernel (kernels/map.cuh) over the joined axes of its operands.
 */
#include "agent/lower/lower.h"

#include <string.h>

/* Extents and strides of up to four operands, outermost first, then joined. */
struct joined {
	uint32_t rank;
	int64_t dims[LOWER_RANK];
	int64_t stride[K_MAP_IN + 1][LOWER_RANK];
};

static void join(struct joined *j)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < j->rank; i++) {
		bool one = n > 0;

		if (j->dims[i] == 1)
			continue;
		for (uint32_t k = 0; k <= K_MAP_IN && one; k++)
			one = j->stride[k][n - 1] == j->stride[k][i] * j->dims[i];
		if (one) {
			n--;
			j->dims[n] *= j->dims[i];
		} else {
			j->dims[n] = j->dims[i];
		}
		for (uint32_t k = 0; k <= K_MAP_IN; k++)
			j->stride[k][n] = j->stride[k][i];
		n++;
	}
	j->rank = n;
}

/* Extents of @out, operands broadcast to them. */
static void map_space(struct lower *l, struct k_map *a, const struct lower_val *out,
		      const struct lower_val *const *in, uint32_t n_in)
{
	struct joined j = { .rank = out->rank };

	memcpy(j.dims, out->dims, sizeof(j.dims));
	for (uint32_t k = 0; k < n_in; k++)
		if (in[k])
			lower_bcast(in[k], out->rank, out->dims, j.stride[k]);
	memcpy(j.stride[K_MAP_IN], out->stride, sizeof(out->stride));
	join(&j);
	a->rank = j.rank;
	a->n = lower_div(lower_elems(out));
	for (uint32_t i = 0; i < j.rank; i++) {
		a->div[i] = lower_div(j.dims[j.rank - 1 - i]);
		for (uint32_t k = 0; k <= K_MAP_IN; k++)
			a->stride[k][i] = (k_i32)j.stride[k][j.rank - 1 - i];
	}
}

static void map_step(struct lower *l, const char *what, const char *entry, struct k_map *a,
		     const struct lower_val *out, const struct lower_val *const *in)
{
	struct lower_step *s;

	map_space(l, a, out, in, K_MAP_IN);
	a->size = (k_u32)lower_size(out->type);
	s = LOWER_STEP(l, what, entry, 0, *a, lower_tiles(a->n.d));
	for (uint32_t k = 0; k < K_MAP_IN; k++)
		if (in[k])
			lower_ref_read(l, s, offsetof(struct k_map, in) + k * sizeof(struct k_ref),
				       in[k]);
	LOWER_WRITE(l, s, struct k_map, out, out);
}

/* The class that values of a type are worked on in. */
static const char *class_entry(enum braid_type t)
{
	switch (t) {
	case BRAID_TYPE_F64:
	case BRAID_TYPE_BF16:
		return "braid_map_double";
	case BRAID_TYPE_F32:
	case BRAID_TYPE_F16:
		return "braid_map_float";
	case BRAID_TYPE_U64:
		return "braid_map_uint";
	default:
		return "braid_map_int";
	}
}

void lower_move(struct lower *l, const struct lower_val *from, const struct lower_val *to,
		const char *what)
{
	const struct lower_val *in[K_MAP_IN] = { from };
	struct k_map a = { .kind = K_MAP_MOVE };

	map_step(l, what, "braid_move", &a, to, in);
}

void lower_unary(struct lower *l)
{
	const struct prog_op *op = l->op;
	enum braid_type t = lower_t(l, op->in[0])->type;
	enum prog_fn fn = op->params.unary.fn;
	struct lower_val x, y;
	const struct lower_val *in[K_MAP_IN] = { &x };
	struct k_map a = {
		.kind = K_MAP_UNARY, .fn = (k_u32)fn,
		.act = { .alpha = op->params.unary.alpha, .beta = op->params.unary.beta },
	};

	if (!prog_type_is_float(t) && fn != PROG_FN_NONE && fn != PROG_FN_ABS &&
	    fn != PROG_FN_NEG && fn != PROG_FN_SIGN && fn != PROG_FN_RELU &&
	    fn != PROG_FN_NOT && fn != PROG_FN_BITWISE_NOT) {
		lower_refuse(l, "element function %d does not take %s", fn, prog_type_name((int)t));
		return;
	}
	x = lower_read(l, op->in[0]);
	y = lower_write_any(l, op->out[0]);
	map_step(l, "unary", class_entry(t), &a, &y, in);
}

void lower_binary(struct lower *l)
{
	const struct prog_op *op = l->op;
	enum braid_type t = lower_t(l, op->in[0])->type;
	struct lower_val x, z, res, y;
	const struct lower_val *in[K_MAP_IN] = { &x, &z };
	struct k_map a = { .kind = K_MAP_BINARY, .fn = (k_u32)op->params.binary };

	a.act = lower_act(&op->epi);
	x = lower_read(l, op->in[0]);
	z = lower_read(l, op->in[1]);
	if (op->epi.residual != PROG_NONE) {
		res = lower_read(l, op->epi.residual);
		in[2] = &res;
		a.has_res = 1;
	}
	y = lower_write_any(l, op->out[0]);
	map_step(l, "binary", class_entry(t), &a, &y, in);
}

void lower_where(struct lower *l)
{
	const struct prog_op *op = l->op;
	struct lower_val c = lower_read(l, op->in[0]), x = lower_read(l, op->in[1]);
	struct lower_val z = lower_read(l, op->in[2]), y = lower_write(l, op->out[0]);
	const struct lower_val *in[K_MAP_IN] = { &c, &x, &z };
	struct k_map a = { .kind = K_MAP_WHERE };

	map_step(l, "where", "braid_move", &a, &y, in);
}

void lower_cast(struct lower *l)
{
	const struct prog_op *op = l->op;
	enum braid_type t = lower_t(l, op->in[0])->type;
	struct lower_val x = lower_read(l, op->in[0]), y = lower_write(l, op->out[0]);
	const struct lower_val *in[K_MAP_IN] = { &x };
	struct k_map a = { .kind = K_MAP_CAST };

	map_step(l, "cast", lower_t(l, op->out[0])->type == BRAID_TYPE_BF16 &&
		 prog_type_is_float(t) ? "braid_map_double" : class_entry(t), &a, &y, in);
}

void lower_quant(struct lower *l)
{
	const struct prog_op *op = l->op;
	struct lower_val x = lower_read_dense(l, op->in[0]), scale = lower_read_dense(l, op->in[1]);
	struct lower_val zero, y = lower_write(l, op->out[0]);
	struct k_quant a = { .to = op->kind == PROG_QUANTIZE };
	int64_t inner = 1, channels = lower_elems(&scale);
	struct lower_step *s;

	for (uint32_t i = (uint32_t)op->params.axis + 1; channels > 1 && i < x.rank; i++)
		inner *= x.dims[i];
	a.n = lower_div(lower_elems(&x));
	a.inner = lower_div(channels == 1 ? lower_elems(&x) : inner);
	a.channels = lower_div(channels);
	a.has_zero = op->n_in > 2 && op->in[2] != PROG_NONE;
	if (a.has_zero)
		zero = lower_read_dense(l, op->in[2]);
	s = LOWER_STEP(l, a.to ? "quantize" : "dequantize", "braid_quant", 0, a, lower_tiles(a.n.d));
	LOWER_READ(l, s, struct k_quant, x, &x);
	LOWER_READ(l, s, struct k_quant, scale, &scale);
	if (a.has_zero)
		LOWER_READ(l, s, struct k_quant, zero, &zero);
	LOWER_WRITE(l, s, struct k_quant, y, &y);
}
