// SPDX-License-Identifier: MIT
/*
 * One inference from and to plain memory, through staging buffers that are
 * kept with the connection: as many as there were calls at the same time.
 */
#include <errno.h>
#include <string.h>

#include "lib/conn.h"
#include "lib/request.h"

#define API __attribute__((visibility("default")))

struct infer_wait {
	const struct braid *b;
	const struct call *call;
	const struct braid_submit *arg;
	uint32_t number;
};

/* A refused request has no slot any more: its call is looked at first. */
static bool infer_over(const void *arg)
{
	const struct infer_wait *w = arg;

	return (w->call->done && w->arg->error) ||
	       w->b->slots[w->number].state == SLOT_READY;
}

/* A staging buffer of this connection's that nobody uses; the lock is held. */
static struct braid_buf *staging_find(struct braid *b, size_t bytes)
{
	struct braid_buf *best = NULL;

	for (struct braid_buf *buf = b->bufs; buf; buf = buf->next)
		if (buf->staging && !buf->busy && buf->bytes >= bytes &&
		    (!best || buf->bytes < best->bytes))
			best = buf;
	if (best)
		best->busy = true;
	return best;
}

static int staging_get(struct braid *b, size_t bytes, struct braid_buf **out)
{
	int ret;

	conn_lock(b);
	*out = staging_find(b, bytes);
	conn_unlock(b);
	if (*out)
		return 0;
	ret = braid_buf_new(b, bytes, out);
	if (ret)
		return ret;
	conn_lock(b);
	(*out)->staging = (*out)->busy = true;
	conn_unlock(b);
	return 0;
}

/* The lock is held. There is a completion, or a reply that says why not. */
static int infer_run(struct braid *b, const struct braid_job_desc *job, struct batch *t)
{
	struct call call = { .taken = request_taken, .data = t };
	struct braid_submit arg;
	struct infer_wait w = { .b = b, .call = &call, .arg = &arg };
	struct slot *s;
	int ret;

	if (b->dead)
		return conn_dead(b);
	if (job->model->gone)
		return braid_fail(-ENOENT, "the model is gone");
	ret = request_new(b, job, true, &w.number);
	if (ret)
		return ret;
	t->n = t->n_slices = 0;
	request_add(b, t, w.number);
	arg = request_submit_arg(t);
	arg.flags = BRAID_QUIET;	/* the completion says it all */
	ret = conn_send(b, &call, BRAID_NR_SUBMIT, &arg);
	if (!ret)
		ret = conn_pump(b, infer_over, &w, UINT64_MAX);
	conn_forget(b, &call);
	if (call.done && arg.error)
		return request_refused(arg.error, 0);
	s = &b->slots[w.number];
	if (s->state != SLOT_READY) {
		/* It was never sent: conn_send() said why. */
		b->n_sent--;
		request_free(b, s);
		return ret;
	}
	ret = s->done.status;
	b->seen++;
	request_free(b, s);
	if (ret)
		braid_fail(ret, "%s: %s", job->model->name, strerror(-ret));
	return ret;
}

API int braid_infer(struct braid *b, const struct braid_model *m, const void *const *inputs,
		    void *const *outputs, int timeout_ms)
{
	uint64_t deadline = timeout_ms < 0 ? 0 : conn_now() + timeout_ms * 1000000ull;
	struct braid_slice slices[BRAID_MAX_TENSORS];
	struct batch t;		/* large: only what is used is set */
	struct braid_at at[BRAID_MAX_TENSORS];
	uint32_t n = m->n_inputs + m->n_outputs;
	struct braid_job_desc job = { .model = m, .io = at, .deadline_ns = deadline,
				      .priority = BRAID_PRIORITY_NORMAL };
	struct braid_buf *buf;
	size_t bytes = 0;
	int ret;

	for (uint32_t i = 0; i < n; i++)
		bytes += (m->tensors[i].bytes + 63) & ~63ull;
	ret = staging_get(b, bytes, &buf);
	if (ret)
		return ret;
	t.slices = slices;
	t.max_slices = BRAID_MAX_TENSORS;
	bytes = 0;
	for (uint32_t i = 0; i < n; i++) {
		at[i] = (struct braid_at){ buf, bytes };
		if (i < m->n_inputs)
			memcpy((uint8_t *)buf->addr + bytes, inputs[i], m->tensors[i].bytes);
		bytes += (m->tensors[i].bytes + 63) & ~63ull;
	}
	conn_lock(b);
	ret = infer_run(b, &job, &t);
	conn_unlock(b);
	for (uint32_t i = m->n_inputs; !ret && i < n; i++)
		memcpy(outputs[i - m->n_inputs], (uint8_t *)buf->addr + at[i].offset,
		       m->tensors[i].bytes);
	conn_lock(b);
	buf->busy = false;
	conn_unlock(b);
	return ret;
}
