/* SPDX-License-Identifier: MIT */
/*
 * One ring of <linux/braid.h>'s BRAID_RING, from either end: messages through
 * shared memory, one writer, one reader.
 *
 * The other end is not trusted: what it can change is read once and checked,
 * and a message is copied out before anybody looks at it. No lock: each end
 * belongs to one thread at a time, which is the caller's to see to. Bells are
 * the caller's too.
 */
#ifndef BRAID_LIB_RING_H
#define BRAID_LIB_RING_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <linux/braid.h>

/**
 * struct ring - one end of a ring
 * @h: its state in shared memory
 * @data: its bytes in shared memory
 * @bytes: how many, a power of two
 * @pos: the writer's head or the reader's tail
 */
struct ring {
	struct braid_ring_head *h;
	uint8_t *data;
	uint32_t bytes;
	uint32_t pos;
};

/** ring_span() - bytes of memory for two rings of these sizes */
size_t ring_span(uint32_t up_bytes, uint32_t down_bytes);

/**
 * ring_map() - both rings of a mapping
 * @mem: ring_span() bytes
 * @up: filled in
 * @up_bytes: its size
 * @down: filled in
 * @down_bytes: its size
 *
 * Return: 0, or -EBADMSG for sizes that no ring has.
 */
int ring_map(void *mem, struct ring *up, uint32_t up_bytes, struct ring *down,
	     uint32_t down_bytes);

/**
 * ring_put() - write a message
 * @r: the writer's end
 * @msg: message
 * @n: its bytes
 *
 * Return: 0; -EAGAIN: no room, the reader rings when there may be; -EMSGSIZE:
 * no ring of this size will ever take it; -EBADMSG: the reader broke the rules.
 */
int ring_put(struct ring *r, const void *msg, uint32_t n);

/** ring_bell() - ring the other side; @fd: an eventfd */
void ring_bell(int fd);

/** ring_asleep() - does the reader sleep now? */
bool ring_asleep(const struct ring *r);

/** ring_wake() - after writing: does the reader sleep? Then its bell is due */
bool ring_wake(struct ring *r);

/**
 * ring_take() - take a message out
 * @r: the reader's end
 * @buf: room for it
 * @cap: how much
 *
 * Return: its bytes; 0: there is none; -EBADMSG: the writer broke the rules.
 */
ssize_t ring_take(struct ring *r, void *buf, uint32_t cap);

/** ring_wanted() - after taking: does the writer wait for room? Then its bell is due */
bool ring_wanted(struct ring *r);

/** ring_there() - bytes to take, as far as the writer can be believed */
uint32_t ring_there(const struct ring *r);

/** ring_empty() - is there nothing to take? */
bool ring_empty(const struct ring *r);

/** ring_arm() - the reader is about to sleep; false: there is something, it must not */
bool ring_arm(struct ring *r);

/** ring_disarm() - the reader is awake */
void ring_disarm(struct ring *r);

#endif
