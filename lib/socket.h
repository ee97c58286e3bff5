/* SPDX-License-Identifier: MIT */
/*
 * The socket transport's own part of a connection, for socket.c, sync.c and
 * resubmit.c. Protected by struct braid.lock; only the reader receives, closes
 * the socket and connects again.
 *
 * A connection that broke but is not closed yet is not up, and has its fd:
 * the reader, whoever that is, will notice.
 */
#ifndef BRAID_LIB_SOCKET_H
#define BRAID_LIB_SOCKET_H

#include "lib/conn.h"
#include "lib/wire.h"

struct sock {
	int timer;			/* next try while down */
	uint64_t link;			/* counts connections made */
	uint64_t down_since, next_try;
	unsigned int backoff_ms;
	uint64_t seq;
	uint64_t seen_base;		/* of struct braid.seen: not this queue's */
	uint8_t out[WIRE_MAX_BYTES];	/* message being sent */
	uint8_t in[WIRE_MAX_BYTES];	/* message being received; the reader's */
};

/* sync.c: a fresh socket, before anybody else uses it */
int sync_connect(struct braid *b, struct braid_get_info *info);
int sync_call(struct braid *b, uint32_t nr, void *arg, int fd_in);
int sync_restore(struct braid *b, const struct braid_get_info *info);

/* resubmit.c */
int resubmit(struct braid *b);

#endif
