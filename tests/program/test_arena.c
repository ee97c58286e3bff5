// SPDX-License-Identifier: MIT
/*
 * Colouring: random life spans; no two blocks that are alive at one time may
 * overlap (compared pair by pair), and the whole must be near the least that
 * is possible, the most bytes alive at one time.
 */
#include <stdlib.h>

#include "agent/program/arena.h"
#include "agent/program/program.h"
#include "tests/program/graph.h"
#include "tests/tap.h"

#define MAX_BLOCKS	120

static bool overlap(const struct arena_block *x, const struct arena_block *y)
{
	return x->first <= y->last && y->first <= x->last &&
	       x->offset < y->offset + y->bytes && y->offset < x->offset + x->bytes;
}

static int bad_pairs(const struct arena_block *v, uint32_t n, uint64_t total)
{
	int bad = 0;

	for (uint32_t i = 0; i < n; i++) {
		bad += v[i].offset % PROG_ALIGN || v[i].offset + v[i].bytes > total;
		for (uint32_t k = 0; k < i; k++)
			bad += overlap(&v[i], &v[k]);
	}
	return bad;
}

static uint64_t most_alive(const struct arena_block *v, uint32_t n, uint32_t steps)
{
	uint64_t most = 0;

	for (uint32_t s = 0; s < steps; s++) {
		uint64_t sum = 0;

		for (uint32_t i = 0; i < n; i++)
			sum += v[i].first <= s && s <= v[i].last ? v[i].bytes : 0;
		most = sum > most ? sum : most;
	}
	return most;
}

int main(void)
{
	struct arena_block v[MAX_BLOCKS], huge[2] = {
		{ .bytes = UINT64_MAX - 127, .first = 0, .last = 1 },
		{ .bytes = 1024, .first = 0, .last = 1 },
	};
	struct rnd r = { 1 };
	uint64_t total, sum_total = 0, sum_least = 0, sum_bytes = 0;
	int bad = 0, failed = 0;

	for (int round = 0; round < 2000; round++) {
		uint32_t n = 1 + rnd_below(&r, MAX_BLOCKS), steps = 1 + rnd_below(&r, 100);

		for (uint32_t i = 0; i < n; i++) {
			uint32_t len = rnd_below(&r, 8) ? rnd_below(&r, 4) : rnd_below(&r, steps);

			v[i].bytes = PROG_ALIGN * (1 + rnd_below(&r, 1 + rnd_below(&r, 1000)));
			v[i].first = rnd_below(&r, steps);
			v[i].last = v[i].first + len < steps ? v[i].first + len : steps - 1;
			sum_bytes += v[i].bytes;
		}
		failed += arena_colour(v, n, &total) != 0;
		bad += bad_pairs(v, n, total);
		sum_total += total;
		sum_least += most_alive(v, n, steps);
	}
	is_int(failed, 0, "2000 random sets are coloured");
	is_int(bad, 0, "no two blocks overlap that are alive together, none leaves the arena");
	ok(sum_total >= sum_least && sum_total < sum_least * 1.1,
	   "the arenas are within a tenth of the least possible (%.1f %% above it, %.0f %% saved)",
	   100. * sum_total / sum_least - 100, 100 - 100. * sum_total / sum_bytes);

	/* The check itself must see a fault. */
	v[0] = v[1] = (struct arena_block){ .bytes = 64, .first = 1, .last = 2 };
	is_int(bad_pairs(v, 2, 64), 1, "two blocks in one place are seen");
	ok(arena_colour(huge, 2, &total) < 0, "a sum that overflows is refused");
	is_int(arena_colour(NULL, 0, &total), 0, "nothing needs nothing");
	return tap_done();
}
