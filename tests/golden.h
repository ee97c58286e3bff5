/* SPDX-License-Identifier: MIT */
/*
 * Golden files: what ONNX Runtime answered to seeded requests.
 *
 * A file is lines of text, then bytes. The lines:
 *
 *   braid-golden 1
 *   model NAME
 *   sha256 HEX                             of the model file
 *   by WHAT                                what recorded it, in words
 *   input NAME TYPE RANK DIM... KIND       TYPE is float or int64
 *   output NAME float RANK DIM... KEPT     how many elements are kept
 *   request SEED                           one line a request
 *   end
 *
 * then, for each request, for each output, KEPT values of three bytes: the
 * upper 24 bits of a float, rounded, lowest byte first (which alone is about
 * 7e-6 relative L2). Where KEPT is less than the output's size, value i is the
 * element prng_below(prng_at(prng_stream(0, NAME), i), size).
 *
 * An input is drawn from the request's seed and its own name, see
 * tools/zoo/draw.h; KIND is one of: normal, image, below N, mask.
 *
 * Files are written by tools/goldens/record.py.
 */
#ifndef BRAID_TESTS_GOLDEN_H
#define BRAID_TESTS_GOLDEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tools/zoo/draw.h"

#define GOLDEN_MAX_TENSORS	8
#define GOLDEN_MAX_REQUESTS	64
#define GOLDEN_MAX_RANK		8
#define GOLDEN_NAME		64

/**
 * struct golden_tensor - an input or output of the model
 * @name: as in the model file
 * @int64: else float
 * @rank: number of dimensions
 * @dims: extents
 * @elems: product of @dims
 * @bytes: of the whole tensor
 * @kind: inputs: how it is drawn
 * @bound: inputs: N of "below N"
 * @kept: outputs: how many elements are recorded
 * @first: outputs: where they start within one request's values
 */
struct golden_tensor {
	char name[GOLDEN_NAME];
	bool int64;
	int rank;
	int64_t dims[GOLDEN_MAX_RANK];
	size_t elems, bytes;
	enum draw_kind kind;
	uint32_t bound;
	size_t kept, first;
};

/**
 * struct golden - one golden file
 * @model: the model's name
 * @sha256: of the model file, hexadecimal
 * @in: inputs, in the model's order
 * @out: outputs, in the model's order
 * @seed: of each request
 * @values: [n_requests][per_request]
 */
struct golden {
	char model[GOLDEN_NAME];
	char sha256[65];
	int n_in, n_out, n_requests;
	struct golden_tensor in[GOLDEN_MAX_TENSORS], out[GOLDEN_MAX_TENSORS];
	uint64_t seed[GOLDEN_MAX_REQUESTS];
	size_t per_request;
	float *values;
};

/**
 * golden_read() - read a golden file
 * @g: filled on success; golden_free() it
 * @path: the file
 *
 * Return: 0 or a negative errno; words on stderr.
 */
int golden_read(struct golden *g, const char *path);
void golden_free(struct golden *g);

/* Draw input @t as the request @seed has it, into @to (t->bytes). */
void golden_input(const struct golden_tensor *t, uint64_t seed, void *to);

/**
 * golden_distance() - relative L2 distance of an output from the recorded one
 * @g: the file
 * @request: index of the request
 * @output: index of the output
 * @got: the whole output
 *
 * Return: ||got - recorded|| / ||recorded|| over what is kept; infinite when
 * @got is not finite.
 */
double golden_distance(const struct golden *g, int request, int output, const float *got);

/* The same between the recorded outputs of two requests. */
double golden_apart(const struct golden *g, int request, int other, int output);

#endif
