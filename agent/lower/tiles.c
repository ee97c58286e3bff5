// SPDX-License-Identifier: MIT
/*
 * The choice of tiles, see tiles.h. Constants and pure functions.
 */
#include "agent/lower/tiles.h"

#include "kernels/conv_args.h"

#define INFO(bm_, bn_, wm_, wn_, sl, st, ctas_)						\
	{ .bm = bm_, .bn = bn_, .wm = wm_, .wn = wn_, .slices = sl, .stages = st,	\
	  .ctas = ctas_, .smem = K_CONV_SMEM(bm_, bn_, sl, st), .name = #bm_ "x" #bn_ },
const struct tile_info tile_infos[] = { K_CONV_TILES(INFO) };
#undef INFO
const uint32_t n_tile_infos = sizeof(tile_infos) / sizeof(*tile_infos);

#define SMEM_OF_SM	(227u << 10)

static double larger(double a, double b)
{
	return a > b ? a : b;
}

/* Blocks of a tile that a multiprocessor holds at a time. */
static uint32_t resident(const struct tile_info *t)
{
	uint32_t n = SMEM_OF_SM / (t->smem + 1024);

	return n < t->ctas ? n : t->ctas;
}

double tile_model(const struct gpu_options *opt, const struct tile_shape *s,
		  const struct tile_choice *c)
{
	const struct tile_info *t = &tile_infos[c->tile];
	uint32_t sms = opt->n_sms ? opt->n_sms : 132, kt = (s->k + 63) / 64;
	uint32_t steps = (kt + c->split - 1) / c->split;
	uint64_t tiles = (uint64_t)((s->m + t->bm - 1) / t->bm) * ((s->n + t->bn - 1) / t->bn) * s->groups;
	uint64_t blocks = tiles * c->split;
	uint32_t most = resident(t), on = (uint32_t)((blocks + sms - 1) / sms);
	double waves, step, bytes = (double)(t->bm + t->bn) * 128, end;

	if (on > most)
		on = most;
	waves = (double)((blocks + (uint64_t)sms * on - 1) / ((uint64_t)sms * on));
	/* A step: what the second cache gives an SM, what its tensor cores take, the way there. */
	step = larger(bytes * on / 90.0, (double)t->bm * t->bn * 64 * on / 1900.0);
	step = larger(step, 800.0 / (t->stages - 1) / 1.0 * 0.55);
	step = larger(step, 120.0);
	end = 700.0 + (double)t->bm * t->bn * 4 / 60.0;
	if (c->split > 1)
		end += 500.0 + (double)t->bm * t->bn * 4 / 50.0;
	return 1200.0 + waves * (700.0 + steps * step + end);
}

static bool is_row(const struct tile_row *r, const struct tile_shape *s)
{
	return !r->shape.m ||
	       (r->shape.m == s->m && r->shape.n == s->n && r->shape.k == s->k &&
		r->shape.groups == s->groups && r->shape.window == s->window);
}

struct tile_choice tile_choose(const struct gpu_options *opt, const struct tile_shape *s)
{
	uint32_t kt = (s->k + 63) / 64;
	struct tile_choice best = { 0, 1 };
	double least = 0;

	for (uint32_t i = 0; opt->tiles && i < opt->tiles->n; i++)
		if (is_row(&opt->tiles->rows[i], s))
			return opt->tiles->rows[i].choice;
	for (uint32_t t = 0; t < n_tile_infos; t++)
		for (uint32_t split = 1; split <= 8; split *= 2) {
			struct tile_choice c = { t, split };
			double ns;

			if (split > 1 && split * 2 > kt)
				break;
			ns = tile_model(opt, s, &c);
			if (least > 0 && ns >= least)
				continue;
			least = ns;
			best = c;
		}
	return best;
}
