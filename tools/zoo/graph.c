// SPDX-License-Identifier: MIT
/*
 * The model under construction: protobuf-c messages in a pool.
 *
 * Owns the pool, the scope stack and the growing lists of nodes, initialisers,
 * inputs and outputs. Never computes a weight itself beyond calling prng.h.
 * Single-threaded.
 */
#include "graph.h"

#include <assert.h>
#include <err.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "prng.h"

#define MAX_SCOPES	8
#define IR_VERSION	8	/* what ONNX 1.10 to 1.12 write */

struct chunk {
	struct chunk *next;
	max_align_t data[];
};

struct list {
	void **item;
	size_t n, room;
};

struct zoo {
	struct zoo_options opt;
	struct chunk *chunks;
	const char *scope[MAX_SCOPES];
	int depth;
	struct list nodes, inits, inputs, outputs;
	Onnx__ModelProto model;
	Onnx__GraphProto graph;
};

void *zoo_alloc(struct zoo *z, size_t bytes)
{
	struct chunk *c = calloc(1, sizeof(*c) + bytes);

	if (!c)
		err(1, "building a model of more than %zu bytes", bytes);
	c->next = z->chunks;
	z->chunks = c;
	return c->data;
}

void *zoo_copy(struct zoo *z, const void *from, size_t bytes)
{
	return memcpy(zoo_alloc(z, bytes), from, bytes);
}

static char *zoo_vprintf(struct zoo *z, const char *fmt, va_list ap)
{
	va_list again;
	char *s;
	int n;

	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	s = zoo_alloc(z, n + 1);
	vsnprintf(s, n + 1, fmt, ap);
	return s;
}

char *zoo_printf(struct zoo *z, const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	s = zoo_vprintf(z, fmt, ap);
	va_end(ap);
	return s;
}

static void list_add(struct list *l, void *item)
{
	if (l->n == l->room) {
		l->room = l->room ? 2 * l->room : 64;
		l->item = realloc(l->item, l->room * sizeof(*l->item));
		if (!l->item)
			err(1, "building a model");
	}
	l->item[l->n++] = item;
}

static void *grow(struct zoo *z, void *old, size_t n, size_t each)
{
	void *p = zoo_alloc(z, (n + 1) * each);

	if (n)
		memcpy(p, old, n * each);
	return p;
}

struct zoo *zoo_new(const char *name, const struct zoo_options *opt)
{
	Onnx__OperatorSetIdProto *set, **sets;
	struct zoo *z = calloc(1, sizeof(*z));

	if (!z)
		err(1, "building a model");
	z->opt = *opt;

	set = zoo_alloc(z, sizeof(*set));
	onnx__operator_set_id_proto__init(set);
	set->domain = zoo_printf(z, "%s", "");
	set->has_version = true;
	set->version = opt->opset;
	sets = zoo_alloc(z, sizeof(*sets));
	sets[0] = set;

	onnx__graph_proto__init(&z->graph);
	z->graph.name = zoo_printf(z, "%s", name);
	onnx__model_proto__init(&z->model);
	z->model.has_ir_version = true;
	z->model.ir_version = IR_VERSION;
	z->model.producer_name = zoo_printf(z, "braid-zoo");
	z->model.n_opset_import = 1;
	z->model.opset_import = sets;
	z->model.graph = &z->graph;
	return z;
}

void zoo_free(struct zoo *z)
{
	struct chunk *c, *next;

	if (!z)
		return;
	for (c = z->chunks; c; c = next) {
		next = c->next;
		free(c);
	}
	free(z->nodes.item);
	free(z->inits.item);
	free(z->inputs.item);
	free(z->outputs.item);
	free(z);
}

const struct zoo_options *zoo_opt(const struct zoo *z)
{
	return &z->opt;
}

void zoo_push(struct zoo *z, const char *fmt, ...)
{
	va_list ap;
	char *s;

	assert(z->depth < MAX_SCOPES);
	va_start(ap, fmt);
	s = zoo_vprintf(z, fmt, ap);
	va_end(ap);
	if (z->depth)
		s = zoo_printf(z, "%s.%s", z->scope[z->depth - 1], s);
	z->scope[z->depth++] = s;
}

void zoo_pop(struct zoo *z)
{
	assert(z->depth > 0);
	z->depth--;
}

const char *zoo_name(struct zoo *z, const char *name)
{
	if (*name == '/')
		return zoo_printf(z, "%s", name + 1);
	if (!z->depth)
		return zoo_printf(z, "%s", name);
	return zoo_printf(z, "%s.%s", z->scope[z->depth - 1], name);
}

const char *zoo_after(struct zoo *z, const struct zoo_value *v, const char *suffix)
{
	return zoo_printf(z, "/%s.%s", v->name, suffix);
}

uint64_t zoo_seed(struct zoo *z, const char *name)
{
	return prng_stream(z->opt.seed, zoo_name(z, name));
}

static struct zoo_value *new_value(struct zoo *z, const char *name, int type, size_t rank,
				   const int64_t *dims)
{
	struct zoo_value *v = zoo_alloc(z, sizeof(*v));

	assert(rank <= ZOO_MAX_RANK);
	v->name = name;
	v->type = type;
	v->rank = rank;
	for (size_t i = 0; i < rank; i++)
		v->dims[i] = dims[i];
	return v;
}

/* A graph input's or output's declaration. */
static Onnx__ValueInfoProto *declare(struct zoo *z, const struct zoo_value *v, const char *name)
{
	Onnx__ValueInfoProto *info = zoo_alloc(z, sizeof(*info));
	Onnx__TypeProto *type = zoo_alloc(z, sizeof(*type));
	Onnx__TypeProto__Tensor *tensor = zoo_alloc(z, sizeof(*tensor));
	Onnx__TensorShapeProto *shape = zoo_alloc(z, sizeof(*shape));

	onnx__tensor_shape_proto__init(shape);
	shape->n_dim = v->rank;
	shape->dim = zoo_alloc(z, v->rank * sizeof(*shape->dim));
	for (int i = 0; i < v->rank; i++) {
		Onnx__TensorShapeProto__Dimension *d = zoo_alloc(z, sizeof(*d));

		onnx__tensor_shape_proto__dimension__init(d);
		if (v->dims[i] == ZOO_FREE) {
			d->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
			d->dim_param = zoo_printf(z, "batch");
		} else {
			d->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
			d->dim_value = v->dims[i];
		}
		shape->dim[i] = d;
	}
	onnx__type_proto__tensor__init(tensor);
	tensor->has_elem_type = true;
	tensor->elem_type = v->type;
	tensor->shape = shape;
	onnx__type_proto__init(type);
	type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
	type->tensor_type = tensor;
	onnx__value_info_proto__init(info);
	info->name = zoo_printf(z, "%s", name);
	info->type = type;
	return info;
}

struct zoo_value *zoo_input(struct zoo *z, const char *name, int type, size_t rank,
			    const int64_t *dims)
{
	struct zoo_value *v = new_value(z, zoo_printf(z, "%s", name), type, rank, dims);

	list_add(&z->inputs, declare(z, v, name));
	return v;
}

/* Give @v's value the outward name @name: its producer's output is renamed. */
void zoo_output(struct zoo *z, const struct zoo_value *v, const char *name)
{
	bool found = false;

	for (size_t i = z->nodes.n; i-- && !found;) {
		Onnx__NodeProto *n = z->nodes.item[i];

		for (size_t j = 0; j < n->n_output; j++) {
			if (strcmp(n->output[j], v->name))
				continue;
			n->output[j] = zoo_printf(z, "%s", name);
			found = true;
		}
	}
	assert(found);
	for (size_t i = 0; i < z->nodes.n; i++) {
		Onnx__NodeProto *n = z->nodes.item[i];

		for (size_t j = 0; j < n->n_input; j++)
			if (!strcmp(n->input[j], v->name))
				n->input[j] = zoo_printf(z, "%s", name);
	}
	list_add(&z->outputs, declare(z, v, name));
}

static struct zoo_value *new_init(struct zoo *z, const char *name, int type, size_t each,
				  size_t rank, const int64_t *dims, void **data)
{
	struct zoo_value *v = new_value(z, zoo_name(z, name), type, rank, dims);
	Onnx__TensorProto *t = zoo_alloc(z, sizeof(*t));
	size_t n = 1;

	onnx__tensor_proto__init(t);
	t->n_dims = rank;
	t->dims = zoo_alloc(z, rank * sizeof(*t->dims));
	for (size_t i = 0; i < rank; i++) {
		t->dims[i] = dims[i];
		n *= dims[i];
	}
	t->has_data_type = true;
	t->data_type = type;
	t->name = zoo_printf(z, "%s", v->name);
	t->has_raw_data = true;
	t->raw_data.len = n * each;
	t->raw_data.data = zoo_alloc(z, n * each);
	*data = t->raw_data.data;
	list_add(&z->inits, t);
	return v;
}

struct zoo_value *zoo_floats(struct zoo *z, const char *name, size_t rank,
			     const int64_t *dims, float **data)
{
	return new_init(z, name, ZOO_FLOAT, sizeof(float), rank, dims, (void **)data);
}

static size_t elems(const struct zoo_value *v)
{
	size_t n = 1;

	for (int i = 0; i < v->rank; i++)
		n *= v->dims[i];
	return n;
}

struct zoo_value *zoo_normal(struct zoo *z, const char *name, size_t rank,
			     const int64_t *dims, double sigma, float **data)
{
	uint64_t seed = zoo_seed(z, name);
	float *w;
	struct zoo_value *v = zoo_floats(z, name, rank, dims, &w);
	size_t n = elems(v);

	for (size_t i = 0; i < n; i++)
		w[i] = prng_normal(prng_at(seed, i), sigma);
	if (data)
		*data = w;
	return v;
}

struct zoo_value *zoo_uniform(struct zoo *z, const char *name, size_t rank,
			      const int64_t *dims, float low, float span)
{
	uint64_t seed = zoo_seed(z, name);
	float *w;
	struct zoo_value *v = zoo_floats(z, name, rank, dims, &w);
	size_t n = elems(v);

	for (size_t i = 0; i < n; i++)
		w[i] = prng_uniform(prng_at(seed, i), low, span);
	return v;
}

struct zoo_value *zoo_scalar(struct zoo *z, const char *name, float value)
{
	float *w;
	struct zoo_value *v = zoo_floats(z, name, 0, NULL, &w);

	w[0] = value;
	return v;
}

struct zoo_value *zoo_int64s(struct zoo *z, const char *name, size_t n, const int64_t *values)
{
	void *data;
	struct zoo_value *v = new_init(z, name, ZOO_INT64, sizeof(int64_t), 1,
				       (const int64_t[]){ n }, &data);

	memcpy(data, values, n * sizeof(*values));
	return v;
}

Onnx__NodeProto *zoo_node(struct zoo *z, const char *name, const char *op,
			  const struct zoo_value *const *in, size_t n_in)
{
	Onnx__NodeProto *n = zoo_alloc(z, sizeof(*n));

	onnx__node_proto__init(n);
	n->name = zoo_printf(z, "%s", zoo_name(z, name));
	n->op_type = zoo_printf(z, "%s", op);
	n->n_input = n_in;
	n->input = zoo_alloc(z, n_in * sizeof(*n->input));
	for (size_t i = 0; i < n_in; i++)
		n->input[i] = zoo_printf(z, "%s", in[i] ? in[i]->name : "");
	list_add(&z->nodes, n);
	return n;
}

static Onnx__AttributeProto *set(struct zoo *z, Onnx__NodeProto *n, const char *name,
				 Onnx__AttributeProto__AttributeType type)
{
	Onnx__AttributeProto *a = zoo_alloc(z, sizeof(*a));

	onnx__attribute_proto__init(a);
	a->name = zoo_printf(z, "%s", name);
	a->has_type = true;
	a->type = type;
	n->attribute = grow(z, n->attribute, n->n_attribute, sizeof(*n->attribute));
	n->attribute[n->n_attribute++] = a;
	return a;
}

void zoo_set_int(struct zoo *z, Onnx__NodeProto *n, const char *name, int64_t v)
{
	Onnx__AttributeProto *a = set(z, n, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);

	a->has_i = true;
	a->i = v;
}

void zoo_set_float(struct zoo *z, Onnx__NodeProto *n, const char *name, float v)
{
	Onnx__AttributeProto *a = set(z, n, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);

	a->has_f = true;
	a->f = v;
}

void zoo_set_string(struct zoo *z, Onnx__NodeProto *n, const char *name, const char *v)
{
	Onnx__AttributeProto *a = set(z, n, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING);

	a->has_s = true;
	a->s.len = strlen(v);
	a->s.data = (uint8_t *)zoo_printf(z, "%s", v);
}

void zoo_set_ints(struct zoo *z, Onnx__NodeProto *n, const char *name, size_t count,
		  const int64_t *v)
{
	Onnx__AttributeProto *a = set(z, n, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);

	a->n_ints = count;
	a->ints = zoo_alloc(z, count * sizeof(*a->ints));
	memcpy(a->ints, v, count * sizeof(*v));
}

struct zoo_value *zoo_out(struct zoo *z, Onnx__NodeProto *n, int type, size_t rank,
			  const int64_t *dims)
{
	char *name = n->n_output ? zoo_printf(z, "%s:%zu", n->name, n->n_output)
				 : zoo_printf(z, "%s", n->name);

	n->output = grow(z, n->output, n->n_output, sizeof(*n->output));
	n->output[n->n_output++] = name;
	return new_value(z, name, type, rank, dims);
}

const Onnx__ModelProto *zoo_model(const struct zoo *z)
{
	struct zoo *w = (struct zoo *)z;

	w->graph.n_node = z->nodes.n;
	w->graph.node = (Onnx__NodeProto **)z->nodes.item;
	w->graph.n_initializer = z->inits.n;
	w->graph.initializer = (Onnx__TensorProto **)z->inits.item;
	w->graph.n_input = z->inputs.n;
	w->graph.input = (Onnx__ValueInfoProto **)z->inputs.item;
	w->graph.n_output = z->outputs.n;
	w->graph.output = (Onnx__ValueInfoProto **)z->outputs.item;
	return &z->model;
}

struct stream {
	ProtobufCBuffer base;
	FILE *f;
};

static void stream_append(ProtobufCBuffer *buf, size_t len, const uint8_t *data)
{
	struct stream *s = (struct stream *)buf;

	fwrite(data, 1, len, s->f);	/* an error stays in ferror() */
}

int zoo_write(const struct zoo *z, FILE *f)
{
	struct stream s = { .base.append = stream_append, .f = f };

	errno = 0;
	onnx__model_proto__pack_to_buffer(zoo_model(z), &s.base);
	if (fflush(f) || ferror(f))
		return errno ? -errno : -EIO;
	return 0;
}
