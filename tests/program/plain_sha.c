// SPDX-License-Identifier: MIT
/*
 * SHA-256 as it is without the processor's own instructions, under names of its own.
 */
#define SHA256_PLAIN
#define sha256_init	plain_sha_init
#define sha256_add	plain_sha_add
#define sha256_end	plain_sha_end
#include "agent/program/sha256.c"
