// SPDX-License-Identifier: MIT
/*
 * CONV: the choice of a way, and the plain one.
 *
 *   k_dwconv.c	one channel a group, as many out as in: vectors over channels
 *   k_rowconv.c	few channels (images): rows with padding copied, then a product
 *   here	all else: igemm.c with one phase
 */
#include <errno.h>
#include <stdlib.h>

#include "agent/cpu/conv.h"
#include "agent/cpu/igemm.h"

static const struct cpu_kernel dense = {
	.release = igemm_release,
	.tiles = igemm_tiles,
	.run = igemm_run,
};

static int dense_prepare(struct cpu_op *co)
{
	const struct prog_conv *cv = &co->op->params.conv;
	const struct prog_window *win = &cv->win;
	struct igemm *g = calloc(1, sizeof(*g));
	struct igemm_phase *ph;
	struct igemm_tap *tap;
	int64_t at = 0;

	if (!g)
		return -ENOMEM;
	igemm_geometry(co, g, cv->group);
	g->phases = ph = calloc(1, sizeof(*ph));
	if (!ph)
		goto nomem;
	g->n_phases = 1;
	ph->n_taps = win->kernel[0] * win->kernel[1] * win->kernel[2];
	ph->pixels = g->in[0];
	ph->taps = tap = calloc(ph->n_taps, sizeof(*tap));
	if (!tap)
		goto nomem;
	for (int i = 0; i < 3; i++) {
		ph->q[i] = g->out[i + 1];
		ph->pixels *= ph->q[i];
		g->step[i] = win->stride[i];
		g->out_step[i] = 1;
	}
	for (int64_t d = 0; d < win->kernel[0]; d++)
		for (int64_t h = 0; h < win->kernel[1]; h++)
			for (int64_t w = 0; w < win->kernel[2]; w++, tap++) {
				tap->off[0] = d * win->dilation[0] - win->pad_lo[0];
				tap->off[1] = h * win->dilation[1] - win->pad_lo[1];
				tap->off[2] = w * win->dilation[2] - win->pad_lo[2];
				tap->w = at++ * g->cg;
			}
	g->w_k = 1;
	g->w_n = ph->n_taps * g->cg;
	g->w_group = g->mg * g->w_n;
	if (igemm_finish(co, g))
		goto nomem;
	co->kernel = &dense;
	return 0;
nomem:
	igemm_free(g);
	return -ENOMEM;
}

static int conv_prepare(struct cpu_op *co)
{
	if (dwconv_fits(co))
		return dwconv_prepare(co);
	if (rowconv_fits(co))
		return rowconv_prepare(co);
	return dense_prepare(co);
}

const struct cpu_kernel cpu_k_conv = {
	.check = igemm_check,
	.prepare = conv_prepare,
};
