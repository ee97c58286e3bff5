// SPDX-License-Identifier: MIT
/*
 * LRN, channels last: y = x / (bias + alpha / size * S)^beta, S the sum of the
 * squares over a window of channels around each. fp32.
 *
 * An item is a pixel: all of its channels. The squares wait in scratch with
 * zeros on both sides, so that the window needs no bounds. No state.
 */
#include <string.h>

#include "agent/cpu/convert.h"
#include "agent/cpu/clones.h"
#include "agent/cpu/kernel.h"
#include "agent/cpu/vmath.h"
#include "agent/cpu/walk.h"

struct window {
	int64_t channels, before, after;	/* neighbours, no more than there are channels */
};

static struct window window_of(const struct cpu_op *co)
{
	const struct prog_tensor *x = cpu_in_tensor(co, 0);
	int64_t size = co->op->params.lrn.size, c = x->dims[x->rank - 1];
	struct window w = { .channels = c, .before = (size - 1) / 2, .after = size / 2 };

	w.before = w.before < c ? w.before : c;
	w.after = w.after < c ? w.after : c;
	return w;
}

static int lrn_check(const struct program *p, const struct prog_op *op, char *why, size_t len)
{
	if (p->tensors[op->in[0]].type != BRAID_TYPE_F32)
		return cpu_refuse(op, why, len, "data are %s",
				  prog_type_name(p->tensors[op->in[0]].type));
	return 0;
}

static int lrn_prepare(struct cpu_op *co)
{
	struct window w = window_of(co);

	co->scratch = (size_t)(w.before + 2 * w.channels + w.after) * sizeof(float);
	return 0;
}

static int64_t grain(const struct window *w)
{
	return w->channels < WALK_GRAIN / 4 ? WALK_GRAIN / 4 / w->channels : 1;
}

static uint32_t lrn_tiles(const struct cpu_op *co, uint32_t degree)
{
	struct window w = window_of(co);

	return cpu_pieces(degree, cpu_in_tensor(co, 0)->elems / w.channels, grain(&w));
}

static CLONES_BODY void pixel_body(const struct prog_lrn *p, const struct window *w, float *y,
				   const float *x, float *square, float *sum)
{
	float alpha = p->alpha / (float)p->size, beta = -p->beta, bias = p->bias;
	int64_t n = w->channels;

	CLONES_LOOP
	for (int64_t i = 0; i < n; i++)
		square[w->before + i] = x[i] * x[i];
	memset(sum, 0, n * sizeof(*sum));
	for (int64_t k = 0; k <= w->before + w->after; k++) {
		CLONES_LOOP
		for (int64_t i = 0; i < n; i++)
			sum[i] += square[k + i];
	}
	CLONES_LOOP
	for (int64_t i = 0; i < n; i++)
		y[i] = x[i] * vm_expf(beta * vm_logf(bias + alpha * sum[i]));
}
CLONES(static, pixel, (const struct prog_lrn *p, const struct window *w, float *y,
		       const float *x, float *square, float *sum), (p, w, y, x, square, sum))

static void lrn_run(const struct cpu_run *run, const struct cpu_op *co,
		    uint32_t tile, uint32_t n_tiles)
{
	struct window w = window_of(co);
	struct cpu_piece c = cpu_piece(run->degree, cpu_in_tensor(co, 0)->elems / w.channels,
				       grain(&w), tile);
	float *square = run->scratch;
	float *sum = square + w.before + w.channels + w.after;

	memset(square, 0, (size_t)(w.before + w.channels + w.after) * sizeof(*square));
	for (uint32_t r = c.r; r < c.r_end; r++) {
		const float *x = cpu_in(run, co, 0, r);
		float *y = cpu_out(run, co, 0, r);

		for (int64_t i = c.begin; i < c.end; i++)
			pixel(&co->op->params.lrn, &w, y + i * w.channels, x + i * w.channels,
			      square, sum);
	}
}

const struct cpu_kernel cpu_k_lrn = {
	.check = lrn_check,
	.prepare = lrn_prepare,
	.tiles = lrn_tiles,
	.run = lrn_run,
};
