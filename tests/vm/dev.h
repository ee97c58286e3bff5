/* SPDX-License-Identifier: MIT */
/*
 * The device without libbraid: commands as they are, so that a test can also
 * do what the library never would. A tenant is a descriptor of /dev/braid0, an
 * agent a struct agent. Errors are negative errnos.
 *
 * The model that these agents publish has one input and one output of the same
 * number of bytes; the output is the input with every byte inverted.
 */
#ifndef BRAID_TESTS_VM_DEV_H
#define BRAID_TESTS_VM_DEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <linux/braid.h>

#define DEV_TENANT	"/dev/braid0"
#define DEV_AGENT	"/dev/braid0-agent"
#define DEV_SYSFS	"/sys/class/braid/braid0/"

#define SLOT_BYTES	64

/* A descriptor. */
int dev_open(const char *path, int flags);

/* Commands by their number, BRAID_NR_*. */
int dev_call(int fd, unsigned int nr, void *arg);

/* A buffer, mapped; NULL and the error in @err. @fd may be NULL: closed then. */
void *dev_buf(int tenant, uint64_t bytes, uint64_t *id, int *fd, int *err);
int dev_buf_free(int tenant, uint64_t id);

/*
 * Submit @n requests whose inputs and outputs lie in the slots of one buffer:
 * input @i in slot 2 * @i, output behind it. user_data counts from @user_data.
 * How many were accepted, or the error.
 */
int dev_submit(int tenant, uint64_t model, uint64_t buffer, unsigned int n, uint64_t user_data,
	       uint64_t deadline_ns, uint64_t *first_id);

/* CANCEL: the state, or the error. */
int dev_cancel(int tenant, uint64_t id);

/* Completions as they come, at most @n; waits for the first; 0: none in time. */
int dev_wait(int tenant, struct braid_completion *c, unsigned int n, int timeout_ms);

/* Of GET_INFO. */
int dev_info(int fd, struct braid_get_info *info);

/*
 * Wait until the caller's owner is charged so many bytes; what it is charged at
 * last. Memory is freed some time after the agent has put it.
 */
uint64_t dev_charged(int tenant, uint64_t bytes);

/* A model's id by its name, 0 when there is none. */
uint64_t dev_model(int fd, const char *name);

/* Is the transport there? Else the test is skipped. */
void dev_require(void);

/* A number of the environment. */
unsigned long dev_env(const char *name, unsigned long otherwise);

uint64_t dev_now(void);
void dev_sleep_ms(unsigned int ms);

/* A file's first number, -1 when it can't be read. */
long long dev_number(const char *path);
int dev_write(const char *path, const char *text);

#define AGENT_MAPS	4096

/* An agent; the arrays are what the last FETCH brought. */
struct agent {
	int fd;
	uint64_t generation;
	struct braid_fetch arg;
	struct braid_job jobs[BRAID_MAX_BATCH];
	struct braid_slice slices[BRAID_MAX_BATCH * 2];
	struct braid_event events[64];
	struct {
		uint64_t id, length;
		uint8_t *at;
	} maps[AGENT_MAPS];
};

/* Open, wait at most a second for an earlier one to be gone. */
int agent_open(struct agent *a);

/* Unmap all and close. */
void agent_close(struct agent *a);

/* MODEL_PUT; the id, 0 on failure with the error in @err. */
uint64_t agent_model(struct agent *a, const char *name, uint8_t digest, uint64_t bytes, int *err);

int agent_ready(struct agent *a);

/* All three, with the model "inverse"; its id, 0 on failure. */
uint64_t agent_start(struct agent *a, uint64_t bytes);

/* One FETCH for @count of @model (0: events alone), as it is. */
int agent_fetch(struct agent *a, uint64_t model, uint32_t count, uint32_t flags);

/* The same, and retired buffers are put. */
int agent_jobs(struct agent *a, uint64_t model, uint32_t count, uint32_t flags);

/* What job @i asks for, in the tenant's buffer. False when it can't be mapped. */
bool agent_run(struct agent *a, unsigned int i);

/* COMMIT one cookie; the command's error, or else the element's. */
int agent_commit(struct agent *a, uint64_t generation, uint64_t cookie, int status);

/* Run and commit all that was fetched, in one COMMIT. */
int agent_finish(struct agent *a);

/* Fetch, run, commit without end; returns the error that ended it. */
int agent_serve(struct agent *a, uint64_t model, uint32_t count);

#endif
