/* SPDX-License-Identifier: MIT */
/*
 * One tenant of the demo under load: a process of its own.
 */
#ifndef BRAID_DEMO_TENANT_H
#define BRAID_DEMO_TENANT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "tools/demo/replay.h"

#define TENANT_LATENCIES (1 << 17)

/**
 * struct tenant_shared - what a tenant and the one that started it share
 * @ready: set by the tenant: connected, buffers there
 * @go: set by the starter: begin
 * @stop: set by the starter: finish the request at hand, then end
 * @done: requests completed, right or wrong
 * @wrong: answers that differed from the recorded ones
 * @failed: set by the tenant: a request ended in an error, and with it the tenant
 * @merge: sum of the merge degrees
 * @fuse: sum of the fuse degrees
 * @worst: largest distance from a recorded answer
 * @latency_us: submit to completion, of the first TENANT_LATENCIES requests
 *
 * The tenant alone writes all but @go and @stop. The counters are read while
 * it runs for progress, the rest after it has ended.
 */
struct tenant_shared {
	atomic_bool ready;
	atomic_bool go;
	atomic_bool stop;
	atomic_uint done;
	atomic_uint wrong;
	atomic_bool failed;
	uint64_t merge;
	uint64_t fuse;
	double worst;
	uint32_t latency_us[TENANT_LATENCIES];
};

/**
 * tenant_main() - be a tenant until told to stop
 * @socket: braidd's socket
 * @samples: requests to repeat, round and round
 * @count: how many
 * @first: the one to begin with, so that tenants of a model differ
 * @shared: where the figures go
 *
 * To be called in a process of its own.
 *
 * Return: exit status: 0, or 1 after a line on stderr. Wrong answers are
 * counted, not fatal.
 */
int tenant_main(const char *socket, const struct sample *const *samples, int count, int first,
		struct tenant_shared *shared);

#endif
