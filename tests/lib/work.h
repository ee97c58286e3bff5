/* SPDX-License-Identifier: MIT */
/*
 * Inferences whose answer is known: random inputs, and the outputs that the
 * queue gave for them in calm.
 */
#ifndef BRAID_TESTS_LIB_WORK_H
#define BRAID_TESTS_LIB_WORK_H

#include <stdbool.h>

#include <braid.h>

#define WORK_TENSORS	8

struct work {
	struct braid_model *model;
	void *in[WORK_TENSORS], *want[WORK_TENSORS];
};

/* A model's inputs from a seed and what comes out; ends the program on failure. */
void work_new(struct work *w, struct braid *b, const char *model, unsigned int seed);
void work_free(struct work *w);

/* Do these outputs differ from the wanted ones by more than rounding? */
bool work_same(const struct work *w, void *const *out);

/* One braid_infer(): 0, an error, or 1 when the answer is wrong. */
int work_infer(struct braid *b, const struct work *w, int timeout_ms);

/* Lay inputs and outputs into a new buffer; @at has room for WORK_TENSORS. */
int work_place(struct braid *b, const struct work *w, struct braid_at *at);

/* Is the answer where work_place() said? Then it is wiped. */
bool work_answered(const struct work *w, const struct braid_at *at);

/* A submission of it. */
int work_submit(struct braid *b, const struct work *w, const struct braid_at *at,
		uint64_t user_data);

/* Take @n completions into @out, waiting as long as it takes; how many came. */
unsigned int work_take(struct braid *b, struct braid_completion *out, unsigned int n);

#endif
