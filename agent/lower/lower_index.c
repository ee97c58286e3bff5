// SPDX-License-Identifier: MIT
/*
 * Operations by index and over one axis: GATHER and its kin, SCATTER, ARGREDUCE,
 * CUMSUM, TOPK, ONEHOT, TRILU. They take dense tensors.
 */
#include "agent/lower/lower.h"

static int64_t product(const struct lower_val *v, uint32_t from, uint32_t to)
{
	int64_t n = 1;

	for (uint32_t i = from; i < to; i++)
		n *= v->dims[i];
	return n;
}

static bool index_type(struct lower *l, const struct lower_val *v)
{
	if (v->type == K_I32 || v->type == K_I64)
		return true;
	lower_refuse(l, "indices are %s", prog_type_name((int)v->type));
	return false;
}

static void gather_step(struct lower *l, struct k_gather *a, const struct lower_val *x,
			const struct lower_val *index)
{
	struct lower_val y = lower_write(l, l->op->out[0]);
	struct lower_step *s;

	if (!index_type(l, index))
		return;
	a->n = lower_div(lower_elems(&y));
	a->size = (k_u32)lower_size(y.type);
	a->index_type = index->type;
	s = LOWER_STEP(l, "gather", "braid_gather", 0, *a, lower_tiles(a->n.d));
	LOWER_READ(l, s, struct k_gather, x, x);
	LOWER_READ(l, s, struct k_gather, index, index);
	LOWER_WRITE(l, s, struct k_gather, y, &y);
}

/* A constant index into an axis: what comes out is a slice of one. */
static bool gather_view(struct lower *l)
{
	const struct prog_op *op = l->op;
	const struct prog_tensor *it = lower_t(l, op->in[1]), *y = lower_t(l, op->out[0]);
	const void *data = lower_const_data(l, op->in[1]);
	uint32_t axis = (uint32_t)op->params.gather.axis;
	struct lower_val v, x;
	int64_t at;

	if (!data || it->elems != 1 || op->params.gather.batch_dims ||
	    lower_storage(l, op->out[0])->place == PROG_OUTPUT)
		return false;
	at = it->type == BRAID_TYPE_I64 ? *(const int64_t *)data : *(const int32_t *)data;
	v = lower_read(l, op->in[0]);
	if (at < 0)
		at = at < -v.dims[axis] ? 0 : at + v.dims[axis];
	at = at < v.dims[axis] ? at : v.dims[axis] - 1;
	v.off += at * v.stride[axis];
	v.dims[axis] = 1;
	v.padded = false;
	if (l->err || !lower_reshape(&v, y->rank, y->dims, &x))
		return false;
	lower_view(l, op->out[0], &x);
	return true;
}

void lower_gather(struct lower *l)
{
	const struct prog_op *op = l->op;
	uint32_t axis = (uint32_t)op->params.gather.axis;
	uint32_t batch_dims = (uint32_t)op->params.gather.batch_dims;
	struct lower_val x, index;
	struct k_gather a = { .kind = 0 };
	int64_t batch;

	if (gather_view(l))
		return;
	x = lower_read_dense(l, op->in[0]);
	index = lower_read_dense(l, op->in[1]);
	batch = product(&x, 0, batch_dims);
	a.inner = lower_div(product(&x, axis + 1, x.rank));
	a.count = lower_div(lower_elems(&index) / batch);
	a.outer = lower_div(product(&x, batch_dims, axis));
	a.extent = (k_u32)x.dims[axis];
	gather_step(l, &a, &x, &index);
}

void lower_gather_elements(struct lower *l)
{
	struct lower_val x = lower_read_dense(l, l->op->in[0]);
	struct lower_val index = lower_read_dense(l, l->op->in[1]);
	uint32_t axis = (uint32_t)l->op->params.gather.axis;
	struct k_gather a = { .kind = 1, .rank = x.rank };

	a.inner = a.count = a.outer = lower_div(1);
	for (uint32_t i = 0; i < x.rank; i++) {
		a.dim[i] = lower_div(index.dims[x.rank - 1 - i]);
		a.stride[i] = (k_i32)x.stride[x.rank - 1 - i];
	}
	a.axis = x.rank - 1 - axis;
	a.extent = (k_u32)x.dims[axis];
	gather_step(l, &a, &x, &index);
}

void lower_gather_nd(struct lower *l)
{
	struct lower_val x = lower_read_dense(l, l->op->in[0]);
	struct lower_val index = lower_read_dense(l, l->op->in[1]);
	uint32_t b = (uint32_t)l->op->params.gather.batch_dims;
	struct k_gather a = { .kind = 2 };

	a.k = (k_u32)index.dims[index.rank - 1];
	for (uint32_t i = 0; i < a.k; i++)
		a.dim[i] = lower_div(x.dims[b + i]);
	a.inner = lower_div(product(&x, b + a.k, x.rank));
	a.count = lower_div(lower_elems(&index) / a.k / product(&x, 0, b));
	a.outer = lower_div(1);
	a.data = (k_u32)product(&x, b, x.rank);
	gather_step(l, &a, &x, &index);
}

void lower_scatter(struct lower *l)
{
	const struct prog_op *op = l->op;
	struct lower_val x = lower_read_dense(l, op->in[0]), index = lower_read_dense(l, op->in[1]);
	struct lower_val u = lower_read_dense(l, op->in[2]), y, to;
	struct k_scatter a = { .kind = op->kind == PROG_SCATTER_ND, .fn = (k_u32)op->params.scatter.fn };
	enum braid_type t = lower_t(l, op->in[0])->type;
	bool through;
	struct lower_step *s;

	if (!index_type(l, &index))
		return;
	if (a.fn != PROG_SCATTER_SET && !prog_type_is_int(t) && t != BRAID_TYPE_F32 &&
	    t != BRAID_TYPE_F64) {
		lower_refuse(l, "no reduction of %s", prog_type_name((int)t));
		return;
	}
	y = lower_write(l, op->out[0]);
	/* A reduction reads what it wrote, and no output is ever read. */
	through = a.fn != PROG_SCATTER_SET && l->bufs[y.buf].place == BUF_OUTPUT;
	to = through ? lower_new(l, y.type, y.rank, y.dims) : y;
	a.n = (k_u32)lower_elems(&x);
	a.type = (k_u32)t;
	a.size = (k_u32)lower_size(y.type);
	a.index_type = index.type;
	a.inner = 1;
	if (a.kind) {
		a.k = (k_u32)index.dims[index.rank - 1];
		for (uint32_t i = 0; i < a.k; i++)
			a.dim[i] = lower_div(x.dims[i]);
		a.inner = (k_u32)product(&x, a.k, x.rank);
		a.m = (k_u32)(lower_elems(&index) / a.k);
	} else {
		a.rank = x.rank;
		a.axis = x.rank - 1 - (uint32_t)op->params.scatter.axis;
		a.extent = (k_u32)x.dims[op->params.scatter.axis];
		a.m = (k_u32)lower_elems(&index);
		for (uint32_t i = 0; i < x.rank; i++) {
			a.dim[i] = lower_div(index.dims[x.rank - 1 - i]);
			a.stride[i] = (k_i32)x.stride[x.rank - 1 - i];
		}
	}
	s = LOWER_STEP(l, "scatter", "braid_scatter", K_THREADS * sizeof(k_i32), a, 1);
	LOWER_READ(l, s, struct k_scatter, x, &x);
	LOWER_READ(l, s, struct k_scatter, index, &index);
	LOWER_READ(l, s, struct k_scatter, u, &u);
	LOWER_WRITE(l, s, struct k_scatter, y, &to);
	if (through && !l->err)
		lower_move(l, &to, &y, "copy");
}

/* [outer][extent][inner] around an axis. */
static void around(struct k_index *a, const struct lower_val *v, uint32_t axis)
{
	a->outer = lower_div(product(v, 0, axis));
	a->inner = lower_div(product(v, axis + 1, v->rank));
	a->extent = (k_u32)v->dims[axis];
	a->n = lower_div((int64_t)a->outer.d * a->inner.d);
	a->type = v->type;
}

static bool ordered(struct lower *l, uint32_t t)
{
	enum braid_type type = lower_t(l, t)->type;

	if (type != BRAID_TYPE_BOOL && type != BRAID_TYPE_F16 && type != BRAID_TYPE_BF16)
		return true;
	lower_refuse(l, "no order of %s", prog_type_name((int)type));
	return false;
}

void lower_argreduce(struct lower *l)
{
	const struct prog_argreduce *p = &l->op->params.argreduce;
	struct lower_val x = lower_read_dense(l, l->op->in[0]), y;
	struct k_index a = { .kind = K_ARG };
	struct lower_step *s;

	if (!ordered(l, l->op->in[0]))
		return;
	y = lower_write(l, l->op->out[0]);
	around(&a, &x, (uint32_t)p->axis);
	a.fn = (p->max ? 1 : 0) | (p->select_last ? 2 : 0);
	s = LOWER_STEP(l, "argreduce", "braid_index", 0, a, lower_tiles(a.n.d));
	LOWER_READ(l, s, struct k_index, x, &x);
	LOWER_WRITE(l, s, struct k_index, y, &y);
}

void lower_cumsum(struct lower *l)
{
	const struct prog_cumsum *p = &l->op->params.cumsum;
	struct lower_val x = lower_read_dense(l, l->op->in[0]), y = lower_write(l, l->op->out[0]);
	struct k_index a = { .kind = K_CUMSUM };
	struct lower_step *s;

	if (!ordered(l, l->op->in[0]))
		return;
	around(&a, &x, (uint32_t)p->axis);
	a.fn = (p->exclusive ? 1 : 0) | (p->reverse ? 2 : 0);
	s = LOWER_STEP(l, "cumsum", "braid_index", 0, a, lower_tiles(a.n.d));
	LOWER_READ(l, s, struct k_index, x, &x);
	LOWER_WRITE(l, s, struct k_index, y, &y);
}

void lower_topk(struct lower *l)
{
	const struct prog_op *op = l->op;
	uint32_t axis = (uint32_t)op->params.topk.axis;
	struct lower_val x = lower_read_dense(l, op->in[0]), y, z;
	struct k_index a = { .kind = K_TOPK, .fn = op->params.topk.largest };
	struct lower_step *s;

	if (!ordered(l, op->in[0]))
		return;
	around(&a, &x, axis);
	if (op->out[0] != PROG_NONE) {
		y = lower_write(l, op->out[0]);
		a.size = (k_u32)lower_size(y.type);
		a.k = y.dims[axis];
		a.has |= 1;
	}
	if (op->n_out > 1 && op->out[1] != PROG_NONE) {
		z = lower_write(l, op->out[1]);
		a.k = z.dims[axis];
		a.has |= 2;
	}
	s = LOWER_STEP(l, "topk", "braid_topk", K_THREADS * 16, a, a.n.d);
	LOWER_READ(l, s, struct k_index, x, &x);
	if (a.has & 1)
		LOWER_WRITE(l, s, struct k_index, y, &y);
	if (a.has & 2)
		LOWER_WRITE(l, s, struct k_index, z, &z);
}

void lower_onehot(struct lower *l)
{
	struct lower_val x = lower_read_dense(l, l->op->in[0]);
	struct lower_val v = lower_read_dense(l, l->op->in[1]), y = lower_write(l, l->op->out[0]);
	struct k_index a = { .kind = K_ONEHOT };
	struct lower_step *s;

	if (x.type == K_BF16 || v.type == K_BF16) {
		lower_refuse(l, "no bfloat16");
		return;
	}
	around(&a, &y, (uint32_t)l->op->params.axis);
	a.type = x.type;
	a.size = (k_u32)lower_size(y.type);
	s = LOWER_STEP(l, "onehot", "braid_index", 0, a, lower_tiles(a.n.d));
	LOWER_READ(l, s, struct k_index, x, &x);
	LOWER_READ(l, s, struct k_index, v, &v);
	LOWER_WRITE(l, s, struct k_index, y, &y);
}

void lower_trilu(struct lower *l)
{
	const struct prog_trilu *p = &l->op->params.trilu;
	struct lower_val x = lower_read_dense(l, l->op->in[0]), y = lower_write(l, l->op->out[0]);
	struct k_index a = { .kind = K_TRILU, .fn = p->upper, .k = p->k };
	struct lower_step *s;

	if (x.type != y.type && !l->err)
		x = lower_copy(l, &x, y.type);
	around(&a, &x, x.rank - 2);
	a.n = lower_div(lower_elems(&x));
	a.size = (k_u32)lower_size(y.type);
	s = LOWER_STEP(l, "trilu", "braid_index", 0, a, lower_tiles(a.n.d));
	LOWER_READ(l, s, struct k_index, x, &x);
	LOWER_WRITE(l, s, struct k_index, y, &y);
}
