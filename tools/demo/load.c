// SPDX-License-Identifier: MIT
/*
 * Starts the tenants, lets them run together, gathers their figures.
 *
 * The starter has no connection and no thread of its own, so forking is
 * safe; each tenant connects for itself. Figures come through shared memory
 * that only the tenant writes, and are summed up once all have ended.
 */
#include "tools/demo/load.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tools/demo/live.h"
#include "tools/demo/tenant.h"

#define READY_MS	30000
#define END_MS		90000

/* Who runs what. A kind's tenants go through the same requests, offset. */
static const struct kind {
	const char *name;
	int tenants;
	int n_models;
	enum model_id models[2];
} kinds[] = {
	{ "det", 2, 1, { MODEL_DET } },
	{ "cls", 2, 1, { MODEL_CLS } },
	{ "rec", 4, 2, { MODEL_REC_LONG, MODEL_REC_SHORT } },
	{ "vad", 2, 1, { MODEL_VAD } },
};

#define KINDS (sizeof(kinds) / sizeof(*kinds))
#define TENANTS 10

struct crew {
	const struct sample **samples[KINDS];
	int counts[KINDS];
	struct tenant_shared *shared;	/* by tenant */
	pid_t pids[TENANTS];		/* 0: not running */
	int kind_of[TENANTS];
	int lost;			/* tenants that ended badly */
};

/* Figures of some tenants together. */
struct figures {
	int tenants;
	uint64_t done, wrong, merge, fuse;
	uint32_t *latency_us;
	size_t latencies;
	double worst;
};

static void nap_ms(int ms)
{
	nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000l }, NULL);
}

static int pick(struct crew *crew, const struct replay *replay)
{
	for (size_t k = 0; k < KINDS; k++) {
		crew->samples[k] = calloc(replay->count, sizeof(*crew->samples[k]));
		if (!crew->samples[k])
			return -ENOMEM;
		for (int i = 0; i < kinds[k].n_models; i++)
			crew->counts[k] += replay_pick(replay, &demo_models[kinds[k].models[i]],
						       crew->samples[k] + crew->counts[k]);
		if (crew->counts[k] < 2) {
			fprintf(stderr, "%s: no two answers that can be told apart\n",
				kinds[k].name);
			return -EINVAL;
		}
	}
	return 0;
}

static int start(struct crew *crew, const struct load *load)
{
	int n = 0;

	/* What is buffered would be printed once more by every child. */
	fflush(NULL);
	for (size_t k = 0; k < KINDS; k++) {
		for (int i = 0; i < kinds[k].tenants; i++, n++) {
			pid_t pid = fork();

			if (pid < 0) {
				perror("fork");
				return -EAGAIN;
			}
			if (!pid) {
				prctl(PR_SET_PDEATHSIG, SIGKILL);
				_exit(tenant_main(load->socket, crew->samples[k], crew->counts[k],
						  i * crew->counts[k] / kinds[k].tenants,
						  &crew->shared[n]));
			}
			crew->pids[n] = pid;
			crew->kind_of[n] = k;
		}
	}
	return 0;
}

/* Collect tenants that have ended; returns how many still run. */
static int reap(struct crew *crew)
{
	int running = 0, status;

	for (int i = 0; i < TENANTS; i++) {
		if (!crew->pids[i])
			continue;
		if (waitpid(crew->pids[i], &status, WNOHANG) != crew->pids[i]) {
			running++;
			continue;
		}
		if (WIFSIGNALED(status))
			fprintf(stderr, "tenant %d (%s) was killed by signal %d\n", i,
				kinds[crew->kind_of[i]].name, WTERMSIG(status));
		if (!WIFEXITED(status) || WEXITSTATUS(status))
			crew->lost++;
		crew->pids[i] = 0;
	}
	return running;
}

static int await_ready(struct crew *crew)
{
	int limit = live_patience(READY_MS);

	for (int ms = 0; ms < limit; ms += 10) {
		int ready = 0;

		for (int i = 0; i < TENANTS; i++)
			ready += atomic_load(&crew->shared[i].ready);
		if (ready == TENANTS)
			return 0;
		if (reap(crew) < TENANTS)
			return -ECHILD;
		nap_ms(10);
	}
	fprintf(stderr, "not all tenants got ready within %d s\n", limit / 1000);
	return -ETIMEDOUT;
}

static void await_end(struct crew *crew)
{
	int limit = live_patience(END_MS);

	for (int i = 0; i < TENANTS; i++)
		atomic_store(&crew->shared[i].stop, true);
	for (int ms = 0; ms < limit; ms += 10) {
		if (!reap(crew))
			return;
		nap_ms(10);
	}
	for (int i = 0; i < TENANTS; i++) {
		if (!crew->pids[i])
			continue;
		fprintf(stderr, "tenant %d (%s) did not end\n", i, kinds[crew->kind_of[i]].name);
		kill(crew->pids[i], SIGKILL);
		waitpid(crew->pids[i], NULL, 0);
		crew->pids[i] = 0;
		crew->lost++;
	}
}

static void progress(const struct crew *crew, const struct load *load, int second)
{
	unsigned int done = 0, wrong = 0;

	if (!isatty(STDERR_FILENO))
		return;
	for (int i = 0; i < TENANTS; i++) {
		done += atomic_load(&crew->shared[i].done);
		wrong += atomic_load(&crew->shared[i].wrong);
	}
	fprintf(stderr, "\r%-11s %2d of %d s, %u requests, %u wrong ", load->label, second,
		load->seconds, done, wrong);
	if (second == load->seconds)
		fprintf(stderr, "\r%60s\r", "");
}

static double run(struct crew *crew, const struct load *load)
{
	struct timespec from, to;

	for (int i = 0; i < TENANTS; i++)
		atomic_store(&crew->shared[i].go, true);
	clock_gettime(CLOCK_MONOTONIC, &from);
	for (int s = 1; s <= load->seconds && reap(crew) == TENANTS; s++) {
		nap_ms(1000);
		progress(crew, load, s);
	}
	/* Requests at hand are finished and counted, so their time is, too. */
	await_end(crew);
	clock_gettime(CLOCK_MONOTONIC, &to);
	return to.tv_sec - from.tv_sec + (to.tv_nsec - from.tv_nsec) / 1e9;
}

static int by_size(const void *a, const void *b)
{
	const uint32_t *p = a, *q = b;

	return (*p > *q) - (*p < *q);
}

/* Sum up the tenants of one kind, or all for -1. */
static int gather(struct figures *f, const struct crew *crew, int kind)
{
	*f = (struct figures){ 0 };
	f->latency_us = malloc((size_t)TENANTS * TENANT_LATENCIES * sizeof(*f->latency_us));
	if (!f->latency_us)
		return -ENOMEM;
	for (int i = 0; i < TENANTS; i++) {
		const struct tenant_shared *s = &crew->shared[i];
		unsigned int n = atomic_load(&s->done);

		if (kind >= 0 && crew->kind_of[i] != kind)
			continue;
		f->tenants++;
		f->done += n;
		f->wrong += atomic_load(&s->wrong);
		f->merge += s->merge;
		f->fuse += s->fuse;
		f->worst = fmax(f->worst, s->worst);
		n = n < TENANT_LATENCIES ? n : TENANT_LATENCIES;
		memcpy(f->latency_us + f->latencies, s->latency_us, n * sizeof(*s->latency_us));
		f->latencies += n;
	}
	qsort(f->latency_us, f->latencies, sizeof(*f->latency_us), by_size);
	return 0;
}

/* Nearest rank, in milliseconds. */
static double percentile(const struct figures *f, double p)
{
	size_t rank = ceil(p * f->latencies);

	if (!f->latencies)
		return NAN;
	return f->latency_us[rank ? rank - 1 : 0] / 1e3;
}

static void print_line(const char *label, const char *kind, const struct figures *f,
		       double seconds)
{
	double n = f->done ? f->done : NAN;

	printf("%-11s  %-3s %7d  %10.1f  %8.2f  %8.2f  %6.2f  %6.2f  %9.1e  %6llu\n", label, kind,
	       f->tenants, f->done / seconds, percentile(f, 0.50), percentile(f, 0.99),
	       f->merge / n, f->fuse / n, f->worst, (unsigned long long)f->wrong);
}

static int report(const struct crew *crew, const struct load *load, double seconds)
{
	struct figures f;
	int bad = crew->lost;

	if (load->header)
		printf("%-11s  %-3s %7s  %10s  %8s  %8s  %6s  %6s  %9s  %6s\n", "policy", "",
		       "tenants", "requests/s", "p50 ms", "p99 ms", "merge", "fuse",
		       "worst L2", "wrong");
	for (int k = -1; k < (int)KINDS; k++) {
		if (gather(&f, crew, k))
			return -ENOMEM;
		print_line(k < 0 ? load->label : "", k < 0 ? "all" : kinds[k].name, &f, seconds);
		free(f.latency_us);
		if (k < 0 && f.wrong)
			fprintf(stderr, "%s: %llu answers differ from the reference\n",
				load->label, (unsigned long long)f.wrong);
		if (k < 0)
			bad += f.wrong != 0;
		if (k >= 0 && !f.done) {
			fprintf(stderr, "%s: %s had not one request answered\n", load->label,
				kinds[k].name);
			bad++;
		}
	}
	if (crew->lost)
		fprintf(stderr, "%s: %d tenants ended with an error\n", load->label, crew->lost);
	fflush(stdout);
	return bad ? 1 : 0;
}

int load_run(const struct load *load, const struct replay *replay)
{
	struct crew crew = { 0 };
	size_t bytes = TENANTS * sizeof(*crew.shared);
	double seconds;
	int err;

	crew.shared = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (crew.shared == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	err = pick(&crew, replay);
	if (!err)
		err = start(&crew, load);
	if (!err)
		err = await_ready(&crew);
	if (!err) {
		seconds = run(&crew, load);
		err = report(&crew, load, seconds);
	} else {
		await_end(&crew);
	}
	for (size_t k = 0; k < KINDS; k++)
		free(crew.samples[k]);
	munmap(crew.shared, bytes);
	return err ? 1 : 0;
}
