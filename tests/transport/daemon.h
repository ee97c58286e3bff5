/* SPDX-License-Identifier: MIT */
/*
 * A braidd of the test's own: a folder of its own, models from braid-zoo,
 * and the ways to kill it. One a process.
 */
#ifndef BRAID_TESTS_TRANSPORT_DAEMON_H
#define BRAID_TESTS_TRANSPORT_DAEMON_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>

struct daemon {
	char dir[64];
	char socket[96], control[96], config[96], models[96], log[96];
	pid_t pid;
};

/* Surroundings of a braidd, for tests that need other ones; all zero: plain. */
struct daemon_with {
	const char *notify;		/* NOTIFY_SOCKET */
	unsigned int watchdog_usec;
	const char *stderr_to;		/* instead of the log */
	rlim_t max_files, max_file_size;
};
extern struct daemon_with daemon_with;

/* Folder, models and configuration, without starting anything. */
void daemon_prepare(struct daemon *d, const char *const *zoo, const char *extra);

/**
 * daemon_start() - folder, models, configuration, process
 * @d: filled in
 * @zoo: names of braid-zoo's models, NULL at the end
 * @extra: lines for the configuration, may be NULL
 *
 * Returns when the agent is ready; ends the test program if that fails.
 */
void daemon_start(struct daemon *d, const char *const *zoo, const char *extra);

/* Add a model of braid-zoo's under a name. */
void daemon_model(struct daemon *d, const char *zoo, const char *name, int seed);

/* Start the process again in the same folder; does not wait. */
void daemon_spawn(struct daemon *d);

/* Wait until an agent of at least this generation is ready; false after 60 s. */
bool daemon_wait_ready(struct daemon *d, long long generation);

/* Kill the supervisor and wait for it. */
void daemon_kill(struct daemon *d, int sig);

/* Kill the runner; false when there is none just now. */
bool daemon_kill_runner(struct daemon *d, int sig);

/* Ask the control socket; NULL when it does not answer. */
json_t *daemon_ask(struct daemon *d, const char *json);

/* Is the kernel's queue tested? BRAID_TEST_TRANSPORT=device says so. */
bool daemon_over_device(void);

/* A member of {"cmd":"status"} or of its counters; -1 without an answer. */
long long daemon_status(struct daemon *d, const char *name);
long long daemon_counter(struct daemon *d, const char *name);

/* Ask, and get the whole answer. */
json_t *daemon_answer(struct daemon *d, const void *bytes, size_t n);

/* How often the log has this text. */
int daemon_logged(const struct daemon *d, const char *text);

/* SIGTERM, wait, remove the folder; its exit status, -1 if a signal ended it. */
int daemon_stop(struct daemon *d);

/* Descriptors that a process has. */
int process_files(pid_t pid);

/* Path of a program of this build. */
const char *built(const char *name);

#endif
