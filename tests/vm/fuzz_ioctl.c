// SPDX-License-Identifier: MIT
/*
 * A fuzzer of the device. It knows the structures, and most of what it sends is
 * nearly right; each program is a row of calls, each call a row of bytes from
 * which its choices are drawn, so changing a byte changes a choice. Where the
 * kernel tells coverage (KCOV), programs that reach something new are kept and
 * varied. Several processes do this side by side, each with a thread that
 * rewrites the memory that a call is reading.
 *
 * BRAID_FUZZ_SECONDS, BRAID_FUZZ_SEED. It finds nothing itself: it is the
 * kernel's checkers that do. The calls are in fuzz_calls.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/kcov.h>

#include "tests/tap.h"
#include "tests/vm/dev.h"
#include "tests/vm/fuzz_calls.h"

#define WORKERS		3
#define CORPUS		2048
#define COVER		(64 << 10)	/* words of a trace */
#define SEEN		(1 << 16)

struct program {
	unsigned int n;
	struct fuzz_call calls[FUZZ_CALLS];
};

struct stats {
	unsigned long programs, calls, good, kept, seen;
};

static struct program corpus[CORPUS];
static unsigned int n_corpus;
static uint64_t random_state;
static unsigned long *trace;
static uint8_t seen[SEEN];

static uint32_t rnd(uint32_t n)
{
	/* xorshift64*, Vigna 2016. */
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (random_state * 2685821657736338717ull >> 33) % n;
}

static void new_call(struct fuzz_call *c)
{
	c->kind = rnd(256);
	for (unsigned int i = 0; i < FUZZ_BYTES; i++)
		c->bytes[i] = rnd(3) ? 0 : rnd(256);
}

/* Zeros are what the calls take for the plain and right choice. */
static void new_program(struct program *p)
{
	p->n = 4 + rnd(FUZZ_CALLS - 4);
	for (unsigned int i = 0; i < p->n; i++)
		new_call(&p->calls[i]);
}

static void vary(struct program *p)
{
	for (unsigned int times = 1 + rnd(4); times; times--) {
		struct fuzz_call *c = &p->calls[rnd(p->n)];

		switch (rnd(6)) {
		case 0:
			new_call(c);
			break;
		case 1:
			c->bytes[rnd(FUZZ_BYTES)] = rnd(256);
			break;
		case 2:
			c->bytes[rnd(FUZZ_BYTES)] = 0;
			break;
		case 3:
			if (p->n < FUZZ_CALLS)
				p->calls[p->n++] = *c;
			break;
		case 4:
			if (p->n > 2)
				*c = p->calls[--p->n];
			break;
		default: {
			const struct program *other = &corpus[rnd(n_corpus)];

			*c = other->calls[rnd(other->n)];
		}
		}
	}
}

static void start_trace(void)
{
	int fd = open("/sys/kernel/debug/kcov", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return;
	if (!ioctl(fd, KCOV_INIT_TRACE, COVER)) {
		trace = mmap(NULL, COVER * sizeof(*trace), PROT_READ | PROT_WRITE, MAP_SHARED,
			     fd, 0);
		if (trace == MAP_FAILED || ioctl(fd, KCOV_ENABLE, KCOV_TRACE_PC))
			trace = NULL;
	}
	/* Left open: the trace ends with the process. */
}

/* New pairs of places, one after the other, since the last look. */
static unsigned int news(void)
{
	unsigned int n = 0;
	unsigned long last = 0, count;

	if (!trace)
		return 0;
	count = __atomic_load_n(&trace[0], __ATOMIC_RELAXED);
	for (unsigned long i = 1; i <= count && i < COVER; i++) {
		unsigned long edge = (trace[i] ^ last << 1) * 0x9e3779b97f4a7c15ull >> 48;

		last = trace[i];
		if (!seen[edge % SEEN]) {
			seen[edge % SEEN] = 1;
			n++;
		}
	}
	return n;
}

static unsigned int run(const struct program *p, struct stats *s)
{
	unsigned int good = 0;

	fuzz_reset();
	if (trace)
		__atomic_store_n(&trace[0], 0, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < p->n; i++)
		good += fuzz_do(&p->calls[i]) >= 0;
	s->programs++;
	s->calls += p->n;
	s->good += good;
	return news();
}

static void __attribute__((noreturn)) worker(unsigned int number, uint64_t seed, uint64_t until,
					     struct stats *s)
{
	static struct program p;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 256, 256 });
	random_state = seed + number * 0x9e3779b97f4a7c15ull + 1;
	fuzz_start(number);
	start_trace();
	while (dev_now() < until) {
		unsigned int n;

		if (n_corpus && rnd(8)) {
			p = corpus[rnd(n_corpus)];
			vary(&p);
		} else {
			new_program(&p);
		}
		n = run(&p, s);
		s->seen += n;
		if (n || (!trace && rnd(50) == 0)) {
			corpus[n_corpus < CORPUS ? n_corpus++ : rnd(CORPUS)] = p;
			s->kept++;
		}
	}
	_exit(0);
}

int main(void)
{
	unsigned long seconds = dev_env("BRAID_FUZZ_SECONDS", 5);
	unsigned long seed = dev_env("BRAID_FUZZ_SEED", 1);
	uint64_t until = dev_now() + seconds * 1000000000ull;
	struct stats *s = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct stats all = { 0 };
	pid_t pids[WORKERS];
	int status, bad = 0;

	dev_require();
	diag("seed %lu, %lu seconds, %d processes", seed, seconds, WORKERS);
	fflush(stdout);
	for (unsigned int i = 0; i < WORKERS; i++) {
		pids[i] = fork();
		if (!pids[i])
			worker(i, seed, until, &s[i]);
	}
	for (unsigned int i = 0; i < WORKERS; i++) {
		waitpid(pids[i], &status, 0);
		if (status)
			diag("process %u: status %#x", i, status);
		bad += status != 0;
		all.programs += s[i].programs;
		all.calls += s[i].calls;
		all.good += s[i].good;
		all.kept += s[i].kept;
		all.seen += s[i].seen;
	}
	diag("%lu programs, %lu calls, %lu of them succeeded; %lu kept, %lu new edges", all.programs,
	     all.calls, all.good, all.kept, all.seen);
	is_int(bad, 0, "the fuzzer's processes end well");
	ok(all.programs > 0 && all.good > all.calls / 20, "a good part of the calls gets through");
	return tap_done();
}
