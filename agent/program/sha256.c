// SPDX-License-Identifier: MIT
/*
 * SHA-256 after FIPS 180-4, section 6.2. Names models; keeps no secret.
 */
#include "agent/program/sha256.h"

#include <string.h>
#if defined(__x86_64__) && !defined(SHA256_PLAIN)
#include <cpuid.h>
#include <immintrin.h>
#include <stdatomic.h>
#endif

static const uint32_t k[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotr(uint32_t x, int n)
{
	return x >> n | x << (32 - n);
}

/* Round @i of eight: word n of the standard is v[(n - i) mod 8]. */
static inline __attribute__((always_inline)) void round_of(uint32_t v[8], unsigned int i,
							   uint32_t kw)
{
	uint32_t a = v[-i & 7], b = v[(1 - i) & 7], c = v[(2 - i) & 7], e = v[(4 - i) & 7];
	uint32_t f = v[(5 - i) & 7], g = v[(6 - i) & 7], t1, t2;

	t1 = v[(7 - i) & 7] + (rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25)) + ((e & f) ^ (~e & g)) + kw;
	t2 = (rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
	v[(3 - i) & 7] += t1;
	v[(7 - i) & 7] = t1 + t2;
}

static void plain_block(uint32_t h[8], const uint8_t *p)
{
	uint32_t w[64], v[8];

	for (int i = 0; i < 16; i++)
		w[i] = (uint32_t)p[4 * i] << 24 | p[4 * i + 1] << 16 | p[4 * i + 2] << 8 |
		       p[4 * i + 3];
	for (int i = 16; i < 64; i++)
		w[i] = (rotr(w[i - 2], 17) ^ rotr(w[i - 2], 19) ^ w[i - 2] >> 10) + w[i - 7] +
		       (rotr(w[i - 15], 7) ^ rotr(w[i - 15], 18) ^ w[i - 15] >> 3) + w[i - 16];
	memcpy(v, h, sizeof(v));
	/* The eight words turn by one a round; eight rounds turn them back. */
	for (int i = 0; i < 64; i += 8) {
		round_of(v, 0, k[i] + w[i]);
		round_of(v, 1, k[i + 1] + w[i + 1]);
		round_of(v, 2, k[i + 2] + w[i + 2]);
		round_of(v, 3, k[i + 3] + w[i + 3]);
		round_of(v, 4, k[i + 4] + w[i + 4]);
		round_of(v, 5, k[i + 5] + w[i + 5]);
		round_of(v, 6, k[i + 6] + w[i + 6]);
		round_of(v, 7, k[i + 7] + w[i + 7]);
	}
	for (int i = 0; i < 8; i++)
		h[i] += v[i];
}

static void plain_blocks(uint32_t h[8], const uint8_t *p, size_t n)
{
	for (; n; n--, p += 64)
		plain_block(h, p);
}

#if defined(__x86_64__) && !defined(SHA256_PLAIN)
/*
 * With the processor's own instructions, ten times as fast; a model of 100 MB is read
 * each time that a runner starts. They keep the eight words as ABEF and CDGH, take two
 * rounds at a time, and make the next words from the last 16.
 */
__attribute__((target("sha,sse4.1")))
static void ni_blocks(uint32_t h[8], const uint8_t *p, size_t n)
{
	const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
	__m128i dcba = _mm_loadu_si128((const __m128i *)&h[0]), hgfe = _mm_loadu_si128((const __m128i *)&h[4]);
	__m128i cdab = _mm_shuffle_epi32(dcba, 0xb1), efgh = _mm_shuffle_epi32(hgfe, 0x1b);
	__m128i abef = _mm_alignr_epi8(cdab, efgh, 8), cdgh = _mm_blend_epi16(efgh, cdab, 0xf0);

	for (; n; n--, p += 64) {
		const __m128i abef_was = abef, cdgh_was = cdgh;
		__m128i w[4], kw;

		for (int i = 0; i < 4; i++)
			w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)p + i), swap);
		for (int i = 0; i < 16; i++) {
			__m128i *now = &w[i % 4], last = w[(i + 3) % 4];

			/* Words 16 and on: four at a time, in the place of those that are done. */
			if (i >= 4) {
				*now = _mm_sha256msg1_epu32(*now, w[(i + 1) % 4]);
				*now = _mm_add_epi32(*now, _mm_alignr_epi8(last, w[(i + 2) % 4], 4));
				*now = _mm_sha256msg2_epu32(*now, last);
			}
			kw = _mm_add_epi32(*now, _mm_loadu_si128((const __m128i *)&k[4 * i]));
			cdgh = _mm_sha256rnds2_epu32(cdgh, abef, kw);
			abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(kw, 0x0e));
		}
		abef = _mm_add_epi32(abef, abef_was);
		cdgh = _mm_add_epi32(cdgh, cdgh_was);
	}
	cdab = _mm_shuffle_epi32(abef, 0x1b);
	efgh = _mm_shuffle_epi32(cdgh, 0xb1);
	_mm_storeu_si128((__m128i *)&h[0], _mm_blend_epi16(cdab, efgh, 0xf0));
	_mm_storeu_si128((__m128i *)&h[4], _mm_alignr_epi8(efgh, cdab, 8));
}

/* Asking is slow in a virtual machine, so it is done once; whoever is first. */
static bool has_ni(void)
{
	unsigned int a, b, c, d;

	return __builtin_cpu_supports("sse4.1") && __get_cpuid_count(7, 0, &a, &b, &c, &d) && b >> 29 & 1;
}

static void blocks(struct sha256 *s, const uint8_t *p, size_t n)
{
	if (s->ni)
		ni_blocks(s->h, p, n);
	else
		plain_blocks(s->h, p, n);
}
#else
static bool has_ni(void)
{
	return false;
}

static void blocks(struct sha256 *s, const uint8_t *p, size_t n)
{
	plain_blocks(s->h, p, n);
}
#endif

void sha256_init(struct sha256 *s)
{
	*s = (struct sha256){ .h = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f,
				     0x9b05688c, 0x1f83d9ab, 0x5be0cd19 } };
	s->ni = has_ni();	/* asked once: a virtual machine leaves for that */
}

void sha256_add(struct sha256 *s, const void *data, size_t n)
{
	const uint8_t *p = data;
	size_t have = s->bytes % 64, take;

	if (!n)
		return;
	s->bytes += n;
	if (have) {
		take = n < 64 - have ? n : 64 - have;
		memcpy(s->block + have, p, take);
		p += take;
		n -= take;
		if (have + take < 64)
			return;
		blocks(s, s->block, 1);
	}
	blocks(s, p, n / 64);
	p += n / 64 * 64;
	n %= 64;
	if (n)
		memcpy(s->block, p, n);
}

void sha256_end(struct sha256 *s, uint8_t digest[32])
{
	uint64_t bits = s->bytes * 8;
	uint8_t len[8], one = 0x80, zero = 0;

	for (int i = 0; i < 8; i++)
		len[i] = bits >> (56 - 8 * i);
	sha256_add(s, &one, 1);
	while (s->bytes % 64 != 56)
		sha256_add(s, &zero, 1);
	sha256_add(s, len, 8);
	for (int i = 0; i < 32; i++)
		digest[i] = s->h[i / 4] >> (24 - 8 * (i % 4));
}
