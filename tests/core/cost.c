// SPDX-License-Identifier: MIT
/*
 * What the queue costs with many requests waiting: a program for
 * tests/core/cost.sh, which counts instructions under callgrind.
 *
 *   cost WAITING OPERATION COUNT
 *
 * fills the queue with WAITING requests of 16 owners, 64 tenants and 8 models,
 * then does OPERATION COUNT times in steady_<operation>(), the function whose
 * instructions are counted. Each operation leaves as many waiting as before.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/core/world.h"

#define OWNERS	16
#define TENANTS	64
#define MODELS	8

static struct world w;
static struct bq_tenant *tenant[TENANTS];
static u64 model[MODELS];
static u32 turn, jobs;
static struct bq_request *spare;
static struct braid_completion record;

void steady_submit(u32 n);
void steady_fetch(u32 n);
void steady_commit(u32 n);
void steady_cancel(u32 n);
void steady_window(u32 n);
void steady_expire(u32 n);

static u64 some_deadline(u32 i)
{
	/* A third without; the others far away, in no order. */
	return i % 3 ? w.now + (1ULL << 50) + i * 2654435761U % 1000003 : 0;
}

static void fill(struct bq_tenant *t, u32 i)
{
	w_submit_full(&w, t, model[i / 7 % MODELS], i % 2, some_deadline(i));
}

static struct bq_request *freed(void)
{
	struct bq_reap *r = bq_reap(&w.q);

	return r ? bq_entry(r, struct bq_request, reap) : NULL;
}

/* Submit with the memory of the last one: no allocator in the count. */
static u64 submit_spare(u32 i)
{
	struct bq_tenant *t = tenant[i % TENANTS];
	struct braid_request in = {
		.model = model[i / 7 % MODELS], .priority = i % 2,
		.deadline_ns = some_deadline(i), .n_inputs = 1, .n_outputs = 1,
	};

	spare->slots[0].slice = (struct braid_slice){
		bq_entry(t->buffers.next, struct bq_buffer, of_tenant)->id, 0, 64 };
	spare->slots[1].slice = spare->slots[0].slice;
	spare->slots[1].slice.offset = 64;
	if (bq_submit(&w.q, t, spare, &in, w.now))
		abort();
	return t->last_id;
}

static void drop_last(u32 i, u64 id)
{
	struct bq_tenant *t = tenant[i % TENANTS];

	if (bq_cancel(&w.q, t, id, w.now))
		abort();
	bq_completion_pop(&w.q, t);
	while (bq_next_woken(&w.q))
		;
	spare = freed();
}

__attribute__((noinline)) void steady_submit(u32 n)
{
	submit_spare(n);
}

__attribute__((noinline)) void steady_cancel(u32 n)
{
	if (bq_cancel(&w.q, tenant[n % TENANTS], tenant[n % TENANTS]->last_id, w.now))
		abort();
}

__attribute__((noinline)) void steady_fetch(u32 n)
{
	if (bq_fetch(&w.q, &w.f, w.now) || w.f.n_jobs != jobs)
		abort();
}

__attribute__((noinline)) void steady_commit(u32 n)
{
	struct braid_result r = { .cookie = w.job[n].cookie, .device_ns = 900 + 10 * n };

	if (bq_commit(&w.q, &r, w.now))
		abort();
}

__attribute__((noinline)) void steady_window(u32 n)
{
	struct bq_look look;

	if (bq_window(&w.q, w.f.wants, w.f.n_wants, w.now, &look))
		abort();
}

__attribute__((noinline)) void steady_expire(u32 n)
{
	bq_expire(&w.q, w.now);
	if (bq_next_event(&w.q) == 1)
		abort();
}

static void read_all(void)
{
	u32 i;

	for (i = 0; i < TENANTS; i++)
		while (bq_completion_peek(tenant[i], &record))
			bq_completion_pop(&w.q, tenant[i]);
	w_reap(&w);
}

int main(int argc, char **argv)
{
	u32 waiting = argc > 3 ? atoi(argv[1]) : 0, count = argc > 3 ? atoi(argv[3]) : 0;
	const char *what = argc > 3 ? argv[2] : "";
	static struct braid_want want[MODELS];
	u32 i, k;
	u64 id;

	if (!waiting || !count) {
		fprintf(stderr, "usage: cost WAITING submit|cancel|fetch|commit|window|expire COUNT\n");
		return 2;
	}
	jobs = waiting < 32 ? waiting : 32;
	w_init(&w);
	w.q.defaults.request_quota = 1 << 24;
	bq_knob_set(&w.q, BQ_MAX_REQUESTS, 1 << 24);
	bq_knob_set(&w.q, BQ_TENANT_DEPTH, 65536);
	for (i = 0; i < MODELS; i++) {
		char name[2] = { 'a' + i };

		model[i] = w_model(&w, name, 1, 1000 + 100 * i);
		want[i] = (struct braid_want){ .model = model[i], .count = 64 };
	}
	w_ready(&w);
	for (i = 0; i < TENANTS; i++)
		tenant[i] = w_tenant(&w, i % OWNERS);
	w_fetch(&w, 0, 0, 0, 0);
	w.f.wants = want;
	w.f.n_wants = MODELS;
	for (turn = 0; turn < waiting; turn++)
		fill(tenant[turn % TENANTS], turn);
	/* Every tenant has used every model before counting starts. */
	for (i = 0; i < TENANTS; i++)
		for (k = 0; k < MODELS; k++) {
			id = w_submit(&w, tenant[i], model[k]);
			drop_last(i, id);
			free(spare->slots);
			free(spare);
		}
	id = w_submit(&w, tenant[0], model[0]);
	drop_last(0, id);

	for (i = 0; i < count; i++, turn++) {
		if (!strcmp(what, "submit")) {
			steady_submit(turn);
			drop_last(turn, tenant[turn % TENANTS]->last_id);
		} else if (!strcmp(what, "cancel")) {
			submit_spare(turn);
			steady_cancel(turn);
			bq_completion_pop(&w.q, tenant[turn % TENANTS]);
			while (bq_next_woken(&w.q))
				;
			spare = freed();
		} else if (!strcmp(what, "window")) {
			steady_window(turn);
		} else if (!strcmp(what, "expire")) {
			steady_expire(turn);
		} else if (!strcmp(what, "fetch") || !strcmp(what, "commit")) {
			steady_fetch(turn);
			for (k = 0; k < jobs; k++)
				steady_commit(k);
			read_all();
			for (k = 0; k < jobs; k++)
				fill(tenant[(turn * jobs + k) % TENANTS], turn * jobs + k);
		}
	}
	return 0;
}
