// SPDX-License-Identifier: MIT
/*
 * Choice of tiles: measured tables as text, the one that is built in, what is
 * done with rows that it does not have.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/lower/tiles.h"
#include "kernels/conv_args.h"
#include "tests/tap.h"

static const char table[] =
	"# a comment\n"
	"tile 1 1 1 1 0 64x64 1 1\n"
	"tiles 80 108\n"
	"tile 100 64 512 1 0 128x128 1 1000\n"
	"tiles 90 132\n"
	"tile 100 64 512 1 0 64x64 2 3000\n"
	"tile 100 64 512 1 0 32x32 4 2000.5\n"
	"tile 100 64 512 1 0 64x32 1 4000\n"
	"tile 100 64 512 1 3 16x64 2 4000\n"
	"tile 400 64 512 1 0 64x64 1 5000\n";

static bool is(struct tile_choice c, const char *name, uint32_t split)
{
	return !strcmp(tile_infos[c.tile].name, name) && c.split == split;
}

static void reading(void)
{
	static const char *const bad[] = {
		"tiles 90\n", "tiles 90 132\ntile 1 2 3\n", "tiles 90 132\ntile 1 2 3 1 0 7x7 1 5\n",
		"tiles 90 132\ntile 1 2 3 1 9 64x64 1 5\n", "tiles 90 132\ntile 1 2 3 1 0 64x64 0 5\n",
		"tiles 90 132\ntile 1 2 3 1 0 64x64 1 5 6\n",
	};
	struct gpu_tiles *t = NULL;
	int refused = 0;

	ok(!tile_table_read(table, 90, 132, &t) && t->n == 3, "a table of this device: best of each shape");
	tile_table_free(t);
	t = NULL;
	ok(!tile_table_read(table, 87, 14, &t) && !t->n, "a table of another device has no rows");
	tile_table_free(t);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		refused += tile_table_read(bad[i], 90, 132, &t) == -EINVAL;
	ok(refused == 6, "broken tables are refused");
}

static void choosing(void)
{
	struct tile_shape s = { .m = 100, .n = 64, .k = 512, .groups = 1 };
	struct gpu_options opt = { .sm = 90, .n_sms = 132 };
	struct gpu_tiles *t = NULL;

	if (!ok(!tile_table_read(table, 90, 132, &t), "a table"))
		return;
	opt.tiles = t;
	ok(is(tile_choose(&opt, &s), "32x32", 4), "its own row");
	s.m = 110;
	ok(is(tile_choose(&opt, &s), "32x32", 4), "the row of nearly as many pixels");
	s.m = 390;
	ok(is(tile_choose(&opt, &s), "64x64", 1), "the nearer one");
	s.m = 100;
	s.hidden = 16;
	s.pixels = 100;
	ok(is(tile_choose(&opt, &s), "16x64", 2), "with squeeze-excite it is another product");
	tile_table_free(t);
}

/* Whatever the shape: a choice that fits, and so does what serves till it is compiled. */
static void by_model(uint32_t sm, uint32_t n_sms)
{
	const struct gpu_tiles none = { 0 };
	struct gpu_options opt = { .sm = sm, .n_sms = n_sms, .tiles = &none };
	uint32_t bad = 0, larger = 0;

	for (uint32_t m = 1; m <= 1 << 18; m *= 4)
		for (uint32_t n = 8; n <= 4096; n *= 4)
			for (uint32_t k = 8; k <= 9 * 4096; k *= 3)
				for (uint32_t kind = 0; kind < 4; kind++) {
					struct tile_shape s = {
						.m = m, .n = n, .k = k, .groups = 1, .window = kind > 0 && kind < 3,
						.taps = kind == 2 ? 9 : 0, .c = (k + 8) / 9, .reach = 2 * 56 + 2,
						.hidden = kind == 3 ? 8 : 0, .pixels = 49,
					};
					struct tile_choice c;

					if (s.hidden && k > 2048)
						continue;
					c = tile_choose(&opt, &s);
					bad += !tile_is_sound(&opt, &s, &c);
					for (uint32_t t = 0; t < n_tile_infos; t++) {
						const struct tile_info *g = tile_generic(&tile_infos[t]);

						c.tile = t;
						larger += tile_smem_of(&s, g, c.split) > tile_smem(&s, &c);
					}
				}
	ok(!bad, "every shape gets a tile that fits on sm_%u", sm);
	ok(!larger, "no generic entry wants more shared memory than the tile that it stands for");
}

int main(void)
{
	ok(tile_table_builtin(90, 132)->n > 100, "a measured table is built in");
	ok(!tile_table_builtin(87, 14)->n, "and not for every device");
	reading();
	choosing();
	by_model(87, 14);
	by_model(89, 128);
	by_model(90, 132);
	return tap_done();
}
