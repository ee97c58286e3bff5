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
static const struct tile_info generics[] = { K_CONV_GENERIC(INFO) };
#undef INFO
const uint32_t n_tile_infos = sizeof(tile_infos) / sizeof(*tile_infos);

#define WHOLE		132u	/* multiprocessors, where nobody says how many */
#define BLOCK		1024u	/* shared memory that a block takes beside its own */
#define STEP		K_CONV_STEP
#define NEAR		1.25	/* times the rows: a table's choice is as good */
#define NEAR_IN_CROWD	4.0

uint32_t tile_sms(const struct gpu_options *opt)
{
	return opt->n_sms ? opt->n_sms : WHOLE;
}

static double larger(double a, double b)
{
	return a > b ? a : b;
}

const struct tile_info *tile_generic(const struct tile_info *t)
{
	const struct tile_info *g = generics;

	while (t->bm % g->bm || t->bn % g->bn)
		g++;
	return g;
}

uint32_t tile_steps(const struct tile_shape *s, uint32_t *together)
{
	if (!s->taps) {
		*together = 1;
		return (s->k + STEP - 1) / STEP;
	}
	*together = s->taps;
	return (s->c + STEP - 1) / STEP * s->taps;
}

uint32_t tile_per(const struct tile_shape *s, uint32_t split)
{
	uint32_t together;
	uint32_t steps = tile_steps(s, &together);

	steps /= together;
	return (steps + split - 1) / split * together;
}

uint32_t tile_smem_of(const struct tile_shape *s, const struct tile_info *t, uint32_t split)
{
	uint32_t pipe, sums;

	if (s->hidden)
		return t->smem + K_SE_SMEM(K_SE_IMAGES(t->bm, s->pixels), tile_per(s, split) * STEP, s->hidden);
	if (!s->taps)
		return t->smem;
	pipe = t->stages * t->bn * 128 + 128 +
	       (tile_per(s, split) > s->taps ? 2 : 1) * (t->bm + s->reach) * 128;
	sums = K_CONV_SUMS(t->bm, t->bn, t->slices);
	return t->bn * 4 + (pipe > sums ? pipe : sums);
}

uint32_t tile_smem(const struct tile_shape *s, const struct tile_choice *c)
{
	return tile_smem_of(s, &tile_infos[c->tile], c->split);
}

uint32_t tile_most(uint32_t sm)
{
	return (sm >= 90 ? 227 : sm == 86 || sm == 89 ? 99 : 163) << 10;
}

/* Blocks of a tile that a multiprocessor holds at a time. */
static uint32_t resident(const struct gpu_options *opt, const struct tile_shape *s,
			 const struct tile_choice *c)
{
	uint32_t n = (tile_most(opt->sm) + BLOCK) / (tile_smem(s, c) + BLOCK);

	return n < tile_infos[c->tile].ctas ? n : tile_infos[c->tile].ctas;
}

double tile_model(const struct gpu_options *opt, const struct tile_shape *s,
		  const struct tile_choice *c)
{
	const struct tile_info *t = &tile_infos[c->tile];
	uint32_t sms = tile_sms(opt), steps = tile_per(s, c->split);
	uint64_t tiles = (uint64_t)((s->m + t->bm - 1) / t->bm) * ((s->n + t->bn - 1) / t->bn) * s->groups;
	uint64_t blocks = tiles * c->split;
	uint32_t most = resident(opt, s, c), on = (uint32_t)((blocks + sms - 1) / sms);
	double waves, step, bytes, share, end, all = blocks < sms ? (double)blocks : sms;

	if (on > most)
		on = most;
	waves = (double)((blocks + (uint64_t)sms * on - 1) / ((uint64_t)sms * on));
	bytes = (double)t->bn * 128;
	bytes += s->taps ? (double)(t->bm + s->reach) * 128 / s->taps : (double)t->bm * 128;
	/* Bytes a nanosecond: what one multiprocessor takes, or its share of the second cache. */
	share = 5500.0 / all;
	share = share > 100.0 ? 100.0 : share;
	step = larger(bytes * on / share, (double)t->bm * t->bn * 64 * on / 2000.0);
	step = larger(step, 900.0 / (t->stages - 1));
	step = larger(step, 150.0 * on);
	end = 500.0 + (double)t->bm * t->bn * 6 * on / share;
	if (s->hidden)
		end += K_SE_W2(steps * STEP, s->hidden) * on / share + steps * s->hidden * 2.0 + 600.0;
	if (c->split > 1)
		end += 1500.0 + (double)t->bm * t->bn * 4 * (c->split + 1) / 60.0;
	return 1300.0 + waves * (800.0 + steps * step + end);
}

enum tile_kind tile_kind(const struct tile_shape *s)
{
	return s->hidden ? TILE_SCALED : s->taps ? TILE_PATCH : s->window ? TILE_WINDOW : TILE_ROWS;
}

/*
 * Large tiles save what all multiprocessors together take from the second cache:
 * where these are many, K is deep, and each has several tiles.
 */
static bool is_large(const struct gpu_options *opt, const struct tile_shape *s, const struct tile_info *t)
{
	uint32_t sms = tile_sms(opt);

	return sms >= 64 && s->k >= 12 * STEP && (s->m / t->bm) * (s->n / t->bn) * s->groups >= 5 * sms / 2;
}

bool tile_fits(const struct gpu_options *opt, const struct tile_shape *s, const struct tile_choice *c)
{
	if (tile_infos[c->tile].bm > TILE_LARGE && (s->taps || s->hidden))
		return false;
	/* A patch is asked for one chunk of channels ahead: as many stages must lie between. */
	return tile_smem(s, c) <= tile_most(opt->sm) && (!s->taps || s->taps + 1 >= tile_infos[c->tile].stages);
}

bool tile_is_sound(const struct gpu_options *opt, const struct tile_shape *s, const struct tile_choice *c)
{
	const struct tile_info *t = &tile_infos[c->tile];
	uint32_t together;
	uint32_t parts = tile_steps(s, &together);

	parts /= together;
	if (t->bm > TILE_LARGE && !is_large(opt, s, t))
		return false;
	return tile_fits(opt, s, c) && (c->split == 1 || c->split * (s->taps ? 1 : 2) <= parts);
}

bool tile_any(const struct gpu_options *opt, const struct tile_shape *s)
{
	for (uint32_t t = 0; t < n_tile_infos; t++)
		for (uint32_t split = 1; split <= 8; split *= 2) {
			const struct tile_choice c = { t, split };

			if (tile_is_sound(opt, s, &c))
				return true;
		}
	return false;
}

/*
 * How many times more or fewer rows a table's row is for; 0: it is of another shape. In a
 * crowd nothing depends on how many tiles fill the device once, so a row goes a long way,
 * and one of fewer rows further: on an H100 (sweeps with 32 requests in flight, four
 * networks) the choice for half as many took 1.01 times what the fastest tile did, for a
 * fourth 1.02, for twice as many 1.03, the model's 1.15.
 */
static double distance(const struct gpu_options *opt, const struct tile_row *r, const struct tile_shape *s)
{
	double more;

	if (!r->m)
		return 1;
	if (r->n != s->n || r->k != s->k || r->groups != s->groups || r->kind != tile_kind(s))
		return 0;
	more = (double)r->m / s->m;
	return more < 1 ? 1 / more : opt->crowd ? more * more : more;
}

/* The choice of the nearest row, if one is near. */
static bool look_up(const struct gpu_options *opt, const struct gpu_tiles *table, const struct tile_shape *s,
		    struct tile_choice *c)
{
	const double limit = opt->crowd ? NEAR_IN_CROWD : NEAR;
	double nearest = limit;

	for (uint32_t i = 0; table && i < table->n; i++) {
		double far = distance(opt, &table->rows[i], s);

		if (far > 0 && far < nearest && tile_fits(opt, s, &table->rows[i].choice)) {
			nearest = far;
			*c = table->rows[i].choice;
		}
	}
	return nearest < limit;
}

struct tile_choice tile_choose(const struct gpu_options *opt, const struct tile_shape *s)
{
	struct tile_choice best = { 0, 1 };
	double least = 0;

	if (look_up(opt, opt->tiles, s, &best) ||
	    look_up(opt, tile_table_builtin(opt), s, &best))
		return best;
	for (uint32_t t = 0; t < n_tile_infos; t++)
		for (uint32_t split = 1; split <= 8; split *= 2) {
			struct tile_choice c = { t, split };
			double ns;

			if (!tile_is_sound(opt, s, &c))
				continue;
			ns = tile_model(opt, s, &c);
			if (least > 0 && ns >= least)
				continue;
			least = ns;
			best = c;
		}
	return best;
}
