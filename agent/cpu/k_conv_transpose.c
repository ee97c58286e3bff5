// SPDX-License-Identifier: MIT
/*
 * CONV_TRANSPOSE: output pixels whose coordinates leave the same remainder by
 * the stride meet the same taps of the kernel, and for these the operation is
 * a plain convolution of step 1. So it is igemm.c with a phase a remainder,
 * but for enlargements, which k_upconv.c does.
 */
#include <errno.h>
#include <stdlib.h>

#include "agent/cpu/conv.h"
#include "agent/cpu/igemm.h"

#define MAX_PHASES	4096

static int check(const struct program *p, const struct prog_op *op, char *why, size_t len)
{
	const struct prog_window *win = &op->params.conv.win;
	const struct prog_tensor *y = &p->tensors[op->out[0]];
	int64_t n = 1;

	for (int i = 0; i < 3; i++) {
		n *= win->stride[i] < y->dims[i + 1] ? win->stride[i] : y->dims[i + 1];
		if (n > MAX_PHASES)
			return cpu_refuse(op, why, len,
					  "the product of its strides is over %d", MAX_PHASES);
	}
	return igemm_check(p, op, why, len);
}

/* Taps along one dimension that meet outputs of remainder @first. */
static bool meets(const struct prog_window *win, int i, int64_t first, int64_t k, int64_t *off)
{
	int64_t at = first + win->pad_lo[i] - k * win->dilation[i];

	if (at % win->stride[i])
		return false;
	*off = at / win->stride[i];
	return true;
}

static int make_phase(const struct prog_window *win, struct igemm *g, struct igemm_phase *ph)
{
	const int32_t *k = win->kernel;
	struct igemm_tap *tap;

	ph->pixels = g->in[0];
	for (int i = 0; i < 3; i++) {
		ph->q[i] = (g->out[i + 1] - ph->first[i] + win->stride[i] - 1) / win->stride[i];
		ph->pixels *= ph->q[i];
	}
	ph->taps = tap = calloc((size_t)k[0] * k[1] * k[2], sizeof(*tap));
	if (!tap)
		return -ENOMEM;
	for (int64_t d = 0; d < k[0]; d++)
		for (int64_t h = 0; h < k[1]; h++)
			for (int64_t w = 0; w < k[2]; w++) {
				if (!meets(win, 0, ph->first[0], d, &tap->off[0]) ||
				    !meets(win, 1, ph->first[1], h, &tap->off[1]) ||
				    !meets(win, 2, ph->first[2], w, &tap->off[2]))
					continue;
				tap->w = ((d * k[1] + h) * k[2] + w) * g->mg;
				tap++;
			}
	ph->n_taps = (uint32_t)(tap - ph->taps);
	return 0;
}

static int prepare(struct cpu_op *co)
{
	const struct prog_conv *cv = &co->op->params.conv;
	const struct prog_window *win = &cv->win;
	int64_t n[3], taps;
	struct igemm *g;

	if (upconv_fits(co))
		return upconv_prepare(co);
	g = calloc(1, sizeof(*g));
	if (!g)
		return -ENOMEM;
	igemm_geometry(co, g, cv->group);
	for (int i = 0; i < 3; i++) {
		n[i] = win->stride[i] < g->out[i + 1] ? win->stride[i] : g->out[i + 1];
		g->step[i] = 1;
		g->out_step[i] = win->stride[i];
	}
	taps = (int64_t)win->kernel[0] * win->kernel[1] * win->kernel[2];
	g->w_k = taps * g->mg;
	g->w_n = 1;
	g->w_group = g->cg * g->w_k;
	g->phases = calloc(n[0] * n[1] * n[2], sizeof(*g->phases));
	if (!g->phases)
		goto nomem;
	for (int64_t d = 0; d < n[0]; d++)
		for (int64_t h = 0; h < n[1]; h++)
			for (int64_t w = 0; w < n[2]; w++) {
				struct igemm_phase *ph = &g->phases[g->n_phases++];

				ph->first[0] = d;
				ph->first[1] = h;
				ph->first[2] = w;
				if (make_phase(win, g, ph))
					goto nomem;
			}
	if (igemm_finish(co, g))
		goto nomem;
	return 0;
nomem:
	igemm_free(g);
	return -ENOMEM;
}

const struct cpu_kernel cpu_k_conv_transpose = {
	.check = check,
	.prepare = prepare,
	.release = igemm_release,
	.tiles = igemm_tiles,
	.run = igemm_run,
};
