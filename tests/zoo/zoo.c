// SPDX-License-Identifier: MIT
/*
 * The zoo's models: parameters and operations counted against what the
 * architectures have, files parsed again, bytes reproducible.
 *
 * Expected parameters are torchvision's published counts and BERT's sums;
 * multiply-accumulates are the published ones too, so that strides and paddings
 * are checked, which parameters do not show.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "onnx.pb-c.h"
#include "tests/tap.h"
#include "tools/zoo/models.h"

#define MAX_OPS	20
#define LARGE	(32u << 20)

struct op_count {
	const char *op;
	int n;
};

/**
 * struct expect - what an architecture is known by
 * @name: of the model
 * @parameters: without batch statistics and scalar constants
 * @mmacs: millions of multiply-accumulates in convolutions and Gemm, 0 to skip
 * @inputs: of the graph
 * @outputs: of the graph
 * @ops: the whole histogram of operators
 */
static const struct expect {
	const char *name;
	int64_t parameters;
	double mmacs;
	int inputs, outputs;
	struct op_count ops[MAX_OPS];
} expected[] = {
	{ "resnet50", 25557032, 4089.2, 1, 1,
	  { { "Conv", 53 }, { "BatchNormalization", 53 }, { "Relu", 49 }, { "MaxPool", 1 },
	    { "Add", 16 }, { "GlobalAveragePool", 1 }, { "Flatten", 1 }, { "Gemm", 1 } } },
	{ "mobilenet_v2", 3504872, 300.8, 1, 1,
	  { { "Conv", 52 }, { "BatchNormalization", 52 }, { "Clip", 35 }, { "Add", 10 },
	    { "GlobalAveragePool", 1 }, { "Flatten", 1 }, { "Gemm", 1 } } },
	{ "squeezenet1_1", 1235496, 349.2, 1, 1,
	  { { "Conv", 26 }, { "Relu", 26 }, { "MaxPool", 3 }, { "Concat", 8 },
	    { "GlobalAveragePool", 1 }, { "Flatten", 1 } } },
	{ "efficientnet_b0", 5288548, 385.8, 1, 1,
	  { { "Conv", 81 }, { "BatchNormalization", 49 }, { "Sigmoid", 65 }, { "Mul", 65 },
	    { "GlobalAveragePool", 17 }, { "Add", 9 }, { "Flatten", 1 }, { "Gemm", 1 } } },
	{ "bert_6x384", 22713216, 0, 3, 2,
	  { { "Gather", 4 }, { "Add", 62 }, { "LayerNormalization", 13 }, { "Unsqueeze", 1 },
	    { "Cast", 1 }, { "Sub", 1 }, { "Mul", 13 }, { "MatMul", 48 }, { "Reshape", 24 },
	    { "Transpose", 24 }, { "Div", 12 }, { "Softmax", 6 }, { "Erf", 6 },
	    { "Flatten", 1 }, { "Gemm", 1 }, { "Tanh", 1 } } },
	{ "null", 0, 0, 1, 1, { { "Identity", 1 } } },
	{ "lstm", 36112, 0, 1, 1,
	  { { "Transpose", 3 }, { "LSTM", 1 }, { "Reshape", 1 }, { "MatMul", 1 },
	    { "Add", 1 } } },
	{ "gru", 12298, 0, 2, 2,
	  { { "Transpose", 2 }, { "Unsqueeze", 1 }, { "GRU", 1 }, { "Squeeze", 2 },
	    { "MatMul", 1 }, { "Add", 1 } } },
};

static struct zoo_options defaults(void)
{
	return (struct zoo_options){
		.seed = ZOO_DEFAULT_SEED, .batch = 1, .opset = ZOO_DEFAULT_OPSET,
	};
}

/* The model's bytes as they would be in the file; free() them. */
static char *generate(const char *name, const struct zoo_options *opt, size_t *bytes)
{
	const struct zoo_entry *e = zoo_find(name);
	struct zoo *z = zoo_new(name, opt);
	char *data = NULL;
	FILE *f = open_memstream(&data, bytes);

	e->build(z);
	if (!f || zoo_write(z, f) || fclose(f)) {
		perror("open_memstream");
		exit(1);
	}
	zoo_free(z);
	return data;
}

static Onnx__ModelProto *parse(const char *name, const struct zoo_options *opt)
{
	size_t bytes;
	char *data = generate(name, opt, &bytes);
	Onnx__ModelProto *m = onnx__model_proto__unpack(NULL, bytes, (const uint8_t *)data);

	free(data);
	return m;
}

static bool is_statistic(const Onnx__GraphProto *g, const char *name)
{
	for (size_t i = 0; i < g->n_node; i++) {
		const Onnx__NodeProto *n = g->node[i];

		if (!strcmp(n->op_type, "BatchNormalization") &&
		    (!strcmp(n->input[3], name) || !strcmp(n->input[4], name)))
			return true;
	}
	return false;
}

static int64_t elements(const Onnx__TensorProto *t)
{
	int64_t n = 1;

	for (size_t d = 0; d < t->n_dims; d++)
		n *= t->dims[d];
	return n;
}

static int64_t parameters(const Onnx__GraphProto *g)
{
	int64_t sum = 0;

	for (size_t i = 0; i < g->n_initializer; i++) {
		const Onnx__TensorProto *t = g->initializer[i];

		if (t->data_type == ZOO_FLOAT && t->n_dims && !is_statistic(g, t->name))
			sum += elements(t);
	}
	return sum;
}

static int count_op(const Onnx__GraphProto *g, const char *op)
{
	int n = 0;

	for (size_t i = 0; i < g->n_node; i++)
		n += !strcmp(g->node[i]->op_type, op);
	return n;
}

static const Onnx__TensorProto *initializer(const Onnx__GraphProto *g, const char *name)
{
	for (size_t i = 0; i < g->n_initializer; i++)
		if (!strcmp(g->initializer[i]->name, name))
			return g->initializer[i];
	return NULL;
}

static const Onnx__AttributeProto *attribute(const Onnx__NodeProto *n, const char *name)
{
	for (size_t i = 0; i < n->n_attribute; i++)
		if (!strcmp(n->attribute[i]->name, name))
			return n->attribute[i];
	return NULL;
}

/* A value's height, as far as the network has been walked. */
struct height {
	const char *name;
	int64_t h;
};

static int64_t height_of(const struct height *known, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(known[i].name, name))
			return known[i].h;
	return 0;
}

/*
 * Multiply-accumulates of convolutions and Gemm, from the nodes' attributes
 * alone and not from the builder's shapes. Images are square.
 */
static double mmacs(const Onnx__GraphProto *g, int64_t side)
{
	struct height *known = calloc(g->n_node + 1, sizeof(*known));
	double sum = 0;

	known[0] = (struct height){ g->input[0]->name, side };
	for (size_t i = 0; i < g->n_node; i++) {
		const Onnx__NodeProto *n = g->node[i];
		int64_t h = 0;

		for (size_t j = 0; j < n->n_input; j++) {
			int64_t in = height_of(known, i + 1, n->input[j]);

			h = in > h ? in : h;
		}
		if (!strcmp(n->op_type, "Conv") || !strcmp(n->op_type, "MaxPool")) {
			const int64_t k = attribute(n, "kernel_shape")->ints[0];
			const int64_t s = attribute(n, "strides")->ints[0];
			const int64_t p = attribute(n, "pads")->ints[0];
			const Onnx__AttributeProto *ceil = attribute(n, "ceil_mode");

			h = (h + 2 * p - k + (ceil && ceil->i ? s - 1 : 0)) / s + 1;
		}
		if (!strcmp(n->op_type, "GlobalAveragePool"))
			h = 1;
		if (!strcmp(n->op_type, "Conv") || !strcmp(n->op_type, "Gemm"))
			sum += (double)elements(initializer(g, n->input[1])) * h * h;
		known[i + 1] = (struct height){ n->output[0], h };
	}
	free(known);
	return sum / 1e6;
}

static void test_architecture(const struct expect *e)
{
	const struct zoo_options opt = defaults();
	Onnx__ModelProto *m = parse(e->name, &opt);
	const Onnx__GraphProto *g;
	int known = 0;

	if (!ok(m && m->graph, "%s: the file parses", e->name))
		return;
	g = m->graph;
	ok(m->ir_version == 8 && m->n_opset_import == 1 && m->opset_import[0]->version == 17,
	   "%s: IR version 8, opset 17", e->name);
	is_int(g->n_input, e->inputs, "%s: inputs", e->name);
	is_int(g->n_output, e->outputs, "%s: outputs", e->name);
	is_int(parameters(g), e->parameters, "%s: parameters", e->name);
	for (const struct op_count *c = e->ops; c < e->ops + MAX_OPS && c->op; c++) {
		int n = count_op(g, c->op);

		if (n != c->n)
			is_int(n, c->n, "%s: nodes of %s", e->name, c->op);
		known += n;
	}
	is_int(g->n_node, known, "%s: nodes in all", e->name);
	if (e->mmacs) {
		double got = mmacs(g, 224);

		ok(got > e->mmacs * 0.999 && got < e->mmacs * 1.001,
		   "%s: %.1f million multiply-accumulates, %.1f published", e->name, got,
		   e->mmacs);
	}
	onnx__model_proto__free_unpacked(m, NULL);
}

/* Every input of every node comes before it: initialiser, graph input or output. */
static bool sorted(const Onnx__GraphProto *g)
{
	for (size_t i = 0; i < g->n_node; i++) {
		for (size_t j = 0; j < g->node[i]->n_input; j++) {
			const char *in = g->node[i]->input[j];
			bool found = !*in || initializer(g, in);

			for (size_t k = 0; k < g->n_input && !found; k++)
				found = !strcmp(g->input[k]->name, in);
			for (size_t k = 0; k < i && !found; k++)
				for (size_t o = 0; o < g->node[k]->n_output; o++)
					found |= !strcmp(g->node[k]->output[o], in);
			if (!found) {
				diag("%s reads %s, which nothing before makes",
				     g->node[i]->name, in);
				return false;
			}
		}
	}
	return true;
}

static bool unique_names(const Onnx__GraphProto *g)
{
	for (size_t i = 0; i < g->n_initializer; i++) {
		if (initializer(g, g->initializer[i]->name) != g->initializer[i]) {
			diag("two initialisers are called %s", g->initializer[i]->name);
			return false;
		}
	}
	for (size_t i = 0; i < g->n_node; i++) {
		for (size_t k = 0; k < i; k++) {
			if (!strcmp(g->node[i]->output[0], g->node[k]->output[0])) {
				diag("two nodes make %s", g->node[i]->output[0]);
				return false;
			}
		}
	}
	return true;
}

static void test_bytes(const char *name)
{
	struct zoo_options opt = defaults();
	size_t one, two, other;
	char *a = generate(name, &opt, &one), *b, *c;
	Onnx__ModelProto *m = onnx__model_proto__unpack(NULL, one, (const uint8_t *)a);

	ok(m && sorted(m->graph) && unique_names(m->graph),
	   "%s: nodes are sorted and names unique", name);
	if (m)
		onnx__model_proto__free_unpacked(m, NULL);
	/* The largest take long; tests/zoo.t knows the digests of all. */
	if (one > LARGE) {
		free(a);
		return;
	}
	b = generate(name, &opt, &two);
	ok(one == two && !memcmp(a, b, one), "%s: one seed, one file", name);
	opt.seed++;
	c = generate(name, &opt, &other);
	if (strcmp(name, "null"))
		ok(one == other && memcmp(a, c, one), "%s: another seed, other weights", name);
	free(a);
	free(b);
	free(c);
}

static void test_options(void)
{
	struct zoo_options opt = defaults();
	Onnx__ModelProto *m;

	opt.fold = true;
	m = parse("mobilenet_v2", &opt);
	is_int(count_op(m->graph, "BatchNormalization"), 0, "folded: no batch normalisation");
	/* Each of the 52 pairs of gamma and beta became one bias. */
	is_int(parameters(m->graph), 3504872 - 17056, "folded: a bias for gamma and beta");
	onnx__model_proto__free_unpacked(m, NULL);

	opt = defaults();
	opt.opset = 13;
	m = parse("bert_6x384", &opt);
	is_int(m->opset_import[0]->version, 13, "opset 13 is written");
	is_int(count_op(m->graph, "LayerNormalization"), 0,
	       "opset 13: layer normalisation in primitive nodes");
	is_int(count_op(m->graph, "ReduceMean"), 26, "opset 13: two means a normalisation");
	is_int(parameters(m->graph), 22713216, "opset 13: the same parameters");
	onnx__model_proto__free_unpacked(m, NULL);

	opt = defaults();
	opt.batch = ZOO_FREE;
	opt.size = 64;
	m = parse("tiny_cnn", &opt);
	ok(m->graph->input[0]->type->tensor_type->shape->dim[0]->value_case ==
		   ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM,
	   "a free batch is a named dimension");
	is_int(m->graph->input[0]->type->tensor_type->shape->dim[3]->dim_value, 64,
	       "an image's side can be chosen");
	onnx__model_proto__free_unpacked(m, NULL);
}

int main(void)
{
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
		test_architecture(&expected[i]);
	for (size_t i = 0; i < zoo_n_models; i++)
		test_bytes(zoo_models[i].name);
	test_options();
	ok(!zoo_find("alexnet"), "an unknown name is not found");
	return tap_done();
}
