/* SPDX-License-Identifier: MIT */
/*
 * The calls of the fuzzer, on a world of descriptors, buffers and ids that
 * earlier calls of the same program made.
 */
#ifndef BRAID_TESTS_VM_FUZZ_CALLS_H
#define BRAID_TESTS_VM_FUZZ_CALLS_H

#include <stdint.h>

#define FUZZ_CALLS	24		/* of a program, at most */
#define FUZZ_BYTES	28

struct fuzz_call {
	uint8_t kind;
	uint8_t bytes[FUZZ_BYTES];	/* its choices; 0 is the plain one */
};

/* Once a process. */
void fuzz_start(unsigned int number);

/* Before each program: an agent (for one of the processes) and two tenants. */
void fuzz_reset(void);

/* One call; what it returned. */
int fuzz_do(const struct fuzz_call *c);

#endif
