/* SPDX-License-Identifier: MIT */
/*
 * The demo's models: names, files, and the shapes they are bound to.
 */
#ifndef BRAID_DEMO_MODELS_H
#define BRAID_DEMO_MODELS_H

#include <stdbool.h>

#define MODEL_MAX_TENSORS 2

/**
 * struct model_tensor - an input or output
 * @name: as in the ONNX file
 * @rank: number of dimensions
 * @dims: extents
 */
struct model_tensor {
	const char *name;
	int rank;
	int dims[4];
};

/**
 * struct demo_model - a model as braidd is told to load it
 * @name: Braid's name for it
 * @file: file in the model directory
 * @n_in: number of inputs
 * @n_out: number of outputs
 * @classes: rows of its outputs say how likely each class is
 * @in: the inputs, all float32
 * @out: the outputs, all float32
 */
struct demo_model {
	const char *name;
	const char *file;
	int n_in;
	int n_out;
	bool classes;
	struct model_tensor in[MODEL_MAX_TENSORS];
	struct model_tensor out[MODEL_MAX_TENSORS];
};

enum model_id {
	MODEL_DET,
	MODEL_CLS,
	MODEL_REC_SHORT,
	MODEL_REC_LONG,
	MODEL_VAD,
	MODEL_COUNT,
};

extern const struct demo_model demo_models[MODEL_COUNT];

/** tensor_elems() - number of elements */
int tensor_elems(const struct model_tensor *t);

/** model_find() - by name; NULL for none */
const struct demo_model *model_find(const char *name);

/**
 * models_dir() - fill a model directory for braidd
 * @dir: the directory, which is there
 * @from: absolute path of the folder of the ONNX files, which are linked to
 *
 * Return: 0 or a negative errno, said on stderr.
 */
int models_dir(const char *dir, const char *from);

#endif
