// SPDX-License-Identifier: MIT
/*
 * The order of the optimising passes.
 */
#include "agent/program/build.h"

void build_passes(struct build *b)
{
	build_sort(b);
}
