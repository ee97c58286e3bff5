// SPDX-License-Identifier: MIT
/*
 * Logs: see log.h. The level and the name are set once, before there are
 * threads; a line is one write(), so lines of several threads do not mix.
 */
#include "agent/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *who = "braidd";
static int max_level = LOG_INFO;
static int journal;

void log_open(const char *name, int level)
{
	who = name;
	max_level = level;
	journal = getenv("JOURNAL_STREAM") != NULL;
}

void log_line(int level, const char *msg, const char *fmt, ...)
{
	static const char *const names[] = { "emerg", "alert", "crit", "error", "warning",
					     "notice", "info", "debug" };
	char line[1024];
	struct timespec ts;
	struct tm tm;
	va_list ap;
	ssize_t done;
	int n;

	if (level > max_level)
		return;
	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	n = journal ? snprintf(line, sizeof(line), "<%d>", level) :
	    (int)strftime(line, sizeof(line), "%Y-%m-%dT%H:%M:%S", &tm);
	if (!journal)
		n += snprintf(line + n, sizeof(line) - n, ".%03ldZ ", ts.tv_nsec / 1000000);
	n += snprintf(line + n, sizeof(line) - n, "level=%s who=%s msg=\"%s\"", names[level & 7],
		      who, msg);
	if (*fmt && n < (int)sizeof(line) - 2) {
		line[n++] = ' ';
		va_start(ap, fmt);
		n += vsnprintf(line + n, sizeof(line) - n, fmt, ap);
		va_end(ap);
	}
	if (n > (int)sizeof(line) - 2)
		n = sizeof(line) - 2;
	for (int i = 0; i < n; i++)
		if (line[i] == '\n' || line[i] == '\r')
			line[i] = ' ';
	line[n++] = '\n';
	done = write(STDERR_FILENO, line, n);
	(void)done;	/* a log that can't be written has nobody to be told */
}
