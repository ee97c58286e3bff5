// SPDX-License-Identifier: MIT
/*
 * TRANSPOSE, COPY, SLICE, EXPAND: views where a consumer may take them, copies
 * into the tenant's buffers. PAD and TILE.
 */
#include "agent/lower/lower.h"

#include <string.h>

/* The result is @v: a view, or where it goes to the tenant a copy. */
static void result(struct lower *l, const struct lower_val *v, const char *what)
{
	struct lower_val y;

	if (lower_storage(l, l->op->out[0])->place != PROG_OUTPUT) {
		lower_view(l, l->op->out[0], v);
		return;
	}
	y = lower_write(l, l->op->out[0]);
	lower_move(l, v, &y, what);
}

void lower_transpose(struct lower *l)
{
	struct lower_val x = lower_read(l, l->op->in[0]), v = x;

	v.padded = false;
	for (uint32_t i = 0; i < x.rank; i++) {
		v.dims[i] = x.dims[l->op->params.perm[i]];
		v.stride[i] = x.stride[l->op->params.perm[i]];
	}
	result(l, &v, "transpose");
}

void lower_copy_op(struct lower *l)
{
	const struct prog_tensor *y = lower_t(l, l->op->out[0]);
	struct lower_val x = lower_read(l, l->op->in[0]), v;

	if (!lower_reshape(&x, y->rank, y->dims, &v)) {
		x = lower_read_dense(l, l->op->in[0]);
		lower_reshape(&x, y->rank, y->dims, &v);
	}
	result(l, &v, "copy");
}

void lower_slice(struct lower *l)
{
	const struct prog_slice *p = &l->op->params.slice;
	const struct prog_tensor *y = lower_t(l, l->op->out[0]);
	struct lower_val v = lower_read(l, l->op->in[0]);

	v.padded = false;
	for (uint32_t i = 0; i < v.rank; i++) {
		v.off += p->start[i] * v.stride[i];
		v.stride[i] *= p->step[i];
		v.dims[i] = y->dims[i];
	}
	result(l, &v, "slice");
}

void lower_expand(struct lower *l)
{
	const struct prog_tensor *y = lower_t(l, l->op->out[0]);
	struct lower_val x = lower_read(l, l->op->in[0]), v = x;

	v.padded = false;
	lower_bcast(&x, y->rank, y->dims, v.stride);
	v.rank = y->rank;
	memcpy(v.dims, y->dims, sizeof(v.dims));
	result(l, &v, "expand");
}

static void pad_step(struct lower *l, struct k_pad *a, const int64_t *lo, const char *what)
{
	struct lower_val x = lower_read(l, l->op->in[0]), y = lower_write(l, l->op->out[0]);
	struct lower_step *s;

	/* Padding moves bits: both sides of one type. */
	if (x.type != y.type && !l->err)
		x = lower_copy(l, &x, y.type);
	a->rank = y.rank;
	a->n = lower_div(lower_elems(&y));
	a->size = (k_u32)lower_size(y.type);
	for (uint32_t i = 0; i < y.rank; i++) {
		uint32_t k = y.rank - 1 - i;

		a->out[i] = lower_div(y.dims[k]);
		a->in[i] = (k_i32)x.dims[k];
		a->stride[i] = (k_i32)x.stride[k];
		a->lo[i] = lo ? (k_i32)lo[k] : 0;
	}
	s = LOWER_STEP(l, what, "braid_pad", 0, *a, lower_tiles(a->n.d));
	LOWER_READ(l, s, struct k_pad, x, &x);
	LOWER_WRITE(l, s, struct k_pad, y, &y);
}


void lower_pad(struct lower *l)
{
	const struct prog_pad *p = &l->op->params.pad;
	struct k_pad a = { .mode = (k_u32)p->mode };
	bool to_tenant = lower_storage(l, l->op->out[0])->place == PROG_OUTPUT;
	uint32_t type = to_tenant ? (uint32_t)lower_t(l, l->op->out[0])->type :
				    lower_type(l, l->op->out[0]);
	float f = (float)p->value;
	int64_t i = p->value >= 9e18 ? INT64_MAX : p->value <= -9e18 ? INT64_MIN : (int64_t)p->value;

	switch (type) {
	case K_F32:
		memcpy(&a.value, &f, sizeof(f));
		break;
	case K_F64:
		memcpy(&a.value, &p->value, sizeof(p->value));
		break;
	case K_F16:
		a.value = lower_half((float)p->value);
		break;
	case K_BF16:
		lower_refuse(l, "no padding of bfloat16");
		break;
	case K_BOOL:
		a.value = p->value != 0;
		break;
	default:
		a.value = (k_u64)i;
	}
	pad_step(l, &a, p->lo, "pad");
}

void lower_tile(struct lower *l)
{
	struct k_pad a = { .mode = PROG_PAD_WRAP };

	pad_step(l, &a, NULL, "tile");
}
