/* SPDX-License-Identifier: MIT */
/*
 * braid-bench: tenants as processes, each a model, in closed or open loop.
 *
 * The parent makes everything beforehand (arrivals, shared results), forks the
 * tenants, lets them start together and sums up. Results lie in memory shared
 * by all: a tenant writes only its own part, the parent only reads, except
 * for the flags in struct gate.
 */
#ifndef BRAID_TOOLS_BENCH_BENCH_H
#define BRAID_TOOLS_BENCH_BENCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <braid.h>

#define MAX_TENANTS	1024
#define MAX_POLICIES	8

/* Log-linear: 64 buckets a power of two, so a value is off by 1.6% at most. */
#define HIST_SUB	64
#define HIST_BUCKETS	(HIST_SUB * 40)

struct hist {
	uint64_t count, max, sum;
	uint32_t bucket[HIST_BUCKETS];
};

void hist_add(struct hist *h, uint64_t ns);
void hist_merge(struct hist *to, const struct hist *from);
uint64_t hist_quantile(const struct hist *h, double q);

enum mode { MODE_CLOSED, MODE_OPEN };

/* Who executes: Braid's agent, or the same kernels in other ways beside it. */
enum system_kind {
	AS_BRAID,	/* tenants of a running braidd */
	AS_PROCESSES,	/* each tenant a process with a context of its own */
	AS_STREAMS,	/* all tenants in one process, a stream each, unmerged */
};
/* What the kernels of those that execute themselves are made for. */
enum tiles_for { TILES_AUTO, TILES_FOR_ONE, TILES_FOR_CROWD };
enum arrivals { ARRIVALS_POISSON, ARRIVALS_LOGNORMAL };

/* A line of the workload: so many tenants of a model. */
struct load {
	char model[BRAID_NAME_MAX];
	unsigned int tenants;
	unsigned int outstanding;	/* closed loop */
	double rate;			/* open loop, requests a second and tenant */
	uint32_t priority;
};

struct options {
	enum system_kind as;
	const char *label;		/* in the report; NULL: as */
	const char *models, *backend, *cache;	/* of those that execute themselves */
	unsigned int sms, degree;	/* requests that one launch merges */
	enum tiles_for tiles;
	unsigned int precision;
	bool waits_in_driver;		/* those do, instead of polling */
	int spin_us;			/* braid's tenants before they sleep; negative: as the library likes */
	const char *socket, *control, *json;
	enum mode mode;
	enum arrivals arrivals;
	double sigma;			/* of the log-normal */
	double total_rate;		/* open loop, all tenants; 0: by tenant */
	double seconds, warmup;
	double deadline_ms;		/* goodput counts what is faster; 0: none */
	double patience;		/* seconds without an answer of a braidd that is gone */
	unsigned int repeat;
	uint64_t seed;
	bool quiet;
	FILE *progress;			/* requests so far; NULL: not wanted */
	char policies[MAX_POLICIES][16];
	unsigned int n_policies;	/* 0: leave as it is */
	struct load loads[64];
	unsigned int n_loads, n_tenants;
};

int options_parse(struct options *o, int argc, char **argv);
int workload_read(struct options *o, const char *path);

/* Where the time of a request goes, by the times that its completion tells. */
enum phase {
	PHASE_SENT,			/* from when it should have come till it was queued */
	PHASE_QUEUED,			/* till the agent took it */
	PHASE_AGENT,			/* till the agent gave it back, the device's time in it */
	PHASE_TOLD,			/* till its tenant had the answer */
	PHASES
};

/* What a tenant did in the measured time. */
struct result {
	struct hist latency;		/* from the scheduled arrival, ns */
	struct hist phases[PHASES];	/* of Braid's tenants */
	uint64_t done, failed;
	uint64_t in_time, late;		/* ended within the time; of these, after the deadline */
	uint64_t merge_sum, fuse_sum, device_ns;
	atomic_uint_fast64_t progress;
	atomic_uint waiting;		/* requests of Braid's that have no answer yet */
	atomic_int error;		/* why it gave up */
	char why[128];
};

/* Everybody starts and stops together; times are CLOCK_MONOTONIC. */
struct gate {
	atomic_uint ready;
	atomic_uint_fast64_t start_ns, measure_ns, stop_ns;
};

struct shared {
	struct gate gate;
	struct result results[];
};

uint64_t now_ns(void);

/* Arrivals of one tenant, ns from the start, ascending; free() it. */
uint64_t *arrivals_make(const struct options *o, double rate, uint64_t seed, double seconds,
			uint64_t *n);

/* Uniform in [0, 1), splitmix64. */
double rng_uniform(uint64_t *state);

/*
 * Tenants that execute themselves, @n of them from @first on, in this process.
 * Each comes to the gate by itself. Return: 0 or a negative errno.
 */
int direct_run_tenants(const struct options *o, struct shared *sh, unsigned int first,
		       unsigned int n);
const struct load *load_of(const struct options *o, unsigned int tenant);
const char *as_words(enum system_kind as);

/* A request has ended: its latency, and whether it counts. */
void result_add(const struct options *o, struct shared *sh, struct result *res,
		uint64_t scheduled, uint64_t now, int status);
/* This thread's sleeps end when they should. */
void sleep_exactly(void);
/* Something plausible in an input: other than zeros, the same every time. */
void fill_input(void *p, uint32_t type, uint64_t bytes, uint64_t *seed);

int tenant_run(const struct options *o, const struct load *l, unsigned int number,
	       struct shared *sh, const uint64_t *arrivals, uint64_t n_arrivals);

/* One measurement of one policy. */
struct run {
	char policy[16];
	double seconds;
	struct result *results;		/* n_tenants */
};

void report_table(const struct options *o, const struct run *runs, unsigned int n);
int report_json(const struct options *o, const struct run *runs, unsigned int n);

int policy_set(const struct options *o, const char *policy);

#endif
