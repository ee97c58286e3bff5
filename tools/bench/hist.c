// SPDX-License-Identifier: MIT
/*
 * Latency histograms of a fixed size: log-linear buckets.
 */
#include "tools/bench/bench.h"

static unsigned int bucket_of(uint64_t v)
{
	unsigned int shift, b;

	if (v < HIST_SUB)
		return v;
	shift = 63 - __builtin_clzll(v) - 6;
	b = (shift + 1) * HIST_SUB + ((v >> shift) - HIST_SUB);
	return b < HIST_BUCKETS ? b : HIST_BUCKETS - 1;
}

/* The middle of a bucket. */
static uint64_t value_of(unsigned int b)
{
	unsigned int shift = b / HIST_SUB;

	if (!shift)
		return b;
	shift--;
	return (((uint64_t)(b % HIST_SUB) + HIST_SUB) << shift) + ((1ull << shift) >> 1);
}

void hist_add(struct hist *h, uint64_t ns)
{
	h->count++;
	h->sum += ns;
	if (ns > h->max)
		h->max = ns;
	h->bucket[bucket_of(ns)]++;
}

void hist_merge(struct hist *to, const struct hist *from)
{
	to->count += from->count;
	to->sum += from->sum;
	if (from->max > to->max)
		to->max = from->max;
	for (unsigned int i = 0; i < HIST_BUCKETS; i++)
		to->bucket[i] += from->bucket[i];
}

uint64_t hist_quantile(const struct hist *h, double q)
{
	uint64_t want = (uint64_t)(q * h->count), seen = 0;

	if (!h->count)
		return 0;
	for (unsigned int i = 0; i < HIST_BUCKETS; i++) {
		seen += h->bucket[i];
		if (seen > want)
			return value_of(i) < h->max ? value_of(i) : h->max;
	}
	return h->max;
}
