// SPDX-License-Identifier: MIT
/*
 * Requests from submit to completion.
 *
 * Owns the slots. A slot keeps what is needed to send its request again
 * (resubmit.c) until the caller has taken the completion; the queue's
 * user_data is the slot's number and generation, the caller's own stays here.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/conn.h"
#include "lib/request.h"

#define API __attribute__((visibility("default")))

#define MAX_SLOTS	65536u

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

/* The queue has it no more. */
static void slot_unsent(struct braid *b, const struct slot *s)
{
	b->n_sent--;
	b->n_async -= !s->sync;
}

void request_free(struct braid *b, struct slot *s)
{
	s->state = SLOT_FREE;
	s->gen++;
	b->free_slots[b->n_free++] = s - b->slots;
}

int request_new(struct braid *b, const struct braid_job_desc *job, bool sync,
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
	s->cancelled = s->stranded = false;
	s->id = 0;
	s->order = ++b->order;
	b->n_sent++;
	b->n_async += !sync;
	*number = b->free_slots[--b->n_free];
	return 0;
}

void request_add(struct braid *b, struct batch *t, uint32_t number)
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

struct braid_submit request_submit_arg(struct batch *t)
{
	return (struct braid_submit){
		.size = sizeof(struct braid_submit),
		.requests = { sizeof(t->reqs[0]), t->n, (uintptr_t)t->reqs },
		.slices = { sizeof(t->slices[0]), t->n_slices, (uintptr_t)t->slices },
	};
}

bool request_fits(const struct braid *b, const struct batch *t, uint32_t more)
{
	return sizeof(struct braid_msg) + sizeof(struct braid_submit) + 8 +
	       (t->n + 1) * sizeof(struct braid_request) +
	       (t->n_slices + more) * sizeof(struct braid_slice) <= b->max_message &&
	       t->n < BRAID_MAX_BATCH && t->n_slices + more <= t->max_slices;
}

void request_ids(struct braid *b, const struct batch *t, uint64_t first, uint32_t accepted)
{
	for (uint32_t i = 0; i < accepted && i < t->n; i++) {
		struct slot *s = &b->slots[t->slots[i]];

		/* It may have completed already, and the slot be another's. */
		if (s->state == SLOT_SENT && s->gen == t->reqs[i].user_data >> 32)
			s->id = first + i;
	}
}

static void completed(struct braid *b, const struct braid_completion *c)
{
	uint32_t number = (uint32_t)c->user_data;
	struct slot *s = number < b->n_slots ? &b->slots[number] : NULL;

	if (!s || s->state != SLOT_SENT || s->gen != c->user_data >> 32) {
		b->seen++;	/* nobody takes it, and it takes no place */
		return;
	}
	s->done = *c;
	s->done.size = sizeof(s->done);
	s->done.user_data = s->desc.user_data;
	s->state = SLOT_READY;
	slot_unsent(b, s);
	if (!s->sync)
		b->ready[(b->ready_head + b->n_ready++) % b->n_slots] = number;
}

int request_records(struct braid *b, const void *records, size_t bytes)
{
	const uint8_t *p = records;

	while (bytes >= sizeof(uint32_t)) {
		struct braid_completion c = { 0 };
		uint32_t size;

		memcpy(&size, p, sizeof(size));
		if (size < sizeof(c) || size > bytes)
			return -EBADMSG;
		memcpy(&c, p, sizeof(c));
		completed(b, &c);
		p += size;
		bytes -= size;
	}
	return 0;
}

void request_end(struct braid *b, uint32_t number, int status)
{
	struct braid_completion c = {
		.size = sizeof(c),
		.status = status,
		.user_data = (uint64_t)b->slots[number].gen << 32 | number,
		.id = b->slots[number].id,
		.done_ns = conn_now(),
	};

	completed(b, &c);
}

void request_fail_all(struct braid *b, int err)
{
	for (uint32_t i = 0; i < b->n_slots; i++)
		if (b->slots[i].state == SLOT_SENT)
			request_end(b, i, err);
}

/* A buffer goes: the queue lets what uses it end, but another queue never will. */
void request_strand(struct braid *b, const struct braid_buf *buf)
{
	for (uint32_t i = 0; i < b->n_slots; i++) {
		struct slot *s = &b->slots[i];

		if (s->state != SLOT_SENT)
			continue;
		for (uint32_t k = 0; k < s->desc.model->n_inputs + s->desc.model->n_outputs; k++)
			s->stranded |= s->at[k].buf == buf;
	}
}

void request_free_all(struct braid *b)
{
	for (uint32_t i = 0; i < b->n_slots; i++)
		free(b->slots[i].at);
	free(b->slots);
	free(b->free_slots);
	free(b->ready);
}

int request_refused(int err, uint32_t which)
{
	const char *why = err == -EAGAIN ? "too many outstanding, take completions" :
			  err == -EDQUOT ? "over the owner's quota of requests" :
			  err == -ENOENT ? "no such model or buffer" :
			  err == -EOVERFLOW ? "a tensor reaches beyond its buffer" :
			  err == -EINVAL ? "offset not a multiple of 64, or tensors overlap" :
			  err == -EOPNOTSUPP ? "unknown priority" : strerror(-err);

	return braid_fail(err, "job %u: %s", which, why);
}

/* Those from @from on were not taken. */
static void batch_drop(struct braid *b, const struct batch *t, uint32_t from)
{
	for (uint32_t i = from; i < t->n; i++) {
		struct slot *s = &b->slots[t->slots[i]];

		slot_unsent(b, s);
		request_free(b, s);
	}
}

/*
 * In the reader, so that what was refused is never sent again, nor an id of
 * this queue's taken for one of the next.
 */
void request_taken(struct braid *b, struct call *call)
{
	struct braid_submit *arg = call->arg;
	const struct batch *t = call->data;

	if (call->ret) {
		arg->accepted = 0;
		arg->error = call->ret;
	} else if (arg->accepted >= t->n) {
		arg->accepted = t->n;
		arg->error = 0;
	} else if (arg->error >= 0) {
		arg->error = -EBADMSG;	/* not all, and no reason */
	}
	request_ids(b, t, arg->first_id, arg->accepted);
	batch_drop(b, t, arg->accepted);
}

/* Where every tensor of a job lies must be told. */
static int job_check(const struct braid_job_desc *job, unsigned int which)
{
	if (!job->model || !job->io)
		return braid_fail(-EINVAL, "job %u has no %s", which,
				  job->model ? "tensors" : "model");
	if (job->model->gone)
		return braid_fail(-ENOENT, "job %u: the model is gone", which);
	for (uint32_t i = 0; i < job->model->n_inputs + job->model->n_outputs; i++)
		if (!job->io[i].buf)
			return braid_fail(-EINVAL, "job %u: tensor %u has no buffer", which, i);
	return 0;
}

/* One message's worth of jobs; the lock is held. */
static int submit_batch(struct braid *b, struct batch *t, const struct braid_job_desc *jobs,
			unsigned int first, unsigned int n)
{
	struct call call = { .taken = request_taken, .data = t };
	struct braid_submit arg;
	uint32_t number;
	int ret = 0;

	if (b->dead)
		return conn_dead(b);
	t->n = t->n_slices = 0;
	while (first + t->n < n) {
		const struct braid_job_desc *job = &jobs[first + t->n];

		ret = job_check(job, first + t->n);
		if (!ret && !request_fits(b, t, job->model->n_inputs + job->model->n_outputs))
			break;
		if (!ret)
			ret = request_new(b, job, false, &number);
		if (ret)
			break;
		request_add(b, t, number);
	}
	if (!t->n)
		return ret ? ret : braid_fail(-EMSGSIZE, "job does not fit a message");
	arg = request_submit_arg(t);
	ret = conn_ask(b, &call, BRAID_NR_SUBMIT, &arg);
	if (!call.done) {
		if (call.lost)
			return t->n;	/* they will be sent again, or fail there */
		batch_drop(b, t, 0);
		return ret;
	}
	if (arg.error)
		request_refused(arg.error, first + arg.accepted);
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
		ret = submit_batch(b, &t, jobs, taken, n);
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

	return b->n_ready || !b->n_async;
}

API int braid_wait(struct braid *b, struct braid_completion *out, unsigned int max,
		   int timeout_ms)
{
	uint64_t deadline = timeout_ms < 0 ? UINT64_MAX : conn_now() + timeout_ms * 1000000ull;
	unsigned int n = 0;
	int ret = 0;

	conn_lock(b);
	/* With nothing outstanding braid_fd() may still tell the connection's end. */
	if (!b->n_ready && !b->n_async)
		conn_look(b);
	if (!b->n_ready)
		ret = conn_pump(b, something_ready, b, deadline);
	if (!b->n_ready && b->dead)
		ret = conn_dead(b);
	for (; n < max && b->n_ready; n++) {
		struct slot *s = &b->slots[b->ready[b->ready_head]];

		out[n] = s->done;
		b->ready_head = (b->ready_head + 1) % b->n_slots;
		b->n_ready--;
		b->seen++;
		request_free(b, s);
	}
	conn_unlock(b);
	return n ? (int)n : ret == -ETIMEDOUT ? 0 : ret;
}

/* A request that may end, and its slot be another's, while we wait. */
struct cancel_wait {
	const struct braid *b;
	uint32_t number, gen;
};

/* Its id is known, or that it has none: it is over, or there is no connection. */
static bool cancel_may_go(const void *arg)
{
	const struct cancel_wait *w = arg;
	const struct slot *s = &w->b->slots[w->number];

	return s->state != SLOT_SENT || s->gen != w->gen || s->id || !w->b->up;
}

/* Give one request up; false: it was over. The lock is held. */
static bool cancel_one(struct braid *b, uint32_t number)
{
	struct cancel_wait w = { .b = b, .number = number, .gen = b->slots[number].gen };
	struct braid_cancel arg = { .size = sizeof(arg) };
	struct slot *s;

	/* Without a connection, this is what the next one will find. */
	b->slots[number].cancelled = true;
	/* Another thread's SUBMIT may be on its way. */
	conn_pump(b, cancel_may_go, &w, UINT64_MAX);
	s = &b->slots[number];
	if (s->state != SLOT_SENT || s->gen != w.gen)
		return s->gen == w.gen;
	if (s->id && b->up) {
		arg.id = s->id;
		conn_call(b, BRAID_NR_CANCEL, &arg);
	}
	return true;
}

API int braid_cancel(struct braid *b, uint64_t user_data)
{
	int found = 0;

	conn_lock(b);
	for (uint32_t i = 0; i < b->n_slots; i++) {
		const struct slot *s = &b->slots[i];

		if (s->state == SLOT_SENT && !s->sync && s->desc.user_data == user_data)
			found += cancel_one(b, i);
	}
	conn_unlock(b);
	return found ? found : braid_fail(-ENOENT, "nothing outstanding with that user_data");
}
