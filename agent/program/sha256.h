/* SPDX-License-Identifier: MIT */
/* SHA-256 (FIPS 180-4): what names a model's contents. */
#ifndef BRAID_AGENT_PROGRAM_SHA256_H
#define BRAID_AGENT_PROGRAM_SHA256_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sha256 {
	uint32_t h[8];
	uint64_t bytes;
	uint8_t block[64];
	bool ni;		/* the processor has instructions for it */
};

void sha256_init(struct sha256 *s);
void sha256_add(struct sha256 *s, const void *data, size_t n);
void sha256_end(struct sha256 *s, uint8_t digest[32]);

#endif
