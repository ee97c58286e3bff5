// SPDX-License-Identifier: MIT
/* Seeded inputs, see draw.h. No state. */
#include "tools/zoo/draw.h"

#include <string.h>

#include "tools/zoo/prng.h"

#define PATCH	16	/* pixels a side of a flat patch */

const char *const draw_kind_names[DRAW_KINDS] = {
	[DRAW_NORMAL] = "normal",
	[DRAW_IMAGE] = "image",
	[DRAW_BELOW] = "below",
	[DRAW_MASK] = "mask",
};

void draw_guess(struct draw *d)
{
	if (d->type == BRAID_TYPE_F32) {
		d->kind = d->rank == 4 ? DRAW_IMAGE : DRAW_NORMAL;
	} else {
		d->kind = strstr(d->name, "mask") ? DRAW_MASK : DRAW_BELOW;
		d->bound = 2;
	}
}

static float image_at(const struct draw *d, uint64_t noise, uint64_t patch, size_t i)
{
	const size_t w = d->dims[d->rank - 1], h = d->rank > 1 ? d->dims[d->rank - 2] : 1;
	const size_t across = (w + PATCH - 1) / PATCH, down = (h + PATCH - 1) / PATCH;
	const size_t plane = i / (h * w), y = i / w % h, x = i % w;
	const size_t cell = (plane * down + y / PATCH) * across + x / PATCH;
	const int v = 3 * prng_normal_int(prng_at(noise, i)) +
		      4 * prng_normal_int(prng_at(patch, cell));

	return v * (0.2 / PRNG_NORMAL_SIGMA);
}

static float real_at(const struct draw *d, uint64_t s, uint64_t noise, uint64_t patch, size_t i)
{
	return d->kind == DRAW_IMAGE ? image_at(d, noise, patch, i)
				     : prng_normal(prng_at(s, i), 1);
}

static uint32_t whole_at(const struct draw *d, uint64_t s, size_t i)
{
	const size_t row = d->rank ? d->dims[d->rank - 1] : 1;

	if (d->kind == DRAW_MASK)
		return i % row < row / 2 + prng_below(prng_at(s, i / row), row - row / 2 + 1);
	return prng_below(prng_at(s, i), d->bound);
}

void draw_tensor(const struct draw *d, uint64_t seed, void *to)
{
	const uint64_t s = prng_stream(seed, d->name);
	const uint64_t noise = prng_stream(s, "noise"), patch = prng_stream(s, "patch");
	const bool whole = d->kind == DRAW_BELOW || d->kind == DRAW_MASK;
	size_t n = 1;

	for (int i = 0; i < d->rank; i++)
		n *= d->dims[i];
	for (size_t i = 0; i < n; i++) {
		if (d->type == BRAID_TYPE_F32)
			((float *)to)[i] = whole ? (float)whole_at(d, s, i)
						 : real_at(d, s, noise, patch, i);
		else if (d->type == BRAID_TYPE_I64 && whole)
			((int64_t *)to)[i] = whole_at(d, s, i);
		else if (d->type == BRAID_TYPE_I32 && whole)
			((int32_t *)to)[i] = whole_at(d, s, i);
	}
}
