// SPDX-License-Identifier: MIT
/*
 * Matrix products: MatMul, Gemm, and the integer ones that fp32 can do exactly.
 *
 * No state of its own.
 */
#include "agent/onnx/op.h"

/*
 * numpy's matmul: a vector on the left is a row, one on the right a column,
 * and the axis that this adds is dropped from the result.
 */
static uint32_t matmul(struct emit *e, uint32_t a, uint32_t b)
{
	struct op_dims da = op_dims(e, a), db = op_dims(e, b), d;
	bool row = da.rank == 1, column = db.rank == 1;
	uint32_t y;

	if (!da.rank || !db.rank) {
		emit_fail(e, -EINVAL, "an operand is a scalar");
		return 0;
	}
	if (row)
		a = build_unsqueeze(e->b, a, 1u << 0);
	if (column)
		b = build_unsqueeze(e->b, b, 1u << 1);
	if (da.d[da.rank - 1] != (column ? db.d[0] : db.d[db.rank - 2])) {
		emit_fail(e, -EINVAL, "%lld columns times %lld rows",
			  (long long)da.d[da.rank - 1],
			  (long long)(column ? db.d[0] : db.d[db.rank - 2]));
		return 0;
	}
	y = build_gemm(e->b, a, b, PROG_NONE, false, false, 1.0f);
	d = op_dims(e, y);
	if (emit_failed(e) || (!row && !column))
		return y;
	if (column)
		d.rank--;
	if (row) {
		d.rank--;
		/* Rows are the axis before the columns, or the last one without. */
		if (!column)
			d.d[d.rank - 1] = d.d[d.rank];
	}
	return op_view(e, y, &d);
}

static void emit_matmul(struct emit *e)
{
	if (!emit_need_type(e, 0, EMIT_FLOATS))
		return;
	if (emit_x(e, 0)->type != emit_x(e, 1)->type) {
		emit_fail(e, -EINVAL, "the operands differ in type");
		return;
	}
	emit_out(e, 0, matmul(e, emit_in(e, 0), emit_in(e, 1)));
}

/* alpha * op(a) x op(b) + beta * c, c broadcast to the result. */
static void emit_gemm(struct emit *e)
{
	const struct build_tensor *a = emit_x(e, 0), *b = emit_x(e, 1);
	bool ta = emit_attr_int(e, "transA", 0) != 0, tb = emit_attr_int(e, "transB", 0) != 0;
	float alpha = emit_attr_float(e, "alpha", 1.0f);
	float beta = emit_attr_float(e, "beta", 1.0f);
	uint32_t c = emit_in(e, 2), y;

	emit_ignore(e, "broadcast");	/* before opset 7; shapes say it too */
	if (!emit_need_type(e, 0, EMIT_FLOATS))
		return;
	if (a->rank != 2 || b->rank != 2 || a->type != b->type ||
	    a->dims[!ta] != b->dims[tb]) {
		emit_fail(e, -EINVAL, "the operands do not fit: [%lld][%lld]%s, [%lld][%lld]%s",
			  (long long)a->dims[0], (long long)a->dims[1], ta ? "'" : "",
			  (long long)b->dims[0], (long long)b->dims[1], tb ? "'" : "");
		return;
	}
	if (emit_has(e, 2)) {
		const struct build_tensor *t = emit_x(e, 2);
		int64_t m = a->dims[ta], n = b->dims[!tb];
		int64_t cn = t->rank ? t->dims[t->rank - 1] : 1;
		int64_t cm = t->rank > 1 ? t->dims[0] : 1;

		if (t->rank > 2 || t->type != a->type || (cn != 1 && cn != n) ||
		    (cm != 1 && cm != m)) {
			emit_fail(e, -EINVAL, "the addend does not broadcast to [%lld][%lld]",
				  (long long)m, (long long)n);
			return;
		}
		if (beta == 0.0f)
			c = PROG_NONE;
		else if (beta != 1.0f)
			c = op_bin(e, PROG_BIN_MUL, c, build_scalar(e->b, t->type, beta));
	}
	y = build_gemm(e->b, emit_in(e, 0), emit_in(e, 1), c, ta, tb, alpha);
	emit_out(e, 0, y);
}

/* An 8-bit operand minus its zero point, as floats. */
static uint32_t centred(struct emit *e, uint32_t i, uint32_t zero, bool rows)
{
	uint32_t x = build_cast(e->b, emit_in(e, i), BRAID_TYPE_F32), z;

	if (!emit_has(e, zero))
		return x;
	z = build_cast(e->b, emit_in(e, zero), BRAID_TYPE_F32);
	/* One a row of the left operand: [m] stands as [m][1]. */
	if (rows && emit_x(e, zero)->rank == 1 && emit_x(e, zero)->elems > 1)
		z = build_unsqueeze(e->b, z, 1u << 1);
	return op_bin(e, PROG_BIN_SUB, x, z);
}

/*
 * Every product of two centred 8-bit numbers is below 2^16 in size, so a sum
 * of up to 256 of them is exact in fp32; longer ones are refused.
 */
static void emit_matmul_integer(struct emit *e)
{
	const uint32_t bytes = EMIT_BIT(BRAID_TYPE_U8) | EMIT_BIT(BRAID_TYPE_I8);
	const struct build_tensor *a = emit_x(e, 0);
	uint32_t y;

	if (!emit_need_type(e, 0, bytes) || !emit_need_type(e, 1, bytes))
		return;
	if (a->rank < 1 || a->dims[a->rank - 1] > 256) {
		emit_fail(e, -EOPNOTSUPP, "sums of over 256 products would not be exact");
		return;
	}
	y = matmul(e, centred(e, 0, 2, true), centred(e, 1, 3, false));
	emit_out(e, 0, build_cast(e->b, y, BRAID_TYPE_I32));
}

const struct emit_op op_matmul[] = {
	{ "MatMul", 1, EMIT_OPSET_MAX, 2, 2, 1, emit_matmul },
	{ "Gemm", 1, EMIT_OPSET_MAX, 2, 3, 1, emit_gemm },
	{ "MatMulInteger", 10, EMIT_OPSET_MAX, 2, 4, 1, emit_matmul_integer },
	{ NULL }
};
