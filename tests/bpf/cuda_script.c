// SPDX-License-Identifier: MIT
/*
 * A process that uses a libcuda by a script: cuda-script LIBRARY WORDS.
 */
#include <stdio.h>

#include "tests/bpf/script.h"

int main(int argc, char **argv)
{
	struct script_truth t = { 0 };

	if (argc != 3) {
		fprintf(stderr, "usage: cuda-script LIBRARY WORDS\n");
		return 2;
	}
	if (script_run(argv[1], argv[2], &t))
		return 1;
	printf("{\"kernels\":%llu,\"graphs\":%llu,\"copies\":%llu,\"syncs\":%llu,\"sync_ns\":%llu,"
	       "\"blocking_copies\":%llu,\"blocking_copy_ns\":%llu}\n",
	       (unsigned long long)t.kernels, (unsigned long long)t.graphs,
	       (unsigned long long)t.copies, (unsigned long long)t.syncs,
	       (unsigned long long)t.sync_ns, (unsigned long long)t.blocking,
	       (unsigned long long)t.blocking_ns);
	return 0;
}
