/* SPDX-License-Identifier: MIT */
/*
 * The socket framing of <linux/braid.h>, both sides of it: what a command's
 * structure and arrays look like on the wire, from one table.
 *
 * Used by libbraid (encodes commands, decodes replies), by the agent's runner
 * (the same) and by the supervisor's queue (the other way round). Pure
 * functions over caller's memory: no allocation, no lock, no I/O.
 */
#ifndef BRAID_LIB_WIRE_H
#define BRAID_LIB_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <linux/braid.h>

#define WIRE_MAX_ARRAYS	4
#define WIRE_MAX_BYTES	(128u * 1024)	/* largest message, both ways */
#define WIRE_MAX_ARG	4096u		/* largest structure of a command, of any version */

enum wire_dir {
	WIRE_IN = 1,		/* read by the queue */
	WIRE_OUT = 2,		/* written by the queue */
	WIRE_INOUT = 3,
};

/**
 * struct wire_array - an array of a command
 * @offset: of its struct braid_array in the command's structure
 * @elem: size of an element in this version
 * @max: most elements
 * @dir: who reads and who writes it
 */
struct wire_array {
	uint16_t offset;
	uint16_t elem;
	uint32_t max;
	enum wire_dir dir;
};

/**
 * struct wire_cmd - a row of the table
 * @nr: BRAID_NR_*
 * @size: of the structure in this version
 * @min: of the structure in the first version
 * @agent: a command of the agent's
 * @tenant: a command of a tenant's
 * @out_on_error: out fields go back also when the command fails
 * @fd_offset: of the __s32 that a descriptor belongs in, 0 for none
 * @n_arrays: used entries of @arrays
 * @arrays: in the order of the structure's fields
 */
struct wire_cmd {
	uint32_t nr;
	uint16_t size;
	uint16_t min;
	bool agent;
	bool tenant;
	bool out_on_error;
	uint16_t fd_offset;
	unsigned int n_arrays;
	struct wire_array arrays[WIRE_MAX_ARRAYS];
};

/** wire_cmd() - the row of a command, NULL for an unknown one */
const struct wire_cmd *wire_cmd(uint32_t nr);

/**
 * wire_encode_command() - write a COMMAND message
 * @cmd: row
 * @arg: the command's structure with @size set; IN arrays are read through ptr
 * @seq: to be echoed
 * @seen: completion records taken so far
 * @buf: message
 * @cap: room
 *
 * Return: bytes, or -EMSGSIZE (too long), -EINVAL (@size, stride or count).
 */
ssize_t wire_encode_command(const struct wire_cmd *cmd, const void *arg, uint64_t seq,
			    uint64_t seen, void *buf, size_t cap);

/**
 * wire_decode_reply() - bring a REPLY's out fields home
 * @cmd: row
 * @msg: the message, @bytes long
 * @bytes: its length
 * @arg: the caller's structure, as it was encoded
 *
 * Out arrays are written through the caller's ptr, at most the caller's count;
 * ptr and stride of every array stay the caller's.
 *
 * Return: the command's result (0 or a negative errno), -EBADMSG when the
 * message is not what this command is answered with.
 */
int wire_decode_reply(const struct wire_cmd *cmd, const void *msg, size_t bytes, void *arg);

/**
 * struct wire_call - a command as the queue handles it
 * @cmd: row
 * @seq: the message's
 * @seen: the message's
 * @arg: the structure in this version, what the caller lacks is zero
 * @caller_size: the caller's size of it
 * @in: elements as they came, NULL where there are none
 * @stride: the caller's
 * @count: elements in, or room for elements out; arrays in @arg agree
 * @out: where out elements are put, at the caller's stride
 * @fd: descriptor to send along, or -1
 */
struct wire_call {
	const struct wire_cmd *cmd;
	uint64_t seq;
	uint64_t seen;
	union {
		uint32_t size;
		struct braid_get_info get_info;
		struct braid_model_get model_get;
		struct braid_buf_alloc buf_alloc;
		struct braid_buf_free buf_free;
		struct braid_submit submit;
		struct braid_cancel cancel;
		struct braid_ring ring;
		struct braid_model_put model_put;
		struct braid_model_del model_del;
		struct braid_ready ready;
		struct braid_fetch fetch;
		struct braid_commit commit;
		struct braid_buf_get_fd buf_get_fd;
		struct braid_buf_put buf_put;
	} arg;
	uint32_t caller_size;
	const uint8_t *in[WIRE_MAX_ARRAYS];
	uint32_t stride[WIRE_MAX_ARRAYS];
	uint32_t count[WIRE_MAX_ARRAYS];
	int fd;
};

/**
 * wire_parse_command() - check a COMMAND message and take it apart
 * @msg: the message; @call keeps pointers into it
 * @bytes: its length
 * @agent: the sender is the agent, else a tenant
 * @call: filled in; seq is valid whenever @bytes hold a head
 *
 * Return: 0; -EBADMSG or -EPROTONOSUPPORT: answer and close; any other errno:
 * answer with it.
 */
int wire_parse_command(const void *msg, size_t bytes, bool agent, struct wire_call *call);

/**
 * wire_get() - copy one element of an IN array, in this version's size
 * @call: the call
 * @array: which array
 * @i: which element, below count
 * @elem: filled in, the row's elem bytes
 *
 * Return: 0, or -E2BIG where bytes that this side does not know are not zero.
 */
int wire_get(const struct wire_call *call, unsigned int array, uint32_t i, void *elem);

/**
 * struct wire_reply - a REPLY being written
 * @call: what it answers
 * @buf: message
 * @cap: room
 * @bytes: used so far
 */
struct wire_reply {
	struct wire_call *call;
	uint8_t *buf;
	size_t cap;
	size_t bytes;
};

/** wire_reply_start() - head and structure; arrays follow in the table's order */
void wire_reply_start(struct wire_reply *r, struct wire_call *call, void *buf, size_t cap);

/**
 * wire_reply_room() - how many elements of an OUT array still fit
 *
 * The smaller of the caller's room and what is left of the message.
 */
uint32_t wire_reply_room(const struct wire_reply *r, unsigned int array);

/**
 * wire_reply_put() - append elements of an OUT array
 * @r: the reply
 * @array: which; arrays in order, each at most once
 * @elems: elements of this version, @n of them, at most wire_reply_room()
 * @n: how many are sent
 * @count: what the caller finds in count (may be above @n: MODEL_GET)
 */
void wire_reply_put(struct wire_reply *r, unsigned int array, const void *elems,
		    uint32_t n, uint32_t count);

/**
 * wire_reply_end() - write the head and the structure
 * @r: the reply
 * @ret: 0 or a negative errno
 *
 * Return: bytes of the message.
 */
size_t wire_reply_end(struct wire_reply *r, int ret);

/** wire_reply_error() - a REPLY that is only a head; returns its bytes */
size_t wire_reply_error(uint32_t nr, uint64_t seq, int ret, void *buf);

#endif
