/* SPDX-License-Identifier: MIT */
/*
 * LSTM, GRU and the plain cell: a block steps one row of one direction of one
 * request through time; the state stays in shared memory, the weights come
 * from the cache at each step. A thread makes one gate of one unit.
 *
 * Padding by lengths: a row's state stands still behind its last step, its
 * outputs there are zero, and its reverse begins at its last step.
 */
#ifndef BRAID_KERNELS_RNN_CUH
#define BRAID_KERNELS_RNN_CUH

#include "map_fn.cuh"

enum { CELL_LSTM, CELL_GRU, CELL_PLAIN };

/* What a block works on; arrays in shared memory. */
struct rnn_row {
	u32 r, dir, b;
	float *x, *h, *c, *gate, *part;
	const char *w, *rec, *bias, *peep;
};

/* Sum over k of v[k] * m[k][col], the matrix packed or as ONNX has it. */
DEV float rnn_dot(const struct k_rnn &a, const char *m, u32 type, const float *v, u32 n, u32 col)
{
	u32 width = a.gates * a.hidden;
	float s0 = 0.0f, s1 = 0.0f, s2 = 0.0f, s3 = 0.0f;
	i32 at = (i32)(a.packed ? col : col * n), step = a.packed ? (i32)width : 1;
	u32 k = 0;

	for (; k + 4 <= n; k += 4, at += 4 * step) {
		s0 = fmaf(v[k], ld_float(m, type, at), s0);
		s1 = fmaf(v[k + 1], ld_float(m, type, at + step), s1);
		s2 = fmaf(v[k + 2], ld_float(m, type, at + 2 * step), s2);
		s3 = fmaf(v[k + 3], ld_float(m, type, at + 3 * step), s3);
	}
	for (; k < n; k++, at += step)
		s0 = fmaf(v[k], ld_float(m, type, at), s0);
	return (s0 + s1) + (s2 + s3);
}

DEV float rnn_bias(const struct k_rnn &a, const struct rnn_row &w, u32 col, bool recurrent)
{
	if (!a.has_bias)
		return 0.0f;
	return ld_float(w.bias, a.bias.type, (i32)(col + (recurrent ? a.gates * a.hidden : 0)));
}

/* Clips, then function @which of this direction; an LSTM's third is not clipped. */
DEV float rnn_act(const struct k_rnn &a, const struct rnn_row &w, u32 which, float v)
{
	u32 f = w.dir * 3 + which;

	if (a.clip > 0.0f && which != 2)
		v = clamp(v, -a.clip, a.clip);
	return map_unary<float>(a.fn[f], a.fn_alpha[f], a.fn_beta[f], v);
}

DEV float rnn_peep(const struct k_rnn &a, const struct rnn_row &w, u32 which, u32 u)
{
	return a.has_peep ? ld_float(w.peep, a.peep.type, (i32)(which * a.hidden + u)) : 0.0f;
}

DEV void lstm_unit(const struct k_rnn &a, const struct rnn_row &w, u32 u)
{
	float c = w.c[u], i, o, f, z;

	i = rnn_act(a, w, 0, w.gate[u] + rnn_peep(a, w, 0, u) * c);
	if (a.input_forget)
		f = 1.0f - i;
	else
		f = rnn_act(a, w, 0, w.gate[2 * a.hidden + u] + rnn_peep(a, w, 2, u) * c);
	z = rnn_act(a, w, 1, w.gate[3 * a.hidden + u]);
	c = f * c + i * z;
	o = rnn_act(a, w, 0, w.gate[a.hidden + u] + rnn_peep(a, w, 1, u) * c);
	w.c[u] = c;
	w.h[u] = o * rnn_act(a, w, 2, c);
}

/* GRU: gates z, r, h; the third's recurrent half needs the second. */
DEV void gru_step(const struct k_rnn &a, const struct rnn_row &w)
{
	u32 n = a.hidden;

	for (u32 u = tid(); u < n; u += K_THREADS) {
		float r = rnn_act(a, w, 0, w.gate[n + u]);

		w.gate[n + u] = r;
		w.part[u] = a.linear_before_reset ? w.h[u] : r * w.h[u];
	}
	sync();
	for (u32 u = tid(); u < n; u += K_THREADS) {
		float t = rnn_dot(a, w.rec, a.r.type, w.part, n, 2 * n + u) + rnn_bias(a, w, 2 * n + u, true);
		float z = rnn_act(a, w, 0, w.gate[u]);

		if (a.linear_before_reset)
			t *= w.gate[n + u];
		t = rnn_act(a, w, 1, w.gate[2 * n + u] + t);
		w.h[u] = (1.0f - z) * t + z * w.h[u];
	}
}

DEV void rnn_step(const struct k_rnn &a, const struct rnn_row &w, i32 t)
{
	const char *x = ref_at(a.x, w.r);
	u32 cols = a.gates * a.hidden;

	for (u32 k = tid(); k < a.width; k += K_THREADS)
		w.x[k] = ld_float(x, a.x.type, (i32)(((u32)t * a.batch + w.b) * a.width + k));
	sync();
	for (u32 col = tid(); col < cols; col += K_THREADS) {
		bool candidate = a.cell == CELL_GRU && col >= 2 * a.hidden;
		float v = rnn_dot(a, w.w, a.w.type, w.x, a.width, col) + rnn_bias(a, w, col, false);

		if (!candidate)
			v += rnn_dot(a, w.rec, a.r.type, w.h, a.hidden, col) + rnn_bias(a, w, col, true);
		w.gate[col] = v;
	}
	sync();
	if (a.cell == CELL_GRU) {
		gru_step(a, w);
	} else {
		for (u32 u = tid(); u < a.hidden; u += K_THREADS) {
			if (a.cell == CELL_LSTM)
				lstm_unit(a, w, u);
			else
				w.h[u] = rnn_act(a, w, 0, w.gate[u]);
		}
	}
	sync();
}

DEV i32 rnn_length(const struct k_rnn &a, const struct rnn_row &w)
{
	i64 n;

	if (!a.has_lens)
		return (i32)a.steps;
	n = ld_int(ref_at(a.lens, w.r), a.lens_type, (i32)w.b);
	return n < 0 ? 0 : n > (i64)a.steps ? (i32)a.steps : (i32)n;
}

DEV void rnn_tile(const struct k_rnn &a, u32 tile, char *smem)
{
	struct rnn_row w;
	u32 row, state;
	i32 len, *shared_len;
	char *y;

	w.b = tile % a.batch;
	w.dir = tile / a.batch % a.dirs;
	w.r = tile / a.batch / a.dirs;
	w.x = (float *)smem;
	w.h = w.x + a.width;
	w.c = w.h + a.hidden;
	w.part = w.c + a.hidden;
	w.gate = w.part + a.hidden;
	shared_len = (i32 *)(w.gate + a.gates * a.hidden);
	pdl_wait();
	w.w = ref_at(a.w, w.r) + (i64)w.dir * a.gates * a.hidden * a.width * type_size(a.w.type);
	w.rec = ref_at(a.r, w.r) + (i64)w.dir * a.gates * a.hidden * a.hidden * type_size(a.r.type);
	w.bias = a.has_bias ? ref_at(a.bias, w.r) + (i64)w.dir * 2 * a.gates * a.hidden *
			      type_size(a.bias.type) : NULL;
	w.peep = a.has_peep ? ref_at(a.peep, w.r) + (i64)w.dir * 3 * a.hidden * type_size(a.peep.type) : NULL;
	y = a.has_y ? ref_at(a.y, w.r) : NULL;
	/* Loaded once: its owner may write it meanwhile, and all must go the same way. */
	if (!tid())
		*shared_len = rnn_length(a, w);
	state = (w.dir * a.batch + w.b) * a.hidden;
	for (u32 u = tid(); u < a.hidden; u += K_THREADS) {
		w.h[u] = a.has_h0 ? ld_float(ref_at(a.h0, w.r), a.h0.type, (i32)(state + u)) : 0.0f;
		w.c[u] = a.has_c0 ? ld_float(ref_at(a.c0, w.r), a.c0.type, (i32)(state + u)) : 0.0f;
	}
	sync();
	len = *shared_len;
	for (i32 k = 0; k < (i32)a.steps; k++) {
		bool reverse = a.reverse || w.dir;
		i32 t = k >= len ? -1 : reverse ? len - 1 - k : k;

		if (t >= 0)
			rnn_step(a, w, t);
		if (!a.has_y)
			continue;
		row = (((u32)(t < 0 ? k : t) * a.dirs + w.dir) * a.batch + w.b) * a.hidden;
		for (u32 u = tid(); u < a.hidden; u += K_THREADS)
			st_float(y, a.y.type, (i32)(row + u), t < 0 ? 0.0f : w.h[u]);
	}
	for (u32 u = tid(); u < a.hidden; u += K_THREADS) {
		if (a.has_yh)
			st_float(ref_at(a.yh, w.r), a.yh.type, (i32)(state + u), w.h[u]);
		if (a.has_yc)
			st_float(ref_at(a.yc, w.r), a.yc.type, (i32)(state + u), w.c[u]);
	}
}

#endif
