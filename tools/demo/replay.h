/* SPDX-License-Identifier: MIT */
/*
 * The chain over recorded outputs: what is expected, and the exact inputs
 * that lead there.
 */
#ifndef BRAID_DEMO_REPLAY_H
#define BRAID_DEMO_REPLAY_H

#include "tools/demo/chain.h"
#include "tools/demo/golden.h"

/**
 * struct sample - one request with its known answer
 * @model: which model
 * @golden: the answer, owned by the golden set
 * @in: the inputs, owned by the sample
 */
struct sample {
	const struct demo_model *model;
	const struct golden *golden;
	float *in[MODEL_MAX_TENSORS];
};

/**
 * struct replay - answers from recorded outputs and keeps every request
 * @infer: to be given to the chain
 * @set: the recorded outputs
 * @samples: the requests seen, in order
 * @count: how many
 */
struct replay {
	struct infer infer;
	const struct golden_set *set;
	struct sample *samples;
	int count;
};

/** replay_init() - over recorded outputs that outlive it */
void replay_init(struct replay *replay, const struct golden_set *set);

/** replay_free() - release the samples */
void replay_free(struct replay *replay);

/**
 * replay_pick() - the samples of one model whose answers can be told apart
 * @replay: after the chain has run
 * @m: the model
 * @picked: room for @replay->count samples
 *
 * Answers that lie nearer to each other than ten times the tolerance would
 * hide a swapped merge; of such only the first is taken.
 *
 * Return: number of samples picked.
 */
int replay_pick(const struct replay *replay, const struct demo_model *m,
		const struct sample **picked);

#endif
