/* SPDX-License-Identifier: MIT */
/*
 * Run a small seeded batch through the layers while they are being drawn.
 *
 * A trained network's batch normalisation holds the mean and variance that its
 * input really has. With made-up statistics a deep random network dies out,
 * explodes, or answers nearly the same to everything, and then no comparison
 * of its outputs means anything. So image models carry a batch of CAL_IMAGES
 * small images along: each layer runs on it, and running statistics and biases
 * are what the batch says they are.
 *
 * Written for reproducibility, not speed: sums run in one fixed order, exp()
 * is our own, and the file is compiled without fused multiply-add, because
 * what comes out is written into model files.
 */
#ifndef BRAID_ZOO_CALIBRATE_H
#define BRAID_ZOO_CALIBRATE_H

#include "graph.h"

#define CAL_IMAGES	2

/**
 * struct zoo_batch - the calibration batch at one value of the graph
 * @c: channels
 * @h: height, at most the value's own
 * @w: width
 * @data: [CAL_IMAGES][c][h][w]
 */
struct zoo_batch {
	int c, h, w;
	float *data;
};

struct zoo_batch cal_new(struct zoo *z, int c, int h, int w);
/*
 * A seeded image of noise over flat patches, variance 1 in all: patches make
 * images differ as wholes, which pure noise averages away.
 */
struct zoo_batch cal_image(struct zoo *z, int c, int h, int w);

/* Square kernel; @weights are [out][x->c / groups][kernel][kernel]. */
struct zoo_batch cal_conv(struct zoo *z, const struct zoo_batch *x, const float *weights,
			  int out, int kernel, int stride, int pad, int groups);
struct zoo_batch cal_max_pool(struct zoo *z, const struct zoo_batch *x, int pad, bool ceil_mode);
struct zoo_batch cal_global_pool(struct zoo *z, const struct zoo_batch *x);
struct zoo_batch cal_concat(struct zoo *z, const struct zoo_batch *a, const struct zoo_batch *b);
struct zoo_batch cal_add(struct zoo *z, const struct zoo_batch *a, const struct zoo_batch *b);
/* @gate has height and width 1. */
struct zoo_batch cal_gate(struct zoo *z, const struct zoo_batch *x, const struct zoo_batch *gate);
struct zoo_batch cal_clip(struct zoo *z, const struct zoo_batch *x, float low, float high);
struct zoo_batch cal_sigmoid(struct zoo *z, const struct zoo_batch *x);
struct zoo_batch cal_silu(struct zoo *z, const struct zoo_batch *x);

/* Mean and variance of channel @c over the batch. */
void cal_stats(const struct zoo_batch *x, int c, double *mean, double *var);
/* Mean over the channels of the mean square: what weights are scaled by. */
double cal_power(const struct zoo_batch *x);
/* Channel @c becomes x * @scale + @shift. */
void cal_affine(struct zoo_batch *x, int c, float scale, float shift);

#endif
