// SPDX-License-Identifier: MIT
/*
 * Models that are wrong: each must be refused with the right errno and with
 * words that name what is wrong.
 *
 * Models are made of messages on the stack, one good model (relu of an input
 * plus an initializer) that each case spoils in one way.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/program/load.h"
#include "onnx.pb-c.h"
#include "tests/tap.h"

#define NESTED	10

struct mini {
	Onnx__ModelProto m;
	Onnx__GraphProto g, inner, branch[NESTED];
	Onnx__OperatorSetIdProto opset, *opsets[2];
	Onnx__NodeProto node[2], *nodes[2], inner_node[NESTED], *inner_nodes[NESTED];
	char *in[2][3], *out[2][2], *inner_in[NESTED][1], *inner_out[NESTED][1];
	Onnx__AttributeProto attr[2], *attrs[2], branch_attr[NESTED][2], *branch_attrs[NESTED][2];
	Onnx__ValueInfoProto x, y, *xs[2], *ys[2], *inner_ys[NESTED];
	Onnx__TypeProto type;
	Onnx__TypeProto__Tensor tensor;
	Onnx__TensorShapeProto shape;
	Onnx__TensorShapeProto__Dimension dim[9], *dims[9];
	Onnx__TensorProto w, *ws[2];
	Onnx__SparseTensorProto sparse, *sparses[1];
	Onnx__FunctionProto function, *functions[1];
	Onnx__StringStringEntryProto entry, *entries[1];
	int64_t w_dims[2];
	float w_data[4];
	uint8_t cond;
};

static void good(struct mini *s)
{
	memset(s, 0, sizeof(*s));
	onnx__model_proto__init(&s->m);
	onnx__graph_proto__init(&s->g);
	onnx__operator_set_id_proto__init(&s->opset);
	onnx__value_info_proto__init(&s->x);
	onnx__value_info_proto__init(&s->y);
	onnx__type_proto__init(&s->type);
	onnx__type_proto__tensor__init(&s->tensor);
	onnx__tensor_shape_proto__init(&s->shape);
	onnx__tensor_proto__init(&s->w);
	onnx__sparse_tensor_proto__init(&s->sparse);
	onnx__function_proto__init(&s->function);
	onnx__string_string_entry_proto__init(&s->entry);
	for (int i = 0; i < 2; i++) {
		onnx__node_proto__init(&s->node[i]);
		onnx__attribute_proto__init(&s->attr[i]);
		s->nodes[i] = &s->node[i];
		s->attrs[i] = &s->attr[i];
		s->node[i].input = s->in[i];
		s->node[i].output = s->out[i];
		s->node[i].n_input = s->node[i].n_output = 1;
		s->node[i].attribute = s->attrs;
	}
	for (int i = 0; i < 9; i++) {
		onnx__tensor_shape_proto__dimension__init(&s->dim[i]);
		s->dims[i] = &s->dim[i];
		s->dim[i].value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
		s->dim[i].dim_value = i ? 4 : 1;
	}
	s->m.has_ir_version = 1;
	s->m.ir_version = 8;
	s->m.graph = &s->g;
	s->m.n_opset_import = 1;
	s->m.opset_import = s->opsets;
	s->opsets[0] = s->opsets[1] = &s->opset;
	s->opset.has_version = 1;
	s->opset.version = 13;

	s->g.name = "g";
	s->g.n_node = 2;
	s->g.node = s->nodes;
	s->g.n_input = s->g.n_output = s->g.n_initializer = 1;
	s->g.input = s->xs;
	s->g.output = s->ys;
	s->g.initializer = s->ws;
	s->xs[0] = s->xs[1] = &s->x;
	s->ys[0] = s->ys[1] = &s->y;
	s->ws[0] = s->ws[1] = &s->w;
	s->x.name = "x";
	s->y.name = "y";
	s->x.type = &s->type;
	s->type.value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
	s->type.tensor_type = &s->tensor;
	s->tensor.has_elem_type = 1;
	s->tensor.elem_type = 1;
	s->tensor.shape = &s->shape;
	s->shape.n_dim = 2;
	s->shape.dim = s->dims;

	s->w.name = "w";
	s->w.has_data_type = 1;
	s->w.data_type = 1;
	s->w.n_dims = 1;
	s->w.dims = s->w_dims;
	s->w_dims[0] = 4;
	s->w.n_float_data = 4;
	s->w.float_data = s->w_data;

	s->node[0].op_type = "Add";
	s->node[0].name = "first";
	s->node[0].n_input = 2;
	s->in[0][0] = "x";
	s->in[0][1] = "w";
	s->out[0][0] = "h";
	s->node[1].op_type = "Relu";
	s->node[1].name = "second";
	s->in[1][0] = "h";
	s->out[1][0] = "y";

	s->sparses[0] = &s->sparse;
	s->functions[0] = &s->function;
	s->entries[0] = &s->entry;
	s->attr[0].has_type = s->attr[1].has_type = 1;
	s->attr[0].type = s->attr[1].type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT;
	s->attr[0].name = s->attr[1].name = "axis";
}

/* ---- one way to be wrong each ---- */

static void nothing(struct mini *s)
{
}

static void no_graph(struct mini *s)
{
	s->m.graph = NULL;
}

static void no_opset(struct mini *s)
{
	s->m.n_opset_import = 0;
}

static void new_opset(struct mini *s)
{
	s->opset.version = 1000;
}

static void new_ir(struct mini *s)
{
	s->m.ir_version = 1000;
}

static void no_outputs(struct mini *s)
{
	s->g.n_output = 0;
}

static void twice_output(struct mini *s)
{
	s->g.n_output = 2;
}

static void twice_input(struct mini *s)
{
	s->g.n_input = 2;
}

static void twice_initializer(struct mini *s)
{
	s->g.n_initializer = 2;
}

static void twice_value(struct mini *s)
{
	s->out[1][0] = "h";
}

static void shadow_input(struct mini *s)
{
	s->out[0][0] = "x";
}

static void nameless_output(struct mini *s)
{
	s->y.name = "";
}

static void unwritten_output(struct mini *s)
{
	s->y.name = "z";
}

static void missing_value(struct mini *s)
{
	s->in[1][0] = "nowhere";
}

static void missing_input(struct mini *s)
{
	s->in[1][0] = "";
}

static void no_node_output(struct mini *s)
{
	s->out[0][0] = "";
}

static void no_operator(struct mini *s)
{
	s->node[1].op_type = NULL;
}

static void unknown_operator(struct mini *s)
{
	s->node[1].op_type = "Frobnicate";
}

static void too_many_inputs(struct mini *s)
{
	s->node[0].n_input = 3;
	s->in[0][2] = "x";
}

static void foreign_domain(struct mini *s)
{
	s->node[1].domain = "com.example";
}

static void loop(struct mini *s)
{
	s->node[1].op_type = "Loop";
}

static void cycle(struct mini *s)
{
	s->in[0][0] = "y";
}

static void out_of_order(struct mini *s)
{
	s->nodes[0] = &s->node[1];
	s->nodes[1] = &s->node[0];
}

static void function(struct mini *s)
{
	s->m.n_functions = 1;
	s->m.functions = s->functions;
	s->function.name = "Relu";
	s->function.domain = "";
}

static void sparse(struct mini *s)
{
	s->g.n_sparse_initializer = 1;
	s->g.sparse_initializer = s->sparses;
}

static void external(struct mini *s)
{
	s->w.has_data_location = 1;
	s->w.data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
	s->w.n_external_data = 1;
	s->w.external_data = s->entries;
	s->entry.key = "location";
	s->entry.value = "../../etc/passwd";
}

static void short_typed(struct mini *s)
{
	s->w.n_float_data = 3;
}

static void wrong_field(struct mini *s)
{
	s->w.data_type = 7;
}

static void string_tensor(struct mini *s)
{
	s->w.data_type = 8;
}

static void negative_dim(struct mini *s)
{
	s->w_dims[0] = -4;
}

static void short_raw(struct mini *s)
{
	s->w.n_float_data = 0;
	s->w.has_raw_data = 1;
	s->w.raw_data.data = (uint8_t *)s->w_data;
	s->w.raw_data.len = 15;
}

static void double_data(struct mini *s)
{
	short_raw(s);
	s->w.raw_data.len = 16;
	s->w.n_float_data = 4;
}

static void overflowing_dims(struct mini *s)
{
	s->w.n_dims = 2;
	s->w_dims[0] = s->w_dims[1] = INT64_MAX / 2;
}

static void many_dims(struct mini *s)
{
	s->shape.n_dim = 9;
}

static void huge_input(struct mini *s)
{
	s->dim[0].dim_value = s->dim[1].dim_value = 1LL << 31;
}

static void free_dim(struct mini *s)
{
	s->dim[1].dim_value = -1;
}

static void no_type(struct mini *s)
{
	s->x.type = NULL;
}

static void string_input(struct mini *s)
{
	s->tensor.elem_type = 8;
}

static void no_broadcast(struct mini *s)
{
	s->w_dims[0] = 3;
	s->w.n_float_data = 3;
}

static void control_name(struct mini *s)
{
	s->in[1][0] = "a\nb\033[2J";
}

static void unknown_attribute(struct mini *s)
{
	s->node[1].n_attribute = 1;
	s->attr[0].name = "secret";
}

static void twice_attribute(struct mini *s)
{
	s->node[1].op_type = "Softmax";
	s->node[1].n_attribute = 2;
}

static void attribute_type(struct mini *s)
{
	s->node[1].op_type = "Softmax";
	s->node[1].n_attribute = 1;
	s->attr[0].type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT;
}

static void stray_axis(struct mini *s)
{
	s->node[1].op_type = "Softmax";
	s->node[1].n_attribute = 1;
	s->attr[0].has_i = 1;
	s->attr[0].i = 7;
}

static void nameless_attribute(struct mini *s)
{
	s->node[1].n_attribute = 1;
	s->attr[0].name = NULL;
}

/* Relu in a branch of If in a branch of If ... */
static void nest(struct mini *s, int depth)
{
	Onnx__NodeProto *outer = &s->node[1];

	s->ws[1] = &s->w;
	for (int i = 0; i < depth; i++) {
		outer->op_type = "If";
		outer->n_input = 1;
		outer->input[0] = "c";
		outer->n_attribute = 2;
		outer->attribute = s->branch_attrs[i];
		onnx__graph_proto__init(&s->branch[i]);
		for (int k = 0; k < 2; k++) {
			onnx__attribute_proto__init(&s->branch_attr[i][k]);
			s->branch_attrs[i][k] = &s->branch_attr[i][k];
			s->branch_attr[i][k].name = k ? "else_branch" : "then_branch";
			s->branch_attr[i][k].has_type = 1;
			s->branch_attr[i][k].type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH;
			s->branch_attr[i][k].g = &s->branch[i];
		}
		onnx__node_proto__init(&s->inner_node[i]);
		s->inner_nodes[i] = &s->inner_node[i];
		s->branch[i].n_node = 1;
		s->branch[i].node = &s->inner_nodes[i];
		s->branch[i].n_output = 1;
		s->branch[i].output = &s->inner_ys[i];
		s->inner_ys[i] = &s->y;
		outer = &s->inner_node[i];
		outer->op_type = "Relu";
		outer->n_input = outer->n_output = 1;
		outer->input = s->inner_in[i];
		outer->output = s->inner_out[i];
		outer->input[0] = "h";
		outer->output[0] = "y";
	}
}

/* The condition: an initializer instead of w, which the sum does without. */
static void known_condition(struct mini *s)
{
	nest(s, 1);
	s->in[0][1] = "x";
	s->w.name = "c";
	s->w.data_type = 9;
	s->w.n_dims = 0;
	s->w.n_float_data = 0;
	s->w.has_raw_data = 1;
	s->w.raw_data.data = &s->cond;
	s->w.raw_data.len = 1;
}

static void unknown_condition(struct mini *s)
{
	nest(s, 1);
	s->in[1][0] = "h";
}

static void deep_subgraphs(struct mini *s)
{
	known_condition(s);
	nest(s, NESTED);
}

static void no_branch(struct mini *s)
{
	known_condition(s);
	s->node[1].n_attribute = 0;
}

static const struct {
	const char *what;
	void (*spoil)(struct mini *s);
	int err;
	const char *words;
} cases[] = {
	{ "the good model", nothing, 0, "" },
	{ "If with a known condition", known_condition, 0, "" },
	{ "no graph", no_graph, -EINVAL, "no graph" },
	{ "no operator set", no_opset, -EINVAL, "operator set" },
	{ "opset from the future", new_opset, -EOPNOTSUPP, "opset 1000" },
	{ "IR version from the future", new_ir, -EOPNOTSUPP, "IR version 1000" },
	{ "no outputs", no_outputs, -EINVAL, "no outputs" },
	{ "an output named twice", twice_output, -EINVAL, "output 'y' is named twice" },
	{ "an input named twice", twice_input, -EINVAL, "input 'x' is named twice" },
	{ "an initializer twice", twice_initializer, -EINVAL, "'w' is defined twice" },
	{ "a value written twice", twice_value, -EINVAL, "'h' is defined twice" },
	{ "an input that is written", shadow_input, -EINVAL, "'x' is defined twice" },
	{ "an output without a name", nameless_output, -EINVAL, "output 0 has no name" },
	{ "an output that is not written", unwritten_output, -EINVAL, "output 'z'" },
	{ "a value from nowhere", missing_value, -EINVAL, "input 'nowhere'" },
	{ "an input left out", missing_input, -EINVAL, "node 'second'" },
	{ "a node without outputs", no_node_output, -EINVAL, "2 inputs and 0 outputs" },
	{ "a node without operator", no_operator, -EINVAL, "no operator" },
	{ "an unknown operator", unknown_operator, -EOPNOTSUPP, "operator Frobnicate (opset 13)" },
	{ "too many inputs", too_many_inputs, -EINVAL, "3 inputs" },
	{ "another domain", foreign_domain, -EOPNOTSUPP, "com.example::Relu" },
	{ "Loop", loop, -EOPNOTSUPP, "operator Loop" },
	{ "a cycle", cycle, -EINVAL, "input 'y' is written by no node before it" },
	{ "nodes out of order", out_of_order, -EINVAL, "input 'h' is written by no node before it" },
	{ "a function", function, -EOPNOTSUPP, "function 'Relu'" },
	{ "a sparse initializer", sparse, -EOPNOTSUPP, "sparse" },
	{ "data in another file", external, -EOPNOTSUPP, "tensor 'w': its data is in another file" },
	{ "too few elements", short_typed, -EINVAL, "'w' holds 3 elements, its shape 4" },
	{ "elements in another field", wrong_field, -EINVAL, "'w' holds 0 elements" },
	{ "a tensor of strings", string_tensor, -EOPNOTSUPP, "string is not supported" },
	{ "a negative dimension", negative_dim, -EINVAL, "dimension 0 is -4" },
	{ "too few raw bytes", short_raw, -EINVAL, "'w' holds 15 bytes, its shape 16" },
	{ "data given twice", double_data, -EINVAL, "twice" },
	{ "dimensions that overflow", overflowing_dims, -EINVAL, "tensor 'w': dimension" },
	{ "rank 9", many_dims, -EOPNOTSUPP, "rank 9" },
	{ "an input of exabytes", huge_input, -EINVAL, "too large" },
	{ "a free dimension", free_dim, -EINVAL, "dimension 1 is free" },
	{ "an input without type", no_type, -EOPNOTSUPP, "input 'x' is not a tensor" },
	{ "an input of strings", string_input, -EOPNOTSUPP, "string, which is not" },
	{ "shapes that do not broadcast", no_broadcast, -EINVAL, "node 'first'" },
	{ "a name for the terminal", control_name, -EINVAL, "input 'a?b?[2J'" },
	{ "an attribute nobody knows", unknown_attribute, -EOPNOTSUPP, "attribute 'secret'" },
	{ "an attribute twice", twice_attribute, -EINVAL, "'axis' is given twice" },
	{ "an attribute of another type", attribute_type, -EINVAL, "attribute 'axis' has type" },
	{ "an axis out of range", stray_axis, -EINVAL, "axis 7" },
	{ "an attribute without name", nameless_attribute, -EINVAL, "attribute 0 has no name" },
	{ "If with an unknown condition", unknown_condition, -EOPNOTSUPP, "condition must be known" },
	{ "If in If, ten deep", deep_subgraphs, -EOPNOTSUPP, "nested more than" },
	{ "If without branches", no_branch, -EINVAL, "branches" },
};

static void try_case(size_t i)
{
	struct load_config cfg = { .passes = true };
	struct program *p = NULL;
	char why[600] = "";
	const char *done;
	struct mini s;
	uint8_t *bytes;
	size_t n;
	int ret;

	good(&s);
	cases[i].spoil(&s);
	n = onnx__model_proto__get_packed_size(&s.m);
	bytes = malloc(n);
	onnx__model_proto__pack(&s.m, bytes);
	ret = program_load_mem(bytes, n, "file", &cfg, &p, why, sizeof(why));
	done = ret ? "refused" : "loads";
	if (!ok(ret == cases[i].err && strstr(why, cases[i].words) && !p == !!ret,
		"%s: %s", cases[i].what, done))
		diag("returned %d, expected %d: %s", ret, cases[i].err, why);
	program_free(p);
	free(bytes);
}

int main(void)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		try_case(i);
	return tap_done();
}
