/* SPDX-License-Identifier: MIT */
/*
 * SHA-256 (FIPS 180-4), which names a model's contents, a kernel and packed
 * weights: nettle's, for data of any type.
 */
#ifndef BRAID_AGENT_PROGRAM_SHA256_H
#define BRAID_AGENT_PROGRAM_SHA256_H

#include <stddef.h>
#include <stdint.h>

#include <nettle/sha2.h>
#include <nettle/version.h>

static inline void sha256_add(struct sha256_ctx *s, const void *data, size_t n)
{
	sha256_update(s, n, data);
}

static inline void sha256_end(struct sha256_ctx *s, uint8_t digest[SHA256_DIGEST_SIZE])
{
#if NETTLE_VERSION_MAJOR >= 4
	sha256_digest(s, digest);
#else
	sha256_digest(s, SHA256_DIGEST_SIZE, digest);
#endif
}

#endif
