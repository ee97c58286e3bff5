/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tests/tap.h for KUnit: a check that does not hold fails the running case.
 */
#ifndef BRAID_KUNIT_TAP_H
#define BRAID_KUNIT_TAP_H

#include "shim/libc.h"

bool kunit_tap(bool good, const char *file, int line, const char *fmt, ...) __printf(4, 5);
void kunit_diag(const char *fmt, ...) __printf(1, 2);

#define ok(cond, ...)	kunit_tap(!!(cond), __FILE__, __LINE__, __VA_ARGS__)
#define diag(...)	kunit_diag(__VA_ARGS__)

#define is_int(got, want, ...)							\
	({									\
		long long _g = (got), _w = (want);				\
		bool _ok = ok(_g == _w, __VA_ARGS__);				\
		if (!_ok)							\
			diag("got %lld, expected %lld", _g, _w);		\
		_ok;								\
	})

/* The case itself looks whether there was a failure. */
static inline int tap_done(void)
{
	return 0;
}

#endif
