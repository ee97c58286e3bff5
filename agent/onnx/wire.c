// SPDX-License-Identifier: MIT
/*
 * Walks the wire format of a protobuf message by its descriptor, building
 * nothing. Encoding: protobuf.dev/programming-guides/encoding.
 */
#include "agent/onnx/wire.h"

#include <errno.h>
#include <protobuf-c/protobuf-c.h>

#define MAX_DEPTH	40	/* model/graph/node/attribute/graph: 3 a subgraph */
#define MAX_MEMORY	(1ull << 31)

struct wire {
	uint64_t memory;
};

/* A varint of up to 10 bytes; NULL where it is cut off or longer. */
static const uint8_t *varint(const uint8_t *p, const uint8_t *end, uint64_t *v)
{
	*v = 0;
	for (unsigned int shift = 0; p < end && shift < 70; shift += 7) {
		uint8_t byte = *p++;

		*v |= (uint64_t)(byte & 0x7f) << (shift < 64 ? shift : 63);
		if (!(byte & 0x80))
			return p;
	}
	return NULL;
}

static int walk(struct wire *w, const ProtobufCMessageDescriptor *desc, const uint8_t *p,
		const uint8_t *end, int depth)
{
	const ProtobufCFieldDescriptor *field;
	uint64_t tag, v;
	int ret;

	if (depth > MAX_DEPTH)
		return -ELOOP;
	w->memory += desc->sizeof_message + 2 * sizeof(void *);
	if (w->memory > MAX_MEMORY)
		return -E2BIG;
	while (p < end) {
		p = varint(p, end, &tag);
		if (!p || tag >> 3 > UINT32_MAX >> 3 || !(tag >> 3))
			return -EINVAL;
		switch (tag & 7) {
		case PROTOBUF_C_WIRE_TYPE_VARINT:
			p = varint(p, end, &v);
			if (!p)
				return -EINVAL;
			continue;
		case PROTOBUF_C_WIRE_TYPE_64BIT:
			v = 8;
			break;
		case PROTOBUF_C_WIRE_TYPE_32BIT:
			v = 4;
			break;
		case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
			p = varint(p, end, &v);
			if (!p)
				return -EINVAL;
			break;
		default:
			return -EINVAL;
		}
		if (v > (uint64_t)(end - p))
			return -EINVAL;
		field = protobuf_c_message_descriptor_get_field(desc, (unsigned int)(tag >> 3));
		if (field && field->type == PROTOBUF_C_TYPE_MESSAGE &&
		    (tag & 7) == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED) {
			ret = walk(w, field->descriptor, p, p + v, depth + 1);
			if (ret)
				return ret;
		}
		p += v;
	}
	return 0;
}

int wire_check(const ProtobufCMessageDescriptor *desc, const void *data, size_t bytes)
{
	struct wire w = { 0 };

	return walk(&w, desc, data, (const uint8_t *)data + bytes, 0);
}
