/* SPDX-License-Identifier: MIT */
/*
 * A tenant without libbraid: commands as they are, so that a test can also
 * send what the library never would.
 */
#ifndef BRAID_TESTS_TRANSPORT_RAW_H
#define BRAID_TESTS_TRANSPORT_RAW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/wire.h"

struct raw {
	int sock;
	bool device;			/* it is no socket */
	uint64_t seq, seen;
	struct braid_completion done[4096];
	unsigned int n_done;		/* received, not yet looked at */
	uint8_t buf[WIRE_MAX_BYTES];
};

/* Connect, or open a device; 0 or a negative errno. */
int raw_open(struct raw *r, const char *path);
void raw_close(struct raw *r);

/* A well-formed command and its result; completions that come are kept. */
int raw_call(struct raw *r, uint32_t nr, void *arg, int fd_in, int *fd_out);

/*
 * A command as its structure alone, @claim bytes long, zeros but for its size
 * and, with @tail, its last byte; then as raw_bytes().
 */
int raw_sized(struct raw *r, uint32_t nr, size_t claim, bool tail);

/* Any bytes; then the ret of the reply, -EPIPE when hung up on. */
int raw_bytes(struct raw *r, const void *msg, size_t bytes);

/* Is the connection over? Waits for that at most a second. */
bool raw_hung_up(struct raw *r);

/* Wait for @n completions; how many there are. Does not count them as seen. */
unsigned int raw_wait(struct raw *r, unsigned int n, int timeout_ms);

/* A buffer, mapped; NULL and the error in @err. */
void *raw_buf(struct raw *r, uint64_t bytes, uint64_t *id, int *err);

/* A model's id and tensors. */
int raw_model(struct raw *r, const char *name, struct braid_model_get *out,
	      struct braid_tensor *tensors, unsigned int room);

/* Submit one request; the command's result. */
int raw_submit(struct raw *r, const struct braid_request *req, const struct braid_slice *slices,
	       unsigned int n_slices, struct braid_submit *out);

/*
 * One request from start to end: input at the beginning of a buffer of 64 KiB,
 * output in its second half. 0 and how it ended, or a negative errno.
 */
int raw_infer(struct raw *r, const struct braid_model_get *m, const struct braid_tensor *t,
	      uint64_t buf, uint64_t deadline_ns, struct braid_completion *done);

#endif
