// SPDX-License-Identifier: MIT
/*
 * Agents and tenants are killed with SIGKILL under load. Tenants that live keep
 * books: nothing may be lost, answered twice or wrongly, and no innocent
 * request may end in EIO. Afterwards the queue must hold nothing.
 *
 * An agent is killed anywhere: while it attaches, while it publishes, with jobs
 * in its hands. But after one that had jobs, the next may be killed with jobs only
 * when it has committed as many: each of them runs alone then, and whoever kills a
 * lone request's agents max_attempts times is its poison, and EIO would be right.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/tap.h"
#include "tests/vm/books.h"
#include "tests/vm/dev.h"

#define TENANTS	6
#define VICTIMS	6
#define JOBS	8		/* that an agent takes at once */

struct storm {
	atomic_int stop;
	atomic_uint phase;		/* of the agent: see below */
	atomic_ulong commits;
	int agent_error;
	struct books books[TENANTS];
	struct books lost[VICTIMS];	/* of tenants that are killed: nobody reads them */
};

enum { STARTING, READY, FETCHED };

static struct storm *storm;
static unsigned int seed0;

static void __attribute__((noreturn)) be_agent(void)
{
	static struct agent a;
	uint64_t model;
	int ret;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setpriority(PRIO_PROCESS, 0, 0);
	model = agent_start(&a, SLOT_BYTES);
	ret = model ? 0 : -ENODEV;
	atomic_store(&storm->phase, READY);
	while (!ret) {
		ret = agent_jobs(&a, model, JOBS, 0);
		if (!ret && a.arg.jobs.count) {
			atomic_store(&storm->phase, FETCHED);
			ret = agent_finish(&a);
			atomic_store(&storm->phase, READY);
			if (!ret)
				atomic_fetch_add(&storm->commits, 1);
		}
		if (ret == -EINTR)
			ret = 0;
	}
	storm->agent_error = ret;
	_exit(1);
}

static pid_t start_agent(void)
{
	pid_t pid;

	atomic_store(&storm->phase, STARTING);
	fflush(stdout);
	pid = fork();
	if (!pid)
		be_agent();
	return pid;
}

static pid_t start_tenant(struct books *b, unsigned int seed)
{
	pid_t pid = fork();

	if (!pid) {
		setpriority(PRIO_PROCESS, 0, 0);
		books_tenant(b, &storm->stop, seed);
	}
	return pid;
}

/* The load keeps the machine busy: who kills and who dies does not queue for it. */
static void end(pid_t pid)
{
	setpriority(PRIO_PROCESS, pid, -10);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* Wait until the count is above @from; false after a minute. */
static bool past(const atomic_ulong *count, unsigned long from)
{
	for (unsigned int i = 0; i < 60000; i++) {
		if (atomic_load(count) > from)
			return true;
		dev_sleep_ms(1);
	}
	return false;
}

static pid_t kill_agents(pid_t agent, unsigned long n)
{
	unsigned int seed = seed0 + 1, hit = 0;
	unsigned long killed, commits;
	bool moving = true;

	for (killed = 0; killed < n && moving; killed++) {
		commits = atomic_load(&storm->commits);
		/* At once, or after some work. */
		dev_sleep_ms(rand_r(&seed) % 3 ? rand_r(&seed) % 8 : 0);
		if (hit)
			moving = past(&storm->commits, commits + JOBS);
		kill(agent, SIGKILL);
		waitpid(agent, NULL, 0);
		hit = atomic_load(&storm->phase) != STARTING;
		agent = start_agent();
	}
	ok(moving, "work goes on between the deaths of agents");
	diag("%lu agents killed", killed);
	return agent;
}

static unsigned long unanswered(const struct books *b)
{
	return atomic_load(&b->submitted) - atomic_load(&b->answered);
}

/*
 * Half of them die wherever they happen to be, mostly while they come; the others
 * when they have submitted something, if that does not take too long.
 */
static void kill_tenants(unsigned long n)
{
	pid_t victims[VICTIMS];
	unsigned int seed = seed0 + 2;
	unsigned long killed, at_work = 0, had[VICTIMS] = { 0 };

	fflush(stdout);
	for (unsigned int i = 0; i < VICTIMS; i++)
		victims[i] = start_tenant(&storm->lost[i], seed0 + 100 + i);
	for (killed = 0; killed < n; killed++) {
		unsigned int i = rand_r(&seed) % VICTIMS;

		if (rand_r(&seed) % 2) {
			for (int ms = 0; ms < 500 && unanswered(&storm->lost[i]) == had[i]; ms++)
				dev_sleep_ms(1);
			dev_sleep_ms(rand_r(&seed) % 4);
		}
		end(victims[i]);
		at_work += unanswered(&storm->lost[i]) != had[i];
		had[i] = unanswered(&storm->lost[i]);
		victims[i] = start_tenant(&storm->lost[i], seed0 + 1000 + killed);
	}
	for (unsigned int i = 0; i < VICTIMS; i++)
		end(victims[i]);
	diag("%lu tenants killed, %lu of them with requests outstanding", killed, at_work);
}

/* With no tenant left, nothing may be queued, held or charged. */
static void check_empty(const char *what)
{
	int fd = dev_open(DEV_TENANT, 0);

	is_int(dev_charged(fd, 0), 0, "%s: no buffer stays charged", what);
	close(fd);
	is_int(dev_number(DEV_SYSFS "depth"), 0, "%s: nothing stays queued", what);
}

static void run(const char *what, unsigned long agents, unsigned long tenants)
{
	pid_t agent, pids[TENANTS], killer = 0;
	int status, killer_status = 0;

	memset(storm, 0, sizeof(*storm));
	agent = start_agent();
	/* Tenants find the model once it is published. */
	while (atomic_load(&storm->phase) == STARTING && !storm->agent_error)
		dev_sleep_ms(1);
	fflush(stdout);
	for (unsigned int i = 0; i < TENANTS; i++)
		pids[i] = start_tenant(&storm->books[i], seed0 + 10 + i);
	if (tenants && agents) {
		killer = fork();
		if (!killer) {
			kill_tenants(tenants);
			_exit(0);
		}
	} else if (tenants) {
		kill_tenants(tenants);
	}
	if (agents)
		agent = kill_agents(agent, agents);
	if (killer)
		waitpid(killer, &killer_status, 0);
	atomic_store(&storm->stop, 1);
	for (unsigned int i = 0; i < TENANTS; i++) {
		waitpid(pids[i], &status, 0);
		if (status && !storm->books[i].error)
			storm->books[i].error = -ECHILD;
	}
	books_check(storm->books, TENANTS, what);
	is_int(storm->agent_error, 0, "%s: no agent failed", what);
	check_empty(what);
	end(agent);
}

int main(void)
{
	unsigned long agents = dev_env("BRAID_TEST_AGENT_KILLS", 30);
	unsigned long tenants = dev_env("BRAID_TEST_TENANT_KILLS", 100);

	seed0 = dev_env("BRAID_TEST_SEED", 0);

	dev_require();
	diag("seed %u", seed0);
	storm = mmap(NULL, sizeof(*storm), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (storm == MAP_FAILED)
		return 1;
	setpriority(PRIO_PROCESS, 0, -10);
	run("agents killed", agents, 0);
	run("tenants killed", 0, tenants);
	run("both killed", agents, tenants);
	return tap_done();
}
