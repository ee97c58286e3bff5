/* SPDX-License-Identifier: MIT */
/*
 * The test itself as the runner: braidd starts this program as its runner
 * ([debug] runner), which hands its descriptors back to the test and sleeps.
 * So the test speaks the agent's commands, and kills "the runner" when it
 * likes, with the queue's end of the socket in its own hands.
 */
#ifndef BRAID_TESTS_TRANSPORT_FAKE_H
#define BRAID_TESTS_TRANSPORT_FAKE_H

#include "tests/transport/daemon.h"
#include "tests/transport/raw.h"

/* An agent as the queue sees it. */
struct fake {
	pid_t pid;			/* of the process that braidd started */
	int control;			/* its private channel */
	uint64_t generation;		/* after fake_ready() */
	uint64_t fetch_seq, answer_seq;	/* of the last FETCH, of the last answer */
	struct raw q;			/* its connection; raw_call() for its commands */
	struct braid_fetch arg;		/* the last answer to FETCH */
	struct braid_job jobs[BRAID_MAX_BATCH];
	struct braid_slice slices[BRAID_MAX_BATCH];
	struct braid_event events[128];
};

/* In main(), first of all: this process may be the one that braidd started. */
void fake_main(int argc, char **argv);

/* Prepare and start a braidd whose runner is this program. */
void fake_daemon(struct daemon *d, const char *extra);

/* Wait for the runner that braidd starts; false after 20 s. */
bool fake_take(struct fake *f);

/* Its process ends; the connection stays in our hands till fake_drop(). */
void fake_kill(struct fake *f);
void fake_drop(struct fake *f);

/* MODEL_PUT with one input and one output of @bytes; the id, 0 on failure. */
uint64_t fake_model(struct fake *f, const char *name, uint8_t digest, uint64_t bytes, int *err);

/* READY; the command's result. */
int fake_ready(struct fake *f);

/* The answer to a FETCH: the result, -ETIMEDOUT for none in time. */
int fake_answer(struct fake *f, int timeout_ms);

/* FETCH so many of a model (0: events alone) and wait; buffers that are announced are forgotten, retired ones are put. */
int fake_jobs(struct fake *f, uint64_t model, uint32_t count, int timeout_ms);

#endif
