/* SPDX-License-Identifier: MIT */
/*
 * The models of the zoo: one entry an architecture.
 */
#ifndef BRAID_ZOO_MODELS_H
#define BRAID_ZOO_MODELS_H

#include "graph.h"

#define ZOO_DEFAULT_SEED	1
#define ZOO_DEFAULT_OPSET	17

/**
 * struct zoo_entry - an architecture that can be written
 * @name: on the command line and of the graph
 * @what: one line for --list
 * @build: append all of it to the model
 */
struct zoo_entry {
	const char *name;
	const char *what;
	void (*build)(struct zoo *z);
};

extern const struct zoo_entry zoo_models[];
extern const size_t zoo_n_models;

/* NULL where there is no such model. */
const struct zoo_entry *zoo_find(const char *name);

/* The architectures, one file each. */
void build_resnet50(struct zoo *z);
void build_mobilenet_v2(struct zoo *z);
void build_squeezenet1_1(struct zoo *z);
void build_efficientnet_b0(struct zoo *z);
void build_bert_6x384(struct zoo *z);
void build_tiny_bert(struct zoo *z);
void build_tiny_cnn(struct zoo *z);
void build_tiny_mlp(struct zoo *z);
void build_null(struct zoo *z);
void build_lstm(struct zoo *z);
void build_gru(struct zoo *z);

#endif
