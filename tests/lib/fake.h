/* SPDX-License-Identifier: MIT */
/*
 * A queue played by the test, for what a real one does only when it dies at
 * the wrong moment. One connection at a time; one model, "m", with an input
 * and an output of 64 bytes. Runs in a thread of the test's.
 */
#ifndef BRAID_TESTS_LIB_FAKE_H
#define BRAID_TESTS_LIB_FAKE_H

#include <stdatomic.h>
#include <stdint.h>

#include "lib/wire.h"

struct fake {
	char dir[48], path[64];
	int listener, sock;
	unsigned int links;		/* connections accepted */
	uint32_t max_message;		/* told in the greeting */
	uint64_t last_buf, last_id;	/* ids given on this connection */
	atomic_uint adopted;		/* buffers, all connections */
	struct wire_call call;		/* the command fake_serve() returned for */
	uint8_t in[WIRE_MAX_BYTES], out[WIRE_MAX_BYTES];
};

void fake_start(struct fake *f);
void fake_stop(struct fake *f);

/* Wait for a tenant. */
void fake_accept(struct fake *f);
void fake_hang_up(struct fake *f);

/*
 * Answer what is about models, buffers and information, except for the command
 * @but; returns at any other command with it in @call, or -1 at the end.
 */
int fake_serve(struct fake *f, int but);

/* Answer @call. For SUBMIT: so many taken, and why not all. */
void fake_answer(struct fake *f, int ret);
void fake_taken(struct fake *f, uint32_t accepted, int error);

/* user_data of request @i of the SUBMIT in @call. */
uint64_t fake_user_data(struct fake *f, uint32_t i);

/* Send @n completion records of one request. */
void fake_complete(struct fake *f, uint64_t user_data, int status, unsigned int n);

#endif
