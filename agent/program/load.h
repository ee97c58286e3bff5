/* SPDX-License-Identifier: MIT */
/*
 * From an ONNX file to a program: the one entry that the runner, braid-run
 * and the tests use.
 */
#ifndef BRAID_AGENT_PROGRAM_LOAD_H
#define BRAID_AGENT_PROGRAM_LOAD_H

#include <stddef.h>
#include <stdint.h>

#include "agent/program/program.h"

/**
 * struct load_shape - binds the free dimensions of one input
 * @input: the input's name in the file
 * @rank: number of dimensions; must be the file's
 * @dims: extents; where the file fixes one, the two must agree
 */
struct load_shape {
	const char *input;
	uint32_t rank;
	int64_t dims[PROG_MAX_RANK];
};

/**
 * struct load_const - fixes an input to a value, so that it is an input no more
 * @input: the input's name in the file
 * @value: fills every element (silero's sample rate: 16000)
 */
struct load_const {
	const char *input;
	double value;
};

/**
 * struct load_config - how to bind a model
 * @shapes: bindings of free dimensions
 * @consts: inputs fixed to a value
 * @batch: extent given to a free first dimension that @shapes does not name, 0: none
 * @max_bytes: bound on constants and on the arena of one request, 0: 16 GiB
 * @passes: false switches the optimising passes off (tests compare the two)
 */
struct load_config {
	const struct load_shape *shapes;
	uint32_t n_shapes;
	const struct load_const *consts;
	uint32_t n_consts;
	int64_t batch;
	uint64_t max_bytes;
	bool passes;
};

/**
 * program_load() - import, bind, optimise, verify
 * @path: ONNX file (ModelProto)
 * @cfg: how to bind it
 * @out: the program, to be freed with program_free()
 * @why: words on failure: file, operator, node, opset, reason
 * @len: size of @why
 *
 * Return: 0; -ENOENT/-EACCES/-EIO from the file; -EINVAL for a corrupt or
 * hostile one; -EOPNOTSUPP for an operator, type or opset that is refused;
 * -ENOMEM.
 */
int program_load(const char *path, const struct load_config *cfg,
		 struct program **out, char *why, size_t len);

/** program_load_mem() - the same from memory; @name is used in messages */
int program_load_mem(const void *data, size_t bytes, const char *name,
		     const struct load_config *cfg, struct program **out,
		     char *why, size_t len);

#endif
