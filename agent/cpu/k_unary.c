// SPDX-License-Identifier: MIT
/*
 * UNARY: element functions. All on fp32 (vmath.h); those that make sense on
 * integers and bool also on these; ISNAN and ISINF on every float type.
 *
 * No state.
 */
#include "agent/cpu/convert.h"
#include "agent/cpu/clones.h"
#include "agent/cpu/kernel.h"
#include "agent/cpu/vmath.h"
#include "agent/cpu/walk.h"

#define POLY_GRAIN	(WALK_GRAIN / 2)

static bool supported(enum prog_fn fn, enum braid_type t)
{
	switch (fn) {
	case PROG_FN_NOT:
		return t == BRAID_TYPE_BOOL;
	case PROG_FN_BITWISE_NOT:
		return prog_type_is_int(t);
	case PROG_FN_ISNAN:
	case PROG_FN_ISINF:
		return prog_type_is_float(t);
	case PROG_FN_ABS:
	case PROG_FN_SIGN:
	case PROG_FN_RELU:
		return t == BRAID_TYPE_F32 || t == BRAID_TYPE_F64 || prog_type_is_int(t);
	case PROG_FN_NEG:
		return t == BRAID_TYPE_F32 || t == BRAID_TYPE_F64 || prog_type_is_signed(t);
	default:
		return t == BRAID_TYPE_F32 || t == BRAID_TYPE_F64;
	}
}

static int unary_check(const struct program *p, const struct prog_op *op, char *why, size_t len)
{
	enum braid_type t = p->tensors[op->in[0]].type;

	if (op->params.unary.fn < PROG_FNS && supported(op->params.unary.fn, t))
		return 0;
	return cpu_refuse(op, why, len, "element function %d does not take %s",
			  op->params.unary.fn, prog_type_name(t));
}

#define EACH(type, expr)						\
	do {								\
		const type *x = in;					\
		type *y = out;						\
									\
		CLONES_LOOP						\
		for (size_t i = 0; i < n; i++)				\
			y[i] = (type)(expr);				\
	} while (0)

/* @wide: an unsigned type in which negating wraps around. */
#define SIGNED(type, wide)						\
	do {								\
		switch (fn) {						\
		case PROG_FN_ABS:					\
			EACH(type, x[i] < 0 ? (wide)0 - (wide)x[i] : (wide)x[i]);	\
			break;						\
		case PROG_FN_NEG:					\
			EACH(type, (wide)0 - (wide)x[i]);		\
			break;						\
		case PROG_FN_SIGN:					\
			EACH(type, (x[i] > 0) - (x[i] < 0));		\
			break;						\
		case PROG_FN_RELU:					\
			EACH(type, x[i] > 0 ? x[i] : 0);		\
			break;						\
		default:						\
			EACH(type, ~x[i]);				\
		}							\
	} while (0)

#define UNSIGNED(type)							\
	do {								\
		switch (fn) {						\
		case PROG_FN_SIGN:					\
			EACH(type, x[i] != 0);				\
			break;						\
		case PROG_FN_BITWISE_NOT:				\
			EACH(type, ~x[i]);				\
			break;						\
		default:						\
			EACH(type, x[i]);				\
		}							\
	} while (0)

static void integers(enum prog_fn fn, enum braid_type t, void *out, const void *in, size_t n)
{
	switch (t) {
	case BRAID_TYPE_BOOL:
		EACH(uint8_t, !x[i]);
		break;
	case BRAID_TYPE_I8:
		SIGNED(int8_t, uint32_t);
		break;
	case BRAID_TYPE_I16:
		SIGNED(int16_t, uint32_t);
		break;
	case BRAID_TYPE_I32:
		SIGNED(int32_t, uint32_t);
		break;
	case BRAID_TYPE_I64:
		SIGNED(int64_t, uint64_t);
		break;
	case BRAID_TYPE_U8:
		UNSIGNED(uint8_t);
		break;
	case BRAID_TYPE_U16:
		UNSIGNED(uint16_t);
		break;
	case BRAID_TYPE_U32:
		UNSIGNED(uint32_t);
		break;
	default:
		UNSIGNED(uint64_t);
		break;
	}
}

/* Is it NaN, or an infinity of a wanted sign? @abs_inf: the bits of infinity. */
#define CLASSIFY(type, abs_inf)						\
	do {								\
		const type *x = in;					\
		const type mask = (type)~((type)1 << (8 * sizeof(type) - 1));	\
									\
		for (size_t i = 0; i < n; i++) {			\
			type v = x[i], a = v & mask;			\
									\
			out[i] = nan ? a > (abs_inf) :			\
				 a == (abs_inf) && (v == a ? pos : neg);	\
		}							\
	} while (0)

static void classify(bool nan, bool neg, bool pos, enum braid_type t, uint8_t *out,
		     const void *in, size_t n)
{
	switch (t) {
	case BRAID_TYPE_F16:
		CLASSIFY(uint16_t, 0x7c00);
		break;
	case BRAID_TYPE_BF16:
		CLASSIFY(uint16_t, 0x7f80);
		break;
	case BRAID_TYPE_F32:
		CLASSIFY(uint32_t, 0x7f800000);
		break;
	default:
		CLASSIFY(uint64_t, 0x7ff0000000000000);
		break;
	}
}

static double of_double(enum prog_fn fn, double alpha, double beta, double v)
{
	double t;

	switch (fn) {
	case PROG_FN_NONE:
		return v;
	case PROG_FN_RELU:
		return v < 0 ? 0 : v;
	case PROG_FN_CLIP:
		v = v < alpha ? alpha : v;
		return v > beta ? beta : v;
	case PROG_FN_LEAKY_RELU:
		return v < 0 ? alpha * v : v;
	case PROG_FN_SIGMOID:
		return 1 / (1 + exp(-v));
	case PROG_FN_TANH:
		return tanh(v);
	case PROG_FN_HARD_SIGMOID:
		t = alpha * v + beta;
		t = t < 0 ? 0 : t;
		return t > 1 ? 1 : t;
	case PROG_FN_HARD_SWISH:
		t = v / 6 + 0.5;
		t = t < 0 ? 0 : t;
		return v * (t > 1 ? 1 : t);
	case PROG_FN_GELU:
		return 0.5 * v * (1 + erf(v * M_SQRT1_2));
	case PROG_FN_GELU_TANH:
		return 0.5 * v * (1 + tanh(sqrt(2 / M_PI) * (v + 0.044715 * v * v * v)));
	case PROG_FN_SILU:
		return v / (1 + exp(-v));
	case PROG_FN_ELU:
		return v < 0 ? alpha * expm1(v) : v;
	case PROG_FN_SELU:
		return v > 0 ? beta * v : beta * alpha * expm1(v);
	case PROG_FN_CELU:
		return v < 0 ? alpha * expm1(v / alpha) : v;
	case PROG_FN_THRESHOLDED_RELU:
		return v > alpha || v != v ? v : 0;
	case PROG_FN_SOFTPLUS:
		return (v > 0 ? v : 0) + log1p(exp(-fabs(v)));
	case PROG_FN_SOFTSIGN:
		return v / (1 + fabs(v));
	case PROG_FN_MISH:
		return v * tanh((v > 0 ? v : 0) + log1p(exp(-fabs(v))));
	case PROG_FN_SHRINK:
		if (v < -alpha)
			return v + beta;
		return v > alpha ? v - beta : (v != v ? v : 0);
	case PROG_FN_ABS:
		return fabs(v);
	case PROG_FN_NEG:
		return -v;
	case PROG_FN_SIGN:
		return v > 0 ? 1 : (v < 0 ? -1 : v);
	case PROG_FN_RECIPROCAL:
		return 1 / v;
	case PROG_FN_SQRT:
		return sqrt(v);
	case PROG_FN_EXP:
		return exp(v);
	case PROG_FN_LOG:
		return log(v);
	case PROG_FN_ERF:
		return erf(v);
	case PROG_FN_FLOOR:
		return floor(v);
	case PROG_FN_CEIL:
		return ceil(v);
	case PROG_FN_ROUND:
		return rint(v);
	case PROG_FN_SIN:
		return sin(v);
	case PROG_FN_COS:
		return cos(v);
	case PROG_FN_TAN:
		return tan(v);
	case PROG_FN_ASIN:
		return asin(v);
	case PROG_FN_ACOS:
		return acos(v);
	case PROG_FN_ATAN:
		return atan(v);
	case PROG_FN_SINH:
		return sinh(v);
	case PROG_FN_COSH:
		return cosh(v);
	case PROG_FN_ASINH:
		return asinh(v);
	case PROG_FN_ACOSH:
		return acosh(v);
	default:
		return atanh(v);
	}
}

static void apply(const struct cpu_op *co, uint8_t *out, const uint8_t *in, int64_t begin, size_t n)
{
	enum braid_type t = cpu_in_tensor(co, 0)->type;
	enum prog_fn fn = co->op->params.unary.fn;
	float alpha = co->op->params.unary.alpha, beta = co->op->params.unary.beta;

	in += begin * (int64_t)prog_type_size(t);
	out += begin * (int64_t)prog_type_size(cpu_out_tensor(co, 0)->type);
	if (fn == PROG_FN_ISNAN || fn == PROG_FN_ISINF) {
		classify(fn == PROG_FN_ISNAN, alpha != 0, beta != 0, t, out, in, n);
	} else if (t == BRAID_TYPE_F32) {
		vm_fn(fn, alpha, beta, (float *)out, (const float *)in, n);
	} else if (t == BRAID_TYPE_F64) {
		for (size_t i = 0; i < n; i++)
			((double *)out)[i] = of_double(fn, alpha, beta, ((const double *)in)[i]);
	} else {
		integers(fn, t, out, in, n);
	}
}

static uint32_t unary_tiles(const struct cpu_op *co, uint32_t degree)
{
	return cpu_pieces(degree, cpu_out_tensor(co, 0)->elems, POLY_GRAIN);
}

static void unary_run(const struct cpu_run *run, const struct cpu_op *co,
		      uint32_t tile, uint32_t n_tiles)
{
	struct cpu_piece c = cpu_piece(run->degree, cpu_out_tensor(co, 0)->elems, POLY_GRAIN, tile);

	for (uint32_t r = c.r; r < c.r_end; r++)
		apply(co, cpu_out(run, co, 0, r), cpu_in(run, co, 0, r), c.begin,
		      (size_t)(c.end - c.begin));
}

const struct cpu_kernel cpu_k_unary = {
	.check = unary_check,
	.tiles = unary_tiles,
	.run = unary_run,
};
