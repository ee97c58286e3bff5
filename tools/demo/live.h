/* SPDX-License-Identifier: MIT */
/*
 * The demo's models on Braid.
 */
#ifndef BRAID_DEMO_LIVE_H
#define BRAID_DEMO_LIVE_H

#include <braid.h>

#include "tools/demo/chain.h"
#include "tools/demo/golden.h"

/**
 * struct live - runs the chain through Braid
 * @infer: to be given to the chain
 * @braid: connection, owned
 * @models: Braid's models by enum model_id
 * @set: recorded outputs to compare every answer with
 * @requests: how many ran
 * @compared: how many of them had a recorded answer to the same input
 * @wrong: how many of those differed by more than the tolerance
 * @worst: largest distance seen
 */
struct live {
	struct infer infer;
	struct braid *braid;
	struct braid_model *models[MODEL_COUNT];
	const struct golden_set *set;
	int requests;
	int compared;
	int wrong;
	double worst;
};

/**
 * live_model() - find a model and check that it is the one in our table
 * @braid: connection
 * @m: the model wanted
 * @out: Braid's model
 *
 * Return: 0 or a negative errno, said on stderr.
 */
int live_model(struct braid *braid, const struct demo_model *m, struct braid_model **out);

/**
 * live_open() - connect and find all models
 * @live: filled on success; live_close() it
 * @socket: braidd's socket, NULL for the default
 * @set: recorded outputs, which outlive it
 *
 * Return: 0 or a negative errno, said on stderr.
 */
int live_open(struct live *live, const char *socket, const struct golden_set *set);

/**
 * live_patience() - a limit of time on this machine
 * @ms: the limit on a usual one, in milliseconds
 *
 * Return: @ms times BRAID_DEMO_PATIENCE of the environment, 1 to 100.
 */
int live_patience(int ms);

/** live_close() - disconnect */
void live_close(struct live *live);

#endif
