// SPDX-License-Identifier: MIT
/*
 * Figures of the witness, from what its kernel leaves: absences with and
 * without room for their times, over several runs.
 */
#include <string.h>

#include "agent/cuda/witness.h"
#include "tests/tap.h"

#define ROOM	3u

static void leave(uint64_t *out, uint64_t from, uint64_t to, uint64_t absences)
{
	out[0] = from;
	out[1] = to;
	out[2] = absences;
	out[3] = 1000;
}

static void gap(uint64_t *out, unsigned int i, uint64_t before, uint64_t after)
{
	out[WITNESS_HEAD + 2 * i] = before;
	out[WITNESS_HEAD + 2 * i + 1] = after;
}

int main(void)
{
	uint64_t out[WITNESS_HEAD + 2 * ROOM] = { 0 };
	struct witness_figures f = { 0 };
	json_t *o;

	ok(!witness_json(&f), "nothing is known before it has watched");
	leave(out, 5000000000, 5500000000, 2);
	gap(out, 0, 5100000000, 5104000000);
	gap(out, 1, 5200000000, 5200065536);
	witness_add(&f, out, ROOM);
	/* Five more in the next half second, three of them with their times. */
	leave(out, 6000000000, 6500000000, 5);
	gap(out, 0, 6100000000, 6101000000);
	gap(out, 1, 6200000000, 6201000000);
	gap(out, 2, 6300000000, 6304000000);
	witness_add(&f, out, ROOM);
	o = witness_json(&f);
	is_int(json_integer_value(json_object_get(o, "absences")), 7, "absences");
	is_int(json_integer_value(json_object_get(o, "not_kept")), 2, "of them without times");
	is_int(json_integer_value(json_object_get(o, "away_ns")), 10065536, "time away");
	is_int(json_integer_value(json_object_get(o, "longest_away_ns")), 4000000, "the longest");
	ok(json_real_value(json_object_get(o, "absences_per_s")) == 7.0, "a second");
	ok(json_real_value(json_object_get(o, "ns_a_reading")) == 500000.0, "ns a reading");
	o = json_object_get(o, "away_log2_ns");
	is_int(json_integer_value(json_array_get(o, 17)), 1, "a power of two is in the bucket above it");
	is_int(json_integer_value(json_array_get(o, 20)), 2, "1 ms");
	is_int(json_integer_value(json_array_get(o, 22)), 2, "4 ms");
	ok(strstr(witness_ptx, ".entry " WITNESS_ENTRY "("), "the kernel has its name");
	return tap_done();
}
