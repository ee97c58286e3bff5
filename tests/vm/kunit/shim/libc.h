/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of core/ want of a C library, in the kernel.
 */
#ifndef BRAID_KUNIT_LIBC_H
#define BRAID_KUNIT_LIBC_H

#include <linux/bug.h>
#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/prandom.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/types.h>

#define abort()			BUG()
#define printf(...)		no_printk(__VA_ARGS__)

static inline void *malloc(size_t bytes)
{
	return kvmalloc(bytes, GFP_KERNEL);
}

static inline void *calloc(size_t n, size_t bytes)
{
	return kvcalloc(n, bytes, GFP_KERNEL);
}

static inline void free(const void *p)
{
	kvfree(p);
}

static inline s64 time(void *unused)
{
	return ktime_get_real_seconds();
}

/* One test at a time. */
static struct rnd_state random_state __maybe_unused;

static inline void srand(unsigned int seed)
{
	prandom_seed_state(&random_state, seed);
}

static inline int rand(void)
{
	return prandom_u32_state(&random_state) >> 1;
}

/* Settings are the module's parameters: see suite.c. */
const char *getenv(const char *name);

static inline unsigned long long strtoull(const char *s, char **end, int base)
{
	unsigned long long n;

	return kstrtoull(s, base, &n) ? 0 : n;
}

#endif
