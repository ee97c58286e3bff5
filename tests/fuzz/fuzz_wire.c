// SPDX-License-Identifier: MIT
/*
 * libFuzzer: lib/wire.c from both sides. The input is a message: as a command
 * it is taken apart and answered, and the answer must come home at the other
 * side as it was given; as a reply it is brought home as it is. Neither may
 * touch a byte beside what it was given, which the sanitizer sees.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/wire.h"

#define OUT_ELEMENTS	8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool good)
{
	if (!good)
		abort();
}

static struct braid_array array_of(const void *arg, const struct wire_array *a)
{
	struct braid_array v;

	memcpy(&v, (const uint8_t *)arg + a->offset, sizeof(v));
	return v;
}

/* Answer a call with elements of our own, and read the answer as its sender. */
static void answer(struct wire_call *call, const uint8_t *arg, uint32_t arg_size)
{
	static uint8_t out[WIRE_MAX_BYTES], elems[OUT_ELEMENTS * 512];
	const struct wire_cmd *cmd = call->cmd;
	uint8_t *home = malloc(arg_size), *memory[WIRE_MAX_ARRAYS] = { NULL };
	uint32_t sent[WIRE_MAX_ARRAYS] = { 0 };
	struct wire_reply r;
	size_t n;

	memcpy(home, arg, arg_size);
	for (size_t i = 0; i < sizeof(elems); i++)
		elems[i] = i * 31 + 1;
	wire_reply_start(&r, call, out, sizeof(out));
	for (unsigned int i = 0; i < cmd->n_arrays; i++) {
		const struct wire_array *a = &cmd->arrays[i];
		struct braid_array v = array_of(arg, a);
		uint32_t room;

		if (!(a->dir & WIRE_OUT))
			continue;
		room = wire_reply_room(&r, i);
		must(room <= v.count);
		sent[i] = room < OUT_ELEMENTS ? room : OUT_ELEMENTS;
		wire_reply_put(&r, i, elems, sent[i], sent[i]);
		/* The tenant's memory, as large as it says or as is used of it. */
		memory[i] = malloc((size_t)sent[i] * v.stride + 1);
		v.count = v.count < OUT_ELEMENTS ? v.count : OUT_ELEMENTS;
		v.ptr = (uintptr_t)memory[i];
		memcpy(home + a->offset, &v, sizeof(v));
	}
	n = wire_reply_end(&r, 0);
	must(n <= sizeof(out));
	must(!wire_decode_reply(cmd, out, n, home));
	for (unsigned int i = 0; i < cmd->n_arrays; i++) {
		const struct wire_array *a = &cmd->arrays[i];
		struct braid_array v = array_of(home, a);

		if (!(a->dir & WIRE_OUT))
			continue;
		must(v.count == sent[i]);
		for (uint32_t k = 0; k < sent[i]; k++)
			must(!memcmp(memory[i] + (size_t)k * v.stride,
				     elems + (size_t)k * a->elem, a->elem));
		free(memory[i]);
	}
	free(home);
}

static void as_command(const uint8_t *msg, size_t size, bool agent)
{
	uint8_t elem[512];
	struct wire_call call;
	int ret = wire_parse_command(msg, size, agent, &call);

	must(ret <= 0);
	if (ret)
		return;
	must(call.cmd && (agent ? call.cmd->agent : call.cmd->tenant));
	for (unsigned int i = 0; i < call.cmd->n_arrays; i++) {
		if (!(call.cmd->arrays[i].dir & WIRE_IN))
			continue;
		for (uint32_t k = 0; k < call.count[i]; k++) {
			ret = wire_get(&call, i, k, elem);
			must(!ret || ret == -E2BIG);
		}
	}
	answer(&call, msg + sizeof(struct braid_msg), call.caller_size);
}

/* A reply to each command in turn, into memory for a few elements. */
static void as_reply(const uint8_t *msg, size_t size, bool fix)
{
	struct braid_msg head;
	const struct wire_cmd *cmd;
	uint8_t *memory[WIRE_MAX_ARRAYS] = { NULL }, *arg, *copy;
	uint32_t arg_size;

	if (size < sizeof(head))
		return;
	memcpy(&head, msg, sizeof(head));
	cmd = wire_cmd(head.cmd);
	if (!cmd)
		return;
	copy = malloc(size);
	memcpy(copy, msg, size);
	if (fix) {
		/* Else hardly one in a million gets further. */
		head.size = size;
		head.type = BRAID_MSG_REPLY;
		head.ret = head.ret & 1 ? 0 : -EINVAL;
		memcpy(copy, &head, sizeof(head));
	}
	arg_size = cmd->size;
	arg = calloc(1, arg_size);
	memcpy(arg, &arg_size, sizeof(arg_size));
	for (unsigned int i = 0; i < cmd->n_arrays; i++) {
		struct braid_array v = { cmd->arrays[i].elem, OUT_ELEMENTS, 0 };

		memory[i] = malloc((size_t)v.stride * v.count);
		v.ptr = (uintptr_t)memory[i];
		memcpy(arg + cmd->arrays[i].offset, &v, sizeof(v));
	}
	must(wire_decode_reply(cmd, copy, size, arg) <= 0);
	for (unsigned int i = 0; i < cmd->n_arrays; i++) {
		must(array_of(arg, &cmd->arrays[i]).ptr == (uintptr_t)memory[i] ||
		     size == sizeof(head));
		free(memory[i]);
	}
	free(arg);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *msg;
	struct braid_msg head;

	/* Exactly as long as it says, so that a byte too far is seen. */
	msg = malloc(size ? size : 1);
	memcpy(msg, data, size);
	for (int fix = 0; fix < 2; fix++) {
		if (fix && size >= sizeof(head)) {
			memcpy(&head, msg, sizeof(head));
			head.size = size;
			head.abi = BRAID_ABI;
			head.type = BRAID_MSG_COMMAND;
			head.ret = 0;
			memcpy(msg, &head, sizeof(head));
		}
		as_command(msg, size, false);
		as_command(msg, size, true);
	}
	memcpy(msg, data, size);
	as_reply(msg, size, false);
	as_reply(msg, size, true);
	free(msg);
	return 0;
}
