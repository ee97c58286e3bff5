// SPDX-License-Identifier: MIT
/*
 * Logs: see log.h. All but the count of lost lines is set once, before there
 * are threads; a line is one write(), so lines of several threads do not mix.
 *
 * Who reads the log must not be able to hold up who writes it: a line for
 * which there is no room is counted and left out. Standard error itself is not
 * made non-blocking, since that would hold for all who share it.
 */
#include "agent/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char *who = "braidd";
static int max_level = LOG_INFO;
static int journal;
static int out = STDERR_FILENO;
static enum { PLAIN, SOCKET, ASK } way;
static unsigned int lost;

/* A pipe or a terminal, once more and for this process alone. */
static void find_way(void)
{
	struct stat st;

	if (fstat(STDERR_FILENO, &st))
		return;
	if (S_ISSOCK(st.st_mode)) {
		way = SOCKET;
	} else if (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)) {
		out = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		if (out < 0) {
			out = STDERR_FILENO;	/* another user's */
			way = ASK;
		}
	}
}

void log_open(const char *name, int level)
{
	who = name;
	max_level = level;
	journal = getenv("JOURNAL_STREAM") != NULL;
	find_way();
}

/* False: there is no room now. */
static bool put(const char *line, int n)
{
	struct pollfd pfd = { .fd = out, .events = POLLOUT };
	ssize_t done;

	if (way == ASK && !poll(&pfd, 1, 0))
		return false;
	done = way == SOCKET ? send(out, line, n, MSG_DONTWAIT | MSG_NOSIGNAL) :
			       write(out, line, n);
	/* Whatever else is wrong with it has nobody to be told. */
	return done >= 0 || errno != EAGAIN;
}

static int start_line(char *line, size_t len, int level, const char *msg)
{
	static const char *const names[] = { "emerg", "alert", "crit", "error", "warning",
					     "notice", "info", "debug" };
	struct timespec ts;
	struct tm tm;
	int n;

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	n = journal ? snprintf(line, len, "<%d>", level) :
	    (int)strftime(line, len, "%Y-%m-%dT%H:%M:%S", &tm);
	if (!journal)
		n += snprintf(line + n, len - n, ".%03ldZ ", ts.tv_nsec / 1000000);
	return n + snprintf(line + n, len - n, "level=%s who=%s msg=\"%s\"", names[level & 7],
			    who, msg);
}

/* Before the next line. False: there still is no room. */
static bool tell_lost(void)
{
	unsigned int n = __atomic_exchange_n(&lost, 0, __ATOMIC_RELAXED);
	char line[256];
	int len;

	if (!n)
		return true;
	len = start_line(line, sizeof(line), LOG_WARNING, "lines lost: the log was not read");
	len += snprintf(line + len, sizeof(line) - len, " lines=%u\n", n);
	if (put(line, len))
		return true;
	__atomic_fetch_add(&lost, n, __ATOMIC_RELAXED);
	return false;
}

void log_line(int level, const char *msg, const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	int n;

	if (level > max_level)
		return;
	n = start_line(line, sizeof(line), level, msg);
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
	if (!tell_lost() || !put(line, n))
		__atomic_fetch_add(&lost, 1, __ATOMIC_RELAXED);
}
