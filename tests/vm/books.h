/* SPDX-License-Identifier: MIT */
/*
 * A tenant that keeps books: it submits without pause, knows what every answer
 * must be, and counts what went wrong. The books lie in memory shared with the
 * test, one writer each.
 */
#ifndef BRAID_TESTS_VM_BOOKS_H
#define BRAID_TESTS_VM_BOOKS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/**
 * struct books - of one tenant
 * @submitted: requests accepted
 * @answered: completions that were awaited
 * @cancelled: of them, ECANCELED, after a cancel
 * @twice: completions of what was not outstanding
 * @wrong: outputs that are not the inputs' inverse
 * @eio: requests that ended in EIO
 * @other: other statuses
 * @order: records whose times or attempts can't be true
 * @error: that ended the tenant before its time
 * @last_status: of @other
 */
struct books {
	atomic_ulong submitted, answered;
	unsigned long cancelled, twice, wrong, eio, other, order;
	int error, last_status;
};

/* A child: works until *@stop, then till all is answered; does not return. */
void __attribute__((noreturn)) books_tenant(struct books *b, const atomic_int *stop,
					    unsigned int seed);

/* Report the books of @n tenants. */
void books_check(const struct books *b, unsigned int n, const char *what);

/* Together, so far. */
unsigned long books_answered(const struct books *b, unsigned int n);

#endif
