/* SPDX-License-Identifier: MIT */
/*
 * What an emit function sees of the ONNX node that it translates.
 *
 * There is one emit function an operator (op_*.c). It checks types and
 * attributes, infers shapes, and appends operations to e->b. Names, order and
 * subgraphs are the importer's business; by the time an emit function runs,
 * its inputs are tensors with static shapes.
 *
 * Errors stick, as the builder's do: getters return their default after a
 * failure, so most functions need no check. The importer refuses a node with
 * an attribute that its emit function did not ask for: silently ignoring one
 * could mean a wrong answer. Ask for those without effect (a training
 * option) with emit_ignore().
 *
 * If all inputs are constant, what was emitted is run and folded away at once,
 * so that an emit function needs no constant arithmetic of its own.
 */
#ifndef BRAID_AGENT_ONNX_EMIT_H
#define BRAID_AGENT_ONNX_EMIT_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/program/build.h"

struct Onnx__NodeProto;	/* onnx.pb-c.h */

/**
 * struct emit - one node
 * @b: where operations go
 * @node: the message; use the getters below
 * @opset: version of the operator set that the model imports
 * @n_in: inputs, without trailing absent ones
 * @in: their tensors; PROG_NONE: absent (an empty name)
 * @n_out: outputs, without trailing unnamed ones
 * @out: to be set with emit_out()
 * @asked: attributes that were asked for, one bit each
 */
struct emit {
	struct build *b;
	const struct Onnx__NodeProto *node;
	int64_t opset;
	uint32_t n_in, n_out;
	const uint32_t *in;
	uint32_t *out;
	uint64_t asked;
};

/**
 * struct emit_op - an entry of a table of operators
 * @op_type: ONNX name
 * @since: first opset that this entry knows
 * @last: last one (a later change of meaning ends it)
 * @min_in: inputs it needs
 * @max_in: inputs it takes
 * @max_out: outputs it can give
 * @emit: translate; failures through emit_fail()
 */
struct emit_op {
	const char *op_type;
	int since, last;
	uint32_t min_in, max_in, max_out;
	void (*emit)(struct emit *e);
};

/* The newest opset whose operators were read before the tables were written. */
#define EMIT_OPSET_MAX 22

/**
 * emit_find() - the entry for an operator of the default domain (op_table.c)
 * @known: set to whether the operator is known at another opset
 *
 * Return: the entry, or NULL.
 */
const struct emit_op *emit_find(const char *op_type, int64_t opset, bool *known);

/** emit_fail() - refuse the node; operator, node and opset are put before the words */
__attribute__((format(printf, 3, 4)))
void emit_fail(struct emit *e, int err, const char *fmt, ...);

static inline bool emit_failed(const struct emit *e)
{
	return e->b->err != 0;
}

/* ---- inputs and outputs ---- */

/** emit_in() - tensor of input @i, PROG_NONE where absent */
uint32_t emit_in(const struct emit *e, uint32_t i);
bool emit_has(const struct emit *e, uint32_t i);

/** emit_x() - the tensor behind input @i, for its type and shape; never NULL */
const struct build_tensor *emit_x(const struct emit *e, uint32_t i);

/** emit_wants() - is output @i named in the node? */
bool emit_wants(const struct emit *e, uint32_t i);
void emit_out(struct emit *e, uint32_t i, uint32_t t);

/**
 * emit_need_type() - fail unless input @i has one of the types
 * @types: bit (1 << enum braid_type) each
 */
bool emit_need_type(struct emit *e, uint32_t i, uint32_t types);

#define EMIT_BIT(t)	(1u << (t))
#define EMIT_FLOATS	(EMIT_BIT(BRAID_TYPE_F32) | EMIT_BIT(BRAID_TYPE_F64) | \
			 EMIT_BIT(BRAID_TYPE_F16) | EMIT_BIT(BRAID_TYPE_BF16))
#define EMIT_INDEX	(EMIT_BIT(BRAID_TYPE_I32) | EMIT_BIT(BRAID_TYPE_I64))
#define EMIT_BOOL	EMIT_BIT(BRAID_TYPE_BOOL)

/**
 * emit_ints() - elements of an integer input that must be known at load
 * @i: input number
 * @what: its name, for the message
 * @n: out: how many
 *
 * INT32, INT64 (and UINT8 to UINT32) constants of rank 0 or 1. Return: the
 * elements, good as long as the builder; NULL after a failure, and where the
 * input is absent (then @n is 0 and nothing failed).
 */
const int64_t *emit_ints(struct emit *e, uint32_t i, const char *what, uint32_t *n);

/** emit_int_in() - the same for one integer; @def where absent */
int64_t emit_int_in(struct emit *e, uint32_t i, const char *what, int64_t def);

/** emit_float_in() - one float (any type) that must be known at load; @def where absent */
double emit_float_in(struct emit *e, uint32_t i, const char *what, double def);

/* ---- attributes; a wrong type fails ---- */

bool emit_attr_has(struct emit *e, const char *name);
int64_t emit_attr_int(struct emit *e, const char *name, int64_t def);
float emit_attr_float(struct emit *e, const char *name, float def);

/** emit_attr_str() - NUL-terminated; @def may be NULL */
const char *emit_attr_str(struct emit *e, const char *name, const char *def);

/** emit_attr_ints() - NULL and @n 0 where absent; good as long as the model message */
const int64_t *emit_attr_ints(struct emit *e, const char *name, uint32_t *n);
const float *emit_attr_floats(struct emit *e, const char *name, uint32_t *n);

/** emit_attr_strs() - number of strings, -1 where absent; at most @max are stored */
int emit_attr_strs(struct emit *e, const char *name, const char **strs, int max);

/** emit_attr_tensor() - as a constant; PROG_NONE where absent */
uint32_t emit_attr_tensor(struct emit *e, const char *name);

/** emit_attr_need() - fail where the attribute is absent */
bool emit_attr_need(struct emit *e, const char *name);

/** emit_ignore() - an attribute that changes nothing here */
void emit_ignore(struct emit *e, const char *name);

/** emit_axis() - a possibly negative axis made positive, or a failure (then 0) */
uint32_t emit_axis(struct emit *e, int64_t axis, uint32_t rank);

/** emit_axes() - @n axes as a mask of bits; duplicates and strays fail */
uint32_t emit_axes(struct emit *e, const int64_t *axes, uint32_t n, uint32_t rank);

/** emit_attr_enum() - position of a string attribute in a NULL-terminated list, or a failure */
int emit_attr_enum(struct emit *e, const char *name, const char *def,
		   const char *const *values);

#endif
