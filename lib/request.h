/* SPDX-License-Identifier: MIT */
/*
 * What submitting (request.c) and braid_infer() (infer.c) share: slots and the
 * SUBMIT that is made of them. Everything with struct braid.lock held.
 */
#ifndef BRAID_LIB_REQUEST_H
#define BRAID_LIB_REQUEST_H

#include "lib/conn.h"

/* A SUBMIT while it is put together. */
struct batch {
	struct braid_request reqs[BRAID_MAX_BATCH];
	struct braid_slice *slices;
	uint32_t slots[BRAID_MAX_BATCH];
	unsigned int n, n_slices, max_slices;
};

/* A slot for a job; its number. -EAGAIN: too many, -ENOMEM. */
int request_new(struct braid *b, const struct braid_job_desc *job, bool sync,
		uint32_t *number);

/* Give a slot back that the queue has no more. */
void request_free(struct braid *b, struct slot *s);

/* Add a slot's request to a SUBMIT that it fits. */
void request_add(struct braid *b, struct batch *t, uint32_t number);
struct braid_submit request_submit_arg(struct batch *t);

/* Does one more with so many slices fit the same SUBMIT? */
bool request_fits(const struct braid *b, const struct batch *t, uint32_t more);

/* The queue took the first ones of a batch: they are known by these ids. */
void request_ids(struct braid *b, const struct batch *t, uint64_t first, uint32_t accepted);

/* A request that the queue has not, or has no more, ends here. */
void request_end(struct braid *b, uint32_t number, int status);

/* A call's @taken, with the batch as its data: frees the slots of what was refused. */
void request_taken(struct braid *b, struct call *call);

/* Words for a refusal; returns @err. */
int request_refused(int err, uint32_t which);

#endif
