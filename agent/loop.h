/* SPDX-License-Identifier: MIT */
/*
 * A small event loop over epoll: descriptors with a function each, and
 * something to do after each round. One thread.
 */
#ifndef BRAID_AGENT_LOOP_H
#define BRAID_AGENT_LOOP_H

#include <stdbool.h>
#include <stdint.h>

/**
 * struct loop_watch - a descriptor that is watched; the owner's memory
 * @fd: the descriptor; the owner's
 * @events: EPOLLIN and so on; change with loop_change()
 * @ready: called with the events that are there
 * @gone: the loop's
 */
struct loop_watch {
	int fd;
	uint32_t events;
	void (*ready)(struct loop_watch *w, uint32_t events);
	bool gone;
};

struct loop;

/** loop_new() - NULL without memory or descriptors */
struct loop *loop_new(void);

/**
 * loop_new_on() - a loop on an epoll descriptor that there is already
 * @epoll: becomes the loop's; what it reports with data 0 merely wakes the loop
 *
 * Return: the loop; NULL without memory, @epoll then stays the caller's.
 */
struct loop *loop_new_on(int epoll);

/** loop_free() - NULL is fine */
void loop_free(struct loop *l);

/** loop_add() - watch w->fd for w->events; 0 or a negative errno */
int loop_add(struct loop *l, struct loop_watch *w);

/** loop_change() - watch for other events */
void loop_change(struct loop *l, struct loop_watch *w, uint32_t events);

/**
 * loop_del() - watch no more
 *
 * @ready is not called again, not even for what this round has found. The
 * memory of @w must stay until the round is over: free it in @after.
 */
void loop_del(struct loop *l, struct loop_watch *w);

/**
 * loop_run() - serve until loop_stop()
 * @l: the loop
 * @after: called after each round of ready descriptors
 * @rest: called before each sleep; false: there is something to do that no
 *        descriptor tells of, @after is called again instead
 * @arg: for both
 *
 * Return: 0, or a negative errno when epoll fails.
 */
int loop_run(struct loop *l, void (*after)(void *arg), bool (*rest)(void *arg), void *arg);

/** loop_pending() - is there a descriptor that is ready? */
bool loop_pending(const struct loop *l);

/** loop_look() - descriptors are looked at in the next round, also without a sleep before it */
void loop_look(struct loop *l);

/** loop_stop() - loop_run() returns after this round */
void loop_stop(struct loop *l);

#endif
