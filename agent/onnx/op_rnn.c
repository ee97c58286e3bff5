// SPDX-License-Identifier: MIT
/*
 * LSTM, GRU and RNN: one operation each, in ONNX's own layout 0; layout 1
 * (batch first) is transposed to it and back.
 *
 * No state of its own.
 */
#include <string.h>
#include <strings.h>

#include "agent/onnx/op.h"

/* Activations, their default parameters, and which of the two they take. */
struct activation {
	const char *name;
	enum prog_fn fn;
	float alpha, beta;
	bool has_alpha, has_beta;
};

static const struct activation activations[] = {
	{ "Relu", PROG_FN_RELU },
	{ "Tanh", PROG_FN_TANH },
	{ "Sigmoid", PROG_FN_SIGMOID },
	{ "LeakyRelu", PROG_FN_LEAKY_RELU, 0.01f, 0.0f, true },
	{ "ThresholdedRelu", PROG_FN_THRESHOLDED_RELU, 1.0f, 0.0f, true },
	{ "HardSigmoid", PROG_FN_HARD_SIGMOID, 0.2f, 0.5f, true, true },
	{ "Elu", PROG_FN_ELU, 1.0f, 0.0f, true },
	{ "Softsign", PROG_FN_SOFTSIGN },
	{ "Softplus", PROG_FN_SOFTPLUS },
};

static const struct activation *find_activation(const char *name)
{
	for (size_t i = 0; i < sizeof(activations) / sizeof(*activations); i++)
		if (!strcasecmp(activations[i].name, name))
			return &activations[i];
	return NULL;
}

/* Parameters are handed to the activations that take one, in their order. */
static void read_activations(struct emit *e, struct prog_rnn *r, uint32_t dirs)
{
	static const char *const usual[3][3] = {
		[PROG_RNN_LSTM] = { "Sigmoid", "Tanh", "Tanh" },
		[PROG_RNN_GRU] = { "Sigmoid", "Tanh" },
		[PROG_RNN_PLAIN] = { "Tanh" },
	};
	const uint32_t per = r->cell == PROG_RNN_LSTM ? 3 : r->cell == PROG_RNN_GRU ? 2 : 1;
	uint32_t n_alpha, n_beta, alphas = 0, betas = 0;
	const float *alpha = emit_attr_floats(e, "activation_alpha", &n_alpha);
	const float *beta = emit_attr_floats(e, "activation_beta", &n_beta);
	const char *names[6];
	int n = emit_attr_strs(e, "activations", names, 6);

	if (emit_failed(e))
		return;
	if (n >= 0 && (uint32_t)n != per * dirs) {
		emit_fail(e, -EINVAL, "%d activations, %u are needed", n, per * dirs);
		return;
	}
	for (uint32_t i = 0; i < per * dirs; i++) {
		const char *name = n < 0 ? usual[r->cell][i % per] : names[i];
		const struct activation *a = find_activation(name);
		uint32_t at = i / per * 3 + i % per;

		if (!a) {
			emit_fail(e, -EOPNOTSUPP, "activation %.32s is not supported", name);
			return;
		}
		r->fn[at] = a->fn;
		r->fn_alpha[at] = a->alpha;
		r->fn_beta[at] = a->beta;
		if (a->has_alpha && alphas < n_alpha)
			r->fn_alpha[at] = alpha[alphas++];
		if (a->has_beta && betas < n_beta)
			r->fn_beta[at] = beta[betas++];
	}
	if (alphas < n_alpha || betas < n_beta)
		emit_fail(e, -EINVAL, "more activation parameters than activations that take one");
}

/* Is optional input @i absent, or a float tensor of this shape? */
static bool has_shape(struct emit *e, uint32_t i, uint32_t rank, const int64_t *dims)
{
	const struct build_tensor *t = emit_x(e, i);

	if (!emit_has(e, i))
		return true;
	if (t->rank == rank && !memcmp(t->dims, dims, rank * sizeof(*dims)) &&
	    t->type == (i == 4 ? BRAID_TYPE_I32 : emit_x(e, 0)->type))
		return true;
	emit_fail(e, -EINVAL, "input %u has another shape or type than it must", i);
	return false;
}

static const uint8_t swap01[3] = { 1, 0, 2 };

/* Initial states are [dirs][B][H]; batch first: [B][dirs][H]. */
static uint32_t state_in(struct emit *e, uint32_t i, bool batch_first)
{
	uint32_t t = emit_in(e, i);

	return emit_has(e, i) && batch_first ? build_transpose(e->b, t, swap01) : t;
}

static void emit_rnn(struct emit *e)
{
	static const char *const dir_names[] = { "forward", "reverse", "bidirectional", NULL };
	const struct build_tensor *x = emit_x(e, 0), *w = emit_x(e, 1);
	bool batch_first = e->opset >= 14 && emit_attr_int(e, "layout", 0);
	bool lstm = !strcmp(e->b->op_type, "LSTM"), gru = !strcmp(e->b->op_type, "GRU");
	int64_t gates = lstm ? 4 : gru ? 3 : 1, hidden, steps, batch, dirs;
	uint32_t in[8], n_in = e->n_in, n_out = e->n_out;
	struct prog_rnn r = { 0 };
	struct prog_op *op;

	if (emit_failed(e) || !emit_need_type(e, 0, EMIT_FLOATS))
		return;
	if (x->rank != 3 || w->rank != 3) {
		emit_fail(e, -EINVAL, "data of rank %u, weights of rank %u", x->rank, w->rank);
		return;
	}
	r.cell = lstm ? PROG_RNN_LSTM : gru ? PROG_RNN_GRU : PROG_RNN_PLAIN;
	r.dir = (enum prog_rnn_dir)emit_attr_enum(e, "direction", "forward", dir_names);
	dirs = r.dir == PROG_RNN_BIDIRECTIONAL ? 2 : 1;
	hidden = emit_attr_int(e, "hidden_size", w->dims[1] / gates);
	r.clip = emit_attr_float(e, "clip", 0.0f);
	if (gru)
		r.linear_before_reset = emit_attr_int(e, "linear_before_reset", 0) != 0;
	if (lstm)
		r.input_forget = emit_attr_int(e, "input_forget", 0) != 0;
	if (e->opset < 7)
		emit_ignore(e, "output_sequence");
	if (emit_failed(e))
		return;
	read_activations(e, &r, (uint32_t)dirs);
	if (hidden < 1 || hidden > 1 << 20) {
		emit_fail(e, -EINVAL, "hidden_size %lld", (long long)hidden);
		return;
	}
	r.hidden = (int32_t)hidden;
	steps = x->dims[batch_first];
	batch = x->dims[!batch_first];
	if (!has_shape(e, 1, 3, (int64_t[]){ dirs, gates * hidden, x->dims[2] }) ||
	    !has_shape(e, 2, 3, (int64_t[]){ dirs, gates * hidden, hidden }) ||
	    !has_shape(e, 3, 2, (int64_t[]){ dirs, 2 * gates * hidden }) ||
	    !has_shape(e, 4, 1, (int64_t[]){ batch }))
		return;
	for (uint32_t i = 5; i < (lstm ? 7 : 6); i++)
		if (!has_shape(e, i, 3, batch_first ? (int64_t[]){ batch, dirs, hidden } :
					(int64_t[]){ dirs, batch, hidden }))
			return;
	if (lstm && !has_shape(e, 7, 2, (int64_t[]){ dirs, 3 * hidden }))
		return;

	for (uint32_t i = 0; i < 8; i++)
		in[i] = i < n_in ? emit_in(e, i) : PROG_NONE;
	if (batch_first)
		in[0] = build_transpose(e->b, in[0], swap01);
	in[5] = state_in(e, 5, batch_first);
	if (lstm)
		in[6] = state_in(e, 6, batch_first);
	op = build_op(e->b, PROG_RNN, n_in, in, n_out);
	op->params.rnn = r;
	if (emit_wants(e, 0)) {
		static const uint8_t first[4] = { 2, 0, 1, 3 };
		uint32_t y = build_set_out(e->b, op, 0, x->type, 4,
					   (int64_t[]){ steps, dirs, batch, hidden });

		emit_out(e, 0, batch_first ? build_transpose(e->b, y, first) : y);
	}
	for (uint32_t i = 1; i < n_out; i++) {
		uint32_t y;

		if (!emit_wants(e, i))
			continue;
		y = build_set_out(e->b, op, i, x->type, 3, (int64_t[]){ dirs, batch, hidden });
		emit_out(e, i, batch_first ? build_transpose(e->b, y, swap01) : y);
	}
}

const struct emit_op op_rnn[] = {
	{ "LSTM", 1, EMIT_OPSET_MAX, 3, 8, 3, emit_rnn },
	{ "GRU", 3, EMIT_OPSET_MAX, 3, 6, 2, emit_rnn },
	{ "RNN", 1, EMIT_OPSET_MAX, 3, 6, 2, emit_rnn },
	{ NULL }
};
