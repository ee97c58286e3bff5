// SPDX-License-Identifier: MIT
/*
 * Running scripts: see script.h.
 */
#include "tests/bpf/script.h"

#include <dlfcn.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static sigjmp_buf out;
static volatile uint64_t *since;	/* when the call began that is waited in, 0: none is */
static uint64_t leave_after_ns;

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static void alarm_in(unsigned long ms, void (*then)(int sig))
{
	struct itimerval it = { .it_value = { ms / 1000, ms % 1000 * 1000 } };

	signal(SIGALRM, then);
	setitimer(ITIMER_REAL, &it, NULL);
}

/* Has the call been waited in for so long? On a busy machine it may not have begun. */
static bool is_time(void (*then)(int sig))
{
	uint64_t began = *since;

	if (began && now() - began >= leave_after_ns)
		return true;
	alarm_in(1, then);
	return false;
}

static void leave(int sig)
{
	if (!is_time(leave))
		return;
	*since = 0;
	siglongjmp(out, 1);
}

static void die(int sig)
{
	if (is_time(die))
		kill(getpid(), SIGKILL);
}

/* Ends a call that is about to be made when it has waited for @ms. */
static void end_in(void *lib, unsigned long ms, void (*then)(int sig))
{
	since = dlsym(lib, "standin_since_ns");
	leave_after_ns = ms * 1000000ull;
	alarm_in(ms, then);
}

static void call(void *lib, const char *name)
{
	int (*f)(void) = (int (*)(void))dlsym(lib, name);

	if (!f) {
		fprintf(stderr, "%s\n", dlerror());
		_exit(3);
	}
	f();
}

/* A call that waits @ms; how long it was, from inside and from outside. */
static void block(void *lib, const char *name, unsigned long ms, uint64_t *inner, uint64_t *outer)
{
	uint64_t *told = dlsym(lib, "standin_told_ns"), *waited = dlsym(lib, "standin_waited_ns");
	uint64_t before = *waited, began = now();

	*told = ms * 1000000ull;
	call(lib, name);
	*outer += now() - began;
	*inner += *waited - before;
}

static void step(void *lib, char word, unsigned long n, struct script_truth *t)
{
	static const struct {
		char word;
		const char *name;
	} names[] = {
		{ 'k', "cuLaunchKernel" }, { 'K', "cuLaunchKernel_ptsz" },
		{ 'L', "cuLaunchKernelEx" }, { 'g', "cuGraphLaunch" },
		{ 'G', "cuGraphLaunch_ptsz" }, { 'a', "cuMemcpyHtoDAsync_v2" },
		{ 's', "cuStreamSynchronize" }, { 'S', "cuStreamSynchronize_ptsz" },
		{ 'e', "cuEventSynchronize" }, { 'x', "cuCtxSynchronize" },
		{ 'c', "cuMemcpyDtoH_v2" }, { 'C', "cuMemcpyDtoH_v2_ptds" },
	};
	struct timespec pause = { n / 1000, n % 1000 * 1000000 };
	const char *name = "";
	uint64_t unseen = 0;
	char byte = '.';

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].word == word)
			name = names[i].name;
	switch (word) {
	case 'k': case 'K': case 'L':
		call(lib, name);
		t->kernels++;
		break;
	case 'g': case 'G':
		call(lib, name);
		t->graphs++;
		break;
	case 'a':
		call(lib, name);
		t->copies++;
		break;
	case 's': case 'S': case 'e': case 'x':
		block(lib, name, n, &t->sync_ns, &t->sync_outer_ns);
		t->syncs++;
		break;
	case 'c': case 'C':
		block(lib, name, n, &t->blocking_ns, &t->blocking_outer_ns);
		t->blocking++;
		break;
	case 'p':
		nanosleep(&pause, NULL);
		break;
	case 'j':
		if (!sigsetjmp(out, 1)) {
			end_in(lib, n, leave);
			block(lib, "cuStreamSynchronize", 60000, &unseen, &unseen);
		}
		break;
	case '!':
		end_in(lib, n, die);
		block(lib, "cuStreamSynchronize", 60000, &unseen, &unseen);
		break;
	case '<':
		if (read(0, &byte, 1) != 1)
			_exit(4);
		break;
	case '>':
		if (write(1, &byte, 1) != 1)
			_exit(4);
		break;
	default:
		_exit(5);
	}
}

static void run(void *lib, const char *words, struct script_truth *t)
{
	while (*words) {
		char word = *words++;
		char *end = (char *)words;
		unsigned long n = strtoul(words, &end, 10);

		words = end;
		if (word == ' ')
			continue;
		if (word == '*') {
			while (n--)
				run(lib, words, t);
			return;
		}
		step(lib, word, n, t);
	}
}

int script_run(const char *library, const char *words, struct script_truth *t)
{
	void *lib = dlopen(library, RTLD_NOW | RTLD_LOCAL);

	if (!lib) {
		fprintf(stderr, "%s\n", dlerror());
		return -1;
	}
	run(lib, words, t);
	return 0;
}

struct script script_start(const char *library, const char *words)
{
	struct script_truth t = { 0 };
	struct script s = { .pid = -1 };
	int in[2], out_fds[2];

	fflush(stdout);
	if (pipe(in) || pipe(out_fds))
		abort();
	s.pid = fork();
	if (s.pid < 0)
		abort();
	if (s.pid) {
		close(in[0]);
		close(out_fds[1]);
		s.to = in[1];
		s.from = out_fds[0];
		return s;
	}
	dup2(in[0], 0);
	dup2(out_fds[1], 1);
	if (script_run(library, words, &t))
		_exit(3);
	if (write(1, &t, sizeof(t)) != sizeof(t))
		_exit(4);
	_exit(0);
}

void script_let(const struct script *s)
{
	if (write(s->to, ".", 1) != 1)
		abort();
}

void script_wait(const struct script *s)
{
	char byte;

	if (read(s->from, &byte, 1) != 1)
		abort();
}

int script_end(struct script *s, struct script_truth *t)
{
	int status = 0;

	if (read(s->from, t, sizeof(*t)) != sizeof(*t))
		memset(t, 0, sizeof(*t));
	waitpid(s->pid, &status, 0);
	close(s->to);
	close(s->from);
	return status;
}
