// SPDX-License-Identifier: MIT
/*
 * EfficientNet-B0, as torchvision builds it.
 *
 * Source: Tan, Le, "EfficientNet: rethinking model scaling for convolutional
 * neural networks", ICML 2019, table 1.
 */
#include "layers.h"
#include "models.h"

/*
 * Where SiLU is nearly linear. Around 0 its output grows faster than its
 * input, and through 32 of them an image a little brighter than those of the
 * calibration would saturate the network.
 */
#define SHIFT	1

static struct zoo_value *mbconv(struct zoo *z, struct zoo_value *x, int expand, int kernel,
				int stride, int out)
{
	const int in = x->dims[1], hidden = in * expand;
	struct zoo_value *y = x;
	int i = 0;

	zoo_push(z, "block");
	if (expand != 1) {
		zoo_push(z, "%d", i++);
		y = silu(z, conv(z, "0", y, .out = hidden, .kernel = 1, .bn = "1", .shift = SHIFT));
		zoo_pop(z);
	}
	zoo_push(z, "%d", i++);
	y = silu(z, conv(z, "0", y, .out = hidden, .kernel = kernel, .stride = stride,
			 .pad = kernel / 2, .groups = hidden, .bn = "1", .shift = SHIFT));
	zoo_pop(z);
	y = squeeze_excite(z, zoo_printf(z, "%d", i++), y, in / 4);
	zoo_push(z, "%d", i);
	y = conv(z, "0", y, .out = out, .kernel = 1, .bn = "1");
	zoo_pop(z);
	zoo_pop(z);
	return stride == 1 && in == out ? add(z, "add", y, x) : y;
}

void build_efficientnet_b0(struct zoo *z)
{
	static const struct { int expand, kernel, stride, out, repeat; } stages[] = {
		{ 1, 3, 1, 16, 1 },
		{ 6, 3, 2, 24, 2 },
		{ 6, 5, 2, 40, 2 },
		{ 6, 3, 2, 80, 3 },
		{ 6, 5, 1, 112, 3 },
		{ 6, 5, 2, 192, 4 },
		{ 6, 3, 1, 320, 1 },
	};
	const int n = sizeof(stages) / sizeof(stages[0]);
	struct zoo_value *x = image(z, 3, 224);

	zoo_push(z, "features.0");
	x = silu(z, conv(z, "0", x, .out = 32, .kernel = 3, .stride = 2, .pad = 1, .bn = "1", .shift = SHIFT));
	zoo_pop(z);
	for (int s = 0; s < n; s++) {
		for (int r = 0; r < stages[s].repeat; r++) {
			zoo_push(z, "features.%d.%d", s + 1, r);
			x = mbconv(z, x, stages[s].expand, stages[s].kernel,
				   r ? 1 : stages[s].stride, stages[s].out);
			zoo_pop(z);
		}
	}
	zoo_push(z, "features.%d", n + 1);
	x = silu(z, conv(z, "0", x, .out = 1280, .kernel = 1, .bn = "1", .shift = SHIFT));
	zoo_pop(z);
	x = flatten(z, "flatten", global_pool(z, "avgpool", x));
	zoo_push(z, "classifier");
	x = linear(z, "1", x, 1000);
	zoo_pop(z);
	zoo_output(z, x, "output");
}
