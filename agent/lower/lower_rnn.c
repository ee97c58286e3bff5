// SPDX-License-Identifier: MIT
/*
 * RNN: LSTM, GRU and the plain cell.
 */
#include "agent/lower/lower.h"

#include <stdlib.h>

#define MAX_SMEM	(96u << 10)

enum { IN_X, IN_W, IN_R, IN_B, IN_LENS, IN_H0, IN_C0, IN_P };

/* [dirs][cols][n] turned to [dirs][n][cols], so that neighbouring units lie together. */
static struct lower_val turned(struct lower *l, uint32_t t)
{
	const struct prog_tensor *pt = lower_t(l, t);
	const float *from = lower_const_data(l, t);
	int64_t cols = pt->dims[1], n = pt->dims[2];
	float *to = malloc((size_t)pt->elems * sizeof(*to));
	struct lower_val v = { .type = K_F32, .rank = 1, .dims = { pt->elems }, .stride = { 1 } };

	if (!to) {
		lower_nomem(l);
		return v;
	}
	for (int64_t d = 0; d < pt->dims[0]; d++)
		for (int64_t c = 0; c < cols; c++)
			for (int64_t k = 0; k < n; k++)
				to[(d * n + k) * cols + c] = from[(d * cols + c) * n + k];
	v.buf = lower_const(l, to, (uint64_t)pt->elems * sizeof(*to));
	free(to);
	return v;
}

static bool has_in(const struct prog_op *op, uint32_t i)
{
	return i < op->n_in && op->in[i] != PROG_NONE;
}

static bool has_out(const struct prog_op *op, uint32_t i)
{
	return i < op->n_out && op->out[i] != PROG_NONE;
}

void lower_rnn(struct lower *l)
{
	static const struct {
		size_t flag, ref;
		uint32_t in;
	} optional[] = {
		{ offsetof(struct k_rnn, has_bias), offsetof(struct k_rnn, bias), IN_B },
		{ offsetof(struct k_rnn, has_lens), offsetof(struct k_rnn, lens), IN_LENS },
		{ offsetof(struct k_rnn, has_h0), offsetof(struct k_rnn, h0), IN_H0 },
		{ offsetof(struct k_rnn, has_c0), offsetof(struct k_rnn, c0), IN_C0 },
		{ offsetof(struct k_rnn, has_peep), offsetof(struct k_rnn, peep), IN_P },
	};
	static const size_t out_ref[] = {
		offsetof(struct k_rnn, y), offsetof(struct k_rnn, yh), offsetof(struct k_rnn, yc),
	};
	const struct prog_op *op = l->op;
	const struct prog_rnn *p = &op->params.rnn;
	struct lower_val x, w, r, opt[5], out[3];
	struct k_rnn a = { .hidden = (k_u32)p->hidden, .clip = p->clip };
	uint64_t smem;
	struct lower_step *s;

	if (lower_t(l, op->in[IN_X])->type != BRAID_TYPE_F32) {
		lower_refuse(l, "its input is not float");
		return;
	}
	x = lower_read_dense(l, op->in[IN_X]);
	a.packed = lower_const_data(l, op->in[IN_W]) && lower_const_data(l, op->in[IN_R]);
	w = a.packed ? turned(l, op->in[IN_W]) : lower_read_dense(l, op->in[IN_W]);
	r = a.packed ? turned(l, op->in[IN_R]) : lower_read_dense(l, op->in[IN_R]);
	for (int i = 0; i < 5; i++)
		if (has_in(op, optional[i].in)) {
			opt[i] = lower_read_dense(l, op->in[optional[i].in]);
			*(k_u32 *)((uint8_t *)&a + optional[i].flag) = 1;
		}
	a.lens_type = has_in(op, IN_LENS) ? opt[1].type : 0;
	for (uint32_t i = 0; i < 3; i++)
		if (has_out(op, i))
			out[i] = lower_write(l, op->out[i]);
	a.has_y = has_out(op, 0);
	a.has_yh = has_out(op, 1);
	a.has_yc = has_out(op, 2);
	a.steps = (k_u32)x.dims[0];
	a.batch = (k_u32)x.dims[1];
	a.width = (k_u32)x.dims[2];
	a.gates = p->cell == PROG_RNN_LSTM ? 4 : p->cell == PROG_RNN_GRU ? 3 : 1;
	a.dirs = p->dir == PROG_RNN_BIDIRECTIONAL ? 2 : 1;
	a.reverse = p->dir == PROG_RNN_REVERSE;
	a.cell = (k_u32)p->cell;
	a.linear_before_reset = p->linear_before_reset;
	a.input_forget = p->input_forget;
	for (int i = 0; i < 6; i++) {
		a.fn[i] = (k_u32)p->fn[i];
		a.fn_alpha[i] = p->fn_alpha[i];
		a.fn_beta[i] = p->fn_beta[i];
	}
	/* Input, states and gates of a step, and the row's length. */
	smem = ((uint64_t)a.width + 3 * (uint64_t)a.hidden + (uint64_t)a.gates * a.hidden + 1) * sizeof(float);
	if (smem > MAX_SMEM) {
		lower_refuse(l, "its state takes %llu bytes of shared memory, %u are the limit",
			     (unsigned long long)smem, MAX_SMEM);
		return;
	}
	s = LOWER_STEP(l, "rnn", "braid_rnn", (uint32_t)smem, a, (uint64_t)a.dirs * a.batch);
	LOWER_READ(l, s, struct k_rnn, x, &x);
	LOWER_READ(l, s, struct k_rnn, w, &w);
	LOWER_READ(l, s, struct k_rnn, r, &r);
	for (int i = 0; i < 5; i++)
		if (has_in(op, optional[i].in))
			lower_ref_read(l, s, optional[i].ref, &opt[i]);
	for (uint32_t i = 0; i < 3; i++)
		if (has_out(op, i))
			lower_ref_write(l, s, out_ref[i], &out[i]);
}
