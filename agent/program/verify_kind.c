// SPDX-License-Identifier: MIT
/*
 * What each kind of operation demands of its tensors and parameters, one
 * function a kind: those of elements here, the others in verify_nn.c and
 * verify_move.c. A backend computes addresses from these without looking
 * again, so whatever an address is made of is checked here.
 */
#include "agent/program/verify_kind.h"

#include "agent/program/verify_view.h"

/* ---- elements ---- */

static const char *unary(const struct view *v)
{
	enum prog_fn fn = v->op->params.unary.fn;
	bool to_bool = fn == PROG_FN_ISNAN || fn == PROG_FN_ISINF || fn == PROG_FN_NOT;

	if (fn >= PROG_FNS)
		return "bad function";
	if (!same_shape(v->x, v->y) || v->y->type != (to_bool ? BRAID_TYPE_BOOL : v->x->type))
		return "the output differs from the input in type or shape";
	return NULL;
}

/* @y is the broadcast shape of all inputs, no larger. */
static bool is_broadcast(const struct view *v)
{
	tensor y = v->y;

	for (uint32_t i = 0; i < v->op->n_in; i++)
		if (!in(v, i) || !spreads(in(v, i), y))
			return false;
	for (uint32_t k = 0; k < y->rank; k++) {
		int64_t most = 1;

		for (uint32_t i = 0; i < v->op->n_in; i++) {
			tensor t = in(v, i);

			if (t->rank >= y->rank - k && t->dims[t->rank - (y->rank - k)] > most)
				most = t->dims[t->rank - (y->rank - k)];
		}
		if (most != y->dims[k])
			return false;
	}
	return true;
}

static const char *binary(const struct view *v)
{
	enum prog_binary fn = v->op->params.binary;
	bool to_bool = fn >= PROG_BIN_EQUAL && fn <= PROG_BIN_GREATER_EQUAL;

	if (fn >= PROG_BINS)
		return "bad function";
	if (v->x->type != in(v, 1)->type ||
	    v->y->type != (to_bool ? BRAID_TYPE_BOOL : v->x->type))
		return "types differ";
	return is_broadcast(v) ? NULL : "shapes do not broadcast to the output's";
}

static const char *where(const struct view *v)
{
	if (v->x->type != BRAID_TYPE_BOOL || in(v, 1)->type != in(v, 2)->type ||
	    in(v, 1)->type != v->y->type)
		return "types differ";
	return is_broadcast(v) ? NULL : "shapes do not broadcast to the output's";
}

static const char *cast(const struct view *v)
{
	return same_shape(v->x, v->y) ? NULL : "shapes differ";
}

static const char *quantize(const struct view *v)
{
	bool to = v->op->kind == PROG_QUANTIZE;
	tensor scale = in(v, 1), zero = in(v, 2);
	int32_t axis = v->op->params.axis;

	if (!same_shape(v->x, v->y))
		return "shapes differ";
	if (scale->elems != 1 && (!axis_ok(axis, v->x) || scale->elems != v->x->dims[axis]))
		return "scale is neither one number nor one a channel";
	if (zero && (zero->elems != scale->elems || zero->type != (to ? v->y : v->x)->type))
		return "zero point does not fit";
	return NULL;
}

/* ---- all ---- */

/*
 * Inputs needed and possible, outputs possible; the first output is always needed,
 * but for those with @any_out.
 */
static const struct {
	uint32_t min_in, max_in, max_out;
	bool any_out, epilogue;
	const char *(*check)(const struct view *v);
} kinds[PROG_KINDS] = {
	[PROG_CONV] = { 2, 3, 1, false, true, verify_conv },
	[PROG_CONV_TRANSPOSE] = { 2, 3, 1, false, true, verify_conv },
	[PROG_GEMM] = { 2, 3, 1, false, true, verify_gemm },
	[PROG_POOL] = { 1, 1, 2, false, false, verify_pool },
	[PROG_REDUCE] = { 1, 1, 1, false, false, verify_reduce },
	[PROG_ARGREDUCE] = { 1, 1, 1, false, false, verify_argreduce },
	[PROG_UNARY] = { 1, 1, 1, false, false, unary },
	[PROG_BINARY] = { 2, 2, 1, false, true, binary },
	[PROG_WHERE] = { 3, 3, 1, false, false, where },
	[PROG_CAST] = { 1, 1, 1, false, false, cast },
	[PROG_SOFTMAX] = { 1, 1, 1, false, false, verify_softmax },
	[PROG_NORM] = { 1, 3, 3, false, false, verify_norm },
	[PROG_LRN] = { 1, 1, 1, false, false, verify_lrn },
	[PROG_TRANSPOSE] = { 1, 1, 1, false, false, verify_transpose },
	[PROG_COPY] = { 1, 1, 1, false, false, verify_copy },
	[PROG_SLICE] = { 1, 1, 1, false, false, verify_slice },
	[PROG_CONCAT] = { 1, UINT32_MAX, 1, false, false, verify_concat },
	[PROG_PAD] = { 1, 1, 1, false, false, verify_pad },
	[PROG_EXPAND] = { 1, 1, 1, false, false, verify_expand },
	[PROG_TILE] = { 1, 1, 1, false, false, verify_tile },
	[PROG_GATHER] = { 2, 2, 1, false, false, verify_gather },
	[PROG_GATHER_ELEMENTS] = { 2, 2, 1, false, false, verify_gather_elements },
	[PROG_GATHER_ND] = { 2, 2, 1, false, false, verify_gather_nd },
	[PROG_SCATTER_ELEMENTS] = { 3, 3, 1, false, false, verify_scatter },
	[PROG_SCATTER_ND] = { 3, 3, 1, false, false, verify_scatter },
	[PROG_RESIZE] = { 1, 1, 1, false, false, verify_resize },
	[PROG_CUMSUM] = { 1, 1, 1, false, false, verify_cumsum },
	[PROG_TOPK] = { 1, 1, 2, true, false, verify_topk },
	[PROG_ONEHOT] = { 2, 2, 1, false, false, verify_onehot },
	[PROG_TRILU] = { 1, 1, 1, false, false, verify_trilu },
	[PROG_RNN] = { 3, 8, 3, true, false, verify_rnn },
	[PROG_QUANTIZE] = { 2, 3, 1, false, false, quantize },
	[PROG_DEQUANTIZE] = { 2, 3, 1, false, false, quantize },
};

static const char *epilogue(const struct view *v)
{
	const struct prog_epilogue *e = &v->op->epi;

	if (e->fn == PROG_FN_NONE && e->residual == PROG_NONE)
		return NULL;
	if (!kinds[v->op->kind].epilogue)
		return "this kind has no epilogue";
	if (e->fn > PROG_FN_EPILOGUE_LAST)
		return "this function is none for an epilogue";
	if (e->residual != PROG_NONE && !same(&v->p->tensors[e->residual], v->y))
		return "the residual differs from the output in type or shape";
	return NULL;
}

const char *verify_kind(const struct program *p, const struct prog_op *op)
{
	struct view v = { .p = p, .op = op };
	const char *why;
	bool any = false;

	if ((unsigned int)op->kind >= PROG_KINDS)
		return "unknown kind";
	if (op->n_in < kinds[op->kind].min_in || op->n_in > kinds[op->kind].max_in ||
	    op->n_out < 1 || op->n_out > kinds[op->kind].max_out)
		return "wrong number of inputs or outputs";
	for (uint32_t i = 0; i < kinds[op->kind].min_in; i++)
		if (!in(&v, i))
			return "an input is missing";
	for (uint32_t i = 0; i < op->n_out; i++)
		any |= !!out(&v, i);
	if (!any || (!out(&v, 0) && !kinds[op->kind].any_out))
		return "an output is missing";
	v.x = in(&v, 0);
	v.y = out(&v, 0);
	why = kinds[op->kind].check(&v);
	return why ? why : epilogue(&v);
}
