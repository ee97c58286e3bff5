/* SPDX-License-Identifier: MIT */
/* From a parsed model to operations. */
#ifndef BRAID_AGENT_ONNX_IMPORT_H
#define BRAID_AGENT_ONNX_IMPORT_H

struct build;
struct load_config;
struct Onnx__ModelProto;

/**
 * onnx_import() - translate a model, with its shapes bound
 * @b: an empty builder; failures go to its err and why
 * @model: hostile; must outlive the builder
 * @cfg: how to bind
 *
 * Emit functions (emit.h) do the operators. Here: names, order, initializers,
 * inputs, outputs, subgraphs. `If` with a condition known here becomes the
 * branch taken.
 */
void onnx_import(struct build *b, const struct Onnx__ModelProto *model,
		 const struct load_config *cfg);

#endif
