// SPDX-License-Identifier: MIT
/*
 * ResNet-50, as torchvision builds it: the stride is on a bottleneck's 3x3
 * convolution ("v1.5").
 *
 * Source: He, Zhang, Ren, Sun, "Deep residual learning for image recognition",
 * CVPR 2016.
 */
#include "layers.h"
#include "models.h"

#define EXPANSION	4
/* The branch's share beside the shortcut, so that blocks add up slowly. */
#define BRANCH_GAIN	0.5
/* Rectifiers more open than not amplify rounding less on its way through. */
#define SHIFT		0.5

static struct zoo_value *bottleneck(struct zoo *z, struct zoo_value *x, int width, int stride)
{
	struct zoo_value *y, *shortcut = x;
	const int out = width * EXPANSION;

	y = relu(z, conv(z, "conv1", x, .out = width, .kernel = 1, .bn = "bn1", .shift = SHIFT));
	y = relu(z, conv(z, "conv2", y, .out = width, .kernel = 3, .stride = stride, .pad = 1,
			 .bn = "bn2", .shift = SHIFT));
	y = conv(z, "conv3", y, .out = out, .kernel = 1, .bn = "bn3", .gain = BRANCH_GAIN);
	if (stride != 1 || x->dims[1] != out) {
		zoo_push(z, "downsample");
		shortcut = conv(z, "0", x, .out = out, .kernel = 1, .stride = stride, .bn = "1");
		zoo_pop(z);
	}
	return relu(z, add(z, "add", y, shortcut));
}

void build_resnet50(struct zoo *z)
{
	static const int blocks[4] = { 3, 4, 6, 3 };
	struct zoo_value *x = image(z, 3, 224);

	x = relu(z, conv(z, "conv1", x, .out = 64, .kernel = 7, .stride = 2, .pad = 3,
			 .bn = "bn1", .shift = SHIFT));
	x = max_pool(z, "maxpool", x, 1, false);
	for (int stage = 0; stage < 4; stage++) {
		for (int b = 0; b < blocks[stage]; b++) {
			zoo_push(z, "layer%d.%d", stage + 1, b);
			x = bottleneck(z, x, 64 << stage, b || !stage ? 1 : 2);
			zoo_pop(z);
		}
	}
	x = flatten(z, "flatten", global_pool(z, "avgpool", x));
	zoo_output(z, linear(z, "fc", x, 1000), "output");
}
