// SPDX-License-Identifier: MIT
/*
 * Random graphs: all passes together, and each alone, must not change what a
 * program computes.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/program/pass.h"
#include "tests/program/graph.h"
#include "tests/tap.h"

#define GRAPHS	1000
#define TOLERANCE	1e-4

static const struct {
	const char *name;
	void (*run)(struct build *b);
} passes[] = {
	{ "canon", pass_canon },
	{ "cse", pass_cse },
	{ "act", pass_act },
	{ "norm", pass_norm },
	{ "transpose", pass_transpose },
	{ "scale", pass_scale },
	{ "feed", pass_feed },
	{ "epilogue", pass_epilogue },
	{ "all", build_passes },
};

/* The outputs' distance from those without passes; 1 on any failure. */
static double distance(uint64_t seed, void (*run)(struct build *b), size_t *fewer)
{
	uint32_t before[PROG_KINDS], after[PROG_KINDS], n_before = 0, n_after = 0;
	struct build *b = build_new(), *c = build_new();
	float *x = NULL, *y = NULL;
	size_t n, m;
	double d = 1;

	graph_random(b, seed, 40);
	graph_random(c, seed, 40);
	build_sort(c);
	run(c);
	if (!graph_run(b, seed, &x, &n, before) && !graph_run(c, seed, &y, &m, after) && n == m)
		d = graph_distance(x, y, n);
	for (int k = 0; k < PROG_KINDS && x && y; k++) {
		n_before += before[k];
		n_after += after[k];
	}
	*fewer += n_before > n_after ? n_before - n_after : 0;
	free(x);
	free(y);
	return d;
}

int main(void)
{
	for (size_t k = 0; k < sizeof(passes) / sizeof(passes[0]); k++) {
		size_t fewer = 0;
		double worst = 0, d;
		int bad = 0;

		for (uint64_t seed = 1; seed <= GRAPHS; seed++) {
			d = distance(seed, passes[k].run, &fewer);
			if (!(d <= TOLERANCE)) {
				if (bad++ < 5)
					diag("seed %d: distance %g", (int)seed, d);
			} else if (d > worst) {
				worst = d;
			}
		}
		ok(!bad, "%s: %d graphs compute what they did (%.1e at worst, %zu operations fewer)",
		   passes[k].name, GRAPHS, worst, fewer);
	}
	return tap_done();
}
