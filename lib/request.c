// SPDX-License-Identifier: MIT
/*
 * Requests from submit to completion.
 *
 * Owns the slots. A slot keeps what is needed to send its request again
 * until the caller has taken the completion; the queue's user_data is the
 * slot's number and generation, the caller's own stays here.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/conn.h"

#define API __attribute__((visibility("default")))

#define MAX_SLOTS	65536u

/* A SUBMIT while it is put together. */
struct batch {
	struct braid_request reqs[BRAID_MAX_BATCH];
	struct braid_slice *slices;
	uint32_t slots[BRAID_MAX_BATCH];
	unsigned int n, n_slices, max_slices;
};

static int slots_grow(struct braid *b)
{
	uint32_t n = b->n_slots ? b->n_slots * 2 : 64;
	struct slot *slots;
	uint32_t *list;

	if (n > MAX_SLOTS)
		return braid_fail(-EAGAIN, "%u requests outstanding, take completions", b->n_slots);
	list = realloc(b->free_slots, n * sizeof(*list));
	if (list)
		b->free_slots = list;
	slots = list ? realloc(b->slots, n * sizeof(*slots)) : NULL;
	if (slots)
		b->slots = slots;
	list = slots ? malloc(n * sizeof(*list)) : NULL;
	if (!list)
		return braid_fail(-ENOMEM, "no memory");
	for (uint32_t i = 0; i < b->n_ready; i++)
		list[i] = b->ready[(b->ready_head + i) % b->n_slots];
	free(b->ready);
	b->ready = list;
	b->ready_head = 0;
	memset(b->slots + b->n_slots, 0, (n - b->n_slots) * sizeof(*slots));
	for (uint32_t i = n; i > b->n_slots; i--)
		b->free_slots[b->n_free++] = i - 1;
	b->n_slots = n;
	return 0;
}

static void slot_free(struct braid *b, struct slot *s)
{
	s->state = SLOT_FREE;
	s->gen++;
	b->free_slots[b->n_free++] = s - b->slots;
}

static int slot_new(struct braid *b, const struct braid_job_desc *job, bool sync,
		    uint32_t *number)
{
	uint32_t n = job->model->n_inputs + job->model->n_outputs;
	struct slot *s;
	int ret;

	if (!b->n_free) {
		ret = slots_grow(b);
		if (ret)
			return ret;
	}
	s = &b->slots[b->free_slots[b->n_free - 1]];
	if (s->at_cap < n) {
		struct braid_at *at = realloc(s->at, n * sizeof(*at));

		if (!at)
			return braid_fail(-ENOMEM, "no memory");
		s->at = at;
		s->at_cap = n;
	}
	memcpy(s->at, job->io, n * sizeof(*s->at));
	s->desc = *job;
	s->desc.io = NULL;	/* s->at; the caller's may be gone by now */
	s->state = SLOT_SENT;
	s->sync = sync;
	s->id = 0;
	s->order = ++b->order;
	b->n_sent++;
	*number = b->free_slots[--b->n_free];
	return 0;
}

static void batch_add(struct braid *b, struct batch *t, uint32_t number)
{
	struct slot *s = &b->slots[number];
	const struct braid_model *m = s->desc.model;

	t->reqs[t->n] = (struct braid_request){
		.user_data = (uint64_t)s->gen << 32 | number,
		.model = m->id,
		.priority = s->desc.priority,
		.deadline_ns = s->desc.deadline_ns,
		.first_slice = t->n_slices,
		.n_inputs = m->n_inputs,
		.n_outputs = m->n_outputs,
	};
	for (uint32_t i = 0; i < m->n_inputs + m->n_outputs; i++)
		t->slices[t->n_slices++] = (struct braid_slice){
			.buffer = s->at[i].buf->id,
			.offset = s->at[i].offset,
			.length = m->tensors[i].bytes,
		};
	t->slots[t->n++] = number;
}

static struct braid_submit batch_arg(struct batch *t)
{
	return (struct braid_submit){
		.size = sizeof(struct braid_submit),
		.requests = { sizeof(t->reqs[0]), t->n, (uintptr_t)t->reqs },
		.slices = { sizeof(t->slices[0]), t->n_slices, (uintptr_t)t->slices },
	};
}

/* How many requests of this shape one message holds. */
static bool batch_fits(const struct braid *b, const struct batch *t, uint32_t more)
{
	return sizeof(struct braid_msg) + sizeof(struct braid_submit) + 8 +
	       (t->n + 1) * sizeof(struct braid_request) +
	       (t->n_slices + more) * sizeof(struct braid_slice) <= b->max_message &&
	       t->n < BRAID_MAX_BATCH && t->n_slices + more <= t->max_slices;
}

static void set_ids(struct braid *b, const struct batch *t, uint64_t first, uint32_t accepted)
{
	for (uint32_t i = 0; i < accepted && i < t->n; i++) {
		struct slot *s = &b->slots[t->slots[i]];

		/* It may have completed already, and the slot be another's. */
		if (s->state == SLOT_SENT && s->gen == t->reqs[i].user_data >> 32)
			s->id = first + i;
	}
}

void request_completed(struct braid *b, const struct braid_completion *c)
{
	uint32_t number = (uint32_t)c->user_data;
	struct slot *s = number < b->n_slots ? &b->slots[number] : NULL;

	if (!s || s->state != SLOT_SENT || s->gen != c->user_data >> 32)
		return;
	s->done = *c;
	s->done.size = sizeof(s->done);
	s->done.user_data = s->desc.user_data;
	s->state = SLOT_READY;
	b->n_sent--;
	if (!s->sync)
		b->ready[(b->ready_head + b->n_ready++) % b->n_slots] = number;
}

static void complete_here(struct braid *b, uint32_t number, int status)
{
	struct braid_completion c = {
		.size = sizeof(c),
		.status = status,
		.user_data = (uint64_t)b->slots[number].gen << 32 | number,
		.id = b->slots[number].id,
		.done_ns = conn_now(),
	};

	/* The queue never counted it: keep its count of records what it was. */
	b->seen_base++;
	request_completed(b, &c);
}

void request_fail_all(struct braid *b, int err)
{
	for (uint32_t i = 0; i < b->n_slots; i++)
		if (b->slots[i].state == SLOT_SENT)
			complete_here(b, i, err);
}

static int by_order(const void *x, const void *y, void *arg)
{
	const struct slot *slots = arg;
	uint64_t a = slots[*(const uint32_t *)x].order, c = slots[*(const uint32_t *)y].order;

	return a < c ? -1 : a > c;
}

static int batch_send_again(struct braid *b, struct batch *t)
{
	struct braid_submit arg = batch_arg(t);
	int ret;

	if (!t->n)
		return 0;
	ret = sync_call(b, BRAID_NR_SUBMIT, &arg, -1, NULL);
	if (ret && !arg.error)
		return ret;
	if (arg.error == -EAGAIN || arg.error == -EDQUOT)
		return -EAGAIN;		/* all or nothing: try the whole again */
	set_ids(b, t, arg.first_id, arg.accepted);
	if (arg.accepted < t->n) {
		complete_here(b, t->slots[arg.accepted], arg.error);
		for (uint32_t i = arg.accepted + 1; i < t->n; i++)
			t->slots[i - arg.accepted - 1] = t->slots[i];
		t->n -= arg.accepted + 1;
		return t->n ? -EINPROGRESS : 0;
	}
	t->n = 0;
	return 0;
}

/* Send everything again, in the order it was first sent. */
int request_resubmit(struct braid *b)
{
	struct batch *t = calloc(1, sizeof(*t));
	uint32_t *list = calloc(b->n_sent ? b->n_sent : 1, sizeof(*list)), n = 0;
	int ret = -ENOMEM;

	if (!t || !list)
		goto out;
	t->max_slices = BRAID_MAX_TENSORS * BRAID_MAX_BATCH;
	t->slices = malloc(t->max_slices * sizeof(t->slices[0]));
	if (!t->slices)
		goto out;
	/* What completed on the connection that is gone is not counted again. */
	b->seen_base = b->seen;
	for (uint32_t i = 0; i < b->n_slots; i++) {
		if (b->slots[i].state == SLOT_READY)
			b->seen_base++;
		else if (b->slots[i].state == SLOT_SENT)
			list[n++] = i;
	}
	qsort_r(list, n, sizeof(*list), by_order, b->slots);
	ret = 0;
	for (uint32_t i = 0; i < n && !ret;) {
		while (i < n) {
			struct slot *s = &b->slots[list[i]];

			if (s->desc.model->gone) {
				complete_here(b, list[i++], -ENOENT);
				continue;
			}
			if (!batch_fits(b, t, s->desc.model->n_inputs + s->desc.model->n_outputs))
				break;
			batch_add(b, t, list[i++]);
		}
		while ((ret = batch_send_again(b, t)) == -EINPROGRESS) {
			/* One was refused; the rest goes as a batch of its own. */
			unsigned int left = t->n;

			t->n = t->n_slices = 0;
			for (unsigned int k = 0; k < left; k++)
				batch_add(b, t, t->slots[k]);
		}
		t->n = t->n_slices = 0;
	}
out:
	if (t)
		free(t->slices);
	free(t);
	free(list);
	return ret;
}

void request_free_all(struct braid *b)
{
	for (uint32_t i = 0; i < b->n_slots; i++)
		free(b->slots[i].at);
	free(b->slots);
	free(b->free_slots);
	free(b->ready);
}

static bool call_over(const void *arg)
{
	const struct call *c = arg;

	return c->done || c->lost;
}

static int refused(int err, uint32_t which)
{
	const char *why = err == -EAGAIN ? "too many outstanding, take completions" :
			  err == -EDQUOT ? "over the owner's quota of requests" :
			  err == -ENOENT ? "no such model or buffer" :
			  err == -EOVERFLOW ? "a tensor reaches beyond its buffer" :
			  err == -EINVAL ? "offset not a multiple of 64, or tensors overlap" :
			  err == -EOPNOTSUPP ? "unknown priority" : strerror(-err);

	return braid_fail(err, "job %u: %s", which, why);
}

/* One message's worth of jobs; the lock is held. */
static int submit_batch(struct braid *b, struct batch *t, const struct braid_job_desc *jobs,
			unsigned int n, bool sync)
{
	struct call call = { 0 };
	struct braid_submit arg;
	uint32_t number;
	int ret = 0;

	t->n = t->n_slices = 0;
	while (t->n < n) {
		const struct braid_model *m = jobs[t->n].model;

		if (m->gone)
			ret = braid_fail(-ENOENT, "job %u: the model is gone", t->n);
		if (!ret && !batch_fits(b, t, m->n_inputs + m->n_outputs))
			break;
		if (!ret)
			ret = slot_new(b, &jobs[t->n], sync, &number);
		if (ret)
			break;
		batch_add(b, t, number);
	}
	if (!t->n)
		return ret ? ret : braid_fail(-EMSGSIZE, "job does not fit a message");
	arg = batch_arg(t);
	ret = conn_send(b, &call, BRAID_NR_SUBMIT, &arg, -1);
	if (!ret && !call.lost)
		ret = conn_pump(b, call_over, &call, UINT64_MAX);
	conn_forget(b, &call);
	if (call.lost || b->dead)
		return t->n;	/* they are in slots: they will be sent again, or fail there */
	if (!ret)
		ret = call.ret;
	if (ret && !arg.error)
		arg.error = ret;
	set_ids(b, t, arg.first_id, arg.accepted);
	for (unsigned int i = arg.accepted; i < t->n; i++) {
		slot_free(b, &b->slots[t->slots[i]]);
		b->n_sent--;
	}
	if (arg.error)
		refused(arg.error, arg.accepted);
	return arg.accepted ? (int)arg.accepted : arg.error;
}

API int braid_submit(struct braid *b, const struct braid_job_desc *jobs, unsigned int n)
{
	struct braid_slice slices[1024];
	struct batch t = { .slices = slices, .max_slices = 1024 };
	unsigned int taken = 0;
	int ret = 0;

	if (n > BRAID_MAX_BATCH)
		return braid_fail(-EMSGSIZE, "%u jobs, at most %d", n, BRAID_MAX_BATCH);
	conn_lock(b);
	while (taken < n) {
		ret = submit_batch(b, &t, jobs + taken, n - taken, false);
		if (ret < 0)
			break;
		taken += ret;
		if ((unsigned int)ret < t.n)
			break;
	}
	conn_unlock(b);
	return taken ? (int)taken : ret < 0 ? ret : 0;
}

static bool something_ready(const void *arg)
{
	const struct braid *b = arg;

	return b->n_ready || !b->n_sent;
}

API int braid_wait(struct braid *b, struct braid_completion *out, unsigned int max,
		   int timeout_ms)
{
	uint64_t deadline = timeout_ms < 0 ? UINT64_MAX : conn_now() + timeout_ms * 1000000ull;
	unsigned int n = 0;
	int ret = 0;

	conn_lock(b);
	if (!b->n_ready)
		ret = conn_pump(b, something_ready, b, deadline);
	for (; n < max && b->n_ready; n++) {
		struct slot *s = &b->slots[b->ready[b->ready_head]];

		out[n] = s->done;
		b->ready_head = (b->ready_head + 1) % b->n_slots;
		b->n_ready--;
		b->seen++;
		slot_free(b, s);
	}
	conn_unlock(b);
	return n ? (int)n : ret == -ETIMEDOUT ? 0 : ret;
}

API int braid_cancel(struct braid *b, uint64_t user_data)
{
	int found = 0, ret;

	conn_lock(b);
	for (uint32_t i = 0; i < b->n_slots; i++) {
		struct braid_cancel arg = { .size = sizeof(arg) };

		if (b->slots[i].state != SLOT_SENT || b->slots[i].sync ||
		    b->slots[i].desc.user_data != user_data || !b->slots[i].id)
			continue;
		arg.id = b->slots[i].id;
		ret = conn_call(b, BRAID_NR_CANCEL, &arg, -1, NULL);
		if (!ret || ret == -ENOENT)
			found++;	/* ENOENT: its completion is on the way */
	}
	conn_unlock(b);
	return found ? found : braid_fail(-ENOENT, "nothing outstanding with that user_data");
}

struct infer_wait {
	const struct braid *b;
	const struct call *call;
	uint32_t number;
};

static bool infer_over(const void *arg)
{
	const struct infer_wait *w = arg;

	return w->b->slots[w->number].state == SLOT_READY || (w->call->done && w->call->ret < 0);
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
	struct infer_wait w = { .b = b };
	struct call call = { 0 };
	struct braid_submit arg;
	struct slot *s;
	int ret;

	if (job->model->gone)
		return braid_fail(-ENOENT, "the model is gone");
	ret = slot_new(b, job, true, &w.number);
	if (ret)
		return ret;
	t->n = t->n_slices = 0;
	batch_add(b, t, w.number);
	arg = batch_arg(t);
	arg.flags = BRAID_QUIET;	/* the completion says it all */
	w.call = &call;
	ret = conn_send(b, &call, BRAID_NR_SUBMIT, &arg, -1);
	if (!ret)
		ret = conn_pump(b, infer_over, &w, UINT64_MAX);
	conn_forget(b, &call);
	s = &b->slots[w.number];
	if (s->state == SLOT_READY) {
		ret = s->done.status;
		b->seen++;
		slot_free(b, s);
		if (ret)
			braid_fail(ret, "%s: %s", job->model->name, strerror(-ret));
		return ret;
	}
	b->n_sent--;
	slot_free(b, s);
	return refused(call.done && call.ret < 0 ? call.ret : ret, 0);
}

API int braid_infer(struct braid *b, const struct braid_model *m, const void *const *inputs,
		    void *const *outputs, int timeout_ms)
{
	uint64_t deadline = timeout_ms < 0 ? 0 : conn_now() + timeout_ms * 1000000ull;
	struct braid_slice slices[BRAID_MAX_TENSORS];
	struct batch t = { .slices = slices, .max_slices = BRAID_MAX_TENSORS };
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
