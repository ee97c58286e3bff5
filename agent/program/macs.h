/* SPDX-License-Identifier: MIT */
/* How much arithmetic a program is. */
#ifndef BRAID_AGENT_PROGRAM_MACS_H
#define BRAID_AGENT_PROGRAM_MACS_H

#include <stdint.h>

struct program;
struct prog_op;

/** program_macs() - multiply-accumulates of one request: conv, gemm, rnn */
uint64_t program_macs(const struct program *p);

#endif
