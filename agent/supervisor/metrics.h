/* SPDX-License-Identifier: MIT */
/*
 * Metrics for Prometheus over HTTP, when the configuration asks for them: on a
 * port of the loopback interface or on a Unix socket. Served by
 * a thread of its own; a reader that is slow is waited for by nobody else.
 */
#ifndef BRAID_AGENT_SUPERVISOR_METRICS_H
#define BRAID_AGENT_SUPERVISOR_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct server;

/**
 * metrics_address() - what the configuration says as an address
 * @where: "127.0.0.1:9464", "[::1]:9464" or an absolute path
 * @sa: set; of a path only the family is
 * @len: set for a port
 *
 * Return: 0; -EINVAL, -ENAMETOOLONG; -EPERM: others could reach it.
 */
int metrics_address(const char *where, struct sockaddr_storage *sa, socklen_t *len);

/** metrics_check() - may the configuration say this? words in @why if not */
int metrics_check(const char *where, char *why, size_t len);

/** metrics_start() - listen; 0 or a negative errno, words in @why */
int metrics_start(struct server *s, char *why, size_t len);

/** metrics_stop() - fine without metrics_start() */
void metrics_stop(struct server *s);

/** metrics_text() - all figures in Prometheus's format; NULL without memory, free() it */
char *metrics_text(struct server *s, size_t *bytes);

#endif
