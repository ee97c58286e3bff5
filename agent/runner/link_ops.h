/* SPDX-License-Identifier: MIT */
/*
 * What a transport does for link.h, with the same meanings as there.
 */
#ifndef BRAID_AGENT_RUNNER_LINK_OPS_H
#define BRAID_AGENT_RUNNER_LINK_OPS_H

#include "agent/runner/link.h"

struct link_ops {
	void (*free)(struct link *l);		/* all but the descriptor */
	int (*call)(struct link *l, uint32_t nr, void *arg, int *fd_out);
	int (*commit)(struct link *l, struct braid_commit *arg);
	int (*fetch)(struct link *l, const struct braid_want *wants, uint32_t n, uint32_t jobs);
	int (*take)(struct link *l, struct link_window *window);
	int (*flush)(struct link *l);
	bool (*kept)(const struct link *l);
	bool (*fetching)(const struct link *l);
	bool (*rest)(struct link *l);
	int (*waiter)(struct link *l);
};

/* The first member of a transport's own structure. */
struct link {
	const struct link_ops *ops;
	int fd;
	uint64_t refused;
};

/* The descriptor is theirs when they succeed. */
int link_socket_open(int fd, struct link **out);
int link_device_open(int fd, struct link **out);

/* An answer to COMMIT: count what was not taken. */
void link_count_refused(struct link *l, const struct braid_commit *arg,
			const struct braid_result *results);

#endif
