/* SPDX-License-Identifier: MIT */
/*
 * Test Anything Protocol for C tests: a line a check, a plan at the end.
 *
 * Owns the counters of one test program. Not thread-safe: report from one
 * thread. A test ends with `return tap_done();`, which prints the plan and
 * gives the exit status, so a program that stops early has no plan and fails.
 */
#ifndef BRAID_TESTS_TAP_H
#define BRAID_TESTS_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* Weak: one pair of counters a program, however many of its files report. */
__attribute__((weak)) int tap_count;
__attribute__((weak)) int tap_failed;

__attribute__((format(printf, 4, 5)))
static inline bool tap_report(bool ok, const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	printf("%sok %d - ", ok ? "" : "not ", ++tap_count);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	if (!ok) {
		tap_failed++;
		printf("# at %s:%d\n", file, line);
	}
	fflush(stdout);
	return ok;
}

/* Report one check; the message says what must hold. Yields @cond. */
#define ok(cond, ...) tap_report(!!(cond), __FILE__, __LINE__, __VA_ARGS__)

/* Compare two integers, printing both when they differ. */
#define is_int(got, want, ...)                                                  \
	({                                                                      \
		long long _g = (got), _w = (want);                              \
		bool _ok = ok(_g == _w, __VA_ARGS__);                           \
		if (!_ok)                                                       \
			printf("#   got %lld, expected %lld\n", _g, _w);        \
		_ok;                                                            \
	})

#define diag(...) (printf("# "), printf(__VA_ARGS__), putchar('\n'), fflush(stdout))

static inline void tap_skip(const char *what, const char *why)
{
	printf("ok %d - %s # SKIP %s\n", ++tap_count, what, why);
	fflush(stdout);
}

/* End the whole program: everything skipped, for the reason given. */
static inline void __attribute__((noreturn)) tap_skip_all(const char *why)
{
	printf("1..0 # SKIP %s\n", why);
	exit(0);
}

static inline int tap_done(void)
{
	printf("1..%d\n", tap_count);
	fflush(stdout);
	return tap_failed ? 1 : 0;
}

#endif
