/* SPDX-License-Identifier: MIT */
/*
 * Structured logs on standard error: a message and key=value pairs (logfmt),
 * one line each, with the priority that journald understands in front when it
 * is journald that listens.
 */
#ifndef BRAID_AGENT_LOG_H
#define BRAID_AGENT_LOG_H

#include <syslog.h>

/** log_open() - @who is the process ("braidd", "runner"), @level syslog's */
void log_open(const char *who, int level);

/**
 * log_line() - write a line
 * @level: LOG_ERR to LOG_DEBUG
 * @msg: what happened
 * @fmt: "key=value key=value", values of strings in %s are the caller's to
 *       keep free of newlines; may be empty
 */
void log_line(int level, const char *msg, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
