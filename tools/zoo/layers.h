/* SPDX-License-Identifier: MIT */
/*
 * Layers of image networks, from which the architectures are written.
 *
 * Each appends the nodes that PyTorch's exporter would write, draws seeded
 * weights, and returns its output. Layouts: x is [N][C][H][W].
 */
#ifndef BRAID_ZOO_LAYERS_H
#define BRAID_ZOO_LAYERS_H

#include "graph.h"

/**
 * struct conv - a 2-D convolution
 * @out: output channels
 * @kernel: height and width
 * @stride: of both dimensions, 0 means 1
 * @pad: on all four sides
 * @groups: 0 means 1
 * @bn: name of the batch normalisation that follows; without one there is a bias
 * @gain: standard deviation of the result, about; 0 means 1
 * @shift: mean of the result in deviations: a rectifier after it is sparser
 *         below 0 and denser above
 * @steady: scale by the mean square instead of the variance: of an image's
 *          averages, which hardly vary, the variance says little
 */
struct conv {
	int out, kernel, stride, pad, groups;
	const char *bn;
	double gain, shift;
	bool steady;
};

struct zoo_value *zoo_conv(struct zoo *z, const char *name, struct zoo_value *x,
			   const struct conv *c);

/* y = conv(z, "conv1", x, .out = 64, .kernel = 7, .stride = 2, .pad = 3, .bn = "bn1"); */
#define conv(z, name, x, ...) zoo_conv(z, name, x, &(struct conv){ __VA_ARGS__ })

/* An image named "input": normalised, so mean 0 and variance 1 are expected. */
struct zoo_value *image(struct zoo *z, int channels, int size);

/* A vector of features named "input": [N][features]. */
struct zoo_value *features(struct zoo *z, int n);

struct zoo_value *relu(struct zoo *z, struct zoo_value *x);
struct zoo_value *relu6(struct zoo *z, struct zoo_value *x);
struct zoo_value *silu(struct zoo *z, struct zoo_value *x);
struct zoo_value *add(struct zoo *z, const char *name, struct zoo_value *a,
		      struct zoo_value *b);
struct zoo_value *concat(struct zoo *z, const char *name, struct zoo_value *a,
			 struct zoo_value *b);
/* 3x3, stride 2. */
struct zoo_value *max_pool(struct zoo *z, const char *name, struct zoo_value *x, int pad,
			   bool ceil_mode);
/* [N][C][H][W] to [N][C][1][1]. */
struct zoo_value *global_pool(struct zoo *z, const char *name, struct zoo_value *x);
/* [N][C][1][1] to [N][C]. */
struct zoo_value *flatten(struct zoo *z, const char *name, struct zoo_value *x);
/* Fully connected, [N][C] to [N][out], outputs centred and of variance 1. */
struct zoo_value *linear(struct zoo *z, const char *name, struct zoo_value *x, int out);
/* Squeeze and excitation through @squeeze channels: x * sigmoid(fc2(silu(fc1(pool(x))))). */
struct zoo_value *squeeze_excite(struct zoo *z, const char *name, struct zoo_value *x,
				 int squeeze);

#endif
