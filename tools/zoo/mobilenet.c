// SPDX-License-Identifier: MIT
/*
 * MobileNet v2 of width 1, as torchvision builds it.
 *
 * Source: Sandler et al., "MobileNetV2: inverted residuals and linear
 * bottlenecks", CVPR 2018, table 2.
 */
#include "layers.h"
#include "models.h"

/* Rectifiers more open than not amplify rounding less on its way through. */
#define SHIFT	0.5

static struct zoo_value *inverted_residual(struct zoo *z, struct zoo_value *x, int expand,
					   int out, int stride)
{
	const int in = x->dims[1], hidden = in * expand;
	struct zoo_value *y = x;
	int i = 0;

	zoo_push(z, "conv");
	if (expand != 1) {
		zoo_push(z, "%d", i++);
		y = relu6(z, conv(z, "0", y, .out = hidden, .kernel = 1, .bn = "1", .shift = SHIFT));
		zoo_pop(z);
	}
	zoo_push(z, "%d", i++);
	y = relu6(z, conv(z, "0", y, .out = hidden, .kernel = 3, .stride = stride, .pad = 1,
			  .groups = hidden, .bn = "1", .shift = SHIFT));
	zoo_pop(z);
	y = conv(z, zoo_printf(z, "%d", i), y, .out = out, .kernel = 1,
		 .bn = zoo_printf(z, "%d", i + 1));
	zoo_pop(z);
	return stride == 1 && in == out ? add(z, "add", x, y) : y;
}

void build_mobilenet_v2(struct zoo *z)
{
	static const struct { int expand, out, repeat, stride; } stages[] = {
		{ 1, 16, 1, 1 },
		{ 6, 24, 2, 2 },
		{ 6, 32, 3, 2 },
		{ 6, 64, 4, 2 },
		{ 6, 96, 3, 1 },
		{ 6, 160, 3, 2 },
		{ 6, 320, 1, 1 },
	};
	struct zoo_value *x = image(z, 3, 224);
	int block = 1;

	zoo_push(z, "features.0");
	x = relu6(z, conv(z, "0", x, .out = 32, .kernel = 3, .stride = 2, .pad = 1, .bn = "1", .shift = SHIFT));
	zoo_pop(z);
	for (size_t s = 0; s < sizeof(stages) / sizeof(stages[0]); s++) {
		for (int r = 0; r < stages[s].repeat; r++) {
			zoo_push(z, "features.%d", block++);
			x = inverted_residual(z, x, stages[s].expand, stages[s].out,
					      r ? 1 : stages[s].stride);
			zoo_pop(z);
		}
	}
	zoo_push(z, "features.%d", block);
	x = relu6(z, conv(z, "0", x, .out = 1280, .kernel = 1, .bn = "1", .shift = SHIFT));
	zoo_pop(z);
	x = flatten(z, "flatten", global_pool(z, "avgpool", x));
	zoo_push(z, "classifier");
	x = linear(z, "1", x, 1000);
	zoo_pop(z);
	zoo_output(z, x, "output");
}
