/* SPDX-License-Identifier: MIT */
/*
 * The optimising passes, one a file, and what they share.
 *
 * A pass changes operations in place and appends new ones in any order; it
 * calls build_sort() at its end. It never changes what a tensor number means,
 * only which operation writes it, so nobody's inputs have to be rewritten: an
 * operation that has become superfluous turns into a view of its input, which
 * pass_canon() then sees through.
 */
#ifndef BRAID_AGENT_PROGRAM_PASS_H
#define BRAID_AGENT_PROGRAM_PASS_H

#include "agent/program/build.h"

/** pass_canon() - see through views; what moves or computes nothing becomes one */
void pass_canon(struct build *b);

/** pass_cse() - the same operation on the same inputs is done once */
void pass_cse(struct build *b);

/** pass_act() - products that are SiLU, hard swish or GELU */
void pass_act(struct build *b);

/** pass_norm() - the parts of a layer normalisation become one */
void pass_norm(struct build *b);

/** pass_transpose() - move transposes towards the outputs until they cancel */
void pass_transpose(struct build *b);

/** pass_scale() - factors and addends a channel go into constant weights and bias */
void pass_scale(struct build *b);

/** pass_feed() - factors and addends a channel before convolutions go into them */
void pass_feed(struct build *b);

/** pass_epilogue() - bias, element function and residual go into the producer */
void pass_epilogue(struct build *b);

/**
 * pass_readers() - how often each tensor is read, outputs of the model included
 *
 * Return: an array of b->n_tensors entries, the caller's; NULL: b->err is set.
 */
uint32_t *pass_readers(struct build *b);

/** pass_make_view() - @op computes its first input: make it a view */
void pass_make_view(struct prog_op *op, uint32_t x);

/** pass_def() - the operation of kind @kind that writes @t, or NULL */
struct prog_op *pass_def(const struct build *b, uint32_t t, enum prog_kind kind);

/** pass_at() - operations appended from here on carry @op's names */
void pass_at(struct build *b, const struct prog_op *op);

/**
 * pass_scalar() - is @op a BINARY @fn of a tensor and a constant of one value?
 * @x: out: the tensor, of the output's shape
 * @v: out: the value
 *
 * Where the order matters (SUB, DIV, POW) the constant must come second.
 */
bool pass_scalar(const struct build *b, const struct prog_op *op, enum prog_binary fn,
		 uint32_t *x, double *v);

/** pass_near() - equal but for what a float32 constant in a file may lose */
bool pass_near(double a, double b);

#endif
