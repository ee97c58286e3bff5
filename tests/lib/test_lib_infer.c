// SPDX-License-Identifier: MIT
/*
 * One connection, many threads: braid_infer() of several models with the right
 * answer to each, and submitting and waiting in different threads.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/work.h"
#include "tests/tap.h"
#include "tests/transport/daemon.h"

#define THREADS		8
#define ROUNDS		60
#define SLOTS		32
#define JOBS		1500

static const char *const models[] = { "tiny_mlp", "tiny_cnn", "tiny_bert", "gru", NULL };
static struct braid *b;

struct thread {
	pthread_t id;
	struct work w[4];
	unsigned int wrong, failed;
	int error;
};

static void *infer_all(void *arg)
{
	struct thread *t = arg;

	for (int i = 0; i < ROUNDS; i++) {
		int ret = work_infer(b, &t->w[i % 4], -1);

		t->wrong += ret > 0;
		if (ret < 0) {
			t->failed++;
			t->error = ret;
		}
	}
	return NULL;
}

static void test_infer(struct thread *t)
{
	unsigned int wrong = 0, failed = 0, alike = 0;

	for (int i = 0; i < THREADS; i++)
		for (int m = 0; m < 4; m++)
			work_new(&t[i].w[m], b, models[m], 1 + i * 4 + m);
	/* If the answers were alike, a mix-up could not be seen. */
	for (int i = 0; i < THREADS; i++)
		for (int m = 0; m < 4; m++)
			alike += work_same(&t[i].w[m], t[(i + 1) % THREADS].w[m].want);
	is_int(alike, 0, "the threads' answers differ");
	for (int i = 0; i < THREADS; i++)
		pthread_create(&t[i].id, NULL, infer_all, &t[i]);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(t[i].id, NULL);
		wrong += t[i].wrong;
		failed += t[i].failed;
		if (t[i].failed)
			diag("thread %d: last error %d", i, t[i].error);
	}
	is_int(failed, 0, "%d threads, %d inferences of 4 models each: none fails", THREADS, ROUNDS);
	is_int(wrong, 0, "and each gets its own answer");
}

/* Submitter and waiters share these; a slot is the submitter's, then a waiter's. */
static struct {
	const struct work *w[SLOTS];
	struct braid_at at[SLOTS][WORK_TENSORS];
	atomic_bool busy[SLOTS];
	atomic_uint done, wrong, twice, failed;
	atomic_bool over;
} shared;

static void *wait_for(void *arg)
{
	struct braid_completion c[4];

	while (!atomic_load(&shared.over)) {
		/* Nothing outstanding returns at once: that is the submitter's turn. */
		int n = braid_wait(b, c, 4, 100);

		for (int i = 0; i < n; i++) {
			unsigned int s = c[i].user_data;

			if (s >= SLOTS || !atomic_load(&shared.busy[s])) {
				atomic_fetch_add(&shared.twice, 1);
				continue;
			}
			if (c[i].status)
				atomic_fetch_add(&shared.failed, 1);
			else if (!work_answered(shared.w[s], shared.at[s]))
				atomic_fetch_add(&shared.wrong, 1);
			atomic_store(&shared.busy[s], false);
			atomic_fetch_add(&shared.done, 1);
		}
	}
	return NULL;
}

static void test_split(struct thread *t)
{
	pthread_t waiters[2], infers;
	unsigned int sent = 0;
	int ret = 0;

	for (unsigned int s = 0; s < SLOTS; s++) {
		shared.w[s] = &t[s % THREADS].w[s / THREADS % 4];
		if (work_place(b, shared.w[s], shared.at[s]))
			ret = -ENOMEM;
	}
	is_int(ret, 0, "buffers for %d requests at a time", SLOTS);
	for (int i = 0; i < 2; i++)
		pthread_create(&waiters[i], NULL, wait_for, NULL);
	/* And one who waits for completions of its own at the same time. */
	t[0].wrong = t[0].failed = 0;
	pthread_create(&infers, NULL, infer_all, &t[0]);
	while (sent < JOBS && ret >= 0) {
		for (unsigned int s = 0; s < SLOTS && sent < JOBS; s++) {
			if (atomic_load(&shared.busy[s]))
				continue;
			atomic_store(&shared.busy[s], true);
			ret = work_submit(b, shared.w[s], shared.at[s], s);
			if (ret < 0)
				break;
			sent++;
		}
	}
	ok(ret >= 0, "submitting goes on while others wait (%d)", ret);
	while (atomic_load(&shared.done) < sent)
		sched_yield();
	atomic_store(&shared.over, true);
	for (int i = 0; i < 2; i++)
		pthread_join(waiters[i], NULL);
	pthread_join(infers, NULL);
	is_int(shared.done, JOBS, "each request completes in one of two waiting threads");
	is_int(shared.twice, 0, "none twice");
	is_int(shared.failed, 0, "none fails");
	is_int(shared.wrong, 0, "none with another's answer");
	is_int(t[0].wrong + t[0].failed, 0, "and braid_infer() beside them is right");
}

/* The walk over the models, and what a handle tells. */
static void test_models(void)
{
	struct braid_model *m = NULL, *next, *again;
	unsigned int n = 0;

	while (!braid_model_next(b, m, &next)) {
		n++;
		m = next;
	}
	is_int(n, 4, "the walk over the models finds all");
	is_int(braid_model_find(b, "gru", &m), 0, "one is found by name");
	ok(!strcmp(braid_model_name(m), "gru"), "which it tells");
	is_int(braid_model_inputs(m), 2, "and its inputs");
	is_int(braid_model_outputs(m), 2, "and its outputs");
	ok(!braid_model_input(m, 2) && !braid_model_output(m, 2), "there are no further ones");
	is_int(braid_model_find(b, "gru", &again), 0, "it is found again");
	ok(m == again, "the handle is the same");
	braid_model_put(b, again);
	ok(!strcmp(braid_model_name(m), "gru"), "and valid until the last is put");
	braid_model_put(b, m);
	is_int(braid_model_find(b, "nobody", &m), -ENOENT, "no such model: %s", braid_error());
	is_int(braid_model_find(b, "", &m), -EINVAL, "no name: %s", braid_error());
}

int main(void)
{
	struct thread t[THREADS] = { 0 };
	struct daemon d;

	daemon_start(&d, models, NULL);
	is_int(braid_open(d.socket, &b), 0, "connected");
	test_models();
	test_infer(t);
	test_split(t);
	for (int i = 0; i < THREADS; i++)
		for (int m = 0; m < 4; m++)
			work_free(&t[i].w[m]);
	braid_close(b);
	is_int(daemon_status(&d, "runner_starts"), 1, "all of it with one runner");
	is_int(daemon_stop(&d), 0, "braidd ends well");
	return tap_done();
}
