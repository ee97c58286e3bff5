// SPDX-License-Identifier: MIT
/*
 * Element functions that exporters write as products. A tree of MUL and
 * division by constants is taken apart into a number and its factors; two
 * factors, x and a gate of x, then name the function whatever the order was.
 *
 *   SiLU         x * sigmoid(x)                            (arXiv:1702.03118)
 *   hard swish   x * clip(x + 3, 0, 6) / 6                 (arXiv:1905.02244)
 *   GELU         0.5 * x * (1 + erf(x / sqrt(2)))          (arXiv:1606.08415)
 *   GELU, tanh   0.5 * x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3)))
 */
#include <math.h>

#include "agent/program/pass.h"

#define MAX_FACTORS	4
#define MAX_DEPTH	6

struct product {
	double c;
	uint32_t factor[MAX_FACTORS];
	uint32_t n;
};

/* Add @t to the product, taken apart down to @depth where it is one itself. */
static bool take(const struct build *b, uint32_t t, struct product *p, int depth)
{
	const struct prog_op *op = pass_def(b, t, PROG_BINARY);
	uint32_t x;
	double v;

	if (op && depth) {
		if (pass_scalar(b, op, PROG_BIN_MUL, &x, &v)) {
			p->c *= v;
			return take(b, x, p, depth - 1);
		}
		if (pass_scalar(b, op, PROG_BIN_DIV, &x, &v) && v != 0) {
			p->c /= v;
			return take(b, x, p, depth - 1);
		}
		if (op->params.binary == PROG_BIN_MUL && !op->epi.fn &&
		    op->epi.residual == PROG_NONE &&
		    build_same_shape(b, op->in[0], op->out[0]) &&
		    build_same_shape(b, op->in[1], op->out[0]))
			return take(b, op->in[0], p, depth - 1) &&
			       take(b, op->in[1], p, depth - 1);
	}
	if (p->n == MAX_FACTORS)
		return false;
	p->factor[p->n++] = t;
	return true;
}

static const struct prog_op *unary(const struct build *b, uint32_t t, enum prog_fn fn)
{
	const struct prog_op *op = pass_def(b, t, PROG_UNARY);

	return op && op->params.unary.fn == fn ? op : NULL;
}

/* Is @t the tensor @x times @c? */
static bool is_multiple(const struct build *b, uint32_t t, uint32_t x, double c)
{
	struct product p = { .c = 1 };

	return take(b, t, &p, MAX_DEPTH) && p.n == 1 && p.factor[0] == x && pass_near(p.c, c);
}

/* x + 0.044715 x^3 */
static bool is_cubic(const struct build *b, uint32_t t, uint32_t x)
{
	const struct prog_op *add = pass_def(b, t, PROG_BINARY), *pow;
	struct product p = { .c = 1 };
	uint32_t cube, base;
	double e;

	if (!add || add->params.binary != PROG_BIN_ADD || (add->in[0] != x && add->in[1] != x))
		return false;
	cube = add->in[0] == x ? add->in[1] : add->in[0];
	if (!take(b, cube, &p, MAX_DEPTH) || !pass_near(p.c, 0.044715))
		return false;
	if (p.n == 3)
		return p.factor[0] == x && p.factor[1] == x && p.factor[2] == x;
	if (p.n != 1)
		return false;
	pow = pass_def(b, p.factor[0], PROG_BINARY);
	return pass_scalar(b, pow, PROG_BIN_POW, &base, &e) && base == x && e == 3;
}

/* x (1 + 0.044715 x^2), the other way to write it */
static bool is_factored_cubic(const struct build *b, const struct product *u, uint32_t x)
{
	struct product p = { .c = 1 };
	const struct prog_op *pow;
	uint32_t square, base, rest;
	double one, e;

	if (u->n != 2 || (u->factor[0] != x && u->factor[1] != x))
		return false;
	rest = u->factor[0] == x ? u->factor[1] : u->factor[0];
	if (!pass_scalar(b, pass_def(b, rest, PROG_BINARY), PROG_BIN_ADD, &square, &one) ||
	    one != 1 || !take(b, square, &p, MAX_DEPTH) || !pass_near(p.c, 0.044715))
		return false;
	if (p.n == 2)
		return p.factor[0] == x && p.factor[1] == x;
	pow = p.n == 1 ? pass_def(b, p.factor[0], PROG_BINARY) : NULL;
	return pass_scalar(b, pow, PROG_BIN_POW, &base, &e) && base == x && e == 2;
}

/* The function that x * @gate * @c is, or PROG_FN_NONE. */
static enum prog_fn name_it(const struct build *b, uint32_t x, uint32_t gate, double c)
{
	const struct prog_op *op, *inner;
	struct product p = { .c = 1 };
	uint32_t y, z;
	double v;

	op = unary(b, gate, PROG_FN_SIGMOID);
	if (op && op->in[0] == x && c == 1)
		return PROG_FN_SILU;
	op = unary(b, gate, PROG_FN_HARD_SIGMOID);
	if (op && op->in[0] == x && c == 1 && pass_near(op->params.unary.alpha, 1. / 6) &&
	    op->params.unary.beta == 0.5f)
		return PROG_FN_HARD_SWISH;
	op = unary(b, gate, PROG_FN_CLIP);
	if (op && op->params.unary.alpha == 0 && op->params.unary.beta == 6 &&
	    pass_near(c, 1. / 6) &&
	    pass_scalar(b, pass_def(b, op->in[0], PROG_BINARY), PROG_BIN_ADD, &y, &v) &&
	    y == x && v == 3)
		return PROG_FN_HARD_SWISH;

	if (!pass_near(c, 0.5) ||
	    !pass_scalar(b, pass_def(b, gate, PROG_BINARY), PROG_BIN_ADD, &y, &v) || v != 1)
		return PROG_FN_NONE;
	inner = unary(b, y, PROG_FN_ERF);
	if (inner && is_multiple(b, inner->in[0], x, M_SQRT1_2))
		return PROG_FN_GELU;
	inner = unary(b, y, PROG_FN_TANH);
	if (!inner || !take(b, inner->in[0], &p, MAX_DEPTH) || !pass_near(p.c, sqrt(2 / M_PI)))
		return PROG_FN_NONE;
	z = p.factor[0];
	if ((p.n == 1 && is_cubic(b, z, x)) || is_factored_cubic(b, &p, x))
		return PROG_FN_GELU_TANH;
	return PROG_FN_NONE;
}

/* The function that @op is, of the tensor in @x; x may be a product itself. */
static enum prog_fn name_op(const struct build *b, const struct prog_op *op, uint32_t *x)
{
	for (int depth = 1; depth <= MAX_DEPTH; depth++) {
		struct product p = { .c = 1 };

		if (!take(b, op->out[0], &p, depth))
			return PROG_FN_NONE;
		for (int k = 0; k < 2 && p.n == 2; k++) {
			enum prog_fn fn = name_it(b, p.factor[k], p.factor[1 - k], p.c);

			*x = p.factor[k];
			if (fn != PROG_FN_NONE && build_same_shape(b, *x, op->out[0]))
				return fn;
		}
	}
	return PROG_FN_NONE;
}

void pass_act(struct build *b)
{
	if (b->err)
		return;
	for (uint32_t i = 0; i < b->n_ops; i++) {
		struct prog_op *op = b->ops[i];
		enum prog_fn fn;
		uint32_t x;

		if (op->kind != PROG_BINARY || op->epi.residual != PROG_NONE || op->epi.fn ||
		    build_t(b, op->out[0])->type != BRAID_TYPE_F32)
			continue;
		fn = name_op(b, op, &x);
		if (fn == PROG_FN_NONE)
			continue;
		op->kind = PROG_UNARY;
		op->n_in = 1;
		op->in[0] = x;
		op->params.unary.fn = fn;
		op->params.unary.alpha = 0;
		op->params.unary.beta = 0;
	}
	build_sort(b);
}
