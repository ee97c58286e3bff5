/* SPDX-License-Identifier: MIT */
/*
 * Threads that load models, so that serving goes on meanwhile.
 */
#ifndef BRAID_AGENT_RUNNER_LOAD_H
#define BRAID_AGENT_RUNNER_LOAD_H

#include <stdbool.h>

#include "agent/backend/backend.h"
#include "agent/config.h"

struct loader;

/**
 * struct load_job - a model to load; from malloc(), the loader's until it is done
 * @next: the loader's
 * @asked: the caller's, not looked at
 * @dropped: the caller's, not looked at
 * @conf: what to load
 * @file_key: the caller's
 * @prog: out, NULL on failure
 * @bm: out
 * @read_ns: out, reading the file and making a program of it
 * @took: out, what the backend then did
 * @err: out, 0 or a negative errno
 * @why: out, words
 */
struct load_job {
	struct load_job *next;
	struct load_job *asked;
	bool dropped;
	struct model_config conf;
	uint64_t file_key;
	struct program *prog;
	struct backend_model *bm;
	uint64_t read_ns;
	struct backend_took took;
	int err;
	char why[512];
};

/** loader_new() - start the threads; @precision of models that do not say; NULL without memory */
struct loader *loader_new(unsigned int precision);

/** loader_backend() - what models are loaded into; until it is there they are only read */
void loader_backend(struct loader *l, const struct backend_ops *ops, struct backend *be);

/** loader_free() - finish what is being loaded, drop the rest */
void loader_free(struct loader *l);

/** loader_fd() - readable when a job is done */
int loader_fd(const struct loader *l);

/** loader_put() - load; jobs are done in any order */
void loader_put(struct loader *l, struct load_job *job);

/** loader_get() - a job that is done, NULL if there is none */
struct load_job *loader_get(struct loader *l);

/** load_publishable() - would the queue take it? 0, or a negative errno and words */
int load_publishable(const struct program *p, char *why, size_t len);

/* Where it is not. */
#define LOAD_IDLE_BATCH	"batch has no effect: no input's first dimension is left free"

/** load_binds_batch() - does an input have the batch of the configuration, or is there none? */
bool load_binds_batch(const struct model_config *c, const struct program *p);

#endif
