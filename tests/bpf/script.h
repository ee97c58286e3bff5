/* SPDX-License-Identifier: MIT */
/*
 * Processes that use a libcuda by a written script, and what then is true of
 * them. A script is words:
 *
 *	k K L   launch a kernel: cuLaunchKernel, its _ptsz, cuLaunchKernelEx
 *	g G     launch a graph: cuGraphLaunch, its _ptsz
 *	a       queue a copy
 *	s20 S20 cuStreamSynchronize that waits 20 ms, its _ptsz
 *	e20 x20 cuEventSynchronize, cuCtxSynchronize
 *	c20 C20 a blocking copy; one through another, so that calls nest three deep
 *	p20     20 ms without the library
 *	j20     a synchronising call that is left by longjmp after 20 ms
 *	!20     SIGKILL after 20 ms in a synchronising call
 *	<  >    wait for a byte from the test; send it one
 *	*9      what follows, 9 times
 */
#ifndef BRAID_TESTS_BPF_SCRIPT_H
#define BRAID_TESTS_BPF_SCRIPT_H

#include <stdint.h>
#include <sys/types.h>

/**
 * struct script_truth - what a process did
 * @kernels: launched
 * @graphs: launched
 * @copies: queued
 * @syncs: synchronising calls that returned
 * @sync_ns: how long they waited, by the clock inside of them
 * @sync_outer_ns: and by the clock around them
 * @blocking: copies that returned
 * @blocking_ns: as @sync_ns
 * @blocking_outer_ns: as @sync_outer_ns
 */
struct script_truth {
	uint64_t kernels;
	uint64_t graphs;
	uint64_t copies;
	uint64_t syncs;
	uint64_t sync_ns;
	uint64_t sync_outer_ns;
	uint64_t blocking;
	uint64_t blocking_ns;
	uint64_t blocking_outer_ns;
};

/**
 * struct script - a process that runs one
 * @pid: the process
 * @to: a byte written here answers a '<'
 * @from: '>' writes here; the truth comes here at the end
 */
struct script {
	pid_t pid;
	int to;
	int from;
};

/** script_run() - run a script here; 0, or -1: no such library */
int script_run(const char *library, const char *words, struct script_truth *t);

/** script_start() - run a script in a process of its own */
struct script script_start(const char *library, const char *words);

/** script_let() - let a process pass its '<' */
void script_let(const struct script *s);

/** script_wait() - until it has come to its '>' */
void script_wait(const struct script *s);

/** script_end() - until it has ended; its wait status */
int script_end(struct script *s, struct script_truth *t);

#endif
