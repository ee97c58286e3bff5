// SPDX-License-Identifier: MIT
/*
 * Tenants under fire: see storm.h.
 */
#include "tests/transport/storm.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <braid.h>

#include "tests/tap.h"

#define SLOTS	8

struct tenant {
	struct books *books;
	struct braid *b;
	struct braid_model *m;
	struct braid_at at[SLOTS][2];
	float *expect[SLOTS];
	bool used[SLOTS];
	unsigned int busy;
	double most;		/* relative L2 that an output may be off by, squared */
};

void storm_sleep_ms(unsigned int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000l };

	nanosleep(&ts, NULL);
}

static size_t out_bytes(const struct tenant *t)
{
	return braid_model_output(t->m, 0)->bytes;
}

/* Inputs differ by tenant and slot; the expected outputs are the calm ones. */
static int set_up(struct tenant *t, const char *socket, const char *model, unsigned int number)
{
	unsigned int seed = number * 7919 + 1;
	int ret;

	ret = braid_open(socket, &t->b);
	if (!ret)
		ret = braid_model_find(t->b, model, &t->m);
	for (unsigned int s = 0; s < SLOTS && !ret; s++) {
		const void *in[1];
		void *out[1];
		float *p;

		ret = braid_buf_new(t->b, braid_model_input(t->m, 0)->bytes, &t->at[s][0].buf);
		if (!ret)
			ret = braid_buf_new(t->b, out_bytes(t), &t->at[s][1].buf);
		if (ret)
			break;
		p = braid_buf_addr(t->at[s][0].buf);
		for (size_t i = 0; i < braid_model_input(t->m, 0)->bytes / sizeof(float); i++)
			p[i] = rand_r(&seed) % 2000 / 1000.0f - 1;
		t->expect[s] = malloc(out_bytes(t));
		in[0] = p;
		out[0] = t->expect[s];
		ret = braid_infer(t->b, t->m, in, out, -1);
	}
	if (ret)
		snprintf(t->books->why, sizeof(t->books->why), "%s", braid_error());
	return ret;
}

/*
 * What another grouping of the same sums may differ by: of fp32, or of fp16,
 * where a sum may round to the next number. Different answers are 7e-2 apart.
 */
static double tolerance(void)
{
	const char *backend = getenv("BRAID_TEST_BACKEND");

	return backend && !strcmp(backend, "cuda") ? 1e-6 : 1e-8;
}

static bool same(const float *a, const float *b, size_t n, double most)
{
	double diff = 0, size = 0;

	for (size_t i = 0; i < n; i++) {
		diff += (a[i] - b[i]) * (double)(a[i] - b[i]);
		size += b[i] * (double)b[i];
	}
	return diff <= size * most;
}

static int take(struct tenant *t)
{
	struct braid_completion c[SLOTS];
	int n = braid_wait(t->b, c, SLOTS, 1000);

	for (int i = 0; i < n; i++) {
		unsigned int s = c[i].user_data;

		if (s >= SLOTS || !t->used[s]) {
			t->books->twice++;
			continue;
		}
		t->used[s] = false;
		t->busy--;
		atomic_fetch_add(&t->books->answered, 1);
		if (c[i].status) {
			t->books->last_status = c[i].status;
			if (c[i].status == -EIO)
				t->books->eio++;
			else
				t->books->other++;
		} else if (!same(braid_buf_addr(t->at[s][1].buf), t->expect[s],
				 out_bytes(t) / sizeof(float), t->most)) {
			t->books->wrong++;
		}
		memset(braid_buf_addr(t->at[s][1].buf), 0xff, out_bytes(t));
	}
	return n;
}

static int send_all(struct tenant *t)
{
	for (unsigned int s = 0; s < SLOTS; s++) {
		struct braid_job_desc j = { .model = t->m, .io = t->at[s], .user_data = s,
					    .priority = BRAID_PRIORITY_NORMAL };
		int ret;

		if (t->used[s])
			continue;
		ret = braid_submit(t->b, &j, 1);
		if (ret == -EAGAIN)
			return 0;
		if (ret < 0)
			return ret;
		t->used[s] = true;
		t->busy++;
		atomic_fetch_add(&t->books->submitted, 1);
	}
	return 0;
}

static void __attribute__((noreturn)) be_tenant(struct storm *s, const char *model,
						unsigned int number)
{
	struct tenant t = { .books = &s->books[number], .most = tolerance() };
	int ret;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	ret = set_up(&t, s->d->socket, model, number);
	atomic_fetch_add(&s->ready, 1);
	while (!ret && !atomic_load(&s->stop)) {
		ret = send_all(&t);
		if (!ret && take(&t) < 0)
			ret = -EIO;
	}
	while (!ret && t.busy)
		if (take(&t) < 0)
			ret = -EIO;
	if (ret && !t.books->why[0])
		snprintf(t.books->why, sizeof(t.books->why), "%s", braid_error());
	_exit(ret != 0);
}

struct storm *storm_new(struct daemon *d)
{
	struct storm *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	s->d = d;
	return s;
}

void storm_start(struct storm *s, const char *const *models, unsigned int n_models)
{
	fflush(stdout);
	for (unsigned int i = 0; i < STORM_TENANTS; i++) {
		pid_t pid = fork();

		/* The child shares this memory: only the parent may write. */
		if (!pid)
			be_tenant(s, models[i % n_models], i);
		s->pids[i] = pid;
	}
	while (atomic_load(&s->ready) < STORM_TENANTS)
		storm_sleep_ms(5);
}

static unsigned long answered(const struct storm *s)
{
	unsigned long n = 0;

	for (unsigned int i = 0; i < STORM_TENANTS; i++)
		n += atomic_load(&s->books[i].answered);
	return n;
}

bool storm_progress(struct storm *s, unsigned long n)
{
	unsigned long from = answered(s);

	for (int i = 0; i < 12000; i++) {
		if (answered(s) - from >= n)
			return true;
		storm_sleep_ms(5);
	}
	return false;
}

void storm_end(struct storm *s)
{
	int status;

	atomic_store(&s->stop, 1);
	for (unsigned int i = 0; i < STORM_TENANTS; i++) {
		waitpid(s->pids[i], &status, 0);
		if (status && !s->books[i].why[0])
			snprintf(s->books[i].why, sizeof(s->books[i].why), "status %#x", status);
	}
}

void storm_check(struct storm *s, const char *what)
{
	unsigned long sent = 0, got = 0, wrong = 0, twice = 0, eio = 0, other = 0;
	const char *why = "";

	for (unsigned int i = 0; i < STORM_TENANTS; i++) {
		struct books *b = &s->books[i];

		sent += b->submitted;
		got += b->answered;
		wrong += b->wrong;
		twice += b->twice;
		eio += b->eio;
		other += b->other;
		if (b->why[0])
			why = b->why;
		if (b->other)
			diag("tenant %u: last status %d", i, b->last_status);
	}
	ok(!*why, "%s: no tenant failed%s%s", what, *why ? ": " : "", why);
	ok(sent == got && sent, "%s: %lu submitted, %lu answered", what, sent, got);
	is_int(twice, 0, "%s: nothing answered twice", what);
	is_int(wrong, 0, "%s: no wrong output", what);
	is_int(eio, 0, "%s: no innocent request ended in EIO", what);
	is_int(other, 0, "%s: no other failure", what);
}

int storm_infer(struct daemon *d, float first)
{
	struct braid_model *m;
	struct braid *b;
	const void *in[1];
	void *out[1];
	float *x, *y;
	int ret;

	ret = braid_open(d->socket, &b);
	if (ret)
		return ret;
	ret = braid_model_find(b, "tiny_mlp", &m);
	if (!ret) {
		x = calloc(1, braid_model_input(m, 0)->bytes);
		y = calloc(1, braid_model_output(m, 0)->bytes);
		x[0] = first;
		in[0] = x;
		out[0] = y;
		ret = braid_infer(b, m, in, out, -1);
		free(x);
		free(y);
	}
	braid_close(b);
	return ret;
}
