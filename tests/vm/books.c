// SPDX-License-Identifier: MIT
/*
 * A tenant that keeps books: see books.h.
 */
#include "tests/vm/books.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <signal.h>
#include <unistd.h>

#include "tests/tap.h"
#include "tests/vm/dev.h"

#define SLOTS	8

struct tenant {
	struct books *b;
	int fd;
	uint64_t model, buffer;
	uint8_t *at;
	uint64_t outstanding[SLOTS];	/* user_data of what is there, 0 for none */
	bool cancel[SLOTS];
	unsigned int busy;
	uint64_t count;			/* of requests so far */
	unsigned int seed;
};

static uint8_t *slot(const struct tenant *t, unsigned int i, bool output)
{
	return t->at + (2 * i + output) * SLOT_BYTES;
}

/* An answer from another run, slot or tenant must not look right. */
static void fill(struct tenant *t, unsigned int i)
{
	for (unsigned int k = 0; k < SLOT_BYTES; k++)
		slot(t, i, false)[k] = rand_r(&t->seed) >> 8;
	memset(slot(t, i, true), 0, SLOT_BYTES);
}

static bool right(const struct tenant *t, unsigned int i)
{
	for (unsigned int k = 0; k < SLOT_BYTES; k++)
		if (slot(t, i, true)[k] != (uint8_t)~slot(t, i, false)[k])
			return false;
	return true;
}

static bool plausible(const struct braid_completion *c)
{
	uint64_t now = dev_now();

	if (c->size != sizeof(*c) || c->reserved || !c->enqueue_ns || c->done_ns > now)
		return false;
	if (c->status == 0 && (!c->fetch_ns || !c->window || !c->merge_degree))
		return false;
	return c->enqueue_ns <= c->done_ns && c->fetch_ns <= c->done_ns;
}

static void settle(struct tenant *t, const struct braid_completion *c)
{
	unsigned int i = c->user_data % SLOTS;

	if (t->outstanding[i] != c->user_data) {
		t->b->twice++;
		return;
	}
	atomic_fetch_add(&t->b->answered, 1);
	if (!plausible(c))
		t->b->order++;
	if (!c->status && !right(t, i)) {
		t->b->wrong++;
	} else if (c->status == -ECANCELED && t->cancel[i]) {
		t->b->cancelled++;
	} else if (c->status == -EIO) {
		t->b->eio++;
	} else if (c->status) {
		t->b->other++;
		t->b->last_status = c->status;
	}
	t->outstanding[i] = 0;
	t->busy--;
}

/* One request into a free slot; 0 also when the queue is full. */
static int send_one(struct tenant *t, unsigned int i)
{
	struct braid_request r = {
		.model = t->model, .priority = BRAID_PRIORITY_NORMAL, .n_inputs = 1, .n_outputs = 1,
	};
	struct braid_slice s[2] = {
		{ t->buffer, (uint64_t)(2 * i) * SLOT_BYTES, SLOT_BYTES },
		{ t->buffer, (uint64_t)(2 * i + 1) * SLOT_BYTES, SLOT_BYTES },
	};
	struct braid_submit submit = {
		.size = sizeof(submit), .requests = { sizeof(r), 1, (uintptr_t)&r },
		.slices = { sizeof(s[0]), 2, (uintptr_t)s },
	};
	int ret;

	fill(t, i);
	/* Never 0, and another one each time the slot is used. */
	r.user_data = ++t->count * SLOTS + i;
	if (rand_r(&t->seed) % 4 == 0)
		r.deadline_ns = dev_now() + 3600000000000ull;
	ret = dev_call(t->fd, BRAID_NR_SUBMIT, &submit);
	if (ret)
		return ret == -EAGAIN || ret == -EINTR ? 0 : ret;
	t->outstanding[i] = r.user_data;
	t->busy++;
	t->cancel[i] = rand_r(&t->seed) % 16 == 0;
	atomic_fetch_add(&t->b->submitted, 1);
	if (t->cancel[i])
		dev_cancel(t->fd, submit.first_id);
	return 0;
}

static int take(struct tenant *t)
{
	struct braid_completion c[SLOTS];
	int n = dev_wait(t->fd, c, SLOTS, 1000);

	for (int i = 0; i < n; i++)
		settle(t, &c[i]);
	return n < 0 && n != -EINTR && n != -EAGAIN ? n : 0;
}

/* With nothing outstanding: another buffer, the old one is given up. */
static int renew(struct tenant *t)
{
	int ret = 0;

	if (t->at) {
		munmap(t->at, BRAID_BUF_ALIGN);
		ret = dev_buf_free(t->fd, t->buffer);
	}
	if (!ret)
		t->at = dev_buf(t->fd, BRAID_BUF_ALIGN, &t->buffer, NULL, &ret);
	return ret;
}

static int work(struct tenant *t, const atomic_int *stop)
{
	int ret = 0;

	while (!ret && !atomic_load(stop)) {
		if (!t->busy && (!t->at || rand_r(&t->seed) % 8 == 0))
			ret = renew(t);
		for (unsigned int i = 0; i < SLOTS && !ret; i++)
			if (!t->outstanding[i] && rand_r(&t->seed) % 4)
				ret = send_one(t, i);
		if (!ret && t->busy)
			ret = take(t);
	}
	for (unsigned int i = 0; i < 120 && !ret && t->busy; i++)
		ret = take(t);
	return ret;
}

void books_tenant(struct books *b, const atomic_int *stop, unsigned int seed)
{
	struct tenant t = { .b = b, .seed = seed };
	int ret;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	t.fd = dev_open(DEV_TENANT, O_NONBLOCK);
	ret = t.fd < 0 ? t.fd : 0;
	if (!ret)
		t.model = dev_model(t.fd, "inverse");
	if (!ret && !t.model)
		ret = -ENOENT;
	if (!ret)
		ret = work(&t, stop);
	b->error = ret;
	_exit(ret != 0);
}

unsigned long books_answered(const struct books *b, unsigned int n)
{
	unsigned long sum = 0;

	for (unsigned int i = 0; i < n; i++)
		sum += atomic_load(&b[i].answered);
	return sum;
}

void books_check(const struct books *b, unsigned int n, const char *what)
{
	unsigned long sent = 0, got = 0, wrong = 0, twice = 0, eio = 0, other = 0, cancelled = 0;
	unsigned long order = 0;
	int error = 0, status = 0;

	for (unsigned int i = 0; i < n; i++) {
		sent += b[i].submitted;
		got += b[i].answered;
		wrong += b[i].wrong;
		twice += b[i].twice;
		eio += b[i].eio;
		other += b[i].other;
		order += b[i].order;
		cancelled += b[i].cancelled;
		if (b[i].error)
			error = b[i].error;
		if (b[i].other)
			status = b[i].last_status;
	}
	diag("%s: %lu requests, %lu of them cancelled", what, sent, cancelled);
	is_int(error, 0, "%s: no tenant failed", what);
	ok(sent == got && sent, "%s: nothing is lost", what);
	if (sent != got)
		diag("%lu submitted, %lu answered", sent, got);
	is_int(twice, 0, "%s: nothing is answered twice", what);
	is_int(wrong, 0, "%s: no output is wrong", what);
	is_int(eio, 0, "%s: no innocent request ends in EIO", what);
	is_int(other, 0, "%s: no other status", what);
	if (other)
		diag("last status %d", status);
	is_int(order, 0, "%s: times and attempts can be true", what);
}
