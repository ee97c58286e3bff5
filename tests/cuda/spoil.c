// SPDX-License-Identifier: MIT
/*
 * See spoil.h. Looks at the backend's own structures: what lies between a plan's steps
 * is no part of what it offers. Keeps nothing.
 */
#include <errno.h>

#include "agent/cuda/cuda.h"
#include "tests/cuda/spoil.h"

/* NaN in 16 bits as in 32. */
static cu_result fill(struct backend *be, const struct slot *s)
{
	const cu_ptr end = s->scratch[TILES_ALONE];

	return s->busy ? 0 : be->dev.cu.set_d32(s->arena, ~0u, (end - s->arena) / 4);
}

int spoil(struct backend *be, struct backend_model *m)
{
	cu_result res = 0;

	model_grown(m);
	for (const struct slot *s = m->free; s && !res; s = s->next_free)
		res = fill(be, s);
	/* Those for graphs of several models are in no list. */
	for (uint32_t i = m->n_plain; i < m->n_slots && !res; i++)
		res = fill(be, &m->slots[i]);
	/* Streams of lanes do not wait for the default one. */
	if (!res)
		res = be->dev.cu.stream_synchronize(NULL);
	return res ? -EIO : 0;
}
