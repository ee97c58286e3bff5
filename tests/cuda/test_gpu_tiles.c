// SPDX-License-Identifier: MIT
/*
 * Choice of tiles: measured tables as text, the one that is built in, what is
 * done with rows that it does not have.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/cuda/kernel_build.h"
#include "agent/cuda/plan.h"
#include "agent/lower/tiles.h"
#include "kernels/conv_args.h"
#include "tests/tap.h"

static const struct gpu_options h100 = { .sm = 90, .n_sms = 132 }, orin = { .sm = 87, .n_sms = 14 };
static const struct gpu_options crowded = { .sm = 90, .n_sms = 16, .crowd = 132 };

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
	"tile 400 64 512 1 0 64x64 1 5000\n"
	"tiles 90 132 crowd # so many at once\n"
	"tile 100 64 512 1 0 128x64 1 900\n";

static bool is(struct tile_choice c, const char *name, uint32_t split)
{
	return !strcmp(tile_infos[c.tile].name, name) && c.split == split;
}

static void reading(void)
{
	static const char *const bad[] = {
		"tiles 90\n", "tiles 90 132\ntile 1 2 3\n", "tiles 90 132\ntile 1 2 3 1 0 7x7 1 5\n",
		"tiles 90 132\ntile 1 2 3 1 9 64x64 1 5\n", "tiles 90 132\ntile 1 2 3 1 0 64x64 0 5\n",
		"tiles 90 132\ntile 1 2 3 1 0 64x64 1 5 6\n", "tiles 90 132 many\n",
		"tiles 90 0 crowd\n",
	};
	struct gpu_tiles *t = NULL;
	int refused = 0;

	ok(!tile_table_read(table, &h100, &t) && t->n == 3, "a table of this device: best of each shape");
	tile_table_free(t);
	t = NULL;
	ok(!tile_table_read(table, &crowded, &t) && t->n == 1, "and what is for a crowd");
	tile_table_free(t);
	t = NULL;
	ok(!tile_table_read(table, &orin, &t) && !t->n, "a table of another device has no rows");
	tile_table_free(t);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		refused += tile_table_read(bad[i], &h100, &t) == -EINVAL;
	ok(refused == 8, "broken tables are refused");
}

static void choosing(void)
{
	struct tile_shape s = { .m = 100, .n = 64, .k = 512, .groups = 1 };
	struct gpu_options opt = { .sm = 90, .n_sms = 132 };
	struct gpu_tiles *t = NULL;

	if (!ok(!tile_table_read(table, &h100, &t), "a table"))
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

/* In a crowd a row goes further, that of fewer rows furthest. */
static void choosing_in_crowd(void)
{
	static const char rows[] = "tiles 90 132 crowd\n"
				   "tile 100 64 512 1 0 64x32 1 900\ntile 400 64 512 1 0 32x64 1 900\n";
	static const struct {
		uint32_t m;
		const char *tile;
	} want[] = {
		{ 100, "64x32" }, { 60, "64x32" }, { 199, "64x32" }, { 240, "64x32" }, { 330, "32x64" },
		{ 400, "32x64" }, { 1500, "32x64" },
	};
	struct gpu_options opt = crowded;
	struct gpu_tiles *t = NULL;

	if (!ok(!tile_table_read(rows, &crowded, &t), "a table for a crowd"))
		return;
	for (size_t i = 0; i < sizeof(want) / sizeof(*want); i++) {
		const struct tile_shape s = { .m = want[i].m, .n = 64, .k = 512, .groups = 1 };

		opt.tiles = t;
		ok(is(tile_choose(&opt, &s), want[i].tile, 1), "%u rows: %s", want[i].m, want[i].tile);
	}
	for (int i = 0; i < 2; i++) {
		const struct tile_shape s = { .m = i ? 1700 : 40, .n = 64, .k = 512, .groups = 1 };
		struct tile_choice with, without;

		opt.tiles = t;
		with = tile_choose(&opt, &s);
		opt.tiles = NULL;
		without = tile_choose(&opt, &s);
		ok(with.tile == without.tile && with.split == without.split, "%u rows: no row is near", s.m);
	}
	tile_table_free(t);
}

/* As it lies with the cache of kernels: what it has comes before what is built in. */
static void kept(void)
{
	struct tile_shape s = { .m = 3136, .n = 64, .k = 64, .groups = 1 };
	char dir[] = "/tmp/braid-tiles-XXXXXX", path[64], why[256] = "";
	struct gpu_tiles *t = NULL, *crowd = NULL;
	struct gpu_options opt;
	FILE *f;

	if (!ok(mkdtemp(dir) != NULL, "a folder"))
		return;
	snprintf(path, sizeof(path), "%s/" KERNEL_TILES, dir);
	ok(!kernel_tiles(dir, 90, 132, false, &t, why, sizeof(why)) && !t, "no table, no words");
	kernel_options(&opt, 90, 132, false, false, NULL);
	ok(is(tile_choose(&opt, &s), "32x32", 1), "the one built in has a row");
	f = fopen(path, "we");
	fputs("tiles 90 132\ntile 3136 64 64 1 0 64x64 1 5\ntiles 90 132 crowd\ntile 3136 64 64 1 0 128x64 1 5\n", f);
	fclose(f);
	ok(!kernel_tiles(dir, 90, 132, false, &t, why, sizeof(why)) && t && t->n == 1 &&
	   !kernel_tiles(dir, 90, 132, true, &crowd, why, sizeof(why)) && crowd, "a table is read");
	kernel_options(&opt, 90, 132, false, false, t);
	ok(is(tile_choose(&opt, &s), "64x64", 1), "its row comes first");
	kernel_options(&opt, 90, 132, false, true, crowd);
	ok(is(tile_choose(&opt, &s), "128x64", 1), "a crowd has its own");
	kernel_options(&opt, 90, 132, false, true, NULL);
	s.n = 128;
	s.k = 256;
	ok(is(tile_choose(&opt, &s), "64x128", 1), "which is built in as well");
	kernel_options(&opt, 90, 128, false, true, NULL);
	ok(!is(tile_choose(&opt, &s), "64x128", 1), "for this device");
	s.n = 64;
	s.k = 16;
	kernel_options(&opt, 90, 132, false, false, t);
	ok(is(tile_choose(&opt, &s), "32x32", 1), "what it does not have is as built in");
	gpu_tiles_free(t);
	gpu_tiles_free(crowd);
	f = fopen(path, "we");
	fputs("tiles 90 132\ntile 3136 sixty-four\n", f);
	fclose(f);
	ok(kernel_tiles(dir, 90, 132, false, &t, why, sizeof(why)) == -EINVAL && !t && strstr(why, path),
	   "a broken one is named: %s", why);
	unlink(path);
	rmdir(dir);
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
	const struct gpu_options part = { .sm = 90, .n_sms = 16 };

	ok(tile_table_builtin(&h100)->n > 100, "a measured table is built in");
	ok(tile_table_builtin(&crowded)->n > 100 && tile_table_builtin(&crowded) != tile_table_builtin(&h100),
	   "and one for launches in a crowd");
	ok(!tile_table_builtin(&orin)->n && !tile_table_builtin(&part)->n, "not for every device");
	reading();
	choosing();
	choosing_in_crowd();
	kept();
	by_model(87, 14);
	by_model(89, 128);
	by_model(90, 131);
	return tap_done();
}
