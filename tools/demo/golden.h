/* SPDX-License-Identifier: MIT */
/*
 * Recorded outputs of the reference, and the comparison with them.
 */
#ifndef BRAID_DEMO_GOLDEN_H
#define BRAID_DEMO_GOLDEN_H

#include <stdint.h>

#include "tools/demo/chain.h"

/** GOLDEN_TOLERANCE - largest relative L2 distance that counts as equal */
#define GOLDEN_TOLERANCE 1e-4

/**
 * golden_tolerance() - that, or what BRAID_DEMO_TOLERANCE says
 *
 * For an agent that calculates with 16 bits.
 */
double golden_tolerance(void);

/**
 * struct golden - what the reference answered to one request
 * @model: the model's name
 * @key: the request's key
 * @crc: CRC-32 over the bytes of all inputs, in order
 * @out: one for each output
 *
 * Of an output of many classes only some columns of the last axis are kept:
 * every time step's best, and some at random.
 */
struct golden {
	char model[KEY_BYTES];
	char key[KEY_BYTES];
	uint32_t crc;
	int n_out;
	struct golden_tensor {
		int rows;
		int cols;
		int kept;		/* columns kept, cols for all */
		uint32_t *columns;	/* which, ascending; NULL for all */
		float *values;		/* rows x kept */
	} out[MODEL_MAX_TENSORS];
};

/** struct golden_set - all of a file */
struct golden_set {
	int count;
	struct golden *records;
};

/**
 * golden_read() - read recorded outputs
 * @set: filled on success; golden_free() it
 * @path: the file
 *
 * Every record is checked against the demo's table of models.
 *
 * Return: 0 or a negative errno, said on stderr.
 */
int golden_read(struct golden_set *set, const char *path);

/** golden_free() - release; harmless on a zeroed set */
void golden_free(struct golden_set *set);

/** golden_find() - the answer to a request, NULL when none was recorded */
const struct golden *golden_find(const struct golden_set *set, const struct demo_model *m,
				 const char *key);

/**
 * golden_expand() - put the kept values into a whole tensor, zero elsewhere
 * @t: the recorded output
 * @out: rows x cols floats
 */
void golden_expand(const struct golden_tensor *t, float *out);

/**
 * golden_distance() - ||got - recorded|| / ||recorded|| over what was kept
 *
 * Return: the largest over the outputs; infinite when one is not finite.
 */
double golden_distance(const struct golden *g, const float *const *got);

/**
 * golden_other_class() - rows whose most likely class is another one
 * @g: recorded
 * @m: its model
 * @got: the answer
 *
 * Return: how many; 0 for a model that does not tell classes apart.
 */
int golden_other_class(const struct golden *g, const struct demo_model *m,
		       const float *const *got);

/** golden_apart() - the same between two records of one model */
double golden_apart(const struct golden *a, const struct golden *b);

#endif
