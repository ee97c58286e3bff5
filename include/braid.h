/* SPDX-License-Identifier: MIT */
/*
 * libbraid: what a tenant links.
 *
 *	struct braid *b;
 *	struct braid_model *m;
 *
 *	braid_open(NULL, &b);
 *	braid_model_find(b, "resnet50", &m);
 *	braid_infer(b, m, inputs, outputs, -1);
 *	braid_close(b);
 *
 * Functions return 0 or a count, or a negative errno; braid_error() then has
 * words for it. Every function may be called from any thread, except that
 * braid_close() must be the last one, and that a buffer or a model is not
 * released while another call is using it. Completions go to whichever thread
 * asks first.
 *
 * The queue is the kernel's (/dev/braid0) or a process's behind a socket;
 * every function does the same over both. The kernel's outlives every agent.
 * When a process dies and returns, libbraid connects again, brings buffers
 * (with their contents, at the same address) and models back and submits again
 * what is outstanding: a tenant sees latency, not loss.
 *
 * A connection is not for use by a child of fork(): parent and child would be
 * one tenant and take each other's completions. The child may call
 * braid_close() on it, which takes nothing from the parent, and open one of
 * its own. Buffers stay mapped in the child, shared with the parent.
 */
#ifndef BRAID_H
#define BRAID_H

#include <stddef.h>
#include <stdint.h>

#include <linux/braid.h>

#ifdef __cplusplus
extern "C" {
#endif

struct braid;
struct braid_model;
struct braid_buf;

/**
 * braid_open() - connect to the queue
 * @path: a device or a socket; NULL: $BRAID_PATH, else /dev/braid0 if it can be
 *        opened, else /run/braid/braid.sock
 * @out: the connection
 *
 * Return: 0; -ENOENT or -ECONNREFUSED: nobody serves there; -EACCES: not in
 * the group that may; -EPROTONOSUPPORT: another version of the interface.
 */
int braid_open(const char *path, struct braid **out);

/**
 * braid_close() - disconnect; what is outstanding is dropped
 * @b: the connection, or NULL. Its models and buffers go with it, mappings included
 */
void braid_close(struct braid *b);

/**
 * braid_error() - words for the last failure in this thread
 *
 * Return: a string, never NULL, valid until this thread's next call.
 */
const char *braid_error(void);

/**
 * braid_fd() - a descriptor to poll
 * @b: the connection
 *
 * Readable when braid_wait() has something to do. The same descriptor for the
 * life of @b, also across reconnections. Not to be read or closed.
 */
int braid_fd(const struct braid *b);

/**
 * braid_set_patience() - how long to wait for a queue that went away
 * @b: the connection
 * @ms: milliseconds, 30,000 unless set; after that outstanding requests end
 *      with -ECONNRESET and so does every call. A device does not go away:
 *      there, requests wait for the next agent as long as it takes
 */
void braid_set_patience(struct braid *b, unsigned int ms);

/**
 * braid_set_spin() - how long to look for an answer before sleeping
 * @b: the connection
 * @us: microseconds, 50 unless set, 10,000 at most; 0: sleep at once
 *
 * Over a socket, where braidd runs on another CPU and answers that soon, it
 * spares waking an idle CPU. Where answers take longer one wait in 64 begins
 * with four times that, to find out whether they still do.
 */
void braid_set_spin(struct braid *b, unsigned int us);

/**
 * braid_info() - limits, quota, generation
 * @b: the connection
 * @info: filled in
 */
int braid_info(struct braid *b, struct braid_get_info *info);

/**
 * braid_model_find() - find a model by name
 * @b: the connection
 * @name: its name
 * @out: the model, to be released with braid_model_put() or by braid_close()
 *
 * When another file takes its name the handle's requests get -ENOENT, and it
 * is to be found again; when the queue itself was restarted the handle means
 * what has the name then, if its tensors are the same.
 *
 * Return: 0; -ENOENT: no such model now.
 */
int braid_model_find(struct braid *b, const char *name, struct braid_model **out);

/**
 * braid_model_next() - walk the models
 * @b: the connection
 * @prev: the one before, NULL for the first; stays the caller's
 * @out: the next one
 *
 * In the order in which they were published; a queue that came back in between
 * may have another order. Return: 0; -ENOENT: that was the last.
 */
int braid_model_next(struct braid *b, const struct braid_model *prev, struct braid_model **out);

/**
 * braid_model_put() - release a model
 * @b: the connection
 * @m: found as often as it is put; none of its requests may be outstanding
 */
void braid_model_put(struct braid *b, struct braid_model *m);

/** braid_model_name() - its name */
const char *braid_model_name(const struct braid_model *m);

/** braid_model_digest() - BRAID_DIGEST_BYTES bytes */
const uint8_t *braid_model_digest(const struct braid_model *m);

/** braid_model_inputs() - number of inputs */
unsigned int braid_model_inputs(const struct braid_model *m);

/** braid_model_outputs() - number of outputs */
unsigned int braid_model_outputs(const struct braid_model *m);

/** braid_model_input() - input @i, NULL beyond the last */
const struct braid_tensor *braid_model_input(const struct braid_model *m, unsigned int i);

/** braid_model_output() - output @i, NULL beyond the last */
const struct braid_tensor *braid_model_output(const struct braid_model *m, unsigned int i);

/**
 * braid_buf_new() - memory that tensors can lie in
 * @b: the connection
 * @bytes: wanted; rounded up
 * @out: the buffer, zeroed, mapped
 *
 * Return: 0; -EDQUOT: byte quota; -ENOMEM.
 */
int braid_buf_new(struct braid *b, size_t bytes, struct braid_buf **out);

/** braid_buf_addr() - where it is mapped; stays there */
void *braid_buf_addr(const struct braid_buf *buf);

/** braid_buf_bytes() - its length */
size_t braid_buf_bytes(const struct braid_buf *buf);

/**
 * braid_buf_free() - unmap and free
 * @b: the connection
 * @buf: the buffer; NULL is fine
 *
 * Outstanding requests that use it run to their end, for nobody to see. Should
 * the queue go away before, they end with -ENOENT instead of being sent again.
 * Return: 0; -ENOENT: none of this connection's.
 */
int braid_buf_free(struct braid *b, struct braid_buf *buf);

/**
 * struct braid_at - where a tensor lies
 * @buf: buffer
 * @offset: bytes, a multiple of 64; the length is the model's
 */
struct braid_at {
	struct braid_buf *buf;
	size_t offset;
};

/**
 * struct braid_job_desc - one inference to submit
 * @model: what to run
 * @io: inputs, then outputs, in the model's order
 * @user_data: comes back in the completion
 * @deadline_ns: absolute CLOCK_MONOTONIC, 0 for none
 * @priority: enum braid_priority
 */
struct braid_job_desc {
	const struct braid_model *model;
	const struct braid_at *io;
	uint64_t user_data;
	uint64_t deadline_ns;
	uint32_t priority;
};

/**
 * braid_submit() - enqueue requests
 * @b: the connection
 * @jobs: what to run
 * @n: how many, at most BRAID_MAX_BATCH
 *
 * Return: how many were taken, from the first on (braid_error() says why not
 * all); when it is none: -EAGAIN: too many outstanding, take completions;
 * -EMSGSIZE: @n is over BRAID_MAX_BATCH; -EOPNOTSUPP: unknown priority;
 * -EINVAL: no model, a tensor without a buffer, or as in <linux/braid.h>, like
 * -EDQUOT, -ENOENT and -EOVERFLOW. What goes wrong later is the completion's
 * status; braid_error() says nothing of it.
 */
int braid_submit(struct braid *b, const struct braid_job_desc *jobs, unsigned int n);

/**
 * braid_wait() - take completions
 * @b: the connection
 * @out: filled in; user_data is the one given to braid_submit()
 * @max: room
 * @timeout_ms: 0: only what is there; -1: no limit
 *
 * To be called when braid_fd() is readable, also with nothing outstanding: it
 * sees to a connection that broke. Return: how many; 0 when the time is over or
 * nothing is outstanding; -ECONNRESET: the queue did not come back.
 */
int braid_wait(struct braid *b, struct braid_completion *out, unsigned int max, int timeout_ms);

/**
 * braid_cancel() - give up every outstanding request with this user_data
 * @b: the connection
 * @user_data: as given to braid_submit()
 *
 * Each still gets its completion: -ECANCELED, or what it ended with before the
 * queue knew. Those of braid_infer() are not meant. Return: how many; -ENOENT:
 * none.
 */
int braid_cancel(struct braid *b, uint64_t user_data);

/**
 * braid_infer() - one inference, from and to plain memory
 * @b: the connection
 * @m: the model
 * @inputs: one pointer an input, of the tensor's bytes
 * @outputs: one pointer an output, likewise
 * @timeout_ms: -1 for none
 *
 * Copies through a buffer that is kept with the connection; any number of
 * threads may call it at once. The time is the request's deadline: still queued
 * then, it ends with -ETIME; one that runs, or that waits for a queue that went
 * away, is waited for. Return: 0; -ETIME: too late; -EAGAIN: too many
 * outstanding; or what else the completion says.
 */
int braid_infer(struct braid *b, const struct braid_model *m, const void *const *inputs,
		void *const *outputs, int timeout_ms);

#ifdef __cplusplus
}
#endif

#endif
