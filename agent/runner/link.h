/* SPDX-License-Identifier: MIT */
/*
 * The runner's side of the agent commands, over either transport: link_socket.c
 * and link_device.c.
 *
 * FETCH is asked for and answered later; everything else that has a result is
 * a plain call. COMMIT is posted: nobody waits for its answer, a group's end
 * costs one message or one ioctl. One thread.
 */
#ifndef BRAID_AGENT_RUNNER_LINK_H
#define BRAID_AGENT_RUNNER_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/wire.h"

#define LINK_MAX_SLICES	(BRAID_MAX_BATCH * 8)
#define LINK_MAX_EVENTS	128
#define LINK_MAX_WANTS	512

/**
 * struct link_window - what a FETCH brought
 * @arg: the command's structure; counts of the arrays are what came
 * @jobs: arg.jobs
 * @slices: arg.slices
 * @events: arg.events
 */
struct link_window {
	struct braid_fetch arg;
	struct braid_job jobs[BRAID_MAX_BATCH];
	struct braid_slice slices[LINK_MAX_SLICES];
	struct braid_event events[LINK_MAX_EVENTS];
};

struct link;

/**
 * link_open() - speak over a connected socket or the agent's device
 * @fd: which becomes the link's
 * @out: the link
 *
 * Return: 0, or a negative errno.
 */
int link_open(int fd, struct link **out);

/** link_close() - close it; NULL is fine */
void link_close(struct link *l);

/** link_fd() - to be polled for reading: link_take() has something, or the end to tell */
int link_fd(const struct link *l);

/**
 * link_waiter() - an epoll descriptor that the queue wakes; once
 *
 * For loop_new_on(), which it becomes part of. Return: it, or -1 where
 * link_fd() tells all.
 */
int link_waiter(struct link *l);

/** link_rest() - before sleeping; false: link_take() has something */
bool link_rest(struct link *l);

/**
 * link_call() - a command and its result
 * @l: the link
 * @nr: BRAID_NR_*
 * @arg: its structure, @size set
 * @fd_out: descriptor that came along, or -1; NULL: not expected
 *
 * Return: the command's result; -EPIPE when the supervisor is gone.
 */
int link_call(struct link *l, uint32_t nr, void *arg, int *fd_out);

/**
 * link_commit() - post a COMMIT
 * @l: the link
 * @generation: READY's
 * @results: results, @n of them, at most BRAID_MAX_BATCH; may be written to
 * @n: how many
 *
 * Return: 0; -EPIPE; -ESTALE: of an earlier generation (or link_take() says so).
 */
int link_commit(struct link *l, uint64_t generation, struct braid_result *results, uint32_t n);

/**
 * link_fetch() - ask for a window; replaces what was asked before
 * @l: the link
 * @wants: what could be taken, at most LINK_MAX_WANTS
 * @n: how many
 * @jobs: most jobs of all models together, 1 to BRAID_MAX_BATCH
 *
 * Return: 0; -EBUSY: one was replaced already and its answer is not in, try
 * again after link_take(); -EPIPE. Afterwards link_kept() may hold.
 */
int link_fetch(struct link *l, const struct braid_want *wants, uint32_t n, uint32_t jobs);

/**
 * link_take() - the answer to link_fetch(), if it is there
 * @l: the link
 * @window: filled in
 *
 * Return: 1: @window is filled; 0: nothing there; -EPIPE: the supervisor is
 * gone; -ESTALE: a COMMIT was of an earlier generation; other: FETCH failed.
 */
int link_take(struct link *l, struct link_window *window);

/**
 * link_flush() - send what link_commit() and link_fetch() have posted
 *
 * Return: 0, -EPIPE.
 */
int link_flush(struct link *l);

/** link_kept() - link_take() is to be asked though link_fd() will not announce it */
bool link_kept(const struct link *l);

/** link_fetching() - the newest FETCH is waiting for its answer */
bool link_fetching(const struct link *l);

/** link_refused() - results that the queue did not take since the start */
uint64_t link_refused(const struct link *l);

#endif
