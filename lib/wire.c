// SPDX-License-Identifier: MIT
/*
 * The command table and the marshalling of <linux/braid.h> over a socket.
 *
 * Everything that comes in is hostile: sizes, counts and strides are checked
 * against the bytes that are really there before anything is read.
 */
#include "lib/wire.h"

#include <errno.h>
#include <string.h>
#include <sys/types.h>

#define ALIGN8(n)	(((n) + 7) & ~(size_t)7)
#define ARRAY(s, f, e, m, d)	{ offsetof(struct s, f), sizeof(struct e), m, d }
#define MAX_SLICES	(BRAID_MAX_BATCH * BRAID_MAX_TENSORS)
#define ROW(n, s)	.nr = BRAID_NR_##n, .size = sizeof(struct s), .min = sizeof(struct s)

static const struct wire_cmd table[] = {
	{ ROW(GET_INFO, braid_get_info), .tenant = true, .agent = true },
	{ ROW(MODEL_GET, braid_model_get), .tenant = true, .agent = true, .n_arrays = 1,
	  .arrays = { ARRAY(braid_model_get, tensors, braid_tensor, UINT32_MAX, WIRE_OUT) } },
	{ ROW(BUF_ALLOC, braid_buf_alloc), .tenant = true,
	  .fd_offset = offsetof(struct braid_buf_alloc, fd) },
	{ ROW(BUF_FREE, braid_buf_free), .tenant = true },
	{ ROW(SUBMIT, braid_submit), .tenant = true, .out_on_error = true, .n_arrays = 2,
	  .arrays = {
		ARRAY(braid_submit, requests, braid_request, BRAID_MAX_BATCH, WIRE_IN),
		ARRAY(braid_submit, slices, braid_slice, MAX_SLICES, WIRE_IN),
	  } },
	{ ROW(CANCEL, braid_cancel), .tenant = true },
	{ ROW(RING, braid_ring), .tenant = true, .agent = true,
	  .fd_offset = offsetof(struct braid_ring, fd) },
	{ ROW(MODEL_PUT, braid_model_put), .agent = true, .n_arrays = 1,
	  .arrays = {
		ARRAY(braid_model_put, tensors, braid_tensor, BRAID_MAX_TENSORS, WIRE_IN),
	  } },
	{ ROW(MODEL_DEL, braid_model_del), .agent = true },
	{ ROW(READY, braid_ready), .agent = true },
	{ ROW(FETCH, braid_fetch), .agent = true, .n_arrays = 4,
	  .arrays = {
		ARRAY(braid_fetch, wants, braid_want, 4096, WIRE_IN),
		ARRAY(braid_fetch, jobs, braid_job, UINT32_MAX, WIRE_OUT),
		ARRAY(braid_fetch, slices, braid_slice, UINT32_MAX, WIRE_OUT),
		ARRAY(braid_fetch, events, braid_event, UINT32_MAX, WIRE_OUT),
	  } },
	{ ROW(COMMIT, braid_commit), .agent = true, .out_on_error = true, .n_arrays = 1,
	  .arrays = {
		ARRAY(braid_commit, results, braid_result, BRAID_MAX_BATCH, WIRE_INOUT),
	  } },
	{ ROW(BUF_GET_FD, braid_buf_get_fd), .agent = true,
	  .fd_offset = offsetof(struct braid_buf_get_fd, fd) },
	{ ROW(BUF_PUT, braid_buf_put), .agent = true },
};

const struct wire_cmd *wire_cmd(uint32_t nr)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].nr == nr)
			return &table[i];
	return NULL;
}

static struct braid_array get_array(const void *arg, const struct wire_array *a)
{
	struct braid_array v;

	memcpy(&v, (const uint8_t *)arg + a->offset, sizeof(v));
	return v;
}

static void set_array(void *arg, const struct wire_array *a, const struct braid_array *v)
{
	memcpy((uint8_t *)arg + a->offset, v, sizeof(*v));
}

static bool all_zero(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i])
			return false;
	return true;
}

ssize_t wire_encode_command(const struct wire_cmd *cmd, const void *arg, uint64_t seq,
			    uint64_t seen, void *buf, size_t cap)
{
	struct braid_msg head = { .abi = BRAID_ABI, .type = BRAID_MSG_COMMAND,
				  .cmd = cmd->nr, .seq = seq, .seen = seen };
	uint8_t *out = buf;
	size_t at = sizeof(head);
	uint32_t size;

	memcpy(&size, arg, sizeof(size));
	if (size < cmd->min || size > 4096)
		return -EINVAL;
	if (at + size > cap)
		return -EMSGSIZE;
	memcpy(out + at, arg, size);
	for (unsigned int i = 0; i < cmd->n_arrays; i++) {
		struct braid_array v = get_array(arg, &cmd->arrays[i]);

		v.ptr = 0;
		set_array(out + sizeof(head), &cmd->arrays[i], &v);
	}
	at += size;
	for (unsigned int i = 0; i < cmd->n_arrays; i++) {
		struct braid_array v = get_array(arg, &cmd->arrays[i]);
		size_t bytes = (size_t)v.stride * v.count, start = ALIGN8(at);

		if (!(cmd->arrays[i].dir & WIRE_IN) || !v.count)
			continue;
		if (start > cap || bytes > cap - start)
			return -EMSGSIZE;
		memset(out + at, 0, start - at);
		memcpy(out + start, (const void *)(uintptr_t)v.ptr, bytes);
		at = start + bytes;
	}
	head.size = at;
	memcpy(out, &head, sizeof(head));
	return at;
}

int wire_decode_reply(const struct wire_cmd *cmd, const void *msg, size_t bytes, void *arg)
{
	const uint8_t *in = msg;
	struct braid_array mine[WIRE_MAX_ARRAYS];
	uint32_t room[WIRE_MAX_ARRAYS];
	struct braid_msg head;
	uint32_t size;
	size_t at;

	if (bytes < sizeof(head))
		return -EBADMSG;
	memcpy(&head, in, sizeof(head));
	if (head.size != bytes || head.type != BRAID_MSG_REPLY || head.cmd != cmd->nr ||
	    head.ret > 0)
		return -EBADMSG;
	if (bytes == sizeof(head))
		return head.ret ? head.ret : -EBADMSG;
	memcpy(&size, arg, sizeof(size));
	if (bytes - sizeof(head) < size || size < cmd->min)
		return -EBADMSG;
	for (unsigned int i = 0; i < cmd->n_arrays; i++)
		mine[i] = get_array(arg, &cmd->arrays[i]);
	memcpy(arg, in + sizeof(head), size);
	memcpy(arg, &size, sizeof(size));
	/* All of them first: whatever follows, no pointer stays the sender's. */
	for (unsigned int i = 0; i < cmd->n_arrays; i++) {
		uint32_t count = get_array(arg, &cmd->arrays[i]).count;

		room[i] = mine[i].count;
		if (cmd->arrays[i].dir & WIRE_OUT)
			mine[i].count = count;
		set_array(arg, &cmd->arrays[i], &mine[i]);
	}
	at = sizeof(head) + size;
	for (unsigned int i = 0; i < cmd->n_arrays; i++) {
		struct braid_array v = mine[i];
		size_t n = v.count < room[i] ? v.count : room[i];
		size_t start = ALIGN8(at);

		if (!(cmd->arrays[i].dir & WIRE_OUT) || !n)
			continue;
		if (start > bytes || n * v.stride > bytes - start)
			return -EBADMSG;
		memcpy((void *)(uintptr_t)v.ptr, in + start, n * v.stride);
		at = start + n * v.stride;
	}
	return head.ret;
}

int wire_parse_command(const void *msg, size_t bytes, bool agent, struct wire_call *call)
{
	const uint8_t *in = msg;
	const struct wire_cmd *cmd;
	struct braid_msg head;
	uint32_t size;
	size_t at;

	call->cmd = NULL;
	call->seq = 0;
	call->seen = 0;
	call->fd = -1;
	if (bytes < sizeof(head))
		return -EBADMSG;
	memcpy(&head, in, sizeof(head));
	call->seq = head.seq;
	call->seen = head.seen;
	if (head.abi != BRAID_ABI)
		return -EPROTONOSUPPORT;
	if (head.size != bytes || head.type != BRAID_MSG_COMMAND || head.ret)
		return -EBADMSG;
	cmd = wire_cmd(head.cmd);
	if (!cmd || !(agent ? cmd->agent : cmd->tenant))
		return -ENOTTY;
	call->cmd = cmd;
	if (bytes - sizeof(head) < sizeof(size))
		return -EBADMSG;
	memcpy(&size, in + sizeof(head), sizeof(size));
	if (size < cmd->min)
		return -EINVAL;
	if (size > bytes - sizeof(head))
		return -EBADMSG;
	/* Its reply is as long. */
	if (size > WIRE_MAX_ARG)
		return -E2BIG;
	memset(&call->arg, 0, sizeof(call->arg));
	memcpy(&call->arg, in + sizeof(head), size < cmd->size ? size : cmd->size);
	if (size > cmd->size && !all_zero(in + sizeof(head) + cmd->size, size - cmd->size))
		return -E2BIG;
	call->arg.size = cmd->size;
	call->caller_size = size;

	at = sizeof(head) + size;
	for (unsigned int i = 0; i < cmd->n_arrays; i++) {
		const struct wire_array *a = &cmd->arrays[i];
		struct braid_array v = get_array(&call->arg, a);
		size_t start = ALIGN8(at), room;

		call->in[i] = NULL;
		call->stride[i] = v.stride;
		call->count[i] = v.count;
		if (v.ptr)
			return -EINVAL;
		if (v.count > a->max)
			return -EMSGSIZE;
		if (!v.count)
			continue;
		if (v.stride < a->elem || v.stride > 4096)
			return -EINVAL;
		if (!(a->dir & WIRE_IN))
			continue;
		room = start <= bytes ? bytes - start : 0;
		if (v.count > room / v.stride || !all_zero(in + at, start - at))
			return -EBADMSG;
		call->in[i] = in + start;
		at = start + (size_t)v.stride * v.count;
	}
	return at == bytes ? 0 : -EBADMSG;
}

int wire_get(const struct wire_call *call, unsigned int array, uint32_t i, void *elem)
{
	size_t known = call->cmd->arrays[array].elem, stride = call->stride[array];
	const uint8_t *p = call->in[array] + (size_t)i * stride;

	memcpy(elem, p, known);
	return all_zero(p + known, stride - known) ? 0 : -E2BIG;
}

void wire_reply_start(struct wire_reply *r, struct wire_call *call, void *buf, size_t cap)
{
	r->call = call;
	r->buf = buf;
	r->cap = cap;
	r->bytes = sizeof(struct braid_msg) + call->caller_size;
	/* What an array is not given a value for holds nothing in the reply. */
	for (unsigned int i = 0; i < call->cmd->n_arrays; i++) {
		struct braid_array v = { .stride = call->stride[i] };

		if (!(call->cmd->arrays[i].dir & WIRE_OUT))
			v.count = call->count[i];
		set_array(&call->arg, &call->cmd->arrays[i], &v);
	}
}

uint32_t wire_reply_room(const struct wire_reply *r, unsigned int array)
{
	size_t start = ALIGN8(r->bytes), left = start < r->cap ? r->cap - start : 0;
	uint32_t stride = r->call->stride[array];

	if (!stride || !r->call->count[array])
		return 0;
	return left / stride < r->call->count[array] ? left / stride : r->call->count[array];
}

void wire_reply_put(struct wire_reply *r, unsigned int array, const void *elems,
		    uint32_t n, uint32_t count)
{
	const struct wire_array *a = &r->call->cmd->arrays[array];
	struct braid_array v = { .stride = r->call->stride[array], .count = count };
	size_t start = ALIGN8(r->bytes);

	set_array(&r->call->arg, a, &v);
	if (!n)
		return;
	memset(r->buf + r->bytes, 0, start - r->bytes);
	for (uint32_t i = 0; i < n; i++) {
		uint8_t *to = r->buf + start + (size_t)i * v.stride;

		memcpy(to, (const uint8_t *)elems + (size_t)i * a->elem, a->elem);
		memset(to + a->elem, 0, v.stride - a->elem);
	}
	r->bytes = start + (size_t)n * v.stride;
}

size_t wire_reply_end(struct wire_reply *r, int ret)
{
	struct wire_call *call = r->call;
	uint32_t size = call->caller_size;
	struct braid_msg head = { .size = r->bytes, .abi = BRAID_ABI, .type = BRAID_MSG_REPLY,
				  .cmd = call->cmd->nr, .ret = ret, .seq = call->seq };

	call->arg.size = size;
	if (size > call->cmd->size) {
		memcpy(r->buf + sizeof(head), &call->arg, call->cmd->size);
		memset(r->buf + sizeof(head) + call->cmd->size, 0, size - call->cmd->size);
	} else {
		memcpy(r->buf + sizeof(head), &call->arg, size);
	}
	memcpy(r->buf, &head, sizeof(head));
	return r->bytes;
}

size_t wire_reply_error(uint32_t nr, uint64_t seq, int ret, void *buf)
{
	struct braid_msg head = { .size = sizeof(head), .abi = BRAID_ABI,
				  .type = BRAID_MSG_REPLY, .cmd = nr, .ret = ret, .seq = seq };

	memcpy(buf, &head, sizeof(head));
	return sizeof(head);
}
