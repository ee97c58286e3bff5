// SPDX-License-Identifier: MIT
/*
 * Getters of the emit functions: inputs, outputs, attributes. Everything comes
 * from a hostile file; what is not as asked for fails with words.
 */
#include "agent/onnx/emit.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "agent/onnx/tensor.h"
#include "onnx.pb-c.h"

void emit_fail(struct emit *e, int err, const char *fmt, ...)
{
	char words[384];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	build_fail(e->b, err, "%s", words);
}

/* ---- inputs and outputs ---- */

uint32_t emit_in(const struct emit *e, uint32_t i)
{
	return i < e->n_in ? e->in[i] : PROG_NONE;
}

bool emit_has(const struct emit *e, uint32_t i)
{
	return emit_in(e, i) != PROG_NONE;
}

const struct build_tensor *emit_x(const struct emit *e, uint32_t i)
{
	return build_t(e->b, emit_in(e, i));
}

bool emit_wants(const struct emit *e, uint32_t i)
{
	return i < e->n_out && e->node->output[i][0];
}

void emit_out(struct emit *e, uint32_t i, uint32_t t)
{
	if (i < e->n_out)
		e->out[i] = t;
}

bool emit_need_type(struct emit *e, uint32_t i, uint32_t types)
{
	enum braid_type type = emit_x(e, i)->type;

	if (!emit_has(e, i) || e->b->err)
		return !e->b->err;
	if (types >> type & 1)
		return true;
	emit_fail(e, -EOPNOTSUPP, "input %u is of type %s, which is not supported here", i,
		  prog_type_name(type));
	return false;
}

const int64_t *emit_ints(struct emit *e, uint32_t i, const char *what, uint32_t *n)
{
	const struct build_tensor *x = emit_x(e, i);
	int64_t *v;

	*n = 0;
	if (!emit_has(e, i) || e->b->err)
		return NULL;
	if (x->from != BUILD_FROM_CONST) {
		emit_fail(e, -EOPNOTSUPP, "input '%s' must be known when the model is loaded", what);
		return NULL;
	}
	if (prog_type_is_float(x->type) || x->type == BRAID_TYPE_BOOL || x->rank > 1) {
		emit_fail(e, -EINVAL, "input '%s' is not a list of integers", what);
		return NULL;
	}
	v = build_alloc(e->b, (x->elems ? x->elems : 1) * sizeof(*v));
	if (!v)
		return NULL;
	for (int64_t k = 0; k < x->elems; k++)	/* exact: a double would round large ones */
		v[k] = x->type == BRAID_TYPE_I64 ? ((const int64_t *)x->data)[k] :
						   (int64_t)build_elem(e->b, emit_in(e, i), k);
	*n = x->elems;
	return v;
}

int64_t emit_int_in(struct emit *e, uint32_t i, const char *what, int64_t def)
{
	uint32_t n;
	const int64_t *v = emit_ints(e, i, what, &n);

	if (!v)
		return def;
	if (n != 1) {
		emit_fail(e, -EINVAL, "input '%s' is not one integer", what);
		return def;
	}
	return v[0];
}

double emit_float_in(struct emit *e, uint32_t i, const char *what, double def)
{
	const struct build_tensor *x = emit_x(e, i);

	if (!emit_has(e, i) || e->b->err)
		return def;
	if (x->from != BUILD_FROM_CONST) {
		emit_fail(e, -EOPNOTSUPP, "input '%s' must be known when the model is loaded", what);
		return def;
	}
	if (x->elems != 1) {
		emit_fail(e, -EINVAL, "input '%s' is not one number", what);
		return def;
	}
	return build_elem(e->b, emit_in(e, i), 0);
}

/* ---- attributes ---- */

static const Onnx__AttributeProto *find(struct emit *e, const char *name)
{
	for (size_t i = 0; i < e->node->n_attribute; i++) {
		const Onnx__AttributeProto *a = e->node->attribute[i];

		if (!strcmp(a->name, name)) {
			e->asked |= 1ull << i;
			return a;
		}
	}
	return NULL;
}

/* Files of IR version 1 have no type field. */
static bool has_type(struct emit *e, const Onnx__AttributeProto *a, int type)
{
	if (e->b->err)
		return false;
	if (a->type == type || a->type == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__UNDEFINED)
		return true;
	emit_fail(e, -EINVAL, "attribute '%s' has type %d instead of %d", a->name, a->type, type);
	return false;
}

bool emit_attr_has(struct emit *e, const char *name)
{
	return find(e, name);
}

bool emit_attr_need(struct emit *e, const char *name)
{
	if (find(e, name))
		return true;
	emit_fail(e, -EINVAL, "attribute '%s' is missing", name);
	return false;
}

void emit_ignore(struct emit *e, const char *name)
{
	find(e, name);
}

int64_t emit_attr_int(struct emit *e, const char *name, int64_t def)
{
	const Onnx__AttributeProto *a = find(e, name);

	if (!a || !has_type(e, a, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT))
		return def;
	return a->i;
}

float emit_attr_float(struct emit *e, const char *name, float def)
{
	const Onnx__AttributeProto *a = find(e, name);

	if (!a || !has_type(e, a, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT))
		return def;
	return a->f;
}

/* Bytes as a string of the builder's; bytes have no end mark of their own. */
static const char *string(struct emit *e, const ProtobufCBinaryData *s, const char *name)
{
	char *p;

	if (s->len && memchr(s->data, 0, s->len)) {
		emit_fail(e, -EINVAL, "attribute '%s' contains a NUL byte", name);
		return "";
	}
	p = build_alloc(e->b, s->len + 1);
	if (!p)
		return "";
	if (s->len)
		memcpy(p, s->data, s->len);
	return p;
}

const char *emit_attr_str(struct emit *e, const char *name, const char *def)
{
	const Onnx__AttributeProto *a = find(e, name);

	if (!a || !has_type(e, a, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING))
		return def;
	return string(e, &a->s, name);
}

const int64_t *emit_attr_ints(struct emit *e, const char *name, uint32_t *n)
{
	const Onnx__AttributeProto *a = find(e, name);
	static const int64_t none;

	*n = 0;
	if (!a || !has_type(e, a, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS))
		return NULL;
	if (a->n_ints > INT32_MAX) {
		emit_fail(e, -EINVAL, "attribute '%s' is too long", name);
		return NULL;
	}
	*n = a->n_ints;
	return a->n_ints ? a->ints : &none;
}

const float *emit_attr_floats(struct emit *e, const char *name, uint32_t *n)
{
	const Onnx__AttributeProto *a = find(e, name);
	static const float none;

	*n = 0;
	if (!a || !has_type(e, a, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS))
		return NULL;
	if (a->n_floats > INT32_MAX) {
		emit_fail(e, -EINVAL, "attribute '%s' is too long", name);
		return NULL;
	}
	*n = a->n_floats;
	return a->n_floats ? a->floats : &none;
}

int emit_attr_strs(struct emit *e, const char *name, const char **strs, int max)
{
	const Onnx__AttributeProto *a = find(e, name);

	if (!a || !has_type(e, a, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRINGS))
		return -1;
	if (a->n_strings > INT32_MAX) {
		emit_fail(e, -EINVAL, "attribute '%s' is too long", name);
		return -1;
	}
	for (int i = 0; i < max && (size_t)i < a->n_strings; i++)
		strs[i] = string(e, &a->strings[i], name);
	return a->n_strings;
}

uint32_t emit_attr_tensor(struct emit *e, const char *name)
{
	const Onnx__AttributeProto *a = find(e, name);

	if (!a || !has_type(e, a, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR))
		return PROG_NONE;
	if (!a->t) {
		emit_fail(e, -EINVAL, "attribute '%s' holds no tensor", name);
		return PROG_NONE;
	}
	return onnx_tensor(e->b, a->t, name);
}

uint32_t emit_axis(struct emit *e, int64_t axis, uint32_t rank)
{
	if (axis < -(int64_t)rank || axis >= (int64_t)rank) {
		emit_fail(e, -EINVAL, "axis %lld is outside of rank %u", (long long)axis, rank);
		return 0;
	}
	return axis < 0 ? axis + rank : axis;
}

uint32_t emit_axes(struct emit *e, const int64_t *axes, uint32_t n, uint32_t rank)
{
	uint32_t mask = 0, a;

	for (uint32_t i = 0; i < n && !e->b->err; i++) {
		a = emit_axis(e, axes[i], rank);
		if (mask >> a & 1)
			emit_fail(e, -EINVAL, "axis %u is named twice", a);
		mask |= 1u << a;
	}
	return mask;
}

int emit_attr_enum(struct emit *e, const char *name, const char *def,
		   const char *const *values)
{
	const char *s = emit_attr_str(e, name, def);

	for (int i = 0; s && values[i]; i++)
		if (!strcmp(s, values[i]))
			return i;
	emit_fail(e, -EOPNOTSUPP, "attribute '%s' is '%s', which is not supported", name,
		  s ? s : "");
	return 0;
}
