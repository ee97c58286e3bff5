/* SPDX-License-Identifier: MIT */
/*
 * One conformance suite, two transports. A test opens tenants and an agent,
 * sends commands with structures as they are, and takes completions; it does
 * not know where the queue is. BRAID_TEST_TRANSPORT=device says the kernel's,
 * /dev/braid0; otherwise a braidd is started whose runner the test itself is.
 *
 * One thread, but for FETCHes that wait. The device's half needs nothing but a
 * C library, so that it can be linked statically for small machines.
 */
#ifndef BRAID_TESTS_ABI_ABI_H
#define BRAID_TESTS_ABI_ABI_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <linux/braid.h>

#include "tests/tap.h"

#define ABI_BYTES	64		/* of a tensor of abi_model() */
#define ABI_SOON	100		/* ms: long enough to see that nothing comes */
#define ABI_LONG	20000		/* ms: what must come, comes before */

/* A tenant or the agent. */
struct peer {
	bool agent;
	int fd;
	uint64_t generation;		/* agent: after abi_ready() */
	uint64_t buf;			/* tenant: after abi_buf() */
	uint8_t *mem;			/* and mapped here */
	size_t mem_bytes;
	void *own;			/* the transport's */
};

/* A FETCH that may wait, and what it brought. */
struct abi_fetch {
	struct braid_fetch arg;
	struct braid_want wants[4];
	struct braid_job jobs[BRAID_MAX_BATCH];
	struct braid_slice slices[4 * BRAID_MAX_BATCH];
	struct braid_event events[128];
	bool running;			/* not to be used for another */
	/* The transport's. */
	struct peer *peer;
	uint64_t seq;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool done;
	int ret;
};

/**
 * struct abi_transport - how a test reaches the queue
 * @device: it is the kernel's
 * @start: before anything else
 * @stop: at the end
 * @tenant: open one; 0 or a negative errno
 * @agent: likewise; waits until it may
 * @close: a tenant goes, the agent dies
 * @call: a command as its structure says; @fd: a descriptor that came, or -1
 * @take: completions, at most @n; 0 when none came in time
 * @fetch: start a FETCH
 * @fetched: its result; -ETIMEDOUT: not in time
 * @knob: set one; 0 or a negative errno
 * @counter: a counter of the queue's
 * @open_to_all: let every user be a tenant; 0 or a negative errno
 * @owner: set a limit of an owner; with NULL: back to the defaults
 */
struct abi_transport {
	const char *name;
	bool device;
	void (*start)(int argc, char **argv);
	void (*stop)(void);
	int (*tenant)(struct peer *p);
	int (*agent)(struct peer *p);
	void (*close)(struct peer *p);
	int (*call)(struct peer *p, uint32_t nr, void *arg, int *fd);
	int (*take)(struct peer *p, struct braid_completion *c, unsigned int n, int timeout_ms);
	void (*fetch)(struct peer *p, struct abi_fetch *f);
	int (*fetched)(struct peer *p, struct abi_fetch *f, int timeout_ms);
	int (*knob)(const char *name, const char *value);
	long long (*counter)(const char *name);
	int (*open_to_all)(void);
	int (*owner)(uint64_t owner, const char *limit, uint64_t value);
};

extern const struct abi_transport abi_device;
/* Not there in programs for the device alone. */
extern const struct abi_transport abi_socket __attribute__((weak));

/* netlink.c: the device's @owner */
int abi_netlink_owner(uint64_t owner, const char *limit, uint64_t value);

/* The one that is tested. */
extern const struct abi_transport *abi;

/* Does the environment say so? */
bool abi_over_device(void);

/* First and last in main(); abi_stop() gives the exit status. */
void abi_start(int argc, char **argv);
int abi_stop(void);

uint64_t abi_now(void);
void abi_sleep_ms(unsigned int ms);

/* These end the program when it can't be. */
void abi_tenant(struct peer *p);
void abi_agent(struct peer *p);
void abi_close(struct peer *p);

int abi_call(struct peer *p, uint32_t nr, void *arg);

/* A command as zeros but for its size, and with @tail its last byte. */
int abi_sized(struct peer *p, uint32_t nr, size_t size, bool tail);

/* MODEL_PUT of one input and one output of @bytes; the id, 0 and *@err on failure. */
uint64_t abi_model(struct peer *a, const char *name, uint8_t digest, uint64_t bytes, int *err);
int abi_ready(struct peer *a);

/* An agent that serves "m"; its model's id. */
uint64_t abi_serve(struct peer *a);

/* The agent dies, the next one comes and serves the same. */
uint64_t abi_successor(struct peer *a);

/* A buffer, mapped; its id, 0 on failure. */
uint64_t abi_buf(struct peer *t, uint64_t bytes);
int abi_buf_free(struct peer *t, uint64_t id);

/* One request for abi_model()'s model in t->buf; the command's result. */
int abi_submit(struct peer *t, uint64_t model, uint32_t priority, uint64_t deadline,
	       uint64_t *id);
int abi_cancel(struct peer *t, uint64_t id, uint32_t *state);

/* The status of the next completion, 1 for none. */
int abi_status(struct peer *t, struct braid_completion *c, int timeout_ms);

/* FETCH of so many of a model (0: events alone): start, and wait. */
void abi_fetch(struct peer *a, struct abi_fetch *f, uint64_t model, uint32_t count);
int abi_fetched(struct abi_fetch *f, int timeout_ms);

/* One that still waits waits no more. */
void abi_fetch_end(struct abi_fetch *f);

/* Jobs; buffers that are announced on the way are forgotten, retired ones put. */
int abi_jobs(struct peer *a, struct abi_fetch *f, uint64_t model, uint32_t count,
	     int timeout_ms);

/* Take all events that are there. */
void abi_drain(struct peer *a);

/* COMMIT one job; the result of the command, or else of the element. */
int abi_commit(struct peer *a, uint64_t generation, uint64_t cookie, int status);
void abi_commit_all(struct peer *a, const struct abi_fetch *f);

int abi_put(struct peer *a, uint64_t buf);

void abi_knob(const char *name, const char *value);

#endif
