/* SPDX-License-Identifier: MIT */
#ifndef BRAID_DEMO_RECORD_H
#define BRAID_DEMO_RECORD_H

#include "tools/demo/chain.h"

/**
 * struct record - runs the chain against a reference on stdin and stdout
 * @infer: to be given to the chain
 *
 * A request is a line "file key inputs outputs", then, in the machine's own
 * byte order, of each input its rank, dims and float32 elements, of each
 * output its number of elements. The answer is the outputs' elements. The
 * maintainer's record.py speaks the other side.
 */
struct record {
	struct infer infer;
};

void record_init(struct record *record);

#endif
