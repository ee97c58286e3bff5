// SPDX-License-Identifier: MIT
/*
 * SqueezeNet 1.1, as torchvision builds it: no batch normalisation, pools that
 * round up.
 *
 * Source: Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer
 * parameters", 2016; version 1.1 moves the pools forward.
 */
#include "layers.h"
#include "models.h"

static struct zoo_value *fire(struct zoo *z, struct zoo_value *x, int squeeze, int expand)
{
	struct zoo_value *one, *three;

	x = relu(z, conv(z, "squeeze", x, .out = squeeze, .kernel = 1));
	one = relu(z, conv(z, "expand1x1", x, .out = expand, .kernel = 1));
	three = relu(z, conv(z, "expand3x3", x, .out = expand, .kernel = 3, .pad = 1));
	return concat(z, "concat", one, three);
}

void build_squeezenet1_1(struct zoo *z)
{
	/* The number of the layer in torchvision's list, a pool where squeeze is 0. */
	static const struct { int layer, squeeze, expand; } layers[] = {
		{ 2, 0, 0 }, { 3, 16, 64 }, { 4, 16, 64 },
		{ 5, 0, 0 }, { 6, 32, 128 }, { 7, 32, 128 },
		{ 8, 0, 0 }, { 9, 48, 192 }, { 10, 48, 192 }, { 11, 64, 256 }, { 12, 64, 256 },
	};
	struct zoo_value *x = image(z, 3, 224);

	zoo_push(z, "features");
	x = relu(z, conv(z, "0", x, .out = 64, .kernel = 3, .stride = 2));
	for (size_t i = 0; i < sizeof(layers) / sizeof(layers[0]); i++) {
		if (!layers[i].squeeze) {
			x = max_pool(z, zoo_printf(z, "%d", layers[i].layer), x, 0, true);
			continue;
		}
		zoo_push(z, "%d", layers[i].layer);
		x = fire(z, x, layers[i].squeeze, layers[i].expand);
		zoo_pop(z);
	}
	zoo_pop(z);
	/* Sparse: after rectifying and averaging, a dense map is nearly a constant. */
	zoo_push(z, "classifier");
	x = relu(z, conv(z, "1", x, .out = 1000, .kernel = 1, .shift = -1));
	zoo_pop(z);
	zoo_output(z, flatten(z, "flatten", global_pool(z, "avgpool", x)), "output");
}
