/* SPDX-License-Identifier: MIT */
/* Constants out of the model file. */
#ifndef BRAID_AGENT_ONNX_TENSOR_H
#define BRAID_AGENT_ONNX_TENSOR_H

#include <stdint.h>

struct build;
struct Onnx__TensorProto;

/**
 * onnx_tensor() - a TensorProto as a constant
 * @b: the builder; failures go to its err and why
 * @t: the message, hostile; must outlive the builder where data is not copied
 * @what: its name, for messages
 *
 * External data, segments, strings, complex numbers and types newer than
 * bfloat16 are refused, and data that does not fill the shape exactly.
 */
uint32_t onnx_tensor(struct build *b, const struct Onnx__TensorProto *t, const char *what);

#endif
