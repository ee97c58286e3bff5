// SPDX-License-Identifier: MIT
/*
 * Layers of image networks, see layers.h.
 *
 * Owns the shapes of convolution and pooling and the choice of weights: drawn
 * with He's standard deviation where normalisation follows, else scaled so
 * that the calibration batch comes out with the variance asked for.
 *
 * Source of the latter: Mishkin, Matas, "All you need is a good init", ICLR
 * 2016. Compiled with -ffp-contract=off, as calibrate.c is.
 */
#include "layers.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <string.h>

#include "calibrate.h"
#include "prng.h"

#define BN_EPSILON	1e-5f	/* torchvision's default for all four networks */
#define CAL_SIZE	128	/* the calibration images' side, unless the model's is less */
#define VAR_FLOOR	1e-12	/* a batch that came out constant is not scaled up */

/* Mild gates: a network of strong ones amplifies rounding from layer to layer. */
#define SQUEEZE_GAIN	0.3
#define EXCITE_GAIN	0.5

/* What follows the node @n, shaped like @x, with @batch as its calibration. */
static struct zoo_value *result(struct zoo *z, Onnx__NodeProto *n, const struct zoo_value *x,
				struct zoo_batch batch)
{
	struct zoo_value *v = zoo_out(z, n, x->type, x->rank, x->dims);

	v->batch = zoo_copy(z, &batch, sizeof(batch));
	return v;
}

struct zoo_value *image(struct zoo *z, int channels, int size)
{
	const struct zoo_options *opt = zoo_opt(z);
	const int side = opt->size ? opt->size : size, cal = size < CAL_SIZE ? size : CAL_SIZE;
	struct zoo_batch batch = cal_image(z, channels, cal, cal);
	struct zoo_value *v;

	v = zoo_input(z, "input", ZOO_FLOAT, ZOO_DIMS(opt->batch, channels, side, side));
	v->batch = zoo_copy(z, &batch, sizeof(batch));
	return v;
}

struct zoo_value *features(struct zoo *z, int n)
{
	struct zoo_batch batch = cal_image(z, n, 1, 1);
	struct zoo_value *v;

	v = zoo_input(z, "input", ZOO_FLOAT, ZOO_DIMS(zoo_opt(z)->batch, n));
	v->batch = zoo_copy(z, &batch, sizeof(batch));
	return v;
}

/* What a batch normalisation holds, [channels] each. */
struct bn {
	float *gamma, *beta, *mean, *var;
};

/* Seeded parameters and the statistics of @batch, which is normalised. */
static struct bn draw_bn(struct zoo *z, const struct conv *c, struct zoo_batch *batch)
{
	const double gain = c->gain ? c->gain : 1;
	struct bn bn = {
		.gamma = zoo_alloc(z, c->out * sizeof(float)),
		.beta = zoo_alloc(z, c->out * sizeof(float)),
		.mean = zoo_alloc(z, c->out * sizeof(float)),
		.var = zoo_alloc(z, c->out * sizeof(float)),
	};
	uint64_t gamma, beta;

	zoo_push(z, "%s", c->bn);
	gamma = zoo_seed(z, "weight");
	beta = zoo_seed(z, "bias");
	zoo_pop(z);
	for (int o = 0; o < c->out; o++) {
		double mean, var, k;

		cal_stats(batch, o, &mean, &var);
		bn.gamma[o] = gain * prng_uniform(prng_at(gamma, o), 0.8f, 0.4f);
		bn.beta[o] = gain * (c->shift + prng_uniform(prng_at(beta, o), -0.2f, 0.4f));
		bn.mean[o] = mean;
		bn.var[o] = var;
		k = bn.gamma[o] / sqrt(var + BN_EPSILON);
		cal_affine(batch, o, k, bn.beta[o] - mean * k);
	}
	return bn;
}

static struct zoo_value *vector(struct zoo *z, const char *name, int n, const float *from)
{
	float *to;
	struct zoo_value *v = zoo_floats(z, name, ZOO_DIMS(n), &to);

	memcpy(to, from, n * sizeof(float));
	return v;
}

static struct zoo_value *bn_node(struct zoo *z, struct zoo_value *x, const struct conv *c,
				 const struct bn *bn)
{
	struct zoo_value *gamma, *beta, *mean, *var;
	Onnx__NodeProto *n;

	zoo_push(z, "%s", c->bn);
	gamma = vector(z, "weight", c->out, bn->gamma);
	beta = vector(z, "bias", c->out, bn->beta);
	mean = vector(z, "running_mean", c->out, bn->mean);
	var = vector(z, "running_var", c->out, bn->var);
	zoo_pop(z);
	n = zoo_node(z, c->bn, "BatchNormalization", ZOO_INPUTS(x, gamma, beta, mean, var));
	zoo_set_float(z, n, "epsilon", BN_EPSILON);
	zoo_set_float(z, n, "momentum", 0.9f);
	return zoo_out(z, n, ZOO_FLOAT, x->rank, x->dims);
}

/* Scale the weights @w ([out][taps]) as @bn would; the rest is the bias returned. */
static struct zoo_value *fold_bn(struct zoo *z, float *w, int taps, const struct conv *c,
				 const struct bn *bn)
{
	float *bias;
	struct zoo_value *v = zoo_floats(z, "bias", ZOO_DIMS(c->out), &bias);

	for (int o = 0; o < c->out; o++) {
		double k = bn->gamma[o] / sqrt((double)bn->var[o] + BN_EPSILON);
		double lost = bn->mean[o] * k;

		bias[o] = bn->beta[o] - lost;
		for (int t = 0; t < taps; t++)
			*w++ *= k;
	}
	return v;
}

/*
 * Scale the weights @w, @n of them, so that @batch, which they made, has
 * @c's deviation, and centre it on @c's shift by the bias that is returned.
 */
static struct zoo_value *scale_and_centre(struct zoo *z, float *w, size_t n,
					  struct zoo_batch *batch, const struct conv *c)
{
	const double gain = c->gain ? c->gain : 1;
	uint64_t seed = zoo_seed(z, "bias");
	double mean, var, power = 0, k;
	float *bias;
	struct zoo_value *v = zoo_floats(z, "bias", ZOO_DIMS(batch->c), &bias);

	for (int o = 0; o < batch->c; o++) {
		cal_stats(batch, o, &mean, &var);
		power += c->steady ? var + mean * mean : var;
	}
	k = gain / sqrt(power / batch->c + VAR_FLOOR);
	for (size_t i = 0; i < n; i++)
		w[i] *= k;
	for (int o = 0; o < batch->c; o++) {
		cal_stats(batch, o, &mean, &var);
		bias[o] = gain * (c->shift + prng_uniform(prng_at(seed, o), -0.2f, 0.4f)) - mean * k;
		cal_affine(batch, o, k, bias[o]);
	}
	return v;
}

struct zoo_value *zoo_conv(struct zoo *z, const char *name, struct zoo_value *x,
			   const struct conv *c)
{
	const int groups = c->groups ? c->groups : 1, stride = c->stride ? c->stride : 1;
	const int in = x->dims[1] / groups, taps = c->kernel * c->kernel, fan = in * taps;
	const int64_t k = c->kernel, p = c->pad, s = stride;
	const int64_t h = (x->dims[2] + 2 * p - k) / s + 1, w = (x->dims[3] + 2 * p - k) / s + 1;
	struct zoo_value *weight, *bias = NULL, *y;
	struct zoo_batch batch;
	Onnx__NodeProto *n;
	struct bn bn;
	float *data;

	assert(x->dims[1] % groups == 0 && c->out % groups == 0 && h > 0 && w > 0);

	zoo_push(z, "%s", name);
	weight = zoo_normal(z, "weight", ZOO_DIMS(c->out, in, k, k), sqrt(2.0 / fan), &data);
	batch = cal_conv(z, x->batch, data, c->out, k, s, p, groups);
	zoo_pop(z);
	if (c->bn)
		bn = draw_bn(z, c, &batch);
	zoo_push(z, "%s", name);
	if (!c->bn)
		bias = scale_and_centre(z, data, (size_t)c->out * fan, &batch, c);
	else if (zoo_opt(z)->fold)
		bias = fold_bn(z, data, fan, c, &bn);
	zoo_pop(z);

	n = bias ? zoo_node(z, name, "Conv", ZOO_INPUTS(x, weight, bias))
		 : zoo_node(z, name, "Conv", ZOO_INPUTS(x, weight));
	zoo_set_ints(z, n, "dilations", ZOO_DIMS(1, 1));
	zoo_set_int(z, n, "group", groups);
	zoo_set_ints(z, n, "kernel_shape", ZOO_DIMS(k, k));
	zoo_set_ints(z, n, "pads", ZOO_DIMS(p, p, p, p));
	zoo_set_ints(z, n, "strides", ZOO_DIMS(s, s));
	y = zoo_out(z, n, ZOO_FLOAT, ZOO_DIMS(x->dims[0], c->out, h, w));
	if (c->bn && !zoo_opt(z)->fold)
		y = bn_node(z, y, c, &bn);
	y->batch = zoo_copy(z, &batch, sizeof(batch));
	return y;
}

static Onnx__NodeProto *after(struct zoo *z, const struct zoo_value *x, const char *suffix,
			      const char *op)
{
	return zoo_node(z, zoo_after(z, x, suffix), op, ZOO_INPUTS(x));
}

struct zoo_value *relu(struct zoo *z, struct zoo_value *x)
{
	return result(z, after(z, x, "relu", "Relu"), x, cal_clip(z, x->batch, 0, FLT_MAX));
}

struct zoo_value *relu6(struct zoo *z, struct zoo_value *x)
{
	struct zoo_value *low = zoo_scalar(z, zoo_after(z, x, "min"), 0);
	struct zoo_value *high = zoo_scalar(z, zoo_after(z, x, "max"), 6);
	Onnx__NodeProto *n = zoo_node(z, zoo_after(z, x, "relu6"), "Clip",
				      ZOO_INPUTS(x, low, high));

	return result(z, n, x, cal_clip(z, x->batch, 0, 6));
}

static struct zoo_value *sigmoid(struct zoo *z, struct zoo_value *x)
{
	return result(z, after(z, x, "sigmoid", "Sigmoid"), x, cal_sigmoid(z, x->batch));
}

struct zoo_value *silu(struct zoo *z, struct zoo_value *x)
{
	Onnx__NodeProto *n = after(z, x, "sigmoid", "Sigmoid");
	struct zoo_value *gate = zoo_out(z, n, ZOO_FLOAT, x->rank, x->dims);

	n = zoo_node(z, zoo_after(z, x, "silu"), "Mul", ZOO_INPUTS(x, gate));
	return result(z, n, x, cal_silu(z, x->batch));
}

struct zoo_value *add(struct zoo *z, const char *name, struct zoo_value *a,
		      struct zoo_value *b)
{
	return result(z, zoo_node(z, name, "Add", ZOO_INPUTS(a, b)), a,
		      cal_add(z, a->batch, b->batch));
}

struct zoo_value *concat(struct zoo *z, const char *name, struct zoo_value *a,
			 struct zoo_value *b)
{
	Onnx__NodeProto *n = zoo_node(z, name, "Concat", ZOO_INPUTS(a, b));
	struct zoo_value joined = *a;

	joined.dims[1] += b->dims[1];
	zoo_set_int(z, n, "axis", 1);
	return result(z, n, &joined, cal_concat(z, a->batch, b->batch));
}

static int64_t pooled(int64_t size, int pad, bool ceil_mode)
{
	return (size + 2 * pad - 3 + (ceil_mode ? 1 : 0)) / 2 + 1;
}

struct zoo_value *max_pool(struct zoo *z, const char *name, struct zoo_value *x, int pad,
			   bool ceil_mode)
{
	Onnx__NodeProto *n = zoo_node(z, name, "MaxPool", ZOO_INPUTS(x));
	struct zoo_value y = *x;

	zoo_set_int(z, n, "ceil_mode", ceil_mode);
	zoo_set_ints(z, n, "kernel_shape", ZOO_DIMS(3, 3));
	zoo_set_ints(z, n, "pads", ZOO_DIMS(pad, pad, pad, pad));
	zoo_set_ints(z, n, "strides", ZOO_DIMS(2, 2));
	y.dims[2] = pooled(x->dims[2], pad, ceil_mode);
	y.dims[3] = pooled(x->dims[3], pad, ceil_mode);
	return result(z, n, &y, cal_max_pool(z, x->batch, pad, ceil_mode));
}

struct zoo_value *global_pool(struct zoo *z, const char *name, struct zoo_value *x)
{
	Onnx__NodeProto *n = zoo_node(z, name, "GlobalAveragePool", ZOO_INPUTS(x));
	struct zoo_value y = *x;

	y.dims[2] = 1;
	y.dims[3] = 1;
	return result(z, n, &y, cal_global_pool(z, x->batch));
}

struct zoo_value *flatten(struct zoo *z, const char *name, struct zoo_value *x)
{
	Onnx__NodeProto *n = zoo_node(z, name, "Flatten", ZOO_INPUTS(x));
	struct zoo_value y = *x;

	assert(x->dims[2] == 1 && x->dims[3] == 1);
	y.rank = 2;
	zoo_set_int(z, n, "axis", 1);
	return result(z, n, &y, *x->batch);
}

struct zoo_value *linear(struct zoo *z, const char *name, struct zoo_value *x, int out)
{
	const int in = x->dims[1];
	struct zoo_value *weight, *bias, y = *x;
	struct zoo_batch batch;
	Onnx__NodeProto *n;
	float *data;

	zoo_push(z, "%s", name);
	weight = zoo_normal(z, "weight", ZOO_DIMS(out, in), sqrt(1.0 / in), &data);
	batch = cal_conv(z, x->batch, data, out, 1, 1, 0, 1);
	bias = scale_and_centre(z, data, (size_t)out * in, &batch, &(const struct conv){ 0 });
	zoo_pop(z);

	n = zoo_node(z, name, "Gemm", ZOO_INPUTS(x, weight, bias));
	zoo_set_float(z, n, "alpha", 1);
	zoo_set_float(z, n, "beta", 1);
	zoo_set_int(z, n, "transB", 1);
	y.dims[1] = out;
	return result(z, n, &y, batch);
}

struct zoo_value *squeeze_excite(struct zoo *z, const char *name, struct zoo_value *x,
				 int squeeze)
{
	struct zoo_value *s, *y;

	zoo_push(z, "%s", name);
	s = global_pool(z, "avgpool", x);
	s = silu(z, conv(z, "fc1", s, .out = squeeze, .kernel = 1, .gain = SQUEEZE_GAIN,
			 .steady = true));
	s = sigmoid(z, conv(z, "fc2", s, .out = x->dims[1], .kernel = 1, .gain = EXCITE_GAIN,
			    .steady = true));
	y = result(z, zoo_node(z, "scale", "Mul", ZOO_INPUTS(s, x)), x,
		   cal_gate(z, x->batch, s->batch));
	zoo_pop(z);
	return y;
}
