/* SPDX-License-Identifier: MIT */
/*
 * Seeded numbers that are the same bits on every machine.
 *
 * The generator is splitmix64 used as a counter: number i of a stream is
 * prng_at(seed, i), so any element can be had without those before it, and a
 * vectorised reader in another language needs no state. Distributions use
 * integers up to one final multiplication, and no libm function, because the
 * last bit of those differs between libraries: the goldens name the SHA-256 of
 * model files, which must therefore be reproducible to the bit.
 *
 * tools/goldens/seeded.py is the same in Python; change both or neither.
 *
 * Source: Steele, Lea, Flood, "Fast splittable pseudorandom number
 * generators", OOPSLA 2014 (the finaliser is Stafford's variant 13).
 */
#ifndef BRAID_ZOO_PRNG_H
#define BRAID_ZOO_PRNG_H

#include <stdint.h>

#define PRNG_GOLDEN_GAMMA 0x9e3779b97f4a7c15ULL

static inline uint64_t prng_mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

/* Number @i of the stream @seed. */
static inline uint64_t prng_at(uint64_t seed, uint64_t i)
{
	return prng_mix(seed + (i + 1) * PRNG_GOLDEN_GAMMA);
}

/* The seed of the stream called @name within @seed: FNV-1a of the name, mixed. */
static inline uint64_t prng_stream(uint64_t seed, const char *name)
{
	uint64_t h = 0xcbf29ce484222325ULL;

	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 0x100000001b3ULL;
	return prng_mix(seed ^ h);
}

/*
 * Nearly normal: the sum of the four 16-bit quarters of one number, less its
 * mean (Irwin-Hall, n = 4): an integer in [-131070, 131070] whose standard
 * deviation is PRNG_NORMAL_SIGMA. Tails end at 3.46 sigma.
 */
static inline int32_t prng_normal_int(uint64_t x)
{
	return (int32_t)((x & 0xffff) + (x >> 16 & 0xffff) + (x >> 32 & 0xffff) + (x >> 48)) -
	       131070;
}

/* sqrt(4 * (65536^2 - 1) / 12) */
#define PRNG_NORMAL_SIGMA 37837.22723720648

/* Mean 0, standard deviation @sigma. */
static inline float prng_normal(uint64_t x, double sigma)
{
	return (float)(prng_normal_int(x) * (sigma / PRNG_NORMAL_SIGMA));
}

/*
 * Uniform in [@low, @low + @span), from the upper 24 bits. The product of two
 * 24-bit numbers is exact in a double, so a fused multiply-add, where the
 * compiler uses one, gives the same bits.
 */
static inline float prng_uniform(uint64_t x, float low, float span)
{
	return (float)(low + (double)(x >> 40) * span * 0x1p-24);
}

/* Uniform in [0, @bound), @bound below 2^32. */
static inline uint32_t prng_below(uint64_t x, uint32_t bound)
{
	return (uint32_t)((x >> 32) * bound >> 32);
}

#endif
