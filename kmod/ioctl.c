// SPDX-License-Identifier: GPL-2.0-only
/*
 * Commands: one table says how large a command's structure is, which arrays
 * hang in it and who may give it. Structures and elements are copied here and
 * nowhere else, each once, by the rules at the head of <linux/braid.h>.
 */
#include <linux/compat.h>
#include <linux/file.h>
#include <linux/nospec.h>
#include <linux/nsproxy.h>
#include <linux/overflow.h>
#include <linux/time_namespace.h>
#include <linux/uaccess.h>

#include "kmod/braid_priv.h"
#include "kmod/compat.h"

/* No structure or element of any version to come is larger. */
#define MAX_BYTES	4096

#define MAX_ARRAYS	4

/**
 * struct array - an array of a command
 * @offset: of its struct braid_array in the structure
 * @bytes: an element in this version, which is also the first
 * @max: elements, 0 for no limit
 */
struct array {
	u16 offset;
	u16 bytes;
	u32 max;
};

/**
 * struct command - a row of the table
 * @size: the structure in this version
 * @min: in the first version
 * @out: it has fields that are written back
 * @out_on_error: also when the command fails
 * @tenant: what carries it out; NULL: not a tenant's command
 * @agent: the same for the agent
 * @undo: the structure could not be written back
 * @n_arrays: used entries of @arrays
 * @arrays: in the order of the structure's fields
 */
struct command {
	u16 size;
	u16 min;
	bool out;
	bool out_on_error;
	int (*tenant)(struct braid_call *call);
	int (*agent)(struct braid_call *call);
	void (*undo)(struct braid_call *call);
	unsigned int n_arrays;
	struct array arrays[MAX_ARRAYS];
};

#define SIZE(type)		.size = sizeof(struct type), .min = sizeof(struct type)
#define ARRAY(type, field, elem, most) \
	{ offsetof(struct type, field), sizeof(struct elem), most }

static const struct command commands[] = {
	[BRAID_NR_GET_INFO] = {
		SIZE(braid_get_info), .out = true,
		.tenant = braid_get_info, .agent = braid_get_info,
	},
	[BRAID_NR_MODEL_GET] = {
		SIZE(braid_model_get), .out = true,
		.tenant = braid_model_get, .agent = braid_model_get,
		.n_arrays = 1,
		.arrays = { ARRAY(braid_model_get, tensors, braid_tensor, 0) },
	},
	[BRAID_NR_BUF_ALLOC] = {
		SIZE(braid_buf_alloc), .out = true,
		.tenant = braid_buf_alloc, .undo = braid_buf_alloc_undo,
	},
	[BRAID_NR_BUF_FREE] = {
		SIZE(braid_buf_free), .tenant = braid_buf_free,
	},
	[BRAID_NR_SUBMIT] = {
		SIZE(braid_submit), .out = true, .out_on_error = true,
		.tenant = braid_submit,
		.n_arrays = 2,
		.arrays = {
			ARRAY(braid_submit, requests, braid_request, BRAID_MAX_BATCH),
			ARRAY(braid_submit, slices, braid_slice, BRAID_MAX_SLICES),
		},
	},
	[BRAID_NR_CANCEL] = {
		SIZE(braid_cancel), .out = true, .tenant = braid_cancel,
	},
	[BRAID_NR_MODEL_PUT] = {
		SIZE(braid_model_put), .out = true, .agent = braid_agent_model_put,
		.n_arrays = 1,
		.arrays = { ARRAY(braid_model_put, tensors, braid_tensor, BRAID_MAX_TENSORS) },
	},
	[BRAID_NR_MODEL_DEL] = {
		SIZE(braid_model_del), .agent = braid_agent_model_del,
	},
	[BRAID_NR_READY] = {
		SIZE(braid_ready), .out = true, .agent = braid_agent_ready,
	},
	[BRAID_NR_FETCH] = {
		SIZE(braid_fetch), .out = true, .agent = braid_agent_fetch,
		.undo = braid_agent_fetch_undo,
		.n_arrays = 4,
		.arrays = {
			ARRAY(braid_fetch, wants, braid_want, BRAID_MAX_WANTS),
			ARRAY(braid_fetch, jobs, braid_job, 0),
			ARRAY(braid_fetch, slices, braid_slice, 0),
			ARRAY(braid_fetch, events, braid_event, 0),
		},
	},
	[BRAID_NR_COMMIT] = {
		SIZE(braid_commit), .out = true, .out_on_error = true,
		.agent = braid_agent_commit,
		.n_arrays = 1,
		.arrays = { ARRAY(braid_commit, results, braid_result, BRAID_MAX_BATCH) },
	},
	[BRAID_NR_BUF_GET_FD] = {
		SIZE(braid_buf_get_fd), .out = true, .agent = braid_agent_buf_get_fd,
	},
	[BRAID_NR_BUF_PUT] = {
		SIZE(braid_buf_put), .agent = braid_agent_buf_put,
	},
};

static int check_arrays(const struct command *c, const union braid_arg *arg)
{
	const struct braid_array *a;
	unsigned int i;

	for (i = 0; i < c->n_arrays; i++) {
		a = (const void *)arg + c->arrays[i].offset;
		if (c->arrays[i].max && a->count > c->arrays[i].max)
			return -EMSGSIZE;
		if (!a->count)
			continue;
		if (a->stride < c->arrays[i].bytes || a->stride > MAX_BYTES)
			return -EINVAL;
	}
	return 0;
}

/*
 * Can what is to be written back be written? As braid_array_touch(): its ends are
 * written as they were read, and there are two pages at most.
 */
static int touch(void __user *user, const union braid_arg *arg, u32 bytes)
{
	const u8 *b = (const void *)arg;

	if (put_user(b[0], (u8 __user *)user) ||
	    put_user(b[bytes - 1], (u8 __user *)user + bytes - 1))
		return -EFAULT;
	return 0;
}

/* The command has gone well but for @ret: install or drop its descriptor. */
static void finish_file(struct braid_call *call, int ret)
{
	if (!call->new_file)
		return;
	if (!ret) {
		fd_install(call->new_fd, call->new_file);
		return;
	}
	put_unused_fd(call->new_fd);
	fput(call->new_file);
}

long braid_ioctl(struct file *file, unsigned int cmd, unsigned long arg,
		 struct braid_call *call)
{
	int (*execute)(struct braid_call *call);
	void __user *user = (void __user *)arg;
	unsigned int nr = _IOC_NR(cmd);
	const struct command *c;
	u32 size;
	int ret;

	if (cmd != _IO(BRAID_IOC_TYPE, nr) || nr >= ARRAY_SIZE(commands))
		return -ENOTTY;
	c = &commands[array_index_nospec(nr, ARRAY_SIZE(commands))];
	execute = call->agent ? c->agent : c->tenant;
	if (!execute)
		return -ENOTTY;

	if (get_user(size, (u32 __user *)user))
		return -EFAULT;
	if (size < c->min)
		return -EINVAL;
	if (size > MAX_BYTES)
		return -E2BIG;
	ret = copy_struct_from_user(&call->arg, c->size, user, size);
	if (!ret)
		ret = check_arrays(c, &call->arg);
	if (ret)
		return ret;
	/* It may have changed since; what counts is the first reading. */
	call->arg.size = size;
	/* Nothing is done whose result can't be told. */
	if (c->out && touch(user, &call->arg, min_t(u32, size, c->size)))
		return -EFAULT;
	call->file = file;
	call->new_file = NULL;

	ret = execute(call);
	if (c->out && (!ret || c->out_on_error)) {
		call->arg.size = size;
		if (copy_to_user(user, &call->arg, min_t(u32, size, c->size))) {
			if (!ret && c->undo)
				c->undo(call);
			ret = -EFAULT;
		}
	}
	finish_file(call, ret);
	return ret;
}

/* Address of an array's element, all of it below the end of addresses. */
static int element(const struct braid_array *a, u32 i, void __user **p)
{
	u64 at, end;

	if (check_add_overflow(a->ptr, (u64)i * a->stride, &at) ||
	    check_add_overflow(at, (u64)a->stride, &end) || end > ULONG_MAX)
		return -EFAULT;
	*p = u64_to_user_ptr(at);
	return 0;
}

/**
 * braid_array_get - copy one element
 * @a: array, checked by the table
 * @i: index, below count
 * @elem: filled in
 * @bytes: its size in this version
 *
 * Returns 0, -EFAULT, or -E2BIG: bytes that this side does not know are set.
 */
int braid_array_get(const struct braid_array *a, u32 i, void *elem, u32 bytes)
{
	void __user *p;
	int ret;

	ret = element(a, i, &p);
	return ret ? ret : copy_struct_from_user(elem, bytes, p, a->stride);
}

/* All elements, of the caller's size or ours. */
int braid_array_get_all(const struct braid_array *a, void *elems, u32 bytes)
{
	void __user *p;
	int ret = 0;
	u32 i;

	if (!a->count)
		return 0;
	if (a->stride == bytes) {
		ret = element(a, a->count - 1, &p);
		if (ret || copy_from_user(elems, u64_to_user_ptr(a->ptr), (size_t)a->count * bytes))
			return -EFAULT;
		return 0;
	}
	for (i = 0; i < a->count && !ret; i++)
		ret = braid_array_get(a, i, elems + (size_t)i * bytes, bytes);
	return ret;
}

/**
 * braid_array_put - write elements
 * @a: array
 * @elems: ours
 * @n: how many, at most count
 * @bytes: size of one in this version
 *
 * Where the caller's are larger, the rest of each is cleared.
 */
int braid_array_put(const struct braid_array *a, const void *elems, u32 n, u32 bytes)
{
	void __user *p;
	u32 i;

	if (!n)
		return 0;
	if (element(a, n - 1, &p))
		return -EFAULT;
	p = u64_to_user_ptr(a->ptr);
	if (a->stride == bytes)
		return copy_to_user(p, elems, (size_t)n * bytes) ? -EFAULT : 0;
	for (i = 0; i < n; i++) {
		if (copy_to_user(p, elems, bytes) || clear_user(p + bytes, a->stride - bytes))
			return -EFAULT;
		p += a->stride;
		elems += bytes;
	}
	return 0;
}

/*
 * Can @n elements be written? Nothing is promised, it may change at once. What is
 * there stays: a byte of every page is written back as it was read.
 */
int braid_array_touch(const struct braid_array *a, u32 n)
{
	char __user *p, *end;
	void __user *last;
	char c;

	if (!n)
		return 0;
	if (element(a, n - 1, &last))
		return -EFAULT;
	end = last + a->stride;
	for (p = u64_to_user_ptr(a->ptr); p < end; p = PTR_ALIGN(p + 1, PAGE_SIZE))
		if (get_user(c, p) || put_user(c, p))
			return -EFAULT;
	return 0;
}

/* How far the caller's CLOCK_MONOTONIC is ahead of ours. */
static s64 clock_offset(void)
{
#ifdef CONFIG_TIME_NS
	return timespec64_to_ns(&current->nsproxy->time_ns->offsets.monotonic);
#else
	return 0;
#endif
}

/* The caller's time as the queue's: never 0, which would be none. */
u64 braid_time_in(u64 ns)
{
	s64 ahead = clock_offset();

	if (!ns || !ahead)
		return ns;
	if (ahead > 0)
		return ns > (u64)ahead ? ns - ahead : 1;
	return ns < U64_MAX - (u64)-ahead ? ns + (u64)-ahead : U64_MAX;
}

/* And back. */
u64 braid_time_out(u64 ns)
{
	return ns ? ns + clock_offset() : 0;
}
