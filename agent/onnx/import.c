// SPDX-License-Identifier: MIT
/*
 * The importer: walks graph and nodes of a hostile model, keeps the names, has
 * each node translated by its emit function and folded where it is constant.
 * Computes nothing and infers no shape itself.
 */
#include "agent/onnx/import.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/onnx/emit.h"
#include "agent/onnx/scope.h"
#include "agent/onnx/tensor.h"
#include "agent/program/build.h"
#include "agent/program/load.h"
#include "onnx.pb-c.h"

#define MAX_IR_VERSION	13
#define MAX_DEPTH	8	/* of If inside of If */
#define MAX_IO		4096	/* inputs or outputs of a node or the model */

struct import {
	struct build *b;
	const Onnx__ModelProto *model;
	const struct load_config *cfg;
	int64_t opset;
	bool explained;
};

static void run_graph(struct import *im, const Onnx__GraphProto *g, struct scope *s, int depth);

static bool is_default_domain(const char *domain)
{
	return !domain || !domain[0] || !strcmp(domain, "ai.onnx");
}

static const char *text(const char *s)
{
	return s ? s : "";
}

/* ---- model ---- */

static void find_opset(struct import *im)
{
	const Onnx__ModelProto *m = im->model;

	for (size_t i = 0; i < m->n_opset_import; i++) {
		const Onnx__OperatorSetIdProto *o = m->opset_import[i];

		if (!is_default_domain(o->domain))
			continue;
		if (im->opset && im->opset != o->version) {
			build_fail(im->b, -EINVAL, "the default operator set is imported twice");
			return;
		}
		im->opset = o->version;
	}
	if (!m->n_opset_import)
		build_fail(im->b, -EINVAL, "the model imports no operator set");
	else if (im->opset < 0)
		build_fail(im->b, -EINVAL, "opset %lld", (long long)im->opset);
	else if (im->opset > EMIT_OPSET_MAX)
		build_fail(im->b, -EOPNOTSUPP, "opset %lld is newer than %d", (long long)im->opset,
			   EMIT_OPSET_MAX);
}

static void check_model(struct import *im)
{
	const Onnx__ModelProto *m = im->model;

	if (m->ir_version > MAX_IR_VERSION) {
		build_fail(im->b, -EOPNOTSUPP, "IR version %lld is newer than %d",
			   (long long)m->ir_version, MAX_IR_VERSION);
		return;
	}
	/* Functions of other domains matter only where a node calls one. */
	for (size_t i = 0; i < m->n_functions; i++)
		if (is_default_domain(m->functions[i]->domain)) {
			build_fail(im->b, -EOPNOTSUPP,
				   "function '%s' in the operators' own domain is not supported",
				   text(m->functions[i]->name));
			return;
		}
	if (!m->graph)
		build_fail(im->b, -EINVAL, "there is no graph in it");
	else if (m->graph->n_input > MAX_IO + m->graph->n_initializer ||
		 m->graph->n_output > MAX_IO)
		build_fail(im->b, -EINVAL, "the model has %zu inputs and %zu outputs",
			   m->graph->n_input, m->graph->n_output);
}

/* ---- initializers, inputs, outputs ---- */

static void add_initializers(struct import *im, const Onnx__GraphProto *g, struct scope *s)
{
	struct build *b = im->b;

	if (g->n_sparse_initializer)
		build_fail(b, -EOPNOTSUPP, "sparse initializers are not supported");
	for (size_t i = 0; i < g->n_initializer && !b->err; i++) {
		const Onnx__TensorProto *t = g->initializer[i];

		if (!t->name || !t->name[0])
			build_fail(b, -EINVAL, "initializer %zu has no name", i);
		scope_add(b, s, text(t->name), onnx_tensor(b, t, text(t->name)));
	}
}

static const struct load_shape *find_shape(const struct load_config *cfg, const char *name)
{
	for (uint32_t i = 0; i < cfg->n_shapes; i++)
		if (!strcmp(cfg->shapes[i].input, name))
			return &cfg->shapes[i];
	return NULL;
}

static const struct load_const *find_const(const struct load_config *cfg, const char *name)
{
	for (uint32_t i = 0; i < cfg->n_consts; i++)
		if (!strcmp(cfg->consts[i].input, name))
			return &cfg->consts[i];
	return NULL;
}

/* One extent: the file's and the binding's must agree, one of them must tell. */
static int64_t bind_dim(struct import *im, const char *name, size_t axis,
			const Onnx__TensorShapeProto__Dimension *d, const struct load_shape *bind)
{
	int64_t fixed = 0;

	if (d && d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE &&
	    d->dim_value > 0)
		fixed = d->dim_value;	/* 0 and -1 stand for free in many files */
	if (bind && !bind->dims[axis])
		build_fail(im->b, -EOPNOTSUPP,
			   "input '%s': dimension %zu is bound to 0: empty tensors are not supported",
			   name, axis);
	else if (bind && bind->dims[axis] < 1)
		build_fail(im->b, -EINVAL, "input '%s': dimension %zu is bound to %lld", name, axis,
			   (long long)bind->dims[axis]);
	else if (bind && fixed && bind->dims[axis] != fixed)
		build_fail(im->b, -EINVAL,
			   "input '%s': dimension %zu is bound to %lld, but the file fixes it to %lld",
			   name, axis, (long long)bind->dims[axis], (long long)fixed);
	else if (bind)
		return bind->dims[axis];
	else if (!fixed && !axis && im->cfg->batch > 0)
		return im->cfg->batch;
	else if (!fixed)
		build_fail(im->b, -EINVAL,
			   "input '%s': dimension %zu%s%s%s is free, its extent must be given "
			   "(%sshape.%s = ... in the model's .ini; braid-run --shape)", name,
			   axis, d && d->value_case == 2 ? " (" : "",
			   d && d->value_case == 2 ? text(d->dim_param) : "",
			   d && d->value_case == 2 ? ")" : "", axis ? "" : "batch = 1 or ",
			   name);
	return fixed;
}

static void add_input(struct import *im, const Onnx__ValueInfoProto *v, struct scope *s)
{
	const Onnx__TensorShapeProto *shape;
	const struct load_shape *bind;
	const struct load_const *fixed;
	int64_t dims[PROG_MAX_RANK];
	struct build *b = im->b;
	enum braid_type type;
	uint32_t rank, t;

	bind = find_shape(im->cfg, v->name);
	fixed = find_const(im->cfg, v->name);
	if (!v->type || v->type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE ||
	    !v->type->tensor_type) {
		build_fail(b, -EOPNOTSUPP, "input '%s' is not a tensor", v->name);
		return;
	}
	type = (enum braid_type)v->type->tensor_type->elem_type;
	if (!prog_type_size(type)) {
		build_fail(b, -EOPNOTSUPP, "input '%s' is of type %s, which is not supported",
			   v->name, prog_type_name((int)type));
		return;
	}
	shape = v->type->tensor_type->shape;
	if (!shape && !bind) {
		build_fail(b, -EINVAL, "input '%s' has no shape in the file, it must be given "
			   "(shape.%s = ... in the model's .ini; braid-run --shape)",
			   v->name, v->name);
		return;
	}
	if (shape && shape->n_dim > PROG_MAX_RANK) {
		build_fail(b, -EOPNOTSUPP, "input '%s' has rank %zu, above %u", v->name,
			   shape->n_dim, PROG_MAX_RANK);
		return;
	}
	rank = shape ? shape->n_dim : bind->rank;
	if ((bind && bind->rank != rank) || rank > PROG_MAX_RANK) {
		build_fail(b, -EINVAL, "input '%s' is bound to rank %u, the file says %u", v->name,
			   bind->rank, rank);
		return;
	}
	for (uint32_t i = 0; i < rank; i++)
		dims[i] = bind_dim(im, v->name, i, shape ? shape->dim[i] : NULL, bind);
	if (b->err)
		return;
	t = fixed ? build_fill(b, type, rank, dims, fixed->value) :
		    build_input(b, v->name, type, rank, dims);
	if (b->err)
		return;
	scope_add(b, s, v->name, t);
}

/* Is what the configuration names there at all? */
static void check_bindings(struct import *im, const Onnx__GraphProto *g)
{
	const struct load_config *cfg = im->cfg;

	for (uint32_t i = 0; i < cfg->n_shapes + cfg->n_consts; i++) {
		const char *name = i < cfg->n_shapes ? cfg->shapes[i].input :
						       cfg->consts[i - cfg->n_shapes].input;
		size_t k;

		for (k = 0; k < g->n_input; k++)
			if (!strcmp(text(g->input[k]->name), name))
				break;
		if (k == g->n_input)
			build_fail(im->b, -EINVAL, "the model has no input '%s' to bind", name);
	}
}

static void add_inputs(struct import *im, const Onnx__GraphProto *g, struct scope *s)
{
	struct build *b = im->b;

	check_bindings(im, g);
	for (size_t i = 0; i < g->n_input && !b->err; i++) {
		const Onnx__ValueInfoProto *v = g->input[i];
		uint32_t t = scope_find(s, text(v->name));

		if (!v->name || !v->name[0])
			build_fail(b, -EINVAL, "input %zu has no name", i);
		/* Before IR version 4 every initializer had to be an input as well. */
		else if (t == PROG_NONE)
			add_input(im, v, s);
		else if (build_t(b, t)->from == BUILD_FROM_INPUT)
			build_fail(b, -EINVAL, "input '%s' is named twice", v->name);
	}
}

static void add_outputs(struct import *im, const Onnx__GraphProto *g, struct scope *s)
{
	struct build *b = im->b;

	if (!g->n_output)
		build_fail(b, -EINVAL, "the model has no outputs");
	for (size_t i = 0; i < g->n_output && !b->err; i++) {
		const Onnx__ValueInfoProto *v = g->output[i];
		const Onnx__TypeProto *type = v->type;
		uint32_t t;

		if (!v->name || !v->name[0]) {
			build_fail(b, -EINVAL, "output %zu has no name", i);
			return;
		}
		for (uint32_t k = 0; k < b->n_outputs; k++)
			if (!strcmp(b->outputs[k].name, v->name)) {
				build_fail(b, -EINVAL, "output '%s' is named twice", v->name);
				return;
			}
		t = scope_find(s, v->name);
		if (t == PROG_NONE) {
			build_fail(b, -EINVAL, "output '%s' is written by no node", v->name);
			return;
		}
		if (!build_t(b, t)->elems) {
			build_fail(b, -EOPNOTSUPP,
				   "output '%s' is empty: empty tensors are not supported", v->name);
			return;
		}
		if (type && type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE &&
		    type->tensor_type && type->tensor_type->elem_type &&
		    type->tensor_type->elem_type != (int)build_t(b, t)->type) {
			build_fail(b, -EINVAL, "output '%s' is of type %s, the file says %s",
				   v->name, prog_type_name((int)build_t(b, t)->type),
				   prog_type_name(type->tensor_type->elem_type));
			return;
		}
		build_output(b, v->name, t);
	}
}

/* ---- nodes ---- */

/* Put operator, node and opset before the words of a failure. */
static void explain(struct import *im, const Onnx__NodeProto *n, const char *node)
{
	struct build *b = im->b;
	char words[sizeof(b->why)];

	/* Inside of an If the node that failed says it, not those around it. */
	if (im->explained)
		return;
	im->explained = true;
	snprintf(words, sizeof(words), "%s", b->why);
	snprintf(b->why, sizeof(b->why), "operator %.64s%s%.64s (opset %lld), node '%.96s': %.240s",
		 is_default_domain(n->domain) ? "" : n->domain,
		 is_default_domain(n->domain) ? "" : "::", text(n->op_type),
		 (long long)im->opset, node, words);
}

static void check_node(struct import *im, const Onnx__NodeProto *n)
{
	struct build *b = im->b;

	if (!n->op_type || !n->op_type[0])
		build_fail(b, -EINVAL, "it has no operator");
	if (!is_default_domain(n->domain))
		build_fail(b, -EOPNOTSUPP, "operators of other domains are not supported");
	if (n->n_attribute > 64)
		build_fail(b, -EINVAL, "it has %zu attributes", n->n_attribute);
	if (n->n_input > MAX_IO || n->n_output > MAX_IO)
		build_fail(b, -EINVAL, "it has %zu inputs and %zu outputs", n->n_input, n->n_output);
	for (size_t i = 0; i < n->n_attribute && !b->err; i++) {
		const Onnx__AttributeProto *a = n->attribute[i];

		if (!a->name || !a->name[0])
			build_fail(b, -EINVAL, "attribute %zu has no name", i);
		else if (a->ref_attr_name && a->ref_attr_name[0])
			build_fail(b, -EINVAL, "attribute '%s' refers to a function's", a->name);
		for (size_t k = 0; k < i && !b->err; k++)
			if (!strcmp(a->name, n->attribute[k]->name))
				build_fail(b, -EINVAL, "attribute '%s' is given twice", a->name);
	}
}

static const Onnx__GraphProto *branch(const Onnx__NodeProto *n, const char *name)
{
	for (size_t i = 0; i < n->n_attribute; i++)
		if (!strcmp(n->attribute[i]->name, name))
			return n->attribute[i]->g;
	return NULL;
}

/* If: the branch that is taken, in place of the node. */
static void run_if(struct import *im, const Onnx__NodeProto *n, const uint32_t *in,
		   uint32_t *out, const struct scope *s, int depth)
{
	struct scope inner = { .outer = s };
	const Onnx__GraphProto *g;
	struct build *b = im->b;
	const struct build_tensor *cond;

	if (n->n_input != 1 || in[0] == PROG_NONE) {
		build_fail(b, -EINVAL, "it has %zu inputs", n->n_input);
		return;
	}
	cond = build_t(b, in[0]);
	if (cond->from != BUILD_FROM_CONST || cond->elems != 1) {
		build_fail(b, -EOPNOTSUPP,
			   "the condition must be known when the model is loaded");
		return;
	}
	g = branch(n, build_elem(b, in[0], 0) != 0 ? "then_branch" : "else_branch");
	if (!g || g->n_output != n->n_output || g->n_input) {
		build_fail(b, -EINVAL, "its branches do not fit it");
		return;
	}
	if (depth >= MAX_DEPTH) {
		build_fail(b, -EOPNOTSUPP, "subgraphs are nested more than %d deep", MAX_DEPTH);
		return;
	}
	run_graph(im, g, &inner, depth + 1);
	for (size_t i = 0; i < g->n_output && !b->err; i++) {
		out[i] = scope_find(&inner, text(g->output[i]->name));
		if (out[i] == PROG_NONE)
			build_fail(b, -EINVAL, "output '%s' of its branch is written by no node",
				   text(g->output[i]->name));
	}
	scope_free(&inner);
}

static void run_emit(struct import *im, struct emit *e)
{
	const Onnx__NodeProto *n = e->node;
	struct build *b = im->b;
	const struct emit_op *op;
	uint32_t first = b->n_ops;
	bool known = false;

	if (!im->opset) {
		build_fail(b, -EINVAL, "the model does not import the operator set that it is from");
		return;
	}
	op = emit_find(n->op_type, im->opset, &known);
	if (!op) {
		build_fail(b, -EOPNOTSUPP, known ? "the operator is not supported at this opset" :
						   "the operator is not supported");
		return;
	}
	if (!e->n_out || e->n_in < op->min_in || e->n_in > op->max_in || e->n_out > op->max_out) {
		build_fail(b, -EINVAL, "it has %u inputs and %u outputs", e->n_in, e->n_out);
		return;
	}
	for (uint32_t i = 0; i < op->min_in; i++)
		if (e->in[i] == PROG_NONE) {
			build_fail(b, -EINVAL, "input %u is missing", i);
			return;
		}
	op->emit(e);
	for (size_t i = 0; i < n->n_attribute; i++)
		if (!(e->asked >> i & 1))
			build_fail(b, -EOPNOTSUPP, "attribute '%s' is not supported",
				   n->attribute[i]->name);
	if (!b->err)
		build_fold(b, first, e->n_out, e->out);
}

static void run_node(struct import *im, const Onnx__NodeProto *n, size_t number,
		     struct scope *s, int depth)
{
	struct build *b = im->b;
	struct emit e = { .b = b, .node = n, .opset = im->opset };
	char anonymous[32];
	uint32_t *in, *out;
	const char *node = n->name;

	if (!node || !node[0]) {
		snprintf(anonymous, sizeof(anonymous), "#%zu", number);
		node = build_strdup(b, anonymous);
	}
	check_node(im, n);
	if (b->err)
		goto out;
	in = build_alloc(b, (n->n_input + 1) * sizeof(*in));
	out = build_alloc(b, (n->n_output + 1) * sizeof(*out));
	if (b->err)
		goto out;
	for (size_t i = 0; i < n->n_input && !b->err; i++) {
		in[i] = PROG_NONE;
		if (!n->input[i][0])
			continue;
		in[i] = scope_find(s, n->input[i]);
		if (in[i] == PROG_NONE)
			build_fail(b, -EINVAL,
				   "input '%s' is written by no node before it (a cycle, or out of order)",
				   n->input[i]);
		e.n_in = i + 1;
	}
	for (size_t i = 0; i < n->n_output; i++) {
		out[i] = PROG_NONE;
		if (n->output[i][0])
			e.n_out = i + 1;
	}
	if (b->err)
		goto out;
	b->node = node;
	b->op_type = n->op_type;
	e.in = in;
	e.out = out;
	if (!strcmp(n->op_type, "If"))
		run_if(im, n, in, out, s, depth);
	else
		run_emit(im, &e);
	for (uint32_t i = 0; i < e.n_out && !b->err; i++) {
		if (!n->output[i][0])
			continue;
		if (out[i] == PROG_NONE || build_t(b, out[i])->from == BUILD_FROM_NOTHING)
			build_fail(b, -EOPNOTSUPP, "output %u ('%s') is not supported", i,
				   n->output[i]);
		scope_add(b, s, n->output[i], out[i]);
	}
out:
	if (b->err)
		explain(im, n, text(node));
}

/* The nodes of a graph, and what must stand before them. */
static void run_graph(struct import *im, const Onnx__GraphProto *g, struct scope *s, int depth)
{
	add_initializers(im, g, s);
	if (!depth)
		add_inputs(im, g, s);
	for (size_t i = 0; i < g->n_node && !im->b->err; i++)
		run_node(im, g->node[i], i, s, depth);
}

void onnx_import(struct build *b, const Onnx__ModelProto *model, const struct load_config *cfg)
{
	struct import im = { .b = b, .model = model, .cfg = cfg };
	struct scope names = { 0 };

	check_model(&im);
	if (!b->err)
		find_opset(&im);
	if (!b->err) {
		run_graph(&im, model->graph, &names, 0);
		if (!b->err)
			add_outputs(&im, model->graph, &names);
	}
	b->node = NULL;
	b->op_type = NULL;
	scope_free(&names);
}
