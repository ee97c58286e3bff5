/* SPDX-License-Identifier: MIT */
/*
 * Build an ONNX model in memory, one node after the other.
 *
 * A struct zoo owns everything made with it: values, nodes, tensors, names.
 * All of it is freed at once by zoo_free(); nothing is freed singly, and no
 * function here fails: bad arguments are bugs of the caller (asserted), and a
 * generator that runs out of memory ends the process with a message.
 *
 * Names are scoped: inside zoo_push(z, "layer1.%d", 0) the tensor "weight"
 * becomes "layer1.0.weight". The full name also seeds the tensor, so that
 * adding a layer changes no other layer's weights.
 */
#ifndef BRAID_ZOO_GRAPH_H
#define BRAID_ZOO_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "onnx.pb-c.h"

#define ZOO_MAX_RANK	5
#define ZOO_FREE	0	/* an extent that is not fixed: "batch" */

#define ZOO_FLOAT	ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT
#define ZOO_INT64	ONNX__TENSOR_PROTO__DATA_TYPE__INT64

/**
 * struct zoo_options - what a model is built with
 * @seed: of all weights
 * @batch: leading extent of inputs and outputs, ZOO_FREE leaves it symbolic
 * @size: height and width of an image model's input, 0 for the model's own
 * @opset: 13 (layer normalisation in primitive nodes) to 17
 * @fold: fold batch normalisation into the convolutions
 */
struct zoo_options {
	uint64_t seed;
	int64_t batch;
	int size;
	int opset;
	bool fold;
};

struct zoo_batch;

/**
 * struct zoo_value - a tensor of the graph: input, initialiser or node output
 * @name: its name in the model
 * @type: ONNX element type
 * @rank: number of dimensions
 * @dims: extents; dims[0] may be ZOO_FREE
 * @batch: of image models, what the calibration batch looks like here; see
 *         calibrate.h
 */
struct zoo_value {
	const char *name;
	int type;
	int rank;
	int64_t dims[ZOO_MAX_RANK];
	const struct zoo_batch *batch;
};

struct zoo;

/* Up to eight inputs; NULL in the middle is an input left out. */
#define ZOO_INPUTS(...) ((const struct zoo_value *const[]){ __VA_ARGS__ }), \
	(sizeof((const struct zoo_value *const[]){ __VA_ARGS__ }) / sizeof(void *))

#define ZOO_DIMS(...) (sizeof((const int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)), \
	((const int64_t[]){ __VA_ARGS__ })

struct zoo *zoo_new(const char *name, const struct zoo_options *opt);
void zoo_free(struct zoo *z);
const struct zoo_options *zoo_opt(const struct zoo *z);

void *zoo_alloc(struct zoo *z, size_t bytes);
void *zoo_copy(struct zoo *z, const void *from, size_t bytes);
char *zoo_printf(struct zoo *z, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void zoo_push(struct zoo *z, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void zoo_pop(struct zoo *z);
/* @name within the scopes that are open; one that starts with '/' is whole as it is. */
const char *zoo_name(struct zoo *z, const char *name);
/* The whole name "@v's name.@suffix", for what follows or belongs to @v. */
const char *zoo_after(struct zoo *z, const struct zoo_value *v, const char *suffix);
/* The seed of the tensor @name within the scopes that are open. */
uint64_t zoo_seed(struct zoo *z, const char *name);

/* Graph inputs and outputs are not scoped: their names are the model's face. */
struct zoo_value *zoo_input(struct zoo *z, const char *name, int type, size_t rank,
			    const int64_t *dims);
void zoo_output(struct zoo *z, const struct zoo_value *v, const char *name);

/**
 * zoo_floats() - an initialiser of floats, for the caller to fill
 * @z: the model
 * @name: scoped
 * @rank: number of dimensions
 * @dims: extents
 * @data: out: the elements, row-major, owned by @z
 */
struct zoo_value *zoo_floats(struct zoo *z, const char *name, size_t rank,
			     const int64_t *dims, float **data);
/* Seeded normal weights of standard deviation @sigma; @data may be NULL. */
struct zoo_value *zoo_normal(struct zoo *z, const char *name, size_t rank,
			     const int64_t *dims, double sigma, float **data);
/* Seeded uniform weights in [@low, @low + @span). */
struct zoo_value *zoo_uniform(struct zoo *z, const char *name, size_t rank,
			      const int64_t *dims, float low, float span);
/* A float of no dimensions. */
struct zoo_value *zoo_scalar(struct zoo *z, const char *name, float v);
/* An int64 vector, as shapes, axes and indices are. */
struct zoo_value *zoo_int64s(struct zoo *z, const char *name, size_t n, const int64_t *v);

/**
 * zoo_node() - append a node
 * @z: the model
 * @name: scoped; also the name of its first output
 * @op: ONNX operator
 * @in: inputs
 * @n_in: how many
 *
 * Give it attributes with zoo_set_*() and outputs with zoo_out(), in order.
 */
Onnx__NodeProto *zoo_node(struct zoo *z, const char *name, const char *op,
			  const struct zoo_value *const *in, size_t n_in);
void zoo_set_int(struct zoo *z, Onnx__NodeProto *n, const char *name, int64_t v);
void zoo_set_float(struct zoo *z, Onnx__NodeProto *n, const char *name, float v);
void zoo_set_string(struct zoo *z, Onnx__NodeProto *n, const char *name, const char *v);
void zoo_set_ints(struct zoo *z, Onnx__NodeProto *n, const char *name, size_t count,
		  const int64_t *v);
/* The node's next output. */
struct zoo_value *zoo_out(struct zoo *z, Onnx__NodeProto *n, int type, size_t rank,
			  const int64_t *dims);

/* The finished model, owned by @z. */
const Onnx__ModelProto *zoo_model(const struct zoo *z);

/**
 * zoo_write() - write the model to a stream
 * Return: 0 or a negative errno. The bytes depend on nothing but the options.
 */
int zoo_write(const struct zoo *z, FILE *f);

#endif
