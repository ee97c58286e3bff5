// SPDX-License-Identifier: MIT
/*
 * Small models for tests and for measuring everything but the model.
 *
 * tiny_cnn has each kind of node that the image networks have: strided, 1x1,
 * grouped and depthwise convolutions, batch normalisation, three activations,
 * a residual, a concatenation, pools, squeeze-excite, a classifier.
 */
#include "layers.h"
#include "models.h"

static struct zoo_value *softmax(struct zoo *z, const char *name, struct zoo_value *x)
{
	Onnx__NodeProto *n = zoo_node(z, name, "Softmax", ZOO_INPUTS(x));

	zoo_set_int(z, n, "axis", -1);
	return zoo_out(z, n, x->type, x->rank, x->dims);
}

void build_tiny_cnn(struct zoo *z)
{
	struct zoo_value *x = image(z, 3, 32), *y, *left, *right;

	x = relu(z, conv(z, "stem", x, .out = 16, .kernel = 3, .stride = 2, .pad = 1,
			 .bn = "stem_bn"));
	zoo_push(z, "residual");
	y = relu6(z, conv(z, "expand", x, .out = 32, .kernel = 1, .bn = "expand_bn"));
	y = silu(z, conv(z, "depthwise", y, .out = 32, .kernel = 3, .pad = 1, .groups = 32,
			 .bn = "depthwise_bn"));
	y = squeeze_excite(z, "se", y, 8);
	y = conv(z, "project", y, .out = 16, .kernel = 1, .bn = "project_bn");
	x = relu(z, add(z, "add", x, y));
	zoo_pop(z);
	x = max_pool(z, "pool", x, 1, false);
	left = relu(z, conv(z, "left", x, .out = 16, .kernel = 1));
	right = relu(z, conv(z, "right", x, .out = 16, .kernel = 3, .pad = 1, .groups = 4));
	x = global_pool(z, "avgpool", concat(z, "concat", left, right));
	zoo_output(z, linear(z, "fc", flatten(z, "flatten", x), 10), "output");
}

void build_tiny_mlp(struct zoo *z)
{
	struct zoo_value *x = features(z, 64);

	x = relu(z, linear(z, "fc1", x, 128));
	x = linear(z, "fc2", x, 32);
	zoo_output(z, softmax(z, "softmax", x), "output");
}

void build_null(struct zoo *z)
{
	struct zoo_value *x = zoo_input(z, "input", ZOO_FLOAT, ZOO_DIMS(1));
	Onnx__NodeProto *n = zoo_node(z, "identity", "Identity", ZOO_INPUTS(x));

	zoo_output(z, zoo_out(z, n, ZOO_FLOAT, ZOO_DIMS(1)), "output");
}
