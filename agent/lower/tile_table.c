// SPDX-License-Identifier: MIT
/*
 * Measured tables of tiles, see tiles.h. What is built in is read once.
 */
#include "agent/lower/tiles.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ROWS	8192u
#define MAX_TEXT	(4u << 20)
#define MAX_BUILTIN	8u

/* The text of kernels/tiles.txt. */
extern const char gpu_tiles_text[];

static struct gpu_tiles none;
static struct {
	struct gpu_options of;
	struct gpu_tiles *rows;
} builtin[MAX_BUILTIN];
static uint32_t n_builtin;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static bool same_shape(const struct tile_row *a, const struct tile_row *b)
{
	return a->m == b->m && a->n == b->n && a->k == b->k && a->groups == b->groups &&
	       a->kind == b->kind;
}

static int add(struct gpu_tiles *t, const struct tile_row *row)
{
	struct tile_row *rows;

	for (uint32_t i = 0; i < t->n; i++)
		if (same_shape(&t->rows[i], row)) {
			if (row->ns < t->rows[i].ns)
				t->rows[i] = *row;
			return 0;
		}
	if (t->n == MAX_ROWS)
		return -EINVAL;
	if (!(t->n & (t->n - 1))) {
		rows = realloc(t->rows, (t->n ? 2 * (size_t)t->n : 1) * sizeof(*rows));
		if (!rows)
			return -ENOMEM;
		t->rows = rows;
	}
	t->rows[t->n++] = *row;
	return 0;
}

/* Behind the word "tile". */
static int read_row(const char *line, struct tile_row *row)
{
	unsigned int kind, split;
	char name[16];
	int end = 0;

	if (sscanf(line, "%u %u %u %u %u %15s %u %lf%n", &row->m, &row->n, &row->k, &row->groups, &kind,
		   name, &split, &row->ns, &end) != 8 || (line[end] && line[end] != '\n'))
		return -EINVAL;
	if (!row->m || !row->n || !row->k || !row->groups || kind > TILE_SCALED || !split || split > 64)
		return -EINVAL;
	row->kind = (enum tile_kind)kind;
	row->choice.split = split;
	for (uint32_t i = 0; i < n_tile_infos; i++)
		if (!strcmp(tile_infos[i].name, name)) {
			row->choice.tile = i;
			return 0;
		}
	return -EINVAL;
}

static uint32_t all_sms(const struct gpu_options *opt)
{
	return opt->crowd ? opt->crowd : tile_sms(opt);
}

static bool same_device(const struct gpu_options *a, const struct gpu_options *b)
{
	return a->sm == b->sm && all_sms(a) == all_sms(b) && !a->crowd == !b->crowd;
}

/* Behind the word "tiles". */
static int read_head(const char *line, struct gpu_options *of)
{
	int end = 0;

	*of = (struct gpu_options){ 0 };
	if (sscanf(line, "%u %u%n", &of->sm, &of->n_sms, &end) != 2 || !of->n_sms)
		return -EINVAL;
	line += end;
	if (!strncmp(line, " crowd", 6)) {
		of->crowd = of->n_sms;
		line += 6;
	}
	line += strspn(line, " ");
	return *line && *line != '\n' && *line != '#' ? -EINVAL : 0;
}

int tile_table_read(const char *from, const struct gpu_options *opt, struct gpu_tiles **out)
{
	struct gpu_tiles *t = calloc(1, sizeof(*t));
	bool mine = false;
	int ret = t ? 0 : -ENOMEM;

	for (const char *line = from; *line && !ret; line += *line == '\n') {
		struct gpu_options its;
		struct tile_row row = { 0 };

		if (!strncmp(line, "tiles ", 6)) {
			ret = read_head(line + 6, &its);
			mine = !ret && same_device(&its, opt);
		} else if (mine && !strncmp(line, "tile ", 5)) {
			ret = read_row(line + 5, &row);
			if (!ret)
				ret = add(t, &row);
		}
		line += strcspn(line, "\n");
	}
	if (ret)
		tile_table_free(t);
	else
		*out = t;
	return ret;
}

void tile_table_free(struct gpu_tiles *t)
{
	if (t)
		free(t->rows);
	free(t);
}

static char *text_of(FILE *f)
{
	char *text = malloc(MAX_TEXT + 1);
	size_t n = text ? fread(text, 1, MAX_TEXT + 1, f) : 0;

	if (!text || ferror(f) || n > MAX_TEXT) {
		errno = !text ? ENOMEM : n > MAX_TEXT ? EFBIG : errno ? errno : EIO;
		free(text);
		return NULL;
	}
	text[n] = 0;
	return text;
}

int gpu_tiles_read(const char *path, const struct gpu_options *opt, struct gpu_tiles **out)
{
	FILE *f = fopen(path, "re");
	char *text;
	int ret;

	*out = NULL;
	if (!f)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
	text = text_of(f);
	ret = text ? tile_table_read(text, opt, out) : -errno;
	if (!ret && !(*out)->n) {
		gpu_tiles_free(*out);
		*out = NULL;
	}
	free(text);
	fclose(f);
	return ret;
}

void gpu_tiles_free(struct gpu_tiles *t)
{
	tile_table_free(t);
}

/* A broken text is found by a test. */
static void read_builtin(void)
{
	for (const char *line = gpu_tiles_text; (line = strstr(line, "\ntiles ")) && n_builtin < MAX_BUILTIN;) {
		struct gpu_options of;

		line += sizeof("\ntiles ") - 1;
		if (read_head(line, &of) || tile_table_read(gpu_tiles_text, &of, &builtin[n_builtin].rows))
			continue;
		builtin[n_builtin++].of = of;
	}
}

const struct gpu_tiles *tile_table_builtin(const struct gpu_options *opt)
{
	pthread_once(&once, read_builtin);
	for (uint32_t i = 0; i < n_builtin; i++)
		if (same_device(&builtin[i].of, opt))
			return builtin[i].rows;
	return &none;
}
