// SPDX-License-Identifier: MIT
/*
 * Values: where tensors of the program lie and how, views of them, copies.
 */
#include "agent/lower/lower.h"

#include <stdlib.h>
#include <string.h>

size_t lower_size(uint32_t k_type)
{
	return prog_type_size((enum braid_type)k_type);
}

const struct prog_tensor *lower_t(const struct lower *l, uint32_t t)
{
	return &l->p->tensors[t];
}

const struct prog_storage *lower_storage(const struct lower *l, uint32_t t)
{
	return &l->p->storages[l->p->tensors[t].storage];
}

uint32_t lower_type(const struct lower *l, uint32_t t)
{
	enum braid_type type = lower_t(l, t)->type;

	return type == BRAID_TYPE_F32 && l->opt.mode == GPU_FP16 && !l->wide[lower_t(l, t)->storage] ?
	       K_F16 : (uint32_t)type;
}

void lower_dense(struct lower_val *v)
{
	int64_t step = 1;

	for (uint32_t i = v->rank; i-- > 0;) {
		v->stride[i] = step;
		step *= v->dims[i];
	}
}

bool lower_is_dense(const struct lower_val *v)
{
	int64_t step = 1;

	for (uint32_t i = v->rank; i-- > 0;) {
		if (v->dims[i] != 1 && v->stride[i] != step)
			return false;
		step *= v->dims[i];
	}
	return true;
}

int64_t lower_elems(const struct lower_val *v)
{
	int64_t n = 1;

	for (uint32_t i = 0; i < v->rank; i++)
		n *= v->dims[i];
	return n;
}

static uint32_t add_buf(struct lower *l, enum buf_place place, uint32_t index, uint64_t bytes)
{
	struct lower_buf *b;

	if (l->n_bufs == l->cap_bufs) {
		l->cap_bufs = l->cap_bufs ? 2 * l->cap_bufs : 256;
		b = realloc(l->bufs, l->cap_bufs * sizeof(*b));
		if (!b) {
			lower_nomem(l);
			l->cap_bufs = l->n_bufs;
			return 0;
		}
		l->bufs = b;
	}
	b = &l->bufs[l->n_bufs];
	*b = (struct lower_buf) { .place = place, .index = index, .bytes = bytes };
	if (place == BUF_ARENA)
		b->bytes = (bytes + 15) / 16 * 16;
	return l->n_bufs++;
}

struct lower_val lower_new(struct lower *l, uint32_t type, uint32_t rank, const int64_t *dims)
{
	struct lower_val v = { .type = type, .rank = rank };
	int64_t n;

	for (uint32_t i = 0; i < rank; i++)
		v.dims[i] = dims[i];
	lower_dense(&v);
	n = lower_elems(&v);
	if (n >= INT32_MAX)
		lower_refuse(l, "a tensor of %lld elements is too large", (long long)n);
	v.buf = add_buf(l, BUF_ARENA, 0, (uint64_t)n * lower_size(type));
	return v;
}

/* ---- constants ---- */

uint32_t lower_const(struct lower *l, const void *data, uint64_t bytes)
{
	uint64_t at = (l->image_bytes + 255) / 256 * 256, need = at + bytes;
	uint32_t b;

	if (l->opt.image)
		goto out;	/* it is there; whether it is the right one its size tells in the end */
	if (need > l->image_cap) {
		uint64_t cap = need + need / 2 + 4096;
		uint8_t *image = realloc(l->image, cap);

		if (!image) {
			lower_nomem(l);
			return 0;
		}
		l->image = image;
		l->image_cap = cap;
	}
	memset(l->image + l->image_bytes, 0, at - l->image_bytes);
	if (bytes)
		memcpy(l->image + at, data, bytes);
out:
	l->image_bytes = need;
	b = add_buf(l, BUF_CONST, 0, bytes);
	if (!l->err)
		l->bufs[b].offset = at;
	return b;
}

const void *lower_const_data(const struct lower *l, uint32_t t)
{
	const struct prog_storage *s = lower_storage(l, t);

	return s->place == PROG_CONST ? l->p->consts + s->offset : NULL;
}

/* A constant as it stands in the program, put into the image when first wanted. */
static struct lower_val plain_const(struct lower *l, uint32_t t)
{
	const struct prog_tensor *pt = lower_t(l, t);
	uint32_t *have = &l->const_bufs[pt->storage];
	struct lower_val v = { .type = (uint32_t)pt->type, .rank = pt->rank };

	if (*have == LOWER_NONE)
		*have = lower_const(l, lower_const_data(l, t), lower_storage(l, t)->bytes);
	memcpy(v.dims, pt->dims, sizeof(v.dims));
	lower_dense(&v);
	v.buf = *have;
	return v;
}

/* ---- views ---- */

/*
 * Each run of new axes must be a run of old ones that lie as one: take axes
 * from both sides until their products agree.
 */
bool lower_reshape(const struct lower_val *v, uint32_t rank, const int64_t *dims,
		   struct lower_val *out)
{
	struct lower_val old = { 0 };
	uint32_t i = 0, j = 0;

	*out = *v;
	out->rank = rank;
	out->padded = v->padded && rank && v->rank && dims[rank - 1] == v->dims[v->rank - 1];
	/* Axes of extent 1 lie anyhow. */
	for (uint32_t k = 0; k < v->rank; k++) {
		if (v->dims[k] == 1)
			continue;
		old.dims[old.rank] = v->dims[k];
		old.stride[old.rank++] = v->stride[k];
	}
	for (uint32_t k = 0; k < rank; k++) {
		out->dims[k] = dims[k];
		out->stride[k] = 0;
	}
	while (i < old.rank) {
		int64_t np = 1, op = old.dims[i], step;
		uint32_t i1 = i + 1, j1 = j;

		while (np != op) {
			if (np < op) {
				if (j1 == rank)
					return false;
				np *= dims[j1++];
			} else {
				if (i1 == old.rank)
					return false;
				if (old.stride[i1 - 1] != old.stride[i1] * old.dims[i1])
					return false;
				op *= old.dims[i1++];
			}
		}
		step = old.stride[i1 - 1];
		for (uint32_t k = j1; k-- > j;) {
			out->stride[k] = step;
			step *= dims[k];
		}
		i = i1;
		j = j1;
	}
	return true;
}

struct lower_val lower_copy(struct lower *l, const struct lower_val *v, uint32_t type)
{
	struct lower_val to = lower_new(l, type, v->rank, v->dims);

	if (!l->err)
		lower_move(l, v, &to, "copy");
	return to;
}

static struct lower_val tenant_val(struct lower *l, uint32_t t, enum buf_place place)
{
	const struct prog_tensor *pt = lower_t(l, t);
	struct lower_val v = { .type = (uint32_t)pt->type, .rank = pt->rank };

	if (pt->elems >= INT32_MAX)
		lower_refuse(l, "a tensor of %lld elements is too large", (long long)pt->elems);
	memcpy(v.dims, pt->dims, sizeof(v.dims));
	lower_dense(&v);
	v.buf = add_buf(l, place, lower_storage(l, t)->index, lower_storage(l, t)->bytes);
	return v;
}

struct lower_val lower_read(struct lower *l, uint32_t t)
{
	const struct prog_tensor *pt = lower_t(l, t);
	struct lower_val *v = &l->vals[pt->storage], view;

	if (lower_storage(l, t)->place == PROG_CONST)
		return plain_const(l, t);
	if (v->buf == LOWER_NONE) {
		if (lower_storage(l, t)->place != PROG_INPUT) {
			lower_refuse(l, "a tensor is read that nothing wrote");
			return (struct lower_val) { 0 };
		}
		*v = tenant_val(l, t, BUF_INPUT);
	}
	if (lower_reshape(v, pt->rank, pt->dims, &view))
		return view;
	*v = lower_copy(l, v, v->type);
	lower_reshape(v, pt->rank, pt->dims, &view);
	return view;
}

struct lower_val lower_read_dense(struct lower *l, uint32_t t)
{
	struct lower_val v = lower_read(l, t);

	if (lower_is_dense(&v) || l->err)
		return v;
	v = lower_copy(l, &v, v.type);
	l->vals[lower_t(l, t)->storage] = v;
	return v;
}

int64_t lower_pitch(const struct lower_val *v)
{
	uint32_t last = v->rank - 1;
	int64_t pitch = 0, rows = 1;

	if (!v->rank || (v->dims[last] != 1 && v->stride[last] != 1))
		return 0;
	for (uint32_t i = last; i-- > 0;) {
		if (v->dims[i] == 1)
			continue;
		if (!pitch)
			pitch = v->stride[i];
		else if (v->stride[i] != pitch * rows)
			return 0;
		rows *= v->dims[i];
	}
	return pitch ? (pitch >= v->dims[last] ? pitch : 0) : v->dims[last];
}

struct lower_val lower_read_rows(struct lower *l, uint32_t t)
{
	struct lower_val v = lower_read(l, t);

	if (l->err || lower_pitch(&v))
		return v;
	return lower_read_dense(l, t);
}

struct lower_val lower_write(struct lower *l, uint32_t t)
{
	const struct prog_tensor *pt = lower_t(l, t);
	struct lower_val v;

	if (lower_storage(l, t)->place == PROG_OUTPUT)
		v = tenant_val(l, t, BUF_OUTPUT);
	else
		v = lower_new(l, lower_type(l, t), pt->rank, pt->dims);
	l->vals[pt->storage] = v;
	return v;
}

struct lower_val lower_write_any(struct lower *l, uint32_t t)
{
	uint32_t storage = lower_t(l, t)->storage;

	if (!l->places[storage].op)
		return lower_write(l, t);
	l->vals[storage] = lower_place(l, t);
	return l->vals[storage];
}

struct lower_val lower_new_rows(struct lower *l, uint32_t rank, const int64_t *dims)
{
	struct lower_val v;
	int64_t padded[LOWER_RANK];

	memcpy(padded, dims, rank * sizeof(*dims));
	padded[rank - 1] = (dims[rank - 1] + 7) / 8 * 8;
	v = lower_new(l, K_F16, rank, padded);
	v.dims[rank - 1] = dims[rank - 1];
	v.padded = true;
	return v;
}

struct lower_val lower_write_rows(struct lower *l, uint32_t t)
{
	const struct prog_tensor *pt = lower_t(l, t);
	struct lower_val v;

	if (lower_storage(l, t)->place == PROG_OUTPUT || lower_type(l, t) != K_F16 ||
	    l->places[pt->storage].op)
		return lower_write_any(l, t);
	v = lower_new_rows(l, pt->rank, pt->dims);
	l->vals[pt->storage] = v;
	return v;
}

void lower_view(struct lower *l, uint32_t t, const struct lower_val *v)
{
	l->vals[lower_t(l, t)->storage] = *v;
}

void lower_bcast(const struct lower_val *v, uint32_t rank, const int64_t *dims, int64_t *stride)
{
	for (uint32_t i = 0; i < rank; i++) {
		uint32_t back = rank - i;

		if (back > v->rank || v->dims[v->rank - back] == 1)
			stride[i] = 0;
		else
			stride[i] = v->stride[v->rank - back];
	}
}
