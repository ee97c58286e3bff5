// SPDX-License-Identifier: MIT
/*
 * Recurrent models as PyTorch's exporter writes them, batch first.
 *
 * lstm is bidirectional and reads a whole utterance, as a text recogniser's
 * head does; gru is a stream's step: its state goes in and comes out.
 */
#include <math.h>

#include "models.h"

#define LSTM_FRAMES	32
#define LSTM_IN		40
#define LSTM_HIDDEN	48
#define LSTM_CLASSES	16

#define GRU_FRAMES	8
#define GRU_IN		32
#define GRU_HIDDEN	48
#define GRU_CLASSES	10

/* Weights and biases of @gates gates in @dirs directions, gates in ONNX's order. */
struct cell {
	struct zoo_value *w, *r, *b;
};

static struct cell draw_cell(struct zoo *z, int dirs, int gates, int in, int hidden)
{
	const int rows = gates * hidden;

	return (struct cell){
		.w = zoo_normal(z, "W", ZOO_DIMS(dirs, rows, in), 1 / sqrt(in), NULL),
		.r = zoo_normal(z, "R", ZOO_DIMS(dirs, rows, hidden), 1 / sqrt(hidden), NULL),
		.b = zoo_uniform(z, "B", ZOO_DIMS(dirs, 2 * rows), -0.2f, 0.4f),
	};
}

static struct zoo_value *transpose(struct zoo *z, const char *name, const struct zoo_value *x,
				   const int64_t *perm)
{
	Onnx__NodeProto *n = zoo_node(z, name, "Transpose", ZOO_INPUTS(x));
	int64_t dims[ZOO_MAX_RANK];

	for (int i = 0; i < x->rank; i++)
		dims[i] = x->dims[perm[i]];
	zoo_set_ints(z, n, "perm", x->rank, perm);
	return zoo_out(z, n, ZOO_FLOAT, x->rank, dims);
}

static const int64_t swap_batch[] = { 1, 0, 2 };

/* [frames][N][in] to [N][frames][classes]. */
static struct zoo_value *classify(struct zoo *z, struct zoo_value *x, int classes)
{
	const int64_t in = x->dims[2];
	struct zoo_value *w, *b;

	x = transpose(z, "batch_first", x, swap_batch);
	w = zoo_normal(z, "fc.weight", ZOO_DIMS(in, classes), 2 / sqrt(in), NULL);
	b = zoo_uniform(z, "fc.bias", ZOO_DIMS(classes), -0.1f, 0.2f);
	x = zoo_out(z, zoo_node(z, "fc.MatMul", "MatMul", ZOO_INPUTS(x, w)), ZOO_FLOAT,
		    ZOO_DIMS(x->dims[0], x->dims[1], classes));
	return zoo_out(z, zoo_node(z, "fc", "Add", ZOO_INPUTS(x, b)), ZOO_FLOAT, 3, x->dims);
}

void build_lstm(struct zoo *z)
{
	static const int64_t directions_last[] = { 0, 2, 1, 3 };
	const int64_t batch = zoo_opt(z)->batch;
	struct zoo_value *x, *shape;
	Onnx__NodeProto *n;
	struct cell c;

	x = zoo_input(z, "input", ZOO_FLOAT, ZOO_DIMS(batch, LSTM_FRAMES, LSTM_IN));
	x = transpose(z, "time_first", x, swap_batch);
	zoo_push(z, "lstm");
	c = draw_cell(z, 2, 4, LSTM_IN, LSTM_HIDDEN);
	zoo_pop(z);
	n = zoo_node(z, "lstm", "LSTM", ZOO_INPUTS(x, c.w, c.r, c.b));
	zoo_set_string(z, n, "direction", "bidirectional");
	zoo_set_int(z, n, "hidden_size", LSTM_HIDDEN);
	x = zoo_out(z, n, ZOO_FLOAT, ZOO_DIMS(LSTM_FRAMES, 2, batch, LSTM_HIDDEN));
	x = transpose(z, "directions_last", x, directions_last);
	shape = zoo_int64s(z, "join.shape", 3, (const int64_t[]){ 0, 0, -1 });
	x = zoo_out(z, zoo_node(z, "join", "Reshape", ZOO_INPUTS(x, shape)), ZOO_FLOAT,
		    ZOO_DIMS(LSTM_FRAMES, batch, 2 * LSTM_HIDDEN));
	zoo_output(z, classify(z, x, LSTM_CLASSES), "output");
}

void build_gru(struct zoo *z)
{
	const int64_t batch = zoo_opt(z)->batch;
	struct zoo_value *x, *state, *y, *yh, *first, *dir;
	Onnx__NodeProto *n;
	struct cell c;

	x = zoo_input(z, "input", ZOO_FLOAT, ZOO_DIMS(batch, GRU_FRAMES, GRU_IN));
	state = zoo_input(z, "state", ZOO_FLOAT, ZOO_DIMS(batch, GRU_HIDDEN));
	x = transpose(z, "time_first", x, swap_batch);
	first = zoo_int64s(z, "axis0", 1, (const int64_t[]){ 0 });
	dir = zoo_int64s(z, "axis1", 1, (const int64_t[]){ 1 });
	state = zoo_out(z, zoo_node(z, "state_in", "Unsqueeze", ZOO_INPUTS(state, first)),
			ZOO_FLOAT, ZOO_DIMS(1, batch, GRU_HIDDEN));
	zoo_push(z, "gru");
	c = draw_cell(z, 1, 3, GRU_IN, GRU_HIDDEN);
	zoo_pop(z);
	n = zoo_node(z, "gru", "GRU", ZOO_INPUTS(x, c.w, c.r, c.b, NULL, state));
	zoo_set_int(z, n, "hidden_size", GRU_HIDDEN);
	zoo_set_int(z, n, "linear_before_reset", 1);
	y = zoo_out(z, n, ZOO_FLOAT, ZOO_DIMS(GRU_FRAMES, 1, batch, GRU_HIDDEN));
	yh = zoo_out(z, n, ZOO_FLOAT, ZOO_DIMS(1, batch, GRU_HIDDEN));
	y = zoo_out(z, zoo_node(z, "one_direction", "Squeeze", ZOO_INPUTS(y, dir)), ZOO_FLOAT,
		    ZOO_DIMS(GRU_FRAMES, batch, GRU_HIDDEN));
	zoo_output(z, classify(z, y, GRU_CLASSES), "output");
	yh = zoo_out(z, zoo_node(z, "state_last", "Squeeze", ZOO_INPUTS(yh, first)), ZOO_FLOAT,
		     ZOO_DIMS(batch, GRU_HIDDEN));
	zoo_output(z, yh, "state_out");
}
