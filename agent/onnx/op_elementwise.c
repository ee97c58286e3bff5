// SPDX-License-Identifier: MIT
/*
 * Operators that work element by element: functions of one tensor, of two or
 * more with numpy's broadcasting, Where, Cast, Clip.
 *
 * Which element types a function can have is the backend's word, not ours;
 * only what ONNX itself forbids is refused here.
 *
 * No state of its own.
 */
#include <math.h>
#include <string.h>

#include "agent/onnx/op.h"

/* A function of one tensor: its parameters are attributes. */
struct unary {
	const char *name;
	enum prog_fn fn;
	const char *a_name, *b_name;
	float a, b;
};

static const struct unary unaries[] = {
	{ "Relu", PROG_FN_RELU },
	{ "LeakyRelu", PROG_FN_LEAKY_RELU, "alpha", NULL, 0.01f },
	{ "Sigmoid", PROG_FN_SIGMOID },
	{ "Tanh", PROG_FN_TANH },
	{ "HardSigmoid", PROG_FN_HARD_SIGMOID, "alpha", "beta", 0.2f, 0.5f },
	{ "HardSwish", PROG_FN_HARD_SWISH },
	{ "Elu", PROG_FN_ELU, "alpha", NULL, 1.0f },
	{ "Selu", PROG_FN_SELU, "alpha", "gamma", 1.67326319217681884765625f,
	  1.05070102214813232421875f },
	{ "Celu", PROG_FN_CELU, "alpha", NULL, 1.0f },
	{ "ThresholdedRelu", PROG_FN_THRESHOLDED_RELU, "alpha", NULL, 1.0f },
	{ "Softplus", PROG_FN_SOFTPLUS },
	{ "Softsign", PROG_FN_SOFTSIGN },
	{ "Mish", PROG_FN_MISH },
	{ "Shrink", PROG_FN_SHRINK, "lambd", "bias", 0.5f, 0.0f },
	{ "Abs", PROG_FN_ABS },
	{ "Neg", PROG_FN_NEG },
	{ "Sign", PROG_FN_SIGN },
	{ "Reciprocal", PROG_FN_RECIPROCAL },
	{ "Sqrt", PROG_FN_SQRT },
	{ "Exp", PROG_FN_EXP },
	{ "Log", PROG_FN_LOG },
	{ "Erf", PROG_FN_ERF },
	{ "Floor", PROG_FN_FLOOR },
	{ "Ceil", PROG_FN_CEIL },
	{ "Round", PROG_FN_ROUND },
	{ "Sin", PROG_FN_SIN },
	{ "Cos", PROG_FN_COS },
	{ "Tan", PROG_FN_TAN },
	{ "Asin", PROG_FN_ASIN },
	{ "Acos", PROG_FN_ACOS },
	{ "Atan", PROG_FN_ATAN },
	{ "Sinh", PROG_FN_SINH },
	{ "Cosh", PROG_FN_COSH },
	{ "Asinh", PROG_FN_ASINH },
	{ "Acosh", PROG_FN_ACOSH },
	{ "Atanh", PROG_FN_ATANH },
	{ "Not", PROG_FN_NOT },
	{ "BitwiseNot", PROG_FN_BITWISE_NOT },
	{ "IsNaN", PROG_FN_ISNAN },
};

static void emit_unary(struct emit *e)
{
	for (size_t i = 0; i < sizeof(unaries) / sizeof(*unaries); i++) {
		const struct unary *u = &unaries[i];
		float a, b;

		if (strcmp(u->name, e->b->op_type))
			continue;
		a = u->a_name ? emit_attr_float(e, u->a_name, u->a) : 0.0f;
		b = u->b_name ? emit_attr_float(e, u->b_name, u->b) : 0.0f;
		emit_ignore(e, "consumed_inputs");
		emit_out(e, 0, build_unary(e->b, emit_in(e, 0), u->fn, a, b));
		return;
	}
	emit_fail(e, -EOPNOTSUPP, "is not a function of one tensor");
}

/* Relu of integers, which opset 14 brought, is Max with 0. */
static void emit_relu(struct emit *e)
{
	enum braid_type t = emit_x(e, 0)->type;

	if (prog_type_is_int(t))
		emit_out(e, 0, op_bin(e, PROG_BIN_MAX, emit_in(e, 0),
				      build_scalar(e->b, t, 0.0)));
	else
		emit_unary(e);
}

/* Logic works on bool alone. */
static void emit_not(struct emit *e)
{
	if (emit_need_type(e, 0, EMIT_BOOL))
		emit_unary(e);
}

static void emit_is_inf(struct emit *e)
{
	float neg = emit_attr_int(e, "detect_negative", 1) != 0;
	float pos = emit_attr_int(e, "detect_positive", 1) != 0;

	emit_out(e, 0, build_unary(e->b, emit_in(e, 0), PROG_FN_ISINF, neg, pos));
}

static void emit_gelu(struct emit *e)
{
	static const char *const how[] = { "none", "tanh", NULL };
	int tanh_form = emit_attr_enum(e, "approximate", "none", how);

	emit_out(e, 0, build_unary(e->b, emit_in(e, 0),
				   tanh_form ? PROG_FN_GELU_TANH : PROG_FN_GELU, 0, 0));
}

/*
 * Before opset 7 the second operand was broadcast only where an attribute said
 * so, its axes lined up with the first one's from attribute axis on.
 */
static uint32_t second_operand(struct emit *e)
{
	const struct build_tensor *a = emit_x(e, 0), *b = emit_x(e, 1);
	uint32_t y = emit_in(e, 1), axis;
	struct op_dims d;

	if (e->opset >= 7)
		return y;
	emit_ignore(e, "consumed_inputs");
	if (!emit_attr_int(e, "broadcast", 0)) {
		if (!build_same_shape(e->b, emit_in(e, 0), y))
			emit_fail(e, -EINVAL, "shapes differ without broadcast");
		return y;
	}
	if (!emit_attr_has(e, "axis"))
		return y;
	axis = emit_axis(e, emit_attr_int(e, "axis", 0), a->rank);
	if (axis + b->rank > a->rank) {
		emit_fail(e, -EINVAL, "axis %u does not fit ranks %u and %u", axis,
			  a->rank, b->rank);
		return 0;
	}
	d.rank = a->rank - axis;
	for (uint32_t i = 0; i < d.rank; i++)
		d.d[i] = i < b->rank ? b->dims[i] : 1;
	return op_view(e, y, &d);
}

struct binary {
	const char *name;
	enum prog_binary fn;
};

static const struct binary binaries[] = {
	{ "Add", PROG_BIN_ADD },
	{ "Sub", PROG_BIN_SUB },
	{ "Mul", PROG_BIN_MUL },
	{ "Div", PROG_BIN_DIV },
	{ "And", PROG_BIN_AND },
	{ "Or", PROG_BIN_OR },
	{ "Xor", PROG_BIN_XOR },
	{ "Equal", PROG_BIN_EQUAL },
	{ "Less", PROG_BIN_LESS },
	{ "LessOrEqual", PROG_BIN_LESS_EQUAL },
	{ "Greater", PROG_BIN_GREATER },
	{ "GreaterOrEqual", PROG_BIN_GREATER_EQUAL },
	{ "BitwiseAnd", PROG_BIN_BIT_AND },
	{ "BitwiseOr", PROG_BIN_BIT_OR },
	{ "BitwiseXor", PROG_BIN_BIT_XOR },
	{ "Min", PROG_BIN_MIN },
	{ "Max", PROG_BIN_MAX },
	{ "Sum", PROG_BIN_ADD },
	{ "Mean", PROG_BIN_ADD },
};

static bool find_binary(struct emit *e, enum prog_binary *fn)
{
	for (size_t i = 0; i < sizeof(binaries) / sizeof(*binaries); i++) {
		if (!strcmp(binaries[i].name, e->b->op_type)) {
			*fn = binaries[i].fn;
			return true;
		}
	}
	emit_fail(e, -EOPNOTSUPP, "is not a function of two tensors");
	return false;
}

static bool same_type(struct emit *e, uint32_t i, uint32_t j)
{
	if (emit_x(e, i)->type == emit_x(e, j)->type)
		return true;
	emit_fail(e, -EINVAL, "inputs %u and %u differ in type", i, j);
	return false;
}

static void emit_binary(struct emit *e)
{
	enum prog_binary fn;

	if (find_binary(e, &fn) && same_type(e, 0, 1))
		emit_out(e, 0, op_bin(e, fn, emit_in(e, 0), second_operand(e)));
}

static void emit_logic(struct emit *e)
{
	if (emit_need_type(e, 0, EMIT_BOOL))
		emit_binary(e);
}

/* Min, Max, Sum, Mean: any number of tensors. */
static void emit_variadic(struct emit *e)
{
	uint32_t y = emit_in(e, 0);
	enum prog_binary fn;

	emit_ignore(e, "consumed_inputs");
	if (!find_binary(e, &fn))
		return;
	for (uint32_t i = 1; i < e->n_in && !emit_failed(e); i++)
		if (same_type(e, 0, i))
			y = op_bin(e, fn, y, emit_in(e, i));
	if (!strcmp(e->b->op_type, "Mean") && e->n_in > 1)
		y = op_bin(e, PROG_BIN_DIV, y,
			   build_scalar(e->b, emit_x(e, 0)->type, e->n_in));
	emit_out(e, 0, y);
}

static void emit_mod(struct emit *e)
{
	bool fmod = emit_attr_int(e, "fmod", 0) != 0;

	if (!fmod && !prog_type_is_int(emit_x(e, 0)->type))
		emit_fail(e, -EINVAL, "fmod=0 is for integers only");
	if (same_type(e, 0, 1))
		emit_out(e, 0, op_bin(e, fmod ? PROG_BIN_FMOD : PROG_BIN_MOD,
				      emit_in(e, 0), emit_in(e, 1)));
}

static void emit_bit_shift(struct emit *e)
{
	static const char *const dirs[] = { "LEFT", "RIGHT", NULL };
	int right;

	if (!emit_attr_need(e, "direction") || !same_type(e, 0, 1))
		return;
	right = emit_attr_enum(e, "direction", "LEFT", dirs);
	emit_out(e, 0, op_bin(e, right ? PROG_BIN_SHIFT_RIGHT : PROG_BIN_SHIFT_LEFT,
			      emit_in(e, 0), emit_in(e, 1)));
}

/*
 * The exponent may be of another type than the base, whose type the result
 * has. Mixed integers meet in int64, integer and float in float.
 */
static void emit_pow(struct emit *e)
{
	enum braid_type ta = emit_x(e, 0)->type, tb = emit_x(e, 1)->type, meet;
	uint32_t x = emit_in(e, 0), y = second_operand(e);

	if (ta == tb) {
		emit_out(e, 0, op_bin(e, PROG_BIN_POW, x, y));
		return;
	}
	if (prog_type_is_int(ta) && prog_type_is_int(tb))
		meet = BRAID_TYPE_I64;
	else
		meet = prog_type_is_int(ta) ? tb : ta;
	x = op_bin(e, PROG_BIN_POW, build_cast(e->b, x, meet), build_cast(e->b, y, meet));
	emit_out(e, 0, build_cast(e->b, x, ta));
}

/* Slopes are broadcast to x in one direction; before opset 7 along the channels. */
static void emit_prelu(struct emit *e)
{
	const struct build_tensor *x = emit_x(e, 0), *s = emit_x(e, 1);
	uint32_t slope = emit_in(e, 1), y;

	emit_ignore(e, "consumed_inputs");
	if (!same_type(e, 0, 1))
		return;
	if (e->opset < 7 && s->rank == 1 && s->dims[0] > 1 && x->rank > 2) {
		struct op_dims d = { .rank = x->rank - 1 };

		for (uint32_t i = 0; i < d.rank; i++)
			d.d[i] = i ? 1 : s->dims[0];
		slope = op_view(e, slope, &d);
	}
	y = op_bin(e, PROG_BIN_PRELU, emit_in(e, 0), slope);
	if (!emit_failed(e) && !build_same_shape(e->b, y, emit_in(e, 0)))
		emit_fail(e, -EINVAL, "the slopes do not broadcast to the input's shape");
	emit_out(e, 0, y);
}

/* Is input @i absent, or one number known now? Then @v is set to it. */
static bool known_bound(struct emit *e, uint32_t i, float *v)
{
	double d;

	if (!emit_has(e, i))
		return true;
	if (!build_splat(e->b, emit_in(e, i), &d))
		return false;
	*v = (float)d;
	return true;
}

/*
 * Clip: bounds are attributes before opset 11, optional inputs from then on.
 * Constant bounds of floats become one function, others a Max and a Min; min
 * above max gives max everywhere, so Min comes last.
 */
static void emit_clip(struct emit *e)
{
	uint32_t y = emit_in(e, 0);
	float lo = -INFINITY, hi = INFINITY;
	bool fixed = true;

	emit_ignore(e, "consumed_inputs");
	if (e->opset < 11) {
		lo = emit_attr_float(e, "min", lo);
		hi = emit_attr_float(e, "max", hi);
	} else {
		fixed = emit_x(e, 0)->type == BRAID_TYPE_F32 && known_bound(e, 1, &lo) &&
			known_bound(e, 2, &hi);
	}
	if (fixed) {
		/* Unbounded on both sides: the function would do nothing. */
		if (lo != -INFINITY || hi != INFINITY)
			y = build_unary(e->b, y, PROG_FN_CLIP, lo, hi);
		emit_out(e, 0, y);
		return;
	}
	for (uint32_t i = 1; i < 3; i++) {
		if (!emit_has(e, i) || !same_type(e, 0, i))
			continue;
		if (emit_x(e, i)->elems != 1)
			emit_fail(e, -EINVAL, "input %u is no scalar", i);
		y = op_bin(e, i == 1 ? PROG_BIN_MAX : PROG_BIN_MIN, y,
			   build_view(e->b, emit_in(e, i), 0, NULL));
	}
	emit_out(e, 0, y);
}

static void emit_where(struct emit *e)
{
	if (emit_need_type(e, 0, EMIT_BOOL) && same_type(e, 1, 2))
		emit_out(e, 0, build_where(e->b, emit_in(e, 0), emit_in(e, 1),
					   emit_in(e, 2)));
}

static void cast(struct emit *e, enum braid_type to)
{
	const struct build_tensor *x = emit_x(e, 0);

	/* Whether to round or to cut off there has changed between releases of ONNX. */
	if (to == BRAID_TYPE_BF16 && x->type != to) {
		emit_fail(e, -EOPNOTSUPP, "casts to bfloat16 are not supported");
		return;
	}
	/* Lists of axes and extents may be empty, and are cast all the same. */
	if (!x->elems)
		emit_out(e, 0, build_const_ref(e->b, to, x->rank, x->dims, ""));
	else
		emit_out(e, 0, build_cast(e->b, emit_in(e, 0), to));
}

static void emit_cast(struct emit *e)
{
	int64_t to;

	emit_ignore(e, "saturate");	/* speaks of 8-bit floats only */
	if (!emit_attr_need(e, "to"))
		return;
	to = emit_attr_int(e, "to", 0);
	if (to < 0 || to > 64 || !prog_type_size((enum braid_type)to)) {
		emit_fail(e, -EOPNOTSUPP, "casts to type %s are not supported",
			  to < 0 || to > 64 ? "unknown" : prog_type_name((int)to));
		return;
	}
	cast(e, (enum braid_type)to);
}

static void emit_cast_like(struct emit *e)
{
	emit_ignore(e, "saturate");
	cast(e, emit_x(e, 1)->type);
}

#define LAST	EMIT_OPSET_MAX
#define MANY	UINT32_MAX

const struct emit_op op_elementwise[] = {
	{ "Relu", 1, LAST, 1, 1, 1, emit_relu },
	{ "LeakyRelu", 1, LAST, 1, 1, 1, emit_unary },
	{ "Sigmoid", 1, LAST, 1, 1, 1, emit_unary },
	{ "Tanh", 1, LAST, 1, 1, 1, emit_unary },
	{ "HardSigmoid", 1, LAST, 1, 1, 1, emit_unary },
	{ "HardSwish", 14, LAST, 1, 1, 1, emit_unary },
	{ "Elu", 1, LAST, 1, 1, 1, emit_unary },
	{ "Selu", 1, LAST, 1, 1, 1, emit_unary },
	{ "Celu", 12, LAST, 1, 1, 1, emit_unary },
	{ "ThresholdedRelu", 10, LAST, 1, 1, 1, emit_unary },
	{ "Softplus", 1, LAST, 1, 1, 1, emit_unary },
	{ "Softsign", 1, LAST, 1, 1, 1, emit_unary },
	{ "Mish", 18, LAST, 1, 1, 1, emit_unary },
	{ "Shrink", 9, LAST, 1, 1, 1, emit_unary },
	{ "Abs", 1, LAST, 1, 1, 1, emit_unary },
	{ "Neg", 1, LAST, 1, 1, 1, emit_unary },
	{ "Sign", 9, LAST, 1, 1, 1, emit_unary },
	{ "Reciprocal", 1, LAST, 1, 1, 1, emit_unary },
	{ "Sqrt", 1, LAST, 1, 1, 1, emit_unary },
	{ "Exp", 1, LAST, 1, 1, 1, emit_unary },
	{ "Log", 1, LAST, 1, 1, 1, emit_unary },
	{ "Erf", 9, LAST, 1, 1, 1, emit_unary },
	{ "Floor", 1, LAST, 1, 1, 1, emit_unary },
	{ "Ceil", 1, LAST, 1, 1, 1, emit_unary },
	{ "Round", 11, LAST, 1, 1, 1, emit_unary },
	{ "Sin", 7, LAST, 1, 1, 1, emit_unary },
	{ "Cos", 7, LAST, 1, 1, 1, emit_unary },
	{ "Tan", 7, LAST, 1, 1, 1, emit_unary },
	{ "Asin", 7, LAST, 1, 1, 1, emit_unary },
	{ "Acos", 7, LAST, 1, 1, 1, emit_unary },
	{ "Atan", 7, LAST, 1, 1, 1, emit_unary },
	{ "Sinh", 9, LAST, 1, 1, 1, emit_unary },
	{ "Cosh", 9, LAST, 1, 1, 1, emit_unary },
	{ "Asinh", 9, LAST, 1, 1, 1, emit_unary },
	{ "Acosh", 9, LAST, 1, 1, 1, emit_unary },
	{ "Atanh", 9, LAST, 1, 1, 1, emit_unary },
	{ "BitwiseNot", 18, LAST, 1, 1, 1, emit_unary },
	{ "IsNaN", 9, LAST, 1, 1, 1, emit_unary },
	{ "Not", 1, LAST, 1, 1, 1, emit_not },
	{ "IsInf", 10, LAST, 1, 1, 1, emit_is_inf },
	{ "Gelu", 20, LAST, 1, 1, 1, emit_gelu },
	{ "Add", 1, LAST, 2, 2, 1, emit_binary },
	{ "Sub", 1, LAST, 2, 2, 1, emit_binary },
	{ "Mul", 1, LAST, 2, 2, 1, emit_binary },
	{ "Div", 1, LAST, 2, 2, 1, emit_binary },
	{ "And", 1, LAST, 2, 2, 1, emit_logic },
	{ "Or", 1, LAST, 2, 2, 1, emit_logic },
	{ "Xor", 1, LAST, 2, 2, 1, emit_logic },
	{ "Equal", 1, LAST, 2, 2, 1, emit_binary },
	{ "Less", 1, LAST, 2, 2, 1, emit_binary },
	{ "LessOrEqual", 12, LAST, 2, 2, 1, emit_binary },
	{ "Greater", 1, LAST, 2, 2, 1, emit_binary },
	{ "GreaterOrEqual", 12, LAST, 2, 2, 1, emit_binary },
	{ "BitwiseAnd", 18, LAST, 2, 2, 1, emit_binary },
	{ "BitwiseOr", 18, LAST, 2, 2, 1, emit_binary },
	{ "BitwiseXor", 18, LAST, 2, 2, 1, emit_binary },
	{ "BitShift", 11, LAST, 2, 2, 1, emit_bit_shift },
	{ "Mod", 10, LAST, 2, 2, 1, emit_mod },
	{ "Pow", 1, LAST, 2, 2, 1, emit_pow },
	{ "PRelu", 1, LAST, 2, 2, 1, emit_prelu },
	{ "Min", 1, LAST, 1, MANY, 1, emit_variadic },
	{ "Max", 1, LAST, 1, MANY, 1, emit_variadic },
	{ "Sum", 1, LAST, 1, MANY, 1, emit_variadic },
	{ "Mean", 1, LAST, 1, MANY, 1, emit_variadic },
	{ "Clip", 1, 10, 1, 1, 1, emit_clip },
	{ "Clip", 11, LAST, 1, 3, 1, emit_clip },
	{ "Where", 9, LAST, 3, 3, 1, emit_where },
	{ "Cast", 6, LAST, 1, 1, 1, emit_cast },
	{ "CastLike", 15, LAST, 2, 2, 1, emit_cast_like },
	{ NULL }
};
