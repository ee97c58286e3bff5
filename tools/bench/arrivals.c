// SPDX-License-Identifier: MIT
/*
 * Seeded arrivals, made before the clock runs: the load must not depend on
 * how the system under test behaves.
 */
#include <math.h>
#include <stdlib.h>

#include "tools/bench/bench.h"

/* splitmix64: Steele, Lea, Flood, OOPSLA 2014. */
static uint64_t next(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

double rng_uniform(uint64_t *state)
{
	return (next(state) >> 11) * 0x1p-53;
}

/* Time to the next arrival, mean 1. */
static double gap(const struct options *o, uint64_t *state)
{
	double u = 1 - rng_uniform(state), v = rng_uniform(state), normal;

	if (o->arrivals == ARRIVALS_POISSON)
		return -log(u);
	normal = sqrt(-2 * log(u)) * cos(2 * M_PI * v);
	return exp(o->sigma * normal - o->sigma * o->sigma / 2);
}

uint64_t *arrivals_make(const struct options *o, double rate, uint64_t seed, double seconds,
			uint64_t *n)
{
	uint64_t room = (uint64_t)(rate * seconds * 1.5) + 1024, *list, *more;
	uint64_t state = seed;
	double t = 0;

	list = malloc(room * sizeof(*list));
	for (*n = 0; list; (*n)++) {
		t += gap(o, &state) / rate;
		if (t >= seconds)
			break;
		if (*n == room) {
			room *= 2;
			more = realloc(list, room * sizeof(*list));
			if (!more) {
				free(list);
				return NULL;
			}
			list = more;
		}
		list[*n] = (uint64_t)(t * 1e9);
	}
	return list;
}
