/* SPDX-License-Identifier: MIT */
/*
 * What a test says to the stand-in driver and reads from it.
 *
 * The stand-in is another process's library most of the time (the runner's),
 * so this lies in a file that both map: BRAID_STANDIN names it. Without the
 * variable a plain device without faults is played. Words of 64 bits, read
 * and written as they are; what counts down to a fault is taken atomically.
 */
#ifndef BRAID_TESTS_CUDA_STANDIN_CONTROL_H
#define BRAID_TESTS_CUDA_STANDIN_CONTROL_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/resource.h>
#include <unistd.h>

#define STANDIN_MAGIC	0x6272616964647276ull

typedef _Atomic uint64_t standin_word;

/**
 * struct standin - the shared page
 *
 * What is played, read when the driver starts:
 * @driver_version: 0 for the plain one
 * @devices: how many, plus one; 0 for the plain one
 * @sm: 90 for sm_90; 0 for the plain one
 * @multiprocessors: 0 for the plain number
 * @integrated: host and device share their memory
 * @memory: bytes of the device, 0 for plenty
 * @no_register: memory of others can't be registered
 * @stuck: while a stream waits for a value, so does every call, as those of the real
 *         driver may once one of its own threads waits for the device
 * @blocking: a launch of a graph returns once it has ended, with its error, as under
 *            CUDA_LAUNCH_BLOCKING
 *
 * Faults; a count of n hits the n-th from now, 0 is never:
 * @fail_launch: that launch returns an error, and so does everything after it
 * @fault: that launch faults on the device: the error comes later, and stays
 * @fault_as: the error that it is then; 0 for an illegal address
 * @hang: that launch never ends
 * @fail_alloc: that allocation on the device fails
 * @fail_register: that registration fails
 * @fail_compile: that compilation fails
 * @slow_us: each kernel takes up to so much longer, at random
 * @compile_ms: each compilation takes so much longer
 * @shuffle: another seed, another of the orders that streams and branches may have
 *
 * What was done:
 * @launches: of graphs and kernels
 * @allocs: on the device or pinned, and registrations' opposite
 * @instantiated: graphs
 * @modules: loaded
 * @compiled: sources
 * @nice_compiled: by a thread of lower priority than the process's first one
 * @nice_loaded: modules, by such a thread
 * @registered: pieces of host memory
 * @pageable: copies from memory that is neither pinned nor registered
 * @bytes: allocated on the device now
 * @running: launches that run now
 * @most_running: at once so far
 * @misuse: calls that a real driver would not survive
 */
struct standin {
	standin_word magic;
	standin_word driver_version, devices, sm, multiprocessors, integrated, memory,
		no_register, stuck, blocking;
	standin_word fail_launch, fault, fault_as, hang, fail_alloc, fail_register, fail_compile, slow_us,
		compile_ms, shuffle;
	standin_word launches, allocs, instantiated, modules, compiled, registered, pageable,
		bytes, running, most_running, misuse, nice_compiled, nice_loaded;
};

#define STANDIN_ENV	"BRAID_STANDIN"

/* This thread gives way to the process's first one. */
static inline uint64_t standin_is_nice(void)
{
	return getpriority(PRIO_PROCESS, 0) > getpriority(PRIO_PROCESS, getpid());
}

#endif
