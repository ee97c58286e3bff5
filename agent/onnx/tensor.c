// SPDX-License-Identifier: MIT
/*
 * TensorProto to constant. Trusts nothing: every length is compared with what
 * the shape asks for before an element is looked at.
 */
#include "agent/onnx/tensor.h"

#include <errno.h>
#include <string.h>

#include "agent/program/build.h"
#include "onnx.pb-c.h"

/* raw_data is little-endian by definition and used in place. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "little-endian hosts only");

static uint32_t refuse(struct build *b, const char *what, const char *why)
{
	return build_fail(b, -EOPNOTSUPP, "tensor '%s': %s", what, why);
}

/* What int32_data holds: everything up to 32 bits, each in an int32 of its own. */
static void narrow(enum braid_type type, void *to, const int32_t *from, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		switch (type) {
		case BRAID_TYPE_U8:
		case BRAID_TYPE_I8:
			((uint8_t *)to)[i] = (uint8_t)from[i];
			break;
		case BRAID_TYPE_BOOL:
			((uint8_t *)to)[i] = from[i] != 0;
			break;
		default:
			((uint16_t *)to)[i] = (uint16_t)from[i];
			break;
		}
	}
}

/* A typed field: its elements, their number, and their size where usable in place. */
static const void *typed(const Onnx__TensorProto *t, enum braid_type type, size_t *n,
			 size_t *size)
{
	switch (type) {
	case BRAID_TYPE_F32:
		*n = t->n_float_data;
		*size = 4;
		return t->float_data;
	case BRAID_TYPE_F64:
		*n = t->n_double_data;
		*size = 8;
		return t->double_data;
	case BRAID_TYPE_I64:
		*n = t->n_int64_data;
		*size = 8;
		return t->int64_data;
	case BRAID_TYPE_U32:
	case BRAID_TYPE_U64:
		*n = t->n_uint64_data;
		*size = 8;
		return t->uint64_data;
	default:
		*n = t->n_int32_data;
		*size = 4;
		return t->int32_data;
	}
}

static uint32_t from_typed(struct build *b, const Onnx__TensorProto *t, enum braid_type type,
			   int64_t elems, const char *what)
{
	size_t n, size;
	const void *from = typed(t, type, &n, &size);
	uint32_t *words;
	void *to;
	uint32_t c;

	if (n != (uint64_t)elems)
		return build_fail(b, -EINVAL, "tensor '%s' holds %zu elements, its shape %lld",
				  what, n, (long long)elems);
	if (size == prog_type_size(type))
		return build_const_ref(b, type, t->n_dims, t->dims, from);
	c = build_const_new(b, type, t->n_dims, t->dims, &to);
	if (b->err)
		return 0;
	if (type == BRAID_TYPE_U32) {
		words = to;
		for (size_t i = 0; i < n; i++)
			words[i] = (uint32_t)t->uint64_data[i];
	} else {
		narrow(type, to, from, n);
	}
	return c;
}

static uint32_t from_raw(struct build *b, const Onnx__TensorProto *t, enum braid_type type,
			 int64_t elems, const char *what)
{
	uint8_t *to;
	void *copy;
	uint32_t c;

	if (t->raw_data.len != (uint64_t)elems * prog_type_size(type))
		return build_fail(b, -EINVAL, "tensor '%s' holds %zu bytes, its shape %llu", what,
				  t->raw_data.len,
				  (unsigned long long)elems * prog_type_size(type));
	if (t->n_float_data || t->n_int32_data || t->n_int64_data || t->n_double_data ||
	    t->n_uint64_data)
		return build_fail(b, -EINVAL, "tensor '%s' holds its data twice", what);
	if (type != BRAID_TYPE_BOOL)
		return build_const_ref(b, type, t->n_dims, t->dims, t->raw_data.data);
	c = build_const_new(b, type, t->n_dims, t->dims, &copy);
	if (b->err)
		return 0;
	to = copy;
	for (int64_t i = 0; i < elems; i++)
		to[i] = t->raw_data.data[i] != 0;
	return c;
}

uint32_t onnx_tensor(struct build *b, const Onnx__TensorProto *t, const char *what)
{
	enum braid_type type = (enum braid_type)t->data_type;
	int64_t elems = 1;

	if (b->err)
		return 0;
	if (t->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL || t->n_external_data)
		return refuse(b, what, "its data is in another file, which is not supported");
	if (t->segment)
		return refuse(b, what, "segments are not supported");
	if (!prog_type_size(type) || t->n_string_data)
		return build_fail(b, -EOPNOTSUPP, "tensor '%s': type %s is not supported", what,
				  prog_type_name(t->data_type));
	if (t->n_dims > PROG_MAX_RANK)
		return build_fail(b, -EOPNOTSUPP, "tensor '%s': rank %zu is above %u", what,
				  t->n_dims, PROG_MAX_RANK);
	for (size_t i = 0; i < t->n_dims; i++)
		if (t->dims[i] < 0 || __builtin_mul_overflow(elems, t->dims[i], &elems) ||
		    elems > INT64_MAX / 8)
			return build_fail(b, -EINVAL, "tensor '%s': dimension %zu is %lld", what, i,
					  (long long)t->dims[i]);
	return t->has_raw_data ? from_raw(b, t, type, elems, what) :
				 from_typed(b, t, type, elems, what);
}
