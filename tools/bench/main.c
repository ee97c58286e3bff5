// SPDX-License-Identifier: MIT
/*
 * braid-bench: forks the tenants, times the rounds, reports.
 */
#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tools/bench/bench.h"
#include "tools/braidctl/source.h"

/* The C library looks for it. */
__attribute__((visibility("default"))) const char *argp_program_version = "braid-bench " BRAID_VERSION;

static void nap(double seconds)
{
	struct timespec ts = { (time_t)seconds, (long)((seconds - (time_t)seconds) * 1e9) };

	nanosleep(&ts, NULL);
}

/* Another fusion policy, wherever the queue is. */
int policy_set(const struct options *o, const char *policy)
{
	struct ctl c = { .socket = o->control };
	json_t *knobs;
	int ret;

	source_find(&c);
	knobs = c.source->knob_set(&c, "fusion_policy", policy);
	ret = knobs ? 0 : -EIO;
	json_decref(knobs);
	return ret;
}

const struct load *load_of(const struct options *o, unsigned int tenant)
{
	const struct load *l = o->loads;

	while (tenant >= l->tenants)
		tenant -= l++->tenants;
	return l;
}

/* In the child. */
static void __attribute__((noreturn)) be_tenant(const struct options *o, unsigned int i,
						struct shared *sh)
{
	const struct load *l = load_of(o, i);
	uint64_t *at = NULL, n = 0;
	int ret;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (o->mode == MODE_OPEN) {
		at = arrivals_make(o, l->rate, o->seed * 7919 + i, o->warmup + o->seconds, &n);
		if (!at) {
			atomic_store(&sh->results[i].error, -ENOMEM);
			atomic_fetch_add(&sh->gate.ready, 1);
			_exit(1);
		}
	}
	ret = tenant_run(o, l, i, sh, at, n);
	free(at);
	_exit(ret < 0);
}

static void __attribute__((noreturn)) be_direct(const struct options *o, unsigned int first,
						unsigned int n, struct shared *sh)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	_exit(direct_run_tenants(o, sh, first, n) < 0);
}

/* Processes that the tenants are in. */
static unsigned int n_processes(const struct options *o)
{
	return o->as == AS_STREAMS ? 1 : o->n_tenants;
}

const char *as_words(enum system_kind as)
{
	static const char *const words[] = { "braid", "processes", "streams" };

	return words[as];
}

/* A line of the file that follows the run: for who changes something meanwhile. */
static void follow(FILE *f, const char *policy, uint64_t sum)
{
	if (!f)
		return;
	fprintf(f, "{\"ts_ns\":%llu,\"policy\":\"%s\",\"requests\":%llu}\n",
		(unsigned long long)now_ns(), policy, (unsigned long long)sum);
	fflush(f);
}

/* Left to be waited for: its pid stays its own. */
static bool has_ended(pid_t pid, siginfo_t *info)
{
	*info = (siginfo_t){ 0 };
	return !waitid(P_PID, pid, info, WEXITED | WNOHANG | WNOWAIT) && info->si_pid == pid;
}

/* How many still run; one that ended otherwise than well is bad. */
static unsigned int count_running(const struct options *o, const pid_t *pids, bool *bad,
				  bool *any_bad)
{
	unsigned int n = 0;
	siginfo_t info;

	for (unsigned int i = 0; i < n_processes(o); i++) {
		if (!has_ended(pids[i], &info))
			n++;
		else if (info.si_code != CLD_EXITED || info.si_status)
			*any_bad = bad[i] = true;
	}
	return n;
}

#define LOOK_NS	1000000000ull

/* How long nobody has had an answer though somebody waits for one. */
struct silence {
	uint64_t requests, since, looked;
	bool told;
};

static bool braidd_answers(const struct options *o)
{
	struct braid *b;

	if (braid_open(o->socket, &b))
		return false;
	braid_close(b);
	return true;
}

/*
 * A tenant sees a connection that breaks, and gives up by itself when nobody comes
 * back. This is for who hangs, and tells whoever watches what is waited for.
 */
static int listen_for(const struct options *o, const struct shared *sh, uint64_t requests,
		      struct silence *s)
{
	unsigned int waiting = 0;
	double silent, limit;

	for (unsigned int i = 0; i < o->n_tenants; i++)
		waiting += atomic_load(&sh->results[i].waiting);
	if (!waiting || requests != s->requests || !s->since) {
		*s = (struct silence){ .requests = requests, .since = now_ns() };
		return 0;
	}
	silent = (now_ns() - s->since) / 1e9;
	if (silent < o->patience / 3 || now_ns() - s->looked < LOOK_NS)
		return 0;
	s->looked = now_ns();
	/* Whose connection broke ends a little earlier, with words of its own. */
	limit = braidd_answers(o) ? 10 * o->patience : o->patience + 1;
	if (silent >= limit) {
		fprintf(stderr, "braid-bench: no answer to any of %u requests for %.1f s: giving up\n",
			waiting, silent);
		return -ETIMEDOUT;
	}
	if (!s->told)
		fprintf(stderr, "braid-bench: no answer to any of %u requests for %.1f s: braidd %s\n",
			waiting, silent, limit > o->patience + 1 ? "is there, waiting for the model" :
			"is gone or hangs, waiting for it");
	s->told = true;
	return 0;
}

static uint64_t requests_so_far(const struct options *o, const struct shared *sh)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < o->n_tenants; i++)
		sum += atomic_load(&sh->results[i].progress);
	return sum;
}

/* Until all tenants have ended, and well. */
static int progress(const struct options *o, const struct shared *sh, const char *policy,
		    const pid_t *pids, bool *bad)
{
	uint64_t stop = atomic_load(&sh->gate.stop_ns), before = 0;
	bool show = !o->quiet && isatty(STDERR_FILENO), any_bad = false;
	double step = o->progress ? 0.05 : 1;
	struct silence silence = { 0 };
	int ret = 0;

	while (now_ns() < stop && !ret) {
		uint64_t sum, left = stop - now_ns();

		nap(left > step * 1e9 ? step : left / 1e9);
		sum = requests_so_far(o, sh);
		follow(o->progress, policy, sum);
		count_running(o, pids, bad, &any_bad);
		ret = any_bad ? -EIO : listen_for(o, sh, sum, &silence);
		if (show && left > 1000000000ull)
			fprintf(stderr, "\r%-12s %8llu req/s, %4.0f s left ", policy,
				(unsigned long long)((sum - before) / step), left / 1e9);
		before = sum;
	}
	if (show)
		fprintf(stderr, "\r%60s\r", "");
	while (!ret && count_running(o, pids, bad, &any_bad)) {
		nap(0.01);
		ret = any_bad ? -EIO : listen_for(o, sh, requests_so_far(o, sh), &silence);
	}
	return ret ? ret : any_bad ? -EIO : 0;
}

/* Why tenants ended early; the same words of several in a row only once. */
static void tell_errors(const struct options *o, const struct shared *sh, const bool *bad)
{
	const char *before = NULL;

	for (unsigned int i = 0; i < o->n_tenants; i++) {
		const char *why = sh->results[i].why[0] ? sh->results[i].why : "died";

		if (!bad[i])
			continue;
		if (!before || strcmp(why, before))
			fprintf(stderr, "braid-bench: tenant %u: %s\n", i, why);
		before = why;
	}
}

/*
 * Until every tenant has its model and its buffers. One that has not ends the
 * run before it begins: what the others measure would be of another load.
 */
static int wait_ready(const struct options *o, const struct shared *sh, const pid_t *pids,
		      bool *bad)
{
	unsigned int n_bad = 0, ready;

	do {
		nap(0.001);
		ready = atomic_load(&sh->gate.ready);
		for (unsigned int i = 0; i < n_processes(o); i++) {
			siginfo_t info;

			if (bad[i] || !has_ended(pids[i], &info))
				continue;
			bad[i] = true;
			n_bad++;
		}
	} while (ready < o->n_tenants && !n_bad);
	for (unsigned int i = 0; i < o->n_tenants; i++) {
		if (bad[i] || !atomic_load(&sh->results[i].error))
			continue;
		bad[i] = true;
		n_bad++;
	}
	return n_bad ? -EIO : 0;
}

static int one_run(const struct options *o, struct run *run)
{
	bool bad[MAX_TENANTS] = { false };
	size_t bytes = sizeof(struct shared) + o->n_tenants * sizeof(struct result);
	struct shared *sh = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
				 -1, 0);
	unsigned int n = n_processes(o);
	pid_t pids[MAX_TENANTS];
	uint64_t t;
	int ret;

	if (sh == MAP_FAILED)
		return -ENOMEM;
	for (unsigned int i = 0; i < n; i++) {
		pids[i] = fork();
		if (!pids[i] && o->as == AS_BRAID)
			be_tenant(o, i, sh);
		if (!pids[i])
			be_direct(o, i, o->as == AS_STREAMS ? o->n_tenants : 1, sh);
		if (pids[i] < 0) {
			fprintf(stderr, "braid-bench: fork: %s\n", strerror(errno));
			while (i--)
				kill(pids[i], SIGKILL);
			return -EAGAIN;
		}
	}
	ret = wait_ready(o, sh, pids, bad);
	if (!ret) {
		t = now_ns() + 10000000;
		atomic_store(&sh->gate.measure_ns, t + (uint64_t)(o->warmup * 1e9));
		atomic_store(&sh->gate.stop_ns, t + (uint64_t)((o->warmup + o->seconds) * 1e9));
		atomic_store(&sh->gate.start_ns, t);
		ret = progress(o, sh, run->policy, pids, bad);
	}
	tell_errors(o, sh, bad);
	for (unsigned int i = 0; ret && i < n; i++)
		kill(pids[i], SIGKILL);
	for (unsigned int i = 0; i < n; i++)
		waitpid(pids[i], NULL, 0);
	if (ret)
		goto out;
	run->seconds = o->seconds;
	run->results = malloc(o->n_tenants * sizeof(struct result));
	if (run->results)
		memcpy(run->results, sh->results, o->n_tenants * sizeof(struct result));
	else
		ret = -ENOMEM;
out:
	munmap(sh, bytes);
	return ret;
}

int main(int argc, char **argv)
{
	static struct options o;
	unsigned int n_policies, n = 0;
	struct run *runs;
	int ret = 0;

	if (options_parse(&o, argc, argv))
		return 2;
	n_policies = o.n_policies ? o.n_policies : 1;
	runs = calloc(n_policies * o.repeat, sizeof(*runs));
	if (!runs)
		return 1;
	/* Interleaved, so that a machine that drifts does so for all. */
	for (unsigned int k = 0; k < o.repeat && !ret; k++) {
		for (unsigned int i = 0; i < n_policies && !ret; i++) {
			snprintf(runs[n].policy, sizeof(runs[n].policy), "%s",
				 o.n_policies ? o.policies[i] : o.as ? as_words(o.as) : "as it is");
			if (o.n_policies)
				ret = policy_set(&o, o.policies[i]);
			if (!ret)
				ret = one_run(&o, &runs[n]);
			if (runs[n].results)
				n++;
		}
	}
	if (n && (!o.json || strcmp(o.json, "-")))
		report_table(&o, runs, n);
	if (n && o.json && report_json(&o, runs, n))
		ret = -EIO;
	for (unsigned int i = 0; i < n; i++)
		free(runs[i].results);
	free(runs);
	return ret ? 1 : 0;
}
