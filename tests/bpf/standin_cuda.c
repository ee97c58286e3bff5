// SPDX-License-Identifier: MIT
/*
 * A libcuda.so.1 that does nothing but wait as long as it is told to, under the
 * names that the probes attach to. Blocking copies synchronise a stream on the
 * way, as the real library may.
 *
 * standin_told_ns is what the next blocking call waits; standin_waited_ns is
 * the sum of what they did wait, by the thread's own clock; standin_since_ns is
 * when the one began that waits now.
 */
#include <stdint.h>
#include <time.h>

#define EXPORT	__attribute__((visibility("default"), noinline))

__thread uint64_t standin_told_ns;
__thread uint64_t standin_waited_ns;
__thread volatile uint64_t standin_since_ns;

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static void wait_as_told(void)
{
	uint64_t began = now(), until = began + standin_told_ns;
	struct timespec ts = { until / 1000000000ull, until % 1000000000ull };

	standin_since_ns = began;
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, 0))
		;
	standin_since_ns = 0;
	standin_waited_ns += now() - began;
}

/* Named by a macro: a prototype for each would say nothing. */
#define LAUNCH(name)	EXPORT int name(void); int name(void) { __asm__ volatile(""); return 0; }
#define BLOCK(name)	EXPORT int name(void); int name(void) { wait_as_told(); return 0; }
#define NEST(name, in)	EXPORT int name(void); int name(void) { return in() + 0 * now(); }

LAUNCH(cuLaunchKernel)
LAUNCH(cuLaunchKernel_ptsz)
LAUNCH(cuLaunchKernelEx)
LAUNCH(cuGraphLaunch)
LAUNCH(cuGraphLaunch_ptsz)
LAUNCH(cuMemcpyHtoDAsync_v2)
BLOCK(cuCtxSynchronize)
BLOCK(cuStreamSynchronize)
BLOCK(cuStreamSynchronize_ptsz)
BLOCK(cuEventSynchronize)
NEST(cuMemcpyDtoH_v2, cuStreamSynchronize)
NEST(cuMemcpyDtoH_v2_ptds, cuMemcpyDtoH_v2)
