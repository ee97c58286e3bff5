// SPDX-License-Identifier: MIT
/*
 * The verifier: sound programs pass, and a program broken on purpose does not,
 * whatever was broken. Breaking is done on finished random programs, one thing
 * at a time, in ways that are wrong by definition.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/program/graph.h"
#include "tests/tap.h"

#define GRAPHS	300

/* Each breaks @p and returns true, or returns false: nothing here to break that way. */

static bool drop_dependency(struct program *p, struct rnd *r)
{
	for (int tries = 0; tries < 20; tries++) {
		struct prog_op *op = &p->ops[rnd_below(r, p->n_ops)];

		if (!op->n_deps)
			continue;
		/* Reduced, so that none follows from the others. */
		op->deps[rnd_below(r, op->n_deps)] = op->deps[op->n_deps - 1];
		op->n_deps--;
		return true;
	}
	return false;
}

static bool forward_dependency(struct program *p, struct rnd *r)
{
	uint32_t i = rnd_below(r, p->n_ops);

	if (!p->ops[i].n_deps)
		return false;
	p->ops[i].deps[0] = i + rnd_below(r, 3);
	return true;
}

static bool stray_input(struct program *p, struct rnd *r)
{
	struct prog_op *op = &p->ops[rnd_below(r, p->n_ops)];

	op->in[rnd_below(r, op->n_in)] = p->n_tensors + rnd_below(r, 1000);
	return true;
}

static bool stray_output(struct program *p, struct rnd *r)
{
	p->ops[rnd_below(r, p->n_ops)].out[0] = rnd_below(r, 2) ? PROG_NONE : p->n_tensors;
	return true;
}

static bool stray_storage(struct program *p, struct rnd *r)
{
	p->tensors[rnd_below(r, p->n_tensors)].storage = p->n_storages + rnd_below(r, 9);
	return true;
}

/* An operation writes where another one writes. */
static bool two_writers(struct program *p, struct rnd *r)
{
	uint32_t i = rnd_below(r, p->n_ops), k = rnd_below(r, p->n_ops);

	if (i == k)
		return false;
	p->tensors[p->ops[i].out[0]].storage = p->tensors[p->ops[k].out[0]].storage;
	return true;
}

static bool write_input(struct program *p, struct rnd *r)
{
	p->tensors[p->ops[rnd_below(r, p->n_ops)].out[0]].storage =
		p->tensors[p->inputs[rnd_below(r, p->n_inputs)].tensor].storage;
	return true;
}

static bool read_output(struct program *p, struct rnd *r)
{
	struct prog_op *op = &p->ops[rnd_below(r, p->n_ops)];

	p->tensors[op->in[rnd_below(r, op->n_in)]].storage =
		p->tensors[p->outputs[0].tensor].storage;
	return true;
}

static bool beyond_arena(struct program *p, struct rnd *r)
{
	for (uint32_t s = 0; s < p->n_storages; s++)
		if (p->storages[s].place == PROG_ARENA) {
			p->storages[s].offset = rnd_below(r, 2) ? p->arena_bytes : UINT64_MAX - 63;
			return true;
		}
	return false;
}

static bool crooked_storage(struct program *p, struct rnd *r)
{
	for (uint32_t s = 0; s < p->n_storages; s++)
		if (p->storages[s].place == PROG_ARENA || p->storages[s].place == PROG_CONST) {
			p->storages[s].offset += 1 + rnd_below(r, PROG_ALIGN - 1);
			return true;
		}
	return false;
}

static bool wrong_size(struct program *p, struct rnd *r)
{
	p->storages[rnd_below(r, p->n_storages)].bytes += PROG_ALIGN;
	return true;
}

static bool wrong_extent(struct program *p, struct rnd *r)
{
	struct prog_tensor *t = &p->tensors[rnd_below(r, p->n_tensors)];

	if (!t->rank)
		return false;
	t->dims[rnd_below(r, t->rank)] += 1 + rnd_below(r, 3);
	return true;
}

static bool zero_extent(struct program *p, struct rnd *r)
{
	struct prog_tensor *t = &p->tensors[rnd_below(r, p->n_tensors)];

	if (!t->rank)
		return false;
	t->dims[0] = rnd_below(r, 2) ? 0 : -t->dims[0];
	return true;
}

static bool wrong_type(struct program *p, struct rnd *r)
{
	p->tensors[rnd_below(r, p->n_tensors)].type = 8;	/* strings have no size */
	return true;
}

static bool wrong_kind(struct program *p, struct rnd *r)
{
	p->ops[rnd_below(r, p->n_ops)].kind = PROG_KINDS + rnd_below(r, 3);
	return true;
}

static bool wrong_parameter(struct program *p, struct rnd *r)
{
	struct prog_op *op = &p->ops[rnd_below(r, p->n_ops)];

	switch (op->kind) {
	case PROG_CONV:
		op->params.conv.win.kernel[rnd_below(r, 3)] += 1;
		return true;
	case PROG_REDUCE:
		op->params.reduce.axes |= 1u << p->tensors[op->in[0]].rank;
		return true;
	case PROG_SOFTMAX:
		op->params.softmax.axis = p->tensors[op->in[0]].rank;
		return true;
	case PROG_TRANSPOSE:
		op->params.perm[0] = op->params.perm[p->tensors[op->in[0]].rank - 1];
		return true;
	case PROG_CONCAT:
		op->params.axis = -1;
		return true;
	case PROG_SLICE:
		op->params.slice.start[0] = p->tensors[op->in[0]].dims[0];
		return true;
	case PROG_PAD:
		op->params.pad.lo[0]++;
		return true;
	case PROG_UNARY:
		op->params.unary.fn = PROG_FNS;
		return true;
	case PROG_BINARY:
		op->params.binary = PROG_BINS;
		return true;
	default:
		return false;
	}
}

static bool wrong_residual(struct program *p, struct rnd *r)
{
	struct prog_op *op = &p->ops[rnd_below(r, p->n_ops)];

	op->epi.residual = p->n_tensors;
	return true;
}

static bool wrong_epilogue(struct program *p, struct rnd *r)
{
	p->ops[rnd_below(r, p->n_ops)].epi.fn = PROG_FN_EPILOGUE_LAST + 1;
	return true;
}

static bool lost_output(struct program *p, struct rnd *r)
{
	p->outputs[rnd_below(r, p->n_outputs)].tensor = p->inputs[0].tensor;
	return true;
}

/* Two pieces of memory, alive together, at one place. */
static bool shared_bytes(struct program *p, struct rnd *r)
{
	for (int tries = 0; tries < 50; tries++) {
		const struct prog_op *op = &p->ops[rnd_below(r, p->n_ops)];
		struct prog_storage *x = &p->storages[p->tensors[op->in[0]].storage];
		struct prog_storage *y = &p->storages[p->tensors[op->out[0]].storage];

		if (x->place != PROG_ARENA || y->place != PROG_ARENA ||
		    x->offset + y->bytes > p->arena_bytes)
			continue;
		y->offset = x->offset;
		return true;
	}
	return false;
}

static bool swapped_order(struct program *p, struct rnd *r)
{
	uint32_t i = rnd_below(r, p->n_ops);
	struct prog_op swap;

	if (!p->ops[i].n_deps)
		return false;
	/* With the last operation it needs, so that it comes before that one. */
	swap = p->ops[i];
	p->ops[i] = p->ops[swap.deps[swap.n_deps - 1]];
	p->ops[swap.deps[swap.n_deps - 1]] = swap;
	return true;
}

static const struct {
	const char *name;
	bool (*apply)(struct program *p, struct rnd *r);
} breaks[] = {
	{ "a dependency left out", drop_dependency },
	{ "a dependency on a later operation", forward_dependency },
	{ "an input out of range", stray_input },
	{ "an output missing or out of range", stray_output },
	{ "a storage out of range", stray_storage },
	{ "two writers of one storage", two_writers },
	{ "an input of the model written", write_input },
	{ "an output of the model read", read_output },
	{ "a storage beyond the arena", beyond_arena },
	{ "a storage not aligned", crooked_storage },
	{ "a storage larger than its tensors", wrong_size },
	{ "an extent that was changed", wrong_extent },
	{ "an extent of zero or less", zero_extent },
	{ "a type without a size", wrong_type },
	{ "an unknown kind", wrong_kind },
	{ "a parameter that does not fit", wrong_parameter },
	{ "a residual out of range", wrong_residual },
	{ "an epilogue that is none", wrong_epilogue },
	{ "an output that lives in an input", lost_output },
	{ "input and output in the same bytes", shared_bytes },
	{ "operations in the wrong order", swapped_order },
};

static struct program *make(uint64_t seed)
{
	struct build *b = build_new();
	struct program *p = NULL;

	graph_random(b, seed, 30);
	if (seed & 1)
		build_passes(b);
	if (build_finish(b, &p))
		diag("seed %d: %s", (int)seed, b->why);
	build_free(b);
	return p;
}

int main(void)
{
	int sound = 0, ops = 0, deps = 0;
	char why[256];

	for (uint64_t seed = 1; seed <= GRAPHS; seed++) {
		struct program *p = make(seed);

		sound += p && !program_verify(p, why, sizeof(why));
		for (uint32_t i = 0; p && i < p->n_ops; i++)
			deps += p->ops[i].n_deps;
		ops += p ? p->n_ops : 0;
		program_free(p);
	}
	is_int(sound, GRAPHS, "sound programs pass (%d operations, %d dependencies)", ops, deps);

	for (size_t k = 0; k < sizeof(breaks) / sizeof(breaks[0]); k++) {
		int broken = 0, seen = 0;

		for (uint64_t seed = 1; seed <= GRAPHS; seed++) {
			struct program *p = make(seed);
			struct rnd r = { seed * 1000 + k };

			why[0] = 0;
			if (p && p->n_ops && breaks[k].apply(p, &r)) {
				broken++;
				if (program_verify(p, why, sizeof(why)) == -22 && why[0])
					seen++;
				else if (broken - seen < 4)
					diag("seed %d was not seen", (int)seed);
			}
			program_free(p);
		}
		ok(broken >= GRAPHS / 10 && seen == broken, "%s: seen in %d of %d", breaks[k].name,
		   seen, broken);
	}
	return tap_done();
}
