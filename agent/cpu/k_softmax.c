// SPDX-License-Identifier: MIT
/*
 * SOFTMAX, log-softmax and hardmax over a run of axes.
 *
 * x is seen as [outer][n][inner]. With inner 1 a row lies together; else
 * columns are gathered through scratch. A tile is some rows.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "agent/cpu/kernel.h"
#include "agent/cpu/simd.h"

#define TILE_ELEMS	16384

struct softmax {
	int64_t outer, n, inner, grain;
};

static int check(const struct program *p, const struct prog_op *op, char *why, size_t len)
{
	if (p->tensors[op->in[0]].type != BRAID_TYPE_F32)
		return cpu_refuse(op, why, len, "its input is not float");
	return 0;
}

static int prepare(struct cpu_op *co)
{
	const struct prog_softmax *ps = &co->op->params.softmax;
	const struct prog_tensor *x = cpu_in_tensor(co, 0);
	struct softmax *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->outer = s->n = s->inner = 1;
	for (int32_t i = 0; i < (int32_t)x->rank; i++) {
		if (i < ps->axis)
			s->outer *= x->dims[i];
		else if (i < ps->axis + ps->n_axes)
			s->n *= x->dims[i];
		else
			s->inner *= x->dims[i];
	}
	s->grain = s->n < TILE_ELEMS ? TILE_ELEMS / s->n : 1;
	if (s->inner > 1)
		co->scratch = 2 * (size_t)s->n * sizeof(float);
	co->priv = s;
	return 0;
}

static void release(struct cpu_op *co)
{
	free(co->priv);
}

static uint32_t tiles(const struct cpu_op *co, uint32_t degree)
{
	const struct softmax *s = co->priv;

	return cpu_pieces(degree, s->outer * s->inner, s->grain);
}

/* x and y are apart: the logarithm reads x after y held the exponentials. */
static void row(enum prog_softmax_kind kind, float *y, const float *x, int64_t n)
{
	const struct cpu_simd *v = cpu_simd();
	float most = v->max(x, n), sum;

	if (kind == PROG_SOFTMAX_HARD) {
		bool found = false;

		for (int64_t i = 0; i < n; i++) {
			bool it = !found && (x[i] == most || most != most);

			y[i] = it ? 1.0f : 0.0f;
			found = found || it;
		}
		return;
	}
	if (kind == PROG_SOFTMAX_PLAIN) {
		sum = v->exp_sum(y, x, n, most);
		v->scale(y, y, n, 1.0f / sum);
		return;
	}
	sum = logf(v->exp_sum(y, x, n, most)) + most;
	for (int64_t i = 0; i < n; i++)
		y[i] = x[i] - sum;
}

static void run_softmax(const struct cpu_run *run, const struct cpu_op *co, uint32_t tile,
			uint32_t n_tiles)
{
	const struct softmax *s = co->priv;
	enum prog_softmax_kind kind = co->op->params.softmax.kind;
	struct cpu_piece pc = cpu_piece(run->degree, s->outer * s->inner, s->grain, tile);
	float *t = run->scratch;

	for (uint32_t r = pc.r; r < pc.r_end; r++) {
		const float *x = cpu_in(run, co, 0, r);
		float *y = cpu_out(run, co, 0, r);

		for (int64_t i = pc.begin; i < pc.end; i++) {
			int64_t at = i / s->inner * s->n * s->inner + i % s->inner;

			if (s->inner == 1) {
				row(kind, y + at, x + at, s->n);
				continue;
			}
			for (int64_t k = 0; k < s->n; k++)
				t[k] = x[at + k * s->inner];
			row(kind, t + s->n, t, s->n);
			for (int64_t k = 0; k < s->n; k++)
				y[at + k * s->inner] = t[s->n + k];
		}
	}
}

const struct cpu_kernel cpu_k_softmax = {
	.check = check,
	.prepare = prepare,
	.release = release,
	.tiles = tiles,
	.run = run_softmax,
};
