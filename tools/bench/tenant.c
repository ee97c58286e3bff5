// SPDX-License-Identifier: MIT
/*
 * One tenant: a process with a connection, a model and buffers for as many
 * requests as may be outstanding.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "tools/bench/bench.h"

#define OPEN_SLOTS	64	/* outstanding in the open loop; more wait here */

struct tenant {
	const struct options *o;
	const struct load *l;
	struct shared *sh;
	struct result *res;
	struct braid *b;
	struct braid_model *m;
	unsigned int slots, busy;
	bool lost;			/* the queue went away with what it had */
	uint64_t scheduled[OPEN_SLOTS];		/* of what is in a slot */
	bool used[OPEN_SLOTS];
	struct braid_at at[OPEN_SLOTS][BRAID_MAX_TENSORS];
};

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static int give_up(struct tenant *t, int err)
{
	snprintf(t->res->why, sizeof(t->res->why), "%s: %s", t->l->model, braid_error());
	atomic_store(&t->res->error, err ? err : -EIO);
	return err;
}

void fill_input(void *p, uint32_t type, uint64_t bytes, uint64_t *seed)
{
	uint64_t n;

	switch (type) {
	case BRAID_TYPE_F32:
		n = bytes / sizeof(float);
		for (uint64_t i = 0; i < n; i++)
			((float *)p)[i] = 2 * rng_uniform(seed) - 1;
		break;
	case BRAID_TYPE_I64:
		/* Token ids, masks: small and valid for any vocabulary. */
		n = bytes / sizeof(int64_t);
		for (uint64_t i = 0; i < n; i++)
			((int64_t *)p)[i] = rng_uniform(seed) < 0.5 ? 0 : 1;
		break;
	default:
		memset(p, 0, bytes);
		break;
	}
}

static int set_up(struct tenant *t, unsigned int number)
{
	uint64_t seed = t->o->seed * 1000003 + number;
	unsigned int n_in, n;
	int ret;

	ret = braid_open(t->o->socket, &t->b);
	if (!ret)
		ret = braid_model_find(t->b, t->l->model, &t->m);
	if (ret)
		return ret;
	braid_set_patience(t->b, t->o->patience * 1000);
	if (t->o->spin_us >= 0)
		braid_set_spin(t->b, t->o->spin_us);
	n_in = braid_model_inputs(t->m);
	n = n_in + braid_model_outputs(t->m);
	for (unsigned int s = 0; s < t->slots; s++) {
		for (unsigned int i = 0; i < n; i++) {
			const struct braid_tensor *x = i < n_in ? braid_model_input(t->m, i) :
						braid_model_output(t->m, i - n_in);

			ret = braid_buf_new(t->b, x->bytes, &t->at[s][i].buf);
			if (ret)
				return ret;
			if (i < n_in)
				fill_input(braid_buf_addr(t->at[s][i].buf), x->type, x->bytes,
					   &seed);
		}
	}
	return 0;
}

static void tell_waiting(struct tenant *t, unsigned int n)
{
	atomic_store_explicit(&t->res->waiting, n, memory_order_relaxed);
}

/* 1: sent; 0: no room now; negative: failed. */
static int send_one(struct tenant *t, uint64_t scheduled)
{
	struct braid_job_desc job = { .model = t->m, .priority = t->l->priority };
	unsigned int s = 0;
	int ret;

	if (t->busy == t->slots)
		return 0;
	while (t->used[s])
		s++;
	job.io = t->at[s];
	job.user_data = s;
	/* Being told that it is queued may be what is waited for. */
	tell_waiting(t, t->busy + 1);
	ret = braid_submit(t->b, &job, 1);
	if (ret <= 0)
		tell_waiting(t, t->busy);
	if (ret == -EAGAIN || ret == -EDQUOT)
		return 0;
	if (ret < 0)
		return ret;
	t->used[s] = true;
	t->scheduled[s] = scheduled;
	t->busy++;
	return 1;
}

static bool result_counts(const struct shared *sh, uint64_t scheduled)
{
	return scheduled >= atomic_load(&sh->gate.measure_ns) &&
	       scheduled < atomic_load(&sh->gate.stop_ns);
}

void result_add(const struct options *o, struct shared *sh, struct result *res,
		uint64_t scheduled, uint64_t now, int status)
{
	uint64_t lat = now - scheduled;

	atomic_fetch_add_explicit(&res->progress, 1, memory_order_relaxed);
	/* What was due in the measured time counts, whenever it ends. */
	if (!result_counts(sh, scheduled))
		return;
	if (status) {
		res->failed++;
		return;
	}
	hist_add(&res->latency, lat);
	res->done++;
	/* Throughput, and goodput as a part of it: what ended within the time. */
	if (now < atomic_load(&sh->gate.stop_ns)) {
		res->in_time++;
		res->late += o->deadline_ms > 0 && lat > o->deadline_ms * 1e6;
	}
}

static void add_phases(struct result *res, const struct braid_completion *c, uint64_t scheduled,
		       uint64_t now)
{
	const uint64_t at[PHASES + 1] = { scheduled, c->enqueue_ns, c->fetch_ns, c->done_ns, now };

	for (int i = 0; i < PHASES; i++)
		hist_add(&res->phases[i], at[i + 1] > at[i] ? at[i + 1] - at[i] : 0);
}

static void account(struct tenant *t, const struct braid_completion *c, uint64_t now)
{
	uint64_t scheduled = t->scheduled[c->user_data];

	t->used[c->user_data] = false;
	tell_waiting(t, --t->busy);
	t->lost |= c->status == -ECONNRESET;
	result_add(t->o, t->sh, t->res, scheduled, now, c->status);
	if (c->status || !result_counts(t->sh, scheduled))
		return;
	add_phases(t->res, c, scheduled, now);
	t->res->merge_sum += c->merge_degree;
	t->res->fuse_sum += c->fuse_degree;
	t->res->device_ns += c->device_ns;
}

static int take(struct tenant *t, int timeout_ms)
{
	struct braid_completion c[OPEN_SLOTS];
	int n = braid_wait(t->b, c, OPEN_SLOTS, timeout_ms);
	uint64_t now = now_ns();

	for (int i = 0; i < n; i++)
		account(t, &c[i], now);
	/* This time it has nothing but the words. */
	return t->lost ? braid_wait(t->b, c, OPEN_SLOTS, 0) : n;
}

static int closed_loop(struct tenant *t, uint64_t stop)
{
	int ret = 0;

	while (now_ns() < stop || t->busy) {
		while (now_ns() < stop && (ret = send_one(t, now_ns())) > 0)
			;
		if (ret < 0)
			return ret;
		ret = take(t, 1000);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static void sleep_until(uint64_t at)
{
	struct timespec ts = { at / 1000000000ull, at % 1000000000ull };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

/* Late arrivals are not dropped: they wait here and their latency counts. */
static int open_loop(struct tenant *t, uint64_t start, const uint64_t *at, uint64_t n)
{
	uint64_t i = 0, now;
	int ret;

	while (i < n || t->busy) {
		now = now_ns();
		while (i < n && start + at[i] <= now) {
			ret = send_one(t, start + at[i]);
			if (ret < 0)
				return ret;
			if (!ret)
				break;
			i++;
		}
		now = now_ns();
		if (t->busy) {
			int ms = 1000;

			if (i < n && t->busy < t->slots)
				ms = start + at[i] <= now ? 0 : (start + at[i] - now) / 1000000;
			ret = take(t, ms);
			if (ret < 0)
				return ret;
		} else if (i < n && start + at[i] > now) {
			sleep_until(start + at[i]);
		}
	}
	return 0;
}

/* Who comes at a time drawn beforehand comes then, not up to 50 us later. */
void sleep_exactly(void)
{
	prctl(PR_SET_TIMERSLACK, 1ul, 0, 0, 0);
}

int tenant_run(const struct options *o, const struct load *l, unsigned int number,
	       struct shared *sh, const uint64_t *arrivals, uint64_t n_arrivals)
{
	struct tenant t = { .o = o, .l = l, .sh = sh, .res = &sh->results[number] };
	uint64_t start;
	int ret;

	sleep_exactly();
	t.slots = o->mode == MODE_OPEN ? OPEN_SLOTS : l->outstanding;
	ret = set_up(&t, number);
	if (ret)
		give_up(&t, ret);
	atomic_fetch_add(&sh->gate.ready, 1);
	if (ret)
		return ret;
	while (!(start = atomic_load(&sh->gate.start_ns)))
		sleep_until(now_ns() + 200000);
	sleep_until(start);
	ret = o->mode == MODE_OPEN ? open_loop(&t, start, arrivals, n_arrivals) :
				     closed_loop(&t, atomic_load(&sh->gate.stop_ns));
	if (ret < 0)
		give_up(&t, ret);
	braid_close(t.b);
	return ret;
}
