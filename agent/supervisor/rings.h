/* SPDX-License-Identifier: MIT */
/*
 * The queue's end of a connection's pair of rings (BRAID_RING): made when the
 * other side asks for them, listened to while it may have written something.
 *
 * Rings that have something, or had a moment ago, are on the server's list of
 * active ones and need no bell; before the loop sleeps all of them are armed.
 */
#ifndef BRAID_AGENT_SUPERVISOR_RINGS_H
#define BRAID_AGENT_SUPERVISOR_RINGS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/loop.h"
#include "core/list.h"
#include "lib/ring.h"
#include "lib/wire.h"

struct rings;
struct server;

/**
 * struct rings - one pair; part of its connection
 * @bell: rung by the other side
 * @active: in the server's list, self-linked when not
 * @take: a message may be there; takes at most one. Returns false to be
 *        left alone until rings_active()
 * @srv: server
 * @mem: both rings, NULL without rings
 * @bytes: of @mem
 * @in: from the other side
 * @out: to the other side
 * @their_bell: rings the other side; it never has this descriptor
 * @parts: descriptors that it is still to be given, -1: it has it
 * @used: it has written something
 * @blocked: @out had no room for something; @take clears it and tries again
 */
struct rings {
	struct loop_watch bell;
	struct bq_list active;
	bool (*take)(struct rings *r);
	struct server *srv;
	void *mem;
	size_t bytes;
	struct ring in, out;
	int their_bell;
	int parts[3];
	bool used;
	bool blocked;
};

/** rings_init() - none yet; @take: see struct rings */
void rings_init(struct rings *r, struct server *s, bool (*take)(struct rings *r));

/**
 * rings_part() - BRAID_RING
 * @r: rings, made with the first part
 * @call: the command
 * @up_bytes: size of @r->in to make
 * @down_bytes: size of @r->out to make
 *
 * Return: 0, with @call->fd the descriptor, which rings_given() closes; or a
 * negative errno.
 */
int rings_part(struct rings *r, struct wire_call *call, uint32_t up_bytes, uint32_t down_bytes);

/** RINGS_DESCRIPTORS - what a new pair costs */
#define RINGS_DESCRIPTORS	5

/** rings_descriptors() - those that the queue has for them now; 0 without rings */
int rings_descriptors(const struct rings *r);

/** rings_given() - a command's reply has been sent; does nothing for others */
void rings_given(const struct wire_call *call);

/** rings_close() - the connection ends; without rings too */
void rings_close(struct rings *r);

/** rings_send() - as ring_put(), and rings the other side if it sleeps */
int rings_send(struct rings *r, const void *msg, size_t bytes);

/** rings_receive() - as ring_take(), and tells the other side if it waits for room */
ssize_t rings_receive(struct rings *r, void *buf, size_t cap);

/** rings_active() - look at this pair before sleeping */
void rings_active(struct rings *r);

/** rings_drain() - take all that is there now; without rings does nothing */
void rings_drain(struct rings *r);

/** rings_serve() - take a message from each active pair that has one */
void rings_serve(struct server *s);

/**
 * rings_rest() - look for a moment where that pays, then arm all
 * @s: the server
 * @most_us: how long it may look
 *
 * Return: false: there is something, do not sleep.
 */
bool rings_rest(struct server *s, uint64_t most_us);

#endif
