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
#include "lib/ring.h"
#include "lib/spin.h"
#include "lib/wire.h"

struct sock {
	int timer;			/* next try while down */
	void *rings;			/* BRAID_RING's memory, NULL: the socket alone */
	size_t ring_bytes;
	struct ring up, down;		/* down: the reader's */
	struct spin spin;		/* the reader's */
	int bell;			/* wakes the queue */
	bool quiet;			/* the queue writes into the ring, and the socket was empty since */
	int wait;			/* epoll: woken by the queue, and by the socket */
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
int sync_call(struct braid *b, uint32_t nr, void *arg, int fd_in, int *fd_out);
int sync_restore(struct braid *b, const struct braid_get_info *info);

/* sock_ring.c: messages through memory */
void sock_rings_get(struct braid *b);
void sock_rings_drop(struct braid *b);
bool sock_ring_send(struct braid *b, const void *msg, size_t bytes);
bool sock_ring_sleep(struct braid *b, uint64_t deadline);
void sock_ring_rung(struct braid *b);
int sock_ring_take(struct braid *b, conn_until until, const void *arg);
void sock_ring_watched(struct braid *b);

/* socket.c: one message in sock.in; a descriptor that came along, or -1 */
int socket_message(struct braid *b, size_t bytes, int fd);

/* resubmit.c */
int resubmit(struct braid *b);

#endif
