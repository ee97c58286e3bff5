/* SPDX-License-Identifier: MIT */
/* A look at a protobuf message before it is unpacked. */
#ifndef BRAID_AGENT_ONNX_WIRE_H
#define BRAID_AGENT_ONNX_WIRE_H

#include <stddef.h>
#include <stdint.h>

struct ProtobufCMessageDescriptor;

/**
 * wire_check() - is it safe to unpack this?
 * @desc: what the message should be
 * @data: its bytes
 * @bytes: their number
 *
 * protobuf-c unpacks recursively with large stack frames and without a bound,
 * and a submessage of two bytes costs a hundred of memory. So the nesting and
 * the memory of all submessages are bounded here first.
 *
 * Return: 0; -EINVAL: truncated or not protobuf; -ELOOP: nested too deep;
 * -E2BIG: too many submessages for their size.
 */
int wire_check(const struct ProtobufCMessageDescriptor *desc, const void *data, size_t bytes);

#endif
