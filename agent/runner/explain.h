/* SPDX-License-Identifier: MIT */
/*
 * Why a window was run as it was: a ring of the last ones.
 */
#ifndef BRAID_AGENT_RUNNER_EXPLAIN_H
#define BRAID_AGENT_RUNNER_EXPLAIN_H

#include <jansson.h>
#include <stdint.h>

struct explain;
struct window;

/**
 * explain_query() - tell of a window or a request
 * @e: the ring
 * @window: id, 0: find it by @tenant and @request, or take the latest
 * @tenant: id, 0: any
 * @request: the tenant's id of the request
 *
 * Return: a JSON object, NULL when it is not in the ring (any more).
 */
json_t *explain_query(const struct explain *e, uint64_t window, uint64_t tenant,
		      uint64_t request);

#endif
