// SPDX-License-Identifier: MIT
/*
 * Words for failures: one buffer a thread, written where a failure is found.
 */
#include <stdarg.h>
#include <stdio.h>

#include "lib/conn.h"

#define API __attribute__((visibility("default")))

static __thread char words[256] = "no error";

int braid_fail(int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	return err;
}

API const char *braid_error(void)
{
	return words;
}
